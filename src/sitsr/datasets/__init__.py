"""The data to learn from and to judge by: archives on disk, batches to fit, pairs to score.

``archives`` reads what lies on disk into plain arrays; ``batches`` makes training batches of them,
by *scale transfer* (a 10 m image degraded to 40 m, to be found again) and by simulation from aerial
images at the true scale; ``pairs`` makes the fixed pairs that systems are scored on, ``landsat``
and ``alsat`` those of two sensors or sizes; ``worldstrat``, ``breizhsr``, ``sen2venus``, ``probav``
and ``mus2`` read public sets as they are published (docs/datasets), ``known`` says what they are,
``obtaining`` gets them; ``registration`` and
``harmonise`` bring a reference to its series; ``windows`` makes training batches of pairs, in
memory or looked at where they lie (``views``); ``splits`` keeps testing apart from training;
``store`` is what much data is trained on from; ``check`` finds what is wrong with a data set, and
``prepare`` makes a store of it;
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
from sitsr.datasets.check import Finding, Limits, check_sources
from sitsr.datasets.choosing import Choice
from sitsr.datasets.exchange import export_pairs, read_pairs
from sitsr.datasets.harmonise import HARMONISERS, Fitted, fit_over, harmonised
from sitsr.datasets.known import DATASETS, Known, find_dataset, open_dataset
from sitsr.datasets.landsat import landsat_pairs, read_landsat
from sitsr.datasets.mus2 import is_mus2, read_mus2
from sitsr.datasets.obtaining import Plan, obtain, planned
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
from sitsr.datasets.prepare import Preparation, prepare
from sitsr.datasets.probav import is_probav, read_probav
from sitsr.datasets.registration import (
    Shift,
    registered,
    registered_dates,
    shift_of_reference,
    shifts_of_dates,
)
from sitsr.datasets.sen2venus import is_sen2venus, read_sen2venus
from sitsr.datasets.splits import Grouped, split_by_area, without_leaks
from sitsr.datasets.store import is_store, read_store, write_store
from sitsr.datasets.windows import PairWindows, training_pairs
from sitsr.datasets.worldstrat import is_worldstrat, read_worldstrat

__all__ = [
    "DATASETS",
    "HARMONISERS",
    "L2A_BANDS",
    "LANDSAT",
    "OTHER_SENSOR",
    "PUBLISHED",
    "REAL",
    "Archive",
    "Batch",
    "Batches",
    "Choice",
    "Finding",
    "Fitted",
    "Grouped",
    "Known",
    "Limits",
    "Mixture",
    "Pair",
    "PairWindows",
    "Plan",
    "Preparation",
    "Shift",
    "Source",
    "Task",
    "at_hand",
    "check_sources",
    "export_pairs",
    "find_dataset",
    "fit_over",
    "harmonised",
    "is_breizhsr",
    "is_mus2",
    "is_probav",
    "is_sen2venus",
    "is_store",
    "is_worldstrat",
    "landsat_pairs",
    "obtain",
    "open_dataset",
    "planned",
    "prepare",
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
    "registered",
    "registered_dates",
    "scale_transfer_pairs",
    "shift_of_reference",
    "shifts_of_dates",
    "split_by_area",
    "training_pairs",
    "without_leaks",
    "write_prediction",
    "write_store",
]
