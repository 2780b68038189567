"""Memory and disk are bounded, whatever the size of the scene."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import rasterio

import sitsr
from conftest import make_model
from sitsr.inference import Job, Settings, produce
from sitsr.inference.journal import journal_of
from sitsr.model import save_model
from sitsr.scenes import open_scene

DEMO = Path(str(files("sitsr") / "demo"))
DAY = date(2021, 7, 18)
ROWS = 200


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(make_model(), path)
    return path


def write_strip(folder: Path, cols: int) -> Path:
    """Four dates of a strip of ground this long, with masks: the bundled series, repeated."""
    folder.mkdir()
    series = sitsr.open_series(DEMO).select(("B02", "B03", "B04", "B08"))
    times = 1, ROWS // series.grid.shape[0] + 1, cols // series.grid.shape[1] + 1
    where = {"crs": "EPSG:32631", "transform": series.grid.transform, "driver": "GTiff"}
    shape = {"height": ROWS, "width": cols, "tiled": True, "compress": "DEFLATE"}
    for image, day in zip(series.images[-4:], series.dates[-4:], strict=True):
        stored = np.tile(np.rint(image * 1e4).clip(1, 6e4), times)[:, :ROWS, :cols]
        with rasterio.open(
            folder / f"{day}.tif", "w", dtype="uint16", count=4, **where, **shape
        ) as file:
            file.write(stored.astype(np.uint16))
            file.descriptions = series.bands
        with rasterio.open(
            folder / f"{day}_clear.tif", "w", dtype="uint8", count=1, **where, **shape
        ) as file:
            file.write(np.ones((1, ROWS, cols), np.uint8))
    return folder


def peaks_of(images: Path, weights: Path, out: Path) -> list[tuple[str, float, float]]:
    """Stage, share done and megabytes that a process held at most until then, as it makes these
    images a product.

    What GDAL keeps is bounded, but the bounds are wider than this scene: they are made narrow.
    """
    code = f"""
import json
import resource
from datetime import date
from pathlib import Path
from sitsr.inference import Job, Settings, produce
from sitsr.inference import scene as blockwise
from sitsr.scenes import open_scene
from sitsr.scenes.write import mosaic
blockwise.KEPT = mosaic.CACHE = 16 << 20
told = []
def look(what, done, total):
    told.append((what, done / total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
scene = open_scene({str(images)!r})
settings = Settings(samples=1, tile=64)
job = Job(scene, (date(2021, 7, 18),), settings, Path({str(weights)!r}), "cpu", block=128)
produce(job, Path({str(out)!r}), stage=look)
print(json.dumps(told))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [tuple(each) for each in json.loads(done.stdout)]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_scene(weights: Path, tmp_path: Path) -> None:
    cols = 2700
    peaks = peaks_of(write_strip(tmp_path / "strip", cols), weights, tmp_path / "result")
    at_work = [(share, peak) for what, share, peak in peaks if what == "Super-resolving"]
    early = max(peak for share, peak in at_work if share < 0.2)
    late, end = at_work[-1][1], peaks[-1][2]
    # mean, spread and sample of four bands: reflectance, and what is stored of it
    made = 12 * 16 * ROWS * cols * 4 / 1e6
    assert late - early < 0.15 * made
    assert end - late < 0.3 * made, "while blocks are joined"


def test_the_disk_holds_the_product_and_one_raster_more(weights: Path, tmp_path: Path) -> None:
    scene = open_scene(write_strip(tmp_path / "strip", 700))
    out, held = tmp_path / "result", []

    def look(what: str, done: int, total: int) -> None:
        held.append(size_of(journal_of(out)))

    job = Job(scene, (DAY,), Settings(samples=3, tile=64), weights, "cpu", block=150)
    produce(job, out, stage=look)
    largest = max(path.stat().st_size for path in out.rglob("*.tif"))
    assert max(held) < size_of(out) + 1.3 * largest
    assert not journal_of(out).exists()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
