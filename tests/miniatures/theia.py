"""Theia's L2A products in miniature: original names, both reflectances, masks, metadata."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from miniatures.safe import COLS, EMPTY, NORTH, ROWS, WEST
from miniatures.scenery import cut_short, fine, write_plain

TEN = {"B2": "B02", "B3": "B03", "B4": "B04", "B8": "B08"}
TWENTY = {"B8A": "B8A", "B11": "B11"}
CLOUD = (slice(0, 2), slice(0, 3))
"""Rows and columns of the mask at 20 m."""

DEFECTS = frozenset(
    {
        "no metadata",
        "no masks",
        "only the coarse mask",
        "only SRE",
        "no image at all",
        "no B3",
        "no B8",
        "a band cut short",
        "metadata with a document type",
        "a quantification value that is no number",
        "steps of 1000",
    }
)


def product_name(day: str) -> str:
    """The name of the product of a day, as YYYYMMDD."""
    return f"SENTINEL2A_{day}-104155-257_L2A_T31TDG_C_V2-2"


def make_theia(
    folder: Path,
    day: str = "20200621",
    *,
    shown: int = 1,
    defects: frozenset[str] = frozenset(),
    zipped: bool = False,
    change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
) -> Path:
    """One product in a folder, or as a zip; change: what is done to the reflectance."""
    assert defects <= DEFECTS, defects - DEFECTS
    name = product_name(day)
    product = folder / name
    steps = 1000 if "steps of 1000" in defects else 10_000
    for short, band in {**TEN, **TWENTY}.items():
        if f"no {short}" in defects or "no image at all" in defects:
            continue
        whole = fine(shown, (band,), (ROWS, COLS))
        dn = np.round(steps * (whole if change is None else change(whole)))
        dn[:, EMPTY[0], EMPTY[1]] = -10_000
        times = 1 if short in TEN else 2
        for kind in ("SRE",) if "only SRE" in defects else ("FRE", "SRE"):
            sloped = dn if kind == "FRE" else np.where(dn < 0, dn, dn + 100)
            _tif(product / f"{name}_{kind}_{short}.tif", sloped[:, ::times, ::times], 10 * times)
    if "a band cut short" in defects:
        cut_short(product / f"{name}_FRE_B4.tif")
    if "no masks" not in defects:
        _masks(product, name, defects)
    if "no metadata" not in defects:
        product.mkdir(parents=True, exist_ok=True)
        (product / f"{name}_MTD_ALL.xml").write_text(_xml(name, steps, defects))
    return _zipped(product) if zipped else product


def _tif(path: Path, image: npt.NDArray[Any], metres: int, kind: type = np.int16) -> None:
    transform = rasterio.Affine(metres, 0, WEST, 0, -metres, NORTH)
    write_plain(path, image.astype(kind), crs="EPSG:32631", transform=transform)


def _masks(product: Path, name: str, defects: frozenset[str]) -> None:
    """Bits: 2 is cloud, 8 is shadow."""
    bits = np.zeros((1, ROWS // 2, COLS // 2), np.uint8)
    bits[:, CLOUD[0], CLOUD[1]] = 2
    bits[:, CLOUD[0].stop, CLOUD[1]] = 8
    _tif(product / "MASKS" / f"{name}_CLM_R2.tif", bits, 20, np.uint8)
    if "only the coarse mask" not in defects:
        doubled = bits.repeat(2, 1).repeat(2, 2)
        _tif(product / "MASKS" / f"{name}_CLM_R1.tif", doubled, 10, np.uint8)


def _zipped(product: Path) -> Path:
    path = product.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(product.rglob("*.*")):
            archive.write(file, file.relative_to(product.parent))
    shutil.rmtree(product)
    return path


def _xml(name: str, steps: int, defects: frozenset[str]) -> str:
    """PRODUCT_MTD_ALL.xml, named and nested as MAJA writes it."""
    kind = "<!DOCTYPE a>" if "metadata with a document type" in defects else ""
    value = "ten" if "a quantification value that is no number" in defects else str(steps)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
{kind}<Muscate_Metadata_Document>
<Dataset_Identification><IDENTIFIER>{name}</IDENTIFIER></Dataset_Identification>
<Product_Characteristics>
<PRODUCT_ID>{name}</PRODUCT_ID>
<ACQUISITION_DATE>{name[11:15]}-{name[15:17]}-{name[17:19]}T10:41:55.257Z</ACQUISITION_DATE>
<PLATFORM>SENTINEL2A</PLATFORM>
</Product_Characteristics>
<Radiometric_Informations>
<REFLECTANCE_QUANTIFICATION_VALUE>{value}</REFLECTANCE_QUANTIFICATION_VALUE>
<Special_Values_List>
<SPECIAL_VALUE name="water_vapor_content_nodata">0</SPECIAL_VALUE>
<SPECIAL_VALUE name="nodata">-10000</SPECIAL_VALUE>
</Special_Values_List>
</Radiometric_Informations>
<Quality_Informations><Current_Product><Product_Quality_List level="L2A"><Product_Quality>
<Global_Index_List>
<QUALITY_INDEX name="CloudPercent">12</QUALITY_INDEX>
<QUALITY_INDEX name="SnowPercent">3</QUALITY_INDEX>
</Global_Index_List>
</Product_Quality></Product_Quality_List></Current_Product></Quality_Informations>
</Muscate_Metadata_Document>
"""
