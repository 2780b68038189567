"""Systems measured side by side, on pairs of a series and the ground as it really was.

    rows = evaluate({"bicubic": ..., "ours": ...}, pairs)
    save_rows(rows, "rows.csv")
    print(table(rows, against="bicubic", seed=0))

A system is any function of a series and a date. It never sees the reference, all systems see the
same pairs, and the unit of every statistic is the site. Scale transfer, simulated and real pairs
answer different questions, so they never share a number.
"""

from sitsr.evaluation.figures import comparison_figure
from sitsr.evaluation.rows import Row, read_rows, save_rows
from sitsr.evaluation.scoring import (
    REAL,
    Alignment,
    Estimate,
    System,
    align,
    aligned,
    at_equal_contrast,
    baselines,
    deterministic,
    evaluate,
    prepare,
    score,
)
from sitsr.evaluation.tables import Interval, across_sites, paired, table

__all__ = [
    "REAL",
    "Alignment",
    "Estimate",
    "Interval",
    "Row",
    "System",
    "across_sites",
    "align",
    "aligned",
    "at_equal_contrast",
    "baselines",
    "comparison_figure",
    "deterministic",
    "evaluate",
    "paired",
    "prepare",
    "read_rows",
    "save_rows",
    "score",
    "table",
]
