"""Pickled pandas tables, read without running what a pickle may ask for.

A pickle is a program: whoever opens it with ``pandas.read_pickle`` runs it. Here it may name only
what a table of texts, numbers, dates, lists and dictionaries is made of, in this pandas and in
those back to 1.0; with anything else it is refused before anything is called. Nor may it change
classes, make sets, or nest tuples deeply: hashing those ends the interpreter.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sitsr.series import InputError

if TYPE_CHECKING:
    import pandas as pd

DEEPEST = 16
"""Tuples within tuples that a table may hold; what pandas writes needs five."""

NAMES = {
    "builtins": ("slice",),
    "datetime": ("date", "datetime"),
    "numpy": ("dtype", "ndarray"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
    "pandas": ("DataFrame", "Index", "RangeIndex", "StringDtype", "Timestamp"),
    "pandas.arrays": ("ArrowStringArray", "DatetimeArray"),
    "pandas._libs.arrays": ("__pyx_unpickle_NDArrayBacked",),
    "pandas._libs.internals": ("_unpickle_block",),
    "pandas._libs.tslibs.timestamps": ("Timestamp", "_unpickle_timestamp"),
    "pandas.core.arrays.datetimes": ("DatetimeArray",),
    "pandas.core.frame": ("DataFrame",),
    "pandas.core.indexes.base": ("Index", "_new_Index"),
    "pandas.core.indexes.range": ("RangeIndex",),
    "pandas.core.internals.managers": ("BlockManager",),
    "pyarrow.lib": ("py_buffer", "type_for_alias"),
}
"""What a pickle may name, by module, as it is called today."""

MOVED = {
    "__builtin__": "builtins",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}

RENAMED = {
    ("pandas.core.internals.blocks", "new_block"): ("pandas._libs.internals", "_unpickle_block"),
    **{
        ("pandas.core.indexes.numeric", name): ("pandas.core.indexes.base", "Index")
        for name in ("Int64Index", "UInt64Index", "Float64Index")
    },
}


def read_pickled_table(path: Path) -> pd.DataFrame:
    """The table that a file holds; InputError, and nothing run, where it asks for anything more."""
    import pandas as pd

    try:
        with path.open("rb") as file:
            table = _Unpickler(file).load()
    except _Forbidden as error:
        raise InputError(
            f"{path} is refused: it {error}, which no table needs; get it again from where it was "
            "published"
        ) from None
    except Exception as error:
        # A pickle that is cut short or made up fails in as many ways as there are objects.
        told = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise InputError(f"{path} is no pickled table ({told}); get it again") from error
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{path} holds a {type(table).__name__}; wanted a pandas DataFrame")
    return table


class _Forbidden(Exception):
    """What a pickle wants to do and may not."""


class _Unpickler(pickle._Unpickler):
    """The one of the standard library that is written in Python, so that each step can be seen."""

    dispatch = pickle._Unpickler.dispatch.copy()
    stack: list[Any]

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._depth: dict[int, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name that is known; _Forbidden for any other."""
        if own := OWN.get((MOVED.get(module, module), name)):
            return own
        module, name = RENAMED.get((module, name), (MOVED.get(module, module), name))
        if name not in NAMES.get(module, ()):
            raise _Forbidden(f"names {module}.{name}")
        return getattr(import_module(module), name)

    def persistent_load(self, pid: Any) -> Any:
        """Nothing lies outside of a table."""
        raise _Forbidden("refers to what lies outside of it")

    def load_build(self) -> None:
        """As it was, but for classes and functions, which are the whole program's."""
        if callable(self.stack[-2]):
            raise _Forbidden("changes a class")
        super().load_build()  # type: ignore[misc]

    def refuse_set(self) -> None:
        """Sets hash what they hold, and no table of ours holds any."""
        raise _Forbidden("makes a set")

    def measure(self) -> None:
        """How deep the tuple that was just made is."""
        made = self.stack[-1]
        depth = 1 + max((self._depth.get(id(part), 0) for part in made), default=0)
        if depth > DEEPEST:
            raise _Forbidden(f"nests more than {DEEPEST} tuples")
        self._depth[id(made)] = depth


def _measured(load: Any) -> Any:
    def load_and_measure(self: _Unpickler) -> None:
        load(self)
        self.measure()

    return load_and_measure


_STEPS: dict[int, Any] = _Unpickler.dispatch
for _code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
    _STEPS[_code[0]] = _measured(_STEPS[_code[0]])
for _code in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS):
    _STEPS[_code[0]] = _Unpickler.refuse_set
_STEPS[pickle.BUILD[0]] = _Unpickler.load_build


def _bytearray(content: Any = b"", encoding: str = "latin1") -> bytearray:
    """Never of a length alone, which may be any."""
    if not isinstance(content, str | bytes):
        raise _Forbidden("asks for memory")
    return bytearray(_encode(content, encoding) if isinstance(content, str) else content)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as they are written by the older protocols."""
    if encoding != "latin1":
        raise _Forbidden(f"uses the encoding {encoding}")
    return text.encode(encoding)


def _arrow(data: Any) -> Any:
    """An array of Arrow, whose parts are checked against each other before anything reads it."""
    array: Any = import_module("pyarrow.lib")._restore_array(data)
    array.validate(full=True)
    return array


OWN = {
    ("builtins", "bytearray"): _bytearray,
    ("_codecs", "encode"): _encode,
    ("pyarrow.lib", "_restore_array"): _arrow,
}
"""What is done here in place of what a pickle names."""
