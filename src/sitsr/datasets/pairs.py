"""Pairs to score systems on: a series, a date, and what the ground looked like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import rasterio
import torch
from odc.geo.geobox import GeoBox

from sitsr.clouds import clear_sky
from sitsr.consistency import SENTINEL2_SIGMA, observe
from sitsr.datasets.archives import BANDS, L2A_BANDS, Archive
from sitsr.datasets.batches import blocks_all
from sitsr.series import Booleans, Floats, InputError, Series

if TYPE_CHECKING:
    from sitsr.datasets.views import View

SIGMA = tuple(SENTINEL2_SIGMA[band] for band in BANDS)

REAL = "real pair"
"""The kind of pair whose reference comes from another sensor."""

LANDSAT = "real pair, Landsat-8 to Sentinel-2"
"""The kind of real pair that is made of many dates of 30 m and a reference of 10 m."""

OTHER_SENSOR = (REAL, LANDSAT)
"""Kinds whose reference is registered and brought to the series' radiometry before it is scored."""

PUBLISHED = "real pair, as published"
"""The kind of real pair that is scored as it lies, without registration or radiometry, because
that is how the papers on it score."""


class Fault(NamedTuple):
    """Something wrong with the files of a pair that its reader came upon and mended."""

    check: str
    """What it is called by ``sitsr.datasets.check``, such as "constant revisit"."""
    said: str


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a system is asked: everything of a pair but the answer."""

    series: Series
    target: date
    scale: int
    site: str
    """The place; the unit of splits and of statistics."""
    patch: str
    """Name within the site, the same for every system, such as the target date."""
    kind: str
    """"scale transfer", "scale transfer, date held out", "held-out date at 10 m", "real pair",
    "real pair, Landsat-8 to Sentinel-2", "real pair, as published", "simulated": results of
    different kinds are never averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair(Task):
    """A task and what the ground looked like."""

    reference: Floats
    """[C, scale·H, scale·W] reflectance, or display values where the kind is "real pair"; or
    [C, H, W], what the sensor saw, which an estimate is degraded to before it is compared."""
    clear: Booleans
    """[H, W] of the reference: where it may be scored."""
    sensor_sigma: tuple[float, ...]
    """Point-spread function of each band, standard deviation in low-resolution pixels."""
    faults: tuple[Fault, ...] = ()
    """What its reader mended in it."""

    @property
    def task(self) -> Task:
        """The same without the reference, as it is handed to a system."""
        return Task(self.series, self.target, self.scale, self.site, self.patch, self.kind)

    def select(self, bands: Sequence[str]) -> Pair:
        """The same pair in these bands only, in this order."""
        if tuple(bands) == self.series.bands:
            return self
        series = self.series.select(bands)
        chosen = [self.series.bands.index(band) for band in bands]
        sigma = tuple(self.sensor_sigma[k] for k in chosen)
        return replace(self, series=series, reference=self.reference[chosen], sensor_sigma=sigma)

    @property
    def at_sensor(self) -> bool:
        """Whether the reference lies on the grid of the series."""
        return self.reference.shape[1:] == self.series.clear.shape[1:]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A pair that is not read yet."""

    kind: str
    site: str
    patch: str
    load: Callable[[], Pair]
    split: str | None = None
    """Of the data set, such as "train"; None where none is named."""
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north of the ground, degrees (WGS 84); None where it is not known."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the data set says of the ground, such as {"IPCC Class": "Forest"}."""
    look: Callable[[], View] | None = None
    """Opens the pair to be read window by window where it lies; None: it has to be read whole."""


def at_hand(pair: Pair) -> Source:
    """The source of a pair that is in memory already."""
    return Source(pair.kind, pair.site, pair.patch, lambda: pair)


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
    sigma = tuple(SENTINEL2_SIGMA[band] for band in archive.bands)
    lr = observe(torch.from_numpy(fine), sigma, scale).numpy()
    clear = blocks_all(fine_clear, scale)
    grid = archive.grid[: side[0], : side[1]].zoom_out(scale)
    names = tuple(f"{archive.site} {day}" for day in dates)
    series = Series(lr, clear, dates, archive.bands, grid, names)
    clearest = sorted(range(len(fine)), key=lambda k: (-float(fine_clear[k].mean()), k))[:count]
    kind = "scale transfer, date held out" if held_out else "scale transfer"
    pairs = []
    for k in sorted(clearest):
        rest = series.keep([i for i in range(len(fine)) if i != k]) if held_out else series
        # Ground that no date of the series shows is left empty by a system, and not scored.
        scored = fine_clear[k] & rest.clear.any(0).repeat(scale, 0).repeat(scale, 1)
        patch = f"{dates[k]}" if archive.dates else f"image {k}"
        task = (rest, dates[k], scale, archive.site, patch, kind)
        pairs.append(Pair(*task, fine[k], scored, sigma))
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
    # The three tiles adjoin: one valley, one site.
    task = (series, date(2023, 9, 1), scale, "vorarlberg", f"pair {folder.name}", REAL)
    return Pair(*task, reference, seen, SIGMA)
