"""What systems are scored on: from a folder and the name of a split to pairs that are not read yet.

A folder is one of five things, told by what lies in it:

    the archives of the recipe   austria, austria_pairs, boadella, flanders: scale transfer,
                                 held-out dates, real pairs
    Alsat-2B                     Train and Test, as published: real pairs of one date
    another public data set      as published (docs/datasets), or a training store made of one
    pairs on disk                pair.json beside a series and a reference (docs/pairs.md)
    series of dated GeoTIFFs     one folder a site, or one series: scale transfer of your own ground
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sitsr.datasets import (
    L2A_BANDS,
    Archive,
    Pair,
    Source,
    at_hand,
    is_store,
    landsat_pairs,
    read_alsat2b,
    read_austria,
    read_flanders,
    read_pairs,
    real_pairs,
    scale_transfer_pairs,
)
from sitsr.datasets.alsat import is_alsat2b
from sitsr.datasets.known import open_dataset, recognise
from sitsr.model import Card
from sitsr.scenes import open_series
from sitsr.series import InputError, Series

log = logging.getLogger(__name__)

AT_SENSOR = "held-out date at 10 m"

GAPS = (0, 30, 90, 180)
"""Days about the target within which every image is left out, besides the target's own."""

SIDE, WINDOWS = 128, 2
"""Patches of a longer series: pixels along a side, and how many down and across at most."""

MOST_DATES = 24
"""Images of flanders that are looked at, the clearest of its hundred and more."""

CLEAR_SHARE = 0.25
"""A patch that shows less of the ground on its target date is not scored."""

SPLITS = ("validation", "test", "train")


def sources_in(data: Path, split: str | None, card: Card, dates: int) -> list[Source]:
    """Every pair of a split, in a fixed order; dates: target dates a site.

    validation   sites that the model's recipe set apart; looked at while it was made
    test         ground of which no image was trained on: boadella, austria_pairs, and flanders
                 unless the recipe names it
    train        sites that it was trained on: for over-fitting, not for claims

    None is the test split of the archives and of Alsat-2B, and everything in any other folder.
    Alsat-2B has splits of its own by these names.
    """
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; give one that holds pairs or series with --data")
    if recognise(data) not in (None, "alsat2b") or is_store(data):
        return [_cut(source, card) for source in open_dataset(data, split)]
    if next(data.glob("**/pair.json"), None):
        return read_pairs(data, split)
    if split not in (None, *SPLITS):
        raise InputError(f"{split} is not a split; choose from {', '.join(SPLITS)}")
    if is_alsat2b(data):
        return [_cut(source, card) for source in read_alsat2b(data, split or "test")]
    if (data / "austria").is_dir():
        return [at_hand(pair) for pair in _of_archives(data, split or "test", card, dates)]
    return _of_series(data, card, dates)


def _of_archives(data: Path, split: str, card: Card, dates: int) -> list[Pair]:
    if split == "test":
        boadella = data / "boadella"
        if not boadella.is_dir():
            raise InputError(f"{boadella} is not there; give the folder that holds it with --data")
        series = open_series(boadella, bands=list(L2A_BANDS))
        real = [pair.select(card.bands) for pair in real_pairs(data / "austria_pairs")]
        return _of_one(series, "boadella", card, dates) + real + _of_flanders(data, card, dates)
    recipe = _recipe(card)
    named: dict[str, list[str]] = {
        "validation": [name for name in recipe.get("validation", ()) if name.startswith("site")],
        "train": (recipe.get("austria") or {}).get("places") or [],
    }
    if not named[split]:
        raise InputError(f"the recipe of {card.name} names no sites of {split}; give other weights")
    return _transfers(data / "austria", named[split], card, dates)


def _transfers(folder: Path, sites: Sequence[str], card: Card, dates: int) -> list[Pair]:
    archives = read_austria(folder, sites)
    return [
        pair.select(card.bands)
        for held_out in (False, True)
        for archive in archives
        for pair in scale_transfer_pairs(archive, dates, scale=card.scale, held_out=held_out)
    ]


def _of_series(data: Path, card: Card, dates: int) -> list[Source]:
    """One series a sub-folder, or the folder itself as the only one."""
    folders = sorted(path for path in data.iterdir() if path.is_dir()) or [data]
    return [
        at_hand(pair)
        for folder in folders
        for pair in _of_one(open_series(folder), folder.name, card, dates)
    ]


def _of_one(series: Series, site: str, card: Card, dates: int) -> list[Pair]:
    series = series.select(card.bands)
    found = [
        replace(pair, patch=f"{pair.patch}, row {rows.start}, column {cols.start}")
        for held_out in (False, True)
        for rows, cols in _windows(series)
        for pair in scale_transfer_pairs(
            _archive(series.crop(rows, cols), site), dates, scale=card.scale, held_out=held_out
        )
        if pair.clear.mean() > CLEAR_SHARE
    ]
    return found + held_out_at_sensor(series, site, card, dates)


def _of_flanders(data: Path, card: Card, dates: int) -> list[Pair]:
    """Landsat-8 with Sentinel-2, then what other series have; nothing if it was trained on."""
    folder = data / "flanders"
    if not folder.is_dir():
        return []
    if _recipe(card).get("flanders"):
        log.info("%s was trained on flanders, which is left out of the test split", card.name)
        return []
    (archive,) = read_flanders(folder)
    assert archive.dates is not None  # flanders is dated
    names = tuple(f"flanders {day}" for day in archive.dates)
    told = (archive.images, archive.clear, archive.dates, archive.bands, archive.grid, names)
    series = Series(*told)
    share = series.clear.mean(axis=(1, 2))
    clearest = sorted(range(len(share)), key=lambda k: (-float(share[k]), k))[:MOST_DATES]
    real = [pair.select(card.bands) for pair in landsat_pairs(folder)]
    return real + _of_one(series.keep(clearest), archive.site, card, dates)


def _recipe(card: Card) -> dict[str, Any]:
    return yaml.safe_load(card.recipe) or {}


def _cut(source: Source, card: Card) -> Source:
    """The same pair in the bands of a model; refused only when it is read."""
    return replace(source, load=lambda: source.load().select(card.bands))


def _archive(series: Series, site: str) -> Archive:
    shown = (series.images, series.clear, series.dates, series.grid)
    return Archive(site, *shown, bands=series.bands)


def _windows(series: Series) -> Iterator[tuple[slice, slice]]:
    """At most WINDOWS × WINDOWS squares of SIDE pixels, spread evenly over the series."""
    starts = []
    for length in series.clear.shape[1:]:
        count = min(WINDOWS, max(1, length // SIDE))
        starts.append([int(n) for n in np.linspace(0, max(0, length - SIDE), count)])
    rows, cols = series.clear.shape[1:]
    for row, col in product(*starts):
        yield slice(row, min(row + SIDE, rows)), slice(col, min(col + SIDE, cols))


def _middle(length: int) -> slice:
    start = max(0, (length - SIDE) // 2)
    return slice(start, min(start + SIDE, length))


def held_out_at_sensor(series: Series, site: str, card: Card, dates: int) -> list[Pair]:
    """The clearest images left out, one by one, with all within a gap: what was seen that day.

    No finer reference is needed: an estimate for the date is degraded to what the sensor would
    have seen of it, and compared with what it saw. The middle of the series stands for it.
    """
    series = series.crop(*(_middle(length) for length in series.clear.shape[1:]))
    share = series.clear.mean(axis=(1, 2))
    clearest = sorted(range(len(share)), key=lambda k: (-float(share[k]), k))[:dates]
    held_out = (_without(series, site, card, k, gap) for k in sorted(clearest) for gap in GAPS)
    return [pair for pair in held_out if pair is not None]


def _without(series: Series, site: str, card: Card, k: int, gap: int) -> Pair | None:
    target = series.dates[k]
    kept = [n for n, day in enumerate(series.dates) if n != k and abs((day - target).days) >= gap]
    if not kept:
        return None
    rest = series.keep(kept)
    clear = series.clear[k] & rest.clear.any(axis=0)
    if clear.mean() < CLEAR_SHARE:
        return None
    task = (rest, target, card.scale, site, f"{target}, {gap} days apart", AT_SENSOR)
    return Pair(*task, series.images[k], clear, card.sigma)
