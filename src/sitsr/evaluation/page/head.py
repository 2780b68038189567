"""What stands first: what was evaluated, and what a reader must not overlook."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page.scores import Scores
from sitsr.evaluation.statistics import LEVEL, compare
from sitsr.evaluation.study import Study
from sitsr.evaluation.verdicts import rewarded, warnings
from sitsr.report.svg import minus
from sitsr.series import InputError

TOLD = {
    "model": "model",
    "weights": "weights",
    "sitsr": "version of sitsr",
    "split": "split of the data",
    "data": "data",
    "made": "made on",
    "date": "made on",
    "members": "samples a system draws",
    "dates": "target dates a site, at most",
}
"""Parts of the configuration that stand in the head, where they are given."""


def facts(study: Study, kinds: Sequence[Scores]) -> str:
    """The numbers to know first, each with its meaning."""
    competing = [name for name, role in study.roles.items() if role in ("baseline", "system")]
    controls = [name for name, role in study.roles.items() if role == "control"]
    sites = {(each.kind, site) for each in kinds for site in each.sites}
    patches = sum(len(each.patches) for each in kinds)
    told = [
        (f"{len(competing)}", "baselines and systems"),
        (f"{len(controls)}", "negative controls"),
        (f"{len(kinds)}", "kinds of pairs, never averaged together"),
        (f"{len(sites)}", "sites, the unit of every statistic; each kind has its own"),
        (f"{patches}", "patches"),
    ]
    return "".join(f"<li><b>{value}</b><span>{meaning}</span></li>" for value, meaning in told)


def about(study: Study) -> str:
    """What the configuration says in single words, as rows of a table."""
    known = {"the study is about": study.main, "differences are from": study.against}
    known |= {
        meaning: study.configuration[name]
        for name, meaning in TOLD.items()
        if isinstance(study.configuration.get(name), str | int | float)
    }
    return "".join(
        f"<tr><th>{meaning}</th><td>{escape(str(value))}</td></tr>"
        for meaning, value in known.items()
    )


def cautions(kinds: Iterable[Scores]) -> str:
    """Every warning, by kind of pair; a sentence if there is none."""
    parts = []
    for scores in kinds:
        told = [*few_sites(scores), *of_controls(scores), *unresolved(scores)]
        if told:
            entries = "".join(f"<li>{escape(minus(each))}</li>" for each in told)
            parts.append(f'<h3>{escape(scores.kind)}</h3><ul class="plain">{entries}</ul>')
    if not parts:
        return ""
    return f'<section class="card warn"><h2>Before you read on</h2>{"".join(parts)}</section>'


def few_sites(scores: Scores) -> list[str]:
    """What so few sites cannot show, whatever the scores."""
    count = len(scores.sites)
    if count == 1:
        return [
            f"All pairs are of one site ({scores.sites[0]}): they are shown one by one, and "
            "nothing here tells how another site would fare."
        ]
    least = 2.0 ** (1 - count)
    if least <= LEVEL:
        return []
    return [
        f"With {count} sites Wilcoxon's test cannot go below p = {least:.2g}, however large the "
        f"difference; it takes 6 sites to reach {LEVEL:g}."
    ]


def of_controls(scores: Scores) -> list[str]:
    """Measures that reward a negative control, and controls that no measure catches."""
    if not scores.several:
        return []
    made = {
        control: system
        for control, system in scores.study.controls.items()
        if control in scores.by_system and system in scores.by_system
    }
    try:
        found = rewarded(scores.rows, made, scores.study.seed)
    except InputError as error:
        return [f"The negative controls could not be judged: {error}"]
    judged = {each.control for each in found}
    return warnings(found) + [
        f"{control} could not be judged: it was not scored on the same patches as {system}."
        for control, system in made.items()
        if control not in judged
    ]


def unresolved(scores: Scores) -> list[str]:
    """Declared comparisons that these sites do not decide, or that could not be made."""
    told = []
    for system, against, metric in scores.study.family if scores.several else ():
        if not (scores.values(system, metric) and scores.values(against, metric)):
            continue
        try:
            made = compare(scores.rows, system, against, metric, scores.study.seed)
        except InputError as error:
            told.append(str(error))
            continue
        if made.verdict.startswith("not resolvable"):
            of = MEASURES[metric]
            told.append(
                f"{of.heading}: {system} against {against} is {made.verdict}. The difference is "
                f"{made.difference.text(of.digits, '+')}; it would take "
                f"{made.resolvable:.{of.digits}f} to be found four times of five."
            )
    return told


def configuration(study: Study) -> str:
    """The exact configuration as JSON, escaped."""
    text = json.dumps(dict(study.configuration), indent=2, ensure_ascii=False, default=str)
    return escape(text)


def again(study: Study) -> str:
    """The command that makes the page again, where it was recorded."""
    command = study.configuration.get("command")
    if not command:
        return '<p class="note">The command was not recorded.</p>'
    return f"<pre>{escape(str(command))}</pre>"
