"""TR-MISR: a transformer over the images of each pixel, read off at a learned fusion token.

An, Zhang, Huang, Xu, Wang and Yang 2022, "TR-MISR: Multiimage Super-Resolution Based on Feature
Fusion With Transformers", doi:10.1109/JSTARS.2022.3143532. No pixel looks at another: the images
of one pixel are tokens without position, so their order does not matter.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from sitsr.encoders.anchors import CONTRAST_REACH, Encoding
from sitsr.encoders.frames import FrameEncoder, framed
from sitsr.series import InputError

PIXELS_AT_ONCE = 16_384
"""Attention takes so many pixels in one call: it bounds memory, and CUDA has a limit of 65 535."""

HIDDEN = -1e4
"""Added to the score of what is hidden: no weight at all beside anything that is not."""


class TimeAttention(nn.Module):
    """Multi-head self-attention among the tokens of one pixel (Vaswani et al. 2017).

    width: F, a multiple of heads (InputError). bias: whether queries, keys and values have one.
    """

    def __init__(self, width: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"{heads} heads cannot share {width} features; give a divisor of them")
        self.heads = heads
        self.ask = nn.Linear(width, 3 * width, bias=bias)
        self.join = nn.Linear(width, width)

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """tokens [P, S, F], visible bool [P, S] -> [P, S, F]; what is not visible has no say."""
        asked = rearrange(self.ask(tokens), "p s (k n d) -> k p n s d", k=3, n=self.heads)
        hidden = torch.zeros_like(visible, dtype=asked.dtype).masked_fill(~visible, HIDDEN)
        hidden = repeat(hidden, "p s -> p 1 q s", q=tokens.shape[1])
        parts = zip(
            *(each.split(PIXELS_AT_ONCE) for each in asked),
            hidden.split(PIXELS_AT_ONCE),
            strict=True,
        )
        seen = torch.cat([scaled_dot_product_attention(*part) for part in parts])
        joined: Tensor = self.join(rearrange(seen, "p n s d -> p s (n d)"))
        return joined


class TransformerLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), the mlp twice as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = TimeAttention(width, heads, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.before_attention(tokens), visible)
        added: Tensor = self.mlp(self.before_mlp(tokens))
        return tokens + added


class TRMISR(nn.Module):
    """HighRes-net's embedding of each image, then a transformer over time with a fusion token.

    The clear mask hides images from attention pixel by pixel; the original has no mask, and lets
    attention find out what is cloud. bands: C. width: F. Reaches 2 + 2·blocks pixels, and not less
    than contrast does.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"images", "masks"})
    breaks: ClassVar[str] = (
        "All images given twice are not the same as once: the fusion token is one voice among "
        "theirs, and weighs less the more they are."
    )

    def __init__(
        self, bands: int, width: int = 64, heads: int = 8, depth: int = 6, blocks: int = 2
    ) -> None:
        super().__init__()
        self.features = width
        self.frames = FrameEncoder(bands, width, blocks)
        self.reach = max(self.frames.reach, 2 * CONTRAST_REACH)
        self.token = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(depth))
        nn.init.normal_(self.token, std=0.02)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        """As sitsr.encoders promises; the season is not used, nor are days but for the anchor."""
        x, mask, anchor, contrast, seen, times = framed(images, clear, days)
        rows = x.shape[-2]
        frames = rearrange(self.frames(x, mask), "(b t) f h w -> (b h w) t f", t=times)
        token = self.token.to(frames.dtype).expand(len(frames), 1, -1)
        tokens = torch.cat([token, frames], 1)
        visible = rearrange(clear, "b t h w -> (b h w) t")
        visible = torch.cat([torch.ones_like(visible[:, :1]), visible], 1)
        for layer in self.layers:
            tokens = layer(tokens, visible)
        fused = rearrange(tokens[:, 0], "(b h w) f -> b f h w", b=len(images), h=rows)
        return Encoding(fused * seen, anchor, contrast, seen)
