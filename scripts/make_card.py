"""Write the card of a weights file beside it, from what the file itself holds.

python scripts/make_card.py [src/sitsr/weights/default.safetensors]
"""

from __future__ import annotations

import sys
from pathlib import Path

from sitsr.consistency import SENTINEL2_SIGMA
from sitsr.model import bundled_weights, fingerprint, open_model

TEXT = """# {name}

| | |
|---|---|
| SHA-256 | `{sha}` |
| parameters | {parameters:,} ({megabytes:.1f} MB, half precision) |
| in | series of Sentinel-2 surface reflectance (L2A), bands {bands}, 10 m, any number of dates |
| out | the same bands at {pixel} m: mean, spread, samples |
| reflectance | 0 to 1 over land, offset of processing baseline 04.00 removed |
| point-spread function | standard deviation {sigma} pixels of 10 m |
| reach | {reach_one} pixels of 10 m at 1 step, {reach_four} at 4: the halo of a tile |
| trained on | {trained_on} |
| licence | {licence} |

Sources: `austria`, Sentinel-2 L2A over Austria, scale transfer 40 m to 10 m; `theia`, a long dated
Sentinel-2 series of one forest, scale transfer; `naip`, aerial chips of Californian cities (NAIP,
USDA, public domain; urban-tree-detection data, CC BY 4.0), from which series at the true scale were
simulated. No pair of Sentinel-2 and a finer real image was trained on. Contains modified Copernicus
Sentinel data 2015–2023.

How they came about: 12,000 batches by `recipes/default.yaml` (8,500 of them for the mean), while
the mean was still free where the target date was not seen and dates were weighed without the
season; 4,000 more for the mean, at 6e-4, since it is held; 5,800 (3,500 for the mean) with gains of
single bands that vary by 15 % where they had varied by 5, the first 1,400 with a bound on what a
block adds; 2,500 for the mean, the beginning of a longer run that was stopped; then the run below,
which is the first with veils over images of other days. Each began where the one before was
stopped. The ceilings were set after the last. `recipes/default-continued.yaml` does all but the
first in one run.

What it was measured on, and what came of it: the README and `docs/results`. What not to believe:
`docs/beware.md`.

The recipe, as it was used:

```yaml
{recipe}```
"""


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else bundled_weights()
    model = open_model(path, "cpu")
    card = model.card
    text = TEXT.format(
        name=card.name,
        sha=fingerprint(path),
        parameters=sum(weights.numel() for weights in model.parameters()),
        megabytes=path.stat().st_size / 1e6,
        bands=", ".join(card.bands),
        pixel=10 / card.scale,
        sigma=", ".join(f"{s} ({band})" for band, s in SENTINEL2_SIGMA.items()),
        reach_one=model.reach(1),
        reach_four=model.reach(4),
        trained_on=card.trained_on,
        licence=card.licence,
        recipe=card.recipe,
    )
    path.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
