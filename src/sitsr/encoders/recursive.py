"""Recursive fusion: frames are joined two by two until one is left (Deudon et al. 2020,
HighRes-net, arXiv:2002.06460, section 3.3).

With s the features of n frames padded to the next power of two, and α = 0 for padding, else 1, one
round leaves half of them:

    s_i ← s_i + α_j f(s_i, s_j),    j = n − 1 − i.

Here α is a mask, pixel by pixel, in place of one number a frame, and frames stand in the order of
their nearness to the target date, so that the answer does not depend on the order given. With the
nearest clear frame first at every pixel (see ``stacked``), s_i is clear wherever s_j is. Padding
needs no frames: those without a partner stay as they are.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sitsr.encoders.anchors import CONTRAST_REACH, Encoding
from sitsr.encoders.frames import FrameBlock, FrameEncoder, framed
from sitsr.encoders.stacked import nearest_first, one_a_day


class PairwiseFusion(nn.Module):
    """s + α f(s, partner), f a residual block on both, a convolution and PReLU. Reaches 3 pixels.

    f is zero at first, so that the untrained encoder gives the nearest frame.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = FrameBlock(2 * width)
        self.last = nn.Conv2d(2 * width, width, 3, padding=1)
        self.bend = nn.PReLU()
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, frame: Tensor, partner: Tensor, mask: Tensor, alpha: Tensor) -> Tensor:
        """frame and partner [N, F, H, W]; mask, of the frame, and alpha, its partner's,
        [N, 1, H, W] -> [N, F, H, W]."""
        both = torch.cat([frame, partner], 1)
        both = both.contiguous(memory_format=torch.channels_last)
        added: Tensor = self.bend(self.last(self.block(both, mask))) * alpha
        return frame + added


class HighResNet(nn.Module):
    """HighRes-net up to its decoder: each image embedded beside the reference, then recursive
    fusion. The reference frame is the anchor at the target date in place of the median.

    bands: C. width: F. blocks: of the embedding. frames: how many are fused at most, the nearest
    clear ones at every pixel. The paper's size is width 64, blocks 2, frames 32.
    Reaches 2 + 2·blocks + 3·⌈log₂ frames⌉ pixels.
    """

    uses = frozenset({"images", "masks", "order"})
    breaks = ""

    def __init__(self, bands: int, width: int, blocks: int = 2, frames: int = 32) -> None:
        super().__init__()
        self.features, self.frames = width, frames
        self.embed = FrameEncoder(bands, width, blocks)
        self.fusion = PairwiseFusion(width)
        rounds = (frames - 1).bit_length()
        self.reach = max(self.embed.reach + 3 * rounds, 2 * CONTRAST_REACH)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        images, clear = one_a_day(images, clear, days)
        x, mask, anchor, contrast, seen, times = framed(images, clear, days)
        features = rearrange(self.embed(x, mask), "(b t) f h w -> b t f h w", t=times)
        masks = rearrange(mask, "(b t) f h w -> b t f h w", t=times)
        frames, masks = nearest_first(features, masks, days, self.frames)
        while frames.shape[1] > 1:
            frames, masks = self.halved(frames, masks)
        return Encoding(frames[:, 0], anchor, contrast, seen)

    def halved(self, frames: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """One round: [B, n, F, H, W] and masks [B, n, 1, H, W] -> the first half of both.

        n counts as the next power of two; the first of them are those without a partner.
        """
        count = frames.shape[1]
        half = 1 << (count - 1).bit_length() - 1
        alone, kept = 2 * half - count, masks[:, :half]
        pairs = (frames[:, alone:half], frames[:, half:].flip(1))
        alphas = (masks[:, alone:half], masks[:, half:].flip(1))
        fused = self.fusion(*(each.flatten(0, 1) for each in (*pairs, *alphas)))
        fused = rearrange(fused, "(b n) f h w -> b n f h w", n=half - alone)
        return torch.cat([frames[:, :alone], fused], 1), kept
