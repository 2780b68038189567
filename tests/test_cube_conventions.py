"""Cubes as openEO, xcube, odc-stac and stackstac write them, at paths and in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

from sitsr.scenes import open_series
from sitsr.scenes.sources.cubes import open_cube, parse_cube
from sitsr.series import InputError

TEN = ("B02", "B03", "B04", "B08")
COMMON = ("blue", "green", "red", "nir")
DAYS = ("2020-01-05", "2020-02-05", "2020-03-06")
T, H, W = 3, 11, 17
WEST, NORTH = 500_000, 4_690_000
WKT = rasterio.CRS.from_epsg(32631).wkt
CENTRES = {"y": NORTH - 10 * (np.arange(H) + 0.5), "x": WEST + 10 * (np.arange(W) + 0.5)}
CORNERS = {"y": NORTH - 10.0 * np.arange(H), "x": WEST + 10.0 * np.arange(W)}
UTM = rasterio.Affine(10, 0, WEST, 0, -10, NORTH)
TIME = np.array(DAYS, "datetime64[ns]")


def numbers() -> Any:
    """[T, C, H, W] digital numbers of woods."""
    level = np.array([300, 500, 350, 2800])[:, None, None]
    noise = np.random.default_rng(3).integers(-40, 40, (T, len(TEN), H, W))
    return (level + noise).astype(np.int16)


def variables(dims: tuple[str, str, str], names: tuple[str, ...] = TEN) -> dict[str, Any]:
    return {name: (dims, numbers()[:, i]) for i, name in enumerate(names)}


def openeo() -> xr.Dataset:
    data = xr.Dataset(variables(("t", "y", "x")), {"t": TIME, **CENTRES})
    data["crs"] = xr.DataArray("", attrs={"crs_wkt": WKT, "spatial_ref": WKT})
    for band in TEN:
        data[band].attrs = {"grid_mapping": "crs", "units": ""}
    return data.assign_attrs(Conventions="CF-1.9", institution="openEO platform")


def openeo_array() -> xr.DataArray:
    coords = {"t": TIME, "bands": list(TEN), **CENTRES}
    return xr.DataArray(numbers(), coords, ("t", "bands", "y", "x")).assign_attrs(crs="EPSG:32631")


def xcube() -> xr.Dataset:
    data = xr.Dataset(variables(("time", "y", "x")), {"time": TIME, **CENTRES})
    data["crs"] = xr.DataArray(
        0, attrs={"crs_wkt": WKT, "grid_mapping_name": "transverse_mercator"}
    )
    bounds = np.stack([TIME, TIME], 1)
    return data.assign_coords(time_bnds=(("time", "bnds"), bounds))


def odc() -> xr.Dataset:
    axes = {"time": TIME, **CENTRES, "spatial_ref": xr.DataArray(32631, attrs={"crs_wkt": WKT})}
    data = xr.Dataset(variables(("time", "y", "x"), COMMON), axes)
    for name in COMMON:
        data[name].attrs = {"nodata": 0}
        data[name].encoding["grid_mapping"] = "spatial_ref"
    return data


def stackstac(places: dict[str, Any] | None = None, **attributes: Any) -> xr.DataArray:
    coords = {
        "time": TIME,
        "id": ("time", ["a", "b", "c"]),
        "band": list(COMMON),
        **(CORNERS if places is None else places),
        "epsg": 32631,
        "title": ("band", ["Blue", "Green", "Red", "NIR"]),
        "proj:epsg": 32631,
        "eo:cloud_cover": ("time", [3.0, 50.0, 0.25]),
    }
    values = numbers().astype(np.float64) / 10_000
    return xr.DataArray(values, coords, ("time", "band", "y", "x"), attrs=attributes)


def one_variable() -> xr.Dataset:
    """What a stack becomes when it is saved."""
    return stackstac().rename("reflectance").drop_vars("id").to_dataset()


def named_variable() -> xr.DataArray:
    return odc().to_dataarray("variable")


CUBES: dict[str, Callable[[], xr.Dataset | xr.DataArray]] = {
    "openEO": openeo,
    "openEO, an array": openeo_array,
    "xcube": xcube,
    "odc-stac": odc,
    "odc-stac, an array": named_variable,
    "stackstac": stackstac,
    "stackstac with its transform": lambda: stackstac(transform=Affine(*UTM[:6])),
    "stackstac with its transform, cut": lambda: stackstac(
        transform=tuple(UTM * UTM.translation(-4, -3))[:6]
    ),
    "stackstac with middles": lambda: stackstac(CENTRES),
    "stackstac with middles, said": lambda: stackstac(CENTRES, transform=list(UTM[:6])),
    "stackstac, as a variable": one_variable,
    "upside down": lambda: odc().isel(y=slice(None, None, -1)),
    "corners upside down": lambda: stackstac().isel(y=slice(None, None, -1)),
}


def check(cube: Any) -> None:
    series = open_series(cube)
    assert series.bands == TEN
    assert series.grid.transform == UTM and series.grid.crs == "EPSG:32631"
    assert series.dates == tuple(date.fromisoformat(day) for day in DAYS)
    np.testing.assert_allclose(series.images, numbers() / 10_000, atol=1e-7)


@pytest.mark.parametrize("name", CUBES)
def test_a_cube_of_each_convention_is_the_same_series(name: str) -> None:
    check(CUBES[name]())


@pytest.mark.parametrize("name", ["openEO", "xcube", "odc-stac", "stackstac, as a variable"])
@pytest.mark.parametrize("ending", [".nc", ".zarr", ".zarr of format 2"])
def test_a_cube_at_a_path_is_the_same_series(name: str, ending: str, tmp_path: Path) -> None:
    cube = CUBES[name]()
    assert isinstance(cube, xr.Dataset)
    cube = cube.drop_vars([each for each in ("time_bnds", "title") if each in cube.variables])
    path = tmp_path / f"cube{ending.partition(' ')[0]}"
    if ending == ".nc":
        cube.to_netcdf(path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Zarr may store texts otherwise some day
            cube.to_zarr(path, zarr_format=2 if "2" in ending else 3, consolidated=False)
    check(path)
    assert open_series(path).sources == tuple(f"{path} {day}" for day in DAYS)


def test_degrees_without_a_word_are_longitude_and_latitude() -> None:
    axes = {"time": TIME, "lat": 42.35 - 9e-5 * np.arange(H), "lon": 2.8 + 1.2e-4 * np.arange(W)}
    frames, _ = parse_cube(xr.Dataset(variables(("time", "lat", "lon")), axes))
    crs, corner = frames[0].grid.crs, frames[0].grid.transform * (0, 0)
    assert crs is not None and crs.epsg == 4326
    np.testing.assert_allclose(corner, (2.8 - 0.6e-4, 42.35 + 4.5e-5))


def test_corners_are_told() -> None:
    _, notes = parse_cube(stackstac())
    assert any("upper left corners" in note for note in notes)
    _, notes = parse_cube(stackstac(CENTRES))
    assert not any("upper left corners" in note for note in notes)


def test_coordinates_of_time_tell_cloud_and_offset() -> None:
    cube = stackstac().assign_coords(
        {
            "s2:processing_baseline": ("time", ["03.01", "05.00", "05.00"]),
            "earthsearch:boa_offset_applied": ("time", [False, False, True]),
        }
    )
    frames, _ = parse_cube(cube)
    assert [frame.cloud for frame in frames] == [0.03, 0.5, 0.0025]
    assert [frame.offset for frame in frames] == [0, -1000, 0]


def test_scale_and_offset_of_an_array_count() -> None:
    array = openeo_array() * 2 + 1000
    array.attrs = {"crs": "EPSG:32631", "scale_factor": 5e-5, "add_offset": -0.05}
    check(array)


def test_a_cube_of_one_time_is_a_series_of_one() -> None:
    series = open_series(odc().isel(time=1))
    assert series.dates == (date(2020, 2, 5),)
    np.testing.assert_allclose(series.images[0], numbers()[1] / 10_000, atol=1e-7)


def test_a_cube_is_not_changed_by_being_read() -> None:
    for name in CUBES:
        cube = CUBES[name]()
        before = cube.copy(deep=True)
        parse_cube(cube)
        xr.testing.assert_identical(cube, before)


def refused(source: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        open_series(source)
    assert "\n" not in str(refusal.value)


def test_a_cube_with_tiles_of_two_zones_states_no_one_system() -> None:
    array = stackstac().drop_vars(["epsg", "proj:epsg"])
    refused(
        array.assign_coords({"proj:epsg": ("time", [32631, 32632, 32631])}),
        "states no coordinate system",
    )


def test_a_broken_cube_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"no cube")
    refused(tmp_path / "a.nc", r"a\.nc cannot be opened as a cube")
    (tmp_path / "b.zarr").mkdir()
    refused(tmp_path / "b.zarr", r"b\.zarr cannot be opened as a cube")
    odc().to_netcdf(tmp_path / "c.nc")
    whole = (tmp_path / "c.nc").read_bytes()
    (tmp_path / "c.nc").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "c.nc", r"c\.nc cannot be opened as a cube")


def test_a_cube_is_opened_lazily(tmp_path: Path) -> None:
    odc().to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    assert not open_cube(tmp_path / "a.zarr")["blue"].variable._in_memory
