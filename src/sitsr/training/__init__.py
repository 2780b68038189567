"""Fit a model: the recipe, the loss, and the run that Lightning drives.

First the mean, then what it leaves: the residual can only be learnt once there is a mean to fall
short of the truth.

    mean_steps:  the method's losses of the mean  +  Gaussian −log p(hr − mean | spread)
    the rest:    the generator's own losses, with encoder, mean and spread fixed

A run's folder holds ``weights.safetensors`` (for use: averaged weights and card) and
``last.ckpt`` (to go on). Batches are numbered, and noise is seeded by the number, so a run that was
stopped and goes on gives the same losses as one that was not.
"""

from sitsr.training.losses import mean_losses, residual_losses
from sitsr.training.recipe import Recipe, batches, read_recipe
from sitsr.training.run import Engine, Fit, Numbered, Snapshot, rehearse, train

__all__ = [
    "Engine",
    "Fit",
    "Numbered",
    "Recipe",
    "Snapshot",
    "batches",
    "mean_losses",
    "read_recipe",
    "rehearse",
    "residual_losses",
    "train",
]
