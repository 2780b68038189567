"""All dates of a series at a glance: on a line, and as a strip of small pictures."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from sitsr.report.pictures import data_uri
from sitsr.scenes.write.pictures import as_seen, fit, natural_colour
from sitsr.series import Series

THUMB = 150
"""Pixels along the longer side of a small picture."""
TINT = np.array([224, 60, 120], np.float32)
"""Colour laid over what is not clear."""


def strip(series: Series, target: date, chosen: int) -> str:
    """One list entry for each date, with its picture, distance and clear share."""
    entries = []
    for index, day in enumerate(series.dates):
        marked = ' class="chosen"' if index == chosen else ""
        shown = "<br><em>shown above</em>" if index == chosen else ""
        entries.append(
            f'<li{marked}><img src="{thumb(series, index)}" alt="Sentinel-2, {day}">'
            f"<div><b>{day}</b>{signed_days((day - target).days)}<br>"
            f"{100 * series.clear[index].mean():.0f} % clear{shown}</div></li>"
        )
    return "".join(entries)


def thumb(series: Series, index: int) -> str:
    """One date in natural colour, tinted where it is not clear."""
    picture = natural_colour(as_seen(series, index), series.bands)
    unclear = ~series.clear[index]
    picture[unclear] = (picture[unclear] * 0.6 + TINT * 0.4).astype(np.uint8)
    return data_uri(fit(picture, THUMB), "JPEG", quality=82)


def signed_days(days: int) -> str:
    """The distance to the target in words: "the day itself", "12 days before"."""
    if days == 0:
        return "the day itself"
    return f"{abs(days)} {'day' if abs(days) == 1 else 'days'} {'before' if days < 0 else 'after'}"


def timeline(series: Series, target: date) -> str:
    """The dates on a line, fuller where clearer, and the target across it; SVG."""
    first, last = min(series.dates[0], target), max(series.dates[-1], target)
    length = max((last - first).days, 1)

    def across(day: date) -> float:
        return 20 + 960 * (day - first).days / length

    dots = "".join(
        f'<circle class="date" cx="{across(day):.1f}" cy="46" r="6" '
        f'fill-opacity="{series.clear[index].mean():.2f}"><title>{day}</title></circle>'
        for index, day in enumerate(series.dates)
    )
    ticks = "".join(
        f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="40" y2="58"/>'
        f'<text x="{x:.1f}" y="76" text-anchor="middle">{name}</text>'
        for x, name in ((across(day), name) for day, name in marks(first, last))
    )
    x = across(target)
    anchor = "start" if x < 100 else "end" if x > 900 else "middle"
    return (
        '<svg class="timeline" viewBox="0 0 1000 84" role="img" aria-label="Dates of the images">'
        f'<line class="axis" x1="20" x2="980" y1="46" y2="46"/>{ticks}'
        f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="62"/>{dots}'
        f'<text class="target-name" x="{x:.1f}" y="13" text-anchor="{anchor}">{target}</text></svg>'
    )


def marks(first: date, last: date) -> list[tuple[date, str]]:
    """Days to mark on the line: new years, or firsts of months if that gives few."""
    days = [first + timedelta(number) for number in range((last - first).days + 1)]
    years = [(day, f"{day.year}") for day in days if (day.month, day.day) == (1, 1)]
    months = [
        (day, f"{day:%b}" if day.month > 1 else f"{day.year}") for day in days if day.day == 1
    ]
    return months if len(months) <= 14 else years
