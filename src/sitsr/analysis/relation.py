"""How the values of two images go together: sums that add up over pairs, and what they say."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sitsr.metrics import Reals


@dataclass(frozen=True, slots=True)
class Sums:
    """Of pixels x and y: how many, and the sums of what stands below."""

    n: float
    x: float
    y: float
    xx: float
    yy: float
    xy: float


@dataclass(frozen=True, slots=True)
class Relation:
    """The straight line from x to y, by least squares."""

    n: int
    slope: float
    offset: float
    correlation: float
    rmse: float
    """Of y − x: with no line drawn."""


def sums(x: Reals, y: Reals) -> Sums:
    """Of two images of the same pixels."""
    x, y = x.ravel().astype(np.float64), y.ravel().astype(np.float64)
    return Sums(x.size, *(float(each.sum()) for each in (x, y, x * x, y * y, x * y)))


def together(parts: Iterable[Sums]) -> Sums:
    """Of all pixels; exact, so that the order of the parts does not matter."""
    held = list(parts)
    return Sums(*(math.fsum(getattr(each, name) for each in held) for name in Sums.__slots__))


def relation(of: Sums) -> Relation:
    """The line and the correlation; NaN where an image is flat or there is no pixel."""
    if of.n < 2:
        return Relation(int(of.n), math.nan, math.nan, math.nan, math.nan)
    xx, yy = of.xx - of.x**2 / of.n, of.yy - of.y**2 / of.n
    xy = of.xy - of.x * of.y / of.n
    rmse = math.sqrt(max(of.xx - 2 * of.xy + of.yy, 0) / of.n)
    least = 1e-12 * max(of.xx, of.yy)
    if xx <= least or yy <= least:
        return Relation(int(of.n), math.nan, math.nan, math.nan, rmse)
    slope = xy / xx
    return Relation(int(of.n), slope, (of.y - slope * of.x) / of.n, xy / math.sqrt(xx * yy), rmse)
