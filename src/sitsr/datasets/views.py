"""A pair that is looked at window by window: in memory, or where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

import numpy as np

from sitsr.datasets.pairs import Pair
from sitsr.series import Booleans, Floats


class Window(NamedTuple):
    """Part of a pair: h × w pixels of some images of its series, and the ground below them."""

    images: Floats
    """[T, C, h, w] reflectance."""
    clear: Booleans
    """[T, h, w]"""
    reference: Floats
    """[C, scale·h, scale·w]"""
    known: Booleans
    """[scale·h, scale·w] where the reference may be learnt from."""


class View(Protocol):
    """What is known of a pair before a pixel is read, and how windows of it are read."""

    @property
    def name(self) -> str:
        """Site and patch, for what is said of it."""

    @property
    def target(self) -> date: ...

    @property
    def scale(self) -> int: ...

    @property
    def dates(self) -> tuple[date, ...]:
        """T, of the series."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the series."""

    @property
    def at_sensor(self) -> bool:
        """Whether the reference lies on the grid of the series."""

    @property
    def held(self) -> object:
        """All that it holds, or a digest of it."""

    def select(self, bands: Sequence[str]) -> View:
        """The same in these bands only, in this order; InputError where one is not there."""

    def read(self, frames: Sequence[int], rows: slice, cols: slice) -> Window:
        """frames: positions in time, in any order, repeated or not. rows, cols: of the series."""


def days_from(view: View) -> Floats:
    """[T] acquisition minus target date, in days, signed."""
    return np.array([(day - view.target).days for day in view.dates], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """A view of a pair that is read already."""

    pair: Pair

    @property
    def name(self) -> str:
        return f"{self.pair.site}, {self.pair.patch}"

    @property
    def target(self) -> date:
        return self.pair.target

    @property
    def scale(self) -> int:
        return self.pair.scale

    @property
    def dates(self) -> tuple[date, ...]:
        return self.pair.series.dates

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.pair.series.clear.shape[1:]
        return rows, cols

    @property
    def at_sensor(self) -> bool:
        return self.pair.at_sensor

    @property
    def held(self) -> object:
        pair = self.pair
        told = (pair.site, pair.patch, pair.target, pair.scale, pair.series.dates)
        return (*told, pair.series.images, pair.series.clear, pair.reference, pair.clear)

    def select(self, bands: Sequence[str]) -> InMemory:
        return InMemory(self.pair.select(bands))

    def read(self, frames: Sequence[int], rows: slice, cols: slice) -> Window:
        pair, chosen = self.pair, list(frames)
        factor = 1 if pair.at_sensor else pair.scale
        down, across = (slice(factor * each.start, factor * each.stop) for each in (rows, cols))
        return Window(
            pair.series.images[chosen][..., rows, cols],
            pair.series.clear[chosen][..., rows, cols],
            pair.reference[:, down, across],
            pair.clear[down, across],
        )
