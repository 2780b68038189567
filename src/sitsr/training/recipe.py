"""The recipe of a run: settings that check themselves, and the batches they ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets import Batches, Mixture
from sitsr.datasets.alsat import ALSAT_BANDS, read_alsat2b
from sitsr.datasets.archives import BANDS, read_austria, read_flanders, read_naip, read_theia
from sitsr.datasets.batches import Aerial, Observed, ScaleTransfer, Source
from sitsr.datasets.known import licence_of_weights
from sitsr.datasets.windows import PairWindows, training_pairs
from sitsr.methods import method
from sitsr.model import Card, Model
from sitsr.series import InputError
from sitsr.training.losses import TERMS

SOURCES = ("austria", "flanders", "theia", "naip", "alsat2b", "pairs")
"""Fields of a recipe that name what is trained on. A new one comes last: the order decides which
source a batch is drawn from."""


class Settings(BaseModel):
    """Settings refuse what they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(Settings):
    """One archive among those trained on."""

    weight: float
    """Share of the batches, relative to the other sources."""
    examples: int
    """Series in a batch."""
    folder: str
    """Below the data folder."""
    places: tuple[str, ...] | None = None
    """Sites or cities trained on; all if not said. Alsat-2B and others of one site take none."""
    side: int = 96
    """Of the crop, pixels at full resolution."""
    where: dict[str, str] = {}
    """Tags that pairs must bear, such as {"band": "RED"}; of `pairs` only."""


class Recipe(Settings):
    """A whole run, so that it can be done again."""

    name: str
    method: str = "sitsr"
    """A name of ``sitsr.methods.METHODS``."""
    network: dict[str, Any] = {}
    """Fields of ``sitsr.model.Card`` that differ from the method's, such as encoder or generator;
    ``encoder_settings.positions`` goes deeper."""
    start: Path | None = None
    """Weights to begin with: every part of them that has a place in this network. So a GAN begins
    with its trained mean, and a generator under an encoder that is there already."""
    losses: dict[str, float] | None = None
    """Terms of the mean's loss and their weights; None is the method's own."""
    aligned: bool = False
    """Whether the target is laid on the mean before it meets noise: for pairs of two sensors."""
    seed: int = 1
    scale: int = 4
    bands: tuple[str, ...] = BANDS
    """What is super-resolved, of the four bands of 10 m."""
    steps: int = 10_000
    """Batches in all."""
    mean_steps: int | None = None
    """Batches, of those, that fit encoder, mean and spread; the rest fit the generator. None is the
    method's share; all, if there is no generator."""
    learning_rate: float = 1e-3
    """Peak of each stage, after its warm-up; falls to 1 % of it along a cosine."""
    warm_up: int = 200
    """Batches from zero to the peak."""
    average: float = 0.998
    """Decay of the averaged weights, a batch."""
    patience: int | None = Field(None, ge=1)
    """Epochs without a better loss on validation sites before a run stops, counted in the last of
    its stages; None: never."""
    validation: tuple[str, ...] = ()
    """Sites that are never trained on and that `sitsr evaluate` scores."""
    mixture: Mixture = Mixture()
    austria: SourceSettings | None = None
    flanders: SourceSettings | None = None
    theia: SourceSettings | None = None
    naip: SourceSettings | None = None
    alsat2b: SourceSettings | None = None
    """Real pairs of one date, without B08; weights trained on them may not be passed on."""
    pairs: SourceSettings | None = None
    """A public data set (docs/datasets), a training store, or pairs on disk (docs/pairs.md), used
    as they lie: those of the split "train", and those that name none. `places` are their sites."""

    @property
    def sources(self) -> dict[str, SourceSettings]:
        """What is trained on, by name, in the order that batches are drawn in."""
        named = {name: getattr(self, name) for name in SOURCES}
        return {name: each for name, each in named.items() if each is not None}


def read_recipe(path: Path, changes: tuple[str, ...] = ()) -> Recipe:
    """The recipe in this YAML file, with key=value changes; an unknown key is an error.

    ``like: other.yaml`` begins from another recipe, named from the folder of this one; settings
    within settings are changed one by one, and ``null`` takes one out.
    """
    values = _values(path)
    for change in changes:
        _apply(change, values)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_fault(error)}") from error
    trained = {place for each in recipe.sources.values() for place in each.places or ()}
    _no_leak(recipe, trained)
    _check_bands(recipe)
    _check_losses(path, recipe)
    card_of(recipe)
    return recipe


def _values(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What the file holds, laid over the recipe that it is like; above: those that led here."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not a recipe that can be read: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold settings by name, but holds {type(values).__name__}")
    like = values.pop("like", None)
    if like is None:
        return values
    model = path.parent / str(like)
    if model in above:
        raise InputError(f"{path} is like {like}, which is like it; leave one of the two out")
    return _laid_over(_values(model, (*above, path)), values)


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    inner = {
        key: _laid_over(below[key], told)
        for key, told in above.items()
        if isinstance(told, dict) and isinstance(below.get(key), dict)
    }
    return {key: told for key, told in {**below, **above, **inner}.items() if told is not None}


def card_of(recipe: Recipe) -> Card:
    """The card of the network that a recipe asks for; it is built once here, to be checked."""
    told = dict(method(recipe.method).card)
    fields = {name: value for name, value in recipe.network.items()}
    if unknown := [name for name in fields if name not in Card.__dataclass_fields__]:
        near = get_close_matches(unknown[0], Card.__dataclass_fields__, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"network.{unknown[0]} is not a setting{hint}")
    for part in ("encoder", "generator"):
        inner = f"{part}_settings"
        if inner in fields:
            fields[inner] = fields[inner] or {}
        if fields.get(part, told.get(part)) != told.get(part):
            told.pop(inner, None)  # those of the method's own encoder are not another's
        elif inner in fields and inner in told:
            fields[inner] = {**told[inner], **fields[inner]}
    fields["sigma"] = tuple(fields.get("sigma", (SENTINEL2_SIGMA[band] for band in recipe.bands)))
    if len(fields["sigma"]) != len(recipe.bands):
        raise InputError(
            f"network.sigma has {len(fields['sigma'])} numbers; give one for each of the "
            f"{len(recipe.bands)} bands"
        )
    card = Card(bands=recipe.bands, scale=recipe.scale, name=recipe.name, **{**told, **fields})
    try:
        Model(card)
    except TypeError as error:
        # "LTAE.__init__() got an unexpected keyword argument 'position'"
        wrong = str(error).rpartition("argument ")[2].strip("'")
        raise InputError(
            f"network: {wrong} is not a setting of {card.encoder} or {card.generator}"
        ) from error
    return card


def _check_bands(recipe: Recipe) -> None:
    bands = recipe.bands
    if not bands or not set(bands) <= set(BANDS) or len(set(bands)) < len(bands):
        raise InputError(
            f"bands are {', '.join(bands) or 'none'}; choose some of {', '.join(BANDS)}, each once"
        )
    if recipe.alsat2b and (missing := [band for band in bands if band not in ALSAT_BANDS]):
        raise InputError(
            f"alsat2b has no {', '.join(missing)}; set bands to {', '.join(ALSAT_BANDS)}, "
            "or leave alsat2b out"
        )


def _check_losses(path: Path, recipe: Recipe) -> None:
    for name in recipe.losses or ():
        if name not in TERMS:
            near = get_close_matches(name, TERMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(TERMS)}"
            raise InputError(f"{path}: losses.{name} is not a loss; {hint}")


def _apply(change: str, values: dict[str, Any]) -> None:
    """Set what "network.width=32" says, in place."""
    key, equals, text = change.partition("=")
    if not equals:
        raise InputError(f"{change} is no change to a recipe; write key=value")
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.get(parent)
        values[parent] = values = dict(inner) if isinstance(inner, dict) else {}
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{change} is no change to a recipe: {text} cannot be read") from error


def _no_leak(recipe: Recipe, trained: set[str]) -> None:
    if leak := sorted(trained & set(recipe.validation)):
        raise InputError(f"{', '.join(leak)} cannot be both trained on and for validation")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known: dict[str, Any] = {}
        for kind in (Recipe, SourceSettings):
            known |= kind.model_fields
        known |= Mixture.__dataclass_fields__
        near = get_close_matches(str(fault["loc"][-1]), known, n=1)
        return f"{where} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    return f"{where} = {fault.get('input')!r}: {fault['msg']}"


def batches(recipe: Recipe, data: Path) -> Batches:
    """The endless sequence of batches that the recipe asks for, from archives below this folder."""
    _check_bands(recipe)
    sources = {
        name: (chosen.weight, chosen.examples, _source(name, recipe, data / chosen.folder))
        for name, chosen in recipe.sources.items()
    }
    if not sources:
        raise InputError("the recipe names nothing to train on; give one of the archives")
    return Batches(sources, recipe.mixture, recipe.seed)


def licence(recipe: Recipe, data: Path) -> str:
    """What the card of weights says of those who would pass them on."""
    folders = [data / each.folder for each in recipe.sources.values()]
    told = [said for folder in folders if (said := licence_of_weights(folder)) is not None]
    return "; ".join(dict.fromkeys(told)) or Card.licence


def _source(name: str, recipe: Recipe, folder: Path) -> Source:
    chosen, mixture = recipe.sources[name], recipe.mixture
    if name in ("alsat2b", "pairs"):
        found = (
            read_alsat2b(folder, "train")
            if name == "alsat2b"
            else training_pairs(folder, chosen.places, chosen.where)
        )
        _no_leak(recipe, {each.site for each in found})
        return PairWindows(found, mixture, chosen.side, recipe.scale, recipe.bands)
    if name == "naip":
        chips = read_naip(folder, chosen.places)
        _no_leak(recipe, {place.partition("/")[0] for place in chips})
        return Observed(Aerial(chips, mixture), mixture, recipe.scale, recipe.bands)
    read = {"austria": read_austria, "flanders": read_flanders, "theia": read_theia}[name]
    archives = read_austria(folder, chosen.places) if name == "austria" else read(folder)
    _no_leak(recipe, {archive.site for archive in archives})
    maker = ScaleTransfer(archives, mixture, chosen.side)
    return Observed(maker, mixture, recipe.scale, recipe.bands)


def data_fingerprint(dataset: Batches) -> str:
    """SHA-256, hexadecimal, of all that the sources hold: names, dates, shapes and every pixel.

    Not of how batches are made from it, which the recipe tells.
    """
    digest = hashlib.sha256()
    for name, (_, _, source) in dataset.sources.items():
        for held in (name, *source.held):
            for part in _told(held):
                digest.update(part)
    return digest.hexdigest()


def _told(value: Any) -> Iterator[bytes]:
    """Everything in a value, as bytes that no other value gives."""
    if isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping):
        yield from _told([part for pair in value.items() for part in pair])
    elif is_dataclass(value):
        yield from _told([getattr(value, each.name) for each in fields(value)])
    elif isinstance(value, list | tuple):
        yield f"[{len(value)}]".encode()
        for each in value:
            yield from _told(each)
    else:
        yield repr(value).encode() + b"\0"
