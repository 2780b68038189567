"""Where names can stand beside points, so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sitsr.report.svg import LINE

FAR = 12
"""Units from which on a line leads from a point to its name."""
ROUND = 6
"""Half the side of what a point itself covers."""

Spot = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in units."""
Boxes = npt.NDArray[np.float64]
"""[N, 4]"""


def placed(
    spots: Sequence[Spot], wide: Sequence[float], points: Sequence[Spot], frame: Box
) -> list[Box]:
    """A box of each width near its spot and inside the frame, clear of all points; in this order.

    Each takes the nearest place where neither it nor the line that leads to it covers anything, or
    else the place that covers least.
    """
    taken = [(x - ROUND, y - ROUND, x + ROUND, y + ROUND) for x, y in points]
    found = []
    for spot, width in zip(spots, wide, strict=True):
        box = _free(spot, width, np.array(taken), frame)
        found.append(box)
        taken += [box, *_way(spot, nearest(box, spot))]
    return found


def nearest(box: Box, spot: Spot) -> Spot:
    """The point of a box that is nearest to a spot."""
    return min(max(spot[0], box[0]), box[2]), min(max(spot[1], box[1]), box[3])


def shared(one: Boxes, other: Boxes) -> float:
    """The area that boxes [N, 4] share with others [M, 4], summed over all pairs."""
    first, second = one[:, None], other[None]
    sides = np.minimum(first, second)[..., 2:] - np.maximum(first, second)[..., :2]
    return float(np.maximum(sides, 0).prod(axis=-1).sum())


def _free(spot: Spot, wide: float, taken: Boxes, frame: Box) -> Box:
    best, least = (spot[0], spot[1], spot[0] + wide, spot[1] + LINE), math.inf
    near_first = sorted(_around(spot, wide), key=lambda box: math.dist(nearest(box, spot), spot))
    for box in near_first:
        if min(box[0] - frame[0], box[1] - frame[1], frame[2] - box[2], frame[3] - box[3]) < 0:
            continue
        covered = shared(np.array([box, *_way(spot, nearest(box, spot))]), taken)
        if covered < least:
            best, least = box, covered
        if covered == 0:
            break
    return best


def _around(spot: Spot, wide: float) -> Iterator[Box]:
    """To the right of a spot, to its left, above and below; near and farther."""
    for level in range(-8, 9):
        top = spot[1] + 13 * level - LINE / 2
        sides = [spot[0] + 8, spot[0] - 8 - wide, spot[0] + 40, spot[0] - 40 - wide]
        sides += [spot[0] - wide / 2] if abs(level) > 1 else []
        yield from ((left, top, left + wide, top + LINE) for left in sides)


def _way(start: Spot, end: Spot) -> list[Box]:
    """Small boxes along the line between two spots; none if they are near."""
    length = math.dist(start, end)
    if length <= FAR:
        return []
    shares = [step * 4 / length for step in range(2, int(length / 4))]
    along = [
        tuple(a + (b - a) * share for a, b in zip(start, end, strict=True)) for share in shares
    ]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in along]
