"""From a data set as it is published to a training store: splits, registration, radiometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from sitsr.datasets.harmonise import HARMONISERS, Fitted, fit_over, harmonised
from sitsr.datasets.pairs import Pair, Source
from sitsr.datasets.registration import (
    registered,
    registered_dates,
    shift_of_reference,
    shifts_of_dates,
)
from sitsr.datasets.splits import Grouped, split_by_area, without_leaks
from sitsr.datasets.store import write_store
from sitsr.series import InputError

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Preparation:
    """What is done to pairs on their way into a store."""

    shares: Mapping[str, float] | None = None
    """Of new splits by area; None keeps the data set's own, without those that leak."""
    buffer: float = 0.0
    """Kilometres that ground of two splits lies apart."""
    seed: int = 0
    """Of new splits."""
    register: bool = False
    """Whether references are moved onto their series."""
    register_dates: bool = False
    """Whether the dates of a series are moved onto each other."""
    harmonise: str = "none"
    """A name of HARMONISERS."""
    fit: Literal["scene", "training"] = "scene"
    """Whether radiometry is fitted to each pair, or once to those of "train" and applied to all."""


def prepare(
    sources: Sequence[Source],
    out: Path,
    how: Preparation = Preparation(),
    progress: Progress = lambda done, total: None,
    *,
    name: str = "",
    licence: str = "",
    skip_unreadable: bool = False,
) -> Grouped:
    """Write sources into a store as ``how`` says; gives what was stored and what was left out.

    InputError where there is nothing to store, a name is unknown, or a pair cannot be read.
    """
    if how.harmonise not in HARMONISERS:
        raise InputError(f"harmonise is {how.harmonise}; choose from {', '.join(HARMONISERS)}")
    grouped = grouped_by(sources, how)
    moved = [_through(each, partial(_registered, how)) for each in grouped.kept]
    write_store(
        [_through(each, step) for each in moved] if (step := _harmoniser(moved, how)) else moved,
        out,
        progress,
        name=name,
        licence=licence,
        made=asdict(how),
        skip_unreadable=skip_unreadable,
    )
    return grouped


def grouped_by(sources: Sequence[Source], how: Preparation) -> Grouped:
    """Sources in splits that do not leak."""
    if how.shares is None:
        return without_leaks(sources, buffer=how.buffer)
    return split_by_area(sources, how.shares, buffer=how.buffer, seed=how.seed)


def _through(source: Source, change: Callable[[Pair], Pair]) -> Source:
    """The source of the pair that a change makes."""
    return replace(source, load=lambda: change(source.load()), look=None)


def _registered(how: Preparation, pair: Pair) -> Pair:
    if how.register_dates and len(pair.series.dates) > 1:
        dated = registered_dates(pair.series, shifts_of_dates(pair.series))
        pair = replace(pair, series=dated)
    if how.register and not pair.at_sensor:
        pair = registered(pair, shift_of_reference(pair))
    return pair


def _harmoniser(sources: Sequence[Source], how: Preparation) -> Callable[[Pair], Pair] | None:
    """What brings a reference to the radiometry of its series; None where nothing does."""
    if how.harmonise == "none":
        return None
    if how.fit == "scene":
        return lambda pair: harmonised(pair, HARMONISERS[how.harmonise](pair))
    learnt = [each for each in sources if each.split in (None, "train")]
    if not learnt:
        raise InputError("there are no pairs of train to fit radiometry to; fit it to each scene")
    fitted: Fitted = fit_over((each.load() for each in learnt), how.harmonise)
    return lambda pair: harmonised(pair, fitted)
