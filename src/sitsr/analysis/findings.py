"""What was found in a data set, pair by pair, before it is told."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sitsr.analysis.measuring import Measured, measure
from sitsr.analysis.rows import SourceRow
from sitsr.datasets import Source
from sitsr.series import InputError

log = logging.getLogger(__name__)

EXAMPLES = 4
"""Pairs that are shown."""
PIXELS = 60_000
"""Pixels drawn by chance in all; they share them out."""
A_PAIR = 400
"""Of one pair at most."""

ANALYSED, NOT_DRAWN = "analysed", "not drawn"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All of it."""

    title: str
    sources: list[SourceRow]
    """Every pair of the data set, in order of kind, site and patch."""
    measured: list[Measured]
    """Those that were looked into, in the same order."""
    seed: int

    @property
    def failed(self) -> list[SourceRow]:
        """Pairs that were to be looked into and could not."""
        return [row for row in self.sources if row.state not in (ANALYSED, NOT_DRAWN)]


def find(
    sources: Sequence[Source], title: str, most: int | None, seed: int, progress: Progress
) -> Findings:
    """Look into the pairs one by one, most of them at most, drawn by chance.

    The order in which they are given does not matter. A pair that cannot be read or measured is
    kept with the reason. InputError where there are no pairs at all.
    """
    if not sources:
        raise InputError("there are no pairs to analyse; give a data set that holds one")
    if most is not None and most < 1:
        raise InputError(f"most is {most}; give 1 or more pairs to look into, or None for all")
    ordered = sorted(sources, key=_order)
    drawn = _drawn(len(ordered), most, seed)
    shown = {drawn[int(k)] for k in np.linspace(0, len(drawn) - 1, min(EXAMPLES, len(drawn)))}
    pixels = min(A_PAIR, max(PIXELS // len(drawn), 1))
    rows, measured = [], []
    for number, source in enumerate(ordered):
        state = NOT_DRAWN
        if number in drawn:
            found = _measured(source, pixels, seed, number in shown)
            state = found if isinstance(found, str) else ANALYSED
            if not isinstance(found, str):
                measured.append(found)
            progress(drawn.index(number) + 1, len(drawn))
        rows.append(_row(source, state))
    return Findings(title, rows, measured, seed)


def _drawn(count: int, most: int | None, seed: int) -> list[int]:
    """The places of those to look into, in order."""
    if most is None or count <= most:
        return list(range(count))
    chance = np.random.default_rng(seed)
    return sorted(chance.choice(count, most, replace=False).tolist())


def _measured(source: Source, pixels: int, seed: int, example: bool) -> Measured | str:
    """What is told of a pair, or why it tells nothing."""
    try:
        pair = source.load()
    except Exception as error:  # a data set may hold files broken in any way
        reason = f"cannot be read: {_one_line(error)}"
    else:
        try:
            return measure(pair, pixels, seed, example=example)
        except InputError as error:
            reason = f"cannot be measured: {_one_line(error)}"
    log.warning("%s, %s %s", source.site, source.patch, reason)
    return reason


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _row(source: Source, state: str) -> SourceRow:
    named = source.kind, source.site, source.patch, source.split or ""
    west, south, east, north = map(float, source.bounds or (math.nan,) * 4)
    return SourceRow(*named, west, south, east, north, _tags(source), state)


def _order(source: Source) -> tuple[str, ...]:
    named = source.kind, source.site, source.patch
    return (*named, source.split or "", str(source.bounds), _tags(source))


def _tags(source: Source) -> str:
    return json.dumps(dict(source.tags), sort_keys=True, ensure_ascii=False)
