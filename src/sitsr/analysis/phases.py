"""How the images of a series lie between each other's pixels.

Images of one sensor hold detail finer than its pixels together, if they sample the ground at
different places: their shifts, modulo whole pixels, are the phases. Where all are the same, many
dates say no more about fine detail than one does.
"""

from __future__ import annotations

import math

import numpy as np

from sitsr.metrics import Doubles, best_shift
from sitsr.series import InputError, Series

LIMIT = 1.5
"""Low-resolution pixels within which the shift of a date is searched."""
SHARED = 0.5
"""Least share of the ground that a date must show together with the one it is compared with."""


def date_shifts(series: Series, most: int = 24) -> Doubles:
    """[T, 2] rows and columns, in pixels, that each date lies off the clearest one.

    NaN for dates that share less than half of their ground with it, or lie beyond the most dates
    that are looked at (the clearest). Above 0 is further down and to the right.
    """
    share = series.clear.mean(axis=(1, 2))
    order = np.argsort(-share, kind="stable")[:most]
    anchor = int(order[0])
    shifts = np.full((len(series.dates), 2), np.nan)
    for k in order.tolist():
        both = series.clear[anchor] & series.clear[k]
        if k == anchor:
            shifts[k] = 0
        elif both.mean() >= SHARED:
            try:
                shifts[k] = best_shift(series.images[k], series.images[anchor], both, LIMIT)
            except InputError:
                continue
    # At the limit nothing was found.
    shifts[(np.abs(shifts) >= LIMIT - 1e-6).any(axis=1)] = np.nan
    return shifts


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
