"""From a frame's grid to the series' grid, without cloud or nodata leaking into its neighbours.

The kernel is cubic convolution (Keys 1981, IEEE Transactions on Acoustics, Speech and Signal
Processing 29): bilinear would blur by up to half a pixel, more than what super-resolution has to
gain there. What is not wanted is set to 0 with weight 0 before the kernel meets it, and the result
divided by the weight that remains.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from sitsr.scenes.plan import aligned, place
from sitsr.series import Booleans, Floats

Layer = TypeVar("Layer", Floats, Booleans, npt.NDArray[np.uint8])

WHOLE = 0.01
"""Share of the kernel's weight that may be missing from a clear pixel."""


def onto(
    grid: GeoBox, image: Floats, seen: Booleans, clear: Booleans, source: GeoBox
) -> tuple[Floats, Booleans, Booleans]:
    """An image [C, h, w] with its masks [h, w] on another grid: image [C, H, W], seen, clear.

    A pixel is clear where (but for a hundredth) the whole kernel lay on clear pixels. Elsewhere
    the image holds what was seen, cloud included, and 0 where nothing was.
    """
    if aligned(source, grid):
        return (
            _placed(grid, image, source),
            _placed(grid, seen, source),
            _placed(grid, clear, source),
        )
    sharp, weight = _weighted(image, clear, source, grid)
    whole = np.abs(weight - 1) <= WHOLE
    if (clear == seen).all():
        return np.where(whole, sharp, 0).astype(np.float32), whole, whole
    rough, weight = _weighted(image, seen, source, grid)
    known = (weight > 0.5) | whole
    return np.where(whole, sharp, np.where(known, rough, 0)).astype(np.float32), known, whole


def _weighted(
    image: Floats, wanted: Booleans, source: GeoBox, grid: GeoBox
) -> tuple[Floats, Floats]:
    stack = np.concatenate([np.where(wanted, image, 0), wanted[None]]).astype(np.float32)
    warped = _warped(stack, source, grid, Resampling.cubic)
    weight = warped[-1]
    left = np.where(np.abs(weight) > 0.1, weight, 1).astype(np.float32)
    return (warped[:-1] / left).astype(np.float32), weight


def nearest(layer: npt.NDArray[np.uint8], source: GeoBox, grid: GeoBox) -> npt.NDArray[np.uint8]:
    """Classes [h, w] on another grid [H, W]; 0 beyond their edge."""
    return _warped(layer, source, grid, Resampling.nearest)


def _warped(layers: Layer, source: GeoBox, grid: GeoBox, way: Resampling) -> Layer:
    """Layers [..., h, w] on another grid [..., H, W]; 0 beyond their edge."""
    there = np.zeros((*layers.shape[:-2], *grid.shape), layers.dtype)
    reproject(
        layers,
        there,
        src_transform=source.transform,
        src_crs=str(source.crs),
        dst_transform=grid.transform,
        dst_crs=str(grid.crs),
        resampling=way,
        tolerance=0,  # exact places; the default errs by an eighth of a pixel
    )
    return there


def _placed(grid: GeoBox, layer: Layer, source: GeoBox) -> Layer:
    """The same pixels at their place in a grid that holds them; 0 around."""
    left, top = (round(start) for start in place(source, grid))
    rows, cols = source.shape
    if (top, left) == (0, 0) and tuple(grid.shape) == (rows, cols):
        return layer
    whole = np.zeros((*layer.shape[:-2], *grid.shape), layer.dtype)
    whole[..., top : top + rows, left : left + cols] = layer
    return whole
