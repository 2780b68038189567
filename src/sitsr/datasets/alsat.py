"""Alsat-2B: one satellite's colour images at 10 m, with its sharpened images at 2.5 m as reference.

    Train/LR/LR_0.jpg                 64 × 64 pixels of 10 m, red, green, blue, 8 bits
    Train/HR/HR_0.jpg                 256 × 256 pixels of 2.5 m of the same ground
    Test/Agriculture/LR/LR_0.jpg …    and so on; Test/Urban

A public set of single-date pairs (Djerida et al. 2021, "Alsat-2B: a new dataset for deep learning
single image super-resolution", arXiv:2103.12547). Its papers score PSNR and SSIM on the 8-bit
images as they are, so nothing is registered or harmonised here. Each image was stretched for
itself: values are shares of 255, not reflectance. No licence is stated: train and measure, but pass
on neither the images nor weights that were trained on them.
"""

from __future__ import annotations

import re
import warnings
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets.pairs import PUBLISHED, Pair, Source
from sitsr.series import Floats, InputError, Series

ALSAT_BANDS = ("B02", "B03", "B04")

SCALE = 4

SPLITS = ("train", "validation", "test")

VALIDATION = 1964
"""Pairs of the training set with this number or a higher one are for validation, about a tenth.
The files name no scenes, but are numbered through them, so that a run at the end shares few."""

DAY = date(2017, 1, 1)
"""Stands for the day of every image, which is not recorded."""


def is_alsat2b(folder: Path) -> bool:
    """Whether a folder is laid out as the data set is."""
    return all((folder / part).is_dir() for part in ("Train/LR", "Train/HR", "Test"))


def read_alsat2b(folder: Path, split: str) -> list[Source]:
    """The pairs of a split, "train", "validation" or "test", not read yet.

    The first two share the published training set, see VALIDATION. InputError where the folder is
    not laid out as above, there is no such split, or a picture has lost its partner.
    """
    if split not in SPLITS:
        raise InputError(f"{split} is not a split of Alsat-2B; choose from {', '.join(SPLITS)}")
    if not is_alsat2b(folder):
        raise InputError(f"{folder} is not Alsat-2B: it should hold Train/LR, Train/HR and Test")
    if split == "test":
        places = sorted(path for path in (folder / "Test").iterdir() if path.is_dir())
        return [each for place in places for each in _sources(place, split)]
    late = split == "validation"
    return [
        each
        for each in _sources(folder / "Train", split)
        if (_number(each.patch) >= VALIDATION) == late
    ]


def _sources(place: Path, split: str) -> list[Source]:
    """All pairs of one folder, by their numbers."""
    lr, hr = (
        {_number(path.stem): path for path in (place / part).glob("*.jpg")} for part in ("LR", "HR")
    )
    if not lr:
        raise InputError(f"{place} holds no pictures LR/LR_0.jpg and so on; get the data set again")
    if alone := sorted(lr.keys() ^ hr.keys()):
        raise InputError(f"picture {alone[0]} of {place} is there in one size only; get it again")
    return [
        Source(
            PUBLISHED, place.name, f"pair {n}", partial(_pair, lr[n], hr[n], place.name, n), split
        )
        for n in sorted(lr)
    ]


def _number(name: str) -> int:
    found = re.search(r"\d+$", name)
    if not found:
        raise InputError(
            f"{name} bears no number; Alsat-2B calls its pictures LR_0, HR_0 and so on"
        )
    return int(found[0])


def _pair(coarse: Path, fine: Path, site: str, number: int) -> Pair:
    image, reference = _colours(coarse), _colours(fine)
    rows, cols = image.shape[1:]
    if reference.shape[1:] != (SCALE * rows, SCALE * cols):
        height, width = reference.shape[1:]
        raise InputError(
            f"{fine} is {height} × {width} pixels, {coarse.name} {rows} × {cols}; "
            f"wanted {SCALE} times as many: get them again"
        )
    # The pictures lie nowhere; each is given ground of its own in a row of its own making.
    west = 10 * cols * number
    grid = GeoBox((rows, cols), rasterio.Affine(10, 0, west, 0, -10, 4_000_000), "EPSG:32631")
    clear = np.ones((1, rows, cols), bool)
    series = Series(image[None], clear, (DAY,), ALSAT_BANDS, grid, (str(coarse),))
    task = (series, DAY, SCALE, site, f"pair {number}", PUBLISHED)
    # The sensor's point-spread function is not published; Sentinel-2's stands for it.
    sigma = tuple(SENTINEL2_SIGMA[band] for band in ALSAT_BANDS)
    return Pair(*task, reference, np.ones(reference.shape[1:], bool), sigma)


def _colours(path: Path) -> Floats:
    """[3, H, W] blue, green, red from 0 to 1."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                picture = file.read()
    except RasterioIOError as error:
        raise InputError(f"{path} cannot be read ({error}); get it again") from error
    if len(picture) != 3:
        raise InputError(f"{path} has {len(picture)} colours; wanted red, green and blue")
    return np.asarray(picture[::-1] / np.float32(255), np.float32)
