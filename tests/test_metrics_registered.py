"""Laws: a shift, a bias and a given gain leave no trace, and no system gains by being shifted."""

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import fft, ndimage
from skimage.metrics import structural_similarity

import sitsr
from sitsr import baselines, metrics, radiometry
from sitsr.metrics import registered
from sitsr.metrics.registered import best_shift, cpsnr, cssim, moved
from sitsr.series import InputError

C, H, W = 4, 128, 136
EDGE = 6  # pixels of real ground beyond each border, so that a planted shift brings in more of it
SIGMA = (0.45,) * C
DATES = ("2020-01-28", "2021-06-26", "2022-03-08")
PLANTED = [(0.25, -0.25), (1.0, -1.0), (-2.5, 2.5), (2.5, -0.25)]


def ground(date):
    """A real image, blue, green, red and near infrared, with EDGE more pixels on every side."""
    path = Path(sitsr.__file__).parent / "demo" / f"Boadella_{date}.tif"
    with rasterio.open(path) as file:
        return file.read([2, 3, 4, 8])[:, : H + 2 * EDGE, : W + 2 * EDGE] / 1e4


def cut(image):
    return image[:, EDGE:-EDGE, EDGE:-EDGE]


def turned(image, shift):
    """Moved by turning the phases of the whole, mirrored so that there is no jump at its end."""
    _, rows, cols = image.shape
    whole = np.pad(image, ((0, 0), (0, rows), (0, cols)), mode="symmetric")
    turns = shift[0] * np.fft.fftfreq(2 * rows)[:, None] + shift[1] * np.fft.fftfreq(2 * cols)
    return fft.ifft2(fft.fft2(whole) * np.exp(-2j * np.pi * turns)).real[:, :rows, :cols]


def bicubic_of(image):
    """The image as the sensor would see it, and that enlarged again."""
    lr = radiometry.degrade(image.astype(np.float32), 4, SIGMA)
    return lr, baselines.bicubic(lr, 4)


def estimates(date):
    """The truth, and two estimates of it: a sharp one with noise, and bicubic interpolation."""
    truth = cut(ground(date))
    noise = np.random.default_rng(7).normal(0, 0.015, truth.shape)
    return truth, ndimage.gaussian_filter(truth, (0, 0.7, 0.7)) + noise, bicubic_of(truth)[1]


@pytest.fixture
def scene():
    """estimate and reference [3, 40, 57] with forms of several pixels, clear with a cloud in it."""
    chance = np.random.default_rng(3)
    reference = 0.2 + ndimage.gaussian_filter(chance.normal(0, 0.3, (3, 40, 57)), (0, 1.5, 1.5))
    estimate = reference + chance.normal(0, 0.01, reference.shape)
    clear = np.ones((40, 57), bool)
    clear[9:15, 30:41] = False
    return estimate, reference, clear


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_shift_and_gain_are_recovered_within_5_hundredths_of_a_dB(date, planted):
    truth, sharp, bicubic = estimates(date)
    back = (-planted[0], -planted[1])
    reference = 1.1 * cut(turned(ground(date), back))
    everywhere = np.ones((H, W), bool)
    lr, _ = bicubic_of(truth)
    shared = best_shift(bicubic, reference, everywhere)
    there, valid = moved(reference, everywhere, shared)
    again = radiometry.degrade(there.astype(np.float32), 4, SIGMA, valid)
    whole = valid.reshape(H // 4, 4, W // 4, 4).all((1, 3))
    gain, _ = radiometry.match_contrast(again, lr, whole)
    np.testing.assert_allclose(gain, 1 / 1.1, rtol=0.002)
    for estimate in (sharp, bicubic):
        unplanted = cpsnr(estimate, truth, valid)
        assert 30 < unplanted < 40
        own = best_shift(estimate, reference, everywhere)
        for shift in (shared, own):
            got = cpsnr(estimate, reference, everywhere, shift, gain)
            assert got == pytest.approx(unplanted, abs=0.05)
        likeness = cssim(estimate, reference, everywhere, shared, gain)
        assert likeness == pytest.approx(cssim(estimate, truth, valid), abs=0.002)


@pytest.mark.parametrize("date", DATES)
def test_what_is_planted_comes_on_top_of_the_shift_that_was_there(date):
    truth, _, bicubic = estimates(date)
    everywhere = np.ones((H, W), bool)
    before = np.array(best_shift(bicubic, truth, everywhere))
    assert np.abs(before).max() < 0.08
    for planted in PLANTED:
        reference = cut(turned(ground(date), (-planted[0], -planted[1])))
        found = np.array(best_shift(bicubic, reference, everywhere))
        np.testing.assert_allclose(found - before, planted, atol=0.02)


def test_a_planted_shift_is_found_beside_clouds():
    date, planted = DATES[1], (-1.3, 2.4)
    _, _, bicubic = estimates(date)
    clear = np.ones((H, W), bool)
    clear[20:60, 50:70] = clear[100:, :40] = False
    reference = np.where(clear, 1.1 * cut(turned(ground(date), (1.3, -2.4))) - 0.02, np.nan)
    found = best_shift(np.where(clear, bicubic, 9), reference, clear)
    np.testing.assert_allclose(found, planted, atol=0.05)


def test_the_search_reaches_equally_far_both_ways_and_no_further(scene):
    _, reference, _ = scene
    everywhere = np.ones(reference.shape[1:], bool)
    for rows, cols in [(4, -4), (-4, 4)]:
        estimate = np.roll(reference, (rows, cols), (1, 2))
        found = best_shift(estimate, reference, everywhere, limit=4)
        np.testing.assert_allclose(found, (rows, cols), atol=0.02)
        assert np.abs(best_shift(estimate, reference, everywhere, limit=2.5)).max() <= 2.5


def test_the_correlation_of_a_shift_is_a_direct_loop_over_the_pixels_that_meet():
    chance = np.random.default_rng(5)
    fixed, moving = chance.normal(0.5, 1, (2, 2, 7, 9))
    weight = chance.uniform(0, 1, (7, 9)) * (chance.random((7, 9)) > 0.2)
    surface = registered._correlations(fixed, moving, weight, 2)
    for rows, cols in [(0, 0), (1, -2), (-2, 1)]:
        pairs = [
            (weight[row, col] * weight[row - rows, col - cols], row, col)
            for row in range(max(rows, 0), 7 + min(rows, 0))
            for col in range(max(cols, 0), 9 + min(cols, 0))
        ]
        shares = [share for share, _, _ in pairs]
        alike = []
        for band in range(2):
            x = [fixed[band, row, col] for _, row, col in pairs]
            y = [moving[band, row - rows, col - cols] for _, row, col in pairs]
            (xx, xy), (_, yy) = np.cov(x, y, aweights=shares)
            alike.append(xy / math.sqrt(xx * yy))
        assert surface[rows + 2, cols + 2] == pytest.approx(sum(alike) / 2)


def test_without_any_structure_there_is_no_shift():
    clear = np.ones((20, 31), bool)
    flat = np.full((3, 20, 31), 0.2)
    assert best_shift(flat, flat, clear) == (0, 0)


def test_what_is_not_clear_does_not_matter(scene):
    estimate, reference, clear = scene
    painted = np.where(clear, estimate, 9), np.where(clear, reference, np.nan), clear
    assert best_shift(*painted) == best_shift(*scene)
    for metric in (cpsnr, cssim):
        assert metric(*painted, (0.3, -1.6)) == metric(*scene, (0.3, -1.6))


def test_cpsnr_of_whole_shifts_is_a_direct_loop_of_the_formula(scene):
    estimate, reference, clear = scene
    for rows, cols in [(0, 0), (2, -3), (-1, 1)]:
        errors = []
        for band in range(3):
            differences = [
                reference[band, row - rows, col - cols] - estimate[band, row, col]
                for row in range(40)
                for col in range(57)
                if 0 <= row - rows < 40 and 0 <= col - cols < 57
                if clear[row, col] and clear[row - rows, col - cols]
            ]
            bias = sum(differences) / len(differences)
            errors.append(sum((each - bias) ** 2 for each in differences) / len(differences))
        expected = 10 * math.log10(0.5**2 / (sum(errors) / 3))
        got = cpsnr(estimate, reference, clear, (rows, cols), peak=0.5)
        assert got == pytest.approx(expected, abs=1e-4)


def test_cssim_is_that_of_scikit_image_after_the_bias_is_gone(scene):
    estimate, reference, _ = scene
    everywhere = np.ones(reference.shape[1:], bool)
    lifted = estimate + np.array([0.05, -0.03, 0.2])[:, None, None]
    bias = (reference - lifted).mean(axis=(1, 2), keepdims=True)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(
        reference, lifted + bias, channel_axis=0, data_range=1, **options
    )
    assert cssim(lifted, reference, everywhere) == pytest.approx(expected, abs=1e-9)


def test_the_bias_of_a_band_is_corrected_and_nothing_else(scene):
    estimate, reference, clear = scene
    bias = np.array([0.05, -0.03, 0.2])[:, None, None]
    assert cpsnr(reference + bias, reference, clear) > 200
    assert cpsnr(estimate + bias, reference, clear) == pytest.approx(
        cpsnr(estimate, reference, clear)
    )
    low = 0.5 * reference
    spread = reference[:, clear].var(axis=1).mean()
    assert cpsnr(low, reference, clear) == pytest.approx(-10 * math.log10(0.25 * spread))


def test_a_given_gain_is_that_of_the_reference(scene):
    estimate, reference, clear = scene
    gain = np.array([1.1, 0.8, 1.3])
    dimmed = reference / gain[:, None, None]
    for metric in (cpsnr, cssim):
        expected = metric(estimate, reference, clear)
        assert metric(estimate, dimmed, clear, gain=gain) == pytest.approx(expected)


def test_a_whole_shift_moves_pixels_and_loses_those_that_left(scene):
    _, reference, clear = scene
    there, valid = moved(reference, clear, (2, -3))
    np.testing.assert_allclose(there[:, valid], np.roll(reference, (2, -3), (1, 2))[:, valid], 1e-6)
    came = np.roll(clear, (2, -3), (0, 1))
    came[:2] = came[:, -3:] = False
    np.testing.assert_array_equal(valid, clear & came)


def test_a_part_of_a_pixel_loses_the_whole(scene):
    _, reference, _ = scene
    _, valid = moved(reference, np.ones((40, 57), bool), (-0.4, 1.6))
    expected = np.ones((40, 57), bool)
    expected[-1:] = expected[:, :2] = False
    np.testing.assert_array_equal(valid, expected)


def test_a_wave_of_a_third_of_a_pixel_rate_keeps_its_height_when_moved():
    row, col = np.arange(60)[:, None], np.arange(71)
    wave = np.cos(2 * np.pi * (row + 0.5 * col) / 3)[None]
    there, _ = moved(wave, np.ones((60, 71), bool), (0.5, -0.25))
    expected = np.cos(2 * np.pi * (row - 0.5 + 0.5 * (col + 0.25)) / 3)
    inner = slice(12, -12), slice(12, -12)
    np.testing.assert_allclose(there[0][inner], expected[inner], atol=0.01)


def test_no_shift_is_the_same_image(scene):
    _, reference, clear = scene
    there, valid = moved(reference, clear, (0, 0))
    assert there is reference
    assert valid is clear
    assert cpsnr(reference, reference, clear) == metrics.psnr(reference, reference, clear)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, r, c: best_shift(e, r, c, 0), "limit must be above 0 pixels, got 0"),
        (lambda e, r, c: best_shift(e, r[:, :-1], c), "must both be one"),
        (lambda e, r, c: best_shift(e, r, c & (np.arange(57) < 0)), "none of 40 × 57 pixels"),
        (lambda e, r, c: best_shift(e, r, np.eye(40, 57, 50) > 0), "only 7 pixels are clear, 16"),
        (lambda e, r, c: moved(r, c[:-1], (1, 0)), "cannot be moved"),
        (lambda e, r, c: moved(r, c, (math.nan, 0)), "cannot be moved"),
        (lambda e, r, c: cpsnr(e, r, c, (0, 57)), "nothing stays clear"),
        (lambda e, r, c: cpsnr(e, r, c, gain=True), "gain must be 3 positive numbers"),
        (lambda e, r, c: cssim(e, r, c, gain=[1, 0, 1]), "gain must be 3 positive numbers"),
        (lambda e, r, c: cssim(e * np.nan, r, c), "estimate is NaN or infinite"),
    ],
)
def test_what_cannot_be_registered_is_refused(call, message, scene):
    with pytest.raises(InputError, match=message):
        call(*scene)
