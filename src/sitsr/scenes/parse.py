"""From names and tags to frames: the only place that knows how files are called.

A ``Frame`` says everything about one image except its pixels. Whatever a new kind of source looks
like, reading it begins with a function that gives frames.

Dates    the first date in the name (20200113, 2020-01-13, 2020_01_13, 20200113T105421), else the
         tags ACQUISITION_DATE, SENSING_TIME or TIFFTAG_DATETIME
Bands    the bands' descriptions (B02, b2, blue ...), else the usual order for their number
Masks    NAME_clear.tif (not 0 where the ground is seen) or NAME_SCL.tif (Sen2Cor scene classes)
         beside NAME.tif, or a band described as SCL
Offset   the tags BOA_OFFSET_APPLIED and PROCESSING_BASELINE, the baseline in a product's name
         (_N0400_), or the scale and offset that GDAL keeps for a band
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from sitsr.series import InputError

L2A = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
L1C = (*L2A[:10], "B10", *L2A[10:])
TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
USUAL_ORDER = {len(order): order for order in (L2A, L1C, TEN)}

COMMON_NAMES = {
    **{"coastal": "B01", "blue": "B02", "green": "B03", "red": "B04"},
    **{"rededge1": "B05", "rededge2": "B06", "rededge3": "B07", "rededge": "B05"},
    **{"nir": "B08", "nir08": "B8A", "nir09": "B09", "cirrus": "B10"},
    **{"swir16": "B11", "swir22": "B12", "swir1": "B11", "swir2": "B12", "scl": "SCL"},
}

DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_]?)(\d\d)\2(\d\d)(?=T?\d{6}(?!\d)|\D|$)")
BASELINE = re.compile(r"_N(0\d)(\d\d)_")
BAND = re.compile(r"B?(?:and)?[ _]?0?(\d{1,2}|8A)(?:_\d\dm)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Frame:
    """One image, before its pixels are read."""

    source: str
    """Where it is read from: a path, or the name of a cube and a date."""
    date: date
    bands: tuple[str, ...]
    indexes: tuple[int, ...]
    """For each band its number in the file, from 1."""
    grid: GeoBox
    nodata: float | None = None
    quantum: float | None = None
    """Reflectance per digital number, where the file states it."""
    offset: float | None = None
    """Added to digital numbers before they are multiplied by quantum, where the file states it."""
    scl: int | None = None
    """Number of the band of scene classes in the file, from 1."""
    mask: str | None = None
    """A file beside the image: NAME_clear.tif or NAME_SCL.tif."""


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
    frames = _in_one_order(frames)
    notes.append(f"bands read as {', '.join(frames[0].bands)}")
    return tuple(frames), tuple(notes)


def parse_file(path: Path, *, names: Sequence[str] | None, assume_crs: Any) -> Frame:
    """The frame of one GeoTIFF; for the arguments see ``parse_folder``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            if file.dtypes[0] == "uint8":
                raise InputError(
                    f"{path.name} holds 8-bit values, a picture; wanted reflectance (0 to 1 as "
                    "float, or times 10000 as integers): give the product the picture was made of"
                )
            tags = file.tags()
            bands, indexes, scl = _bands(path, file, names)
            quantum, offset = _units(path, file, tags)
            return Frame(
                source=str(path),
                date=_date(path, tags),
                bands=bands,
                indexes=indexes,
                grid=_grid(path, file, assume_crs),
                nodata=file.nodata,
                quantum=quantum,
                offset=offset,
                scl=scl,
                mask=_mask_beside(path),
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
    images = [p for p in images if not p.stem.lower().endswith(("_clear", "_scl"))]
    if not images:
        held = ", ".join(p.name for p in paths[:3]) or "nothing"
        raise InputError(f"{folder} holds {held}, no GeoTIFF; give a folder of dated GeoTIFFs")
    return images


def _mask_beside(path: Path) -> str | None:
    for ending in ("_clear", "_SCL", "_scl"):
        beside = path.with_name(f"{path.stem}{ending}{path.suffix}")
        if beside.exists():
            return str(beside)
    return None


def find_date(text: str) -> date | None:
    """The first date written in a text."""
    for found in DATE.finditer(text):
        try:
            return date(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:
            continue
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


def band_name(text: str) -> str | None:
    """Sentinel-2's own name for a band: "b2", "Band 2", "B02_10m" and "blue" are "B02"."""
    text = text.strip()
    if text.lower() in COMMON_NAMES:
        return COMMON_NAMES[text.lower()]
    found = BAND.fullmatch(text)
    if not found:
        return None
    name = "B" + found[1].upper().zfill(2)
    return name if name in L1C else None


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


def _grid(path: Path, file: Any, assume_crs: Any) -> GeoBox:
    crs = file.crs or assume_crs
    if not crs:
        raise InputError(
            f"{path.name} states no coordinate system; give it one, or say which to assume "
            "(assume_crs)"
        )
    if file.transform.is_identity:
        raise InputError(f"{path.name} does not say where it lies; give it a geotransform")
    return GeoBox((file.height, file.width), file.transform, crs)


def _units(path: Path, file: Any, tags: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Quantum and offset where the file states them."""
    scales, offsets = set(file.scales), set(file.offsets)
    if len(scales) > 1 or len(offsets) > 1:
        raise InputError(
            f"{path.name} states different scales or offsets for its bands; "
            "give it the same for all"
        )
    quantum = scales.pop() if scales != {1.0} else None
    shift = offsets.pop() / (quantum or 1.0)
    upper = {key.upper(): value for key, value in tags.items()}
    if upper.get("BOA_OFFSET_APPLIED", "").lower() in ("true", "yes", "1"):
        return quantum, 0.0
    if shift:
        return quantum, round(shift, 3)
    return quantum, offset_of_baseline(upper.get("PROCESSING_BASELINE") or _baseline(path.stem))


def _baseline(stem: str) -> str:
    found = BASELINE.search(stem)
    return f"{found[1]}.{found[2]}" if found else ""


def offset_of_baseline(baseline: str) -> float | None:
    """-1000 from processing baseline 04.00 on, 0 before; None where it is not a baseline."""
    try:
        return -1000.0 if float(baseline) >= 4 else 0.0
    except ValueError:
        return None


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
