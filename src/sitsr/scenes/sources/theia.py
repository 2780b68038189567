"""Theia's L2A products of Sentinel-2, made by MAJA, as folders or zips with their original names.

Bands    PRODUCT_FRE_B2.tif and so on: surface reflectance corrected for slopes ("flat"). The other
         kind, SRE, is not read: series that mix the two would differ by slope
Date     in the product's name
Units    REFLECTANCE_QUANTIFICATION_VALUE in PRODUCT_MTD_ALL.xml, else 10000; never an offset, and
         values below 0 are data
Nodata   in PRODUCT_MTD_ALL.xml, else -10000
Masks    MASKS/PRODUCT_CLM_R1.tif (10 m), else _R2 (20 m): 0 is neither cloud nor shadow
Cloud    the quality index CloudPercent
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.names import L2A, band_name, find_date
from sitsr.scenes.sources.collecting import find_products, gather, with_common_bands
from sitsr.scenes.sources.products import (
    Document,
    Product,
    grid_at,
    names_in_zip,
    number,
    open_product,
)
from sitsr.series import InputError

PRODUCT = r"SENTINEL2[A-Z]_\d{8}-\d{6}-\d{3}_L2A_T\d\d[A-Z]{3}_[A-Z]_V\d+-\d+"
NAME = re.compile(rf"{PRODUCT}(?:\.zip)?")
FILE = re.compile(rf"(?:.*/)?({PRODUCT})_(?:FRE|SRE|CLM|MTD)_\w+\.(?:tif|xml)")
QUANTUM, NODATA = 1e-4, -10000.0
FINE = ("B02", "B03", "B04", "B08")


def is_theia(path: Path) -> bool:
    """Whether a path is a product, or a folder with the files of some, by names only."""
    if NAME.fullmatch(path.name):
        return True
    if path.is_dir():
        return any(FILE.fullmatch(each.name) for each in path.glob("SENTINEL2*_*RE_B*.tif"))
    if path.suffix != ".zip":
        return False
    try:
        return any(FILE.fullmatch(name) for name in names_in_zip(path))
    except InputError:
        return False


def parse_theia(
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
    assume_crs: Any = None,
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of all Theia products in a folder (or of one), and what was assumed about them.

    names            not needed: products name their bands
    skip_unreadable  leave out products that are broken, or lack a band that the others have
    assume_crs       for files that state no coordinate system
    """
    paths, notes = find_products(folder, is_theia)
    parsed, left = gather(paths, lambda path: _parse(path, assume_crs), skip_unreadable)
    frames, said = with_common_bands([f for each in parsed for f in each], skip_unreadable)
    return tuple(frames), (*notes, *left, *said)


def _parse(path: Path, assume_crs: Any) -> list[Frame]:
    """The frames of what is mostly one product."""
    holder = open_product(path)
    products: dict[str, list[str]] = {}
    for name in holder.names:
        found = FILE.fullmatch(name)
        if found:
            products.setdefault(found[1], []).append(name)
    if not products:
        raise InputError(f"{path.name} holds no image of Theia; get it again")
    return [_frame(holder, name, files, assume_crs) for name, files in products.items()]


def _frame(holder: Product, name: str, files: Sequence[str], assume_crs: Any) -> Frame:
    by_ending = {file.rpartition("/")[2].removeprefix(f"{name}_"): file for file in files}
    images = {
        str(band_name(ending[4:-4])): file
        for ending, file in by_ending.items()
        if ending.startswith("FRE_B")
    }
    bands = tuple(band for band in L2A if band in images)
    if not bands:
        held = "only SRE, which is not read" if any("_SRE_" in file for file in files) else "none"
        raise InputError(f"{name} has no image PRODUCT_FRE_BAND.tif but {held}; get it again")
    head = by_ending.get("MTD_ALL.xml")
    document = holder.document(head) if head else None
    quantum, nodata, cloud = _stated(name, document)
    mask = by_ending.get("CLM_R1.tif") or by_ending.get("CLM_R2.tif")
    day = find_date(name)
    if day is None:
        raise InputError(f"{name} has no date in its name; give the product its own name again")
    fine = next((band for band in FINE if band in images), bands[0])
    return Frame(
        source=str(holder.path if holder.path.name.startswith(name) else holder.path / name),
        date=day,
        bands=bands,
        indexes=(1,) * len(bands),
        grid=grid_at(holder.address(images[fine]), assume_crs),
        nodata=nodata,
        quantum=quantum,
        offset=0.0,
        cover=Cover(holder.address(mask), "CLM") if mask else None,
        files=tuple(holder.address(images[band]) for band in bands),
        cloud=cloud,
    )


def _stated(name: str, document: Document | None) -> tuple[float, float, float | None]:
    """Quantum, nodata and share of cloud, where there are metadata; else what is usual."""
    if document is None:
        return QUANTUM, NODATA, None
    steps = number(document, name, "REFLECTANCE_QUANTIFICATION_VALUE")
    if steps is not None and not 1 <= steps <= 1e6:
        raise InputError(f"{name} states REFLECTANCE_QUANTIFICATION_VALUE as {steps:g}")
    nodata = number(document, name, "SPECIAL_VALUE[@name='nodata']")
    cloud = number(document, name, "QUALITY_INDEX[@name='CloudPercent']")
    return (
        1 / steps if steps else QUANTUM,
        NODATA if nodata is None else nodata,
        None if cloud is None else cloud / 100,
    )
