"""WorldStrat's splits: what leaks is found; the grouped ones leak nothing and lose no more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitsr.datasets.worldstrat import (
    Row,
    grouped_splits,
    leaks_of,
    published_splits,
    read_splits,
    site_of,
)
from sitsr.series import InputError

TESTED = ("17-2-1", "10-1-2", "17-1-1", "5-2-2")  # of Amnesty, in train and in test
WATCHED = (  # in train and in validation
    *("Amnesty POI-8-2-1", "Amnesty POI-18-3-3", "Landcover-1372406", "Landcover-775706"),
    *("UNHCR-NGAs037482", "UNHCR-BFAs004554", "UNHCR-GMBs003273"),
)
LEAKS = (38, 11, 60)
"""Of the published file: tiles that are repeated, in two splits, tested beside trained ground."""


def row(tile: str, split: str) -> Row:
    return Row(tile, split, {})


def cut_areas(source: str, areas: int, tested: int, held: int, first: tuple[str, ...]) -> list[Row]:
    """Areas of 3 × 3 tiles: ``tested`` of the tiles lie in test, one an area at first, and so many
    more in validation."""
    tiles = [f"{source}-{a}-{i}-{j}" for i in "123" for j in "123" for a in range(1, areas + 1)]
    ordered = [*first, *(tile for tile in tiles if tile not in first)]
    split = ["test"] * tested + ["validation"] * held
    split += ["train"] * (len(tiles) - len(split))
    return [row(*each) for each in zip(ordered, split, strict=True)]


@pytest.fixture(scope="module")
def published() -> list[Row]:
    """3928 rows with the counts and the leaks of the published file, made up but for the names."""
    amnesty = cut_areas("Amnesty POI", 21, 24, 20, tuple(f"Amnesty POI-{t}" for t in TESTED))
    spotter = cut_areas("ASMSpotter", 39, 36, 30, ())
    alone = [*(f"Landcover-{k}" for k in range(2392)), *(f"UNHCR-X{k:05}" for k in range(953))]
    split = ["test"] * 334 + ["validation"] * (393 - 50 - len(WATCHED))
    split += ["train"] * (len(alone) - len(split))
    single = [row(*each) for each in zip(alone, split, strict=True)]
    double = [row(f"Amnesty POI-{t}", "train") for t in TESTED]
    for tile in WATCHED:
        double += [row(tile, "validation")]
        double += [row(tile, "train")] if not tile.startswith("Amnesty") else []
    kept = [each for each in amnesty if each.tile not in WATCHED]
    kept += [row(tile, "train") for tile in WATCHED if tile.startswith("Amnesty")]
    again = [each for each in single if each.split == "train"][:27]
    return [*kept, *spotter, *single, *double, *again]


def test_the_made_up_table_is_as_large_as_the_published_one(published: list[Row]) -> None:
    tiles = {each.tile for each in published}
    assert (len(published), len(tiles)) == (3928, 3890)
    assert Counter(each.split for each in published)["test"] == 394
    assert Counter(each.split for each in published)["validation"] == 393


def test_the_leaks_of_the_published_table_are_found(published: list[Row]) -> None:
    leaks = leaks_of(published)
    assert (len(leaks.repeated), len(leaks.straddling), len(leaks.shared)) == LEAKS
    assert set(leaks.straddling) == {*WATCHED, *(f"Amnesty POI-{t}" for t in TESTED)}
    assert all(tile.startswith(("Amnesty POI", "ASMSpotter")) for tile in leaks.shared)


def test_the_grouped_splits_of_the_published_table_keep_all_that_is_tested(
    published: list[Row],
) -> None:
    splits = grouped_splits(published)
    tested = {each.tile for each in published if each.split == "test"}
    assert {tile for tile, split in splits.items() if split == "test"} == tested
    alone = {each.tile for each in published if site_of(each.tile) == each.tile}
    assert alone <= splits.keys()  # only areas of several tiles lose any
    assert not leaks_of([row(*each) for each in splits.items()]).shared


tables = st.lists(
    st.builds(
        row,
        st.sampled_from(
            [
                f"{area}-{i}-1"
                for area in ("Amnesty POI-8", "ASMSpotter-1", "ASMSpotter-11")
                for i in "123"
            ]
            + ["Landcover-743", "UNHCR-HUNs002665", "Landcover-8-1-1"]
        ),
        st.sampled_from(["train", "validation", "test"]),
    ),
    max_size=12,
)


@given(tables)
def test_no_site_lies_in_two_grouped_splits_and_nothing_is_lost_but_conflicts(
    rows: list[Row],
) -> None:
    splits = grouped_splits(rows)
    found: dict[str, set[str]] = {}
    for tile, split in splits.items():
        found.setdefault(site_of(tile), set()).add(split)
    assert all(len(each) == 1 for each in found.values())
    assert found.keys() == {site_of(each.tile) for each in rows}  # no site is lost
    for each in rows:
        named = {other.split for other in rows if site_of(other.tile) == site_of(each.tile)}
        own = {other.split for other in rows if other.tile == each.tile}
        assert splits.get(each.tile, "") in {"", *own}  # none changes sides
        assert each.tile in splits or len(named) > 1
        assert each.split != "test" or splits[each.tile] == "test"


@given(tables)
def test_what_is_grouped_leaks_nothing(rows: list[Row]) -> None:
    leaks = leaks_of([row(*each) for each in grouped_splits(rows).items()])
    assert (leaks.repeated, leaks.straddling, leaks.shared) == ((), (), ())


@pytest.mark.parametrize(
    ("tile", "site"),
    [
        ("Amnesty POI-8-2-1", "Amnesty POI-8"),
        ("Amnesty POI-18-3-3", "Amnesty POI-18"),
        ("ASMSpotter-1-1-1", "ASMSpotter-1"),
        ("Landcover-743", "Landcover-743"),
        ("Landcover-743-1-1", "Landcover-743-1-1"),
        ("UNHCR-HUNs002665", "UNHCR-HUNs002665"),
        ("Amnesty POI-8", "Amnesty POI-8"),
    ],
)
def test_an_area_is_told_from_the_name_of_its_tile(tile: str, site: str) -> None:
    assert site_of(tile) == site


def test_as_published_the_first_row_of_a_tile_counts() -> None:
    rows = [row("Landcover-743", "train"), row("Landcover-743", "test"), row("Landcover-1", "test")]
    assert published_splits(rows) == {"Landcover-743": "train", "Landcover-1": "test"}
    assert grouped_splits(rows) == {"Landcover-743": "test", "Landcover-1": "test"}


HEAD = ",tile,IPCC Class,SMOD,source,joint_class,split\n"


def test_a_table_is_read_with_its_gaps(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    path.write_text(
        HEAD
        + "16,Amnesty POI-8-2-1,Forest,11,Amnesty,Amnesty/Forest/11,val\n"
        + "32,Landcover-1266589,,11,Landcover,Landcover/nan/11,train\n"
    )
    first, second = read_splits(path)
    assert (first.tile, first.split) == ("Amnesty POI-8-2-1", "validation")
    assert first.tags == {"IPCC Class": "Forest", "SMOD": "11", "source": "Amnesty"}
    assert second.tags == {"SMOD": "11", "source": "Landcover"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b",tile,source\n1,Landcover-1,Landcover\n", "has no column split; get it again"),
        (b"", "has no column tile, split"),
        (HEAD.encode() + b"1,Landcover-1,,11,L,L,holdout\n", "puts 'Landcover-1' into 'holdout'"),
        (HEAD.encode() + b"1,Land\xffcover-1,,11,L,L,train\n", "cannot be read .*; get it again"),
        (HEAD.encode() + b'1,"' + b"x" * 200_000 + b'",,11,L,L,train\n', "cannot be read .field"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    path = tmp_path / "splits.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message) as refused:
        read_splits(path)
    assert "\n" not in str(refused.value)
