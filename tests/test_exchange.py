"""What is written reads back as it was; what others write is understood, or refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

import sitsr
from conftest import BANDS, SIGMA, TARGET, landscape, make_series
from sitsr.baselines import nearest_bicubic
from sitsr.datasets.exchange import (
    export_pairs,
    fine_grid,
    place,
    read_pairs,
    safe_name,
)
from sitsr.datasets.pairs import Pair, Source
from sitsr.datasets.predictions import read_prediction, write_prediction
from sitsr.datasets.rasters import read_image, write_image
from sitsr.series import InputError

C, H, W, SCALE = 4, 9, 14, 3
FINE = (SCALE * H, SCALE * W)
GROUND = replace(make_series((H, W)), history=("made up",))
GRID = GROUND.grid.zoom_out(1 / SCALE)


def make_pair(**fields: Any) -> Pair:
    given = {
        "series": GROUND,
        "target": TARGET,
        "scale": SCALE,
        "site": "city/7",
        "patch": f"{TARGET}",
        "kind": "scale transfer, date held out",
        "reference": landscape((C, *FINE), 3),
        "clear": np.arange(SCALE * W) % 5 > np.arange(SCALE * H)[:, None] % 2,
        "sensor_sigma": SIGMA,
    }
    return Pair(**{**given, **fields})


def source(pair: Pair) -> Source:
    return Source(pair.kind, pair.site, pair.patch, lambda: pair)


def write_pair(
    folder: Path, reference: npt.NDArray[Any] | None = None, described: Any = BANDS, **told: Any
) -> Path:
    """A pair as somebody else might lay it: digital numbers, no masks, little said."""
    (folder / "series").mkdir(parents=True)
    for day, image in zip(GROUND.dates, GROUND.images, strict=True):
        dn = (10_000 * image).astype(np.uint16)
        write_image(folder / "series" / f"S2_{day:%Y%m%d}.tif", dn, GROUND.grid, BANDS)
    if reference is None:
        reference = landscape((C, *FINE), 3)
    grid = GROUND.grid.zoom_out(H / reference.shape[1])
    write_image(folder / "reference.tif", reference, grid, described)
    given = {"target": f"{TARGET}", "scale": SCALE, **told}
    known = {name: value for name, value in given.items() if value is not None}
    (folder / "pair.json").write_text(json.dumps(known))
    return folder


# ------------------------------------------------------------- round trip


@pytest.mark.parametrize("shape", [FINE, (H, W)], ids=["fine", "at the sensor"])
def test_what_was_exported_reads_back_equal_field_by_field(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    reference = landscape((C, *shape), 3)
    reference[:, 0, 1] = np.nan
    reference[1, 2, 3] = -0.0
    clear = np.arange(shape[1]) > np.arange(shape[0])[:, None]
    clear[0, 1] = False
    images = GROUND.images.copy()
    images[1, :, 4, 5] = 0  # black, and seen: no nodata
    images[2, :, 6, 7] = 5  # brighter than any rule about units would have
    pair = make_pair(
        series=replace(GROUND, images=images), reference=reference, clear=clear, kind="a / b"
    )
    told: list[tuple[int, int]] = []
    export_pairs([source(pair)], tmp_path / "out", lambda *done: told.append(done))
    (found,) = read_pairs(tmp_path / "out")
    again = found.load()
    assert (found.kind, found.site, found.patch) == (pair.kind, pair.site, pair.patch)
    for name in ("target", "scale", "site", "patch", "kind", "sensor_sigma", "at_sensor"):
        assert getattr(again, name) == getattr(pair, name), name
    for name in ("dates", "bands", "grid", "history"):
        assert getattr(again.series, name) == getattr(pair.series, name), name
    assert again.series.grid.transform == pair.series.grid.transform
    for ours, theirs in [
        (again.series.images, pair.series.images),
        (again.reference, pair.reference),
    ]:
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))
    np.testing.assert_array_equal(again.series.clear, pair.series.clear)
    np.testing.assert_array_equal(again.clear, pair.clear)
    assert told == [(0, 1), (1, 1)]


def test_the_exported_series_opens_as_any_series_does(tmp_path: Path) -> None:
    export_pairs([source(make_pair())], tmp_path / "out")
    (folder,) = (tmp_path / "out").rglob("series")
    series = sitsr.open_series(folder)
    np.testing.assert_array_equal(series.images, GROUND.images)
    np.testing.assert_array_equal(series.clear, GROUND.clear)
    assert (series.dates, series.bands, series.grid) == (GROUND.dates, BANDS, GROUND.grid)


def test_pairs_are_laid_by_kind_site_and_patch_under_safe_names(tmp_path: Path) -> None:
    assert safe_name("scale transfer, date held out") == "scale-transfer-date-held-out"
    assert safe_name("../Île/α 1") == "Île-α-1"
    assert safe_name("..") == "unnamed"
    export_pairs([source(make_pair())], tmp_path / "out", licence="CC BY 4.0")
    folder = tmp_path / "out/scale-transfer-date-held-out/city-7/2021-07-18"
    assert folder == tmp_path / "out" / place(
        "scale transfer, date held out", "city/7", "2021-07-18"
    )
    told = json.loads((folder / "pair.json").read_text())
    assert (told["site"], told["licence"]) == ("city/7", "CC BY 4.0")
    assert (folder / "series/2021-07-18_clear.tif").is_file()
    with rasterio.open(folder / "reference.tif") as file:
        assert file.descriptions == BANDS and file.crs.to_epsg() == 32631
        assert file.transform.a == pytest.approx(10 / SCALE) and file.shape == FINE


def test_pairs_of_one_split_are_read_and_nothing_of_them_before_it_is_asked_for(
    tmp_path: Path,
) -> None:
    one, two = make_pair(site="one"), make_pair(site="two")
    export_pairs([source(one)], tmp_path / "all/first", split="validation")
    export_pairs([source(two)], tmp_path / "all/second", split="test")
    for path in (tmp_path / "all").rglob("reference.tif"):
        path.unlink()
    assert [each.site for each in read_pairs(tmp_path / "all", "test")] == ["two"]
    assert [each.site for each in read_pairs(tmp_path / "all")] == ["one", "two"]
    with pytest.raises(InputError, match="no split train; it holds test, validation"):
        read_pairs(tmp_path / "all", "train")


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Pair:
        raise InputError("the archive is cut short")

    sources = [source(make_pair()), Source("a", "b", "c", broken)]
    with pytest.raises(InputError, match="cut short"):
        export_pairs(sources, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_export_writes_over_nothing_and_mixes_no_two_pairs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export_pairs([source(make_pair())], out)
    export_pairs([source(make_pair(site="other"))], out)  # a former export is replaced
    assert [each.site for each in read_pairs(out)] == ["other"]
    for name in ("series/notes.txt", "mine.tif", "../reference.tif"):
        (foreign := next(out.rglob("pair.json")).parent / name).touch()
        with pytest.raises(InputError, match=rf"{foreign.name}, which is no former export"):
            export_pairs([source(make_pair())], out)
        foreign.unlink()
    write_pair(tmp_path / "own/site/patch")
    with pytest.raises(InputError, match="which is no former export and would be lost"):
        export_pairs([source(make_pair())], tmp_path / "own")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file; name a folder"):
        export_pairs([source(make_pair())], tmp_path / "file")
    assert {each.name for each in tmp_path.iterdir()} == {"out", "own", "file"}
    pairs = [source(make_pair(patch=name)) for name in ("image 1", "Image-1")]
    with pytest.raises(InputError, match=r"2 pairs would be written to .*image-1"):
        export_pairs(pairs, tmp_path / "other")
    with pytest.raises(InputError, match="no pairs to export"):
        export_pairs([], tmp_path / "other")


# ------------------------------------------------------------- pairs of one's own


def test_a_pair_of_ones_own_needs_little(tmp_path: Path) -> None:
    write_pair(tmp_path / "valley/summer")
    (found,) = read_pairs(tmp_path)
    pair = found.load()
    assert (found.kind, found.site, found.patch) == ("real pair", "valley", "summer")
    assert (pair.target, pair.scale, pair.sensor_sigma) == (TARGET, SCALE, SIGMA)
    np.testing.assert_allclose(pair.series.images, GROUND.images, atol=1.01e-4)
    np.testing.assert_array_equal(pair.reference, landscape((C, *FINE), 3))
    assert pair.clear.all()


def test_bands_are_those_that_the_reference_describes_in_its_order(tmp_path: Path) -> None:
    reference = landscape((2, *FINE), 3)
    write_pair(tmp_path / "a/b", reference, ("red", "B2"))
    (found,) = read_pairs(tmp_path)
    pair = found.load()
    assert pair.series.bands == ("B04", "B02") and pair.reference.shape == (2, *FINE)
    np.testing.assert_array_equal(pair.reference, reference)
    red = (10_000 * GROUND.images[:, 2]).astype(np.uint16) / 1e4
    np.testing.assert_allclose(pair.series.images[:, 0], red, atol=1e-6)


def test_bands_of_a_silent_reference_are_those_that_the_json_names(tmp_path: Path) -> None:
    write_pair(tmp_path / "a/b", landscape((2, *FINE), 3), ("", ""))
    (found,) = read_pairs(tmp_path)
    with pytest.raises(InputError, match="2 bands without names, wanted B02, B03, B04, B08"):
        found.load()
    told = {"target": f"{TARGET}", "scale": SCALE, "bands": ["B08", "B03"]}
    (tmp_path / "a/b/pair.json").write_text(json.dumps(told))
    (found,) = read_pairs(tmp_path)
    assert found.load().series.bands == ("B08", "B03")


@pytest.mark.parametrize(
    ("kind", "step"), [(np.uint8, 1 / 255), (np.uint16, 1e-4), (np.int16, 1e-4)]
)
def test_a_reference_of_whole_numbers_is_not_scored_where_all_bands_are_0(
    tmp_path: Path, kind: type[np.generic], step: float
) -> None:
    stored = np.arange(C * FINE[0] * FINE[1]).reshape(C, *FINE) % 200 + 1
    stored[0, 1, 2] = 0  # dark in one band
    stored[:, 3, 4] = 0
    write_pair(tmp_path / "a/b", stored.astype(kind))
    (found,) = read_pairs(tmp_path)
    pair = found.load()
    np.testing.assert_allclose(pair.reference, stored * step, rtol=1e-6)
    assert pair.clear[1, 2] and not pair.clear[3, 4] and pair.clear.sum() == pair.clear.size - 1


def test_a_reference_is_not_scored_where_it_is_nan(tmp_path: Path) -> None:
    reference = landscape((C, *FINE), 3)
    reference[1, 2, 3] = np.nan
    folder = write_pair(tmp_path / "a/b", reference)
    for masked in (False, True):
        pair = read_pairs(tmp_path)[0].load()
        assert not pair.clear[2, 3] and pair.clear.sum() == pair.clear.size - 1
        assert masked or pair.reference[1, 2, 3] == 0
        everywhere = np.ones((1, *FINE), np.uint8)
        write_image(folder / "reference_clear.tif", everywhere, GRID, ("clear",))


def test_a_mask_beside_the_reference_settles_what_is_scored(tmp_path: Path) -> None:
    folder = write_pair(tmp_path / "a/b")
    clear = np.arange(FINE[1]) > np.arange(FINE[0])[:, None]
    write_image(folder / "reference_clear.tif", clear[None].astype(np.uint8), GRID, ("clear",))
    (found,) = read_pairs(tmp_path)
    np.testing.assert_array_equal(found.load().clear, clear)


def moved(folder: Path, rows: float = 0, **profile: Any) -> None:
    """Write the reference again, this many fine pixels further south, or otherwise changed."""
    path = folder / "reference.tif"
    with rasterio.open(path) as file:
        values, given = file.read(), file.profile
    given["transform"] = given["transform"] * rasterio.Affine.translation(0, rows)
    with rasterio.open(path, "w", **{**given, **profile}) as file:
        file.write(values)


FAULTS: list[tuple[dict[str, Any], Callable[[Path], object], str]] = [
    ({}, lambda f: (f / "reference.tif").unlink(), "no reference.tif; a pair needs"),
    (
        {"scale": 2},
        lambda f: None,
        "27 × 42 pixels, its series 9 × 14 and the scale 2; wanted 18 × 28",
    ),
    ({}, lambda f: moved(f, crs="EPSG:32632"), "lies in EPSG:32632, wanted EPSG:32631; warp it"),
    ({}, partial(moved, rows=1.5), "mismatched grids: reference.tif lies 1.5 pixels off"),
    ({"bands": ["B02", "B11"]}, lambda f: None, "but not B11"),
    ({"sensor_sigma": [0.5]}, lambda f: None, "1 numbers for the 4 bands"),
    (
        {"kind": "simulated", "reference": np.ones((C, *FINE), np.uint8)},
        lambda f: None,
        "a picture",
    ),
    ({}, lambda f: (f / "reference.tif").write_text("no"), "cannot be read"),
    ({}, lambda f: [p.unlink() for p in (f / "series").iterdir()], "no GeoTIFF"),
    ({"format": "sitsr pair 1"}, lambda f: None, "leave the format out"),
]


@pytest.mark.parametrize(("told", "harm", "message"), FAULTS)
def test_what_is_wrong_with_a_pair_is_said_with_its_folder(
    tmp_path: Path, told: dict[str, Any], harm: Callable[[Path], object], message: str
) -> None:
    harm(write_pair(tmp_path / "site/patch", **told))
    (found,) = read_pairs(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        found.load()
    assert "site/patch: " in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"target": "18.07.2021"}, "target '18.07.2021'; write a date"),
        ({"target": None}, "target None"),
        ({"scale": 2.5}, "scale 2.5; write a whole number"),
        ({"scale": 0}, "scale 0"),
        ({"format": "sitsr pair 9"}, 'the format "sitsr pair 9"; wanted "sitsr pair 1", or none'),
        ({"sensor_sigma": 0.5}, "sensor_sigma 0.5; write a list"),
        ({"bands": "B02,B03"}, "bands 'B02,B03'; write a list"),
    ],
)
def test_a_pair_that_says_too_little_is_refused_at_once(
    tmp_path: Path, told: dict[str, Any], message: str
) -> None:
    write_pair(tmp_path / "site/patch", **told)
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path)


def test_a_folder_without_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no pair.json in .*; give a folder of pairs"):
        read_pairs(tmp_path)
    write_pair(tmp_path / "alone")
    with pytest.raises(InputError, match="names no site, the unit of all statistics"):
        read_pairs(tmp_path)
    for number in (1, 2):
        write_pair(tmp_path / f"alone/{number}", site="s", patch="p")
    (tmp_path / "alone/pair.json").unlink()
    with pytest.raises(InputError, match=r"2 pairs in .* are called real pair, s, p"):
        read_pairs(tmp_path)
    with pytest.raises(InputError, match="no split test; no pair names one"):
        (tmp_path / "alone/1/pair.json").unlink()
        read_pairs(tmp_path, "test")
    for text, message in [("{", "is not JSON"), ("[]", "holds a list")]:
        (tmp_path / "alone/2/pair.json").write_text(text)
        with pytest.raises(InputError, match=message):
            read_pairs(tmp_path)


# ------------------------------------------------------------- predictions


def test_a_prediction_reads_back_as_it_was_written(tmp_path: Path) -> None:
    task = make_pair().task
    mean, samples = landscape((C, *FINE), 1), landscape((11, C, *FINE), 2)
    path = write_prediction(tmp_path, task, mean, samples)
    assert path == tmp_path / "scale-transfer-date-held-out/city-7/2021-07-18.tif"
    again, members = read_prediction(tmp_path, task)
    np.testing.assert_array_equal(again, mean)
    np.testing.assert_array_equal(members, samples)  # 10 comes after 9, not after 1
    write_prediction(tmp_path, task, mean)
    assert read_prediction(tmp_path, task)[1].shape == (0, C, *FINE)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_whole_numbers_count_by_the_files_own_scale_and_nodata_is_nan(tmp_path: Path) -> None:
    path, stored = tmp_path / "a.tif", np.full((C, *FINE), 2500, np.uint16)
    stored[1, 2, 3] = 65535
    write_image(path, stored, GRID, BANDS)
    with rasterio.open(path, "r+") as file:
        file.nodata = 65535
    image = read_image(path, GRID, BANDS)
    assert np.isnan(image[1, 2, 3]) and np.isnan(image).sum() == 1
    assert np.nanmin(image) == np.nanmax(image) == pytest.approx(0.25)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = [2e-4] * C, [-0.1] * C
    assert np.nanmax(read_image(path, GRID, BANDS)) == pytest.approx(0.4)


def test_bands_of_a_prediction_are_found_by_name(tmp_path: Path) -> None:
    image = landscape((C, *FINE))
    write_image(tmp_path / "a.tif", image[::-1], GRID, ("nir", "red", "green", "blue"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", GRID, BANDS), image)


def test_a_thousandth_of_a_pixel_is_the_most_that_a_grid_may_be_off(tmp_path: Path) -> None:
    for off, fits in [(0.0009, True), (0.0011, False)]:
        grid = GRID.translate_pix(off, 0)
        write_image(tmp_path / "a.tif", landscape((C, *FINE)), grid, BANDS)
        if fits:
            assert read_image(tmp_path / "a.tif", GRID, BANDS).shape == (C, *FINE)
        else:
            with pytest.raises(InputError, match=r"lies 0.0011 pixels off"):
                read_image(tmp_path / "a.tif", GRID, BANDS)


@pytest.mark.parametrize(
    ("image", "bands", "message"),
    [
        (
            np.ones((C, H, W), np.float32),
            BANDS,
            "mismatched grids: .* 9 × 14 pixels, wanted 27 × 42",
        ),
        (np.ones((3, *FINE), np.float32), BANDS[:3], "describes no band as B08"),
        (np.ones((3, *FINE), np.float32), ("", "", ""), "3 bands without names"),
        (np.ones((C, *FINE), np.uint8), BANDS, "8-bit values, a picture; wanted reflectance"),
    ],
)
def test_a_prediction_that_does_not_fit_is_refused(
    tmp_path: Path, image: npt.NDArray[Any], bands: tuple[str, ...], message: str
) -> None:
    task = make_pair().task
    path = write_prediction(tmp_path, task, landscape((C, *FINE)))
    write_image(path, image, fine_grid(task), bands)
    with pytest.raises(InputError, match=message):
        read_prediction(tmp_path, task)


def test_a_missing_prediction_or_member_is_named(tmp_path: Path) -> None:
    pair = make_pair()
    mean = landscape((C, *FINE))
    write_prediction(tmp_path, pair.task, mean, np.stack([mean] * 3))
    other = replace(pair, patch="image 2").task
    with pytest.raises(
        InputError, match=r"no prediction for image 2 of city/7: .* \(predictions there: 1\)"
    ):
        read_prediction(tmp_path, other)
    next(tmp_path.rglob("*_sample_1.tif")).unlink()
    with pytest.raises(InputError, match="has the samples 0, 2, and some in between are missing"):
        read_prediction(tmp_path, pair.task)


def test_the_code_of_the_page_predicts_every_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[1] / "docs/pairs.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    pair = make_pair()
    export_pairs([source(pair), source(replace(pair, site="two"))], tmp_path / "pairs")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/pairs.md", "exec"), {})
    for site in ("city/7", "two"):
        mean, _ = read_prediction(tmp_path / "predictions", replace(pair, site=site).task)
        np.testing.assert_array_equal(mean, nearest_bicubic(GROUND, TARGET, SCALE))


def test_the_minimum_that_the_page_shows_is_enough(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/pairs.md").read_text()
    (shown,) = re.findall(r"^ {4}(\{.*\})$", page, re.MULTILINE)
    assert json.loads(shown) == {"target": f"{TARGET}", "scale": 4}
    write_pair(tmp_path / "site/patch", landscape((C, 4 * H, 4 * W)), scale=4)
    assert read_pairs(tmp_path)[0].load().scale == 4
