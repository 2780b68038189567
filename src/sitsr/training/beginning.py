"""Weights that a run begins with: a GAN with its trained mean, a generator under an encoder."""

from __future__ import annotations

import logging
from pathlib import Path

from sitsr.model import Model, open_model
from sitsr.series import InputError

log = logging.getLogger(__name__)


def begin_with(model: Model, path: Path) -> None:
    """Take over the encoder and the heads of other weights, and the generator if it is the same.

    InputError where they lack a part of the encoder, or hold one of another shape: half an encoder
    is none.
    """
    there = open_model(path, "cpu").state_dict()
    wanted = {name: weights.shape for name, weights in model.state_dict().items()}
    same = {name for name in wanted if name in there and there[name].shape == wanted[name]}
    if lacking := [each for each in wanted if each not in same and _of_the_mean(each)]:
        raise InputError(
            f"{path} has no {lacking[0]} of shape {list(wanted[lacking[0]])}; "
            f"start from weights of the same encoder and width"
        )
    whole = all(name in same for name in wanted)
    kept = {name: there[name] for name in same if whole or _of_the_mean(name)}
    model.load_state_dict(kept, strict=False)
    log.info("begun with %s%s", path, "" if whole else ", the generator anew")


def _of_the_mean(name: str) -> bool:
    return not name.startswith("generator.")
