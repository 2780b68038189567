"""Splits do not leak: no site, and no ground nearer than the buffer, is in two of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitsr.datasets.pairs import REAL, Pair, Source
from sitsr.datasets.splits import DEGREE, areas_of, split_by_area, without_leaks
from sitsr.series import InputError

KM = 1 / DEGREE


def never() -> Pair:
    raise AssertionError("no pixel is needed")


def source(site: str, west: float = 0.0, south: float = 0.0, **fields: Any) -> Source:
    """A patch of 1 km by 2 km at the equator; west and south in kilometres."""
    bounds = (west * KM, south * KM, (west + 1) * KM, (south + 2) * KM)
    return Source(
        REAL, site, fields.pop("patch", site), lambda: None, **{"bounds": bounds} | fields
    )  # type: ignore[arg-type, return-value]


def apart(one: Source, other: Source) -> float:
    """Kilometres between two patches, at the equator."""
    assert one.bounds and other.bounds
    gaps = [
        max(one.bounds[k] - other.bounds[k + 2], other.bounds[k] - one.bounds[k + 2], 0)
        for k in (0, 1)
    ]
    return DEGREE * float(np.hypot(*gaps))


MADE = [source(f"site {n // 2}", 3.0 * n, 5.0 * (n % 3), patch=f"{n}") for n in range(40)]


@st.composite
def landscapes(draw: st.DrawFn) -> list[Source]:
    places = draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=12, max_size=40)
    )
    sites = draw(st.lists(st.integers(0, 15), min_size=len(places), max_size=len(places)))
    splits = st.sampled_from(["train", "validation", "test", None])
    return [
        source(f"{site}", west, south, patch=f"{n}", split=draw(splits))
        for n, ((west, south), site) in enumerate(zip(places, sites, strict=True))
    ]


def no_leak(kept: list[Source], buffer: float) -> None:
    known = [each for each in kept if each.split is not None]
    for one in known:
        for other in known:
            if one.split != other.split:
                assert one.site != other.site
                assert apart(one, other) >= buffer - 1e-3


@given(landscapes(), st.sampled_from([0.0, 2.5, 6.0]))
def test_nothing_is_near_two_splits(found: list[Source], buffer: float) -> None:
    kept, out = without_leaks(found, buffer=buffer)
    no_leak(kept, buffer)
    assert sorted(each.patch for each in (*kept, *out)) == sorted(each.patch for each in found)
    assert not any(each.split in ("test", None) for each in out)
    if len(set(areas_of(found, buffer))) >= 3:
        drawn = split_by_area(found, buffer=buffer)
        no_leak(drawn.kept, buffer)
        assert not drawn.left_out and len(drawn.kept) == len(found)
        assert {each.split for each in drawn.kept} == {"train", "validation", "test"}


@given(landscapes())
def test_what_is_left_out_was_in_the_way(found: list[Source]) -> None:
    kept, out = without_leaks(found, buffer=4.0)
    for each in out:
        alone, _ = without_leaks([*kept, each], buffer=4.0)
        assert each not in alone


def test_shares_are_kept_as_far_as_areas_allow() -> None:
    kept, _ = split_by_area(MADE, {"train": 0.5, "validation": 0.25, "test": 0.25})
    assert Counter(each.split for each in kept) == {"train": 20, "validation": 10, "test": 10}


def test_splits_are_the_same_in_any_order_and_others_with_another_seed() -> None:
    def drawn(found: list[Source], seed: int = 0) -> dict[str, str | None]:
        return {each.patch: each.split for each in split_by_area(found, seed=seed).kept}

    assert drawn(MADE) == drawn(MADE[::-1]) != drawn(MADE, 1)


def test_the_buffer_is_a_distance_on_the_ground() -> None:
    """At 60° north a degree of longitude is half as long."""

    def beside(kilometres: float) -> list[Source]:
        west = 0.01 + 2 * kilometres * KM
        boxes = [(0.0, 60.0, 0.01, 60.01), (west, 60.0, west + 0.01, 60.01)]
        return [source(f"{k}", bounds=box) for k, box in enumerate(boxes)]

    near, far = beside(1.9), beside(2.1)
    assert len(set(areas_of(near, 2.0))) == 1
    assert len(set(areas_of(far, 2.0))) == 2


def test_patches_that_share_an_edge_are_apart_unless_there_is_a_buffer() -> None:
    tiles = [source("a"), source("b", 1.0)]
    assert len(set(areas_of(tiles))) == 2
    assert len(set(areas_of(tiles, 0.01))) == 1


def test_sites_without_a_place_are_their_own_areas() -> None:
    nowhere = [source("a", bounds=None), source("b", bounds=None), source("a", bounds=None)]
    assert list(areas_of(nowhere, 5.0)) == [0, 1, 0]


@pytest.mark.parametrize(
    ("found", "shares", "said"),
    [
        (MADE, {"train": 0.5, "test": 0.4}, "sum to 1"),
        (MADE, {"train": 1.5, "test": -0.5}, "above 0"),
        (MADE[:2], {"train": 0.5, "test": 0.5}, "1 areas cannot be divided into train, test"),
    ],
)
def test_what_cannot_be_split_is_said(
    found: list[Source], shares: dict[str, float], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        split_by_area(found, shares)
