"""One HTML page that shows a result: what was seen, what was inferred, how sure it is.

The page stands alone: pictures, style and script lie inside it, and it asks nothing of a network.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from odc.geo.geobox import GeoBox

from sitsr.report import closer, maps, words
from sitsr.report.pictures import data_uri
from sitsr.report.timeline import strip, timeline
from sitsr.scenes.write import write_preview
from sitsr.scenes.write.about import CREDIT, software_version
from sitsr.scenes.write.pictures import as_seen, clearest_near, fit, natural_colour
from sitsr.series import Series, SuperResolved

__all__ = ["write_pages", "write_report"]

WIDEST = 1400
"""Pixels along the longer side of the large pictures; more would make the page slow to open."""


def write_pages(
    estimate: SuperResolved, series: Series, whole: GeoBox | None, folder: Path
) -> None:
    """Write preview.png and report.html about an estimate, made from this series, into a folder.

    whole  the input's grid of the scene that they are a part of; None if they are all of it
    """
    write_preview(folder / "preview.png", estimate, series)
    write_report(estimate, series, folder / "report.html", whole)


def write_report(
    estimate: SuperResolved, series: Series, path: Path, whole: GeoBox | None = None
) -> None:
    """Write the page about this estimate, made from this series; it appears whole or not at all."""
    page = Template(files("sitsr.report").joinpath("page.html").read_text(encoding="utf-8"))
    path = Path(path)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(page.substitute(parts(estimate, series, whole)), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def parts(estimate: SuperResolved, series: Series, whole: GeoBox | None = None) -> dict[str, str]:
    """What fills the page's blanks, as HTML."""
    rows, cols = estimate.grid.shape
    day, place = words.day(estimate.target), words.place(estimate.grid)
    chosen = clearest_near(series, estimate.target)
    version = escape(software_version(estimate.provenance))
    return {
        "title": f"Super-resolved image of {day}, {place}",
        "eyebrow": f"Sentinel-2 super-resolved {estimate.scale} times",
        "date": day,
        "place": f"{place}, {words.extent(estimate.grid, whole)}",
        "facts": "".join(
            f"<li><b>{escape(value)}</b><span>{escape(meaning)}</span></li>"
            for value, meaning in words.facts(estimate, series)
        ),
        "ratio": f"{cols / rows:.6f}",
        **compare(estimate, series, chosen),
        "served": items(words.served(estimate, series)),
        "closer_note": closer.NOTE,
        "closer": closer.rows(estimate, series, chosen),
        "maps": maps.maps(estimate),
        "strip_note": words.strip_note(series),
        "timeline": timeline(series, estimate.target),
        "strip": strip(series, estimate.target, chosen),
        "numbers": "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in words.numbers(estimate, series)
        ),
        "limits": items(words.limits(estimate)),
        "history": items(series.history or ("Nothing is recorded.",)),
        "credit": f"{CREDIT[0].upper()}{CREDIT[1:]}. Made with sitsr {version}.",
    }


def compare(estimate: SuperResolved, series: Series, chosen: int) -> dict[str, str]:
    """The two pictures of the slider, of the same ground, and their names."""
    seen = natural_colour(as_seen(series, chosen), series.bands)
    made = natural_colour(estimate.mean, estimate.bands)
    coarse, fine = (words.metres(grid) for grid in (series.grid, estimate.grid))
    shrunk = max(made.shape) > WIDEST
    return {
        # The input keeps its own pixels, and the browser leaves them square: nothing is smoothed.
        "before": data_uri(fit(seen, WIDEST), "PNG"),
        "after": data_uri(fit(made, WIDEST), "JPEG"),
        "before_name": f"Sentinel-2, {words.day(series.dates[chosen])}, {coarse}",
        "after_name": f"Super-resolved, {fine}",
        "compare_note": words.compare_note(estimate, series, chosen)
        + (f" Shrunk to {WIDEST} pixels for this page; sr.tif holds them all." if shrunk else ""),
    }


def items(sentences: Iterable[str]) -> str:
    """A list of plain sentences."""
    return "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
