"""What is prepared is what was asked for: splits that do not leak, references moved and matched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miniatures.worldstrat import PLACES, make_worldstrat
from sitsr.datasets import read_store, read_worldstrat
from sitsr.datasets.pairs import Pair, Source, at_hand
from sitsr.datasets.prepare import Preparation, prepare
from sitsr.datasets.registration import shift_of_reference
from sitsr.series import InputError
from test_check import SCALE, clean


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "worldstrat"
    make_worldstrat(made)
    return made


def stored(sources: list[Source], out: Path, **how: Any) -> list[Source]:
    prepare(sources, out, Preparation(**how))
    return read_store(out)


def test_a_data_set_goes_through_unchanged(folder: Path, tmp_path: Path) -> None:
    asked = read_worldstrat(folder)
    found = stored(asked, tmp_path / "store")
    assert [each.patch for each in found] == list(PLACES)
    for one, other in zip(found, asked, strict=True):
        pair, source = one.load(), other.load()
        assert (one.split, one.bounds, one.tags) == (other.split, other.bounds, dict(other.tags))
        np.testing.assert_allclose(pair.series.images, source.series.images, atol=1e-4)
        known = source.clear
        np.testing.assert_array_equal(pair.clear, known)
        np.testing.assert_allclose(pair.reference[:, known], source.reference[:, known], atol=1e-4)


def test_new_splits_keep_areas_whole(folder: Path, tmp_path: Path) -> None:
    shares = {"train": 0.5, "test": 0.5}
    found = stored(read_worldstrat(folder, grouped=False), tmp_path / "store", shares=shares)
    assert {each.split for each in found} == {"train", "test"}
    assert len({each.split for each in found if each.site == "Amnesty POI-8"}) == 1


def test_what_leaks_is_left_out_and_told(tmp_path: Path) -> None:
    make_worldstrat(tmp_path / "w", defects=frozenset({"shared_area"}))
    asked = read_worldstrat(tmp_path / "w", grouped=False)
    grouped = prepare(asked, tmp_path / "store")
    assert [each.patch for each in grouped.left_out] == ["Amnesty POI-8-2-1"]
    assert {each.patch for each in read_store(tmp_path / "store")} == {*PLACES} - {
        "Amnesty POI-8-2-1"
    }


def crooked(number: int, gain: float = 0.5) -> Pair:
    """A reference a low-resolution pixel too far down, in other units."""
    pair = clean(number)
    return replace(pair, reference=np.roll(gain * pair.reference + 0.1, SCALE, -2))


def test_a_reference_is_moved_and_matched(tmp_path: Path) -> None:
    (found,) = stored([at_hand(crooked(0))], tmp_path / "store", register=True, harmonise="gain")
    pair, truth = found.load(), clean(0)
    assert abs(shift_of_reference(pair).rows) < 0.3
    inner = np.s_[:, 8:-8, 8:-8]
    off = pair.reference[inner] - truth.reference[inner]
    assert np.sqrt((off**2).mean()) < 0.15 * truth.reference[inner].std()


def test_a_fit_to_training_pairs_is_applied_to_all(tmp_path: Path) -> None:
    """A test reference in units of its own is not brought to its series."""
    pairs = [
        replace(at_hand(crooked(0)), split="train"),
        replace(at_hand(crooked(1, 1.0)), split="test"),
    ]
    how = {"register": True, "harmonise": "gain"}
    scene, over = (
        [each.load() for each in stored(pairs, tmp_path / fit, fit=fit, **how)]
        for fit in ("scene", "training")
    )
    spread = [pair.reference[:, 8:-8, 8:-8].std() for pair in (scene[1], over[1])]
    assert spread[1] == pytest.approx(2 * spread[0], rel=0.1)


def test_the_store_says_how_it_was_made(tmp_path: Path) -> None:
    stored([at_hand(clean())], tmp_path / "store", harmonise="gain", buffer=2.0)
    told = json.loads((tmp_path / "store" / "zarr.json").read_text())["attributes"]["made"]
    assert (told["harmonise"], told["buffer"], told["register"]) == ("gain", 2.0, False)


def test_another_preparation_does_not_go_on_with_a_store(tmp_path: Path) -> None:
    def load() -> Pair:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([replace(at_hand(clean()), load=load)], tmp_path / "store")
    with pytest.raises(InputError, match="part of another store"):
        prepare([at_hand(clean())], tmp_path / "store", Preparation(harmonise="gain"))
    prepare([at_hand(clean())], tmp_path / "store")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Preparation(harmonise="colour"), "choose from none, gain"),
        (Preparation(harmonise="gain", fit="training"), "no pairs of train"),
        (Preparation(shares={"train": 0.4, "test": 0.4}), "sum to 1"),
    ],
)
def test_what_cannot_be_done_is_said(how: Preparation, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        prepare([replace(at_hand(clean()), split="test")], tmp_path / "store", how)
    assert not any(tmp_path.iterdir())
