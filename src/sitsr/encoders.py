"""Temporal encoders: what the images of a series say together about one date.

An encoder is any module with this forward:

    images  float [B, T, C, H, W]   reflectance; any value where clear is False
    clear   bool  [B, T, H, W]      True where the ground is seen
    days    float [B, T]            acquisition minus target date, signed
    ->      Encoding                what is known of the ground at the target date

and keeps these promises: what lies under cloud does not matter, the order of the images does not
matter, an image with nothing clear adds nothing, and the outside of the picture is the same as
ground never seen. The last is kept by one rule: *a pixel that is not seen is zero in every layer*,
just as the padding of a convolution is.
"""

from __future__ import annotations

from math import tau
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, pad, silu

UNIT = 0.1
"""Reflectance that networks see as 1, where they see reflectance and not contrast."""

CONTRAST_REACH = 2
"""Half-width of the window that local level and contrast are taken over, pixels."""

LEAST_CONTRAST = 0.003
"""Contrast of ground where there is none, reflectance: about the sensor's noise."""


UPSAMPLE_REACH = 4
"""How far ``upsample`` looks, pixels: two to fill holes, two for the cubic kernel."""


class Encoding(NamedTuple):
    """What is known of the ground at the target date, on the low-resolution grid."""

    features: Tensor
    """[B, F, H, W] zero where seen is False."""
    anchor: Tensor
    """[B, C, H, W] reflectance, the clear images averaged with weights for nearness in time."""
    contrast: Tensor
    """[B, C, H, W] reflectance, the anchor's local standard deviation; what networks give is in
    units of it."""
    seen: Tensor
    """[B, 1, H, W] 1 where any image is clear, else 0."""


def anchor_at_target(images: Tensor, clear: Tensor, days: Tensor) -> tuple[Tensor, Tensor]:
    """The clear images averaged with weights 1 / (1 + |days|)², and where there is any.

    The target's own day outweighs one five days off 36 to 1, so the anchor is all but the image of
    that day where it is clear, and slides smoothly to the nearest others where it is not.
    [B, T, C, H, W], [B, T, H, W], [B, T] -> [B, C, H, W], [B, 1, H, W].
    """
    weight = clear / (1 + days.abs()[..., None, None]).square()  # [B, T, H, W]
    total = weight.sum(1)[:, None]  # [B, 1, H, W]
    seen = clear.any(1)[:, None].to(images.dtype)
    images = images.where(clear.unsqueeze(2), 0.0)
    summed = torch.einsum("bthw,btchw->bchw", weight, images)
    return torch.where(seen > 0, summed / total.clamp_min(1e-12), 0.0), seen


def local_contrast(anchor: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [B, C, H, W] of the anchor around each pixel, over what is seen.

    Local contrast normalisation (Jarrett et al. 2009, doi:10.1109/ICCV.2009.5459469): a network
    that sees and gives multiples of the local contrast learns one edge, not one for every field
    and season. Reaches 2 · CONTRAST_REACH pixels.
    """
    side = 2 * CONTRAST_REACH + 1

    def average(image: Tensor) -> Tensor:
        near = nn.functional.avg_pool2d(seen, side, stride=1, padding=CONTRAST_REACH)
        total = nn.functional.avg_pool2d(image * seen, side, stride=1, padding=CONTRAST_REACH)
        return total / near.clamp_min(1e-6) * seen

    level = average(anchor)
    return level, (average((anchor - level).square()) + LEAST_CONTRAST**2).sqrt()


def upsample(image: Tensor, seen: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation [B, C, H, W] -> [B, C, scale·H, scale·W] that knows of holes.

    The kernel reaches two pixels; so far, ground not seen (the outside of the picture as well) is
    filled with the mean of its seen neighbours, that no zero bleeds into what was seen.
    """
    reach = 2
    image, seen = (pad(each, [reach] * 4) for each in (image * seen, seen))
    for _ in range(reach):
        near = nn.functional.avg_pool2d(seen, 3, stride=1, padding=1)
        blurred = nn.functional.avg_pool2d(image, 3, stride=1, padding=1) / near.clamp_min(1e-6)
        image = torch.where(seen > 0, image, blurred * (near > 0))
        seen = max_pool2d(seen, 3, stride=1, padding=1)
    fine = interpolate(image, scale_factor=scale, mode="bicubic", align_corners=False)
    return fine[..., reach * scale : -reach * scale, reach * scale : -reach * scale]


def he(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights that keep the power of what flows through it (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def enlarged(seen: Tensor, scale: int) -> Tensor:
    """Each pixel [B, 1, H, W] repeated scale × scale times: [B, 1, scale·H, scale·W]."""
    fine: Tensor = seen.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    return fine


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

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.days = nn.Sequential(nn.Linear(10, width), nn.SiLU(), nn.Linear(width, width))
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.Conv2d(width, width, 1)
        self.value = he(nn.Conv2d(width, width, 1))
        self.nearness = nn.Linear(10, heads)

    def forward(self, frames: Tensor, anchor: Tensor, clear: Tensor, days: Tensor) -> Tensor:
        """frames [B, T, F, H, W], anchor [B, F, H, W], clear [B, T, H, W] -> [B, F, H, W]."""
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

    bands: C. width: F. Reaches 1 + 2·(frame_blocks + trunk_blocks) pixels, and those of contrast.
    """

    def __init__(self, bands: int, width: int, frame_blocks: int, trunk_blocks: int) -> None:
        super().__init__()
        self.reach = 1 + 2 * (frame_blocks + trunk_blocks) + 2 * CONTRAST_REACH
        self.frame_stem = he(nn.Conv2d(4 * bands + 1, width, 3, padding=1))
        self.frame_blocks = nn.ModuleList(ResidualBlock(width) for _ in range(frame_blocks))
        self.anchor_stem = he(nn.Conv2d(3 * bands + 1, width, 3, padding=1))
        self.attention = TargetDateAttention(width)
        self.fuse = he(nn.Conv2d(2 * width, width, 1))
        self.trunk_blocks = nn.ModuleList(ResidualBlock(width) for _ in range(trunk_blocks))

    def forward(self, images: Tensor, clear: Tensor, days: Tensor) -> Encoding:
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

    def forward(self, images: Tensor, clear: Tensor, days: Tensor) -> Encoding:
        anchor, seen = anchor_at_target(images, clear, days)
        _, contrast = local_contrast(anchor, seen)
        return Encoding(anchor / UNIT, anchor, contrast, seen)
