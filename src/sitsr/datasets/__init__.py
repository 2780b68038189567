"""The data to learn from and to judge by: archives on disk, batches to fit, pairs to score.

``archives`` reads what lies on disk into plain arrays; ``batches`` makes training batches of them,
by *scale transfer* (a 10 m image degraded to 40 m, to be found again) and by simulation from aerial
images at the true scale; ``pairs`` makes the fixed pairs that systems are scored on, ``landsat``
and ``alsat`` those of two sensors or sizes; ``worldstrat``, ``breizhsr``, ``sen2venus``, ``probav``
and ``mus2`` read public sets as they are published (docs/datasets); ``windows`` makes training
batches of pairs, in memory or looked at where they lie (``views``); ``splits`` keeps testing apart
from training; ``store`` is what much data is trained on from;
``exchange`` and ``predictions`` write and read pairs and answers as files (docs/pairs.md).
"""

from sitsr.datasets.alsat import read_alsat2b
from sitsr.datasets.archives import (
    L2A_BANDS,
    Archive,
    read_austria,
    read_flanders,
    read_naip,
    read_theia,
)
from sitsr.datasets.batches import Batch, Batches, Mixture
from sitsr.datasets.breizhsr import is_breizhsr, read_breizhsr
from sitsr.datasets.exchange import export_pairs, read_pairs
from sitsr.datasets.landsat import landsat_pairs, read_landsat
from sitsr.datasets.mus2 import is_mus2, read_mus2
from sitsr.datasets.pairs import (
    LANDSAT,
    OTHER_SENSOR,
    PUBLISHED,
    REAL,
    Pair,
    Source,
    Task,
    at_hand,
    real_pairs,
    scale_transfer_pairs,
)
from sitsr.datasets.pickles import read_pickled_table
from sitsr.datasets.predictions import read_prediction, write_prediction
from sitsr.datasets.probav import is_probav, read_probav
from sitsr.datasets.sen2venus import is_sen2venus, read_sen2venus
from sitsr.datasets.splits import Grouped, split_by_area, without_leaks
from sitsr.datasets.store import is_store, read_store, write_store
from sitsr.datasets.windows import PairWindows, training_pairs
from sitsr.datasets.worldstrat import is_worldstrat, read_worldstrat

__all__ = [
    "L2A_BANDS",
    "LANDSAT",
    "OTHER_SENSOR",
    "PUBLISHED",
    "REAL",
    "Archive",
    "Batch",
    "Batches",
    "Grouped",
    "Mixture",
    "Pair",
    "PairWindows",
    "Source",
    "Task",
    "at_hand",
    "export_pairs",
    "is_breizhsr",
    "is_mus2",
    "is_probav",
    "is_sen2venus",
    "is_store",
    "is_worldstrat",
    "landsat_pairs",
    "read_alsat2b",
    "read_austria",
    "read_breizhsr",
    "read_flanders",
    "read_landsat",
    "read_mus2",
    "read_naip",
    "read_pairs",
    "read_pickled_table",
    "read_prediction",
    "read_probav",
    "read_sen2venus",
    "read_store",
    "read_theia",
    "read_worldstrat",
    "real_pairs",
    "scale_transfer_pairs",
    "split_by_area",
    "training_pairs",
    "without_leaks",
    "write_prediction",
    "write_store",
]
