"""How much room there is: from the baseline, the floor, to what the truth itself reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page.scores import Scores, average, by_site
from sitsr.report import svg
from sitsr.report.panels import card

METRICS = ("detail", "psnr", "psnr_contrast", "consistency")
TOP, BOTTOM, LEFT = 20, 44, 12


@dataclass(frozen=True, slots=True)
class Track:
    """One pair, or the mean over sites."""

    name: str
    values: dict[str, float]
    """By system; finite."""
    floor: str
    oracles: tuple[str, ...]
    """Best first."""
    ceiling: str
    best: str
    """The best of the systems."""


def room(scores: Scores) -> str:
    """A chart a measure; nothing where no oracle entered."""
    cards = [
        card(MEASURES[metric].heading, _chart(scores, metric, found), _used(scores, metric, found))
        for metric in METRICS
        if (found := tracks(scores, metric))
    ]
    if not cards:
        return ""
    note = (
        f"The band leads from {scores.study.against}, the floor, to the ceiling: of the oracles, "
        "which were shown the reference, the one that contradicts least what the sensor saw. "
        "Named: the floor, the oracles, the best system and the one that this study is about."
    )
    return f'<p class="note">{escape(note)}</p><div class="pair">{"".join(cards)}</div>'


def tracks(scores: Scores, metric: str) -> list[Track]:
    """One for the mean over sites, or one for each pair of a single site."""
    wanted = [system for system in scores.systems if scores.role(system) != "control"]
    if scores.several:
        every = {s: average(by_site(scores.values(s, metric)).values()) for s in wanted}
        return _track(scores, metric, "mean over sites", every)
    found = []
    for place in scores.patches:
        every = {s: scores.values(s, metric).get(place, math.nan) for s in wanted}
        found += _track(scores, metric, place[1], every)
    return found


def share_used(track: Track, system: str, metric: str) -> float:
    """The part of the way from floor to ceiling that a system goes; NaN where there is no way."""
    gain = MEASURES[metric].gain
    floor, ceiling = track.values[track.floor], track.values[track.ceiling]
    whole = gain(ceiling, floor)
    return gain(track.values[system], floor) / whole if whole > 0 else math.nan


def _track(scores: Scores, metric: str, name: str, every: dict[str, float]) -> list[Track]:
    values = {system: value for system, value in every.items() if math.isfinite(value)}
    of = MEASURES[metric]
    order = sorted(values, key=lambda system: -of.gain(values[system], of.ideal))
    oracles = [system for system in order if scores.role(system) == "oracle"]
    systems = [system for system in order if scores.role(system) == "system"]
    floor = scores.study.against
    if floor not in values or not oracles or not systems:
        return []
    return [Track(name, values, floor, tuple(oracles), _ceiling(scores, oracles), systems[0])]


def _ceiling(scores: Scores, oracles: Sequence[str]) -> str:
    """The oracle closest to what was seen; the best of them where that is not known.

    The reference as it is scores perfectly by definition, and may contradict what was seen: no
    system that keeps it could follow.
    """
    seen = {each: scores.mean(each, "consistency") for each in oracles}
    known = [each for each in oracles if math.isfinite(seen[each])]
    return min(known, key=lambda each: seen[each]) if known else oracles[0]


def _used(scores: Scores, metric: str, found: Sequence[Track]) -> str:
    """What part of the room the main system uses; and oracles that lie beyond it, in numbers."""
    main, digits = scores.study.main, MEASURES[metric].digits
    shares = [
        f"{track.name} {100 * share:.0f}\u00a0%"
        for track in found
        if main in track.values and math.isfinite(share := share_used(track, main, metric))
    ]
    told = f"Of the room, {main} uses: {', '.join(shares)}. " if shares else ""
    others = [
        f"{track.name}, {oracle} {track.values[oracle]:.{digits}f}"
        for track in found
        for oracle in track.oracles
        if metric == "consistency" and oracle != track.ceiling
    ]
    return escape(told + (f"Beyond the edge: {'; '.join(others)}." if others else ""))


def _chart(scores: Scores, metric: str, found: Sequence[Track]) -> str:
    every = [
        value
        for track in found
        for system, value in track.values.items()
        if system not in track.oracles or system == track.ceiling or metric != "consistency"
    ]
    axis = svg.spanning(every, LEFT, svg.WIDE - LEFT)
    parts, y = [], float(TOP)
    for track in found:
        drawn, high = _one(scores, track, axis, y, metric)
        parts.append(drawn)
        y += high
    grid = svg.upright_grid(axis, TOP - 12, y)
    heading = svg.text(svg.WIDE / 2, y + 33, MEASURES[metric].heading, "axis", "middle")
    return svg.chart(y + BOTTOM, [grid, *parts, heading], f"Room in {MEASURES[metric].heading}")


def _one(scores: Scores, track: Track, axis: svg.Axis, y: float, metric: str) -> tuple[str, float]:
    """A band with its marks, names on as many levels below as they need; and its height."""
    bar = y + 22
    ends = sorted(axis.at(track.values[name]) for name in (track.floor, track.ceiling))
    digits = MEASURES[metric].digits
    parts = [
        svg.text(axis.start, y + 6, track.name, "name main"),
        svg.line(axis.start, bar, axis.stop, bar, "grid"),
        svg.line(ends[0], bar, ends[1], bar, "band"),
    ]
    parts += [
        svg.mark(scores.role(system), axis.at(value), bar, f"{system}: {value:.{digits}f}")
        if axis.inside(value)
        else svg.arrow(scores.role(system), axis.stop, bar, left=False)
        for system, value in track.values.items()
    ]
    named = dict.fromkeys([track.floor, *track.oracles, scores.study.main, track.best])
    levels: list[float] = []  # how far to the right each level is taken
    known = [name for name in named if axis.inside(track.values.get(name, math.nan))]
    for name in sorted(known, key=lambda name: track.values[name]):
        x, wide = axis.at(track.values[name]), len(name) * svg.LETTER + 12
        left = min(max(x - wide / 2, axis.start), axis.stop - wide)
        level = next((n for n, taken in enumerate(levels) if taken <= left), len(levels))
        levels[level : level + 1] = [left + wide]
        low = bar + 24 + svg.LINE * level
        strong = " main" if name == scores.study.main else ""
        parts.append(svg.line(x, bar + 6, x, low - 11, "leader"))
        kind = f"name {scores.role(name)}{strong}"
        parts.append(svg.text(left + wide / 2, low, name, kind, "middle"))
    return "".join(parts), 22 + 24 + svg.LINE * len(levels) + 12
