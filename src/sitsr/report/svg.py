"""Charts as SVG, written out so that they take the page's own colours, light or dark.

Every chart is ``WIDE`` units across, so that text has one size in all of them. What a name or a
number says is escaped here, once; nobody else writes text into a chart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDE = 520
"""Units across a chart."""
LETTER = 6.6
"""Units across a letter, on average: nobody measures type while a page is written."""
LINE = 15
"""Units from one line of text to the next."""
APART = 48
"""Units between two ticks, at least."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values lie along a chart."""

    low: float
    high: float
    start: float
    """Where low lies, in units; stop may be less than start, as on an upright axis."""
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, in units."""
        share = (self._scale(value) - self._scale(self.low)) / self._span
        return self.start + share * (self.stop - self.start)

    def inside(self, value: float) -> bool:
        """Whether the axis reaches the value."""
        return self.low <= value <= self.high

    def ticks(self) -> list[float]:
        """Round values along the axis, far enough apart."""
        if self.log:
            return _log_ticks(self.low, self.high)
        step = self._step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def label(self, tick: float, sign: str = "") -> str:
        """A tick in as few digits as tell it from its neighbours."""
        if self.log:
            return f"{tick:g}"
        step = self._step
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return minus(f"{tick + 0.0:{sign if abs(tick) > step / 2 else ''}.{digits}f}")

    @property
    def _step(self) -> float:
        return nice_step((self.high - self.low) * APART / abs(self.stop - self.start))

    @property
    def _span(self) -> float:
        return self._scale(self.high) - self._scale(self.low) or 1.0

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ that is not below this."""
    ten: float = 10.0 ** math.floor(math.log10(least))
    return next(part * ten for part in (1, 2, 5, 10) if part * ten >= least * (1 - 1e-9))


def spanning(values: Iterable[float], start: float, stop: float, room: float = 0.06) -> Axis:
    """An axis over all finite values, with some room at its ends."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    span = high - low
    if span <= 1e-9 * max(abs(high), abs(low)):  # no more than rounding: ticks need some room
        span = max(abs(high), 1e-3) * 0.2
    return Axis(low - room * span, high + room * span, start, stop)


def spanning_log(values: Iterable[float], start: float, stop: float) -> Axis:
    """A logarithmic axis over all positive values."""
    known = [value for value in values if math.isfinite(value) and value > 0] or [1.0, 10.0]
    return Axis(min(known) / 1.5, max(known) * 1.5, start, stop, log=True)


def minus(words: str) -> str:
    """The words with true minus signs before numbers; hyphens and dates stay as they are."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", words)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Words in a chart."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{through}"/>'


def mark(role: str, x: float, y: float, title: str, size: float = 5, more: str = "") -> str:
    """A point whose form tells the role: disc, ring, cross or diamond; its title shows on touch."""
    if role == "control":
        a = 0.8 * size
        form = f'path d="M{x - a:.1f} {y - a:.1f}l{2 * a:.1f} {2 * a:.1f}m0 {-2 * a:.1f}'
        form += f'l{-2 * a:.1f} {2 * a:.1f}"'
    elif role == "oracle":
        a = 1.15 * size
        form = f'path d="M{x:.1f} {y - a:.1f}l{a:.1f} {a:.1f} {-a:.1f} {a:.1f} {-a:.1f} {-a:.1f}z"'
    else:
        form = f'circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"'
    kinds = f"mark {role} {more}".strip()
    return f'<{form} class="{kinds}"><title>{escape(title)}</title></{form.split()[0]}>'


def arrow(role: str, x: float, y: float, left: bool) -> str:
    """What stands at the edge for a mark beyond it."""
    way = -1 if left else 1
    return f'<path class="off {role}" d="M{x:.1f} {y - 5:.1f}l{8 * way} 5 {-8 * way} 5z"/>'


def numeral(role: str, x: float, y: float, words: str, title: str) -> str:
    """A numeral in place of a point."""
    return (
        f'<text class="numeral {role}" x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle">'
        f"{escape(words)}<title>{escape(title)}</title></text>"
    )


def chart(height: float, parts: Iterable[str], about: str, wide: float = WIDE) -> str:
    """The whole drawing; ``about`` says in words what it shows."""
    return (
        f'<div class="scroll"><svg class="chart" viewBox="0 0 {wide:g} {height:.0f}" role="img" '
        f'aria-label="{escape(about)}">{"".join(parts)}</svg></div>'
    )


def upright_grid(axis: Axis, top: float, bottom: float, sign: str = "") -> str:
    """Thin lines over the chart at the ticks of a level axis, with their numbers below."""
    return "".join(
        line(axis.at(tick), top, axis.at(tick), bottom, "grid")
        + text(axis.at(tick), bottom + 15, axis.label(tick, sign), "tick", "middle")
        for tick in axis.ticks()
    )


def level_grid(axis: Axis, left: float, right: float) -> str:
    """Thin lines over the chart at the ticks of an upright axis, with their numbers on the left."""
    return "".join(
        line(left, axis.at(tick), right, axis.at(tick), "grid")
        + text(left - 7, axis.at(tick) + 4, axis.label(tick), "tick", "end")
        for tick in axis.ticks()
    )


def shortened(words: str, units: float) -> str:
    """The words, cut if they take more than these units."""
    most = max(int(units / LETTER), 1)
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def apart(places: Sequence[float], least: float) -> list[float]:
    """Places moved as little as it takes to lie at least so far apart, in the order given.

    They keep the order of their values; neighbours that are too near share out the move.
    """
    order = sorted(range(len(places)), key=lambda n: places[n])
    groups: list[tuple[list[int], float]] = []  # members, centre
    for number in order:
        members, centre = [number], places[number]
        while groups and centre - groups[-1][1] < least * (len(members) + len(groups[-1][0])) / 2:
            others, other = groups.pop()
            total = len(members) + len(others)
            centre = (centre * len(members) + other * len(others)) / total
            members = others + members
        groups.append((members, centre))
    moved = [0.0] * len(places)
    for members, centre in groups:
        for rank, number in enumerate(members):
            moved[number] = centre + (rank - (len(members) - 1) / 2) * least
    return moved


def _log_ticks(low: float, high: float) -> list[float]:
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = high / low
    parts = (1,) if wide > 200 else (1, 3) if wide > 20 else (1, 2, 3, 5)
    return [p * 10.0**n for n in tens for p in parts if low <= p * 10.0**n <= high]
