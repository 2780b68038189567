"""Losses that forgive a shift and a bias, and a target that is laid on the estimate beforehand.

    hr, estimate, mean   [B, C, sH, sW]   reflectance
    weight               [B, C, sH, sW]   1 where hr is to be learnt from, else 0
    shift                [B, 2]           rows down and columns right, high-resolution pixels

A target from another sensor lies a pixel or two off, and a loss that asks for every pixel in its
place then rewards blur. Two ways out: ``registered`` takes the least loss over all small shifts of
the target, which suits the mean; ``align`` moves the target once, before noise is added to it,
which suits a sampler. A search on the loss of the *noise* would do nothing: white noise does not
move with the image, so that no shift always wins.

Geometry is kept by two rules. The target moves, never the estimate, so that nothing smooths what is
learnt and ``moved(hr)[p] = hr[p − shift]``. And all shifts are compared on the same pixels: those
that stay between known pixels of hr however it is moved.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from sitsr.series import InputError
from sitsr.training.pixelwise import Loss

TAPS = 8
"""Pixels that the windowed sinc looks to each side."""

FALL = 5.0
"""How fast its window falls, the beta of Kaiser: waves of 2.5 pixels, and all longer ones, are then
moved with an error of at most 0.4 % of their amplitude."""

BLUR = 1.5
"""Pixels: what is finer says little of where an image lies, and a mean lacks it."""

FEWEST = 64
"""Pixels below which a shift, a gain or an offset cannot be told."""

MOST_GAIN = 2.0
"""Gains are held between this and one over it: beyond, the two images do not match."""


class Aligned(NamedTuple):
    """A target that lies on the mean."""

    hr: Tensor
    """[B, C, sH, sW] reflectance; 0 where the weight is."""
    weight: Tensor
    """[B, C, sH, sW] 1 where hr is to be learnt from, before and after the shift."""
    shift: Tensor
    """[B, 2] by which it was moved: rows down, columns right, high-resolution pixels."""


def registered(
    loss: Loss,
    estimate: Tensor,
    hr: Tensor,
    weight: Tensor,
    limit: float,
    step: float = 0.5,
    bias: bool = True,
) -> Tensor:
    """[B] the least loss of the estimate against hr moved by up to ±limit pixels both ways.

    Shifts lie on a grid of this step, the same both ways, with no shift in its middle. With bias,
    the mean of hr − estimate over each band is added to the estimate first: then the loss says
    nothing of the level, which something else has to teach. The gradient is that of the best shift.
    After Märtens et al. 2019 (PROBA-V, cMSE) and Deudon et al. 2020 (HighRes-net).

    A loss may look at more than the estimate, pixel on pixel, as it is never cropped:
    ``lambda estimate, hr, weight: laplace(hr - estimate, spread, weight)``.
    """
    _check(hr, weight, estimate, limit)
    line = shifts(limit, step)
    common = eroded(weight, ceil(limit))

    def score(estimate: Tensor, there: Tensor) -> Tensor:
        return loss(_level(estimate, there, common) if bias else estimate, there, common)

    best, kept = hr.new_full((len(hr),), torch.inf), hr
    with torch.no_grad():
        for down in line:
            rows, seen = _along_rows(hr, weight, hr.new_full((len(hr),), down))
            for right in line:
                there, _ = _along_cols(rows, seen, hr.new_full((len(hr),), right))
                scored = score(estimate, there)
                kept = there.where(_wide(scored < best), kept)
                best = best.minimum(scored)
    return score(estimate, kept)


def align(hr: Tensor, weight: Tensor, mean: Tensor, limit: float) -> Aligned:
    """The target moved, by less than a pixel or by up to ±limit pixels both ways, onto the mean.

    The shift is that of the greatest correlation with the mean, averaged over bands, so that
    neither gain nor bias matters; both are first blurred by 1.5 pixels, since what the mean lacks
    in detail would draw the maximum aside. Found at whole pixels, then twice at the summit of a
    quadric through the 3 × 3 values around. Not moved where fewer than 64 pixels could be compared.
    No gradient comes back.
    """
    _check(hr, weight, mean, limit)
    with torch.no_grad():
        fixed, moving = (blurred(image, weight, BLUR) for image in (mean, hr))
        # Two more, for a blur beside a cloud is not the blur of what lay there.
        common = eroded(weight, ceil(limit) + 3)
        shift = _whole(fixed, moving, common, ceil(limit))
        for _ in range(2):
            shift = _uphill(fixed, moving, weight, common, shift).clamp(-limit, limit)
        enough = common.amax(1).sum((1, 2)) >= FEWEST
        shift = shift * enough[:, None]
        return Aligned(*moved(hr, weight, shift), shift)


def matched(hr: Tensor, weight: Tensor, mean: Tensor, blur: float = 4.0) -> Tensor:
    """The target with a gain and an offset in every band that bring it to the mean's radiometry.

    hr = a · mean + b is fitted by least squares over the weighted pixels, both blurred by this many
    pixels (about the scale, below which the mean has less contrast than the ground), and undone.
    The fit the other way round would take from hr all the contrast that the mean does not share,
    and teach a model to be smooth (``sitsr.radiometry.match_contrast``); in this direction a mean
    that is E[hr | series] gives a = 1, and a poorer one a gain too large, never too small. Gains
    are held within a factor of two, and are 1 where the correlation is below one half; below 64
    pixels hr is given back. No gradient comes back.
    """
    _check(hr, weight, mean, 0.0)
    with torch.no_grad():
        known = hr.where(weight > 0, 0.0)
        x, y = (blurred(image, weight, blur) for image in (mean, hr))
        x, level_x = _centred(x, weight)
        y, level_y = _centred(y, weight)
        both, power_x, power_y = (_total(each, weight) for each in (x * y, x * x, y * y))
        alike = (both > 0) & (both.square() > 0.25 * power_x * power_y)
        slope = torch.where(alike, both / power_x.clamp_min(1e-20), 1.0)
        gain = 1 / slope.clamp(1 / MOST_GAIN, MOST_GAIN)
        enough = weight.sum((2, 3), keepdim=True) >= FEWEST
        return torch.where(enough, level_x + gain * (known - level_y), known)


def shifts(limit: float, step: float) -> list[float]:
    """Shifts along one axis, pixels: 0 first, then farther and farther both ways."""
    if not step > 0 or limit < 0:
        raise InputError(
            f"shifts need a limit of 0 pixels or more and a step above 0, got {limit} and {step}"
        )
    return [
        0.0,
        *(side * k * step for k in range(1, floor(limit / step + 1e-9) + 1) for side in (-1, 1)),
    ]


def moved(hr: Tensor, weight: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The target moved by shift [B, 2], and the weight where it lies between pixels it had before.

    By a sinc under a window of Kaiser, 8 pixels to each side, along rows and then along columns:
    it keeps the finest detail, which a cubic kernel would smooth and so bring nearer to every
    smooth estimate. No shift changes nothing. What had no weight has none afterwards, because an
    estimate may hold anything there.
    """
    rows, seen = _along_rows(hr, weight, shift[:, 0])
    there, seen = _along_cols(rows, seen, shift[:, 1])
    valid = seen * weight
    return there.where(valid > 0, 0.0), valid


def eroded(weight: Tensor, reach: int) -> Tensor:
    """The weight [B, C, H, W] where there is weight at all pixels within reach, rows and columns.

    Beyond the picture there is none.
    """
    without = 1 - pad((weight > 0).to(weight.dtype), [reach] * 4)
    return weight * (1 - max_pool2d(without, 2 * reach + 1, stride=1))


def blurred(image: Tensor, weight: Tensor, sigma: float) -> Tensor:
    """[B, C, H, W] Gaussian mean of the pixels that have weight; sigma in pixels."""
    reach = ceil(3 * sigma)
    away = torch.arange(-reach, reach + 1, dtype=torch.float64)
    taps = torch.exp(-0.5 * (away / sigma).square()).expand(len(image), -1)

    def smooth(image: Tensor) -> Tensor:
        return _weigh(_weigh(image, taps).mT, taps).transpose(-2, -1)

    known = (weight > 0).to(image.dtype)
    return smooth(image.where(weight > 0, 0.0)) / smooth(known).clamp_min(1e-6)


def _along_rows(image: Tensor, weight: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Image and weight moved down by shift [B] pixels.

    Where a tap of the sinc falls on a pixel without weight, or beyond the picture, that pixel is
    taken to lie on the line through the two about the place looked for:

        moved = line(0) + Σ_k sinc(k) (x_k − line(k)),     over the k that have weight.

    So a ramp is moved exactly, right up to a border, and with all pixels there it is the sinc.
    """
    reach = TAPS + ceil(float(shift.abs().max()))
    away = torch.arange(-reach, reach + 1, device=shift.device) + shift.double()[:, None]  # [B, K]
    window = torch.i0(FALL * (1 - (away / TAPS).square()).clamp_min(0).sqrt())
    sinc = torch.sinc(away) * window * (away.abs() <= TAPS)
    sinc = sinc / sinc.sum(1, keepdim=True)
    near = (1 - away.abs()).clamp_min(0)  # weights of the two pixels about the place
    rise = away.sign() * (near > 0)
    known = (weight > 0).to(image.dtype)
    image = image.where(weight > 0, 0.0)
    total, middle, slope = (_weigh(image, taps) for taps in (sinc, near, rise))
    share, lever, seen = (_weigh(known, taps) for taps in (sinc, sinc * away, near))
    there = middle + total - middle * share - slope * lever
    whole = seen > 0.999  # rounding
    return there.where(whole, 0.0), whole.to(weight.dtype)


def _along_cols(image: Tensor, weight: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    there, seen = _along_rows(image.mT, weight.mT, shift)
    return there.mT, seen.mT


def _weigh(image: Tensor, taps: Tensor) -> Tensor:
    """[B, C, H, W] sums along the rows, each example with its own weights taps [B, K]."""
    batch, bands = image.shape[:2]
    kernels = repeat(taps.to(image), "b k -> (b c) 1 k 1", c=bands)
    flat = rearrange(image, "b c h w -> 1 (b c) h w")
    # Half precision has fewer digits than reflectance.
    with torch.autocast(image.device.type, enabled=False):
        sums: Tensor = conv2d(flat, kernels, padding=(taps.shape[1] // 2, 0), groups=len(kernels))
    return sums.reshape(batch, bands, *image.shape[2:])


def _whole(fixed: Tensor, moving: Tensor, common: Tensor, reach: int) -> Tensor:
    """[B, 2] the shift of whole pixels with the greatest correlation, the smallest of equals."""
    best = fixed.new_full((len(fixed),), -torch.inf)
    shift = fixed.new_zeros(len(fixed), 2)
    line = [int(each) for each in shifts(reach, 1.0)]
    for place in sorted(((down, right) for down in line for right in line), key=_far):
        # What wraps around lies outside what is common.
        alike = _correlation(fixed, moving.roll(place, (2, 3)), common)
        better = alike > best + 1e-6
        shift = fixed.new_tensor(place).where(better[:, None], shift)
        best = alike.where(better, best)
    return shift


def _far(place: tuple[int, int]) -> int:
    return place[0] ** 2 + place[1] ** 2


def _uphill(
    fixed: Tensor, moving: Tensor, weight: Tensor, common: Tensor, shift: Tensor, step: float = 0.5
) -> Tensor:
    """[B, 2] the summit of a quadric through the correlations half a pixel around."""
    near = []
    for down in (-step, 0.0, step):
        rows, seen = _along_rows(moving, weight, shift[:, 0] + down)
        for right in (-step, 0.0, step):
            there, _ = _along_cols(rows, seen, shift[:, 1] + right)
            near.append(_correlation(fixed, there, common))
    at = torch.stack(near, 1).double().unflatten(1, (3, 3))  # [B, 3, 3]
    slope = torch.stack([at[:, 2, 1] - at[:, 0, 1], at[:, 1, 2] - at[:, 1, 0]], 1) / 2
    down = at[:, 2, 1] + at[:, 0, 1] - 2 * at[:, 1, 1]
    right = at[:, 1, 2] + at[:, 1, 0] - 2 * at[:, 1, 1]
    mixed = (at[:, 2, 2] + at[:, 0, 0] - at[:, 2, 0] - at[:, 0, 2]) / 4
    bend = down * right - mixed.square()
    is_summit = (down < 0) & (bend > 1e-14)
    ahead = torch.stack(
        [right * slope[:, 0] - mixed * slope[:, 1], down * slope[:, 1] - mixed * slope[:, 0]], 1
    )
    ahead = -ahead / torch.where(is_summit, bend, 1.0)[:, None]
    ahead = ahead.clamp(-2, 2) * step * is_summit[:, None]
    summit: Tensor = shift + ahead.to(shift.dtype)
    return summit


def _correlation(fixed: Tensor, moving: Tensor, weight: Tensor) -> Tensor:
    """[B] weighted correlation, the mean over bands; 0 for a band without contrast."""
    x, _ = _centred(fixed, weight)
    y, _ = _centred(moving, weight)
    power = _total(x * x, weight) * _total(y * y, weight)
    alike: Tensor = _total(x * y, weight) / power.clamp_min(1e-20).sqrt()
    return alike.mean((1, 2, 3))


def _centred(image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The image less the weighted mean of each band, and that mean [B, C, 1, 1]."""
    image = image.where(weight > 0, 0.0)
    level = _total(image, weight) / weight.sum((2, 3), keepdim=True).clamp_min(1e-6)
    return image - level, level


def _total(image: Tensor, weight: Tensor) -> Tensor:
    """[B, C, 1, 1] weighted sum over each band."""
    return (image * weight).sum((2, 3), keepdim=True)


def _level(estimate: Tensor, hr: Tensor, weight: Tensor) -> Tensor:
    """The estimate with the mean of hr in every band."""
    _, bias = _centred(hr - estimate, weight)
    return estimate + bias


def _wide(chosen: Tensor) -> Tensor:
    return chosen[:, None, None, None]


def _check(hr: Tensor, weight: Tensor, estimate: Tensor, limit: float) -> None:
    if not hr.shape == weight.shape == estimate.shape or hr.ndim != 4:
        raise InputError(
            f"hr {list(hr.shape)}, weight {list(weight.shape)} and estimate "
            f"{list(estimate.shape)} must all be one [B, C, H, W]; cut them to the same ground"
        )
    if min(hr.shape[-2:]) <= 2 * ceil(limit):
        raise InputError(
            f"images of {hr.shape[-2]} × {hr.shape[-1]} pixels leave nothing to compare when moved "
            f"by {limit} pixels both ways; give larger ones or a smaller limit"
        )
