"""Everything that is measured of one pair, so that the pair itself can be let go."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sitsr.analysis.edges import edges
from sitsr.analysis.phases import date_shifts, filled_cells, resultant
from sitsr.analysis.relation import Relation, Sums, relation, sums
from sitsr.analysis.rows import BandRow, DateRow, EdgeRow, PairRow, PixelRow, SpectrumRow
from sitsr.analysis.spectra import binned, finest_octave, folded, parting, rings
from sitsr.analysis.spread import Spread, point_spread
from sitsr.baselines import bicubic, nearest
from sitsr.datasets import Pair
from sitsr.metrics import Doubles, Reals, best_shift, moved, radial_spectrum
from sitsr.radiometry import degrade, match, match_contrast
from sitsr.report.panels import middle
from sitsr.series import Booleans, Floats, InputError

SIDE = 256
"""Low-resolution pixels along a side that are looked into at most, from the middle of a pair."""
LIMIT = 2.0
"""Low-resolution pixels within which the shift of the reference is searched."""
LEAST = 16
"""Pixels along a side below which a spectrum is not told."""
SHOWN = 0.3
"""Least share of the ground that both images must show for a spectrum."""
SERIES, REFERENCE = "series", "reference"

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What a pair looks like, cut to its middle."""

    site: str
    patch: str
    bands: tuple[str, ...]
    scale: int
    seen: Floats
    """[C, H, W] the nearest clear date."""
    clear: Booleans
    """[H, W] where the difference is known."""
    reference: Floats
    """[C, scale·H, scale·W] registered and harmonised; NaN where not clear."""
    difference: Floats
    """[H, W] degraded reference minus what was seen, mean over bands; NaN where not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What is kept of a pair."""

    pair: PairRow
    dates: list[DateRow]
    bands: list[BandRow] = field(default_factory=list)
    edges: list[EdgeRow] = field(default_factory=list)
    spectra: list[SpectrumRow] = field(default_factory=list)
    pixels: list[PixelRow] = field(default_factory=list)
    sums: dict[str, tuple[Sums, Sums, Sums]] = field(default_factory=dict)
    """By band: of degraded reference and observation as they lie, registered, harmonised."""
    example: Example | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A pair with its reference as it lies, registered, and seen at low resolution both times."""

    pair: Pair
    seen: Floats
    """[C, H, W] the nearest clear dates."""
    ever: Booleans
    """[H, W] where that is known."""
    shift: tuple[float, float]
    """Of the reference, low-resolution pixels."""
    raw: Floats
    """[C, H, W] the reference degraded as it lies."""
    raw_clear: Booleans
    reference: Floats
    """[C, scale·H, scale·W] registered."""
    known: Booleans
    """[scale·H, scale·W] where that is clear."""
    coarse: Floats
    """[C, H, W] the same degraded."""
    clear: Booleans
    """[H, W] where it can be compared with what was seen."""


def measure(pair: Pair, pixels: int = 400, seed: int = 0, *, example: bool = False) -> Measured:
    """What is told of a pair; with at most so many pixels drawn by chance for the pictures.

    Pairs larger than SIDE are looked into in their middle. A pair whose reference lies on the grid
    of its series has no finer detail to compare, and tells of its dates only. InputError where no
    date is clear, or the two images share too little ground to be laid on each other.
    """
    whole = _of_the_pair(pair)
    cut = _cut(pair)
    shifts = date_shifts(cut.series)
    even = [resultant(shifts[:, axis], pair.scale) for axis in (0, 1)]
    whole = replace(
        whole,
        resultant_rows=even[0],
        resultant_cols=even[1],
        phases=int(np.isfinite(shifts).all(axis=1).sum()),
        cells=filled_cells(shifts, pair.scale),
    )
    dates = _dates(pair, shifts)
    if pair.at_sensor:
        return Measured(whole, dates)
    laid = lay(cut)
    dy, dx = laid.shift
    whole = replace(
        whole, shift_rows=dy, shift_cols=dx, at_limit=max(abs(dy), abs(dx)) >= LIMIT - 1e-6
    )
    chance = np.random.default_rng([seed, zlib.crc32("\n".join(_key(pair)).encode())])
    return _of_the_bands(Measured(whole, dates), laid, pixels, chance, example)


def lay(pair: Pair) -> Laid:
    """The reference laid on its series by one shift, found against the nearest clear dates."""
    seen, ever = nearest(pair.series, pair.target), _ever(pair)
    near = pair.clear & _fine(ever, pair.scale)
    enlarged = bicubic(seen, pair.scale)
    shift = best_shift(enlarged, pair.reference, near, LIMIT * pair.scale)
    raw, raw_clear = _seen_through(pair, pair.reference, pair.clear)
    reference, known = moved(pair.reference, pair.clear, shift)
    reference = reference.astype(np.float32)
    coarse, clear = _seen_through(pair, reference, known)
    return Laid(
        pair,
        seen,
        ever,
        (shift[0] / pair.scale, shift[1] / pair.scale),
        raw,
        raw_clear & ever,
        reference,
        known & _fine(ever, pair.scale),
        coarse,
        clear & ever,
    )


def _seen_through(pair: Pair, image: Floats, clear: Booleans) -> tuple[Floats, Booleans]:
    """A fine image as the sensor would see it, and where it would see nothing else."""
    widest = (max(pair.sensor_sigma),)
    whole = degrade(clear[None].astype(np.float32), pair.scale, widest)[0] > 0.999
    return degrade(image, pair.scale, pair.sensor_sigma, clear), whole


def _of_the_pair(pair: Pair) -> PairRow:
    series = pair.series
    rows, cols = series.clear.shape[1:]
    away = np.abs(series.days_from(pair.target))[:, None, None]
    days = np.where(series.clear, away, np.inf).min(axis=0)
    ever = np.isfinite(days)
    if not ever.any():
        raise InputError(f"no pixel is clear on any of its {len(series.dates)} dates")
    nothing = math.nan
    return PairRow(
        *_key(pair),
        scale=pair.scale,
        pixel=abs(float(series.grid.transform.a)),
        rows=rows,
        cols=cols,
        dates=len(series.dates),
        target=pair.target,
        clear=float(series.clear.mean()),
        seen=float(ever.mean()),
        reference_clear=float(pair.clear.mean()),
        nearest_days=float(days[ever].mean()),
        shift_rows=nothing,
        shift_cols=nothing,
        at_limit=False,
        resultant_rows=nothing,
        resultant_cols=nothing,
        phases=0,
        cells=0,
    )


def _dates(pair: Pair, shifts: Doubles) -> list[DateRow]:
    days = pair.series.days_from(pair.target)
    gaps = np.diff(days, prepend=np.nan)
    share = pair.series.clear.mean(axis=(1, 2))
    return [
        DateRow(*_key(pair), day, float(d), float(gap), float(c), float(dy), float(dx))
        for day, d, gap, c, (dy, dx) in zip(
            pair.series.dates, days, gaps, share, shifts, strict=True
        )
    ]


def _of_the_bands(
    made: Measured, laid: Laid, pixels: int, chance: np.random.Generator, example: bool
) -> Measured:
    """All that is told band by band."""
    pair, bands = laid.pair, laid.pair.series.bands
    gain, offset = match(laid.coarse, laid.seen, laid.clear)
    contrast, _ = match_contrast(laid.coarse, laid.seen, laid.clear)
    settled = gain[:, None, None] * laid.coarse + offset[:, None, None]
    spectra = _spectra(laid, contrast)
    for b, band in enumerate(bands):
        seen = laid.seen[b]
        parts = (
            sums(laid.raw[b][laid.raw_clear], seen[laid.raw_clear]),
            sums(laid.coarse[b][laid.clear], seen[laid.clear]),
            sums(settled[b][laid.clear], seen[laid.clear]),
        )
        made.sums[band] = parts
        fit = float(gain[b]), float(offset[b]), float(contrast[b])
        related = [relation(each) for each in parts]
        made.bands.append(_band(pair, band, related, fit, _spread(laid, b), spectra[b]))
        made.edges.extend(_edges(laid, b))
        made.spectra.extend(_spectrum_rows(pair, band, spectra[b]))
    made.pixels.extend(_pixels(laid, settled, pixels, chance))
    return replace(made, example=_example(laid, gain, offset, settled)) if example else made


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """Both images of a band, in rings and as they came."""

    edges: Doubles
    series: Doubles
    reference: Doubles
    """[K] power in the rings."""
    sharpness: float
    reference_sharpness: float
    frequency: Doubles
    """Of the reference's own rings."""
    power: Doubles


def _spectra(laid: Laid, contrast: Floats) -> list[Spectra | None]:
    """By band; None where the two images share too little ground."""
    scale, bands = laid.pair.scale, len(laid.seen)
    shared = laid.known.reshape(laid.ever.shape[0], scale, -1, scale).all(axis=(1, 3)) & laid.ever
    if min(shared.shape) < LEAST or shared.mean() < SHOWN:
        return [None] * bands
    coarse, observed = radial_spectrum(laid.seen, shared)
    adjusted = contrast[:, None, None] * np.nan_to_num(laid.reference)
    fine, power = radial_spectrum(adjusted, _fine(shared, scale))
    edges_of = rings(scale)
    return [
        Spectra(
            edges_of,
            binned(coarse, observed[b], edges_of),
            binned(fine * scale, power[b] / scale**2, edges_of),
            finest_octave(coarse, observed[b]),
            finest_octave(fine, power[b]),
            fine * scale,
            power[b] / scale**2,
        )
        for b in range(bands)
    ]


def _spread(laid: Laid, b: int) -> Spread:
    pair = laid.pair
    try:
        return point_spread(pair.reference[b], pair.clear, laid.seen[b], laid.ever, laid.shift)
    except InputError:  # too little ground for this, though not for the rest
        return Spread(math.nan, *laid.shift, math.nan)


def _band(
    pair: Pair,
    band: str,
    related: Sequence[Relation],
    fit: tuple[float, float, float],
    spread: Spread,
    spectra: Spectra | None,
) -> BandRow:
    before, registered, after = related
    gain, offset, contrast = fit
    apart = fold = math.nan
    if spectra is not None:
        centres = centres_of(spectra.edges)
        inside = centres < 0.5
        apart = parting(centres[inside], spectra.series[inside], spectra.reference[inside])
        if math.isfinite(spread.sigma):
            fold = folded(spectra.frequency, spectra.power, spread.sigma)
    return BandRow(
        *(*_key(pair), band),
        pixels=registered.n,
        correlation_before=before.correlation,
        correlation=registered.correlation,
        gain=gain,
        offset=offset,
        contrast_gain=contrast,
        rmse_before=before.rmse,
        rmse_after=after.rmse,
        sigma=spread.sigma,
        sigma_correlation=spread.correlation,
        sharpness=spectra.sharpness if spectra else math.nan,
        reference_sharpness=spectra.reference_sharpness if spectra else math.nan,
        parting=apart,
        folded=fold,
    )


def centres_of(edges_of: Doubles) -> Doubles:
    """The middle of each ring, on a scale of logarithms."""
    return np.sqrt(edges_of[1:] * edges_of[:-1])


def _edges(laid: Laid, b: int) -> list[EdgeRow]:
    pair, band = laid.pair, laid.pair.series.bands[b]
    pixel = abs(float(pair.series.grid.transform.a))
    images: list[tuple[str, Reals, Booleans, float]] = [
        (SERIES, laid.seen[b], laid.ever, pixel),
        (REFERENCE, pair.reference[b], pair.clear, pixel / pair.scale),
    ]
    return [
        EdgeRow(
            *(*_key(pair), band, sensor, each.row, each.col, each.sigma, each.sigma * side),
            *(each.step, each.angle, each.rough),
        )
        for sensor, image, clear, side in images
        for each in edges(image, clear)
    ]


def _spectrum_rows(pair: Pair, band: str, spectra: Spectra | None) -> list[SpectrumRow]:
    if spectra is None:
        return []
    return [
        SpectrumRow(*_key(pair), band, sensor, float(f), float(p))
        for sensor, power in ((SERIES, spectra.series), (REFERENCE, spectra.reference))
        for f, p in zip(centres_of(spectra.edges), power, strict=True)
        if math.isfinite(p)
    ]


def _pixels(laid: Laid, settled: Reals, most: int, chance: np.random.Generator) -> list[PixelRow]:
    rows, cols = np.nonzero(laid.raw_clear | laid.clear)
    drawn = chance.choice(len(rows), min(most, len(rows)), replace=False)
    at = rows[drawn], cols[drawn]
    found = []
    for b, band in enumerate(laid.pair.series.bands):
        before = np.where(laid.raw_clear[at], laid.raw[b][at], np.nan)
        after = np.where(laid.clear[at], settled[b][at], np.nan)
        lines = zip(laid.seen[b][at].tolist(), before.tolist(), after.tolist(), strict=True)
        found += [PixelRow(*_key(laid.pair), band, *line) for line in lines]
    return found


def _example(laid: Laid, gain: Floats, offset: Floats, settled: Reals) -> Example:
    pair, side = laid.pair, 64
    coarse, fine = middle(laid.ever.shape, pair.scale, side * pair.scale)
    reference = gain[:, None, None] * laid.reference + offset[:, None, None]
    clear = laid.clear[coarse]
    away = (settled - laid.seen).mean(axis=0)[coarse]
    return Example(
        pair.site,
        pair.patch,
        pair.series.bands,
        pair.scale,
        np.where(laid.ever[coarse], laid.seen[:, *coarse], np.float32(np.nan)),
        clear,
        np.where(laid.known[fine], reference[:, *fine], np.nan).astype(np.float32),
        np.where(clear, away, np.nan).astype(np.float32),
    )


def _cut(pair: Pair) -> Pair:
    """The middle of a pair, SIDE pixels along a side at most."""
    shape = pair.series.clear.shape[1:]
    if max(shape) <= SIDE:
        return pair
    times = 1 if pair.at_sensor else pair.scale
    coarse, fine = middle(shape, times, SIDE * times)
    return replace(
        pair,
        series=pair.series.crop(*coarse),
        reference=pair.reference[:, *fine],
        clear=pair.clear[fine],
    )


def _ever(pair: Pair) -> Booleans:
    return np.asarray(pair.series.clear.any(axis=0), bool)


def _fine(mask: Booleans, scale: int) -> Booleans:
    return mask.repeat(scale, 0).repeat(scale, 1)


def _key(pair: Pair) -> Key:
    return pair.kind, pair.site, pair.patch
