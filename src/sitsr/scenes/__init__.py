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

from sitsr.scenes.area import Area, area_of_box, area_of_file
from sitsr.scenes.files import Files
from sitsr.scenes.frames import Frame
from sitsr.scenes.masking import Mask, Masking
from sitsr.scenes.plan import Plan, Selection, make_plan
from sitsr.scenes.read import Pixels, Scene, read_series, read_window, survey
from sitsr.scenes.sources import is_cube, recognise
from sitsr.scenes.sources.collecting import with_bands
from sitsr.scenes.sources.geotiffs import parse_folder
from sitsr.scenes.sources.stac import Search, is_stac, parse_stac
from sitsr.series import Series

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Area",
    "Frame",
    "Mask",
    "Masking",
    "Plan",
    "Scene",
    "Selection",
    "area_of_box",
    "area_of_file",
    "make_plan",
    "open_scene",
    "open_series",
    "parse_folder",
    "read_series",
    "read_window",
    "recognise",
    "survey",
]

log = logging.getLogger(__name__)

FINEST = ("B02", "B03", "B04", "B08")
"""Bands of 10 m."""

GRAVE = ("left out", "only one date", "images are top of atmosphere")
"""How the notes begin that the user had better know."""


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
                     ``sitsr.scenes.sources``); a STAC catalogue, collection, item or API, by path,
                     address or name (of which only B02, B03, B04 and B08 are read if ``bands``
                     says nothing); or a cube: a Dataset (time, y, x) of bands or a
                     DataArray (time, band, y, x)
    bands            those to keep, in this order; also the names of a file's bands where it names
                     none and has just as many
    offset           added to all digital numbers, -1000 or 0; "auto" finds out (``units``)
    mask             finds the clear sky in place of what the source states (a file NAME_clear.tif
                     or NAME_SCL.tif, a band or variable SCL or clear) or of ``clear_sky``
    skip_unreadable  leave broken files out and say so, instead of refusing all
    assume_crs       for files that state no coordinate system
    """
    scene = open_scene(
        source,
        bands=bands,
        offset=offset,
        masking=Masking(mask),
        skip_unreadable=skip_unreadable,
        assume_crs=assume_crs,
    )
    series = read_series(scene)
    return series if bands is None else series.select(bands)


def open_scene(  # noqa: PLR0913  (all but one are named by the caller)
    source: str | PathLike[str] | xr.Dataset | xr.DataArray,
    *,
    wanted: Selection | None = None,
    bands: Sequence[str] | None = None,
    offset: float | str = "auto",
    masking: Masking | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
    strict: bool = True,
) -> Scene:
    """The same, planned and surveyed, of any size: its pixels are read window by window.

    wanted   dates, area and cloud
    masking  how clear sky is found
    strict   whether an image that later cannot be read somewhere stops the work, or counts as not
             clear there

    For the others see ``open_series``.
    """
    wanted = wanted or Selection()
    frames, notes, pixels = _parse(source, wanted, bands, skip_unreadable, assume_crs)
    if wanted.bands and all(_suffices(frame, wanted.bands) for frame in frames):
        frames = tuple(with_bands(frame, wanted.bands) for frame in frames)
    scene = survey(
        make_plan(frames, notes, wanted),
        pixels,
        offset=offset,
        masking=masking,
        skip_unreadable=skip_unreadable,
        strict=strict,
    )
    if len(scene.dates) == 1:
        alone = f"only one date, {scene.dates[0]}: nothing is learned from time"
        scene = replace(scene, history=(*scene.history, alone))
    for note in scene.history:
        log.log(_gravity(note), note)
    return scene


def _parse(
    source: str | PathLike[str] | xr.Dataset | xr.DataArray,
    wanted: Selection,
    bands: Sequence[str] | None,
    skip_unreadable: bool,
    assume_crs: Any,
) -> tuple[tuple[Frame, ...], tuple[str, ...], Pixels]:
    """The frames of whatever a source is, what was assumed, and where their pixels are."""
    if isinstance(source, (str, PathLike)) and Path(source).exists():
        source = Path(source).absolute()  # for workers, and a later run, that stand elsewhere
    if isinstance(source, (str, PathLike)) and is_stac(str(source)):
        search = Search(wanted.area.bbox if wanted.area else None, wanted.dates, wanted.max_cloud)
        needed = bands or wanted.bands or FINEST
        return *parse_stac(
            str(source), search=search, bands=needed, skip_unreadable=skip_unreadable
        ), Files()
    if isinstance(source, (str, PathLike)) and not is_cube(Path(source)):
        path = Path(source)
        return *recognise(path)(
            path, names=bands, skip_unreadable=skip_unreadable, assume_crs=assume_crs
        ), Files()
    # xarray takes a while to import
    from sitsr.scenes.sources.cubes import CubePixels, open_cube, parse_cube

    cube = open_cube(Path(source)) if isinstance(source, (str, PathLike)) else source
    return *parse_cube(cube, assume_crs=assume_crs), CubePixels(cube)


def _suffices(frame: Frame, bands: Sequence[str]) -> bool:
    """Whether these bands are all that is needed of an image."""
    return frame.cover is not None and set(bands) <= set(frame.bands)


def _gravity(note: str) -> int:
    """What the user had better know is a warning."""
    return logging.WARNING if note.startswith(GRAVE) else logging.INFO
