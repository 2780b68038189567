"""PIUnet: layers that treat all images alike, registration by learned kernels, and their mean.

Valsesia and Magli 2022, "Permutation Invariance and Uncertainty in Multitemporal Image
Super-Resolution", doi:10.1109/TGRS.2021.3130673. Every layer is equivariant (images in another
order give features in that order), the mean at the end invariant. The uncertainty that the paper
predicts is the model's spread, which every encoder has.

Three things differ, since no layer may look at a whole tile: batch normalisation is one over the
channels of each pixel, the gate of a block is made from each pixel's own images instead of an
average over the picture, and so are the registration kernels. The masks are new as well.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from sitsr.encoders.anchors import CONTRAST_REACH, Encoding
from sitsr.encoders.frames import PixelNorm, framed, mean_over_time
from sitsr.encoders.layers import he
from sitsr.encoders.transformer import HIDDEN, TimeAttention

KERNEL_REACH = 2
"""Half-width of the registration kernels, pixels: they are 5 × 5."""


class MixedLayer(nn.Module):
    """Convolution within each image, then self-attention among the images of each pixel.

    y = leaky(norm(conv(x))), then norm(y + attention(y)); zero where the mask is zero. Reaches a
    pixel.
    """

    def __init__(self, given: int, width: int, heads: int) -> None:
        super().__init__()
        self.conv = he(nn.Conv2d(given, width, 3, padding=1))
        self.attention = TimeAttention(width, heads)
        self.before, self.after = PixelNorm(width), PixelNorm(width)

    def forward(self, x: Tensor, mask: Tensor, times: int) -> Tensor:
        """x [B·T, given, H, W], mask [B·T, 1, H, W] -> [B·T, width, H, W]."""
        y = leaky_relu(self.before(self.conv(x)))
        rows, visible = y.shape[-2], rearrange(mask > 0, "(b t) 1 h w -> (b h w) t", t=times)
        attended = self.attention(rearrange(y, "(b t) f h w -> (b h w) t f", t=times), visible)
        y = y + rearrange(attended, "(b h w) t f -> (b t) f h w", b=len(y) // times, h=rows)
        mixed: Tensor = self.after(y) * mask
        return mixed


class GatedBlock(nn.Module):
    """x + g · y: y from two mixed layers, the gate g in 0 … 1 from the mean of y over time.

    The paper's temporal and feature attention (TEFA). Reaches two pixels.
    """

    def __init__(self, width: int, heads: int, bottleneck: int) -> None:
        super().__init__()
        self.first = MixedLayer(width, width, heads)
        self.second = MixedLayer(width, width, heads)
        self.gate = nn.Sequential(
            nn.Conv2d(width, bottleneck, 1),
            nn.LeakyReLU(),
            nn.Conv2d(bottleneck, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor, mask: Tensor, times: int) -> Tensor:
        y = self.second(leaky_relu(self.first(x, mask, times)), mask, times)
        gate: Tensor = self.gate(mean_over_time(y, mask, times))
        gated: Tensor = y * gate.repeat_interleave(times, 0)
        return x + gated


class Registration(nn.Module):
    """Each image's features moved by 5 × 5 kernels of its own, at each pixel (TERN in the paper).

    Kernels are made from the image's features after attention among all images of the pixel, so
    that they know what to be registered to. Reaches 2 pixels.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.mix = MixedLayer(width, width, heads)
        self.logits = nn.Conv2d(width, (2 * KERNEL_REACH + 1) ** 2, 1)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)  # type: ignore[arg-type]
        with torch.no_grad():  # all but the image itself at first: 5 × 5 blur is no start
            self.logits.bias[self.logits.out_channels // 2] = 6.0  # type: ignore[index]

    def forward(self, x: Tensor, mask: Tensor, times: int) -> Tensor:
        logits = self.logits(leaky_relu(self.mix(x, mask, times)))
        return moved(x, logits, mask)


def moved(x: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Features filtered at each pixel by a kernel of its own, over what is clear around it.

        y(p) = Σₒ k(p, o) x(p + o),    k(p, ·) = softmax of logits(p, ·) over clear p + o

    with o from −2 to 2 in rows, then in columns. Zero where the pixel itself is not clear.
    x [N, F, H, W], logits [N, 25, H, W], mask [N, 1, H, W] -> [N, F, H, W].
    """
    height, width, side = *x.shape[-2:], 2 * KERNEL_REACH + 1
    x, near = (pad(each, [KERNEL_REACH] * 4) for each in (x, mask))
    places = [
        (..., slice(row, row + height), slice(col, col + width))
        for row in range(side)
        for col in range(side)
    ]
    clear = torch.cat([near[place] for place in places], 1)
    kernels = logits.masked_fill(clear == 0, HIDDEN).softmax(1) * mask
    y = torch.zeros_like(x[places[0]])
    for place, kernel in zip(places, kernels.split(1, 1), strict=True):
        y = y + x[place] * kernel
    return y


class PIUnet(nn.Module):
    """Mixed layer, gated blocks, mixed layer, registration, mean over time.

    bands: C. width: F, a multiple of heads (InputError). Reaches 4 + 2·blocks pixels.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"images", "masks"})
    breaks: ClassVar[str] = ""

    def __init__(
        self, bands: int, width: int = 42, blocks: int = 16, heads: int = 1, bottleneck: int = 5
    ) -> None:
        super().__init__()
        self.features = width
        self.reach = max(4 + 2 * blocks, 2 * CONTRAST_REACH)
        self.stem = MixedLayer(2 * bands + 1, width, heads)
        self.blocks = nn.ModuleList(GatedBlock(width, heads, bottleneck) for _ in range(blocks))
        self.last = MixedLayer(width, width, heads)
        self.registration = Registration(width, heads)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        """As sitsr.encoders promises; the season is not used, nor are days but for the anchor."""
        x, mask, anchor, contrast, seen, times = framed(images, clear, days)
        first = x = self.stem(x.contiguous(memory_format=torch.channels_last), mask, times)
        for block in self.blocks:
            x = block(x, mask, times)
        x = first + leaky_relu(self.last(x, mask, times))
        fused = mean_over_time(self.registration(x, mask, times), mask, times)
        return Encoding(fused, anchor, contrast, seen)
