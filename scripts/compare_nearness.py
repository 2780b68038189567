"""How should dates be weighed? Held-out images at 10 m, estimated by weighted means of the others.

    python scripts/compare_nearness.py DATA

Writes the table of docs/decisions/nearness.md. Nothing is trained: each of the 24 clearest images
of a dated series is left out, with all within so many days of it, and compared with the mean of the
rest, pixel by pixel.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sitsr.baselines import linear_bicubic, nearest
from sitsr.datasets import Archive, read_flanders, read_theia
from sitsr.encoders import nearness
from sitsr.metrics import psnr
from sitsr.scenes import open_series
from sitsr.series import Floats, Series

PAGE = Path(__file__).parents[1] / "docs" / "decisions" / "nearness.md"
MARKS = "<!-- table: written by scripts/compare_nearness.py -->", "<!-- end of table -->"

GAPS = 1, 30, 90
"""Days about the image left out within which no other is shown."""

CLEAREST, SIDE, LEAST_SHARE = 24, 160, 0.25
"""Images left out of each series; side of the middle that is looked at; share that must be seen."""

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
    there = dict(series_in(data))
    told = [f"{name}, {gap} days" for name in there for gap in GAPS]
    lines = [f"| | {' | '.join(told)} |", "|---" + "|---:" * len(told) + "|"]
    for name, guess in ways.items():
        found = [score(series, gap, guess) for series in there.values() for gap in GAPS]
        lines.append(f"| {name} | {' | '.join(f'{each:.2f}' for each in found)} |")
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(before + "\n".join([MARKS[0], *lines, MARKS[1]]) + after)


def series_in(data: Path) -> Iterator[tuple[str, Series]]:
    for archive in (*read_theia(data / "fordead_theia")[:1], *read_flanders(data / "flanders")):
        yield archive.site, in_order(archive)
    boadella = open_series(data / "boadella")
    yield "boadella", boadella.crop(*(middle(length) for length in boadella.clear.shape[1:]))


def in_order(archive: Archive) -> Series:
    assert archive.dates is not None  # both are dated
    order = sorted(range(len(archive.dates)), key=archive.dates.__getitem__)
    dates = tuple(archive.dates[k] for k in order)
    told = (archive.bands, archive.grid, tuple(map(str, dates)))
    return Series(archive.images[order], archive.clear[order], dates, *told)


def middle(length: int) -> slice:
    start = max(0, (length - SIDE) // 2)
    return slice(start, min(start + SIDE, length))


def weighted(series: Series, target: date, a_year: float) -> Floats:
    """[C, H, W] the mean of the clear images, weighted for nearness."""
    days = torch.from_numpy(series.days_from(target).astype(np.float32))
    weight = nearness(days, a_year).numpy()[:, None, None] * series.clear
    total = np.einsum("thw,tchw->chw", weight, np.where(series.clear[:, None], series.images, 0))
    return np.asarray(total / np.maximum(weight.sum(0), 1e-12), np.float32)


def score(series: Series, gap: int, guess: Guess) -> float:
    """PSNR in dB, the mean over images left out."""
    share = series.clear.mean((1, 2))
    found = []
    for k in np.argsort(-share, kind="stable")[:CLEAREST]:
        target = series.dates[k]
        kept = [n for n, day in enumerate(series.dates) if abs((day - target).days) >= gap]
        if not kept:
            continue
        rest = series.keep(kept)
        clear = np.asarray(series.clear[k] & rest.clear.any(0))
        if clear.mean() >= LEAST_SHARE:
            found.append(psnr(guess(rest, target), series.images[k], clear))
    return float(np.mean(found))


if __name__ == "__main__":
    main()
