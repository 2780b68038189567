"""How far an estimate is from the truth, where the truth is clear: plain functions of arrays.

    estimate, reference   [C, H, W]     reflectance
    samples               [M, C, H, W]  reflectance: M images that the ground may equally well be
    clear                 [H, W]        True where the reference is valid

Values where ``clear`` is False are never looked at. Everything is summed in float64. Reflectance
is neither rounded nor clipped nor stretched first, so a number here compares with one from
8-bit images only after those images were turned back into reflectance.
"""

from sitsr.metrics.checks import Doubles, Reals
from sitsr.metrics.conventions import CONVENTIONS, conventions
from sitsr.metrics.distortion import consistency_rmse, detail_correlation, mae, psnr, rmse, ssim
from sitsr.metrics.ensembles import (
    ause,
    coverage,
    energy_score,
    fair_crps,
    rank_counts,
    rank_test,
    risk_coverage,
    spread_skill,
)
from sitsr.metrics.frequencies import (
    effective_resolution,
    radial_spectrum,
    random_phase_texture,
    ring_correlation,
    spectrum_error,
)
from sitsr.metrics.opensr import opensr
from sitsr.metrics.perception import (
    kernel_distance,
    lpips_distance,
    texture_distance,
    texture_features,
)
from sitsr.metrics.registered import best_match, best_shift, cpsnr, cssim, moved
from sitsr.metrics.spectral import band_bias, ergas, ndvi_error, sam
from sitsr.metrics.temporal import flicker, unchanged

__all__ = [
    "CONVENTIONS",
    "Doubles",
    "Reals",
    "ause",
    "band_bias",
    "best_match",
    "best_shift",
    "consistency_rmse",
    "conventions",
    "coverage",
    "cpsnr",
    "cssim",
    "detail_correlation",
    "effective_resolution",
    "energy_score",
    "ergas",
    "fair_crps",
    "flicker",
    "kernel_distance",
    "lpips_distance",
    "mae",
    "moved",
    "ndvi_error",
    "opensr",
    "psnr",
    "radial_spectrum",
    "random_phase_texture",
    "rank_counts",
    "rank_test",
    "ring_correlation",
    "risk_coverage",
    "rmse",
    "sam",
    "spectrum_error",
    "spread_skill",
    "ssim",
    "texture_distance",
    "texture_features",
    "unchanged",
]
