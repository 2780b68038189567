"""How long training waits for its data: by number of workers, as a share of the step.

    python benchmarks/loader.py [--data data] [--recipe recipes/default.yaml] [--batches 40]

The batches, losses, optimiser, clipping and average of a run of `sitsr train`, without its
checkpoints and logs: for each number of workers the same batches of each stage, the first few not
counted, while the workers start. With no worker, the wait is all that making a batch takes. Data
is found in SITSR_DATA, if not said. Training should wait less than 5 % of the time.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader

from sitsr.datasets import Batch, Batches
from sitsr.training.recipe import batches, card_of, read_recipe
from sitsr.training.run import Fit

ROOT = Path(__file__).parents[1]
BAR = 0.05
UNCOUNTED = 8
"""Batches before the count: workers start, and have some ready that were made meanwhile."""


class Spent(NamedTuple):
    """Seconds over the batches that are counted."""

    waiting: float
    working: float

    @property
    def share(self) -> float:
        return self.waiting / (self.waiting + self.working)


def loaded(dataset: Batches, numbers: range, workers: int) -> Iterator[Batch]:
    """These batches, as a run loads them."""
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return iter(loader)


def spent(fit: Fit, dataset: Batches, numbers: range, workers: int) -> Spent:
    """Fit on these batches, and tell waiting from work."""
    optimiser = fit.configure_optimizers()["optimizer"]
    arriving = loaded(dataset, numbers, workers)
    waiting = working = 0.0
    for number in numbers:
        began = time.perf_counter()
        batch = next(arriving)
        came = time.perf_counter()
        step(fit, optimiser, number, batch)
        if number - numbers.start >= UNCOUNTED:
            waiting += came - began
            working += time.perf_counter() - came
    return Spent(waiting, working)


def step(fit: Fit, optimiser: torch.optim.Optimizer, number: int, batch: Batch) -> None:
    """What a run does with a batch."""
    chance = torch.Generator().manual_seed(number)
    parts = fit.losses_of(number, fit.model, batch, chance, fit.discriminator)
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(parts.values())).sum().backward()
    torch.nn.utils.clip_grad_norm_(fit.parameters(), 0.5)
    optimiser.step()
    fit.averaged.update_parameters(fit.model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SITSR_DATA", "data")))
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes/default.yaml")
    parser.add_argument("--batches", type=int, default=40, help="that are counted, of each stage")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2, help="of the process that fits")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    recipe = read_recipe(chosen.recipe)
    dataset = batches(recipe, chosen.data)
    print("| workers | stage | ms a step | ms of it waiting | share | under 5 % |")
    print("|---:|---|---:|---:|---:|---|")
    for workers in chosen.workers:
        fit = Fit(recipe, card_of(recipe))
        stages = {"mean": 0, "generator": fit.mean_steps} if fit.model.samples else {"mean": 0}
        for stage, first in stages.items():
            numbers = range(first, first + UNCOUNTED + chosen.batches)
            took = spent(fit, dataset, numbers, workers)
            waited, whole = (1000 * each / chosen.batches for each in (took.waiting, sum(took)))
            kept = "yes" if took.share < BAR else "no"
            print(
                f"| {workers} | {stage} | {whole:.0f} | {waited:.1f} "
                f"| {100 * took.share:.1f} % | {kept} |"
            )


if __name__ == "__main__":
    main()
