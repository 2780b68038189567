"""Layers that several encoders are made of; each keeps what is not seen at zero."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu


def he(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights that keep the power of what flows through it (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(x))), zero where the mask is zero. Reaches two pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = he(nn.Conv2d(width, width, 3, padding=1))
        self.outer = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.outer.weight)  # the identity at first, so that depth costs nothing
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        added: Tensor = self.outer(silu(self.inner(x)) * mask) * mask
        return x + added
