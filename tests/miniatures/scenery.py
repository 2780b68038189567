"""Real pixels for miniatures: the bundled series, whose 10 m stand for the fine resolution."""

from __future__ import annotations

import warnings
from datetime import date
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from sitsr.datasets import L2A_BANDS
from sitsr.radiometry import degrade
from sitsr.series import Floats

CLEAR_DAYS = (date(2020, 2, 2), date(2020, 6, 21), date(2020, 9, 14), date(2021, 7, 21))
"""Days on which the bundled series shows the ground."""


@lru_cache(maxsize=len(CLEAR_DAYS))
def _whole(day: date) -> Floats:
    with as_file(files("sitsr") / "demo" / f"Boadella_{day}.tif") as path, rasterio.open(path) as f:
        return np.asarray(f.read() / np.float32(10_000), np.float32)


def fine(
    number: int, bands: tuple[str, ...], shape: tuple[int, int], corner: tuple[int, int] = (0, 0)
) -> Floats:
    """[C, H, W] reflectance of the clear day of this number, from this row and column on."""
    (top, left), (rows, cols) = corner, shape
    chosen = [L2A_BANDS.index(band) for band in bands]
    part = _whole(CLEAR_DAYS[number])[chosen, top : top + rows, left : left + cols]
    assert part.shape[1:] == shape
    return part


def coarse(image: Floats, scale: int) -> Floats:
    """[C, H / scale, W / scale] what a sensor would see of it."""
    return degrade(image, scale, (0.5,) * len(image))


def write_plain(path: Path, image: npt.NDArray[Any], driver: str = "GTiff", **more: Any) -> None:
    """[C, H, W] as it is, in a file that says not where it lies unless it is told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = image.shape
    profile = {"count": count, "height": height, "width": width, "dtype": image.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver=driver, **profile, **more) as file:
            file.write(image)


def cut_short(path: Path) -> None:
    """Leave half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
