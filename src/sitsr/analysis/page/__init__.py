"""One HTML page about a data set: what it holds, and what can be hoped for from it.

The page stands alone: charts, pictures and style lie inside it, and it asks nothing of a network.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from sitsr.analysis.findings import NOT_DRAWN, Findings
from sitsr.analysis.measuring import Measured
from sitsr.analysis.page import examples, radiometry, sharpness, when, where, words
from sitsr.report.aside import written_aside
from sitsr.scenes.write.about import CREDIT

__all__ = ["write_page"]

LISTED = 50
"""Pairs that failed which are listed; the table has them all."""
LOW = 0.5
"""Correlation after registration below which a band's numbers say little."""


def write_page(found: Findings, path: Path) -> None:
    """Write the page about these findings; it appears whole or not at all."""
    page = Template(files("sitsr.analysis.page").joinpath("page.html").read_text("utf-8"))
    with written_aside(path) as aside:
        aside.write_text(page.substitute(parts(found)), encoding="utf-8")


def parts(found: Findings) -> dict[str, str]:
    """What fills the page's blanks, as HTML."""
    kinds = list(dict.fromkeys((each.pair.kind, each.pair.scale) for each in found.measured))
    held = {
        kind: [each for each in found.measured if (each.pair.kind, each.pair.scale) == kind]
        for kind in kinds
    }
    named = [f"{kind}, {scale} times" for kind, scale in kinds]
    return {
        "style": files("sitsr.report").joinpath("charts.css").read_text("utf-8"),
        "title": escape(found.title),
        "kinds": escape("; ".join(named)) or "No pair could be looked into.",
        "facts": _facts(found),
        "warnings": _cautions(found),
        "links": "".join(f'<a href="#kind-{n}">{escape(name)}</a>' for n, name in enumerate(named)),
        "where": where.where(found.sources),
        "sections": "".join(_section(each, named[n], n) for n, each in enumerate(held.values())),
        "failed": _failed(found),
        "credit": f"{CREDIT[0].upper()}{CREDIT[1:]}. Made with sitsr.",
    }


def _section(measured: list[Measured], name: str, number: int) -> str:
    """Everything about the pairs of one kind and scale."""
    told = [each for each in measured if each.bands]
    groups = {"When it was seen": when.when(measured)}
    if told:
        groups |= {
            "Radiometry": radiometry.radiometry(told),
            "Registration": radiometry.shifts(told),
            "Point-spread function": sharpness.point_spreads(told),
            "Edges": sharpness.from_edges(told),
            "Spectra and sharpness": sharpness.spectra(told),
            "Detail below the pixel": sharpness.beyond(told),
            "Pairs to look at": examples.examples(told),
        }
    inner = "".join(f"<h3>{title}</h3>{body}" for title, body in groups.items() if body)
    counted = words.count(len(measured), "pair")
    return (
        f'<section class="kind" id="kind-{number}"><h2>{escape(name)}: {counted}</h2>{inner}'
        "</section>"
    )


def _facts(found: Findings) -> str:
    """The numbers to know first."""
    sites = {row.site for row in found.sources}
    bands = dict.fromkeys(row.band for each in found.measured for row in each.bands)
    told = [
        (f"{len(found.sources)}", "pairs in the data set"),
        (f"{len(sites)}", "sites, the unit of splits and statistics"),
        (f"{len(found.measured)}", f"pairs looked into, drawn with seed {found.seed}"),
        (f"{len(found.failed)}", "pairs that could not be"),
        (", ".join(bands) or "–", "bands"),
    ]
    return "".join(
        f"<li><b>{escape(value)}</b><span>{escape(meaning)}</span></li>" for value, meaning in told
    )


def _cautions(found: Findings) -> str:
    """What a reader must not overlook."""
    told = []
    if shared := where.shared_sites(found.sources):
        told.append(
            f"{words.count(len(shared), 'site')} in two splits: scores on them are of ground "
            "that was learnt."
        )
    if found.failed:
        told.append(
            f"{words.count(len(found.failed), 'pair')} could not be read or measured; they are "
            "listed at the end."
        )
    if limit := sum(each.pair.at_limit for each in found.measured):
        told.append(
            f"{words.count(limit, 'pair')} with a shift at the limit of what was searched: they "
            "may show other ground."
        )
    for band in radiometry.bands_of(found.measured):
        rows = radiometry.of_band(found.measured, band)
        if poor := sum(row.correlation < LOW for row in rows):
            told.append(
                f"{band}: in {poor} of {words.count(len(rows), 'pair')} the two images correlate "
                f"below {LOW:g} even when registered; their gains and widths say little."
            )
    if {len(each.dates) for each in found.measured} == {1}:
        told.append("Every series has a single date: nothing is told of revisits or phases.")
    if not told:
        return ""
    return f'<section class="card warn"><h2>Before you read on</h2>{words.items(told)}</section>'


def _failed(found: Findings) -> str:
    left = sum(row.state == NOT_DRAWN for row in found.sources)
    told = words.note(f"{words.count(left, 'pair')} not drawn.") if left else ""
    if not found.failed:
        return f"{told}{words.note('Every pair that was drawn could be read and measured.')}"
    lines = [f"{row.site}, {row.patch}: {row.state}" for row in found.failed]
    more = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return told + words.items([*lines[:LISTED], *more])
