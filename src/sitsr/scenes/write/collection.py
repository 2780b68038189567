"""The STAC 1.1 collection over products of several dates: what they share, where each is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from os.path import relpath
from pathlib import Path
from typing import Any

from sitsr.scenes.write.about import About, software_version
from sitsr.scenes.write.cube import CUBE, cube_asset
from sitsr.scenes.write.item import EXTENSIONS, footprint, where, write_record

SENTINEL_TERMS = (
    "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
)
BACK = ("root", "parent", "collection")
"""The links of an item to the collection that it is one of."""
SHARED = ("title", "type", "roles", "data_type", "unit", "nodata", "classification:classes")
"""What an asset is on every date, besides the fields of the raster extension."""


def write_collection(folder: Path, products: Sequence[About], hrefs: Sequence[str]) -> None:
    """Write collection.json over products of one place, whose items lie at these places in the
    folder, and link the items back to it."""
    import pystac

    first, last, path = products[0], products[-1], folder / "collection.json"
    days = [datetime(*p.target.timetuple()[:3], tzinfo=UTC) for p in (first, last)]
    collection = pystac.Collection(
        id=f"sr-{where(first)}",
        title="Super-resolved Sentinel-2 reflectance",
        description=(
            f"Reflectance at {len(products)} dates from {first.target} to {last.target}, "
            f"super-resolved {first.scale} times from {len(first.dates)} Sentinel-2 images."
        ),
        extent=pystac.Extent(
            pystac.SpatialExtent([footprint(first.fine)["bbox"]]),
            pystac.TemporalExtent([days]),
        ),
        license="other",
        keywords=["Sentinel-2", "super-resolution", "time series"],
        stac_extensions=[url for url in EXTENSIONS if "/raster/" in url or "/classif" in url],
    )
    items = [_linked_back(folder / href, path, collection.id) for href in hrefs]
    collection.extra_fields["processing:software"] = {"sitsr": software_version(first.provenance)}
    collection.extra_fields["item_assets"] = _item_assets(items[0])
    if (folder / CUBE).exists():
        collection.add_asset("cube", cube_asset(f"./{CUBE}"))
    collection.clear_links()
    collection.add_link(pystac.Link("root", f"./{path.name}", media_type="application/json"))
    collection.add_link(pystac.Link("license", SENTINEL_TERMS, title="Sentinel data legal notice"))
    for product, href in zip(products, hrefs, strict=True):
        collection.add_link(
            pystac.Link("item", href, media_type="application/geo+json", title=f"{product.target}")
        )
    write_record(path, collection.to_dict(include_self_link=False, transform_hrefs=False))


def _linked_back(item: Path, collection: Path, name: str) -> dict[str, Any]:
    """Link an item to its collection, where it is not yet; give its record."""
    record: dict[str, Any] = json.loads(item.read_text(encoding="utf-8"))
    href = relpath(collection, item.parent)
    back = [{"rel": rel, "href": href, "type": "application/json"} for rel in BACK]
    record["links"] = [*back, *(link for link in record["links"] if link["rel"] not in BACK)]
    record["collection"] = name
    write_record(item, record)
    return record


def _item_assets(item: dict[str, Any]) -> dict[str, Any]:
    """What the assets of an item are on every date."""
    shared = {}
    for key, asset in item["assets"].items():
        shared[key] = {f: v for f, v in asset.items() if f in SHARED or f.startswith("raster:")}
        if "bands" in asset:
            shared[key]["bands"] = [{"name": band["name"]} for band in asset["bands"]]
    return shared
