"""STAC as a source of frames: items, catalogues, and a real API with its files on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pystac
import pytest
import rasterio
import requests
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from miniatures.stac import BANDS, CLOUD, DAYS, DEFECTS, ROWS, TILES, make_stac, write_band
from sitsr.scenes import make_plan
from sitsr.scenes.environment import ACCOUNTS, NETWORK, gdal_environment, open_raster
from sitsr.scenes.files import Files
from sitsr.scenes.frames import Frame
from sitsr.scenes.read import read_series, survey
from sitsr.scenes.sources.stac import ENDPOINTS, Search, catalogues, is_stac, parse_stac, signed
from sitsr.scenes.sources.stac.addresses import opened, resolved
from sitsr.scenes.sources.stac.assets import bands_of, cover_of
from sitsr.scenes.sources.stac.offsets import radiometry
from sitsr.scenes.units import settle, where_seen
from sitsr.series import InputError, Series
from sitsr.tiles import Tile

FOUR = ("B02", "B03", "B04", "B08")
NOISE = (1536, 2048)
"""Rows and columns of a raster that is large enough to be read in part."""
LEGACY, C1 = Search(collection="legacy"), Search(collection="c1")


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature catalogue, with one large raster and a virtual one beside it."""
    folder = tmp_path_factory.mktemp("stac")
    make_stac(folder)
    chance = np.random.default_rng(0)
    grid = GeoBox(NOISE, rasterio.Affine(10, 0, 500_000, 0, -10, 4_700_000), "EPSG:32631")
    write_band(folder / "large.tif", chance.integers(1, 4000, NOISE).astype(np.uint16), grid)
    return folder


@contextmanager
def api_of(folder: Path) -> Iterator[str]:
    """The address of a STAC API over a static catalogue, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("stac_api.py")), str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            for _ in range(200):
                try:
                    requests.get(f"{address}/served", timeout=1)
                    break
                except requests.ConnectionError:
                    time.sleep(0.05)
            yield address
        finally:
            server.kill()


@pytest.fixture(scope="module")
def api(mini: Path) -> Iterator[str]:
    with api_of(mini) as address:
        yield address


def served(api: str) -> dict[str, int]:
    """Bytes that went out so far, by path."""
    told: dict[str, int] = requests.get(f"{api}/served", timeout=5).json()
    return told


def series_of(place: str, search: Search) -> Series:
    """All that is looked for, read."""
    return read_series(survey(make_plan(*parse_stac(place, search=search, bands=FOUR))))


def all_of(frame: Frame) -> Any:
    """[C, H, W] digital numbers."""
    return Files().image(frame, Tile(0, 0, *frame.grid.shape))


def first_item(folder: Path, collection: str = "legacy") -> Path:
    """The item of a catalogue that bears its faults."""
    return sorted((folder / collection).glob("*/S2*.json"))[0]


def item_with(assets: dict[str, Any], name: str = "S2A_somewhere", **told: Any) -> pystac.Item:
    """An item on the web with these assets and properties."""
    properties = {"datetime": "2023-08-15T10:00:00Z", **told}
    plain = {"type": "Feature", "stac_version": "1.0.0", "geometry": None, "links": []}
    return pystac.Item.from_dict(
        {**plain, "id": name, "properties": properties, "assets": assets},
        href="https://host/items/item.json",
        migrate=False,
    )


def asset(href: str = "x.tif", **fields: Any) -> dict[str, Any]:
    return {"href": href, "type": "image/tiff", **fields}


# ---- what a catalogue gives


@pytest.mark.parametrize("collection", ["legacy", "c1"])
def test_every_item_becomes_a_frame_on_the_grid_of_its_rasters(mini, collection) -> None:
    frames, _ = parse_stac(str(mini), search=Search(collection=collection))
    assert sorted({frame.date for frame in frames}) == list(DAYS)
    assert len(frames) == len(DAYS) * len(TILES)
    for frame in frames:
        assert frame.bands == tuple(BANDS)
        assert [Path(path).name for path in frame.files] == [f"{band}.tif" for band in BANDS]
        with rasterio.open(frame.files[0]) as file:
            assert frame.grid.shape == file.shape == (ROWS, file.width)
            assert frame.grid.transform == file.transform
        assert (frame.nodata, frame.quantum) == (0, 1e-4)
        assert frame.cover is not None
        assert (frame.cover.kind, Path(frame.cover.file).name) == ("SCL", "SCL.tif")
        assert frame.cloud == CLOUD[DAYS.index(frame.date)] / 100


def test_two_editions_of_the_same_images_give_the_same_reflectance(mini) -> None:
    series = []
    for search in (LEGACY, C1):
        series.append(series_of(str(mini), search))
    old, new = series
    assert old.dates == new.dates
    np.testing.assert_array_equal(old.clear, new.clear)
    np.testing.assert_allclose(old.images, new.images, atol=2e-7)
    assert old.images.shape[2:] == (ROWS, sum(east - west for west, east in TILES.values()))


def test_a_folder_a_catalogue_a_collection_an_item_and_a_list_of_items_are_places(
    mini, tmp_path
) -> None:
    item = first_item(mini)
    listed = item.with_name("search.json")
    document = json.loads(item.read_text())
    listed.write_text(json.dumps({"type": "FeatureCollection", "features": [document]}))
    whole = parse_stac(str(mini), search=LEGACY)[0]
    assert parse_stac(str(mini / "catalog.json"), search=LEGACY)[0] == whole
    assert parse_stac(str(mini / "legacy" / "collection.json"))[0] == whole
    assert parse_stac(str(mini / "legacy"))[0] == whole
    (alone,), _ = parse_stac(str(item))
    assert alone in whole
    (one,), _ = parse_stac(str(listed))
    listed.unlink()
    assert one.files == alone.files
    assert one.source.endswith(f"search.json#{document['id']}")


@pytest.mark.parametrize(
    ("search", "count"),
    [
        (Search(collection="legacy"), 6),
        (Search(collection="legacy", dates=(DAYS[1], None)), 4),
        (Search(collection="legacy", dates=(None, DAYS[0])), 2),
        (Search(collection="legacy", dates=(DAYS[1], DAYS[1])), 2),
        (Search(collection="legacy", max_cloud=0.2), 4),
        (Search(collection="legacy", max_cloud=0.125), 4),
        (Search(collection="legacy", max_cloud=0.05, dates=(DAYS[0], DAYS[1])), 2),
        (Search(collection="legacy", bbox=(2.7, 42.3, 2.8205, 42.4)), 3),
        (Search(collection="legacy", bbox=(2.7, 42.3, 2.9, 42.4)), 6),
    ],
)
@pytest.mark.parametrize("kind", ["static", "static on the web", "API"])
def test_dates_clouds_and_box_choose_the_same_in_catalogues_and_apis(
    mini, api, search, count, kind
) -> None:
    places = {"static": str(mini), "static on the web": f"{api}/files/catalog.json", "API": api}
    frames, _ = parse_stac(places[kind], search=search, bands=("B02",))
    assert len(frames) == count
    first, last = search.dates
    assert all((first or frame.date) <= frame.date <= (last or frame.date) for frame in frames)


def test_what_the_items_state_of_the_grid_and_the_rasters_deny_is_told(mini) -> None:
    _, notes = parse_stac(str(mini), search=LEGACY)
    told = [note for note in notes if "taken as the rasters are" in note]
    assert len(told) == len(TILES)
    assert told[0].startswith("3 items state pixels of 10 m, 10980 x 10980 pixels, but")
    assert not [note for note in parse_stac(str(mini), search=C1)[1] if "taken as" in note]


# ---- which asset holds which band


def test_a_common_name_wins_over_a_key_and_a_shared_one_gives_way_to_the_name() -> None:
    def band(**told: str) -> list[dict[str, str]]:
        return [told]

    found = bands_of(
        item_with(
            {
                "B04": asset("blue.tif", **{"eo:bands": band(name="B04", common_name="blue")}),
                "a": asset("b06.tif", **{"eo:bands": band(name="B06", common_name="rededge")}),
                "rededge3": asset("b07.tif", **{"eo:bands": band(common_name="rededge")}),
                "b": asset("b05.tif", bands=[{"eo:common_name": "rededge071"}]),
                "B8A": asset("b8a.tif"),
                "B11_20m": asset("b11.tif"),
                "x": asset("b12.tif", bands=band(name="B12")),
                "SCL": asset("scl.tif"),
            }
        )
    )
    assert {name: layer.asset.href for name, layer in found.items()} == {
        "B02": "blue.tif",
        "B05": "b05.tif",
        "B06": "b06.tif",
        "B07": "b07.tif",
        "B8A": "b8a.tif",
        "B11": "b11.tif",
        "B12": "b12.tif",
    }


def test_twins_pictures_and_what_is_no_raster_are_passed_over() -> None:
    colours = [{"common_name": name} for name in ("red", "green", "blue")]
    found = bands_of(
        item_with(
            {
                "B02_20m": asset("b02_20m.tif"),
                "B02_10m": asset("b02_10m.tif"),
                "blue-jp2": {"href": "s3://x/B02.jp2", "eo:bands": [{"common_name": "blue"}]},
                "visual": asset("tci.tif", **{"eo:bands": colours}),
                "colours": asset("rgb.tif", **{"eo:bands": colours}, roles=["visual"]),
                "bytes": asset("8.tif", bands=[{"name": "B03", "data_type": "uint8"}]),
                "B08": {"href": "B08.zarr", "type": "application/vnd+zarr"},
                "green-jp2": {"href": "s3://x/B03.jp2", "eo:bands": [{"common_name": "green"}]},
            }
        )
    )
    assert {name: layer.asset.href for name, layer in found.items()} == {
        "B02": "b02_10m.tif",
        "B03": "s3://x/B03.jp2",
    }


def test_a_file_of_many_bands_is_read_by_their_names() -> None:
    names = [{"name": name} for name in ("B08", "B02", "what", "B03")]
    found = bands_of(item_with({"image": asset(**{"eo:bands": names})}))
    assert {name: layer.index for name, layer in found.items()} == {"B02": 2, "B03": 4, "B08": 1}


@pytest.mark.parametrize(
    ("keys", "kind", "chosen"),
    [
        (("CLM", "scl-jp2", "scl", "cloud"), "SCL", "scl"),
        (("SCL_60m", "SCL_20m"), "SCL", "SCL_20m"),
        (("cloud", "CLM_R1"), "CLM", "CLM_R1"),
        (("snow", "cld", "thumbnail"), "probability", "cld"),
        (("cloud_probability",), "probability", "cloud_probability"),
    ],
)
def test_the_best_mask_of_an_item_is_its_cover(keys, kind, chosen) -> None:
    found = cover_of(item_with({key: asset(f"{key}.tif") for key in keys}))
    assert found is not None
    assert (found[0], found[1].key) == (kind, chosen)


def test_an_item_without_masks_has_no_cover() -> None:
    assert cover_of(item_with({"B02": asset()})) is None


# ---- where hrefs lead


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("B02.tif", "/vsicurl/https://host/items/B02.tif"),
        ("../B02.tif", "/vsicurl/https://host/B02.tif"),
        ("../../../B02.tif", "/vsicurl/https://host/B02.tif"),
        ("/etc/B02.tif", "/vsicurl/https://host/etc/B02.tif"),
        ("http://other/B02.tif?a=1&b=2", "/vsicurl/http://other/B02.tif?a=1&b=2"),
        ("s3://bucket/B02.jp2", "/vsis3/bucket/B02.jp2"),
        ("gs://bucket/B02.jp2", "/vsigs/bucket/B02.jp2"),
        ("s3://bucket/a.zip/in/B02.jp2", "/vsizip//vsis3/bucket/a.zip/in/B02.jp2"),
        ("a.zip!/in/B02.jp2", "/vsizip//vsicurl/https://host/items/a.zip/in/B02.jp2"),
    ],
)
def test_gdal_opens_what_a_remote_item_names(href, path) -> None:
    assert opened(resolved(href, "https://host/items/item.json")) == path


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("B02.tif", "/data/cat/items/B02.tif"),
        ("../B02.tif", "/data/cat/B02.tif"),
        ("/elsewhere/B02.tif", "/elsewhere/B02.tif"),
        ("file:///elsewhere/B%2002.tif", "/elsewhere/B 02.tif"),
        ("a.zip/in/B02.jp2", "/vsizip//data/cat/items/a.zip/in/B02.jp2"),
        ("https://host/B02.tif", "/vsicurl/https://host/B02.tif"),
    ],
)
def test_gdal_opens_what_a_local_item_names(href, path) -> None:
    assert opened(resolved(href, "/data/cat/items/item.json", Path("/data/cat"))) == path


@pytest.mark.parametrize(
    "href", ["file:///etc/passwd", "/vsizip//etc/a.zip/b", "/vsicurl/http://x", "ftp://host/x.tif"]
)
def test_a_remote_item_has_no_local_file_read(href) -> None:
    with pytest.raises(InputError, match="not on the network; a remote item may not have local"):
        resolved(href, "https://host/items/item.json")


def test_a_remote_virtual_raster_opens_nothing(mini, api) -> None:
    local = mini / "legacy.vrt"
    secret = next((mini / "legacy").glob("*/B02.tif"))
    with rasterio.open(secret) as file:
        rows, cols = file.shape
    local.write_text(
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><VRTRasterBand dataType="UInt16" '
        f'band="1"><SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    path = f"/vsicurl/{api}/files/legacy.vrt"
    with (
        rasterio.Env(**gdal_environment(path)),
        pytest.raises(rasterio.errors.RasterioIOError, match="not recognized"),
    ):
        open_raster(path)


def test_an_archive_is_not_left() -> None:
    with pytest.raises(InputError, match="leads out of its archive"):
        opened("/data/a.zip/../b.tif")


# ---- radiometry

STATED = {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}
NOTHING: dict[str, Any] = {}
FLAG = "earthsearch:boa_offset_applied"
XML = '<a><L><BOA_ADD_OFFSET band_id="1">{}</BOA_ADD_OFFSET></L></a>'


@pytest.mark.parametrize(
    ("bands", "told", "product", "offset", "disputed"),
    [
        (NOTHING, {}, None, None, False),
        (NOTHING, {"s2:processing_baseline": "05.09"}, None, -1000, False),
        (NOTHING, {"s2:processing_baseline": "03.01"}, None, 0, False),
        (NOTHING, {"processing:version": "05.11"}, None, -1000, False),
        (NOTHING, {"s2:product_uri": "S2A_MSIL2A_x_N0509_R079_y.SAFE"}, None, -1000, False),
        (NOTHING, {FLAG: True, "s2:processing_baseline": "05.09"}, None, 0, False),
        (NOTHING, {FLAG: False, "s2:processing_baseline": "05.09"}, None, -1000, False),
        (NOTHING, {FLAG: False, "s2:processing_baseline": "03.01"}, None, 0, False),
        (STATED, {}, None, -1000, False),
        (STATED, {"s2:processing_baseline": "03.01"}, None, -1000, False),
        ({"raster:scale": 1e-4, "raster:offset": -0.1}, {}, None, -1000, False),
        ({"bands": [{"raster:scale": 1e-4, "raster:offset": -0.1}]}, {}, None, -1000, False),
        ({"raster:bands": [{"offset": -0.1}]}, {}, None, -1000, False),
        ({"raster:bands": [{"offset": -1000}]}, {}, None, -1000, False),
        (STATED, {FLAG: False, "s2:processing_baseline": "05.09"}, None, -1000, False),
        (STATED, {FLAG: True}, None, 0, True),
        (STATED, {FLAG: False, "s2:processing_baseline": "03.01"}, None, 0, True),
        (
            {"raster:bands": [{"offset": 0}]},
            {FLAG: False, "s2:processing_baseline": "05.09"},
            None,
            -1000,
            True,
        ),
        (NOTHING, {"s2:processing_baseline": "03.01"}, XML.format(-1000), -1000, False),
        (STATED, {}, XML.format(0), 0, False),
        (STATED, {}, "<a/>", -1000, False),
        (STATED, {}, "<a>cut sho", -1000, False),
        (NOTHING, {FLAG: True}, XML.format(-1000), 0, True),
    ],
)
def test_the_offset_is_that_of_whom_to_believe(bands, told, product, offset, disputed) -> None:
    item = item_with({"B02": asset(**bands)}, **told)
    found = radiometry(item, bands_of(item), product)
    assert found.offset == offset
    assert bool(found.decided) == disputed
    assert all("the flag that it is" in said and item.id in said for said in found.decided)


@pytest.mark.parametrize("brightest", [0, 1500, 6000])
def test_the_flag_settles_what_pixels_under_cloud_cannot(mini, brightest) -> None:
    """The trap of Earth Search: an offset is stated, and the pixels have it."""
    frames, _ = parse_stac(str(mini), search=LEGACY, bands=FOUR)
    pixels = [np.maximum(all_of(frame), brightest) for frame in frames]
    seen = [where_seen(values, 0) for values in pixels]
    units, _ = settle(frames, pixels, seen)
    assert [unit.offset for unit in units] == [0.0] * len(frames)
    decided = [said for frame in frames for said in frame.decided]
    assert len(decided) == sum(frame.date.year >= 2022 for frame in frames)
    assert all(said.endswith("taken as already added") for said in decided)
    assert set(decided) <= set(make_plan(frames).history)


def test_an_offset_in_the_products_metadata_is_added(mini) -> None:
    frames, _ = parse_stac(str(mini), search=C1)
    assert [frame.offset for frame in frames] == [
        -1000.0 if frame.date.year >= 2022 else 0.0 for frame in frames
    ]


# ---- a real API, and files over HTTP


@pytest.mark.parametrize("collection", ["legacy", "c1"])
def test_an_api_gives_the_frames_of_the_catalogue_it_serves(mini, api, collection) -> None:
    search = Search(collection=collection)
    there = series_of(api, search)
    here = series_of(str(mini), search)
    np.testing.assert_array_equal(there.images, here.images)
    np.testing.assert_array_equal(there.clear, here.clear)
    assert all(source.startswith(api) for joined in there.sources for source in joined.split(", "))


def test_pages_are_turned_to_the_end(api, monkeypatch) -> None:
    monkeypatch.setattr(catalogues, "PAGE", 4)
    frames, _ = parse_stac(api, bands=("B02",), search=LEGACY)
    assert len({frame.source for frame in frames}) == len(DAYS) * len(TILES)


def test_a_collection_and_an_item_of_an_api_are_places(api) -> None:
    frames, _ = parse_stac(f"{api}/collections/legacy", bands=("B02",))
    assert len(frames) == len(DAYS) * len(TILES)
    (one,), _ = parse_stac(frames[0].source, bands=("B02",))
    assert one == frames[0]


def test_one_page_of_a_search_is_not_taken_for_all(api) -> None:
    with pytest.raises(InputError, match="is the first page of a search; give the API's root"):
        parse_stac(f"{api}/collections/legacy/items?limit=2")
    assert len(parse_stac(f"{api}/collections/legacy/items?limit=9", bands=("B02",))[0]) == 6


def test_a_short_name_stands_for_an_api_and_its_collection(api, monkeypatch) -> None:
    monkeypatch.setitem(ENDPOINTS, "here", type(ENDPOINTS["cdse"])(api, "c1"))
    frames, _ = parse_stac("here", bands=("B02",))
    assert len(frames) == len(DAYS) * len(TILES)
    assert all("/collections/c1/" in frame.source for frame in frames)
    frames, _ = parse_stac("here", bands=("B02",), search=LEGACY)
    assert all("/collections/legacy/" in frame.source for frame in frames)


def test_a_header_and_a_window_cost_a_small_part_of_a_file(mini, api) -> None:
    path = f"/vsicurl/{api}/files/large.tif"
    size = (mini / "large.tif").stat().st_size
    with rasterio.Env(**gdal_environment(path)), open_raster(path) as file:
        header = served(api)["/files/large.tif"]
        window = file.read(1, window=Window(300, 520, 100, 50))
    with rasterio.open(mini / "large.tif") as file:
        np.testing.assert_array_equal(window, file.read(1, window=Window(300, 520, 100, 50)))
    read = served(api)["/files/large.tif"]
    assert 0 < header < 0.02 * size
    assert header < read < 0.06 * size
    beside = [name for name in served(api) if name.startswith("/files/large.")]
    assert beside == ["/files/large.tif"]


def test_parsing_reads_one_header_of_an_item(api) -> None:
    before = set(served(api))
    search = Search(collection="legacy", dates=(DAYS[2], DAYS[2]))
    parse_stac(api, search=search, bands=("B05", "B03"))
    new = {Path(name).name for name in set(served(api)) - before}
    assert new <= {"B03.tif"}


def test_a_raster_that_lies_where_its_side_car_says_is_placed(mini, api, recwarn) -> None:
    grid = GeoBox((30, 50), rasterio.Affine(10, 0, 500_000, 0, -10, 4_700_000), "EPSG:32631")
    folder = mini / "c1"
    write_band(folder / "with.tif", np.ones((30, 50), np.uint16), grid)
    with rasterio.open(folder / "with.tif") as file:
        profile = {**file.profile, "crs": None, "transform": None}
    with rasterio.open(folder / "beside.tif", "w", **profile) as file:
        file.write(np.ones((1, 30, 50), np.uint16))
    (folder / "beside.tfw").write_text("10\n0\n0\n-10\n500005\n4699995\n")
    path = f"/vsicurl/{api}/files/c1/beside.tif"
    with rasterio.Env(**gdal_environment(path)), open_raster(path) as file:
        assert file.transform == grid.transform
    recwarn.clear()


def test_files_of_the_planetary_computer_are_signed_by_a_token_of_their_collection() -> None:
    """GDAL itself fetches the token; here it is sent to this machine for it."""
    grid = GeoBox((30, 50), rasterio.Affine(10, 0, 500_000, 0, -10, 4_700_000), "EPSG:32631")
    with rasterio.MemoryFile() as memory:
        size = {"count": 1, "height": 30, "width": 50, "dtype": "uint16"}
        where = {"crs": "EPSG:32631", "transform": grid.transform}
        with memory.open(driver="GTiff", **size, **where) as file:
            file.write(np.full((1, 30, 50), 7, np.uint16))
        content = bytes(memory.getbuffer())
    asked: list[str] = []

    def answer(path: str) -> tuple[int, bytes]:
        asked.append(path)
        if path == "/token/sentinel-2-l2a":
            token = {"msft:expiry": "2999-01-01T00:00:00Z", "token": "sig=secret"}
            return 200, json.dumps(token).encode()
        return (200, content) if path == "/B02.tif?sig=secret" else (403, b"")

    with answering(answer) as base:
        href = signed("https://sentinel2l2a01.blob.core.windows.net/B02.tif", "sentinel-2-l2a")
        assert href.startswith("/vsicurl?pc_url_signing=yes&pc_collection=sentinel-2-l2a&url=https")
        path = href.replace("https%3A%2F%2Fsentinel2l2a01.blob.core.windows.net", base)
        env = {**gdal_environment(path), "VSICURL_PC_SAS_TOKEN_URL": f"{base}/token/"}
        with rasterio.Env(**env), open_raster(path) as file:
            assert (file.read() == 7).all()
    assert asked.count("/token/sentinel-2-l2a") == 1


@pytest.mark.parametrize(
    "href", ["https://elsewhere.org/B02.tif", "https://x.blob.core.windows.net/B02.tif?sig=old"]
)
def test_what_needs_no_signature_is_left_as_it_is(href) -> None:
    assert signed(href, "sentinel-2-l2a") == f"/vsicurl/{href}"


def test_an_item_of_the_planetary_computer_is_signed_and_another_is_not(mini, monkeypatch) -> None:
    opened_paths: list[str] = []

    def header(name: str, path: str) -> tuple[GeoBox, float]:
        opened_paths.append(path)
        return GeoBox((3, 5), rasterio.Affine(10, 0, 0, 0, -10, 0), "EPSG:32631"), 0.0

    monkeypatch.setattr("sitsr.scenes.sources.stac.items._header", header)
    item = json.loads(first_item(mini).read_text())
    item["assets"] = {"B02": asset("https://s.blob.core.windows.net/B02.tif")}
    path = first_item(mini).with_name("signed.json")
    for home in ("https://planetarycomputer.microsoft.com/api/stac/v1/", "https://other/"):
        path.write_text(json.dumps({**item, "links": [{"rel": "root", "href": home}]}))
        parse_stac(str(path))
    path.unlink()
    first, second = opened_paths
    assert first.startswith("/vsicurl?pc_url_signing=yes&pc_collection=legacy&url=")
    assert second == "/vsicurl/https://s.blob.core.windows.net/B02.tif"


def test_what_the_user_sets_for_gdal_stands(monkeypatch, tmp_path) -> None:
    for name in (*NETWORK, *ACCOUNTS):
        monkeypatch.delenv(name, raising=False)
    keys = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    assert gdal_environment()["GDAL_HTTP_MAX_RETRY"] == NETWORK["GDAL_HTTP_MAX_RETRY"]
    assert gdal_environment()["AWS_NO_SIGN_REQUEST"] == "YES"
    assert gdal_environment("/data/B02.tif") == {}
    assert gdal_environment("/vsizip//vsis3/b/a.zip/B02.jp2") == gdal_environment()
    keys.write_text("[default]")
    assert "AWS_NO_SIGN_REQUEST" not in gdal_environment()
    keys.unlink()
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "9")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert not {"GDAL_HTTP_MAX_RETRY", "AWS_NO_SIGN_REQUEST"} & set(gdal_environment())


# ---- one clear line


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        ("an asset climbs out", r"\.json names \.\./\.\./\.\./B02.tif, which leads out of"),
        ("a link climbs out", r"names \.\./\.\./outside/item.json, which leads out of"),
        ("levels are mixed", r"of level 1C \(S2B_.*\) and level 2A \(S2B_.*; give one of them"),
        ("offsets differ", "states different offsets for its bands"),
        ("scales differ", "states different scales for its bands"),
        ("no datetime", "is no proper STAC .*start_datetime and end_datetime must be supplied"),
        ("a datetime in words", "is no proper STAC"),
        ("a raster is missing", r"cannot be read \(.*nowhere.tif.*skip what is unreadable"),
        ("a raster is a picture", "holds 8-bit values, a picture"),
        ("a raster lies nowhere", "does not say where it lies"),
        ("assets are a list", "is no proper STAC"),
        ("an item is cut short", "is no proper STAC"),
    ],
)
def test_a_faulty_catalogue_is_refused_in_one_line(tmp_path, defect, message) -> None:
    make_stac(tmp_path, defects=frozenset({defect}))
    with pytest.raises(InputError, match=message) as refused:
        parse_stac(str(tmp_path), search=LEGACY)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        ("the metadata's offsets differ", "different offsets for its bands in its product's"),
        ("the metadata have entities", "has metadata with entities"),
    ],
)
def test_faulty_metadata_of_a_product_are_refused(tmp_path, defect, message) -> None:
    make_stac(tmp_path, defects=frozenset({defect}))
    with pytest.raises(InputError, match=message):
        parse_stac(str(tmp_path), search=C1)


def test_metadata_that_cannot_be_read_leave_the_word_to_the_item(tmp_path) -> None:
    make_stac(tmp_path, defects=frozenset({"the metadata are cut short"}))
    assert len(parse_stac(str(tmp_path), search=C1)[0]) == len(DAYS) * len(TILES)


@pytest.mark.parametrize("defect", ["no bands of Sentinel-2", "bands without names", "of Landsat"])
def test_items_of_something_else_are_left_out_and_alone_refused(tmp_path, defect) -> None:
    make_stac(tmp_path, defects=frozenset({defect}))
    frames, notes = parse_stac(str(tmp_path), search=LEGACY)
    assert len(frames) == len(DAYS) * len(TILES) - 1
    name = first_item(tmp_path).stem
    assert notes[0] == f"left out 1 of 6 items, without bands of Sentinel-2: {name}"
    with pytest.raises(InputError, match=f"no item with Sentinel-2's bands; {name} has the assets"):
        parse_stac(str(first_item(tmp_path)))


def test_a_missing_band_is_named_where_it_is_asked_for(tmp_path) -> None:
    make_stac(tmp_path, defects=frozenset({"a band is missing"}))
    with pytest.raises(InputError, match=r"has B03, B04, B05, B08, but not B02; leave the item"):
        parse_stac(str(tmp_path), search=LEGACY, bands=("B02", "B03"))
    frames, notes = parse_stac(str(tmp_path), search=LEGACY)
    assert frames[0].bands == ("B03", "B04", "B05", "B08")
    assert "bands read as B03, B04, B05, B08" in notes


def test_what_cannot_be_read_is_left_out_if_asked(tmp_path) -> None:
    make_stac(tmp_path, defects=frozenset({"a raster is missing"}))
    frames, notes = parse_stac(str(tmp_path), search=LEGACY, skip_unreadable=True)
    assert len(frames) == len(DAYS) * len(TILES) - 1
    assert f"left out {first_item(tmp_path).stem}, which cannot be read" in notes
    with pytest.raises(InputError, match="none of the rasters of 1 items"):
        parse_stac(str(first_item(tmp_path)), skip_unreadable=True)


def test_a_catalogue_that_holds_itself_ends(tmp_path) -> None:
    make_stac(tmp_path, defects=frozenset({"a catalogue is its own child"}))
    assert len(parse_stac(str(tmp_path), search=LEGACY)[0]) == len(DAYS) * len(TILES)


def test_a_span_of_time_is_dated_by_its_first_day(tmp_path) -> None:
    make_stac(tmp_path, defects=frozenset({"a span of time"}))
    (frame,), _ = parse_stac(str(first_item(tmp_path)))
    assert frame.date == DAYS[0]


def test_level_1c_alone_is_taken_and_told(tmp_path) -> None:
    make_stac(tmp_path, defects=frozenset({"all of level 1C"}))
    _, notes = parse_stac(str(tmp_path), search=LEGACY)
    assert "level 1C: reflectance at the top of the atmosphere" in notes


def test_every_defect_of_the_miniature_is_met_here() -> None:
    text = Path(__file__).read_text()
    assert not [defect for defect in DEFECTS if f'"{defect}"' not in text]


def test_an_unknown_defect_is_no_defect(tmp_path) -> None:
    with pytest.raises(ValueError, match="unknown"):
        make_stac(tmp_path, defects=frozenset({"it rains"}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bbox": (3, 40, 2, 41)}, "bbox is 3,40,2,41; give west,south,east,north"),
        ({"bbox": (500000, 4000000, 600000, 4100000)}, "in degrees"),
        ({"dates": (DAYS[1], DAYS[0])}, "give the earlier one first"),
        ({"max_cloud": 20}, "max_cloud is 20; give a share of the image, 0 to 1"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(fields, message) -> None:
    with pytest.raises(InputError, match=message):
        Search(**fields)


def test_boxes_with_heights_are_compared_without_them() -> None:
    search = Search(bbox=(2, 40, 3, 41))
    assert search.wants(DAYS[0], None, [2.5, 40.5, 0, 2.6, 40.6, 900])
    assert not search.wants(DAYS[0], None, [4.5, 40.5, 0, 4.6, 40.6, 900])
    assert search.wants(DAYS[0], None, None)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Search(collection="nowhere"), "has no images of these dates, clouds, place"),
        (Search(dates=(date(1999, 1, 1), date(1999, 1, 2))), "widen the search"),
        (Search(limit=3), "holds more than 3 items that may be wanted; narrow the search"),
    ],
)
@pytest.mark.parametrize("kind", ["static", "API"])
def test_too_little_and_too_much_are_told(mini, api, search, message, kind) -> None:
    with pytest.raises(InputError, match=message):
        parse_stac(api if kind == "API" else str(mini), search=search)


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        ("https://anything.org/v1", True),
        ("http://host/product.zip", False),
        ("earth-search", True),
        ("planetary-computer", True),
        ("nothing-of-the-kind", False),
        ("some/item.json", True),
        ("some/items.geojson", True),
        ("some/image.tif", False),
    ],
)
def test_stac_is_recognised(place, answer) -> None:
    assert is_stac(place) == answer


def test_the_folder_of_a_catalogue_is_recognised(mini, tmp_path) -> None:
    assert is_stac(str(mini))
    assert is_stac(str(mini / "legacy"))
    assert not is_stac(str(tmp_path))


# ---- servers that do badly


@contextmanager
def answering(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """The address of a server that answers with a status and a body, whole or in ranges."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answer(self.path)
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            headers = {}
            if span and status == 200:
                first, last = int(span[1]), min(int(span[2]), len(body) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                status, body = 206, body[first : last + 1]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_POST = do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that hang up are the point

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def landing(base: str) -> bytes:
    """The root of an API."""
    links = [{"rel": rel, "href": f"{base}/{rel}", "method": "POST"} for rel in ("search", "root")]
    conforms = [
        "https://api.stacspec.org/v1.0.0/core",
        "https://api.stacspec.org/v1.0.0/item-search",
    ]
    plain = {"type": "Catalog", "id": "odd", "stac_version": "1.0.0", "description": "odd"}
    return json.dumps({**plain, "conformsTo": conforms, "links": links}).encode()


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(catalogues, "TIMEOUT", (0.3, 0.3))
    monkeypatch.setattr(catalogues, "RETRIES", 1)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"", "answered with status 500; try again later, or another catalogue"),
        (503, b"<html>down</html>", "answered with status 503; try again later"),
        (404, b"{}", "answered with status 404; mend the address"),
        (200, b"<html>hello</html>", "is no proper STAC"),
        (200, b'{"type": "Cat', "is no proper STAC"),
        (200, b"[1, 2]", 'is JSON of type "list"; wanted a STAC item, catalogue'),
        (200, b'{"type": "Topology"}', 'is JSON of type "Topology"'),
        (200, b'{"type": "FeatureCollection"}', "is no proper STAC"),
        (200, b'{"type": "Feature", "id": "a"}', "is no proper STAC"),
        (200, b'{"type": "Catalog", "links": 3}', "is no proper STAC"),
        (200, b"\xff\xfe\x00", "cannot be read .*codec"),
        (200, b"[" * 100_000, "is nested too deeply|is no proper STAC"),
    ],
)
def test_a_place_that_answers_badly_is_told_in_one_line(
    impatient, tmp_path, status, body, message
) -> None:
    with (
        answering(lambda path: (status, body)) as base,
        pytest.raises(InputError, match=message) as refused,
    ):
        parse_stac(f"{base}/v1")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"{base}/v1 ")
    if status == 200:
        (tmp_path / "item.json").write_bytes(body)
        with pytest.raises(InputError, match=message):
            parse_stac(str(tmp_path / "item.json"))


def test_an_api_that_is_silent_is_given_up(impatient) -> None:
    def silent(path: str) -> tuple[int, bytes]:
        time.sleep(1)
        return 200, b"{}"

    begun = time.monotonic()
    with (
        answering(silent) as base,
        pytest.raises(
            InputError, match=r"did not answer within 0.3 s, 2 times over; try again later"
        ),
    ):
        parse_stac(base)
    assert time.monotonic() - begun < 5


def test_an_api_that_is_not_there_is_told(impatient) -> None:
    with answering(lambda path: (200, b"")) as base:
        pass
    with pytest.raises(InputError, match="cannot be reached; check the address and the network"):
        parse_stac(base)


@pytest.mark.parametrize(
    ("fresh", "message"),
    [
        (True, "holds more than 20 items that may be wanted"),
        (False, "hands out the same items page after page"),
    ],
)
def test_an_api_that_pages_for_ever_is_refused(impatient, mini, fresh, message) -> None:
    item = json.loads(first_item(mini).read_text())
    pages: list[str] = []

    def endless(path: str) -> tuple[int, bytes]:
        base = f"http://127.0.0.1:{port[0]}"
        if path == "/":
            return 200, landing(base)
        pages.append(path)
        name = f"S2_{len(pages)}" if fresh else "S2_1"
        more = {"rel": "next", "href": f"{base}/search?page={len(pages)}"}
        page = {"type": "FeatureCollection", "features": [{**item, "id": name}], "links": [more]}
        return 200, json.dumps(page).encode()

    port: list[int | None] = []
    with answering(endless) as base:
        port.append(urlsplit(base).port)
        with pytest.raises(InputError, match=message):
            parse_stac(f"{base}/", search=Search(limit=20))
    assert len(pages) == (21 if fresh else 2)


def test_a_search_that_fails_half_way_is_told(impatient) -> None:
    port: list[int | None] = []

    def failing(path: str) -> tuple[int, bytes]:
        root = landing(f"http://127.0.0.1:{port[0]}")
        return (200, root) if path == "/" else (502, b"")

    with answering(failing) as base:
        port.append(urlsplit(base).port)
        with pytest.raises(InputError, match="answered with status 502"):
            parse_stac(f"{base}/")


def test_a_remote_catalogue_that_links_to_local_files_is_refused(impatient, mini) -> None:
    links = [{"rel": "item", "href": first_item(mini).as_uri()}]
    top = {"type": "Catalog", "id": "a", "stac_version": "1.0.0", "description": "", "links": links}
    with (
        answering(lambda path: (200, json.dumps(top).encode())) as base,
        pytest.raises(InputError, match="a remote item may not have local files read"),
    ):
        parse_stac(f"{base}/catalog.json")


def test_what_does_not_exist_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match="does not exist; give a STAC document"):
        parse_stac(str(tmp_path / "item.json"))
    with pytest.raises(InputError, match="does not exist; give a STAC document"):
        parse_stac(str(tmp_path))


# ---- the real catalogue

DATA = os.environ.get("SITSR_DATA") or None
real = pytest.mark.skipif(DATA is None, reason="SITSR_DATA does not say where the data are")


@pytest.fixture(scope="module")
def slovenia() -> Path:
    return Path(str(DATA)) / "stac_slovenia"


@real
def test_the_real_items_state_an_offset_that_their_pixels_have(slovenia) -> None:
    frames, notes = parse_stac(str(slovenia), bands=FOUR)
    assert len(frames) == 10
    pixels = [all_of(frame) for frame in frames]
    seen = [where_seen(values, 0) for values in pixels]
    units, _ = settle(frames, pixels, seen)
    assert [unit.offset for unit in units] == [0.0] * 10
    assert all(frame.decided for frame in frames)
    assert notes[0].startswith("10 items state pixels of 10 m, 10980 x 10980 pixels, but")
    assert {frame.grid.transform.a for frame in frames} == {120.0}
    # the pixels of every image rule the stated offset out, those of cloudy dates too
    assert all(
        np.percentile(v[:, s], 1, axis=1).min() < 500 for v, s in zip(pixels, seen, strict=True)
    )


@real
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_real_items_are_found_and_read_through_an_api(slovenia) -> None:
    wanted = Search(
        collection="sentinel-2-l2a",
        dates=(date(2023, 8, 12), date(2023, 8, 20)),
        max_cloud=0.2,
        bbox=(15.1, 46.5, 15.3, 46.6),
    )

    def window(frame: Frame) -> Any:
        path = frame.files[0]
        with rasterio.Env(**gdal_environment(path)), open_raster(path) as file:
            return file.read(1, window=Window(100, 200, 60, 40))

    here, _ = parse_stac(str(slovenia), search=wanted, bands=FOUR)
    with api_of(slovenia) as address:
        there, _ = parse_stac(address, search=wanted, bands=FOUR)
        assert [f.date for f in sorted(there, key=lambda f: f.date)] == [
            date(2023, 8, 13),
            date(2023, 8, 15),
            date(2023, 8, 20),
        ]
        ours = {frame.date: frame for frame in here}
        for frame in there:
            assert frame.grid == ours[frame.date].grid
            np.testing.assert_array_equal(window(frame), window(ours[frame.date]))
