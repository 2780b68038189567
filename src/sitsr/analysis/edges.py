"""How sharp a sensor is, from straight edges in its images.

Borders of fields, roads and roofs are straight and, where they slant, cross the pixels at every
phase: so the profile across them is known more finely than the pixels are (the slanted-edge
method; ISO 12233). A step seen through a Gaussian is an error function,

    value = level + step · Φ((distance − offset) / sigma),

and is fitted as that. No edge on the ground is a perfect step, and flatter ones are wider: what is
found bounds the point-spread function from above, pixel and optics together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy import ndimage, optimize, special

from sitsr.metrics import Doubles, Reals
from sitsr.radiometry import filled
from sitsr.series import Booleans

HALF = 4
"""Half the side, in pixels, of the window that an edge is fitted in."""
STRAIGHT = 0.9
"""Least coherence of the gradients in a window: 1 along a straight edge, 0 where they point
everywhere."""
SLANT = 4.0
"""Degrees that an edge must at least be away from rows, columns and diagonals, along which the
same phases return."""
ROUGH = 0.12
"""Largest rms, in steps, of what the fit leaves."""
NARROWEST, WIDEST = 0.1, 2.5
"""Sigma in pixels below which the pixels do not tell it, and above which an edge is a slope."""
FLANKS = 0.15
"""Least share of the window that must be level on either side."""
MOST = 24
"""Edges that are told of an image at most, the strongest first."""
TRIED = 2 * MOST
"""Places that are tried for them."""
APART = 7
"""Pixels between two of them: their windows should share little."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One straight edge."""

    row: int
    col: int
    sigma: float
    """Of the error function across it, in pixels of the image."""
    step: float
    """From one side to the other, in units of the image."""
    angle: float
    """Of its normal, in degrees from the direction of the columns, −90 to 90."""
    rough: float
    """rms of what the fit leaves, in steps."""


def edges(image: Reals, clear: Booleans, most: int = MOST) -> list[Edge]:
    """The straight slanted edges of an image [H, W] where it is clear, at most so many."""
    if not clear.any() or min(image.shape) <= 2 * HALF:
        return []
    values = filled(image[None].astype(np.float64), clear)[0]
    tried = (_fitted(values, *place) for place in islice(_candidates(values, clear), TRIED))
    return list(islice((edge for edge in tried if edge is not None), most))


def slanted(angle: float) -> bool:
    """Whether an edge crosses the pixels at many phases."""
    return abs((angle + 22.5) % 45 - 22.5) >= SLANT


def _candidates(values: Doubles, clear: Booleans) -> Iterator[tuple[int, int, float]]:
    """Row, column and angle in radians where gradients are strong and point one way."""
    down, across = (ndimage.gaussian_filter(values, 1, order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = (
        ndimage.gaussian_filter(product, HALF / 2)
        for product in (across**2, down**2, across * down)
    )
    total = np.maximum(xx + yy, 1e-30)
    coherent = np.hypot(xx - yy, 2 * xy) / total
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    strength = np.hypot(down, across)
    free = ndimage.binary_erosion(clear, np.ones((2 * HALF + 3, 2 * HALF + 3), bool))
    crest = strength >= ndimage.maximum_filter(strength, 3)
    # Where nearly all is level, the median is nothing, and rounding would pass for an edge.
    least = max(2 * float(np.median(strength)), 1e-3 * float(strength.max()), 1e-9)
    good = free & crest & (coherent >= STRAIGHT) & (strength >= least)
    rows, cols = np.nonzero(good)
    order = np.lexsort((cols, rows, -strength[rows, cols]))
    for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True):
        if free[row, col]:
            free[row - APART + 1 : row + APART, col - APART + 1 : col + APART] = False
            yield row, col, float(angle[row, col])


def _fitted(values: Doubles, row: int, col: int, angle: float) -> Edge | None:
    """The edge there, or None if what is there is none."""
    at = np.arange(-HALF, HALF + 1)
    window = values[row - HALF : row + HALF + 1, col - HALF : col + HALF + 1].ravel()
    y, x = (part.ravel().astype(np.float64) for part in np.meshgrid(at, at, indexing="ij"))

    def across(place: Doubles) -> Doubles:
        away = x * np.cos(place[0]) + y * np.sin(place[0]) - place[1]
        return np.asarray(special.ndtr(away / _width(place)))

    def missed(place: Doubles) -> Doubles:
        share = across(place)
        level, step = _line(share, window)
        return np.asarray(level + step * share - window)

    def rough(place: Doubles) -> float:
        _, step = _line(across(place), window)
        return float(np.sqrt(np.mean(missed(place) ** 2))) / max(abs(step), 1e-12)

    start = np.array([angle, 0.0, -0.4])
    if rough(start) > 3 * ROUGH:  # most places, and not worth a fit
        return None
    # Without bounds, which would take five times as long: what strays is no edge.
    found = optimize.least_squares(missed, start, method="lm", max_nfev=80)
    share, sigma = across(found.x), _width(found.x)
    astray = abs(found.x[0] - angle) > 0.5 or abs(found.x[1]) > HALF / 2
    _, step = _line(share, window)
    left = rough(found.x)
    turned = (float(np.degrees(found.x[0])) + 90) % 180 - 90
    flanks = min(float(np.mean(share < 0.1)), float(np.mean(share > 0.9)))
    good = left <= ROUGH and not astray and NARROWEST <= sigma <= WIDEST
    if not (good and slanted(turned) and flanks >= FLANKS):
        return None
    return Edge(row, col, sigma, abs(step), turned, left)


def _width(place: Doubles) -> float:
    """Sigma is fitted as its logarithm, so that it stays above 0."""
    return float(np.exp(np.clip(place[2], -6, 6)))


def _line(share: Doubles, window: Doubles) -> tuple[float, float]:
    """Level and step that are best for a profile."""
    middle = share.mean()
    away = share - middle
    step = float(away @ window) / max(float(away @ away), 1e-30)
    return float(window.mean()) - step * float(middle), step
