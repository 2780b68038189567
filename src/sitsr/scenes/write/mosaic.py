"""Blocks joined to one Cloud-Optimized GeoTIFF, in memory that does not grow with the scene.

A virtual raster (VRT) says where each block lies; GDAL copies it, with overviews and statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from xml.etree.ElementTree import Element, SubElement, tostring

import rasterio
from rasterio._err import CPLE_BaseError  # what its copy raises, of no other family
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.shutil import copy

from sitsr.scenes.write.about import About, tags
from sitsr.scenes.write.rasters import Raster, colours, grid_of
from sitsr.series import InputError
from sitsr.tiles import Tile

CACHE = 256 << 20
"""Bytes of decoded pixels that GDAL keeps while it copies."""

Blocks = Sequence[tuple[Tile, Path]]
"""The cores of blocks on the input's grid, with their folders (``blocks``)."""

TYPES = {"uint16": "UInt16", "int16": "Int16", "uint8": "Byte"}


def write_cog(raster: Raster, product: About, blocks: Blocks, folder: Path) -> None:
    """One raster of a product, from its blocks, as folder / raster.href, aside and then in place.

    It has tiles of 512 pixels, overviews, an internal mask beside nodata, and statistics, which
    viewers stretch by. Deflate with a predictor is what every build of GDAL can read.
    """
    path = folder / raster.href
    draft = path.with_suffix(".draft.tif")
    try:
        with (
            virtual(raster, product, blocks, folder) as joined,
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_CACHEMAX=CACHE),
        ):
            copy(
                joined,
                draft,
                driver="COG",
                compress="DEFLATE",
                predictor="YES",
                blocksize=512,
                overview_resampling="AVERAGE" if raster.scale else "NEAREST",
                statistics="YES",
                bigtiff="IF_SAFER",
                num_threads="ALL_CPUS",
            )
            check_same(joined, draft)
        draft.replace(path)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        broken = forget_broken(raster, blocks)
        what = f"{broken} blocks are broken and were removed" if broken else f"{error}"
        raise InputError(
            f"{raster.href} cannot be put together ({what}); run again to go on, with room on the "
            "disk"
        ) from error
    finally:
        for left in path.parent.glob(f"{path.stem}.draft.*"):  # GDAL's own drafts as well
            left.unlink()


def check_same(one: Path, other: Path) -> None:
    """Raise RasterioIOError if two rasters differ: where a disk is full, GDAL may say nothing."""
    with rasterio.open(one) as wanted, rasterio.open(other) as got:
        for number in wanted.indexes:
            if wanted.checksum(number) != got.checksum(number):
                raise RasterioIOError("it was not written whole")


@contextmanager
def virtual(raster: Raster, product: About, blocks: Blocks, folder: Path) -> Iterator[Path]:
    """A virtual raster over the blocks, while it is needed."""
    path = (folder / raster.href).with_suffix(".draft.vrt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(vrt(raster, product, blocks), encoding="utf-8")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def forget_broken(raster: Raster, blocks: Blocks) -> int:
    """Take away the blocks whose raster cannot be read, so that they are made again."""
    broken = 0
    for _, place in blocks:
        try:
            with rasterio.open(place / raster.href) as file:
                for _, window in file.block_windows():
                    file.read(window=window)
        except (RasterioError, CPLE_BaseError):
            rmtree(place, ignore_errors=True)
            broken += 1
    return broken


def vrt(raster: Raster, product: About, blocks: Blocks) -> str:
    """The virtual raster, XML; nothing is known where there is no block."""
    grid = grid_of(raster, product.grid, product.scale)
    scale = product.scale if raster.fine else 1
    rows, cols = grid.shape
    root = Element("VRTDataset", rasterXSize=f"{cols}", rasterYSize=f"{rows}")
    _say(root, "SRS", grid.crs.to_wkt() if grid.crs else "")
    _say(root, "GeoTransform", ", ".join(f"{number!r}" for number in grid.transform.to_gdal()))
    about = SubElement(root, "Metadata")
    for key, value in tags(product).items():
        SubElement(about, "MDI", key=key).text = value
    for number, name in enumerate(raster.bands, start=1):
        band = SubElement(root, "VRTRasterBand", dataType=TYPES[raster.dtype], band=f"{number}")
        _describe(band, raster, name, number)
        _sources(band, raster, f"{number}", blocks, scale)
    if raster.nodata is not None:
        mask = SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        _sources(mask, raster, "mask,1", blocks, scale)
    return str(tostring(root, encoding="unicode"))


def _describe(band: Element, raster: Raster, name: str, number: int) -> None:
    _say(band, "Description", name)
    _say(band, "UnitType", raster.unit)
    if raster.nodata is not None:
        _say(band, "NoDataValue", f"{raster.nodata}")
    _say(band, "ColorInterp", list(colours(raster))[number - 1].capitalize())
    if raster.scale:
        _say(band, "Offset", "0")
        _say(band, "Scale", f"{raster.scale!r}")
    if raster.classes:
        names, table = SubElement(band, "CategoryNames"), SubElement(band, "ColorTable")
        for said, (red, green, blue) in raster.classes:
            _say(names, "Category", said)
            SubElement(table, "Entry", c1=f"{red}", c2=f"{green}", c3=f"{blue}", c4="255")


def _sources(band: Element, raster: Raster, index: str, blocks: Blocks, scale: int) -> None:
    for core, place in blocks:
        rows, cols = core.window(scale)
        size = {"xSize": f"{cols.stop - cols.start}", "ySize": f"{rows.stop - rows.start}"}
        source = SubElement(band, "SimpleSource")
        _say(source, "SourceFilename", f"{(place / raster.href).resolve()}", relativeToVRT="0")
        _say(source, "SourceBand", index)
        SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0"} | size)
        SubElement(source, "DstRect", {"xOff": f"{cols.start}", "yOff": f"{rows.start}"} | size)


def _say(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text


def statistics(path: Path) -> list[dict[str, float]]:
    """What a GeoTIFF says of the stored numbers of its bands, named as STAC names it."""
    with rasterio.open(path) as file:
        return [_statistics(file.tags(number)) for number in file.indexes]


def _statistics(told: dict[str, str]) -> dict[str, float]:
    names: Iterable[str] = ("minimum", "maximum", "mean", "stddev", "valid_percent")
    keys = {name: f"STATISTICS_{name.upper()}" for name in names}
    return {name: float(told[key]) for name, key in keys.items() if key in told} or {
        "valid_percent": 0.0
    }
