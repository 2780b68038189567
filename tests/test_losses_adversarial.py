"""Laws: losses of constant logits are known, gradients pull the right way, any shape is judged."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from torch import Tensor, nn

from sitsr.series import InputError
from sitsr.training.adversarial import (
    ADVERSARIAL,
    Adversarial,
    PatchDiscriminator,
    patch_weight,
    r1_penalty,
)

B, C, H, W = 2, 3, 37, 50
EVERY = pytest.mark.parametrize("contest", ADVERSARIAL.values(), ids=ADVERSARIAL)


def softplus(x: float) -> float:
    return log(1 + exp(x))


CLOSED = {  # real logit r, fake logit f -> loss of the generator, of the discriminator
    "relativistic": lambda r, f: (2 * softplus(r - f), 2 * softplus(f - r)),
    "non_saturating": lambda r, f: (softplus(-f), softplus(-r) + softplus(f)),
    "hinge": lambda r, f: (-f, max(0.0, 1 - r) + max(0.0, 1 + f)),
}


def image(seed: int = 0, bands: int = C) -> Tensor:
    return torch.rand((B, bands, H, W), generator=torch.Generator().manual_seed(seed))


def logits(seed: int) -> Tensor:
    return torch.randn((B, 1, 4, 6), generator=torch.Generator().manual_seed(seed))


def judge(layers: int = 3, width: int = 4) -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(C, width, layers)


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(("r", "f"), [(0.0, 0.0), (0.7, -0.4), (-2.0, 1.5)])
def test_constant_logits_give_the_closed_form(name: str, r: float, f: float) -> None:
    real, fake = torch.full((B, 1, 4, 6), r), torch.full((B, 1, 4, 6), f)
    ours = [side(real, fake, None).item() for side in ADVERSARIAL[name]]
    assert ours == pytest.approx(CLOSED[name](r, f), abs=1e-6)


def test_the_relativistic_average_is_that_of_its_paper() -> None:
    real, fake = logits(1).double(), logits(2).double()
    ahead, behind = torch.sigmoid(real - fake.mean()), torch.sigmoid(fake - real.mean())
    discriminator = -ahead.log().mean() - (1 - behind).log().mean()
    generator = -(1 - ahead).log().mean() - behind.log().mean()
    contest = ADVERSARIAL["relativistic"]
    torch.testing.assert_close(contest.discriminator(real, fake, None), discriminator)
    torch.testing.assert_close(contest.generator(real, fake, None), generator)


@EVERY
def test_the_sides_pull_against_each_other(contest: Adversarial) -> None:
    real, fake = (0.3 * logits(seed).requires_grad_() for seed in (1, 2))
    (up,) = torch.autograd.grad(contest.generator(real, fake, None), fake)
    assert (up < 0).all(), "a generator gains where the fake looks more real"
    of_real, of_fake = torch.autograd.grad(contest.discriminator(real, fake, None), (real, fake))
    assert (of_real < 0).all()
    assert (of_fake > 0).all()


@EVERY
def test_patches_without_weight_do_not_count(contest: Adversarial) -> None:
    real, fake = logits(1), logits(2)
    weight = torch.ones_like(real)
    weight[..., 4:] = 0
    for side in contest:
        left = side(real[..., :4], fake[..., :4], None)
        real[..., 4:], fake[..., 4:] = 50, -50
        torch.testing.assert_close(side(real, fake, weight), left)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_there_is_a_logit_for_every_patch_of_an_image_of_any_shape(layers: int) -> None:
    side = 2**layers
    assert judge(layers)(image()).shape == (B, 1, H // side, W // side)
    assert judge(layers)(image().mT).shape == (B, 1, W // side, H // side)


def test_no_example_has_a_say_in_the_logits_of_another() -> None:
    network = judge().eval()
    alone = torch.cat([network(image()[b : b + 1]) for b in range(B)])
    torch.testing.assert_close(network(image()), alone)


def test_no_layer_stretches_what_it_sees() -> None:
    network = judge()
    for _ in range(30):  # each pass in training brings the norms nearer to their value
        network(image())
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(weights) == 5
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.01)


def test_a_discriminator_learns_to_tell_smooth_from_rough() -> None:
    network, contest = judge(layers=2), ADVERSARIAL["relativistic"]
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    real = image()
    fake = nn.functional.avg_pool2d(real, 3, 1, 1)
    costs = []
    for _ in range(40):
        costs.append(contest.discriminator(network(real), network(fake), None))
        optimiser.zero_grad()
        costs[-1].backward()
        optimiser.step()
    assert costs[-1].item() < 0.3 * costs[0].item()


def test_r1_is_half_the_squared_gradient() -> None:
    slope = torch.randn((C, H, W), generator=torch.Generator().manual_seed(3))

    def linear(real: Tensor) -> Tensor:
        return (real * slope).sum((1, 2, 3), keepdim=True)

    wanted = 0.5 * slope.square().sum()
    torch.testing.assert_close(r1_penalty(linear, image()), wanted.expand(B))


def test_r1_of_a_larger_image_of_the_same_kind_is_the_same() -> None:
    def each(real: Tensor) -> Tensor:
        return real.square().sum(1, keepdim=True)

    wide = torch.cat([image(), image()], -1)
    torch.testing.assert_close(r1_penalty(each, wide), r1_penalty(each, image()))


def test_r1_teaches_the_discriminator() -> None:
    network = judge()
    r1_penalty(network, image()).mean().backward()
    first = network.halving[0].parametrizations.weight.original
    assert first.grad.abs().sum() > 0


def test_a_patch_counts_as_far_as_it_is_to_be_learnt_from() -> None:
    weight = torch.zeros(B, C, 8, 12)
    weight[:, 1, :4, :6] = 1
    got = patch_weight(weight, torch.zeros(B, 1, 2, 3))
    torch.testing.assert_close(got, torch.tensor([[1, 0.5, 0], [0, 0, 0]]).expand(B, 1, 2, 3))


@pytest.mark.parametrize("numbers", [(0, 4, 3), (3, 0, 3), (3, 4, 0)])
def test_a_discriminator_of_nothing_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="bands, width and layers of 1 or more, got"):
        PatchDiscriminator(*numbers)


def test_an_image_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(InputError, match=r"7 × 50 pixels is too small .* 3 times; give 8 or more"):
        judge()(image()[:, :, :7])
