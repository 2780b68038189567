"""The analysis of a data set tells what was put into it, and its page says so to a reader."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from sitsr.analysis.edges import edges, slanted
from sitsr.analysis.phases import date_shifts, filled_cells, resultant
from sitsr.analysis.relation import relation, sums, together
from sitsr.analysis.spectra import binned, finest_octave, folded, parting, rings
from sitsr.analysis.spread import finest, folded_white, point_spread, transfer
from sitsr.metrics import radial_spectrum
from sitsr.series import InputError

from conftest import make_series

Doubles = npt.NDArray[np.float64]


def waves(
    shape: tuple[int, int],
    *,
    pixel: float,
    shift: tuple[float, float] = (0, 0),
    sigma: float = 0.0,
    seed: int = 0,
) -> Doubles:
    """Many waves on the ground, seen through a Gaussian: exact at every place.

    pixel, shift and sigma in low-resolution pixels; the ground is moved by shift.
    """
    chance = np.random.default_rng(seed)
    y, x = ((np.arange(side) + 0.5) * pixel for side in shape)
    image = np.zeros(shape)
    for _ in range(60):
        fy, fx = chance.uniform(-0.9, 0.9, 2)
        f = math.hypot(fy, fx)
        size = math.exp(-2 * (math.pi * f * sigma) ** 2) / (1 + 4 * f)
        phase = chance.uniform(0, 2 * math.pi)
        turn = 2 * math.pi * (fy * (y[:, None] - shift[0]) + fx * (x - shift[1])) + phase
        image += 0.01 * size * np.cos(turn)
    return image + 0.2


@pytest.mark.parametrize("sigma", [0.35, 0.5, 0.7])
@pytest.mark.parametrize("scale", [3, 4])
def test_a_gaussian_of_known_width_is_found_again(sigma: float, scale: int) -> None:
    rows, cols = 38, 45
    shift = 0.21, -0.34
    reference = waves((rows * scale, cols * scale), pixel=1 / scale)
    observed = 0.7 * waves((rows, cols), pixel=1, shift=shift, sigma=sigma) + 0.05
    everywhere = np.ones(observed.shape, bool)
    found = point_spread(reference, np.ones(reference.shape, bool), observed, everywhere)
    print(sigma, scale, found)
    assert found.sigma == pytest.approx(sigma, rel=0.05)
    assert (found.dy, found.dx) == pytest.approx(shift, abs=0.02)
    assert found.correlation > 0.99


@pytest.mark.parametrize("sigma", [0.6, 0.9, 1.4])
def test_a_slanted_edge_of_known_width_is_found_again(sigma: float) -> None:
    y, x = np.mgrid[:34, :47].astype(float)
    turn = math.radians(14)
    away = (x - 23) * math.cos(turn) + (y - 17) * math.sin(turn)
    image = 0.1 + 0.2 * special.ndtr(away / sigma)
    found = edges(image, np.ones(image.shape, bool))
    print(found)
    assert found
    for edge in found:
        assert edge.sigma == pytest.approx(sigma, rel=0.02)
        assert edge.angle == pytest.approx(14, abs=0.5)
        assert edge.step == pytest.approx(0.2, rel=0.02)
