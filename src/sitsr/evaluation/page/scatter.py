"""Two measures against each other: perception and distortion, quality and cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page.places import FAR, nearest, placed
from sitsr.evaluation.page.scores import Scores, gathered
from sitsr.evaluation.study import Role
from sitsr.report import svg
from sitsr.report.panels import card

HIGH = 380
LEFT, TOP, BOTTOM = 56, 26, 48
RIGHT = svg.WIDE - 14
MOST = 6
"""Pairs of a single site that get a chart of their own."""


@dataclass(frozen=True, slots=True)
class Point:
    """One system, or one of its samples."""

    name: str
    role: Role
    x: float
    y: float
    main: bool = False
    sample: bool = False
    """Drawn hollow, and joined to the system's mean."""


def perception_distortion(scores: Scores) -> str:
    """Where systems stand between error and likeness of texture; one chart a pair at one site."""
    if not (scores.has("texture") and scores.has("psnr")):
        return ""
    if scores.several:
        cards = [card("Distortion and perception", _perception(scores))]
    else:
        cards = [
            card(f"Distortion and perception, {patch}", _perception(_alone(scores, site, patch)))
            for site, patch in scores.patches[:MOST]
        ]
    note = (
        "Best is the lower right corner. Filled: a system's mean. Hollow: one of its samples, "
        "which trades error for texture; a line joins the two."
    )
    return f'<p class="note">{note}</p><div class="pair">{"".join(cards)}</div>'


def cost(scores: Scores) -> str:
    """Quality against what it costs, counted and timed; unknown costs are told below."""
    cards = [
        _cost(scores, price, quality)
        for quality in ("psnr", "crps")
        for price in ("mflop", "seconds_km2")
        if scores.several and scores.has(price) and scores.has(quality)
    ]
    return f'<div class="pair">{"".join(cards)}</div>' if cards else ""


def _alone(scores: Scores, site: str, patch: str) -> Scores:
    rows = [row for row in scores.rows if (row.site, row.patch) == (site, patch)]
    return gathered(scores.kind, scores.study, rows)


def _perception(scores: Scores) -> str:
    points = []
    for system in scores.systems:
        role, main = scores.role(system), system == scores.study.main
        for prefix in ("", "sample_"):
            x = scores.mean(system, f"{prefix}psnr")
            y = scores.mean(system, f"{prefix}texture")
            points.append(Point(system, role, x, y, main, sample=bool(prefix)))
    known = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
    across = svg.spanning(_of(known, "x"), LEFT, RIGHT, 0.1)
    up = svg.spanning(_of(known, "y"), HIGH - BOTTOM, TOP, 0.1)
    return scatter_chart(known, across, up, MEASURES["psnr"].heading, MEASURES["texture"].heading)


def _cost(scores: Scores, price: str, quality: str) -> str:
    points = [
        Point(
            system,
            scores.role(system),
            scores.mean(system, price),
            scores.mean(system, quality),
            system == scores.study.main,
        )
        for system in scores.systems
        if scores.role(system) in ("baseline", "system")
    ]
    drawn = [point for point in points if point.x > 0 and math.isfinite(point.y)]
    unknown = [point.name for point in points if point not in drawn]
    across = svg.spanning_log(_of(drawn, "x"), LEFT, RIGHT)
    up = svg.spanning(_of(drawn, "y"), HIGH - BOTTOM, TOP, 0.1)
    of = MEASURES[quality]
    chart = scatter_chart(drawn, across, up, MEASURES[price].heading, of.heading)
    left_out = f"Not counted: {escape(', '.join(unknown))}." if unknown else ""
    return card(f"{of.heading} against {MEASURES[price].heading}", chart, left_out)


def _of(points: Sequence[Point], name: str) -> list[float]:
    return [getattr(point, name) for point in points]


def scatter_chart(points: Sequence[Point], x: svg.Axis, y: svg.Axis, across: str, up: str) -> str:
    """The points with their names beside them, none upon another."""
    bottom = HIGH - BOTTOM
    return svg.chart(
        HIGH,
        [
            svg.level_grid(y, LEFT, RIGHT),
            svg.upright_grid(x, TOP, bottom),
            svg.text(LEFT - 7, 14, up, "axis"),
            svg.text((LEFT + RIGHT) / 2, HIGH - 9, across, "axis", "middle"),
            *_joins(points, x, y),
            *(_mark(each, x, y) for each in points),
            *_names(points, x, y),
        ],
        f"{up} against {across}, by system",
    )


def _mark(each: Point, x: svg.Axis, y: svg.Axis) -> str:
    told = f"{each.name}{', a sample' * each.sample}: {each.x:.4g}, {each.y:.4g}"
    return svg.mark(each.role, x.at(each.x), y.at(each.y), told, more="hollow" * each.sample)


def _joins(points: Sequence[Point], x: svg.Axis, y: svg.Axis) -> Iterator[str]:
    means = {each.name: each for each in points if not each.sample}
    for each in points:
        if each.sample and each.name in means:
            mean = means[each.name]
            ends = x.at(mean.x), y.at(mean.y), x.at(each.x), y.at(each.y)
            yield svg.line(*ends, f"join {each.role}")


def _names(points: Sequence[Point], x: svg.Axis, y: svg.Axis) -> Iterator[str]:
    """A name by each system's mean; of samples, by those of the study's own system."""
    frame = LEFT, TOP - 4, RIGHT, HIGH - BOTTOM
    # The study's own system chooses its place first.
    named = sorted((p for p in points if p.main or not p.sample), key=lambda p: not p.main)
    spots = [(x.at(each.x), y.at(each.y)) for each in named]
    words = [f"{each.name}, a sample" if each.sample else each.name for each in named]
    every = [(x.at(each.x), y.at(each.y)) for each in points]
    boxes = placed(spots, [len(name) * svg.LETTER + 3 for name in words], every, frame)
    for each, name, spot, box in zip(named, words, spots, boxes, strict=True):
        near = nearest(box, spot)
        if math.dist(near, spot) > FAR:
            yield svg.line(*spot, *near, "leader")
        left, anchor = (box[2] - 1.5, "end") if box[2] < spot[0] else (box[0] + 1.5, "start")
        strong = " main" if each.main else ""
        yield svg.text(left, box[3] - 3.5, name, f"name {each.role}{strong}", anchor)
