"""The rasters of a product: what each holds, and the numbers that are stored in it.

Reflectance is stored as whole numbers, stored = round(reflectance / 0.0001), with 65535 where
nothing is known. There is no offset, although the products of Sentinel-2 have one since 2022:
a reader who overlooks an offset is wrong by 0.1 everywhere, while doing without costs only what
lies below zero, a few thousandths over dark water, which becomes 0. Reflectance above 6.5534
becomes 6.5534.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sitsr.series import NEVER, SUPPORT, Floats, SuperResolved

QUANTUM = 1e-4
"""Reflectance of one step of the stored number."""
UNKNOWN = 65535
"""What is stored where reflectance is not known."""

COLOURS = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge",
    "B06": "rededge",
    "B07": "rededge",
    "B08": "nir",
    "B8A": "nir",
    "B11": "swir",
    "B12": "swir",
}
"""GDAL's colour interpretation of Sentinel-2's bands."""

SUPPORT_COLOURS = ((128, 128, 128), (26, 122, 74), (125, 194, 118), (244, 196, 92), (202, 78, 60))
"""Red, green, blue of each class of support, the surer the greener."""
SUPPORTED = tuple(zip(SUPPORT, SUPPORT_COLOURS, strict=True))
"""The classes of support by their number: name and colour."""

Stored = npt.NDArray[np.uint16] | npt.NDArray[np.int16] | npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Raster:
    """What one raster of a product holds and means."""

    href: str
    """Place in the folder of the product: "sr.tif", "samples/sample_01.tif"."""
    title: str
    roles: tuple[str, ...]
    """As STAC names them."""
    bands: tuple[str, ...]
    fine: bool
    """Whether it lies on the product's grid, or on that of the input."""
    dtype: str
    unit: str
    nodata: int | None = None
    scale: float | None = None
    """Unit for one step of the stored number, where that is not 1."""
    classes: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    """Name and colour of every number, where they are classes."""


def layout(bands: tuple[str, ...], samples: int) -> list[Raster]:
    """The rasters of a product, in the order in which they are written."""

    def reflectance(href: str, title: str, names: tuple[str, ...], role: str) -> Raster:
        roles = ("data", role)
        return Raster(
            href, title, roles, names, True, "uint16", "reflectance", UNKNOWN, scale=QUANTUM
        )

    def count(name: str, title: str, dtype: str, unit: str, nodata: int | None = None) -> Raster:
        return Raster(f"{name}.tif", title, ("metadata",), (name,), False, dtype, unit, nodata)

    doubt = "Standard deviation of the error expected of the reflectance"
    nearest = "Days from the target to the nearest date on which the ground was seen"
    likely = "an image that the ground may equally well be"
    return [
        reflectance("sr.tif", "Super-resolved reflectance", bands, "reflectance"),
        reflectance("uncertainty.tif", doubt, tuple(f"{b}_spread" for b in bands), "uncertainty"),
        count("clear_count", "Number of dates on which the ground was seen", "uint16", "dates"),
        count("nearest_days", nearest, "int16", "days", NEVER),
        Raster(
            "support.tif",
            "How the target date is supported by what was seen",
            ("metadata", "classification"),
            ("support",),
            False,
            "uint8",
            "class",
            classes=SUPPORTED,
        ),
        *(
            reflectance(
                f"samples/sample_{number:02}.tif",
                f"Sample {number}: {likely}",
                bands,
                "reflectance",
            )
            for number in range(1, samples + 1)
        ),
    ]


def planes(estimate: SuperResolved) -> Iterator[Iterator[Stored]]:
    """For each raster of the layout the stored numbers [H, W] of its bands, made as they are read,
    so that there is no second copy of everything."""
    yield (digital(image) for image in estimate.mean)
    yield (digital(image) for image in estimate.spread)
    yield iter([estimate.clear_count.astype(np.uint16)])
    yield iter([estimate.nearest_days])
    yield iter([estimate.support])
    for sample in estimate.samples:
        yield (digital(image) for image in sample)


def digital(reflectance: Floats) -> npt.NDArray[np.uint16]:
    """[H, W] stored numbers of reflectance; NaN becomes 65535."""
    steps = np.rint(np.clip(reflectance / np.float32(QUANTUM), 0, UNKNOWN - 1))
    stored: npt.NDArray[np.uint16] = np.nan_to_num(steps, nan=UNKNOWN).astype(np.uint16)
    return stored


def grid_of(raster: Raster, coarse: GeoBox, scale: int) -> GeoBox:
    """The grid of a raster over this part of the input's grid."""
    grid: GeoBox = coarse.zoom_out(1 / scale) if raster.fine else coarse
    return grid


def colours(raster: Raster) -> Iterator[str]:
    """GDAL's name of each band's colour interpretation."""
    if raster.classes:
        yield "palette"
        return
    other = "gray" if len(raster.bands) == 1 else "undefined"
    for band in raster.bands:
        yield COLOURS.get(band, other)
