"""What draws images that the ground may equally well be, from what encoder and mean leave open.

A generator is any module with

    forward(given, noise, steps) -> sample [B, C, scale·H, scale·W] reflectance
    losses(given, hr, weight, white, chance) -> losses by name, to be added up

and the numbers ``steps`` (usual calls of the network a sample), ``stride`` (low-resolution pixels
on which the origin of a tile must sit) and ``reach(steps)``. Noise is handed in as fields numbered
from 0, since noise belongs to the ground; most need field 0 alone.

    Rotation       the method: the standardised residual over the mean, folded; flow or one step
    Karras         the same residual, EDM with a small greatest noise level
    Chain          SRDiff: residual over bicubic, at full resolution; and SR3, the image itself
    Transport      conditional flow matching from the bicubic image to the ground
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from sitsr.denoisers import ResidualVelocity, UNet, fold, unfold
from sitsr.diffusion import (
    NOISE,
    Velocity,
    chains,
    draw,
    energy_score,
    fair_crps,
    flow_error,
    karras,
    transport,
)
from sitsr.encoders import UNIT, Encoding

Noise = Callable[[int], Tensor]
"""Number of a field -> white noise [B, C, scale·H, scale·W]."""

Fold = Literal["unshuffle", "haar"]

MOST_RESIDUAL = 8.0
"""Standardised residuals beyond this are cut, in training and in samples:
clouds that a mask missed, not detail."""

COARSE = 2.0
"""Weight of the scores of means over blocks, which are small beside those of pixels."""

LARGE = 0.05
"""Residual over bicubic, reflectance, that the networks of Chain see as 1."""


class Given(NamedTuple):
    """What a generator is conditioned on."""

    encoding: Encoding
    base: Tensor
    """[B, C, scale·H, scale·W] reflectance: the anchor enlarged, zero where never seen."""
    mean: Tensor
    """[B, C, scale·H, scale·W] reflectance."""
    spread: Tensor
    """[B, C, scale·H, scale·W] standard deviation of hr − mean."""


class Rotation(nn.Module):
    """The flow of ``sitsr.diffusion.rotation`` in several steps, and a network for one step.

    The one-step network is trained as the whole integral, with fair scores.
    """

    steps, stride = 1, 1

    def __init__(
        self, bands: int, features: int, scale: int, width: int, blocks: int, kind: Fold
    ) -> None:
        super().__init__()
        self.scale, self.kind = scale, kind
        folded = bands * scale**2
        self.flow = ResidualVelocity(folded, features, width, blocks)
        self.one_step = ResidualVelocity(folded, features, width, blocks)

    def reach(self, steps: int) -> int:
        """Low-resolution pixels that this many calls reach."""
        return steps * self.flow.reach

    def velocity(self, encoding: Encoding, steps: int) -> Velocity:
        """The velocity of residuals given this encoding; one step has a network of its own."""
        network = self.one_step if steps == 1 else self.flow
        return partial(network, features=encoding.features, seen=encoding.seen)

    def forward(self, given: Given, noise: Noise, steps: int) -> Tensor:
        folded = fold(noise(0), self.scale, self.kind) * given.encoding.seen
        drawn = draw(self.velocity(given.encoding, steps), folded, steps)
        residual = unfold(drawn, self.scale, self.kind).clamp(-MOST_RESIDUAL, MOST_RESIDUAL)
        return given.mean + given.spread * residual

    def losses(
        self, given: Given, hr: Tensor, weight: Tensor, white: Noise, chance: torch.Generator
    ) -> dict[str, Tensor]:
        """Flow error, and fair scores of one-step members, of the standardised residual."""
        residual = standardised(given, hr) * weight
        clean, known = (fold(x, self.scale, self.kind) for x in (residual, weight))
        if self.kind == "haar":  # a coefficient is known if every pixel of its block is
            known = (max_pool2d(-weight, self.scale).repeat_interleave(self.scale**2, 1)).neg()

        def field(number: int) -> Tensor:
            return fold(white(number), self.scale, self.kind) * given.encoding.seen

        angle = (torch.rand(len(clean), generator=chance) * NOISE).to(clean)
        flow = flow_error(self.velocity(given.encoding, 2), clean, field(0), angle)
        one = self.velocity(given.encoding, 1)
        drawn = torch.stack([draw(one, field(1 + k), 1) * known for k in range(2)])
        patches = energy_score(drawn, clean * known, side=2)
        whole = -max_pool2d(-known.amin(1, keepdim=True), 2, stride=1)
        return {
            "flow": average(flow, known),
            "crps": average(fair_crps(drawn, clean * known), known),
            "energy": average(patches, whole),
            "coarse": COARSE * self._coarse(drawn, residual, weight),
        }

    def _coarse(self, drawn: Tensor, residual: Tensor, weight: Tensor) -> Tensor:
        """Fair CRPS of means over blocks of one and of four low-resolution pixels.

        What is wrong over whole fields, when no image of the target date was seen, is small in
        every pixel's score and large in these.
        """
        members = torch.stack([unfold(each, self.scale, self.kind) for each in drawn])
        total = residual.new_zeros(())
        sides = (self.scale, 4 * self.scale)
        for side in (side for side in sides if side <= min(residual.shape[-2:])):
            pooled = avg_pool2d(members.flatten(0, 1), side).unflatten(0, members.shape[:2])
            known = -max_pool2d(-weight, side)
            total = total + average(fair_crps(pooled, avg_pool2d(residual, side)), known)
        return total


class Karras(nn.Module):
    """EDM (Karras et al. 2022) of the standardised residual, from a small noise level on.

    A residual of unit variance is all but noise at a level of 5 already. Steps are noise levels, of
    two calls each but the last (Heun): where the rotation is exact for white residuals with one
    call, Euler gives them 0.46 of their variance in 4 levels, Heun 1.12 in 8.
    """

    steps, stride = 8, 1

    def __init__(
        self, bands: int, features: int, scale: int, width: int, blocks: int, kind: Fold
    ) -> None:
        super().__init__()
        self.scale, self.kind = scale, kind
        self.network = ResidualVelocity(bands * scale**2, features, width, blocks)

    def reach(self, steps: int) -> int:
        """Low-resolution pixels that the calls at this many levels reach."""
        return (2 * steps - 1) * self.network.reach

    def denoiser(self, encoding: Encoding) -> karras.Denoiser:
        """The denoiser given this encoding."""
        network = partial(self.network, features=encoding.features, seen=encoding.seen)
        return karras.precondition(network)

    def forward(self, given: Given, noise: Noise, steps: int) -> Tensor:
        white = fold(noise(0), self.scale, self.kind) * given.encoding.seen
        stops = karras.levels(steps)
        *_, residual = karras.descend(karras.heun, self.denoiser(given.encoding), white, stops)
        return given.mean + given.spread * unfold(residual, self.scale, self.kind)

    def losses(
        self, given: Given, hr: Tensor, weight: Tensor, white: Noise, chance: torch.Generator
    ) -> dict[str, Tensor]:
        """Weighted denoising error at log-normal levels."""
        clean = fold(standardised(given, hr) * weight, self.scale, self.kind)
        sigma = karras.log_normal(torch.randn(len(clean), generator=chance), -0.5).to(clean)
        noise = fold(white(0), self.scale, self.kind)
        error = karras.denoising_error(self.denoiser(given.encoding), clean, noise, sigma)
        known = -max_pool2d(-weight.amin(1, keepdim=True), self.scale)
        return {"denoising": average(error, known)}


class Chain(nn.Module):
    """A diffusion chain at full resolution: SRDiff's residual over bicubic, or SR3's image itself.

    SRDiff (Li et al. 2021) draws (hr − bicubic) given features; SR3 (Saharia et al. 2021) hr given
    bicubic side by side. The published samplers take every level; fewer steps are drawn with
    DPM-Solver++ (Lu et al. 2022).
    """

    def __init__(
        self,
        bands: int,
        features: int,
        scale: int,
        width: int,
        multipliers: tuple[int, ...],
        levels: int,
        residual: bool,
    ) -> None:
        super().__init__()
        self.residual, self.steps = residual, levels
        concat = 0 if residual else bands
        self.network = UNet(bands + concat, bands, features, scale, width, multipliers)
        self.alpha_bar = chains.cosine(levels) if residual else chains.linear(levels, 1e-6, 0.01)
        self.stride = self.network.stride

    def reach(self, steps: int) -> int:
        """Of one call: what later calls look at beyond it was drawn from the same noise."""
        return self.network.reach

    def _predict(self, given: Given) -> chains.Predict:
        encoding = given.encoding
        network = partial(self.network, features=encoding.features, seen=encoding.seen)
        return network if self.residual else partial(network, concat=given.base / UNIT - 1)

    def forward(self, given: Given, noise: Noise, steps: int) -> Tensor:
        every = steps == len(self.alpha_bar)
        stops = chains.spaced(len(self.alpha_bar), steps)
        step = chains.ancestral if every else chains.dpm_solver_pp
        way = chains.descend(step, self._predict(given), noise, stops, self.alpha_bar, bound=4.0)
        *_, clean = way
        return given.base + LARGE * clean if self.residual else UNIT * (clean + 1)

    def losses(
        self, given: Given, hr: Tensor, weight: Tensor, white: Noise, chance: torch.Generator
    ) -> dict[str, Tensor]:
        """Absolute error of the predicted noise, as SRDiff and SR3 train it."""
        clean = (hr - given.base) / LARGE if self.residual else hr / UNIT - 1
        clean = clean.clamp(-4, 4) * weight
        level = torch.randint(len(self.alpha_bar), (len(hr),), generator=chance).to(hr.device)
        error = chains.epsilon_error(
            self._predict(given), clean, white(0), level, self.alpha_bar, "l1"
        )
        return {"noise": average(error, weight)}


class Transport(nn.Module):
    """Conditional flow matching from the enlarged image, with a little noise, to the ground.

    Lipman et al. 2023; for satellite series with 100 Euler steps (SR-CFM).
    """

    def __init__(
        self,
        bands: int,
        features: int,
        scale: int,
        width: int,
        multipliers: tuple[int, ...],
        sigma: float,
    ) -> None:
        super().__init__()
        self.sigma, self.steps = sigma, 100
        self.network = UNet(bands, bands, features, scale, width, multipliers)
        self.stride = self.network.stride

    def reach(self, steps: int) -> int:
        """Of one call: what later calls look at beyond it came from the same start."""
        return self.network.reach

    def _velocity(self, given: Given) -> transport.Velocity:
        encoding = given.encoding
        return partial(self.network, features=encoding.features, seen=encoding.seen)

    def forward(self, given: Given, noise: Noise, steps: int) -> Tensor:
        start = transport.source(given.base / UNIT - 1, noise(0), self.sigma)
        way = transport.follow(
            transport.euler, self._velocity(given), start, transport.times(steps)
        )
        *_, end = way
        return UNIT * (end + 1)

    def losses(
        self, given: Given, hr: Tensor, weight: Tensor, white: Noise, chance: torch.Generator
    ) -> dict[str, Tensor]:
        """Squared error of the velocity."""
        start = transport.source(given.base / UNIT - 1, white(0), self.sigma)
        time = torch.rand(len(hr), generator=chance).to(hr)
        end = torch.where(weight > 0, hr / UNIT - 1, start)
        error = transport.flow_error(self._velocity(given), start, end, time)
        return {"velocity": average(error, weight)}


def standardised(given: Given, hr: Tensor) -> Tensor:
    """(hr − mean) / spread [B, C, scale·H, scale·W], of unit variance, cut where masks failed."""
    residual = (hr - given.mean) / given.spread
    return residual.clamp(-MOST_RESIDUAL, MOST_RESIDUAL)


def average(values: Tensor, weight: Tensor) -> Tensor:
    """The mean of the values where they are known."""
    return (values * weight).sum() / weight.expand_as(values).sum().clamp_min(1)
