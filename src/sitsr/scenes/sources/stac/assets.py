"""Which assets of a STAC item hold which bands of Sentinel-2: by what they say, never by position.

A band's common name decides (``eo:bands`` of STAC 1.0, ``bands`` of 1.1), but for "rededge", which
several bands share; then the band's own name; then the key of an asset of one band. Of several
assets for a band, what is not JPEG 2000 is taken before its twin that is, and the finest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pystac

from sitsr.scenes.names import L1C, band_name

ASIDE = {"thumbnail", "overview", "visual", "metadata"}
"""Roles of assets that are no measurement."""
PICTURES = re.compile(r"visual|tci|preview|rendered|thumbnail|overview|pvi", re.IGNORECASE)
SHARED = "rededge"
"""A common name of several bands."""
COVERS = {
    "SCL": re.compile(r"scl", re.IGNORECASE),
    "CLM": re.compile(r"clm(_r\d)?", re.IGNORECASE),
    "probability": re.compile(r"cloud|cld|(msk_)?cldprb|cloud[-_]probability", re.IGNORECASE),
}
"""Kinds of masks by the keys of their assets, the best first."""
SUFFIX = re.compile(r"[-_](?:(\d\d)m|jp2)$", re.IGNORECASE)
RASTER = re.compile(r"image/(tiff|jp2|jpeg2000|vnd\.stac\.geotiff)|application/x-geotiff")


@dataclass(frozen=True, slots=True)
class Layer:
    """One band of one asset."""

    key: str
    asset: pystac.Asset
    index: int
    """Number of the band in its file, from 1."""
    fields: Mapping[str, Any]
    """What the item says about it: name, common_name, scale, offset, nodata, data_type ..."""

    @property
    def rank(self) -> tuple[bool, bool, float, str]:
        """Smaller is better."""
        jp2 = "jp2" in f"{self.asset.media_type}" or self.asset.href.lower().endswith(".jp2")
        return jp2, len(layers(self.key, self.asset)) > 1, self._metres, self.key

    @property
    def _metres(self) -> float:
        told = self.fields.get("spatial_resolution") or self.fields.get("gsd")
        named = SUFFIX.search(self.key)
        return float(told or (named and named[1]) or 0)


def is_sentinel2(item: pystac.Item) -> bool:
    """Whether an item is of Sentinel-2, or does not say what it is of."""
    told = [item.properties.get(key) for key in ("constellation", "platform", "mission")]
    names = [re.sub(r"[-_ ]", "", str(name)).lower() for name in told if name]
    return not names or any("sentinel2" in name for name in names)


def bands_of(item: pystac.Item) -> dict[str, Layer]:
    """The best layer for each of Sentinel-2's bands that the item has, in the usual order."""
    found: dict[str, Layer] = {}
    if is_sentinel2(item):
        for key, asset in item.assets.items():
            for layer in layers(key, asset):
                name = _band(layer, alone=len(layers(key, asset)) == 1)
                if name in L1C and (name not in found or layer.rank < found[name].rank):
                    found[name] = layer
    return {name: found[name] for name in L1C if name in found}


def cover_of(item: pystac.Item) -> tuple[str, Layer] | None:
    """The kind of the best mask that an item has, and where it is."""
    for kind, named in COVERS.items():
        held = [
            Layer(key, asset, 1, _fields(asset, 0))
            for key, asset in item.assets.items()
            if named.fullmatch(_stem(key)) and _is_raster(asset)
        ]
        if held:
            return kind, min(held, key=lambda layer: layer.rank)
    return None


def layers(key: str, asset: pystac.Asset) -> list[Layer]:
    """The bands of an asset that may be measurements."""
    roles = set(asset.roles or ())
    if roles & ASIDE or PICTURES.search(key) or not _is_raster(asset):
        return []
    count = max(len(asset.extra_fields.get(held) or ()) for held in ("bands", "eo:bands"))
    found = [Layer(key, asset, i + 1, _fields(asset, i)) for i in range(max(count, 1))]
    return [layer for layer in found if layer.fields.get("data_type") != "uint8"]


def _is_raster(asset: pystac.Asset) -> bool:
    return asset.media_type is None or bool(RASTER.match(asset.media_type.lower()))


def _fields(asset: pystac.Asset, i: int) -> dict[str, Any]:
    """What is said of the i-th band, by the asset and by the band, without prefixes."""
    told = {k: v for k, v in asset.extra_fields.items() if not isinstance(v, list)}
    for held in ("raster:bands", "eo:bands", "bands"):
        bands = asset.extra_fields.get(held) or []
        if len(bands) == 1 or i < len(bands):
            told |= bands[0 if len(bands) == 1 else i]
    return {key.removeprefix("eo:").removeprefix("raster:"): told[key] for key in told}


def _stem(key: str) -> str:
    """The key without what says which of several twins it is: SCL_20m, scl-jp2."""
    return SUFFIX.sub("", key)


def _band(layer: Layer, *, alone: bool) -> str | None:
    common = str(layer.fields.get("common_name", "")).lower()
    by_common = band_name(common)
    if by_common and common != SHARED:
        return by_common
    by_name = band_name(str(layer.fields.get("name", "")))
    by_key = band_name(_stem(layer.key)) if alone else None
    return by_name or by_key or by_common
