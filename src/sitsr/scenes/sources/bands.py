"""Folders with a GeoTIFF (or JPEG 2000) for each band, as COG archives and exports give them.

Layout   a folder for each image that holds B02.tif, B03.tif ...; or all files of all images in one
         folder, with names that differ by the band at their end (T33TWM_20230818_B02_10m.tif)
Bands    at the end of the name: B02, B2, blue, B02_10m; never by position. Of several resolutions
         the finest. Files that end otherwise are let be
Date     in the name of the files, else of their folder
Units    MTD_MSIL2A.xml (or MTD_MSIL1C.xml) beside the files, else as for ``geotiffs``, file by file
Masks    files that end in SCL, clear, CLM, CLD or OCM, as for ``geotiffs``
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from sitsr.scenes.environment import open_raster
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.names import COMMON_NAMES, L1C, band_name, find_date
from sitsr.scenes.sources.collecting import (
    check_level,
    gather,
    levels_by_name,
    with_common_bands,
)
from sitsr.scenes.sources.geotiffs import MASKS, units_stated
from sitsr.scenes.sources.products import (
    Product,
    grid_of,
)
from sitsr.scenes.sources.safe import units_in
from sitsr.series import InputError

WORDS = "|".join([*COMMON_NAMES, *MASKS])
ENDING = re.compile(
    rf"(?:(.*)[_\-. ])?(B8A|B\d{{1,2}}|{WORDS})(?:_(\d\d)m)?(?:_\(Raw\))?",
    re.IGNORECASE,
)
RASTERS = (".tif", ".tiff", ".jp2")

Named = dict[str, Path]
"""Files by what they hold: a band, or a kind of mask as ``MASKS`` calls it."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What a file says of itself."""

    grid: GeoBox
    nodata: float | None
    quantum: float | None
    offset: float | None
    decided: tuple[str, ...]


def is_bands(folder: Path) -> bool:
    """Whether a folder holds images with a file for each band, by names only."""
    return any(_several(named) for named in _groups(folder).values())


def parse_bands(
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of a folder of bands, and what was assumed about them.

    names            not needed: files are named for their bands
    skip_unreadable  leave out images that are broken, or lack a band that the others have
    assume_crs       for files that state no coordinate system
    """
    groups = {place: named for place, named in _groups(folder).items() if _several(named)}
    frames, left = gather(
        groups, lambda place: _frame(place, groups[place], assume_crs), skip_unreadable
    )
    check_level(frames, levels_by_name(frames))
    frames, said = with_common_bands(frames, skip_unreadable)
    return tuple(frames), (*left, *said)


def _groups(folder: Path) -> dict[Path, Named]:
    """The files of each image, by the folder and what their names begin with."""
    groups: dict[Path, dict[str, tuple[int, Path]]] = {}
    for path in _rasters(folder):
        found = ENDING.fullmatch(path.stem)
        if not found:
            continue
        what = found[2].lower() if found[2].lower() in MASKS else band_name(found[2])
        place = path.parent / found[1] if found[1] else path.parent
        named = groups.setdefault(place, {})
        size = int(found[3] or 0)
        if what and (what not in named or size < named[what][0]):
            named[what] = size, path
    return {
        place: {what: path for what, (_, path) in named.items()} for place, named in groups.items()
    }


def _rasters(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from (each for each in sorted(path.iterdir()) if _is_raster(each))
        elif _is_raster(path):
            yield path


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in RASTERS and not path.name.startswith(".")


def _several(named: Mapping[str, Path]) -> bool:
    return sum(band in named for band in L1C) > 1


def _frame(place: Path, named: Named, assume_crs: Any) -> Frame:
    bands = tuple(band for band in L1C if band in named)
    day = find_date(place.name) or find_date(place.parent.name)
    if day is None:
        raise InputError(
            f"{named[bands[0]]} has no date in its name or its folder's; name the folder like "
            "NAME_2020-01-31"
        )
    headers = [_header(named[band], place, assume_crs) for band in bands]
    finest = min(headers, key=lambda header: abs(header.grid.transform.a))
    frame = Frame(
        source=str(place),
        date=day,
        bands=bands,
        indexes=(1,) * len(bands),
        grid=finest.grid,
        nodata=_one(place, "nodata value", [header.nodata for header in headers]),
        quantum=_one(place, "scale", [header.quantum for header in headers]),
        offset=_one(place, "offset", [header.offset for header in headers]),
        cover=_cover(named),
        files=tuple(str(named[band]) for band in bands),
        decided=tuple(dict.fromkeys(each for header in headers for each in header.decided)),
    )
    return _by_metadata(frame, named[bands[0]].parent)


def _header(path: Path, place: Path, assume_crs: Any) -> _Header:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path) as file:
            if file.count != 1 or file.dtypes[0] == "uint8":
                raise InputError(
                    f"{path} holds {file.count} bands of {file.dtypes[0]}, but is named like one "
                    "band of reflectance; name or remove it"
                )
            quantum, offset, decided = units_stated(place, file, file.tags())
            grid = grid_of(path.name, file, assume_crs)
            nodata = None if file.nodata is None or isnan(file.nodata) else file.nodata
            return _Header(grid, nodata, quantum, offset, decided)


def _one(place: Path, what: str, values: Sequence[float | None]) -> float | None:
    """What all bands state; those that state none go with the others."""
    stated = sorted({value for value in values if value is not None})
    if len(stated) > 1:
        raise InputError(
            f"the bands of {place.name} state different {what}s, {stated[0]:g} and {stated[1]:g}; "
            "give all of them the same"
        )
    return stated[0] if stated else None


def _cover(named: Named) -> Cover | None:
    return next((Cover(str(named[end]), kind) for end, kind in MASKS.items() if end in named), None)


def _by_metadata(frame: Frame, folder: Path) -> Frame:
    """The frame with the units that the product's own metadata state, where they lie beside."""
    for level in ("L2A", "L1C"):
        head = f"MTD_MSI{level}.xml"
        if (folder / head).exists():
            document = Product(folder, (head,)).document(head)
            quantum, offset = units_in(folder.name, document, level, frame.bands)
            return replace(frame, quantum=quantum, offset=offset)
    return frame
