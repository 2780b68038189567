"""Positional encodings of dates are their formulas, and know no more than their names say."""

from __future__ import annotations

from math import cos, pi, sin

import pytest
import torch
from torch import Tensor

from sitsr.encoders.dates import BASE, KINDS, YEAR, DateEncoding, Kind, annual, rank, sinusoid
from sitsr.series import InputError

B, T, D = 2, 5, 8
DAYS = torch.tensor([[-30.0, -5, 0, 5, 400], [-800, -12, -7, 3, 10]])
SEASON = torch.tensor([0.2, 0.7])


@pytest.mark.parametrize("kind", KINDS)
def test_every_encoding_has_its_channels_within_one(kind: Kind) -> None:
    places = DateEncoding(kind, D)(DAYS, SEASON)
    assert places.shape == (B, T, D)
    assert places.abs().max() <= 1
    assert not list(DateEncoding(kind, D).parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_only_none_is_silent(kind: Kind) -> None:
    assert bool(DateEncoding(kind, D)(DAYS, SEASON).any()) == (kind != "none")


def test_days_are_written_as_the_formula_says() -> None:
    places = DateEncoding("days", D)(DAYS)
    for b in range(B):
        for t in range(T):
            for i in range(D):
                angle = float(DAYS[b, t]) / 1000 ** (2 * (i // 2) / D)
                wanted = cos(angle) if i % 2 else sin(angle)
                assert float(places[b, t, i]) == pytest.approx(wanted, abs=1e-4)


def test_a_pair_comes_round_after_its_period_and_not_before() -> None:
    start = torch.tensor([[-3.0]])
    for pair in range(D // 2):
        period = 2 * pi * BASE ** (2 * pair / D)
        mine = (..., slice(2 * pair, 2 * pair + 2))
        round_ = sinusoid(start + period, D)[mine] - sinusoid(start, D)[mine]
        half = sinusoid(start + period / 2, D)[mine] + sinusoid(start, D)[mine]
        assert round_.abs().max() < 1e-3
        assert half.abs().max() < 1e-3


def test_before_is_not_after() -> None:
    before, after = sinusoid(torch.tensor([-7.0, 7.0]), D)
    torch.testing.assert_close(before[1::2], after[1::2])
    torch.testing.assert_close(before[0::2], -after[0::2])


def test_rank_is_how_many_different_days_lie_before() -> None:
    days = torch.tensor([[10.0, -5, 10, 400, -800], [0, 0, 0, 0, 0]])
    assert rank(days).tolist() == [[2, 1, 2, 3, 0], [0, 0, 0, 0, 0]]


def test_index_knows_the_order_and_not_how_far_apart() -> None:
    encoding = DateEncoding("index", D)
    stretched = torch.where(DAYS > 0, DAYS * 3, DAYS * 2)
    torch.testing.assert_close(encoding(stretched), encoding(DAYS))
    torch.testing.assert_close(encoding(DAYS), sinusoid(torch.arange(5.0).expand(B, T), D))
    order = [3, 0, 4, 1, 2]
    torch.testing.assert_close(encoding(DAYS[:, order]), encoding(DAYS)[:, order])


def test_index_of_a_pair_given_twice_is_that_of_the_pair() -> None:
    encoding = DateEncoding("index", D)
    twice = encoding(torch.cat([DAYS, DAYS], 1))
    torch.testing.assert_close(twice, encoding(DAYS).repeat(1, 2, 1))


def test_the_season_is_written_as_the_formula_says() -> None:
    places = DateEncoding("day of year", D)(DAYS, SEASON)
    for b in range(B):
        for t in range(T):
            phase = float(SEASON[b]) + float(DAYS[b, t]) / 365.25
            wanted = [f(2 * pi * k * phase) for k in range(1, D // 2 + 1) for f in (sin, cos)]
            torch.testing.assert_close(
                places[b, t], torch.tensor(wanted), atol=1e-4, rtol=0, msg=f"{b} {t}"
            )


def test_a_year_later_is_the_same_season_and_half_a_year_is_not() -> None:
    same = annual(DAYS + YEAR, SEASON, D)
    torch.testing.assert_close(same, annual(DAYS, SEASON, D), atol=1e-4, rtol=0)
    half = annual(DAYS + YEAR / 2, SEASON, D)
    torch.testing.assert_close(half[..., :2], -annual(DAYS, SEASON, D)[..., :2], atol=1e-4, rtol=0)


def test_the_day_of_year_of_an_image_does_not_depend_on_the_target() -> None:
    earlier = 50.0
    moved = annual(DAYS + earlier, SEASON - earlier / YEAR, D)
    torch.testing.assert_close(moved, annual(DAYS, SEASON, D), atol=1e-4, rtol=0)


@pytest.mark.parametrize("season", [None, torch.tensor([float("nan"), 0.7])])
def test_an_unknown_season_gives_zeros_there_and_only_there(season: Tensor | None) -> None:
    places = DateEncoding("day of year", D)(DAYS, season)
    assert not places[0].any()
    assert bool(places[1].any()) == (season is not None)


def test_both_is_days_and_then_day_of_year() -> None:
    both = DateEncoding("both", D)(DAYS, SEASON)
    torch.testing.assert_close(both[..., :4], sinusoid(DAYS, 4))
    torch.testing.assert_close(both[..., 4:], annual(DAYS, SEASON, 4))


def test_whole_days_stay_whole_in_half_precision() -> None:
    days = torch.tensor([[-730.0, 365.0]])
    for kind in ("days", "index", "day of year"):
        encoding = DateEncoding(kind, D)
        halved = encoding(days.to(torch.float16), SEASON[:1])
        torch.testing.assert_close(halved, encoding(days, SEASON[:1]))


@pytest.mark.parametrize(
    ("kind", "channels", "said"),
    [
        ("week", 8, "no date encoding is named 'week'; give one of none, index, days"),
        ("days", 7, "'days' has 7 channels; give a multiple of 2"),
        ("both", 6, "'both' has 6 channels; give a multiple of 4"),
        ("none", 0, "'none' has 0 channels"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(kind: Kind, channels: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        DateEncoding(kind, channels)
