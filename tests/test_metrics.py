"""Laws: what is not clear does not matter; every score agrees with its closed form or a rival."""

import math

import numpy as np
import pytest
from scipy import stats
from skimage.metrics import structural_similarity

from sitsr import metrics
from sitsr.series import InputError

M, C, H, W = 5, 3, 24, 37


@pytest.fixture
def chance():
    return np.random.default_rng(7)


@pytest.fixture
def scene(chance):
    """estimate and reference [C, H, W], clear [H, W] with a cloud in it."""
    reference = chance.uniform(0, 0.4, (C, H, W)).astype(np.float32)
    estimate = reference + chance.normal(0, 0.05, (C, H, W)).astype(np.float32)
    clear = np.ones((H, W), bool)
    clear[3:8, 20:26] = False
    return estimate, reference, clear


def gaussian(chance, members, spread=1.0, side=(60, 90)):
    """Samples and a truth of one normal distribution a pixel; spread multiplies the samples'."""
    mean = chance.uniform(0, 0.3, (C, *side))
    sd = chance.uniform(0.01, 0.05, (C, *side))
    truth = chance.normal(mean, sd)
    return chance.normal(mean, spread * sd, (members, C, *side)), truth, np.ones(side, bool)


SINGLE = [
    metrics.psnr,
    metrics.rmse,
    metrics.mae,
    metrics.ssim,
    metrics.detail_correlation,
    metrics.consistency_rmse,
]
ENSEMBLE = [
    metrics.fair_crps,
    metrics.spread_skill,
    lambda samples, truth, clear: metrics.coverage(samples, truth, clear, 0.8),
]


@pytest.mark.parametrize("metric", SINGLE)
def test_what_is_not_clear_does_not_matter(metric, scene):
    estimate, reference, clear = scene
    painted = [
        np.where(clear, image, paint) for image, paint in zip(scene, (np.nan, 9, 0), strict=True)
    ][:2]
    assert metric(*painted, clear) == metric(estimate, reference, clear)


@pytest.mark.parametrize("metric", ENSEMBLE)
def test_what_is_not_clear_does_not_matter_to_an_ensemble(metric, scene, chance):
    _, reference, clear = scene
    samples = reference + chance.normal(0, 0.05, (M, C, H, W))
    painted = np.where(clear, samples, np.nan), np.where(clear, reference, np.nan)
    assert metric(*painted, clear) == metric(samples, reference, clear)


def test_an_error_of_a_tenth_everywhere_is_20_dB(scene):
    _, reference, clear = scene
    off = reference.astype(np.float64) + 0.1
    assert metrics.psnr(off, reference, clear) == pytest.approx(20)
    assert metrics.psnr(off, reference, clear, peak=0.1) == pytest.approx(0, abs=1e-9)
    assert metrics.mae(off, reference, clear) == pytest.approx(0.1)
    assert metrics.rmse(off, reference, clear) == pytest.approx(0.1)
    assert metrics.psnr(reference, reference, clear) == math.inf


def test_bands_are_pooled_before_the_logarithm(scene):
    _, reference, clear = scene
    errors = np.array([0.0, 0.03, 0.04])[:, None, None]
    expected = 10 * math.log10(3 / (0.03**2 + 0.04**2))
    assert metrics.psnr(reference + errors, reference, clear) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("peak", [1.0, 0.3])
def test_ssim_is_that_of_scikit_image(scene, peak):
    estimate, reference, clear = scene
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected, maps = structural_similarity(
        reference.astype(np.float64),
        estimate.astype(np.float64),
        channel_axis=0,
        data_range=peak,
        full=True,
        **options,
    )
    everywhere = np.ones((H, W), bool)
    assert metrics.ssim(estimate, reference, everywhere, peak) == pytest.approx(expected, abs=1e-9)
    whole = [
        (row, col)
        for row in range(5, H - 5)
        for col in range(5, W - 5)
        if clear[row - 5 : row + 6, col - 5 : col + 6].all()
    ]
    masked = np.mean([maps[:, row, col] for row, col in whole])
    assert metrics.ssim(estimate, reference, clear, peak) == pytest.approx(masked, abs=1e-9)


def test_detail_is_blind_to_gain_offset_and_slow_change(scene):
    _, reference, clear = scene
    slow = 0.002 * np.arange(W)
    assert metrics.detail_correlation(0.3 * reference + 0.2, reference, clear) == pytest.approx(1)
    assert metrics.detail_correlation(0.3 - reference, reference, clear) == pytest.approx(-1)
    assert metrics.detail_correlation(reference + slow, reference, clear) > 0.999


def test_detail_that_is_none_or_chance_counts_as_none(chance):
    ours, theirs = chance.normal(size=(2, C, 80, 110))
    clear = np.ones((80, 110), bool)
    assert metrics.detail_correlation(ours, theirs, clear) == pytest.approx(0, abs=0.03)
    assert metrics.detail_correlation(np.full_like(ours, 0.1), theirs, clear) == 0


def test_crps_is_that_of_a_double_loop(scene, chance):
    _, reference, clear = scene
    samples = reference + chance.normal(0, 0.05, (M, C, H, W))
    to_truth = np.mean([np.abs(x - reference)[:, clear].mean() for x in samples])
    between = sum(np.abs(x - y)[:, clear].mean() for x in samples for y in samples)
    expected = to_truth - between / (2 * M * (M - 1))
    assert metrics.fair_crps(samples, reference, clear) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("members", [2, 9])
def test_crps_is_the_closed_form_of_a_gaussian_whatever_the_number_of_samples(members, chance):
    sd, z = 0.04, 0.7
    truth = np.full((1, 150, 190), 0.2)
    samples = chance.normal(0.2 - z * sd, sd, (members, *truth.shape))
    density, mass = stats.norm.pdf(z), stats.norm.cdf(z)
    expected = sd * (z * (2 * mass - 1) + 2 * density - 1 / math.sqrt(math.pi))
    clear = np.ones(truth.shape[1:], bool)
    assert metrics.fair_crps(samples, truth, clear) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("members", [2, 8, 31])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_a_calibrated_ensemble_covers_what_it_says(members, level, chance):
    samples, truth, clear = gaussian(chance, members)
    skewed = np.exp(20 * samples), np.exp(20 * truth)
    assert metrics.coverage(samples, truth, clear, level) == pytest.approx(level, abs=0.01)
    assert metrics.coverage(*skewed, clear, level) == pytest.approx(level, abs=0.01)


def test_coverage_counts_the_share_of_truths_between_samples():
    """Three samples cut four intervals; the central half is the two between them."""
    samples = np.array([0.1, 0.2, 0.3])[:, None, None, None] * np.ones((3, 1, 2, 5))
    truth = np.full((1, 2, 5), 0.15)
    truth[0, 0] = 0.9
    clear = np.ones((2, 5), bool)
    assert metrics.coverage(samples, truth, clear, 0.5) == pytest.approx(0.5)
    assert metrics.coverage(samples, truth, clear, 0.75) == pytest.approx(0.75)  # half an end
    assert metrics.coverage(np.full((3, 1, 2, 5), 0.9), truth, clear, 0.5) == pytest.approx(0.25)


@pytest.mark.parametrize("members", [2, 8])
def test_spread_equals_skill_when_calibrated(members, chance):
    samples, truth, clear = gaussian(chance, members)
    assert metrics.spread_skill(samples, truth, clear) == pytest.approx(1, abs=0.02)
    assert metrics.spread_skill(np.stack([truth - 0.5, truth + 0.5]), truth, clear) > 1e9


def test_over_confidence_shows(chance):
    samples, truth, clear = gaussian(chance, 8, spread=0.5)
    assert metrics.spread_skill(samples, truth, clear) < 0.6
    assert metrics.coverage(samples, truth, clear, 0.8) < 0.6


IMAGE, CLEAR = np.zeros((C, H, W)), np.ones((H, W), bool)


@pytest.mark.parametrize(
    ("estimate", "reference", "clear", "message"),
    [
        (IMAGE[:, 1:], IMAGE, CLEAR, "must both be one"),
        (IMAGE[0], IMAGE[0], CLEAR, "must both be one"),
        (IMAGE, IMAGE, CLEAR.T, "clear is bool"),
        (IMAGE, IMAGE, CLEAR.astype(int), "clear is int64"),
        (IMAGE, IMAGE, ~CLEAR, "none of 24 × 37 pixels is clear"),
        (IMAGE + np.nan, IMAGE, CLEAR, "estimate is NaN"),
        (IMAGE, IMAGE + np.inf, CLEAR, "reference is NaN or infinite at 2664"),
    ],
)
def test_bad_images_are_named(estimate, reference, clear, message):
    for metric in SINGLE:
        with pytest.raises(InputError, match=message):
            metric(estimate, reference, clear)
    if estimate.ndim == 3:
        with pytest.raises(InputError, match=message):
            metrics.fair_crps(np.stack([estimate] * M), reference, clear)


def test_bad_ensembles_levels_and_windows_are_named():
    for samples in (IMAGE, IMAGE[None]):
        with pytest.raises(InputError, match="M of 2 or more"):
            metrics.spread_skill(samples, IMAGE, CLEAR)
    with pytest.raises(InputError, match="level must lie between 0 and 1, got 90"):
        metrics.coverage(np.stack([IMAGE, IMAGE]), IMAGE, CLEAR, 90)
    narrow = CLEAR.copy()
    narrow[10:14] = False
    with pytest.raises(InputError, match="clear window of 11 × 11"):
        metrics.ssim(IMAGE, IMAGE, narrow)
