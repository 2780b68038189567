"""The commands. Each imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from sitsr import __version__
from sitsr.cli import wishes
from sitsr.cli.data import data as data_commands
from sitsr.cli.progress import progress, stages

app = typer.Typer(
    name="sitsr",
    help="Super-resolve Sentinel-2 time series: 10 m to 2.5 m, at any date, with uncertainty.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: CUDA where there is one.")]
Data = Annotated[
    Path,
    typer.Option(envvar="SITSR_DATA", help="Folder that holds the archives named in the recipe."),
]


Split = Annotated[
    str | None,
    typer.Option(
        help="validation, test or train of the archives [test]; of pairs on disk, theirs."
    ),
]
Dates = Annotated[int, typer.Option(help="Target dates a site.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sitsr {__version__}")
        raise typer.Exit


@app.callback()
def common(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more; twice for debugging.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """What holds for every command: how much is said on standard error."""
    level = (
        logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    )
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("sitsr").setLevel(level)
    for talkative in ("rasterio", "matplotlib", "lightning.pytorch", "fsspec", "distributed"):
        logging.getLogger(talkative).setLevel(logging.DEBUG if verbose > 1 else logging.ERROR)


@app.command("super-resolve")
def super_resolve(
    series: Annotated[
        str,
        typer.Argument(
            help="Folder of dated GeoTIFFs, SAFE or Theia products (or zips of them), a folder for "
            "each date with a file for each band, a Zarr or netCDF cube, or a STAC catalogue, item "
            "or API: docs/sources.md."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the result; made, or replaced whole. An interrupted run leaves "
            "OUT.unfinished, and the same command goes on with it."
        ),
    ],
    on: Annotated[
        list[str] | None,
        typer.Option("--date", help="Target date, YYYY-MM-DD. Repeat for more."),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(help="Target dates from the first image to the last, such as every 10d."),
    ] = None,
    bbox: Annotated[str | None, typer.Option(help="West,south,east,north in degrees.")] = None,
    aoi: Annotated[Path | None, typer.Option(help="Area of interest: polygons, GeoJSON.")] = None,
    dates: Annotated[
        str | None, typer.Option(help="Images from one day to another, 2021-01-01/2021-12-31.")
    ] = None,
    max_cloud: Annotated[
        float | None, typer.Option(help="Most cloud of an image by its metadata, per cent.")
    ] = None,
    cloud_classes: Annotated[
        str | None,
        typer.Option(help="Scene classes (SCL) that do not show the ground [0,1,3,8,9,10,11]."),
    ] = None,
    dilate: Annotated[int, typer.Option(help="Pixels by which clouds are grown.")] = 0,
    source_mask: Annotated[
        bool,
        typer.Option(help="Find clear sky by the mask of an image, or by the rule all the same."),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be read, and stop.")
    ] = False,
    samples: Annotated[int, typer.Option(help="Members of the ensemble.")] = 4,
    steps: Annotated[
        int | None,
        typer.Option(help="Network calls a sample: 1 is the one-step generator, more the flow."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.")] = 0,
    tile: Annotated[
        int | None, typer.Option(help="Tile side, 10 m pixels. Changes memory, not the result.")
    ] = None,
    psf: Annotated[
        float | None,
        typer.Option(
            help="Blur of the sensor: standard deviation in pixels of the series. Less sharpens "
            "less [Sentinel-2's, as the weights were made for: about 0.5]."
        ),
    ] = None,
    device: Device = "auto",
    weights: Annotated[Path | None, typer.Option(help="Other weights (.safetensors).")] = None,
    bands: Annotated[
        str | None, typer.Option(help="Names of the bands in the files, such as B02,B03,B04,B08.")
    ] = None,
    offset: Annotated[
        str, typer.Option(help="Added to digital numbers: auto, 0, or -1000 (baseline 04.00).")
    ] = "auto",
    assume_crs: Annotated[
        str | None, typer.Option(help="CRS of files that state none, such as EPSG:32631.")
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option(help="Go on without files that cannot be read.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop where part of an image cannot be read, instead of taking it as not clear.",
        ),
    ] = False,
    form: Annotated[
        str, typer.Option("--format", help="cog: GeoTIFFs; zarr: one cube of all dates.")
    ] = "cog",
    block: Annotated[
        int | None,
        typer.Option(help="Side of what is read and written at once, 10 m pixels [512]."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make blocks, by Dask.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Dask scheduler, tcp://HOST:8786, instead: docs/scale.md."),
    ] = None,
) -> None:
    """Turn a series of images into one at 2.5 m on a chosen date, with its uncertainty."""
    from sitsr import inference, product
    from sitsr.scenes import open_scene
    from sitsr.scenes.write import check_free

    asked = [wishes.day(text) for text in on or ()]
    check_free(out)  # before the long work, not after it
    with progress("Looking") as step:
        scene = open_scene(
            series,
            wanted=wishes.selection(bbox, aoi, dates, max_cloud, wishes.bands_of(weights)),
            masking=wishes.masking(cloud_classes, dilate, source_mask),
            bands=bands.split(",") if bands else None,
            offset=offset if offset == "auto" else wishes.whole("offset", offset),
            skip_unreadable=skip_unreadable,
            assume_crs=assume_crs,
            strict=strict,
        )
        step(1, 1)
    job = product.make_job(
        scene,
        wishes.targets(asked, every, scene.dates),
        settings=product.settings_of(samples, steps, seed, tile, psf),
        weights=weights,
        device=device,
        block=block,
    )
    if dry_run:
        typer.echo(f"{scene}\n{inference.forecast(job)}")
        return
    with stages() as tell:
        means = inference.Means(workers, scheduler)
        inference.produce(job, out, means, wishes.form(form), tell)
    if logging.getLogger("sitsr").level < logging.ERROR:
        typer.echo(wishes.told(job, out))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file, such as recipes/default.yaml.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Changes to it: key=value.")] = None,
    data: Data = Path("data"),
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; a run found there is gone on with.")
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(help="Processes that make batches.")] = 1,
    precision: Annotated[
        str | None,
        typer.Option(help="32, 16-mixed or bf16-mixed [bf16-mixed on CUDA that has it, else 32]."),
    ] = None,
    devices: Annotated[
        int, typer.Option(help="GPUs, or processes on a CPU, that share every batch.")
    ] = 1,
    logger: Annotated[
        str | None, typer.Option(help="wandb or mlflow, beside CSV and TensorBoard.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(help="Pictures of validation patches that are kept; one an epoch.")
    ] = 20,
    fast_dev_run: Annotated[
        bool, typer.Option("--fast-dev-run", help="Try two batches and leave; nothing is kept.")
    ] = False,
) -> None:
    """Fit a model as a recipe says; stop and go on at any time."""
    from sitsr.training import Engine, read_recipe, rehearse
    from sitsr.training import train as fit

    chosen = read_recipe(recipe, tuple(changes or ()))
    engine = Engine(precision, devices, logger, pictures)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on loaders and loggers
        if fast_dev_run:
            rehearse(chosen, data, device, workers, engine)
            said = f"{chosen.name}: two batches run; nothing is kept"
        else:
            said = str(
                fit(chosen, data, run or Path("runs") / chosen.name, device, workers, engine)
            )
    if os.environ.get("LOCAL_RANK", "0") == "0":  # the other processes of --devices say nothing
        typer.echo(said)


@app.command()
def methods(
    dates: Annotated[int, typer.Option(help="Images of the series that operations are of.")] = 8,
) -> None:
    """List the methods: paper, size, operations, what they use of a series."""
    from rich.console import Console
    from rich.table import Table

    from sitsr.evaluation.costs import listing

    table = Table("method", "million weights", "MFLOP a pixel", "steps", "uses", "paper", box=None)
    with progress("Counting") as step:
        for line in listing(dates, step):
            table.add_row(*line)
    Console().print(table)


@app.command()
def evaluate(
    data: Data = Path("data"),
    split: Split = None,
    out: Annotated[
        Path, typer.Option(help="Folder for scores, table and page; gone on with if it has some.")
    ] = Path("evaluation"),
    systems: Annotated[
        str | None,
        typer.Option(help="Systems of the model, with commas between; all if not said."),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            help="Another system: [NAME=]weights.safetensors (@STEPS,STEPS… after it for its "
            "samples), module:function, model.onnx, or a folder of predictions. Repeat for more."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Other weights (.safetensors).")] = None,
    against: Annotated[str, typer.Option(help="Baseline that differences are from.")] = "bicubic",
    main: Annotated[
        str | None, typer.Option(help="System that controls are made from and examples show.")
    ] = None,
    dates: Dates = 3,
    members: Annotated[int, typer.Option(help="Samples of a system that samples.")] = 16,
    seeds: Annotated[str, typer.Option(help="Seeds of the samples, with commas between.")] = "0",
    extra: Annotated[
        str | None,
        typer.Option(
            help="More measures: opensr, probav, mus2, worldstrat, breizhsr; all of them; lpips."
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Score systems side by side: baselines, a model, controls, systems from elsewhere."""
    from sitsr.evaluation import Plan, extras, run

    plan = Plan(
        data=data,
        out=out,
        split=split,
        weights=weights,
        systems=systems,
        outside=tuple(system or ()),
        against=against,
        main=main,
        seeds=tuple(wishes.whole("seeds", text) for text in seeds.split(",")),
        dates=dates,
        members=members,
        extra=extras(extra),
        device=device,
    )
    with progress("Scoring") as step:
        folder = run(plan, step)
    if logging.getLogger("sitsr").level < logging.ERROR:
        typer.echo(f"{folder / 'table.md'}\n{folder / 'report.html'}")


@app.command()
def pairs(
    out: Annotated[Path, typer.Option(help="Folder for the pairs; made, or replaced whole.")],
    data: Data = Path("data"),
    split: Split = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights whose recipe names the sites.")
    ] = None,
    dates: Dates = 3,
) -> None:
    """Write the pairs of a split to disk, for systems that run elsewhere (docs/pairs.md)."""
    from sitsr.datasets import export_pairs
    from sitsr.evaluation import sources_in
    from sitsr.model import open_model

    sources = sources_in(data, split, open_model(weights, "cpu").card, dates)
    with progress("Writing") as step:
        export_pairs(sources, out, step, split=split)
    typer.echo(f"{out}: {len(sources)} pairs")


app.add_typer(data_commands, name="data")


def main() -> None:
    """Run the command line; what the user can mend is one line and exit code 1."""
    try:
        app()
    except ValueError as error:
        from sitsr.series import InputError  # here, for it takes half of the time that help does

        if not isinstance(error, InputError):
            raise
        typer.echo(f"sitsr: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("sitsr: stopped", err=True)
        sys.exit(130)
