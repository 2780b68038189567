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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from investigation_systems import (
    as_shipped,
    consistent,
    fewer_frames,
    harmonised,
    mean,
    mean_and_placebo,
    on_its_own_pair,
    samples,
    sensors,
)
from investigation_tables import write

from sitsr.datasets import OTHER_SENSOR, Source, at_hand, real_pairs
from sitsr.datasets.prepare import Preparation, prepare
from sitsr.evaluation import Plan, baselines, sources_in
from sitsr.evaluation.bench import loader, score_all
from sitsr.evaluation.entrants import Entrant, version_of
from sitsr.evaluation.keeping import Keeper
from sitsr.evaluation.suites import AT_SENSOR
from sitsr.model import Card, Model, bundled_weights, open_model
from sitsr.training import read_recipe, train

ROOT = Path(__file__).parents[1]
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

ALSAT: Runs = {
    "ours, one date": ("method=sitsr", "steps=440"),
    "ours, one date, held to nothing": (
        "method=sitsr",
        "steps=440",
        "network.consistent=false",
        "network.deblurred=false",
        "network.relative=false",
    ),
    "SRCNN": ("method=srcnn", "steps=2500"),
    "SRResNet": ("method=srresnet", "steps=360"),
    "RRDB": ("method=rrdb", "steps=270"),
}
"""Single-date networks on real pairs of one sensor, each for about the same time."""


def under_the_same_mean(run: str, data: Path, runs: Path) -> tuple[str, ...]:
    """Generators begin with the encoder and the mean of one run, and leave them as they are."""
    return (f"start={fitted(PARTS['fusion'], ONE, data, runs)}",)


def on_the_other_pairs(run: str, data: Path, runs: Path) -> tuple[str, ...]:
    """The bundled weights, and a store of every pair but the one that is left out."""
    way, number = run.removesuffix(" left out").split(", ")
    folder = (runs / f"pairs-{'consistent-' * (way == CONSISTENT)}without-{number}").absolute()
    if not folder.exists():
        others = real_pairs(data / "austria_pairs", tuple(k for k in PAIRS if k != number))
        made = [consistent(pair) if way == CONSISTENT else harmonised(pair) for pair in others]
        prepare([at_hand(pair) for pair in made], folder, Preparation())
    return (f"start={bundled_weights()}", f"pairs.folder={folder}")


def validation(data: Path, card: Card) -> list[Source]:
    """One patch a validation site, with its date and without."""
    return sources_in(data, "validation", card, 1)


PAIRS = ("0", "2", "3")

AS_THEY_ARE, CONSISTENT = "references as they are", "references made consistent"

REAL: Runs = {f"{way}, {k} left out": () for way in (AS_THEY_ARE, CONSISTENT) for k in PAIRS}
"""Ways of learning from two real pairs; each pair is left out in turn."""

LEFT_OUT = ("scale transfer, date held out", AT_SENSOR)


def dated(data: Path, card: Card) -> list[Source]:
    """Validation sites, and the dated series that nothing was trained on."""
    found = validation(data, card)
    for site, dates in (("boadella", 3), ("flanders", 6)):
        unseen = sources_in(data, "test", card, dates)
        found += [each for each in unseen if each.site == site and each.kind in LEFT_OUT]
    return found


def other_sensor(data: Path, card: Card) -> list[Source]:
    """Real pairs."""
    return [each for each in sources_in(data, "test", card, 1) if each.kind in OTHER_SENSOR]


def real(data: Path, card: Card) -> list[Source]:
    """Real pairs, and scale transfer beside them."""
    pairs = other_sensor(data, card)
    transfers = [each for each in validation(data, card) if each.kind == TRANSFER]
    return pairs + transfers


def alsat(data: Path, card: Card) -> list[Source]:
    """Every fifth pair of the test set."""
    return sources_in(data / "alsat2b", "test", card, 1)[::5]


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("data", type=Path)
    asked.add_argument("--part", choices=list(PARTS))
    asked.add_argument("--runs", type=Path, default=Path("runs/investigation"))
    asked.add_argument("--tables", action="store_true", help="write the tables, measure nothing")
    told = asked.parse_args()
    for name in [told.part] if told.part else PARTS:
        if not told.tables:
            part = PARTS[name]
            weights = {run: fitted(part, run, told.data, told.runs) for run in part.runs}
            scored(name, weights, told.data)
    write(PAGE, KEPT)


def fitted(part: Part, run: str, data: Path, runs: Path) -> Path:
    """The weights of a run, trained if they are not there."""
    folder = runs / f"{part.trained}-{run}".replace(", ", "-").replace(" ", "-")
    weights, done = folder / "weights.safetensors", folder / "done"
    if not done.exists():
        changes = (f"name={run}".replace(",", ""), *part.runs[run], *part.also(run, data, runs))
        print(f"{part.trained}: training {run}", file=sys.stderr, flush=True)
        recipe = read_recipe(RECIPES / part.recipe, changes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            train(recipe, data, folder, "auto")
        done.touch()
    return weights


def scored(name: str, weights: Mapping[str, Path], data: Path) -> None:
    """Every run of a part, and what learns nothing, on its pairs."""
    part, models = PARTS[name], {run: open_model(path, "auto") for run, path in weights.items()}
    sources = part.sources(data, next(iter(models.values())).card)
    entrants = [each for each in baselines() if each.name == "bicubic"]
    entrants += part.beside()
    for run, model in models.items():
        entrants += part.enter(run, model, version_of(weights[run]))
    keeper = Keeper(KEPT / f"{name}.parquet", configuration(name, models))
    print(f"{name}: scoring", file=sys.stderr, flush=True)
    plan = Plan(data=data, out=KEPT)
    try:
        score_all(plan, sources, loader(sources), entrants, keeper, lambda done, total: None)
    finally:
        keeper.save()


def configuration(name: str, models: Mapping[str, Model]) -> dict[str, object]:
    """What the tables say beside the numbers: how long each run took, and where."""
    from sitsr import __version__

    took = {run: model.card.trained_on for run, model in models.items()}
    return {"sitsr": __version__, "extra": [], "part": name, "trained": took}


@dataclass(frozen=True)
class Part:
    """One question: what is trained, who competes, on what."""

    trained: str
    """Name of its runs; a part may ask further questions of another's."""
    recipe: str
    runs: Runs
    enter: Callable[[str, Model, str], list[Entrant]]
    """(run, model, version) -> who competes."""
    sources: Callable[[Path, Card], list[Source]]
    also: Callable[[str, Path, Path], tuple[str, ...]] = lambda run, data, runs: ()
    """(run, data, folder of runs) -> further changes to its recipe."""
    beside: Callable[[], list[Entrant]] = list
    """Who else competes, besides the runs and bicubic."""


ONE, SAME = "target date", "austria and NAIP"

PARTS: Mapping[str, Part] = {
    "fusion": Part("fusion", "fusion.yaml", FUSION, mean_and_placebo, dated),
    "simulated": Part("simulated", "transfer.yaml", SIMULATED, mean, real),
    "samplers": Part(
        "samplers", "samplers.yaml", SAMPLERS, samples, validation, under_the_same_mean
    ),
    "alsat2b": Part("alsat2b", "alsat2b.yaml", ALSAT, mean, alsat),
    "frames": Part("fusion", "fusion.yaml", {ONE: FUSION[ONE]}, fewer_frames, dated),
    "real": Part(
        "real", "real.yaml", REAL, on_its_own_pair, other_sensor, on_the_other_pairs, as_shipped
    ),
    "sensor": Part("simulated", "transfer.yaml", {SAME: SIMULATED[SAME]}, sensors, real),
}


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    main()
