"""Super-resolve a scene: cut → encode → draw → mend → join.

Every tile is read with a halo as wide as the model's reach, run, and only its core kept, so the
answer does not depend on how the scene was cut; noise belongs to the ground for the same reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from math import floor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sitsr.encoders import enlarged
from sitsr.model import Model
from sitsr.series import NEVER, Floats, InputError, Integers, Series, SuperResolved, phase_of_year
from sitsr.tiles import Tile, noise_under, plan

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""(tiles done, tiles in all)"""

FAR_DAYS = 60
"""A target date further than this from every acquisition is extrapolated with a warning."""


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
    began = time.monotonic()
    if settings.psf is not None:
        model = model.seeing(settings.psf)
    series = series.select(model.card.bands)
    rows, cols = series.clear.shape[1:]
    core = core or Tile(0, 0, rows, cols)
    served = how_served(series, target)
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
    count, nearest = _seen(inner, target)
    provenance = {
        "software": "sitsr",
        "version": _version(),
        "model": model.card.name,
        **asdict(settings),
        "inputs": [Path(name).name for each in series.sources for name in each.split(", ")],
        "served": served,
        "history": list(series.history),
        "seconds": round(time.monotonic() - began, 2),
    }
    grid = inner.grid.zoom_out(1 / scale)
    return SuperResolved(
        mean, spread, samples, count, nearest, target, series.bands, grid, scale, provenance
    )


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


def how_served(series: Series, target: date) -> str:
    """How the target date was served, in words; warns when it is far from every acquisition."""
    days = series.days_from(target)
    nearest = int(days[np.argmin(np.abs(days))])
    if nearest == 0:
        share = float(series.clear[int(np.argmin(np.abs(days)))].mean())
        return (
            f"acquired on this day, {share:.0%} of the area clear; other dates fill and sharpen it"
        )
    side = "after" if nearest > 0 else "before"
    where = f"the nearest acquisition is {abs(nearest)} days {side}"
    if (days > 0).any() and (days < 0).any():
        text = f"between acquisitions: {where}"
    else:
        text = f"{'before the first' if nearest > 0 else 'after the last'} acquisition: {where}"
    if abs(nearest) > FAR_DAYS:
        log.warning("%s is far from what was observed: %s; take it as a guess", target, where)
    return text


def _seen(series: Series, target: date) -> tuple[Integers, Integers]:
    """Number of clear dates [H, W], and signed days of the nearest."""
    count = series.clear.sum(0).astype(np.int16)
    days = series.days_from(target)
    away = np.where(series.clear, np.abs(days)[:, None, None], np.inf)
    nearest = days[away.argmin(0)]
    return count, np.where(count > 0, nearest, NEVER).astype(np.int16)


def _version() -> str:
    try:
        return version("sitsr")
    except PackageNotFoundError:
        return "uninstalled"
