"""MuS2: fourteen or fifteen images of Sentinel-2, with WorldView-2 of the same ground at 3.3 m.

    SCENE/b2/lrs/S2A_MSIL2A_20200909T105031_….jp2   one band of one date, digital numbers of 10 m;
          b3, b4, b8, … b8a                         the same names in the folder of every band
    SCENE/CLD/20m/S2A_MSIL2A_….jp2                  how likely a pixel is cloud, 0 to 100
    SCENE/hr_resized/mul_band_0.tiff … 7            one band of WorldView-2 on a third of the pixel,
                                                    each stretched to 8 bits for itself
    masks/final_masks/final_masks_b2/mask_SCENE.png what is *not* to be scored: above 0

Kowaleczko et al. 2023, "A real-world benchmark for Sentinel-2 multi-image super-resolution"
(doi 10.1038/s41597-023-02538-9; data: doi 10.7910/DVN/1JMRAT, CC0). Four bands have a partner. The
masks are black where an image is to be scored, which is the opposite of most.

A scene is called after its tile of Sentinel-2 and the moment of WorldView-2, such as
0_31UFT_14SEP051050-2AS_R1C1…: year, month, day, hour, minute. Scenes of one tile are one site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets.pairs import REAL, Fault, Pair, Source
from sitsr.datasets.places import made_up_grid
from sitsr.datasets.rasters import check_ground, grid_of, opened
from sitsr.scenes.names import BASELINE, find_date, offset_of_baseline
from sitsr.scenes.plan import usable
from sitsr.scenes.units import where_seen
from sitsr.series import Booleans, InputError, Series

SCALE = 3

PARTNERS = {"B02": 1, "B03": 2, "B04": 4, "B08": 6}
"""The band of WorldView-2, counted from 0, that stands for one of Sentinel-2."""

CLOUDED = 50
"""Percent from which a pixel counts as cloud."""

MOMENT = re.compile(r"_(\d{2}[A-Z]{3}\d{2})\d{4}")

IMAGES = (".jp2", ".tif", ".tiff")

Raw = npt.NDArray[Any]


def is_mus2(folder: Path) -> bool:
    """Whether a folder, or one in it, holds scenes of the data set."""
    return bool(_scenes(folder))


def read_mus2(
    folder: Path, split: str | None = None, bands: Sequence[str] = tuple(PARTNERS)
) -> list[Source]:
    """The scenes, in these bands; only names are read now.

    The masks may lie beside the scenes or beside their folder. InputError where there are no
    scenes, where a band has no partner in WorldView-2, and for any split, for none is named.
    """
    if split is not None:
        raise InputError(f"MuS2 names no splits, so none is called {split}; split it by sites")
    if missing := [band for band in bands if band not in PARTNERS]:
        raise InputError(
            f"{', '.join(missing)} has no partner in MuS2; choose from {', '.join(PARTNERS)}"
        )
    scenes = _scenes(folder)
    if not scenes:
        raise InputError(f"{folder} is not MuS2: it should hold folders SCENE/hr_resized")
    masks = _masks(folder)
    return [
        Source(
            REAL,
            MOMENT.split(scene.name)[0],
            scene.name,
            partial(_pair, scene, number, masks, tuple(bands)),
            tags=_tags(scene),
        )
        for number, scene in enumerate(scenes)
    ]


def _scenes(folder: Path) -> list[Path]:
    found = {path.parent for way in ("*", "*/*") for path in folder.glob(f"{way}/hr_resized")}
    return sorted(found)


def _masks(folder: Path) -> Path | None:
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = (place / part for place in places for part in ("final_masks", "masks/final_masks"))
    return next((path for path in found if path.is_dir()), None)


def _moment(scene: Path) -> date | None:
    """The day of WorldView-2."""
    found = MOMENT.search(scene.name)
    try:
        return datetime.strptime(found[1].title(), "%y%b%d").date() if found else None
    except ValueError:
        return None


def _tags(scene: Path) -> dict[str, str]:
    day = _moment(scene)
    return {"date of WorldView-2": str(day)} if day else {}


# ------------------------------------------------------------- pixels


def _pair(scene: Path, number: int, masks: Path | None, bands: tuple[str, ...]) -> Pair:
    series = _series(scene, number, bands)
    fine = tuple(SCALE * n for n in series.grid.shape)
    numbers = np.stack([_reference(scene, band, fine) for band in bands])
    # Zero is the darkest pixel here, for every band was stretched: only masks say what is unknown.
    clear = np.ones(fine, bool)
    if masks is not None:
        for band in bands:
            clear &= _band(_mask(masks, scene, band), fine) == 0
    # WorldView-2 may have passed years before or after: ask for the nearest time that was seen.
    first, last = series.dates[0], series.dates[-1]
    target = min(max(_moment(scene) or last, first), last)
    site = MOMENT.split(scene.name)[0]
    sigma = tuple(SENTINEL2_SIGMA[band] for band in bands)
    task = (series, target, SCALE, site, scene.name, REAL)
    reference = numbers.astype(np.float32) / np.float32(255)
    return Pair(*task, reference, clear, sigma, tuple(_faults(scene, masks, bands)))


def _faults(scene: Path, masks: Path | None, bands: tuple[str, ...]) -> Iterator[Fault]:
    """Of what is not there, or there twice, what a pair is read without."""
    if masks is None:
        yield Fault("missing mask", "no final_masks say where the reference may be scored")
    names = _names(scene, bands)
    if bare := [str(day) for day, name in names.items() if not _clouds(scene, name).is_file()]:
        yield Fault("missing mask", f"no CLD says where it is cloudy on {', '.join(bare)}")
    held = [find_date(path.name) for path in _folder(scene, bands[0]).glob("*")]
    if twice := [str(day) for day in names if held.count(day) > 1]:
        yield Fault("duplicate revisit", f"there are two images of {', '.join(twice)}")


def _series(scene: Path, number: int, bands: tuple[str, ...]) -> Series:
    names = _names(scene, bands)
    files = {day: [_folder(scene, band) / name for band in bands] for day, name in names.items()}
    first = next(iter(files.values()))[0]
    with opened(first) as file:
        grid = grid_of(file)
    images, clear = [], []
    for day, paths in files.items():
        numbers = np.stack([_on(path, grid) for path in paths])
        seen = where_seen(numbers, None)
        stated = BASELINE.search(names[day])
        offset = offset_of_baseline(f"{stated[1]}.{stated[2]}") if stated else None
        images.append(np.where(seen, (numbers + np.float32(offset or 0)) / 10_000, 0))
        clear.append(seen & _cloudless(_clouds(scene, names[day]), seen.shape))
    known = usable(grid)
    return Series(
        images=np.stack(images).astype(np.float32),
        clear=np.stack(clear),
        dates=tuple(files),
        bands=bands,
        grid=grid if known else made_up_grid((grid.height, grid.width), 10, number),
        sources=tuple(", ".join(map(str, paths)) for paths in files.values()),
        history=() if known else ("The ground is made up: the files do not say where it lies.",),
    )


def _clouds(scene: Path, name: str) -> Path:
    return scene / "CLD" / "20m" / name


def _folder(scene: Path, band: str) -> Path:
    return scene / f"b{int(band[1:])}" / "lrs"


def _names(scene: Path, bands: tuple[str, ...]) -> dict[date, str]:
    """By date, in order of time, the name that its files bear in the folders of all bands."""
    held = {
        band: {path.name for path in _folder(scene, band).glob("*") if path.suffix in IMAGES}
        for band in bands
    }
    every, some = set.intersection(*held.values()), set.union(*held.values())
    if odd := sorted(some - every):
        lacking = next(band for band in bands if odd[0] not in held[band])
        raise InputError(f"{scene} has no {odd[0]} in {lacking}; get it again")
    # A name holds two moments: that of the image first, that of its processing after.
    dated = [(find_date(name), name) for name in sorted(every)]
    if undated := [name for day, name in dated if day is None]:
        raise InputError(f"{scene} has an image {undated[0]}, which names no date")
    if not dated:
        raise InputError(f"{scene} has no images in {bands[0]}; get it again")
    by_day: dict[date, str] = {}
    for day, name in dated:
        if day is not None:
            by_day.setdefault(day, name)  # two products of one day: the first by name
    return dict(sorted(by_day.items()))


def _on(path: Path, grid: GeoBox) -> Raw:
    """[H, W] the numbers of a file on this grid."""
    with opened(path) as file:
        check_ground(path, grid_of(file), grid)
        return np.asarray(file.read(1))


def _cloudless(path: Path, shape: tuple[int, ...]) -> Booleans:
    """[H, W] where cloud is unlikely, from a layer of any pixel over the same ground."""
    if not path.is_file():
        return np.ones(shape, bool)
    with opened(path) as file:
        percent = file.read(1)
    rows, cols = (
        ((np.arange(wanted) + 0.5) * held / wanted).astype(int)
        for wanted, held in zip(shape, percent.shape, strict=True)
    )
    return np.asarray(percent[rows][:, cols] < CLOUDED)


def _reference(scene: Path, band: str, shape: tuple[int, ...]) -> Raw:
    stem = scene / "hr_resized" / f"mul_band_{PARTNERS[band]}"
    ways = [stem.with_suffix(suffix) for suffix in (".tiff", ".tif", ".TIF")]
    numbers = _band(next((path for path in ways if path.is_file()), ways[0]), shape)
    if numbers.dtype != np.uint8:
        raise InputError(f"{stem} holds {numbers.dtype}; wanted 8 bits, as MuS2 publishes it")
    return numbers


def _mask(masks: Path, scene: Path, band: str) -> Path:
    return masks / f"final_masks_b{int(band[1:])}" / f"mask_{scene.name}.png"


def _band(path: Path, shape: tuple[int, ...]) -> Raw:
    with opened(path) as file:
        numbers = np.asarray(file.read(1))
    if numbers.shape != shape:
        found, wanted = (f"{rows} × {cols}" for rows, cols in (numbers.shape, shape))
        raise InputError(f"{path} is {found} pixels; wanted {wanted}, {SCALE} times Sentinel-2's")
    return numbers
