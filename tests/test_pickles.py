"""Pickled tables are read, and whatever else a pickle may be is refused before it does anything."""

from __future__ import annotations

import os
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitsr.datasets import read_pickled_table
from sitsr.datasets.pickles import DEEPEST
from sitsr.series import InputError

DAYS = [date(2018, 6, 28), date(2018, 7, 3)]
TEXT = b"X\x03\x00\x00\x00abc"


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": ["a/b.tif", "c.tif"],
            "lists": [DAYS, DAYS[:1]],
            "keyed": [{-3: "x.tif", np.int64(2): "y.tif"}, {}],
            "days": DAYS,
            "stamps": pd.to_datetime(pd.Series(DAYS)),
            "mixed": [pd.Timestamp(2018, 1, 2), np.float64(0.5)],
            "numbers": [1.5, -2.0],
        },
        index=[7, 11],
    )


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["str", object])
def test_a_table_comes_back_as_it_was_pickled(tmp_path: Path, protocol: int, kind: Any) -> None:
    wanted = table().astype({"text": kind})
    wanted.columns = wanted.columns.astype(kind)
    path = written(tmp_path / "table.pkl", pickle.dumps(wanted, protocol))
    pd.testing.assert_frame_equal(read_pickled_table(path), wanted)


class Doing:
    """Asks for a call when it is read."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def named(module: str, name: str, *more: bytes) -> bytes:
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"".join(more) + b"."


HOSTILE = {
    "a command": (lambda out: pickle.dumps(Doing(os.system, f"touch '{out}'")), "system"),
    "a command in a table": (
        lambda out: pickle.dumps(table().assign(more=[Doing(os.system, f"touch '{out}'"), 1])),
        "system",
    ),
    "an evaluation": (
        lambda out: pickle.dumps(Doing(eval, f"open({str(out)!r}, 'w')")),
        r"builtins\.eval",
    ),
    "a method of a known class": (
        lambda out: b"\x80\x04\x8c\x06pandas\x8c\x10DataFrame.to_csv\x93.",
        r"pandas\.DataFrame\.to_csv",
    ),
    "pandas' own reader": (
        lambda out: named("pandas", "read_pickle", TEXT, b"\x85R"),
        r"pandas\.read_pickle",
    ),
    "a class that is changed": (
        lambda out: named("pandas", "DataFrame", b"N}", TEXT, b"K\x01s\x86b"),
        "changes a class",
    ),
    "an object that lies outside": (lambda out: b"\x80\x02X\x01\x00\x00\x00aQ.", "outside of it"),
    "memory for nothing": (
        lambda out: named("__builtin__", "bytearray", b"J\xff\xff\xff\x7f\x85R"),
        "asks for memory",
    ),
    "another encoding": (
        lambda out: named("_codecs", "encode", TEXT, b"X\x05\x00\x00\x00utf-7\x86R"),
        "the encoding utf-7",
    ),
    "a set": (lambda out: pickle.dumps({1, 2}, 4), "makes a set"),
    "a frozen set": (lambda out: pickle.dumps(frozenset({1, 2}), 4), "makes a set"),
    # Hashing this key would end the interpreter, not raise.
    "a key of a million tuples": (
        lambda out: b"\x80\x04}(K\x01" + b"\x85" * 1_000_000 + b"K\x02u.",
        f"more than {DEEPEST} tuples",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_table_does_not_need_is_refused_and_not_done(tmp_path: Path, what: str) -> None:
    made, told = HOSTILE[what]
    out = tmp_path / "OWNED"
    path = written(tmp_path / "table.pkl", made(out))
    with pytest.raises(InputError, match=rf"table\.pkl is refused: it .*{told}") as caught:
        read_pickled_table(path)
    assert "\n" not in str(caught.value) and not out.exists()
    assert not hasattr(pd.DataFrame, "abc")


BROKEN = {
    "nothing": (b"", r"no pickled table \("),
    "no pickle": (b"hello", r"no pickled table \("),
    "cut short": (pickle.dumps(table())[:-300], r"no pickled table \("),
    "a number": (pickle.dumps(3), "holds a int; wanted a pandas DataFrame"),
    "a list of a million lists": (b"\x80\x04" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".", "a list"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_table_is_said_in_one_line(tmp_path: Path, what: str) -> None:
    content, told = BROKEN[what]
    with pytest.raises(InputError, match=told) as caught:
        read_pickled_table(written(tmp_path / "table.pkl", content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pkl is no pickled table \(.*No such file"):
        read_pickled_table(tmp_path / "none.pkl")


def test_arrow_whose_parts_belie_each_other_is_refused(tmp_path: Path) -> None:
    """A text column of Arrow that says it holds more than its bytes do is not read beyond them."""
    whole = pickle.dumps(pd.DataFrame({"text": ["abcd", "efgh"]}), 2)
    offsets = np.array([0, 4, 8], np.int64).tobytes().decode("latin1").encode("utf-8")
    assert offsets in whole
    longer = np.array([0, 4, 99], np.int64).tobytes().decode("latin1").encode("utf-8")
    assert len(longer) == len(offsets)
    path = written(tmp_path / "table.pkl", whole.replace(offsets, longer))
    with pytest.raises(InputError, match="no pickled table"):
        read_pickled_table(path)
