"""Other projects' figures are theirs to 1e-6, faults included: each against a slow second one."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.exposure import match_histograms
from skimage.metrics import structural_similarity

from sitsr.evaluation.rows import Row, save_rows
from sitsr.metrics.conventions import (
    CONVENTIONS,
    breizhsr,
    conventions,
    match_histogram,
    mus2_cpsnr,
    mus2_cssim,
    probav_cpsnr,
    probav_score,
    worldstrat_as_intended,
    worldstrat_as_published,
)
from sitsr.metrics.conventions.breizhsr import WHITE
from sitsr.metrics.conventions.structure import even_ssim
from sitsr.series import InputError

ROOT = Path(__file__).parents[1]
C, H, W = 3, 29, 37
SCALE = 4
Pair = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def scene(seed: int, rows: int = H, cols: int = W, sigma: float = 1.5) -> np.ndarray:
    """[C, rows, cols] smooth reflectance between about 0.02 and 0.18."""
    noise = np.random.default_rng(seed).standard_normal((C, rows, cols))
    smooth = ndimage.gaussian_filter(noise, (0, sigma, sigma))
    return 0.1 + 0.08 * smooth / np.abs(smooth).max()


@pytest.fixture
def pair() -> Pair:
    """Estimate, reference, clear with a hole, and an input image of lower contrast."""
    chance = np.random.default_rng(7)
    reference = scene(1)
    estimate = 0.8 * np.roll(reference, (1, -1), (1, 2)) + 0.03
    estimate = estimate + 0.005 * chance.standard_normal(reference.shape)
    clear = np.ones((H, W), bool)
    clear[4:9, 11:20] = False
    lr = 0.6 * reference[:, ::SCALE, ::SCALE] + 0.02
    return estimate, reference, clear, lr


def all_clear(pair: Pair) -> Pair:
    estimate, reference, clear, lr = pair
    return estimate, reference, np.ones_like(clear), lr


def moved(image: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """What lies at (r, c) lies at (r + rows, c + cols) then."""
    return np.roll(image, (rows, cols), axis=(-2, -1))


def slow_cpsnr(sr: np.ndarray, hr: np.ndarray, clear: np.ndarray, places: int) -> tuple:
    """Best cPSNR of two bands in 0 … 1 over places × places shifts, pixel by pixel; its shift."""
    rows, cols = sr.shape[0] - 6, sr.shape[1] - 6
    best, at = -math.inf, (0, 0)
    for u in range(places):
        for v in range(places):
            apart = [
                hr[r + u, c + v] - sr[r + 3, c + 3]
                for r in range(rows)
                for c in range(cols)
                if clear[r + u, c + v]
            ]
            bias = sum(apart) / len(apart)
            mse = sum((d - bias) ** 2 for d in apart) / len(apart)
            value = -10 * math.log10(mse) if mse > 0 else math.inf
            if value > best:
                best, at = value, (u, v)
    return best, at


def test_probav_equals_the_formula_of_the_challenge_looped(pair: Pair) -> None:
    estimate, reference, clear, _ = pair
    bands = [
        slow_cpsnr(x * 16383 / 65535, y * 16383 / 65535, clear, 7)[0]
        for x, y in zip(estimate, reference, strict=True)
    ]
    assert probav_cpsnr(estimate, reference, clear) == pytest.approx(np.mean(bands), abs=1e-6)


@pytest.mark.parametrize("shift", [(3, 3), (-3, -3), (0, 2), (-1, 3)])
def test_probav_finds_every_whole_shift_and_forgives_a_bias(shift: tuple[int, int]) -> None:
    reference, clear = scene(2), np.ones((H, W), bool)
    estimate = moved(reference, *shift) + 0.01
    assert probav_cpsnr(estimate, reference, clear) > 150


def test_probav_clips_what_16_bits_cannot_hold_and_counts_in_units_of_the_peak() -> None:
    reference, clear = scene(2), np.ones((H, W), bool)
    estimate = reference + 0.01 * scene(3)
    wide, narrow = (probav_cpsnr(estimate, reference, clear, peak) for peak in (4.0, 2.0))
    assert wide - narrow == pytest.approx(20 * math.log10(2))
    low = probav_cpsnr(estimate - 1, reference, clear)
    assert low == pytest.approx(probav_cpsnr(np.zeros_like(estimate), reference, clear))


def test_the_score_of_the_challenge_is_the_mean_of_the_ratios() -> None:
    assert probav_score([50, 40], [45, 44]) == pytest.approx((45 / 50 + 44 / 40) / 2)


def test_matching_histograms_equals_scikit_image(pair: Pair) -> None:
    estimate, reference, _, lr = pair
    for other in (reference, lr):
        expected = match_histograms(estimate, other, channel_axis=0)
        ours = [match_histogram(x, y) for x, y in zip(estimate, other, strict=True)]
        np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_matching_eight_bits_equals_scikit_image() -> None:
    chance = np.random.default_rng(8)
    image = chance.integers(0, 200, (19, 23), np.uint8)
    other = chance.integers(30, 255, (31, 17), np.uint8)
    assert np.array_equal(match_histogram(image, other), match_histograms(image, other))


def test_even_ssim_equals_scikit_image(pair: Pair) -> None:
    x, y = (255 * image[0] for image in pair[:2])
    expected = structural_similarity(x, y, data_range=255)
    assert even_ssim(x, y).mean() == pytest.approx(expected, abs=1e-9)


def eight_bits(sr: np.ndarray, hr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MuS2's pictures: stretched from least to greatest, cut, matched, cut again."""
    stretched = [
        ((band - band.min()) / (band.max() - band.min()) * 255).astype(np.uint8)
        for band in (sr, hr)
    ]
    return match_histograms(*stretched).astype(np.uint8), stretched[1]


def test_mus2_equals_its_formulas_with_scikit_image_and_loops(pair: Pair) -> None:
    estimate, reference, clear, _ = pair
    cpsnrs, cssims = [], []
    for band in range(C):
        sr, hr = eight_bits(estimate[band], reference[band])
        value, (u, v) = slow_cpsnr(sr / 255, hr / 255, clear, 6)
        there, seen = hr[u : u + H - 6, v : v + W - 6].astype(float), clear[u : u + H - 6, v:]
        seen = seen[:, : W - 6]
        inside = sr[3:-3, 3:-3].astype(float)
        bias = np.sum((there - inside) * seen) / np.sum(seen)
        cpsnrs.append(value)
        cssims.append(structural_similarity((inside + bias) * seen, there * seen, data_range=255))
    assert mus2_cpsnr(estimate, reference, clear) == pytest.approx(np.mean(cpsnrs), abs=1e-6)
    assert mus2_cssim(estimate, reference, clear) == pytest.approx(np.mean(cssims), abs=1e-6)


def test_mus2_finds_a_shift_one_way_and_not_the_other() -> None:
    reference, clear = scene(4), np.ones((H, W), bool)
    reference = np.pad(reference, ((0, 0), (4, 4), (4, 4)), "wrap")
    clear = np.pad(clear, 4, constant_values=True)

    def of(rows: int, cols: int) -> float:
        return mus2_cpsnr(moved(reference, rows, cols), reference, clear)

    # An estimate 3 pixels too far down and right is the reference read at -3, which is tried.
    assert of(3, 3) == of(0, 0) == math.inf
    assert of(2, -2) == math.inf
    assert of(-3, 0) < 40 and of(0, -3) < 40


def test_mus2_cannot_see_a_wrong_contrast() -> None:
    reference, clear = scene(4), np.ones((H, W), bool)
    assert mus2_cpsnr(0.1 * reference + 0.5, reference, clear) > 45
    assert mus2_cssim(0.1 * reference + 0.5, reference, clear) > 0.999


def slow_worldstrat(sr: np.ndarray, hr: np.ndarray, cut: int) -> tuple[float, float, float]:
    """WorldStrat's three figures of whole images, with torch as it was reckoned."""
    y, x = torch.from_numpy(hr)[:, None], torch.from_numpy(sr)[:, None]
    x = x + (y - x).mean(dim=(-1, -2), keepdim=True)
    rows, cols = H - 10, W - 10
    x = x[..., cut : cut + rows, cut : cut + cols]
    best: tuple[float, torch.Tensor] = (math.inf, y)
    steps = [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2]
    for down in steps:
        for across in steps:
            lines = []
            for shift in (down, across):
                p = math.pi * (torch.arange(-5, 6, dtype=torch.float64) - shift) + 1e-3
                lines.append(3 * torch.sin(p) * torch.sin(p / 3) / p**2)
            kernel = torch.outer(*lines)[None, None]
            there = torch.nn.functional.conv2d(y, kernel)
            mse = float(((x - there) ** 2).mean())
            if mse < best[0]:
                best = mse, there
    mse, there = best
    return -10 * math.log10(mse), float((x - there).abs().mean()), slow_ssim(x, there)


def slow_ssim(x: torch.Tensor, y: torch.Tensor) -> float:
    line = torch.exp(-(torch.arange(-2, 3, dtype=torch.float64) ** 2) / (2 * 1.5**2))
    window = torch.outer(line, line)[None, None] / line.sum() ** 2

    def mean(image: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(image, (2, 2, 2, 2), mode="reflect")
        return torch.nn.functional.conv2d(padded, window)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    top = (2 * mx * my + 0.01**2) * (2 * both + 0.03**2)
    return float((top / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2) + 1e-12)).mean())


@pytest.mark.parametrize(
    ("figures", "cut"), [(worldstrat_as_published, 2), (worldstrat_as_intended, 5)]
)
def test_worldstrat_equals_its_formulas_in_torch(pair: Pair, figures: Any, cut: int) -> None:
    estimate, reference, clear, _ = all_clear(pair)
    expected = slow_worldstrat(estimate, reference, cut)
    assert figures(estimate, reference, clear) == pytest.approx(expected, abs=1e-6)


def test_as_published_a_perfect_estimate_fails_and_one_displaced_by_1_to_5_pixels_does_not() -> (
    None
):
    reference, clear = scene(5, sigma=2.5), np.ones((H, W), bool)
    perfect = worldstrat_as_published(reference, reference, clear).psnr
    # Rolled in both senses: what comes round the edge is cut away by the geometry.
    displaced = {
        n: worldstrat_as_published(moved(reference, -n, -n), reference, clear) for n in range(-5, 8)
    }
    assert perfect < 45
    for n, told in displaced.items():
        assert (told.psnr > 60) == (1 <= n <= 5), n


def test_as_intended_what_is_right_is_right_and_shifts_of_up_to_2_pixels_are_forgiven() -> None:
    reference, clear = scene(5, sigma=2.5), np.ones((H, W), bool)
    for n in range(-4, 5):
        told = worldstrat_as_intended(moved(reference, n, -n), reference, clear)
        assert (told.psnr > 60) == (abs(n) <= 2), n
    assert worldstrat_as_intended(reference, reference, clear).ssim > 0.9999


def test_worldstrat_forgives_a_bias_of_each_band() -> None:
    reference, clear = scene(5), np.ones((H, W), bool)
    estimate = reference + np.array([0.1, -0.05, 0.3])[:, None, None]
    ours, plain = (worldstrat_as_intended(x, reference, clear) for x in (estimate, reference))
    assert ours == pytest.approx(plain, abs=1e-9)


def slow_breizhsr(sr: np.ndarray, hr: np.ndarray, lr: np.ndarray) -> list[float]:
    """MISR-S2's figures of whole images [C, H, W], with scikit-image where it uses it."""
    white = np.array(WHITE)[:, None, None]
    near = 2 * (np.clip(lr, 0, white) / white) - 1
    matched = match_histograms(2 * hr - 1, near, channel_axis=0)
    x, y = (
        np.round((image + 1) * 127.5).clip(0, 255).astype(int).transpose(1, 2, 0)
        for image in (2 * (sr / white) - 1, matched)
    )
    inside = x[3:-3, 3:-3]
    shifted = [
        np.mean(np.abs(y[i : i + H - 6, j : j + W - 6] - inside))
        for i in range(7)
        for j in range(7)
    ]
    mse = np.mean((x - y) ** 2)
    ssim = structural_similarity(x, y, channel_axis=-1, data_range=255)
    return [10 * np.log10(255**2 / mse), ssim, np.mean(np.abs(x - y)), mse, min(shifted)]


def test_breizhsr_equals_its_formulas_with_scikit_image(pair: Pair) -> None:
    estimate, reference, clear, lr = all_clear(pair)
    told = breizhsr(estimate, reference, clear, lr)
    assert list(told) == pytest.approx(slow_breizhsr(estimate, reference, lr), abs=1e-6)


def test_breizhsr_hides_a_colour_error_of_the_reference_and_not_of_the_estimate(pair: Pair) -> None:
    estimate, reference, clear, lr = pair
    plain = breizhsr(estimate, reference, clear, lr)
    assert breizhsr(estimate, 3 * reference + 0.4, clear, lr) == pytest.approx(plain, abs=1e-9)
    assert breizhsr(estimate + 0.05, reference, clear, lr).psnr < plain.psnr - 1


def test_breizhsr_prefers_the_contrast_of_the_input_to_the_truth() -> None:
    reference, clear = scene(6), np.ones((H, W), bool)
    lr = 0.5 * (reference - 0.1) + 0.1
    assert breizhsr(reference, reference, clear, lr).psnr < breizhsr(lr, reference, clear, lr).psnr
    assert breizhsr(lr, reference, clear, lr).mae == pytest.approx(0, abs=0.01)


FIGURES = {
    "probav": lambda e, r, c, lr: probav_cpsnr(e, r, c),
    "worldstrat": lambda e, r, c, lr: tuple(worldstrat_as_published(e, r, c)),
    "breizhsr": lambda e, r, c, lr: tuple(breizhsr(e, r, c, lr)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_reference_under_cloud_does_not_matter(pair: Pair, name: str) -> None:
    estimate, reference, clear, lr = pair
    painted = np.where(clear, reference, np.nan)
    bright = np.where(clear, reference, 0.9)
    figure = FIGURES[name]
    assert figure(estimate, painted, clear, lr) == figure(estimate, bright, clear, lr)
    # So that the law can fail: elsewhere the same paint does change the figure.
    other = np.roll(clear, 12, axis=0)
    assert figure(estimate, np.where(other, reference, 0.9), clear, lr) != figure(*pair)


@pytest.mark.parametrize("name", ["worldstrat", "breizhsr"])
def test_where_the_original_has_no_mask_the_estimate_under_cloud_does_not_matter_either(
    pair: Pair, name: str
) -> None:
    estimate, reference, clear, lr = pair
    figure = FIGURES[name]
    painted = [np.where(clear, estimate, paint) for paint in (np.nan, 0.05)]
    assert figure(painted[0], reference, clear, lr) == figure(painted[1], reference, clear, lr)


def test_all_figures_have_the_names_of_their_convention(pair: Pair) -> None:
    estimate, reference, clear, lr = pair
    told = conventions(*pair)
    figures = ("psnr", "mae", "ssim")
    ways = [f"worldstrat_{f}_{way}" for way in ("published", "intended") for f in figures]
    eight = [f"breizhsr_{f}" for f in ("psnr", "ssim", "mae", "mse", "shift_mae")]
    assert list(told) == ["probav_cpsnr", "mus2_cpsnr", "mus2_cssim", *ways, *eight]
    assert told["mus2_cpsnr"] == mus2_cpsnr(estimate, reference, clear)
    reds_first = [image[::-1] for image in (estimate, reference, lr)]
    red, green = reds_first[:2]
    assert told["breizhsr_psnr"] == breizhsr(red, green, clear, reds_first[2]).psnr
    assert set(conventions(*pair, ["probav"])) == {"probav_cpsnr"}
    assert set(CONVENTIONS) == {key.partition("_")[0] for key in told}


ESTIMATE, CLEAR = scene(9), np.ones((H, W), bool)
LR = ESTIMATE[:, ::SCALE, ::SCALE]
ISLAND = np.zeros((H, W), bool)
ISLAND[5:15, 5:15] = True


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: probav_cpsnr(ESTIMATE, ESTIMATE[:, 1:], CLEAR), "cut them to the same ground"),
        (lambda: probav_cpsnr(ESTIMATE, ESTIMATE, CLEAR, 0), "above 0"),
        (lambda: probav_cpsnr(ESTIMATE[:, :6], ESTIMATE[:, :6], CLEAR[:6]), "takes 7 a side"),
        (lambda: mus2_cpsnr(ESTIMATE[:, :12], ESTIMATE[:, :12], CLEAR[:12]), "takes 13 a side"),
        (lambda: probav_score([1, 2], [1]), "one of each a site"),
        (lambda: probav_score([], []), "one of each a site"),
        (lambda: worldstrat_as_intended(ESTIMATE, ESTIMATE, ISLAND), "5 pixels around it"),
        (lambda: breizhsr(ESTIMATE[:2], ESTIMATE[:2], CLEAR, LR), "red, green and blue"),
        (lambda: breizhsr(ESTIMATE, ESTIMATE, CLEAR, np.full_like(LR, np.nan)), "finite value"),
        (lambda: conventions(ESTIMATE, ESTIMATE, CLEAR, LR, ["psnr"]), "not a convention"),
        (lambda: conventions(ESTIMATE, ESTIMATE, CLEAR, LR, rgb=(3, 2, 1)), "three bands"),
        (lambda: conventions(ESTIMATE, ESTIMATE, CLEAR, LR, rgb=(2, 1)), "three bands"),
    ],
)
def test_bad_input_gets_one_clear_line(call: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def load_script() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("page", ROOT / "scripts/update_conventions.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_rows() -> list[Row]:
    """Two sites of two and one patches, scored so that the means are plain to see."""
    values = {
        "bicubic": {"a": (30.0, 32.0), "b": (40.0,)},
        "sitsr mean": {"a": (31.0, 35.0), "b": (44.0,)},
    }
    return [
        Row(
            system,
            site,
            f"patch {n}",
            "scale transfer",
            0,
            0.1,
            {"psnr": v - 10.0, "probav_cpsnr": v},
        )
        for system, sites in values.items()
        for site, patches in sites.items()
        for n, v in enumerate(patches)
    ]


def test_the_page_holds_means_over_sites_and_their_difference(tmp_path: Path) -> None:
    script = load_script()
    save_rows(made_rows(), tmp_path / "scores.parquet")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{script.START}\nold\n{script.END}\nafter\n")
    script.main(tmp_path / "scores.parquet", page)
    told = page.read_text()
    assert "| cPSNR, dB: PROBA-V | 35.50 | 38.50 | +3.00 |" in told
    assert "| PSNR, dB: ours | 25.50 | 28.50 | +3.00 |" in told
    assert told.startswith("before\n") and told.endswith("after\n") and "old" not in told
    script.main(tmp_path / "scores.parquet", page)
    assert page.read_text() == told
    assert {path.name for path in tmp_path.iterdir()} == {"page.md", "scores.parquet"}


def test_kinds_of_pairs_are_never_averaged() -> None:
    rows = made_rows()
    told = load_script().tables(rows + [replace(row, kind="real pair") for row in rows])
    assert told.count("**scale transfer**") == told.count("**real pair**") == 1
    assert told.count("| cPSNR, dB: PROBA-V | 35.50 | 38.50 | +3.00 |") == 2


def test_a_patch_that_one_system_lacks_is_refused_and_so_is_a_file_without_conventions() -> None:
    script = load_script()
    with pytest.raises(InputError, match="patch 0 is there for one system only"):
        script.tables(made_rows()[:-1])
    plain = [replace(row, figures={"psnr": 30.0}) for row in made_rows()]
    with pytest.raises(InputError, match="--extra all"):
        script.tables(plain)


def test_the_page_has_its_markers_and_names_every_convention() -> None:
    page = (ROOT / "docs/conventions.md").read_text()
    script = load_script()
    assert page.index(script.START) < page.index(script.END)
    assert all(f"`{name}`" in page for name in CONVENTIONS)


def test_every_figure_of_the_conventions_has_its_line_in_the_page(pair: Pair) -> None:
    assert set(conventions(*pair)) <= set(load_script().FIGURES)
