"""The tables of docs/investigation.md, from what was scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sitsr.datasets import LANDSAT, REAL
from sitsr.evaluation import MEASURES, Row, across_sites, read_rows
from sitsr.evaluation.rows import written_aside
from sitsr.evaluation.suites import AT_SENSOR

TRANSFER, HELD_OUT = "scale transfer", "scale transfer, date held out"

Told = Callable[[Row], bool]


def place(kind: str, *sites: str) -> Told:
    """Rows of a kind: those of these sites, or of all but boadella and flanders."""
    tested = ("boadella", "flanders")
    return lambda row: row.kind == kind and (row.site in sites if sites else row.site not in tested)


def at_sensor(gap: int) -> Told:
    """Held-out dates whose nearest images lie this many days away or more."""
    return lambda row: row.kind == AT_SENSOR and f" {gap} days apart" in row.patch


def patch(kind: str, text: str) -> Told:
    return lambda row: row.kind == kind and text in row.patch


def every(kind: str) -> Told:
    return lambda row: row.kind == kind


OVER = "over bicubic"
"""Put before a measure: its difference from bicubic on the same patches."""

SIGHTS = {
    "validation sites": place(TRANSFER),
    "validation sites, date held out": place(HELD_OUT),
    "boadella, date held out": place(HELD_OUT, "boadella"),
    "flanders, date held out": place(HELD_OUT, "flanders"),
    "boadella and flanders, held-out date at 10 m": at_sensor(0),
}

GAINS = [(f"{name}: PSNR {OVER}, dB", told, f"{OVER} psnr") for name, told in SIGHTS.items()]

REAL_PAIRS: Sequence[tuple[str, Told, str]] = [
    (f"scale transfer: PSNR {OVER}, dB", place(TRANSFER), f"{OVER} psnr"),
    *(
        column
        for pair in ("pair 0", "pair 3")
        for column in (
            (f"{pair}: PSNR {OVER}, dB", patch(REAL, pair), f"{OVER} psnr"),
            ("at equal contrast", patch(REAL, pair), f"{OVER} psnr_contrast"),
            ("detail", patch(REAL, pair), "detail"),
        )
    ),
    (f"Landsat-8 to Sentinel-2: PSNR {OVER}, dB", every(LANDSAT), f"{OVER} psnr"),
    ("at equal contrast", every(LANDSAT), f"{OVER} psnr_contrast"),
    ("detail", every(LANDSAT), "detail"),
]

COLUMNS: Mapping[str, Sequence[tuple[str, Told, str]]] = {
    "fusion": GAINS,
    "frames": [
        *GAINS,
        *(
            (f"held out at 10 m, {gap} days apart: PSNR, dB", at_sensor(gap), "psnr")
            for gap in (30, 90, 180)
        ),
    ],
    "simulated": REAL_PAIRS,
    "sensor": REAL_PAIRS,
    "real": [
        column
        for pair in ("pair 0", "pair 2", "pair 3")
        for column in (
            (f"{pair}: PSNR {OVER}, dB", patch(REAL, pair), f"{OVER} psnr"),
            ("at equal contrast", patch(REAL, pair), f"{OVER} psnr_contrast"),
            (f"detail {OVER}", patch(REAL, pair), f"{OVER} detail"),
            ("consistency", patch(REAL, pair), "consistency"),
        )
    ]
    + [
        (f"Landsat-8 to Sentinel-2: PSNR {OVER}, dB", every(LANDSAT), f"{OVER} psnr"),
        (f"detail {OVER}", every(LANDSAT), f"{OVER} detail"),
    ],
    "samplers": [
        (f"{TRANSFER}: CRPS", every(TRANSFER), "crps"),
        ("coverage of 90 %", every(TRANSFER), "coverage90"),
        ("texture distance of a sample", every(TRANSFER), "sample_texture"),
        ("spectrum error of a sample, dB", every(TRANSFER), "sample_spectrum_error"),
        ("consistency", every(TRANSFER), "consistency"),
        ("date held out: CRPS", every(HELD_OUT), "crps"),
        ("coverage of 90 %", every(HELD_OUT), "coverage90"),
        ("texture distance of a sample", every(HELD_OUT), "sample_texture"),
        ("MFLOP a pixel", every(TRANSFER), "mflop"),
    ],
    "alsat2b": [
        column
        for site in ("Agriculture", "Urban")
        for column in (
            (f"{site}: PSNR, dB", lambda row, site=site: row.site == site, "psnr"),
            ("SSIM", lambda row, site=site: row.site == site, "ssim"),
        )
    ]
    + [("MFLOP a pixel", lambda row: True, "mflop")],
}


def write(page: Path, kept: Path) -> None:
    """Put the table of every part that was scored between its markers."""
    text = page.read_text(encoding="utf-8")
    for part in COLUMNS:
        scores = kept / f"{part}.parquet"
        start, end = (
            f"<!-- {part}: written by scripts/investigate.py -->",
            f"<!-- end of {part} -->",
        )
        if not scores.exists() or start not in text:
            continue
        before, rest = text.split(start)
        _, after = rest.split(end)
        text = f"{before}{start}\n{table(part, scores)}\n{end}{after}"
    with written_aside(page) as aside:
        aside.write_text(text, encoding="utf-8")


def table(part: str, scores: Path) -> str:
    """One line a system: means over sites, and what its training took."""
    rows, made = read_rows(scores)
    systems = {row.system for row in rows}
    took = {run: told for run, told in made["trained"].items() if any(run in s for s in systems)}
    columns = [each for each in COLUMNS[part] if any(each[1](row) for row in rows)]
    headings = ["", *(heading for heading, _, _ in columns), *(["trained"] if took else [])]
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 1)]
    for system in dict.fromkeys(row.system for row in rows):
        cells = [cell(rows, system, told, measure) for _, told, measure in columns]
        lines.append([system, *cells, *([trained(took, system)] if took else [])])
    counts = {heading: count(rows, told) for heading, told, _ in columns if ":" in heading}
    notes = "; ".join(f"{heading.split(':')[0]}: {told}" for heading, told in counts.items())
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{notes}."


def cell(rows: Sequence[Row], system: str, told: Told, measure: str) -> str:
    """The mean over sites of a measure, or of its difference from bicubic."""
    name = measure.removeprefix(f"{OVER} ")
    own = {(row.kind, row.site, row.patch): row.figures for row in rows if row.system == system}
    base = {(row.kind, row.site, row.patch): row.figures for row in rows if row.system == "bicubic"}
    shown = {key for key in own if any(told(row) for row in rows if row.key[1:4] == key)}
    values = [
        (key[1], key[2], own[key][name] - (base[key][name] if name != measure else 0.0))
        for key in sorted(shown)
        if name in own[key]
    ]
    if not values:
        return "–"
    digits = MEASURES[name].digits
    return f"{across_sites(values, 0).mean:{'+' if name != measure else ''}.{digits}f}"


def count(rows: Sequence[Row], told: Told) -> str:
    """How many sites and patches a column tells of."""
    found = {(row.site, row.patch) for row in rows if told(row)}
    sites = len({site for site, _ in found})
    return f"{sites} site{'s' * (sites > 1)}, {len(found)} patch{'es' * (len(found) > 1)}"


def trained(took: Mapping[str, str], system: str) -> str:
    """Batches and hours of the run that a system is of."""
    run = next((run for run in sorted(took, key=len, reverse=True) if system.startswith(run)), "")
    return took.get(run, "–").rpartition("; ")[2]
