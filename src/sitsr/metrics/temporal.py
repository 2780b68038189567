"""How an estimate moves through time: only as far as the ground does, and how well between dates.

estimate, reference   [C, H, W]  reflectance, of two dates a and b of one place
clear, still          [H, W]     True where both dates are valid; where nothing changed besides
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sitsr.metrics.checks import Doubles, Reals, check, seen, size
from sitsr.series import Booleans, InputError


def unchanged(
    first: Reals, second: Reals, clear: Booleans, bound: float = 0.01, side: int = 5
) -> Booleans:
    """[H, W] ground that two references show alike.

    The rule: the pixel is clear, and in every band the mean of |first - second| over the clear
    pixels of the side × side window around it is below ``bound``, in reflectance. A mean over a
    window, so that noise of one pixel neither makes a change nor hides one.
    """
    check(first, second, clear)
    if bound <= 0 or side < 1 or side % 2 == 0:
        raise InputError(
            f"bound must be above 0 and side an odd number of pixels, got {bound} and {side}"
        )
    apart = np.zeros(first.shape)
    apart[:, clear] = np.abs(first[:, clear].astype(np.float64) - second[:, clear])
    weight = _window_mean(clear.astype(np.float64), side)
    below = _window_mean(apart, side) < bound * weight
    return np.asarray(clear & below.all(axis=0))


def flicker(
    estimate_a: Reals, estimate_b: Reals, reference_a: Reals, reference_b: Reals, still: Booleans
) -> float:
    """What the estimates changed between two dates that the ground did not, in reflectance.

    Root mean square of (a - b) - (reference a - reference b) over the ``still`` pixels, as
    ``unchanged`` gives them, and over the bands. An error that both dates share costs nothing: this
    is about steadiness, not about being right.
    """
    if not still.any():
        raise InputError(
            f"none of {size(still)} pixels is still; give dates nearer to each other "
            "or a wider bound"
        )
    ours_a, truth_a = seen(estimate_a, reference_a, still)
    ours_b, truth_b = seen(estimate_b, reference_b, still)
    if ours_a.shape != ours_b.shape:
        raise InputError(
            f"the dates have {len(ours_a)} and {len(ours_b)} bands; give both the same bands"
        )
    return float(np.sqrt(np.mean(((ours_a - ours_b) - (truth_a - truth_b)) ** 2)))


class GapError(NamedTuple):
    """The error of the dates whose gap lies in low ≤ days < high; NaN where there are none."""

    low: float
    high: float
    dates: int
    mean: float


def by_gap(
    gap_days: Sequence[float], errors: Sequence[float], edges: Sequence[float]
) -> list[GapError]:
    """Mean error at held-out dates against the gap to the nearest clear date, gap by gap.

    ``gap_days`` may be signed, only their size counts; ``edges`` [K + 1] in days bound K gaps. A
    date whose gap lies in none of them is refused, so that no mean is silently of fewer dates.
    """
    days, values = np.abs(np.asarray(gap_days, np.float64)), np.asarray(errors, np.float64)
    if days.ndim != 1 or days.shape != values.shape or not np.isfinite(values).all():
        raise InputError(
            f"got {days.size} gaps and {values.size} errors; give one finite error for each gap"
        )
    if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
        raise InputError(f"edges must be two or more rising numbers of days, got {list(edges)}")
    outside = ~((days >= edges[0]) & (days < edges[-1]))
    if outside.any():
        raise InputError(
            f"{outside.sum()} gaps, such as {days[outside][0]:g} days, lie outside "
            f"{edges[0]:g} to {edges[-1]:g}; widen the edges"
        )
    places = np.digitize(days, edges) - 1
    gaps = ((low, high, values[places == k]) for k, (low, high) in enumerate(pairwise(edges)))
    return [
        GapError(low, high, len(v), float(v.mean()) if len(v) else np.nan) for low, high, v in gaps
    ]


def _window_mean(images: Doubles, side: int) -> Doubles:
    """Mean over a window, zeros beyond the edge."""
    sides = (1,) * (images.ndim - 2) + (side, side)
    smooth: Doubles = ndimage.uniform_filter(images, sides, mode="constant")
    return smooth
