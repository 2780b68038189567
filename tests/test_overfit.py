"""Every method can learn: it fits four patches of real images to above 40 dB.

A network that cannot learn four patches by heart has a fault. Patches are windows of the
demonstration series, low-resolution series what the sensor would have seen of them; bicubic
interpolation stays far below the bar. Methods are as published but for widths and depths, and
learn from the losses of the engine.

One encoder stands for its like under SRDiff and flow matching, which all take its features in the
same way. The spread learns beside the mean, as it always does: it once had a say in the features,
and by heart, where errors change fast, its gradient outweighed the mean's own loss so far that RAMS
and the recurrent encoders never passed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import cache, partial
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sitsr
from sitsr.consistency import SENTINEL2_SIGMA, observe
from sitsr.datasets.batches import Batch
from sitsr.encoders import upsample
from sitsr.methods import METHODS
from sitsr.metrics import psnr
from sitsr.model import GENERATORS, Card, Estimate, Model
from sitsr.series import phase_of_year
from sitsr.training.adversarial import PatchDiscriminator
from sitsr.training.losses import mean_losses, residual_losses

pytestmark = pytest.mark.slow

B, T, C, H, W = 4, 3, 2, 6, 7
BANDS = ("B04", "B08")
SIGMA = tuple(SENTINEL2_SIGMA[band] for band in BANDS)
DATES = (date(2020, 6, 21), date(2021, 7, 16), date(2022, 6, 1))
TARGET = DATES[1]
GAIN = 1.25
"""What reflectance is multiplied by, so that bicubic interpolation stays below 30 dB."""

BAR, ENOUGH = 40.0, 41.0
"""Decibels that every method must pass, and at which learning stops."""

BEGUN = 34.0
"""Decibels at which the mean stops where a generator follows: what it leaves is to be drawn."""

DENSE = {"blocks": 1, "growth": 8}
NARROW: dict[str, dict[str, Any]] = {
    "target date": {"frame_blocks": 1, "trunk_blocks": 1},
    "srcnn": {},
    "srresnet": {"blocks": 2},
    "rrdb": DENSE,
    "highresnet": {"blocks": 1},
    "ltae": {"blocks": 1},
    "rams": {"frames": 5, "blocks": 1},
    "trmisr": {"depth": 1, "blocks": 1},
    "piunet": {"blocks": 1},
    "stacked": DENSE | {"frames": 4},
    "conv3d": {"frames": 5, "blocks": 1},
    "convgru": {"blocks": 1, "frames": 4},
    "convlstm": {"blocks": 1, "frames": 4},
}
"""Depth of each encoder; its width is 32."""

UNET = {"width": 32, "multipliers": (1, 2)}
SMALL: dict[str, dict[str, Any]] = {
    "none": {},
    "rotation": {"width": 64, "blocks": 2},
    "karras": {"width": 64, "blocks": 2},
    "srdiff": UNET,
    "sr3": UNET,
    "transport": UNET,
}
"""Size of each generator; chains keep all their levels."""

AT_HIGH_RESOLUTION = {"srdiff", "sr3", "transport"}
"""Generators whose networks are the costly ones. They learn scale 2, a quarter of the pixels, with
REPEATS of each patch in a batch: every one draws its own level of noise, and gradients of four
levels alone are too rough."""

REPEATS = 3

MEANS = [name for name, made in METHODS.items() if made.card.get("generator") == "none"]
MEANS += ["sitsr", "sitsr-free", "sitsr-ltae"]
SAMPLERS = {
    "sitsr": (1, 4),
    "sitsr-edm": (8,),
    "sitsr-haar": (1, 4),
    "sitsr-free": (1, 4),
    "sitsr-ltae": (1, 4),
    "srdiff": (10,),
    "srdiff-highresnet-ltae": (10,),
    "cfm-highresnet": (10,),
    "cfm-piunet": (10,),
    "sr3": (10,),
}
"""Numbers of steps that samples are drawn with; all must pass."""

INSTEAD = {"piunet": {"l1": 1.0}}
"""What is learnt from in place of a method's own terms. The Laplace likelihood counts a pixel by
the inverse of the error expected there. Learnt by heart, errors that are small already count the
most, and the others stay: the mean stops at 30 dB."""


def smaller(name: str) -> Model:
    """The method with less width and depth, and weights that are always the same."""
    fields = dict(METHODS[name].card)
    depth = fields.get("encoder_settings", {}) | NARROW[fields["encoder"]]
    size = fields.get("generator_settings", {}) | SMALL[fields["generator"]]
    fields |= {"width": 32, "encoder_settings": depth, "generator_settings": size}
    torch.manual_seed(0)
    scale = 2 if fields["generator"] in AT_HIGH_RESOLUTION else 4
    return Model(Card(bands=BANDS, sigma=SIGMA, scale=scale, **fields))


@cache
def patches(scale: int) -> Batch:
    """Four windows of three clear dates, as they are and as the sensor would see them."""
    series = sitsr.open_series(str(files("sitsr") / "demo")).select(BANDS)
    series = series.keep([series.dates.index(day) for day in DATES])
    rows, cols = scale * H, scale * W
    corners = [(60, 10), (60, 90), (100, 30), (100, 80)]
    windows = [np.s_[..., row : row + rows, col : col + cols] for row, col in corners]
    assert all(series.clear[window].all() for window in windows)
    fine = torch.from_numpy(GAIN * np.stack([series.images[window] for window in windows]))
    hr = fine[:, DATES.index(TARGET)]
    return Batch(
        torch.stack([observe(each, SIGMA, scale) for each in fine]),
        torch.ones(B, T, H, W, dtype=torch.bool),
        torch.from_numpy(series.days_from(TARGET)).repeat(B, 1),
        hr,
        torch.ones_like(hr),
        torch.full((B,), phase_of_year(TARGET)),
    )


def decibels(image: Tensor, hr: Tensor) -> float:
    """PSNR of four images [B, C, scale·H, scale·W], the error pooled."""
    estimate, truth = (each.transpose(0, 1).flatten(1, 2) for each in (image, hr))
    return psnr(estimate.numpy(), truth.numpy(), np.ones(truth.shape[1:], bool))


def estimated(model: Model) -> Estimate:
    batch = patches(model.card.scale)
    estimate: Estimate = model(batch.images, batch.clear, batch.days, batch.season)
    return estimate


@torch.no_grad()
def of_mean(model: Model) -> float:
    """PSNR of the mean."""
    return decibels(estimated(model).mean, patches(model.card.scale).hr)


@torch.no_grad()
def of_samples(model: Model, steps: int) -> float:
    """PSNR of the mean of eight samples."""
    hr = patches(model.card.scale).hr

    def noise(sample: int, number: int) -> Tensor:
        chance = torch.Generator().manual_seed(100 * sample + number)
        return torch.randn(hr.shape, generator=chance)

    estimate = estimated(model)
    drawn = [model.sample(estimate, partial(noise, sample), steps) for sample in range(8)]
    return decibels(torch.stack(drawn).mean(0), hr)


def best(
    weights: Sequence[nn.Parameter],
    losses: Callable[[], dict[str, Tensor]],
    score: Callable[[], float],
    plan: tuple[float, int, int],
    enough: float = ENOUGH,
) -> float:
    """The best score while weights learn; plan: learning rate, most steps, steps between scores.

    The rate falls to zero over most steps.
    """
    rate, most, between = plan
    optimiser = torch.optim.Adam(weights, rate, betas=(0.9, 0.99))
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, most)
    reached = score()
    for step in range(1, most + 1):
        optimiser.zero_grad()
        torch.stack(list(losses().values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(weights, 0.5)
        optimiser.step()
        falling.step()
        if step % between == 0:
            reached = max(reached, score())
            if reached > enough:
                break
    return reached


def best_mean(name: str, model: Model, enough: float = ENOUGH) -> float:
    """PSNR that the mean reaches with the method's own losses."""
    terms = INSTEAD.get(METHODS[name].card["encoder"], METHODS[name].losses)
    against = PatchDiscriminator(C, 16) if "adversarial" in terms else None
    weights = [*model.parameters(), *(against.parameters() if against else ())]
    chance = torch.Generator().manual_seed(1)

    def losses() -> dict[str, Tensor]:
        return mean_losses(model, patches(model.card.scale), terms, chance, against)

    return best(weights, losses, lambda: of_mean(model), (3e-3, 1500, 25), enough)


def best_samples(model: Model, steps: Sequence[int]) -> float:
    """PSNR that the mean of eight samples reaches, the least over these numbers of steps."""
    chance, batch = torch.Generator().manual_seed(2), patches(model.card.scale)
    if model.card.generator in AT_HIGH_RESOLUTION:
        batch = Batch(*(torch.cat([each] * REPEATS) for each in batch))

    def losses() -> dict[str, Tensor]:
        return residual_losses(model, batch, chance)

    def score() -> float:
        return min(of_samples(model, count) for count in steps)

    return best([*model.generator.parameters()], losses, score, (3e-3, 800, 50))


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_interpolation_is_far_below_the_bar(scale):
    today = patches(scale).images[:, DATES.index(TARGET)]
    assert decibels(upsample(today, torch.ones(B, 1, H, W), scale), patches(scale).hr) < 30


@pytest.mark.parametrize("name", METHODS)
def test_what_has_learnt_nothing_is_below_the_bar(name):
    model = smaller(name)
    assert of_mean(model) < BEGUN
    assert not model.samples or of_samples(model, 2) < BEGUN


def test_every_encoder_and_every_generator_learns_here():
    cards = [METHODS[name].card for name in (*MEANS, *SAMPLERS)]
    assert {card["encoder"] for card in cards} == {
        made.card["encoder"] for made in METHODS.values()
    }
    assert {card["generator"] for card in cards} == SMALL.keys() == GENERATORS.keys()


@pytest.mark.parametrize("name", MEANS)
def test_the_mean_learns_four_patches_by_heart(name):
    assert best_mean(name, smaller(name)) > BAR


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_mean_of_eight_samples_learns_what_the_mean_has_left(name):
    model = smaller(name)
    best_mean(name, model, BEGUN)
    assert of_samples(model, max(SAMPLERS[name])) < BAR
    assert best_samples(model, SAMPLERS[name]) > BAR
