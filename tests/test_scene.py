"""A scene is made block by block: the answer does not depend on how, nothing is lost on the way."""

from __future__ import annotations

import json
import logging
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from importlib import import_module
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config
from rasterio.errors import RasterioIOError

import sitsr
from conftest import make_model
from sitsr.inference import Job, Means, Settings, produce
from sitsr.inference import super_resolve as in_memory
from sitsr.inference.journal import journal_of, opened, place_of
from sitsr.inference.scene import KEPT, blocks_of
from sitsr.model import bundled_weights, open_model, save_model
from sitsr.scenes import Scene, area_of_box, open_scene, read_series, read_window
from sitsr.series import InputError
from sitsr.tiles import Tile

DEMO = Path(str(files("sitsr") / "demo"))
DAY, OTHER = date(2021, 7, 18), date(2021, 8, 1)
QUICK = Settings(samples=1, tile=32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(make_model(), path)
    return path


@pytest.fixture(scope="module")
def scene() -> Scene:
    """An oblong part of the bundled series."""
    wanted = sitsr.scenes.Selection(
        area=area_of_box("2.8225,42.3535,2.8352,42.3607"), dates=(date(2021, 6, 1), None)
    )
    scene = open_scene(DEMO, wanted=wanted)
    rows, cols = scene.plan.grid.shape
    assert rows != cols and min(rows, cols) > 64
    return scene


def make_job(scene: Scene, weights: Path, **fields: Any) -> Job:
    given = {"targets": (DAY,), "settings": QUICK, "device": "cpu", "block": 48}
    return Job(scene=scene, weights=weights, **{**given, **fields})


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder by name."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {f"{path.relative_to(folder)}": path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def whole(scene: Scene, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product as it is if nothing happens."""
    return produce(make_job(scene, weights), tmp_path_factory.mktemp("whole") / "result")


# ---- law 1


def test_a_scene_in_blocks_is_the_scene_in_one_piece(
    scene: Scene, weights: Path, whole: Path
) -> None:
    made = in_memory(read_series(scene), DAY, open_model(weights, "cpu"), QUICK)
    for name, image in (("sr", made.mean), ("uncertainty", made.spread)):
        with rasterio.open(whole / f"{name}.tif") as file:
            stored = file.read(masked=True) * 1e-4
        np.testing.assert_array_equal(stored.mask, np.isnan(image))
        np.testing.assert_allclose(stored.filled(np.nan), image.clip(0), rtol=0, atol=0.51e-4)
    with rasterio.open(whole / "samples/sample_01.tif") as file:
        stored = file.read(masked=True) * 1e-4
    np.testing.assert_allclose(stored.filled(np.nan), made.samples[0].clip(0), rtol=0, atol=0.51e-4)
    for name in ("clear_count", "nearest_days", "support"):
        with rasterio.open(whole / f"{name}.tif") as file:
            np.testing.assert_array_equal(file.read(1), getattr(made, name))


@pytest.mark.parametrize("block", [33, 64, 1000])
def test_the_size_of_blocks_does_not_matter(
    block: int, scene: Scene, weights: Path, whole: Path, tmp_path: Path
) -> None:
    other = produce(make_job(scene, weights, block=block), tmp_path / "other")
    for path in sorted(whole.rglob("*.tif")):
        name = path.relative_to(whole)
        with rasterio.open(path) as one, rasterio.open(other / name) as two:
            # the last bit of a float may decide how a number is rounded
            apart = np.abs(one.read().astype(int) - two.read().astype(int))
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-3, name


def test_many_dates_are_what_each_is_alone(
    scene: Scene, weights: Path, whole: Path, tmp_path: Path
) -> None:
    several = produce(make_job(scene, weights, targets=(DAY, OTHER)), tmp_path / "several")
    assert sorted(path.name for path in several.iterdir()) == [
        f"{DAY}",
        f"{OTHER}",
        "collection.json",
    ]
    alone = contents(whole)
    for name, told in contents(several / f"{DAY}").items():
        assert name == "item.json" or told == alone[name], name


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_workers_gives_the_same_bits(
    workers: int, scene: Scene, weights: Path, whole: Path, tmp_path: Path
) -> None:
    job = make_job(scene, weights)
    assert contents(produce(job, tmp_path / "r", Means(workers=workers))) == contents(whole)


@pytest.mark.slow
def test_no_seam_is_left_where_blocks_and_tiles_meet(tmp_path: Path) -> None:
    scene = open_scene(DEMO)
    bundled = make_job(scene, bundled_weights(), settings=replace(QUICK, tile=1000), block=1000)
    whole = produce(bundled, tmp_path / "whole")
    cut = replace(bundled, settings=replace(QUICK, tile=32), block=64)
    parts = produce(cut, tmp_path / "parts")
    for name in ("sr.tif", "uncertainty.tif", "samples/sample_01.tif"):
        score = seam_score(parts / name, 128) / seam_score(whole / name, 128)
        assert abs(score - 1) < 0.005, name


def seam_score(path: Path, side: int) -> float:
    """Mean step across lines this many pixels apart, over the mean step elsewhere."""
    with rasterio.open(path) as file:
        image = file.read(masked=True).astype(float)
    steps = [np.abs(np.diff(image, axis=axis)) for axis in (1, 2)]
    lines = [each.shape[axis] for each, axis in zip(steps, (1, 2), strict=True)]
    across = [(np.arange(count) + 1) % side == 0 for count in lines]
    there = [steps[0][:, across[0]].mean(), steps[1][:, :, across[1]].mean()]
    elsewhere = [steps[0][:, ~across[0]].mean(), steps[1][:, :, ~across[1]].mean()]
    return float(sum(there) / sum(elsewhere))


def test_a_seam_would_be_found(whole: Path, tmp_path: Path) -> None:
    with rasterio.open(whole / "sr.tif") as file:
        image, profile = file.read(), file.profile
    image[:, :, 192:256] += 50
    with rasterio.open(tmp_path / "seam.tif", "w", **profile) as file:
        file.write(image)
    assert seam_score(tmp_path / "seam.tif", 64) > 1.01 * seam_score(whole / "sr.tif", 64)


# ---- interruptions


STEPS = [
    ("sitsr.inference.scene.write_block", 0, "after"),
    ("sitsr.inference.scene.write_block", 2, "before"),
    ("sitsr.scenes.write.write_cog", 0, "before"),
    ("sitsr.scenes.write.write_cog", 2, "after"),
    ("sitsr.scenes.write._spend", 0, "before"),
    ("sitsr.scenes.write.write_item", 0, "before"),
    ("sitsr.scenes.write.write_item", 0, "after"),
    ("sitsr.inference.journal.exchange", 0, "before"),
    ("sitsr.inference.journal.exchange", 0, "after"),
    ("shutil.rmtree", 0, "after"),
]
"""Where a run is stopped: before or after which call of what."""


@pytest.mark.slow
@pytest.mark.parametrize(("step", "call", "when"), STEPS)
def test_a_run_that_is_stopped_goes_on_and_ends_the_same_byte_for_byte(
    step: str,
    call: int,
    when: str,
    scene: Scene,
    weights: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    place, name = step.rsplit(".", 1)
    holder = import_module(place)
    usual, calls, after = getattr(holder, name), 0, when == "after"

    def stopping(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call + 1 and not after:
            raise KeyboardInterrupt
        answer = usual(*given, **named)
        if calls == call + 1:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(holder, name, stopping)
        with pytest.raises(KeyboardInterrupt):
            produce(job, out)
    produce(job, out)
    assert contents(out) == contents(whole)
    assert not journal_of(out).exists()


def test_what_was_made_is_not_made_again(
    scene: Scene, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    count = len(blocks_of(job, open_model(weights, "cpu")))
    made = []
    from sitsr.inference import scene as blockwise

    usual = blockwise.make_block

    def counted(*given: Any, **named: Any) -> None:
        if len(made) == 2:
            made.append("stopped")
            raise KeyboardInterrupt
        usual(*given, **named)
        made.append("made")

    monkeypatch.setattr(blockwise, "make_block", counted)
    with pytest.raises(KeyboardInterrupt):
        produce(job, out)
    produce(job, out)
    assert count > 3 and made.count("made") == count


def command(out: Path, *more: object) -> list[str]:
    code = "from sitsr.cli import main; main()"
    words = [DEMO, "--date", DAY, "--block", 64, "--samples", 1, "--device", "cpu", "--out", out]
    return [sys.executable, "-c", code, "super-resolve", *map(str, [*words, *more])]


@pytest.mark.slow
def test_a_killed_process_leaves_what_the_next_one_goes_on_with(
    weights: Path, tmp_path: Path
) -> None:
    words = ["--weights", weights]
    subprocess.run(command(tmp_path / "whole", *words), check=True, timeout=120)
    out, killed = tmp_path / "result", 0
    for _ in range(40):
        with subprocess.Popen(command(out, *words), stdout=subprocess.PIPE) as running:
            # each run is killed as soon as it has made one thing more
            before = progress_of(out)
            while running.poll() is None and progress_of(out) <= before:
                time.sleep(0.01)
            running.send_signal(signal.SIGKILL)
            running.wait()
        if out.exists():
            break
        killed += 1
    assert killed > 5
    assert contents(out) == contents(tmp_path / "whole")


def progress_of(out: Path) -> int:
    """How many blocks and files of the product there are."""
    journal = journal_of(out)
    try:
        made = [*journal.glob("blocks/*/*/notes.json"), *journal.glob("product/**/*.tif")]
    except FileNotFoundError:  # the product was put in its place meanwhile
        return sys.maxsize
    return len([path for path in made if not path.parent.name.startswith(".")])


def test_another_run_of_the_same_job_is_refused(
    scene: Scene, weights: Path, tmp_path: Path
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    told = job.identity | {"format": "cog"}
    with opened(journal_of(out), told):
        (journal_of(out) / "blocks").mkdir()
        with pytest.raises(InputError, match="is being worked on by another run"):
            produce(job, out)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"targets": (OTHER,)}, "target dates"),
        ({"settings": replace(QUICK, seed=1)}, "seed"),
        ({"settings": replace(QUICK, samples=0)}, "samples"),
        ({"settings": replace(QUICK, psf=(0.4,))}, "psf"),
        ({"block": 64}, "block"),
    ],
)
def test_another_configuration_is_refused(
    fields: dict[str, Any], what: str, scene: Scene, weights: Path, tmp_path: Path
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    interrupted(job, out)
    before = contents(journal_of(out))
    with pytest.raises(InputError, match=f"holds an unfinished run with other {what}; go on with"):
        produce(make_job(scene, weights, **fields), out)
    assert contents(journal_of(out)) == before


def test_other_weights_masks_images_or_formats_are_refused(
    scene: Scene, weights: Path, tmp_path: Path
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    interrupted(job, out)
    save_model(make_model(seed=3), tmp_path / "others.safetensors")
    others = {
        "weights": make_job(scene, tmp_path / "others.safetensors"),
        "masking": make_job(replace(scene, masking=replace(scene.masking, dilate=2)), weights),
        "images": make_job(replace(scene, frames=scene.frames[1:]), weights),
    }
    for what, other in others.items():
        with pytest.raises(InputError, match=f"unfinished run with other {what}"):
            produce(other, out)
    with pytest.raises(InputError, match="unfinished run with other format"):
        produce(job, out, form="zarr")


@pytest.mark.parametrize("tile", [16, 64])
def test_tiles_may_change_on_the_way(
    tile: int, scene: Scene, weights: Path, tmp_path: Path
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    interrupted(job, out)
    produce(replace(job, settings=replace(QUICK, tile=tile)), out)
    assert (out / "sr.tif").exists()


def interrupted(job: Job, out: Path) -> None:
    """Make two blocks of a job, and stop."""

    def stop(what: str, done: int, total: int) -> None:
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce(job, out, stage=stop)
    assert (journal_of(out) / "blocks").exists()


# ---- what breaks


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Four dates of the bundled series with masks beside them, so that a block looks less far."""
    folder = tmp_path_factory.mktemp("masked")
    for path in sorted(DEMO.glob("*.tif"))[:4]:
        shutil.copy(path, folder)
        with rasterio.open(path) as file:
            profile = file.profile | {"count": 1, "dtype": "uint8", "nodata": None}
            rows, cols = file.shape
        with rasterio.open(folder / f"{path.stem}_clear.tif", "w", **profile) as file:
            file.write(np.ones((1, rows, cols), np.uint8))
    return open_scene(folder)


def broken(scene: Scene, frame: int) -> Scene:
    """The scene with an image that cannot be read at its eastern edge."""
    edge = scene.frames[frame].grid.shape[1] - 20

    class Broken:
        def image(self, asked: Any, window: Tile) -> Any:
            if asked == scene.frames[frame] and window.right > edge:
                raise RasterioIOError("the block is broken")
            return scene.pixels.image(asked, window)

        def layer(self, *given: Any) -> Any:
            return scene.pixels.layer(*given)

    return replace(scene, pixels=Broken())


def test_a_part_that_cannot_be_read_is_not_clear_and_said_so(
    masked: Scene, weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lenient = replace(broken(masked, 1), strict=False)
    job = make_job(lenient, weights, settings=replace(QUICK, samples=0))
    with caplog.at_level(logging.WARNING, "sitsr.inference"):
        out = produce(job, tmp_path / "r")
    name = Path(masked.frames[1].source).name
    history = json.loads((out / "item.json").read_text())["properties"]["sitsr:history"]
    assert f"left out a part of {name} that cannot be read" in history
    assert f"left out a part of {name} that cannot be read" in caplog.text
    with rasterio.open(out / "clear_count.tif") as file:
        count = file.read(1)[:, 2:]
    assert (count[:, :40] == 4).mean() > 0.9 and (count[:, -20:] == 3).mean() > 0.9


def test_where_no_image_can_be_read_any_run_stops(
    masked: Scene, weights: Path, tmp_path: Path
) -> None:
    class Down:
        def image(self, *given: Any) -> Any:
            raise RasterioIOError("no network")

        layer = image

    down = replace(masked, pixels=Down(), strict=False)
    with pytest.raises(InputError, match="none of the 4 images of a window can be read; see to"):
        produce(make_job(down, weights), tmp_path / "result")
    assert not list(tmp_path.iterdir())


def test_an_image_that_is_gone_stops_any_run(weights: Path, tmp_path: Path) -> None:
    """It would be a hole that nobody asked for: a worker that lacks a disk makes only holes."""
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted(DEMO.glob("*.tif"))[-3:]:
        shutil.copy(path, images)
    scene = open_scene(images, strict=False)
    (images / path.name).unlink()
    elsewhere = pickle.loads(pickle.dumps(scene))
    with pytest.raises(InputError, match=f"{path.name} is not there; put it back"):
        produce(make_job(elsewhere, weights), tmp_path / "result")


def test_a_scene_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DEMO.parent)
    scene = open_scene(DEMO.name, strict=False)
    monkeypatch.chdir(tmp_path)
    assert all(Path(frame.source).is_file() for frame in scene.frames)
    assert read_window(scene, Tile(0, 0, 20, 30)).clear.any()


@pytest.mark.slow
def test_in_strict_runs_it_stops_the_work_and_the_journal_stays(
    masked: Scene, weights: Path, tmp_path: Path
) -> None:
    job, out = make_job(broken(masked, 1), weights), tmp_path / "result"
    with pytest.raises(InputError, match="is broken or cut short"):
        produce(job, out)
    assert len(list(journal_of(out).glob("blocks/*/*"))) >= 1
    mended = make_job(masked, weights)
    assert contents(produce(mended, out)) == contents(produce(mended, tmp_path / "other"))


def test_a_broken_block_is_taken_away_and_made_again(
    scene: Scene, weights: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    with monkeypatch.context() as patch:
        patch.setattr("sitsr.inference.production._join", stopped)
        with pytest.raises(KeyboardInterrupt):
            produce(job, out)
    core = blocks_of(job, open_model(weights, "cpu"))[1]
    place = place_of(journal_of(out), DAY, core)
    told = (place / "sr.tif").read_bytes()
    (place / "sr.tif").write_bytes(told[: len(told) // 3])
    with pytest.raises(InputError, match="1 blocks are broken and were removed"):
        produce(job, out)
    assert contents(produce(job, out)) == contents(whole)


def stopped(*given: Any) -> None:
    raise KeyboardInterrupt


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file can grow beyond this, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_the_run_stops_and_can_go_on(
    scene: Scene, weights: Path, whole: Path, tmp_path: Path
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    with files_of_at_most(20_000), pytest.raises(InputError, match="make room, and run again"):
        produce(job, out)
    blocks = [p.stat().st_size for p in journal_of(out).glob("blocks/*/*/sr.tif")]
    assert not out.exists() and not blocks
    largest = (whole / "sr.tif").stat().st_size
    with files_of_at_most(largest - 20_000), pytest.raises(InputError, match="cannot be put toge"):
        produce(job, out)
    assert not out.exists()
    assert contents(produce(job, out)) == contents(whole)


def test_a_scene_without_a_clear_pixel_is_refused(
    scene: Scene, weights: Path, tmp_path: Path
) -> None:
    def never(images: Any, bands: Any) -> Any:
        return np.zeros((len(images), *images.shape[2:]), bool)

    blind = replace(scene, masking=replace(scene.masking, mask=never))
    with pytest.raises(InputError, match="there is no clear pixel on any of"):
        produce(make_job(blind, weights), tmp_path / "result")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_product_replaces_a_former_one_of_another_kind(
    scene: Scene, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "result"
    produce(make_job(scene, weights, targets=(DAY, OTHER)), out)
    produce(make_job(scene, weights), out, form="zarr")
    assert (out / "cube.zarr").is_dir() and not (out / f"{DAY}").exists()
    produce(make_job(scene, weights), out)
    assert (out / "sr.tif").exists() and not (out / "cube.zarr").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


# ---- beyond one machine


@contextmanager
def dask(words: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of Dask's own command line."""
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, "-m", "dask", *words]
    with subprocess.Popen(command, **{**usual, **more}) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], said: str) -> str:
    """The first line of a process that says this."""
    assert process.stdout is not None
    for line in process.stdout:
        if said in line:
            return line
    raise AssertionError(f"{process.args} ended without saying {said}")


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_is_killed_loses_nothing(
    victim: int, scene: Scene, weights: Path, whole: Path, tmp_path: Path
) -> None:
    job, out = make_job(scene, weights), tmp_path / "result"
    place = ["--host", "127.0.0.1"]
    # Dask drops all copies but one of what many workers hold, every two seconds as it is shipped;
    # at once here, so that one worker or the other holds the last copy when it is killed.
    soon = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__INTERVAL": "10ms"}
    command = ["scheduler", *place, "--port", "0", "--no-dashboard"]
    with dask(command, env=soon) as scheduler:
        address = until(scheduler, "Scheduler at:").split()[-1]
        worker = ["worker", address, "--nthreads", "2", "--no-dashboard", "--no-nanny", *place]
        with dask(worker) as first, dask(worker) as second:
            until(first, "Registered to"), until(second, "Registered to")
            killed = []

            def kill(what: str, done: int, total: int) -> None:
                if done and not killed:
                    killed.append(victim)
                    (first, second)[victim].send_signal(signal.SIGKILL)

            produce(job, out, Means(scheduler=address), stage=kill)
    assert killed and (first, second)[victim].returncode == -signal.SIGKILL
    assert contents(out) == contents(whole)


def test_no_scheduler_at_an_address_is_said(
    scene: Scene, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitsr.inference.workers.WAIT", 1)
    job = make_job(scene, weights)
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        produce(job, tmp_path / "result", Means(scheduler="tcp://127.0.0.1:9"))
    assert not list(tmp_path.iterdir())


# ---- order and extent


def test_blocks_cover_what_is_wanted_once(scene: Scene, weights: Path) -> None:
    job, model = make_job(scene, weights), open_model(weights, "cpu")
    covered = np.zeros(scene.plan.grid.shape, int)
    for core in blocks_of(job, model):
        covered[core.window()] += 1
    assert (covered == 1).all()


def test_what_gdal_keeps_is_bounded(masked: Scene, weights: Path, tmp_path: Path) -> None:
    class Watched:
        limits: ClassVar[set[int]] = set()

        def image(self, *given: Any) -> Any:
            self.limits.add(get_gdal_config("GDAL_CACHEMAX"))
            return masked.pixels.image(*given)

        def layer(self, *given: Any) -> Any:
            return masked.pixels.layer(*given)

    watched = replace(masked, pixels=Watched())
    produce(make_job(watched, weights, settings=replace(QUICK, samples=0)), tmp_path / "result")
    assert Watched.limits == {KEPT}


def test_stages_are_told_from_nothing_to_all(scene: Scene, weights: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    job = make_job(scene, weights, targets=(DAY, OTHER))
    produce(job, tmp_path / "r", stage=lambda *step: told.append(step))
    for what in ("Super-resolving", "Writing"):
        steps = [(done, total) for stage, done, total in told if stage == what]
        assert steps[0][0] == 0 and steps[-1][0] == steps[-1][1] > 2
        assert all(one[0] <= two[0] for one, two in pairwise(steps))


MISTAKES: list[tuple[Callable[[Scene, Path], Any], str]] = [
    (lambda scene, weights: make_job(scene, weights, targets=()), "no target date"),
    (lambda scene, weights: make_job(scene, weights, block=0), "block must be 1 or more, got 0"),
    (lambda scene, weights: Means(workers=0), "workers must be 1 or more, got 0"),
]


@pytest.mark.parametrize(("make", "said"), MISTAKES)
def test_a_job_that_makes_no_sense_is_refused(
    make: Callable[[Scene, Path], Any], said: str, scene: Scene, weights: Path
) -> None:
    with pytest.raises(InputError, match=said):
        make(scene, weights)
