"""Where images that should lie on each other do not: found, told, and mended if that is asked.

A reference lies off its series because another sensor took it, and the dates of a series lie off
each other by a part of a pixel. What is found is a *shift*: rows down and columns right by which an
image is to be moved so that it lies on the one that stays, the series for a reference, one date
for the others. Neither is changed until ``registered`` or ``registered_dates`` is called.

Correlation decides, on clear pixels only (``sitsr.metrics.best_match``). Two sensors share forms of
some pixels, so a reference is found by those. Dates of one sensor share their finest detail,
which alone stays in its place from winter to summer (docs/decisions/shifts.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from sitsr.baselines import bicubic, median, nearest
from sitsr.datasets.pairs import Pair
from sitsr.metrics import best_match, moved
from sitsr.radiometry import FEWEST, shifted_clear
from sitsr.series import Booleans, Floats, InputError, Series

FINE = (0.5, 1.0)
"""Pixels: dates of one sensor are compared by what lies between these two blurs."""

SHARP = ("B02", "B03", "B04", "B08")
"""Bands that decide between dates where there are any: the others were enlarged from 20 m or 60 m,
and the edges of their blocks lie in the same place on every date."""

SURE = 0.2
"""Correlation below which a date is not moved. Grounds that have nothing to do with each other
reach 0.1 (docs/decisions/shifts.md)."""


@dataclass(frozen=True, slots=True)
class Shift:
    """By which an image is to be moved, and how sure that is."""

    rows: float
    """Down, pixels of the image that is moved."""
    cols: float
    """To the right."""
    correlation: float
    """Of the two images when one is so moved, the mean over bands, from -1 to 1."""
    pixel: float
    """Side of a pixel of the image that is moved, metres."""
    scale: int = 1
    """Pixels of the image that is moved to one of the series, along one axis."""
    limit: float = np.inf
    """The most that was searched, both ways, pixels of the image that is moved."""

    @property
    def low(self) -> tuple[float, float]:
        """Down and to the right, low-resolution pixels."""
        return self.rows / self.scale, self.cols / self.scale

    @property
    def metres(self) -> tuple[float, float]:
        """To the south and to the east, metres."""
        return self.rows * self.pixel, self.cols * self.pixel

    @property
    def at_limit(self) -> bool:
        """Whether the search ended at its edge, so that the true shift may be larger."""
        return max(abs(self.rows), abs(self.cols)) >= self.limit

    def figures(self) -> dict[str, float]:
        """The same as named numbers, ready for a table or JSON."""
        down, right = self.low
        south, east = self.metres
        names = ("rows", "cols", "south_m", "east_m", "correlation")
        return dict(zip(names, (down, right, south, east, self.correlation), strict=True))


def shift_of_reference(pair: Pair, limit: float = 2.0) -> Shift:
    """By which the reference lies on the bicubic image of the nearest clear dates.

    Searched up to limit low-resolution pixels both ways. Tells nothing of systems: it is found from
    the pair alone. InputError where fewer than 16 pixels are clear in both, or the reference
    is on the grid of the series.
    """
    if pair.at_sensor:
        raise InputError(
            f"the reference of {pair.patch} lies on the grid of its series; give one that is finer"
        )
    image = bicubic(nearest(pair.series, pair.target), pair.scale)
    most = limit * pair.scale
    found = best_match(image, pair.reference, pair.clear & _ever_seen(pair), most)
    return Shift(*found, _side(pair.series) / pair.scale, pair.scale, most)


def registered(pair: Pair, shift: Shift) -> Pair:
    """The pair with its reference moved by a windowed sinc, clear where it was and is.

    Clear loses what is moved in from beyond the border or from under a cloud, and ground that no
    date of the series shows. InputError where nothing is left, or the shift is of another scale.
    """
    if shift.scale != pair.scale:
        raise InputError(
            f"a shift of scale {shift.scale} cannot move {pair.patch} of scale {pair.scale}; "
            "find one with shift_of_reference"
        )
    reference, clear = moved(pair.reference, pair.clear, (shift.rows, shift.cols))
    return replace(pair, reference=reference.astype(np.float32), clear=clear & _ever_seen(pair))


def shifts_of_dates(
    series: Series, reference: date | None = None, limit: float = 3.0
) -> dict[date, Shift]:
    """By which every date lies on the reference date, searched up to limit pixels both ways.

    reference: one of the dates, such as the one nearest to a target; without it, the date that is
    most like the temporal median, and clearest. Not the median itself, for images that lie apart
    blur it. Its own shift is 0 with correlation 1. Dates that share fewer than 16 clear pixels
    with it are left out: of them nothing can be told. InputError where it is not of the series.
    """
    sharp = [band for band in SHARP if band in series.bands]
    images = series.select(sharp) if sharp else series
    when = _most_typical(images, limit) if reference is None else _position(series, reference)
    fixed, clear = images.images[when], images.clear[when]
    shifts = {}
    for k, day in enumerate(series.dates):
        both = clear & images.clear[k]
        if k == when:
            shifts[day] = Shift(0.0, 0.0, 1.0, _side(series), limit=limit)
        elif int(both.sum()) >= FEWEST:
            found = best_match(fixed, images.images[k], both, limit, *FINE)
            shifts[day] = Shift(*found, _side(series), limit=limit)
    return shifts


def registered_dates(series: Series, shifts: Mapping[date, Shift], least: float = SURE) -> Series:
    """The series with its dates moved by windowed sincs, clear where they were and are.

    A date stays where it is if no shift is given for it, if its correlation is below least, or if
    the search ended at its limit: a doubtful shift harms more than none.
    """
    unknown = [day for day in shifts if day not in series.dates]
    if unknown:
        raise InputError(f"the series has no image of {unknown[0]}; give shifts of its own dates")
    images, clear, largest = series.images.copy(), series.clear.copy(), 0.0
    for k, day in enumerate(series.dates):
        shift = shifts.get(day)
        if shift is None or shift.correlation < least or shift.at_limit:
            continue
        images[k], clear[k] = _moved_date(images[k], clear[k], (shift.rows, shift.cols))
        largest = max(largest, abs(shift.rows), abs(shift.cols))
    told = f"Dates were moved onto each other, by up to {largest:.2f} pixels."
    return replace(series, images=images, clear=clear, history=(*series.history, told))


def _moved_date(
    image: Floats, clear: Booleans, shift: tuple[float, float]
) -> tuple[Floats, Booleans]:
    """As ``moved``, but an image of which nothing stays clear is given back with nothing clear."""
    if any(shift) and not (clear & shifted_clear(clear, *shift)).any():
        return image, np.zeros_like(clear)
    there, whole = moved(image, clear, shift)
    return there.astype(np.float32), whole


def _most_typical(series: Series, limit: float) -> int:
    """Position of the date that is most like the temporal median, in ratio to what it shows."""
    typical, ever = median(series), np.asarray(series.clear.any(axis=0), bool)

    def like(k: int) -> float:
        if int(series.clear[k].sum()) < FEWEST:
            return -1.0
        *_, correlation = best_match(typical, series.images[k], series.clear[k] & ever, limit)
        return correlation * float(series.clear[k].mean())

    return max(range(len(series.dates)), key=like)


def _position(series: Series, day: date) -> int:
    if day not in series.dates:
        raise InputError(
            f"the series has no image of {day}; choose from "
            f"{', '.join(str(each) for each in series.dates)}"
        )
    return series.dates.index(day)


def _ever_seen(pair: Pair) -> Booleans:
    """[scale·H, scale·W] of the reference: the ground that any date of the series shows."""
    ever = pair.series.clear.any(axis=0)
    return np.kron(ever, np.ones((pair.scale, pair.scale), bool)).astype(bool)


def _side(series: Series) -> float:
    """Side of a pixel, metres."""
    return float(series.grid.transform.a)
