"""Laws: an interrupted evaluation gives what an uninterrupted one gives; what was scored is not
scored again; scores of other weights or other data do not mix; a lacking answer is named."""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from conftest import BANDS, landscape, make_model, make_series
from sitsr import cli
from sitsr.evaluation import Plan, extras, read_rows, run
from sitsr.evaluation import bench as the_bench
from sitsr.model import save_model
from sitsr.series import InputError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(make_model(name="small"), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sites of three dated GeoTIFFs, as a user has them."""
    folder = tmp_path_factory.mktemp("data")
    for n, site in enumerate(("hill", "lake")):
        write_site(folder / site, n)
    return folder


def write_site(folder: Path, seed: int) -> None:
    """Four images of one place, each with a file that says where it is clear."""
    folder.mkdir(parents=True)
    series = make_series((48, 56), days=(-35, -10, 0, 40))
    ground = landscape((4, 4, 48, 56), seed)
    for day, image in zip(series.dates, ground, strict=True):
        profile = {"driver": "GTiff", "height": 48, "width": 56, "dtype": "uint16", "nodata": 0}
        place = {"crs": "EPSG:32631", "transform": series.grid.transform}
        path = folder / f"S2_{day:%Y%m%d}.tif"
        with rasterio.open(path, "w", count=4, **profile, **place) as file:
            file.write((image * 10_000).astype(np.uint16))
            file.descriptions = BANDS
        with rasterio.open(
            path.with_stem(f"{path.stem}_clear"), "w", count=1, **profile, **place
        ) as f:
            f.write(np.ones((1, 48, 56), np.uint16))


def plan(data, weights, out, **changes):
    fields = {"systems": "small mean,small 1 step", "dates": 2, "members": 4, **changes}
    return Plan(data=data, out=out, weights=weights, **fields)


@pytest.fixture(scope="module")
def whole(data, weights, tmp_path_factory):
    """An evaluation that was not interrupted."""
    return run(plan(data, weights, tmp_path_factory.mktemp("whole")))


def without_time(rows):
    return [(row.key, {k: v for k, v in row.figures.items() if k != "seconds_km2"}) for row in rows]


def test_everybody_meets_every_pair(whole):
    rows, configuration = read_rows(whole / "scores.parquet")
    systems = {row.system for row in rows}
    assert {"bicubic", "linear bicubic", "small mean", "small 1 step"} < systems
    assert {
        "dates shuffled",
        "one frame repeated",
        "frames of another site",
        "random texture",
    } < systems
    counts = {system: sum(row.system == system for row in rows) for system in systems}
    assert len({count for system, count in counts.items() if system != "random texture"}) == 1
    kinds = {row.kind for row in rows}
    assert kinds == {"scale transfer", "scale transfer, date held out", "held-out date at 10 m"}
    assert configuration["model"] == "small" and "--members 4" in configuration["command"]


def test_table_and_page_are_written(whole):
    assert {each.name for each in whole.iterdir()} == {"scores.parquet", "table.md", "report.html"}
    assert "## scale transfer (2 sites" in (whole / "table.md").read_text()
    page = (whole / "report.html").read_text()
    assert "small 1 step" in page and "frames of another site" in page


@pytest.mark.slow
def test_an_interrupted_evaluation_gives_what_an_uninterrupted_one_gives(
    whole, data, weights, tmp_path
):
    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(data, weights, tmp_path), stop)
    half, _ = read_rows(tmp_path / "scores.parquet")
    run(plan(data, weights, tmp_path))
    rows, _ = read_rows(tmp_path / "scores.parquet")
    assert 0 < len(half) < len(rows)
    assert without_time(rows) == without_time(read_rows(whole / "scores.parquet")[0])


def test_what_was_scored_is_not_scored_again_and_systems_can_be_added(
    whole, data, weights, tmp_path, monkeypatch
):
    (tmp_path / "scores.parquet").write_bytes((whole / "scores.parquet").read_bytes())
    scored = []
    original = the_bench.score_one

    def spy(entrant, *rest):
        scored.append(entrant.name)
        return original(entrant, *rest)

    monkeypatch.setattr(the_bench, "score_one", spy)
    run(plan(data, weights, tmp_path, systems="small mean,small 1 step,small 2 steps"))
    assert set(scored) == {"small 2 steps"}
    assert "small 2 steps" in (tmp_path / "table.md").read_text()
    monkeypatch.undo()
    run(plan(data, weights, tmp_path))
    assert "small 2 steps" not in (tmp_path / "table.md").read_text()
    assert "small 2 steps" in {row.system for row in read_rows(tmp_path / "scores.parquet")[0]}


def test_scores_of_other_weights_or_data_do_not_mix(whole, data, weights, tmp_path):
    (tmp_path / "scores.parquet").write_bytes((whole / "scores.parquet").read_bytes())
    with pytest.raises(InputError, match=r"scores of another small 1 step .* give another --out"):
        run(plan(data, weights, tmp_path, members=5))
    with pytest.raises(InputError, match=r"was made with extra \[\], this asks for \['opensr'\]"):
        run(plan(data, weights, tmp_path, extra=("opensr",)))
    write_site(tmp_path / "sites" / "hill", 0)
    write_site(tmp_path / "sites" / "lake", 7)
    with pytest.raises(InputError, match="scores of another scale transfer, lake"):
        run(plan(tmp_path / "sites", weights, tmp_path, systems="small 1 step,small 4 steps"))


def test_a_function_from_elsewhere_takes_part(whole, data, weights, tmp_path):
    (tmp_path / "scores.parquet").write_bytes((whole / "scores.parquet").read_bytes())
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def last(images, clear, days):\n"
        "    return np.kron(images[np.abs(days).argmin()], np.ones((1, 4, 4)))\n"
    )
    run(plan(data, weights, tmp_path, outside=(f"mine={tmp_path / 'mine.py'}:last",)))
    rows, _ = read_rows(tmp_path / "scores.parquet")
    own = {row.key[1:]: row.figures["psnr"] for row in rows if row.system == "mine"}
    bicubic = {row.key[1:]: row.figures["psnr"] for row in rows if row.system == "bicubic"}
    assert own.keys() == bicubic.keys()
    assert sum(own.values()) < sum(bicubic.values())
    assert "| mine |" in (tmp_path / "table.md").read_text()


def test_bad_input_is_named(data, weights, tmp_path):
    (tmp_path / "empty").mkdir()
    calls = {
        "nobody is not a system; choose from small one date": {"systems": "nobody"},
        "nobody does not compete; choose from bicubic": {"against": "nobody"},
        "none is not a split": {"split": "none"},
        "members must be 2 or more": {"members": 1},
        "seeds must be 0 or more": {"seeds": ()},
        "dates must be 1 or more": {"dates": 0},
        "entered twice": {"outside": (f"bicubic={__file__}:write_site",)},
    }
    for message, changes in calls.items():
        with pytest.raises(InputError, match=message):
            run(plan(data, weights, tmp_path / "out", **changes))
    with pytest.raises(InputError, match="is not a folder"):
        run(plan(tmp_path / "nowhere", weights, tmp_path / "out"))
    with pytest.raises(InputError, match="fog is not a measure that can be added"):
        extras("fog,opensr")
    assert not (tmp_path / "out").exists()


def test_the_configuration_can_be_read_as_json(whole):
    _, configuration = read_rows(whole / "scores.parquet")
    assert json.loads(json.dumps(configuration)) == configuration
    assert configuration["versions"]["bicubic"] == "1"


def test_pairs_written_by_the_command_line_score_the_same(
    whole, data, weights, tmp_path, monkeypatch
):
    level = logging.getLogger("sitsr").level

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["sitsr", "-q", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code
        for name in ("sitsr", "sitsr.inference"):
            logging.getLogger(name).setLevel(level)

    call("pairs", "--data", data, "--dates", 2, "--weights", weights, "--out", tmp_path / "pairs")
    told = ("--weights", weights, "--systems", "small mean", "--members", 4, "--main", "small mean")
    call("evaluate", "--data", tmp_path / "pairs", *told, "--out", tmp_path / "out")
    before = {row.key: row.figures["psnr"] for row in read_rows(whole / "scores.parquet")[0]}
    rows, _ = read_rows(tmp_path / "out" / "scores.parquet")
    own = {row.key: row.figures["psnr"] for row in rows if row.system in ("bicubic", "small mean")}
    assert len(own) > 10
    for key, psnr in own.items():
        assert psnr == pytest.approx(before[key], abs=1e-6)
