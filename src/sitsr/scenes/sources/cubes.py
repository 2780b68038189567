"""A cube in memory, or lazily loaded, as a source of frames: xarray's Dataset or DataArray.

Axes     time, y, x, and band in an array; or t, timestamp, latitude, lat, longitude, lon, bands and
         variable, as openEO, xcube, odc-stac and stackstac call them
Bands    variables of a Dataset, or the coordinate of band
Place    x and y are the middles of pixels. In arrays of stackstac they are their upper left corners
         unless asked for otherwise: the attribute transform tells, or the coordinate epsg with
         places on whole pixels
CRS      the variable that grid_mapping names, spatial_ref or crs (as WKT), the coordinates epsg,
         proj:epsg and proj:code, the attribute crs; longitude and latitude without any is WGS 84
Units    scale_factor and add_offset, else the baseline: the attribute processing_baseline, or a
         coordinate of time such as s2:processing_baseline (none where boa_offset_applied is true)
Nodata   _FillValue, missing_value or nodata; NaN always
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.names import L1C, band_name, offset_of_baseline
from sitsr.scenes.units import Raw
from sitsr.series import InputError
from sitsr.tiles import Tile

Cube = xr.Dataset | xr.DataArray

MASKS = {"clear": "clear", "SCL": "SCL", "scl": "SCL", "CLM": "CLM", "CLP": "probability"}
"""Variables that tell clear sky, and what kind of mask they are."""
AXES = {
    **{"t": "time", "timestamp": "time"},
    **{"latitude": "y", "lat": "y", "longitude": "x", "lon": "x"},
    **{"bands": "band", "variable": "band"},
}
"""Other names of the axes."""
GRID_MAPPINGS = ("spatial_ref", "crs")
"""Variables that hold the coordinate system, where no grid_mapping names one."""
CODES = ("epsg", "proj:epsg", "proj:code")
"""Coordinates that hold its code."""
BASELINES = ("s2:processing_baseline", "processing:version", "processing_baseline")
APPLIED = ("earthsearch:boa_offset_applied", "boa_offset_applied")
"""Coordinates of time that tell the offset."""
CLOUD = "eo:cloud_cover"


def open_cube(path: Path) -> xr.Dataset:
    """A Zarr folder or netCDF file, lazily, with its numbers as they are stored."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that are not gathered in one place
            cube = xr.open_dataset(
                path,
                engine="zarr" if path.is_dir() else None,
                chunks=None,
                mask_and_scale=False,
                decode_coords="all",
            )
    except Exception as broken:  # each engine fails in its own way
        why = str(broken).strip().partition("\n")[0][:200]
        raise InputError(
            f"{path.name} cannot be opened as a cube ({type(broken).__name__}: {why}); "
            "get or write it again"
        ) from broken
    data = cube[sorted(cube.data_vars, key=_order)]  # Zarr keeps no order
    data.encoding["source"] = str(path)
    return data


def _order(name: Hashable) -> tuple[int, str]:
    """Sentinel-2's bands in their order, then the rest."""
    band = band_name(str(name))
    return L1C.index(band) if band in L1C else len(L1C), str(name)


def parse_cube(cube: Cube, *, assume_crs: Any = None) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of a cube, one for each time, and what was assumed."""
    data = _as_dataset(cube)
    origin = cube.encoding.get("source", "cube")
    names = _band_variables(data)
    grid, notes = _grid(data, assume_crs)
    attributes = data[names[0]].attrs
    nodata = next(
        (attributes[k] for k in ("_FillValue", "missing_value", "nodata") if k in attributes), None
    )
    quantum, shift = _stated(attributes)
    mask = next((str(name) for name in data.data_vars if name in MASKS), None)
    shares = _of_time(data, (CLOUD,))
    days = _days(data)
    offsets = [shift] * len(days) if shift is not None else _offsets(data)
    frames = tuple(
        Frame(
            source=f"{origin} {day}",
            date=day,
            bands=tuple(str(band_name(name)) for name in names),
            indexes=(i,) * len(names),
            grid=grid,
            nodata=None if nodata is None else float(nodata),
            quantum=quantum,
            offset=offsets[i],
            cover=None if mask is None else Cover(mask, MASKS[mask], i),
            cloud=_share(shares[i]),
        )
        for i, day in enumerate(days)
    )
    return frames, (*notes, f"bands read as {', '.join(frames[0].bands)}")


class CubePixels:
    """The pixels of a cube's frames, loaded window by window.

    scheduler  what loads them where Dask does; None is the usual one. Within a task of Dask it
               must be "synchronous", for there tasks must not wait for other tasks
    """

    def __init__(self, cube: Cube, scheduler: str | None = None) -> None:
        self._data = _as_dataset(cube).reset_coords(drop=True)
        self._bands = {str(band_name(name)): name for name in _band_variables(self._data)}
        self._how = {} if scheduler is None else {"scheduler": scheduler}

    def image(self, frame: Frame, window: Tile) -> Raw:
        """[C, h, w] digital numbers of a window of the frame's grid."""
        names = [self._bands[band] for band in frame.bands]
        part = self._part(names, frame.indexes[0], window)
        return np.stack([part[name].to_numpy() for name in names])

    def layer(self, cover: Cover, frame: Frame, window: Tile) -> Raw:
        """[h, w] values of its mask there."""
        return self._part([cover.file], cover.index, window)[cover.file].to_numpy()

    def _part(self, names: list[str], time: int, window: Tile) -> xr.Dataset:
        """Variables (y, x) at once: Dask loads a chunk that holds several bands once."""
        rows, cols = window.window()
        part = self._data[names].isel(time=time, y=rows, x=cols)
        return part.compute(**self._how).transpose("y", "x")


def _as_dataset(cube: Cube) -> xr.Dataset:
    """Variables (time, y, x), north up, whatever the axes were called and however bands lay."""
    if not isinstance(cube, (xr.Dataset, xr.DataArray)):
        raise InputError(
            f"got a {type(cube).__name__}; wanted a path, an xarray Dataset or DataArray"
        )
    if {"longitude", "lon"} & set(cube.dims):
        cube = cube.assign_attrs({"crs": "EPSG:4326", **cube.attrs})
    cube = cube.rename({other: axis for other, axis in AXES.items() if other in cube.dims})
    if isinstance(cube, xr.Dataset):
        stacks = [name for name, layer in cube.data_vars.items() if "band" in layer.dims]
        data = cube if len(stacks) != 1 else _split(cube[stacks[0]]).assign_attrs(cube.attrs)
    else:
        data = _split(cube)
    if "time" in data.coords and "time" not in data.dims:
        data = data.expand_dims("time")
    missing = [axis for axis in ("time", "y", "x") if axis not in data.dims]
    if missing:
        raise InputError(
            f"the cube has the dimensions {', '.join(map(str, data.dims))} but not "
            f"{', '.join(missing)}; rename them"
        )
    return data.sortby("y", ascending=False).sortby("x") if {"x", "y"} <= set(data.coords) else data


def _split(array: xr.DataArray) -> xr.Dataset:
    """A variable for each band, each with the attributes of the whole."""
    if "band" not in array.dims or "band" not in array.coords:
        raise InputError(
            f"the array has the dimensions {', '.join(map(str, array.dims))}; wanted time, "
            "band, y, x, and the bands' names as the coordinate of band"
        )
    of_bands = [
        name for name, each in array.coords.items() if "band" in each.dims and name != "band"
    ]
    data = array.drop_vars(of_bands).to_dataset("band").assign_attrs(array.attrs)
    for layer in data.data_vars.values():
        layer.attrs.update(array.attrs)
    return data


def _band_variables(data: xr.Dataset) -> list[str]:
    names = [
        str(name)
        for name, layer in data.data_vars.items()
        if set(layer.dims) == {"time", "y", "x"} and (band_name(str(name)) or "SCL") != "SCL"
    ]
    if not names:
        held = ", ".join(map(str, data.data_vars)) or "nothing"
        raise InputError(f"the cube holds {held}; wanted Sentinel-2's bands, such as B02")
    return names


def _stated(attributes: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Quantum and offset by the CF conventions, not yet applied."""
    quantum = attributes.get("scale_factor")
    shift = float(attributes.get("add_offset", 0.0)) / float(quantum or 1.0)
    return None if quantum is None else float(quantum), round(shift, 3) if shift else None


def _offsets(data: xr.Dataset) -> list[float | None]:
    """What flags and baselines tell of each time."""
    applied, baselines = _of_time(data, APPLIED), _of_time(data, BASELINES)
    whole = str(data.attrs.get("processing_baseline", ""))
    return [
        0.0 if str(done).lower() in ("true", "1") else offset_of_baseline(str(baseline or whole))
        for done, baseline in zip(applied, baselines, strict=True)
    ]


def _of_time(data: xr.Dataset, names: tuple[str, ...]) -> list[Any]:
    """For each time the value of the first of these coordinates; None without any."""
    for name in names:
        if name in data.coords and data.coords[name].dims in (("time",), ()):
            return list(np.broadcast_to(data.coords[name].to_numpy(), data.sizes["time"]).tolist())
    return [None] * data.sizes["time"]


def _share(percent: Any) -> float | None:
    try:
        return float(percent) / 100
    except (TypeError, ValueError):
        return None


def _days(data: xr.Dataset) -> list[date]:
    times = data["time"].to_numpy()
    if not np.issubdtype(times.dtype, np.datetime64):
        raise InputError(f"the cube's time is {times.dtype}; wanted dates (datetime64)")
    return [date.fromisoformat(str(day)) for day in times.astype("datetime64[D]")]


def _grid(data: xr.Dataset, assume_crs: Any) -> tuple[GeoBox, tuple[str, ...]]:
    crs = _crs(data) or assume_crs
    if not crs:
        raise InputError(
            "the cube states no coordinate system; give it one as the attribute crs_wkt of the "
            "coordinate spatial_ref, or say which to assume (assume_crs)"
        )
    (west, across), (north, down) = _first_and_step(data, "x"), _first_and_step(data, "y")
    corners = _at_corners(data, west, across)
    if not corners:
        west, north = west - across / 2, north - down / 2
    shape = (data.sizes["y"], data.sizes["x"])
    note = "x and y taken as the upper left corners of pixels, as stackstac writes them"
    return GeoBox(shape, Affine(across, 0, west, 0, down, north), crs), (note,) * corners


def _crs(data: xr.Dataset) -> Any:
    """As written by odc-geo, rioxarray, stackstac and the CF conventions, else None."""
    named = [
        str(layer.attrs.get("grid_mapping") or layer.encoding.get("grid_mapping"))
        for layer in data.data_vars.values()
    ]
    mappings = [data.variables[name] for name in (*named, *GRID_MAPPINGS) if name in data.variables]
    for attributes in (*(mapping.attrs for mapping in mappings), data.attrs):
        for key in ("crs_wkt", "spatial_ref", "crs"):
            if attributes.get(key):
                return attributes[key]
    for name in CODES:
        if name in data.coords:
            codes = {str(code) for code in np.ravel(data.coords[name].to_numpy()).tolist()}
            if len(codes) == 1:
                code = codes.pop().removesuffix(".0")
                return f"EPSG:{code}" if code.isdecimal() else code
    return None


def _at_corners(data: xr.Dataset, first: float, step: float) -> bool:
    """Whether x and y are the upper left corners of pixels, not their middles."""
    transform = data.attrs.get("transform")
    if transform is None:
        return "epsg" in data.coords and _whole(first / step)
    try:
        return _whole((first - float(tuple(transform)[2])) / step)
    except (TypeError, ValueError, IndexError):
        return False


def _whole(pixels: float) -> bool:
    return abs(pixels - round(pixels)) < 0.01


def _first_and_step(data: xr.Dataset, axis: str) -> tuple[float, float]:
    """The first place along x or y, and how far it is to the next."""
    places = data[axis].to_numpy().astype(float) if axis in data.coords else np.empty(0)
    steps = np.diff(places)
    if not len(steps) or np.ptp(steps) > 0.01 * abs(steps[0]):
        raise InputError(
            f"the cube's {axis} does not go in equal steps; give the middles of its pixels, two "
            "or more"
        )
    step = float((places[-1] - places[0]) / len(steps))
    return float(places[0]), step
