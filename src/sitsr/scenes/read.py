"""From a plan to a series: the only place that opens pixels.

Each image is read, turned into reflectance, masked, and only then put on the plan's grid.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from sitsr.clouds import clear_sky
from sitsr.scenes.covers import COVERS
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.plan import Plan
from sitsr.scenes.units import Raw, Units, settle, where_saturated, where_seen
from sitsr.scenes.warp import nearest, onto
from sitsr.series import Booleans, Floats, InputError, Series

Mask = Callable[[Floats, Sequence[str]], Booleans]
"""From reflectance [T, C, H, W] (0 where nodata) and band names to clear [T, H, W]."""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """What a frame holds."""

    values: Raw
    """[C, h, w] digital numbers, in the order of the frame's bands."""
    clear: Booleans | None
    """[h, w] where the source itself says that the ground is seen; None if it does not say."""


Load = Callable[[Frame], Pixels]
Layer = tuple[Floats, Booleans, Booleans]
"""An image [C, H, W] with its masks [H, W]: where it was seen, and where clear."""


def load_file(frame: Frame) -> Pixels:
    """The pixels of a frame's files and of the mask that comes with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        planes: dict[int, Raw] = {}
        for path, where in groupby(range(len(frame.bands)), key=lambda i: frame.paths[i]):
            chosen = list(where)
            with rasterio.open(path) as file:
                read = file.read([frame.indexes[i] for i in chosen])
            planes |= dict(zip(chosen, read, strict=True))
        values = np.stack([planes[i] for i in range(len(frame.bands))])
        return Pixels(values, _covered(frame.cover, frame) if frame.cover else None)


def _covered(cover: Cover, frame: Frame) -> Booleans:
    with rasterio.open(cover.file) as file:
        layer = file.read(cover.index)
        grid = GeoBox(layer.shape, file.transform, file.crs or frame.grid.crs)
    clear = COVERS[cover.kind](layer).astype(np.uint8)
    return nearest(clear, grid, frame.grid).astype(bool)


def read_series(
    plan: Plan,
    load: Load = load_file,
    *,
    offset: float | str = "auto",
    mask: Mask | None = None,
    skip_unreadable: bool = False,
) -> Series:
    """Carry out a plan; for offset, mask and skip_unreadable see ``open_series``."""
    frames, pixels, notes = _load_all(plan.frames, load, skip_unreadable)
    seen = [where_seen(p.values, f.nodata) for f, p in zip(frames, pixels, strict=True)]
    units, decided = settle(frames, [p.values for p in pixels], seen, offset)
    layers: dict[int, Layer] = {}
    for group in _on_one_grid(frames):
        loaded = [(pixels[i], seen[i], units[i]) for i in group]
        images = np.stack([u.reflectance(p.values, s) for p, s, u in loaded])
        clear = _clear(images, frames[group[0]].bands, loaded, mask)
        for i, image, bright in zip(group, images, clear, strict=True):
            layers[i] = onto(plan.grid, image, seen[i], bright, frames[i].grid)
    history = (*plan.history, *notes, *decided, _how_masked(pixels, mask))
    return _joined(frames, [layers[i] for i in range(len(frames))], plan.grid, history)


def _load_all(
    frames: Sequence[Frame], load: Load, skip_unreadable: bool
) -> tuple[list[Frame], list[Pixels], list[str]]:
    read, pixels, notes = [], [], []
    for frame in frames:
        try:
            pixels.append(load(frame))
            read.append(frame)
        except RasterioIOError as broken:
            name = Path(frame.source).name
            if not skip_unreadable:
                raise InputError(
                    f"{name} is broken or cut short ({broken}); get it again or remove it, or "
                    "skip what is unreadable (--skip-unreadable)"
                ) from broken
            notes.append(f"left out {name}, which is broken or cut short")
    if not read:
        raise InputError(f"none of the {len(frames)} images can be read")
    return read, pixels, notes


def _on_one_grid(frames: Sequence[Frame]) -> list[list[int]]:
    """Numbers of the frames that share a grid, grid by grid: they can be compared as they are."""
    groups: dict[GeoBox, list[int]] = {}
    for i, frame in enumerate(frames):
        groups.setdefault(frame.grid, []).append(i)
    return list(groups.values())


def _clear(
    images: Floats,
    bands: Sequence[str],
    loaded: Sequence[tuple[Pixels, Booleans, Units]],
    mask: Mask | None,
) -> Booleans:
    """[T, h, w] of images on one grid: by the mask if there is one, else by what each source
    says, else by the spectral rule."""
    stated = [p.clear for p, _, _ in loaded]
    if mask is not None:
        clear = np.array(mask(images, bands), bool)
        if clear.shape != (len(images), *images.shape[2:]):
            raise InputError(
                f"the mask gave {list(clear.shape)} for images {list(images.shape)}; "
                "it must give [T, H, W]"
            )
    elif any(told is None for told in stated):
        clear = clear_sky(images, bands)
    else:
        clear = np.ones((len(images), *images.shape[2:]), bool)
    for t, (pixels, seen, _) in enumerate(loaded):
        if mask is None and pixels.clear is not None:
            clear[t] = pixels.clear
        clear[t] &= seen & ~where_saturated(pixels.values)
    return clear


def _how_masked(pixels: Sequence[Pixels], mask: Mask | None) -> str:
    told = sum(p.clear is not None for p in pixels)
    if mask is not None:
        return "clear sky by the mask that was handed in"
    if not told:
        return "clear sky by the spectral rule"
    if told == len(pixels):
        return "clear sky as the source states it"
    return f"clear sky as the source states it for {told} images, else by the spectral rule"


def _joined(
    frames: Sequence[Frame], layers: Sequence[Layer], grid: GeoBox, history: tuple[str, ...]
) -> Series:
    """One image a date: of several, the first that is clear at a pixel, else the first that saw
    it."""
    dates, sources, images, clears = [], [], [], []
    for day, numbered in groupby(range(len(frames)), key=lambda i: frames[i].date):
        chosen = list(numbered)
        image, seen, clear = layers[chosen[0]]
        for i in chosen[1:]:
            other, saw, bright = layers[i]
            better = (bright & ~clear) | (saw & ~seen)
            image = np.where(better, other, image)
            seen, clear = seen | saw, clear | bright
        dates.append(day)
        sources.append(", ".join(frames[i].source for i in chosen))
        images.append(image)
        clears.append(clear)
    if not any(clear.any() for clear in clears):
        raise InputError(
            f"there is no clear pixel on any of {len(dates)} dates; give more dates, or a mask "
            "if the ground can be seen"
        )
    return Series(
        images=np.stack(images),
        clear=np.stack(clears),
        dates=tuple(dates),
        bands=frames[0].bands,
        grid=grid,
        sources=tuple(sources),
        history=history,
    )
