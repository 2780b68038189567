"""SAFE products of Sentinel-2, L2A and L1C, as folders or zips, as the archives hand them out.

Bands    the JPEG 2000 files under GRANULE/*/IMG_DATA, each band at the finest of 10, 20 and 60 m
Date     the start of the datatake in MTD_MSIL2A.xml or MTD_MSIL1C.xml, so that neighbouring tiles
         of one pass have one date
Units    (BOA_)QUANTIFICATION_VALUE, and BOA_ADD_OFFSET (L1C: RADIO_ADD_OFFSET) of the bands; where
         there is no list of offsets, PROCESSING_BASELINE
Nodata   0 in all bands
Masks    the scene classes of L2A (SCL); L1C has none, and the spectral rule is used
Cloud    Cloud_Coverage_Assessment
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.names import L1C, find_date, offset_of_baseline
from sitsr.scenes.sources.collecting import (
    check_level,
    find_products,
    gather,
    with_common_bands,
)
from sitsr.scenes.sources.products import (
    Document,
    Product,
    check_inside,
    grid_at,
    names_in_zip,
    number,
    open_product,
    texts,
)
from sitsr.series import InputError

HEAD = re.compile(r"((?:[^/]+/)*)MTD_MSI(L2A|L1C)\.xml")
OLD = re.compile(r"(?:.*/)?S2\w_\w+_MTD_SAF(L2A|L1C)\w*\.xml")
IMAGE = re.compile(
    r"GRANULE/([^/]+)/IMG_DATA/(?:R\d0m/)?(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}_(B\d[\dA]|SCL)"
    r"(?:_(\d0)m)?"
)
NAME = re.compile(r"S2[A-Z]_MSIL(?:2A|1C)_\d{8}T\d{6}.*")
JP2 = ".jp2"
TEN_METRES = ("B02", "B03", "B04", "B08")
QUANTA = {
    "L2A": ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
    "L1C": ("QUANTIFICATION_VALUE",),
}
OFFSETS = {"L2A": "BOA_ADD_OFFSET", "L1C": "RADIO_ADD_OFFSET"}
NOT_SURFACE = (
    "images are top of atmosphere (L1C), but the models are made for surface reflectance (L2A)"
)

Images = dict[str, str]
"""Names of files by band, or SCL."""


def is_safe(path: Path) -> bool:
    """Whether a path is one product, by its name and the names in it."""
    if path.is_dir():
        heads = [path / f"MTD_MSI{level}.xml" for level in QUANTA]
        named = any(head.exists() for head in heads) and (path / "GRANULE").is_dir()
        return named or path.suffix == ".SAFE"
    if path.suffix != ".zip":
        return False
    if NAME.match(path.name):
        return True
    try:
        return any(HEAD.fullmatch(name) or OLD.fullmatch(name) for name in names_in_zip(path))
    except InputError:
        return False


def parse_safe(path: Path, *, assume_crs: Any = None) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frame of one SAFE product, and what was assumed; for assume_crs see ``open_series``."""
    return parse_products(path, assume_crs=assume_crs)


def parse_products(
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of all SAFE products in a folder (or of one), and what was assumed about them.

    names            not needed: products name their bands
    skip_unreadable  leave out products that are broken, or lack a band that the others have
    assume_crs       for files that state no coordinate system
    """
    paths, notes = find_products(folder, is_safe)
    parsed, left = gather(paths, lambda path: _parse(path, assume_crs), skip_unreadable)
    frames = [frame for frame, _ in parsed]
    check_level(frames, [level for _, level in parsed])
    frames, said = with_common_bands(frames, skip_unreadable)
    return tuple(frames), (*notes, *left, *said)


def _parse(path: Path, assume_crs: Any) -> tuple[Frame, str]:
    """The frame of one product, and its processing level."""
    product = open_product(path)
    root, level = _head(product)
    head = f"{root}MTD_MSI{level}.xml"
    document = product.document(head)
    held = [name.removeprefix(root) for name in product.names if name.startswith(root)]
    present = _finest(path.name, held)
    stated = _stated(product, document)
    decided = _check_complete(path.name, present, stated)
    classes = present.pop("SCL", None)
    if not present:
        raise InputError(f"{path.name} holds no image of a band; get it again")
    bands = tuple(band for band in L1C if band in present)
    files = tuple(product.address(root + present[band]) for band in bands)
    finest = min(range(len(bands)), key=lambda i: _metres(present[bands[i]], bands[i]))
    cloud = number(document, path.name, "Cloud_Coverage_Assessment")
    quantum, offset = units_in(path.name, document, level, bands)
    frame = Frame(
        source=str(path),
        date=_date(path, document),
        bands=bands,
        indexes=(1,) * len(bands),
        grid=grid_at(files[finest], assume_crs),
        nodata=0.0,
        quantum=quantum,
        offset=offset,
        cover=Cover(product.address(root + classes)) if classes else None,
        files=files,
        cloud=None if cloud is None else cloud / 100,
        decided=(*decided, NOT_SURFACE) if level == "L1C" else decided,
    )
    return frame, level


def _head(product: Product) -> tuple[str, str]:
    """The folder of the product's metadata, with "/" at its end, and the processing level."""
    heads = [found for name in product.names if (found := HEAD.fullmatch(name))]
    if len(heads) == 1:
        return heads[0][1], heads[0][2]
    name = product.path.name
    if heads:
        raise InputError(f"{name} holds {len(heads)} products; unpack it, and give their folder")
    if any(OLD.fullmatch(each) for each in product.names):
        raise InputError(
            f"{name} is in the format of before December 2016, which is not read; archives hold "
            "the same image processed anew: get that"
        )
    raise InputError(f"{name} lacks MTD_MSIL2A.xml (or MTD_MSIL1C.xml); get it again")


def _finest(holder: str, names: Sequence[str]) -> Images:
    """For each band the file of the finest resolution; of a product of one granule."""
    images: Images = {}
    granules = set()
    for name in sorted(names):
        found = IMAGE.fullmatch(name.removesuffix(JP2)) if name.endswith(JP2) else None
        if not found:
            continue
        granules.add(found[1])
        band = found[2]
        if band not in images or _metres(name, band) < _metres(images[band], band):
            images[band] = name
    if len(granules) > 1:
        raise InputError(
            f"{holder} holds {len(granules)} granules, {', '.join(sorted(granules)[:2])}; give "
            "products of one tile each, as archives hand them out since December 2016"
        )
    return images


def _metres(name: str, band: str) -> int:
    """The size of a file's pixels by its name; L1C has each band at its own size only."""
    found = IMAGE.fullmatch(name.removesuffix(JP2))
    if found and found[3]:
        return int(found[3])
    return 10 if band in TEN_METRES else 60 if band in ("B01", "B09", "B10") else 20


def _stated(product: Product, document: Document) -> Images:
    """What the metadata name: for each band the file of the finest resolution."""
    named = texts(document, "IMAGE_FILE", "IMAGE_FILE_2A", "IMAGE_ID", "IMAGE_ID_2A")
    check_inside(product.path.name, named)
    return _finest(product.path.name, [f"{name}{JP2}" for name in named])


def _check_complete(name: str, present: Images, stated: Images) -> tuple[str, ...]:
    """Of what the metadata name, the bands of 10 m must be there; what else is not, is told."""
    lacking = {band: file for band, file in stated.items() if present.get(band) != file}
    for band in TEN_METRES:
        if band in lacking:
            raise InputError(
                f"{name} lacks {lacking[band].rpartition('/')[2]}, which its metadata name; "
                "get it again"
            )
    if not lacking:
        return ()
    return (f"{name} lacks {', '.join(sorted(lacking))}, at the finest that its metadata name",)


def _date(path: Path, document: Document) -> date:
    for text in (*texts(document, "DATATAKE_SENSING_START", "PRODUCT_START_TIME"), path.name):
        found = find_date(text)
        if found:
            return found
    raise InputError(f"{path.name} has no date in its metadata or name; get it again")


def units_in(
    name: str, document: Document, level: str, bands: Sequence[str]
) -> tuple[float, float | None]:
    """Quantum and offset that a product's metadata state; name: for messages."""
    value = number(document, name, *QUANTA[level])
    if value is None or not 1 <= value <= 1e6:
        raise InputError(f"{name} states {QUANTA[level][0]} as {value}; get it again")
    return 1 / value, _offset(name, document, level, bands)


def _offset(name: str, document: Document, level: str, bands: Sequence[str]) -> float | None:
    """What the metadata say is added to the digital numbers of all bands."""
    stated = {}
    for each in document.iterfind(f".//{{*}}{OFFSETS[level]}"):
        try:
            stated[L1C[int(each.get("band_id", ""))]] = int(each.text or "")
        except (ValueError, IndexError):
            raise InputError(
                f"{name} states {OFFSETS[level]} for no band of Sentinel-2, or as no whole number; "
                "get it again"
            ) from None
    if not stated:
        baseline = texts(document, "PROCESSING_BASELINE")
        return offset_of_baseline(baseline[0]) if baseline else None
    offsets = {stated.get(band) for band in bands}
    if len(offsets) > 1:
        told = ", ".join(f"{band} {stated.get(band, 'none')}" for band in bands)
        raise InputError(
            f"{name} states different offsets for its bands ({told}), which is not read; leave it "
            "out"
        )
    return offsets.pop()
