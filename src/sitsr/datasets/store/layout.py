"""What writing and reading share: the numbers of the layout."""

from __future__ import annotations

import numpy as np

FORMAT = "sitsr store 1"
"""Says in the attributes of a store that it is laid out as its module says."""

SIDE, FRAMES = 64, 8
"""Low-resolution pixels along a chunk, and images in it."""

QUANTUM = 1e-4
"""Reflectance that an integer counts."""

NOTHING = np.iinfo(np.int16).min
"""Stands in a reference where it is not known."""

MOST = QUANTUM * np.iinfo(np.int16).max
"""What is beyond it is not clear: a glint, or a fault."""
