"""The STAC 1.1 collection over products of several dates: what they share, where each is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sitsr.scenes.write.about import About, software_version
from sitsr.scenes.write.item import footprint, where, write_record

SENTINEL_TERMS = (
    "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
)


def write_collection(folder: Path, products: Sequence[About], hrefs: Sequence[str]) -> None:
    """Write collection.json over products of one place, whose items lie at these places."""
    import pystac

    first = products[0]
    days = [datetime(*p.target.timetuple()[:3], tzinfo=UTC) for p in products]
    collection = pystac.Collection(
        id=f"sr-{where(first)}",
        title="Super-resolved Sentinel-2 reflectance",
        description=(
            f"Reflectance at {len(products)} dates from {products[0].target} to "
            f"{products[-1].target}, super-resolved {first.scale} times from "
            f"{len(first.dates)} Sentinel-2 images."
        ),
        extent=pystac.Extent(
            pystac.SpatialExtent([footprint(first.fine)["bbox"]]),
            pystac.TemporalExtent([[days[0], days[-1]]]),
        ),
        license="other",
        keywords=["Sentinel-2", "super-resolution", "time series"],
    )
    collection.extra_fields["processing:software"] = {"sitsr": software_version(first.provenance)}
    collection.add_link(pystac.Link("license", SENTINEL_TERMS, title="Sentinel data legal notice"))
    for product, href in zip(products, hrefs, strict=True):
        collection.add_link(
            pystac.Link("item", href, media_type="application/geo+json", title=f"{product.target}")
        )
    record = collection.to_dict(include_self_link=False, transform_hrefs=False)
    write_record(folder / "collection.json", record)
