"""Laws: the site is the unit; an interval of 95 % holds the truth 95 % of the time even with few
sites; what is equal is told as equal, what cannot be told apart as such; nothing is dropped."""

import math
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.rows import Row
from sitsr.evaluation.statistics import (
    Comparison,
    Interval,
    across_sites,
    compare,
    equivalence,
    family,
    holm,
    lacking,
    resolvable,
    scores,
    wilcoxon,
    win_rate,
)
from sitsr.evaluation.verdicts import Finding, calibration, comparable, rewarded, warnings
from sitsr.series import InputError

SITES, PATCHES, SEEDS = 7, 3, 2


def row(system, site, patch="p0", seed=0, kind="scale transfer", **figures):
    return Row(system, site, patch, kind, seed, 1.0, figures)


def make_rows(system, by_site, metric="psnr", scatter=0.1, kind="scale transfer"):
    """Rows whose site means are by_site: patches and seeds scatter around them evenly."""
    aside = scatter * np.linspace(-1, 1, PATCHES)
    return [
        row(
            system,
            f"s{k}",
            f"p{n}",
            seed,
            kind,
            **{metric: mean + aside[n] + 0.01 * (2 * seed - 1)},
        )
        for k, mean in enumerate(by_site)
        for n in range(PATCHES)
        for seed in range(SEEDS)
    ]


def triples(means, scatter=0.0, seed=0):
    chance = np.random.default_rng(seed)
    return [
        (f"s{k}", f"p{n}", mean + scatter * chance.normal())
        for k, mean in enumerate(means)
        for n in range(PATCHES)
    ]


def drawn_by_hand(values, draws, seed):
    """Sites drawn, then patches within each drawn site: a direct loop."""
    chance = np.random.default_rng(seed)
    sites = sorted({site for site, _, _ in values})
    own = {site: [v for s, _, v in values if s == site] for site in sites}
    means = []
    for _ in range(draws):
        chosen = [own[sites[k]] for k in chance.integers(0, len(sites), len(sites))]
        means.append(np.mean([np.mean(chance.choice(each, len(each))) for each in chosen]))
    return np.array(means)


# ------------------------------------------------------------------------------ intervals


def test_the_mean_is_over_sites_then_patches_then_seeds():
    values = [("a", "p", 1.0), ("a", "p", 3.0), ("a", "q", 8.0), ("b", "p", 1.0)]
    assert across_sites(values, 0).mean == pytest.approx(((2 + 8) / 2 + 1) / 2)


def test_the_interval_is_that_of_sites_and_patches_drawn_by_hand():
    values = triples(np.arange(SITES) ** 1.5, scatter=2.0)
    means = drawn_by_hand(values, 20_000, seed=1)
    interval = across_sites(values, seed=2)
    t = stats.t.isf(0.025, SITES - 1)
    tail = stats.norm.cdf(-math.sqrt(SITES / (SITES - 1)) * t)
    low, high = np.quantile(means, [tail, 1 - tail])
    assert interval.low == pytest.approx(low, abs=0.1 * means.std())
    assert interval.high == pytest.approx(high, abs=0.1 * means.std())


def test_patches_that_scatter_widen_the_interval():
    means = [1.0, 2.0, 3.0, 1.5, 2.5, 2.0, 1.0]
    sharp, blurred = (
        across_sites([(s, p, v + d * (int(p[1]) - 1)) for s, p, v in triples(means)], 0)
        for d in (0.0, 3.0)
    )
    assert sharp.mean == pytest.approx(blurred.mean)
    assert blurred.high - blurred.low > 1.5 * (sharp.high - sharp.low)


def test_few_sites_get_the_interval_of_student():
    """With 5 sites even the range of the means misses the truth once in 16."""
    means = np.array([1.0, 2.5, 0.5, 3.0, 1.7])
    interval = across_sites(triples(means), 0)
    wanted = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    assert (interval.low, interval.high) == pytest.approx(wanted)


def test_the_interval_is_the_normal_one_where_sites_are_many():
    means = np.random.default_rng(3).normal(5, 2, 400)
    interval = across_sites([(f"{k}", "p", v) for k, v in enumerate(means)], 0)
    half = 1.96 * means.std(ddof=1) / 20
    assert interval.high - interval.mean == pytest.approx(half, rel=0.05)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.05)


@pytest.mark.parametrize(("sites", "patches"), [(3, 1), (6, 1), (6, 3), (10, 1)])
def test_the_interval_holds_the_truth_as_often_as_it_says(sites, patches):
    chance = np.random.default_rng(4)
    held, narrow, times = 0, 0, 400
    for _ in range(times):
        ground = chance.normal(size=sites)
        values = [
            (f"s{k}", f"p{n}", ground[k] + 0.3 * chance.normal() * (patches > 1))
            for k in range(sites)
            for n in range(patches)
        ]
        interval = across_sites(values, 0)
        held += interval.low <= 0 <= interval.high
        plain = 1.96 * ground.std() / math.sqrt(sites)  # what a plain percentile comes to
        narrow += abs(ground.mean()) <= plain
    assert held / times == pytest.approx(0.95, abs=0.03)
    assert narrow < held


def test_one_seed_draws_the_same_sites_for_every_metric():
    values = triples([1.0, 5.0, 2.0, 2.0, 7.0, 3.0, 1.0])
    one = across_sites(values, 5)
    other = across_sites([(site, patch, 10 - 2 * value) for site, patch, value in values], 5)
    assert (other.low, other.high) == pytest.approx((10 - 2 * one.high, 10 - 2 * one.low))


def test_one_site_has_no_interval_and_none_no_mean():
    one = across_sites([("a", "p", 2.0), ("a", "q", 4.0)], 0)
    assert (one.mean, one.sites) == (3.0, 1) and math.isnan(one.low)
    none = across_sites([("a", "p", math.nan)], 0)
    assert none.sites == 0 and math.isnan(none.mean)
    assert (one.text(1), none.text(1)) == ("3.0", "–")


def test_no_error_at_all_is_infinite_without_an_interval():
    both = across_sites([("a", "p", math.inf), ("b", "p", 3.0)], 0)
    assert both.mean == math.inf and math.isnan(both.low)


def test_an_interval_reads_as_a_table_shows_it():
    assert Interval(1.756, 1.48, 2.04, 6).text(2, "+") == "+1.76 [+1.48, +2.04]"
    assert Interval(-0.001, -0.5, 0.5, 6).text(1) == "0.0 [-0.5, 0.5]"


# ------------------------------------------------------------------------------ tests


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_wilcoxon_counts_every_choice_of_signs(count):
    values = np.random.default_rng(count).normal(0.5, 1, count).round(1)  # with ties
    values[values == 0] = 0.1
    ranks = stats.rankdata(np.abs(values))
    sums = [np.dot(ranks, signs) for signs in product([0, 1], repeat=count)]
    here = ranks[values > 0].sum()
    tails = np.mean(np.array(sums) <= here), np.mean(np.array(sums) >= here)
    assert wilcoxon(values) == pytest.approx(min(1, 2 * min(tails)))


def test_wilcoxon_is_that_of_scipy_without_ties():
    values = np.random.default_rng(0).normal(0.4, 1, 14)
    assert wilcoxon(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)


def test_wilcoxon_leaves_zeros_out_and_of_zeros_alone_says_nothing():
    assert wilcoxon(np.array([0.0, 1.0, 0.0, 2.0, 3.0])) == wilcoxon(np.array([1.0, 2.0, 3.0]))
    assert wilcoxon(np.zeros(5)) == 1.0


def test_holm_multiplies_by_how_many_are_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equivalence_is_the_larger_of_two_t_tests():
    values = np.array([0.03, -0.02, 0.01, 0.05, -0.01, 0.02])
    above = stats.ttest_1samp(values, -0.06, alternative="greater").pvalue
    below = stats.ttest_1samp(values, 0.06, alternative="less").pvalue
    assert equivalence(values, 0.06) == pytest.approx(max(above, below))


def test_equivalence_beyond_the_margin_or_without_one_is_never_claimed():
    assert equivalence(np.full(4, 0.2), 0.1) == 1.0
    assert equivalence(np.full(4, 0.05), 0.1) == 0.0
    assert equivalence(np.array([math.inf, 0.0]), 0.1) == 1.0
    assert math.isnan(equivalence(np.zeros(4), 0.0))


@pytest.mark.parametrize("count", [3, 6, 20])
def test_what_is_resolvable_is_found_eight_times_of_ten(count):
    chance = np.random.default_rng(7)
    spread = np.random.default_rng(8).normal(0, 2, count)
    spread *= 2 / spread.std(ddof=1)
    true = resolvable(spread)
    drawn = true + 2 * chance.normal(size=(20_000, count))
    found = np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.012)


# ------------------------------------------------------------------------------ comparisons

BASE = np.array([30.0, 25.0, 28.0, 33.0, 27.0, 31.0, 26.0])
UNLIKE = np.array([0.5, -0.4, 0.1, -0.6, 0.8, 0.3, -0.5])


def pair(gain, metric="psnr", scatter=0.0):
    ours = make_rows("ours", BASE + gain + scatter * UNLIKE, metric)
    return ours + make_rows("bicubic", BASE, metric)


def test_identical_predictions_differ_by_exactly_nothing():
    same = compare(pair(0.0), "ours", "bicubic", "psnr", 0)
    assert same.difference == Interval(0, 0, 0, SITES)
    assert (same.p, same.verdict, same.resolvable) == (1.0, "equivalent", 0.0)
    assert not same.confirmed
    unmeasured = compare(pair(0.0, "opensr_omission"), "ours", "bicubic", "opensr_omission", 0)
    assert unmeasured.verdict == "identical"


def test_two_systems_without_any_error_are_equal():
    rows = [replace(each, figures={"psnr": math.inf}) for each in pair(0.0)]
    assert compare(rows, "ours", "bicubic", "psnr", 0).difference == Interval(0, 0, 0, SITES)


@pytest.mark.parametrize(
    ("gain", "scatter", "verdict"),
    [
        (1.0, 1.0, "better"),
        (-1.0, 1.0, "worse"),
        (0.0, 0.02, "equivalent"),
        (0.05, 0.02, "better, but by less than matters"),
        (0.0, 1.0, "not resolvable with 7 sites"),
    ],
)
def test_a_planted_difference_gets_its_verdict(gain, scatter, verdict):
    found = compare(pair(gain, scatter=scatter), "ours", "bicubic", "psnr", 0)
    assert found.verdict == verdict
    assert found.difference.mean == pytest.approx(gain + scatter * UNLIKE.mean())


@pytest.mark.parametrize(
    ("metric", "gain", "verdict"),
    [("mae", -1.0, "better"), ("mae", 1.0, "worse"), ("resolution", -1.0, "better")],
)
def test_lower_is_better_where_the_measure_says_so(metric, gain, verdict):
    assert compare(pair(gain, metric), "ours", "bicubic", metric, 0).verdict == verdict


def test_nearer_to_the_ideal_is_better_from_either_side():
    ours = make_rows("ours", 0.9 + 0.05 * UNLIKE, "coverage90", 0.02)
    theirs = make_rows("other", 0.9 + np.where(UNLIKE > 0, 0.08, -0.2), "coverage90", 0.02)
    found = compare(ours + theirs, "ours", "other", "coverage90", 0)
    wanted = np.mean(np.abs(0.05 * UNLIKE) - np.where(UNLIKE > 0, 0.08, 0.2))
    assert found.difference.mean == pytest.approx(wanted)
    assert found.verdict == "better"


def test_a_relative_margin_is_a_share_of_the_other_systems_mean():
    found = compare(pair(0.1, "mae"), "ours", "bicubic", "mae", 0)
    assert MEASURES["mae"].relative
    assert found.margin == pytest.approx(0.02 * BASE.mean())


def test_the_least_p_is_that_of_all_sites_on_one_side():
    found = compare(pair(1.0, scatter=1.0), "ours", "bicubic", "psnr", 0)
    assert found.p == found.smallest_p == 2.0**-6


def test_the_family_is_corrected_as_a_whole():
    rows = pair(1.0, scatter=1.0) + make_rows("third", BASE + 0.2 * UNLIKE)
    pairs = [("ours", "bicubic", "psnr"), ("third", "bicubic", "psnr")]
    first, second = family(rows, pairs, 0)
    assert first.p_holm == pytest.approx(2 * first.p) and first.confirmed
    assert second.p_holm == second.p and not second.confirmed
    counted = family(rows, pairs, 0, unscored=2)
    assert counted[0].p_holm == pytest.approx(4 * first.p) and not counted[0].confirmed


def test_seeds_are_no_samples():
    """Ten times the same seeds and nothing is more certain."""
    rows = pair(0.3, scatter=1.0)
    many = [replace(each, seed=each.seed + 2 * k) for each in rows for k in range(10)]
    few, more = (compare(each, "ours", "bicubic", "psnr", 0) for each in (rows, many))
    assert few.difference.low == pytest.approx(more.difference.low)
    assert (few.p, few.difference.sites) == (more.p, more.difference.sites)


def test_patches_that_neither_has_take_no_part():
    rows = pair(1.0, scatter=1.0)
    gap = [
        replace(each, figures={"psnr": math.nan}) if each.patch == "p0" else each for each in rows
    ]
    assert compare(gap, "ours", "bicubic", "psnr", 0).difference.sites == SITES
    assert lacking(gap, "psnr") == {}


@pytest.mark.parametrize("sites", [1, 2, 3, 7])
def test_the_win_rate_is_over_all_subsets_of_sites(sites):
    wanted = np.mean([sum(chosen) > 0 for chosen in combinations(UNLIKE + 0.03, sites)])
    rows = pair(0.03, scatter=1.0)
    assert win_rate(rows, "ours", "bicubic", "psnr", sites, 0) == pytest.approx(wanted)
    assert win_rate(pair(0.0), "ours", "bicubic", "psnr", sites, 0) == 0.5


def test_the_win_rate_of_many_sites_is_drawn():
    sign = np.tile([1.0, -1.0], 20)
    rows = [row("ours", f"{k}", psnr=v) for k, v in enumerate(sign)]
    rows += [row("bicubic", f"{k}", psnr=0.0) for k in range(40)]
    assert win_rate(rows, "ours", "bicubic", "psnr", 10, 0) == pytest.approx(0.5, abs=0.02)
    assert win_rate(rows, "ours", "bicubic", "psnr", 10, 0) == win_rate(
        rows, "ours", "bicubic", "psnr", 10, 0
    )


def without(rows, system, **what):
    return [
        each
        for each in rows
        if each.system != system or any(getattr(each, k) != v for k, v in what.items())
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: without(rows, "ours", site="s2"), "ours lacks site s2"),
        (lambda rows: without(rows, "bicubic", patch="p1", site="s3"), "lacks patch p1 of s3"),
        (lambda rows: [each for each in rows if each.site == "s0"], "known at 1 site"),
        (lambda rows: rows + make_rows("ours", BASE, kind="simulated"), "do not average"),
        (lambda rows: [replace(r, system=r.system + "!") for r in rows], "did you mean ours!?"),
        (lambda rows: [replace(r, figures={}) for r in rows], "no patch has psnr"),
        (
            lambda rows: [
                replace(r, figures={}) if (r.system, r.site) == ("ours", "s4") else r for r in rows
            ],
            "psnr of ours is NaN on 3 of 21 patches",
        ),
    ],
)
def test_what_does_not_compare_is_named(change, says):
    with pytest.raises(InputError, match=says.replace("?", r"\?")) as error:
        compare(change(pair(1.0)), "ours", "bicubic", "psnr", 0)
    assert "\n" not in str(error.value)


def test_a_measure_without_a_better_way_does_not_compare():
    with pytest.raises(InputError, match="gap_days has no better or worse"):
        compare(pair(0.0, "gap_days"), "ours", "bicubic", "gap_days", 0)
    with pytest.raises(InputError, match="psn is not a measure"):
        compare(pair(0.0), "ours", "bicubic", "psn", 0)
    with pytest.raises(InputError, match="sites must lie in 1 … 7"):
        win_rate(pair(0.0), "ours", "bicubic", "psnr", 8, 0)


# ------------------------------------------------------------------------------ calibration

M = 8


def ensemble(chance, spread, sites=SITES, pixels=400, kind="scale transfer"):
    """Rows of a sampler of a Gaussian truth whose samples scatter spread times too much."""
    from sitsr.metrics.ensembles import coverage, rank_counts, spread_skill

    rows = []
    for site, patch in product(range(sites), range(PATCHES)):
        center = chance.normal(size=(1, pixels, 3))
        reference = center + chance.normal(size=center.shape)
        samples = center + spread * chance.normal(size=(M, *center.shape))
        clear = np.ones(center.shape[1:], bool)
        error = float(np.mean((center - reference) ** 2))
        sample_error = np.mean((samples - reference) ** 2, axis=(1, 2, 3))
        figures = {
            f"coverage{level}": coverage(samples, reference, clear, level / 100)
            for level in (50, 80, 90)
        }
        figures["spread_skill"] = spread_skill(samples, reference, clear)
        figures["sample_drop"] = float(np.mean(10 * np.log10(sample_error / error)))
        counts = rank_counts(samples, reference, clear)
        figures |= {f"rank_{n:02}": float(count) for n, count in enumerate(counts)}
        rows.append(row("ours", f"s{site}", f"p{patch}", 0, kind, **figures))
    return rows


def test_a_perfect_sampler_is_calibrated_and_its_samples_3_db_below_its_mean():
    told = calibration(ensemble(np.random.default_rng(0), 1.0), "ours", 0)
    assert told.verdict == "calibrated"
    assert told.sample_drop.mean == pytest.approx(3.01, abs=0.05)
    assert told.p_rank > 0.05


@pytest.mark.parametrize(("spread", "verdict"), [(0.7, "over-confident"), (1.4, "under-confident")])
def test_a_sampler_of_the_wrong_spread_is_not(spread, verdict):
    told = calibration(ensemble(np.random.default_rng(0), spread), "ours", 0)
    assert told.verdict == verdict
    assert told.p_rank < 0.001


@pytest.mark.parametrize("side", [1, -1])
def test_few_unlike_sites_cannot_show_calibration(side):
    rows = ensemble(np.random.default_rng(0), 1.0)
    moved = [
        replace(r, figures=r.figures | {"coverage90": 0.9 + 0.1 * side * UNLIKE[int(r.site[1])]})
        for r in rows
    ]
    assert calibration(moved, "ours", 0).verdict == "not resolvable with 7 sites"


def test_a_sampler_may_be_wrong_both_ways():
    rows = ensemble(np.random.default_rng(0), 1.0)
    moved = [replace(r, figures=r.figures | {"coverage50": 0.6, "coverage90": 0.8}) for r in rows]
    assert calibration(moved, "ours", 0).verdict.startswith("over-confident in part, under")


def test_few_sites_have_no_rank_test():
    rows = ensemble(np.random.default_rng(0), 1.0, sites=2)
    assert math.isnan(calibration(rows, "ours", 0).p_rank)


def test_what_cannot_be_judged_for_calibration_is_named():
    rows = ensemble(np.random.default_rng(0), 1.0)
    with pytest.raises(InputError, match="bicubic has no coverage"):
        calibration(make_rows("bicubic", BASE), "bicubic", 0)
    fewer = {name: value for name, value in rows[0].figures.items() if name != "rank_08"}
    with pytest.raises(InputError, match="drew 7 and 8 samples"):
        calibration([replace(rows[0], figures=fewer), *rows[1:]], "ours", 0)
    other = [replace(r, system="other") for r in rows]
    with pytest.raises(InputError, match="coverage50 of ours is NaN on 1 patch"):
        calibration([replace(rows[0], figures={}), *rows[1:], *other], "ours", 0)


# ------------------------------------------------------------------------------ controls


def scored(system, psnr=0.0, texture=0.0):
    noisy = make_rows(system, BASE + psnr + 0.01 * UNLIKE)
    added = {"texture": 0.5 + texture, "mflop": 1.0 if system == "ours" else 0.5, "crps": math.nan}
    added["coverage90"] = 0.8 if system == "ours" else 0.9  # no merit by itself
    return [replace(r, figures=r.figures | added) for r in noisy]


def verdicts(findings):
    return {each.measure: each.verdict for each in findings}


def test_a_control_is_caught_or_rewarded_by_the_side_of_its_interval():
    rows = scored("ours") + scored("mean + texture", -2.0, -0.2)
    findings = rewarded(rows, {"mean + texture": "ours"}, 0)
    assert verdicts(findings) == {"psnr": "caught", "texture": "rewarded"}
    (sentence,) = warnings(findings)
    assert sentence.startswith("texture distance rewards mean + texture over ours by 0.2")


def test_a_control_that_no_proper_measure_finds_worse_is_told():
    rows = scored("ours") + scored("dates shuffled", 0.0, 0.3)
    findings = rewarded(rows, {"dates shuffled": "ours"}, 0)
    assert verdicts(findings) == {"psnr": "not told apart", "texture": "caught"}
    (sentence,) = warnings(findings)
    assert "dates shuffled is not found worse than ours" in sentence
    assert "resolved with 7 sites" in sentence


def test_every_control_caught_leaves_no_warning():
    rows = scored("ours") + scored("other site", -3.0, 0.1)
    findings = rewarded(rows, {"other site": "ours"}, 0)
    assert [each.verdict for each in findings] == ["caught", "caught"]
    assert warnings(findings) == []


def test_a_measure_that_only_one_has_finds_nothing():
    rows = scored("ours") + [
        replace(r, figures=r.figures | {"texture": math.nan}) if r.patch == "p0" else r
        for r in scored("other site", -3.0)
    ]
    assert not comparable(rows, "ours", "other site", "texture")
    assert verdicts(rewarded(rows, {"other site": "ours"}, 0)) == {"psnr": "caught"}


def test_the_records_are_frozen():
    made = Finding("a", "b", "psnr", Interval(0, 0, 0, 2), "caught")
    compared = compare(pair(0.0), "ours", "bicubic", "psnr", 0)
    assert isinstance(compared, Comparison)
    for record, field in ((made, "measure"), (compared, "p")):
        with pytest.raises(AttributeError):
            setattr(record, field, 1)


def test_scores_average_seeds_and_keep_gaps():
    rows = [row("a", "x", "p", seed, psnr=value) for seed, value in enumerate((1.0, 2.0))]
    rows += [row("a", "x", "q", 0, psnr=3.0), row("a", "x", "q", 1)]
    told = scores(rows, "a", "psnr")
    assert told["x", "p"] == 1.5 and math.isnan(told["x", "q"])
