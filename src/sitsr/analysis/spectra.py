"""What spectra say of two sensors: where they part, how sharp they are, what is aliased.

Power is the mean over all directions (``sitsr.metrics.radial_spectrum``); frequencies are in cycles
per pixel, told each time of which image. There are as many waves in a ring as its radius is long,
so shares of variance weigh the power with the frequency.
"""

from __future__ import annotations

import math

import numpy as np

from sitsr.analysis.spread import NYQUIST, transfer
from sitsr.metrics import Doubles

HALVED = 0.5
"""Of the reference's power: where an image falls below it for good, the two part."""
LOWEST = 0.02
STEPS = 12
"""Rings of a binned spectrum to a tenfold frequency."""


def rings(scale: int) -> Doubles:
    """Edges of the rings in which spectra of all pairs are put, cycles per low-resolution pixel.

    Equal steps of log frequency; Nyquist of the coarse image is one of the edges.
    """
    count = math.ceil(STEPS * math.log10(NYQUIST / LOWEST))
    coarse = np.geomspace(LOWEST, NYQUIST, count + 1)
    beyond = np.geomspace(NYQUIST, scale * NYQUIST, math.ceil(STEPS * math.log10(scale)) + 1)
    return np.concatenate([coarse, beyond[1:]])


def binned(frequency: Doubles, power: Doubles, edges: Doubles) -> Doubles:
    """[len(edges) − 1] the mean power of the waves in each ring; NaN where a ring has none."""
    place = np.searchsorted(edges, frequency * (1 - 1e-9), side="right") - 1
    held = (place >= 0) & (place < len(edges) - 1)
    total, weight = (
        np.bincount(place[held], values[held], len(edges) - 1)
        for values in (power * frequency, frequency)
    )
    mean: Doubles = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
    return mean


def finest_octave(frequency: Doubles, power: Doubles) -> float:
    """The share of the variance that lies between a quarter and half a cycle per pixel.

    A measure of sharpness at the image's own pixels: 3/4 for white noise, and the less the
    smoother; noise counts as sharp. NaN of a flat image.
    """
    weighed = power * frequency
    total = float(weighed.sum())
    return float(weighed[frequency >= NYQUIST / 2].sum()) / total if total > 0 else math.nan


def parting(frequency: Doubles, observed: Doubles, reference: Doubles) -> float:
    """The frequency beyond which an image has less than half the reference's power throughout.

    At Nyquist's frequency or the last one given if it never does; the first one if it always does.
    """
    known = np.isfinite(observed) & np.isfinite(reference)
    frequency, observed, reference = frequency[known], observed[known], reference[known]
    if not frequency.size:
        return math.nan
    enough = np.flatnonzero(observed >= HALVED * reference)
    last = int(enough[-1]) if enough.size else 0
    return float(frequency[last])


def folded(frequency: Doubles, power: Doubles, sigma: float) -> float:
    """The share of an image's power that is aliased, for a scene with the reference's spectrum.

    frequency in cycles per low-resolution pixel, beyond Nyquist's 0.5; what the reference does not
    show is left out.
    """
    weighed = power * frequency * transfer(frequency, sigma) ** 2
    known = np.isfinite(weighed)
    total = float(weighed[known].sum())
    beyond = known & (frequency > NYQUIST)
    return float(weighed[beyond].sum()) / total if total > 0 else math.nan
