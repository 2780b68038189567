"""Makers of what many tests need; each fills in what a test does not care about."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch
from odc.geo.geobox import GeoBox

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.model import Card, Model, bundled_weights, open_model
from sitsr.series import Series

torch.set_num_threads(1)
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

M = TypeVar("M", bound=torch.nn.Module)
BANDS = ("B02", "B03", "B04", "B08")
SIGMA = tuple(SENTINEL2_SIGMA[band] for band in BANDS)
TARGET = date(2021, 7, 18)
SMALL = {
    "width": 8,
    "encoder_settings": {"frame_blocks": 1, "trunk_blocks": 1},
    "generator_settings": {"width": 8, "blocks": 2},
}


def perturbed(module: M, seed: int = 0) -> M:
    """The module with every weight moved, so that layers that start at zero do something."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            fan_in = max(weight[0].numel(), 1)
            weight.add_(torch.randn(weight.shape, generator=chance) * 0.3 / fan_in**0.5)
    return module.eval().requires_grad_(False)


def make_card(**fields: Any) -> Card:
    """A card of a small model."""
    return Card(**{"bands": BANDS, "sigma": SIGMA, **SMALL, **fields})


def make_model(seed: int = 0, **fields: Any) -> Model:
    """A small model with random weights."""
    torch.manual_seed(seed)
    return perturbed(Model(make_card(**fields)), seed)


@pytest.fixture(scope="session")
def model() -> Model:
    """The weights that come with the package; random ones of that size in a tree without them."""
    path = bundled_weights()
    return open_model(path, "cpu") if path.exists() else perturbed(Model(Card(BANDS, SIGMA)))


def landscape(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.float32]:
    """Smooth reflectance between 0.02 and 0.38 of this shape, rougher along rows than columns."""
    chance = np.random.default_rng(seed)
    *front, rows, cols = shape
    phase = chance.uniform(0, 2 * np.pi, (3, *front, 1, 1))
    pace = chance.uniform(0.2, 0.6, (3, *front, 1, 1))
    row, col = np.arange(rows)[:, None], np.arange(cols)
    waves = np.sin(pace * row + phase) * np.cos(0.7 * pace * col - phase)
    return (0.2 + 0.06 * waves.sum(0)).astype(np.float32)


def vegetation(shape: tuple[int, int], seed: int = 0) -> npt.NDArray[np.uint16]:
    """Digital numbers [12, H, W] of fields in all bands of Sentinel-2 L2A, under a clear sky."""
    spectrum = [0.03, 0.04, 0.06, 0.05, 0.1, 0.25, 0.3, 0.32, 0.33, 0.3, 0.2, 0.1]
    growth = 0.6 + 2 * landscape(shape, seed)
    return (10_000 * np.array(spectrum)[:, None, None] * growth).astype(np.uint16)


def cloudy(shape: tuple[int, ...], share: float = 0.3, seed: int = 0) -> npt.NDArray[np.bool_]:
    """clear [T, H, W] with blocks of cloud; every pixel is clear in the first image or the last."""
    chance = np.random.default_rng(seed)
    times, rows, cols = shape
    coarse = chance.random((times, -(-rows // 5), -(-cols // 5))) < share
    clear = ~coarse.repeat(5, 1).repeat(5, 2)[:, :rows, :cols]
    clear[-1] |= ~clear[0]
    return clear


def make_series(
    shape: tuple[int, int] = (9, 14), days: tuple[int, ...] = (-35, -6, 0, 11, 40), **fields: Any
) -> Series:
    """Acquisitions at these days from TARGET over (rows, columns), clouded in part."""
    west, north = fields.pop("corner", (488_000, 4_693_000))
    grid = GeoBox(shape, rasterio.Affine(10, 0, west, 0, -10, north), "EPSG:32631")
    drift = 1 + 0.1 * np.sin(np.array(days) / 20)[:, None, None, None]
    dates = tuple(TARGET + timedelta(days=day) for day in days)
    given = {
        "images": (landscape((len(BANDS), *shape)) * drift).astype(np.float32),
        "clear": cloudy((len(days), *shape)),
        "dates": dates,
        "bands": BANDS,
        "grid": grid,
        "sources": tuple(f"scene_{day}.tif" for day in dates),
    }
    return Series(**{**given, **fields})


def write_tif(path: Path, bands: npt.NDArray[Any], side: float = 10, west: float = 0) -> None:
    """A GeoTIFF [C, H, W] with pixels of this side, somewhere in Austria."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    transform = rasterio.Affine(side, 0, 560_000 + west, 0, -side, 5_250_000)
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32633", transform=transform, **profile
    ) as file:
        file.write(bands)


def write_austria(folder: Path, sites: tuple[str, ...] = ("site00",), images: int = 5) -> None:
    """Sites of this many images [12, 40, 52] of which the first lies 280 m off."""
    for number, site in enumerate(sites):
        ground = vegetation((40, 52), number)
        for k in range(images):
            dn = (ground * (1 + 0.03 * k)).astype(np.uint16)
            write_tif(folder / site / f"{site}_{k}.tif", dn, west=0 if k else 280)
