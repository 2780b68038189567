"""How the masks that come with images are to be read.

Each kind says where the ground is seen, of the values of its raster. The scene classes of Sen2Cor
are counted from 0: nodata, saturated, dark, cloud shadow, vegetation, soil, water, unclassified,
cloud of medium and of high probability, thin cirrus, snow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sitsr.series import Booleans

Rule = Callable[[npt.NDArray[Any]], Booleans]

CLOUD_CLASSES = (0, 1, 3, 8, 9, 10, 11)
"""Scene classes that do not show the ground, snow among them."""
LIKELY = 40
"""Per cent from which on a cloud's probability counts as cloud."""


def scene_classes(clouded: tuple[int, ...] = CLOUD_CLASSES) -> Rule:
    """The ground is seen where the scene class is none of these."""
    return lambda values: np.asarray(~np.isin(values, clouded), bool)


def _percent(values: npt.NDArray[Any]) -> Booleans:
    return np.asarray(values < LIKELY, bool)


def _zero(values: npt.NDArray[Any]) -> Booleans:
    return np.asarray(values == 0, bool)


def _not_zero(values: npt.NDArray[Any]) -> Booleans:
    return np.asarray(values != 0, bool)


COVERS: Mapping[str, Rule] = {
    "SCL": scene_classes(),
    "clear": _not_zero,
    "CLM": _zero,  # Theia's bits and Sentinel Hub's flag: 0 is clear in both
    "classes": _zero,  # OmniCloudMask, CSMask: clear, thick cloud, thin cloud, shadow
    "probability": _percent,  # s2cloudless and MSK_CLDPRB, per cent
}
"""Kinds of masks by name, with the rule that tells where the ground is seen."""
