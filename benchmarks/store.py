"""Windows from a training store, a second: against Zarr's own reading, and GeoTIFFs.

    python benchmarks/store.py [--seconds 10] [--gigabytes 100]

Pairs of 16 dates and four bands of 146 × 150 pixels with references of 584 × 600 are made of the
bundled series, written once as a store and once as GeoTIFFs (docs/pairs.md). Windows are those of
training: 8 dates of 32 × 32 pixels and the 128 × 128 of the reference below them, at random places
of random pairs. Two processes draw them, as many as a run has workers on two cores. The larger
store is the same blocks under many names, so that it takes no room on the disk: what is asked of
it is whether memory stays what it was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import zarr

import sitsr
from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets import Mixture, PairWindows, Source, at_hand, export_pairs, read_pairs
from sitsr.datasets.pairs import REAL, Pair
from sitsr.datasets.store import read_store, reading, write_store

PAIRS, T, H, W, SCALE = 8, 16, 146, 150, 4
BANDS = ("B02", "B03", "B04", "B08")
BAR = 300


def made(number: int) -> Pair:
    """A pair of real pixels, moved about; what it shows is no matter here."""
    series = sitsr.open_series(str(files("sitsr") / "demo")).select(BANDS)
    first = series.dates[0]
    turned = [np.roll(series.images[k % len(series.dates)], 17 * number + k, -1) for k in range(T)]
    small = replace(
        series.crop(slice(0, H), slice(0, W)),
        images=np.stack(turned)[..., :H, :W],
        clear=np.stack([series.clear[k % len(series.dates)] for k in range(T)])[:, :H, :W],
        dates=tuple(first + timedelta(days=5 * k) for k in range(T)),
        sources=tuple(f"{k}" for k in range(T)),
    )
    fine = np.kron(small.images[T // 2], np.ones((SCALE, SCALE), np.float32))
    sigma = tuple(SENTINEL2_SIGMA[band] for band in BANDS)
    task = (small, small.dates[T // 2], SCALE, f"site {number}", f"patch {number}", REAL)
    return Pair(*task, fine, np.ones(fine.shape[1:], bool), sigma)


def windows(found: Sequence[Source]) -> PairWindows:
    return PairWindows(found, Mixture(most_images=8), 32 * SCALE, SCALE, BANDS)


def forgetful(found: Sequence[Source]) -> PairWindows:
    """Windows that keep no pair in memory, as with more pairs than fit."""
    cut = windows(found)
    cut._kept = Nothing()
    return cut


class Nothing(dict):  # type: ignore[type-arg]
    def __setitem__(self, key: object, value: object) -> None:
        self.clear()
        super().__setitem__(key, value)


def draw(cut: PairWindows, seed: int, seconds: float) -> int:
    """How many windows were drawn in this time."""
    chance = np.random.default_rng(seed)
    cut(chance, 8, 4)  # files are opened once
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        cut(chance, 8, 4)
        count += 4
    return count


class ByZarr:
    """Reads what a Shard reads, by the library."""

    def __init__(self, folder: Path) -> None:
        self.array = zarr.open_array(folder, mode="r")

    def read(self, *where: int | slice) -> np.ndarray:
        return np.asarray(self.array[where])


def a_second(open_it: Callable[[], PairWindows], seconds: float) -> float:
    """Windows that two processes draw."""
    with get_context("spawn").Pool(2) as pool:
        asked = [pool.apply_async(_drawn, (open_it, seed, seconds)) for seed in range(2)]
        return sum(each.get() for each in asked) / seconds


def _drawn(open_it: Callable[[], PairWindows], seed: int, seconds: float) -> int:
    return draw(open_it(), seed, seconds)


class Opened:
    """Opens a folder of one kind or the other in the process that draws."""

    def __init__(self, folder: Path, by_zarr: bool = False) -> None:
        self.folder, self.by_zarr = folder, by_zarr

    def __call__(self) -> PairWindows:
        if self.by_zarr:
            reading.open_shard = cache(ByZarr)
        if (self.folder / "zarr.json").exists():
            return windows(read_store(self.folder))
        return forgetful(read_pairs(self.folder))


def multiplied(store: Path, out: Path, gigabytes: float) -> tuple[Path, float]:
    """The store with its pairs under so many names that they would be so large."""
    told = json.loads((store / "zarr.json").read_text())
    pairs = told["attributes"]["pairs"]
    one = 2 * (T * 4 * H * W + 4 * H * W * SCALE**2) + T * H * W
    blocks = sorted({line["block"] for line in pairs})
    times = int(gigabytes * 1e9 / (one * len(pairs))) + 1
    out.mkdir()
    for turn in range(times):
        for block in blocks:
            (out / str(turn * len(blocks) + block)).symlink_to(store / str(block))
    told["attributes"]["pairs"] = [
        line | {"block": turn * len(blocks) + line["block"], "patch": f"{line['patch']} {turn}"}
        for turn in range(times)
        for line in pairs
    ]
    (out / "zarr.json").write_text(json.dumps(told))
    return out, one * len(pairs) * times / 1e9


def memory(store: Path) -> tuple[float, float]:
    """Megabytes held after a tenth of a walk over every pair of a store, and at its end."""
    cut, process = windows(read_store(store)), psutil.Process(os.getpid())
    chance, held = np.random.default_rng(0), []
    total = len(cut.pairs)
    for number in range(total):
        cut._window(cut._view(number), chance, 8)
        if number in (total // 10, total - 1):
            held.append(process.memory_info().rss / 1e6)
    return held[0], held[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--gigabytes", type=float, default=100)
    chosen = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pairs = [at_hand(made(number)) for number in range(PAIRS)]
        store = write_store(pairs, folder / "store")
        export_pairs(pairs, folder / "pairs")
        ways = {
            "store": Opened(store),
            "store, read by Zarr": Opened(store, by_zarr=True),
            "GeoTIFFs, read whole": Opened(folder / "pairs"),
        }
        drawn = {name: a_second(way, chosen.seconds) for name, way in ways.items()}
        print("| from | windows a second, 2 processes | the store is so many times faster |")
        print("|---|---:|---:|")
        for name, count in drawn.items():
            print(f"| {name} | {count:.0f} | {drawn['store'] / count:.1f} |")
        print(f"\nat least {BAR} a second: {'yes' if drawn['store'] >= BAR else 'no'}")
        large, size = multiplied(store, folder / "large", chosen.gigabytes)
        early, late = memory(large)
        print(
            f"\n{size:.0f} GB walked: {early:.0f} MB held after a tenth, {late:.0f} MB at the end"
        )


if __name__ == "__main__":
    main()
