"""A region costs what lies in it: far files are read by windows, and no part of them twice."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

import sitsr
from conftest import make_model
from sitsr.inference import Job, Settings
from sitsr.inference.scene import blocks_of, bounded, make_blocks, read_block
from sitsr.model import open_model, save_model
from sitsr.scenes import Selection, open_scene
from sitsr.scenes.area import area_of_box

DEMO = Path(str(files("sitsr") / "demo"))
BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
ROWS, COLS, DATES = 1000, 1400, 3
LEAST = 40_000
"""Bytes of a header, which come whole; counted for each file beside its pixels."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Counter[str]]]:
    """The address of a folder on a server that gives ranges, and the bytes it sent of each file."""
    sent: Counter[str] = Counter()

    class Ranges(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = Path(self.translate_path(self.path)).read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), int(asked[2])) if asked else (0, len(content) - 1)
            part = content[first : last + 1]
            sent[Path(self.path).name] += len(part)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", f"{len(part)}")
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_far(folder: Path, base: str) -> Path:
    """A catalogue on disk whose rasters lie on the server: 3 dates, 4 bands and scene classes."""
    series = sitsr.open_series(DEMO).select(tuple(BANDS))
    times = ROWS // series.grid.shape[0] + 1, COLS // series.grid.shape[1] + 1
    chance = np.random.default_rng(0)
    profile = {
        **{"driver": "GTiff", "count": 1, "crs": "EPSG:32631", "transform": series.grid.transform},
        **{"height": ROWS, "width": COLS, "tiled": True, "blockxsize": 128, "blockysize": 128},
        **{"compress": "DEFLATE"},
    }
    links = []
    for number in range(DATES):
        day = date(2021, 7, 1) + timedelta(days=10 * number)
        name = f"S2A_31TDG_{day:%Y%m%d}_0_L2A"
        planes = np.rint(np.tile(series.images[number], (1, *times))[:, :ROWS, :COLS] * 1e4)
        noisy = planes + chance.integers(0, 200, planes.shape)  # as hard to compress as real ones
        assets: dict[str, Any] = {}
        for (band, colour), plane in zip(BANDS.items(), noisy, strict=True):
            with rasterio.open(
                folder / f"{name}_{band}.tif", "w", dtype="uint16", nodata=0, **profile
            ) as file:
                file.write(plane.clip(1).astype(np.uint16), 1)
            assets[colour] = {
                "href": f"{base}/{name}_{band}.tif",
                "type": "image/tiff; application=geotiff",
                "eo:bands": [{"name": band, "common_name": colour}],
            }
        with rasterio.open(folder / f"{name}_SCL.tif", "w", dtype="uint8", **profile) as file:
            file.write(chance.choice(np.array([4, 9], np.uint8), (ROWS, COLS)), 1)
        assets["scl"] = {"href": f"{base}/{name}_SCL.tif", "type": "image/tiff"}
        links.append(item(folder, name, day, assets, series.grid[:1, :1]))
    catalogue = folder / "catalog.json"
    top = {"type": "Catalog", "id": "far", "description": "far", "stac_version": "1.0.0"}
    catalogue.write_text(json.dumps({**top, "links": links}))
    return catalogue


def item(folder: Path, name: str, day: date, assets: Any, corner: Any) -> dict[str, str]:
    """Write an item; the link to it."""
    left, _, _, top = corner.boundingbox.bbox
    bounds = left, top - 10 * ROWS, left + 10 * COLS, top
    west, south, east, north = transform_bounds("EPSG:32631", "EPSG:4326", *bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    told = {
        **{"type": "Feature", "stac_version": "1.0.0", "id": name, "links": [], "assets": assets},
        **{"bbox": [west, south, east, north]},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": f"{day}T10:00:00Z", "platform": "sentinel-2a"},
    }
    (folder / f"{name}.json").write_text(json.dumps(told))
    return {"rel": "item", "href": f"./{name}.json"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(make_model(), path)
    return path


@pytest.mark.slow
def test_no_part_of_a_far_file_is_fetched_twice(weights: Path, tmp_path: Path) -> None:
    model = open_model(weights, "cpu")
    with serving(tmp_path) as (base, sent):
        scene = open_scene(write_far(tmp_path, base))
        assert scene.plan.grid.shape == (ROWS, COLS) and len(scene.dates) == DATES
        job = Job(scene, (scene.dates[0],), Settings(samples=0), weights, "cpu", block=256)
        cores = blocks_of(job, model)
        with bounded():
            series = [read_block(job, model, core) for core in cores]
    assert len(cores) == 4 * 6 and all(each.clear.any() for each in series)
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.tif")}
    assert set(sent) == set(sizes) and len(sizes) == 5 * DATES
    # blocks overlap by twice the reach: read one by one they would cost half as much again
    overlap = sum(each.clear[0].size for each in series) / (ROWS * COLS)
    assert overlap > 1.2
    assert sum(sent.values()) < 1.05 * sum(sizes.values())
    assert all(sent[name] < 1.1 * size + LEAST for name, size in sizes.items())


@pytest.mark.slow
def test_a_small_area_costs_a_small_part_of_the_files(weights: Path, tmp_path: Path) -> None:
    model = open_model(weights, "cpu")
    with serving(tmp_path) as (base, sent):
        catalogue = write_far(tmp_path, base)
        whole = sitsr.open_series(DEMO).grid
        left, _, _, top = whole.boundingbox.bbox
        bounds = left + 3000, top - 5000, left + 5000, top - 3500
        box = ",".join(map(str, transform_bounds("EPSG:32631", "EPSG:4326", *bounds)))
        scene = open_scene(catalogue, wanted=Selection(area=area_of_box(box)))
        job = Job(scene, (scene.dates[0],), Settings(samples=0), weights, "cpu", block=256)
        make_blocks(job, model, blocks_of(job, model), tmp_path / "journal", lambda tiles: None)
    rows, cols = scene.plan.grid.shape
    looked = (rows + 2 * 128 + 2 * 128) * (cols + 2 * 128 + 2 * 128) / (ROWS * COLS)
    sizes = sum(path.stat().st_size for path in tmp_path.glob("*.tif"))
    assert looked < 0.5
    assert sum(sent.values()) < looked * sizes + 5 * DATES * LEAST
