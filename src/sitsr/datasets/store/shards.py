"""Windows of an array of Zarr v3 that lies in one shard, without what makes the library slow.

Zarr crosses threads for every chunk; this reads several times as many windows a second
(benchmarks/store.py). A shard ends with its index, where each of its chunks begins and how long it
is, as 64-bit integers, and their checksum (ZEP 2); a chunk is one Blosc buffer. What is read so is
held to what Zarr reads by a test.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs.blosc import decompress

CHECKSUM = 4
"""Bytes of it, after the index."""

MISSING = np.iinfo(np.uint64).max
"""Stands in the index for a chunk that is zero throughout, and is not there."""


@dataclass(frozen=True, eq=False)
class Shard:
    """An array in one shard."""

    path: Path
    """Of the file that holds the chunks."""
    kind: np.dtype[Any]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    index: npt.NDArray[np.uint64]
    """[chunks along every axis …, 2] offset and length, bytes."""

    def read(self, *where: int | slice) -> npt.NDArray[Any]:
        """Part of the array: one whole number or slice, of step 1, for each axis."""
        spans = [
            range(at, at + 1) if isinstance(at, int) else range(length)[at]
            for at, length in zip(where, self.shape, strict=True)
        ]
        out = np.zeros([len(span) for span in spans], self.kind)
        chunks = (
            range(span.start // size, -(-span.stop // size))
            for span, size in zip(spans, self.chunk, strict=True)
        )
        with self.path.open("rb") as file:
            for place in product(*chunks):
                self._lay(out, spans, place, file.fileno())
        return out[tuple(0 if isinstance(at, int) else slice(None) for at in where)]

    def _lay(
        self, out: npt.NDArray[Any], spans: list[range], place: tuple[int, ...], file: int
    ) -> None:
        """Lay on `out` what it shares with one chunk."""
        offset, length = (int(each) for each in self.index[place])
        if length == MISSING:
            return
        decoded = decompress(os.pread(file, length, offset))
        chunk = np.frombuffer(decoded, self.kind).reshape(self.chunk)
        here, there = [], []
        for span, number, size in zip(spans, place, self.chunk, strict=True):
            first, end = max(span.start, number * size), min(span.stop, (number + 1) * size)
            here.append(slice(first - span.start, end - span.start))
            there.append(slice(first - number * size, end - number * size))
        out[tuple(here)] = chunk[tuple(there)]


@lru_cache(maxsize=4096)
def open_shard(folder: Path) -> Shard:
    """The array in this folder, as ``write_store`` writes them. ValueError where it is not."""
    told = json.loads((folder / "zarr.json").read_text())
    (codec,) = told["codecs"]
    chunk = tuple(codec["configuration"]["chunk_shape"])
    shape = tuple(told["shape"])
    counts = [-(-length // size) for length, size in zip(shape, chunk, strict=True)]
    path = folder.joinpath("c", *["0"] * len(shape))
    kind = np.dtype(told["data_type"]).newbyteorder("<")
    if not path.exists():  # nothing in it is not zero
        return Shard(folder / "zarr.json", kind, shape, chunk, np.full((*counts, 2), MISSING))
    size = 16 * int(np.prod(counts))
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - CHECKSUM
        file.seek(max(end - size, 0))
        index = np.frombuffer(file.read(size), "<u8").reshape(*counts, 2)
    there = index[index[..., 1] != MISSING]
    if (there.astype(float).sum(-1) > end - size).any():
        raise ValueError(f"{path} is cut short")
    return Shard(path, kind, shape, chunk, index)
