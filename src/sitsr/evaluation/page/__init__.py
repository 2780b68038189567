"""One HTML page about an evaluation: who is ahead, by how much, and how far that can be trusted.

The page stands alone: charts, pictures and style lie inside it, and it asks nothing of a network.
Kinds of pairs have a section each and never share a number.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from sitsr.evaluation.page import certainty, gaps, head, patches, ranking, room, scatter
from sitsr.evaluation.page.markdown import html_of
from sitsr.evaluation.page.scores import Scores, kinds
from sitsr.evaluation.study import Study
from sitsr.report.aside import written_aside
from sitsr.report.svg import mark
from sitsr.scenes.write.about import CREDIT

__all__ = ["write_page"]

ROLES = {
    "system": "system",
    "baseline": "baseline, learns nothing",
    "control": "negative control, must lose",
    "oracle": "oracle, was shown the reference",
}
"""What the forms of marks mean."""


def write_page(study: Study, table: str, path: Path) -> None:
    """Write the page about this study; it appears whole or not at all.

    table: Markdown of the tables (``sitsr.evaluation.tables.table``), shown in full at the end.
    """
    page = Template(files("sitsr.evaluation.page").joinpath("page.html").read_text("utf-8"))
    with written_aside(Path(path)) as aside:
        aside.write_text(page.substitute(parts(study, table)), encoding="utf-8")


def parts(study: Study, table: str) -> dict[str, str]:
    """What fills the page's blanks, as HTML."""
    found = kinds(study)
    shown = patches.examples(study)
    return {
        "style": files("sitsr.report").joinpath("charts.css").read_text("utf-8"),
        "title": f"Evaluation of {escape(study.main)}",
        "kinds": escape("; ".join(title(each) for each in found)) or "No patch was scored.",
        "facts": head.facts(study, found),
        "about": head.about(study),
        "warnings": head.cautions(found),
        "links": "".join(
            f'<a href="#kind-{number}">{escape(each.kind)}</a>' for number, each in enumerate(found)
        ),
        "sections": "".join(
            section(each, number, shown.get(each.kind, "")) for number, each in enumerate(found)
        ),
        "tables": html_of(table),
        "configuration": head.configuration(study),
        "again": head.again(study),
        "credit": f"{CREDIT[0].upper()}{CREDIT[1:]}. Made with sitsr.",
    }


def title(scores: Scores) -> str:
    """The kind with its numbers: "scale transfer: 6 sites, 18 patches"."""
    sites, patches = len(scores.sites), len(scores.patches)
    return (
        f"{scores.kind}: {sites} site{'s' * (sites != 1)}, {patches} patch{'es' * (patches != 1)}"
    )


def section(scores: Scores, number: int, pictures: str) -> str:
    """Everything about one kind of pairs; what has nothing to show is left out."""
    groups = {
        "Who is ahead": ranking.ranking(scores, f"measure-{number}"),
        "Room": room.room(scores),
        "Distortion and perception": scatter.perception_distortion(scores),
        "Quality and cost": scatter.cost(scores),
        "Calibration": certainty.calibration(scores),
        "Time": gaps.gaps(scores),
        "Patches to look at": pictures,
    }
    inner = "".join(f"<h3>{name}</h3>{body}" for name, body in groups.items() if body)
    return (
        f'<section class="kind" id="kind-{number}"><h2>{escape(title(scores))}</h2>'
        f"{legend(scores)}{inner}</section>"
    )


def legend(scores: Scores) -> str:
    """The forms of marks that this kind shows, in words."""
    present = {scores.role(system) for system in scores.systems}
    entries = "".join(
        f'<li><svg class="key" viewBox="0 0 16 16">{mark(role, 8, 8, meaning)}</svg>{meaning}</li>'
        for role, meaning in ROLES.items()
        if role in present
    )
    return f'<ul class="legend-row">{entries}</ul>'
