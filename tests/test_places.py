"""Names stay in their folder, and no two patches share made-up ground."""

from __future__ import annotations

from pathlib import Path

import pytest

from sitsr.datasets.places import ACROSS, made_up_grid, within
from sitsr.series import InputError

OUTSIDE = ("../a.tif", "a/../../b.tif", "/etc/passwd", "a\\..\\..\\b", "C:\\a", "", "a\0b")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="lies outside that folder"):
        within(tmp_path, name)


@pytest.mark.parametrize("name", ["a.tif", "a/b.tif", "./a/b.tif", "a\\b.tif", "a..b/c.tif"])
def test_a_name_inside_is_found_there(tmp_path: Path, name: str) -> None:
    assert within(tmp_path, name).resolve().is_relative_to(tmp_path.resolve())


def test_made_up_ground_is_nobody_elses() -> None:
    boxes = [
        made_up_grid((7, 11), 300, number).boundingbox
        for number in (0, 1, 2, ACROSS - 1, ACROSS, ACROSS + 1, 3 * ACROSS)
    ]
    for k, one in enumerate(boxes):
        assert (one.right - one.left, one.top - one.bottom) == (11 * 300, 7 * 300)
        for other in boxes[:k]:
            apart = one.left >= other.right or other.left >= one.right
            assert apart or one.bottom >= other.top or other.bottom >= one.top
