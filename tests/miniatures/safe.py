"""SAFE products in miniature: the layout, names and metadata of the archives, real pixels in jp2.

The metadata hold the elements that a reader needs, named and nested as in true products of the
format PSD-14 (before baseline 02.07 of L2A: with L2A_ before many names).
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from miniatures.scenery import cut_short, fine, write_plain

ROWS, COLS = 36, 48
"""Of the bands of 10 m; both can be halved and divided by six."""
WEST, NORTH = 499_980, 4_700_040
ALL = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
TEN = ("B02", "B03", "B04", "B08")
TWENTY = ("B05", "B06", "B07", "B8A", "B11", "B12")
SIXTY = ("B01", "B09")
CLOUD = (slice(0, 3), slice(0, 5))
"""Rows and columns of the scene classes, at 20 m, that are cloud."""
EMPTY = (slice(30, 36), slice(40, 48))
"""Rows and columns at 10 m that were not seen: 0 in all bands."""

DEFECTS = frozenset(
    {
        "no metadata",
        "metadata are no XML",
        "metadata with a document type",
        "metadata with entities in UTF-16",
        "metadata larger than any",
        "metadata name a file outside",
        "metadata name a file that is not there",
        "a band of 20 m is not there",
        "no quantification value",
        "a quantification value that is no number",
        "offsets differ",
        "an offset of no band",
        "an offset that the pixels already have",
        "no B03 at all",
        "no B08 at all",
        "no image at all",
        "a jp2 cut short",
        "a jp2 that is none",
        "a jp2 that points elsewhere",
        "another jp2 that points elsewhere",
        "two granules",
        "the old format",
        "no scene classes",
        "two products in one zip",
        "a zip that climbs out",
        "a zip cut short",
    }
)
ZIP_DEFECTS = {"two products in one zip", "a zip that climbs out", "a zip cut short"}


@dataclass(frozen=True)
class Kind:
    """What a product is called, and how its pixels are to be taken."""

    level: str = "L2A"
    sensed: str = "20230818T100031"
    baseline: str = "05.09"
    offset: int | None = -1000
    """As the metadata state it; None where they hold no list of offsets."""
    day: int = 1
    """Number of the clear day of the bundled series that it shows."""
    tile: str = "T31TDG"
    twenty: bool = False
    """Whether bands of 20 and 60 m are there too."""
    old_names: bool = False
    """L2A_ before many names, as in 2017."""

    @property
    def name(self) -> str:
        """The product's name without .SAFE."""
        number = self.baseline.replace(".", "")
        return (
            f"S2A_MSI{self.level}_{self.sensed}_N{number}_R122_{self.tile}_{self.sensed[:8]}T150000"
        )

    @property
    def granule(self) -> str:
        """The name of its one granule."""
        return f"{self.level}_{self.tile}_A042547_{self.sensed}"

    def image(self, band: str, metres: int) -> str:
        """The path of an image below the product, without .jp2."""
        old = "L2A_" if self.old_names else ""
        stem = f"GRANULE/{self.granule}/IMG_DATA"
        if self.level == "L1C":
            return f"{stem}/{self.tile}_{self.sensed}_{band}"
        return f"{stem}/R{metres}m/{old}{self.tile}_{self.sensed}_{band}_{metres}m"


def make_safe(
    folder: Path,
    kind: Kind | None = None,
    *,
    defects: frozenset[str] = frozenset(),
    zipped: bool = False,
    change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
) -> Path:
    """One product in a folder, as a folder or as a zip; change: what is done to the reflectance."""
    assert defects <= DEFECTS, defects - DEFECTS
    kind = kind or Kind()
    product = folder / f"{kind.name}.SAFE"
    files = _images(kind, defects, change)
    for name, (image, metres) in files.items():
        _jp2(product / f"{name}.jp2", image, metres)
    _spoil_files(product, kind, defects)
    if "no metadata" not in defects:
        named = [*files, *_ghosts(kind, defects)]
        (product / f"MTD_MSI{kind.level}.xml").write_bytes(_product_xml(kind, named, defects))
    if "the old format" in defects:
        (product / f"MTD_MSI{kind.level}.xml").rename(
            product / "S2A_OPER_MTD_SAFL1C_PDMC_20160929T000000_R022_V20160928T100031.xml"
        )
    (product / f"GRANULE/{kind.granule}/MTD_TL.xml").write_text(_tile_xml(kind))
    (product / "manifest.safe").write_text('<?xml version="1.0"?><manifest/>')
    return _zipped(product, defects) if zipped or defects & ZIP_DEFECTS else product


def seen() -> npt.NDArray[np.bool_]:
    """[H, W] what a product shows, without what was not seen."""
    where = np.ones((ROWS, COLS), bool)
    where[EMPTY] = False
    return where


def _images(
    kind: Kind,
    defects: frozenset[str],
    change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None,
) -> Mapping[str, tuple[npt.NDArray[Any], int]]:
    """Images and their metres by path."""
    sizes = {10: TEN, 20: (*TEN[:3], *TWENTY) if kind.twenty else TEN[:3]}
    if kind.twenty:
        sizes[60] = (*TEN[:3], *TWENTY, *SIXTY)
    if kind.level == "L1C":
        sizes = {10: TEN, 20: TWENTY if kind.twenty else (), 60: SIXTY if kind.twenty else ()}
    added = 0 if "an offset that the pixels already have" in defects else -(kind.offset or 0)
    lost = {f"no {band} at all": band for band in ("B03", "B08")}
    gone = {band for defect, band in lost.items() if defect in defects}
    gone = set(ALL) if "no image at all" in defects else gone
    files = {}
    for metres, bands in sizes.items():
        for band in (band for band in bands if band not in gone):
            whole = fine(kind.day, (band,), (ROWS, COLS))
            dn = np.round(10_000 * (whole if change is None else change(whole))) + added
            dn[:, EMPTY[0], EMPTY[1]] = 0
            files[kind.image(band, metres)] = _coarse(dn, metres // 10), metres
    if kind.level == "L2A" and "no scene classes" not in defects:
        classes = np.full((1, ROWS // 2, COLS // 2), 4, np.uint8)
        classes[:, CLOUD[0], CLOUD[1]] = 9
        classes[:, 15:, 20:] = 0
        files[kind.image("SCL", 20)] = classes, 20
    return files


def _coarse(dn: npt.NDArray[Any], times: int) -> npt.NDArray[Any]:
    """The mean of so many pixels each way; 0 where one of them is."""
    _, rows, cols = dn.shape
    blocks = dn.reshape(1, rows // times, times, cols // times, times)
    mean = np.where((blocks == 0).any((2, 4)), 0, blocks.mean((2, 4)))
    return np.asarray(np.round(mean).astype(np.uint16))


def _jp2(path: Path, image: npt.NDArray[Any], metres: int) -> None:
    """Lossless, in UTM."""
    transform = rasterio.Affine(metres, 0, WEST, 0, -metres, NORTH)
    more = {"crs": "EPSG:32631", "transform": transform, "quality": 100, "reversible": "YES"}
    write_plain(path, image, "JP2OpenJPEG", **more)


def _spoil_files(product: Path, kind: Kind, defects: frozenset[str]) -> None:
    red = product / f"{kind.image('B04', 10)}.jp2"
    if "a jp2 cut short" in defects:
        cut_short(red)
    if "a jp2 that is none" in defects:
        (product / f"{kind.image('B02', 10)}.jp2").write_bytes(b"no image")
    if "metadata name a file that is not there" in defects:
        red.unlink()
    if "a band of 20 m is not there" in defects:
        (product / f"{kind.image('B8A', 20)}.jp2").unlink()
    for defect, band in (("a jp2", "B02"), ("another jp2", "B08")):
        if f"{defect} that points elsewhere" in defects:
            path = product / f"{kind.image(band, 10)}.jp2"
            path.rename(product.parent / f"{band}.jp2")
            path.write_text(_vrt(product.parent / f"{band}.jp2"))
    if "two granules" in defects:
        other = product / "GRANULE/L2A_T31TEG_A042547_20230818T100031/IMG_DATA/R10m"
        other.mkdir(parents=True)
        shutil.copy(red, other / "T31TEG_20230818T100031_B04_10m.jp2")


def _vrt(path: Path) -> str:
    """A raster of a few words whose pixels are those of another file."""
    return (
        f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>{WEST}, 10, 0, {NORTH}, 0, -10</GeoTransform>"
        '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )


def _ghosts(kind: Kind, defects: frozenset[str]) -> tuple[str, ...]:
    """Files that the metadata name and that are none of the product's."""
    if "metadata name a file outside" in defects:
        return (f"GRANULE/{kind.granule}/IMG_DATA/../../../../../etc/T31TDG_B02_10m",)
    return ()


def _zipped(product: Path, defects: frozenset[str]) -> Path:
    """The product as a zip, the folder gone."""
    path = product.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(product.rglob("*.*")):
            if file.is_file():
                archive.write(file, file.relative_to(product.parent))
        if "a zip that climbs out" in defects:
            archive.writestr(f"{product.name}/../../../out.jp2", b"out")
        if "two products in one zip" in defects:
            archive.writestr("S2B.SAFE/MTD_MSIL2A.xml", b"<a/>")
    shutil.rmtree(product)
    if "a zip cut short" in defects:
        cut_short(path)
    return path


def _product_xml(kind: Kind, named: list[str], defects: frozenset[str]) -> bytes:
    """MTD_MSIL2A.xml or MTD_MSIL1C.xml."""
    if "metadata are no XML" in defects:
        return b"<n1:Level-2A_User_Product>"
    old = "L2A_" if kind.old_names else ""
    of_2a = "_2A" if kind.old_names else ""
    images = "".join(f"<IMAGE_FILE{of_2a}>{name}</IMAGE_FILE{of_2a}>" for name in named)
    level, number = kind.level[1:], kind.baseline
    sensed = f"{kind.sensed[:4]}-{kind.sensed[4:6]}-{kind.sensed[6:8]}T10:00:31.024Z"
    text = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product
 xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<n1:General_Info>
<{old}Product_Info>
<PRODUCT_START_TIME>{sensed}</PRODUCT_START_TIME>
<PRODUCT_STOP_TIME>{sensed}</PRODUCT_STOP_TIME>
<PRODUCT_URI{of_2a}>{kind.name}.SAFE</PRODUCT_URI{of_2a}>
<PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
<PRODUCT_TYPE>S2MSI{level}</PRODUCT_TYPE>
<PROCESSING_BASELINE>{number}</PROCESSING_BASELINE>
<Datatake datatakeIdentifier="GS2A_{kind.sensed}_042547_N{number}">
<SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>
<DATATAKE_SENSING_START>{sensed}</DATATAKE_SENSING_START>
<SENSING_ORBIT_NUMBER>122</SENSING_ORBIT_NUMBER>
</Datatake>
<{old}Product_Organisation><Granule_List>
<Granule granuleIdentifier="S2A_OPER_MSI_{kind.level}_TL_2APS_{kind.tile}" imageFormat="JPEG2000">
{images}</Granule>
</Granule_List></{old}Product_Organisation>
</{old}Product_Info>
<{old}Product_Image_Characteristics>
<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
<Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
{_quantum_xml(kind, defects)}{_offset_xml(kind, defects)}
</{old}Product_Image_Characteristics>
</n1:General_Info>
<n1:Quality_Indicators_Info>
<Cloud_Coverage_Assessment>6.25</Cloud_Coverage_Assessment>
</n1:Quality_Indicators_Info>
</n1:Level-{level}_User_Product>
"""
    return _spoilt(text, defects)


def _quantum_xml(kind: Kind, defects: frozenset[str]) -> str:
    if "no quantification value" in defects:
        return ""
    value = "ten" if "a quantification value that is no number" in defects else "10000"
    if kind.level == "L1C":
        return f'<QUANTIFICATION_VALUE unit="none">{value}</QUANTIFICATION_VALUE>'
    listed = (
        "L1C_L2A_Quantification_Values_List" if kind.old_names else "QUANTIFICATION_VALUES_LIST"
    )
    old = "L2A_" if kind.old_names else ""
    return (
        f'<{listed}><{old}BOA_QUANTIFICATION_VALUE unit="none">{value}'
        f"</{old}BOA_QUANTIFICATION_VALUE>"
        f'<{old}AOT_QUANTIFICATION_VALUE unit="none">1000.0</{old}AOT_QUANTIFICATION_VALUE>'
        f"</{listed}>"
    )


def _offset_xml(kind: Kind, defects: frozenset[str]) -> str:
    if kind.offset is None:
        return ""
    listed, each = ("Radiometric_Offset_List", "RADIO_ADD_OFFSET")
    if kind.level == "L2A":
        listed, each = ("BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET")
    values = {str(i): kind.offset for i in range(13)}
    if "offsets differ" in defects:
        values["7"] = 0
    if "an offset of no band" in defects:
        values["13"] = -1000
    inner = "".join(f'<{each} band_id="{i}">{value}</{each}>' for i, value in values.items())
    return f"<{listed}>{inner}</{listed}>"


def _spoilt(text: str, defects: frozenset[str]) -> bytes:
    head, _, body = text.partition("\n")
    if "metadata with a document type" in defects:
        entity = '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
        return f"{head}\n{entity}\n{body}".encode()
    if "metadata with entities in UTF-16" in defects:
        head = head.replace("UTF-8", "UTF-16")
        return f'{head}\n<!DOCTYPE a [<!ENTITY b "cc">]>\n{body}'.encode("utf-16")
    if "metadata larger than any" in defects:
        return text.encode() + b" " * 2**24
    return text.encode()


def _tile_xml(kind: Kind) -> str:
    """MTD_TL.xml."""
    level = kind.level[1:]
    sizes = "".join(
        f'<Size resolution="{m}"><NROWS>{10 * ROWS // m}</NROWS><NCOLS>{10 * COLS // m}</NCOLS>'
        f'</Size><Geoposition resolution="{m}"><ULX>{WEST}</ULX><ULY>{NORTH}</ULY>'
        f"<XDIM>{m}</XDIM><YDIM>-{m}</YDIM></Geoposition>"
        for m in (10, 20, 60)
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_Tile_ID
 xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-{level}_Tile_Metadata.xsd">
<n1:General_Info>
<TILE_ID metadataLevel="Brief">S2A_OPER_MSI_{kind.level}_TL_2APS_{kind.tile}</TILE_ID>
<SENSING_TIME metadataLevel="Standard">{kind.sensed[:4]}-01-01T10:07:57Z</SENSING_TIME>
</n1:General_Info>
<n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
<HORIZONTAL_CS_NAME>WGS84 / UTM zone 31N</HORIZONTAL_CS_NAME>
<HORIZONTAL_CS_CODE>EPSG:32631</HORIZONTAL_CS_CODE>
{sizes}</Tile_Geocoding></n1:Geometric_Info>
</n1:Level-{level}_Tile_ID>
"""
