"""Where files and pixels lie: a name that stays in its folder, ground for images without any."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

import rasterio
from odc.geo.geobox import GeoBox

from sitsr.series import InputError

NOWHERE = "EPSG:32631"
"""Stands for the coordinate system of images that name none."""

ACROSS = 400
"""Patches in a row of made-up ground."""


def within(folder: Path, name: str) -> Path:
    """The file that an index of the folder names; InputError where it would lie outside it."""
    path = PurePosixPath(name.replace("\\", "/"))
    drive = ":" in path.parts[0] if path.parts else False
    if not path.parts or path.is_absolute() or drive or ".." in path.parts or "\0" in name:
        raise InputError(
            f'"{name}", named in {folder}, lies outside that folder; get the data set again from '
            "where it was published"
        )
    return folder.joinpath(*path.parts)


def made_up_grid(shape: tuple[int, int], side: float, number: int) -> GeoBox:
    """A grid of pixels of this side, metres, for the patch of this number, from 0 on.

    Images that say not where they lie are given ground each of their own, in rows that nobody
    shares: what belongs to the ground, such as noise, then differs from patch to patch.
    """
    rows, cols = shape
    down, along = divmod(number, ACROSS)
    step = math.ceil(max(shape)) * side
    transform = rasterio.Affine(side, 0, along * step, 0, -side, 4_000_000 - down * step)
    return GeoBox((rows, cols), transform, NOWHERE)
