"""A folder of dated GeoTIFFs, all bands of an image in one file.

Dates    the first date in the name (20200113, 2020-01-13, 2020_01_13, 20200113T105421), else the
         tags ACQUISITION_DATE, SENSING_TIME or TIFFTAG_DATETIME
Bands    the bands' descriptions (B02, b2, blue ...), else the usual order for their number
Masks    beside NAME.tif a file NAME_clear.tif (not 0 where the ground is seen), NAME_SCL.tif
         (Sen2Cor's scene classes), NAME_CLM.tif, NAME_CLD.tif or NAME_OCM.tif (``MASKS``); or a
         band described as SCL
Offset   the scale and offset that GDAL keeps for a band, else the tags BOA_OFFSET_APPLIED and
         PROCESSING_BASELINE, else the baseline in a product's name (_N0400_)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from sitsr.scenes.environment import open_raster
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.names import L1C, L2A, band_name, baseline_in, find_date, offset_of_baseline
from sitsr.scenes.sources.collecting import check_level, levels_by_name
from sitsr.scenes.sources.products import (
    grid_of,
)
from sitsr.series import InputError

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
USUAL_ORDER = {len(order): order for order in (L2A, L1C, TEN)}
MASKS = {"clear": "clear", "scl": "SCL", "clm": "CLM", "cld": "probability", "ocm": "classes"}
"""Endings of the names of masks beside images, and of what kind these are."""


def parse_folder(
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of a folder of dated GeoTIFFs, and what was assumed about them.

    names            of the bands, for files that name none and have just as many
    skip_unreadable  leave broken files out and say so
    assume_crs       for files that state none
    """
    images = _images(folder)
    frames, notes = [], []
    for path in images:
        try:
            frames.append(parse_file(path, names=names, assume_crs=assume_crs))
        except RasterioIOError as broken:
            if not skip_unreadable:
                raise InputError(
                    f"{path.name} cannot be read ({broken}); mend or remove it, or skip what is "
                    "unreadable (--skip-unreadable)"
                ) from broken
            notes.append(f"left out {path.name}, which cannot be read")
    if not frames:
        raise InputError(f"none of the {len(images)} GeoTIFFs in {folder} can be read")
    check_level(frames, levels_by_name(frames))
    frames = _in_one_order(frames)
    notes.append(f"bands read as {', '.join(frames[0].bands)}")
    return tuple(frames), tuple(notes)


def parse_file(path: Path, *, names: Sequence[str] | None, assume_crs: Any) -> Frame:
    """The frame of one GeoTIFF; for the arguments see ``parse_folder``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path) as file:
            if file.dtypes[0] == "uint8":
                raise InputError(
                    f"{path.name} holds 8-bit values, a picture; wanted reflectance (0 to 1 as "
                    "float, or times 10000 as integers): give the product the picture was made of"
                )
            tags = file.tags()
            bands, indexes, scl = _bands(path, file, names)
            quantum, offset, decided = units_stated(path, file, tags)
            return Frame(
                source=str(path),
                date=_date(path, tags),
                bands=bands,
                indexes=indexes,
                grid=grid_of(path.name, file, assume_crs),
                nodata=file.nodata,
                quantum=quantum,
                offset=offset,
                cover=Cover(str(path), "SCL", scl) if scl else _cover_beside(path),
                decided=decided,
            )


def _images(folder: Path) -> list[Path]:
    if folder.is_file():
        raise InputError(
            f"{folder} is one file, but a series is a folder of dated images; "
            "put it in a folder, best with more dates of the same ground"
        )
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; give a folder of dated GeoTIFFs")
    paths = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    images = [p for p in paths if p.suffix.lower() in (".tif", ".tiff")]
    for path in images:
        if path.stem.lower().endswith("_mask"):
            raise InputError(
                f"{path.name} may be 1 where clear or 1 where cloudy; "
                f"write it as {path.stem[:-5]}_clear.tif, 1 where clear"
            )
    endings = tuple(f"_{ending}" for ending in MASKS)
    images = [p for p in images if not p.stem.lower().endswith(endings)]
    if not images:
        held = ", ".join(p.name for p in paths[:3]) or "nothing"
        raise InputError(f"{folder} holds {held}, no GeoTIFF; give a folder of dated GeoTIFFs")
    return images


def _cover_beside(path: Path) -> Cover | None:
    for ending, kind in MASKS.items():
        for written in (ending, ending.upper()):
            beside = path.with_name(f"{path.stem}_{written}{path.suffix}")
            if beside.exists():
                return Cover(str(beside), kind)
    return None


def _date(path: Path, tags: Mapping[str, str]) -> date:
    texts = [path.stem, *(tags.get(t, "") for t in ("ACQUISITION_DATE", "SENSING_TIME"))]
    texts.append(tags.get("TIFFTAG_DATETIME", "").replace(":", "-"))
    for text in texts:
        found = find_date(text)
        if found:
            return found
    raise InputError(
        f"{path.name} has no date in its name or tags; name it like NAME_2020-01-31.tif"
    )


def _bands(
    path: Path, file: Any, names: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[int, ...], int | None]:
    """The bands' names, their numbers in the file, and the number of the scene classes."""
    described = [band_name(text or "") for text in file.descriptions]
    if any(described):
        numbered = [(name, n) for n, name in enumerate(described, 1) if name]
    elif names is not None and len(names) == file.count:
        numbered = [(name, n) for n, name in enumerate(names, 1)]
    elif file.count in USUAL_ORDER:
        numbered = [(name, n) for n, name in enumerate(USUAL_ORDER[file.count], 1)]
    else:
        raise InputError(
            f"{path.name} has {file.count} bands without names, which may be in any order; "
            "name them in their order, such as bands=B02,B03,B04,B08"
        )
    scl = dict(numbered).get("SCL")
    numbered = [(name, n) for name, n in numbered if name != "SCL"]
    bands = tuple(name for name, _ in numbered)
    if len(set(bands)) != len(bands):
        raise InputError(
            f"{path.name} has the bands {', '.join(bands)}; each may come once: mend their names"
        )
    return bands, tuple(n for _, n in numbered), scl


def units_stated(
    path: Path, file: Any, tags: Mapping[str, str]
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Quantum and offset where an open file states them, and what was decided about them.

    The offset that GDAL keeps for a band comes first, then the flag that it was already added,
    then the processing baseline.
    """
    scales, offsets = set(file.scales), set(file.offsets)
    if len(scales) > 1 or len(offsets) > 1:
        raise InputError(
            f"{path.name} states different scales or offsets for its bands; "
            "give it the same for all"
        )
    quantum = scales.pop() if scales != {1.0} else None
    shift = round(offsets.pop() / (quantum or 1.0), 3)
    upper = {key.upper(): value for key, value in tags.items()}
    added = upper.get("BOA_OFFSET_APPLIED", "").lower() in ("true", "yes", "1")
    if shift:
        both = f"{path.name} states the offset {shift:g} and that it was added; the pixels decide"
        return quantum, shift, (both,) if added else ()
    if added:
        return quantum, 0.0, ()
    baseline = upper.get("PROCESSING_BASELINE") or baseline_in(path.stem)
    return quantum, offset_of_baseline(baseline), ()


def _in_one_order(frames: Sequence[Frame]) -> list[Frame]:
    """The frames with their bands in the order of the first."""
    first = frames[0]
    for frame in frames:
        if set(frame.bands) != set(first.bands):
            raise InputError(
                f"{Path(first.source).name} has bands {', '.join(first.bands)}, but "
                f"{Path(frame.source).name} has {', '.join(frame.bands)}; "
                "give files with the same bands"
            )
    order = [[frame.bands.index(band) for band in first.bands] for frame in frames]
    return [
        replace(frame, bands=first.bands, indexes=tuple(frame.indexes[i] for i in chosen))
        for frame, chosen in zip(frames, order, strict=True)
    ]
