"""Memory and throughput of a whole Sentinel-2 tile of many dates, by number of processes.

    python benchmarks/region.py [--blocks 6] [--samples 4] [--dates 20] [--workers 1 2]

The scene is made up: 10 980 × 10 980 pixels and 20 dates with their masks, the bundled series
repeated under the first blocks and nothing elsewhere (sparse files). The first blocks are made at
the usual settings, as `sitsr super-resolve` makes them, each number of workers in processes of its
own. Memory is the sum over those, looked at twenty times a second. The peer is GDAL: the same
ground of one date enlarged four times by its cubic kernel and written as tiled GeoTIFF.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from threading import Event, Thread
from typing import Any

SIDE = 10_980
DAY = date(2021, 4, 30)
HALO = 300
"""Pixels with something in them beyond the blocks that are made."""


def make_scene(folder: Path, dates: int, rows: int, cols: int) -> None:
    """GeoTIFFs of B02, B03, B04, B08 with masks, real pixels in the first rows and columns."""
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    import sitsr

    series = sitsr.open_series(str(files("sitsr") / "demo")).select(("B02", "B03", "B04", "B08"))
    profile: dict[str, Any] = {
        **{"driver": "GTiff", "height": SIDE, "width": SIDE, "crs": "EPSG:32631"},
        **{"transform": series.grid.transform, "tiled": True, "compress": "DEFLATE"},
        **{"blockxsize": 512, "blockysize": 512, "SPARSE_OK": True, "bigtiff": "YES"},
    }

    def repeated(plane: Any) -> Any:
        mirrored = np.block([[plane, plane[:, ::-1]], [plane[::-1], plane[::-1, ::-1]]])
        times = rows // mirrored.shape[0] + 1, cols // mirrored.shape[1] + 1
        return np.tile(mirrored, times)[:rows, :cols]

    window = Window(0, 0, cols, rows)
    for number in range(dates):
        one = number % len(series.dates)
        name = f"scene_{date(2021, 1, 1) + timedelta(days=12 * number)}"
        stored = np.rint(series.images[one] * 1e4).clip(1, 65_000).astype(np.uint16)
        with rasterio.open(
            folder / f"{name}.tif", "w", dtype="uint16", count=4, nodata=0, predictor=2, **profile
        ) as file:
            file.write(np.stack([repeated(plane) for plane in stored]), window=window)
            file.descriptions = series.bands
        with rasterio.open(
            folder / f"{name}_clear.tif", "w", dtype="uint8", count=1, **profile
        ) as file:
            file.write(repeated(series.clear[one])[None].astype(np.uint8), window=window)


def measure(scene: Path, journal: Path, blocks: int, samples: int, workers: int) -> dict[str, Any]:
    """Seconds, share of them outside the network, and gigabytes held with time."""
    from sitsr.inference import workers as by_dask
    from sitsr.inference.scene import blocks_of, make_blocks
    from sitsr.model import open_model
    from sitsr.product import make_job, settings_of
    from sitsr.scenes import open_scene

    opened = open_scene(scene)
    job = make_job(opened, DAY, settings=settings_of(samples, None, 0, None, None))
    model = open_model(job.weights, "cpu")
    cores = blocks_of(job, model)[:blocks]
    network, tiles, total = timed(type(model)), 0, 0
    first = 0.0

    def told(more: int) -> None:
        nonlocal tiles, first
        tiles += more
        if not first and tiles >= total / 10:
            first = max(held)

    total = sum(len(job.targets) * by_dask.tiles_of(job, model, core) for core in cores)
    began = time.perf_counter()
    with watched() as held:
        if workers == 1:
            make_blocks(job, model, cores, journal, told)
        else:
            by_dask.make_blocks_by_workers(job, model, cores, journal, told, workers)
    seconds = time.perf_counter() - began
    pixels = sum((core.bottom - core.top) * (core.right - core.left) for core in cores)
    return {
        "seconds": seconds,
        "km2": pixels / 1e4,
        "outside": 1 - sum(network) / seconds if workers == 1 else None,
        "first": first / 1e9,
        "peak": max(held) / 1e9,
    }


def timed(kind: Any) -> list[float]:
    """Seconds of every call of the network from now on."""
    spent: list[float] = []
    for name in ("forward", "sample"):
        usual = getattr(kind, name)

        def counted(self: Any, *given: Any, _usual: Any = usual, **named: Any) -> Any:
            began = time.perf_counter()
            answer = _usual(self, *given, **named)
            spent.append(time.perf_counter() - began)
            return answer

        setattr(kind, name, counted)
    return spent


@contextmanager
def watched() -> Iterator[list[int]]:
    """Bytes held by this process and those that it started."""
    import psutil

    here, over = psutil.Process(), Event()
    held = [here.memory_info().rss]

    def look() -> None:
        while not over.wait(0.05):
            total = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            held.append(total)

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield held
    finally:
        over.set()
        watcher.join()


def enlarge_by_gdal(scene: Path, out: Path, blocks: int) -> float:
    """Seconds that GDAL takes for the ground of the blocks, one date."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    one = min(path for path in scene.glob("*.tif") if "clear" not in path.name)
    began = time.perf_counter()
    for number in range(blocks):
        with rasterio.open(one) as file:
            window = Window(512 * number % SIDE, 0, 512, 512)
            fine = file.read(window=window, out_shape=(4, 2048, 2048), resampling=Resampling.cubic)
            profile = file.profile | {"height": 2048, "width": 2048}
        with rasterio.open(out / f"{number}.tif", "w", **profile) as file:
            file.write(fine)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--dates", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        scene, journal, workers = chosen.one
        found = measure(Path(scene), Path(journal), chosen.blocks, chosen.samples, int(workers))
        print(json.dumps(found))
        return
    print(f"{SIDE} × {SIDE} pixels, {chosen.dates} dates, {chosen.samples} samples:", end="\n\n")
    print(
        "| processes | km² | seconds | km² a minute | outside the network "
        "| GB after a tenth | GB at most | times GDAL's cubic |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene"
        scene.mkdir()
        rows, cols = 512 * (chosen.blocks // 8 + 1) + HALO, 512 * min(chosen.blocks, 8) + HALO
        # some of it where units are found out, a tenth of the way in
        make_scene(scene, chosen.dates, max(rows, SIDE // 8), max(cols, SIDE // 8))
        plain = enlarge_by_gdal(scene, Path(folder), chosen.blocks)
        for workers in chosen.workers:
            command = [sys.executable, __file__, "--one", str(scene), f"{folder}/{workers}"]
            more = ["--blocks", str(chosen.blocks), "--samples", str(chosen.samples)]
            out = subprocess.run(
                [*command, str(workers), *more], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            found = json.loads(out.splitlines()[-1])
            outside = "–" if found["outside"] is None else f"{found['outside']:.1%}"
            print(
                f"| {workers} | {found['km2']:.0f} | {found['seconds']:.0f} "
                f"| {found['km2'] / found['seconds'] * 60:.1f} | {outside} | {found['first']:.2f} "
                f"| {found['peak']:.2f} | {found['seconds'] / plain:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
