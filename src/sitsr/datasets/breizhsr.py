"""BreizhSR: series of Sentinel-2 at 10 m, with SPOT-6 at 2.5 m, over Brittany in 2018.

    dataset_train.pkl, dataset_test.pkl    pickled pandas tables, a row a patch
    …/….tif                                what their columns name, red, green and blue:
        spot6_image          one path: SPOT-6, 8 bits, about 300 × 300 pixels
        sen2_acquisitions    {days between the two images: path}: Sentinel-2, reflectance times
                             10000 (Theia's L2A, clear sky), about 75 × 75 pixels
        dates_spot6          the day of SPOT-6
        dates_sen2           the days of Sentinel-2, in no stated order, padded by repeats
        x, y                 where the patch lies, EPSG:2154
        split                "train" or "val" in the one table, "test" in the other

Published by Okabayashi et al. 2024, "Cross-sensor super-resolution of irregularly sampled
Sentinel-2 time series" (arXiv:2404.16409). The tables are read once (``pickles``), and again from
the Parquet that is then written beside them, wherever the folder lets us.

The program that came with it pairs images and dates by their places in two lists, which drift
apart as soon as an image is left out. Here an image has the date that its key says. Whether keys
count from SPOT-6 or towards it, or are without a sign, is nowhere stated: each way is held against
dates_sen2, and the one that fits is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets.breizhsr_tables import Row, read_rows
from sitsr.datasets.pairs import REAL, Pair, Source
from sitsr.datasets.places import within
from sitsr.datasets.rasters import grid_of, opened
from sitsr.scenes.plan import aligned, place, usable
from sitsr.scenes.units import where_seen
from sitsr.scenes.warp import onto, scale_between
from sitsr.series import Booleans, Floats, InputError, Series

BREIZHSR_BANDS = ("B02", "B03", "B04")

SCALE = 4

TABLES = ("dataset_train.pkl", "dataset_test.pkl")

SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""Our names of the splits, by those of the tables."""

NODATA = -10_000
"""What Theia writes where it saw nothing."""

CELL = 5_000
"""Side of a site, metres. The tables name no areas: patches that share a square of this side are
taken for one place, so that a split by sites parts no neighbours but those across a border."""

SIDE = 740
"""Of a patch, metres."""

SLACK = 4
"""Pixels by which an image may be larger or smaller than its patch."""

Raw = npt.NDArray[Any]
Bounds = tuple[float, float, float, float]

WAYS: dict[str, tuple[int, ...]] = {"from SPOT-6": (1,), "towards SPOT-6": (-1,), "either": (1, -1)}
"""How a key may count the days, with the signs by which it then leads to the image's own date."""


@dataclass(frozen=True, slots=True)
class _Patch:
    """A row whose images are dated."""

    folder: Path
    row: Row
    site: str
    name: str
    dates: tuple[date, ...] | None
    """Of its images; None where the keys do not lead to them."""


def is_breizhsr(folder: Path) -> bool:
    """Whether a folder is laid out as the data set is."""
    return any((folder / table).is_file() for table in TABLES)


def read_breizhsr(folder: Path, split: str | None = None) -> list[Source]:
    """The patches of a split ("train", "validation", "test"), or of all; only tables are read now.

    InputError where there is no table, no such split, or where a table's keys and dates disagree.
    A single row in which they do is refused when it is read.
    """
    if not is_breizhsr(folder):
        raise InputError(f"{folder} is not BreizhSR: it should hold {' and '.join(TABLES)}")
    if split not in (None, *SPLITS.values()):
        known = ", ".join(dict.fromkeys(SPLITS.values()))
        raise InputError(f"{split} is not a split of BreizhSR; choose from {known}")
    rows = [
        (table, row)
        for table in TABLES
        if (folder / table).is_file()
        for row in read_rows(folder / table)
    ]
    dates, bounds = _dated(folder, [row for _, row in rows]), _bounds([row for _, row in rows])
    told = zip(rows, dates, bounds, strict=True)
    sources = [_source(folder, *row, days, about) for row, days, about in told]
    chosen = [source for source in sources if split in (None, source.split)]
    if not chosen:
        held = f"of the split {split}; get its other table too" if split else "at all; get it again"
        raise InputError(f"{folder} has no patches {held}")
    return chosen


def _source(
    folder: Path, table: str, row: Row, dates: tuple[date, ...] | None, bounds: Bounds
) -> Source:
    part = table.removeprefix("dataset_").removesuffix(".pkl")
    split = SPLITS.get(row.split or part)
    if split is None:
        raise InputError(f'{table} has the split "{row.split}"; wanted {", ".join(SPLITS)}')
    patch = _Patch(folder, row, _site(row), f"{part} {row.name}", dates)
    return Source(REAL, patch.site, patch.name, partial(_pair, patch), split, bounds)


def _site(row: Row) -> str:
    """The cell of the coarse grid, by its lower left corner in kilometres of EPSG:2154."""
    east, north = (math.floor(n / CELL) * CELL // 1000 for n in (row.x, row.y))
    return f"E{east} N{north}"


def _bounds(rows: Sequence[Row]) -> list[Bounds]:
    """West, south, east, north of each patch, degrees, with x and y in its middle."""
    x, y = (np.array([getattr(row, axis) for row in rows]) for axis in ("x", "y"))
    to_degrees = CRS("EPSG:2154").transformer_to_crs(CRS("EPSG:4326"))
    half = SIDE / 2
    corners = [to_degrees(x + east, y + north) for east in (-half, half) for north in (-half, half)]
    lon, lat = (np.stack([corner[k] for corner in corners]) for k in (0, 1))
    return [
        (float(w), float(s), float(e), float(n))
        for w, s, e, n in zip(lon.min(0), lat.min(0), lon.max(0), lat.max(0), strict=True)
    ]


# ------------------------------------------------------------- dates by key


def _dated(folder: Path, rows: Sequence[Row]) -> list[tuple[date, ...] | None]:
    """For each row the dates of its images, by the way of counting that fits most rows of all."""
    found = {way: [_by_keys(row, signs) for row in rows] for way, signs in WAYS.items()}
    fits = {way: sum(days is not None for days in dated) for way, dated in found.items()}
    most = max(fits.values(), default=0)
    if 2 * most < len(rows) or not most:
        row = next((row for row, days in zip(rows, found["either"], strict=True) if not days), None)
        told = f"; row {row.name} has {_some(row)}" if row else ""
        raise InputError(
            f"{folder}: the keys of sen2_acquisitions lead from dates_spot6 to none of dates_sen2 "
            f"in most rows{told}; get the tables again"
        )
    best = [found[way] for way in WAYS if fits[way] == most]
    if any(other != best[0] for other in best):
        raise InputError(
            f"{folder}: the keys of sen2_acquisitions may count from SPOT-6 or towards it, and "
            "dates_sen2 fits both; give tables whose dates do not mirror each other"
        )
    return best[0]


def _by_keys(row: Row, signs: Sequence[int]) -> tuple[date, ...] | None:
    """The dates that the keys lead to, if each leads to just one, and no two to the same."""
    days: list[date] = []
    for key in row.keys:
        led = {row.target + timedelta(days=sign * key) for sign in signs} & set(row.dates)
        if len(led) != 1:
            return None
        days.extend(led)
    return tuple(days) if len(set(days)) == len(days) else None


def _some(row: Row) -> str:
    keys, days = (", ".join(map(str, sorted(each)[:4])) for each in (row.keys, row.dates))
    return f"the keys {keys} and the dates {days} beside {row.target}"


# ------------------------------------------------------------- pixels


def _pair(patch: _Patch) -> Pair:
    row, name, dates = patch.row, patch.name, patch.dates
    if dates is None:
        raise InputError(
            f"BreizhSR's {name} has {_some(row)}: its images cannot be dated; leave it out"
        )
    if not dates or len(set(row.paths)) < len(row.paths):
        fault = "one image under two dates" if dates else "no image of Sentinel-2"
        raise InputError(f"BreizhSR's {name} has {fault}; leave it out")
    dn, _ = _colours(within(patch.folder, row.spot))
    # As the paper cuts them: to a multiple of 8, from the upper left corner (300 becomes 296).
    rows, cols = (n // (2 * SCALE) * 2 for n in dn.shape[1:])
    dn = dn[:, : SCALE * rows, : SCALE * cols]
    paths = [within(patch.folder, path) for path in row.paths]
    series = _series(row, dict(sorted(zip(dates, paths, strict=True))), (rows, cols))
    sigma = tuple(SENTINEL2_SIGMA[band] for band in BREIZHSR_BANDS)
    task = (series, row.target, SCALE, patch.site, name, REAL)
    return Pair(*task, dn.astype(np.float32) / np.float32(255), where_seen(dn, 0), sigma)


def _series(row: Row, paths: dict[date, Path], shape: tuple[int, int]) -> Series:
    """The images on the grid of the first, or, where they name none, on one about x and y."""
    read = {path: _colours(path) for path in paths.values()}
    for path, (dn, _) in read.items():
        if any(abs(n - wanted) > SLACK for n, wanted in zip(dn.shape[1:], shape, strict=True)):
            found, wanted = (f"{each[0]} × {each[1]}" for each in (dn.shape[1:], shape))
            raise InputError(f"{path} is {found} pixels; wanted about {wanted}, a fourth of SPOT-6")
    first = next(iter(read.values()))[1]
    named = all(usable(grid) and grid.crs == first.crs for _, grid in read.values())
    ground = first[: shape[0], : shape[1]].expand(shape) if named else _about(row, shape)
    laid = [_laid(ground, dn, grid if named else None) for dn, grid in read.values()]
    how = "of the images" if named else "about the middle that the table states"
    return Series(
        images=np.stack([image for image, _ in laid]),
        clear=np.stack([clear for _, clear in laid]),
        dates=tuple(paths),
        bands=BREIZHSR_BANDS,
        grid=ground,
        sources=tuple(map(str, paths.values())),
        history=(f"The ground is that {how}.",),
    )


def _about(row: Row, shape: tuple[int, int]) -> GeoBox:
    rows, cols = shape
    west, north = row.x - 5 * cols, row.y + 5 * rows
    return GeoBox(shape, rasterio.Affine(10, 0, west, 0, -10, north), "EPSG:2154")


def _laid(ground: GeoBox, dn: Raw, grid: GeoBox | None) -> tuple[Floats, Booleans]:
    """Reflectance [3, H, W] and where it is known, of numbers that lie here or begin alike."""
    seen = where_seen(dn, NODATA)
    image = np.where(seen, dn / np.float32(10_000), 0).astype(np.float32)
    if grid is not None and not aligned(grid, ground):
        image, _, clear = onto(ground, image, seen, seen, grid, scale_between(grid, ground))
        return image, clear
    left, top = (0, 0) if grid is None else (round(n) for n in place(grid, ground))
    both = np.concatenate([image, seen[None]])
    there = np.zeros((len(both), *ground.shape), np.float32)
    rows, cols = (
        slice(max(0, start), max(0, min(whole, start + own)))
        for start, own, whole in zip((top, left), dn.shape[1:], ground.shape, strict=True)
    )
    there[:, rows, cols] = both[
        :, rows.start - top : rows.stop - top, cols.start - left : cols.stop - left
    ]
    return there[:-1], there[-1] > 0


def _colours(path: Path) -> tuple[Raw, GeoBox]:
    """[3, H, W] blue, green and red as they are stored, and the grid that the file states."""
    with opened(path) as file:
        if file.count != 3:
            raise InputError(f"{path} has {file.count} bands; wanted red, green and blue")
        return file.read()[::-1], grid_of(file)
