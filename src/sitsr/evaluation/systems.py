"""A model as the systems that a table compares: its mean, its samples, its answer to one date."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sitsr.evaluation.scoring import Estimate, System, baselines
from sitsr.series import InputError, Series

if TYPE_CHECKING:
    from sitsr.inference import Settings
    from sitsr.model import Model

MEMBERS = 16
STEPS = (1, 2, 4, 8, 32)


def systems_of(model: Model, seed: int = 0) -> dict[str, System]:
    """Everything `sitsr evaluate` can compare, by name; baselines first."""
    from sitsr.inference import Settings

    usual = Settings(samples=0, seed=seed)
    named: dict[str, System] = dict(baselines(model.card.scale))
    named["one date"] = partial(_one_date, model=model, settings=usual)
    named["mean"] = partial(_estimate, model=model, settings=usual)
    for steps in STEPS:
        drawing = replace(usual, samples=MEMBERS, steps=steps)
        named[f"{steps} step{'s' * (steps > 1)}"] = partial(
            _estimate, model=model, settings=drawing
        )
    return named


def choose(named: dict[str, System], wanted: str | None) -> dict[str, System]:
    """The systems named in "A,B,…", or all; baselines are always among them."""
    if wanted is None:
        return named
    names = [name.strip() for name in wanted.split(",")]
    if unknown := [name for name in names if name not in named]:
        raise InputError(f"{', '.join(unknown)} is not a system; choose from {', '.join(named)}")
    always = [name for name in named if "bicubic" in name]
    return {name: named[name] for name in named if name in (*always, *names)}


def _estimate(series: Series, target: date, model: Model, settings: Settings) -> Estimate:
    from sitsr.inference import super_resolve

    made = super_resolve(series, target, model, settings)
    return Estimate(made.mean, made.samples)


def _one_date(series: Series, target: date, model: Model, settings: Settings) -> Estimate:
    """The same network given the image nearest to the target date alone."""
    nearest = int(np.abs(series.days_from(target)).argmin())
    made = _estimate(series.keep([nearest]), target, model, settings)
    # Ground that this one date does not show is judged on what can be said of it: the nearest clear
    # dates, as the bicubic baseline says it.
    fallback = baselines(model.card.scale)["bicubic"](series, target).mean
    return Estimate(np.where(np.isnan(made.mean), fallback, made.mean), made.samples)
