"""WorldStrat's table of splits: what it says, where it leaks, and the splits without the leaks.

The areas of two of its four sources were cut into 3 × 3 tiles, "Amnesty POI-8-2-1" and so on, and
the tiles dealt out one by one: tiles of one area lie in different splits. Besides, some tiles stand
in the table twice, a few of them in two splits. Everything here is a function of the table's rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sitsr.datasets.worldstrat.tables import known, read_table
from sitsr.series import InputError

SPLITS = ("train", "validation", "test")
"""Where rows disagree the later one holds: what may be tested on is not learnt from."""

SPLIT_FILE = "stratified_train_val_test_split.csv"

_CUT = re.compile(r"((?:Amnesty POI|ASMSpotter)-\d+)-\d+-\d+")
_NAMED = {"val": "validation", **{name: name for name in SPLITS}}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    tile: str
    split: str
    """One of SPLITS."""
    tags: Mapping[str, str]
    """Of "IPCC Class", "SMOD" and "source" those that it states."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What is wrong with a table of splits."""

    repeated: tuple[str, ...]
    """Tiles with more than one row."""
    straddling: tuple[str, ...]
    """Of these, the tiles whose rows name different splits."""
    shared: tuple[str, ...]
    """Tiles for testing of whose area another tile, or the tile itself, is for training."""


def read_splits(path: Path) -> list[Row]:
    """The table's rows in their order.

    InputError where it cannot be read, lacks a column or names another split than train, val and
    test.
    """
    rows = []
    for line in read_table(path, ("tile", "split")):
        if line["split"] not in _NAMED:
            raise InputError(
                f"{path.name} puts {line['tile']!r} into {line['split']!r}; wanted train, val or "
                "test: get it again"
            )
        tags = known(line, ("IPCC Class", "SMOD", "source"))
        rows.append(Row(line["tile"], _NAMED[line["split"]], tags))
    return rows


def site_of(tile: str) -> str:
    """The area that a tile is of: "Amnesty POI-8" for "Amnesty POI-8-2-1"; most are their own."""
    found = _CUT.fullmatch(tile)
    return found[1] if found else tile


def published_splits(rows: Sequence[Row]) -> dict[str, str]:
    """The split of each tile as published; of several rows of a tile the first counts."""
    splits: dict[str, str] = {}
    for row in rows:
        splits.setdefault(row.tile, row.split)
    return splits


def grouped_splits(rows: Sequence[Row]) -> dict[str, str]:
    """The split of each tile such that no site lies in two of them.

    A site belongs to test where any of its rows does, else to validation where any does. Its tiles
    that have no row there are in no split: none changes from one split to another.
    """
    last: dict[str, int] = {}
    for row in rows:
        site = site_of(row.tile)
        last[site] = max(last.get(site, 0), SPLITS.index(row.split))
    return {row.tile: row.split for row in rows if SPLITS[last[site_of(row.tile)]] == row.split}


def leaks_of(rows: Sequence[Row]) -> Leaks:
    """What the grouped splits take away, by name, in order of name."""
    count = Counter(row.tile for row in rows)
    named = Counter(tile for tile, _ in {(row.tile, row.split) for row in rows})
    learnt = {site_of(row.tile) for row in rows if row.split == "train"}
    tested = {row.tile for row in rows if row.split == "test"}
    return Leaks(
        repeated=tuple(sorted(tile for tile, times in count.items() if times > 1)),
        straddling=tuple(sorted(tile for tile, splits in named.items() if splits > 1)),
        shared=tuple(sorted(tile for tile in tested if site_of(tile) in learnt)),
    )
