"""The investigation: what do dates bring, what transfers to real pairs, which generator?

    python scripts/investigate.py DATA [--part fusion] [--runs runs/investigation]

Trains every run that is not there yet, scores what is not scored yet, and puts the tables into
docs/investigation.md. It can be stopped and gone on with. A run is a recipe and changes to it, as
`sitsr train RECIPE key=value …` takes them.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sitsr.baselines import nearest_bicubic
from sitsr.consistency import project
from sitsr.datasets import OTHER_SENSOR, Pair, Source, Task
from sitsr.evaluation import Estimate, Plan, baselines, competitor, deterministic, sources_in
from sitsr.evaluation.bench import loader, score_all
from sitsr.evaluation.entrants import (
    Entrant,
    answer,
    everywhere,
    model_systems,
    shuffled,
    version_of,
)
from sitsr.evaluation.keeping import Keeper
from sitsr.evaluation.suites import AT_SENSOR
from sitsr.inference import Settings
from sitsr.model import Card, Model, open_model
from sitsr.series import Floats
from sitsr.training import read_recipe, train

ROOT = Path(__file__).parents[1]
BLURS = (0.3, 0.35, 0.4, 0.45, 0.5)
"""Standard deviations of a sensor's point-spread function, pixels of the series."""

RECIPES = ROOT / "recipes" / "investigation"
PAGE = ROOT / "docs" / "investigation.md"
KEPT = ROOT / "docs" / "results" / "investigation"
TRANSFER = "scale transfer"

Runs = Mapping[str, tuple[str, ...]]

LTAE = ("network.encoder=ltae", "network.encoder_settings={query: target date}")

FUSION: Runs = {
    "target date": (),
    "target date, seed 2": ("seed=2",),
    "anchor alone": ("network.encoder=srresnet", "network.encoder_settings={blocks: 5}"),
    "recursive": ("network.encoder=highresnet", "network.encoder_settings={}"),
    "transformer": ("network.encoder=trmisr", "network.encoder_settings={}"),
    "ConvGRU": ("network.encoder=convgru", "network.encoder_settings={}"),
    "L-TAE, days": LTAE,
    "L-TAE, no dates": (*LTAE, "network.encoder_settings.positions=none"),
}
"""Ways of fusing dates, one small network each."""

SIMULATED: Runs = {
    "austria and NAIP": (),
    "austria": ("naip=null",),
    "NAIP": ("austria=null",),
    "NAIP, wide blur": ("austria=null", "mixture.blur=[0.7, 1.4]"),
    "σ 0.35": ("mixture.blur=[0.6, 0.8]", "network.sigma=[0.35, 0.35, 0.36, 0.36]"),
    "NAIP, σ 0.35": (
        "austria=null",
        "mixture.blur=[0.6, 0.8]",
        "network.sigma=[0.35, 0.35, 0.36, 0.36]",
    ),
    "NAIP, much noise": ("austria=null", "mixture.noise=0.01"),
    "NAIP, no projection": (
        "austria=null",
        "network.consistent=false",
        "network.deblurred=false",
    ),
    "NAIP, registered loss": ("austria=null", "losses={registered: 1.0}"),
}
"""Training data of networks that real pairs judge."""

FULL = "network.generator_settings.width=16"

SAMPLERS: Runs = {
    "ours": (
        "steps=1850",
        "network.generator=rotation",
        "network.generator_settings={width: 32, blocks: 4}",
    ),
    "EDM": (
        "steps=3500",
        "network.generator=karras",
        "network.generator_settings={width: 32, blocks: 4}",
    ),
    "SRDiff": (
        "steps=850",
        "network.generator=srdiff",
        FULL,
        "network.generator_settings.levels=500",
        "network.consistent=false",
        "learning_rate=4e-4",
    ),
    "flow matching": (
        "steps=950",
        "network.generator=transport",
        FULL,
        "network.consistent=false",
        "learning_rate=4e-4",
    ),
}
"""Generators under one encoder, each for the same time on the same machine."""

STEPS: Mapping[str, tuple[int, ...]] = {
    "ours": (1, 2, 4, 8),
    "EDM": (4, 8),
    "SRDiff": (50,),
    "flow matching": (100, 8),
}

ALSAT: Runs = {
    "ours, one date": ("method=sitsr", "steps=440"),
    "SRCNN": ("method=srcnn", "steps=2500"),
    "SRResNet": ("method=srresnet", "steps=360"),
    "RRDB": ("method=rrdb", "steps=270"),
}
"""Single-date networks on real pairs of one sensor, each for about the same time."""


@dataclass(frozen=True)
class Part:
    """One question: what is trained, who competes, on what."""

    recipe: str
    runs: Runs
    sources: Callable[[Path, Card], list[Source]]
    members: int = 2
    dates: int = 2


def validation(data: Path, card: Card, dates: int) -> list[Source]:
    return sources_in(data, "validation", card, dates)


LEFT_OUT = ("scale transfer, date held out", AT_SENSOR)


def dated(data: Path, card: Card) -> list[Source]:
    """Validation sites, and the dated series that nothing was trained on."""
    found = validation(data, card, 1)
    for site, dates in (("boadella", 1), ("flanders", 6)):
        unseen = sources_in(data, "test", card, dates)
        found += [each for each in unseen if each.site == site and each.kind in LEFT_OUT]
    return found


def real(data: Path, card: Card) -> list[Source]:
    """Real pairs, and scale transfer beside them."""
    pairs = [each for each in sources_in(data, "test", card, 1) if each.kind in OTHER_SENSOR]
    transfers = [each for each in validation(data, card, 1) if each.kind == TRANSFER]
    return pairs + transfers


def few(data: Path, card: Card) -> list[Source]:
    """One patch a validation site: chains of hundreds of calls take hours on more."""
    return [each for each in validation(data, card, 1) if each.kind == TRANSFER]


def alsat(data: Path, card: Card) -> list[Source]:
    """Every fifth pair of the test set."""
    return sources_in(data / "alsat2b", "test", card, 1)[::5]


PARTS: Mapping[str, Part] = {
    "fusion": Part("fusion.yaml", FUSION, dated),
    "simulated": Part("transfer.yaml", SIMULATED, real),
    "samplers": Part("samplers.yaml", SAMPLERS, few, members=4),
    "alsat2b": Part("alsat2b.yaml", ALSAT, alsat),
    "frames": Part("fusion.yaml", {"target date": ()}, dated),
    "sensor": Part("transfer.yaml", {"austria and NAIP": ()}, real),
}


SAME_RUNS = {"frames": "fusion", "sensor": "simulated"}
"""Parts that ask further questions of another part's runs."""


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("data", type=Path)
    asked.add_argument("--part", choices=PARTS)
    asked.add_argument("--runs", type=Path, default=Path("runs/investigation"))
    asked.add_argument("--tables", action="store_true", help="write the tables, measure nothing")
    told = asked.parse_args()
    for name in [told.part] if told.part else PARTS:
        if not told.tables:
            weights = {run: fitted(name, run, told.data, told.runs) for run in PARTS[name].runs}
            scored(name, weights, told.data)
    from investigation_tables import write

    write(PAGE, KEPT)


def fitted(part: str, run: str, data: Path, runs: Path) -> Path:
    """The weights of a run, trained if they are not there."""
    part = SAME_RUNS.get(part, part)
    folder = runs / f"{part}-{run}".replace(", ", "-").replace(" ", "-")
    weights, done = folder / "weights.safetensors", folder / "done"
    if not done.exists():
        changes = (f"name={run}".replace(",", ""), *PARTS[part].runs[run])
        if part == "samplers":
            changes += (f"start={fitted('fusion', 'target date', data, runs)}",)
        print(f"{part}: training {run}", file=sys.stderr, flush=True)
        recipe = read_recipe(RECIPES / PARTS[part].recipe, changes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            train(recipe, data, folder, "auto")
        done.touch()
    return weights


def scored(part: str, weights: Mapping[str, Path], data: Path) -> None:
    """Every run of a part, and what learns nothing, on its pairs."""
    about, told = PARTS[part], open_model(next(iter(weights.values())), "auto")
    sources = about.sources(data, told.card)
    entrants = [each for each in baselines() if each.name == "bicubic"]
    for run, path in weights.items():
        entrants += competing(part, run, path, about.members)
    if part == "frames":
        entrants = entrants[:1] + tampered_series(weights["target date"])
    if part == "sensor":
        entrants = entrants[:1] + sensors(weights["austria and NAIP"])
    plan = Plan(data=data, out=KEPT, members=about.members, dates=about.dates)
    keeper = Keeper(KEPT / f"{part}.parquet", configuration(part, weights))
    print(f"{part}: scoring", file=sys.stderr, flush=True)
    try:
        score_all(plan, sources, loader(sources), entrants, keeper, lambda done, total: None)
    finally:
        keeper.save()


def configuration(part: str, weights: Mapping[str, Path]) -> dict[str, object]:
    """What the tables say beside the numbers: how long each run took, and where."""
    from sitsr import __version__

    took = {run: open_model(path, "cpu").card.trained_on for run, path in weights.items()}
    return {"sitsr": __version__, "extra": [], "part": part, "trained": took}


def competing(part: str, run: str, path: Path, members: int) -> list[Entrant]:
    """The mean of a run, and its samples where generators are compared; with dates shuffled where
    dates are."""
    model = open_model(path, "auto")
    steps = STEPS[run] if part == "samplers" else ()
    systems = model_systems(model, version_of(path), members, run, steps)
    systems = [each for each in systems if not each.name.endswith(" one date")]
    if part == "samplers":
        return systems[1:]
    (mean,) = systems
    mean = replace(mean, name=run)
    return [mean, altered(mean, "dates shuffled", shuffled)] if part == "fusion" else [mean]


def altered(honest: Entrant, how: str, tamper: Callable[[Pair, int], object]) -> Entrant:
    def run(pair: Pair, seed: int):  # type: ignore[no-untyped-def]
        changed = replace(pair, series=tamper(pair, seed))
        return everywhere(honest.run(changed, seed), pair)

    return replace(honest, name=f"{honest.name}, {how}", run=run)


def tampered_series(path: Path) -> list[Entrant]:
    """A run's mean given fewer frames, only near or far ones, no masks, other days."""
    (mean,) = [
        each
        for each in model_systems(open_model(path, "auto"), version_of(path), 2, "sitsr", ())
        if each.name == "sitsr mean"
    ]
    ways: dict[str, Callable[[Pair, int], object]] = {
        "nearest frame": lambda pair, seed: kept(pair, nearest_first(pair)[:1]),
        "2 nearest": lambda pair, seed: kept(pair, nearest_first(pair)[:2]),
        "4 nearest": lambda pair, seed: kept(pair, nearest_first(pair)[:4]),
        "8 nearest": lambda pair, seed: kept(pair, nearest_first(pair)[:8]),
        "4 farthest": lambda pair, seed: kept(pair, farthest(pair)),
        "no masks": lambda pair, seed: unmasked(pair),
        "dates shuffled": shuffled,
    }
    every = replace(mean, name="all frames")
    return [every, *(replace(altered(mean, how, way), name=how) for how, way in ways.items())]


def sensors(path: Path) -> list[Entrant]:
    """A run's mean told that the sensor blurs by so much, and bicubic mended likewise."""
    model, weights = open_model(path, "auto"), version_of(path)
    found = []
    for sigma in BLURS:
        settings = Settings(samples=0, psf=(sigma,))
        system = partial(_told, model, settings)
        found.append(competitor(f"mean, σ {sigma}", "system", system, f"{weights} {sigma}"))
        mended = deterministic(partial(_mended, sigma))
        found.append(competitor(f"bicubic mended, σ {sigma}", "system", mended, f"{sigma}"))
    return found


def _told(model: Model, settings: Settings, task: Task, seed: int) -> Estimate:
    return answer(model, task, settings)


def _mended(sigma: float, task: Task) -> Floats:
    """Bicubic made to agree with what was observed on the target date by a sensor of this blur."""
    series, image = task.series, nearest_bicubic(task.series, task.target, task.scale)
    own = series.dates.index(task.target)
    seen, clear = series.images[own], series.clear[own]
    mended = project(
        torch.from_numpy(image[None]),
        torch.from_numpy(np.nan_to_num(seen)[None]),
        torch.from_numpy(clear[None, None].astype(np.float32)),
        (sigma,) * len(series.bands),
    )
    return mended[0].numpy()


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


def kept(pair: Pair, frames: Iterable[int]):  # type: ignore[no-untyped-def]
    return pair.series.keep(sorted(frames))


def unmasked(pair: Pair):  # type: ignore[no-untyped-def]
    return replace(pair.series, clear=np.isfinite(pair.series.images).all(1))


if __name__ == "__main__":
    logging.getLogger("sitsr.inference").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    main()
