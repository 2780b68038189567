"""PROBA-V: one band a source, in the challenge's units, whatever the files are numbered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from miniatures.probav import COLS, IMAGES, MOST, ROWS, SCALE, make_probav
from sitsr.datasets import PUBLISHED, Pair, is_probav, read_probav
from sitsr.datasets.rasters import opened
from sitsr.evaluation.alignment import prepare
from sitsr.metrics.conventions import probav_cpsnr
from sitsr.series import InputError

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def with_defects(*defects: str, at: str = "set") -> Path:
        make_probav(tmp_path / at, defects=frozenset(defects))
        return tmp_path / at

    return with_defects


def first(folder: Path) -> Pair:
    return read_probav(folder)[0].load()


def test_each_set_with_a_reference_is_one_band_of_one_place(make: Make) -> None:
    folder = make()
    assert is_probav(folder) and not is_probav(folder / "train")
    sources = read_probav(folder)
    assert [(each.site, each.patch, each.split) for each in sources] == [
        ("imgset0012", "RED", "train"),
        ("imgset0601", "NIR", "train"),
    ]
    assert [each.load().series.bands for each in sources] == [("B04",), ("B08",)]
    assert {each.kind for each in sources} == {PUBLISHED}
    assert [each.tags for each in sources] == [
        {"band": "RED", "norm": "40.1200"},
        {"band": "NIR", "norm": "46.0100"},
    ]
    assert read_probav(make("no norms", at="other"))[0].tags == {"band": "RED"}


def test_reflectance_is_a_share_of_fourteen_bits(make: Make) -> None:
    folder = make()
    pair = first(folder)
    with opened(folder / "train/RED/imgset0012/HR.png") as file:
        assert file.dtypes == ("uint16",)
        np.testing.assert_allclose(pair.reference, file.read() / MOST, atol=1e-7)
    assert pair.scale == SCALE and pair.series.images.shape == (IMAGES, 1, ROWS, COLS)
    assert pair.reference.shape == (1, SCALE * ROWS, SCALE * COLS)
    assert pair.series.grid.resolution.x == 300


def test_what_a_mask_shows_is_clear(make: Make) -> None:
    pair = first(make())
    assert not pair.clear[:5, -7:].any() and pair.clear.sum() == pair.clear.size - 35
    hidden = (~pair.series.clear).sum((1, 2))
    assert hidden.tolist() == sorted(hidden.tolist()) and hidden[0] == 0 < hidden[-1]


def test_the_series_is_the_same_however_its_files_are_numbered(make: Make) -> None:
    one, other = (first(make(*d, at=str(len(d)))) for d in ((), ("images are numbered otherwise",)))
    np.testing.assert_array_equal(one.series.images, other.series.images)
    np.testing.assert_array_equal(one.series.clear, other.series.clear)
    assert one.series.sources != other.series.sources
    assert one.target == one.series.dates[0] and one.series.clear[0].all()


def test_sets_do_not_share_made_up_ground(make: Make) -> None:
    grids = [source.load().series.grid for source in read_probav(make())]
    assert grids[0].transform != grids[1].transform


def test_it_is_scored_as_it_lies_and_the_challenge_bears_with_a_shift(make: Make) -> None:
    pair = first(make())
    assert prepare(pair).pair is pair
    moved = np.roll(pair.reference, (2, -1), (1, 2)) + np.float32(0.01)
    assert probav_cpsnr(moved, pair.reference, pair.clear) > 90


REFUSED = {
    "a mask is missing": r"QM002\.png cannot be read",
    "an image is cut short": r"LR003\.png cannot be read",
    "an image of another size": "19 × 32 pixels; wanted 20 × 32 for all LR and QM",
    "an image of three bands": r"LR001\.png has 3 bands; wanted one",
    "rows and columns are swapped": "60 × 96 pixels; wanted 96 × 60 for HR.png and SM.png",
}


@pytest.mark.parametrize("defect", REFUSED)
def test_what_is_broken_is_refused_when_it_is_read(make: Make, defect: str) -> None:
    sources = read_probav(make(defect))
    with pytest.raises(InputError, match=REFUSED[defect]) as caught:
        sources[0].load()
    assert "\n" not in str(caught.value)


def test_what_is_asked_wrongly_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not PROBA-V: it should hold train/RED/imgset0000"):
        read_probav(tmp_path)
    folder = make()
    with pytest.raises(InputError, match="validation is not a split of PROBA-V; choose from train"):
        read_probav(folder, "validation")
    with pytest.raises(InputError, match=r"no set with an HR\.png in test; .* without: choose"):
        read_probav(folder, "test")
    with pytest.raises(InputError, match=r"has no set with an HR\.png; "):
        read_probav(make("no references", at="kept"))
    for path in (folder / "train/RED/imgset0012").glob("LR*"):
        path.unlink()
    with pytest.raises(InputError, match=r"has no LR000\.png and so on"):
        first(folder)
    (folder / "norm.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"norm\.csv cannot be read"):
        read_probav(folder)
