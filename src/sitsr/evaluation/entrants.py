"""Who competes: baselines, a model in its ways of answering, negative controls, oracles.

baseline   learns nothing
system     what the study is about, or what it is compared with
control    a system that was tampered with; a measure that prefers it is not to be trusted
oracle     is shown the reference, and so says how much room there is
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sitsr.baselines import (
    linear_bicubic,
    mean_bicubic,
    median_bicubic,
    nearest,
    nearest_bicubic,
    weighted_bicubic,
)
from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets import OTHER_SENSOR, Pair, Source, Task
from sitsr.evaluation.scoring import Estimate, System, deterministic
from sitsr.evaluation.study import Role
from sitsr.metrics import random_phase_texture
from sitsr.radiometry import by_area
from sitsr.series import Floats, InputError, Series

if TYPE_CHECKING:
    from sitsr.inference import Settings
    from sitsr.model import Model

STEPS = (1, 2, 4, 32)
"""Network calls a sample that are compared."""


Tamper = Callable[[Pair, int], Series]
"""(pair, seed) -> the series that a system is given in place of the pair's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """One line of the tables."""

    name: str
    role: Role
    run: Callable[[Pair, int], Estimate]
    """(pair, seed) -> estimate; only an oracle or a control looks at the reference."""
    version: str
    """What its answers depend on besides pair and seed: a hash of weights or of a file."""
    made_from: str = ""
    """What a control tampers with."""
    cost: Callable[[Task], float] | None = None
    """MFLOP an output pixel, mean and one sample; None where nobody counts."""
    enters: Callable[[Pair], bool] = lambda pair: True
    """Whether it has anything to say about a pair."""


def competitor(
    name: str, role: Role, system: System, version: str, scale: int | None = None
) -> Entrant:
    """An entrant from a system, which sees the task and never the reference.

    scale: the only one that it can give; None for all.
    """
    return Entrant(
        name,
        role,
        lambda pair, seed: system(pair.task, seed),
        version,
        enters=lambda pair: scale in (None, pair.scale),
    )


def baselines() -> list[Entrant]:
    """What learns nothing, simplest first."""
    named = {
        "bicubic": nearest_bicubic,
        "median bicubic": median_bicubic,
        "mean bicubic": mean_bicubic,
        "linear bicubic": linear_bicubic,
        "weighted bicubic": weighted_bicubic,
    }
    return [
        competitor(name, "baseline", deterministic(partial(_enlarged, image)), "1")
        for name, image in named.items()
    ]


def _enlarged(image: Callable[..., Floats], task: Task) -> Floats:
    return image(task.series, task.target, task.scale)


def model_systems(
    model: Model,
    weights: str,
    members: int,
    name: str | None = None,
    steps: Sequence[int] = STEPS,
) -> list[Entrant]:
    """A model's mean, and its samples at several numbers of steps if it draws any.

    weights: a hash of them. name: the model's own if not said.
    """
    from sitsr.inference import Settings

    name, usual = name or _name(model), Settings(samples=0)
    made = [_system(model, weights, f"{name} mean", usual)]
    for count in steps if model.samples else ():
        drawing = replace(usual, samples=members, steps=count)
        made.append(_system(model, weights, f"{name} {count} step{'s' * (count > 1)}", drawing))
    return made


def one_date(model: Model, weights: str) -> Entrant:
    """A model's mean from the image nearest to the target date alone."""
    from sitsr.inference import Settings

    return _system(model, weights, f"{_name(model)} one date", Settings(samples=0), alone=True)


def _name(model: Model) -> str:
    return model.card.name if model.card.name != "default" else "sitsr"


def _system(
    model: Model, weights: str, name: str, settings: Settings, alone: bool = False
) -> Entrant:
    from sitsr.evaluation.costs import mflop_per_pixel

    run = _one_date if alone else answer
    return Entrant(
        name,
        "system",
        lambda pair, seed: run(model, pair.task, replace(settings, seed=seed, psf=sensor(pair))),
        f"{weights} samples={settings.samples} steps={settings.steps}",
        cost=lambda task: mflop_per_pixel(
            model,
            1 if alone else len(task.series.dates),
            settings.steps if settings.samples and settings.steps else 0,
        ),
    )


def sensor(pair: Pair) -> tuple[float, ...] | None:
    """The point-spread function of a sensor that is not Sentinel-2's: a model is told of it."""
    usual = tuple(SENTINEL2_SIGMA[band] for band in pair.series.bands)
    return None if pair.sensor_sigma == usual else pair.sensor_sigma


def controls(
    honest: Entrant, sources: Sequence[Source], load: Callable[[Source], Pair]
) -> list[Entrant]:
    """Negative controls made from one honest system.

    dates shuffled         the other frames keep their images and change their days
    one frame repeated     the other frames show what the nearest one shows
    frames of another site the other frames show other ground
    random texture         its mean with texture of the right spectrum in random places
    """

    def control(name: str, tamper: Tamper) -> Entrant:
        made = tampered(honest, name, tamper)
        return replace(made, role="control", made_from=honest.name, enters=_many)

    made = [control("dates shuffled", shuffled), control("one frame repeated", repeated)]
    if len({each.site for each in sources}) > 1:
        elsewhere = partial(foreign, sources=sources, load=load)
        made.append(control("frames of another site", elsewhere))
    texture = partial(textured, honest)
    return [
        *made,
        replace(
            honest,
            name="random texture",
            role="control",
            run=texture,
            made_from=honest.name,
            enters=_fine,
        ),
    ]


def tampered(honest: Entrant, name: str, tamper: Tamper) -> Entrant:
    """The same system, given another series in place of the pair's own."""

    def run(pair: Pair, seed: int) -> Estimate:
        made = honest.run(replace(pair, series=tamper(pair, seed)), seed)
        return everywhere(made, pair)

    return replace(honest, name=name, run=run)


def oracles() -> list[Entrant]:
    """For references of another sensor: the reference itself, and made consistent with the series.

    The first tells how far the reference contradicts what was seen, the second how well a system
    can do that keeps what was seen.
    """
    return [
        Entrant("reference", "oracle", _reference, "1", enters=_real),
        Entrant("reference, consistent", "oracle", _consistent, "1", enters=_real),
    ]


def shuffled(pair: Pair, seed: int) -> Series:
    """The series with the days of all frames but the target's own in another order."""
    others = _others(pair)
    order = np.random.default_rng((seed, len(others))).permutation(len(others))
    if len(others) > 1 and (order == np.arange(len(others))).all():
        order = np.roll(order, 1)
    frames = np.arange(len(pair.series.dates))
    frames[others] = np.array(others)[order]
    return replace(pair.series, images=pair.series.images[frames], clear=pair.series.clear[frames])


def repeated(pair: Pair, seed: int) -> Series:
    """The series with every frame showing what the nearest clear date shows."""
    series = pair.series
    image = nearest(series, pair.target)
    ever = np.broadcast_to(series.clear.any(axis=0), series.clear.shape)
    return replace(
        series, images=np.broadcast_to(image, series.images.shape).copy(), clear=ever.copy()
    )


def foreign(
    pair: Pair, seed: int, *, sources: Sequence[Source], load: Callable[[Source], Pair]
) -> Series:
    """The series with all frames but the target's own taken from another site."""
    elsewhere = [each for each in sources if each.site != pair.site]
    other = load(elsewhere[seed % len(elsewhere)]).series.select(pair.series.bands)
    rows, cols = pair.series.clear.shape[1:]
    frames = np.arange(len(pair.series.dates)) % len(other.dates)
    taken = _filling(other.images[frames], rows, cols), _filling(other.clear[frames], rows, cols)
    images, clear = pair.series.images.copy(), pair.series.clear.copy()
    mixed = _others(pair)
    images[mixed], clear[mixed] = taken[0][mixed], taken[1][mixed]
    return replace(pair.series, images=images, clear=clear)


def textured(honest: Entrant, pair: Pair, seed: int) -> Estimate:
    """The honest mean with texture of the spectrum of its own error, in random places.

    One image and no samples: an ensemble of them would know how large the error is, which an
    honest one does not.
    """
    mean = honest.run(pair, seed).mean
    missing = np.where(pair.clear, pair.reference - mean, 0).astype(np.float32)
    texture = random_phase_texture(missing, np.random.default_rng((seed, 1)))
    return Estimate((mean + texture).astype(np.float32), np.empty((0, *mean.shape), np.float32))


def choose(entrants: Sequence[Entrant], wanted: str | None) -> list[Entrant]:
    """The systems named in "A,B,…" or all; baselines, controls and oracles are always in."""
    if wanted is None:
        return list(entrants)
    names = [name.strip() for name in wanted.split(",")]
    known = [each.name for each in entrants]
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"{', '.join(unknown)} is not a system; choose from {', '.join(known)}")
    return [each for each in entrants if each.role != "system" or each.name in names]


def roles(entrants: Sequence[Entrant]) -> Mapping[str, Role]:
    """The role of every entrant, by name."""
    return {each.name: each.role for each in entrants}


def version_of(path: Path) -> str:
    """Twelve digits of the SHA-256 of a file."""
    from sitsr.model import fingerprint

    return fingerprint(path)[:12]


def answer(model: Model, task: Task, settings: Settings) -> Estimate:
    """A model's mean and samples, averaged to the scale of the task where that is another."""
    from sitsr.inference import super_resolve

    made = super_resolve(task.series, task.target, model, settings)
    rows, cols = task.series.clear.shape[1:]
    shape = task.scale * rows, task.scale * cols  # a model of another scale is brought to it
    return Estimate(by_area(made.mean, shape), by_area(made.samples, shape))


def _one_date(model: Model, task: Task, settings: Settings) -> Estimate:
    """The same network given the image nearest to the target date alone."""
    near = int(np.abs(task.series.days_from(task.target)).argmin())
    made = answer(model, replace(task, series=task.series.keep([near])), settings)
    return everywhere(made, task)


def everywhere(made: Estimate, task: Task) -> Estimate:
    """The estimate with bicubic interpolation of the whole series where it says nothing.

    Ground that a shortened series does not show is judged on what can be said of it.
    """
    fallback = nearest_bicubic(task.series, task.target, task.scale)
    return Estimate(
        *(np.where(np.isnan(each), fallback, each) for each in (made.mean, made.samples))
    )


def _others(pair: Pair) -> list[int]:
    return [n for n, day in enumerate(pair.series.dates) if day != pair.target]


def _filling(frames: npt.NDArray[Any], rows: int, cols: int) -> npt.NDArray[Any]:
    """Frames [T, ..., h, w] repeated and cut to rows × cols."""
    down = np.arange(rows) % frames.shape[-2]
    across = np.arange(cols) % frames.shape[-1]
    return frames[..., down[:, None], across]


def _reference(pair: Pair, seed: int) -> Estimate:
    return Estimate(pair.reference, np.empty((0, *pair.reference.shape), np.float32))


def _consistent(pair: Pair, seed: int) -> Estimate:
    return _reference(replace(pair, reference=agreeing(pair)), seed)


def agreeing(pair: Pair, passes: int = 1) -> Floats:
    """The reference, bicubic where it is not clear, made to agree with what the sensor saw.

    Every pass leaves a tenth to a half of what was missed.
    """
    bicubic = nearest_bicubic(pair.series, pair.target, pair.scale)
    image = np.where(pair.clear, pair.reference, bicubic)
    for _ in range(passes):
        image = mended(pair, image, pair.sensor_sigma)
    return image


def mended(pair: Pair, image: Floats, sigma: Sequence[float]) -> Floats:
    """The image made to agree with what a sensor of this blur saw on the target date, if it did."""
    import torch

    from sitsr.consistency import project
    from sitsr.evaluation.alignment import observation

    seen = observation(pair)
    if seen is None:
        return image
    lr, clear = (torch.from_numpy(np.ascontiguousarray(part)) for part in seen)
    made = project(torch.from_numpy(image[None]), lr[None], clear[None, None].float(), tuple(sigma))
    return np.asarray(made[0].numpy())


def _many(pair: Pair) -> bool:
    return pair.at_sensor or len(pair.series.dates) > 1


def _fine(pair: Pair) -> bool:
    return not pair.at_sensor


def _real(pair: Pair) -> bool:
    return pair.kind in OTHER_SENSOR
