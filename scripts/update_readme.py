"""Put the heart of what `sitsr evaluate` found between the README's two markers.

python scripts/update_readme.py [docs/results]
"""

from __future__ import annotations

import sys
from pathlib import Path

from sitsr.evaluation import MEASURES, Row, across_sites, read_rows

ROOT = Path(__file__).parents[1]
START, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
SHOWN = ("psnr", "psnr_contrast", "ssim", "detail", "texture", "sample_texture")
SHOWN += ("consistency", "crps", "coverage90", "sample_drop")
LEFT_OUT = ("mean bicubic", "median bicubic", "random texture", "reference")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/results"
    parts = [part for split in ("validation", "test") for part in told(folder / split, split)]
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(START)
    _, after = rest.split(END)
    readme.write_text(f"{before}{START}\n" + "\n\n".join(parts) + f"\n{END}{after}")


def told(folder: Path, split: str) -> list[str]:
    """What was evaluated, then a table for each kind of pairs."""
    rows, made = read_rows(folder / "scores.parquet")
    head = (
        f"**{split.capitalize()}**: weights `{made['weights']}`, {made['members']} samples, "
        f"{made['dates']} target dates a site at most ([page](docs/results/{split}/report.html), "
        f"[tables](docs/results/{split}/table.md))"
    )
    kinds = dict.fromkeys(row.kind for row in rows)
    return [head, *(kind_table([row for row in rows if row.kind == kind]) for kind in kinds)]


def kind_table(rows: list[Row]) -> str:
    """Means over sites; an interval is in the full tables, where there is more than one site."""
    sites, patches = {row.site for row in rows}, {(row.site, row.patch) for row in rows}
    systems = [name for name in dict.fromkeys(row.system for row in rows) if name not in LEFT_OUT]
    shown = [name for name in SHOWN if any(name in row.figures for row in rows)]
    lines = [
        f"*{rows[0].kind}*: {len(sites)} site{'s' * (len(sites) > 1)}, {len(patches)} patches",
        "",
        "| system | " + " | ".join(MEASURES[name].heading for name in shown) + " |",
        "| --- |" + " ---: |" * len(shown),
    ]
    for system in systems:
        own = [row for row in rows if row.system == system]
        lines.append(f"| {system} | " + " | ".join(cell(own, name) for name in shown) + " |")
    return "\n".join(lines)


def cell(rows: list[Row], name: str) -> str:
    values = [(row.site, row.patch, row.figures[name]) for row in rows if name in row.figures]
    if not values:
        return "–"
    return f"{across_sites(values, 0).mean:.{MEASURES[name].digits}f}"


if __name__ == "__main__":
    main()
