"""Laws: weights named as a rival answer as their own model does; what a model was trained on is
told where it is scored; a spec that leads nowhere is refused."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import SIGMA, make_card, make_model, make_series
from sitsr.datasets import Pair
from sitsr.evaluation.rivals import is_rival, rival, trained_on
from sitsr.inference import Settings, super_resolve
from sitsr.model import open_model, save_model
from sitsr.series import InputError

RECIPE = yaml.safe_dump(
    {
        "name": "theirs",
        "austria": {"folder": "austria", "places": ["hill", "dale"]},
        "theia": {"folder": "fordead", "places": None},
        "naip": None,
    }
)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    model = make_model(2, name="theirs")
    model.card = replace(model.card, recipe=RECIPE)
    save_model(model, tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


def pair() -> Pair:
    series = make_series((12, 16), days=(-5, 0, 9))
    target = series.dates[1]
    hr = np.zeros((len(series.bands), 48, 64), np.float32)
    told = (series, target, 4, "hill", "here", "scale transfer")
    return Pair(*told, hr, np.ones((48, 64), bool), SIGMA)


def test_a_rival_answers_as_its_model_does(weights: Path) -> None:
    entered = rival(f"x={weights}@2,3", 4, (), "cpu")
    assert [each.name for each in entered] == ["x mean", "x 2 steps", "x 3 steps"]
    asked, model = pair(), open_model(weights, "cpu")
    said = entered[1].run(asked, 5)
    own = super_resolve(
        asked.series,
        asked.target,
        model,
        Settings(samples=4, steps=2, seed=5),
    )
    np.testing.assert_allclose(said.mean, own.mean, atol=1e-6)
    np.testing.assert_allclose(said.samples, own.samples, atol=1e-6)


def test_a_rival_goes_by_its_own_name_and_number_of_steps(weights: Path) -> None:
    assert [each.name for each in rival(str(weights), 2, (), "cpu")] == [
        "theirs mean",
        "theirs 1 step",
    ]


def test_a_model_without_a_generator_has_a_mean_alone(tmp_path: Path) -> None:
    model = make_model(2, name="plain", generator="none", generator_settings={})
    save_model(model, tmp_path / "plain.safetensors")
    found = rival(str(tmp_path / "plain.safetensors"), 2, (), "cpu")
    assert [each.name for each in found] == ["plain mean"]


def test_what_a_card_was_trained_on_is_read_from_its_recipe() -> None:
    assert trained_on(replace(make_card(), recipe=RECIPE)) == {"hill", "dale", "theia"}
    assert trained_on(make_card()) == set()


def test_scored_ground_that_it_was_trained_on_is_told(
    weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rival(str(weights), 2, ("lake",), "cpu")
        assert not caplog.records
        rival(str(weights), 2, ("hill", "lake"), "cpu")
    assert "theirs was trained on hill, which is scored here" in caplog.text


@pytest.mark.parametrize("counts", ["", "0", "2,", "two"])
def test_steps_that_are_none_are_refused(weights: Path, counts: str) -> None:
    with pytest.raises(InputError, match="steps after @ should be numbers above 0"):
        rival(f"{weights}@{counts}", 2, (), "cpu")


def test_only_weights_are_rivals() -> None:
    assert is_rival("a=b/c.safetensors") and is_rival("c.safetensors@1,2")
    assert not is_rival("a=b.onnx") and not is_rival("my.module:function")
