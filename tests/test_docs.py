"""Pages name what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from sitsr import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def test_every_command_has_its_place_in_the_manual() -> None:
    manual = (ROOT / "docs/commands.md").read_text()
    assert re.findall(r"^## (.+)$", manual, re.MULTILINE) == list(COMMANDS)


def test_every_option_that_a_page_shows_is_one() -> None:
    every = [*COMMANDS.values(), *COMMANDS["data"].commands.values()]
    known = {
        name
        for each in every
        for param in each.params
        for name in (*param.opts, *param.secondary_opts)
    }
    known |= {"--help", "--version", "--install-completion"}
    shown = {
        option
        for page in (
            ROOT / "README.md",
            ROOT / "docs/commands.md",
            *(ROOT / "docs/datasets").iterdir(),
        )
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text())
    }
    assert shown <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_first_two_commands_of_the_readme_are_targets_of_make() -> None:
    commands = re.findall(r"^ {4}make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert commands[:2] == ["demo", "test"]
    assert set(commands) <= set(targets)
