"""What of a scene is done: a folder beside the result that outlives an interruption.

    RESULT.unfinished/
        job.json                         what is being made; a run of anything else is refused
        blocks/2021-07-18/00000_00512/   one block of one date: it appears whole or not at all
        product/                         what is put together of them
        whole                            that it is: what is left is to put it in its place

A block's folder is the mark that it is done, so there is no list that could disagree with it.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from sitsr.scenes.write import exchange
from sitsr.series import InputError
from sitsr.tiles import Tile


def journal_of(out: Path) -> Path:
    """Where the blocks of a result are kept until it is whole."""
    place = out.resolve()
    return place.with_name(f"{place.name}.unfinished")


def place_of(journal: Path, target: date, block: Tile) -> Path:
    """The folder of one block of one date."""
    return journal / "blocks" / f"{target}" / f"{block.top:05}_{block.left:05}"


def product_in(journal: Path) -> Path:
    """Where the product is put together."""
    return journal / "product"


@contextmanager
def opened(journal: Path, job: dict[str, Any]) -> Iterator[None]:
    """The journal, new or gone on with; one run at a time, and always of the same job.

    job  what settles every pixel, as JSON has it
    """
    journal.mkdir(parents=True, exist_ok=True)
    with (journal / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{journal.name} is being worked on by another run; wait for it, or stop it"
            ) from None
        _check_same(journal, job)
        try:
            yield
        except BaseException:
            if not (journal / "blocks").exists():  # nothing is lost with it
                shutil.rmtree(journal, ignore_errors=True)
            raise


def is_whole(journal: Path) -> bool:
    """Whether all is put together, and at most not yet in its place."""
    return (journal / "whole").exists()


def finish(journal: Path, out: Path) -> None:
    """Put the product in its place, and forget the journal; can be interrupted and done again."""
    (journal / "whole").touch()
    if product_in(journal).exists():
        exchange(out.resolve(), product_in(journal), journal / "former")
    shutil.rmtree(journal)


def _check_same(journal: Path, job: dict[str, Any]) -> None:
    told = journal / "job.json"
    if not told.exists():
        text = json.dumps(job, indent=1, sort_keys=True)
        aside = told.with_suffix(".part")
        aside.write_text(text + "\n", encoding="utf-8")
        aside.replace(told)
        return
    try:
        former = json.loads(told.read_text(encoding="utf-8"))
    except ValueError:
        former = {}
    now = json.loads(json.dumps(job))
    other = [key for key in sorted({*former, *now}) if former.get(key) != now.get(key)]
    if other:
        raise InputError(
            f"{journal.name} holds an unfinished run with other {', '.join(other[:3])}; go on with "
            "that one, remove the folder, or give another --out"
        )
