"""From a tile of WorldStrat to a pair: the only place that reads its pixels.

Sentinel-2's revisits are reflectance already, as floats. SPOT's images hold 12-bit numbers that are
divided by 10000, as the authors do; that makes them no reflectance, so a gain and an offset in
every band must be fitted before they are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sitsr.clouds import clear_sky
from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets.archives import L2A_BANDS
from sitsr.datasets.pairs import REAL, Fault, Pair
from sitsr.datasets.worldstrat.ground import opened_raster, place_of, utm_grid
from sitsr.datasets.worldstrat.splits import site_of
from sitsr.datasets.worldstrat.tables import Bounds, read_own_days
from sitsr.scenes.plan import PIXEL
from sitsr.scenes.warp import nearest, onto, scale_between
from sitsr.series import Booleans, Floats, InputError, Series

LEVELS = {"L2A": L2A_BANDS, "L1C": (*L2A_BANDS[:10], "B10", *L2A_BANDS[10:])}
"""Of each level the bands, in the order of the files."""

TARGETS = {"pansharpened": "ps", "rgbn": "rgbn", "pan": "pan"}
"""Of each reference how its file is called."""

SPOT_BANDS = ("B04", "B03", "B02", "B08")
"""Sentinel-2's bands for those of SPOT, in the order of its files: red, green, blue, infrared."""

PAN_OF = ("B02", "B03", "B04")
"""Bands whose mean stands for the panchromatic one, 450 to 745 nm."""

FULL_SCALE = 10_000

CLOUD_MASK = "-CLM.tiff"
"""0 where there is no cloud, 1 where there is, 255 where nothing is known. It knows no shadow."""

DATA_MASK = "-dataMask.tiff"
"""1 where there are data."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made of a tile."""

    level: str
    """One of LEVELS."""
    target: str
    """One of TARGETS."""
    scale: int
    most_images: int | None


@dataclass(frozen=True, slots=True)
class Revisit:
    """One image of Sentinel-2."""

    number: int
    """Its rank: 1 is the best by cloud and by nearness in time, as the authors weighed them."""
    path: Path
    day: date | None
    """By metadata.csv."""

    def beside(self, ending: str) -> Path:
        """The file of this ending that belongs to it: "-CLM.tiff", ".metadata"."""
        return self.path.with_name(self.path.name.rpartition("-")[0] + ending)


@dataclass(frozen=True, slots=True)
class Tile:
    """The files of a tile and what is known of it."""

    name: str
    bounds: Bounds
    target: date
    revisits: tuple[Revisit, ...]
    """From the best to the worst."""
    reference: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Raw:
    """A revisit as its files hold it."""

    image: Floats
    """[C, h, w] reflectance, 0 where it was not seen."""
    seen: Booleans
    clear: Booleans | None
    """Where its mask says that there is no cloud; None where it has no mask."""
    grid: GeoBox


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A revisit on the series' grid."""

    revisit: Revisit
    day: date
    image: Floats
    clear: Booleans
    masked: bool
    """Whether a file says where it is cloudy."""


def load_pair(tile: Tile, wish: Wish) -> Pair:
    """The series of a tile and its reference.

    InputError where a file is broken, not what it should be or shows nothing.
    """
    grid = utm_grid(tile.bounds)
    bands, reference, known, notes = _reference(tile, wish, grid)
    series, mended = _series(tile, wish, grid, bands, notes)
    # Ground that no date shows is left empty by a system, and not scored.
    ever = series.clear.any(0).repeat(wish.scale, 0).repeat(wish.scale, 1)
    sigma = tuple(_sigma(band) for band in bands)
    task = (series, tile.target, wish.scale, site_of(tile.name), tile.name, REAL)
    faults = tuple(note for note in (*mended, *notes) if note.check)
    return Pair(*task, reference, known & ever, sigma, faults)


def _sigma(band: str) -> float:
    # PAN is a mean of bands that are blurred alike, but for a hundredth of a pixel.
    return SENTINEL2_SIGMA[PAN_OF[0] if band == "PAN" else band]


# ------------------------------------------------------------- the reference


def _reference(
    tile: Tile, wish: Wish, grid: GeoBox
) -> tuple[tuple[str, ...], Floats, Booleans, list[Fault]]:
    """Bands, image [C, scale·H, scale·W], where it is known [scale·H, scale·W], and notes."""
    with opened_raster(tile.reference) as file:
        bands = _bands_of(tile.reference, file.count, wish.target)
        if np.dtype(file.dtypes[0]).itemsize < 2:
            raise InputError(
                f"{tile.reference.name} holds 8-bit values, a picture; wanted SPOT's 12-bit numbers"
            )
        numbers, source = file.read(), place_of(file, tile.bounds)
    seen = (numbers > 0).any(0)
    image = (numbers / np.float32(FULL_SCALE)).astype(np.float32)
    fine = grid.zoom_out(1 / wish.scale)
    # The cubic kernel is as wide as the wider of the pixels: from 1.5 m to 2.5 m it lets through
    # less of what would alias, and more of what would not, than the mean over the new pixel.
    sharp, _, known = onto(fine, image, seen, seen, source, scale_between(source, fine))
    if not known.any():
        raise InputError(f"{tile.reference.name} shows nothing of the tile; leave it out")
    ordered = tuple(sorted(bands))
    sharp = sharp[[bands.index(band) for band in ordered]]
    had = "6 m" if wish.target == "rgbn" else "1.5 m"
    done = f"the {wish.target} reference was resampled once from {had} to {fine.resolution.x:g} m"
    notes = [Fault("", done)]
    if any(bars := black_bars(numbers)):
        said = f"masked black bars of the reference: {_sides(bars)} pixels of {had}"
        notes.append(Fault("black bars", said))
    return ordered, sharp, known, notes


def _bands_of(path: Path, count: int, target: str) -> tuple[str, ...]:
    wanted = {"pansharpened": (3, 4), "rgbn": (4,), "pan": (1,)}[target]
    if count not in wanted:
        raise InputError(
            f"{path.name} has {count} bands; wanted {' or '.join(str(n) for n in wanted)}"
        )
    return ("PAN",) if target == "pan" else SPOT_BANDS[:count]


def black_bars(image: npt.NDArray[np.generic]) -> tuple[int, int, int, int]:
    """How many lines of an image [C, H, W] are 0 all along: above, below, left and right."""
    black = (image == 0).all(0)
    if black.all():
        return len(black), 0, 0, 0
    rows, cols = np.flatnonzero(~black.all(1)), np.flatnonzero(~black.all(0))
    (above, last), (left, rightmost) = rows[[0, -1]], cols[[0, -1]]
    height, width = black.shape
    return int(above), int(height - 1 - last), int(left), int(width - 1 - rightmost)


def _sides(bars: tuple[int, int, int, int]) -> str:
    named = zip(("above", "below", "left", "right"), bars, strict=True)
    return ", ".join(f"{side} {width}" for side, width in named if width)


# ------------------------------------------------------------- the series


def _series(
    tile: Tile, wish: Wish, grid: GeoBox, bands: tuple[str, ...], after: list[Fault]
) -> tuple[Series, list[Fault]]:
    """The series, and what was decided on the way to it."""
    held = _needed(tile, wish, bands)
    frames, notes = _frames(tile, wish, grid, held)
    if not frames:
        why = "; ".join(note.said for note in notes) or "there is none"
        raise InputError(f"no revisit of {tile.name} can be used ({why}); leave the tile out")
    images = np.stack([frame.image for frame in frames])
    clear = np.stack([frame.clear for frame in frames])
    if told := _without_mask(frames):
        unmasked = [not frame.masked for frame in frames]
        clear[unmasked] &= clear_sky(images, held)[unmasked]
    if not clear.any():
        raise InputError(
            f"{tile.name} shows no clear ground on any of {len(frames)} dates; leave it out"
        )
    notes = [Fault("", f"{wish.level} was warped once to {PIXEL:g} m (cubic)"), *notes, *told]
    series = Series(
        images=_chosen(images, held, bands),
        clear=clear,
        dates=tuple(frame.day for frame in frames),
        bands=bands,
        grid=grid,
        sources=tuple(str(frame.revisit.path) for frame in frames),
        history=tuple(note.said for note in (*notes, *after)),
    )
    return series, notes


def _without_mask(frames: Sequence[_Frame]) -> list[Fault]:
    which = [str(frame.revisit.number) for frame in frames if not frame.masked]
    told = f"clear sky by the spectral rule where CLM is missing: revisits {', '.join(which)}"
    return [Fault("missing mask", told)] if which else []


def _needed(tile: Tile, wish: Wish, bands: tuple[str, ...]) -> tuple[str, ...]:
    """The bands to read: those of the reference, and all where clouds must be found by them."""
    masked = all(each.beside(CLOUD_MASK).is_file() for each in tile.revisits)
    return _sources_of(bands) if masked else LEVELS[wish.level]


def _sources_of(bands: tuple[str, ...]) -> tuple[str, ...]:
    return PAN_OF if bands == ("PAN",) else bands


def _chosen(images: Floats, held: tuple[str, ...], bands: tuple[str, ...]) -> Floats:
    chosen = images[:, [held.index(band) for band in _sources_of(bands)]]
    return chosen if bands != ("PAN",) else np.asarray(chosen.mean(1, keepdims=True), np.float32)


def _frames(
    tile: Tile, wish: Wish, grid: GeoBox, held: tuple[str, ...]
) -> tuple[list[_Frame], list[Fault]]:
    """The best revisits that can be used, one a day, in order of time; and what was decided."""
    kept: dict[date, _Frame] = {}
    notes: list[Fault] = []
    for revisit in tile.revisits:
        if len(kept) == wish.most_images:
            break
        own, _ = read_own_days(revisit.beside(".metadata"))
        day = revisit.day or own
        name = f"revisit {revisit.number} of {day}"
        if day is None:
            said = f"left out revisit {revisit.number}, of which no day is known"
            notes.append(Fault("missing date", said))
        elif day in kept:
            better = kept[day].revisit.number
            said = f"left out {name}, a day of which revisit {better} ranks higher"
            notes.append(Fault("duplicate revisit", said))
        elif isinstance(got := _frame(_read(revisit, wish, held, tile.bounds), grid), Fault):
            notes.append(Fault(got.check, f"left out {name}, {got.said}"))
        else:
            kept[day] = _Frame(revisit, day, *got)
            if own not in (day, None):
                said = f"{name} by metadata.csv is of {own} by its own file; the former was kept"
                notes.append(Fault("dates disagree", said))
    return [kept[day] for day in sorted(kept)], notes


def _frame(raw: _Raw, grid: GeoBox) -> tuple[Floats, Booleans, bool] | Fault:
    """Image, where it is clear and whether a mask said so, on the series' grid; or why not."""
    if is_constant(raw.image):
        return Fault("constant revisit", "all of whose pixels are equal")
    good = raw.seen if raw.clear is None else raw.seen & raw.clear
    scale = scale_between(raw.grid, grid)
    image, known, clear = onto(grid, raw.image, raw.seen, good, raw.grid, scale)
    if not known.any():
        return Fault("empty revisit", "which shows nothing of the tile")
    return image, clear, raw.clear is not None


def is_constant(image: Floats) -> bool:
    """Whether every band of an image [C, H, W] has one value all over, as broken revisits do."""
    return bool((image == image[:, :1, :1]).all())


def _read(revisit: Revisit, wish: Wish, held: tuple[str, ...], bounds: Bounds) -> _Raw:
    bands = LEVELS[wish.level]
    with opened_raster(revisit.path) as file:
        if file.count != len(bands):
            raise InputError(
                f"{revisit.path.name} has {file.count} bands; wanted {', '.join(bands)}"
            )
        if not np.issubdtype(np.dtype(file.dtypes[0]), np.floating):
            raise InputError(
                f"{revisit.path.name} holds {file.dtypes[0]}; wanted reflectance as floats"
            )
        values, grid = file.read([bands.index(band) + 1 for band in held]), place_of(file, bounds)
    seen = np.isfinite(values).all(0) & (values != 0).any(0)
    valid = _mask(revisit.beside(DATA_MASK), 1, grid, bounds)
    clear = _mask(revisit.beside(CLOUD_MASK), 0, grid, bounds)
    image = np.where(seen, values, 0).astype(np.float32)
    return _Raw(image, seen if valid is None else seen & valid, clear, grid)


def _mask(path: Path, good: int, grid: GeoBox, bounds: Bounds) -> Booleans | None:
    """Where a mask has this value, on the grid of its image; None where there is no mask."""
    if not path.is_file():
        return None
    with opened_raster(path) as file:
        layer, place = (file.read(1) == good).astype(np.uint8), place_of(file, bounds)
    return (layer if place == grid else nearest(layer, place, grid)).astype(bool)
