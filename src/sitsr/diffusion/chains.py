"""Draw images along a chain of noise levels: DDPM and the faster ways down the same chain.

An image e is hidden in noise n little by little, with its variance kept (Ho et al. 2020,
arXiv:2006.11239, eq. 4):

    x_t = √ᾱ_t · e + √(1 − ᾱ_t) · n,     ᾱ falls from near 1 (level 0) to near 0 (the last level).

The chain is ``alpha_bar`` [levels], float64. One object carries the theory, what the network
predicts (Ho et al., eq. 11 to 14),

    ε(x, t) = E[n | x_t = x],      so that      ê = (x − √(1 − ᾱ_t) · ε) / √ᾱ_t

is the clean image as it is guessed from level t. Every sampler here sees only x and ê; it is a step
from one level to a lower one, and there is one loop. With a = ᾱ at the level, b = ᾱ at the lower:

    ancestral       √b (1 − a/b) / (1 − a) · ê + √(a/b) (1 − b) / (1 − a) · x + τ · fresh noise,
                    τ² = (1 − b) / (1 − a) · (1 − a/b)                     (Ho et al., eq. 6 and 7)
    ddim            √b · ê + √(1 − b − (η τ)²) · ε + η τ · fresh noise
                                           (Song et al. 2021, arXiv:2010.02502, eq. 12 and 16)
    dpm_solver_pp   √((1 − b) / (1 − a)) · x + √b (1 − e^(−h)) · ê', with h the gain in
                    λ = log √(ᾱ / (1 − ᾱ)) and ê' read off a line through the last two guesses
                                           (Lu et al. 2022, arXiv:2211.01095, algorithm 2)

Noise is handed in as a function of the number of the step, so that it can belong to the ground.
What the image is conditioned on is bound to ε beforehand, so that no sampler ever sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import exp, inf, log, pi, sqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sitsr.series import InputError

Predict = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, H, W], level [B] as a share of the chain, 0 to 1) -> noise [B, C, H, W]."""

Noises = Callable[[int], Tensor]
"""White noise [B, C, H, W]: 0 is what the chain starts from, k is what the k-th step may add."""

CLEAN = -1
"""The level below level 0, where no noise is left: ᾱ = 1."""


class Place(NamedTuple):
    """Where the chain stands."""

    x: Tensor
    """[B, C, H, W] image in noise."""
    clean: Tensor
    """[B, C, H, W] ê, the clean image as it is guessed from here."""
    alpha_bar: float
    """ᾱ of this level."""

    @property
    def noise(self) -> Tensor:
        """ε [B, C, H, W], the noise that x is made of if ê is right."""
        return (self.x - sqrt(self.alpha_bar) * self.clean) / sqrt(1 - self.alpha_bar)


Step = Callable[[Place, Place | None, float, Callable[[], Tensor]], Tensor]
"""(place, the place before it if any, lower ᾱ, () -> fresh noise) -> x [B, C, H, W] at lower ᾱ."""


def cosine(steps: int, s: float = 0.008) -> Tensor:
    """alpha_bar [steps]: cos² of the time, β at most 0.999 (Nichol & Dhariwal 2021, eq. 17)."""
    time = torch.arange(steps + 1, dtype=torch.float64) / steps
    left = ((time + s) / (1 + s) * pi / 2).cos().square()
    return (left[1:] / left[:-1]).clamp_min(0.001).cumprod(0)


def linear(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """alpha_bar [steps]: β grows evenly from first to last (Ho et al. 2020, section 4).

    SR3 (Saharia et al. 2021, arXiv:2104.07636) trains with 2000 steps from 1e-6 to 0.01.
    """
    return (1 - torch.linspace(first, last, steps, dtype=torch.float64)).cumprod(0)


def epsilon_error(
    predict: Predict,
    clean: Tensor,
    noise: Tensor,
    level: Tensor,
    alpha_bar: Tensor,
    norm: Literal["l1", "l2"] = "l2",
) -> Tensor:
    """Error of the predicted noise [B, C, H, W], absolute ("l1") or squared (Ho et al., eq. 14).

    clean and noise [B, C, H, W], level int64 [B], 0 to len(alpha_bar) − 1.
    """
    if norm not in ("l1", "l2"):
        raise InputError(f"norm is {norm!r}, not 'l1' or 'l2'; choose one of them")
    a = alpha_bar.to(clean)[level][:, None, None, None]
    x = a.sqrt() * clean + (1 - a).sqrt() * noise
    error = predict(x, level.to(clean) / len(alpha_bar)) - noise
    return error.abs() if norm == "l1" else error.square()


def spaced(total: int, steps: int) -> list[int]:
    """Levels to stop at, evenly from the last of a chain of this total down to CLEAN.

    The last level is always among them, since noise is what it holds and what sampling starts from
    (Lin et al. 2023, arXiv:2305.08891, table 2, "trailing").
    """
    if not 1 <= steps <= total:
        raise InputError(f"{steps} steps on a chain of {total} levels; give 1 to {total}")
    return [round(total * (1 - k / steps)) - 1 for k in range(steps)] + [CLEAN]


def ancestral(
    place: Place, before: Place | None, lower: float, fresh: Callable[[], Tensor]
) -> Tensor:
    """DDPM: mean of the posterior and noise of its variance (Ho et al. 2020, eq. 6 and 7)."""
    a, b = place.alpha_bar, lower
    mean = sqrt(b) * (1 - a / b) / (1 - a) * place.clean + sqrt(a / b) * (1 - b) / (1 - a) * place.x
    return mean if b == 1 else mean + _posterior_deviation(a, b) * fresh()


def ddim(
    place: Place,
    before: Place | None,
    lower: float,
    fresh: Callable[[], Tensor],
    eta: float = 0.0,
) -> Tensor:
    """First order: the guessed image in the noise of a lower level (Song et al. 2021, eq. 12).

    eta: 0 adds no fresh noise, 1 as much as DDPM. Bind it with functools.partial.
    """
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}; give 0 (no fresh noise) to 1 (as much as DDPM)")
    deviation = eta * _posterior_deviation(place.alpha_bar, lower)
    x = sqrt(lower) * place.clean + sqrt(1 - lower - deviation**2) * place.noise
    return x + deviation * fresh() if deviation else x


def dpm_solver_pp(
    place: Place, before: Place | None, lower: float, fresh: Callable[[], Tensor]
) -> Tensor:
    """Second order with one call of the network a step: 2M (Lu et al. 2022, algorithm 2).

    The first step and the one to CLEAN, where λ is infinite, are of first order.
    """
    if lower == 1:
        return place.clean
    a, b = place.alpha_bar, lower
    gain = _log_signal_to_noise(b) - _log_signal_to_noise(a)
    clean = place.clean
    if before is not None:
        gained = _log_signal_to_noise(a) - _log_signal_to_noise(before.alpha_bar)
        clean = clean + gain / gained / 2 * (clean - before.clean)
    return sqrt((1 - b) / (1 - a)) * place.x + sqrt(b) * (1 - exp(-gain)) * clean


def descend(
    step: Step,
    predict: Predict,
    noises: Noises,
    levels: Sequence[int],
    alpha_bar: Tensor,
    bound: float = inf,
) -> Iterator[Tensor]:
    """Every x [B, C, H, W] on the way down these levels of the chain; the last is the answer.

    Guesses of the clean image are cut at ± bound. One call of the network a step.
    """
    if not all(len(alpha_bar) > level > lower >= CLEAN for level, lower in pairwise(levels)):
        raise InputError(
            f"levels are {list(levels)}; they must fall, from {len(alpha_bar) - 1} at most "
            f"to {CLEAN} at least: see spaced()"
        )
    left = [*alpha_bar.tolist(), 1.0]  # CLEAN is the last but by counting from behind
    x, before = noises(0), None
    for count, (level, lower) in enumerate(pairwise(levels), start=1):
        noise = predict(x, x.new_full((len(x),), level / len(alpha_bar)))
        clean = (x - sqrt(1 - left[level]) * noise) / sqrt(left[level])
        place = Place(x, clean.clamp(-bound, bound), left[level])
        x = step(place, before, left[lower], partial(noises, count))
        before = place
        yield x


def _posterior_deviation(a: float, b: float) -> float:
    """τ, the standard deviation of x at ᾱ = b when x at ᾱ = a and the clean image are known."""
    return sqrt((1 - b) / (1 - a) * (1 - a / b))


def _log_signal_to_noise(alpha_bar: float) -> float:
    """λ, half the logarithm of the ratio of powers."""
    return log(alpha_bar / (1 - alpha_bar)) / 2
