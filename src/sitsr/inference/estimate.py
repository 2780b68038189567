"""Super-resolve a scene: cut → encode → draw → mend → join.

Every tile is read with a halo as wide as the model's reach, run, and only its core kept, so the
answer does not depend on how the scene was cut; noise belongs to the ground for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sitsr import __version__
from sitsr.encoders import enlarged
from sitsr.model import Model
from sitsr.series import (
    FAR_DAYS,
    NEVER,
    Booleans,
    Floats,
    InputError,
    Integers,
    Series,
    SuperResolved,
    phase_of_year,
)
from sitsr.tiles import Tile, noise_under, plan

Progress = Callable[[int, int], None]
"""(tiles done, tiles in all)"""


@dataclass(frozen=True)
class Settings:
    """How a scene is super-resolved."""

    samples: int = 4
    """Members of the ensemble."""
    steps: int | None = None
    """Calls of the network a sample; None is what the weights are made for."""
    seed: int = 0
    tile: int = 128
    """Side of a tile's core, low-resolution pixels. Changes speed and memory, not the result."""
    psf: tuple[float, ...] | None = None
    """The sensor's point-spread function, standard deviation in pixels of the series: one for each
    band, or one for all. None is the sensor that the weights are made for."""

    def __post_init__(self) -> None:
        for name, least in (("samples", 0), ("steps", 1), ("tile", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be {least} or more, got {value}")
        if self.psf is not None and not all(0.1 <= sigma <= 2 for sigma in self.psf):
            told = ", ".join(map(str, self.psf))
            raise InputError(f"psf must be from 0.1 to 2 pixels of the series, got {told}")

    def suited(self, model: Model) -> Settings:
        """The same for this model: its own steps if none are given, no samples if it draws none."""
        steps = self.steps if self.steps is not None else max(model.steps, 1)
        tile = -(-self.tile // model.stride) * model.stride
        return replace(self, steps=steps, tile=tile, samples=self.samples if model.samples else 0)


def super_resolve(
    series: Series,
    target: date,
    model: Model,
    settings: Settings | None = None,
    progress: Progress | None = None,
    core: Tile | None = None,
) -> SuperResolved:
    """The ground at the target date, card.scale times finer than the series.

    core  what of the series is wanted; all of it if not said. What lies around is looked at
    """
    settings = (settings or Settings()).suited(model)
    if settings.psf is not None:
        model = model.seeing(settings.psf)
    series = series.select(model.card.bands)
    rows, cols = series.clear.shape[1:]
    core = core or Tile(0, 0, rows, cols)
    scale, shape = model.card.scale, (core.bottom - core.top, core.right - core.left)
    fine = (len(series.bands), shape[0] * scale, shape[1] * scale)
    mean, spread = np.empty(fine, np.float32), np.empty(fine, np.float32)
    samples = np.empty((settings.samples, *fine), np.float32)
    tiles = list(plan(shape, settings.tile))
    for done, tile in enumerate(tiles, start=1):
        rows, cols = tile.window(scale)
        parts = super_resolve_tile(series, target, model, settings, tile.moved(core.top, core.left))
        mean[:, rows, cols], spread[:, rows, cols], samples[:, :, rows, cols] = parts
        if progress:
            progress(done, len(tiles))
    inner = series.crop(*core.window())
    told = provenance(model, settings, target, series.dates, series.sources)
    return SuperResolved(
        mean,
        spread,
        samples,
        *looks(inner.clear, inner.days_from(target)),
        target=target,
        bands=series.bands,
        grid=inner.grid.zoom_out(1 / scale),
        scale=scale,
        provenance=told,
    )


def provenance(
    model: Model,
    settings: Settings,
    target: date,
    dates: Sequence[date],
    sources: Sequence[str],
) -> dict[str, Any]:
    """What an estimate was made from and with, but for what does not change it."""
    asked = asdict(settings.suited(model))
    del asked["tile"]
    return {
        "software": "sitsr",
        "version": __version__,
        "model": model.card.name,
        **asked,
        "inputs": [Path(name).name for each in sources for name in each.split(", ")],
        "served": how_served(dates, target),
    }


@torch.inference_mode()
def super_resolve_tile(
    series: Series, target: date, model: Model, settings: Settings, tile: Tile
) -> tuple[Floats, Floats, Floats]:
    """A tile's core: mean, spread [C, sH, sW], samples [M, C, sH, sW]; NaN where never seen."""
    device = next(model.parameters()).device
    scale = model.card.scale
    steps = settings.steps or max(model.steps, 1)
    outer = tile.grown(model.reach(steps), series.clear.shape[1:])
    rows, cols = outer.window()
    images = torch.from_numpy(series.images[None, :, :, rows, cols]).to(device)
    clear = torch.from_numpy(series.clear[None, :, rows, cols]).to(device)
    days = torch.from_numpy(series.days_from(target)[None]).to(device)
    season = torch.tensor([phase_of_year(target)], device=device)
    estimate = model(images, clear, days, season)

    def finish(image: Tensor) -> Floats:
        return _core(image, seen, tile.within(outer, scale))

    seen = enlarged(estimate.encoding.seen, scale)
    ground_row, ground_col = ground_origin(series)

    def white(member: int, field: int) -> Tensor:
        noise = noise_under(
            (ground_row + outer.top, ground_col + outer.left),
            (outer.bottom - outer.top, outer.right - outer.left),
            len(series.bands),
            scale,
            (settings.seed, member, field) if field else (settings.seed, member),
        )
        return torch.from_numpy(noise[None]).to(device)

    members = [
        finish(model.sample(estimate, partial(white, member), steps))
        for member in range(settings.samples)
    ]
    mean = finish(estimate.mean)
    spread = _core(estimate.spread, seen, tile.within(outer, scale))
    return mean, spread, np.stack(members) if members else np.empty((0, *mean.shape), np.float32)


def _core(image: Tensor, seen: Tensor, window: tuple[slice, slice]) -> Floats:
    rows, cols = window
    kept = torch.where(seen > 0, image, torch.nan)[0, :, rows, cols]
    return np.asarray(kept.cpu().numpy())


def ground_origin(series: Series) -> tuple[int, int]:
    """Row and column of the first pixel, counted on the ground southward and eastward."""
    transform = series.grid.transform
    return floor(-transform.f / transform.a + 1e-6), floor(transform.c / transform.a + 1e-6)


def how_served(dates: Sequence[date], target: date) -> str:
    """How a target date is served by these acquisitions, in words."""
    days = [(each - target).days for each in dates]
    nearest = min(days, key=abs)
    if nearest == 0:
        return "acquired on this day; other dates fill and sharpen it"
    side = "after" if nearest > 0 else "before"
    where = f"the nearest acquisition is {abs(nearest)} days {side}"
    if min(days) < 0 < max(days):
        return f"between acquisitions: {where}"
    return f"{'before the first' if nearest > 0 else 'after the last'} acquisition: {where}"


def is_far(dates: Sequence[date], target: date) -> bool:
    """Whether a target date is so far from every acquisition that the estimate is a guess."""
    return min(abs((each - target).days) for each in dates) > FAR_DAYS


def looks(clear: Booleans, days: Floats) -> tuple[Integers, Integers, npt.NDArray[np.uint8]]:
    """What was seen of each pixel, of clear [T, H, W] and days [T]: number of clear dates, signed
    days of the nearest, and class of support, each [H, W]."""
    count = clear.sum(0).astype(np.int16)
    away = np.where(clear, np.abs(days)[:, None, None], np.inf)
    nearest = days[away.argmin(0)]
    before, after = clear[days < 0].any(0), clear[days > 0].any(0)
    support = np.select(
        [count == 0, nearest == 0, np.abs(nearest) > FAR_DAYS, before & after], [0, 1, 4, 2], 3
    )
    return count, np.where(count > 0, nearest, NEVER).astype(np.int16), support.astype(np.uint8)
