"""The house stands: who leans on whom, and nothing in it is too big to hold in the head."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sitsr

ROOT = Path(sitsr.__file__).parent
TORCH = {"torch", "einops"}
FILES = {"rasterio", "affine", "xarray", "pystac", "PIL", "rio_cogeo"}

# Each module may import from those above it here, and from these outside packages.
HOUSE: dict[str, set[str]] = {
    "series": set(),
    "tiles": set(),
    "radiometry": {"scipy"},
    "metrics": {"scipy", "lpips", "torch", "opensr_test"},
    "clouds": {"scipy"},
    "encoders": TORCH,
    "denoisers": TORCH,
    "diffusion": TORCH,
    "consistency": TORCH,
    "generators": TORCH,
    "model": TORCH | {"safetensors"},
    "methods": set(),
    "baselines": {"scipy", "torch"},
    "scenes": FILES | {"pystac_client", "urllib3", "dask", "zarr"},
    "datasets": {
        *("rasterio", "xarray", "scipy", "torch"),
        *("pandas", "pyarrow", "py7zr", "requests", "urllib3", "zarr", "numcodecs"),
    },
    "inference": TORCH | {"rasterio", "xarray", "dask", "distributed"},
    "training": TORCH | {"lightning", "pydantic", "yaml", "PIL"},
    "report": {"PIL", "matplotlib", "scipy"},
    "product": {"xarray"},
    "analysis": {"scipy", "pyarrow"},
    "evaluation": {"matplotlib", "scipy", "yaml", "pyarrow", "onnxruntime", "rasterio", "torch"},
    "__init__": set(),
    "cli": {"typer", "rich"},
}
EVERYWHERE = {"numpy", "odc", "sitsr", "__future__", *sys.stdlib_module_names}
HEAVY = {"torch", "lightning"}
"""Imported when a module is only where these stand for what it does."""
MAY_BE_HEAVY = {"encoders", "denoisers", "diffusion", "consistency", "generators", "model"} | {
    *("datasets", "training", "inference"),
}

PATHS = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    """The module, or the folder of that name, that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported, but for what is so for the sake of types only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are written out in full"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        else:
            yield from imported(node)


def at_module_level(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module([node], []))


def rooms(names: Iterator[str]) -> set[str]:
    """Which of the house's own modules these names lie in."""
    ours = (name.split(".")[1:2] for name in names if name.startswith("sitsr."))
    return {name for names in ours for name in names if name in HOUSE}


files = pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))


def test_every_module_has_its_floor() -> None:
    assert {room(path) for path in PATHS} == set(HOUSE)


@files
def test_a_module_leans_only_on_what_stands_below_it(path: Path) -> None:
    order, here = list(HOUSE), room(path)
    above = set(order[order.index(here) + 1 :])
    assert not rooms(imported(parsed(path))) & above


@files
def test_a_module_uses_only_the_packages_of_its_floor(path: Path) -> None:
    outside = {name.partition(".")[0] for name in imported(parsed(path))} - EVERYWHERE
    assert outside <= HOUSE[room(path)]


@files
def test_what_is_heavy_is_loaded_where_it_is_needed(path: Path) -> None:
    names = {name.partition(".")[0] for name in at_module_level(parsed(path))}
    assert room(path) in MAY_BE_HEAVY or not names & HEAVY


@files
def test_a_module_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            says = len((ast.get_docstring(node) or "").splitlines())
            size = (node.end_lineno or 0) - node.body[0].lineno + 1 - says
            assert size <= 50, f"{node.name} has {size} lines"


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if "overload" not in map(ast.unparse, node.decorator_list):  # the last one speaks
            yield node


@files
def test_what_is_public_says_what_it_is(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree), "the module has no docstring"
    silent = [node.name for node in public(tree) if not ast.get_docstring(node)]
    assert not silent


@files
def test_nothing_draws_from_a_hidden_generator_or_prints(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print"
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "np.random":
                assert node.func.attr == "default_rng" and node.args, called
            if called in {"torch.randn", "torch.rand", "torch.randint", "torch.randperm"}:
                assert any(word.arg == "generator" for word in node.keywords), called


def test_there_is_no_drawer_for_everything() -> None:
    forbidden = {"utils", "helpers", "common", "base", "core", "misc"}
    assert not forbidden & {part for path in PATHS for part in path.with_suffix("").parts}
