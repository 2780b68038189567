"""Sen2Venµs: Sentinel-2 with VENµS at 5 m, of the same day and ground, at 29 sites of the world.

The first version keeps all patches of a date in one tensor (int16, reflectance times 10000):

    SITE/index.csv                                TAB; vns_site, date, nb_patches and, for each
                                                  tensor, a column tensor_10m_b2b3b4b8 and so on
    SITE/SITE_TILE_DATE_10m_b2b3b4b8.pt           [N, 4, 128, 128]
    SITE/SITE_TILE_DATE_05m_b2b3b4b8.pt           [N, 4, 256, 256]
    SITE/SITE_TILE_DATE_20m_b5b6b7b8a.pt          [N, 4, 64, 64], and its 05m
    SITE/SITE_TILE_DATE_patches.gpkg              where the N patches lie

the second has a GeoTIFF a patch, in archives that are read as they are:

    SITE/index.csv                                TAB, a row a patch; b2b3b4b8_10m, b2b3b4b8_05m,
                                                  b5b6b7b8a_20m, b5b6b7b8a_05m: paths such as
        SITE_DATE_TILE_b2b3b4b8_10m.zip/b2b3b4b8/10m/SITE_NUMBER_DATE_TILE_b2b3b4b8_10m.tif

Michel et al. 2022, "SEN2VENµS, a dataset for the training of Sentinel-2 super-resolution
algorithms" (doi 10.3390/data7070096). Its makers registered VENµS to Sentinel-2 and fitted its
reflectance, so nothing is done to it here. No splits are named: split by sites.
"""

from __future__ import annotations

import csv
import pickle
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import torch
from odc.geo.geobox import GeoBox

from sitsr.datasets.pairs import PUBLISHED, Pair, Source
from sitsr.datasets.places import made_up_grid, within
from sitsr.datasets.rasters import grid_of, opened
from sitsr.scenes.names import find_date
from sitsr.scenes.plan import usable
from sitsr.series import InputError, Series

NODATA = -10_000

FINE = 5
"""Metres of a pixel of VENµS, as published."""

MOST = 100_000
"""Patches that a tensor may hold; all sites together have 132 955."""

SIGMA = 0.5
"""Point-spread function of Sentinel-2 in pixels of 10 m and of 20 m alike: its bands were asked to
pass 0.15 to 0.30 at Nyquist, and this is 0.29. The data set states none."""

Raw = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Group:
    """Bands that come together."""

    side: int
    """Metres of a pixel of Sentinel-2."""
    name: str
    bands: tuple[str, ...]


GROUPS = {
    10: _Group(10, "b2b3b4b8", ("B02", "B03", "B04", "B08")),
    20: _Group(20, "b5b6b7b8a", ("B05", "B06", "B07", "B8A")),
}


@dataclass(frozen=True, slots=True)
class _Patch:
    """Where one patch is stored."""

    site: str
    name: str
    day: date
    coarse: Path
    fine: Path
    place: int | None = None
    """Among those of its tensor; None in the second version."""
    of: int = 1
    """Patches in its tensor."""


def is_sen2venus(folder: Path) -> bool:
    """Whether a folder holds sites of the data set, or is one."""
    return any("b2b3b4b8" in _head(path) for path in _indexes(folder))


def read_sen2venus(folder: Path, split: str | None = None, *, resolution: int = 10) -> list[Source]:
    """All patches of the sites in a folder, of either version; only the indexes are read now.

    resolution  10 for B02, B03, B04, B08 from 10 m to 5 m, 20 for B05, B06, B07, B8A from 20 m
                to 5 m

    InputError where there are no sites, and for any split, for none is named.
    """
    group = GROUPS.get(resolution)
    if group is None:
        raise InputError(f"resolution is {resolution}; Sen2Venµs has bands of 10 m and of 20 m")
    if split is not None:
        raise InputError(
            f"Sen2Venµs names no splits, so none is called {split}; split it by sites "
            "(docs/datasets/sen2venus.md)"
        )
    if not is_sen2venus(folder):
        raise InputError(
            f"{folder} is not Sen2Venµs: it should hold folders SITE with an index.csv; "
            "unpack its archives"
        )
    patches = [patch for path in _indexes(folder) for patch in _patches(path, group)]
    if not patches:
        raise InputError(f"{folder} has indexes without rows; get them again")
    return [
        Source(PUBLISHED, patch.site, patch.name, partial(_pair, patch, number, group))
        for number, patch in enumerate(patches)
    ]


# ------------------------------------------------------------- indexes


def _indexes(folder: Path) -> list[Path]:
    return sorted((*folder.glob("index.csv"), *folder.glob("*/index.csv")))


def _head(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(2000)
    except (OSError, UnicodeDecodeError):
        return ""


def _patches(index: Path, group: _Group) -> Iterator[_Patch]:
    try:
        with index.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{index} cannot be read ({error}); get it again") from error
    for row in rows:
        if "nb_patches" in row:
            yield from _of_tensors(index, row, group)
        else:
            yield _of_files(index, row, group)


def _of_tensors(index: Path, row: dict[str, str], group: _Group) -> Iterator[_Patch]:
    """A row of the first version: the patches of one date."""
    coarse, fine = (
        _told(index, row, f"tensor_{side:02d}m_{group.name}") for side in (group.side, FINE)
    )
    site, count = _told(index, row, "vns_site"), _told(index, row, "nb_patches")
    if not count.isdecimal() or int(count) > MOST:
        raise InputError(f'{index} has the nb_patches "{count}"; wanted a number up to {MOST}')
    day = _date(index, _told(index, row, "date"))
    stem = Path(coarse).stem.removesuffix(f"_{group.side:02d}m_{group.name}")
    paths = within(index.parent, coarse), within(index.parent, fine)
    for place in range(int(count)):
        yield _Patch(site, f"{stem} {place}", day, *paths, place, int(count))


def _of_files(index: Path, row: dict[str, str], group: _Group) -> _Patch:
    """A row of the second version: one patch."""
    coarse, fine = (_told(index, row, f"{group.name}_{side:02d}m") for side in (group.side, FINE))
    paths = within(index.parent, coarse), within(index.parent, fine)
    name = paths[0].stem.removesuffix(f"_{group.name}_{group.side:02d}m")
    return _Patch(index.parent.resolve().name, name, _date(index, name), *paths)


def _told(index: Path, row: dict[str, str], column: str) -> str:
    if not (value := row.get(column)):
        raise InputError(f"{index} has a row without {column}; get the index again")
    return value


def _date(index: Path, text: str) -> date:
    if day := find_date(text):
        return day
    raise InputError(f'{index} says of a patch no more than "{text}", which names no date')


# ------------------------------------------------------------- pixels


def _pair(patch: _Patch, number: int, group: _Group) -> Pair:
    if patch.place is None:
        (dn, stated), (fine, _) = _file(patch.coarse), _file(patch.fine)
        grid = stated if usable(stated) else None
    else:
        dn, fine = (_of_tensor(path, patch) for path in (patch.coarse, patch.fine))
        grid = _mapped(patch, group, dn.shape[1:])
    scale = group.side // FINE
    if len(dn) != len(group.bands) or fine.shape != (len(dn), *(scale * n for n in dn.shape[1:])):
        raise InputError(
            f"{patch.fine} is {_size(fine)}, {patch.coarse.name} {_size(dn)}; wanted "
            f"{len(group.bands)} bands, and {scale} times the rows and columns: get them again"
        )
    series = Series(
        images=_reflectance(dn)[None],
        clear=_seen(dn)[None],
        dates=(patch.day,),
        bands=group.bands,
        grid=grid or made_up_grid(dn.shape[1:], group.side, number),
        sources=(f"{patch.coarse} {patch.place or 0}",),
        history=() if grid else ("The ground is made up: the files do not say where it lies.",),
    )
    task = (series, patch.day, scale, patch.site, patch.name, PUBLISHED)
    return Pair(*task, _reflectance(fine), _seen(fine), (SIGMA,) * len(group.bands))


def _reflectance(dn: Raw) -> Raw:
    return np.where(dn == NODATA, 0, dn / np.float32(10_000)).astype(np.float32)


def _seen(dn: Raw) -> Raw:
    return np.asarray((dn != NODATA).all(0))


def _size(image: Raw) -> str:
    return " × ".join(map(str, image.shape))


def _file(path: Path) -> tuple[Raw, GeoBox]:
    """[C, H, W] and the grid of a GeoTIFF, which may lie in an archive."""
    archive = next((each for each in path.parents if each.suffix == ".zip"), None)
    if archive is not None and archive.is_file():
        # GDAL's own spelling; the braces say where the archive's path ends.
        path = Path(f"/vsizip/{{{archive.absolute()}}}/{path.relative_to(archive)}")
    with opened(path) as file:
        return file.read(), grid_of(file)


def _of_tensor(path: Path, patch: _Patch) -> Raw:
    """[C, H, W] of the patch."""
    tensor = _tensor(path, _stamp(path))
    if tensor.ndim != 4 or len(tensor) != patch.of or tensor.is_floating_point():
        raise InputError(
            f"{path} is {tensor.dtype} {list(tensor.shape)}; its index says that it holds "
            f"{patch.of} patches of whole numbers: get it again"
        )
    return np.asarray(tensor[patch.place].numpy())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except OSError as error:
        raise InputError(f"{path} is not there; unpack the archive of its site again") from error
    return told.st_size, told.st_mtime_ns


@lru_cache(maxsize=2)  # a date's two tensors: the patches after one another are of one date
def _tensor(path: Path, stamp: tuple[int, int]) -> torch.Tensor:
    """What a file holds that ``torch.save`` wrote; left on disk where its form lets us."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} is refused: it holds more than a tensor; get it again") from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} holds no tensor ({told}); get it again") from error
    if not isinstance(found, torch.Tensor):
        raise InputError(f"{path} holds a {type(found).__name__}; wanted a tensor")
    return found


def _mapped(patch: _Patch, group: _Group, shape: tuple[int, int]) -> GeoBox | None:
    """The grid of a patch by the GeoPackage beside its tensor; None where that does not tell.

    Its rectangles are in the order of the patches. One of another size than the patch is no grid.
    """
    stem = patch.coarse.name.removesuffix(f"_{group.side:02d}m_{group.name}.pt")
    path = patch.coarse.with_name(f"{stem}_patches.gpkg")
    try:
        west, east, south, north, epsg = _rectangle(path, patch.place or 0)
    except (sqlite3.Error, struct.error, TypeError, ValueError):
        return None
    rows, cols = shape
    off = max(abs((east - west) / group.side - cols), abs((north - south) / group.side - rows))
    if off > 0.01:
        return None
    transform = rasterio.Affine(group.side, 0, west, 0, -group.side, north)
    grid = GeoBox(shape, transform, f"EPSG:{epsg}")
    return grid if usable(grid) else None


def _rectangle(path: Path, number: int) -> tuple[float, float, float, float, int]:
    """West, east, south, north and EPSG code of a feature (OGC GeoPackage 1.3, clause 2.1.3)."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        table, column = database.execute(
            "SELECT table_name, column_name FROM gpkg_geometry_columns"
        ).fetchone()
        quoted = (str(name).replace('"', '""') for name in (column, table))
        (blob,) = database.execute(
            'SELECT "{}" FROM "{}" ORDER BY rowid LIMIT 1 OFFSET ?'.format(*quoted), (number,)
        ).fetchone()
        magic, _, flags, reference = struct.unpack_from("<2sBBi", blob)
        little, envelope = flags & 1, flags >> 1 & 0b111
        if magic != b"GP" or not little or not envelope:
            raise ValueError("no envelope")
        (epsg,) = database.execute(
            "SELECT organization_coordsys_id FROM gpkg_spatial_ref_sys "
            "WHERE srs_id = ? AND lower(organization) = 'epsg'",
            (reference,),
        ).fetchone()
    finally:
        database.close()
    west, east, south, north = struct.unpack_from("<4d", blob, 8)
    return west, east, south, north, int(epsg)
