"""SAFE and Theia products, as folders and zips: what is read, and one clear line for bad input."""

from __future__ import annotations

import os
import shutil
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from miniatures import safe as safes
from miniatures import theia as theias
from miniatures.safe import Kind, make_safe
from miniatures.scenery import fine
from miniatures.theia import make_theia, product_name
from sitsr.scenes import open_series, recognise
from sitsr.scenes.frames import Frame
from sitsr.scenes.sources.products import LARGEST
from sitsr.scenes.sources.safe import parse_products, parse_safe
from sitsr.scenes.sources.theia import parse_theia
from sitsr.series import InputError

TEN = ("B02", "B03", "B04", "B08")
L2A = ("B01", *TEN[:3], "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
SHAPE = (safes.ROWS, safes.COLS)


def one(path: Path) -> Frame:
    """The frame of a path that holds one product."""
    (frame,), _ = recognise(path)(path)
    return frame


def refused(path: Path, words: str, **options: object) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        open_series(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


def defect(*names: str) -> frozenset[str]:
    return frozenset(names)


# ---------------------------------------------------------------------------- SAFE


@pytest.mark.parametrize("zipped", [False, True])
def test_a_product_names_a_file_for_every_band_and_its_units(tmp_path: Path, zipped: bool) -> None:
    path = make_safe(tmp_path, Kind(twenty=True), zipped=zipped)
    (frame,), notes = parse_safe(path)
    assert frame.source == str(path) and frame.bands == L2A
    assert frame.date == date(2023, 8, 18)
    assert frame.grid.shape == SHAPE and frame.grid.transform.a == 10
    assert frame.grid.crs is not None and frame.grid.crs.epsg == 32631
    assert (frame.nodata, frame.quantum, frame.offset) == (0, 1e-4, -1000)
    assert frame.cloud == 0.0625 and frame.decided == ()
    assert frame.cover and frame.cover.kind == "SCL" and "R20m" in frame.cover.file
    assert len(list(tmp_path.rglob("*.jp2"))) == (0 if zipped else 25)  # nothing is unpacked
    assert notes == (f"bands read as {', '.join(L2A)}",)


def test_each_band_is_read_at_the_finest_that_it_exists_in(tmp_path: Path) -> None:
    frame = one(make_safe(tmp_path, Kind(twenty=True)))
    sizes = {b: Path(f).parent.name for b, f in zip(frame.bands, frame.files, strict=True)}
    expected = {**dict.fromkeys(L2A, "R20m"), **dict.fromkeys(TEN, "R10m")}
    assert sizes == {**expected, "B01": "R60m", "B09": "R60m"}


def test_all_bands_open_on_the_grid_of_10_m(tmp_path: Path) -> None:
    series = open_series(make_safe(tmp_path, Kind(twenty=True)))
    assert series.bands == L2A and series.grid.shape == SHAPE
    where = safes.seen()
    where[28:, 36:] = False
    near = series.images[0, series.bands.index("B8A")]
    truth = fine(1, ("B8A",), SHAPE)[0]
    assert np.corrcoef(near[where], truth[where])[0, 1] > 0.9
    assert abs(near[where].mean() - truth[where].mean()) < 2e-3


def test_scene_classes_tell_the_clear_sky(tmp_path: Path) -> None:
    clear = open_series(make_safe(tmp_path)).clear[0]
    expected = safes.seen()
    rows, cols = safes.CLOUD
    expected[: 2 * rows.stop, : 2 * cols.stop] = False
    np.testing.assert_array_equal(clear, expected)


def test_an_l1c_product_is_read_and_said_to_be_top_of_atmosphere(tmp_path: Path) -> None:
    frame = one(make_safe(tmp_path, Kind(level="L1C", twenty=True)))
    assert frame.bands == L2A and frame.cover is None and frame.offset == -1000
    assert frame.decided == (
        "images are top of atmosphere (L1C), but the models are made for surface reflectance (L2A)",
    )


def test_a_series_of_l1c_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for sensed in ("20230818T100031", "20230823T100031"):
        make_safe(tmp_path, Kind(level="L1C", sensed=sensed))
    with caplog.at_level("WARNING", logger="sitsr"):
        open_series(tmp_path)
    assert caplog.text.count("top of atmosphere") == 1


def test_names_of_2017_are_read(tmp_path: Path) -> None:
    kind = Kind(sensed="20170823T094031", baseline="02.05", offset=None, old_names=True)
    frame = one(make_safe(tmp_path, kind))
    assert frame.bands == TEN and frame.date == date(2017, 8, 23)
    assert (frame.quantum, frame.offset) == (1e-4, 0) and frame.cover is not None


def test_a_product_without_scene_classes_falls_back_on_the_spectral_rule(tmp_path: Path) -> None:
    path = make_safe(tmp_path, defects=defect("no scene classes"))
    assert "clear sky by the spectral rule" in open_series(path).history


def test_a_renamed_product_is_known_by_what_it_holds(tmp_path: Path) -> None:
    folder = make_safe(tmp_path / "a").rename(tmp_path / "mine")
    assert recognise(folder) is parse_products and one(folder).date == date(2023, 8, 18)
    zipped = make_safe(tmp_path / "b", zipped=True).rename(tmp_path / "b/mine.zip")
    assert recognise(zipped) is parse_products and one(zipped).bands == TEN


def test_a_folder_of_folders_and_zips_is_one_series(tmp_path: Path) -> None:
    make_safe(tmp_path / "2018", Kind(sensed="20180818T100031", baseline="02.08", offset=None))
    make_safe(tmp_path / "2023", zipped=True)
    make_safe(tmp_path, Kind(sensed="20230823T100031"))
    frames, _ = recognise(tmp_path)(tmp_path)
    days = {date(2018, 8, 18), date(2023, 8, 18), date(2023, 8, 23)}
    assert len(frames) == 3 and {frame.date for frame in frames} == days


def test_a_zip_beside_its_own_folder_is_not_read_again(tmp_path: Path) -> None:
    make_safe(tmp_path, zipped=True)
    folder = make_safe(tmp_path)
    (frame,), notes = recognise(tmp_path)(tmp_path)
    assert frame.source == str(folder)
    assert notes[0] == f"{folder.stem}.zip was not read, as {folder.name} is the same"


def test_tiles_of_one_pass_share_a_date(tmp_path: Path) -> None:
    """The times of sensing of tiles may lie on two sides of midnight; that of the pass does not."""
    for tile in ("T31TDG", "T31TEG"):
        make_safe(tmp_path, Kind(tile=tile, sensed="20230818T235831"))
    frames, _ = parse_products(tmp_path)
    assert [frame.date for frame in frames] == [date(2023, 8, 18)] * 2


def test_only_bands_that_all_have_are_read(tmp_path: Path) -> None:
    make_safe(tmp_path, Kind(twenty=True))
    make_safe(tmp_path, Kind(sensed="20230823T100031"))
    frames, notes = parse_products(tmp_path)
    assert {frame.bands for frame in frames} == {TEN}
    assert all(len(frame.files) == len(frame.indexes) == 4 for frame in frames)
    assert notes[0].startswith("not all images have B01, B05") and notes[1].endswith("B04, B08")


def test_a_coarse_band_that_was_not_fetched_is_told(tmp_path: Path) -> None:
    frame = one(
        make_safe(tmp_path, Kind(twenty=True), defects=defect("a band of 20 m is not there"))
    )
    assert "R60m" in frame.files[frame.bands.index("B8A")]
    (said,) = frame.decided
    assert said == f"{Path(frame.source).name} lacks B8A, at the finest that its metadata name"


SAFE_REFUSALS = {
    "no metadata": r"SAFE lacks MTD_MSIL2A\.xml",
    "metadata are no XML": r"SAFE is broken or cut short \(MTD_MSIL2A\.xml is no XML",
    "metadata with a document type": r"MTD_MSIL2A\.xml in S2A_.* declares a document type",
    "metadata with entities in UTF-16": r"MTD_MSIL2A\.xml is no XML",
    "metadata larger than any": r"MTD_MSIL2A\.xml in S2A_.* is larger than 16 MiB",
    "metadata name a file outside": r"names 'GRANULE/.*/\.\./etc.* leads out of it",
    "metadata name a file that is not there": r"lacks T31TDG_.*_B04_10m\.jp2, which its metadata",
    "no quantification value": r"states BOA_QUANTIFICATION_VALUE as None",
    "a quantification value that is no number": r"states 'ten' as BOA_QUANTIFICATION_VALUE",
    "offsets differ": r"different offsets .*B04 -1000, B08 0\)",
    "an offset of no band": r"states BOA_ADD_OFFSET for no band",
    "no B03 at all": r"has B02, B04, B08 but no B03; give",
    "no image at all": r"holds no image of a band",
    "a jp2 cut short": r"S2A_.*SAFE is broken or cut short",
    "a jp2 that is none": r"S2A_.*SAFE cannot be read .*get it again or remove it",
    "a jp2 that points elsewhere": r"cannot be read \(it is VRT, not GeoTIFF or JPEG 2000\)",
    "another jp2 that points elsewhere": r"cut short \(it is VRT, not GeoTIFF or JPEG 2000\)",
    "two granules": r"holds 2 granules, L2A_T31TDG_.*, L2A_T31TEG_",
    "the old format": r"format of before December 2016",
    "two products in one zip": r"zip holds 2 products; unpack it",
    "a zip that climbs out": r"zip names 'S2A_.*\.\./out\.jp2', which leads out of it",
    "a zip cut short": r"zip is no zip, or cut short",
}


@pytest.mark.parametrize("name", SAFE_REFUSALS)
def test_a_bad_safe_product_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = make_safe(tmp_path / "in", defects=defect(name))
    before = sorted(tmp_path.rglob("*"))
    refused(path, SAFE_REFUSALS[name])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", SAFE_REFUSALS)
def test_a_bad_safe_product_can_be_left_out(name: str, tmp_path: Path) -> None:
    make_safe(tmp_path, Kind(sensed="20230823T100031"))
    make_safe(tmp_path, defects=defect(name))
    series = open_series(tmp_path, skip_unreadable=True)
    assert series.dates == (date(2023, 8, 23),)
    assert sum(note.startswith("left out S2A_") for note in series.history) == 1


def test_every_defect_of_a_safe_product_is_planted_somewhere() -> None:
    text = (
        Path(__file__).read_text()
        + Path(__file__).with_name("test_radiometry_of_sources.py").read_text()
    )
    assert not {name for name in safes.DEFECTS | theias.DEFECTS if f'"{name}"' not in text}


def test_a_document_that_declares_an_absurd_size_is_not_unpacked(tmp_path: Path) -> None:
    path = make_safe(tmp_path, zipped=True)
    bomb = tmp_path / "S2A_MSIL2A_20230818T100031_bomb.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name.endswith("MTD_MSIL2A.xml"):
                with new.open(name, "w", force_zip64=True) as member:
                    for _ in range(LARGEST // 2**20 + 1):
                        member.write(bytes(2**20))
            else:
                new.writestr(name, old.read(name))
    assert bomb.stat().st_size < LARGEST / 16
    refused(bomb, "is larger than 16 MiB, which no metadata are")


def test_a_zip_with_more_files_than_any_product_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "S2A_MSIL2A_20230818T100031_many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(20_001):
            archive.writestr(str(i), b"")
    refused(path, "holds more than 20000 files")


def test_what_is_broken_near_at_hand_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError(f"waited {seconds} s")

    monkeypatch.setattr("sitsr.scenes.files.time.sleep", sleep)
    path = make_safe(tmp_path, defects=defect("a jp2 cut short"), zipped=True)
    refused(path, r"S2A_.*zip is broken or cut short")


def test_bands_of_10_m_missing_here_and_there_are_refused_or_left_out(tmp_path: Path) -> None:
    make_safe(tmp_path)
    make_safe(tmp_path, Kind(sensed="20230823T100031"), defects=defect("no B08 at all"))
    refused(tmp_path, r"20230823.*SAFE has B02, B03, B04 but no B08")
    assert open_series(tmp_path, skip_unreadable=True).dates == (date(2023, 8, 18),)


def test_mixed_levels_are_refused(tmp_path: Path) -> None:
    make_safe(tmp_path)
    make_safe(tmp_path, Kind(level="L1C", sensed="20230823T100031"))
    refused(tmp_path, r"S2A_MSIL1C.*SAFE is L1C but S2A_MSIL2A.*SAFE is L2A; give one")


def test_nothing_but_bad_products_is_refused_even_if_they_may_be_left_out(tmp_path: Path) -> None:
    make_safe(tmp_path, defects=defect("no metadata"))
    refused(tmp_path, "none of the 1 products can be read: S2A", skip_unreadable=True)


# ---------------------------------------------------------------------------- Theia


@pytest.mark.parametrize("zipped", [False, True])
def test_a_theia_product_names_its_flat_reflectance(tmp_path: Path, zipped: bool) -> None:
    path = make_theia(tmp_path, zipped=zipped)
    assert recognise(path) is parse_theia
    frame = one(path)
    assert frame.source == str(path) and frame.date == date(2020, 6, 21)
    assert frame.bands == (*TEN, "B8A", "B11")
    assert all("_FRE_B" in file for file in frame.files)
    assert (frame.nodata, frame.quantum, frame.offset) == (-10000, 1e-4, 0)
    assert frame.cloud == 0.12 and frame.grid.shape == SHAPE
    assert frame.cover and frame.cover.kind == "CLM" and frame.cover.file.endswith("CLM_R1.tif")


def test_cloud_and_shadow_of_theias_mask_are_not_clear(tmp_path: Path) -> None:
    expected = safes.seen()
    rows, cols = theias.CLOUD
    expected[: 2 * (rows.stop + 1), : 2 * cols.stop] = False
    for name, coarse in (("fine", ()), ("coarse", ("only the coarse mask",))):
        path = make_theia(tmp_path / name, defects=defect(*coarse))
        np.testing.assert_array_equal(open_series(path).clear[0], expected)


def test_a_theia_product_without_mask_falls_back_on_the_spectral_rule(tmp_path: Path) -> None:
    path = make_theia(tmp_path, defects=defect("no masks"))
    assert one(path).cover is None and open_series(path).clear.any()


def test_theias_metadata_tell_other_steps(tmp_path: Path) -> None:
    frame = one(make_theia(tmp_path, defects=defect("steps of 1000")))
    assert frame.quantum == 1e-3


def test_theia_products_in_folders_zips_and_one_heap_are_one_series(tmp_path: Path) -> None:
    make_theia(tmp_path, "20200202", shown=0)
    make_theia(tmp_path, "20200621", zipped=True)
    frames, _ = recognise(tmp_path)(tmp_path)
    assert [frame.date for frame in frames] == [date(2020, 2, 2), date(2020, 6, 21)]
    heap = tmp_path / "heap"
    heap.mkdir()
    for day, shown in (("20200202", 0), ("20200621", 1)):
        made = make_theia(tmp_path / "made", day, shown=shown, defects=defect("no masks"))
        for file in made.glob("*.tif"):
            shutil.move(file, heap)
    frames, _ = recognise(heap)(heap)
    assert [Path(frame.source).name for frame in frames] == [
        product_name("20200202"),
        product_name("20200621"),
    ]


THEIA_REFUSALS = {
    "only SRE": r"has no image PRODUCT_FRE_BAND\.tif but only SRE, which is not read",
    "no image at all": r"has no image PRODUCT_FRE_BAND\.tif but none",
    "no B3": r"has B02, B04, B08, B8A, B11 but no B03",
    "a band cut short": r"is broken or cut short",
    "metadata with a document type": r"declares a document type",
    "a quantification value that is no number": r"states 'ten' as REFLECTANCE_QUANTIFICATION",
}


@pytest.mark.parametrize("name", THEIA_REFUSALS)
def test_a_bad_theia_product_is_refused_in_one_line_or_left_out(name: str, tmp_path: Path) -> None:
    refused(make_theia(tmp_path, defects=defect(name)), THEIA_REFUSALS[name])
    make_theia(tmp_path, "20200202", shown=0)
    series = open_series(tmp_path, skip_unreadable=True)
    assert series.dates == (date(2020, 2, 2),)


def test_theia_without_b8_anywhere_is_read_but_not_with_it_here_and_there(tmp_path: Path) -> None:
    make_theia(tmp_path, defects=defect("no B8"))
    assert open_series(tmp_path).bands == (*TEN[:3], "B8A", "B11")
    make_theia(tmp_path, "20200202", shown=0)
    refused(tmp_path, r"20200621.* but no B08")


def test_theia_and_safe_together_are_refused(tmp_path: Path) -> None:
    make_theia(tmp_path)
    make_safe(tmp_path)
    refused(tmp_path, "holds SAFE products and Theia's")


REAL = Path(os.environ.get("SITSR_DATA", "")) / "fordead_theia"


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs fordead_theia in SITSR_DATA")
def test_real_theia_products_open() -> None:
    frames, notes = parse_theia(REAL, skip_unreadable=True)
    assert len(frames) == 97 and frames[0].bands == ("B02", "B03", "B04", "B8A", "B11", "B12")
    assert sum(frame.cover is not None for frame in frames) == 31
    assert notes[0].startswith("left out SENTINEL2A_20151203")
    series = open_series(REAL, skip_unreadable=True)
    assert series.grid.shape == (80, 80) and 0.3 < series.clear.mean() < 0.95
    assert 0.01 < np.median(series.images[:, 2][series.clear]) < 0.1
