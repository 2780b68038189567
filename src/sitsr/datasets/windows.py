"""Training batches cut from pairs that are at hand: nothing is simulated but clouds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sitsr.datasets.archives import BANDS
from sitsr.datasets.batches import Batch, Mixture, chosen_frames, clouded, stacked, turned
from sitsr.datasets.known import open_dataset
from sitsr.datasets.pairs import Source
from sitsr.datasets.views import InMemory, View, days_from
from sitsr.series import InputError, phase_of_year

KEPT = 256
"""Views that are held, in memory where they have to be; others are made again when drawn."""


class PairWindows:
    """Batches of windows of pairs: the series and the reference as they lie, turned and clouded."""

    def __init__(
        self,
        pairs: Sequence[Source],
        mixture: Mixture,
        side: int,
        scale: int = 4,
        bands: Sequence[str] = BANDS,
    ) -> None:
        """side: of the window, pixels of the reference, a multiple of scale, else InputError."""
        if not pairs:
            raise InputError("there are no pairs to train on; give a folder that holds some")
        if side % scale:
            raise InputError(f"side is {side}; wanted a multiple of the scale, {scale}")
        self.pairs, self.mixture, self.side = list(pairs), mixture, side // scale
        self.scale, self.bands = scale, tuple(bands)
        self._kept: dict[int, View] = {}

    @property
    def held(self) -> Iterator[object]:
        """Everything of every pair but where its files lie; each is looked at, and so checked."""
        for source in self.pairs:
            yield self._checked(view_of(source)).held

    def __call__(self, chance: np.random.Generator, times: int, count: int) -> Batch:
        """A batch of count windows, of as many images as the longest of their series at most."""
        drawn = [self._view(int(chance.integers(len(self.pairs)))) for _ in range(count)]
        times = min(times, max(len(view.dates) for view in drawn))
        return stacked([self._window(view, chance, times) for view in drawn])

    def _view(self, number: int) -> View:
        if number not in self._kept:
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = self._checked(view_of(self.pairs[number]))
        return self._kept[number]

    def _checked(self, view: View) -> View:
        """The view in the bands that are learnt."""
        if view.scale != self.scale or view.at_sensor:
            found = "on the grid of its series" if view.at_sensor else f"of scale {view.scale}"
            raise InputError(
                f"{view.name} has a reference {found}; wanted scale {self.scale}: "
                "leave it out, or set another scale"
            )
        rows, cols = view.shape
        if min(rows, cols) < self.side:
            raise InputError(
                f"{view.name} is {rows} × {cols} pixels; wanted at least "
                f"{self.side} × {self.side}: set a smaller side"
            )
        return view.select(self.bands)

    def _window(self, view: View, chance: np.random.Generator, times: int) -> Batch:
        """One example, without the batch axis."""
        top, left = (int(chance.integers(n - self.side + 1)) for n in view.shape)
        days = days_from(view)
        own = view.dates.index(view.target) if view.target in view.dates else None
        chosen = chosen_frames(days, own, times, self.mixture.held_out, chance)
        turn = turned(chance)
        seen = view.read(chosen, slice(top, top + self.side), slice(left, left + self.side))
        hr = turn(seen.reference)
        clear = clouded(turn(seen.clear), self.mixture, chance)
        return Batch(
            torch.from_numpy(turn(seen.images)),
            torch.from_numpy(clear),
            torch.from_numpy(days[chosen]),
            torch.from_numpy(hr),
            torch.from_numpy(np.broadcast_to(turn(seen.known), hr.shape).astype(np.float32)),
            torch.tensor(phase_of_year(view.target), dtype=torch.float32),
        )


def view_of(source: Source) -> View:
    """A source looked at where it lies if it can be, else read whole."""
    return InMemory(source.load()) if source.look is None else source.look()


def training_pairs(
    folder: Path, sites: Sequence[str] | None = None, where: Mapping[str, str] | None = None
) -> list[Source]:
    """The pairs in a folder that may be trained on: of these sites, and with these tags, or all.

    The folder is a public data set, a store, or pairs on disk (docs/pairs.md). Those of the split
    "train", and those that name no split. InputError where there are none, or none of a site.
    """
    may = [each for each in open_dataset(folder) if each.split in (None, "train")]
    if not may:
        raise InputError(
            f"{folder} holds only pairs that are set apart for other splits; "
            'give pairs with the "split" "train"'
        )
    wanted = (where or {}).items()
    if not (tagged := [each for each in may if wanted <= each.tags.items()]):
        asked = ", ".join(f"{name}: {value}" for name, value in wanted)
        raise InputError(f"{folder} holds no pair to train on with {asked}")
    found = sorted({each.site for each in tagged})
    if missing := sorted(set(sites or ()) - set(found)):
        raise InputError(
            f"{folder} does not hold {', '.join(missing)}; it holds {', '.join(found)}"
        )
    return [each for each in tagged if sites is None or each.site in sites]
