"""The page about the product names all that a product holds, and what it shows runs."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import BANDS, make_model
from sitsr.cli import app
from sitsr.model import save_model
from sitsr.scenes.write.folder import OURS
from sitsr.scenes.write.rasters import SUPPORTED, layout

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/product.md").read_text()


def examples() -> list[str]:
    """What is indented by four spaces."""
    parts = re.findall(r"(?:^(?: {4}.*)?\n)+", PAGE, re.MULTILINE)
    return [dedent(part).strip() for part in parts if part.strip()]


def test_every_name_that_a_product_may_hold_is_on_the_page() -> None:
    table = PAGE.partition("## Numbers")[0]
    named = set(re.findall(r"`([\w.]+?)(?:/[\w.]+)?`", table))
    assert {name for name in OURS if not name.endswith(".qml")} <= named
    assert "sr.qml" in named


def test_the_numbers_of_every_raster_are_on_the_page() -> None:
    part = PAGE.partition("## Numbers")[2].partition("##")[0]
    rows = re.findall(r"^\| (`.*)\|$", part, re.MULTILINE)
    for raster in layout(BANDS, 1):
        (row,) = [r for r in rows if f"`{raster.href.partition('/')[0]}" in r]
        _, kind, unit, step, nothing = (cell.strip() for cell in row.split("|"))
        assert (kind, unit) == (raster.dtype, raster.unit)
        assert step == (f"{raster.scale}" if raster.scale else "" if raster.classes else "1")
        wanted = "it is 0" if raster.nodata is None else f"{raster.nodata}"
        assert nothing.replace("−", "-") == wanted


def test_the_classes_of_support_are_on_the_page() -> None:
    rows = re.findall(r"^\| (\d) \| (.+?) \| `(#\w+)` \|$", PAGE, re.MULTILINE)
    assert rows == [
        (f"{number}", name, "#{:02x}{:02x}{:02x}".format(*colour))
        for number, (name, colour) in enumerate(SUPPORTED)
    ]


@pytest.mark.slow
def test_what_stands_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    save_model(make_model(), tmp_path / "small.safetensors")
    monkeypatch.chdir(tmp_path)
    commands, *code = examples()
    for line in commands.splitlines():
        words = [*line.split()[1:], "--weights", "small.safetensors"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    names: dict[str, Any] = {}
    assert len(code) == 5
    for each in code:
        exec(compile(each, "docs/product.md", "exec"), names)
    np.testing.assert_array_equal(names["same"], names["stored"].data)
    read = names["image"][names["red"]]
    np.testing.assert_allclose(read, names["reflectance"].filled(np.nan), atol=1e-7)
    assert names["sure"].any() and names["seen"].notnull().any() and names["change"].any()
    assert [Path(path).parent.name for path in names["paths"]] == ["2021-07-18", "2021-08-01"]
    assert all(Path(path).exists() for path in names["paths"])
