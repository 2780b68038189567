"""The residual network: local, masked, and silent before it has learnt anything."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from conftest import perturbed
from sitsr.denoisers import ResidualVelocity

B, D, F, H, W = 2, 12, 5, 11, 14
BLOCKS = 3


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    seen = (torch.rand(B, 1, H, W, generator=chance) > 0.2).float()
    return (
        torch.randn(B, D, H, W, generator=chance) * seen,
        torch.tensor([0.2, 1.3]),
        torch.randn(B, F, H, W, generator=chance) * seen,
        seen,
    )


@pytest.fixture
def network() -> ResidualVelocity:
    torch.manual_seed(0)
    return perturbed(ResidualVelocity(D, F, width=8, blocks=BLOCKS))


def test_it_starts_silent_which_is_right_for_white_residuals() -> None:
    velocity = ResidualVelocity(D, F, width=8, blocks=BLOCKS)(*inputs())
    assert velocity.shape == (B, D, H, W) and not velocity.any()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["noise", "angle", "features"])
def test_each_input_has_a_say(network: ResidualVelocity, which: int) -> None:
    given = list(inputs())
    before = network(*given)
    given[which] = given[which] + 0.3
    assert (network(*given) - before).abs().max() > 1e-3


def test_each_example_has_its_own_angle(network: ResidualVelocity) -> None:
    x, angle, features, seen = inputs()
    together = network(x, angle, features, seen)
    for k in range(B):
        alone = network(x[k : k + 1], angle[k : k + 1], features[k : k + 1], seen[k : k + 1])
        torch.testing.assert_close(together[k : k + 1], alone)


def test_nothing_moves_where_nothing_is_seen(network: ResidualVelocity) -> None:
    x, angle, features, seen = inputs()
    assert not (network(x, angle, features, seen) * (1 - seen)).any()


def test_the_outside_of_the_picture_is_ground_never_seen(network: ResidualVelocity) -> None:
    x, angle, features, seen = inputs()
    margins = [2, 3, 4, 1]  # left, right, top, bottom
    padded = network(pad(x, margins), angle, pad(features, margins), pad(seen, margins))
    torch.testing.assert_close(
        padded[..., 4 : 4 + H, 2 : 2 + W],
        network(x, angle, features, seen),
        rtol=1e-5,
        atol=1e-5,
    )


def test_it_reaches_one_pixel_a_block(network: ResidualVelocity) -> None:
    assert network.reach == BLOCKS
    x, angle, features, seen = inputs()
    seen = torch.ones_like(seen)
    changed = x.clone()
    changed[..., 5, 6] += 1
    difference = network(x, angle, features, seen) - network(changed, angle, features, seen)
    rows, cols = (difference.abs().amax((0, 1)) > 1e-7).nonzero(as_tuple=True)
    assert int((rows - 5).abs().max()) == BLOCKS == int((cols - 6).abs().max())
