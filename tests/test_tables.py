"""Laws: kinds never share a number; every number in the page is that of the statistics; nothing is
left out in silence, and what cannot be told is said."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sitsr.datasets import REAL
from sitsr.evaluation.rows import Row
from sitsr.evaluation.statistics import across_sites, compare, scores
from sitsr.evaluation.tables import table
from sitsr.series import InputError

SITES, PATCHES = 7, 3
GAINS = {"bicubic": 0.0, "ours": 1.7, "texture": -1.0, "shuffled": 1.7}
CONTROLS = {"texture": "ours", "shuffled": "ours"}
FAMILY = [("ours", "bicubic", "psnr"), ("ours", "bicubic", "mae")]
KIND = "scale transfer"


def make_rows(kind=KIND, sites=SITES, systems=GAINS, seed=0, **more):
    """Rows of each system, some dB above the first, its sites scattering by 0.2 dB."""
    chance = np.random.default_rng(seed)
    ground = chance.normal(30, 3, sites)
    rows = []
    for name, gain in systems.items():
        for k, level in enumerate(ground + gain + 0.2 * chance.normal(size=sites)):
            for n in range(PATCHES):
                psnr = level + 0.3 * n
                texture = 0.5 - 0.2 * (name == "texture") + 0.001 * chance.normal()
                figures = {"psnr": psnr, "mae": 10 ** (-psnr / 20), "texture": texture, **more}
                rows.append(Row(name, f"site{k}", f"p{n}", kind, 0, 1.0, figures))
    return rows


def page(rows, against="bicubic", controls=CONTROLS, family=FAMILY, seed=0):
    return table(rows, against, controls, family, seed)


def part(text, heading):
    """The lines under one heading, up to the next."""
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("#") and heading in line)
    end = next((k for k in range(start + 1, len(lines)) if lines[k].startswith("#")), len(lines))
    return "\n".join(lines[start:end])


def cells(text, *first):
    """The cells of the line whose first cells are these."""
    split = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
    return next(line[len(first) :] for line in split if line[: len(first)] == list(first))


def spoil(rows, system, metric, patches=("p0",), sites=("site1",)):
    return [
        replace(row, figures=row.figures | {metric: math.nan})
        if (row.system == system or not system) and row.patch in patches and row.site in sites
        else row
        for row in rows
    ]


def test_the_means_are_those_of_the_statistics():
    rows = make_rows()
    told = scores(rows, "ours", "psnr")
    wanted = across_sites(((*key, value) for key, value in told.items()), 0)
    assert cells(part(page(rows), "Mean over sites"), "ours")[0] == wanted.text(2)


def test_the_differences_are_those_of_the_statistics_with_their_verdict():
    rows = make_rows()
    line = cells(part(page(rows), "Difference from bicubic"), "ours")
    wanted = compare(rows, "ours", "bicubic", "psnr", 0)
    assert line[0] == f"{wanted.difference.text(2, '+')} better, p_holm 0.031"
    worse = cells(part(page(rows), "Difference from bicubic"), "texture")
    assert worse[0].endswith("] worse")  # not declared: no corrected p
    assert "| bicubic |" not in part(page(rows), "Difference from bicubic")


def test_systems_stand_in_the_order_in_which_they_were_given():
    text = part(page(make_rows()), "Mean over sites")
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert names == ["system", "---", *GAINS]


def test_the_declared_family_is_told_with_what_it_can_resolve():
    text = part(page(make_rows()), "Declared comparisons")
    line = cells(text, "ours", "bicubic", "PSNR, dB")
    wanted = compare(make_rows(), "ours", "bicubic", "psnr", 0)
    assert line[1:4] == ["better, confirmed", "0.016", "0.031"]
    assert line[-1] == f"{wanted.resolvable:.2f}"
    assert "corrects it for 2 comparisons" in text
    assert "With 7 sites no p can lie below 0.016." in text


def test_a_family_too_large_for_its_sites_is_told_so():
    family = [("ours", "bicubic", name) for name in ("psnr", "mae", "texture")]
    family += [("ours", "texture", "psnr")]
    text = page(make_rows(), family=family)
    assert "which corrected is 0.062: none of these can be confirmed" in text
    assert ", confirmed" not in text


def test_a_difference_with_two_answers_is_not_called_confirmed():
    """19 sites a little better and one much worse: the ranks say yes, the interval no."""
    gains = np.array([0.1] * 19 + [-2.0])
    rows = [
        Row(name, f"site{k}", "p0", KIND, 0, 1.0, {"psnr": 30 + k + gain})
        for name, sign in (("bicubic", 0), ("ours", 1))
        for k, gain in enumerate(sign * gains)
    ]
    found = compare(rows, "ours", "bicubic", "psnr", 0)
    text = page(rows, controls={}, family=[("ours", "bicubic", "psnr")])
    assert found.confirmed and found.verdict.startswith("not resolvable")
    assert ", confirmed" not in text


def test_identical_systems_differ_by_nothing():
    rows = make_rows(systems={"bicubic": 0.0})
    rows += [replace(row, system="ours") for row in rows]
    text = part(page(rows, controls={}), "Difference from bicubic")
    assert cells(text, "ours")[0] == "+0.00 [+0.00, +0.00] equivalent, p_holm 1.000"


def test_kinds_never_share_a_number():
    rows = make_rows()
    other = make_rows("simulated", sites=8, seed=5)
    text = page(rows + other)
    first, second = text.split("## simulated (8 sites, 24 patches)")
    assert first.strip() == page(rows).strip()
    assert second.strip() == page(other).split(" patches)", 1)[1].strip()


@pytest.mark.parametrize(("kind", "sites"), [(REAL, 3), (f"{REAL}, one date", 2), (KIND, 1)])
def test_real_pairs_and_single_sites_are_listed_without_a_mean(kind, sites):
    rows = make_rows(kind, sites)
    rows += [replace(row, seed=1) for row in rows]
    text = page(rows)
    assert "Mean over" not in text and "Difference" not in text and "[" not in text
    assert "Pair by pair" in text and "2 seeds" in text
    lines = [line for line in text.splitlines() if line.startswith("| p")]
    assert len(lines) == 1 + sites * PATCHES * len(GAINS)
    wanted = next(row for row in rows if (row.system, row.patch) == ("ours", "p2"))
    assert cells(text, "p2 (site0)", "ours")[0] == f"{wanted.figures['psnr']:.2f}"


def test_a_number_that_one_system_lacks_is_a_dash_with_a_note():
    rows = spoil(make_rows(), "ours", "mae")
    text = page(rows)
    assert cells(part(text, "Mean over sites"), "ours")[1] == "–"
    assert "for no number on 1 patch where another system has one" in text
    assert ": ours in MAE" in text
    assert cells(part(text, "Difference"), "ours")[1] == "–"
    declared = part(text, "Declared")
    assert cells(declared, "ours", "bicubic", "MAE")[:2] == ["–", "not scored on the same patches"]
    assert "corrects it for 2 comparisons" in declared  # none drops out of the family
    assert cells(declared, "ours", "bicubic", "PSNR, dB")[3] == "0.031"


def test_patches_that_no_system_tells_are_counted_in_a_note():
    rows = spoil(make_rows(), "", "mae", ("p0", "p1", "p2"), ("site1", "site4"))
    assert "Of 21 patches, 15 of 5 sites tell: MAE" in page(rows)
    assert "tell:" not in page(make_rows())


def test_a_site_that_lacks_a_patch_shows_a_dash():
    text = part(page(spoil(make_rows(), "ours", "psnr")), "site by site")
    assert cells(text, "site1")[1] == "–" and cells(text, "site1")[0] != "–"
    assert cells(text, "site2")[1] != "–"


def test_the_sites_are_told_one_by_one():
    rows = make_rows()
    told = scores(rows, "ours", "psnr")
    wanted = np.mean([value for (site, _), value in told.items() if site == "site3"])
    assert cells(part(page(rows), "site by site"), "site3")[1] == f"{wanted:.2f}"


def test_controls_and_what_rewards_them_are_told():
    text = part(page(make_rows()), "Negative controls")
    assert cells(text, "texture", "ours") == ["psnr, mae", "texture", "–"]
    assert "**Beware:** texture distance rewards texture over ours by 0.2" in text
    assert "**Beware:** shuffled is not found worse than ours" in text


def test_a_control_that_was_not_scored_on_a_kind_is_said_to_be_missing():
    rows = make_rows() + make_rows("simulated", systems={"bicubic": 0.0, "ours": 1.0})
    first, second = page(rows).split("## simulated")
    assert "not scored on these pairs" not in first
    assert cells(second, "shuffled", "ours")[0] == "not scored on these pairs"


def test_calibration_is_told_of_systems_that_draw():
    rows = make_rows()
    right = {"coverage50": 0.5, "coverage80": 0.8, "coverage90": 0.9, "spread_skill": 1.0}
    rows = [
        replace(row, figures=row.figures | right | {"sample_drop": 3.0})
        if row.system == "ours"
        else row
        for row in rows
    ]
    text = part(page(rows), "Calibration")
    assert cells(text, "ours")[0] == "calibrated"
    assert "| bicubic |" not in text
    assert "Calibration" not in page(make_rows())


def test_calibration_on_some_patches_only_is_not_judged():
    right = {"coverage50": 0.5, "coverage80": 0.8, "coverage90": 0.9, "spread_skill": 1.0}
    rows = spoil(make_rows(**right), "ours", "coverage50")
    assert cells(part(page(rows), "Calibration"), "ours")[0].startswith("not judged")


def test_a_table_is_at_most_a_dozen_measures_wide():
    more = dict.fromkeys(
        ("ssim", "sam", "ergas", "detail", "resolution", "consistency", "ndvi_error", "flicker"),
        1.0,
    )
    more |= dict.fromkeys(("opensr_omission", "opensr_spatial", "mflop", "gap_days", "lpips"), 2.0)
    text = part(page(make_rows(**more)), "Mean over sites")
    heads = [line.count("|") - 2 for line in text.splitlines() if line.startswith("| system")]
    assert heads == [12, 4]


def test_every_line_of_a_table_has_as_many_cells():
    for block in page(make_rows()).split("\n\n"):
        if block.startswith("| "):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_same_seed_gives_the_same_page():
    assert page(make_rows()) == page(make_rows())
    assert page(make_rows()) != page(make_rows(), seed=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": []}, "no rows"),
        ({"against": "bicubc"}, r"did you mean bicubic\?"),
        ({"controls": {"texure": "ours"}}, r"did you mean texture\?"),
        ({"controls": {"texture": "our"}}, r"did you mean ours\?"),
        ({"family": [("oors", "bicubic", "psnr")]}, r"did you mean ours\?"),
        ({"family": [("ours", "bicubic", "psn")]}, "psn is not a measure"),
        ({"rows": make_rows()[:-1]}, "shuffled lacks patch p2 of site6"),
        ({"rows": make_rows()[: -2 * PATCHES]}, "shuffled lacks site site5, site site6"),
        ({"rows": [replace(row, figures={}) for row in make_rows()]}, "no row holds a measure"),
    ],
)
def test_bad_input_is_named(change, says):
    with pytest.raises(InputError, match=says) as error:
        page(**({"rows": make_rows()} | change))
    assert "\n" not in str(error.value)
