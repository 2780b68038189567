"""Seconds of one sample: ours in one step beside SRDiff conditioned by a series, as published.

    python benchmarks/samplers.py [--steps 5] [--whole] [--threads 2] [--repeats 5]

Both see the same series of 8 images, 74 × 74 pixels and four bands, encode it and draw one sample
of 296 × 296. The peer is `srdiff-highresnet-ltae` at its published size, of 500 calls of its
network, each as dear as any other: so --steps of them are timed and multiplied, and --whole takes
all 500. Its weights are not trained, which makes it neither faster nor slower.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.evaluation.costs import mflop_per_pixel
from sitsr.methods import METHODS
from sitsr.model import Card, Model, open_model

DATES, SIDE, BAR = 8, 74, 1000


class Timing(NamedTuple):
    """What one answer took."""

    encoding: float
    """Seconds for the series: features, mean and spread."""
    drawing: float
    """Seconds for one sample from them."""

    @property
    def whole(self) -> float:
        return self.encoding + self.drawing


def published() -> Model:
    """SRDiff under HighRes-net's embedding and L-TAE (Okabayashi et al. 2024), laid out as ours."""
    bands, sigma = zip(*SENTINEL2_SIGMA.items(), strict=True)
    name = "srdiff-highresnet-ltae"
    torch.manual_seed(0)
    model = Model(Card(bands=bands, sigma=sigma, name=name, **METHODS[name].card))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def answer(model: Model, steps: int) -> Timing:
    """One pass over a made-up series, and one sample in so many steps."""
    chance = torch.Generator().manual_seed(0)
    bands, scale = len(model.card.bands), model.card.scale
    images = 0.4 * torch.rand(1, DATES, bands, SIDE, SIDE, generator=chance)
    clear = torch.rand(1, DATES, SIDE, SIDE, generator=chance) > 0.2
    days = 10.0 * (torch.arange(DATES) - 3)[None]
    noise = torch.randn(1, bands, scale * SIDE, scale * SIDE, generator=chance)
    with torch.inference_mode():
        encoding, estimate = timed(lambda: model(images, clear, days))
        drawing, sample = timed(lambda: model.sample(estimate, lambda field: noise, steps))
    assert sample.shape == noise.shape
    return Timing(encoding, drawing)


def best(model: Model, steps: int, repeats: int) -> Timing:
    """The shortest of several answers, after one that sets up kernels."""
    answer(model, steps)
    return min((answer(model, steps) for _ in range(repeats)), key=lambda each: each.whole)


def of_all_calls(model: Model, steps: int) -> Timing:
    """An answer in all the model's steps, from one in so many, after one that sets up kernels."""
    answer(model, 1)
    took = answer(model, steps)
    return Timing(took.encoding, took.drawing * model.steps / steps)


def row(name: str, model: Model, steps: int, took: Timing, least: Timing) -> str:
    weights = sum(each.numel() for each in model.parameters()) / 1e6
    one, two = (mflop_per_pixel(model, DATES, calls) for calls in (1, 2))
    work = one + (two - one) * (steps - 1)
    seconds = f"{took.encoding:.3f} | {took.drawing:.3f} | {took.whole:.3f}"
    ratio = f"{took.whole / least.whole:,.0f}"
    return f"| {name} | {weights:.2f} | {work:,.3g} | {steps} | {seconds} | {ratio} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=5, help="calls of the peer that are timed")
    parser.add_argument("--whole", action="store_true", help="time every call of the peer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="answers of ours; the best counts")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    ours, peer = open_model(device="cpu"), published()
    steps = peer.steps if chosen.whole else chosen.steps
    short = best(ours, 1, chosen.repeats)
    long = of_all_calls(peer, steps)
    print(
        "| system | million weights | MFLOP a pixel | steps | encode s | draw s | s | times ours |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    print(row("sitsr", ours, 1, short, short))
    print(row(peer.card.name, peer, peer.steps, long, short))
    counted = "all were timed" if chosen.whole else f"{steps} were timed, the rest cost the same"
    reached = "reached" if long.whole >= BAR * short.whole else "not reached"
    print(f"\n{chosen.threads} threads; of the {peer.steps} calls {counted}; ", end="")
    print(f"{BAR:,} times: {reached}")


if __name__ == "__main__":
    main()
