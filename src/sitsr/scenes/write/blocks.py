"""A block of a scene as a folder of plain GeoTIFFs: what is kept until the product is put together.

    sr.tif uncertainty.tif …      stored numbers, as in the product
    notes.json                    what happened to the block that the product should tell
    preview.png report.html       of one block only, that in the middle of the scene

The folder appears whole or not at all, so that its being there is the mark that it is done.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from sitsr.scenes.write.rasters import Raster, Stored, colours, grid_of, layout, planes
from sitsr.series import InputError, SuperResolved

NOTES = "notes.json"
PAGES = ("preview.png", "report.html")
"""What shows one block; see ``sitsr.report``."""


def write_block(
    estimate: SuperResolved,
    place: Path,
    notes: Sequence[str] = (),
    show: Callable[[Path], None] | None = None,
) -> None:
    """Write an estimate as this folder, aside and then in place.

    show  writes the pages into a folder; InputError if the disk is full
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.{token_hex(4)}")
    draft.mkdir()
    try:
        coarse = estimate.grid.zoom_out(estimate.scale)
        rasters = layout(estimate.bands, len(estimate.samples))
        for raster, numbers in zip(rasters, planes(estimate), strict=True):
            write_plain(raster, numbers, grid_of(raster, coarse, estimate.scale), draft)
        (draft / NOTES).write_text(json.dumps(list(notes)), encoding="utf-8")
        if show:
            show(draft)
        _put(draft, place)
    except OSError as error:
        raise InputError(
            f"{place.parent} cannot be written ({error.strerror or error}); make room, and run "
            "again to go on"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        if not place.is_dir():  # made meanwhile by a worker that was thought lost: the same
            raise


def write_plain(raster: Raster, numbers: Iterable[Stored], grid: GeoBox, folder: Path) -> None:
    """One raster as a tiled GeoTIFF, band by band.

    It is made in memory and written by Python, which fails where a disk is full; GDAL would go on.
    """
    path = folder / raster.href
    path.parent.mkdir(exist_ok=True)
    known = np.zeros(grid.shape, np.bool_)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        with memory.open(**profile(raster, grid)) as file:
            for number, plane in enumerate(numbers, start=1):
                file.write(plane, number)
                if raster.nodata is not None:
                    known |= plane != raster.nodata
            if raster.nodata is not None:
                file.write_mask(known)
            if not raster.classes:
                file.colorinterp = [ColorInterp[name] for name in colours(raster)]
        with path.open("wb") as out:
            out.write(memory.getbuffer())
            out.flush()
            os.fsync(out.fileno())


def profile(raster: Raster, grid: GeoBox) -> dict[str, Any]:
    """What rasterio creates the file of a raster with."""
    rows, cols = grid.shape
    return {
        "driver": "GTiff",
        "dtype": raster.dtype,
        "count": len(raster.bands),
        "height": rows,
        "width": cols,
        "crs": str(grid.crs),
        "transform": grid.transform,
        "nodata": raster.nodata,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "interleave": "band",
        "compress": "DEFLATE",
        "zlevel": 1,
        "predictor": 2,
    }
