"""What features may come to in use: about the most that they came to on what was trained on."""

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

SHARE = 0.35
"""Of the most in a batch; with less of it every judge is better than with all
(docs/decisions/ceilings.md)."""


@torch.no_grad()
def set_ceilings(model: Model, batches: Iterable[Batch]) -> None:
    """Give every residual block of the encoder the ceilings that these batches show, in place.

    A ceiling is SHARE of the most that an inner feature comes to in a batch, the mean over batches.
    The most in all of them would be that of a cloud which a mask missed.
    A model without such blocks is left as it is, and no batch is made.
    """
    blocks = [each for each in model.encoder.modules() if isinstance(each, ResidualBlock)]
    if not blocks:
        return
    found = [torch.zeros_like(block.ceiling) for block in blocks]
    for block in blocks:
        block.ceiling.fill_(torch.inf)

    def look(total: Tensor, layer: nn.Module, given: object, made: Tensor) -> None:
        total += silu(made).amax((0, 2, 3))

    hooks = [
        block.inner.register_forward_hook(partial(look, total))
        for block, total in zip(blocks, found, strict=True)
    ]
    place, count = next(model.parameters()).device, 0
    try:
        for count, batch in enumerate(batches, start=1):  # noqa: B007
            model.encoder(*(each.to(place) for each in (batch.images, batch.clear, batch.days)))
    finally:
        for hook in hooks:
            hook.remove()
    for block, total in zip(blocks, found, strict=True):
        block.ceiling.copy_(SHARE * total / count)
