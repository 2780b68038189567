"""Every planted defect is found, and named; nothing is found where nothing is wrong."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import SIGMA, TARGET
from miniatures.scenery import coarse, fine
from miniatures.worldstrat import DEFECTS, make_worldstrat
from sitsr.datasets import read_worldstrat
from sitsr.datasets.check import Finding, check_sources, report
from sitsr.datasets.known import open_dataset
from sitsr.datasets.pairs import REAL, Pair, Source, at_hand
from sitsr.datasets.worldstrat import worldstrat_faults
from sitsr.series import InputError
from test_store import make_pair as plain_pair

FOUND = {
    "leaking_split": {"leaking split", "repeated pair"},
    "shared_area": {"leaking split"},
    "duplicate_row": {"repeated pair"},
    "duplicate_revisit": {"duplicate revisit"},
    "constant_revisit": {"constant revisit"},
    "truncated_file": {"unreadable"},
    "black_bars": {"black bars"},
    "shifted_reference": {"misregistered reference"},
    "dates_out_of_order": {"dates disagree"},
    "missing_mask": {"missing mask"},
    "missing_level": {"missing files"},
    "missing_side_files": {"missing mask"},
    "other_size": set[str](),  # read as it should be: nothing is wrong with it
    "huge_tiff": {"unreadable"},
}


def found_in(folder: Path) -> set[str]:
    checks = {fault.check for _, _, fault in worldstrat_faults(folder)}
    return checks | {each.check for each in check_sources(read_worldstrat(folder, grouped=False))}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_of_worldstrat_is_found_and_no_other(defect: str, tmp_path: Path) -> None:
    make_worldstrat(tmp_path / "w", defects=frozenset({defect}))
    assert found_in(tmp_path / "w") == FOUND[defect]


def test_nothing_is_found_in_a_clean_data_set(tmp_path: Path) -> None:
    make_worldstrat(tmp_path / "w")
    assert found_in(tmp_path / "w") == set()


@pytest.mark.parametrize("name", ["breizhsr", "sen2venus", "probav", "mus2"])
def test_nothing_but_what_their_pages_tell_of_is_found_in_other_data_sets(
    name: str, tmp_path: Path
) -> None:
    maker = getattr(importlib.import_module(f"miniatures.{name}"), f"make_{name}")
    maker(tmp_path / name)
    found = {each.check for each in check_sources(open_dataset(tmp_path / name))}
    assert found <= TOLD[name]


TOLD = {
    "breizhsr": {"leaking split"},
    "sen2venus": set[str](),
    "probav": set[str](),
    "mus2": set[str](),
}

READ_RIGHTLY = {
    "breizhsr": {
        *("a row's dates mirror each other", "keys count towards SPOT-6", "keys without a sign"),
        *("a table of pandas 1", "an image begins a pixel off", "an image lies between pixels"),
        *("dates are padded", "no split"),
    },
    "sen2venus": {
        *("a map of other patches", "no map of the patches", "a tensor of the older form"),
        *("nodata", "unpacked archives"),
    },
    "probav": {"images are numbered otherwise", "no norms"},
    "mus2": {"a later baseline", "a mask is white", "nothing says where it lies"},
}
"""Planted things that are no fault, or that a reader undoes without loss."""

PLANTED = [
    (name, defect)
    for name in READ_RIGHTLY
    for defect in sorted(importlib.import_module(f"miniatures.{name}").DEFECTS)
]


@pytest.mark.parametrize(("name", "defect"), PLANTED, ids=lambda text: text)
def test_a_planted_defect_of_other_data_sets_is_found(
    name: str, defect: str, tmp_path: Path
) -> None:
    maker = getattr(importlib.import_module(f"miniatures.{name}"), f"make_{name}")
    maker(tmp_path / name, defects=frozenset({defect}))
    try:
        found = {each.check for each in check_sources(open_dataset(tmp_path / name))}
    except InputError:  # the command says so, with exit code 1
        found = {"refused"}
    assert bool(found - TOLD[name]) != (defect in READ_RIGHTLY[name])


SCALE = 4
BANDS = ("B02", "B03", "B04", "B08")
SHAPE = (36, 32)


def clean(number: int = 0, **fields: Any) -> Pair:
    """Real pixels: three days of ground, and one of them finer."""
    whole = (SCALE * SHAPE[0], SCALE * SHAPE[1])
    series = plain_pair(number, SHAPE).series.keep([0, 2, 4])
    ground = [fine(k, BANDS, whole, (0, 0)) for k in range(3)]
    images = np.stack([coarse(each, SCALE) for each in ground]).astype(np.float32)
    series = replace(series, images=images, clear=np.ones_like(series.clear), history=())
    given = {
        **{"series": series, "target": TARGET, "scale": SCALE, "site": f"site {number}"},
        **{"patch": "patch", "kind": REAL, "reference": ground[1].astype(np.float32)},
        **{"clear": np.ones(whole, bool), "sensor_sigma": SIGMA},
    }
    return Pair(**{**given, **fields})


def check(*pairs: Pair | Source) -> list[Finding]:
    return list(check_sources([at_hand(p) if isinstance(p, Pair) else p for p in pairs]))


def test_nothing_is_found_in_clean_pairs() -> None:
    assert check(clean(0), clean(1)) == []


def of_series(change: Callable[[Pair], dict[str, Any]]) -> Callable[[], list[Finding]]:
    return lambda: check(replace(clean(), series=replace(clean().series, **change(clean()))))


def equal(pair: Pair) -> dict[str, Any]:
    images = pair.series.images.copy()
    images[2] = images[0]
    return {"images": images}


def constant(pair: Pair) -> dict[str, Any]:
    images = pair.series.images.copy()
    images[2] = 0.2
    return {"images": images}


def moved(pair: Pair) -> dict[str, Any]:
    images = pair.series.images.copy()
    images[2] = np.roll(images[2], 2, -1)
    return {"images": images}


def percent(pair: Pair) -> dict[str, Any]:
    images = pair.series.images.copy()
    images[1] *= 100
    return {"images": images}


def long_ago() -> list[Finding]:
    series = clean().series.keep([1])
    early = replace(series, dates=(TARGET - timedelta(days=800),))
    return check(clean(series=early))


def split(*splits: str | None, bounds: Any = None) -> list[Finding]:
    sources = [
        replace(at_hand(clean(k if bounds else 0)), split=each, bounds=bounds, patch=f"{k}")
        for k, each in enumerate(splits)
    ]
    return check(*sources)


def barred() -> list[Finding]:
    pair = clean()
    reference, known = pair.reference.copy(), pair.clear.copy()
    reference[:, :3], known[:3] = 0, False
    reference[..., -2:], known[:, -2:] = 0, False
    return check(replace(pair, reference=reference, clear=known))


def shifted() -> list[Finding]:
    pair = clean()
    return check(replace(pair, reference=np.roll(pair.reference, 2 * SCALE, -2)))


def unreadable() -> list[Finding]:
    def load() -> Pair:
        raise InputError("it is cut short")

    return check(replace(at_hand(clean()), load=load), clean(1))


def stretched() -> list[Finding]:
    odd = clean(3)
    return check(clean(0), clean(1), clean(2), replace(odd, reference=odd.reference / 8))


@pytest.mark.parametrize(
    ("plant", "name", "said"),
    [
        (of_series(equal), "duplicate revisit", "shows the same pixels as"),
        (of_series(constant), "constant revisit", "has one value"),
        (of_series(moved), "misregistered date", "columns off"),
        (of_series(percent), "radiometric outlier", "are no reflectance"),
        (long_ago, "reference far in time", "days from the nearest clear date"),
        (barred, "black bars", "above 3, right 2"),
        (shifted, "misregistered reference", "has to move -2.0"),
        (unreadable, "unreadable", "it is cut short"),
        (stretched, "radiometric outlier", "8 times the gain of the others"),
        (lambda: split("train", "test"), "leaking split", "is in test and train"),
        (lambda: split("train", "test", bounds=(1, 2, 3, 4)), "shared ground", "train shares"),
        (lambda: check(clean(), clean()), "repeated pair", "is there 2 times"),
    ],
)
def test_a_defect_is_found_and_named(
    plant: Callable[[], list[Finding]], name: str, said: str
) -> None:
    findings = [each for each in plant() if each.check == name]
    assert findings and all(said in each.said for each in findings)
    assert {each.check for each in plant()} <= {name, "radiometric outlier"}


def test_the_report_is_json(tmp_path: Path) -> None:
    findings = [Finding("black bars", "a", "b", "above 3"), Finding("unreadable", "a", "c", "no")]
    report(findings, 7, tmp_path / "check.json")
    told = json.loads((tmp_path / "check.json").read_text())
    assert told["pairs"] == 7 and told["found"] == {"black bars": 1, "unreadable": 1}
    assert told["findings"][0] == {
        **{"check": "black bars", "site": "a", "patch": "b", "said": "above 3"}
    }
    assert [path.name for path in tmp_path.iterdir()] == ["check.json"]


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    list(
        check_sources(
            [at_hand(clean())] * 2, progress=lambda done, total: told.append((done, total))
        )
    )
    assert told == [(0, 2), (1, 2), (2, 2)]
