"""A run: what Lightning drives, what it leaves in its folder, how it is gone on with."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Sampler

from sitsr.datasets import Batch
from sitsr.methods import method
from sitsr.model import Card, Model, save_model
from sitsr.series import InputError
from sitsr.training.adversarial import PatchDiscriminator
from sitsr.training.losses import mean_losses, residual_losses
from sitsr.training.recipe import Recipe, batches, card_of

log = logging.getLogger(__name__)

EPOCH = 250
"""Batches between two checkpoints."""


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
        if number < self.mean_steps:
            parts = mean_losses(self.model, batch, self.terms, chance, self.discriminator)
        else:
            parts = residual_losses(self.model, batch, chance, self.recipe.aligned)
        self.log_dict(parts, prog_bar=True)
        return torch.stack(list(parts.values())).sum()

    def on_after_backward(self) -> None:
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
        assert isinstance(pl_module, Fit)
        averaged = pl_module.averaged.module
        assert isinstance(averaged, Model)
        averaged.card = replace(averaged.card, trained_on=self._account(trainer, pl_module))
        save_model(averaged, self.folder / "weights.safetensors")

    def _account(self, trainer: L.Trainer, fit: Fit) -> str:
        where = f"{torch.get_num_threads()} threads of a CPU"
        if fit.device.type == "cuda":
            where = torch.cuda.get_device_name(fit.device)
        return (
            f"{', '.join(self.sources)}; {trainer.global_step} batches "
            f"in {float(fit.hours):.2f} h on {where}"
        )


def train(recipe: Recipe, data: Path, folder: Path, device: str = "auto", workers: int = 1) -> Path:
    """Run the recipe, or go on with it, in this folder; gives the weights' path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    kept = folder / "recipe.yaml"
    if kept.exists() and kept.read_text() != text:
        raise InputError(f"{folder} holds a run of another recipe; give another --run folder")
    kept.write_text(text)
    dataset = batches(recipe, data)
    card = replace(card_of(recipe), recipe=text)
    fit = Fit(recipe, card)
    last = folder / "last.ckpt"
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=Numbered(recipe.steps, _epochs_done(last)),
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    trainer = L.Trainer(
        accelerator="cpu" if device == "cpu" else "auto",
        devices=1,
        # Not max_steps: with it Lightning goes on amid the epoch that a checkpoint had ended.
        max_epochs=ceil(recipe.steps / EPOCH),
        gradient_clip_val=0.5,
        default_root_dir=folder,
        logger=CSVLogger(folder, name="", version="log"),
        callbacks=[
            ModelCheckpoint(folder, filename="last", save_top_k=1, enable_version_counter=False),
            Snapshot(folder, dataset.sources),
        ],
        log_every_n_steps=25,
        enable_model_summary=False,
    )
    trainer.fit(fit, loader, ckpt_path=last if last.exists() else None, weights_only=False)
    return folder / "weights.safetensors"


def _epochs_done(checkpoint: Path) -> int:
    held = torch.load(checkpoint, "cpu", weights_only=False) if checkpoint.exists() else {}
    return int(held.get("global_step", 0)) // EPOCH
