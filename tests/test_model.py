"""A model is its weights and its card: both come back from a file. Its reach is what it says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from conftest import BANDS, SIGMA, landscape, make_card, make_model
from sitsr.consistency import observe
from sitsr.encoders import upsample
from sitsr.model import (
    LEAST_SPREAD,
    MOST_CHANGE,
    MOST_SPREAD,
    Card,
    Model,
    choose_device,
    fingerprint,
    open_model,
    save_model,
)
from sitsr.series import InputError

B, T, C, H, W = 2, 3, len(BANDS), 7, 10


def frames(rows: int = H, cols: int = W, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.from_numpy(landscape((B, T, C, rows, cols), seed))
    clear = torch.rand(B, T, rows, cols, generator=torch.Generator().manual_seed(seed)) > 0.3
    return images, clear, torch.tensor([[-20.0, 0, 12], [3.0, 40, -9]])


def white(rows: int = H, cols: int = W, scale: int = 4, seed: int = 1) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(B, C, scale * rows, scale * cols, generator=chance)


def test_weights_and_card_come_back_from_a_file(tmp_path: Path) -> None:
    made = make_model(recipe="name: é\n", name="mine", scale=3)
    path = tmp_path / "weights.safetensors"
    save_model(made, path)
    again = open_model(path, "cpu")
    assert again.card == made.card
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    for (name, one), (other_name, other) in zip(
        made.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert name == other_name and other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=2.0**-11, atol=1e-7)
    save_model(again, tmp_path / "again.safetensors")
    assert fingerprint(tmp_path / "again.safetensors") == fingerprint(path)  # rounded once
    (tmp_path / "again.safetensors").unlink()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o444 == 0o444  # for all to read


def test_a_failed_save_leaves_the_former_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    save_model(make_model(), path)
    before = fingerprint(path)

    def fail(_: Any, place: Path, **__: Any) -> None:
        Path(place).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("sitsr.model.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(make_model(1), path)
    assert fingerprint(path) == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def write_text(path: Path) -> None:
    path.write_text("no weights")


def write_other_tensors(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


def write_card_that_is_no_card(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path, metadata={"card": "{"})


def write_unknown_card(path: Path) -> None:
    card = asdict(make_card()) | {"height": 3}
    save_file(make_model().state_dict(), path, metadata={"card": json.dumps(card)})


def write_other_width(path: Path) -> None:
    card = asdict(make_card(width=12))
    save_file(make_model().state_dict(), path, metadata={"card": json.dumps(card)})


def write_half(path: Path) -> None:
    save_model(make_model(), path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: None,
        write_text,
        write_other_tensors,
        write_card_that_is_no_card,
        write_unknown_card,
        write_other_width,
        write_half,
    ],
)
def test_a_file_that_holds_no_model_is_refused_in_one_line(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write(path)
    with pytest.raises(InputError) as caught:
        open_model(path, "cpu")
    message = str(caught.value)
    assert message.startswith(f"{path} does not hold weights of sitsr") and "\n" not in message
    assert message.endswith("give another file")


def test_a_device_that_is_not_there_is_refused_in_one_line() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(
        InputError, match=r"device gpu9 cannot be used here; give cpu, cuda or auto"
    ):
        choose_device("gpu9")


def test_an_untrained_model_is_the_deblurred_anchor() -> None:
    """Bicubic interpolation, mended to agree with the anchor; spread a third of the contrast."""
    model = Model(make_card())
    images, clear, days = frames(30, 33)
    clear[:] = True
    with torch.no_grad():
        estimate = model(images, clear, days)
    anchor, seen = estimate.encoding.anchor, estimate.encoding.seen
    plain = upsample(anchor, seen, 4)
    contrast = upsample(estimate.encoding.contrast, seen, 4)
    torch.testing.assert_close(estimate.spread, 0.3 * contrast)
    missed = (observe(estimate.mean, SIGMA, 4) - anchor).square().mean()
    assert missed < 0.1 * (observe(plain, SIGMA, 4) - anchor).square().mean()


@pytest.mark.parametrize("steps", [1, 3])
def test_an_untrained_model_draws_white_residuals_of_its_spread(steps: int) -> None:
    model = Model(make_card())
    images, clear, days = frames()
    clear[:] = True
    with torch.no_grad():
        estimate = model(images, clear, days + 1)  # no image of the day: nothing is projected
        noise = white()
        drawn = model.sample(estimate, lambda field: noise, steps)
    assert not estimate.measured.any()
    torch.testing.assert_close(drawn, estimate.mean + estimate.spread * noise)


@pytest.mark.parametrize("away", [0.0, 1.0])
def test_the_sensor_would_see_of_the_mean_what_it_saw_or_the_anchor(away: float) -> None:
    """Whatever the network adds, and on a date without an image too."""
    images, clear, days = frames(30, 33)
    clear[:] = True
    missed = []
    for model in (make_model(), make_model(consistent=False)):
        torch.nn.init.normal_(model.mean_head.weight, std=3.0)
        with torch.no_grad():
            estimate = model(images, clear, days[:1].expand(B, -1) + away)
        held = images[:, 1] if away == 0 else estimate.encoding.anchor
        missed.append(float((observe(estimate.mean, SIGMA, 4) - held).square().mean().sqrt()))
    assert missed[0] < 0.2 * missed[1]


def test_the_mean_is_bounded_whatever_the_features() -> None:
    model = make_model(consistent=False)
    images, clear, days = frames()
    clear[:] = True
    with torch.no_grad():
        before = model(images, clear, days)
        model.mean_head.weight.mul_(1e6)
        after = model(images, clear, days)
    unit = upsample(before.encoding.contrast, before.encoding.seen, 4)
    assert ((after.mean - before.mean).abs() <= 2 * MOST_CHANGE * unit + 1e-5).all()
    assert ((after.mean - before.mean).abs() > MOST_CHANGE / 2 * unit).any()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shapes_follow_the_scale(scale: int) -> None:
    model = make_model(scale=scale)
    estimate = model(*frames())
    fine = (B, C, scale * H, scale * W)
    assert estimate.mean.shape == estimate.spread.shape == fine
    assert estimate.measured.shape == (B, 1, H, W)
    assert model.sample(estimate, lambda field: white(scale=scale), 2).shape == fine
    assert float(estimate.spread.min()) >= LEAST_SPREAD - 1e-9
    assert float(estimate.spread.max()) <= MOST_SPREAD


def test_measured_is_where_the_day_itself_is_clear() -> None:
    images, clear, days = frames()
    measured = make_model()(images, clear, days).measured
    assert torch.equal(measured[0, 0] > 0, clear[0, 1])
    assert not measured[1].any()


def test_one_step_uses_the_generator_and_more_the_flow() -> None:
    model = make_model()
    estimate = model(*frames())
    called: list[str] = []
    for name in ("flow", "one_step"):
        getattr(model.generator, name).register_forward_hook(
            lambda *_, name=name: called.append(name)
        )
    model.sample(estimate, lambda field: white(), 1)
    assert called == ["one_step"]
    model.sample(estimate, lambda field: white(), 3)
    assert called == ["one_step", *["flow"] * 3]


CARDS = {
    "small": make_card(),
    "no blocks": make_card(
        encoder_settings={"frame_blocks": 0, "trunk_blocks": 0},
        generator_settings={"width": 8, "blocks": 1},
    ),
    "long flow": make_card(
        encoder_settings={"frame_blocks": 0, "trunk_blocks": 1},
        generator_settings={"width": 8, "blocks": 3},
    ),
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
@pytest.mark.parametrize("steps", [1, 4])
def test_an_input_further_than_reach_has_no_say(card: Card, steps: int) -> None:
    model = make_model(**asdict(replace(card, scale=2)))
    reach = model.reach(steps)
    images, clear, days = frames(6, 2 * reach + 8)
    images, clear, days = images[:1], torch.ones_like(clear[:1]), days[:1]
    clear[..., 2, 3:5] = clear[..., 1, reach + 6 : reach + 8] = False
    noise = white(6, 2 * reach + 8, 2)[:1]
    col = reach + 3

    def outputs(images: Tensor, noise: Tensor) -> Tensor:
        estimate = model(images, clear, days)
        drawn = model.sample(estimate, lambda field: noise, steps)
        return torch.cat([estimate.mean, estimate.spread, drawn])

    changed, changed_noise = images.clone(), noise.clone()
    changed[..., 3, col] += 100
    changed_noise[..., 6:8, 2 * col : 2 * col + 2] -= 100
    moved = outputs(images, noise) != outputs(changed, changed_noise)
    cols = moved.any(dim=0).any(dim=0).any(dim=0).nonzero()[:, 0] // 2
    assert 5 < int((cols - col).abs().max()) <= reach
