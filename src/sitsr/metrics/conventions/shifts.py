"""The search over whole shifts that the conventions share: windows of an image, and its middle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sitsr.metrics.checks import Doubles, Reals, check, size
from sitsr.series import Booleans, InputError

BORDER = 3  # pixels that an image may lie off, each way


def middle(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[..., H - 6, W - 6] without the border."""
    return image[..., BORDER:-BORDER, BORDER:-BORDER]


def windows(
    image: npt.NDArray[Any], clear: Booleans, count: int = 2 * BORDER + 1
) -> Iterator[tuple[npt.NDArray[Any], Booleans]]:
    """The image [..., H, W] and its mask at each of count × count places, [..., H - 6, W - 6].

    Row by row, from 3 pixels up and left on; seven places a side are every whole shift to ±3.
    """
    rows, cols = (length - 2 * BORDER for length in clear.shape)
    for row in range(count):
        for col in range(count):
            here = slice(row, row + rows), slice(col, col + cols)
            yield image[(..., *here)], clear[here]


def bias_free_mse(estimate: Doubles, reference: Doubles, clear: Booleans) -> float:
    """Mean squared difference of two bands [H, W] where clear, after its mean is taken away."""
    return float(np.var(reference[clear] - estimate[clear])) if clear.any() else math.inf


def decibel(mse: float) -> float:
    """-10 log10 of a mean squared error; infinite where there is none."""
    return -10 * math.log10(mse) if mse else math.inf


def readable(
    estimate: Reals, reference: Reals, clear: Booleans, least: int
) -> tuple[Doubles, Doubles]:
    """Both images in float64, after a check; what is not clear and not finite is a band's mean.

    ``least`` is the shortest side in pixels that the convention can be reckoned with.
    """
    check(estimate, reference, clear)
    if min(clear.shape) < least:
        raise InputError(
            f"the image is {size(clear)} pixels, the convention takes {least} a side; "
            "give larger patches"
        )
    return _filled(estimate, clear), _filled(reference, clear)


def _filled(image: Reals, clear: Booleans) -> Doubles:
    known = image.astype(np.float64)
    means = known[:, clear].mean(axis=1)
    return np.where(np.isfinite(known), known, means[:, None, None])
