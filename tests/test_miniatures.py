"""Every public data set has its miniature, which is taken for that data set and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from miniatures.breizhsr import make_breizhsr
from miniatures.mus2 import make_mus2
from miniatures.probav import make_probav
from miniatures.sen2venus import make_sen2venus
from sitsr.datasets import is_breizhsr, is_mus2, is_probav, is_sen2venus

SCRIPT = Path(__file__).parents[1] / "scripts/make_miniatures.py"
MAKERS = {
    "breizhsr": (make_breizhsr, is_breizhsr),
    "mus2": (make_mus2, is_mus2),
    "probav": (make_probav, is_probav),
    "sen2venus": (make_sen2venus, is_sen2venus),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_is_told_for_one_data_set(tmp_path: Path, name: str) -> None:
    make, _ = MAKERS[name]
    make(tmp_path)
    assert [each for each, (_, told) in MAKERS.items() if told(tmp_path)] == [name]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)


@pytest.mark.slow
def test_the_script_writes_all_of_them_into_an_empty_folder(tmp_path: Path) -> None:
    done = run(str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} >= set(MAKERS)
    assert all(told(tmp_path / "out" / name) for name, (_, told) in MAKERS.items())
    assert "is not empty" in run(str(tmp_path / "out")).stderr
    assert "none: not a data set" in run(str(tmp_path / "other"), "none").stderr
