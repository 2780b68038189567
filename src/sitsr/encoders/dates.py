"""Positional encodings of dates: what attention over time may know of when an image was taken.

    none          nothing: all images are alike
    index         the rank in time among the images given: their order, not how far apart
    days          signed days from the target date
    day of year   the season of each image: the target's phase in the year, and days from it
    both          half the channels for days, half for day of year

Each is a closed form without weights, so that encodings can be compared at equal cost. An angle a
is written as (sin a, cos a), which attention can turn: the difference of two dates is a rotation.
"""

from __future__ import annotations

from math import tau
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sitsr.series import InputError

Kind = Literal["none", "index", "days", "day of year", "both"]

KINDS: tuple[Kind, ...] = get_args(Kind)

BASE = 1000.0
"""Ratio of the slowest to the fastest angle, in the limit of many channels: L-TAE's T."""

YEAR = 365.25
"""Days."""


class DateEncoding(nn.Module):
    """The encoding of this kind in so many channels. It has no weights.

    Channels come in pairs of sine and cosine: an even number, and a multiple of 4 for "both".
    Raises InputError for another kind or number.
    """

    def __init__(self, kind: Kind, channels: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise InputError(f"no date encoding is named {kind!r}; give one of {', '.join(KINDS)}")
        if channels < 1 or channels % (4 if kind == "both" else 2):
            raise InputError(
                f"date encoding {kind!r} has {channels} channels; "
                f"give a multiple of {4 if kind == 'both' else 2}"
            )
        self.kind, self.channels = kind, channels

    def forward(self, days: Tensor, season: Tensor | None = None) -> Tensor:
        """days [B, T] from the target date, season [B] the target's phase in the year, 0 to 1, NaN
        or None where unknown -> [B, T, channels] within ±1.
        """
        days = days.float()  # whole days beyond a few years are not whole in half precision
        match self.kind:
            case "none":
                return days.new_zeros(*days.shape, self.channels)
            case "index":
                return sinusoid(rank(days), self.channels)
            case "days":
                return sinusoid(days, self.channels)
            case "day of year":
                return annual(days, season, self.channels)
            case "both":
                half = self.channels // 2
                return torch.cat([sinusoid(days, half), annual(days, season, half)], -1)


def sinusoid(place: Tensor, channels: int) -> Tensor:
    """[...] -> [..., d = channels]: sin aᵢ at even i, cos aᵢ at odd i, with

        aᵢ = place / 1000^(2⌊i/2⌋ / d)

    so that pair k turns once in 2π · 1000^(2k/d); d = 8 gives 6.3, 35, 199 and 1 117 days. The
    place may be negative. Vaswani et al. 2017, arXiv:1706.03762, section 3.5, with the base of
    Garnot and Landrieu 2020 (L-TAE), arXiv:2007.00586, and as Okabayashi et al. 2024,
    arXiv:2404.16409, use it with signed days from the target.
    """
    pair = torch.arange(channels // 2, device=place.device)
    angle = place[..., None] / BASE ** (2 * pair / channels)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)


def annual(days: Tensor, season: Tensor | None, channels: int) -> Tensor:
    """days [B, T], season [B] -> [B, T, channels]: with the phase φ = season + days / 365.25,

        sin 2πkφ, cos 2πkφ    for k = 1 … channels / 2

    Zeros where the season is NaN, or for all without one.
    """
    if season is None:
        return days.new_zeros(*days.shape, channels)
    known = ~season.isnan()
    phase = season.nan_to_num(0.0).to(days.dtype)[:, None] + days / YEAR
    harmonic = torch.arange(1, channels // 2 + 1, device=days.device)
    angle = tau * (phase % 1)[..., None] * harmonic
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2) * known[:, None, None]


def rank(days: Tensor) -> Tensor:
    """[B, T] -> [B, T]: how many different days lie before each, so that equal days rank equal."""
    ordered, order = days.sort(1)
    step = (ordered.diff(dim=1) > 0).to(days.dtype)
    climbed = torch.cat([torch.zeros_like(days[:, :1]), step], 1).cumsum(1)
    return torch.zeros_like(days).scatter(1, order, climbed)
