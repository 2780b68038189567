"""Sen2Venµs: both versions give the same pairs, lazily, and nothing outside is opened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch

from miniatures.scenery import coarse, fine
from miniatures.sen2venus import COUNT, DAYS, FINE, FIRST, GROUPS, SECOND, make_sen2venus
from sitsr.datasets import PUBLISHED, Pair, is_sen2venus, read_sen2venus
from sitsr.evaluation.alignment import prepare
from sitsr.series import InputError

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def with_defects(*defects: str) -> Path:
        make_sen2venus(tmp_path, defects=frozenset(defects))
        return tmp_path

    return with_defects


def pairs(folder: Path, site: str, resolution: int = 10) -> list[Pair]:
    found = read_sen2venus(folder, resolution=resolution)
    return [source.load() for source in found if source.site == site]


def test_every_patch_of_every_site_is_listed_without_a_split(make: Make) -> None:
    folder = make()
    assert is_sen2venus(folder) and not is_sen2venus(folder.parent)
    sources = read_sen2venus(folder)
    sites = [source.site for source in sources]
    assert sites == [SECOND] * 3 + [FIRST] * 2 * COUNT
    assert len({(each.site, each.patch) for each in sources}) == len(sources)
    assert {(each.kind, each.split) for each in sources} == {(PUBLISHED, None)}
    assert [sources[k].patch for k in (0, 3)] == [
        "ARM_0_2019-07-21_31TGK",
        "FR-LQ1_31TGK_2019-07-21 0",
    ]


def test_a_site_alone_is_a_data_set_too(make: Make) -> None:
    folder = make()
    assert [each.site for each in read_sen2venus(folder / SECOND)] == [SECOND] * 3


@pytest.mark.parametrize(("resolution", "group"), [(10, "b2b3b4b8"), (20, "b5b6b7b8a")])
@pytest.mark.parametrize("defect", [None, "unpacked archives", "a tensor of the older form"])
def test_both_versions_hold_the_same_patches(
    make: Make, resolution: int, group: str, defect: str | None
) -> None:
    folder = make(*[defect] if defect else [])
    _, bands = GROUPS[group]
    old, new = (pairs(folder, site, resolution) for site in (FIRST, SECOND))
    for number, pair in enumerate(old):
        truth = fine(number % 4, bands, FINE, (9 * number, 11 * number))
        np.testing.assert_allclose(pair.reference, truth, atol=0.51e-4)
        seen = coarse(truth, resolution // 5)
        np.testing.assert_allclose(pair.series.images[0], seen, atol=0.51e-4)
        assert pair.scale == resolution // 5 and pair.series.bands == bands
        assert pair.series.grid.resolution.x == resolution
    for one, other in zip(old, new, strict=False):
        np.testing.assert_array_equal(one.reference, other.reference)
        np.testing.assert_array_equal(one.series.images, other.series.images)
        assert one.series.grid == other.series.grid


def test_a_pair_is_of_one_day_and_scored_as_it_lies(make: Make) -> None:
    first, *_, last = pairs(make(), FIRST)
    assert first.series.dates == (first.target,) == (date.fromisoformat(DAYS[0]),)
    assert last.target == date.fromisoformat(DAYS[1])
    assert prepare(first).pair is first


def test_nodata_is_not_clear(make: Make) -> None:
    folder = make("nodata")
    for site in (FIRST, SECOND):
        pair = pairs(folder, site)[1]
        assert not pair.series.clear[0, 0, :2].any() and pair.series.clear.sum() == 20 * 28 - 2
        assert not pair.clear[-1, -3:].any() and pair.clear.sum() == 40 * 56 - 3
        assert pair.series.images.min() >= 0 and pair.reference.min() >= 0


@pytest.mark.parametrize("defect", ["no map of the patches", "a map of other patches"])
def test_without_a_map_each_patch_has_ground_of_its_own(make: Make, defect: str) -> None:
    made = pairs(make(defect), FIRST)
    assert len({pair.series.grid.transform for pair in made}) == len(made)
    assert all("made up" in pair.series.history[0] for pair in made)


def test_only_indexes_are_read_at_first(make: Make) -> None:
    folder = make()
    for path in (*folder.glob("*/*.pt"), *folder.glob("*/*.zip")):
        path.unlink()
    sources = read_sen2venus(folder)
    assert len(sources) == 3 + 2 * COUNT
    with pytest.raises(InputError, match=r"b2b3b4b8\.pt is not there; unpack the archive"):
        sources[-1].load()


def test_patches_after_one_another_open_their_tensor_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, opened, load = make(), [], torch.load
    monkeypatch.setattr(torch, "load", lambda path, **k: opened.append(path) or load(path, **k))
    assert len(pairs(folder, FIRST)) == 2 * COUNT and len(opened) == 2 * 2


REFUSED_WHEN_LISTED = {
    "a path leads outside": r'"\.\./ARM_\S+_b2b3b4b8_05m\.zip/.*lies outside that folder',
    "a path of a tensor leads outside": r'"\.\./FR-LQ1_.*\.pt", .*lies outside that folder',
    "a row without a path": r"index\.csv has a row without b2b3b4b8_10m",
}
REFUSED_WHEN_READ = {
    ("rows and columns are swapped", FIRST): r"is 4 × 40 × 56, .* 4 × 28 × 20; wanted 4 bands",
    ("rows and columns are swapped", SECOND): r"is 4 × 40 × 56, .* 4 × 28 × 20; wanted 4 bands",
    ("another number of patches", FIRST): r"\[3, 4, 20, 28\]; its index says .* 4 patches",
    ("a tensor is cut short", FIRST): r"10m_b2b3b4b8\.pt holds no tensor",
    ("a tensor runs a command", FIRST): r"10m_b2b3b4b8\.pt is refused: it holds more than a ten",
    ("an archive is cut short", SECOND): r"b2b3b4b8_10m\.zip.*cannot be read",
}


@pytest.mark.parametrize("defect", REFUSED_WHEN_LISTED)
def test_an_index_that_cannot_be_trusted_is_refused(make: Make, defect: str) -> None:
    folder = make(defect)
    with pytest.raises(InputError, match=REFUSED_WHEN_LISTED[defect]):
        read_sen2venus(folder)


@pytest.mark.parametrize(("defect", "site"), REFUSED_WHEN_READ)
def test_what_is_broken_is_refused_when_it_is_read(make: Make, defect: str, site: str) -> None:
    folder = make(defect)
    with pytest.raises(InputError, match=REFUSED_WHEN_READ[defect, site]) as caught:
        pairs(folder, site)
    assert "\n" not in str(caught.value) and not (folder / "OWNED").exists()


def test_what_is_asked_wrongly_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not Sen2Venµs: it should hold folders SITE"):
        read_sen2venus(tmp_path)
    folder = make()
    with pytest.raises(InputError, match="names no splits, so none is called train"):
        read_sen2venus(folder, "train")
    with pytest.raises(InputError, match="resolution is 60; Sen2Venµs has bands of 10 m and"):
        read_sen2venus(folder, resolution=60)
    index = folder / FIRST / "index.csv"
    index.write_text(index.read_text().replace(f"\t{COUNT}\t", "\t9999999999\t", 1))
    with pytest.raises(InputError, match='nb_patches "9999999999"; wanted a number up to'):
        read_sen2venus(folder)
    index.write_text(index.read_text().replace("9999999999", "1").replace(DAYS[0], "someday", 1))
    with pytest.raises(InputError, match='no more than "someday", which names no date'):
        read_sen2venus(folder)
    index.write_text(index.read_text().split("\n")[0] + "\n")
    assert [each.site for each in read_sen2venus(folder)] == [SECOND] * 3
    with pytest.raises(InputError, match="has indexes without rows"):
        read_sen2venus(folder / FIRST)
