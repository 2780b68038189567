"""A scene of any size: blocks are read, estimated and written, and joined when all are there.

Memory holds two blocks at a time, one that is worked on and the next, which is being read. Blocks
are independent: they can be made in any order, by any number of workers (``workers``), and again
after an interruption (``journal``); what they hold does not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from sitsr import __version__
from sitsr.inference.estimate import Settings, provenance, super_resolve
from sitsr.inference.journal import place_of
from sitsr.model import Model, fingerprint
from sitsr.scenes import Area, Masking, Scene, read_window
from sitsr.scenes.files import cut
from sitsr.scenes.write import About, write_block
from sitsr.series import NEVER, InputError, Series, SuperResolved
from sitsr.tiles import Tile, plan

BLOCK = 512
"""Side of a block's core, pixels of the series."""
KEPT = 1 << 30
"""Bytes of decoded pixels that are kept so that what two blocks look at is read once."""


Show = Callable[[SuperResolved, Series, GeoBox, Path], None]
"""Writes pages about an estimate and its series, part of this grid, into a folder."""


@dataclass(frozen=True, eq=False)
class Job:
    """All that settles the result."""

    scene: Scene
    targets: tuple[date, ...]
    settings: Settings
    weights: Path
    device: str = "auto"
    block: int = BLOCK
    show: Show | None = None
    """What writes the pages about the block in the middle; None writes none."""

    def __post_init__(self) -> None:
        if not self.targets:
            raise InputError("no target date; give one or more")
        if self.block < 1:
            raise InputError(f"block must be 1 or more, got {self.block}")

    @property
    def identity(self) -> dict[str, Any]:
        """What another run must share to go on with this one, as JSON has it."""
        scene, settings = self.scene, asdict(self.settings)
        del settings["tile"]  # memory and time, not the result
        return {
            "images": [[f.source, f"{f.date}", *f.bands] for f in scene.frames],
            "units": [[u.quantum, u.offset] for u in scene.units],
            "grid": [
                str(scene.plan.grid.crs),
                *scene.plan.grid.transform[:6],
                *scene.plan.grid.shape,
            ],
            "area": scene.plan.area.shape.wkt if scene.plan.area else None,
            "masking": _told(scene.masking),
            "target dates": [f"{target}" for target in self.targets],
            "weights": fingerprint(self.weights),
            "block": self.block,
            "version": __version__,
            **settings,
        }


def _told(masking: Masking) -> list[Any]:
    mask: Any = masking.mask
    name = getattr(mask, "__qualname__", type(mask).__name__) if mask else None
    return [name, *masking.cloud_classes, masking.dilate, masking.trusted]


def blocks_of(job: Job, model: Model) -> list[Tile]:
    """The cores of the blocks that touch what is wanted, in an order in which little is read twice.

    Row by row, in strips as wide as the pixels under one row of blocks can be kept.
    """
    cores = [core for core in all_blocks_of(job, model) if is_wanted(job, core)]
    images = sum(2 * len(frame.bands) for frame in job.scene.frames)  # bytes a pixel
    side = _side(job, model)
    strip = max(KEPT // (images * 3 * side), side)
    return sorted(cores, key=lambda core: (core.left // strip, core.top, core.left))


def all_blocks_of(job: Job, model: Model) -> list[Tile]:
    """The cores that cover the scene, wanted or not, row by row."""
    return list(plan(_shape(job), _side(job, model)))


def is_wanted(job: Job, core: Tile) -> bool:
    """Whether a block touches what is wanted."""
    area = job.scene.plan.area
    return area is None or bool(area.inside(cut(job.scene.plan.grid, core)).any())


def _side(job: Job, model: Model) -> int:
    return -(-job.block // model.stride) * model.stride


@lru_cache(4)
def middle(job: Job, model: Model) -> Tile:
    """The core nearest to the middle of the scene: it is shown."""
    rows, cols = _shape(job)

    def away(core: Tile) -> tuple[float, int, int]:
        down, right = core.top + core.bottom - rows, core.left + core.right - cols
        return down**2 + right**2, core.top, core.left

    return min(blocks_of(job, model), key=away)


def make_blocks(
    job: Job, model: Model, blocks: Iterable[Tile], journal: Path, told: Callable[[int], None]
) -> float:
    """Make those blocks that are not there yet; gives the seconds spent waiting for pixels.

    told  called with the number of tiles done since
    """
    missing = [core for core in blocks if lacking(job, core, journal)]
    waited = 0.0
    with bounded():
        for core, series, seconds in _read_ahead(partial(read_block, job, model), missing):
            waited += seconds
            make_block(job, model, core, series, journal, told)
    return waited


def bounded() -> Any:
    """A context in which GDAL keeps no more than KEPT; else it takes a share of all memory."""
    return rasterio.Env(GDAL_CACHEMAX=KEPT)


def tiles_of(job: Job, model: Model, core: Tile) -> int:
    """How many tiles a block is worked on in."""
    shape = core.bottom - core.top, core.right - core.left
    return len(list(plan(shape, job.settings.suited(model).tile)))


def lacking(job: Job, core: Tile, journal: Path) -> list[date]:
    """The target dates for which a block is not there yet."""
    return [each for each in job.targets if not place_of(journal, each, core).exists()]


def _read_ahead(
    read: Callable[[Tile], Series], cores: Sequence[Tile]
) -> Iterator[tuple[Tile, Series, float]]:
    """Each core with its series and the seconds waited for it; the next is read meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = [reader.submit(read, core) for core in cores[:1]]
        for number, core in enumerate(cores):
            began = time.monotonic()
            series = coming.pop().result()
            coming = [reader.submit(read, core) for core in cores[number + 1 : number + 2]]
            yield core, series, time.monotonic() - began


def read_block(job: Job, model: Model, core: Tile) -> Series:
    """The series under a block and what its estimate looks at around it, dates that saw something.

    A date with nothing clear here has no say (law 2), and is not carried along, unless it is shown.
    """
    series = read_window(job.scene, around(job, model, core)).select(model.card.bands)
    if job.show and core == middle(job, model):
        return series
    seen = [t for t, clear in enumerate(series.clear) if clear.any()]
    return series.keep(seen or [0])


def around(job: Job, model: Model, core: Tile) -> Tile:
    """The core with all around that its estimate looks at."""
    steps = job.settings.suited(model).steps or 1
    return core.grown(model.reach(steps), _shape(job))


def _shape(job: Job) -> tuple[int, int]:
    rows, cols = job.scene.plan.grid.shape
    return rows, cols


def make_block(
    job: Job,
    model: Model,
    core: Tile,
    series: Series,
    journal: Path,
    told: Callable[[int], None] = lambda tiles: None,
) -> None:
    """Estimate a block at every target date and write it down."""
    notes = series.history[len(job.scene.history) :]
    for target in lacking(job, core, journal):
        estimate = estimate_block(job, model, core, series, target, told)
        show = None
        if job.show and core == middle(job, model):
            part = series.crop(*core.within(around(job, model, core)))
            show = partial(job.show, estimate, part, job.scene.plan.grid)
        write_block(estimate, place_of(journal, target, core), notes, show)


def estimate_block(
    job: Job,
    model: Model,
    core: Tile,
    series: Series,
    target: date,
    told: Callable[[int], None] = lambda tiles: None,
) -> SuperResolved:
    """A block at a target date, from what ``read_block`` gives."""
    outer = around(job, model, core)
    inner = core.moved(-outer.top, -outer.left)
    made = super_resolve(series, target, model, job.settings, lambda done, total: told(1), inner)
    made = replace(made, provenance=provenance_of(job, model, target))
    return only_within(made, job.scene.plan.area)


def about_job(job: Job, model: Model, target: date, notes: Sequence[str] = ()) -> About:
    """What the product of one target date is about.

    notes  what happened on the way
    """
    scene = job.scene
    return About(
        target=target,
        bands=model.card.bands,
        grid=scene.plan.grid,
        scale=model.card.scale,
        samples=job.settings.suited(model).samples,
        dates=scene.dates,
        sources=scene.sources,
        history=(*scene.history, *notes),
        provenance=provenance_of(job, model, target),
    )


def provenance_of(job: Job, model: Model, target: date) -> dict[str, Any]:
    """How all of the scene is made."""
    told = provenance(model, job.settings, target, job.scene.dates, job.scene.sources)
    return {**told, "weights": job.weights.name, "weights_sha256": fingerprint(job.weights)}


def only_within(made: SuperResolved, area: Area | None) -> SuperResolved:
    """The same with nothing outside an area's polygons; None, or a box, is all of it."""
    if area is None or not area.masked:
        return made
    fine, coarse = ~area.inside(made.grid), ~area.inside(made.grid.zoom_out(made.scale))
    nothing = np.float32(np.nan)
    return replace(
        made,
        mean=np.where(fine, nothing, made.mean),
        spread=np.where(fine, nothing, made.spread),
        samples=np.where(fine, nothing, made.samples),
        clear_count=np.where(coarse, np.int16(0), made.clear_count),
        nearest_days=np.where(coarse, np.int16(NEVER), made.nearest_days),
        support=np.where(coarse, np.uint8(0), made.support),
    )
