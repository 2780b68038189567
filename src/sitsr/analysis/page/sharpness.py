"""How finely each sensor sees: point-spread functions, edges, spectra, and what lies beyond."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sitsr.analysis.measuring import REFERENCE, SERIES, Measured
from sitsr.analysis.page import charts, words
from sitsr.analysis.page.charts import Curve, Strip, histogram, quantiles, strips
from sitsr.analysis.page.radiometry import bands_of, of_band
from sitsr.analysis.rows import EdgeRow
from sitsr.analysis.spread import ALIKE, NYQUIST, finest, folded_white, transfer
from sitsr.report.panels import card

ENOUGH = 12
"""Edges below which nothing is told of a sensor in a band."""
CONTRAST = 0.05
"""Of a wave, below which it is taken for lost."""
DOTS = 600
"""Dates whose phases are drawn, at most."""


def point_spreads(measured: Sequence[Measured]) -> str:
    """The Gaussian between the two images, by band, from pairs."""
    rows = {band: of_band(measured, band) for band in bands_of(measured)}
    drawn = strips(
        [Strip(band, [row.sigma for row in each]) for band, each in rows.items()],
        "sigma, low-resolution pixels",
    )
    lines = [
        [
            band,
            words.spread([row.sigma for row in each]),
            words.spread([row.sigma_correlation for row in each]),
            f"{sum(math.isfinite(row.sigma) for row in each)} of {len(each)}",
        ]
        for band, each in rows.items()
    ]
    return words.note(
        "The standard deviation of the Gaussian that best turns the reference into what the "
        "series shows, found with a shift of its own. A small mark is a pair, the large one their "
        "median, the bar leads from the 10th to the 90th percentile. It is the blur between the "
        "two images: the reference's own blur is taken away from it, and change between the days "
        "adds to it, the more the lower the correlation. Pairs whose images correlate below "
        f"{ALIKE:g} are left out."
    ) + words.pair(
        card("Point-spread function, from pairs", drawn),
        card(
            "By band",
            words.table(["sigma", "median (10th to 90th)", "correlation", "n pairs"], lines),
        ),
    )


def from_edges(measured: Sequence[Measured]) -> str:
    """The widths of straight edges in both images."""
    held: dict[tuple[str, str], list[EdgeRow]] = defaultdict(list)
    for each in measured:
        for row in each.edges:
            held[row.sensor, row.band].append(row)
    bands = bands_of(measured)
    lines, cards = [], []
    for sensor in (SERIES, REFERENCE):
        pooled = [row for band in bands for row in held[sensor, band]]
        if len(pooled) >= ENOUGH:
            drawn = histogram(
                [row.sigma for row in pooled], f"sigma, pixels of the {sensor}", "edges"
            )
            cards.append(card(f"Edges in the {sensor}, all bands", drawn))
        lines += [_edge_line(sensor, band, held[sensor, band]) for band in bands]
    headings = ["straight edges", "sigma, own pixels", "sigma, metres", "n edges"]
    return (
        words.note(
            "Straight, slanted borders found in the images, and the width of the error function "
            "that fits across each: optics and pixel together. No border on the ground is a "
            "perfect step, so that these widths are bounds from above, and their lower end tells "
            f"most of the sensor. Below {ENOUGH} edges nothing is told."
        )
        + words.pair(*cards)
        + words.framed(words.table(headings, lines))
    )


def _edge_line(sensor: str, band: str, rows: Sequence[EdgeRow]) -> list[str]:
    name = f"{sensor}, {band}"
    if len(rows) < ENOUGH:
        return [name, "not enough found", "", f"{len(rows)}"]
    return [
        name,
        words.spread([row.sigma for row in rows], 2),
        words.spread([row.metres for row in rows], 2),
        f"{len(rows)}",
    ]


def spectra(measured: Sequence[Measured]) -> str:
    """Power by frequency of both images, band by band, and where they part."""
    bands = bands_of(measured)
    cards = [card(band, _spectrum(measured, band)) for band in bands]
    lines = []
    for band in bands:
        rows = of_band(measured, band)
        lines.append(
            [
                band,
                words.spread([row.parting for row in rows], 2),
                words.spread([row.sharpness for row in rows]),
                words.spread([row.reference_sharpness for row in rows]),
                f"{sum(math.isfinite(row.parting) for row in rows)}",
            ]
        )
    headings = ["band", "they part at, cycles per pixel", "sharpness, series"]
    headings += ["sharpness, reference", "n pairs"]
    return (
        words.note(
            "Mean power over all directions, the reference brought to the contrast of the series: "
            "the median over pairs, shaded from the 10th to the 90th percentile. The two part "
            "where the series has less than half of the reference's power from there on; where it "
            "has more than the reference, that is noise or folded detail. Sharpness is the share "
            "of the variance in the finest octave of an image's own pixels: 0.75 is white noise, "
            "less is smoother."
        )
        + words.pair(*cards)
        + words.framed(words.table(headings, lines))
    )


def _spectrum(measured: Sequence[Measured], band: str) -> str:
    lines = []
    for sensor, hue in ((SERIES, "system"), (REFERENCE, "oracle")):
        power: dict[float, list[float]] = defaultdict(list)
        for each in measured:
            for row in each.spectra:
                if (row.sensor, row.band) == (sensor, band) and row.power > 0:
                    power[row.frequency].append(row.power)
        told = {f: quantiles(power[f]) for f in sorted(power)}
        ends = list(told.values()) if len(measured) > 1 else []
        points = [(f, middle) for f, (_, middle, _) in told.items()]
        lines.append(Curve(sensor, hue, points, [e[0] for e in ends], [e[2] for e in ends]))
    across = "cycles per low-resolution pixel"
    drawn = [each for each in lines if each.points]
    return charts.curves(drawn, across, "power, reflectance² per (cycle per pixel)²", at=NYQUIST)


def beyond(measured: Sequence[Measured]) -> str:
    """What a series could hold of detail finer than its pixels."""
    bands = bands_of(measured)
    pairs = [each.pair for each in measured]
    metres = sorted({row.pixel for row in pairs})
    lines = [_aliasing(measured, band, metres[0]) for band in bands]
    ground = f"{metres[0]:g} m" if len(metres) == 1 else f"the finest, {metres[0]:g} m"
    headings = ["band", "sigma", "transfer at Nyquist", "folded, white scene"]
    headings += ["folded, this ground", f"finest wave kept, half of it, m (pixel {ground})"]
    return (
        words.note(
            "A sensor blurs before it samples. What its point-spread function lets pass beyond "
            "Nyquist's frequency is folded into the pixels: lost to one image, but to be had from "
            "several that lie differently. With the sigma found above: the contrast left at "
            "Nyquist, exp(−(π sigma)² / 2); the share of an image's power that is folded, were the "
            "scene white, 1 − erf(π sigma)², and for the spectrum of the references; and half the "
            f"length of the finest wave that keeps {100 * CONTRAST:.0f} % of its contrast."
        )
        + words.framed(words.table(headings, lines))
        + _diversity(measured)
    )


def _aliasing(measured: Sequence[Measured], band: str, metres: float) -> list[str]:
    rows = of_band(measured, band)
    _, sigma, _ = quantiles([row.sigma for row in rows])
    if not math.isfinite(sigma):
        return [band, "–", "–", "–", "–", "–"]
    return [
        band,
        words.number(sigma),
        words.number(float(transfer(NYQUIST, sigma))),
        words.number(folded_white(sigma)),
        words.spread([row.folded for row in rows], 4),
        words.number(finest(sigma, CONTRAST) * metres, 1),
    ]


def _diversity(measured: Sequence[Measured]) -> str:
    several = [each for each in measured if each.pair.phases > 1]
    if not several:
        return words.note(
            "No series has two dates whose shifts are known, so nothing can be said of their "
            "phases, and detail finer than a pixel rests on what the images of a single date show."
        )
    scale = max(each.pair.scale for each in several)
    places = [
        (row.shift_rows, row.shift_cols, f"{row.site}, {row.day}")
        for each in several
        for row in each.dates
        if math.isfinite(row.shift_rows)
    ]
    thin = places[:: max(1, len(places) // DOTS)]
    pairs = [each.pair for each in several]
    lines: Mapping[str, Sequence[float]] = {
        "dates with a known shift": [float(row.phases) for row in pairs],
        "deviation of shifts, rows, pixels": [_deviation(e, "rows") for e in several],
        "deviation of shifts, columns, pixels": [_deviation(e, "cols") for e in several],
        "unevenness of phases, rows": [row.resultant_rows for row in pairs],
        "unevenness of phases, columns": [row.resultant_cols for row in pairs],
        f"cells filled, of {scale**2}": [float(row.cells) for row in pairs],
    }
    told = words.table(
        ["", "median (10th to 90th)", "n pairs"],
        [[name, words.spread(each, 2), f"{len(each)}"] for name, each in lines.items()],
    )
    return words.note(
        "Where the dates of a series lie within a pixel, against its clearest date. Unevenness is "
        "0 where the phases fill the pixel so that folded detail can be told apart, and 1 where "
        "all are the same, so that more dates add nothing. The shifts are found by correlation "
        "of outlines and carry its error, a few hundredths of a pixel at best and more where "
        "fields changed; dates whose outlines do not resemble those of the clearest are left out."
    ) + words.pair(
        card("Phases of the dates", charts.phases(thin, scale)), card("Sub-pixel diversity", told)
    )


def _deviation(each: Measured, axis: str) -> float:
    known = [value for row in each.dates if math.isfinite(value := getattr(row, f"shift_{axis}"))]
    middle = math.fsum(known) / len(known)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in known) / len(known))
