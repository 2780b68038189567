"""How an item's digital numbers become reflectance: who says what, and who is believed.

In order of precedence: the product's own metadata (BOA_ADD_OFFSET, or RADIO_ADD_OFFSET of level
1C), the scale and offset of ``raster:bands`` or ``bands``, the flag ``boa_offset_applied``, the
processing baseline. Where none is stated, ``sitsr.scenes.units`` asks the pixels and the date.

The flag can contradict what stands before it: Earth Search keeps the product's offset of -0.1 in
``raster:bands`` of items whose pixels have it added already. Then the flag is believed. Pixels
could only confirm it: they rule an offset out where adding it would make the ground black, but
under cloud they cannot tell, and the images of one provider agree. Where the flag is False in
error, the offset stays as stated, and ``units`` undoes it where the pixels rule it out.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass

import pystac

from sitsr.scenes.names import L1C, baseline_in, offset_of_baseline
from sitsr.scenes.sources.stac.assets import Layer
from sitsr.series import InputError

FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied", "s2:boa_offset_applied")
BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
QUANTUM = 1e-4


@dataclass(frozen=True, slots=True)
class Radiometry:
    """What an item says about its digital numbers; None where it says nothing."""

    quantum: float | None
    offset: float | None
    """In digital numbers."""
    decided: tuple[str, ...]


def radiometry(item: pystac.Item, layers: Mapping[str, Layer], product: str | None) -> Radiometry:
    """Of these bands of an item.

    product    text of the product's metadata (MTD_MSIL2A.xml), where it could be read
    """
    quantum, by_bands = _of_bands(item.id, layers)
    by_product = _of_product(item.id, product, tuple(layers)) if product else None
    flag = next((item.properties[key] for key in FLAGS if key in item.properties), None)
    by_baseline = offset_of_baseline(_baseline(item))
    by_flag = {True: 0.0, False: by_baseline}.get(flag) if isinstance(flag, bool) else None
    stated = by_bands if by_product is None else by_product
    if stated is None:
        return Radiometry(quantum, by_baseline if by_flag is None else by_flag, ())
    if by_flag is not None and by_flag != stated:
        where = "for its bands" if by_product is None else "in the product's metadata"
        meant = "already added" if flag else f"{by_flag:g}, still to be added"
        said = (
            f"{item.id} states the offset {stated:g} {where}, but the flag that it is "
            f"{'' if flag else 'not '}applied: taken as {meant}"
        )
        return Radiometry(quantum, by_flag, (said,))
    return Radiometry(quantum, stated, ())


def _baseline(item: pystac.Item) -> str:
    told = (item.properties.get(key) for key in BASELINES)
    names = (str(item.properties.get("s2:product_uri", "")), f"{item.id}_")
    return next((str(text) for text in told if text), "") or next(
        (found for name in names if (found := baseline_in(name))), ""
    )


def _of_bands(name: str, layers: Mapping[str, Layer]) -> tuple[float | None, float | None]:
    """Scale and offset (in digital numbers) as the bands state them."""
    scale = _same(name, "scale", layers)
    offset = _same(name, "offset", layers)
    quantum = None if scale in (None, 1.0) else scale
    if offset is None:
        return quantum, None
    if quantum is None and 0 < abs(offset) <= 1:
        return quantum, round(offset / QUANTUM, 3)  # in reflectance, by its size
    return quantum, round(offset / (quantum or 1.0), 3)


def _same(name: str, field: str, layers: Mapping[str, Layer]) -> float | None:
    told = {layer.fields.get(field) for layer in layers.values()}
    if len(told) > 1:
        raise InputError(f"{name} states different {field}s for its bands; give it the same")
    value = told.pop()
    return None if value is None else float(value)


def _of_product(name: str, text: str, bands: tuple[str, ...]) -> float | None:
    """The offset that the metadata of a product state for these bands; None if they do not."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"{name} has metadata with entities; a product's own has none: mend it")
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    offsets = {
        L1C[int(node.get("band_id", "0"))]: float(node.text or 0)
        for node in tree.iter()
        if node.tag.rpartition("}")[2] in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
    }
    told = {offsets.get(band) for band in bands} if offsets else {None}
    if len(told) > 1:
        raise InputError(f"{name} states different offsets for its bands in its product's metadata")
    return told.pop()
