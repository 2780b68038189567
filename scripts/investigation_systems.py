"""Who competes in the investigation: a run's mean or samples, given the series in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from sitsr.baselines import nearest_bicubic
from sitsr.datasets import Pair
from sitsr.evaluation import Estimate
from sitsr.evaluation.alignment import prepare
from sitsr.evaluation.entrants import (
    Entrant,
    Tamper,
    agreeing,
    answer,
    mended,
    model_systems,
    oracles,
    shuffled,
    tampered,
    version_of,
)
from sitsr.inference import Settings
from sitsr.model import Model, bundled_weights, open_model
from sitsr.series import Series

BLURS = (0.3, 0.35, 0.4, 0.45, 0.5)
"""Standard deviations of a sensor's point-spread function, pixels of the series."""

STEPS: Mapping[str, tuple[int, ...]] = {
    "ours": (1, 2, 4, 8),
    "EDM": (4, 8),
    "SRDiff": (50, 500),
    "flow matching": (100, 8),
}


def mean(run: str, model: Model, version: str) -> list[Entrant]:
    """The mean, as if Sentinel-2 had seen everything: a run's own blur is what is asked about."""
    settings = Settings(samples=0)
    (made,) = model_systems(model, version, 2, run, ())
    return [replace(made, name=run, run=lambda pair, seed: answer(model, pair.task, settings))]


def as_shipped() -> list[Entrant]:
    """The bundled mean, told the sensor's blur, and what a reference says of the room there is."""
    version = version_of(bundled_weights())
    made, *_ = model_systems(open_model(None, "auto"), version, 2, None, ())
    honest = replace(made, name="as shipped")
    told = partial(_told_its_amplitude, honest)
    room = [each for each in oracles() if each.name == "reference, consistent"]
    return [honest, replace(honest, name="as shipped, told its amplitude", run=told), *room]


def _told_its_amplitude(honest: Entrant, pair: Pair, seed: int) -> Estimate:
    """An oracle: what the mean adds to bicubic, times the one number that suits the reference best.

    The least error that any contrast of that detail can reach.
    """
    made = honest.run(pair, seed)
    base = nearest_bicubic(pair.series, pair.target, pair.scale)
    added, missing = made.mean - base, pair.reference - base
    known = pair.clear & np.isfinite(added).all(0)
    most = np.sum((added * missing)[:, known]) / max(np.sum(added[:, known] ** 2), 1e-12)
    return replace(made, mean=np.asarray(base + most * added, np.float32))


def harmonised(pair: Pair) -> Pair:
    """The pair registered, with a reference of the contrast of the series at 10 m."""
    made = prepare(pair).contrasted
    assert made is not None  # the reference is of another sensor
    return made


def consistent(pair: Pair) -> Pair:
    """The same with a reference that agrees with what was seen: of it, only the detail is left."""
    pair = harmonised(pair)
    return replace(pair, reference=np.where(pair.clear, agreeing(pair, 3), pair.reference))


def mean_and_placebo(run: str, model: Model, version: str) -> list[Entrant]:
    """The mean, and what it makes of the dates in another order."""
    (honest,) = mean(run, model, version)
    return [honest, tampered(honest, f"{run}, dates shuffled", shuffled)]


def on_its_own_pair(run: str, model: Model, version: str) -> list[Entrant]:
    """The mean on the pair that a run did not see; three runs make one line of the table."""
    how, _, number = run.removesuffix(" left out").rpartition(", ")
    (made,) = mean(how, model, version_of(bundled_weights()))  # what all three began with
    return [replace(made, enters=lambda pair: pair.patch == f"pair {number}")]


def samples(run: str, model: Model, version: str) -> list[Entrant]:
    """Samples in several numbers of steps, four of each."""
    return model_systems(model, version, 4, run, STEPS[run])[1:]


def fewer_frames(run: str, model: Model, version: str) -> list[Entrant]:
    """The mean given fewer frames, only near or far ones, no masks, other days."""
    (every,) = mean("all frames", model, version)
    ways: dict[str, Tamper] = {
        "nearest frame": lambda pair, seed: kept(pair, nearest_first(pair)[:1]),
        "2 nearest": lambda pair, seed: kept(pair, nearest_first(pair)[:2]),
        "4 nearest": lambda pair, seed: kept(pair, nearest_first(pair)[:4]),
        "8 nearest": lambda pair, seed: kept(pair, nearest_first(pair)[:8]),
        "4 farthest": lambda pair, seed: kept(pair, farthest(pair)),
        "no masks": lambda pair, seed: unmasked(pair),
        "dates shuffled": shuffled,
    }
    return [every, *(tampered(every, how, way) for how, way in ways.items())]


def sensors(run: str, model: Model, version: str) -> list[Entrant]:
    """The mean told that the sensor blurs by so much, and bicubic mended likewise."""
    found = []
    for sigma in BLURS:
        told = partial(_told, model, Settings(samples=0, psf=(sigma,)))
        found.append(Entrant(f"mean, σ {sigma}", "system", told, f"{version} {sigma}"))
        alone = partial(_mended, sigma)
        found.append(Entrant(f"bicubic mended, σ {sigma}", "system", alone, f"{sigma}"))
    return found


def _told(model: Model, settings: Settings, pair: Pair, seed: int) -> Estimate:
    return answer(model, pair.task, settings)


def _mended(sigma: float, pair: Pair, seed: int) -> Estimate:
    image = nearest_bicubic(pair.series, pair.target, pair.scale)
    made = mended(pair, image, (sigma,) * len(pair.series.bands))
    return Estimate(made, np.empty((0, *made.shape), np.float32))


def nearest_first(pair: Pair) -> list[int]:
    """Frames by their distance from the target date; those that show nothing are last."""
    days = np.abs(pair.series.days_from(pair.target))
    hidden = pair.series.clear.mean((1, 2)) < 0.2
    return [int(k) for k in np.lexsort((days, hidden))]


def farthest(pair: Pair) -> list[int]:
    """The four farthest of the frames that show something, and the target's own if it is there."""
    order = nearest_first(pair)
    own = [k for k in order if pair.series.dates[k] == pair.target]
    shown = [k for k in order if pair.series.clear[k].mean() >= 0.2 and k not in own]
    return own + shown[-4:]


def kept(pair: Pair, frames: Iterable[int]) -> Series:
    return pair.series.keep(sorted(frames))


def unmasked(pair: Pair) -> Series:
    return replace(pair.series, clear=np.asarray(np.isfinite(pair.series.images).all(1)))
