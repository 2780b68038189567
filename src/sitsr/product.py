"""What users hold: super-resolve a series and keep the result, or a scene of any size.

series = sitsr.open_series("SERIES")
result = sitsr.super_resolve(series, date="2021-07-18", samples=8)
result.save("result/")

scene = sitsr.open_scene("SERIES")
sitsr.produce(scene, "result/", ["2021-07-18", "2021-08-01"], workers=4)

cube = sitsr.super_resolve(dataset, ["2021-07-18", "2021-08-01"])  # lazy, as large as you like
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date
from datetime import datetime
from functools import partial
from os import PathLike
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from sitsr.series import InputError, Series, SuperResolved
from sitsr.tiles import Tile

if TYPE_CHECKING:
    import xarray as xr

    from sitsr.inference import Form, Job, Settings, Stage
    from sitsr.scenes import Scene

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all)."""
Day = Date | str | np.datetime64
"""A day as callers give it; as text, YYYY-MM-DD."""


@dataclass(frozen=True, eq=False)
class Result:
    """A super-resolved image together with the series it was made from."""

    series: Series
    estimate: SuperResolved

    def save(self, folder: str | PathLike[str], progress: Progress | None = None) -> Path:
        """Write GeoTIFFs, preview, STAC item and report as this folder; give the folder back.

        The folder appears whole or not at all. A former result there is replaced; a folder that
        holds anything else is refused. What is in it: ``sitsr.scenes.write``.
        """
        from sitsr.report import write_pages
        from sitsr.scenes.write import about, aside, assemble, write_block

        place, told = Path(folder), about(self.estimate, self.series)
        with aside(place) as product:
            block = product / ".block"  # the one block of a scene that is in memory
            show = partial(write_pages, self.estimate, self.series, None)
            write_block(self.estimate, block, show=show)
            all_of_it = Tile(0, 0, *self.series.clear.shape[1:])
            assemble(told, [(all_of_it, block)], product, place, progress)
            rmtree(block)
        return place

    def to_xarray(self) -> xr.Dataset:
        """The estimate as a Dataset on one grid, that of the fine pixels.

        sr            (band, y, x)          reflectance; NaN where never seen
        spread        (band, y, x)          standard deviation of the expected error, reflectance
        samples       (sample, band, y, x)  reflectance, where samples were asked for
        clear_count   (y, x)                number of dates on which the ground was seen
        nearest_days  (y, x)                days from the target to the nearest of them; NaN if none
        support       (y, x)                class of support: number in sitsr.series.SUPPORT

        The last three are known for the input's pixels and repeated for the fine ones within, so
        that they can be used with `where` at once. `spatial_ref` holds the CRS, `time` the target
        date, the attribute `provenance` how all was made, as JSON.
        """
        from sitsr.scenes.write.cube import dataset, variables_of

        made = self.estimate
        return dataset(variables_of(made), made.grid, made.bands, made.target, made.provenance)


@overload
def super_resolve(
    series: Series | str | PathLike[str],
    date: Day,
    *,
    samples: int = 4,
    steps: int | None = None,
    seed: int = 0,
    tile: int | None = None,
    psf: float | Sequence[float] | None = None,
    device: str = "auto",
    weights: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Result: ...


@overload
def super_resolve(
    series: xr.Dataset | xr.DataArray,
    date: Day | Iterable[Day],
    *,
    samples: int = 4,
    steps: int | None = None,
    seed: int = 0,
    tile: int | None = None,
    psf: float | Sequence[float] | None = None,
    device: str = "auto",
    weights: str | PathLike[str] | None = None,
    block: int | None = None,
) -> xr.Dataset: ...


def super_resolve(  # noqa: PLR0913  (all but two are named by the caller)
    series: Series | str | PathLike[str] | xr.Dataset | xr.DataArray,
    date: Day | Iterable[Day],
    *,
    samples: int = 4,
    steps: int | None = None,
    seed: int = 0,
    tile: int | None = None,
    psf: float | Sequence[float] | None = None,
    device: str = "auto",
    weights: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    block: int | None = None,
) -> Result | xr.Dataset:
    """The ground at a date, finer than it was seen. A cube in, a cube out.

    A series in memory, or a path, gives a ``Result``. A cube (Dataset or DataArray) gives a lazy
    Dataset along time, of the variables of ``Result.to_xarray``: a few windows are looked at now,
    the rest is read and made when it is computed, block by block. It can be of any size.

    series    or a path, or a cube, that ``sitsr.open_series`` can open
    date      the day asked for, as "YYYY-MM-DD" or a date; it need not be one of the series. For a
              cube it may be several, which come out in order of time, each once
    samples   images to draw besides the best estimate, each as likely as the others
    steps     evaluations of the network for each sample; None is what the weights were made for
    seed      the same seed gives the same samples
    tile      side of the parts worked on at once, input pixels: changes memory and time, never the
              result; None is the usual size
    psf       the sensor's point-spread function, standard deviation in pixels of the series, one
              number or one a band; None is Sentinel-2's, as the weights were made for. Smaller
              sharpens less
    device    "auto", "cpu", "cuda" …
    weights   a file of weights; None is the one that comes with the package
    progress  called with (tiles done, tiles in all); not for a cube
    block     for a cube only: side of its chunks before they are enlarged, input pixels: changes
              memory and time, never the result; None is the usual size
    """
    several = days(date)
    settings = settings_of(samples, steps, seed, tile, psf)
    if not isinstance(series, Series | str | PathLike):
        if progress is not None:
            raise InputError("progress was given with a cube, which is lazy; use that of Dask")
        return _lazily(series, several, settings, weights, device, block)
    if block is not None:
        raise InputError("block was given, but is for cubes; leave it out, or hand in a Dataset")
    if len(several) != 1:
        raise InputError(
            f"got {len(several)} dates for a series in memory; give one, hand in a Dataset, or use "
            "sitsr.produce"
        )
    return _at_once(series, several[0], settings, weights, device, progress)


def _at_once(
    series: Series | str | PathLike[str],
    target: Date,
    settings: Settings,
    weights: str | PathLike[str] | None,
    device: str,
    progress: Progress | None,
) -> Result:
    from sitsr import inference, scenes
    from sitsr.model import bundled_weights, fingerprint, open_model

    if not isinstance(series, Series):
        series = scenes.open_series(series)
    path = Path(weights) if weights is not None else bundled_weights()
    model = open_model(path, device)
    warn_if_far(series.dates, target)
    estimate = inference.super_resolve(series, target, model, settings, progress)
    told = {"weights": path.name, "weights_sha256": fingerprint(path)}
    return Result(series, replace(estimate, provenance={**estimate.provenance, **told}))


def _lazily(
    cube: xr.Dataset | xr.DataArray,
    dates: Sequence[Date],
    settings: Settings,
    weights: str | PathLike[str] | None,
    device: str,
    block: int | None,
) -> xr.Dataset:
    from sitsr.inference.lazily import lazily, refuse_held
    from sitsr.model import open_model
    from sitsr.scenes import Selection, open_scene
    from sitsr.scenes.sources.cubes import CubePixels

    bands = open_model(Path(weights) if weights is not None else None, device).card.bands
    scene = open_scene(cube, wanted=Selection(bands=bands))  # which says what is no cube
    refuse_held(cube)
    alone = replace(scene, pixels=CubePixels(cube, scheduler="synchronous"))
    job = make_job(alone, dates, settings=settings, weights=weights, device=device, block=block)
    return lazily(replace(job, show=None))


def produce(  # noqa: PLR0913  (all but three are named by the caller)
    scene: Scene,
    folder: str | PathLike[str],
    dates: Day | Iterable[Day],
    *,
    samples: int = 4,
    steps: int | None = None,
    seed: int = 0,
    tile: int | None = None,
    psf: float | Sequence[float] | None = None,
    device: str = "auto",
    weights: str | PathLike[str] | None = None,
    block: int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    format: Form = "cog",
    progress: Stage | None = None,
) -> Path:
    """The same for a scene of any size and one or many dates, straight to files, block by block.

    scene      what ``sitsr.open_scene`` gives
    folder     for the product (``sitsr.scenes.write``); a former one is replaced when this one is
               whole. An interrupted run leaves FOLDER.unfinished; the same call goes on with it
    dates      one or several; several give a folder for each
    block      side of the parts that are read, made and written at once, input pixels: changes
               memory and time, never the result
    workers    processes that make blocks, by Dask
    scheduler  address of a Dask scheduler, "tcp://…", in place of processes of this machine's own
    format     "cog", or "zarr" for one cube
    progress   called with (what is done, parts done, parts in all)

    For the others see ``super_resolve``.
    """
    from sitsr import inference

    job = make_job(
        scene,
        dates,
        settings=settings_of(samples, steps, seed, tile, psf),
        weights=weights,
        device=device,
        block=block,
    )
    return inference.produce(
        job, Path(folder), inference.Means(workers, scheduler), format, progress
    )


def make_job(
    scene: Scene,
    dates: Day | Iterable[Day],
    *,
    settings: Settings,
    weights: str | PathLike[str] | None = None,
    device: str = "auto",
    block: int | None = None,
) -> Job:
    """What there is to do for a scene; warns of target dates far from every acquisition."""
    from sitsr.inference import BLOCK, Job
    from sitsr.model import bundled_weights
    from sitsr.report import write_pages

    targets = days(dates)
    for target in targets:
        warn_if_far(scene.dates, target)
    path = Path(weights) if weights is not None else bundled_weights()
    side = BLOCK if block is None else block
    return Job(scene, targets, settings, path.resolve(), device, side, write_pages)


def warn_if_far(dates: Sequence[Date], target: Date) -> None:
    """Say so if a target date is so far from every acquisition that the estimate is a guess."""
    from sitsr.inference import how_served, is_far

    if is_far(dates, target):
        served = how_served(dates, target)
        log.warning("%s is far from what was observed: %s; take it as a guess", target, served)


def settings_of(
    samples: int,
    steps: int | None,
    seed: int,
    tile: int | None,
    psf: float | Sequence[float] | None,
) -> Settings:
    """Settings of what a caller said; None is what is usual."""
    from sitsr.inference import Settings

    usual = Settings()
    return replace(
        usual,
        samples=samples,
        seed=seed,
        steps=steps,
        tile=usual.tile if tile is None else tile,
        psf=(psf,) if isinstance(psf, int | float) else None if psf is None else tuple(psf),
    )


def days(dates: Day | Iterable[Day]) -> tuple[Date, ...]:
    """The days that were meant, in order, each once."""
    given: Any = dates
    if hasattr(given, "__array__"):  # numpy's, pandas', xarray's
        given = np.ravel(given)
    many = isinstance(given, Iterable) and not isinstance(given, str)
    return tuple(sorted({day(each) for each in (given if many else [given])}))


def day(date: Day) -> Date:
    """The day that was meant."""
    if isinstance(date, datetime):
        return date.date()
    if isinstance(date, Date):
        return date
    try:
        return Date.fromisoformat(
            str(date.astype("datetime64[D]")) if isinstance(date, np.datetime64) else date
        )
    except (ValueError, TypeError):
        raise InputError(
            f"{date!r} is not a date; write it as YYYY-MM-DD, such as 2021-07-18"
        ) from None
