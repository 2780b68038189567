"""The tables' Markdown as HTML: headings, paragraphs, bullet lists, tables with pipes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from sitsr.report.svg import minus

RULE = re.compile(r"^\|?[\s:|-]*-[\s:|-]*$")
PIPE = re.compile(r"(?<!\\)\|")


def html_of(markdown: str) -> str:
    """The text as HTML, every word of it escaped; headings start at the third level."""
    return "".join(_part(part) for part in _parts(markdown.splitlines()))


def _parts(lines: Sequence[str]) -> Iterator[list[str]]:
    """Neighbouring lines of one sort: a heading, a list, a table, a paragraph."""
    part: list[str] = []
    for line in lines:
        if part and (
            not line.strip() or _sort(line) != _sort(part[-1]) or _sort(line) == "heading"
        ):
            yield part
            part = []
        if line.strip():
            part.append(line.strip())
    if part:
        yield part


def _sort(line: str) -> str:
    start = line.strip()
    if start.startswith("#"):
        return "heading"
    if start.startswith(("- ", "* ")):
        return "list"
    return "table" if start.startswith("|") else "paragraph"


def _part(lines: Sequence[str]) -> str:
    sort = _sort(lines[0])
    if sort == "heading":
        words = lines[0].lstrip("#")
        level = min(len(lines[0]) - len(words) + 1, 6)
        return f"<h{level}>{_inline(words.strip())}</h{level}>"
    if sort == "list":
        return (
            f'<ul class="plain">{"".join(f"<li>{_inline(line[2:])}</li>" for line in lines)}</ul>'
        )
    if sort == "table":
        return _table(lines)
    return f"<p>{_inline(' '.join(lines))}</p>"


def _table(lines: Sequence[str]) -> str:
    rows = [_cells(line) for line in lines if not RULE.match(line)]
    head, *body = rows or [[]]
    sides = _sides(next((line for line in lines if RULE.match(line)), ""), len(head))
    inner = "".join(_row(row, sides, "td") for row in body)
    return (
        f'<div class="scroll"><table class="full"><thead>{_row(head, sides, "th")}</thead>'
        f"<tbody>{inner}</tbody></table></div>"
    )


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in PIPE.split(inner)]


def _sides(rule: str, count: int) -> list[str]:
    asked = ["end" if cell.endswith(":") else "start" for cell in _cells(rule)] if rule else []
    return (asked + ["start"] * count)[:count]


def _row(cells: Sequence[str], sides: Sequence[str], tag: str) -> str:
    padded = [*cells, *[""] * (len(sides) - len(cells))][: len(sides)]
    told = zip(padded, sides, strict=True)
    return (
        "<tr>"
        + "".join(f'<{tag} class="{s}">{_inline(cell)}</{tag}>' for cell, s in told)
        + "</tr>"
    )


def _inline(words: str) -> str:
    """Escaped first, so that no mark-up but ours can come of what a user wrote."""
    safe = escape(minus(words))
    safe = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", safe)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
