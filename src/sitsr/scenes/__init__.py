"""Scenes: from whatever the user has to a ``Series``, and from an estimate to files.

Reading goes in three steps with a plain value between each two:

    parse   names and tags  ->  frames: everything about each image but its pixels (``sources``)
    plan    frames          ->  which of them, on which grid: can be printed before anything is read
    read    plan            ->  a series: reflectance, clear sky, one grid

Another kind of source needs another ``parse`` only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitsr.scenes.frames import Frame
from sitsr.scenes.masking import Mask, Masking
from sitsr.scenes.plan import Plan, make_plan
from sitsr.scenes.read import Scene, read_series, read_window, survey
from sitsr.scenes.sources import is_cube, recognise
from sitsr.scenes.sources.geotiffs import parse_folder
from sitsr.scenes.write import write_product
from sitsr.series import Series

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Frame",
    "Mask",
    "Masking",
    "Plan",
    "Scene",
    "make_plan",
    "open_series",
    "parse_folder",
    "read_series",
    "read_window",
    "recognise",
    "survey",
    "write_product",
]

log = logging.getLogger(__name__)


def open_series(
    source: str | PathLike[str] | xr.Dataset | xr.DataArray,
    *,
    bands: Sequence[str] | None = None,
    offset: float | str = "auto",
    mask: Mask | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
) -> Series:
    """The images of a place as surface reflectance with their clear sky, on one grid in metres.

    source           a path: a folder of dated GeoTIFFs, SAFE or Theia products, files of bands, a
                     Zarr or netCDF cube (how they are told apart and read:
                     ``sitsr.scenes.sources``); or a cube: a Dataset (time, y, x) of bands or a
                     DataArray (time, band, y, x)
    bands            those to keep, in this order; also the names of a file's bands where it names
                     none and has just as many
    offset           added to all digital numbers, -1000 or 0; "auto" finds out (``units``)
    mask             finds the clear sky in place of what the source states (a file NAME_clear.tif
                     or NAME_SCL.tif, a band or variable SCL or clear) or of ``clear_sky``
    skip_unreadable  leave broken files out and say so, instead of refusing all
    assume_crs       for files that state no coordinate system
    """
    if isinstance(source, (str, PathLike)) and is_cube(Path(source)):
        from sitsr.scenes.sources.cubes import open_cube  # xarray takes a while to import

        source = open_cube(Path(source))
    if isinstance(source, (str, PathLike)):
        path = Path(source)
        frames, notes = recognise(path)(
            path, names=bands, skip_unreadable=skip_unreadable, assume_crs=assume_crs
        )
        plan = make_plan(frames, notes)
        masking = Masking(mask)
        series = read_series(plan, offset=offset, masking=masking, skip_unreadable=skip_unreadable)
    else:
        from sitsr.scenes.sources.cubes import CubePixels, parse_cube

        frames, notes = parse_cube(source, assume_crs=assume_crs)
        plan = make_plan(frames, notes)
        series = read_series(plan, CubePixels(source), offset=offset, masking=Masking(mask))
    if len(series.dates) == 1:
        alone = f"only one date, {series.dates[0]}: nothing is learned from time"
        series = replace(series, history=(*series.history, alone))
    for note in series.history:
        log.log(_gravity(note), note)
    return series if bands is None else series.select(bands)


def _gravity(note: str) -> int:
    """What the user had better know is a warning."""
    return logging.WARNING if note.startswith(("left out", "only one date")) else logging.INFO
