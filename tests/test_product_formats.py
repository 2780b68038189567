"""A product made of many blocks opens in the programs that people have, and says the same in each.

QGIS is not at hand: its styles are followed by a renderer that does what QGIS's source says.
"""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from shutil import copytree
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import numpy.typing as npt
import pystac
import pytest
import rasterio
import rioxarray
import xarray as xr
from PIL import Image
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.enums import MaskFlags
from rio_cogeo.cogeo import cog_validate

import sitsr
from conftest import BANDS, make_model
from sitsr.inference.scene import about_job
from sitsr.model import save_model
from sitsr.product import make_job, settings_of
from sitsr.scenes import Scene, Selection, area_of_file
from sitsr.scenes.write import write_collection
from sitsr.scenes.write.pictures import BRIGHTEST, GRAY, natural_colour, write_thumbnail
from sitsr.scenes.write.rasters import SUPPORT_COLOURS, layout
from sitsr.scenes.write.styles import RAMPS, style
from sitsr.series import NEVER, SUPPORT

DEMO = Path(sitsr.__file__).parent / "demo"
DATES = ("2020-06-30", "2021-07-18")
SAMPLES, SCALE = 2, 4
CORNERS = ((2.8195, 42.35), (2.8285, 42.3505), (2.824, 42.362), (2.8195, 42.361), (2.8195, 42.35))
RASTERS = [raster.href for raster in layout(BANDS, SAMPLES)]
VARIABLES = {"sr": "sr", "uncertainty": "spread"} | {
    name: name for name in ("clear_count", "nearest_days", "support")
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(make_model(), path)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """An area with slanting edges, taller than a tile of a GeoTIFF, and of several blocks."""
    area = tmp_path_factory.mktemp("area") / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [CORNERS]}))
    scene = sitsr.open_scene(DEMO, wanted=Selection(area_of_file(area)))
    rows, cols = scene.plan.grid.shape
    assert 64 < cols < 128 < rows < 160, "a table of blocks that is not square"
    return scene


@pytest.fixture(scope="module")
def cogs(scene: Scene, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dates as GeoTIFFs."""
    out = tmp_path_factory.mktemp("cogs") / "result"
    return sitsr.produce(scene, out, DATES, samples=SAMPLES, weights=weights, block=64)


@pytest.fixture(scope="module")
def zarr(scene: Scene, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as one cube; a warning on the way is an error."""
    out = tmp_path_factory.mktemp("zarr") / "result"
    return sitsr.produce(
        scene, out, DATES, samples=SAMPLES, weights=weights, block=64, format="zarr"
    )


@pytest.fixture(scope="module")
def alone(scene: Scene, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One date without samples as a cube."""
    out = tmp_path_factory.mktemp("alone") / "result"
    return sitsr.produce(scene, out, DATES[0], samples=0, weights=weights, format="zarr")


def stored(path: Path) -> npt.NDArray[np.float64]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


# ---------------------------------------------------------------------------- GeoTIFFs


@pytest.mark.parametrize("name", RASTERS)
def test_every_raster_is_a_strict_cog_of_its_bands(cogs: Path, name: str) -> None:
    raster = layout(BANDS, SAMPLES)[RASTERS.index(name)]
    path = cogs / DATES[1] / name
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.descriptions == raster.bands
        assert file.scales == (raster.scale or 1,) * file.count
        assert file.offsets == (0,) * file.count
        assert file.nodata == raster.nodata


def test_a_raster_larger_than_a_tile_has_overviews_that_know_the_mask(cogs: Path) -> None:
    with rasterio.open(cogs / DATES[1] / "sr.tif") as file:
        assert file.overviews(1) == [2]
        assert file.mask_flag_enums == ([MaskFlags.per_dataset],) * len(BANDS)
        fine = file.read(masked=True)
        assert 0.2 < fine.mask.mean() < 0.8, "the area has an outside"
    with rasterio.open(cogs / DATES[1] / "sr.tif", overview_level=0) as file:
        small = file.read(masked=True)
    rows, cols = (length // 2 for length in fine.shape[1:])
    quads = fine[:, : rows * 2, : cols * 2].reshape(len(BANDS), rows, 2, cols, 2)
    inside = ~quads.mask.any((2, 4))
    np.testing.assert_allclose(
        small.data[:, :rows, :cols][inside], quads.mean((2, 4)).data[inside], atol=0.51
    )
    assert not small[:, :rows, :cols].mask[inside].any()


def test_rioxarray_reads_reflectance_in_its_place_without_a_hint(cogs: Path, scene: Scene) -> None:
    path = cogs / DATES[1] / "sr.tif"
    with rioxarray.open_rasterio(path, mask_and_scale=True) as read, rasterio.open(path) as file:
        assert read.rio.crs == file.crs
        assert read.rio.transform() == file.transform
        np.testing.assert_allclose(read.rio.bounds(), scene.plan.grid.extent.boundingbox)
        assert read.attrs["long_name"] == BANDS
        wanted = file.read(masked=True) * np.float64(1e-4)
        np.testing.assert_allclose(read, wanted.filled(np.nan), atol=1e-7)
    with rioxarray.open_rasterio(cogs / DATES[1] / "nearest_days.tif", masked=True) as days:
        outside = stored(cogs / DATES[1] / "nearest_days.tif") == NEVER
        np.testing.assert_array_equal(np.isnan(days), outside)
        assert outside.any() and not outside.all()


def test_outside_of_the_area_nothing_is_known(cogs: Path, scene: Scene) -> None:
    assert scene.plan.area
    fine = scene.plan.area.inside(scene.plan.grid.zoom_out(1 / SCALE))
    with rasterio.open(cogs / DATES[0] / "sr.tif") as file:
        mask = file.dataset_mask() > 0
    assert not mask[~fine].any()
    assert mask[fine].mean() > 0.9
    coarse = scene.plan.area.inside(scene.plan.grid)
    assert not stored(cogs / DATES[0] / "support.tif")[0][~coarse].any()


# ---------------------------------------------------------------------------- Zarr


@pytest.mark.parametrize("number", range(len(DATES)))
@pytest.mark.parametrize("name", RASTERS)
def test_the_cube_holds_the_numbers_of_the_geotiffs(
    zarr: Path, cogs: Path, name: str, number: int
) -> None:
    wanted = stored(cogs / DATES[number] / name)
    with xr.open_zarr(zarr / "cube.zarr", mask_and_scale=False) as cube:
        if name.startswith("samples/"):
            held = cube.samples[number, int(Path(name).stem[-2:]) - 1]
        else:
            held = cube[VARIABLES[Path(name).stem]][number]
        assert held.dtype == wanted.dtype
        if held.ndim == 2:
            wanted = wanted[0].repeat(SCALE, 0).repeat(SCALE, 1)
        np.testing.assert_array_equal(held, wanted)


def test_the_cube_opens_with_its_place_dates_and_bands(zarr: Path, cogs: Path) -> None:
    with (
        xr.open_zarr(zarr / "cube.zarr", decode_coords="all") as cube,
        rasterio.open(cogs / DATES[1] / "sr.tif") as file,
    ):
        assert cube.sr.dims == ("time", "band", "y", "x")
        assert [f"{day:.10}" for day in cube.time.values.astype(str)] == list(DATES)
        assert tuple(cube.band.values) == BANDS
        for held in (cube.rio, cube.sr.rio, cube.samples.rio, cube.support.rio):
            assert held.crs == file.crs
            assert held.transform() == file.transform
            assert held.bounds() == pytest.approx(tuple(file.bounds))
        wanted = (file.read(masked=True) * 1e-4).filled(np.nan)
        np.testing.assert_allclose(cube.sr[1], wanted, atol=1e-7)
        assert np.isnan(cube.nearest_days[1]).any()
        assert np.nanmin(cube.nearest_days[1]) > NEVER


def test_gdal_reads_slices_of_the_cube_in_their_place(zarr: Path, cogs: Path) -> None:
    with rasterio.Env() as gdal:
        if "Zarr" not in gdal.drivers():
            pytest.skip("this build of GDAL reads no Zarr")
    place = f'ZARR:"{zarr / "cube.zarr"}"'
    with rasterio.open(cogs / DATES[1] / "sr.tif") as file, rasterio.open(f"{place}:/sr") as all_:
        assert all_.crs == file.crs
        assert all_.transform == file.transform
        assert all_.count == len(DATES) * len(BANDS)
        np.testing.assert_array_equal(all_.read()[len(BANDS) :], file.read())
        with rasterio.open(f"{place}:/sr:1:2") as red:
            assert (red.scales, red.nodata) == ((1e-4,), 65535)
            np.testing.assert_array_equal(red.read(1), file.read(3))


def test_the_cube_says_what_its_numbers_mean(zarr: Path) -> None:
    with xr.open_zarr(zarr / "cube.zarr") as cube:
        assert cube.attrs["Conventions"].startswith("CF-")
        assert cube.x.attrs["standard_name"] == "projection_x_coordinate"
        assert cube.y.attrs["standard_name"] == "projection_y_coordinate"
        assert list(cube.support.attrs["flag_values"]) == list(range(len(SUPPORT)))
        assert cube.support.attrs["flag_meanings"].split() == [
            name.replace(" ", "_") for name in SUPPORT
        ]
        for variable in cube.data_vars.values():
            assert variable.attrs["long_name"]
            assert variable.attrs["grid_mapping"] == "spatial_ref"
        for name in ("sr", "spread", "samples"):
            told = cube[name].encoding
            assert (told["scale_factor"], told["_FillValue"]) == (1e-4, 65535)


def test_the_cube_tells_of_each_date_how_it_is_served(zarr: Path, cogs: Path) -> None:
    with xr.open_zarr(zarr / "cube.zarr") as cube:
        told = json.loads(cube.attrs["provenance"])
    for day in DATES:
        item = json.loads((cogs / day / "item.json").read_text())
        wanted = item["properties"]["sitsr:provenance"]
        assert told["served"][day] == wanted["served"]
        assert {**told, "served": wanted["served"]} == wanted
    assert len(set(told["served"].values())) == len(DATES)


def test_without_samples_the_cube_has_none(alone: Path) -> None:
    with xr.open_zarr(alone / "cube.zarr") as cube:
        assert set(cube.data_vars) == set(VARIABLES.values())
        assert cube.sizes["time"] == 1


# ---------------------------------------------------------------------------- STAC


@pytest.fixture(params=["cogs", "zarr"])
def product(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def test_collection_and_items_are_valid_stac(product: Path) -> None:
    validator = JsonSchemaSTACValidator()  # its schemas of the core lie in the package
    record = json.loads((product / "collection.json").read_text())
    assert validator.validate_core(record, pystac.STACObjectType.COLLECTION, "1.1.0")
    assert record["license"] == "other"
    assert any(link["rel"] == "license" for link in record["links"])
    for day in DATES:
        item = json.loads((product / day / "item.json").read_text())
        assert validator.validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")


def test_pystac_walks_from_the_collection_to_every_file_and_back(product: Path) -> None:
    collection = pystac.Collection.from_file(product / "collection.json")
    items = list(collection.get_items())
    assert [f"{item.datetime:%Y-%m-%d}" for item in items] == list(DATES)
    assert len({item.id for item in items}) == len(DATES)
    for item in items:
        assert item.collection_id == collection.id
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href() or "").exists()
        read = pystac.Item.from_file(item.get_self_href() or "")
        for found in (read.get_collection(), read.get_parent(), read.get_root()):
            assert found and found.id == collection.id
        sources = {link.target for link in item.get_links("derived_from")}
        assert len(sources) == len(list(DEMO.glob("*.tif")))
    for asset in collection.assets.values():
        assert Path(asset.get_absolute_href() or "").exists()


def test_the_extent_of_the_collection_holds_all_items(product: Path) -> None:
    collection = pystac.Collection.from_file(product / "collection.json")
    west, south, east, north = collection.extent.spatial.bboxes[0]
    first, last = collection.extent.temporal.intervals[0]
    for item in collection.get_items():
        assert item.bbox and item.datetime and first and last
        assert west <= item.bbox[0] < item.bbox[2] <= east
        assert south <= item.bbox[1] < item.bbox[3] <= north
        assert first <= item.datetime <= last


def test_the_collection_says_what_the_assets_of_all_items_are(product: Path) -> None:
    record = json.loads((product / "collection.json").read_text())
    for day in DATES:
        assets = json.loads((product / day / "item.json").read_text())["assets"]
        assert set(record["item_assets"]) == set(assets)
        for name, shared in record["item_assets"].items():
            assert not {"href", "statistics", "proj:shape"} & set(shared)
            assert shared["roles"] == assets[name]["roles"]
            for key in set(shared) - {"bands"}:
                assert shared[key] == assets[name][key]
            for told, band in zip(
                shared.get("bands", []), assets[name].get("bands", []), strict=True
            ):
                assert told == {"name": band["name"]}


def test_the_item_of_one_date_stands_alone(alone: Path) -> None:
    record = json.loads((alone / "item.json").read_text())
    assert "collection" not in record
    assert {link["rel"] for link in record["links"]} == {"derived_from"}
    assert not (alone / "collection.json").exists()


def test_links_to_the_collection_are_made_once_however_often(
    cogs: Path, scene: Scene, weights: Path, tmp_path: Path
) -> None:
    copy = copytree(cogs, tmp_path / "result")
    records = [copy / "collection.json", *(copy / day / "item.json" for day in DATES)]
    before = [path.read_bytes() for path in records]
    job = make_job(
        scene, DATES, settings=settings_of(SAMPLES, None, 0, None, None), weights=weights
    )
    abouts = [about_job(job, make_model(), date.fromisoformat(day)) for day in DATES]
    write_collection(copy, abouts, [f"./{day}/item.json" for day in DATES])
    assert [path.read_bytes() for path in records] == before


# ---------------------------------------------------------------------------- QGIS

READ_BY_QGIS = {
    "qgis": {"version", "styleCategories"},
    "pipe": set(),
    "rasterrenderer": {
        *("type", "opacity", "alphaBand", "nodataColor", "band", "grayBand", "gradient"),
        *("redBand", "greenBand", "blueBand", "classificationMin", "classificationMax"),
    },
    **{
        name: set()
        for name in (
            *("minMaxOrigin", "limits", "extent", "statAccuracy", "rastershader", "colorPalette"),
            *("minValue", "maxValue", "algorithm", "contrastEnhancement"),
        )
    },
    **{f"{colour}ContrastEnhancement": set() for colour in ("red", "green", "blue")},
    "colorrampshader": {
        *("colorRampType", "classificationMode", "clip", "minimumValue", "maximumValue"),
        "labelPrecision",
    },
    "item": {"value", "label", "color", "alpha"},
    "paletteEntry": {"value", "label", "color", "alpha"},
    "brightnesscontrast": {"brightness", "contrast", "gamma"},
}
"""Elements and attributes that QGIS's own classes look for (src/core/raster, 3.22)."""


def rendered(style: Element, values: np.ma.MaskedArray) -> npt.NDArray[np.uint8]:
    """[H, W, 4] what QGIS draws of [C, H, W] values in their unit."""
    renderer = style.find("pipe/rasterrenderer")
    assert renderer is not None
    draw = {
        "multibandcolor": drawn_colours,
        "singlebandgray": drawn_gray,
        "singlebandpseudocolor": drawn_ramp,
        "paletted": drawn_classes,
    }[renderer.attrib["type"]]
    picture = draw(renderer, values)
    bend = style.find("pipe/brightnesscontrast")
    gamma = 1.0 if bend is None else float(bend.attrib["gamma"])
    picture[..., :3] = (255 * (picture[..., :3] / 255.0) ** (1 / gamma)).astype(np.uint8)
    return picture


def chosen(renderer: Element, name: str, values: np.ma.MaskedArray) -> np.ma.MaskedArray:
    number = int(renderer.attrib[name])
    assert 1 <= number <= len(values)
    return values[number - 1]


def stretched(plane: np.ma.MaskedArray, how: Element | None) -> npt.NDArray[np.uint8]:
    assert how is not None and how.findtext("algorithm") == "StretchToMinimumMaximum"
    low, high = (float(how.findtext(f"{end}Value", "")) for end in ("min", "max"))
    return np.asarray(np.clip((plane.data - low) / (high - low) * 255, 0, 255), np.uint8)


def drawn_colours(renderer: Element, values: np.ma.MaskedArray) -> npt.NDArray[np.uint8]:
    planes = [chosen(renderer, f"{name}Band", values) for name in ("red", "green", "blue")]
    names = ("redContrastEnhancement", "greenContrastEnhancement", "blueContrastEnhancement")
    colours = [stretched(p, renderer.find(n)) for p, n in zip(planes, names, strict=True)]
    unknown = np.logical_or.reduce([np.ma.getmaskarray(plane) for plane in planes])
    return np.stack([*colours, np.where(unknown, 0, 255).astype(np.uint8)], -1)


def drawn_gray(renderer: Element, values: np.ma.MaskedArray) -> npt.NDArray[np.uint8]:
    plane = chosen(renderer, "grayBand", values)
    assert renderer.attrib["gradient"] == "BlackToWhite"
    gray = stretched(plane, renderer.find("contrastEnhancement"))
    opaque = np.where(np.ma.getmaskarray(plane), 0, 255).astype(np.uint8)
    return np.stack([gray, gray, gray, opaque], -1)


def colour_of(entry: Element) -> list[int]:
    text = entry.attrib["color"]
    return [*bytes.fromhex(text.removeprefix("#")), int(entry.attrib["alpha"])]


def drawn_ramp(renderer: Element, values: np.ma.MaskedArray) -> npt.NDArray[np.uint8]:
    plane = chosen(renderer, "band", values)
    shader = renderer.find("rastershader/colorrampshader")
    assert shader is not None and shader.attrib["colorRampType"] == "INTERPOLATED"
    places = [float(item.attrib["value"]) for item in shader.findall("item")]
    colours = np.array([colour_of(item) for item in shader.findall("item")])
    picture = np.stack([np.interp(plane.data, places, channel) for channel in colours.T], -1)
    picture[np.ma.getmaskarray(plane)] = 0
    return picture.astype(np.uint8)


def drawn_classes(renderer: Element, values: np.ma.MaskedArray) -> npt.NDArray[np.uint8]:
    plane = chosen(renderer, "band", values)
    picture = np.zeros((*plane.shape, 4), np.uint8)
    for entry in renderer.findall("colorPalette/paletteEntry"):
        picture[plane.data == float(entry.attrib["value"])] = colour_of(entry)
    picture[np.ma.getmaskarray(plane)] = 0
    return picture


def as_qgis_sees(path: Path) -> tuple[Element, np.ma.MaskedArray]:
    """The style that QGIS finds beside a raster, and the raster's values with its scale applied."""
    with rasterio.open(path) as file:
        values = file.read(masked=True) * file.scales[0]
    return fromstring(path.with_suffix(".qml").read_text()), values


@pytest.mark.parametrize("name", ["sr.tif", "samples/sample_02.tif"])
def test_qgis_shows_reflectance_in_the_colours_of_the_report(cogs: Path, name: str) -> None:
    qml, values = as_qgis_sees(cogs / DATES[1] / name)
    picture = rendered(qml, values)
    unknown = values.mask.any(0)
    np.testing.assert_array_equal(picture[..., 3] == 0, unknown)
    wanted = natural_colour(values.filled(np.nan).astype(np.float32), BANDS)
    assert (wanted[unknown] == GRAY).all()
    apart = np.abs(picture[..., :3].astype(int) - wanted)[~unknown]
    assert apart.max() <= 7, "QGIS rounds down before the bend, which is steep near black"
    assert apart[wanted[~unknown] > 60].max() <= 2
    assert wanted[~unknown].std() > 10, "there is something to see"


def test_qgis_shows_classes_of_support_in_their_colours(cogs: Path) -> None:
    path = cogs / DATES[1] / "support.tif"
    qml, values = as_qgis_sees(path)
    picture = rendered(qml, values)
    np.testing.assert_array_equal(picture[..., :3], np.array(SUPPORT_COLOURS)[stored(path)[0]])
    assert (picture[..., 3] == 255).all()
    assert len(np.unique(values)) > 1
    entries = qml.findall("pipe/rasterrenderer/colorPalette/paletteEntry")
    assert [entry.attrib["label"] for entry in entries] == list(SUPPORT)
    with rasterio.open(path) as file:
        table = file.colormap(1)
    assert [colour_of(entry) for entry in entries] == [list(table[n]) for n in range(len(SUPPORT))]


@pytest.mark.parametrize("name", list(RAMPS))
def test_qgis_blends_numbers_along_a_ramp_with_a_legend(cogs: Path, name: str) -> None:
    qml, values = as_qgis_sees(cogs / DATES[1] / f"{name}.tif")
    places = [value for value, _ in RAMPS[name]]
    assert places == sorted(set(places))
    line = np.ma.masked_array(np.array([[places]], np.float64), mask=False)
    for drawn, (_, colour) in zip(rendered(qml, line)[0], RAMPS[name], strict=True):
        assert "#{:02x}{:02x}{:02x}".format(*drawn[:3]) == colour
    shader = qml.find("pipe/rasterrenderer/rastershader/colorrampshader")
    assert shader is not None
    told = [float(shader.attrib[f"{end}imumValue"]) for end in ("min", "max")]
    assert told == [places[0], places[-1]]
    np.testing.assert_array_equal(rendered(qml, values)[..., 3] == 0, np.ma.getmaskarray(values[0]))


def test_qgis_shows_a_first_band_in_gray_where_colours_lack() -> None:
    raster = layout(("B05", "B08"), 0)[0]
    hidden = np.array([[[False, False, True]]] * 2)
    values = np.ma.masked_array([[[0.0, 0.15, 0.2]], [[9.0, 9.0, 9.0]]], hidden)
    dark, middle, unknown = rendered(fromstring(style(raster)), values)[0]
    assert dark.tolist() == [0, 0, 0, 255]
    assert middle[0] == math.floor(255 * (math.floor(255 * 0.15 / BRIGHTEST) / 255) ** (2 / 3))
    assert unknown[3] == 0


@pytest.mark.parametrize("bands", [BANDS, ("B05", "B08")], ids="-".join)
def test_styles_say_nothing_that_qgis_would_not_read(bands: tuple[str, ...]) -> None:
    for raster in layout(bands, 1):
        for element in fromstring(style(raster)).iter():
            assert set(element.attrib) <= READ_BY_QGIS[element.tag], element.tag


def test_every_raster_has_a_style_of_its_name(cogs: Path) -> None:
    for day in DATES:
        tifs = {path.with_suffix("") for path in (cogs / day).rglob("*.tif")}
        assert tifs == {path.with_suffix("") for path in (cogs / day).rglob("*.qml")}
        assert len(tifs) == len(RASTERS)


# ---------------------------------------------------------------------------- pictures


def test_the_thumbnail_shows_all_of_the_scene(product: Path, cogs: Path) -> None:
    for day in DATES:
        with rasterio.open(cogs / day / "sr.tif") as file:
            image = (file.read(masked=True) * np.float32(1e-4)).filled(np.nan)
        shown = np.asarray(Image.open(product / day / "thumbnail.png"))
        np.testing.assert_array_equal(shown, natural_colour(image, BANDS))


def test_a_thumbnail_of_a_large_scene_is_all_of_it_made_small(cogs: Path, tmp_path: Path) -> None:
    path = cogs / DATES[1] / "sr.tif"
    write_thumbnail(tmp_path / "small.png", path, side=100)
    shown = np.asarray(Image.open(tmp_path / "small.png"), float)
    whole = Image.open(path.with_name("thumbnail.png"))
    rows, cols = shown.shape[:2]
    assert (rows, cols) == (100, round(whole.width * 100 / whole.height))
    wanted = np.asarray(whole.resize((cols, rows), Image.Resampling.BOX), float)
    assert np.abs(shown - wanted).mean() < 5
    assert np.corrcoef(shown.ravel(), wanted.ravel())[0, 1] > 0.97
