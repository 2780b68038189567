"""Error against the days to the nearest clear date: what an estimate between dates is worth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page.curves import Curve, Frame, curves_chart
from sitsr.evaluation.page.scores import Place, Scores, average, by_site
from sitsr.report.panels import card

EDGES = (5, 10, 20, 40, 80, 160)
"""Days between which patches are put together, where gaps are many."""
FEW = 6
"""So many different gaps are shown each for itself."""
METRICS = ("rmse", "mae")


def gaps(scores: Scores) -> str:
    """A chart a measure of error, if the gaps differ; nothing otherwise."""
    days = gap_of(scores)
    if len(set(days.values())) < 2:
        return ""
    groups = grouped(days)
    if len(groups) < 2:
        return ""
    cards = [
        card(f"{MEASURES[metric].heading}, reflectance", _chart(scores, metric, groups))
        for metric in METRICS
        if scores.has(metric)
    ]
    counts = ", ".join(f"{_days(days, group)}: {len(group)}" for group in groups)
    note = (
        "A mark is the mean over sites that have such a gap; they may differ from mark to mark. "
        f"Patches by days: {counts}."
    )
    return f'<p class="note">{note}</p><div class="pair">{"".join(cards)}</div>'


def gap_of(scores: Scores) -> dict[Place, float]:
    """Whole days from the target to the nearest clear date, by place; the same for every system."""
    found: dict[Place, float] = {}
    for system in scores.systems:
        found |= {
            place: float(round(abs(days)))
            for place, days in scores.values(system, "gap_days").items()
        }
    return found


def grouped(days: dict[Place, float]) -> list[list[Place]]:
    """Places with the same gap, or with gaps between the same two edges, shortest first."""
    each = len(set(days.values())) <= FEW
    groups: dict[float, list[Place]] = {}
    for place, gap in sorted(days.items(), key=lambda item: item[1]):
        groups.setdefault(gap if each else bisect_right(EDGES, gap), []).append(place)
    return list(groups.values())


def _chart(scores: Scores, metric: str, groups: Sequence[Sequence[Place]]) -> str:
    curves = []
    for system in scores.systems:
        if scores.role(system) not in ("baseline", "system"):
            continue
        values, days = scores.values(system, metric), gap_of(scores)
        points = []
        for group in groups:
            known = {place: values[place] for place in group if place in values}
            if known and len(known) == len(scores.known(metric).intersection(group)):
                across = average(days[place] for place in known)
                points.append((across, average(by_site(known).values())))
        curves.append(Curve(system, scores.role(system), points, system == scores.study.main))
    frame = Frame("days to the nearest clear date", f"{MEASURES[metric].heading}, reflectance")
    return curves_chart([curve for curve in curves if curve.points], frame)


def _days(days: dict[Place, float], group: Sequence[Place]) -> str:
    low, high = min(days[place] for place in group), max(days[place] for place in group)
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
