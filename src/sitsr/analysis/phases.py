"""How the images of a series lie between each other's pixels.

Images of one sensor hold detail finer than its pixels together, if they sample the ground at
different places: their shifts, modulo whole pixels, are the phases. Where all are the same, many
dates say no more about fine detail than one does.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from sitsr.metrics import Doubles, Reals, best_shift, moved
from sitsr.series import Booleans, InputError, Series

LIMIT = 2.0
"""Low-resolution pixels within which the shift of a date is looked for."""
BEYOND = 1.0
"""What is searched besides: a maximum out there says that there is none within."""
ALIKE = 0.4
"""Least correlation of two dates' outlines, laid on each other, for their shift to be believed."""
EDGE = 2
"""Pixels next to borders and clouds that have no outlines of their own."""
SHARED = 0.5
"""Least share of the ground that a date must show together with the one it is compared with."""


def date_shifts(series: Series, most: int = 24) -> Doubles:
    """[T, 2] rows and columns, in pixels, that each date lies off the clearest one.

    Above 0 is further down and to the right. Outlines are compared and not values, because fields
    change their colours from date to date, but their borders rarely. NaN where two dates share less
    than half of the ground or do not resemble each other, and beyond the most dates that are
    looked at (the clearest).
    """
    share = series.clear.mean(axis=(1, 2))
    anchor, *others = np.argsort(-share, kind="stable")[:most].tolist()
    shifts = np.full((len(series.dates), 2), np.nan)
    shifts[anchor] = 0
    fixed = outlines(series.images[anchor])
    for k in others:
        both = ndimage.binary_erosion(series.clear[anchor] & series.clear[k], iterations=EDGE)
        if both.mean() >= SHARED:
            shifts[k] = _found(outlines(series.images[k]), fixed, both)
    return shifts


def outlines(image: Reals) -> Doubles:
    """[C, H, W] how steeply an image [C, H, W] rises or falls."""
    return np.stack([ndimage.gaussian_gradient_magnitude(b.astype(np.float64), 0.7) for b in image])


def _found(one: Doubles, fixed: Doubles, clear: Booleans) -> tuple[float, float]:
    """By how much one image is off the fixed one; NaN where that cannot be believed."""
    nothing = math.nan, math.nan
    try:
        shift = best_shift(one, fixed, clear, LIMIT + BEYOND)
        there, known = moved(fixed, clear, shift)
    except InputError:
        return nothing
    believed = max(map(abs, shift)) <= LIMIT and _alike(there, one, known & clear) >= ALIKE
    return shift if believed else nothing


def _alike(one: Reals, other: Reals, clear: Booleans) -> float:
    """Correlation, the mean over bands that are not flat; −1 where none is."""
    x, y = (image[:, clear] - image[:, clear].mean(axis=1, keepdims=True) for image in (one, other))
    power = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    told = power > 1e-12
    return float(((x * y).sum(axis=1)[told] / power[told]).mean()) if told.any() else -1.0


def resultant(shifts: Doubles, scale: int) -> float:
    """How unevenly shifts [T] along one axis fill the pixel, from 0, evenly, to 1, all alike.

    The largest |mean exp(2πi k shift)| for k from 1 to scale − 1: those k are the aliases that
    detail scale times finer must be told from, and with even phases they cancel. NaN of none.
    """
    known = shifts[np.isfinite(shifts)]
    if not known.size or scale < 2:
        return math.nan
    turns = np.exp(2j * math.pi * np.arange(1, scale)[:, None] * known)
    return float(np.abs(turns.mean(axis=1)).max())


def filled_cells(shifts: Doubles, scale: int) -> int:
    """Of the scale² cells of a pixel, how many have the centre of a date's pixel; shifts [T, 2]."""
    known = shifts[np.isfinite(shifts).all(axis=1)]
    # Centres of cells are whole parts of a pixel apart, and no shift is one of them.
    cells = np.rint(known * scale).astype(int) % scale
    return len({tuple(cell) for cell in cells.tolist()})
