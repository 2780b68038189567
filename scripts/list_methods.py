"""Put the table of methods, with their sizes and costs, between the two markers of its page.

python scripts/list_methods.py [docs/methods.md]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sitsr.evaluation.costs import listing
from sitsr.evaluation.rows import written_aside
from sitsr.methods import METHODS

ROOT = Path(__file__).parents[1]
START = "<!-- methods: written by scripts/list_methods.py -->"
END = "<!-- end of methods -->"
DATES = 8
"""Images of the series that operations are counted for."""


def rows() -> Iterator[str]:
    """A head, and a line for each method."""
    names = "method", "million weights", "MFLOP a pixel", "steps", "uses", "paper"
    yield f"| {' | '.join(names)} | what differs from the paper |"
    yield "| --- | ---: | ---: | ---: | --- | --- | --- |"
    for name, weights, cost, steps, uses, paper in listing(DATES, lambda done, of: None):
        number = f"{float(cost):,.0f}" if float(cost) >= 100 else cost
        note = METHODS[name].note or "see below"
        page = f"[{paper}]({Path(paper).name})" if paper.endswith(".md") else paper
        cells = f"`{name}`", weights, number, steps, uses, page, note
        yield f"| {' | '.join(cells)} |"


def main(page: Path) -> None:
    """Write the table into the page, whole or not at all."""
    before, rest = page.read_text().split(START)
    _, after = rest.split(END)
    table = "\n".join(rows())
    with written_aside(page) as aside:
        aside.write_text(f"{before}{START}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/methods.md")
