"""A static catalogue in miniature, of the demo series: the same images in two collections.

Two tiles share a border, three dates each. The collection "legacy" is STAC 1.0 as Earth Search
writes it: bands by common name in ``eo:bands``, JPEG 2000 twins, an offset of -0.1 in
``raster:bands`` that the pixels have added already, as the flag says. The collection "c1" is STAC
1.1: ``bands``, and digital numbers to which the offset of the product's metadata is still to be
added. Items state 10 m and whole tiles; the rasters are small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from miniatures.scenery import write_plain
from sitsr.scenes import open_series
from sitsr.series import Series

DAYS = (date(2021, 7, 16), date(2022, 3, 8), date(2022, 6, 1))
CLOUD = (3.25, 12.5, 61.0)
"""Per cent that the items state, day by day."""
TILES = {"31TDG": (0, 70), "31TDH": (70, 134)}
"""The columns of each tile."""
ROWS = 120
BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B05": "rededge", "B08": "nir"}
OFFSET = 1000

DEFECTS = frozenset(
    {
        "an asset climbs out",
        "a link climbs out",
        "a catalogue is its own child",
        "levels are mixed",
        "all of level 1C",
        "no bands of Sentinel-2",
        "of Landsat",
        "bands without names",
        "a band is missing",
        "offsets differ",
        "scales differ",
        "the metadata's offsets differ",
        "the metadata have entities",
        "the metadata are cut short",
        "no datetime",
        "a span of time",
        "a datetime in words",
        "a raster is missing",
        "a raster is a picture",
        "a raster lies nowhere",
        "assets are a list",
        "an item is cut short",
    }
)
"""Faults of the first item, or of the catalogue."""


def make_stac(folder: Path, *, defects: frozenset[str] = frozenset()) -> Path:
    """Write the catalogue; its catalog.json."""
    if defects - DEFECTS:
        raise ValueError(f"unknown defects: {', '.join(sorted(defects - DEFECTS))}")
    demo = _demo()
    children = []
    for number, name in enumerate(("legacy", "c1")):
        links = []
        for i, item in enumerate(_items(folder / name, demo, modern=bool(number))):
            path = folder / name / item["id"] / f"{item['id']}.json"
            if "all of level 1C" in defects:
                item["properties"]["processing:level"] = "L1C"
            if i == 0:
                _spoil(item, defects)
                _spoil_files(path.parent, defects)
            text = json.dumps(item)
            path.write_text(text[:200] if i == 0 and "an item is cut short" in defects else text)
            links.append({"rel": "item", "href": f"./{item['id']}/{path.name}"})
        if "a link climbs out" in defects:
            links.append({"rel": "item", "href": "../../outside/item.json"})
        top = {"type": "Collection", "id": name, "license": "other", "links": links}
        extent = {"spatial": {"bbox": [[2.8, 42.3, 2.9, 42.4]]}, "temporal": {"interval": [[None]]}}
        _write(folder / name / "collection.json", {**top, "extent": extent})
        children.append({"rel": "child", "href": f"./{name}/collection.json"})
    if "a catalogue is its own child" in defects:
        children.append({"rel": "child", "href": "./catalog.json"})
    return _write(folder / "catalog.json", {"type": "Catalog", "id": "mini", "links": children})


@lru_cache(maxsize=1)
def _demo() -> Series:
    return open_series(str(files("sitsr") / "demo"))


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"stac_version": "1.0.0", "description": "tiny", **document}))
    return path


def _items(folder: Path, demo: Series, *, modern: bool) -> Iterator[dict[str, Any]]:
    """The items of a collection, whose rasters are written."""
    for day, cloud in zip(DAYS, CLOUD, strict=True):
        t = demo.dates.index(day)
        for tile, (west, east) in TILES.items():
            here = folder / f"S2B_{tile}_{day:%Y%m%d}_L2A"
            here.mkdir(parents=True)
            grid = demo.grid[:ROWS, west:east]
            image = demo.images[t, :, :ROWS, west:east]
            shift = OFFSET if modern and day.year >= 2022 else 0
            for band in BANDS:
                numbers = np.rint(image[demo.bands.index(band)] * 10_000)
                numbers = np.clip(numbers, 1, None).astype(np.uint16) + np.uint16(shift)
                write_band(here / f"{band}.tif", numbers, grid)
            classes = np.where(demo.clear[t, :ROWS:2, west:east:2], 4, 9).astype(np.uint8)
            write_band(here / "SCL.tif", classes, grid.zoom_out(2))
            if modern:
                (here / "MTD_MSIL2A.xml").write_text(metadata(-shift))
            yield _item(here.name, day, cloud, grid, tile, modern=modern)


def write_band(path: Path, numbers: Any, grid: GeoBox) -> None:
    """A GeoTIFF of one band [H, W], in blocks."""
    rows, cols = numbers.shape
    size = {"count": 1, "height": rows, "width": cols, "dtype": numbers.dtype, "nodata": 0}
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    where = {"crs": str(grid.crs), "transform": grid.transform}
    with rasterio.open(path, "w", driver="GTiff", **size, **where, **blocks) as file:
        file.write(numbers, 1)


def metadata(offset: int, *, band: int | None = None) -> str:
    """What a product says of its offsets; one band may have another."""
    listed = "".join(
        f'<BOA_ADD_OFFSET band_id="{i}">{offset - (i == band)}</BOA_ADD_OFFSET>' for i in range(13)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD">'
        f"<BOA_ADD_OFFSET_VALUES_LIST>{listed}</BOA_ADD_OFFSET_VALUES_LIST>"
        "</n1:Level-2A_User_Product>"
    )


def _item(
    name: str, day: date, cloud: float, grid: GeoBox, tile: str, *, modern: bool
) -> dict[str, Any]:
    bounds = rasterio.transform.array_bounds(*grid.shape, grid.transform)
    west, south, east, north = transform_bounds(str(grid.crs), "EPSG:4326", *bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    told = {
        "datetime": f"{day}T10:50:31.024Z",
        "eo:cloud_cover": cloud,
        "platform": "sentinel-2b",
        "grid:code": f"MGRS-{tile}",
        **({"processing:version": "05.00"} if modern else {"s2:processing_baseline": "04.00"}),
    }
    if day.year < 2022 and not modern:
        told["s2:processing_baseline"] = "03.01"
    if not modern:
        told["earthsearch:boa_offset_applied"] = day.year >= 2022
    return {
        "type": "Feature",
        "stac_version": "1.1.0" if modern else "1.0.0",
        "stac_extensions": [],
        "id": name,
        "collection": "c1" if modern else "legacy",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": told,
        "links": [{"rel": "collection", "href": "../collection.json"}],
        "assets": dict(_modern(day) if modern else _legacy(day)),
    }


def _legacy(day: date) -> Iterator[tuple[str, dict[str, Any]]]:
    """Assets in an order that is not that of the bands, as they stand in STAC 1.0."""
    offset = -0.1 if day.year >= 2022 else 0
    for band, common in reversed(BANDS.items()):
        told = {"nodata": 0, "data_type": "uint16", "scale": 1e-4, "offset": offset}
        fields = {
            "eo:bands": [{"name": band if common == "rededge" else common, "common_name": common}],
            "raster:bands": [told],
            "gsd": 10,
            "proj:shape": [10980, 10980],
            "proj:transform": [10, 0, 499980, 0, -10, 5200020],
        }
        twin = {"href": f"s3://elsewhere/{band}.jp2", "type": "image/jp2", **fields}
        yield f"{common}-jp2", {**twin, "roles": ["data"]}
        yield common, {"href": f"{band}.tif", "type": "image/tiff", "roles": ["data"], **fields}
    colours = [{"common_name": name} for name in ("red", "green", "blue")]
    yield "visual", {"href": "B04.tif", "roles": ["visual"], "eo:bands": colours}
    yield "thumbnail", {"href": "thumbnail.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}
    yield "scl", {"href": "SCL.tif", "type": "image/tiff", "raster:bands": [{"nodata": 0}]}


def _modern(day: date) -> Iterator[tuple[str, dict[str, Any]]]:
    """Assets as they stand in STAC 1.1, keys with their resolution, coarser twins first."""
    offset = -0.1 if day.year >= 2022 else 0
    for metres in (60, 20, 10):
        for band, common in BANDS.items():
            yield (
                f"{band}_{metres}m",
                {
                    "href": f"./{band}.tif" if metres == 10 else f"./{band}_{metres}m.tif",
                    "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                    "data_type": "uint16",
                    "raster:scale": 1e-4,
                    "raster:offset": offset,
                    "nodata": 0,
                    "bands": [{"name": band, "eo:common_name": common}],
                },
            )
    yield "SCL_20m", {"href": "./SCL.tif", "type": "image/tiff", "roles": ["data"]}
    yield "product_metadata", {"href": "./MTD_MSIL2A.xml", "type": "application/xml"}


def _spoil_files(here: Path, defects: frozenset[str]) -> None:
    """Faults of what lies beside an item."""
    if "the metadata's offsets differ" in defects:
        (here / "MTD_MSIL2A.xml").write_text(metadata(-1000, band=2))
    if "the metadata have entities" in defects:
        bomb = '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'
        (here / "MTD_MSIL2A.xml").write_text(bomb)
    if "the metadata are cut short" in defects:
        (here / "MTD_MSIL2A.xml").write_text(metadata(-1000)[:90])
    if "a raster lies nowhere" in defects:
        with rasterio.open(here / "B02.tif") as file:
            numbers = file.read()
        write_plain(here / "B02.tif", numbers)


def _without_blue(assets: dict[str, Any]) -> None:
    for key in [key for key in assets if key.startswith(("blue", "B02"))]:
        del assets[key]


def _spoil(item: dict[str, Any], defects: frozenset[str]) -> None:
    """Faults of an item."""
    told, assets = item["properties"], item["assets"]
    modern = "B02_10m" in assets
    blue = assets["B02_10m" if modern else "blue"]
    changes: dict[str, Any] = {
        "levels are mixed": lambda: told.update({"processing:level": "L1C"}),
        "of Landsat": lambda: told.update({"platform": "landsat-8"}),
        "a band is missing": lambda: _without_blue(assets),
        "an asset climbs out": lambda: blue.update({"href": "../../../B02.tif"}),
        "no datetime": lambda: told.update({"datetime": None}),
        "a span of time": lambda: told.update(
            {"datetime": None, "start_datetime": told["datetime"], "end_datetime": told["datetime"]}
        ),
        "a datetime in words": lambda: told.update({"datetime": "last summer"}),
        "a raster is missing": lambda: blue.update({"href": "nowhere.tif"}),
        "a raster is a picture": lambda: blue.update({"href": "SCL.tif"}),
        "assets are a list": lambda: item.update({"assets": [blue]}),
        "no bands of Sentinel-2": lambda: item.update({"assets": {"vv": {"href": "vv.tif"}}}),
        "bands without names": lambda: item.update(
            {"assets": {f"asset{i}": {"href": f"{b}.tif"} for i, b in enumerate(BANDS)}}
        ),
    }
    for defect in sorted(defects & set(changes)):
        changes[defect]()
    field = "raster:offset" if modern else "offset"
    holder = blue if modern else blue["raster:bands"][0] if "raster:bands" in blue else {}
    if "offsets differ" in defects:
        holder[field] = -0.2
    if "scales differ" in defects:
        holder[field.replace("offset", "scale")] = 1e-3
