"""BreizhSR: tables are read once and safely, and every image has the date that its key says."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from miniatures.breizhsr import (
    COLS,
    KEYS,
    ONE,
    PATCHES,
    RED_GREEN_BLUE,
    ROWS,
    SCALE,
    TARGET,
    make_breizhsr,
)
from miniatures.scenery import coarse, fine
from sitsr.datasets import REAL, Source, is_breizhsr, read_breizhsr
from sitsr.datasets.breizhsr import CELL
from sitsr.datasets.breizhsr_tables import _write, read_rows
from sitsr.evaluation.alignment import prepare
from sitsr.series import InputError

Make = Callable[..., Path]
FIRST = f"train {ONE}"
DATES = tuple(TARGET + timedelta(days=key) for key in sorted(KEYS))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def with_defects(*defects: str) -> Path:
        make_breizhsr(tmp_path, defects=frozenset(defects))
        return tmp_path

    return with_defects


def first(folder: Path) -> Source:
    (found,) = (source for source in read_breizhsr(folder) if source.patch == FIRST)
    return found


def seen_from_above(k: int, number: int = 0) -> np.ndarray:
    """Blue, green and red of the image that was written under the key of this place."""
    whole = fine(k, RED_GREEN_BLUE, (SCALE * ROWS, SCALE * COLS), (9 * number, 5 * number))
    return coarse(whole, SCALE)[::-1, :20, :26]


def test_every_patch_is_listed_with_its_place_and_split(make: Make) -> None:
    folder = make()
    assert is_breizhsr(folder) and not is_breizhsr(folder / "S2")
    sources = read_breizhsr(folder)
    assert [(each.patch, each.split) for each in sources] == [
        (FIRST, "train"),
        (f"train {ONE + 5}", "validation"),
        (f"test {ONE}", "test"),
    ]
    assert {each.kind for each in sources} == {REAL}
    assert [read_breizhsr(folder, each.split)[0].patch for each in sources] == [
        each.patch for each in sources
    ]
    # Brittany, and each its own 740 m
    for west, south, east, north in (each.bounds or () for each in sources):
        assert -5.2 < west < east < -1 and 47 < south < north < 49
        assert 0.005 < east - west < 0.02 and 0.005 < north - south < 0.02


def test_neighbours_are_one_site_and_others_are_not(make: Make) -> None:
    sites = [each.site for each in read_breizhsr(make())]
    assert sites == ["E250 N6790", "E250 N6790", "E280 N6810"]
    for (x, y, _), site in zip((*PATCHES["train"], *PATCHES["test"]), sites, strict=True):
        east, north = (1000 * int(part[1:]) for part in site.split())
        assert 0 <= x - east < CELL and 0 <= y - north < CELL


@pytest.mark.parametrize(
    "defects", [(), ("keys count towards SPOT-6",), ("keys without a sign",), ("dates are padded",)]
)
def test_images_have_the_dates_of_their_keys_however_these_count(
    make: Make, defects: tuple[str, ...]
) -> None:
    pair = first(make(*defects)).load()
    assert pair.series.dates == DATES and pair.target == TARGET and pair.scale == SCALE
    for key, image in zip(sorted(KEYS), pair.series.images, strict=True):
        np.testing.assert_allclose(image, seen_from_above(KEYS.index(key)), atol=1e-4)


def test_a_row_whose_dates_fit_both_ways_is_read_by_the_way_of_the_others(make: Make) -> None:
    pair = first(make("a row's dates mirror each other")).load()
    assert pair.series.dates == (TARGET - timedelta(days=8), TARGET + timedelta(days=8))
    np.testing.assert_allclose(pair.series.images[1], seen_from_above(0), atol=1e-4)


def test_bands_units_and_sizes_are_those_of_the_house(make: Make) -> None:
    pair = first(make()).load()
    assert pair.series.bands == ("B02", "B03", "B04") and pair.series.clear.all()
    assert pair.reference.shape == (3, 80, 104) and pair.series.images.shape == (4, 3, 20, 26)
    truth = fine(3, RED_GREEN_BLUE, (SCALE * ROWS, SCALE * COLS))[::-1, :80, :104]
    np.testing.assert_allclose(pair.reference, truth, atol=0.51 / 255)
    assert pair.series.grid.crs.epsg == 2154 and len(pair.sensor_sigma) == 3
    middle = pair.series.grid.boundingbox
    x, y, _ = PATCHES["train"][0]
    assert ((middle.left + middle.right) / 2, (middle.bottom + middle.top) / 2) == (x, y)


def test_the_pair_is_scored_after_registration(make: Make) -> None:
    ready = prepare(first(make()).load())
    assert ready.contrasted is not None and max(map(abs, ready.figures.values())) < 3


def test_an_image_that_begins_elsewhere_is_laid_where_it_lies(make: Make) -> None:
    series = first(make("an image begins a pixel off")).load().series
    late = series.dates.index(TARGET + timedelta(days=KEYS[2]))
    assert series.history == ("The ground is that of the images.",)
    assert not series.clear[late, :, 0].any() and series.clear[late, :, 1:].all()
    wanted = seen_from_above(2)
    np.testing.assert_allclose(series.images[late, ..., 1:], wanted[..., 1:], atol=1e-4)


def test_an_image_between_pixels_is_warped(make: Make) -> None:
    series = first(make("an image lies between pixels")).load().series
    late = series.dates.index(TARGET + timedelta(days=KEYS[2]))
    shown = series.images[late, 0, 5:-5, 5:-5]
    beside = seen_from_above(2)[0]
    mixed = 0.4 * beside[5:-5, 4:-6] + 0.6 * beside[5:-5, 5:-5]
    assert np.abs(shown - mixed).mean() < 0.5 * np.abs(shown - beside[5:-5, 5:-5]).mean()


def test_a_table_of_an_older_pandas_says_the_same(make: Make) -> None:
    pair = first(make("a table of pandas 1")).load()
    assert pair.series.dates == DATES


def test_without_a_split_a_table_is_what_its_name_says(make: Make) -> None:
    splits = [each.split for each in read_breizhsr(make("no split"))]
    assert splits == ["train", "train", "test"]


def test_the_pickle_is_read_once_and_again_when_it_is_newer(make: Make) -> None:
    folder = make()
    table, beside = folder / "dataset_train.pkl", folder / "dataset_train.parquet"
    rows = read_rows(table)
    assert beside.is_file() and not list(folder.glob(".*"))
    old = beside.stat().st_mtime_ns
    table.write_bytes(b"never read")
    os.utime(table, ns=(old - 10**9, old - 10**9))
    assert read_rows(table) == rows
    os.utime(table, ns=(old + 10**9, old + 10**9))
    with pytest.raises(InputError, match="is no pickled table"):
        read_rows(table)


def test_a_parquet_of_somebody_elses_is_not_believed(make: Make) -> None:
    folder = make()
    table, beside = folder / "dataset_train.pkl", folder / "dataset_train.parquet"
    beside.write_bytes(b"PAR1 not ours")
    rows = read_rows(table)
    assert [row.split for row in rows] == ["train", "val"] and read_rows(table) == rows
    _write(beside, [replace(rows[0], x=float("nan")), rows[1]])
    assert read_rows(table) == rows


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make()

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "replace", refuse)
    assert len(read_breizhsr(folder)) == 3
    assert not list(folder.glob("*.parquet")) and not list(folder.glob(".*"))


REFUSED_WHEN_LISTED = {
    "a table runs a command": r"dataset_train\.pkl is refused: it names \w+\.system",
    "a table is cut short": r"dataset_train\.pkl is no pickled table",
    "all dates are another's": "to none of dates_sen2 in most rows; row 7 has the keys -41, -8",
    "all dates mirror each other": "from SPOT-6 or towards it, and dates_sen2 fits both",
}
REFUSED_WHEN_READ = {
    "a row's dates are another's": f"BreizhSR's {FIRST} has the keys .* cannot be dated; leave it",
    "one image under two dates": "has one image under two dates; leave it out",
    "no images": "has no image of Sentinel-2; leave it out",
    "rows and columns are swapped": r"is 27 × 21 pixels; wanted about 20 × 26",
    "a path leads outside": r'"\.\./S2/.*lies outside that folder',
    "a raster is cut short": r"train_0\.tif cannot be read",
}


@pytest.mark.parametrize("defect", REFUSED_WHEN_LISTED)
def test_a_table_that_cannot_be_trusted_is_refused(make: Make, defect: str) -> None:
    folder = make(defect)
    with pytest.raises(InputError, match=REFUSED_WHEN_LISTED[defect]) as caught:
        read_breizhsr(folder)
    assert "\n" not in str(caught.value) and not (folder / "OWNED").exists()


@pytest.mark.parametrize("defect", REFUSED_WHEN_READ)
def test_one_bad_patch_is_refused_and_the_others_are_read(make: Make, defect: str) -> None:
    sources = read_breizhsr(make(defect))
    with pytest.raises(InputError, match=REFUSED_WHEN_READ[defect]) as caught:
        sources[0].load()
    assert "\n" not in str(caught.value)
    assert all(source.load().series.dates == DATES for source in sources[1:])


def test_what_is_asked_wrongly_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not BreizhSR: it should hold dataset_train"):
        read_breizhsr(tmp_path)
    folder = make()
    with pytest.raises(InputError, match="val is not a split of BreizhSR; choose from train, vali"):
        read_breizhsr(folder, "val")
    (folder / "dataset_test.pkl").unlink()
    with pytest.raises(InputError, match="no patches of the split test; get its other table too"):
        read_breizhsr(folder, "test")
