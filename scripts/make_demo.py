"""Cut the demonstration series that comes with the package out of a folder of dated GeoTIFFs.

    python scripts/make_demo.py SOURCE [TARGET]

The crop holds a shore of the Boadella reservoir (Catalonia) with its houses, roads, fields and
woods. The files stay as a user would have them: a geographic grid, unnamed bands, 16-bit numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import rasterio
from rasterio.windows import Window

ROWS, COLS = slice(24, 168), slice(222, 372)
TARGET = Path(__file__).parents[1] / "src/sitsr/demo"
README = """# Demonstration series

A shore of the Boadella reservoir, Catalonia: 12 dates from January 2020 to June 2022, 12 bands of
Sentinel-2 L2A (surface reflectance times 10000), about 1 km across. Two dates are cloud, two hazy,
and the water changes its colour and its level.

Credit: contains modified Copernicus Sentinel data 2020-2022.
"""


def cut(source: Path, target: Path) -> None:
    """Write the crop of one file under the same name."""
    with rasterio.open(source) as file:
        window = Window.from_slices(ROWS, COLS)
        pixels = file.read(window=window)
        profile = {
            "driver": "GTiff",
            "dtype": pixels.dtype,
            "count": file.count,
            "height": pixels.shape[1],
            "width": pixels.shape[2],
            "crs": file.crs,
            "transform": file.window_transform(window),
            "compress": "deflate",
            "predictor": 2,
            "zlevel": 9,
            "interleave": "band",
        }
    with rasterio.open(target, "w", **profile) as file:
        file.write(pixels)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cut the demonstration series.")
    parser.add_argument("source", type=Path, help="folder of dated GeoTIFFs")
    parser.add_argument("target", type=Path, nargs="?", default=TARGET)
    chosen = parser.parse_args()
    chosen.target.mkdir(parents=True, exist_ok=True)
    for path in sorted(chosen.source.glob("*.tif")):
        cut(path, chosen.target / path.name)
    (chosen.target / "README.md").write_text(README)


if __name__ == "__main__":
    main()
