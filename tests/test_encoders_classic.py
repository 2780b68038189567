"""The published networks keep every promise of an encoder, and are what their papers say."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d, pad, prelu, relu

from conftest import perturbed
from sitsr.encoders.anchors import CONTRAST_REACH, UNIT, Encoding
from sitsr.encoders.frames import framed
from sitsr.encoders.recurrent import ConvGRU, ConvLSTM, GRUCell, LSTMCell
from sitsr.encoders.recursive import HighResNet
from sitsr.encoders.single import RRDB, SRCNN, DenseBlock, ResidualInResidual, SRResNet
from sitsr.encoders.stacked import Stacked, nearest_first, one_a_day, placed
from sitsr.encoders.volumes import RAMS, Conv3D, LocalAttention, TimeConv, WideBlock
from sitsr.series import InputError

B, T, C, H, W = 2, 5, 3, 6, 9
F = 8
Frames = tuple[Tensor, Tensor, Tensor]

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "SRCNN": lambda: SRCNN(C, F),
    "SRResNet": lambda: SRResNet(C, F, blocks=2),
    "RRDB": lambda: RRDB(C, F, blocks=1, growth=4),
    "HighResNet": lambda: HighResNet(C, F, blocks=1, frames=4),
    "RAMS": lambda: RAMS(C, F, frames=5, blocks=1, squeeze=1),
    "Conv3D": lambda: Conv3D(C, F, frames=5, blocks=2, expansion=2),
    "Stacked": lambda: Stacked(C, F, frames=3, blocks=1, growth=4),
    "ConvGRU": lambda: ConvGRU(C, F, blocks=1, frames=3),
    "ConvLSTM": lambda: ConvLSTM(C, F, blocks=1, frames=3),
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return perturbed(ENCODERS[request.param]()).double()


def make_frames(rows: int = H, cols: int = W, times: int = T) -> Frames:
    chance = torch.Generator().manual_seed(3)
    images = 0.4 * torch.rand(B, times, C, rows, cols, generator=chance, dtype=torch.float64)
    clear = torch.rand(B, times, rows, cols, generator=chance) > 0.4
    clear[:, :, 1, 2:4] = False  # never seen
    days = torch.tensor([[-30.0, -5, 0, 5, 400], [-800, -12, -7, 3, 10]], dtype=torch.float64)
    more = 20 + 7.0 * torch.arange(max(times - T, 0), dtype=torch.float64).expand(B, -1)
    return images, clear, torch.cat([days, more], 1)[:, :times]


def same(one: Iterable[Tensor], other: Iterable[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def moved(one: Encoding, other: Encoding) -> float:
    return float((one.features - other.features).abs().max())


@pytest.mark.parametrize("paint", [99.0, float("nan")])
def test_what_lies_under_cloud_does_not_matter(encoder: nn.Module, paint: float) -> None:
    images, clear, days = make_frames()
    painted = images.where(clear.unsqueeze(2), torch.tensor(paint, dtype=torch.float64))
    same(encoder(painted, clear, days), encoder(images, clear, days))


def test_the_order_of_the_images_does_not_matter(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    order = [3, 0, 4, 1, 2]
    other = encoder(images[:, order], clear[:, order], days[:, order])
    same(other, encoder(images, clear, days))


def test_an_image_with_nothing_clear_adds_nothing(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    for place, day in ((0, 0.0), (T, 0.0), (T, 4.0), (2, -6.0)):
        parts = [torch.full_like(images[:, :1], 99.0), torch.zeros_like(clear[:, :1])]
        more = (
            torch.cat([each[:, :place], part, each[:, place:]], 1)
            for each, part in zip(
                (images, clear, days), (*parts, torch.full_like(days[:, :1], day)), strict=True
            )
        )
        same(encoder(*more), encoder(images, clear, days))


def test_a_clear_image_does_add_something(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    near = [0, 1, 3, 4]  # without the image nearest to the first series' target
    fewer = encoder(images[:, near], clear[:, near], days[:, near])
    assert moved(fewer, encoder(images, clear, days)) > 1e-3


def test_all_images_given_twice_change_nothing(encoder: nn.Module) -> None:
    frames = make_frames()
    twice = (torch.cat([each, each], 1) for each in frames)
    same(encoder(*twice), encoder(*frames))


def test_the_outside_of_the_picture_is_ground_never_seen(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    margins = [2, 3, 4, 1]  # left, right, top, bottom
    padded = encoder(pad(images, margins, value=7.0), pad(clear, margins), days)
    same((each[..., 4 : 4 + H, 2 : 2 + W] for each in padded), encoder(images, clear, days))


def test_nothing_is_known_where_nothing_is_seen(encoder: nn.Module) -> None:
    features, anchor, _, seen = encoder(*make_frames())
    assert not seen[:, :, 1, 2:4].any() and seen.any()
    for each in (features, anchor):
        assert not (each * (1 - seen)).any()


def test_an_input_further_than_reach_has_no_say_and_one_at_reach_has(encoder: nn.Module) -> None:
    reach = int(encoder.reach)  # type: ignore[arg-type]
    images, clear, days = make_frames(2 * reach + 5, 2 * reach + 8)
    clear[:] = True
    for weight in encoder.parameters():
        weight *= 2  # what goes through twenty layers by their outermost taps is faint
    row, col = reach + 2, reach + 3
    changed = images.clone()
    changed[:, :, :, row, col] += 0.5
    before, after = encoder(images, clear, days), encoder(changed, clear, days)
    pairs = zip(before, after, strict=True)
    touched = torch.stack([(a - b).abs().amax((0, 1)) > 0 for a, b in pairs]).any(0)
    rows, cols = (torch.arange(n) for n in touched.shape)
    for line, place, axis in ((rows, row, 1), (cols, col, 0)):
        distance = (line - place).abs()[touched.any(axis)]
        assert int(distance.max()) == reach


def test_a_scene_can_be_cut_where_an_image_is_clear_on_one_side_only(encoder: nn.Module) -> None:
    kept, reach = 4, int(encoder.reach)  # type: ignore[arg-type]
    images, clear, days = make_frames(H, kept + reach + 11)
    clear[:, 2, :, : kept + reach] = False  # the nearest image of the first series
    whole = encoder(images, clear, days)
    cut = (slice(None), slice(None), slice(None), slice(kept + reach))
    part = encoder(images[..., : kept + reach], clear[cut], days)
    same((each[..., :kept] for each in part), (each[..., :kept] for each in whole))


def test_rows_stay_rows(encoder: nn.Module) -> None:
    images, clear, days = make_frames()
    features, anchor, _, seen = encoder(images.mT, clear.mT, days)
    assert features.shape == (B, F, W, H)
    straight = encoder(images, clear, days)
    same((anchor, seen), (straight.anchor.mT, straight.seen.mT))
    assert moved(straight._replace(features=features.mT), straight) > 1e-3


@pytest.mark.parametrize("times", [1, 2, 9])
def test_any_number_of_images_gives_the_features_promised(encoder: nn.Module, times: int) -> None:
    encoding = encoder(*make_frames(times=times), torch.tensor([0.3, torch.nan]))
    assert encoder.features == F
    assert encoding.features.shape == (B, F, H, W)
    assert encoding.features.isfinite().all() and encoding.features.abs().max() > 1e-3


def test_gradients_reach_every_parameter(encoder: nn.Module) -> None:
    encoder.requires_grad_(True)
    encoder(*make_frames()).features.square().sum().backward()
    idle = [name for name, weight in encoder.named_parameters() if not weight.grad.abs().max() > 0]
    assert not idle


@pytest.mark.parametrize("name", ENCODERS)
def test_an_untrained_encoder_keeps_the_power_of_its_input(name: str) -> None:
    torch.manual_seed(1)
    images, clear, days = make_frames(16, 21)
    network = ENCODERS[name]().double().requires_grad_(False)
    features = network(images, clear, days).features
    assert 0.02 < float(features.std()) < 20


def test_what_they_use_and_break_is_said_in_the_words_agreed() -> None:
    words = {"one image", "images", "dates", "masks", "order"}
    for kind in (SRCNN, SRResNet, RRDB, HighResNet, RAMS, Conv3D, Stacked, ConvGRU, ConvLSTM):
        assert kind.uses <= words and kind.uses & {"one image", "images"}
        assert kind.breaks == ""


# Places


def test_places_hold_the_nearest_clear_images_pixel_by_pixel() -> None:
    images, clear, days = make_frames()
    x, mask, anchor, *_ = placed(images, clear, days, 4)
    assert x.shape == (B, 4, 2 * C + 1, H, W)
    for b in range(B):
        for row in range(H):
            for col in range(W):
                known = [t for t in range(T) if clear[b, t, row, col]]
                known.sort(key=lambda t: (abs(float(days[b, t])), float(days[b, t])))
                for k in range(4):
                    held = x[b, k, :, row, col]
                    assert mask[b, k, 0, row, col] == (k < len(known))
                    if k >= len(known):
                        assert not held.any()
                        continue
                    own = images[b, known[k], :, row, col] / UNIT - 1
                    beside = anchor[b, :, row, col] / UNIT - 1
                    wanted = torch.cat([own, beside, torch.ones(1, dtype=torch.float64)])
                    torch.testing.assert_close(held, wanted)


def test_more_places_than_images_are_left_empty() -> None:
    x, mask, *_ = placed(*make_frames(), 7)
    assert x.shape[1] == mask.shape[1] == 7
    assert not x[:, T:].any() and not mask[:, T:].any()


def test_of_two_images_as_near_the_earlier_comes_first() -> None:
    days = torch.tensor([[5.0, -5.0]])
    frames = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1, 1)
    nearest, _ = nearest_first(frames, torch.ones(1, 2, 1, 1, 1), days, 1)
    assert float(nearest) == 2.0


def test_images_of_one_day_become_their_mean_where_clear() -> None:
    images, clear, _ = make_frames()
    days = torch.tensor([[3.0, 0, 3, 7, 3], [0, 1, 2, 3, 4]], dtype=torch.float64)
    one, known = one_a_day(images, clear, days)
    count = clear[0, [0, 2, 4]].sum(0)
    total = (images[0, [0, 2, 4]] * clear[0, [0, 2, 4], None]).sum(0)
    torch.testing.assert_close(one[0, 0], total / count.clamp_min(1))
    torch.testing.assert_close(known[0, 0], count > 0)
    assert not known[0, [2, 4]].any() and not one[0, [2, 4]].any()
    torch.testing.assert_close(one[1], images[1] * clear[1].unsqueeze(1))
    torch.testing.assert_close(known[1], clear[1])


# Dense blocks


def test_a_fifth_of_what_dense_blocks_find_is_added() -> None:
    x, ones = (
        torch.rand(B, F, H, W, generator=torch.Generator().manual_seed(4)),
        torch.ones(B, 1, H, W),
    )
    block = DenseBlock(F, growth=4).requires_grad_(False)
    block.last.weight.zero_(), block.last.bias.fill_(3.0)
    torch.testing.assert_close(block(x, ones), x + 0.6)
    three = ResidualInResidual(F, growth=4).requires_grad_(False)
    for each in three.dense:
        each.last.weight.zero_()
    torch.testing.assert_close(three(x, ones), 1.2 * x)


def test_a_dense_layer_sees_all_before_it() -> None:
    block = perturbed(DenseBlock(F, growth=4))
    x, ones = (
        torch.rand(B, F, H, W, generator=torch.Generator().manual_seed(4)),
        torch.ones(B, 1, H, W),
    )
    known = [x]
    for k in range(4):
        y = conv2d(torch.cat(known, 1), block.grow[k].weight, block.grow[k].bias, padding=1)
        known.append(torch.where(y > 0, y, 0.2 * y))
    torch.testing.assert_close(block(x, ones), x + 0.2 * block.last(torch.cat(known, 1)))


# Recursive fusion


def fused(network: HighResNet, one: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """f(s_i, s_j) of Deudon et al. 2020, section 3.3, layer by layer, zero where s_i is."""
    weights = network.fusion.state_dict()

    def layer(x: Tensor, name: str, bend: str) -> Tensor:
        y = conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        return prelu(y, weights[f"{bend}.weight"]) * mask

    both = torch.cat([one, other], 1)
    inner = layer(both, "block.first", "block.bend")
    both = both + layer(inner, "block.second", "block.bend_again")
    return layer(both, "last", "bend")


@pytest.mark.parametrize("clouded", [False, True])
@pytest.mark.parametrize(("times", "frames"), [(2, 2), (5, 8), (9, 32)])
def test_recursive_fusion_is_its_formula_padded_to_a_power_of_two(
    times: int, frames: int, clouded: bool
) -> None:
    network = perturbed(HighResNet(C, F, blocks=1, frames=frames)).double()
    images, clear, days = make_frames(times=times)
    clear |= not clouded
    x, mask, *_ = framed(images, clear, days)
    features, masks = (each.unflatten(0, (B, times)) for each in (network.embed(x, mask), mask))
    features, masks = nearest_first(features, masks, days, times)
    missing = 2 ** (times - 1).bit_length() - times
    s = [*features.unbind(1), *[torch.zeros(B, F, H, W, dtype=torch.float64)] * missing]
    alpha = [*masks.unbind(1), *[torch.zeros(B, 1, H, W, dtype=torch.float64)] * missing]
    while len(s) > 1:
        pairs = [(i, len(s) - 1 - i) for i in range(len(s) // 2)]
        s = [s[i] + alpha[j] * fused(network, s[i], s[j], alpha[i]) for i, j in pairs]
        alpha = alpha[: len(s)]
    torch.testing.assert_close(network(images, clear, days).features, s[0])


def test_untrained_recursive_fusion_gives_the_nearest_image() -> None:
    network = HighResNet(C, F, frames=8).double()
    images, clear, days = make_frames()
    clear[:] = True
    alone = network.embed(*framed(images, clear, days)[:2]).unflatten(0, (B, T))
    wanted = torch.stack([alone[0, 2], alone[1, 3]])  # days 0 and 3
    torch.testing.assert_close(network(images, clear, days).features, wanted)


# Recurrent fusion


def in_state(cell: GRUCell | LSTMCell) -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(5)
    x = torch.randn(B, F, H, W, generator=chance)
    state = torch.randn(B, cell.states, H, W, generator=chance)
    return x, state, torch.rand(B, 1, H, W, generator=chance).round()


def test_a_gated_unit_with_closed_gates_keeps_its_state() -> None:
    cell = perturbed(GRUCell(F))
    x, state, _ = in_state(cell)
    everywhere = torch.ones(B, 1, H, W)
    assert (cell(x, state, everywhere) - state).abs().max() > 0.1
    cell.gates.bias[:F] = -1e4
    torch.testing.assert_close(cell(x, state, everywhere), state)


def test_a_gated_unit_is_its_formula() -> None:
    cell = perturbed(GRUCell(F))
    x, state, _ = (each[..., :1, :1] for each in in_state(cell))
    weights = {name: value for name, value in cell.state_dict().items()}
    gates, candidate = (weights[f"{name}.weight"][..., 1, 1] for name in ("gates", "candidate"))
    for b in range(B):
        given, h = x[b, :, 0, 0], state[b, :, 0, 0]
        opened = torch.sigmoid(gates @ torch.cat([given, h]) + weights["gates.bias"])
        z, r = opened[:F], opened[F:]
        new = torch.tanh(candidate @ torch.cat([given, r * h]) + weights["candidate.bias"])
        wanted = (1 - z) * h + z * new
        found = cell(x, state, torch.ones(B, 1, 1, 1))[b, :, 0, 0]
        torch.testing.assert_close(found, wanted)


def test_a_memory_over_one_pixel_is_that_of_torch() -> None:
    cell, other = perturbed(LSTMCell(F)), nn.LSTMCell(F, F)
    x, state, _ = (each[..., :1, :1] for each in in_state(cell))
    order = [0, 1, 3, 2]  # torch has the candidate before the output gate

    def sorted_as_torch(weight: Tensor) -> Tensor:
        return torch.cat([weight.chunk(4)[i] for i in order])

    weight = sorted_as_torch(cell.gates.weight[..., 1, 1])
    other.weight_ih.data, other.weight_hh.data = weight[:, :F], weight[:, F:]
    other.bias_ih.data = sorted_as_torch(cell.gates.bias)
    other.bias_hh.data.zero_()
    hidden, memory = state[..., 0, 0].chunk(2, 1)
    wanted = torch.cat(other(x[..., 0, 0], (hidden, memory)), 1)
    torch.testing.assert_close(cell(x, state, torch.ones(B, 1, 1, 1))[..., 0, 0], wanted)


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
def test_a_pixel_that_is_not_clear_leaves_the_state_as_it_was(kind: type[GRUCell]) -> None:
    cell = perturbed(kind(F))
    x, state, mask = in_state(cell)
    changed = (cell(x, state, mask) - state).abs().amax(1, keepdim=True) > 0
    torch.testing.assert_close(changed, mask > 0)


def test_the_nearest_image_of_each_side_is_read_last() -> None:
    network = perturbed(ConvGRU(C, F, blocks=1, frames=3)).double()
    network.cell.gates.bias[:F] = 1e4  # what is read replaces the state
    network.cell.candidate.weight[:, F:] = 0
    images, clear, days = make_frames()
    clear[:] = True
    anchored = framed(images, clear, days)
    frames, masks = (each.unflatten(0, (B, T)) for each in anchored[:2])
    embedded = network.embed(frames.flatten(0, 1), masks.flatten(0, 1)).unflatten(0, (B, T))
    past, future = embedded[[0, 1], [2, 2]], embedded[[0, 1], [2, 3]]
    states = [
        network.cell(side, torch.zeros_like(side), torch.ones(B, 1, H, W, dtype=torch.float64))
        for side in (past, future)
    ]
    wanted = network.bend(network.join(torch.cat(states, 1)))
    torch.testing.assert_close(network(images, clear, days).features, wanted)


# Volumes


@pytest.mark.parametrize("reduces", [False, True])
def test_convolution_over_time_is_that_of_torch(reduces: bool) -> None:
    layer = perturbed(TimeConv(C, F, reduces=reduces)).double()
    x = make_frames()[0]
    weight = layer.three.weight.unflatten(1, (3, C)).transpose(1, 2)  # [F, C, 3, 3, 3]
    edge = (0 if reduces else 1, 1, 1)
    wanted = conv3d(x.transpose(1, 2), weight, layer.three.bias, padding=edge).transpose(1, 2)
    torch.testing.assert_close(layer(x), wanted)


def test_a_wide_block_is_its_formula() -> None:
    block = perturbed(WideBlock(C, expansion=4)).double()
    x = make_frames()[0]
    ones = torch.ones(B, T, 1, H, W, dtype=torch.float64)
    (wide, bias), (narrow, shift) = (
        (part.weight[..., 0, 0], part.bias[:, None, None]) for part in (block.mix[0], block.mix[2])
    )
    inner = relu(torch.einsum("oc,btchw->btohw", wide, x) + bias)
    inner = torch.einsum("oc,btchw->btohw", narrow, inner) + shift
    torch.testing.assert_close(block(x, ones), x + block.last(inner))


def test_3d_convolution_stands_beside_the_mean_of_the_clear_images() -> None:
    network = perturbed(Conv3D(C, F, frames=5, blocks=1)).double()
    network.last.three.weight.zero_(), network.last.three.bias.zero_()
    images, clear, days = make_frames()
    known = clear.unsqueeze(2)
    mean = ((images / UNIT - 1) * known).sum(1) / known.sum(1).clamp_min(1)
    wanted = network.mean(mean) * known.any(1)
    torch.testing.assert_close(network(images, clear, days).features, wanted)


@pytest.mark.parametrize("kind", [RAMS, Conv3D])
def test_where_one_image_alone_is_clear_all_layers_see_it(kind: type[RAMS]) -> None:
    network = perturbed(kind(C, F, frames=7, blocks=1)).double()
    images, clear, days = make_frames(times=1)
    network.stem.requires_grad_(True)
    network(images, clear, days).features.square().sum().backward()
    assert network.stem.three.weight.grad.abs().max() > 1e-6


def test_attention_averages_over_the_window_where_clear() -> None:
    attention = perturbed(LocalAttention(F, 2)).double()
    chance = torch.Generator().manual_seed(2)
    mask = (torch.rand(B, T, H, W, generator=chance) > 0.5).double()
    values = torch.randn(B, F, T, H, W, generator=chance, dtype=torch.float64) * mask[:, None]
    found = attention(values.sum(2), mask.sum(1, keepdim=True))
    for row, col in ((0, 0), (3, 5), (H - 1, 2)):
        near = (slice(max(row - 2, 0), row + 3), slice(max(col - 2, 0), col + 3))
        clear = mask[0][:, near[0], near[1]] > 0
        mean = torch.stack([v[:, near[0], near[1]][clear].mean() for v in values[0]])
        mean = mean.view(1, F, 1, 1)
        wanted = attention.excite(attention.squeeze(mean).relu()).sigmoid()
        torch.testing.assert_close(found[:1, :, row : row + 1, col : col + 1], wanted)


def test_rams_is_its_figures() -> None:
    """Salvetti et al. 2020, figures 2 to 4, on a clear series with as many images as places."""
    net = perturbed(RAMS(C, F, frames=T, blocks=2, squeeze=1)).double()
    images, clear, days = make_frames()
    clear[:] = True

    def attended(block: nn.Module, x: Tensor) -> Tensor:
        found = block.second(relu(block.first(x)))
        each = torch.ones(B, 1, H, W, dtype=torch.float64)
        total, number = (found, each) if x.ndim == 4 else (found.sum(1), each * x.shape[1])
        weight = block.attention(total, number)
        return x + found * (weight if x.ndim == 4 else weight[:, None])

    x = placed(images, clear, days, T).x
    main = low = net.stem(x)
    for block in net.blocks:
        main = attended(block, main)
    main = net.arm(main) + low
    main = relu(net.reduce[0](attended(net.refine[0], main)))  # 5 places to 3
    short = net.stacked(attended(net.weigh, x[:, :, :C].flatten(1, 2)))
    wanted = net.last(main)[:, 0] + short
    torch.testing.assert_close(net(images, clear, days).features, wanted)


@pytest.mark.parametrize("kind", [RAMS, Conv3D])
@pytest.mark.parametrize("frames", [0, 1, 4])
def test_time_that_twos_do_not_reduce_is_refused(kind: type[RAMS], frames: int) -> None:
    with pytest.raises(InputError, match=f"frames is {frames}; .* give 3, 5, 7, 9"):
        kind(C, F, frames=frames)


# Sizes


def count(*parts: nn.Module) -> int:
    return sum(weight.numel() for part in parts for weight in part.parameters())


def layer(inputs: int, outputs: int, taps: int = 9) -> int:
    """Parameters of a convolution with bias."""
    return outputs * (inputs * taps + 1)


def test_srcnn_has_the_weights_of_its_paper() -> None:
    """8 032 weights of 9-1-5 on one band; the mask and the features beyond one are ours."""
    net = SRCNN(1, 64)
    parts = (net.patches.weight[:, :1], net.mapping.weight, net.last.weight[:1])
    assert sum(part.numel() for part in parts) == 8032


def test_srresnet_has_the_parameters_of_its_paper() -> None:
    """1 549 462 at scale 4 on RGB, with one slope a PReLU: the trunk is ours, its input for the
    mask is not; batch normalisation in 33 places and the decoder are not here."""
    decoder = 2 * (layer(64, 256) + 1) + layer(64, 3, 81)
    ours = count(SRResNet(3, 64)) - 64 * 81
    assert ours + 33 * 2 * 64 + decoder == 1_549_462


def test_rrdb_has_the_parameters_of_esrgan() -> None:
    """16 697 987 at scale 4 on RGB: the trunk is ours, its input for the mask is not."""
    decoder = 3 * layer(64, 64) + layer(64, 3)
    assert count(RRDB(3, 64, blocks=23, growth=32)) - 64 * 9 + decoder == 16_697_987


def test_highresnet_has_the_parameters_of_its_paper() -> None:
    """591 818 at scale 3 on one band: embedding and fusion are ours, the mask's input is not."""
    decoder = layer(64, 64) + 1 + layer(64, 1, 1)
    assert count(HighResNet(1, 64)) - 64 * 9 + decoder == 591_818


def test_stacked_has_the_parameters_of_its_paper_but_for_masks() -> None:
    """ESRGAN's with 8 images of RGB for one; masks are ours."""
    ours = count(Stacked(3, 64)) - 8 * 64 * 9
    assert ours == count(RRDB(3, 64, blocks=23, growth=32)) + (8 * 3 - 4) * 64 * 9


def test_rams_has_the_layers_of_its_paper() -> None:
    """Width 32, 9 images of one band, 12 blocks, squeeze 8: by hand, without the gains of weight
    normalisation. The first layer has two inputs more and the last two give features."""
    block = 2 * layer(32, 32, 27) + layer(32, 4, 1) + layer(4, 32, 1)
    main = layer(3, 32, 27) + 12 * block + layer(32, 32, 27)
    main += 3 * (block + layer(32, 32, 27)) + layer(32, 32, 27)
    short = 2 * layer(9, 9) + layer(9, 1, 1) + layer(1, 9, 1) + layer(9, 32)
    assert count(RAMS(1, 32)) == main + short


def test_conv3d_has_the_layers_of_its_paper() -> None:
    """Width 32, 7 images of one band, 8 blocks, expansion 6: by hand, as above."""
    block = layer(32, 192, 1) + layer(192, 25, 1) + layer(25, 32, 27)
    main = layer(3, 32, 27) + 8 * block + 3 * layer(32, 32, 27)
    assert count(Conv3D(1, 32)) == main + layer(1, 32, 25)


@pytest.mark.parametrize("name", ENCODERS)
def test_weights_can_lie_channels_last(name: str) -> None:
    network = ENCODERS[name]().requires_grad_(False).double()
    before = network(*make_frames()).features
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(network(*make_frames()).features, before)


def test_published_sizes_reach_as_far_as_written() -> None:
    assert SRResNet(4, 8).reach == 37
    assert RRDB(4, 8, blocks=23, growth=2).reach == 347
    assert HighResNet(4, 8).reach == 6 + 3 * 5
    assert Conv3D(4, 8, frames=3, blocks=1).reach == 2 * CONTRAST_REACH  # contrast sees further
    assert ConvGRU(4, 8).reach == 21 and ConvLSTM(4, 8).reach == 14
