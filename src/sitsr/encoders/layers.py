"""Layers that several encoders are made of; each keeps what is not seen at zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


def he(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights that keep the power of what flows through it (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(x))), zero where the mask is zero. Reaches two pixels.

    In use an inner feature is cut at its ceiling, set by what it came to on images like those
    trained on (``sitsr.training.ceilings``). One that hardly fires there has not learnt what
    to do when it does, and without a normalisation, which would look at a whole tile, a chain of
    blocks multiplies it: on one lake features came to 10¹⁴.
    """

    ceiling: Tensor
    """[width] infinite as long as nothing is known."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("ceiling", torch.full((width,), torch.inf))
        self.inner = he(nn.Conv2d(width, width, 3, padding=1))
        self.outer = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.outer.weight)  # the identity at first, so that depth costs nothing
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = silu(self.inner(x))
        if not self.training:
            inner = inner.clamp_(max=self.ceiling[:, None, None])  # in place: scenes are large
        added: Tensor = self.outer(inner.mul_(mask)).mul_(mask)
        return x + added
