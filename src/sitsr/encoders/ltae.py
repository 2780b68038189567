"""L-TAE: lightweight attention over time, one learned query a head, pixel by pixel.

Garnot and Landrieu 2020, arXiv:2007.00586, as Okabayashi, Audebert, Donike and Pelletier 2024
(arXiv:2404.16409, BreizhSR) fuse the images of a series with it: an embedding of each image, the
encoding of its days from the target added, and for head h, with one query qₕ for all pixels,

    aₕ(t) = softmax over t of qₕ · kₕ(t) / √d,    out = mlp(concatenated Σₜ aₕ(t) vₕ(t))

where kₕ = linear(e) has d = 4 numbers and vₕ is the h-th part of e itself.

What differs: images that are not clear are masked in attention (the original never passes a mask);
group normalisation runs over time, cloud and all, and batch normalisation over the picture, so
both are a normalisation over the channels of each pixel; there is no dropout. The query can be
made from the target date instead, which the original knows from the encoding of days alone.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from einops import rearrange
from torch import Tensor, nn

from sitsr.encoders.anchors import CONTRAST_REACH, UNIT, Encoding
from sitsr.encoders.dates import DateEncoding, Kind
from sitsr.encoders.frames import FrameEncoder, PixelNorm, framed
from sitsr.encoders.layers import he
from sitsr.encoders.single import DenseTrunk
from sitsr.encoders.transformer import HIDDEN
from sitsr.series import InputError

Query = Literal["constant", "target date"]
Embed = Literal["highresnet", "rrdb"]

KEY = 4
"""Numbers d in a query or key."""


class LightweightAttention(nn.Module):
    """L-TAE itself: features of the images of each pixel to features of the pixel.

    width: F. Each head has its part of the 2F channels that images are widened to.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        wide = 2 * width
        self.heads = heads
        self.before = PixelNorm(width)
        self.widen = nn.Conv2d(width, wide, 1)
        self.query = nn.Parameter(torch.zeros(heads, KEY))
        self.key = nn.Conv2d(wide, heads * KEY, 1)
        self.mlp = nn.Sequential(
            nn.Conv2d(wide, width, 1), PixelNorm(width), nn.ReLU(), PixelNorm(width)
        )
        nn.init.normal_(self.query, std=(2 / KEY) ** 0.5)

    def forward(
        self, frames: Tensor, clear: Tensor, places: Tensor, asked: Tensor | None = None
    ) -> Tensor:
        """frames [B·T, F, H, W], clear [B, T, H, W], places [B, T, 2F / heads] in time,
        asked [B, heads, 4, H, W] added to the learned query -> [B, F, H, W].
        """
        times, split = clear.shape[1], "(b t) (n d) h w -> b t n d h w"
        added = rearrange(places.repeat(1, 1, self.heads), "b t c -> (b t) c 1 1")
        wide = self.widen(self.before(frames)) + added.to(frames.dtype)
        key = rearrange(self.key(wide), split, t=times, n=self.heads)
        value = rearrange(wide, split, t=times, n=self.heads)
        query = self.query[None, :, :, None, None] + (0.0 if asked is None else asked)
        score = (query[:, None] * key).sum(3) / KEY**0.5
        weight = score.masked_fill(~clear.unsqueeze(2), HIDDEN).softmax(1) * clear.unsqueeze(2)
        attended = torch.einsum("btnhw,btndhw->bndhw", weight, value)
        features: Tensor = self.mlp(rearrange(attended, "b n d h w -> b (n d) h w"))
        return features


class TargetQuery(nn.Module):
    """What a query knows of the target: the anchor around a pixel, and the target's own place in
    time. bands: C. width: F. channels: of the place. Reaches a pixel.
    """

    def __init__(self, bands: int, width: int, heads: int, channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.stem = he(nn.Conv2d(bands + 1, width, 3, padding=1))
        self.bend = nn.PReLU()
        self.ask = nn.Conv2d(width, heads * KEY, 1)
        self.place = nn.Linear(channels, heads * KEY, bias=False)

    def forward(self, anchor: Tensor, seen: Tensor, place: Tensor) -> Tensor:
        """anchor [B, C, H, W], seen [B, 1, H, W], place [B, channels] -> [B, heads, 4, H, W]."""
        around = self.bend(self.stem(torch.cat([anchor / UNIT - 1, seen], 1) * seen)) * seen
        asked = self.ask(around) + self.place(place.to(around.dtype))[..., None, None]
        each_head: Tensor = asked.unflatten(1, (self.heads, KEY))
        return each_head


class LTAE(nn.Module):
    """An embedding of each image, L-TAE over time: the encoder of BreizhSR.

    bands: C. width: F. heads: a divisor of 2F, with an even number of channels for each, or a
    multiple of 4 where positions are "both". positions: a date encoding (dates.py). query:
    "constant", or "target date" to add to it what TargetQuery makes. embed: "highresnet", or "rrdb"
    for the trunk of ESRGAN. blocks: of the embedding. InputError for a name or number that cannot
    be. The paper's sizes are those given and, with "rrdb", width 32, blocks 8. Reaches 2 + 2·blocks
    pixels, 2 + 15·blocks with "rrdb", and not less than contrast does.
    """

    uses: frozenset[str] = frozenset({"images", "dates", "masks"})
    breaks: str = ""

    def __init__(
        self,
        bands: int,
        width: int = 64,
        heads: int = 16,
        positions: Kind = "days",
        query: Query = "constant",
        embed: Embed = "highresnet",
        blocks: int = 2,
    ) -> None:
        super().__init__()
        channels, odd = divmod(2 * width, heads)
        if odd:
            raise InputError(
                f"{heads} heads cannot share {2 * width} channels; give a divisor of them"
            )
        _check("query", query, get_args(Query))
        _check("embed", embed, get_args(Embed))
        self.features = width
        self.dates = DateEncoding(positions, channels)
        self.frames = (
            FrameEncoder(bands, width, blocks)
            if embed == "highresnet"
            else DenseTrunk(2 * bands + 1, width, blocks, growth=width // 2)
        )
        self.attention = LightweightAttention(width, heads)
        self.target = None if query == "constant" else TargetQuery(bands, width, heads, channels)
        self.reach = max(self.frames.reach, 2 * CONTRAST_REACH)
        if positions in ("none", "index"):
            self.uses = self.uses - {"dates"} | ({"order"} if positions == "index" else set())
        if positions == "index":
            self.breaks = (
                "An image with nothing clear counts among the ranks of the others: rank is of the "
                "images given, not of what is clear at a pixel."
            )

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Encoding:
        """As sitsr.encoders promises; the season is used by positions that know the year."""
        x, mask, anchor, contrast, seen, _ = framed(images, clear, days)
        asked = None
        if self.target is None:
            places = self.dates(days, season)
        else:  # the target is placed among the images, so that ranks are one list
            placed = self.dates(torch.cat([days, torch.zeros_like(days[:, :1])], 1), season)
            places, asked = placed[:, :-1], self.target(anchor, seen, placed[:, -1])
        fused = self.attention(self.frames(x, mask), clear, places, asked)
        return Encoding(fused * seen, anchor, contrast, seen)


def _check(field: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise InputError(f"{field} {name!r} is not known; give {' or '.join(names)}")
