"""Laws: white noise is white, agreement ends where it was made to, rows are like columns."""

import math

import numpy as np
import pytest
from scipy import fft

from conftest import landscape
from sitsr import baselines, radiometry
from sitsr.metrics.frequencies import (
    effective_resolution,
    radial_spectrum,
    random_phase_texture,
    ring_correlation,
    spectrum_error,
)
from sitsr.series import InputError

C, H, W = 3, 96, 131


@pytest.fixture
def chance():
    return np.random.default_rng(7)


@pytest.fixture
def everywhere():
    return np.ones((H, W), bool)


@pytest.fixture
def clouded():
    clear = np.ones((H, W), bool)
    clear[20:45, 70:100] = clear[80:, :20] = False
    return clear


def radius(shape=(H, W)):
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))


def below(image, cutoff):
    """The part of an image at frequencies below the cutoff, cycles per pixel."""
    return fft.ifft2(fft.fft2(image) * (radius(image.shape[1:]) < cutoff)).real


def blotches(chance, shape=(C, H, W)):
    """Noise of which the power falls with the square of the frequency, as on the ground."""
    noise = fft.fft2(chance.normal(0, 0.05, shape))
    return 0.2 + fft.ifft2(noise / (1 + 40 * radius(shape[1:]))).real


PAIRED = [
    lambda e, r, c: spectrum_error(e, r, c),
    lambda e, r, c: ring_correlation(e, r, c)[1],
    lambda e, r, c: effective_resolution(e, r, c, 2.5),
]


@pytest.mark.parametrize("metric", PAIRED)
def test_what_is_not_clear_does_not_matter(metric, chance, clouded):
    reference = blotches(chance)
    estimate = reference + chance.normal(0, 0.01, reference.shape)
    painted = np.where(clouded, estimate, 9), np.where(clouded, reference, np.nan)
    np.testing.assert_array_equal(metric(*painted, clouded), metric(estimate, reference, clouded))


@pytest.mark.parametrize("metric", PAIRED)
def test_rows_and_columns_are_alike(metric, chance, clouded):
    estimate, reference = blotches(chance), blotches(chance)
    estimate += reference
    turned = (np.ascontiguousarray(image.swapaxes(1, 2)) for image in (estimate, reference))
    np.testing.assert_allclose(
        metric(*turned, clouded.T), metric(estimate, reference, clouded), rtol=1e-9, atol=1e-12
    )


def test_white_noise_has_its_variance_as_power_in_every_ring_and_under_clouds(chance, clouded):
    deviations = np.array([0.01, 0.02, 0.05])
    draws = [
        radial_spectrum(deviations[:, None, None] * chance.normal(size=(C, H, W)), clouded)
        for _ in range(20)
    ]
    frequencies, _ = draws[0]
    power = np.mean([power for _, power in draws], axis=0)
    np.testing.assert_allclose(frequencies, np.arange(1, H // 2 + 1) / H)
    np.testing.assert_allclose(power[:, 4:] / deviations[:, None] ** 2, 1, atol=0.15)
    np.testing.assert_allclose(power.mean(axis=1), deviations**2, rtol=0.03)


def test_a_wave_has_its_power_at_its_frequency_along_rows_as_along_columns(everywhere):
    row, col = np.arange(H)[:, None], np.arange(W)
    for along in (row + 0 * col, col + 0 * row):
        wave = np.sin(2 * np.pi * 0.25 * along)[None]
        frequencies, power = radial_spectrum(wave, everywhere)
        assert frequencies[power[0].argmax()] == pytest.approx(0.25, abs=0.5 / H)
        near = np.abs(frequencies - 0.25) < 3 / H
        assert power[0, near].sum() > 0.999 * power[0].sum()


def test_the_edge_of_a_cloud_is_no_detail(clouded):
    row, col = np.arange(H)[:, None], np.arange(W)
    slow = np.sin(2 * np.pi * (0.03 * row + 0.02 * col))[None]
    frequencies, power = radial_spectrum(slow, clouded)
    assert power[0, frequencies > 0.25].max() < 1e-6 * power.max()


def test_the_spectrum_is_a_direct_sum_over_the_coefficients(chance):
    image, shape = chance.normal(0.3, 0.1, (1, 12, 17)), (12, 17)
    hann = [0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n) for n in shape]
    window = hann[0][:, None] * hann[1]
    seen = (image[0] - (image[0] * window).sum() / window.sum()) * window
    rings = {k: [] for k in range(1, 7)}
    for u in range(-6, 6):
        for v in range(-8, 9):
            ring = round(12 * math.hypot(u / 12, v / 17))
            turns = np.exp(-2j * np.pi * (u * np.arange(12)[:, None] / 12 + v * np.arange(17) / 17))
            if ring in rings:
                rings[ring].append(abs((seen * turns).sum()) ** 2 / (window**2).sum())
    _, power = radial_spectrum(image, np.ones(shape, bool))
    np.testing.assert_allclose(power[0], [np.mean(rings[k]) for k in rings], rtol=1e-9)


def test_neither_brightness_nor_slow_change_makes_fine_detail(chance, everywhere):
    image = chance.normal(0, 0.01, (C, H, W))
    slope = 5 + 0.02 * np.arange(W)
    assert spectrum_error(image + slope, image, everywhere) < 0.2


def test_a_gain_is_its_decibels_and_only_beyond_what_lr_shows(chance, everywhere):
    detail = chance.normal(0, 0.05, (C, H, W))
    coarse = below(detail, 0.09)
    twice = detail + (detail - below(detail, 0.12))
    assert spectrum_error(0.5 * detail, detail, everywhere) == pytest.approx(20 * math.log10(2))
    assert spectrum_error(2 * detail, detail, everywhere) == pytest.approx(20 * math.log10(2))
    assert spectrum_error(twice, detail, everywhere) == pytest.approx(20 * math.log10(2), abs=0.2)
    assert spectrum_error(detail + coarse, detail, everywhere) < 0.05
    assert spectrum_error(detail + coarse, detail, everywhere, scale=8) > 0.3


def test_no_detail_at_all_is_told_from_the_rounding_of_reflectance(everywhere):
    detail = np.random.default_rng(1).normal(0, 0.01, (C, H, W))
    floor = 10 * math.log10(0.01**2 / (1e-4**2 / 12))
    error = spectrum_error(np.full_like(detail, 0.2), detail, everywhere)
    assert error == pytest.approx(floor, abs=0.5)


def test_noise_of_known_strength_has_the_correlation_of_its_closed_form(chance, everywhere):
    truth, noise = chance.normal(size=(2, 30, H, W))
    for strength in (0.5, 1, 2):
        _, alike = ring_correlation(truth + strength * noise, truth, everywhere)
        np.testing.assert_allclose(alike[3:], 1 / math.hypot(1, strength), atol=0.05)


def test_correlation_is_blind_to_gain_bias_and_blur_and_sees_a_change_of_sign(chance, everywhere):
    truth = blotches(chance)
    _, alike = ring_correlation(0.3 * truth + 0.1, truth, everywhere)
    np.testing.assert_allclose(alike, 1)
    _, opposite = ring_correlation(0.3 - truth, truth, everywhere)
    np.testing.assert_allclose(opposite, -1)
    blurred = fft.ifft2(fft.fft2(truth) * np.exp(-20 * radius() ** 2)).real
    _, alike = ring_correlation(blurred, truth, everywhere)
    assert alike[2:].min() > 0.95


@pytest.mark.parametrize("cutoff", [0.08, 0.125, 0.3])
@pytest.mark.parametrize("pixel", [2.5, 10.0])
def test_detail_true_up_to_a_frequency_resolves_half_its_wavelength(cutoff, pixel, chance, clouded):
    truth, other = chance.normal(0, 0.05, (2, C, H, W))
    estimate = below(truth, cutoff) + other - below(other, cutoff)
    for clear in (np.ones((H, W), bool), clouded):
        resolution = effective_resolution(estimate, truth, clear, pixel)
        assert pixel / (2 * resolution) == pytest.approx(cutoff, abs=1 / H)


def test_the_crossing_lies_between_two_rings_on_a_straight_line(chance, everywhere):
    truth, other = chance.normal(0, 0.05, (2, C, H, W))
    estimate = below(truth, 0.2) + other - below(other, 0.2)
    frequencies, alike = ring_correlation(estimate, truth, everywhere)
    k = int(np.argmax(alike < 0.5))
    share = (alike[k - 1] - 0.5) / (alike[k - 1] - alike[k])
    crossing = frequencies[k - 1] + share * (frequencies[k] - frequencies[k - 1])
    got = effective_resolution(estimate, truth, everywhere, 2.5)
    assert got == pytest.approx(2.5 / (2 * crossing))


def test_a_perfect_image_resolves_its_pixel_and_chance_the_coarsest_that_can_be_told(chance):
    truth, other = chance.normal(size=(2, 1, H, W))
    everywhere = np.ones((H, W), bool)
    assert effective_resolution(truth, truth, everywhere, 2.5) == 2.5
    assert effective_resolution(-truth, truth, everywhere, 2.5) == 2.5 * H / 2
    assert effective_resolution(0 * truth, truth, everywhere, 2.5) == 2.5 * H / 2
    assert effective_resolution(other, truth, everywhere, 2.5) > 25


def test_bicubic_interpolation_resolves_a_little_less_than_four_of_its_pixels(chance):
    truth = blotches(chance, (C, H, 132)).astype(np.float32)
    bicubic = baselines.bicubic(radiometry.degrade(truth, 4, (0.45,) * C), 4)
    clear = np.ones((H, 132), bool)
    assert 3 < effective_resolution(bicubic, truth, clear, 1) < 4


def test_texture_of_random_phase_has_the_spectrum_of_its_image_band_by_band_and_across(chance):
    image = landscape((C, 60, 83), seed=3) + chance.normal(0, 0.01, (C, 60, 83))
    texture = random_phase_texture(image, np.random.default_rng(5))
    ours, theirs = fft.fft2(texture), fft.fft2(image)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-9)
    cross = ours[:, None] * ours[None].conj(), theirs[:, None] * theirs[None].conj()
    np.testing.assert_allclose(*cross, atol=1e-7)
    flat, plain = texture.reshape(C, -1), image.reshape(C, -1)
    np.testing.assert_allclose(flat.mean(axis=1), plain.mean(axis=1))
    np.testing.assert_allclose(np.cov(flat), np.cov(plain), atol=1e-9)


def test_texture_of_random_phase_shares_no_form_with_its_image(chance, everywhere):
    image = chance.normal(0.2, 0.05, (C, H, W))
    texture = random_phase_texture(image, np.random.default_rng(5))
    for band in range(C):
        assert abs(np.corrcoef(texture[band].ravel(), image[band].ravel())[0, 1]) < 0.05
    assert spectrum_error(texture, image, everywhere) < 1.5
    assert effective_resolution(texture, image, everywhere, 1) > 10


def test_texture_is_the_same_for_the_same_generator_and_another_for_another(chance):
    image = chance.normal(size=(C, 20, 31))
    first, again, other = (random_phase_texture(image, np.random.default_rng(k)) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, r, c: radial_spectrum(e[:, :7], c[:7]), "7 × 131 pixels are too few"),
        (lambda e, r, c: radial_spectrum(e, c[:-1]), "clear is bool"),
        (lambda e, r, c: spectrum_error(e, r, c, scale=1), "scale must be 2 or more, got 1"),
        (lambda e, r, c: ring_correlation(e, r[:, 1:], c), "must both be one"),
        (lambda e, r, c: effective_resolution(e, r, c, 0), "pixel must be above 0 metres, got 0"),
        (lambda e, r, c: effective_resolution(e * np.nan, r, c, 1), "estimate is NaN"),
        (lambda e, r, c: random_phase_texture(e[0], np.random.default_rng(0)), "one finite"),
        (lambda e, r, c: random_phase_texture(e * np.nan, np.random.default_rng(0)), "one finite"),
    ],
)
def test_what_has_no_spectrum_is_refused(call, message, chance, everywhere):
    with pytest.raises(InputError, match=message):
        call(*chance.normal(size=(2, C, H, W)), everywhere)
