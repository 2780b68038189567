"""Write what the package opensr-test says of made-up images: numbers that ours must equal.

python scripts/golden_opensr.py [tests/golden/opensr.json]

Needs opensr-test 1.3.3 and OpenCV 5: before that, OpenCV rounded shifts to 1/32 of a pixel.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[1]
CASES = {
    "square": {"seed": 1, "bands": 4, "shape": (24, 24), "scale": 4, "shift": (0, 0)},
    "wide": {"seed": 2, "bands": 3, "shape": (20, 31), "scale": 4, "shift": (0, 0)},
    "tall": {"seed": 3, "bands": 2, "shape": (34, 25), "scale": 2, "shift": (0, 0)},
    "shifted": {"seed": 4, "bands": 5, "shape": (22, 27), "scale": 4, "shift": (2, -1)},
    "too far": {"seed": 5, "bands": 4, "shape": (26, 21), "scale": 4, "shift": (6, 4)},
}
PACKAGES = ("opensr-test", "satalign", "scikit-image", "opencv-python-headless", "torch")

Doubles = npt.NDArray[np.float64]


def images(
    seed: int, bands: int, shape: tuple[int, int], scale: int, shift: tuple[int, int]
) -> tuple[Doubles, Doubles, Doubles]:
    """lr, sr and hr of smooth ground with detail; the estimate has some of it, and some other."""
    chance = np.random.default_rng(seed)
    rows, cols = (length * scale for length in shape)
    coarse = 0.05 + 0.3 * chance.random((bands, rows // 8 + 2, cols // 8 + 2))
    ground = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2)[:, :rows, :cols]
    detail = np.repeat(0.06 * chance.standard_normal((1, rows, cols)), bands, axis=0)
    other = 0.03 * chance.standard_normal((bands, rows, cols))
    hr = np.abs(ground + detail) + 0.01
    sr = 1.1 * np.abs(np.roll(ground + 0.6 * detail, shift, axis=(1, 2)) + other) + 0.02
    blocks = hr.reshape(bands, shape[0], scale, shape[1], scale)
    return blocks.mean(axis=(2, 4)), sr, hr


def scores(case: dict[str, Any], harmonise: bool) -> dict[str, float | None]:
    """The package's numbers under our names, in double precision; None for NaN."""
    import opensr_test
    import torch

    metrics = opensr_test.Metrics(
        harm_apply_spectral=harmonise, harm_apply_spatial=harmonise, rgb_bands=[0, 1, 2]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lr, sr, hr = (torch.from_numpy(image) for image in images(**case))
        said = metrics.compute(lr=lr, sr=sr, hr=hr)
    names = {"im_metric": "improvement", "om_metric": "omission", "ha_metric": "hallucination"}
    return {
        f"opensr_{names.get(name, name)}": None if np.isnan(value) else float(value)
        for name, value in said.items()
    }


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/golden/opensr.json"
    told = {
        "made by": "scripts/golden_opensr.py",
        "versions": {name: version(name) for name in PACKAGES},
        "cases": {
            name: {
                **case,
                "harmonised": scores(case, harmonise=True),
                "as it is": scores(case, harmonise=False),
            }
            for name, case in CASES.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(told, indent=1) + "\n")
    os.replace(aside, path)


if __name__ == "__main__":
    main()
