"""Reflectance as Cloud-Optimized GeoTIFF.

Reflectance is stored as whole numbers, stored = round(reflectance / 0.0001), with 65535 where
nothing is known. There is no offset, although the products of Sentinel-2 have one since 2022:
a reader who overlooks an offset is wrong by 0.1 everywhere, while doing without costs only what
lies below zero, a few thousandths over dark water, which becomes 0. Reflectance above 6.5534
becomes 6.5534.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sitsr.series import NEVER, Floats, Series, SuperResolved

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


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """What one GeoTIFF holds and means."""

    href: str
    """Place in the folder of the product: "sr.tif", "samples/sample_01.tif"."""
    title: str
    roles: tuple[str, ...]
    """As STAC names them."""
    bands: tuple[str, ...]
    planes: Iterable[npt.NDArray[Any]]
    """One [H, W] array of stored numbers for each band; read once."""
    grid: GeoBox
    dtype: str
    unit: str
    nodata: int | None = None
    scale: float | None = None
    """Unit for one step of the stored number, where that is not 1."""


def plan(estimate: SuperResolved, series: Series) -> list[Raster]:
    """The rasters of the product, in the order in which they are written."""

    def reflectance(
        href: str, title: str, images: Floats, bands: tuple[str, ...], *roles: str
    ) -> Raster:
        planes = (digital(image) for image in images)
        roles = ("data", *roles)
        grid, unit = estimate.grid, "reflectance"
        return Raster(
            href, title, roles, bands, planes, grid, "uint16", unit, UNKNOWN, scale=QUANTUM
        )

    bands = estimate.bands
    spreads = tuple(f"{band}_spread" for band in bands)
    doubt = "Standard deviation of the error expected of the reflectance"
    count, near = [estimate.clear_count.astype(np.uint16)], [estimate.nearest_days]
    return [
        reflectance("sr.tif", "Super-resolved reflectance", estimate.mean, bands, "reflectance"),
        reflectance("uncertainty.tif", doubt, estimate.spread, spreads, "uncertainty"),
        Raster(
            "clear_count.tif",
            "Number of dates on which the ground was seen",
            ("metadata",),
            ("clear_count",),
            count,
            series.grid,
            "uint16",
            "dates",
        ),
        Raster(
            "nearest_days.tif",
            "Days from the target to the nearest date on which the ground was seen",
            ("metadata",),
            ("nearest_days",),
            near,
            series.grid,
            "int16",
            "days",
            NEVER,
        ),
        *(
            reflectance(
                f"samples/sample_{number:02}.tif",
                f"Sample {number}: an image that the ground may equally well be",
                sample,
                bands,
                "reflectance",
            )
            for number, sample in enumerate(estimate.samples, start=1)
        ),
    ]


def digital(reflectance: Floats) -> npt.NDArray[np.uint16]:
    """[H, W] stored numbers of reflectance; NaN becomes 65535."""
    steps = np.rint(np.clip(reflectance / np.float32(QUANTUM), 0, UNKNOWN - 1))
    stored: npt.NDArray[np.uint16] = np.nan_to_num(steps, nan=UNKNOWN).astype(np.uint16)
    return stored


def write_cog(raster: Raster, folder: Path, tags: dict[str, str]) -> list[dict[str, float]]:
    """Write the raster into the folder; give the statistics of its stored numbers, by band.

    It has tiles of 512 pixels, overviews, an internal mask beside nodata, and statistics, which
    viewers stretch by. Deflate with a predictor is what every build of GDAL can read.
    """
    from rasterio import Env
    from rasterio.shutil import copy

    path = folder / raster.href
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft.tif")
    try:
        with Env(GDAL_TIFF_INTERNAL_MASK=True):
            statistics = write_draft(raster, draft, tags)
            copy(
                draft,
                path,
                driver="COG",
                compress="DEFLATE",
                predictor="YES",
                blocksize=512,
                overview_resampling="AVERAGE" if raster.scale else "NEAREST",
                bigtiff="IF_SAFER",
                num_threads="ALL_CPUS",
            )
    finally:
        draft.unlink(missing_ok=True)
    return statistics


def write_draft(raster: Raster, path: Path, tags: dict[str, str]) -> list[dict[str, float]]:
    """The raster as a plain GeoTIFF, band by band, so that no second copy is held in memory."""
    import rasterio

    rows, cols = raster.grid.shape
    known = np.zeros((rows, cols), np.bool_)
    statistics = []
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=raster.dtype,
        count=len(raster.bands),
        height=rows,
        width=cols,
        crs=str(raster.grid.crs),
        transform=raster.grid.transform,
        nodata=raster.nodata,
        tiled=True,
        interleave="band",
        bigtiff="IF_SAFER",
    ) as file:
        file.update_tags(**tags)
        file.descriptions = raster.bands
        file.units = [raster.unit] * len(raster.bands)
        if raster.scale:
            file.scales = [raster.scale] * len(raster.bands)
            file.offsets = [0.0] * len(raster.bands)
        file.colorinterp = list(colours(raster.bands))
        for number, plane in enumerate(raster.planes, start=1):
            file.write(plane, number)
            here = plane != raster.nodata if raster.nodata is not None else np.ones_like(known)
            known |= here
            statistics.append(describe(plane, here))
            file.update_tags(
                number, **{f"STATISTICS_{key.upper()}": v for key, v in statistics[-1].items()}
            )
        if raster.nodata is not None:
            file.write_mask(known)
    return statistics


def describe(plane: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Statistics of the stored numbers where they are known, named as STAC and GDAL name them."""
    share = {"valid_percent": round(100 * float(known.mean()), 2)}
    if not known.any():
        return share
    values = plane[known]
    return {
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "mean": float(values.mean()),
        "stddev": float(values.std()),
        **share,
    }


def colours(bands: tuple[str, ...]) -> Iterator[Any]:
    """GDAL's colour interpretation of each band; a lone or an unknown band is gray or undefined."""
    from rasterio.enums import ColorInterp

    other = ColorInterp.gray if len(bands) == 1 else ColorInterp.undefined
    for band in bands:
        yield getattr(ColorInterp, COLOURS.get(band, other.name), other)
