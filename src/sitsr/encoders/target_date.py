"""Attention over time, pixel by pixel, that asks for the target date: the encoder of the method."""

from __future__ import annotations

from math import tau

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import silu

from sitsr.encoders.anchors import (
    CONTRAST_REACH,
    UNIT,
    Encoding,
    anchor_at_target,
    local_contrast,
)
from sitsr.encoders.layers import ResidualBlock, he


def describe_days(days: Tensor) -> Tensor:
    """[...] signed days -> [..., 10]: nearness on four time scales, season, side, same day."""
    days = days.unsqueeze(-1)
    scales = days.new_tensor([5.0, 20.0, 80.0, 365.0])
    phase = days * (tau / 365.25) * days.new_tensor([1.0, 2.0])
    near = torch.exp(-days.abs() / scales)
    return torch.cat(
        [near, phase.sin(), phase.cos(), torch.tanh(days / 30), (days == 0).to(days)], dim=-1
    )


class TargetDateAttention(nn.Module):
    """Attention over time, pixel by pixel, that asks for the target date.

    The query is made from the anchor's features, the keys and values from each image's features and
    its days from the target date; where an image is not clear it has no say. Softmax weights sum to
    one over the clear images, so duplicating *all* images changes nothing, and one image given
    twice counts twice.
    """

    def __init__(self, frame_width: int, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.days = nn.Sequential(
            nn.Linear(10, frame_width), nn.SiLU(), nn.Linear(frame_width, frame_width)
        )
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.Conv2d(frame_width, width, 1)
        self.value = he(nn.Conv2d(frame_width, width, 1))
        self.nearness = nn.Linear(10, heads)

    def forward(self, frames: Tensor, anchor: Tensor, clear: Tensor, days: Tensor) -> Tensor:
        """frames [B, T, G, H, W], anchor [B, F, H, W], clear [B, T, H, W] -> [B, F, H, W]."""
        times = frames.shape[1]
        described = describe_days(days)  # [B, T, 10]
        dated = rearrange(
            frames + self.days(described)[..., None, None], "b t f h w -> (b t) f h w"
        )
        dated = dated.contiguous(memory_format=torch.channels_last)
        key = rearrange(self.key(dated), "(b t) (n d) h w -> b t n d h w", t=times, n=self.heads)
        value = rearrange(
            self.value(dated), "(b t) (n d) h w -> b t n d h w", t=times, n=self.heads
        )
        query = rearrange(self.query(anchor), "b (n d) h w -> b n d h w", n=self.heads)
        score = torch.einsum("bndhw,btndhw->btnhw", query, key) / key.shape[3] ** 0.5
        score = score + self.nearness(described)[..., None, None]
        # -inf would make pixels that are never clear NaN; there every weight is zeroed instead.
        score = score.masked_fill(~clear.unsqueeze(2), -1e4)
        weight = score.softmax(1) * clear.unsqueeze(2)
        return rearrange(
            torch.einsum("btnhw,btndhw->bndhw", weight, value), "b n d h w -> b (n d) h w"
        )


class TargetDateEncoder(nn.Module):
    """Each image through shared residual blocks, attention to the target date, a trunk.

    bands: C. width: F. frame_width: of each image's features G, F if not said: there
    are T times as many of those. Reaches 1 + 2·(frame_blocks + trunk_blocks) pixels, and those of
    contrast.
    """

    uses = frozenset({"images", "dates", "masks"})
    breaks = ""

    def __init__(
        self,
        bands: int,
        width: int,
        frame_blocks: int = 2,
        trunk_blocks: int = 5,
        frame_width: int | None = None,
    ) -> None:
        super().__init__()
        own = frame_width or width
        self.features = width
        self.reach = 1 + 2 * (frame_blocks + trunk_blocks) + 2 * CONTRAST_REACH
        self.frame_stem = he(nn.Conv2d(4 * bands + 1, own, 3, padding=1))
        self.frame_blocks = nn.ModuleList(ResidualBlock(own) for _ in range(frame_blocks))
        self.anchor_stem = he(nn.Conv2d(3 * bands + 1, width, 3, padding=1))
        self.attention = TargetDateAttention(own, width)
        self.fuse = he(nn.Conv2d(2 * width, width, 1))
        self.trunk_blocks = nn.ModuleList(ResidualBlock(width) for _ in range(trunk_blocks))

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        anchor, seen = anchor_at_target(images, clear, days)
        level, contrast = local_contrast(anchor, seen)
        detail = (anchor - level) / contrast
        around = torch.cat([detail, level / UNIT - 1, (contrast / 0.02).log(), seen], 1) * seen
        base = silu(self.anchor_stem(around)) * seen
        frames = self._frames((images - anchor[:, None]) / contrast[:, None], around, clear)
        attended = self.attention(frames, base, clear, days)
        x = silu(self.fuse(torch.cat([attended, base], 1))) * seen
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.trunk_blocks:
            x = block(x, seen)
        return Encoding(x, anchor, contrast, seen)

    def _frames(self, differences: Tensor, around: Tensor, clear: Tensor) -> Tensor:
        """Features [B, T, F, H, W] of each image, of what it differs from the anchor by."""
        times = clear.shape[1]
        mask = rearrange(clear, "b t h w -> (b t) 1 h w").to(differences.dtype)
        # Clouds that the mask missed are cut, or they would drown everything near them.
        own = rearrange(differences, "b t c h w -> (b t) c h w").clamp(-20, 20)
        x = torch.cat([own, around.repeat_interleave(times, 0)], 1).where(mask > 0, 0.0)
        x = x.contiguous(memory_format=torch.channels_last)
        x = silu(self.frame_stem(x)) * mask
        for block in self.frame_blocks:
            x = block(x, mask)
        return rearrange(x, "(b t) f h w -> b t f h w", t=times)


class MeanOverTime(nn.Module):
    """The anchor and nothing else: the simplest encoder that keeps every promise.

    features are the anchor's C bands in units of 0.1 reflectance.
    """

    reach = 2 * CONTRAST_REACH

    uses = frozenset({"images", "dates", "masks"})
    breaks = ""

    def __init__(self, bands: int = 4, width: int = 0) -> None:
        """width is not used: the features are the bands."""
        super().__init__()
        self.features = bands

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        anchor, seen = anchor_at_target(images, clear, days)
        _, contrast = local_contrast(anchor, seen)
        return Encoding(anchor / UNIT, anchor, contrast, seen)
