"""Super-resolve a series in memory.

estimate   a series in memory: cut -> encode -> draw -> mend -> join
"""

from __future__ import annotations

from sitsr.inference.estimate import (
    FAR_DAYS,
    Progress,
    Settings,
    ground_origin,
    how_served,
    super_resolve,
)

__all__ = [
    "FAR_DAYS",
    "Progress",
    "Settings",
    "ground_origin",
    "how_served",
    "super_resolve",
]
