"""MuS2: dates from names, in order; a mask's white is what is left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from miniatures.mus2 import COLS, ROWS, SCALE, SCENES, SENSED, SHOWN, make_mus2
from miniatures.scenery import coarse, fine
from sitsr.datasets import REAL, Pair, is_mus2, read_mus2
from sitsr.evaluation.alignment import prepare
from sitsr.series import InputError

Make = Callable[..., Path]
BANDS = ("B02", "B03", "B04", "B08")
DATES = tuple(date.fromisoformat(each[:8]) for each in SENSED)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def with_defects(*defects: str) -> Path:
        make_mus2(tmp_path, defects=frozenset(defects))
        return tmp_path

    return with_defects


def scene(folder: Path, number: int = 0, bands: tuple[str, ...] = BANDS) -> Pair:
    (found,) = (each for each in read_mus2(folder, bands=bands) if each.patch == SCENES[number])
    return found.load()


def test_scenes_of_one_tile_are_one_site(make: Make) -> None:
    folder = make()
    assert is_mus2(folder) and is_mus2(folder / "image_data") and not is_mus2(folder / "masks")
    sources = read_mus2(folder)
    assert [(each.site, each.patch) for each in sources] == [("0_31UFT", s) for s in SCENES[::-1]]
    assert {(each.kind, each.split) for each in sources} == {(REAL, None)}
    days = {each.patch: each.tags["date of WorldView-2"] for each in sources}
    assert days == {SCENES[0]: "2018-09-05", SCENES[1]: "2010-07-29"}


def test_images_stand_in_order_of_time_under_their_own_dates(make: Make) -> None:
    series = scene(make()).series
    assert series.dates == tuple(sorted(DATES)) and series.bands == BANDS
    for day, image in zip(series.dates, series.images, strict=True):
        truth = fine(SHOWN[DATES.index(day)], BANDS, (SCALE * ROWS, SCALE * COLS))
        np.testing.assert_allclose(image, coarse(truth, SCALE), atol=0.51e-4)
    assert series.grid.crs.epsg == 32631


def test_the_reference_is_each_bands_partner(make: Make) -> None:
    folder = make()
    pair = scene(folder)
    truth = fine(3, BANDS, (SCALE * ROWS, SCALE * COLS))
    low, high = (getattr(truth, side)((1, 2), keepdims=True) for side in ("min", "max"))
    np.testing.assert_allclose(pair.reference, (truth - low) / (high - low), atol=1.01 / 255)
    turned = scene(folder, bands=("B08", "B03"))
    np.testing.assert_array_equal(turned.reference, pair.reference[[3, 1]])
    np.testing.assert_array_equal(turned.series.images, pair.series.images[:, [3, 1]])


def test_white_is_left_out_in_any_band(make: Make) -> None:
    folder = make()
    whole, blue = scene(folder).clear, scene(folder, bands=("B02",)).clear
    assert not whole[:20, 40:].any() and whole[20:].all() and whole[:, :40].all()
    assert not blue[:5, 40:].any() and blue[5:].all()


def test_a_white_mask_leaves_nothing_and_none_leaves_all(make: Make) -> None:
    folder = make("a mask is white")
    assert not scene(folder).clear.any() and scene(folder, bands=("B02",)).clear.any()


def test_masks_may_be_missing(make: Make) -> None:
    assert scene(make("no masks")).clear.all()


def test_likely_cloud_is_not_clear(make: Make) -> None:
    series = scene(make()).series
    clouded = series.dates.index(DATES[1])
    assert not series.clear[clouded, :8, :14].any()
    assert series.clear.sum() == series.clear.size - 8 * 14


def test_without_a_layer_of_clouds_all_that_was_seen_is_clear(make: Make) -> None:
    assert scene(make("no clouds")).series.clear.all()


def test_the_date_asked_for_is_the_references_or_the_nearest_that_was_seen(make: Make) -> None:
    folder = make()
    assert scene(folder, 0).target == date(2018, 9, 5)
    assert scene(folder, 1).target == min(DATES)


def test_the_offset_of_a_later_baseline_is_taken_away(make: Make) -> None:
    images = scene(make("a later baseline")).series.images
    truth = coarse(fine(1, BANDS, (SCALE * ROWS, SCALE * COLS)), SCALE)
    np.testing.assert_allclose(images[0], truth, atol=0.51e-4)


def test_one_of_two_products_of_a_day_is_kept(make: Make) -> None:
    assert scene(make("two products of one day")).series.dates == tuple(sorted(DATES))


def test_scenes_that_lie_nowhere_have_ground_each_of_their_own(make: Make) -> None:
    folder = make("nothing says where it lies")
    one, other = (scene(folder, number).series for number in (0, 1))
    assert one.grid.transform != other.grid.transform and "made up" in one.history[0]


def test_the_pair_is_scored_after_registration(make: Make) -> None:
    ready = prepare(scene(make("no masks")))
    assert ready.contrasted is not None and ready.figures["gain_B08"] > 0


REFUSED = {
    "a date is missing in one band": r"has no S2A_MSIL2A_2018\w+\.jp2 in B03",
    "a name without a date": r"has an image S2A_MSIL2A\.jp2, which names no date",
    "an image lies elsewhere": "lies 1 pixels off; warp it",
    "an image is cut short": r"b3/lrs/S2A_\w+\.jp2 cannot be read",
    "rows and columns are swapped": "is 66 × 90 pixels; wanted 90 × 66, 3 times",
    "a mask of another size": r"mask_0_31UFT_.*\.png is 65 × 90 pixels; wanted 66 × 90",
    "references are floats": "mul_band_1 holds float32; wanted 8 bits",
}


@pytest.mark.parametrize("defect", REFUSED)
def test_what_is_broken_is_refused_when_it_is_read(make: Make, defect: str) -> None:
    folder = make(defect)
    with pytest.raises(InputError, match=REFUSED[defect]) as caught:
        scene(folder)
    assert "\n" not in str(caught.value)


def test_what_is_asked_wrongly_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not MuS2: it should hold folders SCENE/hr_resized"):
        read_mus2(tmp_path)
    folder = make()
    with pytest.raises(InputError, match="names no splits, so none is called test"):
        read_mus2(folder, "test")
    with pytest.raises(InputError, match="B05, B11 has no partner in MuS2; choose from B02, B03"):
        read_mus2(folder, bands=("B02", "B05", "B11"))
    for path in (folder / "image_data" / SCENES[0]).glob("b*/lrs/*"):
        path.unlink()
    with pytest.raises(InputError, match="has no images in B02"):
        scene(folder)
