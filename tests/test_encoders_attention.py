"""Encoders that attend over time keep every promise of an encoder, and are what their papers say.

The laws are those of test_encoders.py; where an encoder says in ``breaks`` that it does not keep
one, the test shows that it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from conftest import perturbed
from sitsr.encoders import UNIT, Encoding, anchor_at_target, local_contrast
from sitsr.encoders.dates import KINDS, DateEncoding, Kind
from sitsr.encoders.frames import FrameEncoder, PixelNorm, framed, mean_over_time
from sitsr.encoders.ltae import KEY, LTAE, LightweightAttention
from sitsr.encoders.permutation import PIUnet, Registration, moved
from sitsr.encoders.transformer import PIXELS_AT_ONCE, TRMISR, TimeAttention
from sitsr.series import InputError

B, T, C, H, W = 2, 5, 3, 6, 9
WIDTH = 8
SEASON = torch.tensor([0.3, float("nan")])
Frames = tuple[Tensor, Tensor, Tensor]


def ltae(positions: Kind = "days", query: Any = "constant", **more: Any) -> LTAE:
    return LTAE(C, WIDTH, heads=4, positions=positions, query=query, blocks=1, **more)


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    **{f"ltae {kind}": lambda kind=kind: ltae(kind) for kind in KINDS if kind != "index"},
    "ltae target": lambda: ltae("both", "target date"),
    "ltae rrdb": lambda: ltae(embed="rrdb"),
    "tr-misr": lambda: TRMISR(C, WIDTH, heads=2, depth=2, blocks=1),
    "piunet": lambda: PIUnet(C, WIDTH, blocks=1, heads=2, bottleneck=3),
}
BREAKS: dict[str, Callable[[], nn.Module]] = {
    "ltae index": lambda: ltae("index"),
    "ltae index target": lambda: ltae("index", "target date"),
}


@pytest.fixture(params=[*ENCODERS, *BREAKS])
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    return made(request.param)


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return perturbed({**ENCODERS, **BREAKS}[name]())


def make_frames(times: int = T, rows: int = H, cols: int = W) -> Frames:
    chance = torch.Generator().manual_seed(3)
    images = 0.4 * torch.rand(B, times, C, rows, cols, generator=chance)
    clear = torch.rand(B, times, rows, cols, generator=chance) > 0.4
    clear[:, :, 1, 2:4] = False  # never seen
    days = torch.randint(-90, 90, (B, times), generator=chance).float()
    return images, clear, days


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5)


def differ(one: Encoding, other: Encoding) -> bool:
    return float((one.features - other.features).abs().max()) > 1e-3


@pytest.mark.parametrize("times", [1, 9])
def test_any_number_of_images_will_do(encoder: nn.Module, times: int) -> None:
    features, anchor, contrast, seen = encoder(*make_frames(times), SEASON)
    assert features.shape == (B, encoder.features, H, W)
    assert anchor.shape == contrast.shape == (B, C, H, W)
    assert seen.shape == (B, 1, H, W)
    assert features.isfinite().all()


def test_what_is_known_before_the_network_is_the_same_for_all(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    _, anchor, contrast, seen = encoder(images, clear, days)
    wanted, there = anchor_at_target(images, clear, days)
    same((anchor, contrast, seen), (wanted, local_contrast(wanted, there)[1], there))


@pytest.mark.parametrize("paint", [99.0, -5.0, float("nan")])
def test_what_lies_under_cloud_does_not_matter(encoder: nn.Module, paint: float) -> None:
    images, clear, days = make_frames()
    painted = images.where(clear.unsqueeze(2), torch.tensor(paint))
    same(encoder(painted, clear, days), encoder(images, clear, days))


def test_the_order_of_the_images_does_not_matter(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    order = [3, 0, 4, 1, 2]
    turned = encoder(images[:, order], clear[:, order], days[:, order], SEASON)
    same(turned, encoder(images, clear, days, SEASON))


def one_more_unclear(frames: Frames) -> Frames:
    images, clear, days = frames
    return (
        torch.cat([images, torch.full_like(images[:, :1], 99.0)], 1),
        torch.cat([clear, torch.zeros_like(clear[:, :1])], 1),
        torch.cat([days, torch.zeros_like(days[:, :1]) - 1], 1),
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_an_image_with_nothing_clear_adds_nothing(name: str) -> None:
    encoder, frames = made(name), make_frames()
    same(encoder(*one_more_unclear(frames), SEASON), encoder(*frames, SEASON))


def test_but_it_counts_in_ranks_and_the_encoder_says_so() -> None:
    for name in BREAKS:
        encoder, frames = made(name), make_frames()
        assert differ(encoder(*one_more_unclear(frames)), encoder(*frames))
        assert "nothing clear" in str(encoder.breaks)


def test_a_clear_image_does_add_something(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    fewer = encoder(images[:, 1:], clear[:, 1:], days[:, 1:])
    assert differ(fewer, encoder(images, clear, days))


def test_all_images_given_twice_change_nothing_unless_said(encoder: nn.Module) -> None:
    frames = make_frames()
    twice = (torch.cat([each, each], 1) for each in frames)
    changed = differ(encoder(*twice), encoder(*frames))
    assert changed == ("given twice" in str(encoder.breaks))


def test_the_outside_of_the_picture_is_ground_never_seen(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    margins = [2, 3, 4, 1]  # left, right, top, bottom
    padded = encoder(pad(images, margins, value=7.0), pad(clear, margins), days)
    same(tuple(each[..., 4 : 4 + H, 2 : 2 + W] for each in padded), encoder(images, clear, days))


def test_nothing_is_known_where_nothing_is_seen(encoder: nn.Module) -> None:
    features, _, _, seen = encoder(*make_frames())
    assert not seen[:, :, 1, 2:4].any()
    assert not (features * (1 - seen)).any()
    assert features.any()


def test_an_input_further_than_reach_has_no_say_and_one_at_reach_has(encoder: nn.Module) -> None:
    reach = int(encoder.reach)  # type: ignore[arg-type]
    images, clear, days = make_frames(rows=2 * reach + 5, cols=2 * reach + 8)
    clear[:] = True
    row, col = reach + 2, reach + 3
    changed = images.double()
    changed[:, :, :, row, col] += 5.0
    encoder = encoder.double()
    pairs = zip(
        encoder(images.double(), clear, days.double()),
        encoder(changed, clear, days.double()),
        strict=True,
    )
    touched = torch.stack([(a - b).abs().amax((0, 1)) > 0 for a, b in pairs]).any(0)
    rows, cols = touched.nonzero(as_tuple=True)
    assert int((rows - row).abs().max()) == int((cols - col).abs().max()) == reach


@pytest.mark.parametrize("make", [LTAE, TRMISR, PIUnet])
def test_reach_grows_two_pixels_a_block(make: Callable[..., nn.Module]) -> None:
    fewer, more = make(C, blocks=3), make(C, blocks=5)
    assert int(more.reach) - int(fewer.reach) == 4  # type: ignore[arg-type]


def test_a_season_matters_where_positions_know_the_year(encoder: nn.Module) -> None:
    frames, later = make_frames(), torch.tensor([0.8, 0.5])
    positions = encoder.dates.kind if isinstance(encoder, LTAE) else "none"
    changed = differ(encoder(*frames, later), encoder(*frames, SEASON))
    assert changed == (positions in ("day of year", "both"))


def test_dense_blocks_reach_fifteen_pixels_each() -> None:
    assert [LTAE(C, WIDTH, 4, embed="rrdb", blocks=n).reach for n in (1, 3)] == [17, 47]


def test_every_weight_can_learn(encoder: nn.Module) -> None:
    encoder.requires_grad_(True)(*make_frames()).features.sum().backward()
    weights = dict(encoder.named_parameters())
    assert all(each.grad is not None and each.grad.isfinite().all() for each in weights.values())
    assert not [name for name, each in weights.items() if not each.grad.any()]


# What all of them see.


def test_images_are_framed_in_units_beside_the_anchor_with_their_mask() -> None:
    images, clear, days = make_frames()
    x, mask, anchor, _, _, times = framed(images, clear, days)
    assert (x.shape, times) == ((B * T, 2 * C + 1, H, W), T)
    b, t, row, col = (int(k) for k in clear.nonzero()[17])
    wanted = [images[b, t, :, row, col] / UNIT - 1, anchor[b, :, row, col] / UNIT - 1]
    torch.testing.assert_close(x[b * T + t, :, row, col], torch.cat([*wanted, torch.ones(1)]))
    assert not (x * (1 - mask)).any()


def test_the_embedding_is_zero_where_an_image_is_not_clear_and_only_there() -> None:
    x, mask, *_ = framed(*make_frames())
    features = perturbed(FrameEncoder(C, WIDTH, 1))(x, mask)
    assert torch.equal(features.abs().amax(1, keepdim=True) > 0, mask > 0)


def test_the_mean_over_time_is_of_what_is_clear() -> None:
    images, clear, days = make_frames()
    x, mask, *_ = framed(images, clear, days)
    mean = mean_over_time(x, mask, T)
    b, row, col = 1, 4, 5
    told = [x[b * T + t, :, row, col] for t in range(T) if clear[b, t, row, col]]
    assert 1 < len(told) < T
    torch.testing.assert_close(mean[b, :, row, col], torch.stack(told).mean(0))
    assert not mean[:, :, 1, 2:4].any()


def test_a_pixel_is_normalised_by_its_own_channels_alone() -> None:
    x = torch.rand(B, WIDTH, H, W, generator=torch.Generator().manual_seed(0))
    even = PixelNorm(WIDTH)(x)
    pixel = x[1, :, 2, 7]
    wanted = (pixel - pixel.mean()) / (pixel.var(correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(even[1, :, 2, 7], wanted)


# L-TAE.


def lightweight(heads: int = 4) -> LightweightAttention:
    torch.manual_seed(1)
    return perturbed(LightweightAttention(WIDTH, heads))


def clear_features(times: int = T) -> tuple[Tensor, Tensor]:
    frames = torch.randn(B * times, WIDTH, H, W, generator=torch.Generator().manual_seed(2))
    return frames, torch.ones(B, times, H, W, dtype=torch.bool)


def test_attention_is_its_formula_pixel_by_pixel() -> None:
    attention, (frames, clear) = lightweight(), clear_features()
    clear[:, 3, 2, 4] = False
    places = DateEncoding("days", 4)(make_frames()[2])
    b, row, col = 1, 2, 4
    wide = attention.widen(attention.before(frames)).unflatten(0, (B, T))[b, :, :, row, col]
    wide = wide + torch.cat([places[b]] * 4, -1)  # [T, 16]
    told = []
    for head in range(4):
        rows = slice(head * KEY, head * KEY + KEY)
        weights, bias = attention.key.weight[rows, :, 0, 0], attention.key.bias[rows]
        score = [attention.query[head] @ (weights @ wide[t] + bias) / KEY**0.5 for t in range(T)]
        share = torch.tensor([float(s) if t != 3 else -torch.inf for t, s in enumerate(score)])
        told.append(share.softmax(0) @ wide[:, head * 4 : head * 4 + 4])
    wanted = attention.mlp(torch.cat(told)[None, :, None, None])[0, :, 0, 0]
    torch.testing.assert_close(
        attention(frames, clear, places)[b, :, row, col], wanted, atol=1e-5, rtol=1e-5
    )


def test_one_clear_image_is_its_own_value_whatever_the_query() -> None:
    attention, (frames, clear) = lightweight(), clear_features()
    clear[:] = False
    clear[:, 2] = True
    places = torch.zeros(B, T, 4)
    value = attention.widen(attention.before(frames)).unflatten(0, (B, T))[:, 2]
    wanted = attention.mlp(value)
    asked = 9 * torch.randn(B, 4, KEY, H, W, generator=torch.Generator().manual_seed(5))
    for query in (None, asked, -asked):
        torch.testing.assert_close(attention(frames, clear, places, query), wanted)


def test_two_equal_images_weigh_what_one_does() -> None:
    attention, (frames, clear) = lightweight(), clear_features(1)
    twice = frames.repeat_interleave(2, 0)
    one = attention(frames, clear, torch.zeros(B, 1, 4))
    two = attention(twice, clear.repeat(1, 2, 1, 1), torch.zeros(B, 2, 4))
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-5)


def test_a_silent_query_takes_the_mean() -> None:
    attention, (frames, clear) = lightweight(), clear_features()
    attention.query.zero_()
    value = attention.widen(attention.before(frames)).unflatten(0, (B, T)).mean(1)
    given = attention(frames, clear, torch.zeros(B, T, 4))
    torch.testing.assert_close(given, attention.mlp(value), atol=1e-5, rtol=1e-5)


def far_apart() -> Frames:
    """One clear image a pixel: the anchor is that image, whatever the days."""
    images, _, days = make_frames()
    turn = torch.arange(H * W).view(H, W) % T
    return images, torch.stack([turn == t for t in range(T)]).expand(B, -1, -1, -1), days


def test_a_constant_query_without_positions_knows_no_days_and_no_season() -> None:
    encoder = perturbed(ltae("none"))
    images, clear, days = far_apart()
    now = encoder(images, clear, days, SEASON)
    same(encoder(images, clear, days + 40, SEASON + 0.4), now)


def test_a_query_of_the_target_date_changes_with_the_target() -> None:
    encoder = perturbed(ltae("day of year", "target date"))
    assert encoder.target is not None
    _, anchor, _, seen = encoder(*make_frames(), SEASON)

    def asked(season: float) -> Tensor:
        target = torch.zeros(B, 1), torch.full((B,), season)
        return encoder.target(anchor, seen, encoder.dates(*target)[:, -1])

    assert (asked(0.3) - asked(0.8)).abs().max() > 1e-2
    torch.testing.assert_close(asked(0.3), asked(1.3), atol=1e-5, rtol=1e-5)
    frames = torch.randn(B * T, WIDTH, H, W, generator=torch.Generator().manual_seed(2))
    clear, places = torch.ones(B, T, H, W, dtype=torch.bool), torch.zeros(B, T, 4)
    summer = encoder.attention(frames, clear, places, asked(0.3))
    winter = encoder.attention(frames, clear, places, asked(0.8))
    assert (summer - winter).abs().max() > 1e-3


def test_the_target_is_ranked_among_the_images() -> None:
    encoder = perturbed(ltae("index", "target date"))
    images, clear, _ = far_apart()
    within = torch.tensor([-20.0, -10, 10, 20, 30]).repeat(B, 1)
    before = within - 40
    assert differ(encoder(images, clear, within), encoder(images, clear, before))
    same(encoder(images, clear, within * 3), encoder(images, clear, within))
    alone = perturbed(ltae("index"))
    same(alone(images, clear, before), alone(images, clear, within))


def test_ltae_says_what_it_uses() -> None:
    uses = {kind: ltae(kind).uses for kind in KINDS}
    assert {kind for kind in KINDS if "dates" in uses[kind]} == {"days", "day of year", "both"}
    assert {kind for kind in KINDS if "order" in uses[kind]} == {"index"}
    assert all({"images", "masks"} <= each for each in uses.values())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"heads": 5}, "5 heads cannot share 16 channels; give a divisor"),
        ({"query": "today"}, "query 'today' is not known; give constant or target date"),
        ({"embed": "vgg"}, "embed 'vgg' is not known; give highresnet or rrdb"),
        ({"heads": 8, "positions": "both"}, "'both' has 2 channels; give a multiple of 4"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        LTAE(C, **{"width": 8, "heads": 4, **fields})


# The transformer, and attention among images as both others use it.


def test_attention_among_images_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours = TimeAttention(WIDTH, 2)
    theirs = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.ask.weight,
            "in_proj_bias": ours.ask.bias,
            "out_proj.weight": ours.join.weight,
            "out_proj.bias": ours.join.bias,
        }
    )
    tokens = torch.randn(H * W, T, WIDTH, generator=torch.Generator().manual_seed(1))
    visible = make_frames()[1][0].flatten(1).T | (torch.arange(T) == 2)
    wanted, _ = theirs(tokens, tokens, tokens, key_padding_mask=~visible)
    torch.testing.assert_close(ours(tokens, visible), wanted, atol=1e-6, rtol=1e-5)


def test_attention_does_not_depend_on_how_pixels_are_cut() -> None:
    attention = TimeAttention(2, 1)
    tokens = torch.randn(PIXELS_AT_ONCE + 5, 2, 2, generator=torch.Generator().manual_seed(1))
    visible = torch.ones(len(tokens), 2, dtype=torch.bool)
    torch.testing.assert_close(
        attention(tokens, visible)[-9:], attention(tokens[-9:], visible[-9:])
    )


def test_heads_that_cannot_share_the_features_are_refused() -> None:
    with pytest.raises(InputError, match="3 heads cannot share 8 features"):
        TimeAttention(8, 3)


def test_the_fusion_token_is_what_tr_misr_gives_where_attention_is_silent() -> None:
    encoder = TRMISR(C, WIDTH, heads=2, depth=2, blocks=1).requires_grad_(False)
    for layer in encoder.layers:
        for last in (layer.attention.join, layer.mlp[-1]):
            last.weight.zero_()
            last.bias.zero_()
    features, _, _, seen = encoder(*make_frames())
    torch.testing.assert_close(features, encoder.token[:, None, None] * seen)


# Registration.


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -2), (-2, 1)])
def test_a_kernel_recovers_a_planted_shift(down: int, right: int) -> None:
    truth = torch.rand(B, WIDTH, H + 8, W + 8, generator=torch.Generator().manual_seed(0))
    shifted = truth.roll((down, right), (-2, -1))  # shifted(p + o) = truth(p) for o the shift
    logits = torch.zeros(B, 25, H + 8, W + 8)
    logits[:, (down + 2) * 5 + right + 2] = 50.0
    mended = moved(shifted, logits, torch.ones(B, 1, H + 8, W + 8))
    inner = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(mended[inner], truth[inner])


def test_kernels_sum_to_one_over_what_is_clear() -> None:
    chance = torch.Generator().manual_seed(0)
    mask = (torch.rand(B, 1, H, W, generator=chance) > 0.4).float()
    logits = torch.randn(B, 25, H, W, generator=chance)
    ground = torch.full((B, WIDTH, H, W), 3.0)
    mended = moved(torch.where(mask > 0, ground, 77.0), logits, mask)
    torch.testing.assert_close(mended, ground * mask)


def test_a_moved_pixel_is_the_sum_of_the_formula() -> None:
    chance = torch.Generator().manual_seed(0)
    mask = (torch.rand(1, 1, H, W, generator=chance) > 0.3).float()
    x, logits = (torch.randn(1, n, H, W, generator=chance) for n in (WIDTH, 25))
    mask[..., 1, 6] = 1.0
    total, wanted = 0.0, torch.zeros(WIDTH)
    for n in range(25):
        row, col = 1 + n // 5 - 2, 6 + n % 5 - 2
        if 0 <= row < H and 0 <= col < W and mask[0, 0, row, col]:
            weight = float(logits[0, n, 1, 6].exp())
            total, wanted = total + weight, wanted + weight * x[0, :, row, col]
    torch.testing.assert_close(moved(x, logits, mask)[0, :, 1, 6], wanted / total)


def test_registration_begins_by_leaving_images_all_but_where_they_are() -> None:
    torch.manual_seed(0)
    x = torch.randn(B * T, WIDTH, H, W, generator=torch.Generator().manual_seed(0))
    registration = Registration(WIDTH, heads=2).requires_grad_(False)
    left = registration(x, torch.ones(B * T, 1, H, W), T)
    assert 0 < float((left - x).std()) < 0.1 * float(x.std())


# As large as their papers make them.

MASK = 9
"""The weights of a 3 × 3 stem for each feature, that the mask as one input more adds."""


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_ltae_has_the_parameters_of_breizhsr() -> None:
    """246 538 published in all, RGB, of which the decoder is two transposed convolutions 2 × 2 of
    64 features with PReLU and a 1 × 1 convolution to 3 bands."""
    decoder = 2 * (4 * 64 * 64 + 64 + 1) + 3 * 64 + 3
    assert parameters(LTAE(bands=3)) == 246_538 - decoder + MASK * 64


def test_tr_misr_has_the_parameters_of_its_paper() -> None:
    """386 191 in all, one band, of which the decoder is a 1 × 1 convolution to 3² and a PReLU."""
    assert parameters(TRMISR(bands=1)) == 386_191 - (9 * 64 + 9 + 1) + MASK * 64


def test_piunet_has_the_parameters_of_its_paper() -> None:
    """828 355 in all, one band, of which the heads are a 3 × 3 convolution to 3² for the mean, and
    for the uncertainty one of 42 features, its normalisation and a 1 × 1 convolution. Ours sees
    the anchor beside each image and the mask."""
    heads = (9 * 42 * 9 + 9) + (9 * 42 * 42 + 42) + 2 * 42 + 42 + 1
    assert parameters(PIUnet(bands=1)) == 828_355 - heads + 2 * MASK * 42


def test_the_embedding_has_the_parameters_of_highres_net() -> None:
    """conv 6 → 64, two blocks of two convolutions 64 → 64, conv 64 → 64, and five PReLU."""
    embedding = (9 * 6 * 64 + 64) + 5 * (9 * 64 * 64 + 64) + 5
    assert parameters(FrameEncoder(3, 64, 2)) == embedding + MASK * 64
