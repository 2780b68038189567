"""How often and how clearly the ground was seen, and how far from the day of the reference."""

from __future__ import annotations

from collections.abc import Sequence

from sitsr.analysis.measuring import Measured
from sitsr.analysis.page import words
from sitsr.analysis.page.charts import histogram
from sitsr.report.panels import card


def when(measured: Sequence[Measured]) -> str:
    """Revisits, clear share, gaps, and days to the reference."""
    dates = [row for each in measured for row in each.dates]
    pairs = [each.pair for each in measured]
    lines = [
        [
            "acquisitions in a series",
            words.spread([row.dates for row in pairs], 0),
            str(len(pairs)),
        ],
        ["clear share of an acquisition", words.spread([r.clear for r in dates]), str(len(dates))],
        [
            "ground clear on one date or more, share",
            words.spread([row.seen for row in pairs]),
            str(len(pairs)),
        ],
        [
            "days between acquisitions",
            words.spread([row.gap for row in dates], 0),
            str(len(dates) - len(pairs)),
        ],
        [
            "days from the reference to the nearest clear date",
            words.spread([row.nearest_days for row in pairs], 1),
            str(len(pairs)),
        ],
    ]
    return (
        words.note(
            "A black line is the median. The nearer a clear acquisition lies to the day of the "
            "reference, the less of what differs between them is change on the ground. A series "
            "that serves several pairs counts with each of them."
        )
        + words.pair(
            card(
                "Acquisitions in a series",
                histogram([row.dates for row in pairs], "acquisitions", "pairs", whole=True),
            ),
            card(
                "Clear share of an acquisition",
                histogram([row.clear for row in dates], "share of pixels", "acquisitions", (0, 1)),
            ),
            card(
                "From one acquisition to the next",
                histogram([row.gap for row in dates], "days", "acquisitions", whole=True),
            ),
            card(
                "From the reference's day to an acquisition",
                histogram(
                    [row.days for row in dates],
                    "days, below 0 before it",
                    "acquisitions",
                    whole=True,
                ),
            ),
        )
        + words.framed(words.table(["", "median (10th to 90th percentile)", "n"], lines))
    )
