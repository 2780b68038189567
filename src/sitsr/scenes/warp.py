"""From a frame's grid to the series' grid, without cloud or nodata leaking into its neighbours.

The kernel is cubic convolution (Keys 1981, IEEE Transactions on Acoustics, Speech and Signal
Processing 29): bilinear would blur by up to half a pixel, more than what super-resolution has to
gain there. What is not wanted is set to 0 with weight 0 before the kernel meets it, and the result
divided by the weight that remains.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from sitsr.scenes.plan import aligned, place
from sitsr.series import Booleans, Floats

Layer = TypeVar("Layer", Floats, Booleans)
Raw = npt.NDArray[Any]
Scale = tuple[float, float]

EXACT = 1e-9
"""Pixels by which the place of one may be off; GDAL allows an eighth if nothing is said."""
WHOLE = 0.01
"""Share of the kernel's weight that may be missing from a clear pixel."""


def onto(
    grid: GeoBox,
    image: Floats,
    seen: Booleans,
    clear: Booleans,
    source: GeoBox,
    scale: Scale | None,
) -> tuple[Floats, Booleans, Booleans]:
    """An image [C, h, w] with its masks [h, w] on another grid: image [C, H, W], seen, clear.

    scale  what ``scale_between`` says of the two, or of the larger grids that they are parts of

    A pixel is clear where (but for a hundredth) the whole kernel lay on clear pixels. Elsewhere
    the image holds what was seen, cloud included, and 0 where nothing was.
    """
    if scale is None:
        return (
            _placed(grid, image, source),
            _placed(grid, seen, source),
            _placed(grid, clear, source),
        )
    sharp, weight = _weighted(image, clear, source, grid, scale)
    whole = np.abs(weight - 1) <= WHOLE
    if (clear == seen).all():
        return np.where(whole, sharp, 0).astype(np.float32), whole, whole
    rough, weight = _weighted(image, seen, source, grid, scale)
    known = (weight > 0.5) | whole
    return np.where(whole, sharp, np.where(known, rough, 0)).astype(np.float32), known, whole


def enlarge(values: Raw, seen: Booleans, source: GeoBox, grid: GeoBox, empty: float) -> Raw:
    """[C, H, W] digital numbers of coarser bands [C, h, w] on a finer grid; else empty."""
    sharp, weight = _weighted(values.astype(np.float32), seen, source, grid, (1.0, 1.0))
    return np.where(weight > 0.5, sharp, np.float32(empty))


def _weighted(
    image: Floats, wanted: Booleans, source: GeoBox, grid: GeoBox, scale: Scale
) -> tuple[Floats, Floats]:
    stack = np.concatenate([np.where(wanted, image, 0), wanted[None]]).astype(np.float32)
    warped = _warped(stack, source, grid, Resampling.cubic, scale)
    weight = warped[-1]
    left = np.where(np.abs(weight) > 0.1, weight, 1).astype(np.float32)
    return (warped[:-1] / left).astype(np.float32), weight


def nearest(layer: Raw, source: GeoBox, grid: GeoBox) -> Raw:
    """Classes [h, w] on another grid [H, W]; 0 beyond their edge."""
    plane: Raw = _warped(layer[None], source, grid, Resampling.nearest)[0]
    return plane


def _warped(
    layers: Raw, source: GeoBox, grid: GeoBox, way: Resampling, scale: Scale = (1.0, 1.0)
) -> Raw:
    """Layers [C, h, w] on another grid [C, H, W]; 0 beyond their edge.

    A window is warped as the whole would be. GDAL widens its kernel where pixels grow, by a factor
    that it finds from the two rasters at hand; it is told the factor here. And it is told how far
    off a pixel may be, as it would find the places along a row from the row's ends.
    """
    about = {"driver": "GTiff", "dtype": layers.dtype, "count": len(layers)}
    here = {"crs": str(source.crs), "transform": source.transform}
    there = {"crs": str(grid.crs), "transform": grid.transform}
    rows, cols = source.shape
    with MemoryFile() as memory:
        with memory.open(**about, **here, height=rows, width=cols) as file:
            file.write(layers)
        with (
            memory.open() as file,
            WarpedVRT(
                file,
                **there,
                height=grid.shape[0],
                width=grid.shape[1],
                resampling=way,
                tolerance=EXACT,
                YSCALE=f"{min(scale[0], 1.0):.6f}",
                XSCALE=f"{min(scale[1], 1.0):.6f}",
            ) as warped,
        ):
            return np.asarray(warped.read())


def scale_between(source: GeoBox, grid: GeoBox) -> Scale | None:
    """Pixels of a grid along one of a source, along y and x, at the middle of the source; None
    where the pixels of the two coincide, so that nothing is resampled.

    Within a twentieth of 1 it counts as 1, as it does for GDAL.
    """
    if aligned(source, grid):
        return None
    rows, cols = source.shape
    middle = source[rows // 2 : rows // 2 + 1, cols // 2 : cols // 2 + 1]
    west, south, east, north = transform_bounds(
        str(source.crs), str(grid.crs), *middle.boundingbox.bbox
    )
    across, down = (east - west) / grid.transform.a, (south - north) / grid.transform.e
    y, x = (1.0 if abs(step - 1) < 0.05 else step for step in (down, across))
    return y, x


def _placed(grid: GeoBox, layer: Layer, source: GeoBox) -> Layer:
    """The same pixels at their place in another grid of the same lattice; 0 around."""
    left, top = (round(start) for start in place(source, grid))
    (rows, cols), (wanted_rows, wanted_cols) = source.shape, grid.shape
    if (top, left, rows, cols) == (0, 0, wanted_rows, wanted_cols):
        return layer
    whole = np.zeros((*layer.shape[:-2], wanted_rows, wanted_cols), layer.dtype)
    first_row, last_row = max(top, 0), min(top + rows, wanted_rows)
    first_col, last_col = max(left, 0), min(left + cols, wanted_cols)
    if first_row < last_row and first_col < last_col:
        whole[..., first_row:last_row, first_col:last_col] = layer[
            ..., first_row - top : last_row - top, first_col - left : last_col - left
        ]
    return whole
