"""Systems measured side by side, on pairs of a series and the ground as it really was.

    from sitsr.evaluation import Plan, run

    run(Plan(data=Path("DATA"), out=Path("evaluation")))

A system is any function of a task (a series, a date) and a seed; it never sees the reference. All
systems meet the same pairs under the same protocol (docs/evaluation.md), beside baselines and
negative controls. The unit of every statistic is the site, and pairs of different kinds (scale
transfer, simulated, real) never share a number.
"""

from sitsr.evaluation.alignment import Alignment, Prepared, align, at_equal_contrast, prepare
from sitsr.evaluation.bench import Plan, extras, run
from sitsr.evaluation.entrants import Entrant, baselines, competitor, controls, oracles
from sitsr.evaluation.figures import comparison_figure
from sitsr.evaluation.measures import MEASURES, Measure
from sitsr.evaluation.rows import Row, read_rows, save_rows
from sitsr.evaluation.scoring import Estimate, System, deterministic, score
from sitsr.evaluation.statistics import Comparison, Interval, across_sites, compare, family
from sitsr.evaluation.study import Example, Study
from sitsr.evaluation.suites import sources_in
from sitsr.evaluation.tables import table
from sitsr.evaluation.verdicts import calibration, rewarded

__all__ = [
    "MEASURES",
    "Alignment",
    "Comparison",
    "Entrant",
    "Estimate",
    "Example",
    "Interval",
    "Measure",
    "Plan",
    "Prepared",
    "Row",
    "Study",
    "System",
    "across_sites",
    "align",
    "at_equal_contrast",
    "baselines",
    "calibration",
    "compare",
    "comparison_figure",
    "competitor",
    "controls",
    "deterministic",
    "extras",
    "family",
    "oracles",
    "prepare",
    "read_rows",
    "rewarded",
    "run",
    "save_rows",
    "score",
    "sources_in",
    "table",
]
