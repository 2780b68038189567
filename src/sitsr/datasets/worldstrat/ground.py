"""Where WorldStrat's rasters lie, and opening them without trust.

The low-resolution rasters are cut along meridians and parallels: their pixels are not square and
their sizes vary. The high-resolution ones name a coordinate system but no place in it, so theirs is
rebuilt from the bounds of the tile, which they fill.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.warp import transform, transform_bounds

from sitsr.datasets.rasters import grid_of, opened
from sitsr.datasets.worldstrat.tables import Bounds
from sitsr.scenes.plan import PIXEL
from sitsr.series import InputError

WGS84 = "EPSG:4326"

LONGEST = 4096
"""Pixels that a side of a raster or of a grid may have; the largest published have about 1060."""


@contextmanager
def opened_raster(path: Path) -> Iterator[Any]:
    """A raster open to be read; refused, unread, where it claims to be larger than LONGEST."""
    with opened(path) as file:
        _check_size(path.name, file.height, file.width)
        yield file


def place_of(file: Any, bounds: Bounds) -> GeoBox:
    """The grid of an open raster; the tile's bounds divided by its size where it states none."""
    if not file.transform.is_identity and file.crs is not None:
        return grid_of(file)
    crs = str(file.crs) if file.crs is not None else WGS84
    west, south, east, north = transform_bounds(WGS84, crs, *bounds)
    across, down = (east - west) / file.width, (north - south) / file.height
    return GeoBox((file.height, file.width), Affine(across, 0, west, 0, -down, north), crs)


def utm_grid(bounds: Bounds) -> GeoBox:
    """The pixels of 10 m of the tile's UTM zone, on multiples of 10 m, that lie within its bounds.

    Where meridians lean, the tile does, and up to a twentieth of a side is left out so that every
    pixel was seen. InputError where nothing is left or the bounds are those of no tile.
    """
    west, south, east, north = bounds
    zone = _utm_zone((west + east) / 2, (south + north) / 2)
    xs, ys = transform(WGS84, zone, [west, east, east, west], [north, north, south, south])
    left, right = math.ceil(max(xs[0], xs[3]) / PIXEL), math.floor(min(xs[1], xs[2]) / PIXEL)
    bottom, top = math.ceil(max(ys[2], ys[3]) / PIXEL), math.floor(min(ys[0], ys[1]) / PIXEL)
    rows, cols = top - bottom, right - left
    if min(rows, cols) < 1:
        raise InputError(f"bounds {bounds} hold no pixel of 10 m; wanted west, south, east, north")
    _check_size(f"the tile within {bounds}", rows, cols)
    return GeoBox((rows, cols), Affine(PIXEL, 0, PIXEL * left, 0, -PIXEL, PIXEL * top), zone)


def _utm_zone(lon: float, lat: float) -> str:
    # odc-geo's CRS.utm asks a database, which takes longer than to read a tile.
    number = min(int((lon + 180) // 6) + 1, 60)
    return f"EPSG:{(32600 if lat >= 0 else 32700) + number}"


def _check_size(name: str, rows: int, cols: int) -> None:
    if max(rows, cols) > LONGEST:
        raise InputError(
            f"{name} claims {rows} × {cols} pixels; wanted {LONGEST} a side at most: "
            "it is broken or worse, get it again"
        )
