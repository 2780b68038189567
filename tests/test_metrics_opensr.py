"""The figures of opensr-test are the package's own, and say what they are said to say."""

from __future__ import annotations

import importlib.util
import json
import math
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from sitsr.metrics.opensr import opensr, phase_shift
from sitsr.series import InputError

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads((Path(__file__).parent / "golden/opensr.json").read_text())
CASES = GOLDEN["cases"]
WAYS = {"harmonised": True, "as it is": False}


def script() -> ModuleType:
    """The script that made the golden numbers, for the images it makes again."""
    spec = importlib.util.spec_from_file_location("golden", ROOT / "scripts/golden_opensr.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOLDEN_SCRIPT = script()


def images(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = {key: CASES[name][key] for key in ("seed", "bands", "shape", "scale", "shift")}
    lr, sr, hr = GOLDEN_SCRIPT.images(**parts)
    return lr, sr, hr


def assert_same(ours: dict[str, float], theirs: dict[str, float | None]) -> None:
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        expected = math.nan if value is None else value
        # Theirs moves the image, and keeps the shift, in float32.
        assert ours[name] == pytest.approx(expected, abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_numbers_that_the_package_gave(name: str, way: str) -> None:
    assert_same(opensr(*images(name), harmonise=WAYS[way]), CASES[name][way])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_package_itself_where_it_is_installed(name: str, way: str) -> None:
    pytest.importorskip("opensr_test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = GOLDEN_SCRIPT.scores(GOLDEN_SCRIPT.CASES[name], harmonise=WAYS[way])
    assert_same(opensr(*images(name), harmonise=WAYS[way]), said)


def test_the_golden_numbers_are_of_the_cases_that_the_script_makes() -> None:
    made = {name: json.loads(json.dumps(case)) for name, case in GOLDEN_SCRIPT.CASES.items()}
    kept = {name: {k: case[k] for k in made[name]} for name, case in CASES.items()}
    assert kept == made
    assert GOLDEN["versions"]["opensr-test"] == "1.3.3"


def test_the_shift_equals_scikit_image_to_the_last_step() -> None:
    still = np.random.default_rng(6).random((40, 57))
    moving = np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(still), (1.3, -2.74))).real
    expected, _, _ = phase_cross_correlation(still, moving, upsample_factor=50)
    assert phase_shift(moving, still) == pytest.approx(tuple(expected), abs=1e-9)
    assert phase_shift(moving, still) == pytest.approx((-1.3, 2.74), abs=0.021)


def test_a_perfect_estimate_is_all_improvement_and_an_enlarged_input_all_omission() -> None:
    lr, _, hr = images("wide")
    assert opensr(lr, hr, hr)["opensr_improvement"] > 0.9
    enlarged = ndimage.zoom(lr, (1, 4, 4), order=1, mode="nearest", grid_mode=True)
    told = opensr(lr, enlarged, hr, harmonise=False, border=0)
    assert told["opensr_omission"] > 0.9
    assert told["opensr_synthesis"] == pytest.approx(0, abs=1e-9)


def test_the_shares_add_up_to_one() -> None:
    told = opensr(*images("square"))
    shares = [told[f"opensr_{name}"] for name in ("improvement", "omission", "hallucination")]
    assert sum(shares) == pytest.approx(1)


def test_a_colour_error_of_the_estimate_shows_in_consistency_and_not_in_correctness() -> None:
    lr, sr, hr = images("wide")
    plain, gained = opensr(lr, sr, hr), opensr(lr, 1.5 * sr + 0.1, hr)
    assert gained["opensr_reflectance"] > plain["opensr_reflectance"] + 0.1
    for name in ("synthesis", "improvement", "omission", "hallucination"):
        assert gained[f"opensr_{name}"] == pytest.approx(plain[f"opensr_{name}"], abs=1e-6)


def test_a_shift_that_is_too_far_to_be_believed_is_nan() -> None:
    lr, _, hr = images("square")
    moved = np.roll(hr, (0, 7 * 4), axis=(1, 2))
    told = opensr(lr, moved, hr, border=0)
    assert math.isnan(told["opensr_spatial"])


def test_what_is_not_clear_does_not_matter() -> None:
    lr, sr, hr = images("wide")
    clear = np.ones(hr.shape[1:], bool)
    clear[20:37, 40:80] = False
    painted = [np.where(clear, image, paint) for image, paint in ((sr, 0.9), (hr, np.nan))]
    assert opensr(lr, *painted, clear) == opensr(lr, sr, hr, clear)
    assert opensr(lr, sr, hr, clear) != opensr(lr, sr, hr)
    assert opensr(lr, sr, hr, np.ones_like(clear)) == opensr(lr, sr, hr)


def test_fewer_than_three_bands_are_placed_by_the_first() -> None:
    lr, sr, hr = images("tall")
    told = opensr(lr, sr, hr, rgb=(5, 6, 7))
    assert told == opensr(lr, sr, hr)


LR, SR, HR = images("square")


@pytest.mark.parametrize(
    ("arguments", "named", "said"),
    [
        ((LR[0], SR, HR), {}, "must be"),
        ((LR, SR[:, 1:], HR), {}, "must be"),
        ((LR[:, 1:], SR, HR), {}, "at one whole scale"),
        ((LR[:2], SR, HR), {}, "at one whole scale"),
        ((LR, np.where(SR > 0, np.nan, SR), HR), {}, "estimate is NaN"),
        ((LR, SR, HR, np.zeros(HR.shape[1:], bool)), {}, "pixels is clear"),
        ((np.full_like(LR, np.nan), SR, HR), {}, "no lr pixel inside the border"),
        ((LR, SR, HR), {"border": 6}, "multiple of the scale"),
        ((LR, SR, HR), {"border": 48}, "leave 2 of"),
        ((LR, SR, HR), {"rgb": (0, 1, 4)}, "must name bands"),
    ],
)
def test_bad_input_gets_one_clear_line(
    arguments: tuple[Any, ...], named: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        opensr(*arguments, **named)
    assert "\n" not in str(caught.value)


def test_the_golden_file_says_how_it_was_made() -> None:
    assert (ROOT / GOLDEN["made by"]).exists()


@pytest.mark.parametrize(("scale", "border"), [(2, 16), (3, 15), (4, 16), (5, 15)])
def test_the_border_is_whole_pixels_of_the_low_resolution(scale: int, border: int) -> None:
    chance = np.random.default_rng(scale)
    lr = chance.uniform(0.1, 0.4, (3, 21, 24)).astype(np.float32)
    hr = lr.repeat(scale, 1).repeat(scale, 2)
    hr += chance.normal(0, 0.02, hr.shape).astype(np.float32)
    assert opensr(lr, 1.02 * hr, hr) == opensr(lr, 1.02 * hr, hr, border=border)
