"""Recipes for the public data sets are valid, and their tiny variants run on miniatures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from miniatures.breizhsr import make_breizhsr
from miniatures.probav import make_probav
from miniatures.sen2venus import make_sen2venus
from miniatures.worldstrat import make_worldstrat
from sitsr.datasets.known import DATASETS, open_dataset
from sitsr.datasets.prepare import Preparation, prepare
from sitsr.model import open_model
from sitsr.training import Recipe, read_recipe, train

pytestmark = [
    # Lightning's and torch's advice on loaders, loggers and their own future
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

FOLDER = Path(__file__).parents[1] / "recipes" / "published"
TINY = tuple((FOLDER / "tiny.txt").read_text().split())
RECIPES = [path for path in sorted(FOLDER.glob("*-*.yaml"))]
FAST = {"worldstrat-srcnn", "probav-rams"}

MAKERS: dict[str, Callable[[Path], None]] = {
    "worldstrat": make_worldstrat,
    "breizhsr": make_breizhsr,
    "sen2venus": make_sen2venus,
    "probav": make_probav,
}
HALVES = {"train": 0.5, "test": 0.5}
SAID = {
    "worldstrat": "not for commercial use: trained on imagery under CC BY-NC",
    "breizhsr": "not to be redistributed: trained on imagery without a licence",
    "sen2venus": "not for commercial use: trained on imagery under CC BY-NC",
    "probav": "not to be redistributed: trained on imagery without a licence",
}
"""Of the licence, in the card of weights."""

PREPARED = {
    "worldstrat": Preparation(register=True, harmonise="gain"),
    "breizhsr": Preparation(register=True, harmonise="gain", shares=HALVES),
    "sen2venus": Preparation(shares=HALVES),
}
"""What the first lines of the recipes ask for; PROBA-V is trained on as it is."""


@cache
def whole(path: Path, *changes: str) -> Recipe:
    """The recipe, its network built at full size, but without numbers: they take seconds."""
    with torch.device("meta"):
        return read_recipe(path, changes)


def of_name(path: Path) -> str:
    return path.stem.partition("-")[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Miniatures, and the stores that the recipes are trained from."""
    folder = tmp_path_factory.mktemp("data")
    for name, make in MAKERS.items():
        make(folder / name)
        if how := PREPARED.get(name):
            prepare(open_dataset(folder / name), folder / f"{name}-store", how, name=name)
    return folder


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_named_after_its_data_and_method(path: Path) -> None:
    recipe = whole(path)
    assert of_name(path) in DATASETS
    assert recipe.name == path.stem == f"{of_name(path)}-{recipe.method}"
    assert recipe.pairs and recipe.pairs.folder.removesuffix("-store") == of_name(path)
    if recipe.start:  # the run of a recipe that is there
        runs, earlier, weights = recipe.start.parts
        assert (runs, weights) == ("runs", "weights.safetensors")
        assert (FOLDER / f"{earlier}.yaml").is_file()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_its_first_lines_say_how_the_data_is_had(path: Path) -> None:
    name = of_name(path)
    shared = FOLDER / f"{name}.yaml"
    text = (shared if shared.exists() else path).read_text()
    assert f"sitsr data download {name} --out DATA/{name}" in text
    assert (f"sitsr data prepare DATA/{name} --out DATA/{name}-store" in text) == (name in PREPARED)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem in FAST else pytest.mark.slow, id=path.stem)
        for path in RECIPES
    ],
)
def test_its_tiny_variant_trains_on_a_miniature(path: Path, data: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path, TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = train(recipe, data, tmp_path / "run", "cpu", workers=0)
    card = open_model(weights, "cpu").card
    assert card.bands == recipe.bands and card.scale == recipe.scale
    assert card.trained_on.startswith("pairs; 4 batches")
    assert card.licence == SAID[of_name(path)]
