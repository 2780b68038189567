"""The same ground opens as the same reflectance, whatever it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from miniatures.safe import COLS, EMPTY, NORTH, ROWS, TEN, WEST, Kind, make_safe, seen
from miniatures.scenery import fine
from miniatures.theia import make_theia
from sitsr.scenes import open_series
from sitsr.series import InputError

UTM = rasterio.Affine(10, 0, WEST, 0, -10, NORTH)
DARK = (slice(10, 14), slice(20, 29))
"""Where negative reflectance is put."""
TODAY, BEFORE = "2023-08-18", "2019-08-18"
LIST = "states the offset -1000, but its darkest pixels"

Pixels = np.ndarray[Any, np.dtype[Any]]
Write = Callable[[Path], Any]


def whole(image: Pixels) -> Pixels:
    return image


def negative(image: Pixels) -> Pixels:
    """The image with a patch below 0."""
    changed = image.copy()
    changed[:, DARK[0], DARK[1]] = -0.0123
    return changed


def ground(change: Callable[[Pixels], Pixels] = whole) -> Pixels:
    """[C, H, W] the reflectance that every source is written from."""
    return np.round(change(fine(1, TEN, (ROWS, COLS))), 4)


def numbers(added: int = 0, change: Callable[[Pixels], Pixels] = whole) -> Pixels:
    """[C, H, W] digital numbers, 0 where nothing was seen."""
    dn = np.round(10_000 * ground(change)).astype(np.int32) + added
    dn[:, EMPTY[0], EMPTY[1]] = 0
    return dn


def safe(**kind: Any) -> Write:
    more = {key: kind.pop(key) for key in ("defects", "zipped", "change") if key in kind}
    return lambda folder: make_safe(folder, Kind(**kind), **more)


def theia(**more: Any) -> Write:
    return lambda folder: make_theia(folder, **more)


def tif(
    day: str = TODAY,
    added: int = 0,
    *,
    name: str = "",
    scale: float = 1.0,
    offset: float = 0.0,
    **tags: str,
) -> Write:
    """A folder of one GeoTIFF."""

    def write(folder: Path) -> Path:
        folder.mkdir()
        path = folder / (name or f"place_{day}.tif")
        _tif(path, numbers(added), scale, offset, tags)
        return folder

    return write


def bands(added: int = 0, head: Kind | None = None, scale: float = 1.0, **tags: str) -> Write:
    """A folder with a GeoTIFF for each band, and metadata beside if they are given."""

    def write(folder: Path) -> Path:
        image = folder / f"S2B_31TDG_{TODAY.replace('-', '')}_0_L2A"
        image.mkdir(parents=True)
        for name, layer in zip(TEN, numbers(added), strict=True):
            _tif(image / f"{name}.tif", layer[None], scale, 0.0, tags)
        if head:
            made = make_safe(folder.parent / "head", head)
            (made / "MTD_MSIL2A.xml").rename(image / "MTD_MSIL2A.xml")
        return folder

    return write


def cube(
    ending: str = "", *, as_float: bool = False, attributes: dict[str, Any] | None = None, **of: Any
) -> Write:
    """A Dataset in memory, or at a path."""

    def write(folder: Path) -> Any:
        dn = numbers(of.get("added", 0), of.get("change", whole))
        values = np.where(seen(), dn / 10_000, np.nan).astype(np.float32) if as_float else dn
        stored = values if as_float else values.astype(np.uint16)
        layers = {
            band: (("time", "y", "x"), layer[None], dict(attributes or {}))
            for band, layer in zip(TEN, stored, strict=True)
        }
        axes = {
            "time": np.array([of.get("day", TODAY)], "datetime64[ns]"),
            "y": NORTH - 10 * (np.arange(ROWS) + 0.5),
            "x": WEST + 10 * (np.arange(COLS) + 0.5),
            "spatial_ref": xr.DataArray(0, attrs={"crs_wkt": rasterio.CRS.from_epsg(32631).wkt}),
        }
        made = xr.Dataset(layers, axes, of.get("of_all"))
        path = folder.with_suffix(ending)
        if ending == ".zarr":
            made.to_zarr(path, zarr_format=3, consolidated=False)
        elif ending:
            made.to_netcdf(path)
        return path if ending else made

    return write


def _tif(path: Path, dn: Pixels, scale: float, offset: float, tags: dict[str, str]) -> None:
    size = {"count": len(dn), "height": ROWS, "width": COLS, "dtype": "uint16"}
    place = {"crs": "EPSG:32631", "transform": UTM}
    with rasterio.open(path, "w", driver="GTiff", **size, **place) as file:
        file.write(dn.astype(np.uint16))
        if len(dn) > 1:
            file.descriptions = TEN
        file.scales, file.offsets = (scale,) * len(dn), (offset,) * len(dn)
        file.update_tags(**tags)


@dataclass(frozen=True)
class Row:
    """A source, what is asked of it, and what its history must say."""

    write: Write
    says: str = ""
    change: Callable[[Pixels], Pixels] = whole
    options: dict[str, Any] = field(default_factory=dict)


PB0509 = {"PROCESSING_BASELINE": "05.09"}
ADDED = {"BOA_OFFSET_APPLIED": "true"}
STATED = "added the offset that 1 images state"
MATRIX = {
    "L2A before 04.00": Row(safe(sensed="20180818T100031", baseline="02.08", offset=None)),
    "L2A with names of 2017": Row(
        safe(sensed="20170823T100031", baseline="02.05", offset=None, old_names=True)
    ),
    "L2A 04.00": Row(safe(sensed="20220225T100031", baseline="04.00"), STATED),
    "L2A 05.10": Row(safe(baseline="05.10"), STATED),
    "L2A 05.10, zipped": Row(safe(baseline="05.10", zipped=True), STATED),
    "L2A 05.10, below 0": Row(safe(baseline="05.10", change=negative), STATED, negative),
    "L2A 05.10, its list lost": Row(
        safe(baseline="05.10", offset=None, change=lambda image: image + 0.1), STATED
    ),
    "Collection 1 of an older date": Row(safe(sensed="20190818T100031", baseline="05.00"), STATED),
    "Sen2Cor at home, of an older date": Row(
        safe(sensed="20190818T100031", baseline="99.99", offset=None)
    ),
    "L2A whose pixels already have it": Row(
        safe(defects=frozenset({"an offset that the pixels already have"})), LIST
    ),
    "L1C before 04.00": Row(
        safe(level="L1C", sensed="20180818T100031", baseline="02.06", offset=None)
    ),
    "L1C 05.10": Row(safe(level="L1C", baseline="05.10", change=negative), STATED, negative),
    "Theia": Row(theia(change=negative), "", negative),
    "Theia, zipped, without metadata": Row(
        theia(zipped=True, defects=frozenset({"no metadata"})),
    ),
    "Theia since 2022": Row(theia(day="20230818", change=negative), "", negative),
    "GeoTIFF before 2022": Row(tif(BEFORE)),
    "GeoTIFF, only the date": Row(tif(TODAY, 1000), "-1000 was added"),
    "GeoTIFF, only the date, already added": Row(tif(TODAY), "it was already added"),
    "GeoTIFF with a baseline": Row(tif(TODAY, 1000, **PB0509), STATED),
    "GeoTIFF with a baseline, of an older date": Row(tif(BEFORE, 1000, **PB0509), STATED),
    "GeoTIFF named for its baseline": Row(
        tif(added=1000, name="S2A_MSIL2A_20230818T100031_N0509_R122_T31TDG.tif"), STATED
    ),
    "GeoTIFF with scale and offset": Row(tif(BEFORE, 1000, scale=1e-4, offset=-0.1), STATED),
    "GeoTIFF: offset before flag": Row(tif(TODAY, 1000, scale=1e-4, offset=-0.1, **ADDED), STATED),
    "GeoTIFF: offset, flag, pixels have it": Row(
        tif(TODAY, 0, scale=1e-4, offset=-0.1, **ADDED), LIST
    ),
    "GeoTIFF: flag before baseline": Row(tif(TODAY, 0, **ADDED, **PB0509)),
    "bands: metadata before tags": Row(
        bands(1000, Kind(baseline="05.09"), PROCESSING_BASELINE="02.08"), STATED
    ),
    "bands: metadata without offset before tags": Row(
        bands(0, Kind(baseline="02.08", offset=None), **PB0509)
    ),
    "bands with a baseline": Row(bands(1000, **PB0509), STATED),
    "bands: only the date": Row(bands(1000), "-1000 was added"),
    "cube of floats": Row(cube(as_float=True, change=negative), "", negative),
    "Zarr of floats": Row(cube(".zarr", as_float=True, change=negative), "", negative),
    "Zarr with scale and offset": Row(
        cube(
            ".zarr", added=1000, attributes={"scale_factor": 1e-4, "add_offset": -0.1, "nodata": 0}
        ),
        STATED,
    ),
    "netCDF with scale and offset": Row(
        cube(".nc", added=1000, attributes={"scale_factor": 1e-4, "add_offset": -0.1}), STATED
    ),
    "netCDF with a baseline": Row(
        cube(".nc", added=1000, of_all={"processing_baseline": "05.09"}), STATED
    ),
    "asked for -1000": Row(
        safe(baseline="02.08", offset=None, change=lambda image: image + 0.1),
        "added -1000 to all digital numbers, as asked",
        options={"offset": -1000},
    ),
    "asked for 0": Row(tif(TODAY, 0, **PB0509), options={"offset": 0}),
}


@pytest.mark.parametrize("name", MATRIX)
def test_the_same_ground_is_the_same_reflectance(name: str, tmp_path: Path) -> None:
    row = MATRIX[name]
    series = open_series(row.write(tmp_path / "source"), **row.options).select(TEN)
    truth = np.where(seen(), ground(row.change), 0)
    assert series.grid.transform == UTM
    np.testing.assert_allclose(series.images[0], truth, atol=1e-6)
    assert not series.clear[0, ~seen()].any()
    offsets = [note for note in series.history if "offset" in note or "added" in note]
    assert any(row.says in note for note in offsets) if row.says else not offsets


def test_products_of_all_baselines_are_one_series(tmp_path: Path) -> None:
    for kind in (
        Kind(sensed="20180818T100031", baseline="02.08", offset=None),
        Kind(sensed="20190818T100031", baseline="05.00"),
        Kind(sensed="20220225T100031", baseline="04.00"),
        Kind(sensed="20230818T100031", baseline="05.10"),
    ):
        make_safe(tmp_path, kind, zipped=kind.baseline == "04.00")
    series = open_series(tmp_path)
    assert series.dates == tuple(
        date(*day) for day in ((2018, 8, 18), (2019, 8, 18), (2022, 2, 25), (2023, 8, 18))
    )
    truth = np.where(seen(), ground(), 0)
    for image in series.images:
        np.testing.assert_allclose(image, truth, atol=1e-6)


def test_zero_in_one_band_is_nodata_of_that_band_where_there_is_an_offset(tmp_path: Path) -> None:
    """At the edge of the swath, where bands end at different pixels and coarse ones earlier."""
    series = open_series(make_safe(tmp_path, Kind(twenty=True)))
    coast = series.images[0, series.bands.index("B01")]
    edge = (slice(31, 36), slice(38, 40))
    assert (coast[edge] == 0).all() and series.images[0, series.bands.index("B02")][edge].min() > 0
    assert series.images.min() == 0


def test_an_offset_cannot_be_added_to_floats(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds reflectance as float") as refusal:
        open_series(cube(as_float=True)(tmp_path), offset=-1000)
    assert "\n" not in str(refusal.value)
