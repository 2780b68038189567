"""WorldStrat: SPOT 6/7 images of 1.5 m all over the world, each with 16 revisits of Sentinel-2.

    metadata.csv                                  one line a tile and revisit: days, bounds, classes
    stratified_train_val_test_split.csv           which tile is for what
    hr_dataset/TILE/TILE_ps.tiff                  red, green, blue, infrared sharpened to 1.5 m
                    TILE_rgbn.tiff                the same four at 6 m
                    TILE_pan.tiff                 panchromatic, 1.5 m
                    TILE_rgb.png                  a picture
    lr_dataset/TILE/L2A/TILE-N-L2A_data.tiff      12 bands of revisit N, reflectance
                        TILE-N-CLM.tiff           1 where there is cloud, and other masks and angles
                        TILE-N.metadata           JSON: the day of the revisit and of the target
    lr_dataset/TILE/L1C/TILE-N-L1C_data.tiff …    13 bands, at the top of the atmosphere

N ranks the revisits by cloud and by nearness in time; their order in time is in metadata.csv. The
smaller release has hr_dataset/12bit/TILE and eight revisits. Where the rasters lie is told in
``ground``, what their values are in ``pixels``, what is wrong with the splits in ``splits``.

Cornebise, Oršolić & Kalaitzis (2022), "Open High-Resolution Satellite Imagery: The WorldStrat
Dataset", NeurIPS Datasets and Benchmarks. The SPOT images are CC BY-NC 4.0.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from sitsr.datasets.pairs import REAL, Fault, Source
from sitsr.datasets.worldstrat.pixels import (
    LEVELS,
    TARGETS,
    Revisit,
    Tile,
    Wish,
    black_bars,
    is_constant,
    load_pair,
)
from sitsr.datasets.worldstrat.splits import (
    SPLIT_FILE,
    SPLITS,
    Leaks,
    Row,
    grouped_splits,
    leaks_of,
    published_splits,
    read_splits,
    site_of,
)
from sitsr.datasets.worldstrat.tables import Area, read_areas, read_own_days
from sitsr.series import InputError

__all__ = [
    "SPLIT_FILE",
    "Leaks",
    "Row",
    "black_bars",
    "grouped_splits",
    "is_constant",
    "is_worldstrat",
    "leaks_of",
    "published_splits",
    "read_splits",
    "read_worldstrat",
    "site_of",
    "worldstrat_faults",
]

log = logging.getLogger(__name__)

FINEST = 7
"""The scale that all of SPOT's 1.5 m fits into."""

_DATA = re.compile(r"(?P<tile>.+)-(?P<number>\d+)-(?P<level>L1C|L2A)_data\.tiff?")
NAMED = 10  # tiles that a warning names of those that it is about


def is_worldstrat(folder: Path) -> bool:
    """Whether a folder is laid out as the data set is."""
    parts = all((folder / part).is_dir() for part in ("hr_dataset", "lr_dataset"))
    return parts and (folder / "metadata.csv").is_file()


def read_worldstrat(
    folder: Path,
    split: str | None = None,
    *,
    level: str = "L2A",
    target: str = "pansharpened",
    scale: int = 4,
    grouped: bool = True,
    most_images: int | None = 16,
) -> list[Source]:
    """The tiles that are there whole, by their names, not read yet.

    split        "train", "validation" or "test"; None for all, also those in no split
    level        "L2A", surface reflectance, or "L1C", reflectance at the top of the atmosphere
    target       the reference: "pansharpened" (4 bands, 1.5 m), "rgbn" (4 bands, 6 m, resampled:
                 no detail below that), or "pan" (1.5 m; the series is then one band "PAN", the mean
                 of B02, B03 and B04)
    scale        10 m over the reference's pixel: 4 is 2.5 m, 7 keeps all of SPOT's 1.5 m
    grouped      no area lies in two splits: tiles whose area is tested leave the others, those
                 whose area is for validation leave train, and neither is returned for any split;
                 False for the file as published, where the first line of a tile counts
    most_images  of a series, the best ranked; None for all

    Tiles that lack files or metadata are left out, and a warning names them. InputError where the
    folder is not laid out as above or there is no such choice.
    """
    wish = Wish(level, target, scale, most_images)
    _check(folder, split, wish)
    rows = read_splits(folder / SPLIT_FILE) if (folder / SPLIT_FILE).is_file() else []
    if split is not None and not rows:
        raise InputError(f"{folder} has no splits; get {SPLIT_FILE}, or ask for no split")
    splits = (grouped_splits if grouped else published_splits)(rows)
    barred = {site_of(row.tile) for row in rows} if grouped else set()
    tags = {row.tile: row.tags for row in reversed(rows)}
    areas = read_areas(folder / "metadata.csv")
    sources: list[Source] = []
    missing: dict[str, list[str]] = {}
    for name in _names(folder):
        own = splits.get(name)
        if (split is not None and own != split) or (own is None and site_of(name) in barred):
            continue
        tile = _tile(folder, name, areas.get(name), wish)
        if isinstance(tile, str):
            missing.setdefault(tile, []).append(name)
        else:
            told = {**areas[name].tags, **tags.get(name, {})}
            sources.append(_source(tile, wish, own, told))
    for reason, names in missing.items():
        log.warning("left out %d tiles without %s: %s", len(names), reason, _listed(names))
    return sources


def worldstrat_faults(folder: Path) -> Iterator[tuple[str, str, Fault]]:
    """(site, tile, fault) of the table of splits as published, and of what tiles lack."""
    path = folder / SPLIT_FILE
    leaks = leaks_of(read_splits(path) if path.is_file() else [])
    for tiles, check, said in (
        (leaks.straddling, "leaking split", "is named in two splits"),
        (leaks.shared, "leaking split", "is for testing, but its area is also trained on"),
        (leaks.repeated, "repeated pair", "has more than one line in the table of splits"),
    ):
        for tile in tiles:
            yield site_of(tile), tile, Fault(check, said)
    areas, wish = read_areas(folder / "metadata.csv"), Wish("L2A", "pansharpened", 4, None)
    for name in _names(folder):
        if isinstance(lacking := _tile(folder, name, areas.get(name), wish), str):
            yield site_of(name), name, Fault("missing files", f"is without {lacking}")


def _source(tile: Tile, wish: Wish, split: str | None, tags: Mapping[str, str]) -> Source:
    load = partial(load_pair, tile, wish)
    return Source(REAL, site_of(tile.name), tile.name, load, split, tile.bounds, tags)


def _check(folder: Path, split: str | None, wish: Wish) -> None:
    for got, choices, what in (
        (SPLITS[0] if split is None else split, SPLITS, "a split"),
        (wish.level, LEVELS, "a level"),
        (wish.target, TARGETS, "a target"),
    ):
        if got not in choices:
            raise InputError(f"{got} is not {what} of WorldStrat; choose from {', '.join(choices)}")
    if wish.scale not in range(1, FINEST + 1):
        raise InputError(
            f"scale is {wish.scale}; wanted 1 to {FINEST}: SPOT sees no more than 1.5 m"
        )
    if wish.most_images is not None and wish.most_images < 1:
        raise InputError(f"most_images is {wish.most_images}; wanted 1 or more, or None for all")
    if not is_worldstrat(folder):
        raise InputError(
            f"{folder} is not WorldStrat: it should hold metadata.csv, hr_dataset and lr_dataset"
        )


def _names(folder: Path) -> list[str]:
    """Tiles that have a folder in either part."""
    parts = (folder / "lr_dataset", _finer(folder))
    found = {path.name for part in parts for path in part.iterdir() if path.is_dir()}
    return sorted(found - {"8bit", "12bit"})


def _finer(folder: Path) -> Path:
    """Where the tiles' high-resolution images are: the smaller release sets them one deeper."""
    deeper = folder / "hr_dataset" / "12bit"
    return deeper if deeper.is_dir() else folder / "hr_dataset"


def _tile(folder: Path, name: str, area: Area | None, wish: Wish) -> Tile | str:
    """The tile's files, or what it lacks."""
    reference = _finer(folder) / name / f"{name}_{TARGETS[wish.target]}.tiff"
    if not reference.is_file():
        return reference.name.removeprefix(name)
    place = folder / "lr_dataset" / name / wish.level
    revisits = _revisits(place, name, wish.level, area)
    if not revisits:
        return f"{wish.level} data"
    if area is None or area.bounds is None:
        return "bounds in metadata.csv"
    day = area.target or read_own_days(revisits[0].beside(".metadata"))[1]
    return Tile(name, area.bounds, day, revisits, reference) if day else "a day of the reference"


def _revisits(place: Path, name: str, level: str, area: Area | None) -> tuple[Revisit, ...]:
    days = area.days if area else {}
    found = (
        (_DATA.fullmatch(path.name) for path in sorted(place.iterdir())) if place.is_dir() else ()
    )
    numbers = {
        int(each["number"]): place / each.string
        for each in found
        if each and (each["tile"], each["level"]) == (name, level)
    }
    return tuple(Revisit(n, numbers[n], days.get(n)) for n in sorted(numbers))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
