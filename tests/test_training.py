"""A recipe is checked before anything runs; a run is repeatable, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from conftest import landscape, make_card, make_model, write_austria, write_tif
from sitsr.datasets import Batch
from sitsr.diffusion import NOISE
from sitsr.model import Model, open_model
from sitsr.series import InputError
from sitsr.training import (
    Fit,
    Numbered,
    Recipe,
    batches,
    mean_losses,
    read_recipe,
    residual_losses,
    run,
    train,
)

pytestmark = [
    # Lightning's and torch's advice on loaders, loggers and their own future
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "steps": 6,
    "mean_steps": 3,
    "warm_up": 1,
    "validation": ["site09"],
    "network": {
        "width": 4,
        "encoder_settings": {"frame_blocks": 0, "trunk_blocks": 1},
        "generator_settings": {"width": 4, "blocks": 1},
    },
    "mixture": {"most_images": 3},
    "austria": {
        "weight": 1,
        "examples": 2,
        "folder": "austria",
        "side": 24,
        "places": ["site00"],
    },
}


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


# ------------------------------------------------------------- the recipe


def test_a_recipe_is_what_the_file_says(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    assert recipe.name == "tiny" and recipe.network["width"] == 4 and recipe.learning_rate == 1e-3
    assert recipe.austria and recipe.austria.places == ("site00",) and recipe.naip is None


def test_changes_are_laid_over_the_recipe(recipe_file: Path) -> None:
    changes = ("steps=9", "network.width=8", "austria.places=[site01, site02]", "naip.weight=0.5")
    more = ("naip.examples=3", "naip.folder=chips", "learning_rate=2.0e-4")
    recipe = read_recipe(recipe_file, changes + more)
    assert (
        recipe.steps == 9
        and recipe.network["width"] == 8
        and "generator_settings" in recipe.network
    )
    assert recipe.austria and recipe.austria.places == ("site01", "site02")
    assert recipe.naip and recipe.naip.weight == 0.5 and recipe.learning_rate == 2e-4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lerning_rate=1", "lerning_rate is not a setting; did you mean learning_rate?"),
        ("network.widht=1", "network.widht is not a setting; did you mean width?"),
        ("zzzz=1", "zzzz is not a setting"),
        ("steps=many", "steps = 'many'"),
        ("mixture.blur=[1]", "mixture.blur.1"),
        ("steps", "steps is no change to a recipe; write key=value"),
        ("steps=[", "steps=[ is no change to a recipe: [ cannot be read"),
        ("austria.places=[site00, site09]", "site09 cannot be both trained on and for validation"),
        ("validation=[site00]", "site00 cannot be both trained on and for validation"),
        ("naip.weight=1", "naip.examples"),
        ("steps.more=1", "steps = {'more': 1}"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(recipe_file: Path, change: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(recipe_file, (change,))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "is not a recipe that can be read"), ("- a\n- b\n", "but holds list"), ("[", "read")],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_recipe(path)


def test_the_recipe_of_the_package_is_valid() -> None:
    recipe = read_recipe(Path(__file__).parents[1] / "recipes/default.yaml")
    assert recipe.validation and recipe.austria and recipe.austria.places


# ------------------------------------------------------------- the archives it names


def test_all_sites_are_not_all_sites_when_some_are_for_validation(tmp_path: Path) -> None:
    write_austria(tmp_path / "austria", ("site00", "site09"))
    said = "site09 cannot be both trained on and for validation"
    with pytest.raises(InputError, match=said):
        batches(recipe_with(austria=RECIPE["austria"] | {"places": None}), tmp_path)
    write_tif(tmp_path / "chips" / "rome" / "1_2018.tif", np.zeros((4, 8, 9), np.uint8))
    naip = {"weight": 1, "examples": 1, "folder": "chips"}
    with pytest.raises(InputError, match="rome cannot be both"):
        batches(recipe_with(naip=naip, validation=["rome"]), tmp_path)


def test_a_recipe_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names nothing to train on"):
        batches(recipe_with(austria=None), tmp_path)


def test_sources_are_drawn_as_often_as_they_weigh(tmp_path: Path) -> None:
    write_austria(tmp_path / "austria")
    for year in (2016, 2018):
        chip = (255 * landscape((4, 16, 16), year)).astype(np.uint8)
        write_tif(tmp_path / "chips" / "rome" / f"1_{year}.tif", chip)
    naip = {"weight": 3, "examples": 1, "folder": "chips"}
    made = batches(recipe_with(naip=naip), tmp_path)
    counts = [len(made[k].days) for k in range(60)]
    assert set(counts) == {1, 2} and 0.6 < counts.count(1) / 60 < 0.9


def recipe_with(**fields: Any) -> Recipe:
    return Recipe.model_validate(RECIPE | fields)


# ------------------------------------------------------------- the loss

B, T, C, H, W = 3, 2, 4, 5, 7
ROBUST = {"robust": 1.0}


def make_batch(weight: float = 1.0) -> Batch:
    fine = torch.from_numpy(landscape((B, C, 4 * H, 4 * W)))
    images = torch.from_numpy(landscape((B, T, C, H, W), 1))
    clear = torch.ones(B, T, H, W, dtype=torch.bool)
    days = torch.tensor([[0.0, 5], [-3, 8], [20, -40]])
    season = torch.tensor([0.2, 0.7, float("nan")])
    return Batch(images, clear, days, fine, torch.full_like(fine, weight), season)


def loss_of(model: Model, batch: Batch, seed: int = 0) -> dict[str, torch.Tensor]:
    """All parts of both stages."""
    chance = torch.Generator().manual_seed(seed)
    return mean_losses(model, batch, ROBUST, chance) | residual_losses(model, batch, chance)


def mean_of(model: Model, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        mean: torch.Tensor = model(batch.images, batch.clear, batch.days).mean
    return mean


def test_what_may_not_be_learnt_from_does_not_matter() -> None:
    model, batch = make_model(), make_batch()
    chance = torch.Generator().manual_seed(2)
    weight = (torch.rand(batch.weight.shape, generator=chance) > 0.3).float()
    masked = batch._replace(weight=weight)
    painted = masked._replace(hr=batch.hr.where(weight > 0, torch.tensor(7.0)))
    one, other = loss_of(model, masked), loss_of(model, painted)
    for name in one:
        torch.testing.assert_close(one[name], other[name])
    assert all(float(part) == 0 for part in loss_of(model, make_batch(weight=0)).values())


def test_a_perfect_mean_costs_least() -> None:
    model, batch = make_model(), make_batch()
    perfect = loss_of(model, batch._replace(hr=mean_of(model, batch)))
    off = loss_of(model, batch._replace(hr=mean_of(model, batch) + 0.05))
    for part in ("robust", "spread", "crps", "energy"):
        assert float(perfect[part]) < float(off[part]), part


@pytest.mark.parametrize(("factor", "sign"), [(0.5, 1), (1.0, 0), (2.0, -1)])
def test_the_spread_is_asked_to_be_the_error(factor: float, sign: int) -> None:
    """The slope of the likelihood vanishes where |hr − mean| is the spread, and only there."""
    model, batch = make_model(), make_batch()
    model.spread_head.bias.requires_grad_(True)
    with torch.no_grad():
        estimate = model(batch.images, batch.clear, batch.days)
    missed = batch._replace(hr=estimate.mean + factor * estimate.spread)
    part = mean_losses(model, missed, ROBUST, torch.Generator())["spread"]
    (slope,) = torch.autograd.grad(part, model.spread_head.bias)
    assert (slope.sign() == sign).all() if sign else slope.abs().max() < 1e-6


def taught(part: torch.Tensor, network: torch.nn.Module) -> list[bool]:
    weights = list(network.parameters())
    slopes = torch.autograd.grad(part, weights, retain_graph=True, allow_unused=True)
    return [each is not None and bool(each.any()) for each in slopes]


def test_each_part_of_the_loss_teaches_its_own_networks() -> None:
    model = make_model().requires_grad_(True)
    parts = loss_of(model, make_batch())
    assert any(taught(parts["robust"], model.encoder)) and all(
        taught(parts["robust"], model.mean_head)
    )
    assert all(taught(parts["spread"], model.spread_head))
    assert not any(taught(parts["spread"], model.mean_head))
    drawing = model.generator
    for part, network in (("flow", drawing.flow), ("crps", drawing.one_step)):
        assert all(taught(parts[part], network))
    for part in ("flow", "crps", "energy"):
        assert not any(taught(parts[part], model.encoder) + taught(parts[part], model.mean_head))


def test_the_flow_is_learnt_at_all_angles() -> None:
    model, batch, seen = make_model(), make_batch(), []
    model.generator.flow.register_forward_pre_hook(lambda _, given: seen.extend(given[1].tolist()))
    for seed in range(30):
        loss_of(model, batch, seed)
    assert min(seen) < 0.1 * NOISE and max(seen) > 0.9 * NOISE
    assert abs(np.mean(seen) / NOISE - 0.5) < 0.1


# ------------------------------------------------------------- the run


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return open_model(path, "cpu").state_dict()


def equal(one: Path, other: Path) -> bool:
    pairs = zip(weights_of(one).values(), weights_of(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_austria(tmp_path / "data" / "austria")
    return tmp_path / "data"


@pytest.fixture
def losses_seen(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loss of every batch of every run."""
    seen: list[float] = []
    step = Fit.training_step

    def noted(self: Fit, batch: Batch, index: int) -> torch.Tensor:
        seen.append(float(loss := step(self, batch, index)))
        return loss

    monkeypatch.setattr(Fit, "training_step", noted)
    monkeypatch.setattr(run, "EPOCH", 2)
    return seen


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(
    data: Path, tmp_path: Path, losses_seen: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_with()
    whole = train(recipe, data, tmp_path / "whole", "cpu", workers=0)
    straight = losses_seen.copy()
    assert len(straight) == 6 and np.isfinite(straight).all() and len(set(straight)) == 6
    losses_seen.clear()

    noted = Fit.training_step

    def stops(self: Fit, batch: Batch, index: int) -> torch.Tensor:
        if len(losses_seen) == 3:  # amid the second epoch
            raise RuntimeError("power cut")
        return noted(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "training_step", stops)
        with pytest.raises(RuntimeError, match="power cut"):
            train(recipe, data, tmp_path / "parts", "cpu", workers=0)
    assert not equal(whole, tmp_path / "parts" / "weights.safetensors")
    resumed = train(recipe, data, tmp_path / "parts", "cpu", workers=0)
    assert losses_seen == straight[:3] + straight[2:]  # from the last checkpoint
    assert equal(whole, resumed)


def test_weights_carry_the_recipe_and_are_an_average(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    path = train(recipe_with(), data, tmp_path / "run", "cpu", workers=0)
    model = open_model(path, "cpu")
    assert model.card.name == "tiny" and "austria; 6 batches in 0.00 h" in model.card.trained_on
    assert Recipe.model_validate(yaml.safe_load(model.card.recipe)) == recipe_with()
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["state_dict"]
    name = "encoder.frame_stem.weight"
    assert torch.equal(last[f"averaged.module.{name}"], model.state_dict()[name])
    assert not torch.equal(last[f"model.{name}"], model.state_dict()[name])
    assert {each.name for each in path.parent.iterdir()} == {
        "last.ckpt",
        "log",
        "recipe.yaml",
        "weights.safetensors",
    }


def test_a_seed_gives_the_same_losses_and_another_gives_others(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(recipe_with(steps=2, seed=seed), data, tmp_path / name, "cpu", workers=0)
    first, second, other = losses_seen[:2], losses_seen[2:4], losses_seen[4:]
    assert first == second and first != other


@pytest.mark.slow
def test_workers_make_the_same_batches(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    for workers in (0, 1):
        train(recipe_with(), data, tmp_path / f"{workers}", "cpu", workers=workers)
    assert losses_seen[:6] == losses_seen[6:]


@pytest.mark.slow
def test_a_hundred_steps_learn_something(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    train(
        recipe_with(steps=100, mean_steps=100, warm_up=10), data, tmp_path / "run", "cpu", workers=0
    )
    assert np.mean(losses_seen[-20:]) < np.mean(losses_seen[:20])


def test_a_folder_keeps_to_its_recipe(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("name: other\n")
    with pytest.raises(InputError, match="holds a run of another recipe; give another --run"):
        train(recipe_with(), data, folder, "cpu", workers=0)


def test_epochs_number_their_batches_without_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EPOCH", 4)
    sampler, numbers = Numbered(10), []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        numbers += list(sampler)
    assert numbers == list(range(10))


def test_the_learning_rate_climbs_and_falls_to_a_hundredth_in_each_stage() -> None:
    recipe = recipe_with(steps=160, mean_steps=100, warm_up=20, learning_rate=0.5)
    configured = Fit(recipe, make_card()).configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(160):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    for first, last in ((0, 100), (100, 160)):
        stage = rates[first:last]
        assert stage[0] == pytest.approx(0.5 / 20) and max(stage) == pytest.approx(0.5)
        assert stage[19:21] == [pytest.approx(0.5)] * 2
        assert stage[(20 + last - first) // 2] == pytest.approx(0.5 * 0.505)
        assert 0.005 <= stage[-1] < 0.007
