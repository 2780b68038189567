"""The page about Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sitsr

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/python.md").read_text()


def examples(page: str) -> list[str]:
    """Its code: what is indented by four spaces."""
    return [
        dedent(part)
        for part in re.findall(r"(?:^(?: {4}.*)?\n)+", page, re.MULTILINE)
        if part.strip()
    ]


def test_every_name_of_the_package_is_on_the_page() -> None:
    calls = {name for name in sitsr.__all__ if name[0].islower()}
    assert calls == set(re.findall(r"^\| `sitsr\.(\w+)`", PAGE, re.MULTILINE))


@pytest.mark.slow
def test_what_stands_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    code = examples(PAGE)
    assert len(code) == 3
    for each in code:
        exec(compile(each, "docs/python.md", "exec"), names)
    result, lazy, corner = names["result"], names["lazy"], names["corner"]
    assert isinstance(result, sitsr.Result) and (tmp_path / "result/demo/sr.tif").exists()
    assert sorted(path.name for path in (tmp_path / "result/dates").iterdir() if path.is_dir()) == [
        "2021-07-01",
        "2021-07-18",
    ]
    assert "2021-07-16" in names["plan"] and "2020-01-13" not in names["plan"]
    assert corner.sizes == {"time": 2, "sample": 2, "band": 4, "y": 300, "x": 200}
    table = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", PAGE, re.MULTILINE)
    assert {name: tuple(axes.split(", ")) for name, axes in table} == {
        name: lazy[name].dims[1:] for name in lazy.data_vars
    }
    with xr.open_zarr(tmp_path / "result/cube.zarr") as back:
        part = back.sr[:, :, :300, :200].to_numpy()
    np.testing.assert_array_equal(part, corner.sr)
    assert 0 < float(names["seen"].mean()) < 1
