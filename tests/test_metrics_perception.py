"""Laws: texture is energy, not place; blur is farther the more there is of it; few sets refused."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from sitsr.metrics import perception
from sitsr.metrics.perception import (
    DIRECTIONS,
    WAVELENGTHS,
    kernel_distance,
    local_energy,
    lpips_distance,
    texture_distance,
    texture_features,
)
from sitsr.series import InputError

C, H, W = 3, 72, 101
CLEAR = np.ones((H, W), bool)
FILTERS = len(WAVELENGTHS) * DIRECTIONS


@pytest.fixture
def chance():
    return np.random.default_rng(3)


@pytest.fixture
def land(chance):
    """[C, H, W] texture whose power falls with frequency, as that of land does."""
    octaves = (
        ndimage.gaussian_filter(chance.normal(size=(C, H, W)), (0, s, s)) for s in (0.6, 2, 6)
    )
    return 0.2 + 0.02 * sum(octave / octave.std() for octave in octaves)


@pytest.fixture
def clouds():
    mask = CLEAR.copy()
    mask[10:30, 40:75] = False
    return mask


def blurred(image, sigma):
    return ndimage.gaussian_filter(image, (0, sigma, sigma))


def test_an_image_is_at_no_distance_from_itself_and_order_does_not_matter(land, clouds):
    assert texture_distance(land, land, clouds) == 0
    there = texture_distance(blurred(land, 1), land, clouds)
    assert there > 0.1
    assert texture_distance(land, blurred(land, 1), clouds) == pytest.approx(there)


def test_offset_and_slow_course_are_not_texture(land, clouds):
    slope = 0.1 * np.sin(np.arange(W) / 40) + 0.001 * np.arange(H)[:, None]
    assert texture_distance(land + 0.3, land, clouds) == pytest.approx(0, abs=1e-9)
    assert texture_distance(land + slope, land, CLEAR) < 0.02


def test_more_blur_is_farther(land):
    steps = [texture_distance(blurred(land, s), land, CLEAR) for s in (0.3, 0.6, 1.2, 2.4)]
    assert steps == sorted(steps)
    assert steps[0] < 0.1 * steps[-1]


def test_texture_of_the_right_strength_in_another_place_is_nearer_than_blur(land, chance):
    """Detail turned by half within blocks of 8 pixels, and other detail of the same strength."""
    smooth = blurred(land, 2)
    detail = land - smooth
    turned = detail.copy()
    for row in range(0, H - 7, 8):
        for col in range(0, W - 7, 8):
            block = slice(row, row + 8), slice(col, col + 8)
            turned[:, *block] = detail[:, *block][:, ::-1, ::-1]
    blur = texture_distance(smooth, land, CLEAR)
    assert texture_distance(smooth + turned, land, CLEAR) < 0.4 * blur
    assert texture_distance(np.roll(land, 1, 2), land, CLEAR) < 0.15 * blur


def test_texture_in_another_window_is_far(land):
    """The energy is right over the image and wrong in every place: it was moved 24 pixels."""
    rough = np.zeros((1, H, W))
    rough[:, :, : W // 2] = (land - blurred(land, 1))[:1, :, : W // 2]
    assert texture_distance(rough[:, :, ::-1], rough, CLEAR) > 1


def test_noise_below_the_floor_does_not_count_and_above_it_does(chance):
    flat, noise = np.full((C, H, W), 0.2), chance.normal(size=(C, H, W))
    assert texture_distance(flat + 0.0005 * noise, flat, CLEAR) < 0.03
    assert texture_distance(flat + 0.01 * noise, flat, CLEAR) > 0.5


def test_twice_the_texture_is_at_the_logarithm_of_two(chance):
    """Far above the floor, everywhere and in every filter."""
    noise = chance.normal(0, 1, (C, H, W))
    assert texture_distance(2 * noise, noise, CLEAR) == pytest.approx(math.log(2), rel=1e-4)


@pytest.mark.parametrize("paint", [np.nan, 9.0, 0.0])
def test_what_is_not_clear_does_not_matter(paint, land, clouds):
    soft = blurred(land, 1)
    painted = np.where(clouds, soft, paint), np.where(clouds, land, -paint)
    assert texture_distance(*painted, clouds) == texture_distance(soft, land, clouds)
    assert (texture_features(painted[0], clouds) == texture_features(soft, clouds)).all()


def test_a_cloud_hides_the_blur_under_it(land, clouds):
    half = np.where(clouds, land, blurred(land, 3))
    assert texture_distance(half, land, CLEAR) > 0.05
    assert texture_distance(half, land, clouds) == 0


@pytest.mark.parametrize("scale", range(3))
@pytest.mark.parametrize("direction", range(4))
@pytest.mark.parametrize("phase", [0, 1.1])
def test_a_wave_has_the_square_of_its_amplitude_as_energy(scale, direction, phase):
    """At its own filter; in the others what the formula of log-Gabor and cosine says."""
    amplitude, side = 0.05, (128, 160)
    rows, cols = np.mgrid[: side[0], : side[1]]
    angle = math.pi * direction / DIRECTIONS
    along = cols * math.cos(angle) + rows * math.sin(angle)
    wave = amplitude * np.cos(2 * math.pi / WAVELENGTHS[scale] * along + phase)
    energy, _ = local_energy(wave[None], np.ones(side, bool))
    inner = energy[:, 0, 12:-12, 12:-12].mean(axis=(1, 2)).reshape(3, DIRECTIONS)
    octaves = np.log(WAVELENGTHS[scale] / np.array(WAVELENGTHS)) / math.log(0.65)
    turns = angle - math.pi * np.arange(DIRECTIONS) / DIRECTIONS
    expected = amplitude**2 * np.outer(np.exp(-(octaves**2)), np.cos(turns) ** 6)
    assert inner == pytest.approx(expected, rel=0.03, abs=0.01 * amplitude**2)


def test_energy_does_not_show_where_the_crests_are():
    """Not even of a wave so long that a window holds less than one crest."""
    wave = 0.05 * np.cos(2 * math.pi / 24 * np.arange(256)) * np.ones((1, 60, 1))
    energy, _ = local_energy(wave, np.ones((60, 256), bool))
    inner = energy[8, 0, 7, 12:-12]
    assert np.ptp(inner) < 0.03 * inner.mean()


def test_a_cloud_neither_adds_to_texture_nor_takes_from_it(chance):
    noise = chance.normal(0, 0.03, (C, 90, 300))
    clear = np.ones((90, 300), bool)
    clear[:, 90:] = False
    clear[20:34, 30:44] = False
    ours, theirs = local_energy(noise, clear)[0], local_energy(noise[..., :90], clear[:, :90])[0]
    assert ours[..., 4:-4, 4:18] == pytest.approx(theirs[..., 4:-4, 4:18], rel=0.05)
    border, mean = ours[:4, ..., 21:23], theirs[:4]
    assert border.mean() == pytest.approx(mean.mean(), rel=0.2)  # half their windows is clear
    assert ours.max() < 12 * theirs.mean(axis=(1, 2, 3)).max()  # deep in the cloud as well
    fine = texture_features(noise, clear)[: 4 * C]
    whole = texture_features(noise, np.ones_like(clear))[: 4 * C]
    assert fine == pytest.approx(whole, rel=0.02)


def test_white_noise_has_the_mean_square_of_the_filter_as_energy(chance):
    """Parseval, with the filter's power integrated over the frequencies of another grid."""
    sd, side = 0.03, (256, 320)
    energy, weight = local_energy(chance.normal(0, sd, (C, *side)), np.ones(side, bool))
    assert weight == pytest.approx(1)
    assert energy.shape == (FILTERS, C, 64, 80)
    down, across = np.meshgrid(*[(np.arange(-500, 500) + 0.5) / 1000] * 2, indexing="ij")
    radius, angle = np.hypot(down, across), np.arctan2(down, across)
    for index, found in enumerate(energy[:, :, 4:-4, 4:-4].mean(axis=(1, 2, 3))):
        wave, turn = WAVELENGTHS[index // 4], math.pi * (index % 4) / 4
        along = np.exp(-((np.log(radius * wave) / math.log(0.65)) ** 2))
        power = 4 * along * np.clip(np.cos(angle - turn), 0, 1) ** 6
        assert found == pytest.approx(sd**2 * power.mean(), rel=0.1)


def test_features_are_by_filter_then_band_and_0_without_texture(land):
    flat = land.copy()
    flat[1] = 0.2
    features = texture_features(flat, CLEAR).reshape(FILTERS, C)
    assert features[:, 1] == pytest.approx(0, abs=1e-9)
    assert (features[:, [0, 2]] > 0.5).all()
    assert features[:, 0] == pytest.approx(texture_features(land[:1], CLEAR))


def loop_kernel(a, b, apart):
    pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not apart or i != j]
    return np.mean([(float(a[i] @ b[j]) / a.shape[1] + 1) ** 3 for i, j in pairs])


def test_kernel_distance_is_that_of_a_double_loop(chance):
    a, b = chance.normal(size=(13, 5)), chance.normal(0.3, 1, (9, 5))
    expected = loop_kernel(a, a, True) + loop_kernel(b, b, True) - 2 * loop_kernel(a, b, False)
    assert kernel_distance(a, b, least=9) == pytest.approx(expected, rel=1e-9)
    assert kernel_distance(b, a, least=9) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_does_not_depend_on_how_it_was_cut(chance):
    a, b = chance.normal(size=(29, 4)), chance.normal(size=(17, 4))
    assert perception._kernel_sum(a, b, rows=5) == pytest.approx(perception._kernel_sum(a, b))


def test_kernel_distance_of_one_distribution_is_about_0_and_unbiased(chance):
    a, b = chance.normal(size=(2, 200, 30, 4))
    same = [kernel_distance(*pair, least=30) for pair in zip(a, b, strict=True)]
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(len(same))
    assert min(same) < 0 < max(same)
    assert kernel_distance(a[0], b[0] + 1, least=30) > 10 * max(same)


def test_lpips_is_handed_one_stretch_in_the_order_asked_for(monkeypatch, chance):
    handed, made = [], []

    class StandIn:
        def __init__(self, net, verbose):
            made.append((net, verbose))

        def eval(self):
            return self

        def __call__(self, *images):
            handed.append([image.numpy() for image in images])
            return (images[0] - images[1]).abs().mean().reshape(1, 1, 1, 1)

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=StandIn))
    perception._lpips.cache_clear()
    reference = chance.uniform(-0.1, 0.5, (4, 33, 47)).astype(np.float32)
    estimate = reference + chance.normal(0, 0.05, reference.shape)
    clear = np.ones(reference.shape[1:], bool)
    clear[5:9, 20:30] = False
    estimate[:, ~clear] = np.nan
    reference[2, 6, 22] = np.nan
    found = lpips_distance(estimate, reference, clear, (2, 1, 0), net="vgg")
    perception._lpips.cache_clear()
    ours, truth = handed[0]
    assert made == [("vgg", False)]
    assert ours.shape == truth.shape == (1, 3, 33, 47)
    assert ours.dtype == truth.dtype == np.float32
    expected = np.clip(2 * reference[[2, 1, 0]] / 0.3 - 1, -1, 1)
    assert truth[0][:, clear] == pytest.approx(expected[:, clear], abs=1e-6)
    assert (ours[0][:, ~clear] == truth[0][:, ~clear]).all() and np.isfinite(ours).all()
    assert found == pytest.approx(np.abs(ours - truth).mean(), rel=1e-5) and found > 0


def test_lpips_says_in_one_line_what_is_missing(monkeypatch, land):
    def broken(**options):
        raise OSError("no route to the weights")

    perception._lpips.cache_clear()
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(InputError, match="install lpips") as missing:
        lpips_distance(land, land, CLEAR, (0, 1, 2))
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=broken))
    with pytest.raises(InputError, match="no route to the weights") as weights:
        lpips_distance(land, land, CLEAR, (0, 1, 2))
    assert "\n" not in str(missing.value) + str(weights.value)


IMAGE = np.zeros((C, H, W))
FEW, BROAD = np.zeros((999, 4)), np.zeros((1000, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: texture_distance(IMAGE, IMAGE[:1], CLEAR), "must both be one"),
        (lambda: texture_distance(IMAGE + np.nan, IMAGE, CLEAR), "estimate is NaN"),
        (lambda: texture_features(IMAGE, ~CLEAR), "is clear"),
        (lambda: kernel_distance(BROAD[:, :4], FEW), "got 999 patches, .* takes 1000"),
        (lambda: kernel_distance(FEW[:1], FEW[:1], least=1), "got 1 patches"),
        (lambda: kernel_distance(BROAD, BROAD[:, :4]), "5 and 4 long"),
        (lambda: kernel_distance(BROAD, BROAD + np.nan), "must be .* finite"),
        (lambda: kernel_distance(BROAD[0], BROAD), "must be"),
        (lambda: lpips_distance(IMAGE, IMAGE, CLEAR, (0, 1, 3)), "three of the 3 bands"),
        (lambda: lpips_distance(IMAGE, IMAGE, CLEAR, (0, 1)), "three of the 3 bands"),
        (lambda: lpips_distance(IMAGE, IMAGE, CLEAR, (0, 1, 2), net="res"), "net must be alex"),
        (
            lambda: lpips_distance(IMAGE[:, :31], IMAGE[:, :31], CLEAR[:31], (0, 1, 2)),
            "needs 32 pixels a side",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
