"""Write the miniature of every public data set, each into a folder of its name.

    python scripts/make_miniatures.py OUT [NAME ...]

They are what the tests read: the published layout with a few small images. A module NAME of
tests/miniatures that has a function make_NAME(folder) is a maker.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"


def makers() -> dict[str, Callable[[Path], None]]:
    """What writes each data set, by its name."""
    sys.path.insert(0, str(TESTS))
    names = sorted(path.stem for path in (TESTS / "miniatures").glob("[!_]*.py"))
    modules = {name: importlib.import_module(f"miniatures.{name}") for name in names}
    return {
        name: getattr(module, f"make_{name}")
        for name, module in modules.items()
        if hasattr(module, f"make_{name}")
    }


def main() -> None:
    found = makers()
    parser = argparse.ArgumentParser(description="Write the miniatures of the public data sets.")
    parser.add_argument("out", type=Path, help="a folder that is new or empty")
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(found)}; else all")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(found)):
        parser.error(f"{', '.join(unknown)}: not a data set; choose from {', '.join(found)}")
    if chosen.out.exists() and any(chosen.out.iterdir()):
        parser.error(f"{chosen.out} is not empty; name a folder that is new or empty")
    for name in chosen.names or found:
        folder = chosen.out / name
        folder.mkdir(parents=True)
        found[name](folder)
        print(folder)


if __name__ == "__main__":
    main()
