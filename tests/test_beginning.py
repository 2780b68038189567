"""Laws: a run begins with the weights it is given, whole or of the mean alone; half an encoder is
refused; a recipe like another is that other one but for what it says."""

from pathlib import Path

import pytest
import torch

from conftest import make_card, make_model
from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.model import Model, open_model, save_model
from sitsr.series import InputError
from sitsr.training import read_recipe, train
from sitsr.training.beginning import begin_with
from sitsr.training.recipe import card_of

OLD = """
name: old
network: {width: 4, encoder_settings: {frame_blocks: 1, trunk_blocks: 1}, generator: none}
steps: 7
mixture: {noise: 0.001, clouded: 0.25}
naip: {weight: 1, examples: 2, folder: naip}
austria: {weight: 1, examples: 2, folder: austria, side: 32}
"""


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, Model]:
    torch.manual_seed(3)
    model = make_model(3)
    for weights in model.parameters():
        torch.nn.init.normal_(weights)
    path = tmp_path / "trained.safetensors"
    save_model(model, path)
    return path, open_model(path, "cpu")


def same(one: Model, other: Model, front: str) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    names = [name for name in ours if name.startswith(front)]
    assert names
    return all(torch.equal(ours[name], theirs[name]) for name in names)


def test_the_same_network_takes_over_everything(trained: tuple[Path, Model]) -> None:
    path, model = trained
    begun = Model(model.card)
    begin_with(begun, path)
    assert same(begun, model, "")


def test_another_generator_begins_anew_under_the_same_mean(trained: tuple[Path, Model]) -> None:
    path, model = trained
    begun = Model(make_card(generator="karras", generator_settings={"width": 8, "blocks": 1}))
    before = {name: told.clone() for name, told in begun.generator.state_dict().items()}
    begin_with(begun, path)
    for part in ("encoder", "mean_head", "spread_head"):
        assert same(begun, model, part)
    after = begun.generator.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_half_an_encoder_is_refused(trained: tuple[Path, Model]) -> None:
    path, model = trained
    wider = Model(make_card(width=2 * model.card.width))
    before = {name: told.clone() for name, told in wider.state_dict().items()}
    with pytest.raises(InputError, match=r"has no encoder\.\S+ of shape .*same encoder and width"):
        begin_with(wider, path)
    assert all(torch.equal(told, before[name]) for name, told in wider.state_dict().items())


def test_a_run_without_the_weights_it_begins_with_leaves_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, old=OLD)
    recipe = read_recipe(path, (f"start={tmp_path / 'gone.safetensors'}",))
    with pytest.raises(InputError, match=r"gone\.safetensors is not there; run the recipe"):
        train(recipe, tmp_path, tmp_path / "run", "cpu")
    assert not (tmp_path / "run").exists()


def test_settings_of_the_methods_encoder_are_not_anothers(tmp_path: Path) -> None:
    change = ("network.encoder=highresnet", "network.width=8", "network.encoder_settings=null")
    path = tmp_path / "plain.yaml"
    path.write_text("name: plain\nmethod: srresnet")
    assert card_of(read_recipe(path, change[:2])).encoder_settings == {}
    assert card_of(read_recipe(path, change)).encoder_settings == {}
    own = card_of(read_recipe(path)).encoder_settings
    assert own and card_of(read_recipe(path, change[2:])).encoder_settings == own


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


def test_a_recipe_like_another_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    text = """
like: old.yaml
name: new
mixture: {noise: 0.5}
network: {encoder_settings: {trunk_blocks: 3}}
"""
    recipe = read_recipe(written(tmp_path, old=OLD, new=text))
    old = read_recipe(tmp_path / "old.yaml")
    assert recipe.name == "new" and recipe.mixture.noise == 0.5
    assert recipe.network["encoder_settings"] == {"frame_blocks": 1, "trunk_blocks": 3}
    told = {"name": old.name, "mixture": old.mixture, "network": old.network}
    assert recipe.model_copy(update=told) == old


def test_null_takes_a_setting_out(tmp_path: Path) -> None:
    text = "like: old.yaml\nnaip: null\nmixture: {clouded: null}"
    recipe = read_recipe(written(tmp_path, old=OLD, new=text))
    assert recipe.naip is None and recipe.austria is not None
    assert recipe.mixture.noise == 0.001  # what is not named stays
    assert recipe.mixture.clouded == type(recipe.mixture)().clouded  # what is taken out is usual


def test_a_ring_of_likeness_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, one="like: two.yaml", two="like: one.yaml")
    with pytest.raises(InputError, match=r"is like .*, which is like it; leave one of the two out"):
        read_recipe(path)


def test_the_point_spread_function_of_a_network_is_the_sensors_unless_said(tmp_path: Path) -> None:
    path = written(tmp_path, old=OLD)
    assert card_of(read_recipe(path)).sigma == tuple(SENTINEL2_SIGMA.values())
    changed = read_recipe(path, ("network.sigma=[0.4, 0.3, 0.2, 0.1]",))
    assert card_of(changed).sigma == (0.4, 0.3, 0.2, 0.1)
    with pytest.raises(
        InputError, match=r"network\.sigma has 2 numbers; give one for each of the 4"
    ):
        read_recipe(path, ("network.sigma=[0.4, 0.3]",))


def test_a_missing_likeness_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yaml is not a recipe that can be read"):
        read_recipe(written(tmp_path, new="like: gone.yaml"))
