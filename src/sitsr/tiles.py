"""Cut a scene into tiles, and noise that belongs to the ground.

Tiles are whole numbers on the low-resolution grid: a core that is kept and a halo that is only
looked at. Cores cover the scene once; halos may hang over its edge, where nothing is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sitsr.series import Floats

NOISE_BLOCK = 64
"""Side of the blocks of ground that noise is drawn for, low-resolution pixels."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A core of the scene [top, bottom) × [left, right) in low-resolution pixels."""

    top: int
    left: int
    bottom: int
    right: int

    def window(self, scale: int = 1) -> tuple[slice, slice]:
        """Rows and columns of the core in the scene, scale times finer."""
        return (
            slice(self.top * scale, self.bottom * scale),
            slice(self.left * scale, self.right * scale),
        )

    def grown(self, halo: int, shape: tuple[int, int]) -> Tile:
        """The core with its halo, cut off at the edge of a scene of this (rows, columns)."""
        rows, cols = shape
        return Tile(
            max(self.top - halo, 0),
            max(self.left - halo, 0),
            min(self.bottom + halo, rows),
            min(self.right + halo, cols),
        )

    def moved(self, down: int, right: int) -> Tile:
        """The same tile so many rows and columns further."""
        return Tile(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def within(self, outer: Tile, scale: int = 1) -> tuple[slice, slice]:
        """Rows and columns of this core inside an outer tile, scale times finer."""
        return self.moved(-outer.top, -outer.left).window(scale)


def plan(shape: tuple[int, int], side: int) -> Iterator[Tile]:
    """Cores of at most side × side that cover (rows, columns), row by row."""
    rows, cols = shape
    for top in range(0, rows, side):
        for left in range(0, cols, side):
            yield Tile(top, left, min(top + side, rows), min(left + side, cols))


def noise_under(
    origin: tuple[int, int], shape: tuple[int, int], bands: int, scale: int, seed: tuple[int, ...]
) -> Floats:
    """Standard normal noise [bands, scale·H, scale·W] that belongs to the ground, not to the tile.

    origin: row and column of the first low-resolution pixel, counted on the ground (from the
    origin of the CRS); shape: (H, W). The same ground and seed give the same noise, whatever is
    asked for around it: one generator for each block of ground.
    """
    (top, left), (rows, cols) = origin, shape
    out = np.empty((bands, rows * scale, cols * scale), np.float32)
    for block_row in range(top // NOISE_BLOCK, (top + rows - 1) // NOISE_BLOCK + 1):
        for block_col in range(left // NOISE_BLOCK, (left + cols - 1) // NOISE_BLOCK + 1):
            block = _block(block_row, block_col, bands, scale, seed)
            first_row, first_col = block_row * NOISE_BLOCK - top, block_col * NOISE_BLOCK - left
            ours = _overlap(first_row, rows, scale), _overlap(first_col, cols, scale)
            (to_row, from_row), (to_col, from_col) = ours
            out[:, to_row, to_col] = block[:, from_row, from_col]
    return out


def _overlap(first: int, length: int, scale: int) -> tuple[slice, slice]:
    """Where a block that starts at first lies in [0, length), and which part of it that is."""
    start, stop = max(first, 0), min(first + NOISE_BLOCK, length)
    return (
        slice(start * scale, stop * scale),
        slice((start - first) * scale, (stop - first) * scale),
    )


def _block(row: int, col: int, bands: int, scale: int, seed: tuple[int, ...]) -> Floats:
    # Seeds must not be negative; rows north of the equator count downwards from 0, so they are.
    chance = np.random.default_rng((*seed, row + 2**31, col + 2**31))
    side = NOISE_BLOCK * scale
    return chance.standard_normal((bands, side, side), np.float32)
