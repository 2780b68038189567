"""Alsat-2B is read as it was published, in splits that do not share a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import make_card
from sitsr.datasets import PUBLISHED, read_alsat2b
from sitsr.datasets.alsat import VALIDATION
from sitsr.evaluation.alignment import prepare
from sitsr.evaluation.suites import sources_in
from sitsr.metrics import psnr
from sitsr.series import InputError

H, W, SCALE = 6, 9, 4
BANDS = ("B02", "B03", "B04")


def write_pair(folder: Path, number: int, height: int = H, last: str = "HR") -> None:
    """A picture in both sizes, or up to the last one, of flat colour that tells its number."""
    for part, times in (("LR", 1), ("HR", SCALE)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        picture = np.zeros((times * height, times * W, 3), np.uint8)
        picture[...] = 200, 120, 40 + number % 50
        Image.fromarray(picture).save(folder / part / f"{part}_{number}.jpg", quality=100)
        if part == last:
            return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (10, 9, VALIDATION - 1, VALIDATION, VALIDATION + 30):
        write_pair(tmp_path / "Train", number)
    for place, count in (("Urban", 2), ("Agriculture", 1)):
        for number in range(count):
            write_pair(tmp_path / "Test" / place, number)
    return tmp_path


def test_pictures_are_shares_of_255_in_the_order_of_sentinel2(folder: Path) -> None:
    pair = read_alsat2b(folder, "train")[0].load()
    assert (pair.kind, pair.site, pair.patch, pair.scale) == (PUBLISHED, "Train", "pair 9", SCALE)
    assert pair.series.bands == BANDS and pair.series.images.shape == (1, 3, H, W)
    assert pair.reference.shape == (3, SCALE * H, SCALE * W)
    assert pair.series.dates == (pair.target,) and pair.clear.all() and pair.series.clear.all()
    wanted = np.array([49, 120, 200]) / 255  # JPEG is off by a step or two
    np.testing.assert_allclose(pair.reference[:, 7, 11], wanted, atol=2.1 / 255)
    np.testing.assert_allclose(pair.series.images[0, :, 2, 5], wanted, atol=2.1 / 255)


def test_splits_share_no_picture_and_hold_all(folder: Path) -> None:
    held = {
        split: [(each.site, each.patch) for each in read_alsat2b(folder, split)]
        for split in ("train", "validation", "test")
    }
    assert held["train"] == [("Train", f"pair {n}") for n in (9, 10, VALIDATION - 1)]
    assert held["validation"] == [("Train", f"pair {n}") for n in (VALIDATION, VALIDATION + 30)]
    assert held["test"] == [
        ("Agriculture", "pair 0"),
        ("Urban", "pair 0"),
        ("Urban", "pair 1"),
    ]
    assert {each.split for each in read_alsat2b(folder, "test")} == {"test"}


def test_two_pictures_do_not_lie_on_the_same_ground(folder: Path) -> None:
    grids = [each.load().series.grid for each in read_alsat2b(folder, "train")]
    assert len({grid.transform.c for grid in grids}) == 3


def test_published_pairs_are_scored_as_they_are(folder: Path) -> None:
    pair = read_alsat2b(folder, "test")[0].load()
    ready = prepare(pair)
    assert ready.pair is pair and ready.contrasted is None
    estimate = pair.reference + np.float32(0.1)
    assert psnr(estimate, ready.pair.reference, ready.pair.clear) == pytest.approx(20, abs=1e-3)


def test_a_model_of_three_bands_is_scored_on_it_and_one_of_four_is_refused(folder: Path) -> None:
    three = make_card(bands=("B04", "B02"), sigma=(0.5, 0.5))
    assert len(sources_in(folder, "train", three, 3)) == 3
    assert len(sources_in(folder, "validation", three, 3)) == 2
    sources = sources_in(folder, None, three, 3)
    assert len(sources) == 3 and sources[0].load().reference.shape[0] == 2
    np.testing.assert_array_equal(
        sources[1].load().reference, read_alsat2b(folder, "test")[1].load().reference[[2, 0]]
    )
    with pytest.raises(InputError, match="not B08; give images that hold them"):
        sources_in(folder, "test", make_card(), 3)[0].load()


def test_what_is_wrong_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="all is not a split of Alsat-2B; choose from train"):
        read_alsat2b(folder, "all")
    with pytest.raises(InputError, match=r"is not Alsat-2B: it should hold Train/LR, Train/HR"):
        read_alsat2b(folder / "Test", "train")
    write_pair(folder / "Train", 77, last="LR")
    with pytest.raises(InputError, match=r"picture 77 of .* is there in one size only"):
        read_alsat2b(folder, "train")
    write_pair(folder / "Train", 77, height=5)
    write_pair(folder / "Train", 77, height=6, last="LR")
    with pytest.raises(InputError, match=r"is 20 × 36 pixels, LR_77\.jpg 6 × 9; wanted 4 times"):
        read_alsat2b(folder, "train")[2].load()
    grey = folder / "Train" / "LR" / "LR_77.jpg"
    Image.new("L", (W, H)).save(grey)
    with pytest.raises(InputError, match="has 1 colours; wanted red, green and blue"):
        read_alsat2b(folder, "train")[2].load()
    grey.write_text("no picture")
    with pytest.raises(InputError, match=r"LR_77\.jpg cannot be read"):
        read_alsat2b(folder, "train")[2].load()
    grey.rename(grey.with_name("LR_x.jpg"))
    with pytest.raises(InputError, match="LR_x bears no number"):
        read_alsat2b(folder, "train")
    (folder / "Test" / "Empty").mkdir()
    with pytest.raises(InputError, match="Empty holds no pictures"):
        read_alsat2b(folder, "test")
