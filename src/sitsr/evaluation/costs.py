"""What an answer costs, whatever the machine: operations counted, not timed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitsr.model import Model

SIDE = 32
"""Low-resolution pixels along the patch that operations are counted on."""


@lru_cache(maxsize=256)
def mflop_per_pixel(model: Model, dates: int, steps: int) -> float:
    """Million floating-point operations an output pixel: the mean and, at steps above 0, a sample.

    A multiplication and an addition count as two, in convolutions and matrix products alone, as
    torch.utils.flop_counter counts them.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    card, device = model.card, next(model.parameters()).device
    bands, scale = len(card.bands), card.scale
    images = torch.full((1, dates, bands, SIDE, SIDE), 0.1, device=device)
    clear = torch.ones((1, dates, SIDE, SIDE), dtype=torch.bool, device=device)
    days = torch.arange(dates, device=device, dtype=torch.float32)[None]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        estimate = model(images, clear, days)
        if steps:
            noise = torch.zeros((1, bands, SIDE * scale, SIDE * scale), device=device)
            model.sample(estimate, noise, steps)
    return float(counter.get_total_flops()) / (SIDE * scale) ** 2 / 1e6
