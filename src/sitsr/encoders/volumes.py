"""Networks that see a series as a volume [B, K, F, H, W] and convolve it over time as well.

Time has K places, the nearest clear image first at every pixel (see ``stacked``), and is reduced
by two places at a time, by convolutions without padding, until one is left. A place that holds no
image is zero after every layer; as what is clear in one place is clear in all before it, the mask
after a reduction is the mask of the first places.

Weight normalisation, which both papers train with, is left out: it changes the way to the weights
and not what they can say.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu

from sitsr.encoders.anchors import CONTRAST_REACH, Encoding
from sitsr.encoders.layers import he
from sitsr.encoders.stacked import Places, placed
from sitsr.series import InputError

ATTENTION_REACH = 2
"""Half-width of the window that attention takes its averages over, pixels."""


class TimeConv(nn.Module):
    """A 3×3×3 convolution over time, rows and columns [B, K, F, H, W] -> [B, K, outputs, H, W];
    one that reduces takes time without padding and leaves K − 2 places.

    Written as a convolution of three neighbouring places stacked: it is as fast as those over rows
    and columns alone, and its weights can lie in memory as theirs do (channels last).
    """

    def __init__(self, inputs: int, outputs: int, reduces: bool = False) -> None:
        super().__init__()
        self.edge = 0 if reduces else 1
        self.three = he(nn.Conv2d(3 * inputs, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = pad(x, [0] * 6 + [self.edge] * 2)
        return each_place(self.three, torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], 2))


def each_place(layer: nn.Module, x: Tensor) -> Tensor:
    """The layer on every place of x [B, K, F, H, W] alone."""
    flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    placed: Tensor = layer(flat).unflatten(0, x.shape[:2])
    return placed


def reductions(frames: int) -> int:
    """How many reductions leave three of so many places; InputError where none do."""
    if frames < 3 or frames % 2 == 0:
        raise InputError(f"frames is {frames}; time is reduced by twos, so give 3, 5, 7, 9 …")
    return (frames - 3) // 2


class LocalAttention(nn.Module):
    """Weights 0 to 1 for each channel, from the channels' averages over a window where clear.

    Squeeze and excitation (Hu et al. 2018, arXiv:1709.01507), whose averages over the whole tile
    would depend on how a scene is cut. Reaches ATTENTION_REACH pixels.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = he(nn.Conv2d(channels, squeezed, 1))
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, total: Tensor, count: Tensor) -> Tensor:
        """total [B, F, H, W] the sum at each pixel of count [B, 1 or F, H, W] values -> weights."""
        side = 2 * ATTENTION_REACH + 1
        total, count = (
            avg_pool2d(each, side, stride=1, padding=ATTENTION_REACH) for each in (total, count)
        )
        mean = total / count.clamp_min(1e-6)
        weight: Tensor = self.excite(relu(self.squeeze(mean))).sigmoid()
        return weight


class FeatureAttentionBlock(nn.Module):
    """x + attention · conv(relu(conv(x))), attention over time and a window.

    Reaches 2 + ATTENTION_REACH pixels.
    """

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.first, self.second = TimeConv(width, width), TimeConv(width, width)
        self.attention = LocalAttention(width, squeezed)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        found = self.second(relu(self.first(x)) * mask) * mask
        weight: Tensor = self.attention(found.sum(1), mask.sum(1))
        added: Tensor = found * weight.unsqueeze(1)
        return x + added


class TemporalAttentionBlock(nn.Module):
    """x + attention · conv(relu(conv(x))) on the stacked images, a weight for each of them.

    Reaches 2 + ATTENTION_REACH pixels.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.first = he(nn.Conv2d(channels, channels, 3, padding=1))
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = LocalAttention(channels, squeezed)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        found = self.second(relu(self.first(x)) * mask) * mask
        weight: Tensor = self.attention(found, mask)
        added: Tensor = found * weight
        return x + added


class RAMS(nn.Module):
    """Residual attention over features and over time (Salvetti et al. 2020,
    doi:10.3390/rs12142207, figures 2 to 4), up to its enlargement.

    Two things differ for the sake of seamless scenes: attention averages over a window in place of
    the tile, and the outside is unseen ground in place of a reflection.
    bands: C. width: F. frames: places K, odd. blocks: before time is reduced. squeeze: channels for
    one within attention. The paper's size is width 32, frames 9, blocks 12, squeeze 8.
    Reaches 3 + 4·blocks + 5·(frames − 3) / 2 pixels. Raises InputError for even frames.
    """

    uses = frozenset({"images", "masks", "order"})
    breaks = ""

    def __init__(
        self, bands: int, width: int, frames: int = 9, blocks: int = 12, squeeze: int = 8
    ) -> None:
        super().__init__()
        times, narrow = reductions(frames), max(1, width // squeeze)
        self.features, self.bands, self.frames = width, bands, frames
        self.reach = 3 + 4 * blocks + 5 * times
        self.stem = TimeConv(2 * bands + 1, width)
        self.blocks = nn.ModuleList(FeatureAttentionBlock(width, narrow) for _ in range(blocks))
        self.arm = TimeConv(width, width)
        self.refine = nn.ModuleList(FeatureAttentionBlock(width, narrow) for _ in range(times))
        self.reduce = nn.ModuleList(TimeConv(width, width, reduces=True) for _ in range(times))
        self.last = TimeConv(width, width, reduces=True)
        stacked = frames * bands
        self.weigh = TemporalAttentionBlock(stacked, max(1, stacked // squeeze))
        self.stacked = nn.Conv2d(stacked, width, 3, padding=1)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        places = placed(images, clear, days, self.frames)
        features = (self.fused(places) + self.summed(places)) * places.seen
        return Encoding(features, places.anchor, places.contrast, places.seen)

    def fused(self, places: Places) -> Tensor:
        """The main path [B, F, H, W]."""
        x, mask = places.x, places.mask
        start = x = self.stem(x) * mask
        for block in self.blocks:
            x = block(x, mask)
        x = start + self.arm(x) * mask
        for block, layer in zip(self.refine, self.reduce, strict=True):
            x, mask = block(x, mask), mask[:, :-2]
            x = relu(layer(x)) * mask
        features: Tensor = self.last(x)
        return features.squeeze(1)

    def summed(self, places: Places) -> Tensor:
        """The short path [B, F, H, W], of the stacked images alone."""
        x = places.x[:, :, : self.bands]
        mask = places.mask.expand_as(x)
        x, mask = (rearrange(each, "b k c h w -> b (k c) h w") for each in (x, mask))
        features: Tensor = self.stacked(self.weigh(x, mask))
        return features


class WideBlock(nn.Module):
    """x + conv(narrow(relu(wide(x)))): many channels where they are rectified, few where they are
    convolved (Yu et al. 2018, WDSR-B, arXiv:1808.08718, section 3.2). Reaches one pixel."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        wide, narrow = width * expansion, max(1, int(0.8 * width))
        self.mix = nn.Sequential(
            he(nn.Conv2d(width, wide, 1)), nn.ReLU(), nn.Conv2d(wide, narrow, 1)
        )
        self.last = TimeConv(narrow, width)
        nn.init.zeros_(self.last.three.weight)  # the identity at first

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        added: Tensor = self.last(each_place(self.mix, x) * mask) * mask
        return x + added


class Conv3D(nn.Module):
    """Wide activation in three dimensions beside the mean of the images (Dorr 2020, 3DWDSRNet,
    doi:10.3390/rs12223812), up to its enlargement.

    bands: C. width: F. frames: places K, odd. The paper's size is width 32, frames 7, blocks 8,
    expansion 6. Reaches 2 + blocks + (frames − 3) / 2 pixels, and those of contrast.
    Raises InputError for even frames.
    """

    uses = frozenset({"images", "masks", "order"})
    breaks = ""

    def __init__(
        self, bands: int, width: int, frames: int = 7, blocks: int = 8, expansion: int = 6
    ) -> None:
        super().__init__()
        times = reductions(frames)
        self.features, self.bands, self.frames = width, bands, frames
        self.reach = max(2 + blocks + times, 2 * CONTRAST_REACH)
        self.stem = TimeConv(2 * bands + 1, width)
        self.blocks = nn.ModuleList(WideBlock(width, expansion) for _ in range(blocks))
        self.reduce = nn.ModuleList(TimeConv(width, width, reduces=True) for _ in range(times))
        self.last = TimeConv(width, width, reduces=True)
        self.mean = nn.Conv2d(bands, width, 5, padding=2)

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        places = placed(images, clear, days, self.frames)
        x, mask = places.x, places.mask
        mean = x[:, :, : self.bands].sum(1) / mask.sum(1).clamp_min(1)
        x = relu(self.stem(x)) * mask
        for block in self.blocks:
            x = block(x, mask)
        for layer in self.reduce:
            mask = mask[:, :-2]
            x = relu(layer(x)) * mask
        features = (self.last(x).squeeze(1) + self.mean(mean)) * places.seen
        return Encoding(features, places.anchor, places.contrast, places.seen)
