"""A store gives back what was put into it, whole or in windows; stopped, it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from torch.utils.data import DataLoader, Dataset

from conftest import BANDS, SIGMA, TARGET, landscape, make_series
from sitsr.datasets import Mixture, PairWindows
from sitsr.datasets.pairs import REAL, Pair, Source, at_hand
from sitsr.datasets.store import is_store, read_store, write_store
from sitsr.datasets.store.layout import MOST, NOTHING, QUANTUM
from sitsr.datasets.views import InMemory
from sitsr.datasets.windows import training_pairs, view_of
from sitsr.series import InputError, Series

C, H, W, SCALE = 4, 37, 50, 3


def seen(shape: tuple[int, int], seed: int) -> Series:
    series = make_series(shape)
    return replace(series, images=landscape(series.images.shape, seed), history=("made up",))


def make_pair(number: int = 0, shape: tuple[int, int] = (H, W), **fields: Any) -> Pair:
    rows, cols = (SCALE * side for side in shape)
    hidden = np.arange(cols) % 5 > np.arange(rows)[:, None] % 3
    given = {
        **{"series": seen(shape, number), "target": TARGET, "scale": SCALE},
        **{"site": f"site {number // 2}", "patch": f"patch {number}", "kind": REAL},
        **{"reference": landscape((C, rows, cols), 30 + number), "clear": hidden},
        "sensor_sigma": SIGMA,
    }
    return Pair(**{**given, **fields})


def sources(*pairs: Pair, **fields: Any) -> list[Source]:
    return [replace(at_hand(pair), **fields) for pair in pairs]


MANY = [make_pair(0), make_pair(1), make_pair(2, (H, W + 3)), make_pair(3), make_pair(4)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = {"split": "train", "bounds": (9.0, 47.0, 9.1, 47.1), "tags": {"cover": "forest"}}
    return write_store(
        sources(*MANY, **told),
        tmp_path_factory.mktemp("s") / "store",
        name="made up",
        licence="CC0",
    )


def same(one: Pair, other: Pair) -> None:
    for field in ("target", "scale", "site", "patch", "kind", "sensor_sigma"):
        assert getattr(one, field) == getattr(other, field), field
    for field in ("dates", "bands", "grid", "sources", "history"):
        assert getattr(one.series, field) == getattr(other.series, field), field
    np.testing.assert_array_equal(one.series.clear, other.series.clear)
    np.testing.assert_array_equal(one.clear, other.clear)
    np.testing.assert_allclose(one.series.images, other.series.images, atol=QUANTUM / 2 + 1e-7)
    known = np.broadcast_to(one.clear, one.reference.shape)
    np.testing.assert_allclose(
        one.reference[known], other.reference[known], atol=QUANTUM / 2 + 1e-7
    )


def test_what_is_stored_comes_back(store: Path) -> None:
    found = read_store(store)
    assert is_store(store) and len(found) == len(MANY)
    for source, pair in zip(found, MANY, strict=True):
        same(source.load(), pair)
        assert (source.kind, source.site, source.patch) == (pair.kind, pair.site, pair.patch)
        assert source.split == "train" and source.tags == {"cover": "forest"}
        assert source.bounds == (9.0, 47.0, 9.1, 47.1)


def test_what_the_sensor_saw_comes_back(tmp_path: Path) -> None:
    pair = make_pair(reference=landscape((C, H, W)), clear=np.arange(W) > np.arange(H)[:, None])
    (found,) = read_store(write_store(sources(pair), tmp_path / "store"))
    same(found.load(), pair)
    assert found.look is not None and found.look().at_sensor


def test_a_window_is_part_of_the_whole(store: Path) -> None:
    for source, pair in zip(read_store(store), MANY, strict=True):
        view, whole = view_of(source), InMemory(source.load())
        frames, rows, cols = [2, 0, 2], slice(5, 36), slice(31, 50)
        for one, other in zip(
            view.read(frames, rows, cols), whole.read(frames, rows, cols), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        chosen = view.select(("B08", "B03")).read(frames, rows, cols)
        expected = whole.select(("B08", "B03")).read(frames, rows, cols)
        np.testing.assert_array_equal(chosen.images, expected.images)
        np.testing.assert_array_equal(chosen.reference, expected.reference)
        assert (view.name, view.dates, view.shape) == (whole.name, whole.dates, whole.shape)
        assert (view.target, view.scale, view.at_sensor) == (pair.target, SCALE, False)


def test_training_batches_from_a_store_are_those_from_its_pairs(store: Path) -> None:
    stored = read_store(store)
    loaded = [at_hand(source.load()) for source in stored]
    mixture = Mixture(held_out=0.5, clouded=0.5)
    one, other = (PairWindows(each, mixture, 4 * SCALE, SCALE, BANDS) for each in (stored, loaded))
    for seed in range(5):
        batches = [each(np.random.default_rng(seed), 3, 2) for each in (one, other)]
        for left, right in zip(*batches, strict=True):
            np.testing.assert_array_equal(left.numpy(), right.numpy())


def test_zarr_reads_it_too(store: Path) -> None:
    group: Any = zarr.open_group(store, mode="r")
    told = dict(group.attrs)
    assert (told["name"], told["licence"]) == ("made up", "CC0")
    for line, pair in zip(told["pairs"], MANY, strict=True):
        block = group[str(line["block"])]
        images = block["images"][line["place"]] * QUANTUM
        np.testing.assert_allclose(images, pair.series.images, atol=QUANTUM)
        known = block["reference"][line["place"]] != NOTHING
        np.testing.assert_array_equal(known, np.broadcast_to(pair.clear, known.shape))
        assert block["images"].shards is not None and block["images"].compressors


def test_neighbours_of_one_shape_share_a_block(store: Path) -> None:
    lines = json.loads((store / "zarr.json").read_text())["attributes"]["pairs"]
    assert [(line["block"], line["place"]) for line in lines] == [
        *[(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    ]


def test_a_block_is_written_when_there_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitsr.datasets.store.writing.BLOCK", 1)
    pairs = [make_pair(0), make_pair(1)]
    store = write_store(sources(*pairs), tmp_path / "store")
    lines = json.loads((store / "zarr.json").read_text())["attributes"]["pairs"]
    assert [line["block"] for line in lines] == [0, 1]


def test_what_is_too_bright_is_not_clear(tmp_path: Path) -> None:
    pair = make_pair()
    images, reference = pair.series.images.copy(), pair.reference.copy()
    images[1, 2, 3, 4], reference[0, 7, 8] = MOST + 1, -MOST - 1
    bright = replace(pair, series=replace(pair.series, images=images), reference=reference)
    assert bright.series.clear[1, 3, 4] and not pair.clear[0, 0]
    clear = np.ones_like(pair.clear)
    (found,) = read_store(write_store(sources(replace(bright, clear=clear)), tmp_path / "store"))
    loaded = found.load()
    assert not loaded.series.clear[1, 3, 4] and loaded.series.clear[0, 3, 4]
    assert not loaded.clear[7, 8] and loaded.clear.sum() == clear.sum() - 1


class Stop(Exception):
    pass


def failing(pair: Pair, error: type[Exception] = Stop) -> Source:
    def load() -> Pair:
        raise error("it fell")

    return replace(at_hand(pair), load=load)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("at", range(len(MANY)))
def test_a_store_that_was_stopped_is_gone_on_with(at: int, store: Path, tmp_path: Path) -> None:
    told = {"split": "train", "bounds": (9.0, 47.0, 9.1, 47.1), "tags": {"cover": "forest"}}
    whole = sources(*MANY, **told)
    broken = [*whole[:at], replace(failing(MANY[at]), **told), *whole[at + 1 :]]
    out = tmp_path / "store"
    with pytest.raises(Stop):
        write_store(broken, out, name="made up", licence="CC0")
    assert not out.exists()
    write_store(whole, out, name="made up", licence="CC0")
    assert files(out) == files(store)


def test_what_cannot_be_read_is_left_out_if_asked_and_not_tried_again(tmp_path: Path) -> None:
    pairs = [make_pair(0), make_pair(1), make_pair(2), make_pair(3)]
    asked = sources(*pairs)
    asked[1], out = failing(pairs[1], InputError), tmp_path / "store"
    with pytest.raises(InputError, match="it fell"):
        write_store(asked, tmp_path / "other")
    stopped = [*asked[:3], failing(pairs[3])]
    with pytest.raises(Stop):
        write_store(stopped, out, skip_unreadable=True)
    write_store(asked, out, skip_unreadable=True)
    assert [source.patch for source in read_store(out)] == ["patch 0", "patch 2", "patch 3"]
    told = json.loads((out / "zarr.json").read_text())["attributes"]
    assert told["left_out"] == ["site 0, patch 1: it fell"]


def test_the_digest_tells_stores_apart(store: Path, tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        told: str = json.loads((folder / "zarr.json").read_text())["attributes"]["digest"]
        return told

    again = write_store(sources(*MANY), tmp_path / "again")
    other = make_pair(4, target=TARGET, reference=MANY[4].reference + 0.01)
    assert (
        digest(again)
        == digest(store)
        != digest(write_store(sources(*MANY[:4], other), tmp_path / "other"))
    )


def test_splits_are_chosen(tmp_path: Path) -> None:
    mixed = [
        *sources(make_pair(0), split="train"),
        *sources(make_pair(2), split="test"),
    ]
    store = write_store(mixed, tmp_path / "store")
    assert [source.patch for source in read_store(store, "test")] == ["patch 2"]
    assert [source.patch for source in training_pairs(store)] == ["patch 0"]
    with pytest.raises(InputError, match="no split validation; choose from test, train"):
        read_store(store, "validation")


def nothing(folder: Path) -> None:
    write_store([], folder / "store")


def taken(folder: Path) -> None:
    (folder / "store").mkdir()
    write_store(sources(make_pair()), folder / "store")


def others(folder: Path) -> None:
    with pytest.raises(Stop):
        write_store([failing(make_pair())], folder / "store")
    write_store(sources(make_pair(1)), folder / "store")


def unreadable(folder: Path) -> None:
    write_store([failing(make_pair(), InputError)], folder / "store", skip_unreadable=True)


def no_store(folder: Path) -> None:
    read_store(folder)


def no_json(folder: Path) -> None:
    (folder / "zarr.json").write_text("{")
    read_store(folder)


def truncated(folder: Path) -> None:
    store = write_store(sources(make_pair()), folder / "store")
    shard = next(path for path in (store / "0" / "images").rglob("*") if path.name == "0")
    while shard.is_dir():
        shard = shard / "0"
    shard.write_bytes(shard.read_bytes()[:-40])
    read_store(store)[0].load()


def removed(folder: Path) -> None:
    store = write_store(sources(make_pair()), folder / "store")
    (store / "0" / "images" / "zarr.json").unlink()
    read_store(store)[0].load()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (nothing, "there are no pairs to store"),
        (taken, "is there already"),
        (others, "holds part of another store"),
        (unreadable, "none of 1 pairs can be read; site 0, patch 0: it fell"),
        (no_store, "is not a training store"),
        (no_json, "cannot be read"),
        (truncated, "cannot be read"),
        (removed, "cannot be read"),
    ],
)
def test_faults_are_said_in_one_line(
    fault: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as error:
        fault(tmp_path)
    assert "\n" not in str(error.value)


def _read_elsewhere(store: Path, answer: Any) -> None:
    try:
        read_store(store)[0].load()
        answer.put("read")
    except InputError as error:
        answer.put(str(error))


def test_a_process_that_has_read_a_store_may_be_forked(store: Path) -> None:
    read_store(store)[0].load()
    loader = DataLoader(Windows(store), batch_size=None, num_workers=2)
    alone = [Windows(store)[number] for number in range(4)]
    for one, other in zip(loader, alone, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


class Windows(Dataset[torch.Tensor]):
    def __init__(self, store: Path) -> None:
        self.cut = PairWindows(read_store(store), Mixture(), 4 * SCALE, SCALE, BANDS)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> torch.Tensor:
        if number >= 4:
            raise IndexError
        return self.cut(np.random.default_rng(number), 2, 2).images
