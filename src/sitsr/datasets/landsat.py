"""Landsat-8 at 30 m and Sentinel-2 at 10 m over the same fields: real pairs of many dates.

The images of Landsat-8 lie on Sentinel-2's grid of 10 m, resampled to the nearest pixel: blocks of
3 × 3 equal values, each of which is one pixel of 30 m. Landsat's own grid lies 5 m off that of
Sentinel-2, so blocks are up to half a pixel of 10 m beside the ground that they show; registration
takes that away with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sitsr.consistency import LANDSAT8_SIGMA
from sitsr.datasets.archives import (
    BANDS,
    Archive,
    cube_days,
    cube_grid,
    first_of_each_day,
    only,
    read_flanders,
)
from sitsr.datasets.batches import blocks_all
from sitsr.datasets.pairs import LANDSAT, Pair
from sitsr.series import Booleans, InputError, Series

SCALE = 3

OLI_BANDS = ("B02", "B03", "B04", "B05")
"""Landsat-8's blue, green, red and near infrared, which stand for BANDS. Its near infrared (851 to
879 nm) is narrower than B08 (785 to 900 nm): a gain and an offset must be fitted."""

JUNK = 65_000
"""Digital numbers above this were negative and ran over."""

MOST_DAYS = 3
"""Between the two images of a pair."""

CLEAR_SHARE = 0.8
"""Least share of the ground that both images of a pair show."""

SIGMA = tuple(LANDSAT8_SIGMA[band] for band in BANDS)


def read_landsat(folder: Path) -> tuple[Series, tuple[slice, slice]]:
    """Landsat-8's surface reflectance at 30 m, and the rows and columns of 10 m that it covers.

    InputError where the cube is missing or is not made of 3 × 3 blocks.
    """
    import xarray as xr

    path = only(folder, "L8_SR_10m_*.nc")
    with xr.open_dataset(path, mask_and_scale=False) as cube:
        dn = np.stack([cube[band].values for band in OLI_BANDS], 1)
        quality = cube["pixel_qa"].values
        factor = np.float32(cube["B02"].attrs.get("scale_factor", 1e-4))
        days, grid = cube_days(cube), cube_grid(cube)
    rows, cols = (_blocks(dn, axis, path) for axis in (2, 3))
    keep = first_of_each_day(days)
    dn = dn[keep][:, :, rows, cols][:, :, ::SCALE, ::SCALE]
    seen = clear_of(quality[keep][:, rows, cols][:, ::SCALE, ::SCALE]) & (dn <= JUNK).all(1)
    series = Series(
        np.where(dn <= JUNK, dn * factor, 0).astype(np.float32),
        np.asarray(seen),
        tuple(days[k] for k in keep),
        BANDS,
        grid[rows, cols].zoom_out(SCALE),
        tuple(f"{path} {days[k]}" for k in keep),
        ("Landsat-8's blue, green, red and near infrared stand for B02, B03, B04 and B08.",),
    )
    return series, (rows, cols)


def clear_of(quality: npt.NDArray[Any]) -> Booleans:
    """Where Landsat's Collection 1 pixel quality says clear (bit 1) or water (bit 2).

    Not where it is highly confident of cirrus (bits 8 and 9), which it may call clear.
    """
    cirrus = (quality >> 8) & 0b11
    return np.asarray((quality & 0b110 > 0) & (cirrus < 0b11))


def landsat_pairs(folder: Path) -> list[Pair]:
    """One pair for each Landsat-8 date with a Sentinel-2 image of MOST_DAYS at most beside it.

    The series is all of Landsat-8, the target its date; the reference is the nearest Sentinel-2
    image of 10 m that shows CLEAR_SHARE of the ground together with it. It is of another sensor and
    another day: score it after registration and a gain and offset for each band.
    """
    (fine,) = read_flanders(folder)
    series, (rows, cols) = read_landsat(folder)
    _check_ground(series.grid, fine.grid[rows, cols].zoom_out(SCALE))
    images, clear = fine.images[..., rows, cols], fine.clear[:, rows, cols]
    both = blocks_all(clear, SCALE)
    pairs = []
    for target, seen in zip(series.dates, series.clear, strict=True):
        share = (both & seen).mean((1, 2))
        k = _partner(fine, target.toordinal(), share)
        if k is None or fine.dates is None:
            continue
        patch = f"Landsat-8 {target}, Sentinel-2 {fine.dates[k]}"
        task = (series, target, SCALE, fine.site, patch, LANDSAT)
        pairs.append(Pair(*task, images[k], clear[k], SIGMA))
    return pairs


def _partner(fine: Archive, day: int, share: npt.NDArray[np.float64]) -> int | None:
    """The nearest image in time that shows enough, the clearer of two as near."""
    away = [abs(each.toordinal() - day) for each in fine.dates or ()]
    found = [k for k, days in enumerate(away) if days <= MOST_DAYS and share[k] >= CLEAR_SHARE]
    return min(found, key=lambda k: (away[k], -float(share[k])), default=None)


def _blocks(dn: npt.NDArray[Any], axis: int, path: Path) -> slice:
    """The whole blocks of SCALE equal lines along this axis, told by where values change."""
    lines = np.moveaxis(dn, axis, 0)
    changed = (lines[1:] != lines[:-1]).reshape(len(lines) - 1, -1).mean(1)
    shares: Sequence[float] = [float(changed[k::SCALE].mean()) for k in range(SCALE)]
    last = int(np.argmax(shares))
    if shares[last] == 0 or sum(shares) - shares[last] > 0.01:
        raise InputError(
            f"{path.name} is not made of blocks of {SCALE} × {SCALE} pixels; "
            "wanted Landsat at 30 m resampled to 10 m by the nearest pixel"
        )
    start = (last + 1) % SCALE
    return slice(start, start + (len(lines) - start) // SCALE * SCALE)


def _check_ground(found: GeoBox, wanted: GeoBox) -> None:
    if found != wanted:
        raise InputError(
            f"Landsat-8 covers {found.boundingbox}, Sentinel-2 {wanted.boundingbox}; "
            "give both on one grid of 10 m"
        )
