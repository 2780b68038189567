"""What a model is fitted on: the mean and its spread, then the residual."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pixel_unshuffle

from sitsr.datasets import Batch
from sitsr.diffusion import NOISE, draw, energy_score, fair_crps, flow_error
from sitsr.encoders import enlarged
from sitsr.model import Model

MOST_RESIDUAL = 8.0
"""Standardised residuals beyond this are cut: clouds that a mask missed, not detail."""


def mean_losses(model: Model, batch: Batch) -> dict[str, Tensor]:
    """What the mean misses, in units of the spread expected there, and what the spread does.

    In these units ground that cannot be known (not observed on the target date, say) does not drown
    what can be learnt of the rest.
    """
    estimate = model(batch.images, batch.clear, batch.days)
    weight = batch.weight * enlarged(estimate.encoding.seen, model.card.scale)
    missed, expected = batch.hr - estimate.mean, estimate.spread.detach()
    robust = (missed.square() + 0.002**2).sqrt() / expected
    unlikely = 0.5 * (missed.detach() / estimate.spread).square().clamp(max=100)
    likelihood = unlikely + estimate.spread.log()
    return {"mean": _average(robust, weight), "spread": 0.1 * _average(likelihood, weight)}


def residual_losses(
    model: Model, batch: Batch, members: int, chance: torch.Generator
) -> dict[str, Tensor]:
    """Flow error, and fair scores of the one-step generator, of the standardised residual."""
    scale = model.card.scale
    with torch.no_grad():
        estimate = model(batch.images, batch.clear, batch.days)
    weight = batch.weight * enlarged(estimate.encoding.seen, scale)
    residual = (batch.hr - estimate.mean) / estimate.spread
    residual = residual.clamp(-MOST_RESIDUAL, MOST_RESIDUAL) * weight
    folded, known = pixel_unshuffle(residual, scale), pixel_unshuffle(weight, scale)

    def white() -> Tensor:
        return torch.randn(folded.shape, generator=chance).to(folded).mul(estimate.encoding.seen)

    angle = (torch.rand(len(folded), generator=chance) * NOISE).to(folded)
    flow = flow_error(model.velocity(estimate.encoding, steps=2), folded, white(), angle)
    one_step = model.velocity(estimate.encoding, steps=1)
    drawn = torch.stack([draw(one_step, white(), 1) * known for _ in range(members)])
    patches = energy_score(drawn, folded, side=2)  # 2 × 2 low-resolution pixels: 8 × 8 fine ones
    whole = -max_pool2d(-known.amin(1, keepdim=True), 2, stride=1)
    return {
        "flow": _average(flow, known),
        "crps": _average(fair_crps(drawn, folded), known),
        "energy": _average(patches, whole),
    }


def _average(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.expand_as(values).sum().clamp_min(1)
