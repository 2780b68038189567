"""STAC as a source of frames: items, catalogues, collections, and searches of an API.

Parsing reads documents, the header of one raster of each item (items lie about their rasters: the
grid is the file's), and the product's metadata where an item has them at hand. It reads no pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pystac
import rasterio
from odc.geo.geobox import GeoBox
from pystac_client.exceptions import APIError
from rasterio.errors import RasterioIOError

from sitsr.scenes.environment import RASTERS, gdal_environment, is_remote
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.sources.stac.addresses import (
    PLANETARY_COMPUTER,
    is_url,
    opened,
    resolved,
    signed,
)
from sitsr.scenes.sources.stac.assets import Layer, bands_of, cover_of
from sitsr.scenes.sources.stac.catalogues import TOGETHER, cloud_of, find_items, plainly, reader
from sitsr.scenes.sources.stac.offsets import radiometry
from sitsr.scenes.sources.stac.search import ENDPOINTS, Search
from sitsr.series import InputError

__all__ = ["ENDPOINTS", "Search", "is_stac", "parse_stac", "signed"]

FINEST = ("B02", "B03", "B04", "B08")
"""Bands of 10 m: the header of one of these tells the grid."""
PRODUCT = re.compile(r"product[-_]metadata|.*/MTD_MSIL(1C|2A)\.xml", re.IGNORECASE)
"""Keys and ends of addresses of a product's own metadata. Those of a granule (MTD_TL.xml) state no
offset."""
LARGEST = 20_000_000
"""Characters of a product's metadata that are believed to be that."""


def is_stac(place: str) -> bool:
    """Whether a place looks like STAC: an address, the name of an API, a JSON file, or the folder
    of a catalogue."""
    path = Path(place)
    if is_url(place):
        return Path(place).suffix.lower() != ".zip"
    if path.is_dir():
        return any((path / name).is_file() for name in ("catalog.json", "collection.json"))
    return path.suffix.lower() in (".json", ".geojson") or place in ENDPOINTS


def parse_stac(
    place: str,
    *,
    search: Search = Search(),  # noqa: B008  frozen
    bands: Sequence[str] | None = None,
    skip_unreadable: bool = False,
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """The frames of the items of a place that are looked for, and what was assumed about them.

    place            address of an API, catalogue, collection or item, name of an API
                     (``ENDPOINTS``), path of a file with one of these or an ItemCollection, or
                     folder of a catalogue
    bands            those that are needed; None for those that all items have
    skip_unreadable  leave items out whose raster cannot be opened, and say so
    """
    items, notes = _of_sentinel2(place, find_items(place, search))
    notes += _level(items)
    needed = _needed(items, bands)
    build = partial(_frame, bands=needed, root=_root(place))
    with ThreadPoolExecutor(TOGETHER) as pool:
        tasks = [pool.submit(build, item) for item in items]
        built: list[tuple[Frame, str | None]] = []
        try:
            for item, task in zip(items, tasks, strict=True):
                try:
                    built.append(task.result())
                except RasterioIOError as broken:
                    notes.append(_left_out(item, broken, skip_unreadable))
        finally:
            pool.shutdown(cancel_futures=True)
    if not built:
        raise InputError(f"none of the rasters of {len(items)} items of {place} can be opened")
    lies = Counter(lie for _, lie in built if lie)
    notes += [f"{count} items state {lie}" for lie, count in lies.items()]
    notes.append(f"bands read as {', '.join(needed)}")
    return tuple(frame for frame, _ in built), tuple(notes)


def _root(place: str) -> Path | None:
    """The folder that a local document may not lead out of."""
    path = Path(place)
    if is_url(place) or (place in ENDPOINTS and not path.exists()):
        return None
    return path.absolute() if path.is_dir() else path.absolute().parent


def _of_sentinel2(place: str, items: list[pystac.Item]) -> tuple[list[pystac.Item], list[str]]:
    if not items:
        raise InputError(
            f"{place} has no images of these dates, clouds, place and collection; widen the search"
        )
    ours = [item for item in items if bands_of(item)]
    others = [item.id for item in items if not bands_of(item)]
    if not ours:
        held = ", ".join(items[0].assets) or "none"
        raise InputError(
            f"{place} has no item with Sentinel-2's bands; {items[0].id} has the assets {held}"
        )
    named = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
    return ours, [f"left out {len(others)} items without bands of Sentinel-2: {named}"] * bool(
        others
    )


def _level(items: Sequence[pystac.Item]) -> list[str]:
    """What there is to say about the level of processing, which must be one."""
    levels: dict[str, str] = {}
    for item in items:
        told = (
            item.properties.get(key) for key in ("processing:level", "s2:product_type", "eo:level")
        )
        texts = [*(str(text) for text in told if text), item.id, str(item.collection_id)]
        found = next((m[1] for t in texts if (m := re.search(r"(?:L|MSI)(1C|2A)", t.upper()))), "")
        if found:
            levels.setdefault(found, item.id)
    if len(levels) > 1:
        named = " and ".join(f"level {level} ({name})" for level, name in sorted(levels.items()))
        raise InputError(f"the items are of {named}; give one of them, by its collection")
    return ["level 1C: reflectance at the top of the atmosphere"] if "1C" in levels else []


def _needed(items: Sequence[pystac.Item], bands: Sequence[str] | None) -> tuple[str, ...]:
    if bands is None:
        shared = [name for name in bands_of(items[0]) if all(name in bands_of(i) for i in items)]
        if not shared:
            raise InputError("the items share no band; give items of one collection")
        return tuple(shared)
    for item in items:
        missing = [band for band in bands if band not in bands_of(item)]
        if missing:
            raise InputError(
                f"{item.id} has {', '.join(bands_of(item))}, but not {', '.join(missing)}; leave "
                "the item out or ask for other bands"
            )
    return tuple(bands)


def _frame(
    item: pystac.Item, *, bands: tuple[str, ...], root: Path | None
) -> tuple[Frame, str | None]:
    """The frame of an item, and how its raster differs from what the item states."""
    base = item.get_self_href() or ""
    with plainly(base):
        layers = {band: bands_of(item)[band] for band in bands}
        sign = _signing(item)
        files = {b: opened(resolved(x.asset.href, base, root), sign) for b, x in layers.items()}
        first = next((band for band in FINEST if band in bands), bands[0])
        units = radiometry(item, layers, _product(item, base, root))
        mask = cover_of(item)
        cover = mask and opened(resolved(mask[1].asset.href, base, root), sign)
        moment = item.datetime or item.common_metadata.start_datetime
    grid, nodata = _header(item.id, files[first])
    told = layers[first].fields.get("nodata")
    frame = Frame(
        source=base if Path(base).stem == item.id or is_url(base) else f"{base}#{item.id}",
        date=moment.date(),
        bands=bands,
        indexes=tuple(layer.index for layer in layers.values()),
        grid=grid,
        nodata=nodata if told is None else float(told),
        quantum=units.quantum,
        offset=units.offset,
        cover=Cover(cover, mask[0], mask[1].index) if mask and cover else None,
        files=tuple(files.values()),
        cloud=cloud_of(item),
        decided=units.decided,
    )
    return frame, _difference(item, layers[first], grid)


def _signing(item: pystac.Item) -> str | None:
    """The collection to sign for, of an item of the Planetary Computer."""
    homes = [link.href for link in item.links if isinstance(link.target, str)]
    ours = any(PLANETARY_COMPUTER in home for home in [*homes, item.get_self_href() or ""])
    return item.collection_id if ours else None


def _product(item: pystac.Item, base: str, root: Path | None) -> str | None:
    """The text of the product's metadata, if the item has them where they can be read."""
    for key, asset in item.assets.items():
        if PRODUCT.fullmatch(key) or PRODUCT.fullmatch(asset.href):
            full = resolved(asset.href, base, root)
            if (is_url(full) and not _signing(item)) or not is_remote(opened(full)):
                try:
                    text = str(reader().read_text(full))
                except (APIError, OSError, UnicodeDecodeError):
                    continue
                return text if len(text) <= LARGEST else None
    return None


def _header(name: str, path: str) -> tuple[GeoBox, float | None]:
    """The grid and nodata value of a raster, by its header alone."""
    with rasterio.Env(**gdal_environment(path)), rasterio.open(path, driver=list(RASTERS)) as file:
        if file.dtypes[0] == "uint8":
            raise InputError(f"{name} holds 8-bit values, a picture; wanted reflectance")
        if file.crs is None or file.transform.is_identity:
            raise InputError(f"{path} does not say where it lies; give it a geotransform")
        return GeoBox((file.height, file.width), file.transform, file.crs), file.nodata


def _difference(item: pystac.Item, layer: Layer, grid: GeoBox) -> str | None:
    """How the raster differs from the item's grid."""
    told: list[Any] = [
        layer.asset.extra_fields.get(key) or item.properties.get(key)
        for key in ("proj:transform", "proj:shape")
    ]
    if told[0] is None and told[1] is None:
        return None
    rows, cols = grid.shape
    step = abs(grid.transform.a)
    says = f"{abs(told[0][0]):g} m" if told[0] else "a grid"
    shape = f" and {told[1][0]} x {told[1][1]} pixels" if told[1] else ""
    moved = told[0] and any(
        abs(a - b) > 1e-6 * step for a, b in zip(told[0][:6], grid.transform[:6], strict=True)
    )
    if not moved and (told[1] is None or tuple(told[1]) == (rows, cols)):
        return None
    return (
        f"{says}{shape}, but their rasters have {step:g} m and {rows} x {cols} pixels: "
        "taken as the rasters are"
    )


def _left_out(item: pystac.Item, broken: Exception, skip: bool) -> str:
    what = str(broken).partition("\n")[0]
    if not skip:
        raise InputError(
            f"{item.id} cannot be read ({what}); leave it out, or skip what is unreadable "
            "(--skip-unreadable)"
        ) from broken
    return f"left out {item.id}, which cannot be read"
