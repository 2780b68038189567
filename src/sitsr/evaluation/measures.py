"""Every measure by name: which way is better, and what difference matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sitsr.series import InputError

Better = Literal["higher", "lower", "ideal", "tells"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of the scores, as a reader meets it."""

    name: str
    """Its column in the file of scores."""
    heading: str
    """What a table calls it, with its unit."""
    digits: int
    """Decimals shown."""
    better: Better
    """"ideal": best where it equals ``ideal``; "tells": neither way is better."""
    family: str
    """What it is about: "distortion", "detail", "perception", "spectral", "consistency",
    "ensemble", "time", "cost", "opensr-test", "convention", "alignment"."""
    margin: float = 0.0
    """A difference smaller than this does not matter to anybody; 0 if none is declared."""
    relative: bool = False
    """Whether the margin is a share of the other system's value."""
    ideal: float = 0.0
    """The best value there is, where better is "ideal"."""

    def gain(self, ours: float, theirs: float) -> float:
        """By how much ours is better than theirs, in the measure's unit; negative if worse."""
        if self.better == "higher":
            return ours - theirs
        if self.better == "lower":
            return theirs - ours
        return abs(theirs - self.ideal) - abs(ours - self.ideal)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("psnr", "PSNR, dB", 2, "higher", "distortion", 0.1),
        Measure("ssim", "SSIM", 4, "higher", "distortion", 0.005),
        Measure("mae", "MAE", 5, "lower", "distortion", 0.02, relative=True),
        Measure("rmse", "RMSE", 5, "lower", "distortion", 0.02, relative=True),
        Measure("cpsnr", "cPSNR, dB", 2, "higher", "distortion", 0.1),
        Measure("cssim", "cSSIM", 4, "higher", "distortion", 0.005),
        Measure("cpsnr_own", "cPSNR at its own shift, dB", 2, "higher", "distortion", 0.1),
        Measure("psnr_contrast", "PSNR at equal contrast, dB", 2, "higher", "distortion", 0.1),
        Measure("sam", "SAM, °", 2, "lower", "spectral", 0.05, relative=True),
        Measure("ergas", "ERGAS", 2, "lower", "spectral", 0.05, relative=True),
        Measure("ndvi_error", "NDVI error", 4, "lower", "spectral", 0.05, relative=True),
        Measure("consistency", "consistency", 5, "lower", "consistency", 0.0005),
        Measure("detail", "detail", 3, "higher", "detail", 0.01),
        Measure("resolution", "effective resolution, m", 1, "lower", "detail", 0.2),
        Measure("spectrum_error", "spectrum error, dB", 2, "lower", "detail", 0.25),
        Measure("texture", "texture distance", 3, "lower", "perception", 0.02),
        Measure("lpips", "LPIPS", 4, "lower", "perception", 0.005),
        Measure("crps", "CRPS", 5, "lower", "ensemble", 0.02, relative=True),
        Measure("energy", "energy score, 8 × 8", 5, "lower", "ensemble", 0.02, relative=True),
        Measure("spread_skill", "spread–skill", 2, "ideal", "ensemble", 0.05, ideal=1.0),
        Measure("coverage50", "coverage of 50 %", 3, "ideal", "ensemble", 0.02, ideal=0.5),
        Measure("coverage80", "coverage of 80 %", 3, "ideal", "ensemble", 0.02, ideal=0.8),
        Measure("coverage90", "coverage of 90 %", 3, "ideal", "ensemble", 0.02, ideal=0.9),
        Measure("ause", "AUSE", 5, "lower", "ensemble", 0.02, relative=True),
        Measure("sample_psnr", "PSNR of a sample, dB", 2, "higher", "distortion", 0.1),
        Measure("sample_drop", "mean over a sample, dB", 2, "tells", "ensemble", ideal=3.01),
        Measure("sample_texture", "texture distance of a sample", 3, "lower", "perception", 0.02),
        Measure("sample_spectrum_error", "spectrum error of a sample", 2, "lower", "detail", 0.25),
        Measure("flicker", "flicker", 5, "lower", "time", 0.02, relative=True),
        Measure("gap_days", "days to the nearest clear date", 0, "tells", "time"),
        Measure("opensr_reflectance", "opensr-test reflectance", 4, "lower", "opensr-test"),
        Measure("opensr_spectral", "opensr-test spectral, °", 2, "lower", "opensr-test"),
        Measure("opensr_spatial", "opensr-test spatial", 4, "lower", "opensr-test"),
        Measure("opensr_synthesis", "opensr-test synthesis", 4, "tells", "opensr-test"),
        Measure("opensr_improvement", "opensr-test improvement", 3, "higher", "opensr-test"),
        Measure("opensr_omission", "opensr-test omission", 3, "lower", "opensr-test"),
        Measure("opensr_hallucination", "opensr-test hallucination", 3, "lower", "opensr-test"),
        Measure("mflop", "MFLOP a pixel", 3, "lower", "cost"),
        Measure("seconds_km2", "seconds a km²", 2, "lower", "cost"),
    )
}  # fmt: skip
"""In the order of the table's columns. What else a row holds (gain and offset of an alignment,
counts of a rank histogram, bias of a band) is kept in the file and shown where it belongs."""


def measure(name: str) -> Measure:
    """The measure of this name."""
    if name not in MEASURES:
        raise InputError(f"{name} is not a measure; choose from {', '.join(MEASURES)}")
    return MEASURES[name]
