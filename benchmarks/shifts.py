"""How well shifts are found, by what is compared: the table of docs/decisions/shifts.md.

    python benchmarks/shifts.py

On the demonstration series, at 10 m. *Dates*: those with nine tenths clear. Three shifts of three
dates should close, a→b + b→c = a→c, whether or not one knows where the images lie; and a shift of
up to 1.5 pixels that is planted between two dates should be found again. *Reference*: an image at
10 m, moved by up to 5 pixels, against the same degraded to 40 m.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import numpy as np
from skimage.registration import phase_cross_correlation

import sitsr
from sitsr.baselines import bicubic
from sitsr.datasets.registration import FINE, SHARP, shifts_of_dates
from sitsr.metrics import best_match, moved
from sitsr.radiometry import degrade
from sitsr.series import Booleans, Floats, Series

Finder = Callable[[Floats, Floats, Booleans, float], "np.typing.NDArray[np.float64]"]
EDGE = 6


def blurred(fixed, moving, clear, limit):
    """As for a reference of another sensor."""
    return np.array(best_match(fixed, moving, clear, limit)[:2])


def fine(fixed, moving, clear, limit):
    """As for dates."""
    return np.array(best_match(fixed, moving, clear, limit, *FINE)[:2])


def phase(fixed, moving, clear, limit):
    """scikit-image's, the median over bands; it knows of no clouds."""
    bands = zip(fixed, moving, strict=True)
    return np.median([phase_cross_correlation(*each, upsample_factor=50)[0] for each in bands], 0)


FINDERS: dict[str, Finder] = {"1.5 px and wider": blurred, "0.5 to 1 px": fine, "phase": phase}


def planted(series: Series, shifts: Floats) -> Series:
    """The dates moved, without the pixels that came in from beyond the border."""
    pairs = zip(series.images, series.clear, shifts, strict=True)
    both = [moved(image, clear, (float(d[0]), float(d[1]))) for image, clear, d in pairs]
    images, clear = (np.stack(each) for each in zip(*both, strict=True))
    return replace(series, images=images.astype(np.float32), clear=clear).crop(
        slice(EDGE, -EDGE), slice(EDGE, -EDGE)
    )


def main() -> None:
    """Print the table."""
    series = sitsr.open_series(files("sitsr") / "demo").select(SHARP)
    series = series.keep([k for k, each in enumerate(series.clear) if each.mean() > 0.9])
    count = len(series.dates)
    chance = np.random.default_rng(0)
    here = planted(series, np.zeros((count, 2)))
    trials = [chance.uniform(-1.5, 1.5, (count, 2)) for _ in range(2)]
    there = [planted(series, shifts) for shifts in trials]
    print(f"{count} dates of {here.clear.shape[1]} x {here.clear.shape[2]} pixels; pixels of error")
    print("compared | closure, median | closure, 9 in 10 | planted, rms | reference, rms")
    for name, find in FINDERS.items():

        def between(each: Series, i: int, j: int, find: Finder = find) -> Floats:
            return find(each.images[i], each.images[j], each.clear[i] & each.clear[j], 3.0)

        found = {ij: between(here, *ij) for ij in itertools.combinations(range(count), 2)}
        closure = [
            np.hypot(*(found[i, j] + found[j, k] - found[i, k]))
            for i, j, k in itertools.combinations(range(count), 3)
        ]
        errors = [
            between(each, i, j) - found[i, j] + shifts[j] - shifts[i]
            for each, shifts in zip(there, trials, strict=True)
            for i, j in found
        ]
        figures = [np.median(closure), np.quantile(closure, 0.9), rms(errors)]
        figures.append(rms(reference_errors(here, find)))
        print(f"{name} | {' | '.join(f'{each:.2f}' for each in figures)}")
    alike = [each.correlation for each in shifts_of_dates(series).values()]
    print(f"dates correlate by {min(alike):.2f} at least, other ground by {unrelated(series):.2f}")


def unrelated(series: Series, side: int = 70) -> float:
    """The best that ground of 70 x 70 pixels in one corner does with that in the opposite one."""
    near, far = slice(side), slice(-side, None)
    corners = (series.crop(near, near), series.crop(far, far))
    others = (series.crop(near, far), series.crop(far, near))
    return max(
        best_match(a.images[i], b.images[j], a.clear[i] & b.clear[j], 3.0, *FINE)[2]
        for a, b in (corners, others)
        for i, j in itertools.product(range(len(series.dates)), repeat=2)
    )


def reference_errors(series: Series, find: Finder) -> list[Floats]:
    """High-resolution pixels."""
    chance = np.random.default_rng(1)
    rows, cols = (side // 4 * 4 for side in series.clear.shape[1:])
    errors = []
    for image in series.images[:, :, :rows, :cols]:
        everywhere = np.ones((rows, cols), bool)
        lr = degrade(image, 4, (0.5,) * len(image))
        shift = chance.uniform(-5, 5, 2)
        reference, clear = moved(image, everywhere, (float(shift[0]), float(shift[1])))
        errors.append(find(bicubic(lr, 4), reference.astype(np.float32), clear, 8.0) + shift)
    return errors


def rms(errors: list[Floats]) -> float:
    """Over rows and columns."""
    return float(np.sqrt(np.mean(np.square(errors))))


if __name__ == "__main__":
    main()
