"""Time and memory of all core metrics, beside the structural similarity of scikit-image alone.

    python benchmarks/metrics.py [--patches 1000] [--processes 2]

Made-up patches of 4 × 128 × 128 with ground that is rough at every scale, seen at a quarter of the
resolution: every patch is registered once against bicubic interpolation, and one estimate of it
is scored. The last column is what that takes as a ratio to ``structural_similarity`` of
scikit-image, with the same Gaussian window, on the same patches in the same processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

SHAPE = (4, 128, 128)
DIFFERENT = 16  # patches that are made; they are scored in turn


def made(seed: int) -> tuple[Any, Any, Any, Any]:
    """Bicubic interpolation, estimate and reference [C, H, W], and clear [H, W] with a cloud."""
    import numpy as np
    from scipy import ndimage

    from sitsr.baselines import bicubic
    from sitsr.radiometry import degrade

    chance = np.random.default_rng(seed)
    rough = sum(
        ndimage.gaussian_filter(chance.normal(0, 0.05 * width, SHAPE), (0, width, width))
        for width in (0.5, 1, 2, 4, 8)
    )
    reference = (0.2 + rough).astype(np.float32)
    lr = degrade(reference, 4, (0.45,) * SHAPE[0])
    estimate = ndimage.gaussian_filter(reference, (0, 1, 1))
    clear = np.ones(SHAPE[1:], bool)
    clear[10:30, 60:90] = False
    return bicubic(lr, 4), estimate, reference, clear


def scored(interpolated: Any, estimate: Any, reference: Any, clear: Any) -> None:
    """All core metrics of one estimate of one patch."""
    from sitsr import metrics

    shift = metrics.best_shift(interpolated, reference, clear)
    moved, valid = metrics.moved(reference, clear, shift)
    metrics.cpsnr(estimate, moved, valid)
    metrics.cssim(estimate, moved, valid)
    for metric in (metrics.psnr, metrics.ssim, metrics.mae, metrics.rmse, metrics.sam):
        metric(estimate, reference, clear)
    metrics.ergas(estimate, reference, clear, 4)
    metrics.band_bias(estimate, reference, clear)
    metrics.ndvi_error(estimate, reference, clear, 2, 3)
    metrics.detail_correlation(estimate, reference, clear)
    metrics.spectrum_error(estimate, reference, clear, 4)
    metrics.effective_resolution(estimate, reference, clear, 2.5)


def peer(interpolated: Any, estimate: Any, reference: Any, clear: Any) -> None:
    """The named peer: one measure, without a mask."""
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    structural_similarity(reference, estimate, channel_axis=0, data_range=1, **options)


def timed(score: Callable[..., None], count: int) -> tuple[float, float]:
    """Seconds and peak gigabytes of this process for so many patches; making them is not timed."""
    patches = [made(seed) for seed in range(DIFFERENT)]
    score(*patches[0])  # the first call imports
    began = time.perf_counter()
    for number in range(count):
        score(*patches[number % DIFFERENT])
    took = time.perf_counter() - began
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def in_processes(score: Callable[..., None], patches: int, processes: int) -> tuple[float, float]:
    """Seconds until the last process is done, and the sum of their peak gigabytes."""
    shares = [patches // processes + (k < patches % processes) for k in range(processes)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        results = list(pool.map(timed, [score] * processes, shares))
    return max(took for took, _ in results), sum(peak for _, peak in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--patches", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes start: one core each
    plain, _ = in_processes(peer, chosen.patches, chosen.processes)
    took, peak = in_processes(scored, chosen.patches, chosen.processes)
    print("| patches | processes | seconds | ms a patch and core | peak GB | times one SSIM |")
    print("|---:|---:|---:|---:|---:|---:|")
    each = 1000 * took * chosen.processes / chosen.patches
    row = f"{took:.1f} | {each:.1f} | {peak:.2f} | {took / plain:.1f}"
    print(f"| {chosen.patches} | {chosen.processes} | {row} |")


if __name__ == "__main__":
    main()
