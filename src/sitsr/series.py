"""What things are: a series of images of one place, and what super-resolution makes of it.

Axes have one letter each and always stand in this order:

    T time    C band    H row, north to south    W column, west to east

Records are frozen and check themselves when they are made; to change one, use
``dataclasses.replace``, so that a new field is carried along everywhere at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int16]


class InputError(ValueError):
    """What the user can mend: the message says what was got, what was wanted and what to do."""


def phase_of_year(day: date) -> float:
    """Where in the year a day lies, from 0 on the first of January to 1."""
    return (day.timetuple().tm_yday - 1) / 365.25


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Series:
    """Images of one place on one grid, in order of time."""

    images: Floats
    """[T, C, H, W] surface reflectance: 0 to 1 over land, more on bright cloud; 0 where not clear
    and unreadable. Always finite."""
    clear: Booleans
    """[T, H, W] True where the ground is seen: no cloud, shadow, nodata, saturation."""
    dates: tuple[date, ...]
    """T acquisition days, strictly increasing."""
    bands: tuple[str, ...]
    """C names as Sentinel-2 writes them: "B02", "B8A"."""
    grid: GeoBox
    """The ground under [H, W]: north-up, square pixels, a CRS in metres."""
    sources: tuple[str, ...]
    """T names of what each image was read from; several files of one date with ", " between."""
    history: tuple[str, ...] = ()
    """What was done to the images on their way in, one sentence each."""

    def __post_init__(self) -> None:
        times, frame = len(self.dates), tuple(self.grid.shape)
        _expect("images", self.images, (times, len(self.bands), *frame), np.float32)
        _expect("clear", self.clear, (times, *frame), np.bool_)
        if not times:
            raise InputError("a series needs at least one image, but there is none")
        if len(self.sources) != times:
            raise InputError(f"sources names {len(self.sources)} images, but there are {times}")
        for earlier, later in pairwise(self.dates):
            if later <= earlier:
                raise InputError(f"dates must increase, but {later} follows {earlier}")
        if len(set(self.bands)) != len(self.bands):
            raise InputError(f"bands must differ from each other, got {', '.join(self.bands)}")
        if not np.isfinite(self.images).all():
            raise InputError("images holds NaN or infinity; set it to 0 and clear to False there")
        _check_grid(self.grid)

    def days_from(self, target: date) -> Floats:
        """[T] acquisition minus target date, in days, signed."""
        return np.array([(day - target).days for day in self.dates], np.float32)

    def select(self, bands: Sequence[str]) -> Series:
        """The same images with these bands only, in this order."""
        missing = [band for band in bands if band not in self.bands]
        if missing:
            raise InputError(
                f"the series has bands {', '.join(self.bands)} but not {', '.join(missing)}; "
                "give images that hold them"
            )
        if tuple(bands) == self.bands:
            return self
        chosen = [self.bands.index(band) for band in bands]
        return replace(self, images=self.images[:, chosen], bands=tuple(bands))

    def crop(self, rows: slice, cols: slice) -> Series:
        """The same images over part of the ground."""
        return replace(
            self,
            images=self.images[..., rows, cols],
            clear=self.clear[..., rows, cols],
            grid=self.grid[rows, cols],
        )

    def keep(self, indices: Sequence[int]) -> Series:
        """The images at these positions in time."""
        chosen = sorted(indices)
        return replace(
            self,
            images=self.images[chosen],
            clear=self.clear[chosen],
            dates=tuple(self.dates[i] for i in chosen),
            sources=tuple(self.sources[i] for i in chosen),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SuperResolved:
    """The ground at one date, scale times finer than it was seen."""

    mean: Floats
    """[C, scale·H, scale·W] reflectance, the best single estimate; NaN where never seen."""
    spread: Floats
    """[C, scale·H, scale·W] standard deviation of the error expected of mean, in reflectance."""
    samples: Floats
    """[M, C, scale·H, scale·W] reflectance: M images that the ground may equally well be."""
    clear_count: Integers
    """[H, W] number of dates on which the ground was seen."""
    nearest_days: Integers
    """[H, W] signed days (acquisition minus target) of the nearest clear date; -32768 if none."""
    support: npt.NDArray[np.uint8]
    """[H, W] how the target date is supported by what was seen: number of a class of SUPPORT."""
    target: date
    """The date the estimate is made for."""
    bands: tuple[str, ...]
    grid: GeoBox
    """The ground under mean: the series' grid with pixels scale times smaller."""
    scale: int
    provenance: dict[str, Any] = field(default_factory=dict)
    """Version, weights and their hash, inputs, seed and parameters, ready for JSON."""

    def __post_init__(self) -> None:
        fine = tuple(self.grid.shape)
        image = (len(self.bands), *fine)
        coarse = tuple(side // self.scale for side in fine)
        _expect("mean", self.mean, image, np.float32)
        _expect("spread", self.spread, image, np.float32)
        _expect("samples", self.samples, (len(self.samples), *image), np.float32)
        _expect("clear_count", self.clear_count, coarse, np.int16)
        _expect("nearest_days", self.nearest_days, coarse, np.int16)
        _expect("support", self.support, coarse, np.uint8)


NEVER = -32768
"""What nearest_days holds where no date is clear."""

FAR_DAYS = 60
"""A target date further than this from every clear look is a guess."""

SUPPORT = (
    "never seen",
    "seen on the day",
    "between clear looks",
    "before the first or after the last clear look",
    f"more than {FAR_DAYS} days from any clear look",
)
"""Classes of support by their number."""


def _expect(name: str, array: npt.NDArray[Any], shape: tuple[int, ...], kind: type) -> None:
    if array.shape != shape or array.dtype != kind:
        raise InputError(
            f"{name} is {array.dtype} {list(array.shape)}; "
            f"its dates, bands and grid ask for {np.dtype(kind)} {list(shape)}"
        )


def _check_grid(grid: GeoBox) -> None:
    if grid.crs is None or not grid.crs.projected:
        raise InputError(f"the grid lies in {grid.crs}; warp it to a CRS in metres, such as UTM")
    across, down = grid.transform.a, -grid.transform.e
    if grid.transform.b or grid.transform.d or across <= 0 or abs(across - down) > 1e-6 * across:
        raise InputError(
            f"pixels must be square and north-up, but the grid's transform is {grid.transform}; "
            "warp it first"
        )
