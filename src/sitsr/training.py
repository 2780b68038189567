"""Fit a model: the recipe, the loss, and the run that Lightning drives.

First the mean, then what it leaves: the residual can only be learnt once there is a mean to fall
short of the truth.

    mean_steps:  robust |hr − mean| / spread  +  Gaussian −log p(hr − mean | spread)
    the rest:    flow error of e  +  fair CRPS and energy score of one-step members of e,
                 e = (hr − mean) / spread,  with encoder, mean and spread fixed

A run's folder holds ``weights.safetensors`` (for use: averaged weights and card) and
``last.ckpt`` (to go on). Batches are numbered, and noise is seeded by the number, so a run that was
stopped and goes on gives the same losses as one that was not.
"""

from __future__ import annotations

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
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor
from torch.nn.functional import max_pool2d, pixel_unshuffle
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Sampler

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.datasets import Batch, Batches, Mixture
from sitsr.datasets.archives import BANDS, read_austria, read_flanders, read_naip, read_theia
from sitsr.datasets.batches import Aerial, ScaleTransfer
from sitsr.diffusion import NOISE, draw, energy_score, fair_crps, flow_error
from sitsr.model import Card, Model, save_model
from sitsr.series import InputError

EPOCH = 250
"""Batches between two checkpoints."""

MOST_RESIDUAL = 8.0
"""Standardised residuals beyond this are cut: clouds that a mask missed, not detail."""


class Settings(BaseModel):
    """Settings refuse what they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(Settings):
    """One archive among those trained on."""

    weight: float
    """Share of the batches, relative to the other sources."""
    examples: int
    """Series in a batch."""
    folder: str
    """Below the data folder."""
    places: tuple[str, ...] | None = None
    """Sites or cities trained on; all if not said."""
    side: int = 96
    """Of the crop, pixels at full resolution."""


class MixtureSettings(Settings):
    """See datasets.Mixture."""

    most_images: int = 8
    held_out: float = 0.3
    clouded: float = 0.5
    noise: float = 0.002
    blur: tuple[float, float] = (0.85, 1.2)
    misregistration: float = 0.15


class NetworkSettings(Settings):
    """See model.Card."""

    width: int = 48
    frame_blocks: int = 2
    trunk_blocks: int = 5
    flow_width: int = 64
    flow_blocks: int = 4


class Recipe(Settings):
    """A whole run, so that it can be done again."""

    name: str
    seed: int = 1
    scale: int = 4
    steps: int = 10_000
    """Batches in all."""
    mean_steps: int = 7_000
    """Batches, of those, that fit encoder, mean and spread; the rest fit the residuals."""
    learning_rate: float = 1e-3
    """Peak of each stage, after its warm-up; falls to 1 % of it along a cosine."""
    warm_up: int = 200
    """Batches from zero to the peak."""
    average: float = 0.998
    """Decay of the averaged weights, a batch."""
    members: int = 2
    """Members of the one-step generator in the fair scores."""
    validation: tuple[str, ...] = ()
    """Sites that are never trained on and that `sitsr evaluate` scores."""
    network: NetworkSettings = NetworkSettings()
    mixture: MixtureSettings = MixtureSettings()
    austria: SourceSettings | None = None
    flanders: SourceSettings | None = None
    theia: SourceSettings | None = None
    naip: SourceSettings | None = None


def read_recipe(path: Path, changes: tuple[str, ...] = ()) -> Recipe:
    """The recipe in this YAML file, with key=value changes; an unknown key is an error."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not a recipe that can be read: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold settings by name, but holds {type(values).__name__}")
    for change in changes:
        _apply(change, values)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_fault(error)}") from error
    trained = {
        place for each in (recipe.austria, recipe.naip) if each for place in each.places or ()
    }
    _no_leak(recipe, trained)
    return recipe


def _apply(change: str, values: dict[str, Any]) -> None:
    """Set what "network.width=32" says, in place."""
    key, equals, text = change.partition("=")
    if not equals:
        raise InputError(f"{change} is no change to a recipe; write key=value")
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.get(parent)
        values[parent] = values = dict(inner) if isinstance(inner, dict) else {}
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{change} is no change to a recipe: {text} cannot be read") from error


def _no_leak(recipe: Recipe, trained: set[str]) -> None:
    if leak := sorted(trained & set(recipe.validation)):
        raise InputError(f"{', '.join(leak)} cannot be both trained on and for validation")


def _first_fault(error: ValidationError) -> str:
    from difflib import get_close_matches

    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known: dict[str, Any] = {}
        for kind in (Recipe, SourceSettings, MixtureSettings, NetworkSettings):
            known |= kind.model_fields
        near = get_close_matches(str(fault["loc"][-1]), known, n=1)
        return f"{where} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    return f"{where} = {fault.get('input')!r}: {fault['msg']}"


def batches(recipe: Recipe, data: Path) -> Batches:
    """The endless sequence of batches that the recipe asks for, from archives below this folder."""
    mixture = Mixture(**recipe.mixture.model_dump())
    sources: dict[str, tuple[float, int, Any]] = {}
    for name in ("austria", "flanders", "theia", "naip"):
        chosen: SourceSettings | None = getattr(recipe, name)
        if chosen is None:
            continue
        folder = data / chosen.folder
        if name == "naip":
            chips = read_naip(folder, chosen.places)
            _no_leak(recipe, {place.partition("/")[0] for place in chips})
            source: Any = Aerial(chips, mixture)
        else:
            read = {"austria": read_austria, "flanders": read_flanders, "theia": read_theia}[name]
            archives = read_austria(folder, chosen.places) if name == "austria" else read(folder)
            _no_leak(recipe, {archive.site for archive in archives})
            source = ScaleTransfer(archives, mixture, chosen.side)
        sources[name] = (chosen.weight, chosen.examples, source)
    if not sources:
        raise InputError("the recipe names nothing to train on; give one of the archives")
    sigma = tuple(SENTINEL2_SIGMA[band] for band in BANDS)
    return Batches(sources, mixture, sigma, recipe.scale, recipe.seed)


def mean_losses(model: Model, batch: Batch) -> dict[str, Tensor]:
    """What the mean misses, in units of the spread expected there, and what the spread does.

    In these units ground that cannot be known (not observed on the target date, say) does not drown
    what can be learnt of the rest.
    """
    estimate = model(batch.images, batch.clear, batch.days)
    weight = batch.weight * _repeated(estimate.encoding.seen, model.card.scale)
    missed, expected = batch.hr - estimate.mean, estimate.spread.detach()
    robust = (missed.square() + 0.002**2).sqrt() / expected
    unlikely = 0.5 * (missed.detach() / estimate.spread).square().clamp(max=100)
    likelihood = unlikely + estimate.spread.log()
    return {"mean": _average(robust, weight), "spread": 0.1 * _average(likelihood, weight)}


def residual_losses(
    model: Model, batch: Batch, members: int, chance: torch.Generator
) -> dict[str, Tensor]:
    """Flow error, and fair scores of the one-step generator, of the standardised residual."""
    scale = model.card.scale
    with torch.no_grad():
        estimate = model(batch.images, batch.clear, batch.days)
    weight = batch.weight * _repeated(estimate.encoding.seen, scale)
    residual = (batch.hr - estimate.mean) / estimate.spread
    residual = residual.clamp(-MOST_RESIDUAL, MOST_RESIDUAL) * weight
    folded, known = pixel_unshuffle(residual, scale), pixel_unshuffle(weight, scale)

    def white() -> Tensor:
        return torch.randn(folded.shape, generator=chance).to(folded).mul(estimate.encoding.seen)

    angle = (torch.rand(len(folded), generator=chance) * NOISE).to(folded)
    flow = flow_error(model.velocity(estimate.encoding, steps=2), folded, white(), angle)
    one_step = model.velocity(estimate.encoding, steps=1)
    drawn = torch.stack([draw(one_step, white(), 1) * known for _ in range(members)])
    patches = energy_score(drawn, folded, side=2)  # 2 × 2 low-resolution pixels: 8 × 8 fine ones
    whole = -max_pool2d(-known.amin(1, keepdim=True), 2, stride=1)
    return {
        "flow": _average(flow, known),
        "crps": _average(fair_crps(drawn, folded), known),
        "energy": _average(patches, whole),
    }


def _repeated(seen: Tensor, scale: int) -> Tensor:
    fine: Tensor = seen.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    return fine


def _average(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.expand_as(values).sum().clamp_min(1)


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
        if number < self.recipe.mean_steps:
            parts = mean_losses(self.model, batch)
        else:
            chance = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + number)
            parts = residual_losses(self.model, batch, self.recipe.members, chance)
        self.log_dict(parts, prog_bar=True)
        return torch.stack(list(parts.values())).sum()

    def on_train_batch_start(self, *_: object) -> None:
        self._began = time.monotonic()

    def on_train_batch_end(self, *_: object) -> None:
        self.averaged.update_parameters(self.model)
        self.hours += (time.monotonic() - self._began) / 3600

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
        )

        def factor(step: int) -> float:
            first, last = 0, min(recipe.mean_steps, recipe.steps)
            if step >= recipe.mean_steps:
                first, last = recipe.mean_steps, recipe.steps
            if step - first < recipe.warm_up:
                return (step - first + 1) / recipe.warm_up
            done = (step - first - recipe.warm_up) / max(last - first - recipe.warm_up, 1)
            return float(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(done, 1.0))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


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
    card = Card(
        bands=BANDS,
        sigma=dataset.sigma,
        scale=recipe.scale,
        **recipe.network.model_dump(),
        name=recipe.name,
        recipe=text,
    )
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
        gradient_clip_val=1.0,
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
