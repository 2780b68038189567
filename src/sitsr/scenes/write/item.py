"""The STAC 1.1 item that says what the files of a product are, and where they came from."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from sitsr.scenes.write.about import CREDIT, About, provenance, software_version
from sitsr.scenes.write.rasters import Raster, grid_of

if TYPE_CHECKING:
    import pystac

EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
)


def write_item(folder: Path, product: About, assets: dict[str, pystac.Asset], home: Path) -> None:
    """Write item.json over assets by name.

    home  where the folder will be in the end, from which sources that are files are found
    """
    import pystac

    item = pystac.Item(
        id=identity(product),
        **footprint(product.fine),
        datetime=datetime(*product.target.timetuple()[:3], tzinfo=UTC),
        properties=properties(product),
        stac_extensions=list(EXTENSIONS),
        assets=assets,
    )
    for source, day in zip(product.sources, product.dates, strict=True):
        for name in source.split(", "):
            item.add_link(pystac.Link("derived_from", link_to(name, home), title=f"{day}"))
    write_record(folder / "item.json", item.to_dict(include_self_link=False, transform_hrefs=False))


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a STAC record as JSON; it appears whole or not at all."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    draft = path.with_suffix(".part")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)


def link_to(source: str, home: Path) -> str:
    """A source as it is to be found from the item: relative, if it is a file here."""
    path = Path(source)
    return relpath(path.resolve(), home.resolve()) if path.exists() else source


def identity(product: About) -> str:
    """The same for the same date, place and pixel size: sr-20210718-EPSG32631-488000-4693000-2.5m.

    The place is that of the north-west corner, metres.
    """
    return f"sr-{product.target:%Y%m%d}-{where(product)}"


def where(product: About) -> str:
    """Place and pixel size, as part of a name."""
    grid = product.fine
    west, north, pixel = grid.transform.c, grid.transform.f, grid.transform.a
    epsg = reference(grid).epsg
    crs = f"EPSG{epsg}" if epsg else "local"
    return f"{crs}-{west:.0f}-{north:.0f}-{pixel:g}m"


def footprint(grid: GeoBox) -> dict[str, Any]:
    """Geometry and bounding box of the ground in degrees, its ring anticlockwise."""
    west, south, east, north = grid.extent.boundingbox
    # Straight lines of the grid bend in degrees; with ten points a side that makes a metre or so.
    there, back = np.linspace(0, 1, 10, endpoint=False), np.linspace(1, 0, 10, endpoint=False)
    still = np.zeros(10)
    across = np.concatenate([there, still + 1, back, still])
    up = np.concatenate([still, there, still + 1, back])
    to_degrees = reference(grid).transformer_to_crs(CRS("EPSG:4326"))
    xs, ys = to_degrees(west + across * (east - west), south + up * (north - south))
    ring = [[float(x), float(y)] for x, y in zip(xs, ys, strict=True)]
    return {
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "bbox": [float(edge) for edge in (xs.min(), ys.min(), xs.max(), ys.max())],
    }


def properties(product: About) -> dict[str, Any]:
    """What holds for all files of the product."""
    first, last = product.dates[0], product.dates[-1]
    return {
        "title": f"Super-resolved Sentinel-2 reflectance, {product.target}",
        "gsd": product.fine.transform.a,
        **projection(product.fine),
        # Not measured but derived with a model from products of level 2.
        "processing:level": "L4",
        "processing:lineage": (
            f"Reflectance at {product.target}, super-resolved {product.scale} times from "
            f"{len(product.dates)} Sentinel-2 images of {first} to {last}. "
            f"This {CREDIT}."
        ),
        "processing:software": {"sitsr": software_version(product.provenance)},
        "sitsr:provenance": provenance(product.provenance),
        "sitsr:history": list(product.history),
    }


def projection(grid: GeoBox) -> dict[str, Any]:
    """The fields of the projection extension for this grid."""
    crs = reference(grid)
    named = {"proj:code": f"EPSG:{crs.epsg}"} if crs.epsg else {"proj:wkt2": crs.to_wkt()}
    return {
        **named,
        "proj:shape": [int(side) for side in grid.shape],
        "proj:transform": [float(number) for number in grid.transform[:6]],
        "proj:bbox": [float(edge) for edge in grid.extent.boundingbox],
    }


def reference(grid: GeoBox) -> CRS:
    """The grid's CRS, which a series never lacks."""
    assert grid.crs is not None
    return grid.crs


def raster_asset(
    raster: Raster, product: About, statistics: list[dict[str, float]]
) -> pystac.Asset:
    """The entry of one GeoTIFF, with the statistics of its stored numbers by band."""
    import pystac

    grid = grid_of(raster, product.grid, product.scale)
    fields = {
        "data_type": raster.dtype,
        "unit": raster.unit,
        "raster:spatial_resolution": grid.transform.a,
        "raster:sampling": "area",
        **({} if raster.nodata is None else {"nodata": raster.nodata}),
        **({"raster:scale": raster.scale, "raster:offset": 0} if raster.scale else {}),
        **({"classification:classes": classes(raster)} if raster.classes else {}),
    }
    bands = [
        {"name": name, "statistics": numbers}
        for name, numbers in zip(raster.bands, statistics, strict=True)
    ]
    return pystac.Asset(
        raster.href,
        title=raster.title,
        media_type=pystac.MediaType.COG,
        roles=list(raster.roles),
        extra_fields={**fields, "bands": bands, **projection(grid)},
    )


def classes(raster: Raster) -> list[dict[str, Any]]:
    """The fields of the classification extension."""
    return [
        {
            "value": value,
            "name": name.replace(" ", "-"),
            "description": name,
            "color_hint": "{:02X}{:02X}{:02X}".format(*colour),
        }
        for value, (name, colour) in enumerate(raster.classes)
    ]


def picture_assets(folder: Path) -> dict[str, pystac.Asset]:
    """The entries of what is there to be looked at."""
    import pystac

    known = (
        ("thumbnail.png", "All of it in natural colour", "image/png", "thumbnail"),
        ("preview.png", "Input and result in natural colour", "image/png", "overview"),
        ("report.html", "Report to look at", "text/html", "metadata"),
    )
    return {
        Path(href).stem: pystac.Asset(href, title=title, media_type=kind, roles=[role])
        for href, title, kind, role in known
        if (folder / href).exists()
    }
