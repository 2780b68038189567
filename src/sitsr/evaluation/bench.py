"""The whole of `sitsr evaluate`: pairs from the archives, every system on each, one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from sitsr.datasets import Pair, read_austria, real_pairs, scale_transfer_pairs
from sitsr.evaluation.figures import comparison_figure
from sitsr.evaluation.rows import Row, save_rows
from sitsr.evaluation.scoring import REAL, System, evaluate, prepare
from sitsr.evaluation.systems import choose, systems_of
from sitsr.evaluation.tables import table
from sitsr.model import Card, bundled_weights, fingerprint, open_model
from sitsr.series import InputError


def run(  # noqa: PLR0913
    data: Path,
    out: Path,
    weights: Path | None,
    wanted: str | None,
    *,
    dates: int,
    seed: int,
    device: str,
    progress: Callable[[int, int], None],
) -> Path:
    """Write table.md, scores.csv and a picture of every real pair; gives the table's path."""
    path = weights or bundled_weights()
    model = open_model(path, device)
    systems = choose(systems_of(model, seed), wanted)
    pairs = validation_pairs(data, model.card, dates) + real_pairs(data / "austria_pairs")
    done = 0

    def count(_: Row) -> None:
        nonlocal done
        done += 1
        progress(done, len(systems) * len(pairs))

    rows = evaluate(systems, pairs, count)
    out.mkdir(parents=True, exist_ok=True)
    save_rows(rows, out / "scores.csv")
    text = (
        f"Model `{model.card.name}`, weights `{fingerprint(path)[:12]}`, seed {seed}, "
        f"{dates} target dates a site, 16 members.\n\n" + table(rows, "bicubic", seed)
    )
    aside = out / "table.md.part"
    aside.write_text(text)
    aside.replace(out / "table.md")
    for pair in pairs:
        if pair.kind == REAL:
            _picture(pair, systems, out / f"{pair.site.replace(' ', '-')}.png")
    return out / "table.md"


SHOWN = 64
"""Side of what a picture shows, from the middle of the pair, low-resolution pixels."""


def _picture(pair: Pair, systems: Mapping[str, System], path: Path) -> None:
    """Sentinel-2, bicubic, the mean, one sample and the reference, side by side."""
    made = {
        name: systems[name](pair.series, pair.target)
        for name in ("bicubic", "mean", "1 step")
        if name in systems
    }
    images = {name: each.mean for name, each in made.items() if not len(each.samples)}
    images |= {
        f"a sample, {name}": each.samples[0] for name, each in made.items() if len(each.samples)
    }
    ready = prepare(pair)
    rows, cols = ((side - SHOWN) // 2 for side in pair.series.grid.shape)
    coarse = slice(rows, rows + SHOWN), slice(cols, cols + SHOWN)
    fine = tuple(slice(part.start * pair.scale, part.stop * pair.scale) for part in coarse)
    middle = replace(
        ready,
        series=pair.series.crop(*coarse),
        reference=ready.reference[:, *fine],
        clear=ready.clear[fine],
    )
    comparison_figure(middle, {name: image[:, *fine] for name, image in images.items()}, path)


def validation_pairs(data: Path, card: Card, dates: int) -> list[Pair]:
    """Scale-transfer pairs of the sites that the model's recipe set apart.

    Each target date twice: with its own image in the series, and without.
    """
    recipe = yaml.safe_load(card.recipe) or {}
    sites = [name for name in recipe.get("validation", ()) if name.startswith("site")]
    if not sites:
        raise InputError(f"the recipe of {card.name} names no validation sites; give other weights")
    archives = read_austria(data / recipe["austria"]["folder"], sites)
    return [
        pair
        for held_out in (False, True)
        for each in archives
        for pair in scale_transfer_pairs(each, dates, scale=card.scale, held_out=held_out)
    ]
