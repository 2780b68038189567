"""The method: encode the series once, estimate the mean and its spread, draw residuals.

    series ──encoder──▶ features ──┬──▶ mean    = P(anchor, bicubic and deblurred + correction)
                                   ├──▶ spread  = standard deviation of hr − mean
                                   └──▶ residual networks: white noise ──▶ e,
                                                    sample = mean + N(spread · e)

P mends an image to agree with what was observed on the target date, N takes from a residual what
the sensor would have seen of it (consistency.py); where nothing was observed both change nothing.

The features are used again for every step and every sample. Two residual networks of one shape
share the last line: the *flow*, integrated in a few steps, and the *generator*, the same integral
in one step, trained as such with fair scores.

A model is its weights and its Card; both are in one safetensors file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sitsr.consistency import PROJECTION_REACH, project, unseen_part
from sitsr.denoisers import ResidualVelocity
from sitsr.diffusion import Velocity, draw
from sitsr.encoders import UPSAMPLE_REACH, Encoding, TargetDateEncoder, enlarged, upsample
from sitsr.series import InputError

LEAST_SPREAD, MOST_SPREAD = 5e-4, 0.5
"""Limits of the predicted standard deviation, reflectance."""


@dataclass(frozen=True)
class Card:
    """All there is to know of a model but its weights; the numbers rebuild the networks."""

    bands: tuple[str, ...]
    """Sentinel-2 bands in and out, in this order, as surface reflectance."""
    sigma: tuple[float, ...]
    """Point-spread function of each band, standard deviation in low-resolution pixels."""
    scale: int = 4
    width: int = 48
    """Features F of the encoder."""
    frame_blocks: int = 2
    """Residual blocks for each image."""
    trunk_blocks: int = 5
    """Residual blocks after attention."""
    flow_width: int = 64
    """Features within the residual networks."""
    flow_blocks: int = 4
    """Blocks of the residual networks."""
    name: str = "untrained"
    trained_on: str = ""
    """Data, sites, steps and hours, in words."""
    licence: str = "Apache-2.0"
    recipe: str = ""
    """The whole recipe as it was used, YAML."""


class Estimate(NamedTuple):
    """What the series says of the ground at the target date, before any noise is drawn."""

    encoding: Encoding
    mean: Tensor
    """[B, C, scale·H, scale·W] reflectance."""
    spread: Tensor
    """[B, C, scale·H, scale·W] standard deviation of hr − mean."""
    measured: Tensor
    """[B, 1, H, W] 1 where the ground was seen on the target date itself, else 0."""


class Model(nn.Module):
    """Encoder, heads and residual networks; built whole from its card."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        bands, width = len(card.bands), card.width
        folded = bands * card.scale**2
        self.encoder = TargetDateEncoder(bands, width, card.frame_blocks, card.trunk_blocks)
        self.mean_head = nn.Conv2d(width, folded, 3, padding=1)
        self.spread_head = nn.Conv2d(width, folded, 3, padding=1)
        self.flow = ResidualVelocity(folded, width, card.flow_width, card.flow_blocks)
        self.generator = ResidualVelocity(folded, width, card.flow_width, card.flow_blocks)
        for head in (self.mean_head, self.spread_head):
            nn.init.zeros_(head.weight)  # the mean is the bicubic anchor at first
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def reach(self, steps: int) -> int:
        """How far, in low-resolution pixels, an input can be from an output it has a say in."""
        networks = self.encoder.reach + max(1, steps * self.flow.reach)
        return max(networks, UPSAMPLE_REACH + PROJECTION_REACH) + PROJECTION_REACH

    def forward(self, images: Tensor, clear: Tensor, days: Tensor) -> Estimate:
        """images [B, T, C, H, W], clear [B, T, H, W], days [B, T] -> Estimate."""
        card, encoding = self.card, self.encoder(images, clear, days)
        features, anchor, contrast, seen = encoding
        contrast = upsample(contrast, seen, card.scale).clamp_min(LEAST_SPREAD)
        base = on_the_ground(upsample(anchor, seen, card.scale), seen)
        base = project(base, anchor, seen, card.sigma)
        mean = base + contrast * pixel_shuffle(self.mean_head(features), card.scale)
        # A first estimate misses about a third of the contrast; the network says how many times
        # more or less, within a factor of twenty.
        factor = (3 * torch.tanh(self.spread_head(features) / 3)).exp()
        spread = 0.3 * contrast * pixel_shuffle(factor, card.scale)
        today = clear & (days == 0)[..., None, None]
        observed = images.where(today.unsqueeze(2), 0.0).sum(1) / today.sum(
            1, keepdim=True
        ).clamp_min(1)
        measured = today.any(1, keepdim=True).to(mean.dtype)
        mean = project(mean, observed, measured, card.sigma).nan_to_num(0.0)
        return Estimate(encoding, mean, spread.clamp(LEAST_SPREAD, MOST_SPREAD), measured)

    def velocity(self, encoding: Encoding, steps: int) -> Velocity:
        """The velocity of residuals given this encoding; one step is the generator's."""
        network = self.generator if steps == 1 else self.flow
        return partial(network, features=encoding.features, seen=encoding.seen)

    def sample(self, estimate: Estimate, noise: Tensor, steps: int) -> Tensor:
        """One image [B, C, scale·H, scale·W] the ground may be, from white noise of that shape."""
        folded = pixel_unshuffle(noise, self.card.scale) * estimate.encoding.seen
        residual = draw(self.velocity(estimate.encoding, steps), folded, steps)
        residual = estimate.spread * pixel_shuffle(residual, self.card.scale)
        residual = on_the_ground(residual, estimate.encoding.seen)
        unseen = unseen_part(residual, estimate.measured, self.card.sigma)
        return estimate.mean + unseen.nan_to_num(0.0)


def on_the_ground(image: Tensor, seen: Tensor) -> Tensor:
    """The image [B, C, scale·H, scale·W], NaN where never seen: not there, as the outside is."""
    return image.where(enlarged(seen, image.shape[-1] // seen.shape[-1]) > 0, torch.nan)


def save_model(model: Model, path: Path) -> None:
    """Write weights and card to a safetensors file, aside and then in place."""
    aside = path.with_name(path.name + ".part")
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    try:
        save_file(weights, aside, metadata={"card": json.dumps(asdict(model.card))})
        aside.chmod(0o644)  # safetensors lets nobody but their owner read its files
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def open_model(path: Path | None = None, device: str = "auto") -> Model:
    """The model in this safetensors file, or the one that comes with the package, ready to use."""
    path = bundled_weights() if path is None else path
    place = choose_device(device)
    try:
        with safe_open(path, framework="pt") as file:
            card = card_from(json.loads((file.metadata() or {})["card"]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = Model(card)
        model.load_state_dict(weights)
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise InputError(
            f"{path} does not hold weights of sitsr ({reason}); give another file"
        ) from error
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False).to(place)


def card_from(values: dict[str, object]) -> Card:
    """A card from what JSON made of it."""
    return Card(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]


def bundled_weights() -> Path:
    """The weights that come with the package."""
    return Path(str(files("sitsr") / "weights" / "default.safetensors"))


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto" is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name} cannot be used here; give cpu, cuda or auto") from error
    return device
