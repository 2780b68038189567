"""Who is ahead, by how much, and whether the sites agree: one pane for each measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page.lines import Dot, Line, Look, lines_chart
from sitsr.evaluation.page.scores import Place, Scores, by_site
from sitsr.report.panels import card

Values = Callable[[str, str], Mapping[Place, float]]
"""(system, measure) -> numbers by place."""

PRIMARY = (
    *("psnr", "psnr_contrast", "cpsnr", "ssim", "mae", "detail", "resolution", "texture"),
    *("sample_texture", "lpips", "crps", "energy", "consistency", "sam", "flicker"),
)
"""Measures with a pane of their own; the tables hold them all."""

NUMBERED = 9
"""Pairs of a single site are told apart by their numbers up to so many."""


def ranking(scores: Scores, group: str) -> str:
    """Panes to choose a measure from; ``group`` tells these buttons from others of the page."""
    shown = [metric for metric in PRIMARY if scores.has(metric)]
    tabs = "".join(
        f'<input type="radio" name="{group}" id="{group}-{metric}"{" checked" * (number == 0)}>'
        f'<label for="{group}-{metric}">{escape(short(metric))}</label>'
        f'<div class="pane">{pane(scores, metric)}</div>'
        for number, metric in enumerate(shown)
    )
    return f'<p class="note">{note(scores)}</p><div class="tabs">{tabs}</div>'


def pane(scores: Scores, metric: str) -> str:
    """The measure itself and its difference from the baseline, side by side."""
    against = scores.study.against
    differing = lines(scores, metric, scores.differences)
    heading, better = MEASURES[metric].heading, MEASURES[metric].better
    digits = MEASURES[metric].digits
    cards = []
    if differing:
        look = Look(heading, digits, sign="+", at=0.0, better=better)
        cards.append(card(f"Difference from {against}", lines_chart(differing, look)))
    look = Look(heading, digits, better=better)
    cards.append(card(heading, lines_chart(lines(scores, metric, scores.values), look)))
    return f'<div class="pair">{"".join(cards)}</div>{missing(scores, metric)}'


def lines(scores: Scores, metric: str, of: Values) -> list[Line]:
    """A line for each system with a number, best first."""
    return [
        line_of(scores, system, values)
        for system in scores.ranked(metric)
        if (values := of(system, metric))
    ]


def line_of(scores: Scores, system: str, values: Mapping[Place, float]) -> Line:
    """The mean over sites with its interval above the sites, or the pairs of a single site."""
    role, main = scores.role(system), system == scores.study.main
    if scores.several:
        interval = scores.interval(values)
        dots = tuple(Dot(site, value) for site, value in by_site(values).items())
        return Line(system, role, interval.mean, interval, dots, main)
    few = len(scores.patches) <= NUMBERED
    dots = tuple(
        Dot(f"{site}, {patch}", values[site, patch], f"{number}" if few else "")
        for number, (site, patch) in enumerate(scores.patches, start=1)
        if (site, patch) in values
    )
    return Line(system, role, math.nan, None, dots, main)


def note(scores: Scores) -> str:
    """How to read the panes."""
    if scores.several:
        return (
            "Large mark and bar: mean over sites with its 95 % interval. Small marks below: the "
            f"{len(scores.sites)} sites. Difference and value have the same rows, best first, so "
            "that one sees where sites differ more than systems."
        )
    named = ", ".join(
        f"{number} {escape(patch)}" for number, (_, patch) in enumerate(scores.patches, start=1)
    )
    few = f" The numbers are the pairs: {named}." if len(scores.patches) <= NUMBERED else ""
    return (
        f"All pairs are of one site, {escape(scores.sites[0])}, so there is no mean over sites "
        f"and no interval.{few}"
    )


def missing(scores: Scores, metric: str) -> str:
    """Who is left out, so that nobody's mean is over fewer patches, and nobody goes in silence."""
    every = len(scores.known(metric))
    counts = {system: len(scores.values(system, metric)) for system in scores.systems}
    none = [system for system, count in counts.items() if not count]
    some = [
        f"{system} ({count} of {every})" for system, count in counts.items() if 0 < count < every
    ]
    told = f"Left out, with a number on some patches only: {', '.join(some)}. " if some else ""
    told += f"Without a number: {', '.join(none)}." if none else ""
    return f'<p class="note">{escape(told)}</p>' if told else ""


def short(metric: str) -> str:
    """The heading without its unit: "PSNR"."""
    return MEASURES[metric].heading.rpartition(", ")[0] or MEASURES[metric].heading
