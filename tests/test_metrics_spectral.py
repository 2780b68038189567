"""Laws: each measure of colour agrees with a closed form and with a second implementation."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import (
    error_relative_global_dimensionless_synthesis,
    spectral_angle_mapper,
)

from sitsr.metrics.spectral import band_bias, ergas, ndvi_error, sam
from sitsr.series import InputError

C, H, W = 4, 21, 34
RED, NIR = 2, 3


@pytest.fixture
def scene():
    """estimate and reference [C, H, W] and clear [H, W] with a cloud in it."""
    chance = np.random.default_rng(7)
    reference = chance.uniform(0.02, 0.4, (C, H, W)).astype(np.float32)
    estimate = (reference + chance.normal(0, 0.02, (C, H, W))).astype(np.float32)
    clear = np.ones((H, W), bool)
    clear[3:8, 20:26] = False
    return estimate, reference, clear


@pytest.fixture
def everywhere():
    return np.ones((H, W), bool)


def ergas_of_4(estimate, reference, clear):
    return ergas(estimate, reference, clear, 4)


def ndvi(estimate, reference, clear):
    return ndvi_error(estimate, reference, clear, RED, NIR)


@pytest.mark.parametrize("metric", [sam, ergas_of_4, band_bias, ndvi])
def test_what_is_not_clear_does_not_matter(metric, scene):
    estimate, reference, clear = scene
    painted = np.where(clear, estimate, 9), np.where(clear, reference, np.nan)
    np.testing.assert_array_equal(metric(*painted, clear), metric(*scene))


@pytest.mark.parametrize("metric", [sam, ergas_of_4, band_bias, ndvi])
def test_the_truth_has_no_error(metric, scene):
    _, reference, clear = scene
    np.testing.assert_allclose(metric(reference, reference, clear), 0, atol=1e-12)


def test_sam_is_that_of_torchmetrics(scene, everywhere):
    estimate, reference, _ = scene
    ours, theirs = torch.from_numpy(estimate)[None], torch.from_numpy(reference)[None]
    expected = math.degrees(spectral_angle_mapper(ours, theirs))
    assert sam(estimate, reference, everywhere) == pytest.approx(expected, rel=1e-5)


def test_sam_of_clear_pixels_is_a_direct_loop(scene):
    estimate, reference, clear = scene
    angles = []
    for row, col in zip(*np.nonzero(clear), strict=True):
        x, y = estimate[:, row, col].astype(float), reference[:, row, col].astype(float)
        angles.append(math.acos(x @ y / math.sqrt((x @ x) * (y @ y))))
    assert sam(*scene) == pytest.approx(math.degrees(sum(angles) / len(angles)), rel=1e-9)


def test_sam_is_the_angle_and_blind_to_gain(scene, everywhere):
    _, reference, _ = scene
    assert sam(3 * reference, reference, everywhere) == pytest.approx(0, abs=1e-5)
    for degrees in (1e-6, 30, 90):
        x, y = np.zeros((2, C, H, W))
        x[0], x[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        y[0] = 0.2
        assert sam(x, y, everywhere) == pytest.approx(degrees, rel=1e-9)


def test_sam_leaves_out_where_the_truth_has_no_direction_and_counts_a_lost_one(scene, everywhere):
    _, reference, _ = scene
    dark = reference.copy()
    dark[:, :3] = 0
    assert sam(reference, dark, everywhere) == pytest.approx(0, abs=1e-9)
    assert sam(dark, reference, everywhere) == pytest.approx(90 * 3 / H)


@pytest.mark.parametrize("scale", [2, 4])
def test_ergas_is_that_of_torchmetrics(scene, everywhere, scale):
    estimate, reference, _ = scene
    ours, theirs = torch.from_numpy(estimate)[None], torch.from_numpy(reference)[None]
    # Their ratio divides: it is the coarse pixel over the fine one, what scale is here.
    expected = error_relative_global_dimensionless_synthesis(ours, theirs, ratio=scale)
    got = ergas(estimate, reference, everywhere, scale)
    assert got == pytest.approx(float(expected), rel=1e-5)


def test_ergas_of_a_twentieth_too_bright_everywhere_is_5_per_cent_over_the_scale(everywhere):
    flat = np.broadcast_to(np.array([0.04, 0.1, 0.2, 0.4])[:, None, None], (C, H, W))
    assert ergas(1.05 * flat, flat, everywhere, 4) == pytest.approx(5 / 4)
    assert ergas(1.05 * flat, flat, everywhere, 1) == pytest.approx(5)


def test_bias_is_what_was_added_to_each_band(scene):
    _, reference, clear = scene
    added = np.array([0.01, -0.02, 0, 0.3])
    bias = band_bias(reference.astype(float) + added[:, None, None], reference, clear)
    np.testing.assert_allclose(bias, added, atol=1e-12)


def test_ndvi_error_is_a_direct_loop(scene):
    estimate, reference, clear = scene
    estimate = np.maximum(estimate, 0.02)  # so that the floor of the denominator binds nowhere
    total = 0.0
    for row, col in zip(*np.nonzero(clear), strict=True):
        indices = []
        for image in (estimate, reference):
            red, nir = float(image[RED, row, col]), float(image[NIR, row, col])
            indices.append((nir - red) / (nir + red))
        total += abs(indices[0] - indices[1])
    assert ndvi(estimate, reference, clear) == pytest.approx(total / clear.sum(), rel=1e-9)


def test_ndvi_of_dark_water_is_bounded_and_falls_to_0(everywhere):
    def of(red, nir):
        image = np.zeros((C, H, W))
        image[RED], image[NIR] = red, nir
        return image

    nothing = of(0, 0)
    assert ndvi(of(0.001, 0.003), nothing, everywhere) == pytest.approx(0.002 / 0.02)
    assert ndvi(of(-0.04, 0.05), nothing, everywhere) == pytest.approx(1)
    assert ndvi(of(0.1, 0.3), nothing, everywhere) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, r, c: sam(e[:1], r[:1], c), "one band has no spectral angle"),
        (lambda e, r, c: sam(e, 0 * r, c), "the reference is 0 wherever it is clear"),
        (lambda e, r, c: sam(e[:, 1:], r, c), "must both be one"),
        (lambda e, r, c: ergas(e, r, c, 0), "scale must be 1 or more, got 0"),
        (lambda e, r, c: ergas(e, r * [[[1]], [[-1]], [[1]], [[1]]], c, 4), "band 1 of the ref"),
        (lambda e, r, c: band_bias(e, np.full_like(r, np.nan), c), "reference is NaN"),
        (lambda e, r, c: ndvi_error(e, r, c, 2, 4), "two of the 4 bands"),
        (lambda e, r, c: ndvi_error(e, r, c, -1, 3), "two of the 4 bands"),
        (lambda e, r, c: ndvi_error(e, r, c, 3, 3), "two of the 4 bands"),
    ],
)
def test_what_has_no_colour_to_compare_is_refused(call, message, scene):
    with pytest.raises(InputError, match=message):
        call(*scene)
