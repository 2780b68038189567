"""`sitsr data`: the public data sets, from the net to a training store."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sitsr.datasets import Source

data = typer.Typer(
    name="data",
    help="Public data sets: list, fetch, check, prepare, analyse.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[
    Path, typer.Argument(help="A public data set, a training store, or pairs on disk.")
]
Part = Annotated[str | None, typer.Option("--split", help="train, validation or test; else all.")]


@data.command("list")
def list_() -> None:
    """List the data sets that are known."""
    from rich.console import Console
    from rich.table import Table

    from sitsr.datasets.known import DATASETS

    table = Table("name", "what it is", "licence", box=None)
    for name, each in DATASETS.items():
        table.add_row(name, each.summary, each.licence)
    Console().print(table)


@data.command()
def info(
    name: Annotated[str, typer.Argument(help="As `sitsr data list` calls it.")],
    folder: Annotated[
        Path | None, typer.Option("--data", help="Where it lies, to say what is there.")
    ] = None,
) -> None:
    """Tell of one data set: licence, record, how to cite; and what is there of it."""
    from sitsr.datasets.known import known

    told = known(name)
    typer.echo(f"{told.title}: {told.summary}")
    typer.echo(f"licence  {told.licence}\nterms    {told.terms}")
    typer.echo(f"record   {told.record.page if told.record else 'none is known'}")
    typer.echo(f"cite     {told.cite}\nmore     {told.page}")
    if folder is not None:
        sources = told.read(folder, None)
        typer.echo(f"there    {_counted(sources)}")


@data.command()
def download(
    name: Annotated[str, typer.Argument(help="As `sitsr data list` calls it.")],
    out: Annotated[Path, typer.Option(help="Folder for it; what is there is gone on with.")],
    file: Annotated[
        list[str] | None, typer.Option(help="File of the record; repeat for more [the usual].")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of WorldStrat: train, validation, test.")
    ] = None,
    cover: Annotated[
        str | None, typer.Option("--class", help="Of WorldStrat: IPCC class, such as Forest.")
    ] = None,
    sites: Annotated[int | None, typer.Option(help="So many sites, drawn by --seed.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same sites.")] = 0,
    keep: Annotated[bool, typer.Option(help="Keep archives that are unpacked.")] = False,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Acknowledge the licence without being asked.")
    ] = False,
    host: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Fetch a data set from its official record; stop and go on at any time."""
    from sitsr.cli.progress import shown
    from sitsr.datasets.getting import Choice, acknowledge, get
    from sitsr.datasets.known import known
    from sitsr.series import InputError

    told = known(name)
    typer.echo(f"{told.title}\nlicence: {told.licence}\nterms: {told.terms}", err=True)
    if not accept_licence:
        if not sys.stdin.isatty():
            raise InputError("the licence has to be acknowledged; add --accept-licence")
        typer.confirm("Do you acknowledge the licence?", abort=True)
    acknowledge(name, out, date.today())
    choice = Choice(tuple(file or ()), split, cover, sites, seed)
    with shown("Fetching", bytes_=True) as bars:
        done = get(name, out, choice, bars, keep=keep, host=host)
    typer.echo(f"{out}: {len(done)} files fetched")


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
    from sitsr.cli.progress import shown
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
    with shown("Checking") as bars:
        findings += check_sources(sources, replace(Limits(), shift=shift), bars("pairs"))
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
    from sitsr.cli.progress import shown
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
    told = {"name": name or folder.name, "licence": DATASETS[name].licence if name else ""}
    sources = open_dataset(folder)
    with shown("Preparing") as bars:
        grouped = stored(sources, out, how, bars("pairs"), **told, skip_unreadable=skip_unreadable)
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
    from sitsr.cli.progress import shown
    from sitsr.datasets.known import DATASETS, open_dataset, recognise

    name = recognise(folder)
    sources = open_dataset(folder, split)
    title = DATASETS[name].title if name else folder.name
    with shown("Analysing") as bars:
        page = analysed(sources, out, title=title, most=most, seed=seed, progress=bars("pairs"))
    typer.echo(str(page))


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
