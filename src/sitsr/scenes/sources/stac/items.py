"""From a STAC item to its frame, with the header of one of its rasters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pystac
import rasterio
from odc.geo.geobox import GeoBox
from pystac_client.exceptions import APIError

from sitsr.scenes.environment import gdal_environment, is_remote, open_raster
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.sources.stac.addresses import PLANETARY_COMPUTER, is_url, opened, resolved
from sitsr.scenes.sources.stac.assets import Layer, bands_of, cover_of
from sitsr.scenes.sources.stac.catalogues import cloud_of, day_of, plainly, reader
from sitsr.scenes.sources.stac.offsets import radiometry
from sitsr.series import InputError

FINEST = ("B02", "B03", "B04", "B08")
"""Bands of 10 m: the header of one of these tells the grid."""
PRODUCT = re.compile(r"product[-_]metadata|(.*/)?MTD_MSIL(1C|2A)\.xml", re.IGNORECASE)
"""Keys and ends of addresses of a product's own metadata. Those of a granule (MTD_TL.xml) state no
offset."""
LARGEST = 20_000_000
"""Characters of a product's metadata that are believed to be that."""


def frame_of(
    item: pystac.Item, *, bands: tuple[str, ...], root: Path | None
) -> tuple[Frame, str | None]:
    """The frame of an item that has these bands, and how its raster differs from what the item
    states.

    root    the folder that relative links of a local item may not leave
    """
    base = item.get_self_href() or ""
    collection = _signed_for(item)

    def path(layer: Layer) -> str:
        return opened(resolved(layer.asset.href, base, root), collection)

    with plainly(base):
        layers = {band: bands_of(item)[band] for band in bands}
        files = tuple(path(layer) for layer in layers.values())
        first = next((band for band in FINEST if band in bands), bands[0])
        units = radiometry(item, layers, _product(item, base, root))
        kind, mask = cover_of(item) or ("", None)
        cover = Cover(path(mask), kind, mask.index) if mask else None
        told = layers[first].fields.get("nodata")
        stated = _stated_grid(item, layers[first])
    grid, nodata = _header(item.id, files[bands.index(first)])
    frame = Frame(
        source=base if is_url(base) or Path(base).stem == item.id else f"{base}#{item.id}",
        date=day_of(item),
        bands=bands,
        indexes=tuple(layer.index for layer in layers.values()),
        grid=grid,
        nodata=nodata if told is None else float(told),
        quantum=units.quantum,
        offset=units.offset,
        cover=cover,
        files=files,
        cloud=cloud_of(item),
        decided=units.decided,
    )
    return frame, _difference(*stated, grid)


def _signed_for(item: pystac.Item) -> str | None:
    """The collection to sign for, of an item of the Planetary Computer."""
    homes = [link.target for link in item.links if isinstance(link.target, str)]
    ours = any(PLANETARY_COMPUTER in home for home in [*homes, item.get_self_href() or ""])
    return item.collection_id if ours else None


def _product(item: pystac.Item, base: str, root: Path | None) -> str | None:
    """The text of the product's metadata, if the item has them where they can be read."""
    for key, asset in item.assets.items():
        if not (PRODUCT.fullmatch(key) or PRODUCT.fullmatch(asset.href)):
            continue
        full = resolved(asset.href, base, root)
        if _signed_for(item) or (is_remote(opened(full)) and not is_url(full)):
            continue  # behind an account
        try:
            with reader() as io:
                text = str(io.read_text(full))
        except (APIError, OSError, UnicodeDecodeError):
            continue
        return text if len(text) <= LARGEST else None
    return None


def _header(name: str, path: str) -> tuple[GeoBox, float | None]:
    """The grid and nodata value of a raster, by its header alone."""
    with rasterio.Env(**gdal_environment(path)), open_raster(path) as file:
        if file.dtypes[0] == "uint8":
            raise InputError(f"{name} holds 8-bit values, a picture; wanted reflectance")
        if file.crs is None or file.transform.is_identity:
            raise InputError(f"{path} does not say where it lies; give it a geotransform")
        return GeoBox((file.height, file.width), file.transform, file.crs), file.nodata


def _stated_grid(item: pystac.Item, layer: Layer) -> tuple[list[float] | None, list[int] | None]:
    """Transform and shape by the item: of the asset, else of all."""
    held: list[Any] = [
        layer.asset.extra_fields.get(key) or item.properties.get(key)
        for key in ("proj:transform", "proj:shape")
    ]
    numbers = [float(number) for number in held[0][:6]] if held[0] else None
    return numbers, [int(number) for number in held[1]] if held[1] else None


def _difference(transform: list[float] | None, shape: list[int] | None, grid: GeoBox) -> str | None:
    """How a raster differs from what is stated about it."""
    there = list(grid.transform[:6])
    near = 1e-3 * abs(there[0])
    moved = transform and any(abs(a - b) > near for a, b in zip(transform, there, strict=True))
    if not moved and (shape is None or shape == list(grid.shape)):
        return None
    says = [f"pixels of {abs(transform[0]):g} m"] if transform else []
    says += [f"{shape[0]} x {shape[1]} pixels"] if shape else []
    rows, cols = grid.shape
    return (
        f"{', '.join(says)}, but their rasters have pixels of {abs(there[0]):g} m, {rows} x {cols} "
        "pixels: taken as the rasters are"
    )
