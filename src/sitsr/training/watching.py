"""What is looked at while a run goes on: losses and pictures of images it never learns from.

Nothing here changes what is learnt: the batches are fixed, noise has seeds of its own, and it is
the averaged weights that are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor

from sitsr.datasets import Batch
from sitsr.datasets.archives import read_austria
from sitsr.datasets.pairs import Pair, scale_transfer_pairs
from sitsr.model import Model
from sitsr.training.recipe import Recipe

if TYPE_CHECKING:
    from sitsr.training.run import Fit

MOST_SITES = 4
"""Sites looked at, each twice: with the target's own image in the series and without."""

MOST_SIDE = 64
"""Low-resolution pixels across a validation patch."""

MOST_STEPS = 8
"""Of the sample in a picture, whatever the method usually takes."""

SHOWN = 3
"""Patches in a picture."""


def validation_batches(recipe: Recipe, data: Path, stride: int = 1) -> tuple[Batch, ...]:
    """Scale transfer at the clearest image of validation sites, one series a batch.

    Only sites of the `austria` archive that lie below the data folder; none gives no batches.
    stride: low-resolution pixels that the sides are a multiple of.
    """
    if recipe.austria is None:
        return ()
    folder = data / recipe.austria.folder
    sites = [site for site in sorted(recipe.validation) if (folder / site).is_dir()]
    pairs = [
        pair
        for archive in read_austria(folder, sites[:MOST_SITES])
        for held_out in (False, True)
        for pair in scale_transfer_pairs(archive, 1, scale=recipe.scale, held_out=held_out)
    ]
    return tuple(
        _batch(pair.select(recipe.bands), recipe.mixture.most_images, stride) for pair in pairs
    )


def _batch(pair: Pair, most_images: int, stride: int) -> Batch:
    """The middle of a pair, with the images nearest to its date."""
    scale = pair.scale
    days = np.array([(day - pair.target).days for day in pair.series.dates], np.float32)
    chosen = np.sort(np.argsort(np.abs(days), kind="stable")[:most_images])
    sides = [min(n, MOST_SIDE) // stride * stride for n in pair.series.clear.shape[1:]]
    starts = [(n - side) // 2 for n, side in zip(pair.series.clear.shape[1:], sides, strict=True)]
    coarse, fine = (
        tuple(slice(k * a, k * (a + n)) for a, n in zip(starts, sides, strict=True))
        for k in (1, scale)
    )
    hr = torch.from_numpy(np.ascontiguousarray(pair.reference[:, *fine]))
    weight = torch.from_numpy(np.ascontiguousarray(pair.clear[fine])).to(hr).expand_as(hr)
    return Batch(
        torch.from_numpy(np.ascontiguousarray(pair.series.images[chosen][:, :, *coarse]))[None],
        torch.from_numpy(np.ascontiguousarray(pair.series.clear[chosen][:, *coarse]))[None],
        torch.from_numpy(days[chosen])[None],
        hr[None],
        weight[None],
        torch.tensor([float("nan")]),  # the archive has no dates
    )


class Watch(L.Callback):
    """After every epoch: the losses of the validation batches, and a picture of some of them."""

    def __init__(self, batches: Sequence[Batch], folder: Path, kept: int) -> None:
        """folder: where pictures go; kept: how many at most, the last ones."""
        self.batches, self.folder, self.kept = tuple(batches), folder, kept

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        fit = cast("Fit", pl_module)
        model = cast(Model, fit.averaged.module)
        batches = [Batch(*(column.to(fit.device) for column in batch)) for batch in self.batches]
        with torch.no_grad():
            fit.log_dict(self._losses(fit, model, batches), on_step=False, on_epoch=True)
            if trainer.is_global_zero and self.kept:
                rows = [panels(model, batch) for batch in batches[:SHOWN]]
                self._keep(rows, trainer.current_epoch)

    def _losses(self, fit: Fit, model: Model, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """The mean of each part over the batches, as `val_` and its name, and of their sum."""
        every: dict[str, list[Tensor]] = {}
        for number, batch in enumerate(batches):
            chance = torch.Generator().manual_seed(number)
            for name, part in fit.losses_of(fit.last_of_epoch, model, batch, chance).items():
                every.setdefault(f"val_{name}", []).append(part)
        losses = {name: torch.stack(parts).mean() for name, parts in every.items()}
        return losses | {"val_loss": torch.stack(list(losses.values())).sum()}

    def _keep(self, rows: Sequence[npt.NDArray[np.uint8]], epoch: int) -> None:
        self.folder.mkdir(exist_ok=True)
        write_png(stacked(rows), self.folder / f"epoch-{epoch:05d}.png")
        for old in sorted(self.folder.glob("epoch-*.png"))[: -self.kept]:
            old.unlink()


class Patience(EarlyStopping):  # type: ignore[misc, unused-ignore]
    """Ends a run whose validation loss no longer falls, in the last of its stages.

    The losses of the mean and of the generator cannot be compared, and a run that ended in the
    first stage would have a generator that was never trained.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__("val_loss", patience=epochs, check_on_train_epoch_end=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A run that had ended is not gone on with."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if cast("Fit", pl_module).in_last_stage:
            super().on_train_epoch_end(trainer, pl_module)


def panels(model: Model, batch: Batch) -> npt.NDArray[np.uint8]:
    """[scale·H, n · (scale·W + 2) − 2, 3] nearest input, mean, a sample if it draws any, reference.

    Of the first example, in red, green and blue, side by side. One stretch for all: 0 is the 1st
    and 255 the 99th percentile of the reference where it is known.
    """
    estimate = model(batch.images, batch.clear, batch.days, batch.season)
    nearest = int(batch.days[0].abs().argmin())
    scale = model.card.scale
    shown = [batch.images[:1, nearest].repeat_interleave(scale, 2).repeat_interleave(scale, 3)]
    shown.append(estimate.mean[:1])
    if model.samples:
        shown.append(model.sample(estimate, _white(batch.hr), min(model.steps, MOST_STEPS))[:1])
    shown.append(batch.hr[:1])
    red, green, blue = (_place(model, band) for band in ("B04", "B03", "B02"))
    colours = [image[0, [red, green, blue]].float().cpu().numpy() for image in shown]
    known = batch.weight[0, [red, green, blue]].cpu().numpy() > 0
    values = colours[-1][known] if known.any() else colours[-1].ravel()
    low, high = np.percentile(values, (1, 99))
    gap = np.full((colours[0].shape[1], 2, 3), 255, np.uint8)
    row = [_stretched(image, low, high) for image in colours]
    return np.concatenate([part for image in row for part in (image, gap)][:-1], 1)


def _place(model: Model, band: str) -> int:
    return model.card.bands.index(band) if band in model.card.bands else 0


def _white(like: Tensor) -> Any:
    """Fields of white noise that are the same in every epoch."""

    def field(number: int) -> Tensor:
        chance = torch.Generator().manual_seed(number)
        return torch.randn(like.shape, generator=chance).to(like)

    return field


def _stretched(
    image: npt.NDArray[np.floating[Any]], low: float, high: float
) -> npt.NDArray[np.uint8]:
    """[3, H, W] -> [H, W, 3] from 0 to 255."""
    share = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    grey: npt.NDArray[np.uint8] = np.rint(255 * share.transpose(1, 2, 0)).astype(np.uint8)
    return grey


def stacked(rows: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """[H, W, 3] rows of different sizes one below the other, white between and beside them."""
    width = max(row.shape[1] for row in rows)
    parts = [
        np.pad(row, ((0, 2), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate(parts)[:-2]


def write_png(picture: npt.NDArray[np.uint8], path: Path) -> None:
    """Write [H, W, 3] as PNG, aside and then in place."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(buffer.getvalue())
    aside.replace(path)
