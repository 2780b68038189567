"""A scene as a lazy cube: nothing of it is made before it is asked for, and then block by block.

A chunk of the cube is a block of the scene. One task makes a block: it reads the series under it
once, and estimates it at all target dates. From what it gives, small tasks pick the chunks of every
variable. Where nothing is wanted, outside an area, nothing is read or estimated.
"""

from __future__ import annotations

import sys
from secrets import token_hex
from threading import BoundedSemaphore
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from sitsr.inference.estimate import how_served
from sitsr.inference.scene import (
    Job,
    all_blocks_of,
    estimate_block,
    is_wanted,
    provenance_of,
    read_block,
)
from sitsr.inference.workers import at_work, model_of
from sitsr.model import Model, fingerprint
from sitsr.scenes.write.cube import AXES, UNSEEN, dataset, variables_of
from sitsr.series import InputError
from sitsr.tiles import Tile

Planes = dict[str, np.ndarray[Any, Any]]
"""The variables of a block at one date."""

_two_at_a_time = BoundedSemaphore(2)
"""Blocks of a process, as in ``scene``: one that is worked on, and the next, which is being read.
Dask has a thread for each processor, and each would hold a series."""


def lazily(job: Job) -> xr.Dataset:
    """All that a job makes, along time, backed by Dask; variables as in ``scenes.write.cube``.

    The file of the weights must stay as it is until all is computed (else InputError then).
    """
    model = model_of(job)
    scale, bands = model.card.scale, model.card.bands
    samples = job.settings.suited(model).samples
    made, rows, cols = _blocks(job, model)
    times, members = (da.arange(count, chunks=1) for count in (len(job.targets), samples))

    def variable(name: str) -> da.Array:
        axes, kind = ("time", *AXES[name]), UNSEEN[name].dtype
        of_member = (members, ("sample",)) if "sample" in axes else ()
        array: da.Array = da.blockwise(
            _picked,
            axes,
            *(made, ("y", "x"), times, ("time",), *of_member),
            variable=name,
            new_axes={"band": len(bands)} if "band" in axes else None,
            adjust_chunks={"y": _finer(rows, scale), "x": _finer(cols, scale)},
            align_arrays=False,
            dtype=kind,
            meta=np.empty((0,) * len(axes), kind),
        )
        return array

    values = {name: variable(name) for name in AXES if samples or name != "samples"}
    fine = job.scene.plan.grid.zoom_out(1 / scale)
    return dataset(values, fine, bands, job.targets, _provenance(job, model))


def refuse_held(cube: xr.Dataset | xr.DataArray) -> None:
    """Refuse a cube whose pixels lie with workers of Dask, where another task cannot look."""
    graph: Any = cube.__dask_graph__()  # type: ignore[no-untyped-call]
    if "distributed" not in sys.modules or graph is None:
        return
    from distributed import Future

    layers = graph.layers.values() if isinstance(graph, HighLevelGraph) else []
    for layer in layers:
        if isinstance(layer, MaterializedLayer) and any(
            isinstance(value, Future) for value in layer.values()
        ):
            raise InputError(
                "the cube was persisted on workers of Dask; hand it in as it was before, or loaded"
            )


def _finer(sizes: tuple[int, ...], scale: int) -> tuple[int, ...]:
    return tuple(size * scale for size in sizes)


def _blocks(job: Job, model: Model) -> tuple[da.Array, tuple[int, ...], tuple[int, ...]]:
    """Blocks as an array of one task each, with their heights and widths, pixels of the series.

    Its layer is written out: one made of functions Dask would fuse into what is picked, and then
    make a block anew for every date.
    """
    cores = all_blocks_of(job, model)
    rows = tuple(core.bottom - core.top for core in cores if core.left == 0)
    cols = tuple(core.right - core.left for core in cores if core.top == 0)
    held = delayed(job, traverse=False)  # sent to a worker once, not with every block
    name, content = f"blocks-{token_hex(8)}", fingerprint(job.weights)
    tasks: dict[Any, Any] = {
        (name, *divmod(number, len(cols))): (_made, held.key, content, core)
        for number, core in enumerate(cores)
    }
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[held])
    chunks = ((1,) * len(rows), (1,) * len(cols))
    return da.Array(graph, name, chunks, dtype=object), rows, cols


def _made(job: Job, content: str, core: Tile) -> list[Planes]:
    """A block at every target date; content is the fingerprint of the weights."""
    model = model_of(job)
    if not is_wanted(job, core):
        return [_unseen(job, model, core)] * len(job.targets)
    if fingerprint(job.weights) != content:
        raise InputError(
            f"{job.weights} has changed since the cube was asked for; call super_resolve again"
        )
    with _two_at_a_time:
        series = read_block(job, model, core)
        with at_work:
            return [
                variables_of(estimate_block(job, model, core, series, target))
                for target in job.targets
            ]


def _unseen(job: Job, model: Model, core: Tile) -> Planes:
    """A block with nothing in it, which takes no memory."""
    rows, cols = core.bottom - core.top, core.right - core.left
    scale = model.card.scale
    sizes = {
        "sample": job.settings.suited(model).samples,
        "band": len(model.card.bands),
        **{"y": rows * scale, "x": cols * scale},
    }
    return {
        name: np.broadcast_to(UNSEEN[name], tuple(sizes[axis] for axis in axes))
        for name, axes in AXES.items()
    }


def _picked(
    made: list[Planes],
    time: np.ndarray[Any, Any],
    member: np.ndarray[Any, Any] | None = None,
    *,
    variable: str,
) -> np.ndarray[Any, Any]:
    """The chunk of a variable at one date, and of one member of the samples."""
    plane = made[time.item()][variable]
    chunk = plane[None] if member is None else plane[None, member]
    return np.require(chunk, requirements="W")  # of one's own, where nothing was made


def _provenance(job: Job, model: Model) -> dict[str, Any]:
    """How all of the cube is made; of several dates, each is told how it is served."""
    told = provenance_of(job, model, job.targets[0])
    if len(job.targets) > 1:
        told["served"] = {f"{day}": how_served(job.scene.dates, day) for day in job.targets}
    return told
