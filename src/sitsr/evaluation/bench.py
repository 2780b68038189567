"""The whole of `sitsr evaluate`: every entrant on every pair, kept as it goes; table, page.

What was scored is kept in one file and not scored again, so an evaluation can be interrupted,
resumed, and given further systems later. What is in the file but not asked for is left alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from sitsr.datasets import OTHER_SENSOR, Pair, Source
from sitsr.evaluation.adapters import checked, outside
from sitsr.evaluation.alignment import Prepared, prepare
from sitsr.evaluation.entrants import (
    Entrant,
    baselines,
    choose,
    competitor,
    controls,
    model_systems,
    one_date,
    oracles,
    roles,
    version_of,
)
from sitsr.evaluation.examples import choose_examples, middle, shown
from sitsr.evaluation.figures import comparison_figure
from sitsr.evaluation.keeping import Keeper, Key, fingerprint_of
from sitsr.evaluation.page import write_page
from sitsr.evaluation.rivals import is_rival, rival
from sitsr.evaluation.rows import Row
from sitsr.evaluation.scoring import Estimate, flicker, score
from sitsr.evaluation.study import Study
from sitsr.evaluation.suites import sources_in
from sitsr.evaluation.tables import table
from sitsr.metrics import CONVENTIONS
from sitsr.model import Model, bundled_weights, open_model
from sitsr.report.aside import written_aside
from sitsr.series import Floats, InputError

log = logging.getLogger(__name__)

FAMILY = ("psnr", "crps")
"""Measures of the comparisons that are declared beforehand."""

COMPETING = ("baseline", "system")
"""Roles that further measures are taken of."""

Load = Callable[[Source], Pair]
Before = tuple[Pair, Floats]
"""A pair and the mean of an entrant there."""


@dataclass(frozen=True)
class Plan:
    """What is asked of an evaluation."""

    data: Path
    out: Path
    split: str | None = None
    """validation, test or train of the archives; None is test, or all that lies there."""
    weights: Path | None = None
    """Of the model that is evaluated; None for those that come with the package."""
    systems: str | None = None
    """Names of the model's systems to score, with commas between; None for all."""
    outside: tuple[str, ...] = ()
    """Other systems: [NAME=]weights.safetensors[@STEPS], [NAME=]module:function, [NAME=]model.onnx,
    [NAME=]folder."""
    against: str = "bicubic"
    """The baseline that differences are taken from."""
    main: str | None = None
    """The system that controls are made from and examples show; None for the model's one step."""
    seeds: tuple[int, ...] = (0,)
    dates: int = 3
    """Target dates a site."""
    members: int = 16
    """Samples of a system that samples."""
    extra: tuple[str, ...] = ()
    """"opensr", "lpips" and names of conventions: measures that are not always taken."""
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.seeds or min(self.seeds) < 0:
            raise InputError(f"seeds must be 0 or more, got {self.seeds}")
        if self.members < 2:
            raise InputError(f"members must be 2 or more to tell spread, got {self.members}")
        if self.dates < 1:
            raise InputError(f"dates must be 1 or more, got {self.dates}")


def run(plan: Plan, progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Score, then write scores.parquet, table.md, report.html and a picture of every real pair.

    Gives the folder back. scores.parquet grows while it goes on; the rest is written at the end.
    """
    path = plan.weights or bundled_weights()
    model, weights = open_model(path, plan.device), version_of(path)
    sources = sources_in(plan.data, plan.split, model.card, plan.dates)
    load = loader(sources)
    entrants = entered(plan, model, weights, sources, load)
    keeper = Keeper(plan.out / "scores.parquet", _configuration(plan, model, weights))
    try:
        score_all(plan, sources, load, entrants, keeper, progress)
    finally:
        keeper.save()
    study = _study(plan, sources, entrants, keeper)
    study = replace(study, examples=choose_examples(study, sources, entrants, load))
    text = table(study.rows, study.against, study.controls, study.family, study.seed)
    with written_aside(plan.out / "table.md") as aside:
        aside.write_text(text, encoding="utf-8")
    write_page(study, text, plan.out / "report.html")
    _pictures(plan, sources, entrants, load)
    return plan.out


def extras(text: str | None) -> tuple[str, ...]:
    """Names of further measures from "a,b"; "all" is every one that needs nothing installed."""
    known = ("opensr", *CONVENTIONS)
    if text is None:
        return ()
    names = known if text == "all" else tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in (*known, "lpips")]:
        raise InputError(
            f"{', '.join(unknown)} is not a measure that can be added; "
            f"choose from all, {', '.join(known)}, lpips"
        )
    return names


def entered(
    plan: Plan, model: Model, weights: str, sources: Sequence[Source], load: Load
) -> list[Entrant]:
    """Everybody who competes, in the order of the tables."""
    own = [one_date(model, weights), *model_systems(model, weights, plan.members)]
    foreign: list[Entrant] = []
    scored = {source.site for source in sources}
    for text in plan.outside:
        if is_rival(text):
            foreign += rival(text, plan.members, scored, plan.device)
        else:
            name, system, version = outside(text, model.card.scale, model.card.bands)
            foreign.append(competitor(name, "system", system, version, model.card.scale))
    all_systems = [*baselines(), *choose(own, plan.systems), *foreign]
    names = [each.name for each in all_systems]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{', '.join(sorted(twice))} is entered twice; give NAME=… another name")
    main = _named(all_systems, _main(plan, all_systems))
    _named(all_systems, plan.against)
    return [*all_systems, *controls(main, sources, load), *oracles()]


def score_all(
    plan: Plan,
    sources: Sequence[Source],
    load: Load,
    entrants: Sequence[Entrant],
    keeper: Keeper,
    progress: Callable[[int, int], None],
) -> None:
    """Score what the keeper does not hold yet: every entrant on every pair, pair by pair."""
    for entrant in entrants:
        keeper.known(entrant.name, entrant.version)
    total, each = len(sources) * len(entrants) * len(plan.seeds), len(entrants) * len(plan.seeds)
    last: dict[tuple[str, int], Before] = {}
    for n, source in enumerate(sources):
        missing = [
            (entrant, seed)
            for entrant in entrants
            for seed in plan.seeds
            if _key(entrant, source, seed) not in keeper.rows
        ]
        done = (n + 1) * each - len(missing)
        progress(done, total)
        if not missing:
            last = {}
            continue
        pair = load(source)
        keeper.known(f"{source.kind}, {source.site}, {source.patch}", fingerprint_of(pair))
        ready, before = prepare(pair), _before(sources, n)
        now: dict[tuple[str, int], Before] = {}
        for m, (entrant, seed) in enumerate(missing, start=1):
            if entrant.enters(ready.pair):
                then = last.get((entrant.name, seed))
                if before is not None and then is None:  # scored in an earlier run
                    earlier = load(before)
                    then = earlier, _answer(entrant, earlier, seed)[0].mean
                row, estimate = score_one(
                    entrant, ready, seed, then if before else None, plan.extra
                )
                now[entrant.name, seed] = ready.pair, estimate.mean
                keeper.add(row)
            progress(done + m, total)
        last = now


def _before(sources: Sequence[Source], n: int) -> Source | None:
    """The patch before this one, if it is of the same kind and site."""
    if n == 0 or (sources[n - 1].kind, sources[n - 1].site) != (sources[n].kind, sources[n].site):
        return None
    return sources[n - 1]


def score_one(
    entrant: Entrant,
    ready: Prepared,
    seed: int,
    before: Before | None = None,
    extra: Sequence[str] = (),
) -> tuple[Row, Estimate]:
    """One entrant on one prepared pair; before: its mean on the patch before, of the same site."""
    pair = ready.pair
    place = f"{entrant.name} on {pair.site}, {pair.patch}"
    estimate, seconds = _answer(entrant, pair, seed)
    try:
        figures = score(ready, estimate, extra if entrant.role in COMPETING else ())
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if before is not None and not pair.at_sensor:
        figures["flicker"] = flicker(*before, pair, estimate.mean)
    if entrant.cost is not None:
        figures["mflop"] = entrant.cost(pair.task)
    # A square kilometre at the true scale holds this many output pixels, whatever the pair's own.
    per_km2 = (1000 * pair.scale / 10) ** 2
    figures["seconds_km2"] = seconds * per_km2 / np.prod(estimate.mean.shape[1:])
    if entrant.role == "oracle":
        figures = {name: value for name, value in figures.items() if np.isfinite(value)}
    row = Row(entrant.name, pair.site, pair.patch, pair.kind, seed, seconds, figures)
    return row, estimate


def _answer(entrant: Entrant, pair: Pair, seed: int) -> tuple[Estimate, float]:
    """The estimate and the seconds that it took."""
    start = time.perf_counter()
    estimate = entrant.run(pair, seed)
    seconds = time.perf_counter() - start
    checked(entrant.name, pair.task, estimate)
    return estimate, seconds


def _key(entrant: Entrant, source: Source, seed: int) -> Key:
    return entrant.name, source.kind, source.site, source.patch, seed


def _study(
    plan: Plan, sources: Sequence[Source], entrants: Sequence[Entrant], keeper: Keeper
) -> Study:
    rows = [
        keeper.rows[key]
        for source in sources
        for entrant in entrants
        for seed in plan.seeds
        if (key := _key(entrant, source, seed)) in keeper.rows
    ]
    main = _main(plan, entrants)
    scored = {row.system for row in rows}
    present = [each for each in entrants if each.name in scored]
    claimed = [main, *(each.name for each in present if _is_claim(each))]
    family = [
        (name, plan.against, measure)
        for name in dict.fromkeys(claimed)
        for measure in FAMILY
        if name != plan.against
    ]
    return Study(
        rows=rows,
        roles=roles(present),
        controls={each.name: each.made_from for each in present if each.role == "control"},
        against=plan.against,
        main=main,
        family=family,
        configuration=keeper.configuration,
        seed=plan.seeds[0],
    )


def _is_claim(entrant: Entrant) -> bool:
    """Whether a comparison with the baseline is declared: a model's mean, a system from outside."""
    return entrant.role == "system" and (entrant.cost is None or entrant.name.endswith(" mean"))


def _main(plan: Plan, entrants: Iterable[Entrant]) -> str:
    """The system that the study is about: as asked, else one step, else the last system."""
    if plan.main is not None:
        return plan.main
    names = [each.name for each in entrants if each.role == "system"]
    if not names:
        raise InputError("there is no system to evaluate; name one with --systems or --system")
    return next((name for name in names if name.endswith(" 1 step")), names[-1])


def _named(entrants: Sequence[Entrant], name: str) -> Entrant:
    for each in entrants:
        if each.name == name:
            return each
    raise InputError(f"{name} does not compete; choose from {', '.join(e.name for e in entrants)}")


def _configuration(plan: Plan, model: Model, weights: str) -> dict[str, Any]:
    from sitsr import __version__

    return {
        "sitsr": __version__,
        "model": model.card.name,
        "weights": weights,
        "made": f"{date.today()}",
        "data": plan.data.resolve().name,
        "split": plan.split,
        "dates": plan.dates,
        "members": plan.members,
        "seeds": list(plan.seeds),
        "extra": sorted(plan.extra),
        "against": plan.against,
        "command": _command(plan),
    }


def _command(plan: Plan) -> str:
    words = ["sitsr evaluate --data DATA"]
    words += [f"--split {plan.split}"] if plan.split else []
    words += [f"--dates {plan.dates}"]
    words += [f"--members {plan.members}", f"--seeds {','.join(map(str, plan.seeds))}"]
    words += [f"--systems '{plan.systems}'"] if plan.systems else []
    words += [f"--system '{text}'" for text in plan.outside]
    words += [f"--extra {','.join(plan.extra)}"] if plan.extra else []
    return " ".join(words)


def loader(sources: Sequence[Source]) -> Load:
    """Load with the last two pairs kept, which is what a walk through the sources asks for."""
    kept: dict[int, Pair] = {}

    def load(source: Source) -> Pair:
        if id(source) not in kept:
            while len(kept) > 1:
                kept.pop(next(iter(kept)))
            kept[id(source)] = source.load()
        return kept[id(source)]

    return load


def _pictures(
    plan: Plan, sources: Sequence[Source], entrants: Sequence[Entrant], load: Load
) -> None:
    """A PNG of every real pair: Sentinel-2, the baseline, the main system, the reference."""
    for source in sources:
        if source.kind not in OTHER_SENSOR:
            continue
        pair = prepare(load(source)).pair
        images, _ = shown(pair, entrants, plan.against, _main(plan, entrants), plan.seeds[0])
        path = plan.out / f"{source.patch.replace(' ', '-')}.png"
        comparison_figure(middle(pair), images, path)
