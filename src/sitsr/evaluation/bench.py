"""The whole of `sitsr evaluate`: pairs from the archives, every system on each, one page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from sitsr.datasets import Pair, read_austria, real_pairs, scale_transfer_pairs
from sitsr.evaluation.figures import comparison_figure
from sitsr.evaluation.rows import Row, save_rows
from sitsr.evaluation.scoring import evaluate, prepare
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
        if pair.kind == "real pair":
            shown = {
                name: systems[name](pair.series, pair.target)
                for name in systems
                if name in ("bicubic", "mean")
            }
            images = {name: np.asarray(each.mean) for name, each in shown.items()}
            comparison_figure(prepare(pair), images, out / f"{pair.site.replace(' ', '-')}.png")
    return out / "table.md"


def validation_pairs(data: Path, card: Card, dates: int) -> list[Pair]:
    """Scale-transfer pairs of the sites that the model's recipe set apart."""
    recipe = yaml.safe_load(card.recipe) or {}
    sites = [name for name in recipe.get("validation", ()) if name.startswith("site")]
    if not sites:
        raise InputError(f"the recipe of {card.name} names no validation sites; give other weights")
    archives = read_austria(data / recipe["austria"]["folder"], sites)
    return [
        pair for each in archives for pair in scale_transfer_pairs(each, dates, scale=card.scale)
    ]
