"""Networks that see one image: the anchor at the target date, the nearest clear image pixel by
pixel. They show what more images bring, and are the trunks of several methods.

Each is the published network up to its enlargement, which belongs to the head: it runs on the
low-resolution grid, as FSRCNN (Dong et al. 2016, arXiv:1608.00367) showed that SRCNN can. The
anchor comes in units of UNIT minus 1, with ``seen`` as one band more; where the ground was never
seen, zero is put back after every layer. There is no normalisation over space.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from sitsr.encoders.anchors import (
    CONTRAST_REACH,
    UNIT,
    Encoding,
    anchor_at_target,
    local_contrast,
)
from sitsr.encoders.layers import he


def one_image(images: Tensor, clear: Tensor, days: Tensor) -> tuple[Tensor, Encoding]:
    """What a network sees of the anchor [B, C+1, H, W], also as the features of an Encoding."""
    anchor, seen = anchor_at_target(images, clear, days)
    _, contrast = local_contrast(anchor, seen)
    x = torch.cat([anchor / UNIT - 1, seen], 1) * seen
    x = x.contiguous(memory_format=torch.channels_last)
    return x, Encoding(x, anchor, contrast, seen)


class SRCNN(nn.Module):
    """Three layers with kernels of 9, 1 and 5 pixels (Dong et al. 2014, arXiv:1501.00092).

    bands: C. width: n₁, of which n₂ is half; the last layer gives the features, as many as width.
    The paper's size is width 64. Reaches 6 pixels.
    """

    uses = frozenset({"one image", "masks"})
    breaks = ""

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.features = width
        self.reach = 6
        self.patches = he(nn.Conv2d(bands + 1, width, 9, padding=4))
        self.mapping = he(nn.Conv2d(width, width // 2, 1))
        self.last = nn.Conv2d(width // 2, width, 5, padding=2)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        x, encoding = one_image(images, clear, days)
        x = relu(self.patches(x)) * encoding.seen
        x = relu(self.mapping(x)) * encoding.seen
        return encoding._replace(features=self.last(x) * encoding.seen)


class ParametricBlock(nn.Module):
    """x + conv(prelu(conv(x))), zero where the mask is zero. Reaches two pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = he(nn.Conv2d(width, width, 3, padding=1))
        self.bend = nn.PReLU()
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)  # the identity at first
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        added: Tensor = self.second(self.bend(self.first(x)) * mask) * mask
        return x + added


class SRResNet(nn.Module):
    """Residual blocks between two long arms (Ledig et al. 2017, arXiv:1609.04802, figure 4): the
    generator of SRGAN.

    Batch normalisation is left out, as EDSR did to its gain (Lim et al. 2017, arXiv:1707.02921);
    over a tile its statistics would depend on the cut.
    bands: C. width: F. The paper's size is width 64, blocks 16. Reaches 5 + 2·blocks pixels.
    """

    uses = frozenset({"one image", "masks"})
    breaks = ""

    def __init__(self, bands: int, width: int, blocks: int = 16) -> None:
        super().__init__()
        self.features = width
        self.reach = 5 + 2 * blocks
        self.stem = he(nn.Conv2d(bands + 1, width, 9, padding=4))
        self.bend = nn.PReLU()
        self.blocks = nn.ModuleList(ParametricBlock(width) for _ in range(blocks))
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        x, encoding = one_image(images, clear, days)
        start = x = self.bend(self.stem(x)) * encoding.seen
        for block in self.blocks:
            x = block(x, encoding.seen)
        return encoding._replace(features=start + self.last(x) * encoding.seen)


SHARE = 0.2
"""How much of what a dense block finds is added, and the slope of its rectifier below zero."""


class DenseBlock(nn.Module):
    """Five convolutions, each shown all that those before it found. Reaches 5 pixels."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.grow = nn.ModuleList(small(width + k * growth, growth) for k in range(4))
        self.last = small(width + 4 * growth, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        known = x
        for layer in self.grow:
            known = torch.cat([known, leaky_relu(layer(known), SHARE) * mask], 1)
        added: Tensor = self.last(known) * mask
        return x + SHARE * added


def small(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3×3 convolution a tenth of He's in weight, which lets deep stacks of them train (Wang et
    al. 2018, section 3.1)."""
    layer = he(nn.Conv2d(inputs, outputs, 3, padding=1))
    with torch.no_grad():
        layer.weight *= 0.1
    return layer


class ResidualInResidual(nn.Module):
    """x + 0.2 of what three dense blocks add to it. Reaches 15 pixels."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(DenseBlock(width, growth) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = x
        for block in self.dense:
            inner = block(inner, mask)
        added: Tensor = SHARE * inner
        return x + added


class DenseTrunk(nn.Module):
    """The trunk of ESRGAN: conv, residual-in-residual dense blocks, conv, and a long arm around
    the blocks (Wang et al. 2018, arXiv:1809.00219, figures 3 and 4).

    inputs: channels of x. width: F. Reaches 2 + 15·blocks pixels.
    """

    def __init__(self, inputs: int, width: int, blocks: int, growth: int) -> None:
        super().__init__()
        self.reach = 2 + 15 * blocks
        self.first = he(nn.Conv2d(inputs, width, 3, padding=1))
        self.blocks = nn.ModuleList(ResidualInResidual(width, growth) for _ in range(blocks))
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, inputs, H, W], mask [B, 1, H, W] -> [B, F, H, W]."""
        start = x = self.first(x) * mask
        for block in self.blocks:
            x = block(x, mask)
        features: Tensor = start + self.last(x) * mask
        return features


class RRDB(nn.Module):
    """The generator of ESRGAN up to its enlargement, and SRDiff's encoder (Li et al. 2021,
    arXiv:2104.14951).

    bands: C. width: F. ESRGAN's size is width 64, blocks 23, growth 32; SRDiff's is 32, 8, 16.
    Reaches 2 + 15·blocks pixels.
    """

    uses = frozenset({"one image", "masks"})
    breaks = ""

    def __init__(self, bands: int, width: int, blocks: int = 8, growth: int = 16) -> None:
        super().__init__()
        self.trunk = DenseTrunk(bands + 1, width, blocks, growth)
        self.features = width
        self.reach = max(self.trunk.reach, 2 * CONTRAST_REACH)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        x, encoding = one_image(images, clear, days)
        return encoding._replace(features=self.trunk(x, encoding.seen))
