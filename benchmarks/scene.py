"""Time and memory of super-resolving scenes of growing area, and beside a bicubic run of the same.

    python benchmarks/scene.py [--samples 4] [--sides 128 256 384 512 640]

Synthetic series of 12 dates; every area runs in a process of its own, so that peak memory is its
own. The last column is what a scene takes as a ratio to bicubic interpolation of one date by torch
in the same process; seconds per km² should not grow down the table.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from datetime import date, timedelta


def measure(side: int, samples: int) -> tuple[float, float, float]:
    """Seconds and peak gigabytes of one scene side × (side + 8), and seconds of bicubic."""
    import numpy as np
    import torch
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from sitsr.inference import Settings, super_resolve
    from sitsr.model import open_model
    from sitsr.series import Series

    chance = np.random.default_rng(0)
    shape = (side, side + 8)
    images = chance.uniform(0, 0.4, (12, 4, *shape)).astype(np.float32)
    clear = chance.random((12, *shape)) > 0.2
    days = tuple(date(2021, 1, 1) + timedelta(days=20 * k) for k in range(12))
    grid = GeoBox(shape, Affine(10, 0, 500_000, 0, -10, 4_700_000), "EPSG:32631")
    series = Series(images, clear, days, ("B02", "B03", "B04", "B08"), grid, ("made up",) * 12)
    model = open_model()
    super_resolve(
        series.crop(slice(0, 8), slice(0, 8)), days[3], model
    )  # first calls set up kernels
    began = time.perf_counter()
    super_resolve(series, days[3], model, Settings(samples=samples))
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    frame = torch.from_numpy(images[3:4])
    began = time.perf_counter()
    for _ in range(10):
        torch.nn.functional.interpolate(frame, scale_factor=4, mode="bicubic")
    return took, peak, (time.perf_counter() - began) / 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 256, 384, 512, 640])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(*measure(chosen.one, chosen.samples))
        return
    print("| pixels of 10 m | seconds | seconds per km² | peak GB | times bicubic |")
    print("|---|---:|---:|---:|---:|")
    for side in chosen.sides:
        command = [sys.executable, __file__, "--one", str(side), "--samples", str(chosen.samples)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        took, peak, plain = map(float, out.split())
        area = side * (side + 8) / 1e4
        ratio = f"{took / area:.2f} | {peak:.2f} | {took / plain:.0f}"
        print(f"| {side} × {side + 8} | {took:.1f} | {ratio} |")


if __name__ == "__main__":
    main()
