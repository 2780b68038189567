"""A folder is recognised for what it is, opened, and its terms are kept."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from sitsr.datasets.known import (
    DATASETS,
    OF_WEIGHTS,
    find_dataset,
    licence_of_weights,
    open_dataset,
    recognise,
)
from sitsr.series import InputError
from test_landsat import write_flanders
from test_training import write_alsat2b

MINIATURES = ["worldstrat", "breizhsr", "sen2venus", "probav", "mus2"]


def make(name: str, folder: Path) -> None:
    if name == "alsat2b":
        write_alsat2b(folder)
    elif name == "flanders":
        write_flanders(folder)
    else:
        getattr(importlib.import_module(f"miniatures.{name}"), f"make_{name}")(folder)


@pytest.mark.parametrize("name", [*MINIATURES, "alsat2b", "flanders"])
def test_a_folder_is_recognised_and_opened(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "it")
    assert recognise(tmp_path / "it") == name
    assert [each.patch for each in open_dataset(tmp_path / "it")] == [
        each.patch for each in find_dataset(name).read(tmp_path / "it", None)
    ]
    terms = DATASETS[name].licence.weights
    assert licence_of_weights(tmp_path / "it") == OF_WEIGHTS[terms]


def test_what_is_none_of_them_is_not_recognised(tmp_path: Path) -> None:
    assert recognise(tmp_path) is None and licence_of_weights(tmp_path) is None
    with pytest.raises(InputError, match=r"no pair\.json"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        open_dataset(tmp_path / "nowhere")


def test_archives_without_splits_are_asked_for_none(tmp_path: Path) -> None:
    make("flanders", tmp_path / "it")
    with pytest.raises(InputError, match="there is no split test here"):
        open_dataset(tmp_path / "it", "test")
