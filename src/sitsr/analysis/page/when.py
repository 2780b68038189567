"""How often and how clearly the ground was seen, and how far from the day of the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sitsr.analysis.measuring import Measured
from sitsr.analysis.page import words
from sitsr.analysis.page.charts import histogram
from sitsr.analysis.rows import DateRow, PairRow
from sitsr.report.panels import card


def when(measured: Sequence[Measured]) -> str:
    """Revisits, clear share, gaps, and days to the reference."""
    dates = [row for each in measured for row in each.dates]
    pairs = [each.pair for each in measured]
    counts = histogram([row.dates for row in pairs], "acquisitions", "pairs", whole=True)
    clear = histogram([row.clear for row in dates], "share of pixels", "acquisitions", (0, 1))
    gaps = histogram([row.gap for row in dates], "days", "acquisitions", whole=True)
    away = "days, below 0 before it"
    days = histogram([row.days for row in dates], away, "acquisitions", whole=True)
    return (
        words.note(
            "A black line is the median. The nearer a clear acquisition lies to the day of the "
            "reference, the less of what differs between them is change on the ground. A series "
            "that serves several pairs counts with each of them."
        )
        + words.pair(
            card("Acquisitions in a series", counts),
            card("Clear share of an acquisition", clear),
            card("From one acquisition to the next", gaps),
            card("From the reference's day to an acquisition", days),
        )
        + words.framed(_numbers(pairs, dates))
    )


def _numbers(pairs: Sequence[PairRow], dates: Sequence[DateRow]) -> str:
    told: list[tuple[str, Sequence[float], int]] = [
        ("acquisitions in a series", [row.dates for row in pairs], 0),
        ("clear share of an acquisition", [row.clear for row in dates], 3),
        ("ground clear on one date or more, share", [row.seen for row in pairs], 3),
        ("days between acquisitions", [row.gap for row in dates], 0),
        (
            "days from the reference to the nearest clear date",
            [row.nearest_days for row in pairs],
            1,
        ),
    ]
    lines = [
        [name, words.spread(values, digits), f"{sum(map(math.isfinite, values))}"]
        for name, values, digits in told
    ]
    return words.table(["", "median (10th to 90th percentile)", "n"], lines)
