"""From a plan to reflectance: survey the scene once, then read any window of it.

Each image is read, turned into reflectance, masked, and only then put on the plan's grid. What a
window holds does not depend on where it was cut: what is decided of whole images (units, whether a
grid is kept) is decided by the survey, and every window is read with as much around it as its
clear sky and its resampling look at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError

from sitsr.clouds import clear_sky
from sitsr.scenes.environment import is_remote
from sitsr.scenes.files import Files, cut, under
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.masking import Masking
from sitsr.scenes.plan import Plan, crs_name
from sitsr.scenes.units import Raw, Units, settle, where_saturated, where_seen
from sitsr.scenes.warp import Scale, onto, scale_between
from sitsr.series import Booleans, Floats, InputError, Series
from sitsr.tiles import Tile

THREADS = 8
"""Images that are read at once."""
SAMPLED = 256
"""Side in pixels of the windows that a survey looks at; at most nine of them an image."""

Layer = tuple[Floats, Booleans, Booleans]
"""An image [C, H, W] with its masks [H, W]: where it was seen, and where clear."""


class Pixels(Protocol):
    """Where the pixels of frames are: files, or a cube."""

    def image(self, frame: Frame, window: Tile) -> Raw:
        """[C, h, w] digital numbers of a window of the frame's grid."""

    def layer(self, cover: Cover, frame: Frame, window: Tile) -> Raw:
        """[h, w] values of its mask there."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A plan with its units settled; ``read_window`` reads any part of it."""

    plan: Plan
    frames: tuple[Frame, ...]
    """Those of the plan that can be read."""
    units: tuple[Units, ...]
    scales: tuple[Scale | None, ...]
    """For each frame the plan's pixels per pixel of its own; None where it is not resampled."""
    masking: Masking
    pixels: Pixels
    clear: tuple[float, ...]
    """For each frame the share that is clear, of what the survey looked at."""
    history: tuple[str, ...]
    strict: bool = True
    """Whether a frame that cannot be read stops the work, or counts as not clear there."""

    def __str__(self) -> str:
        rows, cols = self.plan.grid.shape
        km2 = rows * cols * (self.plan.grid.transform.a / 1000) ** 2
        lines = [
            f"{len(self.dates)} dates, {self.dates[0]} to {self.dates[-1]}, onto {rows} x {cols} "
            f"pixels ({km2:.1f} km²) in {crs_name(self.plan.grid)}"
        ]
        for frame, clear in zip(self.frames, self.clear, strict=True):
            sky = "clear sky by the rule" if math.isnan(clear) else f"{clear:.0%} clear"
            lines.append(f"  {frame.date}  {sky:22}  {Path(frame.source).name}")
        return "\n".join([*lines, *(f"  {note}" for note in self.history)])

    @property
    def dates(self) -> tuple[date, ...]:
        """The dates of the series, each once."""
        return tuple(sorted({frame.date for frame in self.frames}))

    @property
    def sources(self) -> tuple[str, ...]:
        """For each date what it is read from; several with ", " between."""
        by_date = groupby(self.frames, key=lambda frame: frame.date)
        return tuple(", ".join(frame.source for frame in frames) for _, frames in by_date)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """One frame's pixels under a window, on its own grid."""

    frame: Frame
    grid: GeoBox
    values: Raw
    seen: Booleans
    stated: Booleans | None
    """Where its mask says that the ground is seen; None without a mask."""


def survey(
    plan: Plan,
    pixels: Pixels | None = None,
    *,
    offset: float | str = "auto",
    masking: Masking | None = None,
    skip_unreadable: bool = False,
    strict: bool = True,
) -> Scene:
    """Look at a few windows of every image and settle its units.

    skip_unreadable  leave out images that cannot be read at all, instead of refusing the scene
    strict           what is made of a window that cannot be read later: see ``Scene``

    For offset see ``open_series``.
    """
    pixels, masking = pixels or Files(), masking or Masking()
    frames, looked, notes = _look(plan, pixels, masking, skip_unreadable)
    units, decided = settle(
        frames,
        [_flat(r.values for r in reads) for reads in looked],
        [_seen(r) for r in looked],
        offset,
    )
    return Scene(
        plan=plan,
        frames=tuple(frames),
        units=tuple(units),
        scales=tuple(scale_between(frame.grid, plan.grid) for frame in frames),
        masking=masking,
        pixels=pixels,
        clear=tuple(_clear_share(reads) for reads in looked),
        history=(*plan.history, *notes, *decided, _how_masked(frames, masking)),
        strict=strict,
    )


def read_series(scene: Scene) -> Series:
    """All of a scene at once; refuses one without a clear pixel."""
    series = read_window(scene)
    if not series.clear.any():
        raise InputError(
            f"there is no clear pixel on any of {len(series.dates)} dates; give more dates, or a "
            "mask if the ground can be seen"
        )
    return series


def read_window(scene: Scene, window: Tile | None = None) -> Series:
    """The series under a window of the plan's grid [top, bottom) × [left, right), or under all.

    All dates are there, also those that saw nothing here. An image that cannot be read here stops
    the work (InputError), or is told in the history, where the scene is not strict and others can.
    """
    whole = scene.plan.grid
    grid = cut(whole, window or Tile(0, 0, *whole.shape))
    layers: dict[int, Layer] = {}
    notes: list[str] = []
    tried = 0
    for group in _on_one_grid(scene.frames):
        native = _native(scene, group, grid)
        reads = _read_all(scene, group, native, notes) if native is not None else []
        tried += len(reads)
        if not reads:
            continue
        images = np.stack(
            [
                scene.units[i].reflectance(r.values, r.seen)
                for i, r in zip(group, reads, strict=True)
            ]
        )
        clear = _clear(images, reads, scene.masking)
        for i, read, image, bright in zip(group, reads, images, clear, strict=True):
            layers[i] = onto(grid, image, read.seen, bright, read.grid, scene.scales[i])
    if notes and len(notes) == tried:  # it is not an image that is broken
        raise InputError(
            f"none of the {tried} images of a window can be read; see to the disk or the network, "
            "and try again"
        )
    return _joined(scene.frames, layers, grid, (*scene.history, *notes))


def _look(
    plan: Plan, pixels: Pixels, masking: Masking, skip_unreadable: bool
) -> tuple[list[Frame], list[list[_Read]], list[str]]:
    """Some windows of each frame, those of them that can be read."""

    def look(frame: Frame) -> list[_Read] | Exception:
        reads: list[_Read] = []
        broken: Exception | None = None
        for window in _samples(plan.grid, frame.grid):
            try:
                reads.append(_read(frame, window, pixels, masking))
            except RasterioIOError as error:
                broken = error
        return reads or broken or InputError("nothing of it lies here")

    kept, looked, notes = [], [], []
    with ThreadPoolExecutor(THREADS) as pool:
        for frame, got in zip(plan.frames, pool.map(look, plan.frames), strict=True):
            name = Path(frame.source).name
            if isinstance(got, list):
                kept.append(frame)
                looked.append(got)
            elif skip_unreadable:
                notes.append(f"left out {name}, which is broken or cut short")
            else:
                raise _broken(frame, got) from got
    if not kept:
        raise InputError(f"none of the {len(plan.frames)} images can be read")
    return kept, looked, notes


def _samples(grid: GeoBox, native: GeoBox) -> list[Tile]:
    """Windows of a native grid, spread over what lies under a grid; all of it where it is small."""
    under_it = under(grid, native, 0)
    if under_it is None:
        return []
    rows, cols = under_it.bottom - under_it.top, under_it.right - under_it.left
    if rows * cols <= 9 * SAMPLED**2:
        return [under_it]
    tops = [under_it.top + round(share * max(rows - SAMPLED, 0)) for share in (0.1, 0.5, 0.9)]
    lefts = [under_it.left + round(share * max(cols - SAMPLED, 0)) for share in (0.1, 0.5, 0.9)]
    return [
        Tile(top, left, min(top + SAMPLED, under_it.bottom), min(left + SAMPLED, under_it.right))
        for top in sorted(set(tops))
        for left in sorted(set(lefts))
    ]


def _flat(arrays: Iterable[Raw]) -> Raw:
    """[C, 1, n] of arrays [C, h, w]."""
    return np.concatenate([array.reshape(len(array), 1, -1) for array in arrays], axis=2)


def _seen(reads: Sequence[_Read]) -> Booleans:
    return np.concatenate([read.seen.reshape(1, -1) for read in reads], axis=1)


def _clear_share(reads: Sequence[_Read]) -> float:
    """Of what was looked at; NaN where there is no mask."""
    if any(read.stated is None for read in reads):
        return float("nan")
    clear = [read.seen & read.stated for read in reads if read.stated is not None]
    return float(np.concatenate([each.reshape(-1) for each in clear]).mean())


def _read(frame: Frame, window: Tile, pixels: Pixels, masking: Masking) -> _Read:
    values = pixels.image(frame, window)
    stated = None
    if frame.cover is not None and masking.trusted and masking.mask is None:
        layer = pixels.layer(frame.cover, frame, window)
        stated = masking.of_layer(frame.cover.kind, layer)
    seen = where_seen(values, frame.nodata)
    return _Read(frame, cut(frame.grid, window), values, seen, stated)


def _read_all(scene: Scene, group: Sequence[int], window: Tile, notes: list[str]) -> list[_Read]:
    """The frames of one grid under a window of it; what cannot be read saw nothing, if allowed."""

    def read(i: int) -> _Read | RasterioIOError:
        try:
            return _read(scene.frames[i], window, scene.pixels, scene.masking)
        except RasterioIOError as broken:
            return broken

    reads = []
    with ThreadPoolExecutor(THREADS) as pool:
        for i, got in zip(group, pool.map(read, group), strict=True):
            if isinstance(got, RasterioIOError):
                frame = scene.frames[i]
                if scene.strict:
                    raise _broken(frame, got) from got
                _check_there(frame)
                notes.append(f"left out a part of {Path(frame.source).name} that cannot be read")
                got = _blank(frame, window)
            reads.append(got)
    return reads


def _check_there(frame: Frame) -> None:
    """Refuse an image whose files are gone: a hole in all of it is no broken part."""
    for path in frame.paths:
        if not is_remote(path) and not path.startswith("/vsi") and not Path(path).exists():
            raise InputError(
                f"{path} is not there; put it back, or give each worker its images at the same path"
            )


def _blank(frame: Frame, window: Tile) -> _Read:
    grid = cut(frame.grid, window)
    nothing = np.zeros(grid.shape, bool)
    return _Read(
        frame, grid, np.zeros((len(frame.bands), *grid.shape), np.uint16), nothing, nothing
    )


def _broken(frame: Frame, error: Exception) -> InputError:
    return InputError(
        f"{Path(frame.source).name} is broken or cut short ({error}); get it again or remove it, "
        "or skip what is unreadable (--skip-unreadable)"
    )


def _on_one_grid(frames: Sequence[Frame]) -> list[list[int]]:
    """Numbers of the frames that share a grid, grid by grid: they can be compared as they are."""
    groups: dict[GeoBox, list[int]] = {}
    for i, frame in enumerate(frames):
        groups.setdefault(frame.grid, []).append(i)
    return list(groups.values())


def _native(scene: Scene, group: Sequence[int], grid: GeoBox) -> Tile | None:
    """What must be read of the grid that these frames share, to know them under another."""
    stated = all(scene.frames[i].cover for i in group) and scene.masking.trusted
    margin = scene.masking.reach(stated)
    scale = scene.scales[group[0]]
    if scale is not None:
        margin += 2 * math.ceil(1 / min(*scale, 1.0)) + 2  # the cubic kernel
    return under(grid, scene.frames[group[0]].grid, margin)


def _clear(images: Floats, reads: Sequence[_Read], masking: Masking) -> Booleans:
    """[T, h, w] of images on one grid: by the mask if there is one, else by what each source
    says, else by the spectral rule."""
    bands = reads[0].frame.bands
    if masking.mask is not None:
        clear = np.array(masking.mask(images, bands), bool)
        if clear.shape != (len(images), *images.shape[2:]):
            raise InputError(
                f"the mask gave {list(clear.shape)} for images {list(images.shape)}; "
                "it must give [T, H, W]"
            )
    elif any(read.stated is None for read in reads):
        clear = clear_sky(images, bands)
    else:
        clear = np.ones((len(images), *images.shape[2:]), bool)
    for t, read in enumerate(reads):
        if read.stated is not None:
            clear[t] = read.stated
        clear[t] &= read.seen & ~where_saturated(read.values)
    return masking.dilated(clear, np.stack([read.seen for read in reads]))


def _how_masked(frames: Sequence[Frame], masking: Masking) -> str:
    grown = f", grown by {masking.dilate} pixels" if masking.dilate else ""
    told = sum(frame.cover is not None for frame in frames) if masking.trusted else 0
    if masking.mask is not None:
        return f"clear sky by the mask that was handed in{grown}"
    if not told:
        return f"clear sky by the spectral rule{grown}"
    if told == len(frames):
        return f"clear sky as the source states it{grown}"
    return f"clear sky as the source states it for {told} images, else by the spectral rule{grown}"


def _joined(
    frames: Sequence[Frame], layers: Mapping[int, Layer], grid: GeoBox, history: tuple[str, ...]
) -> Series:
    """One image a date: of several, the first that is clear at a pixel, else the first that saw
    it. A frame without layer saw nothing."""
    dates, sources, images, clears = [], [], [], []
    nothing = np.zeros(grid.shape, bool)
    blank = np.zeros((len(frames[0].bands), *grid.shape), np.float32)
    for day, numbered in groupby(range(len(frames)), key=lambda i: frames[i].date):
        chosen = list(numbered)
        image, seen, clear = layers.get(chosen[0], (blank, nothing, nothing))
        for i in chosen[1:]:
            if i not in layers:
                continue
            other, saw, bright = layers[i]
            better = (bright & ~clear) | (saw & ~seen)
            image = np.where(better, other, image)
            seen, clear = seen | saw, clear | bright
        dates.append(day)
        sources.append(", ".join(frames[i].source for i in chosen))
        images.append(image)
        clears.append(clear)
    return Series(
        images=np.stack(images),
        clear=np.stack(clears),
        dates=tuple(dates),
        bands=frames[0].bands,
        grid=grid,
        sources=tuple(sources),
        history=history,
    )
