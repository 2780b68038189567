"""A super-resolved image as files: what `super-resolve` leaves in its folder.

    sr.tif             reflectance, the best single estimate
    uncertainty.tif    standard deviation of the error expected of it, reflectance
    clear_count.tif    dates on which the ground was seen, on the input's grid
    nearest_days.tif   days from the target to the nearest of them, on the input's grid
    samples/           images the ground may equally well be, where samples were asked for
    preview.png        input and result side by side, in natural colour
    item.json          a STAC item over all of it

All rasters are Cloud-Optimized GeoTIFFs. The folder appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sitsr.scenes.write.folder import aside, check_free
from sitsr.scenes.write.geotiff import Raster, plan, write_cog
from sitsr.scenes.write.item import write_item
from sitsr.scenes.write.pictures import write_preview
from sitsr.scenes.write.provenance import provenance_tags
from sitsr.series import InputError, Series, SuperResolved

__all__ = ["Progress", "aside", "check_free", "write_files", "write_product"]

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


def write_product(
    estimate: SuperResolved, series: Series, folder: Path, progress: Progress | None = None
) -> Path:
    """Write the estimate, made from this series, as this folder; give the folder back.

    A former product there is replaced; a folder that holds anything else is refused.
    """
    with aside(folder) as temporary:
        write_files(estimate, series, temporary, progress)
    return Path(folder)


def write_files(
    estimate: SuperResolved, series: Series, folder: Path, progress: Progress | None = None
) -> None:
    """Write the files of the product into a folder that is there already."""
    check_same_ground(estimate, series)
    tell = progress or (lambda done, total: None)
    rasters = plan(estimate, series)
    total = len(rasters) + 2
    tags = provenance_tags(estimate)
    written: list[tuple[Raster, list[dict[str, float]]]] = []
    for done, raster in enumerate(rasters):
        tell(done, total)
        written.append((raster, write_cog(raster, folder, tags)))
    tell(total - 2, total)
    write_preview(folder / "preview.png", estimate, series)
    tell(total - 1, total)
    write_item(folder, estimate, series, written)
    tell(total, total)


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
