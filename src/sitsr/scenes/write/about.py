"""What a product is about: the one record that its files and its STAC item tell from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from sitsr.series import InputError, Series, SuperResolved

CREDIT = "contains modified Copernicus Sentinel data"
"""What the licence of the data asks to be said wherever they are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class About:
    """A product of one target date, without its pixels."""

    target: date
    bands: tuple[str, ...]
    grid: GeoBox
    """That of the input; the product's pixels are scale times smaller."""
    scale: int
    samples: int
    """How many there are."""
    dates: tuple[date, ...]
    """Of the images that went in."""
    sources: tuple[str, ...]
    """For each date what it was read from; several files with ", " between."""
    history: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def fine(self) -> GeoBox:
        """The product's grid."""
        grid: GeoBox = self.grid.zoom_out(1 / self.scale)
        return grid


def about(estimate: SuperResolved, series: Series) -> About:
    """What a product of this estimate, made from this series (else InputError), is about."""
    check_same_ground(estimate, series)
    return About(
        target=estimate.target,
        bands=estimate.bands,
        grid=series.grid,
        scale=estimate.scale,
        samples=len(estimate.samples),
        dates=series.dates,
        sources=series.sources,
        history=series.history,
        provenance=estimate.provenance,
    )


def check_same_ground(estimate: SuperResolved, series: Series) -> None:
    """Refuse an estimate that was not made from this series."""
    fine, coarse, scale = estimate.grid, series.grid, estimate.scale
    rows, cols = coarse.shape
    same_shape = tuple(fine.shape) == (rows * scale, cols * scale)
    apart = np.abs(np.subtract(fine.extent.boundingbox, coarse.extent.boundingbox)).max()
    if fine.crs != coarse.crs or not same_shape or apart > 1e-6 * coarse.resolution.x:
        raise InputError(
            f"the estimate covers {tuple(fine.boundingbox)} in {fine.crs}, its series "
            f"{tuple(coarse.boundingbox)} in {coarse.crs}; hand in the series it was made from"
        )


def provenance(told: dict[str, Any]) -> dict[str, Any]:
    """A provenance as strict JSON can hold it: no NaN, no types but JSON's."""
    text = json.dumps(told, default=str)
    return dict(json.loads(text, parse_constant=lambda nan_or_infinity: None))


def tags(product: About) -> dict[str, str]:
    """What a GeoTIFF says about how it was made."""
    return {
        "TIFFTAG_SOFTWARE": f"sitsr {software_version(product.provenance)}",
        "TIFFTAG_DATETIME": f"{product.target:%Y:%m:%d} 00:00:00",
        "TIFFTAG_COPYRIGHT": CREDIT,
        "PROVENANCE": json.dumps(provenance(product.provenance), ensure_ascii=False),
    }


def software_version(told: dict[str, Any]) -> str:
    """The version that made the estimate, or the one at work if its provenance does not say."""
    try:
        return str(told.get("version") or version("sitsr"))
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
