"""One row a system: an interval, the sites below it, and a number, along one level axis.

Rankings, sites, coverage and flicker are all read from this one form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sitsr.evaluation.statistics import Interval
from sitsr.evaluation.study import Role
from sitsr.report import svg

ROW = 29
"""Units from row to row."""
TOP, BOTTOM = 24, 40
NAMES = 170
"""Most units that names may take."""
NUMBERS = 56
"""Units that the numbers on the right take."""
FAR = 2.5
"""Controls and oracles stay at the edge if they would squeeze the others by more than this."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A site, or a patch, of one system."""

    name: str
    value: float
    numeral: str = ""
    """Drawn in place of a dot, where given."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one system has to show."""

    name: str
    role: Role
    value: float
    """Where the large mark lies, and the number told on the right; NaN for neither."""
    interval: Interval | None = None
    dots: Sequence[Dot] = ()
    main: bool = False

    @property
    def reach(self) -> list[float]:
        """Every value that it draws."""
        ends = [self.interval.low, self.interval.high] if self.interval else []
        every = [self.value, *ends, *(dot.value for dot in self.dots)]
        return [value for value in every if math.isfinite(value)]


@dataclass(frozen=True, slots=True)
class Look:
    """How a chart of lines is told."""

    heading: str
    """Under the axis: the measure and its unit."""
    digits: int
    sign: str = ""
    """"+" where the values are differences."""
    at: float | None = None
    """A value to compare with, drawn as an upright line."""
    better: str = ""
    """"higher", "lower" or anything else: which way is better."""

    def number(self, value: float) -> str:
        """A value as it is told."""
        return svg.minus(f"{value:{self.sign}z.{self.digits}f}")


def lines_chart(lines: Sequence[Line], look: Look) -> str:
    """The lines as a chart, in the order given."""
    names = min(NAMES, max((len(each.name) for each in lines), default=1) * svg.LETTER + 8)
    told = NUMBERS if any(math.isfinite(each.value) for each in lines) else 0
    axis = reaching(lines, look, names + 14, svg.WIDE - told - 12)
    bottom = TOP + ROW * len(lines)
    parts = [svg.upright_grid(axis, TOP - 6, bottom, look.sign), _better(axis, look)]
    if look.at is not None:
        x = axis.at(look.at)
        parts.append(svg.line(x, TOP - 6, x, bottom, "zero"))
    for number, each in enumerate(lines):
        parts += _row(each, axis, TOP + ROW * (number + 0.5), look, names)
    middle = (axis.start + axis.stop) / 2
    parts.append(svg.text(middle, bottom + 33, look.heading, "axis", "middle"))
    return svg.chart(bottom + BOTTOM, parts, f"{look.heading}, by system")


def reaching(lines: Sequence[Line], look: Look, start: float, stop: float) -> svg.Axis:
    """An axis over all lines, or over those that compete if the others are far off."""
    fair = [v for each in lines if each.role in ("baseline", "system") for v in each.reach]
    every = [value for each in lines for value in each.reach]
    fixed = [] if look.at is None else [look.at]
    near, whole = (svg.spanning([*part, *fixed], start, stop) for part in (fair or every, every))
    return near if whole.high - whole.low > FAR * (near.high - near.low) else whole


def _row(each: Line, axis: svg.Axis, y: float, look: Look, names: float) -> list[str]:
    strong = " main" if each.main else ""
    parts = [svg.text(names, y + 4, svg.shortened(each.name, names), f"name{strong}", "end")]
    parts += [
        _dot(each, dot, axis, y + _step(number, len(each.dots)) * bool(dot.numeral), look)
        for number, dot in enumerate(each.dots)
        if axis.inside(dot.value)
    ]
    if not math.isfinite(each.value):
        return [*parts, *_beyond(each, axis, y)]
    said = look.number(each.value)
    parts.append(svg.text(svg.WIDE - 2, y + 4, said, f"number{strong}", "end"))
    told = f"{each.name}: {said}"
    if each.dots:
        y -= 4
    if each.interval and math.isfinite(each.interval.low):
        ends = (each.interval.low, each.interval.high)
        low, high = (axis.at(min(max(end, axis.low), axis.high)) for end in ends)
        parts.append(svg.line(low, y, high, y, f"interval {each.role}"))
        told = f"{each.name}: {svg.minus(each.interval.text(look.digits, look.sign))}"
    if axis.inside(each.value):
        parts.append(svg.mark(each.role, axis.at(each.value), y, told))
    return [*parts, *_beyond(each, axis, y)]


def _beyond(each: Line, axis: svg.Axis, y: float) -> list[str]:
    """An arrow where the mark lies beyond an end, or where a dot does and there is no mark."""
    values = [each.value] if math.isfinite(each.value) else [dot.value for dot in each.dots]
    ends = ((axis.start, min(values) < axis.low, True), (axis.stop, max(values) > axis.high, False))
    return [svg.arrow(each.role, x, y, left) for x, past, left in ends if past]


def _step(number: int, count: int) -> float:
    """Numerals go down a little from one to the next: equal values stay apart."""
    return (number - (count - 1) / 2) * min(9.0, 24 / count)


def _dot(each: Line, dot: Dot, axis: svg.Axis, y: float, look: Look) -> str:
    told = f"{each.name}, {dot.name}: {look.number(dot.value)}"
    if dot.numeral:
        return svg.numeral(each.role, axis.at(dot.value), y, dot.numeral, told)
    return svg.mark(each.role, axis.at(dot.value), y + 7, told, 2.8, "dot")


def _better(axis: svg.Axis, look: Look) -> str:
    if look.better == "higher":
        return svg.text(axis.stop, 12, "better →", "hint", "end")
    if look.better == "lower":
        return svg.text(axis.start, 12, "← better", "hint")
    return ""
