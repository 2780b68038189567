"""Patches to look at: the best, the median and the worst of the main system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sitsr.baselines import nearest
from sitsr.datasets import Pair, Source
from sitsr.evaluation.alignment import Prepared, prepare
from sitsr.evaluation.entrants import Entrant
from sitsr.evaluation.study import Example, Study
from sitsr.series import Floats

SHOWN = 64
"""Side of what is shown of a larger pair, from its middle, low-resolution pixels."""


def choose_examples(
    study: Study,
    sources: Sequence[Source],
    entrants: Sequence[Entrant],
    load: Callable[[Source], Pair],
) -> list[Example]:
    """Three patches of every kind with a fine reference, by the gain in PSNR over the baseline."""
    found = []
    for kind in dict.fromkeys(source.kind for source in sources):
        gains = _gains(study, kind)
        here = [s for s in sources if s.kind == kind and (s.site, s.patch) in gains]
        here.sort(key=lambda source: gains[source.site, source.patch])
        if not here or load(here[0]).at_sensor:
            continue
        places = {"best": len(here) - 1, "median": len(here) // 2, "worst": 0}
        for which, place in list(places.items())[: len(here)]:
            ready = prepare(load(here[place]))
            found.append(_example(study, ready, entrants, which))
    return found


def _gains(study: Study, kind: str) -> dict[tuple[str, str], float]:
    psnr = {
        (row.system, row.site, row.patch): row.figures["psnr"]
        for row in study.rows
        if row.kind == kind and row.seed == study.seed and "psnr" in row.figures
    }
    return {
        (site, patch): value - psnr[study.against, site, patch]
        for (system, site, patch), value in psnr.items()
        if system == study.main and (study.against, site, patch) in psnr
    }


def _example(study: Study, ready: Prepared, entrants: Sequence[Entrant], which: str) -> Example:
    part = middle(ready.pair)
    images, spread = shown(ready.pair, entrants, study.against, study.main, study.seed)
    return Example(
        kind=part.kind,
        site=part.site,
        patch=part.patch,
        which=which,
        bands=part.series.bands,
        seen=nearest(part.series, part.target),
        reference=part.reference,
        clear=part.clear,
        images=images,
        spread=spread,
    )


def shown(
    pair: Pair, entrants: Sequence[Entrant], against: str, main: str, seed: int
) -> tuple[dict[str, Floats], Floats | None]:
    """What there is to see in the middle of a pair.

    Images [C, scale·H, scale·W] of the baseline and of the main system, its mean and a sample; and
    the standard deviation over its samples [scale·H, scale·W], or None without samples.
    """
    window = fine(pair)
    named = {each.name: each for each in entrants}
    made = named[main].run(pair, seed)
    images = {against: named[against].run(pair, seed).mean, f"{main}: mean": made.mean}
    spread = None
    if len(made.samples):
        images[f"{main}: a sample"] = made.samples[0]
        spread = np.sqrt(made.samples.var(axis=0, ddof=1).mean(axis=0))[window]
    return {name: image[:, *window] for name, image in images.items()}, spread


def fine(pair: Pair) -> tuple[slice, slice]:
    """The window of the middle of a pair, high-resolution pixels."""
    rows, cols = _coarse(pair)
    scale = pair.scale
    return (
        slice(rows.start * scale, rows.stop * scale),
        slice(cols.start * scale, cols.stop * scale),
    )


def middle(pair: Pair) -> Pair:
    """At most SHOWN × SHOWN low-resolution pixels from the middle of a pair."""
    window = fine(pair)
    return replace(
        pair,
        series=pair.series.crop(*_coarse(pair)),
        reference=pair.reference[:, *window],
        clear=pair.clear[window],
    )


def _coarse(pair: Pair) -> tuple[slice, slice]:
    rows, cols = (_centred(length) for length in pair.series.clear.shape[1:])
    return rows, cols


def _centred(length: int) -> slice:
    start = max(0, (length - SHOWN) // 2)
    return slice(start, min(start + SHOWN, length))
