"""Laws: a perfect sampler is told to be one, an over-confident one is not; closed forms hold."""

import math

import numpy as np
import pytest
from scipy import stats

from sitsr import metrics
from sitsr.metrics.ensembles import (
    ause,
    energy_score,
    rank_counts,
    rank_test,
    risk_coverage,
)
from sitsr.series import InputError

M, C, H, W = 5, 3, 24, 37
PRIOR, NOISE = 0.05, 0.03  # reflectance: standard deviations of ground and observation


@pytest.fixture
def chance():
    return np.random.default_rng(11)


@pytest.fixture
def scene(chance):
    """samples [M, C, H, W], reference [C, H, W], clear [H, W] with a cloud in it."""
    reference = chance.uniform(0, 0.4, (C, H, W))
    clear = np.ones((H, W), bool)
    clear[3:9, 20:26] = False
    return reference + chance.normal(0.01, 0.05, (M, C, H, W)), reference, clear


def posterior(chance, members, side, confidence=1.0):
    """Samples, mean and truth of a Gaussian ground seen with Gaussian noise, all in closed form."""
    prior = chance.uniform(0.1, 0.3, (C, *side))
    truth = chance.normal(prior, PRIOR)
    observed = chance.normal(truth, NOISE)
    gain = PRIOR**2 / (PRIOR**2 + NOISE**2)
    mean, sd = prior + gain * (observed - prior), math.sqrt(gain) * NOISE
    samples = chance.normal(mean, sd / confidence, (members, C, *side))
    return samples, mean, truth, np.ones(side, bool)


def ranks_by_site(chance, sites, confidence=1.0):
    ensembles = (posterior(chance, 7, (20, 31), confidence) for _ in range(sites))
    return np.stack([rank_counts(s, truth, clear) for s, _, truth, clear in ensembles])


def test_a_perfect_posterior_sampler_is_calibrated(chance):
    samples, mean, truth, clear = posterior(chance, 8, (200, 260))
    for level in (0.5, 0.8, 0.9):
        assert metrics.coverage(samples, truth, clear, level) == pytest.approx(level, abs=0.005)
    assert metrics.spread_skill(samples, truth, clear) == pytest.approx(1, abs=0.01)
    below = np.mean([metrics.psnr(x, truth, clear) for x in samples])
    assert metrics.psnr(mean, truth, clear) - below == pytest.approx(3.01, abs=0.05)
    shares = rank_counts(samples, truth, clear) / truth.size
    assert shares == pytest.approx(np.full(9, 1 / 9), rel=0.03)
    assert rank_test(ranks_by_site(chance, 8)) > 0.05


def test_an_over_confident_sampler_is_none_of_it(chance):
    samples, mean, truth, clear = posterior(chance, 8, (60, 90), confidence=2)
    for level in (0.5, 0.8, 0.9):
        assert metrics.coverage(samples, truth, clear, level) < level - 0.1
    assert metrics.spread_skill(samples, truth, clear) < 0.6
    below = np.mean([metrics.psnr(x, truth, clear) for x in samples])
    assert metrics.psnr(mean, truth, clear) - below < 1.5
    counts = rank_counts(samples, truth, clear)
    assert min(counts[0], counts[-1]) > 1.5 * counts[1:-1].max()
    assert rank_test(ranks_by_site(chance, 8, confidence=2)) < 1e-6


def loop_energy(samples, reference, clear, side):
    """The definition, pair by pair."""
    scores = []
    for row in range(0, H - side + 1, side):
        for col in range(0, W - side + 1, side):
            at = ..., slice(row, row + side), slice(col, col + side)
            if clear[at[1:]].all():
                to_truth = np.mean([np.linalg.norm(x[at] - reference[at]) for x in samples])
                pairs = sum(np.linalg.norm(x[at] - y[at]) for x in samples for y in samples)
                score = to_truth - pairs / (2 * M * (M - 1))
                scores.append(score / math.sqrt(C * side**2))
    return np.mean(scores), len(scores)


@pytest.mark.parametrize("side", [5, 8])
def test_energy_score_is_that_of_a_double_loop(side, scene):
    expected, patches = loop_energy(*scene, side)
    assert 1 < patches < (H // side) * (W // side)  # the cloud takes some
    assert energy_score(*scene, side) == pytest.approx(expected, rel=1e-9)


def test_energy_score_of_one_value_is_the_crps(scene):
    samples, reference, clear = (array[..., :, :] for array in scene)
    one = energy_score(samples[:, :1], reference[:1], clear, side=1)
    assert one == pytest.approx(metrics.fair_crps(samples[:, :1], reference[:1], clear), rel=1e-9)


def test_energy_score_sees_that_neighbours_vary_together_as_the_crps_does_not(chance):
    """Truth and good samples have one offset a patch; bad samples the same values, shuffled."""
    side, sites = (8, 8 * 600), (1, 1, 600)
    grow = np.ones((8, 8))
    truth = np.kron(chance.normal(size=sites[1:]), grow)[None]
    together = np.kron(chance.normal(size=(9, *sites)), grow)
    apart = chance.normal(size=(9, 1, *side))
    clear = np.ones(side, bool)
    good, bad = (metrics.fair_crps(s, truth, clear) for s in (together, apart))
    assert good == pytest.approx(bad, rel=0.1)
    assert energy_score(together, truth, clear) < 0.9 * energy_score(apart, truth, clear)


def test_what_is_not_clear_does_not_matter(scene):
    samples, reference, clear = scene
    painted = np.where(clear, samples, np.nan), np.where(clear, reference, np.nan)
    assert energy_score(*painted, clear, 4) == energy_score(samples, reference, clear, 4)
    assert (rank_counts(*painted, clear) == rank_counts(samples, reference, clear)).all()
    mean, spread = samples.mean(axis=0), samples.std(axis=0)
    hidden = [np.where(clear, image, np.nan) for image in (mean, spread, reference)]
    assert ause(*hidden, clear) == ause(mean, spread, reference, clear)


def test_ranks_are_those_of_a_loop_and_add_up_to_all_truths(scene):
    samples, reference, clear = scene
    expected = np.zeros(M + 1)
    for band, row, col in np.argwhere(np.broadcast_to(clear, reference.shape)):
        expected[sum(x[band, row, col] < reference[band, row, col] for x in samples)] += 1
    counts = rank_counts(samples, reference, clear)
    assert counts == pytest.approx(expected)
    assert counts.sum() == C * clear.sum()


def test_a_truth_that_equals_samples_is_shared_by_the_ranks_it_may_have():
    samples = np.array([0.1, 0.2, 0.2, 0.4])[:, None, None, None] * np.ones((4, 1, 2, 3))
    counts = rank_counts(samples, np.full((1, 2, 3), 0.2), np.ones((2, 3), bool))
    assert counts == pytest.approx([0, 2, 2, 2, 0])


def test_a_biased_ensemble_is_rejected_whatever_its_spread(chance):
    samples, _, truth, clear = posterior(chance, 7, (20, 31))
    offsets = 0.01 + chance.normal(0, 0.002, 8)
    counts = [rank_counts(samples + offset, truth, clear) for offset in offsets]
    assert rank_test(np.stack(counts)) < 1e-3


@pytest.mark.parametrize("shared", [0.3, 1.0])
def test_values_of_a_site_that_err_together_are_not_rejected_too_often(shared, chance):
    """Truth and samples are exchangeable, and have an offset of their own in each of 10 sites."""
    members, sites, values, trials = 7, 10, 50, 1000
    drawn = shared * chance.normal(size=(trials, sites, members + 1, 1))
    drawn = drawn + chance.normal(size=(trials, sites, members + 1, values))
    ranks = np.sum(drawn[:, :, 1:] < drawn[:, :, :1], axis=2)
    counts = np.stack([np.sum(ranks == rank, axis=-1) for rank in range(members + 1)], axis=-1)
    rejected = np.mean([rank_test(trial) < 0.05 for trial in counts])
    assert 0.02 < rejected < 0.08
    naive = stats.chisquare(counts.sum(axis=1), axis=-1).pvalue
    assert np.mean(naive < 0.05) > 0.15  # as if every value were independent


def test_rank_test_is_twice_the_lesser_p_of_two_t_tests(chance):
    counts = chance.multinomial(400, [0.3, 0.15, 0.15, 0.4], size=6)
    shares = counts / 400
    line, vee = np.array([-3, -1, 1, 3]), np.array([1, -1, -1, 1])
    lesser = min(stats.ttest_1samp(shares @ contrast, 0).pvalue for contrast in (line, vee))
    assert rank_test(counts) == pytest.approx(2 * lesser, rel=1e-6)


def test_sites_that_agree_to_the_last_digit_are_judged():
    assert rank_test(np.full((3, 7), 11)) == 1
    assert rank_test(np.tile([9, 1, 1], (4, 1))) == 0


def test_the_risk_of_a_share_is_the_rmse_of_its_surest_pixels(scene):
    """Errors 1, 2, 3, 4 hundredths in both bands; spread says 1, 3, 2, 4."""
    errors = np.array([[0.01, 0.02], [0.03, 0.04]])
    truth = np.zeros((2, 2, 2))
    mean, spread = truth + errors, truth + np.array([[1, 3], [2, 4]])
    clear = np.ones((2, 2), bool)
    squares = np.array([1, 9, 4, 16])
    expected = 0.01 * np.sqrt(np.cumsum(squares) / np.arange(1, 5))
    found = risk_coverage(mean, spread, truth, clear, [0.25, 0.5, 0.75, 1])
    assert found == pytest.approx(expected)
    assert risk_coverage(mean, spread, truth, clear, [0.01]) == pytest.approx(0.01)
    oracle = 0.01 * np.sqrt(np.cumsum([1, 4, 9, 16]) / np.arange(1, 5))
    assert ause(mean, spread, truth, clear) == pytest.approx(np.mean(expected - oracle))
    samples, reference, mask = scene
    whole = risk_coverage(samples[0], samples.std(axis=0), reference, mask, [1.0])
    assert whole == pytest.approx(metrics.rmse(samples[0], reference, mask))


def test_bands_are_pooled_by_their_mean_square():
    """Band 0 says 3 and 1, band 1 says 0 and 2.5: the mean squares are 4.5 and 3.6."""
    spread = np.array([[[3.0, 1.0]], [[0.0, 2.5]]])
    mean = np.array([[[0.4, 0.1]], [[0.0, 0.1]]])
    found = risk_coverage(mean, spread, np.zeros_like(mean), np.ones((1, 2), bool), [0.5])
    assert found == pytest.approx(0.1)


def test_a_spread_that_knows_the_error_has_no_area_and_one_that_knows_nothing_is_flat(scene):
    samples, reference, clear = scene
    mean = samples[0]
    error = np.broadcast_to(np.sqrt(np.mean((mean - reference) ** 2, axis=0)), mean.shape)
    assert ause(mean, error, reference, clear) == pytest.approx(0, abs=1e-12)
    assert ause(mean, 7 * error, reference, clear) == pytest.approx(0, abs=1e-12)
    flat = risk_coverage(mean, np.ones_like(mean), reference, clear, [0.1, 0.5, 1])
    assert flat == pytest.approx(metrics.rmse(mean, reference, clear))
    backwards = error.max() - error
    nothing = ause(mean, np.ones_like(mean), reference, clear)
    assert ause(mean, backwards, reference, clear) > nothing > 0.001


def test_the_area_is_the_closed_form_of_gaussian_errors(chance):
    """With a flat spread and one band the area is sd · (1 - ∫ oracle), by quadrature."""
    sd, side = 0.03, (300, 370)
    error = chance.normal(0, sd, (1, *side))
    shares = (np.arange(20_000) + 0.5) / 20_000
    cut = stats.norm.ppf((1 + shares) / 2)
    within = shares - 2 * cut * stats.norm.pdf(cut)  # ∫ z² over |z| < cut
    expected = sd * (1 - np.mean(np.sqrt(within / shares)))
    area = ause(error, np.ones_like(error), np.zeros_like(error), np.ones(side, bool))
    assert area == pytest.approx(expected, rel=0.02)


IMAGE, CLEAR = np.zeros((C, H, W)), np.ones((H, W), bool)
STRIPES = np.broadcast_to(np.arange(W) % 8 > 0, (H, W))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy_score(IMAGE[None], IMAGE, CLEAR), "M of 2 or more"),
        (lambda: energy_score(np.stack([IMAGE] * M), IMAGE, CLEAR.T), "clear is bool"),
        (lambda: energy_score(np.stack([IMAGE] * M), IMAGE, STRIPES), "no patch of 8 × 8 in 24"),
        (lambda: energy_score(np.stack([IMAGE] * M), IMAGE, CLEAR, 0), "side must be 1"),
        (lambda: rank_counts(IMAGE, IMAGE, CLEAR), "M of 2 or more"),
        (lambda: rank_test(np.ones((2, 6))), "rank counts of 2 sites"),
        (lambda: rank_test(np.ones(6)), "must be"),
        (lambda: rank_test(np.ones((4, 2))), "M of 2 or more"),
        (lambda: rank_test(np.eye(4, 3)), "drop empty sites"),
        (lambda: rank_test(np.eye(3) - 0.5), "counts of 0 or more"),
        (lambda: rank_test(np.full((3, 3), np.nan)), "finite counts"),
        (lambda: risk_coverage(IMAGE, IMAGE, IMAGE, CLEAR, [0, 1]), r"shares must lie in \(0, 1\]"),
        (lambda: risk_coverage(IMAGE, IMAGE, IMAGE, CLEAR, [50]), "use 0.5 for 50 %"),
        (lambda: ause(IMAGE, IMAGE - 1, IMAGE, CLEAR), "spread .* 0 or more where clear"),
        (lambda: ause(IMAGE, IMAGE[:1], IMAGE, CLEAR), "as the mean is"),
        (lambda: ause(IMAGE, IMAGE + np.nan, IMAGE, CLEAR), "0 or more where clear"),
        (lambda: ause(IMAGE + np.nan, IMAGE, IMAGE, CLEAR), "estimate is NaN"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
