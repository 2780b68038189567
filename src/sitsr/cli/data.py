"""The commands on public data sets: list, read about, get, check, prepare and analyse them."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sitsr.cli.progress import progress, transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sitsr.datasets import Source
    from sitsr.datasets.known import Known
    from sitsr.datasets.obtaining import Plan

data = typer.Typer(
    help="Public data sets: list, read about, get, check, prepare, analyse them.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path, typer.Argument(help="A public data set, a training store, or pairs on disk.")
]
Part = Annotated[str | None, typer.Option("--split", help="train, validation or test; else all.")]
Name = Annotated[str, typer.Argument(help="As `sitsr data list` calls it, such as worldstrat.")]


@data.command("list")
def list_known() -> None:
    """List the data sets: what they hold, how large they are, who may do what with them."""
    from rich.console import Console
    from rich.table import Table

    from sitsr.datasets.known import DATASETS

    table = Table(
        "name", "what", "scale", "GB", "licence", "weights", box=None, padding=(0, 2, 0, 0)
    )
    for each in DATASETS.values():
        size = each.records[0].gigabytes
        table.add_row(
            each.name,
            each.summary,
            each.scale,
            "?" if size is None else f"{size:g}",
            each.licence.name,
            each.licence.weights,
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@data.command()
def info(
    name: Name,
    data: Annotated[
        Path | None, typer.Option(help="Folder to look into: what of it is there.")
    ] = None,
) -> None:
    """Say all that is known of a data set: pairs, licence, how to cite, records, layout."""
    from sitsr.datasets.known import find_dataset
    from sitsr.datasets.obtaining import statement

    found = find_dataset(name)
    lines = [statement(found), found.summary, f"Kind of its pairs: {found.kind}"]
    lines += [f"Scale: {found.scale}", f"Page: {found.page}", "", "Records:"]
    for each in found.records:
        size = "" if each.gigabytes is None else f", about {each.gigabytes:g} GB"
        how = ", to be fetched with a browser" if each.host == "by hand" else ""
        lines.append(f"  edition {each.edition}: {each.page}{size}{how}")
        lines += [f"    {file}  md5 {md5}" for file, md5 in each.md5.items()]
        if each.default:
            lines.append(f"    fetched if not said otherwise: {', '.join(each.default)}")
    lines += ["", "Layout:", *(f"  {line}" for line in found.layout.splitlines())]
    if data is not None:
        lines += ["", *_there(found, data)]
    typer.echo("\n".join(lines))


@data.command()
def download(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder for it; what lies there already stays.")],
    split: Annotated[
        str | None, typer.Option(help="WorldStrat: tiles of train, validation or test only.")
    ] = None,
    ground: Annotated[
        str | None,
        typer.Option("--class", help="WorldStrat: tiles of this IPCC class, such as Forest."),
    ] = None,
    sites: Annotated[
        str | None,
        typer.Option(help="How many sites, or which, with commas between (WorldStrat, Sen2Venµs)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed counts off other sites.")] = 0,
    file: Annotated[
        list[str] | None,
        typer.Option(help="A file of the record, instead of the usual ones. Repeat for more."),
    ] = None,
    edition: Annotated[
        str | None, typer.Option(help="Of data sets that were published again, such as 2.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the archives when they are unpacked.")
    ] = False,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="You have read the licence; else you are asked."),
    ] = False,
    mirror: Annotated[
        str | None, typer.Option(help="Server to ask instead of the official one, https://…")
    ] = None,
) -> None:
    """Get a data set, or a part of it, from its official record; give it again to go on."""
    from sitsr.datasets.choosing import Choice
    from sitsr.datasets.download import in_words
    from sitsr.datasets.known import find_dataset
    from sitsr.datasets.obtaining import obtain, planned

    found = find_dataset(name)
    choice = Choice(split, ground, _sites(sites), tuple(file or ()), seed)
    chosen = planned(found, choice, edition=edition, base=mirror)
    quiet = logging.getLogger("sitsr").level >= logging.ERROR
    if not (quiet and accept_licence):
        _show(chosen)
    accepted = accept_licence or _asked(out)
    with transfer() as told:
        count = obtain(chosen, out, accept_licence=accepted, keep=keep, told=told)
    if not quiet:
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        typer.echo(f"{out}: {count} files unpacked now; {in_words(size)} in all")
        if not found.is_there(out):
            typer.echo(f"{out} is not all of {found.title} yet; see {found.page}", err=True)


@data.command()
def check(
    folder: Folder,
    split: Part = None,
    out: Annotated[Path | None, typer.Option(help="JSON with all that was found.")] = None,
    shift: Annotated[
        float, typer.Option(help="Pixels of the series that a reference may lie off by.")
    ] = 1.0,
) -> None:
    """Find what is wrong with a data set; exit code 1 if anything is."""
    from sitsr.datasets.check import Finding, Limits, check_sources, report
    from sitsr.datasets.known import DATASETS, open_dataset, recognise

    name = recognise(folder)
    told = DATASETS[name] if name else None
    read = (told.as_published or told.read) if told else open_dataset
    sources = read(folder, split)
    findings = [
        Finding(fault.check, site, patch, fault.said)
        for site, patch, fault in (told.faults(folder) if told else ())
    ]
    with progress("Checking") as step:
        findings += check_sources(sources, replace(Limits(), shift=shift), step)
    if out is not None:
        report(findings, len(sources), out)
    for each in findings:
        typer.echo(f"{each.check}: {each.site}{each.patch and ', ' + each.patch}: {each.said}")
    typer.echo(f"{len(sources)} pairs, {len(findings)} findings")
    if findings:
        raise typer.Exit(1)


@data.command()
def prepare(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The store; a part of it is gone on with.")],
    shares: Annotated[
        str | None,
        typer.Option(help="New splits by area, such as train=0.8,test=0.2 [those published]."),
    ] = None,
    buffer: Annotated[float, typer.Option(help="Kilometres that splits lie apart.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same new splits.")] = 0,
    register: Annotated[bool, typer.Option(help="Move references onto their series.")] = False,
    register_dates: Annotated[bool, typer.Option(help="Move dates onto each other.")] = False,
    harmonise: Annotated[
        str, typer.Option(help="Radiometry of references: none, gain, contrast, field, histogram.")
    ] = "none",
    fit: Annotated[
        str, typer.Option(help="Fit radiometry to each scene, or once to the training pairs.")
    ] = "scene",
    skip_unreadable: Annotated[bool, typer.Option(help="Go on without broken pairs.")] = False,
) -> None:
    """Make a training store of a data set: splits that do not leak, windows that read fast."""
    from sitsr.datasets.known import DATASETS, open_dataset, recognise
    from sitsr.datasets.prepare import Preparation
    from sitsr.datasets.prepare import prepare as stored
    from sitsr.series import InputError

    if fit not in ("scene", "training"):
        raise InputError(f"fit is {fit}; choose from scene, training")
    name = recognise(folder)
    how = Preparation(
        shares=_shares(shares) if shares else None,
        buffer=buffer,
        seed=seed,
        register=register,
        register_dates=register_dates,
        harmonise=harmonise,
        fit=fit,  # type: ignore[arg-type]  # it is one of the two
    )
    told = {"name": name or folder.name, "licence": DATASETS[name].licence.name if name else ""}
    sources = open_dataset(folder)
    with progress("Preparing") as step:
        grouped = stored(sources, out, how, step, **told, skip_unreadable=skip_unreadable)
    left = f"; {len(grouped.left_out)} left out, near another split" if grouped.left_out else ""
    typer.echo(f"{out}: {_counted(grouped.kept)}{left}")


@data.command()
def analyse(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="Folder for analysis.html and its tables.")],
    split: Part = None,
    most: Annotated[int, typer.Option(help="Pairs that are looked into, drawn by --seed.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pairs.")] = 0,
) -> None:
    """Say what a data set holds: one page to look at, and the tables behind it."""
    from sitsr.analysis import analyse as analysed
    from sitsr.datasets.known import DATASETS, open_dataset, recognise

    name = recognise(folder)
    sources = open_dataset(folder, split)
    title = DATASETS[name].title if name else folder.name
    with progress("Analysing") as step:
        page = analysed(sources, out, title=title, most=most, seed=seed, progress=step)
    typer.echo(str(page))


def _sites(text: str | None) -> int | tuple[str, ...] | None:
    """ "12" is a number, "ALSACE,ANJI" are names."""
    if text is None:
        return None
    names = tuple(each.strip() for each in text.split(",") if each.strip())
    if len(names) == 1 and names[0].lstrip("+-").isdigit():
        return int(names[0])
    return names


def _show(plan: Plan) -> None:
    from sitsr.datasets.download import in_words
    from sitsr.datasets.obtaining import statement

    size = "of unknown size" if plan.size is None else in_words(plan.size)
    some = ", ".join(each.name for each in plan.files[:6]) + (" …" if len(plan.files) > 6 else "")
    typer.echo(statement(plan.known, plan.listing.licence), err=True)
    typer.echo(f"To be fetched: {some}, {size}, from {plan.record.page}", err=True)


def _asked(out: Path) -> bool:
    """Whether the person at the terminal acknowledges the licence; False where there is none."""
    if not sys.stdin.isatty():
        return False
    return typer.confirm(f"Acknowledge this licence and go on, into {out}?", err=True)


def _there(found: Known, folder: Path) -> list[str]:
    """What a folder holds of a data set, in lines."""
    from sitsr.datasets.download import in_words
    from sitsr.datasets.obtaining import LICENCE_FILE, unpacked_here
    from sitsr.series import InputError

    if not folder.is_dir():
        raise InputError(f"{folder} is not there; name the folder that holds {found.title}")
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = in_words(sum(path.stat().st_size for path in files))
    lines = [f"In {folder}: {len(files)} files, {size}"]
    lines.append(f"  {'laid out' if found.is_there(folder) else 'NOT laid out'} as {found.title}")
    for name, entry in unpacked_here(folder).items():
        tiles = entry.get("tiles")
        part = "all of it" if tiles is None else f"{len(tiles)} tiles"
        lines.append(f"  {name}: unpacked, {part}")
    for path in sorted(folder.glob("*.part")):
        if path.is_file():
            lines.append(f"  {path.name}: {in_words(path.stat().st_size)} have come")
    licence = folder / LICENCE_FILE
    said = licence.read_text(encoding="utf-8").splitlines()[-1:] if licence.is_file() else []
    return [*lines, *(f"  {line}" for line in said or ["no licence acknowledged here"])]


def _counted(sources: Sequence[Source]) -> str:
    from collections import Counter

    sites = len({each.site for each in sources})
    splits = Counter(each.split or "no split" for each in sources)
    told = ", ".join(f"{count} {name}" for name, count in sorted(splits.items()))
    return f"{len(sources)} pairs of {sites} sites: {told}"


def _shares(text: str) -> dict[str, float]:
    from sitsr.series import InputError

    try:
        pairs = [each.split("=") for each in text.split(",")]
        return {name.strip(): float(share) for name, share in pairs}
    except ValueError as error:
        raise InputError(f"shares are {text}; write train=0.8,validation=0.1,test=0.1") from error
