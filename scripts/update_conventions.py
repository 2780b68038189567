"""Put what other projects' conventions say of our scores between the two markers of their page.

python scripts/update_conventions.py [docs/results/validation/scores.parquet [docs/conventions.md]]

Takes the scores of bicubic and of the mean that `sitsr evaluate --extra all` wrote.
"""

from __future__ import annotations

import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from sitsr.evaluation.rows import Row, read_rows
from sitsr.series import InputError

ROOT = Path(__file__).parents[1]
START = "<!-- conventions: written by scripts/update_conventions.py -->"
END = "<!-- end of conventions -->"
SYSTEMS = ("bicubic", "sitsr mean")
FIGURES = {  # name: heading and decimals
    "psnr": ("PSNR, dB: ours", 2),
    "cpsnr": ("cPSNR, dB: ours", 2),
    "probav_cpsnr": ("cPSNR, dB: PROBA-V", 2),
    "mus2_cpsnr": ("cPSNR, dB: MuS2", 2),
    "worldstrat_psnr_published": ("PSNR, dB: WorldStrat as published", 2),
    "worldstrat_psnr_intended": ("PSNR, dB: WorldStrat as intended", 2),
    "breizhsr_psnr": ("PSNR, dB: BreizhSR", 2),
    "ssim": ("SSIM: ours", 4),
    "cssim": ("cSSIM: ours", 4),
    "mus2_cssim": ("cSSIM: MuS2", 4),
    "worldstrat_ssim_published": ("SSIM: WorldStrat as published", 4),
    "worldstrat_ssim_intended": ("SSIM: WorldStrat as intended", 4),
    "breizhsr_ssim": ("SSIM: BreizhSR", 4),
    "mae": ("MAE, reflectance: ours", 5),
    "worldstrat_mae_published": ("MAE, reflectance: WorldStrat as published", 5),
    "worldstrat_mae_intended": ("MAE, reflectance: WorldStrat as intended", 5),
    "breizhsr_mae": ("MAE, 8 bits: BreizhSR", 2),
    "breizhsr_shift_mae": ("MAE at the best shift, 8 bits: BreizhSR", 2),
    "breizhsr_mse": ("MSE, 8 bits²: BreizhSR", 2),
}


def tables(rows: Sequence[Row]) -> str:
    """A table for each kind of pairs, figure by figure: both systems, and their difference."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    found = [(kind, list(lines([row for row in rows if row.kind == kind]))) for kind in kinds]
    told = [(kind, body) for kind, body in found if body]
    if not any("PROBA-V" in line for _, body in told for line in body):
        raise InputError(
            f"no figures of {' and '.join(SYSTEMS)} by other conventions; evaluate with --extra all"
        )
    head = [f"| figure | {' | '.join(SYSTEMS)} | {SYSTEMS[1]} − {SYSTEMS[0]} |"]
    head.append("| --- | ---: | ---: | ---: |")
    return "\n\n".join("\n".join([f"**{kind}**", "", *head, *body]) for kind, body in told)


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """One line of a table for each figure that both systems have."""
    for name, (heading, digits) in FIGURES.items():
        first, second = (by_patch(rows, system, name) for system in SYSTEMS)
        if not first and not second:
            continue
        if missing := first.keys() ^ second.keys():
            site, patch, _ = min(missing)
            raise InputError(
                f"{name} of {site}, {patch} is there for one system only; evaluate both again"
            )
        before, after = over_sites(first), over_sites(second)
        values = f"{before:.{digits}f} | {after:.{digits}f} | {after - before:+.{digits}f}"
        yield f"| {heading} | {values} |"


def by_patch(rows: Sequence[Row], system: str, name: str) -> dict[tuple[str, str, int], float]:
    """The figure of every patch of a system, by site, patch and seed."""
    return {
        (row.site, row.patch, row.seed): row.figures[name]
        for row in rows
        if row.system == system and math.isfinite(row.figures.get(name, math.nan))
    }


def over_sites(values: dict[tuple[str, str, int], float]) -> float:
    """Mean over sites of the means over their patches."""
    sites: defaultdict[str, list[float]] = defaultdict(list)
    for (site, _, _), value in values.items():
        sites[site].append(value)
    return fmean(fmean(patches) for patches in sites.values())


def main(scores: Path, page: Path) -> None:
    """Write the tables into the page, whole or not at all."""
    rows, _ = read_rows(scores)
    before, rest = page.read_text().split(START)
    _, after = rest.split(END)
    aside = page.with_suffix(".part")
    aside.write_text(f"{before}{START}\n{tables(rows)}\n{END}{after}")
    os.replace(aside, page)


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    defaults = [ROOT / "docs/results/validation/scores.parquet", ROOT / "docs/conventions.md"]
    try:
        main(*given, *defaults[len(given) :])
    except InputError as error:
        sys.exit(str(error))
