"""How the values and the places of the two images go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sitsr.analysis.measuring import LIMIT, Measured
from sitsr.analysis.page import charts, words
from sitsr.analysis.page.charts import histogram
from sitsr.analysis.relation import Relation, relation, together
from sitsr.analysis.rows import BandRow, PixelRow
from sitsr.metrics import Doubles
from sitsr.report.panels import card

STAGES = ("as it lies", "registered", "registered and harmonised")


def bands_of(measured: Sequence[Measured]) -> list[str]:
    """Bands in the order in which the first pair that has them names them."""
    return list(dict.fromkeys(row.band for each in measured for row in each.bands))


def of_band(measured: Sequence[Measured], band: str) -> list[BandRow]:
    """Its row of every pair that has it."""
    return [row for each in measured for row in each.bands if row.band == band]


def related(measured: Sequence[Measured], band: str) -> tuple[Relation, Relation, Relation]:
    """Over all pixels of all pairs: as they lie, registered, harmonised."""
    parts = [each.sums[band] for each in measured if band in each.sums]
    first, second, third = (relation(together(part[stage] for part in parts)) for stage in range(3))
    return first, second, third


def radiometry(measured: Sequence[Measured]) -> str:
    """Densities before and after, and the straight lines, band by band."""
    cards = []
    for band in bands_of(measured):
        rows = [row for each in measured for row in each.pixels if row.band == band]
        seen, up = _values(rows, "observed"), f"{band} of the series, reflectance"
        for stage, name, unit in (
            ("before", STAGES[0], "as given"),
            ("after", STAGES[2], "reflectance"),
        ):
            across = f"{band} of the reference, degraded, {unit}"
            drawn = charts.density(_values(rows, stage), seen, across, up)
            cards.append(card(f"{band}, {name}", drawn))
    return (
        words.note(
            "The reference, degraded by the sensor's point-spread function, against what the "
            "series shows on the nearest clear date; reflectance, or display values where the "
            "reference has those. Darker is more pixels, on a scale of logarithms; on the dashed "
            "line both are equal. Before: as the data set gives it. After: with one shift, and one "
            "gain and offset a band, of each pair for itself."
        )
        + words.pair(*cards)
        + _lines(measured)
        + words.note(
            "Below, the gain and offset that bring the reference to the series, pair by pair: the "
            "wider they spread, the more it takes to harmonise scenes one by one. What two images "
            "do not share lowers the gain; the gain of equal contrast is free of that."
        )
        + _gains(measured)
    )


def _values(rows: Sequence[PixelRow], name: str) -> Doubles:
    return np.array([getattr(row, name) for row in rows], np.float64)


def _lines(measured: Sequence[Measured]) -> str:
    lines = [
        [
            f"{band}, {name}",
            words.number(each.slope),
            words.number(each.offset, 4),
            words.number(each.correlation),
            words.number(each.rmse, 4),
            f"{each.n}",
        ]
        for band in bands_of(measured)
        for name, each in zip(STAGES, related(measured, band), strict=True)
    ]
    headings = [
        "reference to series",
        "slope",
        "offset",
        "correlation",
        "rms difference",
        "n pixels",
    ]
    return words.framed(words.table(headings, lines))


def _gains(measured: Sequence[Measured]) -> str:
    lines = []
    for band in bands_of(measured):
        rows = of_band(measured, band)
        lines.append(
            [
                band,
                words.spread([row.gain for row in rows]),
                words.spread([row.offset for row in rows], 4),
                words.spread([row.contrast_gain for row in rows]),
                words.spread([row.correlation for row in rows]),
                f"{len(rows)}",
            ]
        )
    headings = ["median (10th to 90th)", "gain", "offset", "gain, equal contrast"]
    headings += ["correlation", "n pairs"]
    return words.framed(words.table(headings, lines))


def shifts(measured: Sequence[Measured]) -> str:
    """By how much the references lie off their series."""
    pairs = [each.pair for each in measured if each.bands]
    names = {"rows": "shift_rows", "columns": "shift_cols"}
    at_limit = sum(row.at_limit for row in pairs)
    lines = [
        [name, words.spread([getattr(row, of) for row in pairs]), f"{len(pairs)}"]
        for name, of in names.items()
    ]
    limit = f"{words.count(at_limit, 'pair')} at the limit of {LIMIT:g}, where none was found."
    return (
        words.note(
            "By how many low-resolution pixels the reference must be moved down and to the right "
            "to lie on the series, found by correlation; one shift a pair.",
            limit,
        )
        + words.pair(
            *(
                card(
                    f"Shift along {name}",
                    histogram(
                        [getattr(row, of) for row in pairs], "low-resolution pixels", "pairs"
                    ),
                )
                for name, of in names.items()
            )
        )
        + words.framed(
            words.table(["shift along", "median (10th to 90th percentile)", "n pairs"], lines)
        )
    )
