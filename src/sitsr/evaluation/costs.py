"""What an answer costs, whatever the machine: operations counted, not timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitsr.model import Model


def listing(dates: int, progress: Callable[[int, int], None]) -> Iterator[tuple[str, ...]]:
    """Every method: name, million weights, MFLOP an output pixel, steps, uses, paper.

    Operations are of the mean and one sample in the method's own number of steps, from a series of
    this many images of four bands.
    """
    from sitsr.consistency import SENTINEL2_SIGMA
    from sitsr.methods import METHODS
    from sitsr.model import Card, Model

    bands, sigma = tuple(SENTINEL2_SIGMA), tuple(SENTINEL2_SIGMA.values())
    for done, (name, made) in enumerate(METHODS.items(), start=1):
        model = Model(Card(bands=bands, sigma=sigma, name=name, **made.card)).eval()
        weights = sum(each.numel() for each in model.parameters())
        once = mflop_per_pixel(model, dates, 0)
        cost = once
        if model.samples:  # every call costs the same, so two are enough to know the rest
            one, two = (mflop_per_pixel(model, dates, steps) for steps in (1, 2))
            cost = one + (two - one) * (model.steps - 1)
        uses = ", ".join(sorted(model.encoder.uses))
        steps = str(model.steps or "–")
        mflop_per_pixel.cache_clear()  # what it counted is kept with the model
        progress(done, len(METHODS))
        yield name, f"{weights / 1e6:.2f}", f"{cost:.3g}", steps, uses, made.paper


SIDE = 32
"""Low-resolution pixels along the patch that operations are counted on."""


@lru_cache(maxsize=256)
def mflop_per_pixel(model: Model, dates: int, steps: int) -> float:
    """Million floating-point operations an output pixel: the mean and, at steps above 0, a sample.

    A multiplication and an addition count as two, in convolutions and matrix products alone, as
    torch.utils.flop_counter counts them.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    card, device = model.card, next(model.parameters()).device
    bands, scale = len(card.bands), card.scale
    images = torch.full((1, dates, bands, SIDE, SIDE), 0.1, device=device)
    clear = torch.ones((1, dates, SIDE, SIDE), dtype=torch.bool, device=device)
    days = torch.arange(dates, device=device, dtype=torch.float32)[None]
    counter = FlopCounterMode(display=False)
    # Attention as matrix products: in one piece it is not counted on a CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        estimate = model(images, clear, days)
        if steps:
            noise = torch.zeros((1, bands, SIDE * scale, SIDE * scale), device=device)
            model.sample(estimate, lambda field: noise, steps)
    return float(counter.get_total_flops()) / (SIDE * scale) ** 2 / 1e6
