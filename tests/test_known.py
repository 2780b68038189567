"""What is known of a data set is enough to get it, read it and cite it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from sitsr.datasets.known import (
    DATASETS,
    OF_WEIGHTS,
    known,
    licence_of_weights,
    open_dataset,
    recognise,
)
from sitsr.series import InputError

MINIATURES = ["worldstrat", "breizhsr", "sen2venus", "probav", "mus2"]


@pytest.mark.parametrize("name", DATASETS)
def test_every_record_names_its_licence_its_terms_and_its_paper(name: str) -> None:
    told = known(name)
    assert told.licence and told.terms and told.cite
    assert re.search(r"arXiv:|doi:|Copernicus", told.cite)
    if re.search("NC|none|not verified", told.licence):
        assert told.terms in OF_WEIGHTS
    assert told.record is None or told.record.page.startswith("https://")


@pytest.mark.parametrize("name", MINIATURES)
def test_a_folder_is_recognised_and_opened(name: str, tmp_path: Path) -> None:
    maker = getattr(importlib.import_module(f"miniatures.{name}"), f"make_{name}")
    maker(tmp_path / "it")
    assert recognise(tmp_path / "it") == name
    assert [each.patch for each in open_dataset(tmp_path / "it")] == [
        each.patch for each in known(name).read(tmp_path / "it", None)
    ]
    assert licence_of_weights(tmp_path / "it") == OF_WEIGHTS.get(known(name).terms)


def test_what_is_none_of_them_is_not_recognised(tmp_path: Path) -> None:
    assert recognise(tmp_path) is None and licence_of_weights(tmp_path) is None
    with pytest.raises(InputError, match=r"no pair\.json"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match="choose from worldstrat, breizhsr"):
        known("moon")
