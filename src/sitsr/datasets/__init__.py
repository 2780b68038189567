"""The data to learn from and to judge by: archives on disk, batches to fit, pairs to score.

``archives`` reads what lies on disk into plain arrays; ``batches`` makes training batches of them,
by *scale transfer* (a 10 m image degraded to 40 m, to be found again) and by simulation from aerial
images at the true scale; ``pairs`` makes the fixed pairs that systems are scored on; ``exchange``
and ``predictions`` write and read pairs and answers as files (docs/pairs.md).
"""

from sitsr.datasets.archives import (
    L2A_BANDS,
    Archive,
    read_austria,
    read_flanders,
    read_naip,
    read_theia,
)
from sitsr.datasets.batches import Batch, Batches, Mixture
from sitsr.datasets.exchange import export_pairs, read_pairs
from sitsr.datasets.pairs import (
    REAL,
    Pair,
    Source,
    Task,
    at_hand,
    real_pairs,
    scale_transfer_pairs,
)
from sitsr.datasets.predictions import read_prediction, write_prediction

__all__ = [
    "L2A_BANDS",
    "REAL",
    "Archive",
    "Batch",
    "Batches",
    "Mixture",
    "Pair",
    "Source",
    "Task",
    "at_hand",
    "export_pairs",
    "read_austria",
    "read_flanders",
    "read_naip",
    "read_pairs",
    "read_prediction",
    "read_theia",
    "real_pairs",
    "scale_transfer_pairs",
    "write_prediction",
]
