"""Laws: the sensor's view is the sum written in the module; what was planted is found again."""

import math

import numpy as np
import pytest
from scipy import ndimage

from sitsr.radiometry import (
    degrade,
    filled,
    match,
    match_contrast,
)
from sitsr.series import InputError

C, SCALE, H, W = 2, 4, 6, 9
SIGMA = (0.5, 0.4)


@pytest.fixture
def chance():
    return np.random.default_rng(3)


def landscape(chance, rows, cols):
    """[C, rows, cols] reflectance with structure from 2 to 20 pixels."""
    noise = chance.normal(size=(C, rows, cols))
    layers = [ndimage.gaussian_filter(noise, (0, s, s)) * s for s in (1, 3, 8)]
    return (0.2 + 0.05 * sum(layers)).astype(np.float32)


def seen_by_loops(image, scale, sigma, clear):
    """The module's sum, in two dimensions and four loops."""
    bands, rows, cols = image.shape
    result = np.full((bands, rows // scale, cols // scale), np.nan)
    for band, row, col in np.ndindex(result.shape):
        width, total, weights = sigma[band] * scale, 0.0, 0.0
        for i, j in np.ndindex(rows, cols):
            down = i - row * scale - (scale - 1) / 2
            across = j - col * scale - (scale - 1) / 2
            if clear[i, j] and max(abs(down), abs(across)) <= 4 * width:
                weight = math.exp(-(down**2 + across**2) / (2 * width**2))
                total, weights = total + weight * image[band, i, j], weights + weight
        if weights:
            result[band, row, col] = total / weights
    return result


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_sensor_sees_the_sum_that_is_written(scale, chance):
    image = chance.uniform(0, 1, (C, 5 * scale, 7 * scale)).astype(np.float32)
    clear = chance.uniform(size=image.shape[1:]) < 0.8
    expected = seen_by_loops(image, scale, SIGMA, clear)
    painted = np.where(clear, image, np.float32(np.nan))
    np.testing.assert_allclose(degrade(painted, scale, SIGMA, clear), expected, atol=1e-6)
    whole = seen_by_loops(image, scale, SIGMA, np.ones_like(clear))
    np.testing.assert_allclose(degrade(image, scale, SIGMA), whole, atol=1e-6)


def test_the_tensor_version_sees_the_same(chance):
    torch = pytest.importorskip("torch")
    observe = pytest.importorskip("sitsr.consistency").observe
    image = landscape(chance, H * SCALE, W * SCALE)
    tensors = observe(torch.from_numpy(image)[None], (0.5, 0.5), SCALE)[0].numpy()
    np.testing.assert_allclose(degrade(image, SCALE, (0.5, 0.5)), tensors, atol=1e-5)


def test_a_slope_is_sampled_at_the_centres_of_the_pixels():
    rows, cols = np.mgrid[: H * SCALE, : W * SCALE].astype(np.float32)
    seen = degrade(np.stack([rows, cols]), SCALE, SIGMA)
    inner = (slice(2, -2), slice(2, -2))  # at the border the remaining weights lean inwards
    row, col = np.mgrid[:H, :W] * SCALE + 1.5
    np.testing.assert_allclose(seen[0][inner], row[inner], atol=1e-4)
    np.testing.assert_allclose(seen[1][inner], col[inner], atol=1e-4)


def test_nothing_is_seen_where_nothing_is_clear(chance):
    clear = np.ones((H * SCALE, W * SCALE), bool)
    clear[:, : 6 * SCALE] = False
    seen = degrade(landscape(chance, H * SCALE, W * SCALE), SCALE, SIGMA, clear)
    assert np.isnan(seen[:, :, :4]).all()
    assert np.isfinite(seen[:, :, 6:]).all()


def test_gain_and_offset_are_found_though_a_fifth_has_changed(chance):
    reference = landscape(chance, 30, 41)
    lr = np.array([1.1, 0.7])[:, None, None] * reference + np.array([-0.02, 0.05])[:, None, None]
    lr = (lr + chance.normal(0, 0.001, lr.shape)).astype(np.float32)
    lr[:, :6] = 0.9
    clear = np.ones((30, 41), bool)
    clear[:, :5], lr[:, :, :5] = False, 7
    gain, offset = match(reference, lr, clear)
    np.testing.assert_allclose(gain, [1.1, 0.7], rtol=0.02)
    np.testing.assert_allclose(offset, [-0.02, 0.05], atol=0.004)


def test_equal_contrast_is_not_lowered_by_what_the_images_do_not_share(chance):
    truth = landscape(chance, 60, 71)
    own, other = (truth + chance.normal(0, truth.std(), truth.shape) for _ in range(2))
    reference, lr = (own / 0.5).astype(np.float32), other.astype(np.float32)
    everywhere = np.ones((60, 71), bool)
    regression, _ = match(reference, lr, everywhere)
    gain, offset = match_contrast(reference, lr, everywhere)
    assert (regression < 0.35).all()  # half of the power is not shared: half of the true gain
    np.testing.assert_allclose(gain, 0.5, rtol=0.08)
    level = (gain[:, None, None] * reference + offset[:, None, None]).mean((1, 2))
    np.testing.assert_allclose(level, lr.mean((1, 2)), atol=0.01)


@pytest.mark.parametrize("match", [match, match_contrast])
def test_an_exact_line_is_fitted_exactly(chance, match):
    reference = landscape(chance, 30, 41)
    gain, offset = match(reference, 2 * reference - 0.1, np.ones((30, 41), bool))
    np.testing.assert_allclose(gain, 2, rtol=1e-5)
    np.testing.assert_allclose(offset, -0.1, rtol=1e-5)


def test_holes_are_filled_from_the_nearest_clear_pixel():
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    clear = np.ones((4, 6), bool)
    clear[:, :2] = False
    assert (filled(image, clear)[0, :, :2] == image[0, :, 2:3]).all()
    assert filled(image, np.ones((4, 6), bool)) is image


IMAGE = np.zeros((C, 8, 12), np.float32)
CLEAR = np.ones((8, 12), bool)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: degrade(IMAGE, 5, SIGMA), "8 × 12 pixels do not divide by scale 5"),
        (lambda: degrade(IMAGE, 4, (0.5,)), "1 numbers for 2 bands"),
        (lambda: degrade(IMAGE, 4, (0.5, 0.0)), "sigma must be above 0"),
        (lambda: degrade(IMAGE, 4, (0.5, 0.01)), "falls between the pixels"),
        (lambda: degrade(IMAGE + np.nan, 4, SIGMA), "NaN or infinite where clear"),
        (lambda: match(IMAGE, IMAGE, ~CLEAR), "only 0 pixels are clear in both"),
        (lambda: match(IMAGE, IMAGE, CLEAR), "the same everywhere"),
        (lambda: filled(IMAGE, ~CLEAR), "nothing to fill"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
