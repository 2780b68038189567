"""Folders with a file for each band; what a path is taken for, by names only."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from miniatures.safe import make_safe
from miniatures.scenery import fine
from miniatures.theia import make_theia
from sitsr.scenes import open_series, recognise
from sitsr.scenes.sources import _parse_cube_at
from sitsr.scenes.sources.bands import parse_bands
from sitsr.scenes.sources.geotiffs import parse_folder
from sitsr.scenes.sources.safe import parse_products
from sitsr.scenes.sources.theia import parse_theia
from sitsr.series import InputError

TEN = ("B02", "B03", "B04", "B08")
ROWS, COLS = 14, 22
DAYS = ("20180202", "20180621")


def layer(path: Path, values: Any, metres: int = 10, **profile: Any) -> Path:
    """A raster of one band [h, w]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = rasterio.Affine(metres, 0, 499_980, 0, -metres, 4_700_040)
    rows, cols = values.shape
    more = {"driver": "GTiff", "dtype": values.dtype, "crs": "EPSG:32631", **profile}
    if path.suffix == ".jp2":
        more |= {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "YES"}
    with rasterio.open(
        path, "w", count=1, height=rows, width=cols, transform=transform, **more
    ) as file:
        file.write(values, 1)
    return path


def pixels(band: str, shown: int) -> Any:
    """[h, w] digital numbers of a band."""
    return np.round(10_000 * fine(shown, (band,), (ROWS, COLS))[0]).astype(np.uint16)


Name = Callable[[str, str], str]
LAYOUTS: dict[str, Name] = {
    "a folder a date": lambda day, band: f"S2B_31TDG_{day}_0_L2A/{band}.tif",
    "common names": lambda day, band: f"S2B_31TDG_{day}_0_L2A/{COMMON.get(band, band)}.tif",
    "flat": lambda day, band: f"T31TDG_{day}T100031_{band}.tif",
    "flat with sizes": lambda day, band: f"T31TDG_{day}T100031_{band}_10m.tif",
    "jp2": lambda day, band: f"T31TDG_{day}T100031_{band}_10m.jp2",
    "short names": lambda day, band: (
        f"place-{day[:4]}-{day[4:6]}-{day[6:]}_{band.replace('B0', 'B')}.TIF"
    ),
    "with points": lambda day, band: f"HLS.S30.T31TDG.{day}T100031.v2.0.{band}.tif",
    "dates in both": lambda day, band: f"{day}/S2B_31TDG_{day}_{band}.tif",
}
COMMON = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "SCL": "scl"}


def write(folder: Path, name: Name, days: tuple[str, ...] = DAYS) -> None:
    for shown, day in enumerate(days):
        for band in TEN:
            layer(folder / name(day, band), pixels(band, shown))
        classes = np.full((ROWS // 2, COLS // 2), 4, np.uint8)
        classes[:2, :3] = 9
        layer(folder / name(day, "SCL").replace("10m", "20m"), classes, 20)


def refused(path: Path, words: str, **options: Any) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        open_series(path, **options)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bands_are_read_by_their_names(layout: str, tmp_path: Path) -> None:
    write(tmp_path, LAYOUTS[layout])
    assert recognise(tmp_path) is parse_bands
    series = open_series(tmp_path)
    assert series.dates == (date(2018, 2, 2), date(2018, 6, 21)) and series.bands == TEN
    for shown, image in enumerate(series.images):
        np.testing.assert_allclose(image, fine(shown, TEN, (ROWS, COLS)), atol=1e-6)
    assert not series.clear[:, :4, :6].any() and series.clear[:, 4:].all()
    assert "clear sky as the source states it" in series.history


def test_a_folder_of_one_image_is_a_series_of_one(tmp_path: Path) -> None:
    write(tmp_path, LAYOUTS["a folder a date"])
    folder = tmp_path / "S2B_31TDG_20180621_0_L2A"
    assert recognise(folder) is parse_bands
    (frame,), _ = parse_bands(folder)
    assert frame.date == date(2018, 6, 21) and frame.source == str(folder)


def test_the_finest_of_several_sizes_is_read_and_pictures_are_let_be(tmp_path: Path) -> None:
    write(tmp_path, LAYOUTS["flat with sizes"])
    stem = "T31TDG_20180202T100031"
    layer(tmp_path / f"{stem}_B02_20m.tif", pixels("B02", 0)[::2, ::2], 20)
    layer(tmp_path / f"{stem}_B8A_20m.tif", pixels("B8A", 0)[::2, ::2], 20)
    layer(tmp_path / f"{stem}_TCI_10m.tif", pixels("B02", 0))
    frames, notes = parse_bands(tmp_path)
    assert frames[0].files[0].endswith("_B02_10m.tif") and frames[0].grid.transform.a == 10
    assert notes == (
        "not all images have B8A, which no image is read with",
        f"bands read as {', '.join(TEN)}",
    )


def test_a_missing_band_is_refused_or_its_image_left_out(tmp_path: Path) -> None:
    write(tmp_path, LAYOUTS["a folder a date"])
    (tmp_path / "S2B_31TDG_20180621_0_L2A/B03.tif").unlink()
    refused(tmp_path, r"S2B_31TDG_20180621_0_L2A has B02, B04, B08 but no B03; give")
    series = open_series(tmp_path, skip_unreadable=True)
    assert series.dates == (date(2018, 2, 2),)
    assert "left out S2B_31TDG_20180621_0_L2A, which has no B03" in series.history


def test_bad_files_of_bands_are_refused_in_one_line(tmp_path: Path) -> None:
    name = LAYOUTS["a folder a date"]
    write(tmp_path, name)
    red = tmp_path / name(DAYS[1], "B04")
    red.write_bytes(b"no image")
    refused(tmp_path, "S2B_31TDG_20180621_0_L2A cannot be read")
    layer(red, pixels("B04", 1).astype(np.uint8))
    refused(tmp_path, "named like one band of reflectance")
    layer(red, pixels("B04", 1), crs=None)
    refused(tmp_path, r"B04\.tif states no coordinate system")
    assert open_series(tmp_path, assume_crs="EPSG:32631").bands == TEN
    layer(red, pixels("B04", 1), nodata=7)
    layer(tmp_path / name(DAYS[1], "B03"), pixels("B03", 1), nodata=8)
    refused(tmp_path, "state different nodata values, 7 and 8")
    layer(tmp_path / name(DAYS[1], "B03"), pixels("B03", 1))
    with rasterio.open(red, "r+") as file:
        file.scales, file.offsets = (1e-4,), (-0.1,)
    with rasterio.open(tmp_path / name(DAYS[1], "B03"), "r+") as file:
        file.scales, file.offsets = (1e-4,), (-0.05,)
    refused(tmp_path, "state different offsets, -1000 and -500")


def test_files_without_a_date_are_refused(tmp_path: Path) -> None:
    for band in TEN:
        layer(tmp_path / f"place_{band}.tif", pixels(band, 0))
    refused(tmp_path, r"place_B02\.tif has no date in its name or its folder's")


def test_mixed_levels_by_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, LAYOUTS["a folder a date"], DAYS[:1])
    write(tmp_path, lambda day, band: f"S2B_31TDG_20180621_0_L1C/{band}.tif", DAYS[:1])
    refused(tmp_path, "S2B_31TDG_20180202_0_L2A is L2A but S2B_31TDG_20180621_0_L1C is L1C")


# ---------------------------------------------------------------------------- kinds


def _touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


KINDS: dict[str, tuple[Callable[[Path], Path], Any]] = {
    "stacks": (lambda folder: _touched(folder, "a_2020-01-01.tif"), parse_folder),
    "stacks with masks": (
        lambda folder: _touched(folder, "a_2020-01-01.tif", "a_2020-01-01_SCL.tif"),
        parse_folder,
    ),
    "stacks of a place called Red": (
        lambda folder: _touched(folder, "2020-01-01_red.tif", "2020-01-06_red.tif"),
        parse_folder,
    ),
    "one SAFE": (make_safe, parse_products),
    "a zipped SAFE": (lambda folder: make_safe(folder, zipped=True), parse_products),
    "a folder of SAFE": (lambda folder: make_safe(folder / "x").parents[1], parse_products),
    "a broken zip with the name of a product": (
        lambda folder: _touched(folder, "S2A_MSIL2A_20230818T100031_N0509.zip"),
        parse_products,
    ),
    "one of Theia": (make_theia, parse_theia),
    "a folder of Theia": (lambda folder: make_theia(folder).parent, parse_theia),
    "Zarr by its name": (lambda folder: _touched(folder / "a.zarr", ".zgroup"), _parse_cube_at),
    "Zarr by what it holds": (lambda folder: _touched(folder / "a", "zarr.json"), _parse_cube_at),
    "netCDF": (lambda folder: _touched(folder, "a.nc") / "a.nc", _parse_cube_at),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_path_is_recognised_by_names(name: str, tmp_path: Path) -> None:
    make, parse = KINDS[name]
    assert recognise(make(tmp_path)) is parse


@pytest.mark.parametrize(
    "names, words",
    [
        ((), "holds nothing, no GeoTIFF, product or cube; give a folder of GeoTIFFs"),
        (("a.png", "b.txt"), r"holds a\.png, b\.txt, no GeoTIFF, product or cube"),
        (("a.zip",), r"holds a\.zip, no GeoTIFF"),
        (("a/b/c/d.tif",), "holds a, no GeoTIFF"),
        (("a.nc", "b.nc"), r"holds a\.nc, b\.nc, no GeoTIFF"),
    ],
)
def test_a_folder_of_no_kind_is_refused(names: tuple[str, ...], words: str, tmp_path: Path) -> None:
    refused(_touched(tmp_path, *names), words)


@pytest.mark.parametrize("name", ["a.jp2", "a.zip", "a"])
def test_a_file_of_no_kind_is_refused(name: str, tmp_path: Path) -> None:
    refused(_touched(tmp_path, name) / name, "is a file of no kind that is read")


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "S2A.SAFE", "does not exist; give a folder of GeoTIFFs, SAFE or Theia")


REAL = Path(os.environ.get("SITSR_DATA", "")) / "stac_slovenia/sentinel-2-l2a"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs stac_slovenia in SITSR_DATA")
def test_real_folders_of_bands_are_read() -> None:
    frames, notes = recognise(REAL)(REAL)
    assert len(frames) == 10 and len({frame.date for frame in frames}) == 5
    assert all(frame.cover and frame.cover.kind == "SCL" for frame in frames)
    assert notes == (f"bands read as {', '.join(TEN)}",)
