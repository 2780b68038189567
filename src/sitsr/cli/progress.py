"""Bars for long work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Step = Callable[[int, int], None]


@contextmanager
def shown(what: str, *, bytes_: bool = False) -> Iterator[Callable[[str], Step]]:
    """Bars with an estimate of what is left, on standard error; none where nobody looks.

    Each is asked for by a name, and is told (done, total): of bytes, if so said.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    hidden = not console.is_terminal or logging.getLogger("sitsr").level >= logging.ERROR
    count = DownloadColumn() if bytes_ else MofNCompleteColumn()
    columns = ("{task.description:16}", BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=hidden) as bars:

        def bar(name: str) -> Step:
            task = bars.add_task(f"{what} {name}".strip(), total=None)
            return lambda done, total: bars.update(task, completed=done, total=total or None)

        yield bar
