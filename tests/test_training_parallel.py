"""Several processes at one batch do what one process would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import sitsr
from conftest import landscape, make_model, write_austria
from sitsr.datasets import Batch
from sitsr.model import Model, open_model
from sitsr.training import mean_losses, residual_losses
from sitsr.training.sharing import Share, WholeDraws

B, T, C, H, W = 5, 2, 4, 8, 9  # 8 and 9 stand alone: no dimension is a share's 2 or 3 but T

EXACT = {"robust", "l1", "ssim", "laplace", "spread", "flow", "crps", "noise", "velocity"}
"""Losses that are the same whatever the weights."""


def make_batch(patchy: bool) -> Batch:
    fine = torch.from_numpy(landscape((B, C, 4 * H, 4 * W)))
    images = torch.from_numpy(landscape((B, T, C, H, W), 1))
    chance = torch.Generator().manual_seed(3)
    clear = torch.rand((B, T, H, W), generator=chance) > (0.3 if patchy else -1)
    weight = (torch.rand(fine.shape, generator=chance) > (0.3 if patchy else -1)).to(fine)
    days = torch.tensor([[0.0, 5], [-3, 8], [20, -40], [0, 1], [7, 9]])
    return Batch(images, clear, days, fine, weight, torch.full((B,), torch.nan))


def both(model: Model, batch: Batch) -> dict[str, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    terms = {"robust": 1.0, "l1": 0.5, "ssim": 0.2}
    return mean_losses(model, batch, terms, chance) | residual_losses(model, batch, chance)


def shared(model: Model, batch: Batch, processes: int) -> dict[str, torch.Tensor]:
    """The mean over processes of what each is told."""
    told = []
    for rank in range(processes):
        share = Share(rank, processes)
        with WholeDraws(share, B):
            parts = both(model, share.taken(batch))
        told.append(share.weighed(parts, batch))
    return {name: torch.stack([each[name] for each in told]).mean(0) for name in told[0]}


GENERATORS: list[tuple[str, dict[str, Any]]] = [
    ("rotation", {"width": 4, "blocks": 1}),
    ("karras", {"width": 4, "blocks": 1}),
    ("srdiff", {"width": 4, "multipliers": (1, 2), "levels": 10}),
    ("transport", {"width": 4, "multipliers": (1, 2), "sigma": 0.2}),
]


@pytest.mark.parametrize(("name", "settings"), GENERATORS)
@pytest.mark.parametrize("patchy", [False, True])
def test_the_mean_over_processes_is_the_loss_of_the_whole_batch(
    name: str, settings: dict[str, Any], patchy: bool
) -> None:
    """To rounding where all ground is known; for most losses, wherever it is."""
    model = make_model(generator=name, generator_settings=settings)
    batch = make_batch(patchy)
    whole, parts = both(model, batch), shared(model, batch, 2)
    assert whole.keys() == parts.keys()
    for part, expected in whole.items():
        tolerance = 1e-5 if part in EXACT or not patchy else 0.1
        torch.testing.assert_close(parts[part], expected, rtol=tolerance, atol=1e-6, msg=part)


def test_the_mean_of_gradients_is_the_gradient_of_the_whole_batch() -> None:
    model, batch = make_model().requires_grad_(True), make_batch(patchy=False)
    weights = list(model.parameters())
    one, other = (
        torch.autograd.grad(torch.stack(list(parts.values())).sum(), weights)
        for parts in (both(model, batch), shared(model, batch, 2))
    )
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_without_whole_draws_the_noise_would_differ() -> None:
    model, batch = make_model(), make_batch(patchy=False)
    share = Share(1, 2)
    plain = both(model, share.taken(batch))
    with WholeDraws(share, B):
        right = both(model, share.taken(batch))
    assert float(plain["flow"]) != float(right["flow"])


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_shares_are_even_and_leave_nothing_out(processes: int) -> None:
    rows = [list(range(B))[Share(rank, processes).rows(B)] for rank in range(processes)]
    assert [each for share in rows for each in share] == list(range(B))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_draws_are_rows_of_the_whole_draw() -> None:
    def draws() -> list[torch.Tensor]:
        chance = torch.Generator().manual_seed(1)
        count = 3 if shared_now else 5
        return [
            torch.rand(count, generator=chance),
            torch.randn((count, 7), generator=chance),
            torch.randn(torch.Size([count, 2]), generator=chance),
            torch.randint(9, (count,), generator=chance),
            torch.rand((4, 6), generator=chance),  # of something else
        ]

    shared_now = False
    whole = draws()
    shared_now = True
    with WholeDraws(Share(1, 2), 5):
        own = draws()
    for mine, all_of_it in zip(own[:-1], whole[:-1], strict=True):
        assert torch.equal(mine, all_of_it[2:])
    assert torch.equal(own[-1], whole[-1])


RECIPE: dict[str, Any] = {
    "name": "tiny",
    "steps": 4,
    "mean_steps": 2,
    "warm_up": 1,
    "network": {
        "width": 4,
        "encoder_settings": {"frame_blocks": 0, "trunk_blocks": 1},
        "generator_settings": {"width": 4, "blocks": 1},
    },
    "validation": ["site09"],
    "mixture": {"most_images": 3, "clouded": 0.0},
    "austria": {
        "weight": 1,
        "examples": 5,
        "folder": "austria",
        "side": 24,
        "places": ["site00"],
    },
}


SOURCE = Path(sitsr.__file__).parents[1]


def run_command(folder: Path, devices: int) -> str:
    """`sitsr train` with this many processes, as a user gives it; what it prints."""
    words = ["train", "recipe.yaml", "--data", ".", "--run", f"run{devices}", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "command.py", *words, "--workers", "0", "--devices", f"{devices}"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{SOURCE}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    write_austria(tmp_path / "austria", ("site00", "site09"))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    (tmp_path / "command.py").write_text("from sitsr.cli import main\n\nmain()\n")
    for devices in (1, 2):
        said = run_command(tmp_path, devices)
        assert said.count(f"run{devices}/weights.safetensors") == 1  # not twice
    one, two = (
        open_model(tmp_path / f"run{devices}" / "weights.safetensors", "cpu") for devices in (1, 2)
    )
    assert "2 of them" in two.card.trained_on and "of them" not in one.card.trained_on
    assert one.card.provenance == two.card.provenance
    weights, untrained = two.state_dict(), Model(one.card).state_dict()
    moved = 0.0
    for name, expected in one.state_dict().items():
        # one step of half precision, which they were rounded to
        torch.testing.assert_close(weights[name], expected, rtol=2**-10, atol=1e-5, msg=name)
        moved = max(moved, float((expected - untrained[name]).abs().max()))
    assert moved > 1e-3  # far more than the tolerance
