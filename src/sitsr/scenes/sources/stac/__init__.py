"""STAC as a source of frames: items, catalogues, collections, and searches of an API.

Parsing reads documents, the header of one raster of each item (items lie about their rasters: the
grid is the file's), and the product's metadata where an item has them at hand. It reads no pixels.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pystac
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from sitsr.scenes.frames import Frame
from sitsr.scenes.sources.stac.addresses import is_url, signed
from sitsr.scenes.sources.stac.assets import bands_of
from sitsr.scenes.sources.stac.catalogues import TOGETHER, find_items
from sitsr.scenes.sources.stac.items import frame_of
from sitsr.scenes.sources.stac.search import ENDPOINTS, Search
from sitsr.series import InputError

__all__ = ["ENDPOINTS", "Search", "is_stac", "parse_stac", "signed"]


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
    built, broken = _built(items, needed, _root(place), skip_unreadable)
    notes += broken
    if not built:
        raise InputError(f"none of the rasters of {len(items)} items of {place} can be opened")
    lies = Counter(lie for _, lie in built if lie)
    notes += [f"{count} items state {lie}" for lie, count in lies.items()]
    notes.append(f"bands read as {', '.join(needed)}")
    return tuple(frame for frame, _ in built), tuple(notes)


def _built(
    items: Sequence[pystac.Item], bands: tuple[str, ...], root: Path | None, skip: bool
) -> tuple[list[tuple[Frame, str | None]], list[str]]:
    """The frames, with how their rasters differ from the items, and what was left out."""
    build = partial(frame_of, bands=bands, root=root)
    built, notes = [], []
    with warnings.catch_warnings(), ThreadPoolExecutor(TOGETHER) as pool:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # refused in a line of its own
        tasks = [pool.submit(build, item) for item in items]
        try:
            for item, task in zip(items, tasks, strict=True):
                try:
                    built.append(task.result())
                except RasterioIOError as broken:
                    notes.append(_left_out(item, broken, skip))
        finally:
            pool.shutdown(cancel_futures=True)
    return built, notes


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
    if not others:
        return ours, []
    named = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
    told = f"left out {len(others)} of {len(items)} items, without bands of Sentinel-2: {named}"
    return ours, [told]


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


def _left_out(item: pystac.Item, broken: Exception, skip: bool) -> str:
    what = str(broken).partition("\n")[0]
    if not skip:
        raise InputError(
            f"{item.id} cannot be read ({what}); leave it out, or skip what is unreadable "
            "(--skip-unreadable)"
        ) from broken
    return f"left out {item.id}, which cannot be read"
