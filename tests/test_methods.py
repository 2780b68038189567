"""Every method is a model that runs on a series with clouds and gaps, and says what it is."""

import pytest
import torch

from conftest import BANDS, SIGMA
from sitsr.encoders import ENCODERS
from sitsr.methods import METHODS, method
from sitsr.model import Card, Model
from sitsr.series import InputError
from sitsr.training.losses import TERMS

SMALLER = {
    "srresnet": {"blocks": 1},
    "rrdb": {"blocks": 1, "growth": 4},
    "rams": {"blocks": 1, "squeeze": 1},
    "trmisr": {"depth": 1},
    "piunet": {"blocks": 1},
    "stacked": {"blocks": 1, "growth": 4},
    "conv3d": {"blocks": 1},
}
NETWORK = {"width": 4, "multipliers": (1, 2)}


def small(name: str) -> Model:
    """The method with little of everything."""
    fields = dict(METHODS[name].card)
    given = dict(fields.get("encoder_settings", {}))
    if given.get("embed") == "rrdb":
        given["blocks"] = 1
    fields["encoder_settings"] = given | SMALLER.get(fields["encoder"], {})
    fields["width"] = 16 if fields["encoder"] != "piunet" else 10
    if fields["generator"] in ("srdiff", "sr3"):
        fields["generator_settings"] = NETWORK | {"levels": 5}
    if fields["generator"] == "transport":
        fields["generator_settings"] = NETWORK
    return Model(Card(bands=BANDS, sigma=SIGMA, **fields))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_on_a_series_with_clouds_and_gaps(name):
    model = small(name)
    chance = torch.Generator().manual_seed(1)
    images = 0.3 * torch.rand(1, 3, 4, 7, 10, generator=chance)
    clear = torch.rand(1, 3, 7, 10, generator=chance) > 0.3
    days = torch.tensor([[-40.0, -3, 11]])
    with torch.no_grad():
        estimate = model(images, clear, days, torch.tensor([0.4]))
        assert estimate.mean.shape == (1, 4, 28, 40) and estimate.mean.isfinite().all()
        if model.samples:
            noise = torch.randn(1, 4, 28, 40, generator=chance)
            assert model.sample(estimate, lambda field: noise, 2).isfinite().all()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_names_its_paper_and_losses_that_there_are(name):
    made = METHODS[name]
    assert made.paper
    assert set(made.losses) <= set(TERMS)
    assert made.card["encoder"] in ENCODERS


def test_the_published_size_of_srdiff_for_series():
    """11.9 M parameters (literature), of which the U-Net has 11.62 M."""
    model = Model(Card(bands=BANDS, sigma=SIGMA, **METHODS["srdiff-highresnet-ltae"].card))
    unet = sum(each.numel() for each in model.generator.parameters())
    assert unet == pytest.approx(11.62e6, rel=0.01)


def test_an_unknown_method_is_told_with_the_nearest_name():
    assert method("srgan") is METHODS["srgan"]
    with pytest.raises(InputError, match="srgam is not a method; did you mean srgan"):
        method("srgam")
