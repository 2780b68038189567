"""Pairs to score systems on: a series, a date, and what the ground looked like."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import rasterio
import torch
from odc.geo.geobox import GeoBox

from sitsr.clouds import clear_sky
from sitsr.consistency import SENTINEL2_SIGMA, observe
from sitsr.datasets.archives import BANDS, L2A_BANDS, Archive
from sitsr.datasets.batches import blocks_all
from sitsr.series import Booleans, Floats, InputError, Series

SIGMA = tuple(SENTINEL2_SIGMA[band] for band in BANDS)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A series and the image of the same ground that a system should give at the target date."""

    series: Series
    target: date
    reference: Floats
    """[C, scale·H, scale·W] reflectance, or display values where the kind is "real pair"."""
    clear: Booleans
    """[scale·H, scale·W] where the reference may be scored."""
    site: str
    kind: str
    """"scale transfer", "scale transfer, date held out" or "real pair": results of different kinds
    are never averaged."""
    scale: int
    sensor_sigma: tuple[float, ...]
    """Point-spread function of each band, standard deviation in low-resolution pixels."""


def scale_transfer_pairs(
    archive: Archive, count: int, *, scale: int = 4, held_out: bool = False
) -> list[Pair]:
    """The clearest images of an archive as references, the whole archive degraded as the series.

    Where dates are unknown the images are laid twelve days apart, in their order, from an arbitrary
    day. held_out: the target's own image is left out of the series.
    """
    dates = archive.dates or tuple(
        date(2020, 1, 1) + timedelta(days=12 * k) for k in range(len(archive.images))
    )
    side = [n // scale * scale for n in archive.images.shape[2:]]
    fine, fine_clear = (
        archive.images[..., : side[0], : side[1]],
        archive.clear[:, : side[0], : side[1]],
    )
    lr = observe(torch.from_numpy(fine), SIGMA, scale).numpy()
    clear = blocks_all(fine_clear, scale)
    grid = archive.grid[: side[0], : side[1]].zoom_out(scale)
    series = Series(lr, clear, dates, BANDS, grid, tuple(f"{archive.site} {day}" for day in dates))
    clearest = sorted(range(len(fine)), key=lambda k: (-float(fine_clear[k].mean()), k))[:count]
    kind = "scale transfer, date held out" if held_out else "scale transfer"
    pairs = []
    for k in sorted(clearest):
        rest = series.keep([i for i in range(len(fine)) if i != k]) if held_out else series
        # Ground that no date of the series shows is left empty by a system, and not scored.
        scored = fine_clear[k] & rest.clear.any(0).repeat(scale, 0).repeat(scale, 1)
        pairs.append(Pair(rest, dates[k], fine[k], scored, archive.site, kind, scale, SIGMA))
    return pairs


def real_pairs(folder: Path, numbers: tuple[str, ...] = ("0", "2", "3")) -> list[Pair]:
    """Sentinel-2 images with an aerial orthophoto of the same ground at 2.5 m.

    The orthophoto is 8-bit, stretched, of another day and not registered: score it only after
    registration and a gain and offset for each band, fitted at 10 m.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not there; give the folder that holds it with --data")
    return [_real_pair(folder / number) for number in numbers]


def _real_pair(folder: Path) -> Pair:
    with rasterio.open(folder / "s2.tif") as file:
        dn, grid = file.read(), GeoBox.from_rio(file)
    with rasterio.open(folder / "orthophoto.tif") as file:
        photo = file.read()[[2, 1, 0, 3]]
    images = dn[None].astype(np.float32) / 10_000
    clear = clear_sky(images, L2A_BANDS)
    chosen = [L2A_BANDS.index(band) for band in BANDS]
    # The day is not recorded; late summer 2023 is what is known of it.
    series = Series(
        images[:, chosen], clear, (date(2023, 9, 1),), BANDS, grid, (str(folder / "s2.tif"),)
    )
    scale = photo.shape[1] // dn.shape[1]
    seen = (photo > 0).any(0)
    reference = photo.astype(np.float32) / 255
    return Pair(
        series, date(2023, 9, 1), reference, seen, f"pair {folder.name}", "real pair", scale, SIGMA
    )
