"""The charts of an analysis: histograms, strips of dots, curves, densities, phases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from sitsr.metrics import Doubles
from sitsr.report import svg
from sitsr.report.pictures import coloured, data_uri

HIGH = 210
LEFT, TOP, BOTTOM = 52, 26, 46
RIGHT = svg.WIDE - 24
BARS = 24
"""Bars of a histogram, about."""
CELLS = 56
"""Of a density, along a side."""
SQUARE = 340
"""Units along a side of a density or of phases."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points."""

    name: str
    hue: str
    """One of the hues of the page: "system", "oracle", "control", "baseline"."""
    points: Sequence[tuple[float, float]]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    """Ends of a band about it; none if empty."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of dots."""

    name: str
    values: Sequence[float]
    nominal: float = math.nan
    """A value to compare with, drawn as an upright stroke."""


def histogram(
    values: Sequence[float],
    heading: str,
    up: str,
    limits: tuple[float, float] | None = None,
    *,
    whole: bool = False,
) -> str:
    """How many values lie where, with a line at their median; a sentence if there is none.

    whole: they are counts or days, which bars are not to cut in two.
    """
    known = np.array([value for value in values if math.isfinite(value)])
    if not known.size:
        return nothing()
    ends = _ends(known, limits, whole)
    counts, _ = np.histogram(np.clip(known, ends[0], ends[-1]), ends)
    x = svg.Axis(float(ends[0]), float(ends[-1]), LEFT, RIGHT)
    y = svg.Axis(0, float(counts.max()) * 1.08, HIGH - BOTTOM, TOP)
    bars = "".join(
        f'<rect class="bar system" x="{x.at(start) + 0.5:.1f}" y="{y.at(count):.1f}" '
        f'width="{max(x.at(stop) - x.at(start) - 1, 0.6):.1f}" '
        f'height="{y.at(0) - y.at(count):.1f}"><title>{start:.4g} to {stop:.4g}: {count}</title>'
        "</rect>"
        for start, stop, count in zip(ends[:-1], ends[1:], counts.tolist(), strict=True)
        if count
    )
    middle = x.at(float(np.clip(np.median(known), ends[0], ends[-1])))
    return svg.chart(
        HIGH,
        [
            _counts(y),
            svg.upright_grid(x, TOP - 4, HIGH - BOTTOM),
            bars,
            svg.line(middle, TOP - 4, middle, HIGH - BOTTOM, "zero"),
            svg.text(LEFT - 7, 12, up, "axis"),
            svg.text((LEFT + RIGHT) / 2, HIGH - 9, heading, "axis", "middle"),
        ],
        f"{up} by {heading}",
    )


def _ends(known: Doubles, limits: tuple[float, float] | None, whole: bool) -> Doubles:
    """Between which values the bars stand."""
    low, high = limits or (float(known.min()), float(known.max()))
    least = 4.0 if whole else 0.01 * max(abs(low), abs(high), 0.1)  # rounding is no spread
    if high - low < least:
        middle = round((low + high) / 2) if whole else (low + high) / 2
        low, high = middle - least, middle + least
    step = svg.nice_step((high - low) / BARS)
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step + 1e-9), math.floor(high / step + 1e-9) + (limits is None)
    return np.asarray(np.arange(first, last + 1) * step - 0.5 * (whole and step == 1))


def _counts(y: svg.Axis) -> str:
    """Lines at whole numbers only."""
    ticks = [tick for tick in y.ticks() if abs(tick - round(tick)) < 1e-9]
    return "".join(
        svg.line(LEFT, y.at(tick), RIGHT, y.at(tick), "grid")
        + svg.text(LEFT - 7, y.at(tick) + 4, f"{tick:.0f}", "tick", "end")
        for tick in ticks
    )


def strips(rows: Sequence[Strip], heading: str) -> str:
    """A row for each name: its dots, their median, and a bar from the 10th to the 90th percentile.

    What has no value keeps its row, so that a reader sees that nothing is known.
    """
    names = min(170, max(len(each.name) for each in rows) * svg.LETTER + 10)
    every = [value for each in rows for value in (*each.values, each.nominal)]
    if not any(math.isfinite(value) for each in rows for value in each.values):
        return nothing()
    x = svg.spanning(every, names + 12, svg.WIDE - 112)
    bottom = TOP + 34 * len(rows)
    parts = [svg.upright_grid(x, TOP - 8, bottom)]
    for number, each in enumerate(rows):
        parts += _strip(each, x, TOP + 34 * (number + 0.5))
    parts.append(svg.text((x.start + x.stop) / 2, bottom + 34, heading, "axis", "middle"))
    return svg.chart(bottom + 44, parts, heading)


def _strip(each: Strip, x: svg.Axis, y: float) -> list[str]:
    parts = [svg.text(4, y + 4, each.name, "name")]
    low, middle, high = quantiles(each.values)
    if math.isfinite(each.nominal):
        at = x.at(each.nominal)
        parts.append(svg.line(at, y - 12, at, y + 12, "uniform"))
    if not math.isfinite(middle):
        return [*parts, svg.text(svg.WIDE - 104, y + 4, "not known", "tick")]
    known = sorted(value for value in each.values if math.isfinite(value))
    thin = known[:: max(1, len(known) // 200)]  # more dots than this are one smear
    parts += [svg.mark("system", x.at(v), y + 8, f"{v:.3g}", 2.4, "dot") for v in thin]
    parts.append(svg.line(x.at(low), y - 3, x.at(high), y - 3, "interval system"))
    parts.append(svg.mark("system", x.at(middle), y - 3, f"median {middle:.3g}", 4.5))
    told = f"{middle:.3f} (n {len(known)})"
    return [*parts, svg.text(svg.WIDE - 104, y + 4, svg.minus(told), "number")]


def curves(lines: Sequence[Curve], across: str, up: str, *, at: float | None = None) -> str:
    """Lines on two logarithmic axes, each with its band; named below in the colours they have."""
    places = [point for each in lines for point in each.points]
    if not places:
        return nothing()
    high = 300
    bands = [value for each in lines for value in (*each.low, *each.high)]
    x = _tight([place[0] for place in places], LEFT + 10, RIGHT)
    y = svg.spanning_log([*(place[1] for place in places), *bands], high - BOTTOM, TOP)
    parts = [_powers(y, LEFT + 10), svg.upright_grid(x, TOP - 4, high - BOTTOM)]
    if at is not None:
        parts.append(svg.line(x.at(at), TOP - 4, x.at(at), high - BOTTOM, "uniform"))
        parts.append(svg.text(x.at(at) - 4, TOP + 6, "Nyquist of the series", "tick", "end"))
    for each in lines:
        through = [(x.at(a), y.at(b)) for a, b in each.points]
        if each.low:
            parts.append(_band(each, x, y))
        parts.append(svg.path(through, f"curve main {each.hue}"))
    parts += [
        svg.text(LEFT + 3, 12, up, "axis"),
        svg.text((LEFT + RIGHT) / 2, high - 9, across, "axis", "middle"),
    ]
    return svg.chart(high, parts, f"{up} against {across}") + legend(
        {each.name: each.hue for each in lines}
    )


def _tight(values: Sequence[float], start: float, stop: float) -> svg.Axis:
    return svg.Axis(min(values), max(values), start, stop, log=True)


def _powers(y: svg.Axis, left: float) -> str:
    """Lines at powers of ten."""
    tens = range(math.ceil(math.log10(y.low)), math.floor(math.log10(y.high)) + 1)
    return "".join(
        svg.line(left, y.at(10.0**n), RIGHT, y.at(10.0**n), "grid")
        + svg.text(left - 5, y.at(10.0**n) + 4, _power(n), "tick", "end")
        for n in tens
    )


def _power(n: int) -> str:
    return "10" + "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(abs(n))).rjust(
        len(str(abs(n))) + (n < 0), "⁻"
    )


def _band(each: Curve, x: svg.Axis, y: svg.Axis) -> str:
    across = [point[0] for point in each.points]
    there = [(x.at(a), y.at(b)) for a, b in zip(across, each.high, strict=True)]
    back = [(x.at(a), y.at(b)) for a, b in zip(across, each.low, strict=True)]
    around = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*there, *back[::-1]])
    return f'<polygon class="around {each.hue}" points="{around}"/>'


def legend(hues: Mapping[str, str]) -> str:
    """What the colours mean."""
    entries = "".join(
        f'<li><svg class="key" viewBox="0 0 16 16">{svg.mark(hue, 8, 8, name)}</svg>'
        f"{escape(name)}</li>"
        for name, hue in hues.items()
    )
    return f'<ul class="legend-row">{entries}</ul>'


def density(x_values: Doubles, y_values: Doubles, across: str, up: str) -> str:
    """How often pairs of values occur, with the line on which both are equal."""
    known = np.isfinite(x_values) & np.isfinite(y_values)
    if known.sum() < 2:
        return nothing()
    x_values, y_values = x_values[known], y_values[known]
    left, top, bottom = 62, 26, 50
    x = _within(x_values, left, left + SQUARE)
    y = _within(y_values, top + SQUARE, top)
    counts, _, _ = np.histogram2d(y_values, x_values, CELLS, ((y.low, y.high), (x.low, x.high)))
    shares = np.log10(np.where(counts > 0, counts, np.nan))[::-1]
    most = max(float(np.nanmax(shares)), 0.5) if np.isfinite(shares).any() else 1.0
    uri = data_uri(coloured(shares, 0, most, "viridis_r"), "PNG")
    picture = (
        f'<image href="{uri}" x="{left}" y="{top}" width="{SQUARE}" height="{SQUARE}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated"/>'
    )
    low, high = max(x.low, y.low), min(x.high, y.high)
    equal = svg.line(x.at(low), y.at(low), x.at(high), y.at(high), "uniform") if low < high else ""
    return svg.chart(
        top + SQUARE + bottom,
        [
            svg.level_grid(y, left, left + SQUARE),
            svg.upright_grid(x, top, top + SQUARE),
            picture,
            equal,
            svg.text(6, 14, up, "axis"),
            svg.text(left + SQUARE / 2, top + SQUARE + 40, across, "axis", "middle"),
        ],
        f"{up} against {across}",
        wide=left + SQUARE + 18,
    )


def _within(values: Doubles, start: float, stop: float) -> svg.Axis:
    """All but the outermost thousandths, or one bright roof would take the whole chart."""
    low, high = (float(end) for end in np.percentile(values, (0.1, 99.9)))
    room = max(0.04 * (high - low), 1e-4)
    return svg.Axis(low - room, high + room, start, stop)


def phases(places: Sequence[tuple[float, float, str]], scale: int) -> str:
    """Where the pixels of dates lie within a pixel, rows down and columns to the right."""
    if not places:
        return nothing()
    left, top, side = 58, 26, 300
    x, y = svg.Axis(0, 1, left, left + side), svg.Axis(0, 1, top, top + side)
    lines = [
        svg.line(x.at(k / scale), top, x.at(k / scale), top + side, "grid")
        + svg.line(left, y.at(k / scale), left + side, y.at(k / scale), "grid")
        + svg.text(x.at(k / scale), top + side + 15, f"{k / scale:.2g}", "tick", "middle")
        + svg.text(left - 7, y.at(k / scale) + 4, f"{k / scale:.2g}", "tick", "end")
        for k in range(scale + 1)
    ]
    dots = [
        svg.mark("system", x.at(col % 1), y.at(row % 1), told, 3, "dot")
        for row, col, told in places
    ]
    return svg.chart(
        top + side + 46,
        [
            *lines,
            *dots,
            svg.text(6, 14, "rows, low-resolution pixels", "axis"),
            svg.text(
                left + side / 2,
                top + side + 38,
                "columns, low-resolution pixels",
                "axis",
                "middle",
            ),
        ],
        "Phases of the dates within a pixel",
        wide=left + side + 18,
    )


def nothing() -> str:
    """In place of a chart."""
    return '<p class="note">Nothing is known.</p>'


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The 10th, 50th and 90th percentile of what is known; NaN where nothing is."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return math.nan, math.nan, math.nan
    low, middle, high = (float(value) for value in np.percentile(known, (10, 50, 90)))
    return low, middle, high
