"""Features may come to what they came to in training, and no further."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conftest import BANDS, landscape, make_model
from sitsr.datasets import Batch
from sitsr.encoders import ResidualBlock
from sitsr.model import Model
from sitsr.training.ceilings import set_ceilings

B, T, C, H, W = 2, 3, len(BANDS), 9, 12


def batch(seed: int, times: float = 1.0) -> Batch:
    images = times * torch.from_numpy(landscape((B, T, C, H, W), seed))
    clear = torch.ones(B, T, H, W, dtype=torch.bool)
    days = torch.tensor([[-20.0, 0, 12], [0.0, 40, -9]])
    fine = torch.zeros(B, C, 4 * H, 4 * W)
    return Batch(images, clear, days, fine, fine, torch.zeros(B))


def features(model: Model, told: Batch) -> Tensor:
    with torch.no_grad():
        made: Tensor = model.encoder(told.images, told.clear, told.days).features
    return made


@pytest.fixture
def model() -> Model:
    return make_model(3, encoder_settings={"frame_blocks": 1, "trunk_blocks": 3}).eval()


def test_what_was_seen_comes_out_as_it_did(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sitsr.training.ceilings.SHARE", 1.0)
    shown = batch(0)
    before = features(model, shown)
    set_ceilings(model, [shown, shown])
    torch.testing.assert_close(features(model, shown), before, rtol=1e-6, atol=1e-6)


def test_a_ceiling_is_the_mean_over_batches_of_the_most_in_each(model: Model) -> None:
    found = []
    for shown in ([batch(0)], [batch(1)], [batch(0), batch(1)]):
        set_ceilings(model, shown)
        found.append(model.encoder.trunk_blocks[0].ceiling.clone())
    torch.testing.assert_close(found[2], (found[0] + found[1]) / 2)
    assert not torch.equal(found[0], found[1])


def test_what_was_not_seen_is_cut_and_nothing_grows_without_end(model: Model) -> None:
    for block in model.encoder.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.normal_(block.outer.weight, std=2.0)  # a chain that multiplies
    strange = batch(7, times=30.0)
    before = float(features(model, strange).abs().max())
    shown = [batch(0, times=1e-3)]
    seen = float(features(model, shown[0]).abs().max())
    set_ceilings(model, shown)
    after = float(features(model, strange).abs().max())
    assert before > 5 * seen
    assert after < 0.5 * before and after < 3 * seen


def test_training_is_free_and_ceilings_can_be_set_anew(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitsr.training.ceilings.SHARE", 1.0)
    free = features(model, batch(0))
    for block in model.encoder.modules():
        if isinstance(block, ResidualBlock):
            block.ceiling.fill_(-1.0)
    assert not torch.equal(features(model, batch(0)), free)
    assert torch.equal(features(model.train(), batch(0)), free)
    set_ceilings(model.eval(), [batch(0)])  # measured without the former ones
    torch.testing.assert_close(features(model, batch(0)), free, rtol=1e-6, atol=1e-6)


def test_a_model_without_such_blocks_makes_no_batch() -> None:
    def none() -> Batch:
        raise AssertionError("a batch was made")

    model = make_model(encoder="srcnn", encoder_settings={}, width=8)
    set_ceilings(model, (none() for _ in range(1)))
