"""Lines over a chart, each named where it ends: error against gap, error against certainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sitsr.evaluation.study import Role
from sitsr.report import svg

HIGH = 300
LEFT, TOP, BOTTOM = 58, 24, 44
NAMES = 150
"""Units on the right, for names."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What one system has to show."""

    name: str
    role: Role
    points: Sequence[tuple[float, float]]
    """In order of the first."""
    main: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What the axes of a chart say."""

    across: str
    up: str
    """The heading of the upright axis, above it."""
    ticks: Sequence[float] = ()
    """Along the level axis, where round numbers of its own would not do."""
    unit: str = ""
    """After the numbers of these ticks."""


def curves_chart(curves: Sequence[Curve], frame: Frame) -> str:
    """The curves with their names at their right ends."""
    named = max((len(each.name) for each in curves), default=0) * svg.LETTER + 26
    right = svg.WIDE - min(NAMES, named)
    high = max(HIGH, TOP + BOTTOM + svg.LINE * len(curves))
    bottom = high - BOTTOM
    places = [point for each in curves for point in each.points]
    x = svg.spanning([*(p[0] for p in places), *frame.ticks], LEFT + 4, right, 0.02)
    y = svg.spanning((p[1] for p in places), bottom, TOP + 6, 0.08)
    return svg.chart(
        high,
        [
            svg.level_grid(y, LEFT, right),
            _across(x, frame, bottom),
            svg.text(LEFT - 7, 12, frame.up, "axis"),
            svg.text((LEFT + right) / 2, high - 8, frame.across, "axis", "middle"),
            *(_curve(each, x, y) for each in curves),
            *_names(curves, x, y, right),
        ],
        f"{frame.up} against {frame.across}, by system",
    )


def _across(x: svg.Axis, frame: Frame, bottom: float) -> str:
    ticks = [(tick, f"{tick:g}{frame.unit}") for tick in frame.ticks]
    ticks = ticks or [(tick, x.label(tick)) for tick in x.ticks()]
    return "".join(
        svg.line(x.at(tick), bottom, x.at(tick), bottom + 4, "tickline")
        + svg.text(x.at(tick), bottom + 18, said, "tick", "middle")
        for tick, said in ticks
    )


def _curve(each: Curve, x: svg.Axis, y: svg.Axis) -> str:
    strong = " main" if each.main else ""
    through = [(x.at(a), y.at(b)) for a, b in each.points]
    marks = (
        svg.mark(each.role, *place, f"{each.name}: {b:.4g} at {a:.3g}", 3)
        for place, (a, b) in zip(through, each.points, strict=True)
    )
    return svg.path(through, f"curve {each.role}{strong}") + "".join(marks)


def _names(curves: Sequence[Curve], x: svg.Axis, y: svg.Axis, right: float) -> list[str]:
    drawn = [each for each in curves if each.points and math.isfinite(each.points[-1][1])]
    ends = [(x.at(each.points[-1][0]), y.at(each.points[-1][1])) for each in drawn]
    parts = []
    for each, end, level in zip(
        drawn, ends, svg.apart([e[1] for e in ends], svg.LINE), strict=True
    ):
        name = svg.shortened(each.name, svg.WIDE - right - 20)
        strong = " main" if each.main else ""
        parts += [
            svg.line(end[0] + 4, end[1], right + 16, level, "leader"),
            svg.text(right + 20, level + 4, name, f"name {each.role}{strong}"),
        ]
    return parts
