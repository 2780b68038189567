"""Whether spread means what it says: coverage, ranks of the truth, error by certainty."""

from __future__ import annotations

import math
from html import escape

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page.curves import Curve, Frame, curves_chart
from sitsr.evaluation.page.lines import Look, lines_chart
from sitsr.evaluation.page.ranking import line_of
from sitsr.evaluation.page.scores import Scores, average, by_site
from sitsr.evaluation.verdicts import calibration as calibration_of
from sitsr.report import svg
from sitsr.report.panels import card
from sitsr.series import InputError

NOMINAL = ("coverage50", "coverage80", "coverage90", "spread_skill")
WIDE, HIGH = 240, 120
"""Units of a rank histogram."""


def calibration(scores: Scores) -> str:
    """Coverage, spread–skill, rank histograms and risk–coverage curves of whoever samples."""
    if not scores.sampling():
        return ""
    note = (
        "Upright line: what a calibrated system has. Coverage below it, or ranks heaped at both "
        "ends, is over-confident; coverage above it, or a heap in the middle, is under-confident."
    )
    cards = [coverage(scores, metric) for metric in NOMINAL if scores.has(metric)]
    return (
        f'<p class="note">{note}</p>{verdicts(scores)}<div class="pair">{"".join(cards)}</div>'
        f"{ranks(scores)}{risk(scores)}"
    )


def verdicts(scores: Scores) -> str:
    """What may be claimed of each system, in a line."""
    told = []
    for system in scores.sampling() if scores.several else ():
        try:
            found = calibration_of(scores.rows, system, scores.study.seed)
        except InputError as error:
            told.append(f"{system}: not judged, {error}")
            continue
        ranks = f"; ranks as even as this: p = {found.p_rank:.2g}"
        told.append(f"{system}: {found.verdict}{ranks if math.isfinite(found.p_rank) else ''}")
    entries = "".join(f"<li>{escape(each)}</li>" for each in told)
    return f'<ul class="plain verdicts">{entries}</ul>' if told else ""


def coverage(scores: Scores, metric: str) -> str:
    """One measure that has an ideal value, by system, in the order of the tables."""
    of = MEASURES[metric]
    lines = [
        line_of(scores, system, values)
        for system in scores.systems
        if scores.complete(system, metric) and (values := scores.values(system, metric))
    ]
    chart = lines_chart(lines, Look(of.heading, of.digits, at=of.ideal))
    return card(of.heading, chart) if lines else ""


def ranks(scores: Scores) -> str:
    """How often the truth has each rank among the samples, a histogram a system."""
    cards = [
        f'<div class="card"><h5>{escape(system)}</h5>'
        f"{_histogram(shares, scores.role(system))}</div>"
        for system in scores.sampling()
        if (shares := rank_shares(scores, system))
    ]
    if not cards:
        return ""
    return (
        '<h4>Rank of the truth among the samples</h4><p class="note">Share of pixels, lowest rank '
        f'on the left. Dashed: all ranks equally often.</p><div class="many">{"".join(cards)}</div>'
    )


def rank_shares(scores: Scores, system: str) -> list[float]:
    """The share of each rank: of a patch, then the mean over patches and over sites."""
    names = sorted(name for name in scores.by_system[system] if name.startswith("rank_"))
    counts = [scores.values(system, name) for name in names]
    places = (
        [place for place in counts[0] if all(place in each for each in counts)] if counts else []
    )
    totals = {place: math.fsum(each[place] for each in counts) for place in places}
    full = [place for place in places if totals[place] > 0]
    shares = [
        average(by_site({place: each[place] / totals[place] for place in full}).values())
        for each in counts
    ]
    return shares if full else []


def risk(scores: Scores) -> str:
    """Error of the most certain pixels, from few to all."""
    curves = []
    for system in scores.sampling():
        measures = [name for name in scores.by_system[system] if name.startswith("risk_")]
        names = [name for name in measures if scores.complete(system, name)]
        points = sorted((float(name[5:]), scores.mean(system, name)) for name in names)
        if points:
            curves.append(Curve(system, scores.role(system), points, system == scores.study.main))
    if not curves:
        return ""
    frame = Frame(
        "share of pixels kept, the most certain first",
        "RMSE, reflectance",
        (20, 40, 60, 80, 100),
        " %",
    )
    note = "A spread that tells where the error lies makes the curve rise steadily from the left."
    told = card("Error of the most certain pixels", curves_chart(curves, frame), note)
    return f'<div class="pair">{told}</div>'


def _histogram(shares: list[float], role: str) -> str:
    uniform, left, bottom = 1 / len(shares), 46, HIGH - 18
    y = svg.Axis(0, max(*shares, uniform) * 1.08, bottom, 8)
    step = (WIDE - left - 2) / len(shares)
    bars = "".join(
        f'<rect class="bar {role}" x="{left + n * step + 0.5:.1f}" y="{y.at(share):.1f}" '
        f'width="{max(step - 1, 0.5):.1f}" height="{bottom - y.at(share):.1f}">'
        f"<title>rank {n}: {100 * share:.1f} %</title></rect>"
        for n, share in enumerate(shares)
    )
    level = y.at(uniform)
    parts = [
        svg.line(left, bottom, WIDE, bottom, "grid"),
        bars,
        svg.line(left, level, WIDE, level, "uniform"),
        svg.text(left - 5, level + 4, f"{100 * uniform:.1f} %", "tick", "end"),
        svg.text(left, HIGH - 4, "0", "tick"),
        svg.text(WIDE, HIGH - 4, f"{len(shares) - 1}", "tick", "end"),
    ]
    return svg.chart(HIGH, parts, "Rank histogram", WIDE)
