"""A recipe is checked before anything runs; a run is repeatable, and goes on where it stopped."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import CliRunner

from conftest import landscape, make_card, make_model, write_austria, write_tif
from sitsr import __version__
from sitsr.cli import app
from sitsr.datasets import Batch, at_hand, export_pairs, scale_transfer_pairs
from sitsr.datasets.archives import read_austria
from sitsr.diffusion import NOISE
from sitsr.model import Model, open_model
from sitsr.series import InputError
from sitsr.training import (
    Engine,
    Fit,
    Numbered,
    Recipe,
    batches,
    mean_losses,
    read_recipe,
    rehearse,
    residual_losses,
    run,
    train,
    watching,
)
from sitsr.training.recipe import card_of, data_fingerprint, licence

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
        ("patience=0", "patience = 0"),
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


ALSAT = {"weight": 1, "examples": 2, "folder": "alsat2b", "side": 16}
THREE = ["B02", "B03", "B04"]


def write_alsat2b(folder: Path) -> None:
    (folder / "Test").mkdir(parents=True)
    for number in range(3):
        for part, side in (("LR", 8), ("HR", 32)):
            (folder / "Train" / part).mkdir(parents=True, exist_ok=True)
            width = side + side // 4
            picture = (255 * landscape((side, width, 3), number)).astype(np.uint8)
            Image.fromarray(picture).save(folder / "Train" / part / f"{part}_{number}.jpg")


def test_alsat2b_is_trained_on_in_three_bands_and_said_not_to_be_passed_on(tmp_path: Path) -> None:
    write_alsat2b(tmp_path / "alsat2b")
    write_austria(tmp_path / "austria")
    recipe = recipe_with(alsat2b=ALSAT, bands=THREE)
    made = batches(recipe, tmp_path)
    assert {made[k].images.shape[1:3] for k in range(20)} >= {(1, 3), (3, 3)}  # both sources
    assert {made[k].hr.shape[1] for k in range(20)} == {3}
    card = card_of(recipe)
    assert card.bands == tuple(THREE) and len(card.sigma) == 3
    said = "not to be redistributed: trained on imagery without a licence"
    assert licence(recipe, tmp_path) == said
    assert licence(recipe_with(bands=THREE), tmp_path) == "Apache-2.0"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"alsat2b": ALSAT},
            "alsat2b has no B08; set bands to B02, B03, B04, or leave alsat2b out",
        ),
        ({"bands": ["B02", "B11"]}, "bands are B02, B11; choose some of B02, B03, B04, B08"),
        ({"bands": ["B02", "B02"]}, "bands are B02, B02; choose some of"),
        ({"bands": []}, "bands are none; choose some of"),
    ],
)
def test_bands_that_cannot_be_had_are_named(change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE | change))
    with pytest.raises(InputError, match=said):
        read_recipe(path)
    with pytest.raises(InputError, match=said):
        batches(recipe_with(**change), tmp_path)


def test_pairs_on_disk_are_a_source_and_keep_out_of_validation(tmp_path: Path) -> None:
    here = make_archive_pairs(tmp_path / "pairs")
    pairs = {"weight": 1, "examples": 2, "folder": "pairs", "side": 16}
    made = batches(recipe_with(austria=None, pairs=pairs), tmp_path)
    assert made[0].hr.shape == (2, 4, 16, 16) and made[0].images.shape[3:] == (4, 4)
    told = data_fingerprint(made)
    here.rename(tmp_path / "moved")
    pairs = pairs | {"folder": "moved"}
    moved = batches(recipe_with(austria=None, pairs=pairs), tmp_path)
    assert data_fingerprint(moved) == told  # of what is in the files, not of where they lie
    with pytest.raises(InputError, match="site00 cannot be both trained on and for validation"):
        batches(recipe_with(austria=None, pairs=pairs, validation=["site00"]), tmp_path)
    with pytest.raises(InputError, match="does not hold site05; it holds site00"):
        held = pairs | {"places": ["site05"]}
        batches(recipe_with(austria=None, pairs=held), tmp_path)


def make_archive_pairs(folder: Path) -> Path:
    """Pairs of scale transfer, written as files."""
    write_austria(folder.parent / "austria")
    (archive,) = read_austria(folder.parent / "austria")
    export_pairs([at_hand(pair) for pair in scale_transfer_pairs(archive, 2)], folder)
    return folder


@pytest.mark.parametrize("method", ["srcnn", "sitsr"])
def test_a_method_is_trained_in_three_bands(method: str, tmp_path: Path) -> None:
    write_alsat2b(tmp_path / "alsat2b")
    small = RECIPE["network"] if method == "sitsr" else {}
    recipe = recipe_with(
        austria=None, validation=[], alsat2b=ALSAT, bands=THREE, method=method, network=small
    )
    rehearse(recipe, tmp_path, "cpu", workers=0)


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
    assert torch.equal(last[f"averaged.module.{name}"].half(), model.state_dict()[name].half())
    assert not torch.equal(last[f"model.{name}"].half(), model.state_dict()[name].half())
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


# ------------------------------------------------------------- what is looked at


@pytest.fixture
def more_data(tmp_path: Path) -> Path:
    """The same, and a validation site."""
    write_austria(tmp_path / "more" / "austria", ("site00", "site09"))
    return tmp_path / "more"


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "log" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_validation_changes_nothing_of_training(
    data: Path, more_data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    without = train(recipe_with(), data, tmp_path / "without", "cpu", workers=0)
    with_it = train(recipe_with(), more_data, tmp_path / "with", "cpu", workers=0)
    assert losses_seen[:6] == losses_seen[6:] and equal(without, with_it)
    values = [float(row["val_loss"]) for row in logged(tmp_path / "with") if row.get("val_loss")]
    assert len(values) == 3 and np.isfinite(values).all() and len(set(values)) == 3
    assert not (tmp_path / "without" / "patches").exists()
    assert any((tmp_path / "with" / "log").glob("events.*"))  # TensorBoard's


def test_validation_losses_are_those_of_the_averaged_weights(
    more_data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    recipe = recipe_with(steps=4, mean_steps=4)
    model = open_model(train(recipe, more_data, tmp_path / "run", "cpu", workers=0), "cpu")
    parts = [
        mean_losses(model, batch, ROBUST, torch.Generator())
        for batch in watching.validation_batches(recipe, more_data)
    ]
    last = [row for row in logged(tmp_path / "run") if row.get("val_loss")][-1]
    for name in ("robust", "spread"):
        expected = np.mean([float(part[name]) for part in parts])
        # the weights were rounded to half precision when they were written
        assert float(last[f"val_{name}"]) == pytest.approx(expected, rel=1e-4)
    assert float(last["val_loss"]) == pytest.approx(
        float(last["val_robust"]) + float(last["val_spread"]), rel=1e-5
    )


def test_validation_batches_are_the_middle_of_whole_images(more_data: Path) -> None:
    (archive,) = read_austria(more_data / "austria", ["site09"])
    seen, held_out = watching.validation_batches(recipe_with(), more_data, stride=3)
    assert seen.hr.shape == (1, 4, 36, 48) and seen.images.shape == (1, 3, 4, 9, 12)
    assert any((seen.hr[0].numpy() == image[:, :36, :48]).all() for image in archive.images)
    assert bool((seen.days == 0).any()) and not bool((held_out.days == 0).any())
    assert set(np.unique(seen.weight)) <= {0.0, 1.0} and bool(seen.season.isnan().all())
    assert watching.validation_batches(recipe_with(validation=["site77"]), more_data) == ()


def test_pictures_are_kept_up_to_a_number(
    more_data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    train(recipe_with(), more_data, tmp_path / "run", "cpu", 0, Engine(pictures=2))
    names = sorted(path.name for path in (tmp_path / "run" / "patches").iterdir())
    assert names == ["epoch-00001.png", "epoch-00002.png"]
    picture = Image.open(tmp_path / "run" / "patches" / names[-1])
    assert picture.size == (4 * 52 + 3 * 2, 2 * 40 + 2)
    train(recipe_with(), more_data, tmp_path / "none", "cpu", 0, Engine(pictures=0))
    assert not (tmp_path / "none" / "patches").exists()


@pytest.mark.parametrize("generator", ["rotation", "none"])
def test_a_picture_shows_input_mean_sample_and_reference_in_one_stretch(generator: str) -> None:
    settings = {} if generator == "none" else {"width": 4, "blocks": 1}
    model = make_model(generator=generator, generator_settings=settings)
    batch = make_batch()
    with torch.no_grad():
        picture = watching.panels(model, batch)
        mean = model(batch.images, batch.clear, batch.days).mean
    count = 4 if model.samples else 3
    rows, cols = 4 * H, 4 * W
    assert picture.shape == (rows, count * (cols + 2) - 2, 3)
    parts = [picture[:, k * (cols + 2) :][:, :cols] for k in range(count)]
    low, high = np.percentile(batch.hr[0, :3], (1, 99))
    images = [batch.images[0, 0].repeat_interleave(4, 1).repeat_interleave(4, 2), mean[0]]
    for part, image in ((parts[0], images[0]), (parts[1], images[1]), (parts[-1], batch.hr[0])):
        share = (image[[2, 1, 0]].numpy() - low) / (high - low)
        expected = np.rint(255 * np.clip(share, 0, 1)).transpose(1, 2, 0)
        assert np.abs(part - expected).max() <= 1
    if model.samples:
        assert (parts[2] != parts[1]).any()


def scored_as(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Validation losses, epoch by epoch."""
    monkeypatch.setattr(
        watching.Watch,
        "_losses",
        lambda self, fit, model, batches: {"val_loss": torch.tensor(values[fit.current_epoch])},
    )


def test_patience_ends_a_run_for_good(
    more_data: Path, tmp_path: Path, losses_seen: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored_as(monkeypatch, 3.0, 2.0, 2.5, 2.1, 1.0)
    recipe = recipe_with(steps=10, mean_steps=0, patience=2)
    path = train(recipe, more_data, tmp_path / "run", "cpu", workers=0)
    assert len(losses_seen) == 8 and "8 batches" in open_model(path, "cpu").card.trained_on
    train(recipe, more_data, tmp_path / "run", "cpu", workers=0)
    assert len(losses_seen) == 8
    earlier = tmp_path / "run" / "log" / "metrics-001.csv"
    assert len(earlier.read_text().splitlines()) == 1 + 4  # going on deletes no log


def test_patience_counts_in_the_last_stage_only(
    more_data: Path, tmp_path: Path, losses_seen: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored_as(monkeypatch, 1.0, 2.0, 3.0, 9.0, 9.5)
    recipe = recipe_with(steps=10, mean_steps=6, patience=1)
    train(recipe, more_data, tmp_path / "run", "cpu", workers=0)
    assert len(losses_seen) == 10  # stops after the fifth epoch, which is the last anyway
    losses_seen.clear()
    scored_as(monkeypatch, 1.0, 2.0, 3.0, 4.0, 5.0)
    train(
        recipe_with(steps=10, mean_steps=4, patience=1), more_data, tmp_path / "b", "cpu", workers=0
    )
    assert len(losses_seen) == 8


def test_patience_needs_something_to_judge_by(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="patience is 2, but no validation site lies below"):
        train(recipe_with(patience=2), data, tmp_path / "run", "cpu", workers=0)


# ------------------------------------------------------------- how a run is driven


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (Engine(precision="8"), "precision 8 is not known; choose from 32, 16-mixed, bf16-mixed"),
        (Engine(precision="16-mixed"), "16-mixed needs CUDA; on a CPU give 32 or bf16-mixed"),
        (Engine(devices=0), "0 devices are asked for; give 1 to"),
        (Engine(devices=3), "2 examples cannot be shared among 3 devices"),
        (Engine(logger="paper"), "logger paper is not known; choose from wandb, mlflow"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(
    data: Path, tmp_path: Path, engine: Engine, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        train(recipe_with(), data, tmp_path / "run", "cpu", 0, engine)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_named(
    data: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"lightning.pytorch.loggers.{name}._{name.upper()}_AVAILABLE"
    monkeypatch.setattr(where, False)
    with pytest.raises(InputError, match=f"{name} is not installed; install it, or leave"):
        train(recipe_with(), data, tmp_path / "run", "cpu", 0, Engine(logger=name))


def test_half_precision_trains_other_numbers_that_are_finite(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    for precision in ("32", "bf16-mixed"):
        recipe = recipe_with(steps=2, mean_steps=1)
        train(recipe, data, tmp_path / precision, "cpu", 0, Engine(precision=precision))
    whole, half = losses_seen[:2], losses_seen[2:]
    assert np.isfinite(half).all() and whole != half
    np.testing.assert_allclose(half, whole, rtol=0.1)


def test_a_rehearsal_runs_both_stages_and_keeps_nothing(
    more_data: Path, tmp_path: Path, losses_seen: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    stages: list[set[str]] = []
    monkeypatch.setattr(Fit, "log_dict", lambda self, parts, **_: stages.append(set(parts)))
    rehearse(recipe_with(patience=3), more_data, "cpu", 0)
    assert len(losses_seen) == 2 and "robust" in stages[0] and "flow" in stages[1]
    assert "val_loss" in stages[2]
    assert set(tmp_path.rglob("*")) == before


def test_the_command_rehearses(
    data: Path, recipe_file: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    words = ["train", str(recipe_file), "--data", str(data), "--run", str(tmp_path / "run")]
    more = ["--device", "cpu", "--workers", "0", "--precision", "32", "--fast-dev-run"]
    done = CliRunner().invoke(app, words + more)
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith("tiny: two batches run; nothing is kept")
    assert len(losses_seen) == 2 and not (tmp_path / "run").exists()


# ------------------------------------------------------------- where weights come from


def test_weights_say_where_they_come_from(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    recipe = recipe_with(steps=2)
    path = train(recipe, data, tmp_path / "run", "cpu", workers=0)
    told = open_model(path, "cpu").card.provenance
    assert told["sitsr"] == __version__ and told["torch"] == torch.__version__
    assert told["lightning"] and told["data"] == data_fingerprint(batches(recipe, data))


def test_the_fingerprint_is_of_the_data_alone(data: Path, more_data: Path) -> None:
    first = data_fingerprint(batches(recipe_with(), data))
    assert len(first) == 64
    assert data_fingerprint(batches(recipe_with(), more_data)) == first
    other = recipe_with(mixture={"most_images": 2}, seed=5)
    assert data_fingerprint(batches(other, data)) == first
    changed = batches(recipe_with(), data)
    changed.sources["austria"][2].held[0].images[1, 2, 3, 4] += 0.001
    assert data_fingerprint(changed) != first
    renamed = batches(recipe_with(), data)
    renamed.sources["flanders"] = renamed.sources.pop("austria")
    assert data_fingerprint(renamed) != first


def test_weights_without_provenance_still_open(
    data: Path, tmp_path: Path, losses_seen: list[float]
) -> None:
    path = train(recipe_with(steps=2), data, tmp_path / "run", "cpu", workers=0)
    with safe_open(path, "pt") as file:
        card = json.loads(file.metadata()["card"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del card["provenance"]
    save_file(weights, tmp_path / "old.safetensors", metadata={"card": json.dumps(card)})
    assert open_model(tmp_path / "old.safetensors", "cpu").card.provenance == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("network.encoder=ltaee",), "ltaee is not an encoder; choose from target date"),
        (("network.encoder_settings.blocks=2",), "blocks is not a setting of target date"),
        (("method=srgam",), "srgam is not a method; did you mean srgan"),
        (("losses.charboniere=1",), "did you mean charbonnier?"),
    ],
)
def test_a_network_that_cannot_be_is_named(
    recipe_file: Path, changes: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(recipe_file, changes)
    assert said in str(caught.value) and "\n" not in str(caught.value)
