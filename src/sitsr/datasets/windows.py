"""Training batches cut from pairs that are at hand: nothing is simulated but clouds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from sitsr.datasets.archives import BANDS
from sitsr.datasets.batches import Batch, Mixture, chosen_frames, clouded, stacked, turned
from sitsr.datasets.exchange import read_pairs
from sitsr.datasets.pairs import Pair, Source
from sitsr.series import InputError, phase_of_year

KEPT = 256
"""Pairs that are held in memory; others are read again when they are drawn."""


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
        self._kept: dict[int, Pair] = {}

    @property
    def held(self) -> Iterator[object]:
        """Everything of every pair but where its files lie; each is read, and so checked."""
        for source in self.pairs:
            pair = self._checked(source.load())
            told = (pair.site, pair.patch, pair.target, pair.scale, pair.series.dates)
            yield (*told, pair.series.images, pair.series.clear, pair.reference, pair.clear)

    def __call__(self, chance: np.random.Generator, times: int, count: int) -> Batch:
        """A batch of count windows, of as many images as the longest of their series at most."""
        drawn = [self._pair(int(chance.integers(len(self.pairs)))) for _ in range(count)]
        times = min(times, max(len(pair.series.dates) for pair in drawn))
        return stacked([self._window(pair, chance, times) for pair in drawn])

    def _pair(self, number: int) -> Pair:
        if number not in self._kept:
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = self._checked(self.pairs[number].load())
        return self._kept[number]

    def _checked(self, pair: Pair) -> Pair:
        """The pair in the bands that are learnt."""
        if pair.scale != self.scale or pair.at_sensor:
            found = "on the grid of its series" if pair.at_sensor else f"of scale {pair.scale}"
            raise InputError(
                f"{pair.site}, {pair.patch} has a reference {found}; wanted scale {self.scale}: "
                "leave it out, or set another scale"
            )
        rows, cols = pair.series.clear.shape[1:]
        if min(rows, cols) < self.side:
            raise InputError(
                f"{pair.site}, {pair.patch} is {rows} × {cols} pixels; wanted at least "
                f"{self.side} × {self.side}: set a smaller side"
            )
        return pair.select(self.bands)

    def _window(self, pair: Pair, chance: np.random.Generator, times: int) -> Batch:
        """One example, without the batch axis."""
        series, side, scale = pair.series, self.side, self.scale
        top, left = (int(chance.integers(n - side + 1)) for n in series.clear.shape[1:])
        coarse = np.s_[..., top : top + side, left : left + side]
        fine = np.s_[..., scale * top : scale * (top + side), scale * left : scale * (left + side)]
        days = series.days_from(pair.target)
        own = series.dates.index(pair.target) if pair.target in series.dates else None
        chosen = chosen_frames(days, own, times, self.mixture.held_out, chance)
        turn = turned(chance)
        hr, known = turn(pair.reference[fine]), turn(pair.clear[fine])
        clear = clouded(turn(series.clear[chosen][coarse]), self.mixture, chance)
        return Batch(
            torch.from_numpy(turn(series.images[chosen][coarse])),
            torch.from_numpy(clear),
            torch.from_numpy(days[chosen]),
            torch.from_numpy(hr),
            torch.from_numpy(np.broadcast_to(known, hr.shape).astype(np.float32)),
            torch.tensor(phase_of_year(pair.target), dtype=torch.float32),
        )


def training_pairs(folder: Path, sites: Sequence[str] | None = None) -> list[Source]:
    """The pairs on disk (docs/pairs.md) that may be trained on, of these sites or of all.

    Those of the split "train", and those that name no split. InputError where there are none, or
    none of a site.
    """
    may = [each for each in read_pairs(folder) if each.split in (None, "train")]
    if not may:
        raise InputError(
            f"{folder} holds only pairs that are set apart for other splits; "
            'give pairs with the "split" "train"'
        )
    found = sorted({each.site for each in may})
    if missing := sorted(set(sites or ()) - set(found)):
        raise InputError(
            f"{folder} does not hold {', '.join(missing)}; it holds {', '.join(found)}"
        )
    return [each for each in may if sites is None or each.site in sites]
