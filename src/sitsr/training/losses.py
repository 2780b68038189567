"""What a model is fitted on: the mean and its spread, then what its generator draws.

The mean's loss is a sum of terms by name, each with a weight:

    robust         |hr − mean| in units of the spread expected there: the method's own
    l1 l2 charbonnier ssim            of pixels (``pixelwise``)
    laplace        the Laplace likelihood of hr, which trains the spread too (PIUnet)
    registered     charbonnier, the least over shifts and free of bias (``registered``)
    perceptual     texture of fixed filters (``perceptual``)
    held out       error, as the sensor sees it, at a date left out of the series (``dates``)
    adversarial    a discriminator is not told hr and mean apart (``adversarial``)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call

from sitsr.datasets import Batch
from sitsr.encoders import enlarged
from sitsr.generators import average
from sitsr.model import Estimate, Model
from sitsr.training import pixelwise
from sitsr.training.adversarial import ADVERSARIAL, PatchDiscriminator, patch_weight
from sitsr.training.dates import held_out
from sitsr.training.perceptual import FilterFeatures, perceptual
from sitsr.training.registered import align, registered

MOST_SHIFT = 2.0
"""High-resolution pixels that a registered loss, or an aligned target, may be moved by."""

SPREAD = {True: 0.1, False: 0.001}
"""Weight of the spread's likelihood beside a loss in units of the spread, which is about 1, and
beside one in reflectance, which is about 0.01: a tenth of it. With more, the likelihood outweighs
the mean's own loss in what the encoder learns: most encoders then need several times as many steps
to learn four patches by heart, and some never do."""

TERMS = (
    *("robust", "l1", "l2", "charbonnier", "ssim", "laplace"),
    *("registered", "perceptual", "held out", "adversarial"),
)


def mean_losses(
    model: Model,
    batch: Batch,
    terms: Mapping[str, float],
    chance: torch.Generator,
    discriminator: PatchDiscriminator | None = None,
) -> dict[str, Tensor]:
    """Every term of the mean's loss by name, weighted, and what the spread does.

    In units of the spread, ground that cannot be known (not observed on the target date, say) does
    not drown what can be learnt of the rest.
    """
    estimate = model(batch.images, batch.clear, batch.days, batch.season)
    weight = batch.weight * enlarged(estimate.encoding.seen, model.card.scale)
    parts: dict[str, Tensor] = {}
    for name, share in terms.items():
        if name == "adversarial":
            assert discriminator is not None
            parts |= _contest(discriminator, estimate.mean, batch.hr, weight, share)
        elif name == "held out":
            parts[name] = share * _at_another_date(model, batch, chance)
        else:
            parts[name] = share * _term(name, estimate, batch.hr, weight)
    if "laplace" not in terms:
        missed = (batch.hr - estimate.mean).detach()
        unlikely = 0.5 * (missed / estimate.spread).square().clamp(max=100)
        likelihood = average(unlikely + estimate.spread.log(), weight)
        parts["spread"] = SPREAD["robust" in terms] * likelihood
    return parts


def _term(name: str, estimate: Estimate, hr: Tensor, weight: Tensor) -> Tensor:
    mean, spread = estimate.mean, estimate.spread
    if name == "robust":
        robust = ((hr - mean).square() + 0.002**2).sqrt() / spread.detach()
        return average(robust, weight)
    if name == "laplace":  # the spread is the standard deviation, √2 times the mean error
        return pixelwise.laplace(hr - mean, spread / 2**0.5, weight).mean()
    if name == "registered":
        return registered(pixelwise.charbonnier, mean, hr, weight, MOST_SHIFT).mean()
    if name == "perceptual":
        return perceptual(FilterFeatures(), mean, hr, weight).mean()
    return pixelwise.LOSSES[name](mean, hr, weight).mean()


def _at_another_date(model: Model, batch: Batch, chance: torch.Generator) -> Tensor:
    def mean_of(images: Tensor, clear: Tensor, days: Tensor) -> Tensor:
        estimate: Estimate = model(images, clear, days)
        return estimate.mean

    return held_out(mean_of, batch.images, batch.clear, batch.days, model.card.sigma, chance)


def _contest(
    discriminator: PatchDiscriminator, mean: Tensor, hr: Tensor, weight: Tensor, share: float
) -> dict[str, Tensor]:
    """Both sides at once: the mean meets a discriminator that its loss cannot change."""
    sides = ADVERSARIAL["relativistic"]
    truth = torch.where(weight > 0, hr, mean.detach())
    fixed = {name: value.detach() for name, value in discriminator.named_parameters()}
    fixed |= dict(discriminator.named_buffers())
    look = partial(functional_call, discriminator, fixed)
    real, fake = look((truth,)), look((mean,))
    known = patch_weight(weight, fake)
    against = sides.discriminator(discriminator(truth), discriminator(mean.detach()), known)
    return {
        "adversarial": share * sides.generator(real.detach(), fake, known),
        "discriminator": against,
    }


def residual_losses(
    model: Model, batch: Batch, chance: torch.Generator, aligned: bool = False
) -> dict[str, Tensor]:
    """The generator's own losses, with encoder, mean and spread fixed.

    aligned: lay the target on the mean before it meets noise. A search over shifts of the noise
    itself does nothing: white noise does not move with the image.
    """
    if model.generator is None:
        return {}
    with torch.no_grad():
        estimate = model(batch.images, batch.clear, batch.days, batch.season)
        hr, weight = batch.hr, batch.weight
        weight = weight * enlarged(estimate.encoding.seen, model.card.scale)
        if aligned:
            hr, weight, _ = align(hr, weight, estimate.mean, MOST_SHIFT)

    def white(number: int) -> Tensor:
        return torch.randn(hr.shape, generator=chance).to(hr)

    losses: dict[str, Tensor] = model.generator.losses(estimate.given, hr, weight, white, chance)
    return losses
