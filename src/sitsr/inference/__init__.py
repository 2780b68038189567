"""Super-resolve a series in memory, or a scene of any size.

estimate    a series in memory: cut -> encode -> draw -> mend -> join
scene       a scene, block by block: read -> estimate -> write
journal     what of it is done, so that an interrupted run goes on
workers     the same by processes and machines
production  all of it: from a scene to a product on disk
forecast    what it will cost
"""

from __future__ import annotations

from sitsr.inference.estimate import (
    Progress,
    Settings,
    ground_origin,
    how_served,
    is_far,
    looks,
    super_resolve,
)
from sitsr.inference.forecast import Forecast, forecast
from sitsr.inference.production import Form, Means, Stage, produce
from sitsr.inference.scene import BLOCK, Job

__all__ = [
    "BLOCK",
    "Forecast",
    "Form",
    "Job",
    "Means",
    "Progress",
    "Settings",
    "Stage",
    "forecast",
    "ground_origin",
    "how_served",
    "is_far",
    "looks",
    "produce",
    "super_resolve",
]
