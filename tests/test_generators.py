"""Laws of every generator: samples are right for what is white, the same noise gives the
same image, what was observed is kept, and a scene may be cut anywhere on its stride."""

import pytest
import torch

from conftest import BANDS, make_model, make_series, perturbed
from sitsr.denoisers import fold
from sitsr.diffusion import karras
from sitsr.generators import MOST_RESIDUAL
from sitsr.inference import Settings, super_resolve
from sitsr.model import GENERATORS, Model
from sitsr.series import InputError

B, T, C, H, W, SCALE = 2, 3, 4, 6, 9, 4
TINY = {
    "rotation": {"width": 8, "blocks": 1},
    "karras": {"width": 8, "blocks": 1},
    "srdiff": {"width": 4, "multipliers": (1, 2), "levels": 6},
    "sr3": {"width": 4, "multipliers": (1, 2), "levels": 6},
    "transport": {"width": 4, "multipliers": (1, 2)},
}


def tiny(name: str, **fields) -> Model:
    return make_model(generator=name, generator_settings=TINY[name], **fields)


def frames(rows=H, cols=W):
    chance = torch.Generator().manual_seed(5)
    images = 0.05 + 0.3 * torch.rand(B, T, C, rows, cols, generator=chance)
    clear = torch.rand(B, T, rows, cols, generator=chance) > 0.2
    return images, clear, torch.tensor([[-9.0, 0, 4], [-30, 0, 12]])


def field(number: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(number)
    return torch.randn(B, C, SCALE * H, SCALE * W, generator=chance)


def test_every_generator_is_tested_here():
    assert TINY.keys() == GENERATORS.keys() - {"none"}


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_the_same_noise_gives_the_same_image_and_other_noise_another(name, steps):
    model = tiny(name)
    estimate = model(*frames())
    one, same, other = (
        model.sample(estimate, lambda k, seed=seed: field(k + seed), steps) for seed in (0, 0, 50)
    )
    assert one.shape == (B, C, SCALE * H, SCALE * W) and one.isfinite().all()
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_a_consistent_sample_keeps_what_was_observed(name):
    from sitsr.consistency import observe

    images, clear, days = frames()
    clear[:, 1] = True
    for consistent, close in ((True, True), (False, False)):
        model = tiny(name, consistent=consistent)
        drawn = model.sample(model(images, clear, days), field, 2)
        again = observe(drawn, model.card.sigma, SCALE)
        missed = (again - images[:, 1])[..., 2:-2, 2:-2].square().mean().sqrt()
        assert (float(missed) < 0.03) == close or name in ("rotation", "karras")


@pytest.mark.parametrize(("name", "steps"), [("rotation", 3), ("karras", 40)])
@torch.no_grad()
def test_a_silent_network_draws_white_residuals_of_the_spread(name, steps):
    model = Model(tiny(name).card)
    images, clear, days = frames()
    clear[:] = True
    estimate = model(images, clear, days + 1)
    drawn = torch.stack([model.sample(estimate, lambda k, n=n: field(n), steps) for n in range(40)])
    spread = (drawn - estimate.mean) / estimate.spread
    assert float(spread.square().mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", TINY)
def test_losses_are_finite_and_teach_every_weight(name):
    model = perturbed(tiny(name)).requires_grad_(True)
    images, clear, days = frames()
    estimate = model(images, clear, days)
    hr = estimate.mean.detach() + 0.02 * field(9)
    chance = torch.Generator().manual_seed(0)
    parts = model.generator.losses(estimate.given, hr, torch.ones_like(hr), field, chance)
    total = torch.stack(list(parts.values())).sum()
    slopes = torch.autograd.grad(total, list(model.generator.parameters()), allow_unused=True)
    assert total.isfinite()
    assert all(each is not None and bool(each.any()) for each in slopes)


@pytest.mark.parametrize("name", TINY)
def test_a_scene_may_be_cut_into_tiles(name):
    model = tiny(name)
    series = make_series((52, 61), days=(-9, 0, 30)).select(BANDS)
    whole, cut = (
        super_resolve(series, series.dates[1], model, Settings(samples=1, steps=1, tile=tile))
        for tile in (1000, 16)
    )
    for one, other in ((whole.mean, cut.mean), (whole.samples, cut.samples)):
        torch.testing.assert_close(
            torch.from_numpy(one), torch.from_numpy(other), rtol=0, atol=3e-6, equal_nan=True
        )


def test_without_a_generator_there_are_no_samples():
    model = make_model(generator="none", generator_settings={})
    series = make_series((20, 24), days=(-9, 0))
    made = super_resolve(series, series.dates[1], model, Settings(samples=3))
    assert len(made.samples) == 0
    with pytest.raises(InputError, match="draws no samples"):
        model.sample(model(*frames()), field, 1)


def test_unknown_parts_are_named():
    for fields, message in (
        ({"generator": "dream"}, "dream is not a generator; choose from rotation"),
        ({"encoder": "oracle"}, "oracle is not an encoder; choose from target date"),
    ):
        with pytest.raises(InputError, match=message):
            make_model(**fields)


def test_edm_needs_many_steps_for_what_the_rotation_does_in_one():
    """Variance left of white residuals by a network that is silent."""

    def left(step, levels):
        denoise = karras.precondition(lambda x, level: torch.zeros_like(x))
        *_, x = karras.descend(step, denoise, torch.ones(1, 1, 1, 1), karras.levels(levels))
        return float(x) ** 2

    assert left(karras.euler, 4) < 0.5
    assert left(karras.heun, 4) > 1.5
    assert 1.0 < left(karras.heun, 8) < 1.2
    assert left(karras.heun, 64) == pytest.approx(1, abs=0.01)


def test_an_error_of_whole_fields_is_learnt_from_scores_of_blocks():
    """Members that share their errors score better where the truth does, in blocks alone."""
    model = tiny("rotation")
    shape = (B, C, SCALE * 16, SCALE * 16)
    chance = torch.Generator().manual_seed(4)
    field_wide = torch.randn(2, B, C, 1, 1, generator=chance).expand(2, *shape)
    pixelwise = torch.randn(2, *shape, generator=chance)
    truth = torch.randn(B, C, 1, 1, generator=chance).expand(shape)
    score = {}
    for name, members in (("fields", field_wide), ("pixels", pixelwise)):
        folded = torch.stack([fold(each, SCALE, "unshuffle") for each in members])
        score[name] = float(model.generator._coarse(folded, truth, torch.ones(shape)))
    assert score["fields"] < score["pixels"]


def test_a_residual_beyond_what_is_trained_on_is_cut():
    model = tiny("rotation", consistent=False)
    with torch.no_grad():
        estimate = model(*frames())
        drawn = model.sample(estimate, lambda k: 1e6 * field(k), 1)
    times = ((drawn - estimate.mean) / estimate.spread).abs().max()
    assert MOST_RESIDUAL / 2 < times < MOST_RESIDUAL + 1e-3
