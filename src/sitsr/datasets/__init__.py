"""The data to learn from and to judge by: archives on disk, batches to fit, pairs to score.

``archives`` reads what lies on disk into plain arrays; ``batches`` makes training batches of them,
by *scale transfer* (a 10 m image degraded to 40 m, to be found again) and by simulation from aerial
images at the true scale; ``pairs`` makes the fixed pairs that systems are scored on.
"""

from sitsr.datasets.archives import Archive, read_austria, read_flanders, read_naip, read_theia
from sitsr.datasets.batches import Batch, Batches, Mixture
from sitsr.datasets.pairs import Pair, real_pairs, scale_transfer_pairs

__all__ = [
    "Archive",
    "Batch",
    "Batches",
    "Mixture",
    "Pair",
    "read_austria",
    "read_flanders",
    "read_naip",
    "read_theia",
    "real_pairs",
    "scale_transfer_pairs",
]
