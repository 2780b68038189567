"""Training batches: made by degrading images whose full resolution is known, or cut from pairs.

A batch is a pure function of its number and the seed, so that a run can be stopped and gone on with
at any batch, and any number of workers gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.utils.data import Dataset

from sitsr.consistency import SENTINEL2_SIGMA, observe
from sitsr.datasets.archives import BANDS, Archive
from sitsr.series import Booleans, Floats, InputError, phase_of_year


class Batch(NamedTuple):
    """What a model is fitted on."""

    images: Tensor
    """[B, T, C, H, W] reflectance at low resolution."""
    clear: Tensor
    """[B, T, H, W]"""
    days: Tensor
    """[B, T] acquisition minus target date."""
    hr: Tensor
    """[B, C, scale·H, scale·W] reflectance at the target date."""
    weight: Tensor
    """[B, C, scale·H, scale·W] 1 where hr is to be learnt from, else 0."""
    season: Tensor
    """[B] phase of the target date in the year, 0 to 1; NaN where dates are not known."""


class Example(NamedTuple):
    """One series at full resolution, before it is degraded."""

    fine: Floats
    """[T, C, sH, sW]"""
    clear: Booleans
    """[T, sH, sW]"""
    days: Floats
    """[T]"""
    hr: Floats
    """[C, sH, sW]"""
    weight: Floats
    """[C, sH, sW]"""
    sigma: float
    """Factor on the point-spread function."""
    season: float = float("nan")
    """Phase of the target date in the year; NaN where it is not known."""


@dataclass(frozen=True)
class Mixture:
    """How series are made up. Each field is drawn anew for every batch or example."""

    __pydantic_config__: ClassVar[dict[str, str]] = {
        "extra": "forbid"
    }  # recipes refuse what they do not know

    most_images: int = 8
    """T is drawn from 1 to this."""
    held_out: float = 0.3
    """Share of examples whose target date was not observed at all."""
    clouded: float = 0.5
    """Share of images that a made-up cloud covers in part."""
    veiled: float = 0.0
    """Share of simulated images of other days under thin haze or shadow that no mask tells."""
    noise: float = 0.002
    """Largest standard deviation of sensor noise, reflectance."""
    blur: tuple[float, float] = (0.85, 1.2)
    """Least and largest factor on the nominal point-spread function."""
    misregistration: float = 0.15
    """Standard deviation of the shift of simulated images, low-resolution pixels: Sentinel-2's own
    multi-temporal goal is 0.3 for two of them."""


Maker = Callable[[np.random.Generator, int], Example]
"""(generator, number of images) -> one example."""


class Source(Protocol):
    """What batches are drawn from."""

    @property
    def held(self) -> Iterable[object]:
        """All that it learns from: names, dates and pixels."""

    def __call__(self, chance: np.random.Generator, times: int, count: int) -> Batch:
        """A batch of count series of at most so many images."""


class Batches(Dataset[Batch]):
    """Batch number i of an endless sequence, from sources drawn with the given weights."""

    def __init__(
        self, sources: Mapping[str, tuple[float, int, Source]], mixture: Mixture, seed: int
    ) -> None:
        """sources: name -> (weight, examples a batch, source)."""
        self.sources, self.mixture, self.seed = dict(sources), mixture, seed
        weights = np.array([weight for weight, _, _ in self.sources.values()], float)
        self.shares = weights / weights.sum()

    def __getitem__(self, index: int) -> Batch:
        chance = np.random.default_rng((self.seed, index))
        name = list(self.sources)[chance.choice(len(self.shares), p=self.shares)]
        _, count, source = self.sources[name]
        times = int(chance.integers(1, self.mixture.most_images + 1))
        return source(chance, times, count)


def stacked(examples: Iterable[Batch]) -> Batch:
    """Examples without the batch axis as one batch."""
    return Batch(*(torch.stack(column) for column in zip(*examples, strict=True)))


class Observed:
    """Series at full resolution as the sensor would see them."""

    def __init__(
        self,
        maker: ScaleTransfer | Aerial,
        mixture: Mixture,
        scale: int,
        bands: Sequence[str] = BANDS,
    ) -> None:
        """bands: those of BANDS that are learnt; the others are made up with them and left out."""
        self.maker, self.mixture, self.scale = maker, mixture, scale
        self.sigma = tuple(SENTINEL2_SIGMA[band] for band in bands)
        self.chosen = [BANDS.index(band) for band in bands]

    @property
    def held(self) -> Iterable[object]:
        """What the maker holds."""
        return self.maker.held

    def __call__(self, chance: np.random.Generator, times: int, count: int) -> Batch:
        examples = [self._cut(self.maker(chance, times)) for _ in range(count)]
        return stacked(
            [degraded(each, self.mixture, self.sigma, self.scale, chance) for each in examples]
        )

    def _cut(self, example: Example) -> Example:
        fine, hr, weight = (
            np.ascontiguousarray(part[..., self.chosen, :, :])
            for part in (example.fine, example.hr, example.weight)
        )
        return example._replace(fine=fine, hr=hr, weight=weight)


def degraded(
    example: Example,
    mixture: Mixture,
    sigma: tuple[float, ...],
    scale: int,
    chance: np.random.Generator,
) -> Batch:
    """The example as the sensor would see it (without the batch axis)."""
    actual = tuple(example.sigma * s for s in sigma)
    lr = observe(torch.from_numpy(example.fine), actual, scale)
    noise = chance.standard_normal(lr.shape, np.float32) * chance.uniform(0, mixture.noise)
    lr = lr + torch.from_numpy(noise)
    for frame, away in zip(lr, example.days, strict=True):
        if mixture.veiled and away != 0 and chance.random() < mixture.veiled:
            frame.copy_(torch.from_numpy(veiled(frame.numpy(), chance)))
    clear = clouded(blocks_all(example.clear, scale), mixture, chance)
    return Batch(
        lr,
        torch.from_numpy(clear),
        torch.from_numpy(example.days),
        torch.from_numpy(example.hr),
        torch.from_numpy(example.weight),
        torch.tensor(example.season, dtype=torch.float32),
    )


def blocks_all(clear: Booleans, scale: int) -> Booleans:
    """[T, sH, sW] -> [T, H, W] True where all scale × scale pixels are."""
    times, rows, cols = clear.shape
    blocks = clear.reshape(times, rows // scale, scale, cols // scale, scale)
    return np.asarray(blocks.all((2, 4)))


def clouded(clear: Booleans, mixture: Mixture, chance: np.random.Generator) -> Booleans:
    """clear [T, H, W] without what made-up clouds cover."""
    left = clear.copy()
    for frame in left:
        if chance.random() < mixture.clouded:
            frame &= ~_cloud(frame.shape, chance)
    return left


def chosen_frames(
    days: Floats, target: int | None, times: int, held_out: float, chance: np.random.Generator
) -> list[int]:
    """Positions in time of an example's images: the target's own, unless held out, and others.

    days: from the target. target: where its own image stands, None where there is none. Of a long
    series the neighbours of the target in time are taken; a short one repeats its images.
    """
    others = [k for k in range(len(days)) if k != target]
    if len(days) > 2 * times:  # long series: the target's neighbours in time, more or less
        nearest = np.argsort(np.abs(days)[others])[: 4 * times]
        others = [others[k] for k in nearest]
    own = [] if target is None else [target]
    chosen = [] if chance.random() < held_out and others else list(own)
    chosen += [int(k) for k in chance.permutation(others)[: times - len(chosen)]]
    chosen += [int(chance.choice(others or own)) for _ in range(times - len(chosen))]
    return chosen


def veiled(image: Floats, chance: np.random.Generator) -> Floats:
    """The image [C, H, W] seen through a veil: thin haze, or, where the veil is dark, shadow.

    (1 − t) image + t veil, with a thickness t of at most 0.5 that changes smoothly over the image,
    and a veil of one reflectance between 0 and 0.5. What masks miss on real images.
    """
    rough = _rough(image.shape[1:], 4, 12, chance)
    low, high = np.quantile(rough, [0.05, 0.95])
    even = (rough - low) / max(high - low, 1e-9)
    thickness = chance.uniform(0.1, 0.5) * np.clip(even + chance.uniform(0, 1), 0, 1)
    return np.asarray((1 - thickness) * image + thickness * chance.uniform(0, 0.5), np.float32)


def _rough(
    shape: tuple[int, ...], least: float, most: float, chance: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Noise smoothed by a Gaussian whose standard deviation is drawn from least to most pixels."""
    noise, sigma = chance.standard_normal(shape), chance.uniform(least, most)
    return np.asarray(ndimage.gaussian_filter(noise, sigma, mode="wrap"))


def _cloud(shape: tuple[int, ...], chance: np.random.Generator) -> Booleans:
    """A made-up cloud: smooth noise above a level, so that a tenth to all is covered."""
    rough = _rough(shape, 2, 6, chance)
    covered: Booleans = rough > np.quantile(rough, 1 - chance.uniform(0.1, 1.0))
    return covered


class ScaleTransfer:
    """Examples from real series: a smaller image of lower resolution stands for Sentinel-2's."""

    def __init__(self, archives: Sequence[Archive], mixture: Mixture, side: int) -> None:
        """side: of the crop, full-resolution pixels."""
        for archive in archives:
            times, _, *shape = archive.images.shape
            if times < 2 or min(shape) < side:
                raise InputError(
                    f"{archive.site} holds {times} images of {shape[0]} × {shape[1]} pixels; "
                    f"training takes two or more of at least {side} × {side}: set another side"
                )
        self.archives, self.mixture, self.side = archives, mixture, side

    @property
    def held(self) -> Sequence[Archive]:
        """The archives."""
        return self.archives

    def __call__(self, chance: np.random.Generator, times: int) -> Example:
        archive = self.archives[int(chance.integers(len(self.archives)))]
        days = self._days(archive, chance)
        top, left = (int(chance.integers(n - self.side + 1)) for n in archive.images.shape[2:])
        window = np.s_[..., top : top + self.side, left : left + self.side]
        fine, clear = archive.images[window], archive.clear[window]
        target = self._target(clear, chance)
        away = (days - days[target]).astype(np.float32)
        chosen = chosen_frames(away, target, times, self.mixture.held_out, chance)
        gain = np.exp(chance.normal(0, 0.15) + chance.normal(0, 0.15, (4, 1, 1))).astype(np.float32)
        turn = turned(chance)
        weight = clear[target] * np.array(archive.trusted, np.float32)[:, None, None]
        return Example(
            turn(fine[chosen] * gain),
            turn(clear[chosen]),
            away[chosen],
            turn(fine[target] * gain),
            turn(weight.astype(np.float32)),
            chance.uniform(*self.mixture.blur),
            phase_of_year(archive.dates[target]) if archive.dates else float("nan"),
        )

    def _days(self, archive: Archive, chance: np.random.Generator) -> Floats:
        """The days of an archive, or, where only the order is known, days made up to fit it."""
        if archive.dates is not None:
            return np.array([day.toordinal() for day in archive.dates], np.float32)
        gaps = np.ceil(np.exp(chance.normal(2.5, 1.0, len(archive.images))))
        return np.cumsum(gaps).astype(np.float32)

    def _target(self, clear: Booleans, chance: np.random.Generator) -> int:
        share = clear.mean((1, 2))
        wanted = share**2 + 1e-6
        return int(chance.choice(len(share), p=wanted / wanted.sum()))


class Aerial:
    """Examples simulated from aerial chips at the true scale, 2.4 m.

    What is made up: reflectance (gain and offset of each band), the season (vegetation brightens in
    the near infrared and darkens in red), haze, shifts, sensor; years other than the target's are
    real changes.
    """

    def __init__(self, places: Mapping[str, Mapping[int, Floats]], mixture: Mixture) -> None:
        self.places, self.mixture = [dict(years) for years in places.values()], mixture

    @property
    def held(self) -> Sequence[Mapping[int, Floats]]:
        """The chips of every place, by year."""
        return self.places

    def __call__(self, chance: np.random.Generator, times: int) -> Example:
        years = self.places[chance.integers(len(self.places))]
        target_year = int(chance.choice(sorted(years)))
        typical = np.array([0.22, 0.24, 0.28, 0.42], np.float32)
        contrast = typical * np.exp(chance.normal(0, 0.3) + chance.normal(0, 0.1, 4))
        floor = chance.normal([-0.02, 0.0, -0.01, 0.04], 0.015)
        base = {year: _affine(chip, contrast, floor) for year, chip in years.items()}
        days = np.round(chance.laplace(0, 60, times)).astype(np.float32)
        held_out = chance.random() < self.mixture.held_out
        if not held_out:
            days[0] = 0
        hr = _in_season(base[target_year], 0.0)
        frames = []
        for day in days:
            year = target_year
            if day != 0 and chance.random() < 0.15:
                year = int(chance.choice(sorted(years)))
            season = 0.0 if day == 0 else chance.normal(0, min(abs(day) / 60, 1.5) * 0.2)
            frame = _in_season(base[year], season)
            if day != 0:
                drift = min(abs(day) / 60, 1.0)
                gain = np.exp(chance.normal(0, 0.06 * drift, 4))
                frame = _affine(frame, gain, chance.normal(0, 0.006 * drift, 4))
                frame = _shifted(frame, chance.normal(0, self.mixture.misregistration * 4, 2))
            frames.append(frame)
        turn = turned(chance)
        fine = np.stack(frames)
        return Example(
            turn(fine),
            np.ones((times, *hr.shape[1:]), bool),
            days,
            turn(hr),
            np.ones_like(hr),
            chance.uniform(*self.mixture.blur),
        )


def _affine(image: Floats, gain: npt.ArrayLike, offset: npt.ArrayLike) -> Floats:
    out = image * np.asarray(gain)[:, None, None] + np.asarray(offset)[:, None, None]
    return np.asarray(out, np.float32)


def _in_season(image: Floats, season: float) -> Floats:
    """Vegetation with more (season > 0) or less leaf: near infrared up, red down with NDVI."""
    red, near = image[2], image[3]
    leaf = np.clip((near - red) / np.maximum(near + red, 0.05), 0, 1)
    change = np.stack([1 - 0.3 * season * leaf, 1 + 0 * leaf, 1 - season * leaf, 1 + season * leaf])
    return np.asarray(image * change, np.float32)


def _shifted(image: Floats, shift: npt.NDArray[np.float64]) -> Floats:
    return np.asarray(ndimage.shift(image, (0, *shift), order=1, mode="reflect"), np.float32)


def turned(chance: np.random.Generator) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """One of the eight ways to lay a square, the same for all arrays of an example."""
    quarter, flip = int(chance.integers(4)), bool(chance.integers(2))

    def turn(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        array = np.rot90(array, quarter, (-2, -1))
        return np.ascontiguousarray(array[..., ::-1] if flip else array)

    return turn
