"""One image a GeoTIFF: written as it is, read on the grid and in the bands that are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from sitsr.scenes.names import band_name
from sitsr.series import Booleans, Floats, InputError

APART = 1e-3
"""Pixels by which the corners of two grids may differ and still be the same."""


def read_image(path: Path, grid: GeoBox, bands: Sequence[str], *, display: bool = False) -> Floats:
    """[C, H, W] reflectance of a GeoTIFF on this grid; NaN where nodata.

    Bands are found by their descriptions; where there are none, their number must be right.
    Integers count by the file's own scale and offset, else by 1e-4; 8 bits as 0 to 1 where display
    values will do, and are refused otherwise. InputError where the file cannot be read, lies
    elsewhere or lacks a band.
    """
    with opened(path) as file:
        check_ground(path, grid_of(file), grid)
        numbers = _numbers(path, file, bands)
        values, nodata = file.read(numbers), file.nodata
        scale, offset = (
            np.array([stated[n - 1] for n in numbers])[:, None, None]
            for stated in (file.scales, file.offsets)
        )
    unknown = ~np.isfinite(values) if nodata is None else ~np.isfinite(values) | (values == nodata)
    stated = (scale != 1).any() or offset.any()
    if stated or np.issubdtype(values.dtype, np.integer):
        values = values * (scale if stated else _quantum(path, values.dtype, display)) + offset
    return np.where(unknown, np.float32(np.nan), values.astype(np.float32))


def _quantum(path: Path, kind: np.dtype[Any], display: bool) -> float:
    if kind.itemsize > 1:
        return 1e-4
    if not display:
        raise InputError(
            f"{path.name} holds 8-bit values, a picture; wanted reflectance, 0 to 1 as float or "
            "times 10000 as integers"
        )
    return 1 / 255


def write_image(path: Path, image: npt.NDArray[Any], grid: GeoBox, bands: Sequence[str]) -> None:
    """Write [C, H, W] as it is, losslessly compressed, with the bands' names."""
    count, height, width = image.shape
    profile = {"count": count, "height": height, "width": width, "dtype": image.dtype}
    predictor = 3 if np.issubdtype(image.dtype, np.floating) else 1
    place = {"crs": str(grid.crs), "transform": grid.transform}
    packed = {"compress": "deflate", "predictor": predictor}
    with rasterio.open(path, "w", driver="GTiff", **profile, **place, **packed) as file:
        file.write(image)
        file.descriptions = tuple(bands)


def read_mask(path: Path, grid: GeoBox) -> Booleans:
    """[H, W] True where the first band of a GeoTIFF on this grid is above 0."""
    with opened(path) as file:
        check_ground(path, grid_of(file), grid)
        return np.asarray(file.read(1) > 0)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file open to be read; what is wrong with it is said in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                yield file
    except RasterioIOError as error:
        raise InputError(f"{path} cannot be read ({error}); get it again") from error


def grid_of(file: Any) -> GeoBox:
    """The grid of an open file."""
    return GeoBox((file.height, file.width), file.transform, file.crs)


def check_ground(path: Path, grid: GeoBox, wanted: GeoBox) -> None:
    """Refuse a file on another grid than is wanted, by a thousandth of a pixel or more."""
    rows, cols = wanted.shape
    if grid.crs != wanted.crs:
        fault = f"{path.name} lies in {_crs_name(grid)}, wanted {_crs_name(wanted)}"
    elif grid.shape != wanted.shape:
        fault = f"{path.name} is {grid.shape[0]} × {grid.shape[1]} pixels, wanted {rows} × {cols}"
    else:
        corners = [(0, 0), (cols, 0), (0, rows), (cols, rows)]
        moved = [~wanted.transform * (grid.transform * corner) for corner in corners]
        apart = float(np.abs(np.subtract(moved, corners)).max())
        if apart <= APART:
            return
        fault = f"{path.name} lies {apart:.3g} pixels off"
    raise InputError(f"mismatched grids: {fault}; warp it to the series' own ground and CRS")


def _crs_name(grid: GeoBox) -> str:
    if grid.crs is None:
        return "no coordinate system"
    return f"EPSG:{grid.crs.epsg}" if grid.crs.epsg else str(grid.crs)


def _numbers(path: Path, file: Any, bands: Sequence[str]) -> list[int]:
    """For each band its number in the file, from 1."""
    described = [text if text in bands else band_name(text or "") for text in file.descriptions]
    if not any(described):
        if file.count == len(bands):
            return list(range(1, file.count + 1))
        raise InputError(
            f"{path.name} has {file.count} bands without names, wanted {', '.join(bands)}; "
            "name them"
        )
    if missing := [band for band in bands if band not in described]:
        raise InputError(f"{path.name} describes no band as {', '.join(missing)}; add it")
    return [described.index(band) + 1 for band in bands]
