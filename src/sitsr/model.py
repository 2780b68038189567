"""The method: encode the series once, estimate the mean and its spread, draw residuals.

    series ──encoder──▶ features ──┬──▶ mean    = P(anchor, bicubic and deblurred + correction)
                                   ├──▶ spread  = standard deviation of hr − mean
                                   └──▶ generator: white noise ──▶ e, sample = mean + N(spread · e)

P mends an image to agree with what was observed on the target date or, where nothing was, with the
anchor: the mean of other dates. N takes from a residual what the sensor would have seen of it,
where it saw something that day (consistency.py).
The features are used again for every step and every sample.

The systems of the literature are the same figure with other parts: any encoder of ``encoders``,
any generator of ``generators`` or none, bicubic in place of the deblurred anchor, no P and N.

A model is its weights and its Card; both are in one safetensors file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from sitsr.consistency import PROJECTION_REACH, project, unseen_part
from sitsr.encoders import ENCODERS, UPSAMPLE_REACH, Encoding, enlarged, upsample
from sitsr.generators import Chain, Given, Karras, Noise, Rotation, Transport
from sitsr.series import InputError

Settings = dict[str, Any]

GENERATORS: dict[str, dict[str, Any]] = {
    "rotation": {"width": 64, "blocks": 4, "kind": "unshuffle"},
    "karras": {"width": 64, "blocks": 4, "kind": "unshuffle"},
    "srdiff": {"width": 64, "multipliers": (1, 2, 3, 4), "levels": 100},
    "sr3": {"width": 64, "multipliers": (1, 2, 4, 8, 8), "levels": 2000},
    "transport": {"width": 64, "multipliers": (1, 2, 2, 2), "sigma": 0.2},
    "none": {},
}
"""Every generator by name, with what its constructor takes if nothing else is said."""

STEADY = 0.05
"""Reflectance that heads give as 1, where they do not give multiples of the contrast."""

MOST_CHANGE = 8.0
"""Times the local contrast that the mean may differ from where it starts."""

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
    encoder: str = "target date"
    """A name of ``sitsr.encoders.ENCODERS``."""
    width: int = 48
    """Features that the encoder is asked for."""
    encoder_settings: Settings = field(default_factory=dict)
    """What else its constructor takes."""
    relative: bool = True
    """Whether what the heads give is in units of the local contrast, or of fixed reflectance."""
    deblurred: bool = True
    """Whether the mean is added to the anchor enlarged and mended, or to the anchor enlarged."""
    consistent: bool = True
    """Whether mean and samples are held to what was observed on the target date."""
    generator: str = "rotation"
    """"rotation", "karras", "srdiff", "sr3", "transport", or "none"."""
    generator_settings: Settings = field(default_factory=dict)
    """What its constructor takes besides bands, features and scale."""
    name: str = "untrained"
    trained_on: str = ""
    """Data, sites, steps and hours, in words."""
    licence: str = "Apache-2.0"
    recipe: str = ""
    """The whole recipe as it was used, YAML."""
    provenance: dict[str, str] = field(default_factory=dict)
    """Versions of sitsr, torch and lightning, and SHA-256 of the data; empty in older weights."""


class Estimate(NamedTuple):
    """What the series says of the ground at the target date, before any noise is drawn."""

    encoding: Encoding
    base: Tensor
    """[B, C, scale·H, scale·W] reflectance, the anchor enlarged; zero where never seen."""
    mean: Tensor
    """[B, C, scale·H, scale·W] reflectance."""
    spread: Tensor
    """[B, C, scale·H, scale·W] standard deviation of hr − mean."""
    measured: Tensor
    """[B, 1, H, W] 1 where the ground was seen on the target date itself, else 0."""

    @property
    def given(self) -> Given:
        """What a generator is conditioned on."""
        return Given(self.encoding, self.base, self.mean, self.spread)


class Model(nn.Module):
    """Encoder, heads and generator; built whole from its card."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        folded = len(card.bands) * card.scale**2
        self.encoder = _encoder(card)
        features = self.encoder.features
        self.mean_head = nn.Conv2d(features, folded, 3, padding=1)
        self.spread_head = nn.Conv2d(features, folded, 3, padding=1)
        self.generator = _generator(card, features)
        for head in (self.mean_head, self.spread_head):
            nn.init.zeros_(head.weight)  # the mean is the bicubic anchor at first
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    @property
    def samples(self) -> bool:
        """Whether there is a generator to draw samples with."""
        return self.generator is not None

    @property
    def steps(self) -> int:
        """Calls of the network that a sample usually takes; 0 without a generator."""
        return self.generator.steps if self.generator is not None else 0

    @property
    def stride(self) -> int:
        """Low-resolution pixels on which the origin of a tile must sit."""
        return self.generator.stride if self.generator is not None else 1

    def reach(self, steps: int) -> int:
        """How far, in low-resolution pixels, an input can be from an output it has a say in.

        A multiple of the stride, so that a tile grown by it keeps its origin on the stride.
        """
        drawn = int(self.generator.reach(steps)) if self.generator is not None else 1
        far = max(int(self.encoder.reach) + max(1, drawn), UPSAMPLE_REACH + PROJECTION_REACH)
        far += PROJECTION_REACH
        return -(-far // self.stride) * self.stride

    def seeing(self, sigma: Sequence[float]) -> Model:
        """The same networks behind another sensor, which projections then undo.

        sigma: its point-spread function, standard deviation in low-resolution pixels, one for each
        band or one for all; else InputError.
        """
        bands = self.card.bands
        if len(sigma) not in (1, len(bands)):
            raise InputError(
                f"psf has {len(sigma)} numbers; give one, or one for each of {', '.join(bands)}"
            )
        other = copy(self)
        other.card = replace(self.card, sigma=tuple(sigma) * (len(bands) // len(sigma)))
        return other

    def forward(
        self, images: Tensor, clear: Tensor, days: Tensor, season: Tensor | None = None
    ) -> Estimate:
        """images [B, T, C, H, W], clear [B, T, H, W], days [B, T], season [B] -> Estimate."""
        card, encoding = self.card, self.encoder(images, clear, days, season)
        features, anchor, contrast, seen = encoding
        unit = upsample(contrast, seen, card.scale) if card.relative else anchor.new_tensor(STEADY)
        base = on_the_ground(upsample(anchor, seen, card.scale), seen)
        start = project(base, anchor, seen, card.sigma) if card.deblurred else base
        change = pixel_shuffle(self.mean_head(features), card.scale)
        if card.relative:  # of a trunk without normalisation anything may come on strange input
            change = MOST_CHANGE * torch.tanh(change / MOST_CHANGE)
        mean = start + unit * change
        # A first estimate misses about a third of the contrast; the network says how many times
        # more or less, within a factor of twenty.
        factor = (3 * torch.tanh(self.spread_head(features) / 3)).exp()
        spread = 0.3 * unit * pixel_shuffle(factor, card.scale)
        today = clear & (days == 0)[..., None, None]
        observed = images.where(today.unsqueeze(2), 0.0).sum(1) / today.sum(
            1, keepdim=True
        ).clamp_min(1)
        measured = today.any(1, keepdim=True).to(mean.dtype)
        if card.consistent:  # with what was seen that day or, failing that, with what others saw
            held = torch.where(measured > 0, observed, anchor)
            mean = project(mean, held, seen, card.sigma)
        mean, base = mean.nan_to_num(0.0), base.nan_to_num(0.0)
        return Estimate(encoding, base, mean, spread.clamp(LEAST_SPREAD, MOST_SPREAD), measured)

    def sample(self, estimate: Estimate, noise: Noise, steps: int) -> Tensor:
        """One image [B, C, scale·H, scale·W] the ground may be, from fields of white noise."""
        if self.generator is None:
            raise InputError(f"{self.card.name} draws no samples; ask for none")
        drawn: Tensor = self.generator(estimate.given, noise, steps)
        if not self.card.consistent:
            return drawn
        residual = on_the_ground(drawn - estimate.mean, estimate.encoding.seen)
        unseen = unseen_part(residual, estimate.measured, self.card.sigma)
        return estimate.mean + unseen.nan_to_num(0.0)


def _encoder(card: Card) -> Any:
    if card.encoder not in ENCODERS:
        raise InputError(f"{card.encoder} is not an encoder; choose from {', '.join(ENCODERS)}")
    return ENCODERS[card.encoder](len(card.bands), card.width, **card.encoder_settings)


def _generator(card: Card, features: int) -> Any:
    if card.generator not in GENERATORS:
        raise InputError(
            f"{card.generator} is not a generator; choose from {', '.join(GENERATORS)}"
        )
    settings = GENERATORS[card.generator] | card.generator_settings
    made = len(card.bands), features, card.scale
    if card.generator == "none":
        return None
    if card.generator in ("srdiff", "sr3"):
        settings["multipliers"] = tuple(settings["multipliers"])
        return Chain(*made, **settings, residual=card.generator == "srdiff")
    if card.generator == "transport":
        settings["multipliers"] = tuple(settings["multipliers"])
        return Transport(*made, **settings)
    return (Rotation if card.generator == "rotation" else Karras)(*made, **settings)


def on_the_ground(image: Tensor, seen: Tensor) -> Tensor:
    """The image [B, C, scale·H, scale·W], NaN where never seen: not there, as the outside is."""
    return image.where(enlarged(seen, image.shape[-1] // seen.shape[-1]) > 0, torch.nan)


def save_model(model: Model, path: Path) -> None:
    """Write weights and card to a safetensors file, aside and then in place.

    Weights are kept in half precision: rounding one by a part in two thousand is far below what
    training leaves open, and the file is half as large.
    """
    aside = path.with_name(path.name + ".part")
    weights = {
        name: tensor.detach().to("cpu", torch.half).contiguous()
        for name, tensor in model.state_dict().items()
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
            told = json.loads((file.metadata() or {})["card"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        card = card_from(told)
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
