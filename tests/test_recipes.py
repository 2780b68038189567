"""Every method has a recipe; each is read whole here, and trained in its tiny variant."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import sitsr
from conftest import TARGET, make_series, write_austria
from sitsr.methods import METHODS
from sitsr.model import Card, open_model
from sitsr.training import Fit, Recipe, read_recipe, train
from sitsr.training.recipe import card_of

pytestmark = [
    # Lightning's and torch's advice on loaders, loggers and their own future
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

RECIPES = Path(__file__).parents[1] / "recipes"
TINY = tuple((RECIPES / "tiny.txt").read_text().split())
OF_METHODS = sorted((RECIPES / "methods").glob("*.yaml"))
FOR_TESTING = {"flanders", "boadella", "austria_pairs"}

FAST = {"srcnn", "sitsr", "cfm-highresnet-ltae"}
"""Methods whose tiny variants are trained even where time is short: one of each kind."""

methods = pytest.mark.parametrize("path", OF_METHODS, ids=lambda path: path.stem)


@cache
def whole(path: Path, *changes: str) -> Recipe:
    """The recipe, its network built at full size, but without numbers: they take seconds."""
    with torch.device("meta"):
        return read_recipe(path, changes)


@cache
def card(path: Path) -> Card:
    with torch.device("meta"):
        return card_of(whole(path))


def trained_on(recipe: Recipe) -> set[str]:
    """Folders, and the places in them."""
    sources = recipe.sources.values()
    return {each.folder for each in sources} | {
        place for each in sources for place in each.places or ()
    }


def made_of(told: Card) -> tuple[object, ...]:
    """What encoder and heads are made of."""
    return told.encoder, told.width, told.encoder_settings, told.relative, told.deblurred


def test_every_method_has_a_recipe() -> None:
    assert {path.stem for path in OF_METHODS} == set(METHODS)


@methods
def test_a_recipe_bears_the_name_of_its_method_and_its_network(path: Path) -> None:
    recipe = whole(path)
    assert recipe.method == recipe.name == path.stem
    told = METHODS[path.stem].card
    assert {name: getattr(card(path), name) for name in told} == dict(told)


@methods
def test_a_recipe_of_a_method_differs_from_the_others_in_no_data(path: Path) -> None:
    recipe, shared = whole(path), whole(RECIPES / "scale-transfer.yaml")
    assert recipe.sources == shared.sources and recipe.validation == shared.validation
    assert recipe.scale == 4 and recipe.seed == shared.seed


def test_the_sites_are_those_of_the_default() -> None:
    shared, default = whole(RECIPES / "scale-transfer.yaml"), whole(RECIPES / "default.yaml")
    assert set(shared.validation) == set(default.validation)
    assert shared.austria and default.austria and shared.austria.places == default.austria.places
    assert shared.naip and default.naip and shared.naip.places == default.naip.places


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_no_recipe_trains_on_what_is_kept_for_validation_and_testing(path: Path) -> None:
    recipe = whole(path)
    assert recipe.sources
    assert not trained_on(recipe) & (FOR_TESTING | set(recipe.validation))


def goes_on(method: str) -> bool:
    """Whether its papers begin with a trained network: adversarial losses, and generators."""
    told = METHODS[method]
    return "adversarial" in told.losses or told.card["generator"] in ("srdiff", "sr3", "transport")


@methods
def test_a_recipe_goes_on_with_a_run_of_the_same_encoder_where_its_papers_do(path: Path) -> None:
    recipe = whole(path)
    assert (recipe.start is not None) == goes_on(path.stem)
    if recipe.start is None:
        return
    runs, earlier, weights = recipe.start.parts
    assert (runs, weights) == ("runs", "weights.safetensors")
    before = path.with_name(f"{earlier}.yaml")
    assert whole(before).start is None and made_of(card(before)) == made_of(card(path))
    draws = METHODS[path.stem].card["generator"] != "none"
    assert (recipe.mean_steps == 0) == draws


@methods
def test_all_means_are_fitted_on_as_many_batches_and_so_are_all_generators(path: Path) -> None:
    recipe, told = whole(path), METHODS[path.stem]
    if told.card["generator"] != "none":
        assert recipe.mean_steps == (0 if recipe.start else 20_000)
        assert recipe.steps - recipe.mean_steps == 40_000
    else:
        assert recipe.steps == (10_000 if recipe.start else 20_000)


@methods
def test_a_recipe_is_tiny_with_the_changes_that_make_it_so(path: Path) -> None:
    recipe, shrunk = whole(path), whole(path, *TINY)
    assert shrunk.steps == 4 and shrunk.mean_steps == 2 and shrunk.start is None
    assert shrunk.method == recipe.method and set(shrunk.sources) == {"austria"}
    assert shrunk.austria and recipe.austria and shrunk.austria.places == recipe.austria.places


# ------------------------------------------------------------- the tiny variant is trained


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sites that recipes train on, in miniature."""
    folder = tmp_path_factory.mktemp("data")
    shared = whole(RECIPES / "scale-transfer.yaml")
    assert shared.austria and shared.austria.places
    write_austria(folder / "austria", shared.austria.places, images=3)
    return folder


@pytest.mark.parametrize(
    "method",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in METHODS],
)
def test_a_tiny_recipe_trains_and_its_weights_super_resolve(
    method: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[dict[str, float]] = []
    monkeypatch.setattr(
        Fit,
        "log_dict",
        lambda self, parts, **_: losses.append({k: float(v) for k, v in parts.items()}),
    )
    recipe = read_recipe(RECIPES / "methods" / f"{method}.yaml", TINY)
    weights = train(recipe, data, tmp_path / "run", "cpu", workers=0)
    assert len(losses) == 4 and all(np.isfinite(list(parts.values())).all() for parts in losses)
    stages = [set(parts) for parts in losses]
    assert stages[0] == stages[1] >= set(METHODS[method].losses) and stages[2] == stages[3]

    model = open_model(weights, "cpu")
    assert model.card.name == method and "4 batches" in model.card.trained_on
    assert (stages[1] != stages[2]) == model.samples
    count = int(model.samples)
    series = make_series(days=(-6, 0, 11))
    result = sitsr.super_resolve(
        series, TARGET, samples=count, steps=2, device="cpu", weights=weights
    ).estimate
    assert result.mean.shape == (4, 36, 56) and result.samples.shape == (count, 4, 36, 56)
    for made in (result.mean, result.spread, result.samples):
        assert np.isfinite(made).all()
