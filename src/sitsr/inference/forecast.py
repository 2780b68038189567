"""What a scene will cost, told before it is begun: by arithmetic, and one tile that is timed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from math import prod

import numpy as np
from odc.geo.geobox import GeoBox

from sitsr.inference.estimate import super_resolve
from sitsr.inference.scene import KEPT, Job, around, blocks_of
from sitsr.model import Model, open_model
from sitsr.scenes.files import under
from sitsr.series import Series
from sitsr.tiles import Tile

PROGRAM = 800 << 20
"""Bytes of a process before it has read anything: Python, torch, GDAL."""
TRIED = 64
"""Side of the tile that is timed, pixels of the series."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a job will take, at most."""

    pixels: int
    """Of the series that are wanted."""
    blocks: int
    read: int
    """Bytes of decoded pixels; what is fetched is compressed, and less."""
    written: int
    """Bytes before they are compressed; that of the journal is as much again until the end."""
    memory: int
    """Bytes at work."""
    seconds: float
    """One process; reading from far away comes on top where it is slower."""

    def __str__(self) -> str:
        return (
            f"  {self.blocks} blocks, {self.pixels / 1e6:.2f} million pixels; reads at most "
            f"{_size(self.read)}, writes at most {_size(self.written)}\n"
            f"  about {_duration(self.seconds)} in one process, and {_size(self.memory)} of memory"
        )


def forecast(job: Job) -> Forecast:
    """For a job as if nothing of it were done."""
    model = open_model(job.weights, job.device)
    settings, scale, grid = job.settings.suited(model), model.card.scale, job.scene.plan.grid
    cores = blocks_of(job, model)
    bands, dates = len(model.card.bands), len(job.scene.dates)
    pixels = sum(prod(_sides(core)) for core in cores)
    read = 0
    for frame in job.scene.frames:
        here = under(grid, frame.grid, 0)
        read += 2 * len(frame.bands) * prod(_sides(here)) if here else 0
    images = len(job.targets) * (2 + settings.samples)
    largest = max(prod(_sides(around(job, model, core))) for core in cores)
    series = largest * dates * (bands * 4 + 1)
    estimate = max(prod(_sides(core)) for core in cores) * scale**2 * bands * 4
    return Forecast(
        pixels=pixels,
        blocks=len(cores),
        read=read,
        written=images * pixels * scale**2 * bands * 2,
        memory=PROGRAM + min(KEPT, read) + 6 * series + 2 * (2 + settings.samples) * estimate,
        seconds=len(job.targets) * pixels * _seconds_a_pixel(job, model, dates),
    )


def _seconds_a_pixel(job: Job, model: Model, dates: int) -> float:
    """Measured: the second of two tiles of noise, for the first one warms up."""
    settings = replace(job.settings, tile=TRIED)
    reach = model.reach(settings.suited(model).steps or 1)
    side = TRIED + 2 * reach
    noise = np.random.default_rng(0).random((dates, len(model.card.bands), side, side))
    series = Series(
        images=(0.2 * noise).astype(np.float32),
        clear=np.ones((dates, side, side), bool),
        dates=tuple(job.targets[0] - timedelta(days=5 * t) for t in reversed(range(dates))),
        bands=model.card.bands,
        sources=("noise",) * dates,
        grid=GeoBox((side, side), job.scene.plan.grid.transform, job.scene.plan.grid.crs),
    )
    core = Tile(reach, reach, reach + TRIED, reach + TRIED)
    seconds = []
    for _ in range(2):
        began = time.monotonic()
        super_resolve(series, job.targets[0], model, settings, core=core)
        seconds.append(time.monotonic() - began)
    usual = job.settings.suited(model).tile
    overlap = ((usual + 2 * reach) / usual) ** 2 / (side / TRIED) ** 2
    return overlap * seconds[1] / TRIED**2


def _sides(tile: Tile) -> tuple[int, int]:
    return tile.bottom - tile.top, tile.right - tile.left


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
