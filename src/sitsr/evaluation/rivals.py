"""Other trained models, side by side with the one that an evaluation is about.

[NAME=]weights.safetensors           its mean, and samples in its own number of steps
[NAME=]weights.safetensors@20,100    its mean, and samples in 20 and in 100 steps
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from sitsr.evaluation.entrants import Entrant, model_systems, version_of
from sitsr.series import InputError

if TYPE_CHECKING:
    from sitsr.model import Card

log = logging.getLogger(__name__)

ENDING = ".safetensors"


def is_rival(text: str) -> bool:
    """Whether "[NAME=]SPEC" names weights of sitsr."""
    return text.partition("@")[0].endswith(ENDING)


def rival(text: str, members: int, sites: Collection[str], device: str) -> list[Entrant]:
    """Mean and samples of these weights; sites: what is scored, which they should not have seen.

    InputError where the file or the numbers of steps cannot be read.
    """
    from sitsr.model import open_model

    given, equals, spec = text.partition("=")
    if not equals:
        given, spec = "", text
    file, at, counts = spec.partition("@")
    path = Path(file)
    model = open_model(path, device)
    name = given.strip() or model.card.name
    steps = _counts(counts, text) if at else (model.steps,)
    if seen := sorted(trained_on(model.card) & set(sites)):
        log.warning("%s was trained on %s, which is scored here", name, ", ".join(seen))
    return model_systems(model, version_of(path), members, name, steps)


def trained_on(card: Card) -> set[str]:
    """Sites that the recipe of a card names as trained on; a source without names is its own."""
    recipe = yaml.safe_load(card.recipe) or {}
    sources = {name: told for name, told in recipe.items() if _is_source(told)}
    return {place for name, told in sources.items() for place in told.get("places") or [name]}


def _is_source(told: object) -> bool:
    return isinstance(told, dict) and "folder" in told


def _counts(text: str, whole: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(each) for each in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise InputError(f"{whole}: steps after @ should be numbers above 0, with commas between")
    return counts
