"""A run: what Lightning drives, what it leaves in its folder, how it is gone on with."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Sampler

from sitsr import __version__
from sitsr.datasets import Batch, Batches
from sitsr.methods import method
from sitsr.model import Card, Model, choose_device, fingerprint, open_model, save_model
from sitsr.series import InputError
from sitsr.training.adversarial import PatchDiscriminator
from sitsr.training.beginning import begin_with
from sitsr.training.ceilings import BATCHES, set_ceilings
from sitsr.training.losses import mean_losses, residual_losses
from sitsr.training.recipe import Recipe, batches, card_of, data_fingerprint, licence
from sitsr.training.sharing import Share, WholeDraws
from sitsr.training.watching import Patience, Watch, validation_batches

log = logging.getLogger(__name__)

EPOCH = 250
"""Batches between two checkpoints."""

PRECISIONS = ("32", "16-mixed", "bf16-mixed")


@dataclass(frozen=True)
class Engine:
    """How a run is driven. None of it says what is learnt, so it is no part of the recipe."""

    precision: str | None = None
    """One of PRECISIONS; None is bf16-mixed on CUDA that has it, else 32."""
    devices: int = 1
    """Processes, each with a device of its own; every batch is shared among them."""
    logger: str | None = None
    """"wandb" or "mlflow", beside CSV and TensorBoard."""
    pictures: int = 20
    """Of validation patches, one an epoch, at most this many kept; 0 is none."""


def _average_weights(decay: float, average: Tensor, new: Tensor, count: Tensor) -> Tensor:
    """Exponential average of the weights that forgets the first, untrained ones quickly."""
    return average + (1 - min(decay, (1 + float(count)) / (10 + float(count)))) * (new - average)


class Fit(L.LightningModule):
    """What Lightning needs to know of a run."""

    def __init__(self, recipe: Recipe, card: Card) -> None:
        super().__init__()
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        self.model = Model(card)
        if recipe.start is not None:
            begin_with(self.model, recipe.start)
        self.terms = recipe.losses or dict(method(recipe.method).losses)
        self.discriminator = (
            PatchDiscriminator(len(card.bands)) if "adversarial" in self.terms else None
        )
        self.mean_steps = mean_steps(recipe, self.model)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = AveragedModel(
            self.model, avg_fn=partial(_average_weights, recipe.average)
        ).requires_grad_(False)
        # A buffer, so that a run which is gone on with counts on.
        self.hours: Tensor
        self.register_buffer("hours", torch.zeros((), dtype=torch.float64))
        self._began = time.monotonic()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        number = self.current_epoch * EPOCH + index
        chance = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + number)
        share = Share(self.global_rank, self.trainer.world_size)
        alone = share.processes == 1
        with nullcontext() if alone else WholeDraws(share, len(batch.hr)):
            own = share.taken(batch)
            parts = self.losses_of(number, self.model, own, chance, self.discriminator)
        parts = parts if alone else share.weighed(parts, batch)
        self.log_dict(parts, prog_bar=True, sync_dist=not alone, batch_size=len(batch.hr))
        return torch.stack(list(parts.values())).sum()

    def losses_of(
        self,
        number: int,
        model: Model,
        batch: Batch,
        chance: torch.Generator,
        discriminator: PatchDiscriminator | None = None,
    ) -> dict[str, Tensor]:
        """Losses of the stage that batch `number` lies in; no contest without a discriminator."""
        if number >= self.mean_steps:
            return residual_losses(model, batch, chance, self.recipe.aligned)
        terms = dict(self.terms)
        if discriminator is None:
            terms.pop("adversarial", None)
        return mean_losses(model, batch, terms, chance, discriminator)

    @property
    def last_of_epoch(self) -> int:
        """Number of the last batch of this epoch."""
        return min((self.current_epoch + 1) * EPOCH, self.recipe.steps) - 1

    @property
    def in_last_stage(self) -> bool:
        """Whether the epoch ends in the stage that the run ends in."""
        return self.mean_steps >= self.recipe.steps or self.last_of_epoch >= self.mean_steps

    def on_after_backward(self) -> None:
        if self.trainer.precision == "16-mixed":
            return  # gradients are scaled here; the scaler leaves out what is not finite
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        if not torch.nn.utils.get_total_norm(gradients).isfinite():
            log.warning("batch %d gives no finite gradient and is left out", self.global_step)
            self.zero_grad(set_to_none=True)

    def on_train_batch_start(self, *_: object) -> None:
        self._began = time.monotonic()

    def on_train_batch_end(self, *_: object) -> None:
        self.averaged.update_parameters(self.model)
        self.hours += (time.monotonic() - self._began) / 3600

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        fitted = [*self.model.parameters()]
        fitted += [*self.discriminator.parameters()] if self.discriminator is not None else []
        optimiser = torch.optim.AdamW(
            fitted, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
        )

        def factor(step: int) -> float:
            first, last = 0, min(self.mean_steps, recipe.steps)
            if step >= self.mean_steps:
                first, last = self.mean_steps, recipe.steps
            if step - first < recipe.warm_up:
                return (step - first + 1) / recipe.warm_up
            done = (step - first - recipe.warm_up) / max(last - first - recipe.warm_up, 1)
            return float(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(done, 1.0))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def mean_steps(recipe: Recipe, model: Model) -> int:
    """Batches that fit the mean: as asked for, else the method's share; all without a generator."""
    if model.generator is None:
        return recipe.steps
    if recipe.mean_steps is not None:
        return recipe.mean_steps
    return round(method(recipe.method).mean_share * recipe.steps)


class Numbered(Sampler[int]):
    """Batch numbers of one epoch, so that a run goes on where it was."""

    def __init__(self, total: int, epoch: int = 0) -> None:
        """epoch: the one that a run begins or goes on with; Lightning tells the later ones."""
        self.total, self.epoch = total, epoch

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * EPOCH
        return iter(range(first, min(first + EPOCH, self.total)))

    def __len__(self) -> int:
        return EPOCH


class Snapshot(L.Callback):
    """Writes the averaged weights for use after every epoch."""

    def __init__(self, folder: Path, sources: Iterable[str]) -> None:
        self.folder, self.sources = folder, tuple(sources)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Fit)
        averaged = pl_module.averaged.module
        assert isinstance(averaged, Model)
        averaged.card = replace(averaged.card, trained_on=self._account(trainer, pl_module))
        save_model(averaged, self.folder / "weights.safetensors")

    def _account(self, trainer: L.Trainer, fit: Fit) -> str:
        where = f"{torch.get_num_threads()} threads of a CPU"
        if fit.device.type == "cuda":
            where = torch.cuda.get_device_name(fit.device)
        where += f", {trainer.world_size} of them" if trainer.world_size > 1 else ""
        return (
            f"{', '.join(self.sources)}; {trainer.global_step} batches "
            f"in {float(fit.hours):.2f} h on {where}"
        )


def train(
    recipe: Recipe,
    data: Path,
    folder: Path,
    device: str = "auto",
    workers: int = 1,
    engine: Engine = Engine(),
) -> Path:
    """Run the recipe, or go on with it, in this folder; gives the weights' path.

    workers: processes that make batches, 0 for none. Raises InputError where the folder holds a run
    of another recipe, or the device, the precision or the logger cannot be had.
    """
    place = choose_device(device)
    _check(recipe, engine, place)
    folder.mkdir(parents=True, exist_ok=True)
    text = _keep_recipe(recipe, folder)
    dataset = batches(recipe, data)
    card = replace(card_of(recipe), recipe=text, provenance=provenance(recipe, dataset))
    if "licence" not in recipe.network:
        card = replace(card, licence=licence(recipe, data))
    fit = Fit(recipe, card)
    callbacks = _callbacks(fit, data, folder, engine)
    last = folder / "last.ckpt"
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=Numbered(recipe.steps, _epochs_done(last)),
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    trainer = L.Trainer(
        accelerator="gpu" if place.type == "cuda" else place.type,
        devices=engine.devices if place.index is None else [place.index],
        # The mean's stage does not touch the generator, nor the generator's the mean.
        strategy="ddp_find_unused_parameters_true" if engine.devices > 1 else "auto",
        use_distributed_sampler=False,  # every process takes its share of every batch
        precision=_precision(engine, place),
        # Not max_steps: with it Lightning goes on amid the epoch that a checkpoint had ended.
        max_epochs=ceil(recipe.steps / EPOCH),
        gradient_clip_val=0.5,
        default_root_dir=folder,
        logger=_loggers(recipe, folder, engine),
        callbacks=[*callbacks, Snapshot(folder, dataset.sources)],
        log_every_n_steps=25,
        enable_model_summary=False,
    )
    trainer.fit(fit, loader, ckpt_path=last if last.exists() else None, weights_only=False)
    weights = folder / "weights.safetensors"
    if trainer.is_global_zero:
        _bound(weights, dataset, recipe.steps, place)
    return weights


def _bound(weights: Path, dataset: Batches, steps: int, place: torch.device) -> None:
    """Set the ceilings of what was trained, from batches that no step has seen."""
    model = open_model(weights, str(place))
    later = range(steps, steps + min(BATCHES, steps))
    set_ceilings(model, (dataset[number] for number in later))
    save_model(model, weights)


def rehearse(
    recipe: Recipe, data: Path, device: str = "auto", workers: int = 1, engine: Engine = Engine()
) -> None:
    """Two batches, one of each stage, and all that follows an epoch; nothing is kept."""
    two: dict[str, Any] = {"steps": 2, "warm_up": 1, "patience": None}
    if Model(card_of(recipe)).samples:
        two["mean_steps"] = 1
    with TemporaryDirectory() as scratch:
        train(recipe.model_copy(update=two), data, Path(scratch), device, workers, engine)


def provenance(recipe: Recipe, dataset: Batches) -> dict[str, str]:
    """What the weights come from, for their card."""
    begun = {} if recipe.start is None else {"start": fingerprint(recipe.start)}
    return begun | {
        "sitsr": __version__,
        "torch": str(torch.__version__),
        "lightning": L.__version__,
        "data": data_fingerprint(dataset),
    }


def _check(recipe: Recipe, engine: Engine, place: torch.device) -> None:
    if engine.precision not in (None, *PRECISIONS):
        raise InputError(
            f"precision {engine.precision} is not known; choose from {', '.join(PRECISIONS)}"
        )
    if recipe.start is not None and not recipe.start.is_file():
        raise InputError(
            f"{recipe.start} is not there; run the recipe that makes it, or give another start"
        )
    if engine.precision == "16-mixed" and place.type == "cpu":
        raise InputError("precision 16-mixed needs CUDA; on a CPU give 32 or bf16-mixed")
    there = torch.cuda.device_count() if place.type == "cuda" else engine.devices
    if not 1 <= engine.devices <= there:
        raise InputError(f"{engine.devices} devices are asked for; give 1 to {max(there, 1)}")
    fewest = min((each.examples for each in recipe.sources.values()), default=engine.devices)
    if fewest < engine.devices:
        raise InputError(
            f"a batch of {fewest} examples cannot be shared among {engine.devices} devices; "
            f"give fewer devices or more examples"
        )


def _keep_recipe(recipe: Recipe, folder: Path) -> str:
    """The recipe as text, written to the folder of its run, where no other may be."""
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    kept = folder / "recipe.yaml"
    if kept.exists() and kept.read_text() != text:
        raise InputError(f"{folder} holds a run of another recipe; give another --run folder")
    aside = folder / f"recipe.yaml.part{os.getpid()}"  # every process of a run writes it
    aside.write_text(text)
    aside.replace(kept)
    return text


def _callbacks(fit: Fit, data: Path, folder: Path, engine: Engine) -> list[L.Callback]:
    recipe = fit.recipe
    callbacks: list[L.Callback] = [
        ModelCheckpoint(folder, filename="last", save_top_k=1, enable_version_counter=False)
    ]
    if watched := validation_batches(recipe, data, fit.model.stride):
        callbacks.append(Watch(watched, folder / "patches", engine.pictures))
    if recipe.patience is not None:
        if not watched:
            raise InputError(
                f"patience is {recipe.patience}, but no validation site lies below {data}; "
                f"name one of the austria archive, or leave patience out"
            )
        callbacks.append(Patience(recipe.patience))
    return callbacks


def _loggers(recipe: Recipe, folder: Path, engine: Engine) -> list[Logger]:
    """CSV and TensorBoard in `log`, and the one asked for."""
    _spare(folder / "log" / "metrics.csv")
    kept: list[Logger] = [
        CSVLogger(folder, name="", version="log"),
        TensorBoardLogger(folder, name="", version="log"),
    ]
    try:
        if engine.logger == "wandb":
            kept.append(WandbLogger(project="sitsr", name=recipe.name, save_dir=folder))
        elif engine.logger == "mlflow":
            kept.append(
                MLFlowLogger("sitsr", run_name=recipe.name, save_dir=str(folder / "mlflow"))
            )
        elif engine.logger is not None:
            raise InputError(f"logger {engine.logger} is not known; choose from wandb, mlflow")
    except ModuleNotFoundError as error:
        raise InputError(
            f"{engine.logger} is not installed; install it, or leave --logger out"
        ) from error
    return kept


def _spare(metrics: Path) -> None:
    """Rename what an earlier part of the run has logged: CSVLogger would delete it."""
    if metrics.exists():
        count = len(list(metrics.parent.glob("metrics-*.csv")))
        metrics.replace(metrics.with_name(f"metrics-{count + 1:03d}.csv"))


def _precision(engine: Engine, place: torch.device) -> Any:
    if engine.precision is not None:
        return engine.precision
    return "bf16-mixed" if place.type == "cuda" and torch.cuda.is_bf16_supported() else "32"


def _epochs_done(checkpoint: Path) -> int:
    held = torch.load(checkpoint, "cpu", weights_only=False) if checkpoint.exists() else {}
    return int(held.get("global_step", 0)) // EPOCH
