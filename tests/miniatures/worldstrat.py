"""WorldStrat in small: five tiles of 300 × 340 m with four revisits, from the demonstration series.

The demonstration's pixels of 10 m stand for a ground of 2.5 m. What Sentinel-2 would see of it is
written as the low-resolution rasters, and the ground itself, resampled, as those of SPOT. Published
tiles are 1.58 km square and have 16 revisits (eight in the smaller release); everything else is as
published, as far as that is known: see docs/datasets/worldstrat.md.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import reproject, transform

from sitsr.radiometry import degrade

Floats = npt.NDArray[np.float32]

NORTH_SOUTH, WEST_EAST = 300, 340  # metres
TARGET = "2021-07-18"
REVISITS = ("2021-07-16", "2021-07-21", "2020-09-14", "2020-06-21")
"""Their days in order of rank: not that of time."""
DARKER = 0.9
"""The second revisit's brightness to the first's, so that all differ."""
CLOUD = np.s_[4:11, 20:29]
"""Rows and columns of the low-resolution raster under cloud, on revisit 2."""
SIDE_FILES = ("viewZenithMean", "viewAzimuthMean", "sunAzimuthAngles", "sunZenithAngles")


@dataclass(frozen=True)
class Place:
    """A tile: its south-western corner, and the lines of the tables."""

    west: float
    south: float
    kind: str
    smod: int
    source: str
    split: str

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        degree = 111_195.0
        north = self.south + NORTH_SOUTH / degree
        across = WEST_EAST / degree / math.cos(math.radians((self.south + north) / 2))
        return self.west, self.south, self.west + across, north


PLACES = {
    "ASMSpotter-1-1-1": Place(-57.912, -6.113, "Forest", 11, "ASMSpotter", "test"),
    "Amnesty POI-8-2-1": Place(92.381, 20.833, "Agriculture", 11, "Amnesty", "train"),
    "Amnesty POI-8-2-2": Place(92.381, 20.833 + 300 / 111_195, "Grassland", 13, "Amnesty", "train"),
    "Landcover-1062091": Place(22.41, 61.452, "", 11, "Landcover", "test"),
    "UNHCR-HUNs002665": Place(20.877, 47.163, "Settlement", 30, "UNHCR", "val"),
}

WHOLE = "Amnesty POI-8-2-1"
"""The tile that has every side file; the others have the data, CLM, dataMask and .metadata."""


def make_worldstrat(folder: Path, *, defects: frozenset[str] = frozenset()) -> None:
    """Write the data set with these defects, of DEFECTS, planted in it."""
    unknown = defects - DEFECTS.keys()
    assert not unknown, f"no such defect: {unknown}"
    for number, (name, place) in enumerate(PLACES.items()):
        _write_tile(folder, name, place, number)
    _write_metadata(folder / "metadata.csv")
    _write_splits(folder / "stratified_train_val_test_split.csv")
    for name in sorted(defects):
        DEFECTS[name](folder)


# ------------------------------------------------------------- the ground


@lru_cache(maxsize=1)
def _demo() -> Floats:
    """[T, 12, 144, 148] reflectance of four days, in the order of REVISITS."""
    images = []
    for path in (files("sitsr") / "demo" / f"Boadella_{day}.tif" for day in REVISITS):
        with rasterio.open(str(path)) as file:
            images.append(file.read()[:, :144, :148] / np.float32(10_000))
    images[1] = images[0] * np.float32(DARKER)
    return np.stack(images).astype(np.float32)


@lru_cache(maxsize=1)
def _coarse() -> Floats:
    """[T, 12, 36, 37] what Sentinel-2 would see of it."""
    return np.stack([degrade(image, 4, (0.5,) * 12) for image in _demo()])


def ground(name: str) -> tuple[Floats, GeoBox]:
    """[12, 144, 148] reflectance under a tile on the reference's day, and its grid of 2.5 m."""
    return _demo()[0], _lattice(PLACES[name])


def _lattice(place: Place) -> GeoBox:
    """The demonstration's ground laid about the middle of a tile, corners on multiples of 10 m."""
    west, south, east, north = place.bounds
    lon, lat = (west + east) / 2, (south + north) / 2
    zone = f"EPSG:{(32601 if lat > 0 else 32701) + int((lon + 180) // 6)}"
    (x,), (y,) = transform("EPSG:4326", zone, [lon], [lat])
    left, top = (10 * round(v / 10) for v in (x - 74 * 2.5, y + 72 * 2.5))
    return GeoBox((144, 148), rasterio.Affine(2.5, 0, left, 0, -2.5, top), zone)


def _box(place: Place, rows: int, cols: int) -> GeoBox:
    west, south, east, north = place.bounds
    across, down = (east - west) / cols, (north - south) / rows
    return GeoBox((rows, cols), rasterio.Affine(across, 0, west, 0, -down, north), "EPSG:4326")


def _laid(image: Floats, source: GeoBox, grid: GeoBox, way: Resampling) -> Floats:
    there = np.zeros((len(image), *grid.shape), np.float32)
    places = {"src_transform": source.transform, "dst_transform": grid.transform}
    systems = {"src_crs": str(source.crs), "dst_crs": str(grid.crs)}
    reproject(image, there, **places, **systems, resampling=way, tolerance=0)
    return there


# ------------------------------------------------------------- the tiles


def _write_tile(folder: Path, name: str, place: Place, number: int) -> None:
    low, high = folder / "lr_dataset" / name, folder / "hr_dataset" / name
    for each in (low / "L2A", low / "L1C", high):
        each.mkdir(parents=True)
    fine = _lattice(place)
    # Sizes vary a little from tile to tile, and rows are never as many as columns.
    grid = _box(place, NORTH_SOUTH // 10 - number % 2, WEST_EAST // 10)
    for k, (day, image) in enumerate(zip(REVISITS, _coarse(), strict=True)):
        surface = _laid(image, fine.zoom_out(4), grid, Resampling.cubic)
        _write_revisit(low / "L2A", f"{name}-{k + 1}", "L2A", surface, grid, k == 1)
        hazy = np.insert(surface * np.float32(0.9) + np.float32(0.03), 10, 0.002, 0)
        _write_revisit(low / "L1C", f"{name}-{k + 1}", "L1C", hazy, grid, k == 1)
        _write_json(low, f"{name}-{k + 1}", day)
    if name == WHOLE:
        _write_angles(low / "L2A", name, grid)
    _write_spot(high, name, place, fine)


def _write_revisit(
    folder: Path, stem: str, level: str, image: Floats, grid: GeoBox, cloudy: bool
) -> None:
    cloud = np.zeros(grid.shape, np.float32)
    if cloudy:
        cloud[CLOUD] = 1
        image = np.where(cloud == 1, np.float32(0.6), image)
    _write(folder / f"{stem}-{level}_data.tiff", image, grid)
    # The published generator writes masks in the type of the layer before them, which is float.
    _write(folder / f"{stem}-CLM.tiff", cloud[None], grid)
    if level == "L2A":
        _write(folder / f"{stem}-dataMask.tiff", np.ones_like(cloud)[None], grid)


def _write_angles(folder: Path, name: str, grid: GeoBox) -> None:
    for k in range(len(REVISITS)):
        for angle, kind in enumerate(SIDE_FILES):
            layer = np.full((1, *grid.shape), 20.5 + 30 * angle, np.float32)
            _write(folder / f"{name}-{k + 1}-{kind}.tiff", layer, grid)
        probability = np.full((1, *grid.shape), 13, np.float32)
        _write(folder / f"{name}-{k + 1}-CLP.tiff", probability, grid)


def _write_json(folder: Path, stem: str, day: str) -> None:
    told = {
        **{"cloud_cover": 3.5, "target_date": f"{TARGET} 00:00:00", "delta": "-2 days"},
        **{"area": 2.5, "datetime": f"{day}T10:56:21Z"},
    }
    for level in ("L2A", "L1C"):
        (folder / level / f"{stem}.metadata").write_text(json.dumps(told))


def _write_spot(folder: Path, name: str, place: Place, fine: GeoBox) -> None:
    """The three rasters and the picture; the rasters have a coordinate system and no transform."""
    colours = _demo()[0][[3, 2, 1, 7]]  # red, green, blue, infrared
    pan = colours[:3].mean(0, keepdims=True)
    sharp = _box(place, int(NORTH_SOUTH / 1.5), int(WEST_EAST / 1.5))
    blurred = _box(place, int(NORTH_SOUTH / 6), int(WEST_EAST / 6))
    for kind, image, grid, way in (
        ("ps", colours, sharp, Resampling.cubic),
        ("pan", pan, sharp, Resampling.cubic),
        ("rgbn", colours, blurred, Resampling.average),
    ):
        numbers = np.rint(10_000 * _laid(image, fine, grid, way)).clip(1, 4095).astype(np.uint16)
        _write(folder / f"{name}_{kind}.tiff", numbers, grid, placed=False)
        if kind == "ps":
            picture = (numbers[:3] / 16).clip(0, 255).astype(np.uint8)
            Image.fromarray(np.moveaxis(picture, 0, -1)).save(
                folder / f"{name}_rgb.png", compress_level=1
            )


def _write(path: Path, image: npt.NDArray[Any], grid: GeoBox, placed: bool = True) -> None:
    count, height, width = image.shape
    profile = {"count": count, "height": height, "width": width, "dtype": image.dtype}
    if placed:
        profile["transform"] = grid.transform
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", **profile) as file:
            file.write(image)


# ------------------------------------------------------------- the tables

COLUMNS = (
    *("", "lowres_date", "highres_date", "delta", "cloud_cover", "bounds", "area", "n", "tile"),
    *("lon", "lat", "LCCS", "SMOD", "IPCC Class", "LCCS class", "SMOD Class"),
)


def _write_metadata(path: Path) -> None:
    lines = []
    for name, place in PLACES.items():
        west, south, east, north = place.bounds
        for k, day in enumerate(REVISITS):
            line = (name, day, TARGET, k - 2, 3.5, json.dumps(place.bounds), 2.5, k + 1, name)
            middle = ((west + east) / 2, (south + north) / 2)
            lines.append(
                (*line, *middle, 11, place.smod, place.kind, "Herbaceous cover, “mixed”", "")
            )
    _write_table(path, COLUMNS, lines)


def _write_splits(path: Path) -> None:
    columns = ("", "tile", "IPCC Class", "SMOD", "source", "joint_class", "split")
    lines = [
        (16 * k, name, p.kind, p.smod, p.source, f"{p.source}/{p.kind or 'nan'}/{p.smod}", p.split)
        for k, (name, p) in enumerate(PLACES.items())
    ]
    _write_table(path, columns, lines)


def _write_table(path: Path, columns: tuple[str, ...], lines: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


# ------------------------------------------------------------- the defects


def _split(folder: Path, change: Callable[[list[list[str]]], None]) -> None:
    _edit(folder / "stratified_train_val_test_split.csv", change)


def _edit(path: Path, change: Callable[[list[list[str]]], None]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        columns, *lines = csv.reader(file)
    change(lines)
    _write_table(path, tuple(columns), [tuple(line) for line in lines])


def _leaking_split(folder: Path) -> None:
    """UNHCR-HUNs002665 is for validation and for training."""
    _split(folder, lambda lines: lines.append(["99", *lines[4][1:6], "train"]))


def _shared_area(folder: Path) -> None:
    """Of one area a tile is trained on and a tile tested on."""
    _split(folder, lambda lines: lines[2].__setitem__(6, "test"))


def _duplicate_row(folder: Path) -> None:
    _split(folder, lambda lines: lines.append(list(lines[3])))


def _duplicate_revisit(folder: Path) -> None:
    """Revisit 5 of UNHCR-HUNs002665 is revisit 2 again."""
    for path in (folder / "lr_dataset/UNHCR-HUNs002665").rglob("UNHCR-HUNs002665-2[-.]*"):
        shutil.copy(path, path.with_name(path.name.replace("002665-2", "002665-5")))

    def again(lines: list[list[str]]) -> None:
        (line,) = (line for line in lines if line[0] == "UNHCR-HUNs002665" and line[7] == "2")
        lines.append([*line[:7], "5", *line[8:]])

    _edit(folder / "metadata.csv", again)


def _data(folder: Path, name: str, number: int, level: str = "L2A") -> Path:
    return folder / "lr_dataset" / name / level / f"{name}-{number}-{level}_data.tiff"


def _constant_revisit(folder: Path) -> None:
    with rasterio.open(_data(folder, "Landcover-1062091", 3), "r+") as file:
        file.write(np.full((file.count, *file.shape), 0.1, np.float32))


def _truncated_file(folder: Path) -> None:
    path = _data(folder, "Landcover-1062091", 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _black_bars(folder: Path) -> None:
    """Above and to the left of UNHCR-HUNs002665: a pixel of 6 m, four of 1.5 m."""

    def blacken(image: npt.NDArray[Any], width: int) -> None:
        image[:, :width] = 0
        image[:, :, :width] = 0

    _on_spot(folder, "UNHCR-HUNs002665", {"ps": 4, "pan": 4, "rgbn": 1}, blacken)


def _shifted_reference(folder: Path) -> None:
    """SPOT's images of Landcover-1062091 lie 12 m too far south and 6 m too far east."""

    def move(image: npt.NDArray[Any], step: int) -> None:
        image[:] = np.roll(image, (2 * step, step), (1, 2))

    _on_spot(folder, "Landcover-1062091", {"ps": 4, "pan": 4, "rgbn": 1}, move)


def _on_spot(
    folder: Path,
    name: str,
    widths: dict[str, int],
    change: Callable[[npt.NDArray[Any], int], None],
) -> None:
    for kind, width in widths.items():
        path = folder / "hr_dataset" / name / f"{name}_{kind}.tiff"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "r+") as file:
                image = file.read()
                change(image, width)
                file.write(image)


def _dates_out_of_order(folder: Path) -> None:
    """Of UNHCR-HUNs002665 metadata.csv has the days of revisits 1 and 3 the wrong way round."""

    def exchange(lines: list[list[str]]) -> None:
        first, _, third, _ = (line for line in lines if line[0] == "UNHCR-HUNs002665")
        first[1], third[1] = third[1], first[1]

    _edit(folder / "metadata.csv", exchange)


def _missing_mask(folder: Path) -> None:
    (_data(folder, "Landcover-1062091", 2).parent / "Landcover-1062091-2-CLM.tiff").unlink()


def _missing_level(folder: Path) -> None:
    shutil.rmtree(folder / "lr_dataset/ASMSpotter-1-1-1/L2A")


def _missing_side_files(folder: Path) -> None:
    """Of Amnesty POI-8-2-1 nothing is left but the data."""
    for path in (folder / "lr_dataset" / WHOLE).rglob("*.*"):
        if not path.name.endswith("_data.tiff"):
            path.unlink()


def _other_size(folder: Path) -> None:
    """Revisit 2 of UNHCR-HUNs002665 has a row and two columns more, but its masks do not."""
    for level in ("L2A", "L1C"):
        path = _data(folder, "UNHCR-HUNs002665", 2, level)
        with rasterio.open(path) as file:
            image, found = file.read(), GeoBox(file.shape, file.transform, file.crs)
        grid = _box(PLACES["UNHCR-HUNs002665"], file.height + 1, file.width + 2)
        _write(path, _laid(image, found, grid, Resampling.nearest), grid)


def _huge_tiff(folder: Path) -> None:
    """Revisit 4 of Landcover-1062091 claims 10^9 rows in a file of 300 bytes."""
    write_huge_tiff(_data(folder, "Landcover-1062091", 4))


def write_huge_tiff(path: Path, rows: int = 10**9, cols: int = 34, bands: int = 12) -> None:
    """A TIFF of floats whose header claims so many rows, with hardly a byte of them."""
    tags = 10
    lists = 8 + 2 + 12 * tags + 4  # where the list of bits begins, after header and directory
    entries = [
        (256, 4, 1, cols),
        (257, 4, 1, rows),
        (258, 3, bands, lists),  # bits of each band
        (259, 3, 1, 1),  # not compressed
        (262, 3, 1, 1),
        (273, 4, 1, 8),  # where the only strip begins
        (277, 3, 1, bands),
        (278, 4, 1, rows),  # rows of a strip
        (279, 4, 1, 64),  # its bytes
        (339, 3, bands, lists + 2 * bands),  # floats
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = struct.pack("<2sHIH", b"II", 42, 8, tags)
    shorts = struct.pack(f"<{2 * bands}H", *(32,) * bands, *(3,) * bands)
    path.write_bytes(head + directory + struct.pack("<I", 0) + shorts)


DEFECTS: dict[str, Callable[[Path], None]] = {
    "leaking_split": _leaking_split,
    "shared_area": _shared_area,
    "duplicate_row": _duplicate_row,
    "duplicate_revisit": _duplicate_revisit,
    "constant_revisit": _constant_revisit,
    "truncated_file": _truncated_file,
    "black_bars": _black_bars,
    "shifted_reference": _shifted_reference,
    "dates_out_of_order": _dates_out_of_order,
    "missing_mask": _missing_mask,
    "missing_level": _missing_level,
    "missing_side_files": _missing_side_files,
    "other_size": _other_size,
    "huge_tiff": _huge_tiff,
}
