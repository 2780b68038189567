"""What features may come to in use: the most that they came to on what was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from sitsr.datasets import Batch
from sitsr.encoders import ResidualBlock
from sitsr.model import Model

BATCHES = 50
"""Batches, made as those trained on are, that are looked at."""


@torch.no_grad()
def set_ceilings(model: Model, batches: Iterable[Batch]) -> None:
    """Give every residual block of the encoder the ceilings that these batches show, in place.

    A model without such blocks is left as it is, and no batch is made.
    """
    blocks = [each for each in model.encoder.modules() if isinstance(each, ResidualBlock)]
    if not blocks:
        return
    found = [torch.full_like(block.ceiling, -torch.inf) for block in blocks]
    for block in blocks:
        block.ceiling.fill_(torch.inf)

    def look(most: Tensor, layer: nn.Module, given: object, made: Tensor) -> None:
        most.copy_(torch.maximum(most, silu(made).amax((0, 2, 3))))

    hooks = [
        block.inner.register_forward_hook(partial(look, most))
        for block, most in zip(blocks, found, strict=True)
    ]
    place = next(model.parameters()).device
    try:
        for batch in batches:
            model.encoder(*(each.to(place) for each in (batch.images, batch.clear, batch.days)))
    finally:
        for hook in hooks:
            hook.remove()
    for block, most in zip(blocks, found, strict=True):
        block.ceiling.copy_(most)
