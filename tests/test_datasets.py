"""Archives are read as they lie on disk; batches are pure functions of their number."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from conftest import (
    BANDS,
    SIGMA,
    TARGET,
    landscape,
    make_series,
    vegetation,
    write_austria,
    write_tif,
)
from sitsr.consistency import observe
from sitsr.datasets import (
    Archive,
    Batch,
    Batches,
    Mixture,
    Pair,
    PairWindows,
    at_hand,
    export_pairs,
    read_austria,
    read_flanders,
    read_naip,
    read_theia,
    real_pairs,
    scale_transfer_pairs,
    training_pairs,
)
from sitsr.datasets.archives import L2A_BANDS
from sitsr.datasets.batches import (
    Aerial,
    Example,
    Observed,
    ScaleTransfer,
    blocks_all,
    chosen_frames,
    degraded,
    veiled,
)
from sitsr.series import InputError

T, C, H, W, SCALE = 5, 4, 40, 52, 4
STEADY = Mixture(held_out=0, clouded=0, noise=0, blur=(1, 1))


# ------------------------------------------------------------- archives


def test_austria_leaves_out_the_image_that_lies_elsewhere(tmp_path: Path) -> None:
    write_austria(tmp_path, ("site00", "site07"), images=T)
    first, second = read_austria(tmp_path)
    assert (first.site, second.site) == ("site00", "site07")
    assert first.images.shape == (T - 1, C, H, W) and first.dates is None
    ground = vegetation((H, W)) / 10_000
    for band, name in enumerate(BANDS):
        wanted = ground[L2A_BANDS.index(name)] * 1.03  # the second image; the first lies off
        np.testing.assert_allclose(first.images[0, band], wanted, atol=1.01e-4)
    assert first.images.dtype == np.float32
    assert first.grid.transform.c == 560_000
    assert [each.site for each in read_austria(tmp_path, ["site07"])] == ["site07"]


def test_austria_takes_black_pixels_for_nodata(tmp_path: Path) -> None:
    for k in range(3):
        dn = vegetation((H, W))
        dn[:, 3:6, 7:9] = 0
        write_tif(tmp_path / "site00" / f"{k}.tif", dn)
    (archive,) = read_austria(tmp_path)
    assert not archive.clear[:, 3:6, 7:9].any() and archive.clear.mean() > 0.8


def test_naip_is_read_by_place_and_year_in_the_order_of_sentinel2(tmp_path: Path) -> None:
    chip = np.arange(4 * 8 * 10, dtype=np.uint8).reshape(4, 8, 10)  # red, green, blue, NIR
    for name in ("7_2016", "7_2020", "12_2018"):
        write_tif(tmp_path / "chico" / f"{name}.tif", chip, side=2.4)
    write_tif(tmp_path / "eureka" / "7_2018.tif", chip, side=2.4)
    places = read_naip(tmp_path)
    assert {name: sorted(years) for name, years in places.items()} == {
        "chico/7": [2016, 2020],
        "chico/12": [2018],
        "eureka/7": [2018],
    }
    np.testing.assert_allclose(places["chico/7"][2016] * 255, chip[[2, 1, 0, 3]], rtol=1e-6)
    assert set(read_naip(tmp_path, ["eureka"])) == {"eureka/7"}


def write_theia(folder: Path, day: str, bands: tuple[str, ...] = ("B2", "B3", "B4", "B8A")) -> None:
    name = f"SENTINEL2A_{day}-105818-575_L2A_T31UFQ_D_V1-1"
    for number, band in enumerate(bands):
        coarse = 2 if band == "B8A" else 1
        dn = np.full((1, 8 // coarse, 12 // coarse), 100 * (number + 1), np.int16)
        dn[0, 0, 0] = -10_000
        write_tif(folder / name / f"{name}_FRE_{band}.tif", dn, side=10 * coarse)
    cloud = np.zeros((1, 4, 6), np.uint8)
    cloud[0, 1, 2] = 2
    write_tif(folder / name / "MASKS" / f"{name}_CLM_R2.tif", cloud, side=20)


def test_theia_products_are_read_with_their_masks(tmp_path: Path) -> None:
    write_theia(tmp_path, "20160418")
    write_theia(tmp_path, "20151230")
    write_theia(tmp_path, "20170101", bands=("B2", "B3"))  # lacks bands: left out
    (archive,) = read_theia(tmp_path)
    assert archive.dates == (date(2015, 12, 30), date(2016, 4, 18))
    assert archive.images.shape == (2, C, 8, 12) and not archive.trusted[3]
    np.testing.assert_allclose(archive.images[0, :, 5, 7], [0.01, 0.02, 0.03, 0.04])
    clouded = np.zeros((8, 12), bool)
    clouded[2:4, 4:6] = True  # one pixel of 20 m
    clouded[:2, :2] = True  # nodata of B8A, 20 m
    np.testing.assert_array_equal(~archive.clear[1], clouded)


def write_flanders(folder: Path) -> None:
    days = np.array(["2018-01-03T10:53", "2018-01-03T11:03", "2018-02-07T10:50"], "datetime64[ns]")
    for size, side in ((10, 8), (20, 4)):
        shape = (3, side, side + 12 // size * 4 + 2 * (size == 20))
        place = {
            "timestamp": days,
            "y": 5_629_675.0 - size * np.arange(shape[1]),
            "x": 501_365.0 + size * np.arange(shape[2]),
        }
        axes = ("timestamp", "y", "x")
        if size == 10:
            dn = {band: np.full(shape, 1000 * (k + 1), np.uint16) for k, band in enumerate(BANDS)}
            dn["B04"][2, 3, 5] = 0
        else:
            dn = {"SCL": np.full(shape, 4, np.uint8)}
            dn["SCL"][0, 1, 2] = 9  # cloud
        cube = xr.Dataset({name: (axes, values) for name, values in dn.items()}, place)
        cube.to_netcdf(folder / f"S2_L2A_{size}m_x.nc", engine="netcdf4")


def test_flanders_is_read_with_its_scene_classes(tmp_path: Path) -> None:
    pytest.importorskip("netCDF4")
    write_flanders(tmp_path)
    (archive,) = read_flanders(tmp_path)
    assert archive.dates == (date(2018, 1, 3), date(2018, 2, 7))  # one image a day
    assert archive.images.shape == (2, C, 8, 12)
    np.testing.assert_allclose(archive.images[0, :, 0, 0], [0.1, 0.2, 0.3, 0.4])
    unclear = np.zeros((2, 8, 12), bool)
    unclear[0, 2:4, 4:6] = unclear[1, 3, 5] = True
    np.testing.assert_array_equal(~archive.clear, unclear)
    assert tuple(archive.grid.transform)[:6] == (10, 0, 501_360, 0, -10, 5_629_680)


def empty_site(folder: Path) -> None:
    (folder / "site01").mkdir()


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda folder: read_austria(folder / "none"), "give the folder that holds it with --data"),
        (lambda folder: read_naip(folder / "none"), "give the folder that holds it with --data"),
        (lambda folder: real_pairs(folder / "none"), "give the folder that holds it with --data"),
        (lambda folder: read_austria(folder, ["site09"]), "does not hold site09; it holds site01"),
        (lambda folder: read_naip(folder, ["rome"]), "does not hold rome; it holds site01"),
        (read_theia, "holds no Theia product with B2, B3, B4, B8A and a cloud mask"),
        (read_flanders, r"holds 0 files like S2_L2A_10m_\*.nc; it should hold one"),
    ],
)
def test_what_is_not_there_is_named(read: Any, said: str, tmp_path: Path) -> None:
    empty_site(tmp_path)
    with pytest.raises(InputError, match=said):
        read(tmp_path)


# ------------------------------------------------------------- batches


def make_archive(dates: tuple[date, ...] | None = None, seed: int = 0, **fields: Any) -> Archive:
    from odc.geo.geobox import GeoBox
    from rasterio import Affine

    grid = GeoBox((H, W), Affine(10, 0, 560_000, 0, -10, 5_250_000), "EPSG:32633")
    ground, change = landscape((C, H, W), seed), landscape((T, 1, 1, 1), seed + 1)
    images = (ground * (0.5 + 2 * change)).astype(np.float32)
    given = {"site": f"site{seed}", "images": images, "clear": np.ones((T, H, W), bool)}
    return Archive(**{**given, "dates": dates, "grid": grid, **fields})


def make_places() -> dict[str, dict[int, Any]]:
    return {
        "chico/1": {year: landscape((C, 16, 16), year) for year in (2016, 2018)},
        "chico/2": {2020: landscape((C, 16, 16), 2020)},
    }


def make_batches(mixture: Mixture | None = None, seed: int = 1) -> Batches:
    mixture = mixture or Mixture()
    transfer = ScaleTransfer([make_archive(), make_archive(seed=3)], mixture, 24)
    aerial = Aerial(make_places(), mixture)
    first, second = (Observed(maker, mixture, SCALE) for maker in (transfer, aerial))
    return Batches({"a": (0.6, 2, first), "b": (0.4, 3, second)}, mixture, seed)


def test_a_batch_is_a_function_of_seed_and_number() -> None:
    first, again = make_batches(), make_batches()
    for number in (5, 0, 11, 5):
        for one, other in zip(first[number], again[number], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first[0].hr[:1, :, :8], first[1].hr[:1, :, :8])
    assert not torch.equal(first[0].hr[:1, :, :8], make_batches(seed=2)[0].hr[:1, :, :8])


def test_batches_have_the_shapes_they_promise() -> None:
    sides, lengths = set(), set()
    for number in range(12):
        images, clear, days, hr, weight, season = make_batches()[number]
        b, t, c, h, w = images.shape
        assert clear.shape == (b, t, h, w) and clear.dtype == torch.bool
        assert days.shape == (b, t) and days.dtype == images.dtype == hr.dtype == torch.float32
        assert season.shape == (b,) and not (season < 0).any() and not (season > 1).any()
        assert hr.shape == weight.shape == (b, c, SCALE * h, SCALE * w)
        assert all(each.isfinite().all() for each in (images, days, hr, weight))
        assert {0.0, 1.0} >= set(weight.unique().tolist())
        sides.add((b, h))
        lengths.add(t)
    assert sides == {(2, 6), (3, 4)}
    assert len(lengths) > 3 and lengths <= set(range(1, Mixture().most_images + 1))


def of_target(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The first image of the target date of each example, and the reference."""
    b = torch.arange(len(batch.days))
    return batch.images[b, batch.days.abs().argmin(1)], batch.hr


@pytest.mark.parametrize("number", range(4))
def test_the_target_is_observed_as_its_reference(number: int) -> None:
    lr, hr = of_target(make_batches(STEADY)[number])
    torch.testing.assert_close(observe(hr, SIGMA, SCALE), lr, rtol=0, atol=1e-5)


def test_noise_has_at_most_the_standard_deviation_of_the_mixture() -> None:
    mixture = Mixture(held_out=0, clouded=0, noise=0.01, blur=(1, 1))
    levels = []
    for number in range(30):
        lr, hr = of_target(make_batches(mixture)[number])
        levels.append(float((lr - observe(hr, SIGMA, SCALE))[0].std()))
    assert 0.006 < max(levels) < 0.0115 and min(levels) < 0.003


def test_a_held_out_date_was_not_observed() -> None:
    mixture = Mixture(held_out=1, clouded=0)
    transfer = ScaleTransfer([make_archive()], mixture, 24)
    chance = np.random.default_rng(0)
    for _ in range(20):
        assert (transfer(chance, 4).days != 0).all()
    usual = ScaleTransfer([make_archive()], STEADY, 24)
    assert (usual(chance, 4).days == 0).sum() == 1


def test_made_up_clouds_take_clear_ground_away_and_add_none() -> None:
    clear = np.random.default_rng(0).random((T, H, W)) > 0.02
    fine = np.broadcast_to(landscape((C, H, W)), (T, C, H, W)).copy()
    days = np.arange(T, dtype=np.float32)
    example = Example(fine, clear, days, fine[0], np.ones((C, H, W), np.float32), 1.0)

    def clear_of(mixture: Mixture) -> np.ndarray[Any, Any]:
        made = degraded(example, mixture, SIGMA, SCALE, np.random.default_rng(4))
        return made.clear.numpy()

    bare, clouded = clear_of(Mixture(clouded=0)), clear_of(Mixture(clouded=1))
    np.testing.assert_array_equal(bare, blocks_all(clear, SCALE))
    assert not (clouded & ~bare).any()
    assert (clouded.mean((1, 2)) < 0.95 * bare.mean((1, 2))).all()


def test_veils_lie_on_other_days_only_and_no_mask_tells_of_them() -> None:
    fine = np.broadcast_to(landscape((C, H, W)), (3, C, H, W)).copy()
    days, weight = np.array([0, 5, -9], np.float32), np.ones((C, H, W), np.float32)
    example = Example(fine, np.ones((3, H, W), bool), days, fine[0], weight, 1.0)
    bare, hidden = (
        degraded(example, mixture, SIGMA, SCALE, np.random.default_rng(4))
        for mixture in (STEADY, replace(STEADY, veiled=1.0))
    )
    assert torch.equal(bare.clear, hidden.clear)
    assert torch.equal(bare.images[0], hidden.images[0])
    assert all((bare.images[k] != hidden.images[k]).any() for k in (1, 2))


@pytest.mark.parametrize("seed", range(5))
def test_a_veil_is_the_same_mixture_of_one_reflectance_in_every_band(seed: int) -> None:
    """Solved for the veil and its thickness, two bands tell what the others show."""
    image = np.random.default_rng(1).uniform(0, 0.3, (4, 17, 23)).astype(np.float32)
    seen = veiled(image, np.random.default_rng(seed))
    kept = (seen[0] - seen[1]) / (image[0] - image[1])  # 1 − t
    assert kept.min() >= 0.5 - 1e-3 and kept.max() <= 1 + 1e-3
    added = seen - kept * image  # t · veil
    np.testing.assert_allclose(added[2:], added[:1].repeat(2, 0), atol=1e-3)
    assert added.min() >= -1e-3 and added.max() <= 0.25 + 1e-3


def test_a_block_is_clear_where_all_its_pixels_are() -> None:
    clear = np.ones((2, 6, 9), bool)
    clear[1, 4, 2] = clear[0, 0, 8] = False
    wanted = np.ones((2, 2, 3), bool)
    wanted[1, 1, 0] = wanted[0, 0, 2] = False
    np.testing.assert_array_equal(blocks_all(clear, 3), wanted)


def test_dates_of_a_dated_archive_are_kept_and_others_made_up_in_order() -> None:
    dates = tuple(date(2020, 1 + 2 * k, 5) for k in range(T))
    apart = {(a - b).days for a in dates for b in dates}
    chance = np.random.default_rng(0)
    dated = ScaleTransfer([make_archive(dates)], STEADY, 24)(chance, 5)
    assert set(dated.days.astype(int)) <= apart and len(set(dated.days)) == T
    made_up = ScaleTransfer([make_archive()], STEADY, 24)(chance, 5)
    assert len(set(made_up.days)) == T


def test_of_a_long_series_the_images_near_the_target_are_taken() -> None:
    long = 40
    ground = np.broadcast_to(landscape((C, H, W)), (long, C, H, W)).copy()
    clear = np.ones((long, H, W), bool)
    dates = tuple(date.fromordinal(737_000 + 10 * k) for k in range(long))
    transfer = ScaleTransfer([make_archive(dates, images=ground, clear=clear)], STEADY, 24)
    chance = np.random.default_rng(0)
    away = [np.abs(transfer(chance, 2).days).max() for _ in range(40)]
    assert max(away) <= 80  # one of the 8 nearest: at the end of the series all on one side


def test_bands_that_are_not_trusted_and_cloud_are_not_learnt_from() -> None:
    clear = np.ones((T, H, W), bool)
    clear[:, ::7] = False
    archive = make_archive(clear=clear, trusted=(True, True, False, True))
    weight = ScaleTransfer([archive], STEADY, 40)(np.random.default_rng(0), 3).weight
    assert not weight[2].any() and 0.7 < weight[[0, 1, 3]].mean() < 0.95


def test_archives_too_small_to_learn_from_are_refused() -> None:
    with pytest.raises(InputError, match=r"site0 holds 5 images of 40 × 52 .* at least 41 × 41"):
        ScaleTransfer([make_archive()], STEADY, 41)
    single = make_archive(images=landscape((1, C, H, W)))
    with pytest.raises(InputError, match=r"holds 1 images .* two or more"):
        ScaleTransfer([single], STEADY, 24)


def test_aerial_years_are_used_and_the_target_year_is_the_reference() -> None:
    mixture = Mixture(held_out=0, clouded=0, noise=0, blur=(1, 1))
    example = Aerial(make_places(), mixture)(np.random.default_rng(2), 6)
    assert example.fine.shape == (6, C, 16, 16) and example.days[0] == 0
    np.testing.assert_array_equal(example.fine[0], example.hr)
    assert example.clear.all() and (example.weight == 1).all()


def test_fewer_bands_are_the_same_batch_without_the_others() -> None:
    maker, bare = Aerial(make_places(), STEADY), Mixture(clouded=0, noise=0)
    whole, part = (
        Observed(maker, bare, SCALE, bands)(np.random.default_rng(4), 3, 2)
        for bands in (BANDS, ("B04", "B02"))
    )
    for one, other in ((part.hr, whole.hr), (part.weight, whole.weight)):
        assert torch.equal(one, other[:, [2, 0]])
    torch.testing.assert_close(part.images, whole.images[:, :, [2, 0]])


# ------------------------------------------------------------- batches of pairs

SIDE = 16


def make_pair(times: int = T, seed: int = 0, **fields: Any) -> Pair:
    """A pair whose reference, clear mask and images tell which window was taken of them."""
    days = (0,) if times == 1 else (-35, -6, 0, 11, 40)[:times]
    series = make_series((9, 14), days, clear=np.ones((times, 9, 14), bool))
    fine = series.images[min(2, times - 1)]
    given = {
        "series": series,
        "target": TARGET,
        "scale": SCALE,
        "site": f"site {seed}",
        "patch": f"{seed}",
        "kind": "real pair",
        "reference": fine.repeat(SCALE, 1).repeat(SCALE, 2),
        "clear": np.arange(36 * 56).reshape(36, 56) % 7 > 0,
        "sensor_sigma": SIGMA,
    }
    return Pair(**{**given, **fields})


def windows(
    *pairs: Pair, mixture: Mixture = STEADY, side: int = SIDE, **fields: Any
) -> PairWindows:
    return PairWindows([at_hand(pair) for pair in pairs], mixture, side, **fields)


@pytest.mark.parametrize("number", range(4))
def test_a_window_of_a_pair_is_the_pair_itself(number: int) -> None:
    batch = windows(make_pair(), make_pair(seed=1))(np.random.default_rng(number), 4, 3)
    assert batch.images.shape == (3, 4, C, 4, 4) and batch.clear.shape == (3, 4, 4, 4)
    assert batch.hr.shape == batch.weight.shape == (3, C, SIDE, SIDE)
    lr, hr = of_target(batch)
    assert torch.equal(lr.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3), hr)
    assert (batch.days == 0).sum(1).tolist() == [1, 1, 1] and batch.clear.all()
    assert batch.weight.mean() == pytest.approx(6 / 7, abs=0.03)
    assert torch.equal(batch.weight[:, 0], batch.weight[:, 3])


def test_windows_of_pairs_fall_everywhere_and_the_weight_falls_with_them() -> None:
    fine = np.arange(36 * 56, dtype=np.float32).reshape(36, 56)
    pair = make_pair(reference=np.broadcast_to(fine, (C, 36, 56)).copy(), clear=fine % 5 > 0)
    batch = windows(pair)(np.random.default_rng(0), 2, 40)
    assert torch.equal(batch.weight, (batch.hr % 5 > 0).float())
    assert batch.hr.min() == 0 and batch.hr.max() == 36 * 56 - 1


def test_pairs_of_one_date_give_one_image_and_short_series_repeat_theirs() -> None:
    chance = np.random.default_rng(0)
    held_out = Mixture(held_out=1, clouded=0)
    alone = windows(make_pair(1), mixture=held_out)(chance, 6, 3)
    assert alone.images.shape[1] == 1 and not alone.days.any()  # nothing else could be shown
    mixed = windows(make_pair(1), make_pair(3, seed=1))(chance, 6, 24)
    assert mixed.images.shape[1] == 3
    assert {len(set(days)) for days in mixed.days.tolist()} == {1, 3}
    rest = windows(make_pair(), mixture=held_out)(chance, 3, 8)
    assert (rest.days != 0).all()


def test_made_up_clouds_fall_on_pairs_too() -> None:
    batch = windows(make_pair(), mixture=Mixture(clouded=1))(np.random.default_rng(0), 3, 2)
    assert 0 < batch.clear.float().mean() < 0.95


def test_pairs_are_cut_to_the_bands_that_are_learnt() -> None:
    whole, part = (
        windows(make_pair(), bands=bands)(np.random.default_rng(1), 2, 2)
        for bands in (BANDS, ("B08", "B03"))
    )
    for one, other in ((part.images, whole.images), (part.hr, whole.hr)):
        assert torch.equal(one, other[..., [3, 1], :, :])


def test_pairs_are_read_when_they_are_drawn_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    read: list[str] = []

    def noted(pair: Pair) -> Pair:
        read.append(pair.patch)
        return pair

    monkeypatch.setattr("sitsr.datasets.windows.KEPT", 2)
    pairs = [make_pair(seed=n) for n in range(2)]
    sources = [replace(at_hand(pair), load=lambda pair=pair: noted(pair)) for pair in pairs]
    cut = PairWindows(sources, STEADY, SIDE)
    assert not read
    cut(np.random.default_rng(0), 2, 30)
    assert sorted(read) == ["0", "1"]
    more = PairWindows([*sources, at_hand(make_pair(seed=2))], STEADY, SIDE)
    more(np.random.default_rng(0), 2, 60)
    assert len(read) > 4  # three do not fit


@pytest.mark.parametrize(
    ("pair", "fields", "said"),
    [
        ({"scale": 2}, {}, "0 has a reference of scale 2; wanted scale 4"),
        ({"reference": np.zeros((C, 9, 14), np.float32)}, {}, "on the grid of its series"),
        ({}, {"side": 40}, "is 9 × 14 pixels; wanted at least 10 × 10: set a smaller side"),
        ({}, {"side": 18}, "side is 18; wanted a multiple of the scale, 4"),
        ({}, {"bands": ("B02", "B11")}, "but not B11"),
    ],
)
def test_pairs_that_cannot_be_cut_are_refused(pair: Any, fields: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(windows(make_pair(**pair), **fields).held)
    with pytest.raises(InputError, match="there are no pairs to train on"):
        windows()


def test_pairs_that_are_set_apart_are_not_trained_on(tmp_path: Path) -> None:
    first, second = (at_hand(make_pair(seed=n)) for n in range(2))
    for name, split, source in (("a", "train", first), ("b", "test", second)):
        export_pairs([source], tmp_path / name, split=split)
    assert [each.site for each in training_pairs(tmp_path)] == ["site 0"]
    export_pairs([second], tmp_path / "b")
    assert [each.site for each in training_pairs(tmp_path)] == ["site 0", "site 1"]
    assert [each.site for each in training_pairs(tmp_path, ["site 1"])] == ["site 1"]
    with pytest.raises(InputError, match="does not hold site 7; it holds site 0, site 1"):
        training_pairs(tmp_path, ["site 7"])
    export_pairs([second], tmp_path / "b", split="validation")
    with pytest.raises(InputError, match="holds only pairs that are set apart"):
        training_pairs(tmp_path / "b")


def test_frames_are_the_target_and_its_neighbours_in_time() -> None:
    days = np.array([-400, -9, 0, 8, 9, 500], np.float32)
    chance = np.random.default_rng(0)
    chosen = [chosen_frames(days, 2, 1, 0.5, chance) for _ in range(60)]
    assert all(len(each) == 1 for each in chosen)
    assert {each[0] for each in chosen} == {0, 1, 2, 3, 4}  # of 6 > 2 · 1: the 4 nearest others
    assert all(2 in chosen_frames(days, 2, 3, 0, chance) for _ in range(20))
    assert all(2 not in chosen_frames(days, 2, 5, 1, chance) for _ in range(20))
    assert {k for _ in range(20) for k in chosen_frames(days, None, 3, 0, chance)} == set(range(6))
    assert sorted(chosen_frames(days, 2, 6, 0, chance)) == list(range(6))


# ------------------------------------------------------------- pairs


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("scale", [3, 4])
def test_scale_transfer_pairs_fit_together(held_out: bool, scale: int) -> None:
    clear = np.ones((T, H, W), bool)
    clear[1, :20] = clear[2, :4] = clear[4, :30] = False
    archive = make_archive(clear=clear)
    pairs = scale_transfer_pairs(archive, 3, scale=scale, held_out=held_out)
    rows, cols = H // scale, W // scale
    clearest = (0, 2, 3)
    assert len(pairs) == 3
    for pair, k in zip(pairs, clearest, strict=True):
        fine = archive.images[k, :, : rows * scale, : cols * scale]
        np.testing.assert_array_equal(pair.reference, fine)
        np.testing.assert_array_equal(pair.clear, clear[k, : rows * scale, : cols * scale])
        assert pair.series.images.shape == (T - held_out, C, rows, cols)
        assert (pair.target in pair.series.dates) != held_out
        assert pair.series.grid.transform.a == 10 * scale
        assert pair.kind == "scale transfer" + ", date held out" * held_out
        assert pair.series.grid.zoom_out(1 / scale).transform.c == archive.grid.transform.c
        if not held_out:
            lr = observe(torch.from_numpy(fine[None]), SIGMA, scale)[0]
            np.testing.assert_allclose(pair.series.images[k], lr.numpy(), atol=1e-6)
            np.testing.assert_array_equal(
                pair.series.clear[k], blocks_all(pair.clear[None], scale)[0]
            )


def test_real_pairs_keep_sentinel2_and_the_orthophoto_in_step(tmp_path: Path) -> None:
    dn = vegetation((10, 13))
    photo = np.arange(4 * 40 * 52).reshape(4, 40, 52).astype(np.uint8) | 1
    photo[:, 5, 6] = 0
    write_tif(tmp_path / "2" / "s2.tif", dn)
    write_tif(tmp_path / "2" / "orthophoto.tif", photo, side=2.5)
    (pair,) = real_pairs(tmp_path, ("2",))
    assert (pair.site, pair.patch, pair.kind) == ("vorarlberg", "pair 2", "real pair")
    assert pair.scale == 4
    assert pair.reference.shape == (C, 40, 52) and pair.series.images.shape == (1, C, 10, 13)
    np.testing.assert_allclose(pair.reference[:, 9, 9] * 255, photo[[2, 1, 0, 3], 9, 9], rtol=1e-5)
    blue = L2A_BANDS.index("B02")
    np.testing.assert_allclose(pair.series.images[0, 0], dn[blue] / 1e4, atol=1e-6)
    assert not pair.clear[5, 6] and pair.clear.mean() > 0.9
