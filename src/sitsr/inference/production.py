"""A scene to a product on disk: make the blocks that lack, join them, put the product in place.

Killed at any moment and run again, it goes on where it was, and the product is the same byte for
byte as without: nothing in it tells when, where, in how many parts or by how many it was made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Literal

import rasterio

from sitsr.inference.journal import finish, is_whole, journal_of, opened, place_of, product_in
from sitsr.inference.scene import Job, about_job, blocks_of, lacking, make_blocks, tiles_of
from sitsr.inference.workers import make_blocks_by_workers
from sitsr.model import Model, open_model
from sitsr.scenes.write import (
    CUBE,
    assemble,
    assemble_in_cube,
    check_free,
    notes_of,
    write_collection,
)
from sitsr.series import InputError
from sitsr.tiles import Tile

log = logging.getLogger(__name__)

Form = Literal["cog", "zarr"]
Stage = Callable[[str, int, int], None]
"""Called with (what is done, parts done, parts in all)."""


@dataclass(frozen=True, slots=True)
class Means:
    """How a job is done: what changes time and memory, and not the result."""

    workers: int = 1
    """Processes on this machine; 1 is this one."""
    scheduler: str | None = None
    """Address of a Dask scheduler, in place of processes of this machine's own."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers must be 1 or more, got {self.workers}")


def produce(
    job: Job, out: Path, means: Means | None = None, form: Form = "cog", stage: Stage | None = None
) -> Path:
    """Make the product of a job as this folder, or go on making it; give the folder back.

    A former product there is replaced when the new one is whole; a folder that holds anything
    else is refused.
    """
    if form not in ("cog", "zarr"):
        raise InputError(f"format is {form}; give cog or zarr")
    check_free(out)
    means, tell = means or Means(), stage or (lambda what, done, total: None)
    model = open_model(job.weights, job.device)
    journal = journal_of(out)
    with opened(journal, job.identity | {"format": form}):
        if not is_whole(journal):
            blocks = blocks_of(job, model)
            _make(job, model, blocks, journal, means, tell)
            _check_seen(job, blocks, journal)
            _join(job, model, blocks, out, form, tell)
        finish(journal, out)
    return out


def _make(
    job: Job, model: Model, blocks: list[Tile], journal: Path, means: Means, tell: Stage
) -> None:
    tiles = {core: tiles_of(job, model, core) for core in blocks}
    total = sum(tiles[core] * len(lacking(job, core, journal)) for core in blocks)
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        tell("Super-resolving", done, total)

    tell("Super-resolving", 0, total)
    if means.scheduler or means.workers > 1:
        make_blocks_by_workers(job, model, blocks, journal, told, means.workers, means.scheduler)
    else:
        make_blocks(job, model, blocks, journal, told)


def _check_seen(job: Job, blocks: list[Tile], journal: Path) -> None:
    """Refuse a scene without a clear pixel."""
    for core in blocks:
        path = place_of(journal, job.targets[0], core) / "clear_count.tif"
        if not path.exists():  # it is in the product already, which had something to show
            return
        with rasterio.open(path) as file:
            if file.read(1).any():
                return
    rmtree(journal / "blocks")  # to go on with them would end here again
    raise InputError(
        f"there is no clear pixel on any of {len(job.scene.dates)} dates; give more dates, or "
        "other cloud classes if the ground can be seen"
    )


def _join(job: Job, model: Model, cores: list[Tile], out: Path, form: Form, tell: Stage) -> None:
    """Put together what the journal holds, date by date."""
    journal, count = journal_of(out), len(job.targets)
    product = product_in(journal)
    blocks = [[(core, place_of(journal, target, core)) for core in cores] for target in job.targets]
    abouts = [
        about_job(job, model, target, notes_of(each))
        for target, each in zip(job.targets, blocks, strict=True)
    ]
    for note in notes_of([each for of_date in blocks for each in of_date]):
        log.warning(note)
    names = [f"{target}" if count > 1 else "." for target in job.targets]
    for number, (name, about, each) in enumerate(zip(names, abouts, blocks, strict=True)):
        folder, home = product / name, out / name

        def told(done: int, total: int, before: int = number) -> None:
            tell("Writing", before * total + done, count * total)

        if form == "zarr":
            told(0, 1)
            assemble_in_cube(abouts, number, each, product / CUBE, folder, home)
            told(1, 1)
        else:
            assemble(about, each, folder, home, told, spend=True)
    if count > 1:
        write_collection(product, abouts, [f"./{name}/item.json" for name in names])
