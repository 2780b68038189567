"""A cube in memory, or lazily loaded, as a source of frames: xarray's Dataset or DataArray."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.names import band_name, offset_of_baseline
from sitsr.scenes.units import Raw
from sitsr.series import InputError
from sitsr.tiles import Tile

Cube = xr.Dataset | xr.DataArray

MASKS = {"clear": "clear", "SCL": "SCL", "scl": "SCL"}
"""Variables that tell clear sky, and what kind of mask they are."""
AXES = {"timestamp": "time", "latitude": "y", "lat": "y", "longitude": "x", "lon": "x"}
"""Other names of the axes."""
GRID_MAPPINGS = ("spatial_ref", "crs")
"""Variables that hold the coordinate system."""


def parse_cube(cube: Cube, *, assume_crs: Any = None) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of a cube, one for each time, and what was assumed."""
    data = _as_dataset(cube)
    names = _band_variables(data)
    grid = _grid(data, assume_crs)
    attributes = data[names[0]].attrs
    nodata = attributes.get("_FillValue", attributes.get("nodata"))
    quantum, offset = _units(data, attributes)
    mask = next((str(name) for name in data.data_vars if name in MASKS), None)
    frames = tuple(
        Frame(
            source=f"cube {day}",
            date=day,
            bands=tuple(str(band_name(name)) for name in names),
            indexes=(i,) * len(names),
            grid=grid,
            nodata=None if nodata is None else float(nodata),
            quantum=quantum,
            offset=offset,
            cover=None if mask is None else Cover(mask, MASKS[mask], i),
        )
        for i, day in enumerate(_days(data))
    )
    return frames, (f"bands read as {', '.join(frames[0].bands)}",)


class CubePixels:
    """The pixels of a cube's frames, loaded window by window."""

    def __init__(self, cube: Cube) -> None:
        self._data = _as_dataset(cube)
        self._bands = {str(band_name(name)): name for name in _band_variables(self._data)}

    def image(self, frame: Frame, window: Tile) -> Raw:
        """[C, h, w] digital numbers of a window of the frame's grid."""
        return np.stack(
            [
                self._part(self._bands[band], index, window)
                for band, index in zip(frame.bands, frame.indexes, strict=True)
            ]
        )

    def layer(self, cover: Cover, frame: Frame, window: Tile) -> Raw:
        """[h, w] values of its mask there."""
        return self._part(cover.file, cover.index, window)

    def _part(self, name: str, time: int, window: Tile) -> Raw:
        rows, cols = window.window()
        layer = self._data[name].isel(time=time, y=rows, x=cols)
        return layer.transpose("y", "x").to_numpy()


def _as_dataset(cube: Cube) -> xr.Dataset:
    if isinstance(cube, xr.DataArray):
        if "band" not in cube.dims or "band" not in cube.coords:
            raise InputError(
                f"the array has the dimensions {', '.join(map(str, cube.dims))}; wanted time, "
                "band, y, x, and the bands' names as the coordinate of band"
            )
        attributes = cube.attrs
        cube = cube.to_dataset("band").assign_attrs(attributes)
    if not isinstance(cube, xr.Dataset):
        raise InputError(
            f"got a {type(cube).__name__}; wanted a folder, an xarray Dataset or DataArray"
        )
    cube = cube.rename({long: axis for long, axis in AXES.items() if long in cube.dims})
    missing = [axis for axis in ("time", "y", "x") if axis not in cube.dims]
    if missing:
        raise InputError(
            f"the cube has the dimensions {', '.join(map(str, cube.dims))} but not "
            f"{', '.join(missing)}; rename them"
        )
    return cube.sortby("y", ascending=False).sortby("x") if {"x", "y"} <= set(cube.coords) else cube


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


def _units(data: xr.Dataset, attributes: dict[str, Any]) -> tuple[float | None, float | None]:
    """Quantum and offset where the cube states them (CF conventions, not yet applied)."""
    quantum = attributes.get("scale_factor")
    if attributes.get("add_offset"):
        return quantum, round(float(attributes["add_offset"]) / (quantum or 1.0), 3)
    return quantum, offset_of_baseline(str(data.attrs.get("processing_baseline", "")))


def _days(data: xr.Dataset) -> list[date]:
    times = data["time"].to_numpy()
    if not np.issubdtype(times.dtype, np.datetime64):
        raise InputError(f"the cube's time is {times.dtype}; wanted dates (datetime64)")
    return [date.fromisoformat(str(day)) for day in times.astype("datetime64[D]")]


def _grid(data: xr.Dataset, assume_crs: Any) -> GeoBox:
    crs = _crs(data) or assume_crs
    if not crs:
        raise InputError(
            "the cube states no coordinate system; give it one as the attribute crs_wkt of the "
            "coordinate spatial_ref, or say which to assume (assume_crs)"
        )
    (west, across), (north, down) = _edge_and_step(data, "x"), _edge_and_step(data, "y")
    shape = (data.sizes["y"], data.sizes["x"])
    return GeoBox(shape, Affine(across, 0, west, 0, down, north), crs)


def _crs(data: xr.Dataset) -> Any:
    """As written by odc-geo, rioxarray and the CF conventions, else None."""
    holders = [layer.attrs for name, layer in data.variables.items() if name in GRID_MAPPINGS]
    for attributes in (*holders, data.attrs):
        for key in ("crs_wkt", "spatial_ref", "crs"):
            if attributes.get(key):
                return attributes[key]
    return None


def _edge_and_step(data: xr.Dataset, axis: str) -> tuple[float, float]:
    """Where the first pixel begins and how far it is to the next, along x or y."""
    places = data[axis].to_numpy().astype(float) if axis in data.coords else np.empty(0)
    steps = np.diff(places)
    if not len(steps) or np.ptp(steps) > 0.01 * abs(steps[0]):
        raise InputError(
            f"the cube's {axis} does not go in equal steps; give the middles of its pixels, two "
            "or more"
        )
    step = float((places[-1] - places[0]) / len(steps))
    return float(places[0]) - step / 2, step
