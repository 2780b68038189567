"""Numbers and tables as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from sitsr.analysis.page.charts import quantiles
from sitsr.report.svg import minus


def number(value: float, digits: int = 3) -> str:
    """So many digits behind the point; a dash where it is not known."""
    return minus(f"{value:z.{digits}f}") if math.isfinite(value) else "–"


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median with the 10th and 90th percentile: "0.52 (0.48 to 0.61)"."""
    low, middle, high = quantiles(values)
    if not math.isfinite(middle):
        return "–"
    return f"{number(middle, digits)} ({number(low, digits)} to {number(high, digits)})"


def count(known: int, what: str) -> str:
    """ "1 pair", "3 pairs" """
    return f"{known} {what}{'s' * (known != 1)}"


def table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; the first column is names, the others stand right. All is escaped here."""
    head = "".join(f"<th{_side(n)}>{escape(each)}</th>" for n, each in enumerate(headings))
    body = "".join(
        "<tr>"
        + "".join(f"<td{_side(n)}>{escape(cell)}</td>" for n, cell in enumerate(line))
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll"><table class="full"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def framed(*drawn: str) -> str:
    """Tables and the like, in a card of their own."""
    return f'<div class="card framed">{"".join(drawn)}</div>'


def _side(column: int) -> str:
    return ' class="end"' if column else ""


def note(*sentences: str) -> str:
    """Plain sentences under a heading, escaped."""
    return f'<p class="note">{escape(" ".join(sentences))}</p>'


def pair(*cards: str) -> str:
    """Cards side by side."""
    return f'<div class="pair">{"".join(cards)}</div>'


def items(sentences: Iterable[str]) -> str:
    """A list of sentences, escaped."""
    return f'<ul class="plain">{"".join(f"<li>{escape(each)}</li>" for each in sentences)}</ul>'
