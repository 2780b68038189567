"""How should dates be weighed? Held-out images at 10 m, estimated by weighted means of the others.

    python scripts/compare_nearness.py DATA

Writes the table of docs/decisions/nearness.md. Nothing is trained: each of the 24 clearest images
of a dated series is left out, with all within so many days of it, and compared with the mean of the
rest, as `sitsr evaluate` does at held-out dates.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from sitsr.baselines import linear_bicubic, nearest, weighted
from sitsr.datasets import Archive, Pair, read_flanders, read_theia
from sitsr.evaluation.suites import GAPS, held_out_at_sensor
from sitsr.metrics import psnr
from sitsr.model import open_model
from sitsr.scenes import open_series
from sitsr.series import Floats, Series

PAGE = Path(__file__).parents[1] / "docs" / "decisions" / "nearness.md"
MARKS = "<!-- table: written by scripts/compare_nearness.py -->", "<!-- end of table -->"

CLEAREST = 24
"""Images left out of each series."""

Guess = Callable[[Series, date], Floats]


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("data", type=Path)
    data = asked.parse_args().data
    ways: dict[str, Guess] = {
        "nearest clear date": nearest,
        "straight line in time": partial(linear_bicubic, scale=1),
        "time alone": partial(weighted, a_year=1e9),
        **{f"a year as {a} days": partial(weighted, a_year=a) for a in (73, 37, 18, 7)},
    }
    card = open_model(None, "cpu").card
    left_out = {
        f"{site}, {gap} days": [p for p in pairs if p.patch.endswith(f" {gap} days apart")]
        for site, series in series_in(data)
        for pairs in [held_out_at_sensor(series.select(card.bands), site, card, CLEAREST)]
        for gap in GAPS
    }
    lines = [f"| | {' | '.join(left_out)} |", "|---" + "|---:" * len(left_out) + "|"]
    for name, guess in ways.items():
        cells = (f"{score(pairs, guess):.2f}" for pairs in left_out.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(before + "\n".join([MARKS[0], *lines, MARKS[1]]) + after)


def series_in(data: Path) -> Iterator[tuple[str, Series]]:
    for archive in (*read_theia(data / "fordead_theia")[:1], *read_flanders(data / "flanders")):
        yield archive.site, in_order(archive)
    yield "boadella", open_series(data / "boadella")


def in_order(archive: Archive) -> Series:
    assert archive.dates is not None  # both are dated
    order = sorted(range(len(archive.dates)), key=archive.dates.__getitem__)
    dates = tuple(archive.dates[k] for k in order)
    told = (archive.bands, archive.grid, tuple(map(str, dates)))
    return Series(archive.images[order], archive.clear[order], dates, *told)


def score(pairs: Iterable[Pair], guess: Guess) -> float:
    """PSNR in dB, the mean over images left out."""
    return float(np.mean([psnr(guess(p.series, p.target), p.reference, p.clear) for p in pairs]))


if __name__ == "__main__":
    main()
