"""One batch among several processes, so that together they do what one would.

Each process has the whole numbered batch, takes its own examples of it, and draws noise for the
whole batch to keep its own rows. Gradients are then averaged over the processes. A loss is a mean,
so each process multiplies its own by how much of the whole it stands for:

    loss of the whole = 1/N Σ_r f_r loss_r,     f_r = N n_r / n

with n the examples where a loss is a mean over examples, and the weights where it is a mean over
weights. This is the same to rounding for the terms of pixels, spread, flow, CRPS, noise and
velocity. The energy score, the coarse score, the contest with a discriminator, EDM's denoising and
the held-out date count blocks of pixels or weights of their own: for them it is the same where all
ground is known, and close where examples are cut about unequally.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sitsr.datasets import Batch
from sitsr.encoders import enlarged

BY_EXAMPLE = {"l1", "l2", "charbonnier", "ssim", "laplace", "registered", "perceptual"}
"""Losses that are means over examples; the others are means over weights."""


class Share(NamedTuple):
    """What is this process's own."""

    rank: int
    """From 0."""
    processes: int

    def rows(self, whole: int) -> slice:
        """The examples of this many that are its own; shares differ by one at most."""
        first, last = (whole * k // self.processes for k in (self.rank, self.rank + 1))
        return slice(first, last)

    def taken(self, batch: Batch) -> Batch:
        """Its own examples of the batch."""
        own = self.rows(len(batch.hr))
        return Batch(*(column[own] for column in batch))

    def weighed(self, parts: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Its own losses, such that their mean over the processes is that of the whole batch."""
        own = self.rows(len(batch.hr))
        scale = batch.hr.shape[-1] // batch.images.shape[-1]
        seen = enlarged(batch.clear.any(1, keepdim=True).to(batch.weight), scale)
        weights = (batch.weight * seen).sum((1, 2, 3))
        by_weight = self.processes * weights[own].sum() / weights.sum().clamp_min(1)
        by_example = self.processes * (own.stop - own.start) / len(batch.hr)
        return {
            name: part * (by_example if name in BY_EXAMPLE else by_weight)
            for name, part in parts.items()
        }


class WholeDraws(TorchFunctionMode):
    """Inside it, what is drawn for a share's examples is its rows of a draw for the whole batch.

    It holds for torch.rand, torch.randn and torch.randint with a generator, where the first axis
    has as many rows as the share has examples.
    """

    def __init__(self, share: Share, examples: int) -> None:
        """examples: of the whole batch."""
        super().__init__()
        self.own, self.examples = share.rows(examples), examples

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in (torch.rand, torch.randn, torch.randint) or "generator" not in kwargs:
            return func(*args, **kwargs)
        limits, size = (args[:-1], args[-1]) if func is torch.randint else ((), args)
        if func is not torch.randint and not isinstance(size[0], int):
            size = size[0]
        if size[0] != self.own.stop - self.own.start:
            return func(*args, **kwargs)
        return func(*limits, (self.examples, *size[1:]), **kwargs)[self.own]
