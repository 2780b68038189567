"""A super-resolved scene as files: what `super-resolve` leaves in its folder.

    sr.tif             reflectance, the best single estimate
    uncertainty.tif    standard deviation of the error expected of it, reflectance
    clear_count.tif    dates on which the ground was seen, on the input's grid
    nearest_days.tif   days from the target to the nearest of them, on the input's grid
    support.tif        how the target date is supported by them: classes, on the input's grid
    samples/           images the ground may equally well be, where samples were asked for
    *.qml              how QGIS is to show each of them
    thumbnail.png      all of it in natural colour
    preview.png        input and result side by side, and report.html, a page about it: of all,
                       or of a block in the middle of a large scene
    item.json          a STAC item over all of it

All rasters are Cloud-Optimized GeoTIFFs, or variables of one Zarr cube. Of several target dates,
each has such a folder, under collection.json.

A scene is written in two steps: ``write_block`` for every block, in any order, by anyone; then
``assemble``, which joins them in memory that does not grow with the scene.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from os.path import relpath
from pathlib import Path

from sitsr.scenes.write.about import About, about
from sitsr.scenes.write.blocks import NOTES, PAGES, write_block
from sitsr.scenes.write.collection import write_collection
from sitsr.scenes.write.cube import CUBE, add_to_cube, cube_asset, make_cube
from sitsr.scenes.write.folder import aside, check_free, exchange
from sitsr.scenes.write.item import picture_assets, raster_asset, write_item
from sitsr.scenes.write.mosaic import Blocks, statistics, virtual, write_cog
from sitsr.scenes.write.pictures import write_preview, write_thumbnail
from sitsr.scenes.write.rasters import Raster, layout
from sitsr.scenes.write.styles import write_style

__all__ = [
    "CUBE",
    "About",
    "Blocks",
    "Progress",
    "about",
    "aside",
    "assemble",
    "assemble_in_cube",
    "check_free",
    "exchange",
    "notes_of",
    "write_block",
    "write_collection",
    "write_preview",
]

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


def assemble(
    product: About,
    blocks: Blocks,
    folder: Path,
    home: Path,
    progress: Progress | None = None,
    spend: bool = False,
) -> None:
    """Join blocks to the files of a product; what is there already is kept.

    home   where the folder will be in the end
    spend  whether rasters of blocks are removed once they are in the product, so that the disk
           holds each but once
    """
    folder.mkdir(parents=True, exist_ok=True)
    tell = progress or (lambda done, total: None)
    rasters = layout(product.bands, product.samples)
    assets = {}
    for done, raster in enumerate(rasters):
        tell(done, len(rasters))
        if not (folder / raster.href).exists():
            write_cog(raster, product, blocks, folder)
        write_style(raster, folder)
        if spend:
            _spend(blocks, raster)
        found = statistics(folder / raster.href)
        assets[Path(raster.href).stem] = raster_asset(raster, product, found)
    write_thumbnail(folder / "thumbnail.png", folder / "sr.tif")
    _take_pages(blocks, folder)
    write_item(folder, product, assets | picture_assets(folder), home)
    tell(len(rasters), len(rasters))


def assemble_in_cube(
    products: Sequence[About], number: int, blocks: Blocks, cube: Path, folder: Path, home: Path
) -> None:
    """The same for one of several dates of a cube; their rasters are removed at the end."""
    product, rasters = products[number], layout(products[number].bands, products[number].samples)
    if not (folder / "item.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_cube(cube, products)
        add_to_cube(cube, number, product, blocks)
        with virtual(rasters[0], product, blocks, folder) as joined:
            write_thumbnail(folder / "thumbnail.png", joined)
        _take_pages(blocks, folder)
        assets = {"cube": cube_asset(relpath(cube, folder)), **picture_assets(folder)}
        write_item(folder, product, assets, home)
    for raster in rasters:
        _spend(blocks, raster)


def _spend(blocks: Blocks, raster: Raster) -> None:
    for _, place in blocks:
        (place / raster.href).unlink(missing_ok=True)


def _take_pages(blocks: Blocks, folder: Path) -> None:
    """Copy what shows the block in the middle."""
    for _, place in blocks:
        for name in PAGES:
            if (place / name).exists():
                shutil.copyfile(place / name, folder / name)


def notes_of(blocks: Blocks) -> tuple[str, ...]:
    """What happened to any of the blocks, each sentence once."""
    told = {note for _, place in blocks for note in json.loads((place / NOTES).read_text())}
    return tuple(sorted(told))
