"""Methods are as large and as costly as their papers make them: whole models, from their cards.

Encoders alone are measured against the counts of their papers where they are tested; here they
stand in methods, with our heads, in the bands and the scale of the paper. Published operations are
those of the authors' networks, counted as ours are: a multiplication and an addition are two.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from conftest import BANDS, SIGMA
from sitsr.evaluation.costs import mflop_per_pixel
from sitsr.methods import METHODS
from sitsr.model import GENERATORS, Card, Model

ROOT = Path(__file__).parents[1]
T, C, SCALE = 8, 4, 4


def card(name: str, bands: int = C, scale: int = SCALE, **changes: Any) -> Card:
    return Card(BANDS[:bands], SIGMA[:bands], scale, **{**METHODS[name].card, **changes})


def weightless(card: Card) -> Model:
    """The model without values in its weights: it can be counted, and costs nothing."""
    with torch.device("meta"):
        return Model(card).eval()


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


# Parameters


def layer(inputs: int, outputs: int, taps: int = 9) -> int:
    """Parameters of a convolution or linear layer with bias."""
    return outputs * (inputs * taps + 1)


def heads(features: int, bands: int = C, scale: int = SCALE) -> int:
    """Mean and spread: two 3 × 3 convolutions to the pixels under one."""
    return 2 * layer(features, bands * scale**2)


def velocity(features: int, width: int, blocks: int, kind: str) -> int:
    """Li & Song's angle is told in 5 numbers; folding has no weights."""
    folded = C * SCALE**2
    block = layer(width, width) + layer(width, 2 * width, 1) + layer(width, width, 1)
    stems = layer(folded, width, 1) + layer(features, width, 1) + layer(5, width, 1)
    return stems + blocks * block + layer(width, folded, 1)


def unet(features: int, inputs: int, width: int, multipliers: tuple[int, ...]) -> int:
    """Li et al. 2022, figure 4: two residual blocks on each level, each way, and two between."""
    widths = [width * each for each in multipliers]

    def block(before: int, after: int) -> int:
        shortcut = layer(before, after, 1) if before != after else 0
        return layer(before, after) + layer(after, after) + layer(width, after, 1) + shortcut

    def two(before: int, after: int) -> int:
        return block(before, after) + block(after, after)

    total = layer(width, 4 * width, 1) + layer(4 * width, width, 1)
    total += layer(features, width, (2 * SCALE) ** 2)
    total += sum(two(*pair) for pair in pairwise([inputs, *widths]))
    total += two(widths[-1], widths[-1])
    for above, below in pairwise(widths):
        total += layer(above, above) + two(2 * below, above) + layer(above, above, 16)
    return total + layer(width, width) + layer(width, C, 1)


def generator(made: Card, features: int) -> int:
    settings = GENERATORS[made.generator] | made.generator_settings
    match made.generator:
        case "none":
            return 0
        case "rotation":
            return 2 * velocity(features, **settings)
        case "karras":
            return velocity(features, **settings)
        case _:
            inputs = 2 * C if made.generator == "sr3" else C
            return unet(features, inputs, settings["width"], settings["multipliers"])


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_its_encoder_two_heads_and_its_generator(name: str) -> None:
    made = card(name)
    model = weightless(made)
    features = model.encoder.features
    wanted = count(model.encoder) + heads(features) + generator(made, features)
    assert count(model) == wanted


UPSHUFFLED = 2 * (layer(64, 256) + 1) + layer(64, 3, 81)
TRANSPOSED = 2 * (layer(64, 64, 4) + 1) + layer(64, 3, 1)

PUBLISHED: dict[str, tuple[Card, int, int]] = {
    # n₁ = 64, n₂ = 32: weights of 9-1-5 without biases; with them, the mask and 63 features more
    "srcnn": (
        card("srcnn", 1, 3),
        8_032,
        64 * 81 + 63 * 32 * 25 + 64 + 32 + 64 + heads(64, 1, 3),
    ),
    # figure 4, one slope a PReLU: less batch normalisation in 33 places and the decoder
    "srresnet": (
        card("srresnet", 3),
        1_549_462,
        64 * 81 - 33 * 2 * 64 - UPSHUFFLED + heads(64, 3),
    ),
    # ESRGAN: our card has SRDiff's encoder of 8 blocks, the paper's generator 23
    "rrdb": (
        card("rrdb", 3, width=64, encoder_settings={"blocks": 23, "growth": 32}),
        16_697_987,
        64 * 9 - 3 * layer(64, 64) - layer(64, 3) + heads(64, 3),
    ),
    "highresnet": (
        card("highresnet", 1, 3),
        591_818,
        64 * 9 - layer(64, 64) - 1 - layer(64, 1, 1) + heads(64, 1, 3),
    ),
    "trmisr": (
        card("trmisr", 1, 3),
        386_191,
        64 * 9 - layer(64, 9, 1) - 1 + heads(64, 1, 3),
    ),
    # each image beside the anchor and the mask; spread in place of the paper's uncertainty
    "piunet": (
        card("piunet", 1, 3),
        828_355,
        2 * 9 * 42 - layer(42, 9) - layer(42, 42) - 2 * 42 - layer(42, 1, 1) + heads(42, 1, 3),
    ),
    "highresnet-ltae": (
        card("highresnet-ltae", 3),
        246_538,
        64 * 9 - TRANSPOSED + heads(64, 3),
    ),
    # 11.9 million: U-Net and encoder
    "srdiff-highresnet-ltae": (
        card("srdiff-highresnet-ltae", 3),
        11_624_195 + 246_538,
        64 * 9 - TRANSPOSED + heads(64, 3),
    ),
}
"""What the paper's bands and scale make of our card, the published count, and what we add to it."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_in_its_papers_configuration_a_method_has_the_published_parameters(name: str) -> None:
    """SRCNN: Dong et al. 2016, arXiv:1501.00092; the others: counted in their authors' networks."""
    made, published, added = PUBLISHED[name]
    assert count(weightless(made)) == published + added


@pytest.mark.parametrize(
    ("name", "of"),
    [("srgan", "srresnet"), ("esrgan", "rrdb"), ("stacked-esrgan", "stacked")],
)
def test_a_contest_adds_nothing_to_the_network(name: str, of: str) -> None:
    assert METHODS[name].card == METHODS[of].card


# Operations of one low-resolution pixel: multiplications with an addition; each counts as two.


def fixed(bands: int = C, times: int = T) -> int:
    """The anchor: a weighted sum over time."""
    return times * bands


def heading(features: int, bands: int = C, scale: int = SCALE) -> int:
    return 2 * 9 * features * bands * scale**2


def embedding(bands: int = C, width: int = 64) -> int:
    """HighRes-net's, of one image: conv, two blocks of two, conv."""
    return 9 * ((2 * bands + 1) * width + 5 * width**2)


def dense(inputs: int, width: int, blocks: int, growth: int) -> int:
    """ESRGAN's trunk: three dense blocks of five layers in each of its blocks."""
    grown = sum((width + k * growth) * growth for k in range(4)) + (width + 4 * growth) * width
    return 9 * (inputs * width + blocks * 3 * grown + width**2)


def pairwise_fusion(width: int = 64) -> int:
    return 9 * (2 * (2 * width) ** 2 + 2 * width * width)


def attention(tokens: int, width: int) -> int:
    """Queries, keys, values, their products, the join: of one of so many tokens."""
    return 4 * width**2 + 2 * tokens * width


def ltae(times: int = T, width: int = 64) -> int:
    """Each image widened, its keys, its share of the sum; the way back. Queries cost nothing."""
    each = width * 2 * width + 2 * width * 64 + 2 * width
    return times * each + 2 * width * width


def piunet(bands: int = C, times: int = T, width: int = 42) -> int:
    """35 mixed layers, 16 gates with a bottleneck of 5, kernels of 25 from each image."""
    convolutions = 9 * width * (2 * bands + 1 + 34 * width)
    each = convolutions + 35 * attention(times, width) + 25 * width
    return times * each + 16 * 2 * width * 5


def projection() -> int:
    """Two blurs of 4 pixels and the way back by 11 taps, along rows and then along columns."""
    taps = 4 * SCALE
    return C * (3 * (SCALE * taps + taps) + 2 * 11)


OURS = METHODS["sitsr"].card
WIDTH = OURS["width"]


def target_date() -> int:
    """Each image's blocks, keys, values and scores; the anchor's query, the join, the trunk."""
    told = {"frame_blocks": 2, "trunk_blocks": 5, "frame_width": WIDTH}
    told |= OURS.get("encoder_settings", {})
    own, wide = told["frame_width"], WIDTH
    each = 9 * ((4 * C + 1) * own + 2 * told["frame_blocks"] * own**2) + 2 * own * wide + 2 * wide
    joined = 9 * (3 * C + 1) * wide + wide**2 + 2 * wide**2
    return T * each + joined + 2 * told["trunk_blocks"] * 9 * wide**2


MEANS: dict[str, int] = {
    "srcnn": 81 * (C + 1) * 64 + 64 * 32 + 25 * 32 * 64 + heading(64),
    "srresnet": 81 * (C + 1) * 64 + 33 * 9 * 64**2 + heading(64),
    "rrdb": dense(C + 1, 32, 8, 16) + heading(32),
    "stacked": dense(8 * (C + 1), 64, 8, 32) + heading(64),
    "highresnet": T * embedding() + (T - 1) * pairwise_fusion() + heading(64),
    "highresnet-ltae": T * embedding() + ltae() + heading(64),
    "rrdb-ltae": T * dense(2 * C + 1, 32, 8, 16) + ltae(width=32) + heading(32),
    "trmisr": T * embedding() + 6 * (T + 1) * (attention(T + 1, 64) + 2 * 64 * 128) + heading(64),
    "piunet": piunet() + heading(42),
    "sitsr": target_date() + heading(WIDTH) + 2 * projection(),
    "sitsr-free": target_date() + heading(WIDTH) + projection(),
}


@pytest.mark.parametrize("name", MEANS)
def test_the_mean_costs_the_sum_of_its_layers(name: str) -> None:
    """What is done once a series, as for its dates, is all that the sum leaves out."""
    wanted = 2 * (MEANS[name] + fixed()) / SCALE**2 / 1e6
    assert mflop_per_pixel(weightless(card(name)), T, 0) == pytest.approx(wanted, rel=1e-4)


def folded_call(width: int = 64, blocks: int = 4) -> int:
    """Of our generator: noise and residual folded, as matrices, and the network between."""
    channels = C * SCALE**2
    network = channels * width + WIDTH * width + blocks * 10 * width**2 + width * channels
    return network + 2 * C * SCALE**4


def test_one_sample_of_ours_costs_the_sum_of_its_layers() -> None:
    model = weightless(card("sitsr"))
    drawn = mflop_per_pixel(model, T, 1) - mflop_per_pixel(model, T, 0)
    wanted = 2 * (folded_call() + projection()) / SCALE**2 / 1e6
    assert drawn == pytest.approx(wanted, rel=1e-3)


def unet_call(bands: int) -> int:
    """Multiplications a high-resolution pixel of SRDiff's U-Net, features and width 64; each level
    has a quarter of the pixels of the one above."""
    widths = [64, 128, 192, 256]

    def two(before: int, after: int) -> int:
        shortcut = before * after if before != after else 0
        return 9 * (before * after + 3 * after**2) + shortcut

    total = 64 * 64 * 4.0  # the features enlarged: 8 × 8 taps on a sixteenth of the pixels
    total += sum(two(*pair) / 4**k for k, pair in enumerate(pairwise([bands, *widths])))
    total += two(256, 256) / 4**3
    for k, (above, below) in enumerate(pairwise(widths), start=1):
        total += (9 * above**2 + two(2 * below, above) + 16 * above**2) / 4**k
    return round(total + 9 * 64**2 + 64 * bands)


def of_a_call(model: Model) -> float:
    """MFLOP an output pixel of one step of SRDiff."""
    return mflop_per_pixel(model, T, 1) - mflop_per_pixel(model, T, 0)


def srdiff(bands: int) -> Model:
    """Weightless but for the chain, which is a list of numbers."""
    made = card("srdiff-highresnet-ltae", bands)
    model = weightless(made)
    model.generator.alpha_bar = Model(replace(made, width=8, **TINY)).generator.alpha_bar
    return model


TINY = {
    "encoder": "mean over time",
    "encoder_settings": {},
    "generator_settings": {"width": 2, "multipliers": (1,), "levels": 500},
}


def test_a_step_of_srdiff_costs_the_sum_of_its_layers() -> None:
    assert of_a_call(srdiff(C)) == pytest.approx(2 * unet_call(C) / 1e6, rel=1e-3)


def test_srdiff_for_series_costs_what_is_published() -> None:
    """1.34 MFLOP a call and 670 in all 500 of them, three bands."""
    model = srdiff(3)
    assert of_a_call(model) == pytest.approx(1.34, abs=0.005)
    whole = mflop_per_pixel(model, T, 0) + 500 * of_a_call(model)
    assert whole == pytest.approx(670, abs=5)


COSTS: dict[str, tuple[int, int, int, float, float, float]] = {
    # a transposed 3 × 3 convolution and one of 1 × 1 in place of our heads
    "highresnet": (1, 3, 16, 64**2 * 9 + 64 * 9, 1.90, 0.003),
    # two transposed 2 × 2 convolutions and one of 1 × 1
    "highresnet-ltae": (3, 4, 8, 4 * 64**2 + 16 * 64**2 + 16 * 64 * 3, 0.216, 0.003),
    # mean and uncertainty; the published count holds 1.6 % more, which none of the layers explains
    "piunet": (1, 3, 9, 9 * 42 * 9 + 9 * 42**2 + 42, 1.66, 0.02),
}
"""Bands, scale and images, what the decoder costs a low-resolution pixel, MFLOP a pixel as
published, and how near it we come, as a share of it."""


@pytest.mark.parametrize("name", COSTS)
def test_a_mean_costs_what_is_published_but_for_the_decoder(name: str) -> None:
    bands, scale, times, decoder, published, near = COSTS[name]
    model = weightless(card(name, bands, scale))
    ours = heading(model.encoder.features, bands, scale)
    changed = 2 * (decoder - ours) / scale**2 / 1e6
    assert mflop_per_pixel(model, times, 0) + changed == pytest.approx(published, rel=near)


def test_attention_counts_alike_with_values_and_without() -> None:
    """On a CPU the counter does not know the kernel that attention takes there."""
    small = card("trmisr", width=16, encoder_settings={"depth": 1, "blocks": 1})
    costs = [mflop_per_pixel(make(small), 3, 0) for make in (Model, weightless)]
    token = 4 * (attention(4, 16) + 2 * 16 * 32)
    images = 3 * 9 * ((2 * C + 1) * 16 + 3 * 16**2)
    wanted = 2 * (images + token + heading(16) + fixed(times=3)) / SCALE**2 / 1e6
    assert costs == pytest.approx([wanted, wanted], rel=1e-6)


def test_the_bundled_weights_keep_to_half_a_mflop(model: Model) -> None:
    """The bar for the encoder at 8 images and one sample."""
    assert mflop_per_pixel(model, 8, 1) <= 0.5


# The page


@pytest.mark.slow
def test_the_page_of_methods_is_what_the_script_writes(tmp_path: Path) -> None:
    page = tmp_path / "methods.md"
    committed = (ROOT / "docs/methods.md").read_text()
    lines = committed.splitlines(keepends=True)
    page.write_text("".join(line for line in lines if not line.startswith("| ")))
    command = [sys.executable, str(ROOT / "scripts/list_methods.py"), str(page)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    assert page.read_text() == committed, "run scripts/list_methods.py"
