"""The blocks of a scene on many processes or machines, by Dask.

Blocks do not depend on each other, and each appears whole in the journal or not at all, so that a
worker that is lost loses nothing: its block is made again by another. Workers read the images and
write the journal themselves; both must lie where every worker finds them by the same name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sitsr.inference.scene import Job, bounded, lacking, make_block, read_block, tiles_of
from sitsr.model import Model, fingerprint, open_model
from sitsr.series import InputError
from sitsr.tiles import Tile

if TYPE_CHECKING:
    from distributed import Client

TRIES = 3
"""Times that a block is begun before the run gives up on it."""
WAIT = 20
"""Seconds in which a scheduler must answer."""
at_work = Lock()
"""Held by the thread of a process that computes, while others read."""


def make_blocks_by_workers(
    job: Job,
    model: Model,
    blocks: Sequence[Tile],
    journal: Path,
    told: Callable[[int], None],
    workers: int = 1,
    scheduler: str | None = None,
) -> None:
    """Make those blocks that are not there yet.

    told       called with the number of tiles done since
    workers    processes on this machine
    scheduler  address of a Dask scheduler, in place of a cluster of this machine's own
    """
    from distributed import as_completed

    tiles = {
        core: tiles_of(job, model, core) * len(targets)
        for core in blocks
        if (targets := lacking(job, core, journal))
    }
    with _client(workers, scheduler) as client:
        # A task, not scattered data: Dask keeps one copy of either, and only a task is made again
        # when the worker that holds it is lost.
        shared = client.submit(_itself, job, pure=False)
        futures = {
            client.submit(_make, shared, core, journal.resolve(), pure=False, retries=TRIES): core
            for core in tiles
        }
        try:
            for future in as_completed(list(futures)):
                future.result()
                told(tiles[futures[future]])
        finally:
            client.cancel(list(futures))


def _itself(job: Job) -> Job:
    """The job as a task of its own, which travels once a worker and not once a block."""
    return job


def _make(job: Job, core: Tile, journal: Path) -> None:
    """One block, on a worker: while one thread computes, another reads."""
    model = model_of(job)
    with bounded():
        series = read_block(job, model, core)
        with at_work:
            make_block(job, model, core, series, journal)


def model_of(job: Job) -> Model:
    """The model of a job, opened once a process, and anew if its file has become another."""
    there = job.weights.is_file()  # else opening it says what is wrong
    return _opened(job.weights, job.device, fingerprint(job.weights) if there else "")


@lru_cache(1)
def _opened(weights: Path, device: str, content: str) -> Model:
    return open_model(weights, device)


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)  # it sets itself to talk when imported
    if scheduler is None:
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=2, processes=True, dashboard_address=":0"
        )
        with cluster, Client(cluster) as client:
            yield client
        return
    if not re.fullmatch(r"[a-z]+://.+:\d+", scheduler):
        raise InputError(f"scheduler is {scheduler}; give its address, such as tcp://host:8786")
    try:
        client = Client(scheduler, timeout=WAIT)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler} within {WAIT} seconds; start one, or check "
            "the address"
        ) from error
    with client:
        yield client
