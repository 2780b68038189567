"""The page about an evaluation says everything, leans on nothing outside, and breaks on nothing."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sitsr.evaluation.measures import MEASURES
from sitsr.evaluation.page import certainty, gaps, head, patches, places, ranking, room
from sitsr.evaluation.page import write_page as write
from sitsr.evaluation.page.lines import Dot, Line, Look, lines_chart, reaching
from sitsr.evaluation.page.markdown import html_of
from sitsr.evaluation.page.scores import Scores, gathered, kinds
from sitsr.evaluation.rows import Row
from sitsr.evaluation.statistics import Interval
from sitsr.evaluation.study import Example, Role, Study
from sitsr.report import svg

BICUBIC, OURS, SHUFFLED, TRUTH = "bicubic", "ours 1 step", "dates shuffled", "reference, consistent"
ROLES: Mapping[str, Role] = {
    BICUBIC: "baseline",
    OURS: "system",
    SHUFFLED: "control",
    TRUTH: "oracle",
}
GAIN = {BICUBIC: 0.0, OURS: 1.8, SHUFFLED: 1.1, TRUTH: 6.0}
TABLE = "## scale transfer\n\n| system | PSNR |\n| --- | ---: |\n| ours | −1.5 |\n"
HOSTILE = "<script>alert('x')</script>\"&$title"


def make_figures(system: str, psnr: float, gap: int) -> dict[str, float]:
    """What a system scores on a patch on which bicubic has this PSNR."""
    psnr += GAIN.get(system, 0.5)
    error = 10 ** (-psnr / 20)
    figures = {
        "psnr": psnr,
        "rmse": error,
        "mae": 0.7 * error,
        "crps": 0.6 * error,
        "ssim": 1 - error,
        "detail": 0.3 + 0.1 * GAIN.get(system, 0.5),
        "texture": 0.4 - 0.04 * GAIN.get(system, 0.5),
        "consistency": 0.003 - 0.0003 * GAIN.get(system, 0.5),
        "gap_days": float(gap),
        "seconds_km2": 2.0,
    }
    if system in (OURS, SHUFFLED):
        figures |= {"mflop": 5.0, "sample_psnr": psnr - 3, "sample_texture": 0.2}
        figures |= {"coverage50": 0.49, "coverage80": 0.79, "coverage90": 0.9, "spread_skill": 1.0}
        figures |= {"sample_drop": 3.0}
        figures |= {f"rank_{rank:02}": 100.0 + rank for rank in range(5)}
        figures |= {f"risk_{share}": error * share / 100 for share in range(10, 101, 10)}
    return figures


def make_rows(
    kind: str = "scale transfer", sites: int = 6, systems: Sequence[str] = tuple(ROLES)
) -> list[Row]:
    """Sites that differ more than systems, two patches each, the gain a little different."""
    chance = np.random.default_rng(sites)
    return [
        Row(system, f"site{site}", f"2020-0{patch + 1}-03", kind, 0, 0.1, figures)
        for site in range(sites)
        for patch in range(2)
        for level in [28 + site + chance.normal()]
        for system in systems
        for figures in [make_figures(system, level + 0.01 * chance.normal(), 5 + 20 * patch)]
    ]


def make_example(kind: str = "scale transfer", rows: int = 6, cols: int = 9) -> Example:
    """A patch of rows × cols low-resolution pixels, scale 4, four bands."""
    chance = np.random.default_rng(rows)
    bands = ("B02", "B03", "B04", "B08")
    seen = chance.uniform(0.02, 0.2, (4, rows, cols)).astype(np.float32)
    reference = seen.repeat(4, 1).repeat(4, 2)
    clear = np.ones(reference.shape[1:], bool)
    clear[:5, :7] = False
    images = {BICUBIC: reference + np.float32(0.02), f"{OURS}: mean": reference + np.float32(0.01)}
    images[f"{OURS}: a sample"] = reference + np.float32(0.03)
    spread = np.full(clear.shape, 0.015, np.float32)
    return Example(
        kind, "site0", "2020-01-03", "best", bands, seen, reference, clear, images, spread
    )


def make_study(**fields: object) -> Study:
    """A study of one kind with an example, but for what is given."""
    given = {
        "rows": make_rows(),
        "roles": ROLES,
        "controls": {SHUFFLED: OURS},
        "against": BICUBIC,
        "main": OURS,
        "family": [(OURS, BICUBIC, "psnr")],
        "configuration": {"weights": "3fa9", "command": "sitsr evaluate --data DATA --split all"},
        "examples": [make_example()],
    }
    return Study(**{**given, **fields})  # type: ignore[arg-type]


def page(study: Study, folder: Path, table: str = TABLE) -> str:
    """The page's text."""
    write(study, table, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_asks_nothing_of_a_network(tmp_path: Path) -> None:
    text = page(make_study(), tmp_path)
    assert "http://" not in text and "https://" not in text and "@import" not in text
    links = [
        a.get("src") or a.get("href") for _, a in Reader(text).tags if "src" in a or "href" in a
    ]
    assert links and all(link and link.startswith(("data:image/", "#")) for link in links)
    assert "default-src 'none'" in text


def test_every_tag_is_closed_and_no_id_is_used_twice(tmp_path: Path) -> None:
    rows = make_rows() + make_rows("real pair", sites=1)
    reader = Reader(page(make_study(rows=rows), tmp_path))
    assert not reader.open
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 4
    labels = {attributes["for"] for tag, attributes in reader.tags if tag == "label"}
    assert labels <= set(ids)


def test_every_system_kind_and_the_command_are_named(tmp_path: Path) -> None:
    rows = make_rows() + make_rows("real pair", sites=1)
    said = Reader(page(make_study(rows=rows), tmp_path)).said
    for name in (*ROLES, "scale transfer: 6 sites, 12 patches", "real pair: 1 site, 2 patches"):
        assert name in said
    assert "sitsr evaluate --data DATA --split all" in said
    assert '"weights": "3fa9"' in said


def test_warnings_stand_before_the_charts(tmp_path: Path) -> None:
    text = page(make_study(rows=make_rows(sites=3)), tmp_path)
    told = head.cautions(kinds(make_study(rows=make_rows(sites=3))))
    assert told and told in text
    assert "With 3 sites" in told and text.index("With 3 sites") < text.index("<svg")


def test_a_measure_that_rewards_a_control_is_warned_of() -> None:
    rows = [
        replace(row, figures=row.figures | {"texture": 0.1 + 0.001 * int(row.site[-1])})
        if row.system == SHUFFLED
        else row
        for row in make_rows()
    ]
    (scores,) = kinds(make_study(rows=rows))
    assert any(
        "texture distance rewards dates shuffled" in told for told in head.of_controls(scores)
    )
    (fair,) = kinds(make_study())
    assert not any("rewards" in told for told in head.of_controls(fair))


def test_what_the_sites_do_not_decide_is_said() -> None:
    chance = np.random.default_rng(0)
    rows = [
        replace(row, figures=row.figures | {"psnr": 30 + chance.normal()}) for row in make_rows()
    ]
    (scores,) = kinds(make_study(rows=rows))
    assert any("not resolvable with 6 sites" in told for told in head.unresolved(scores))
    (decided,) = kinds(make_study())
    assert not head.unresolved(decided)


def test_a_control_that_cannot_be_judged_is_said_not_hidden() -> None:
    rows = [row for row in make_rows() if (row.system, row.site) != (SHUFFLED, "site2")]
    (scores,) = kinds(make_study(rows=rows))
    assert any("could not be judged" in told for told in head.of_controls(scores))


def test_hostile_names_are_shown_as_they_are(tmp_path: Path) -> None:
    roles = {BICUBIC: "baseline", HOSTILE: "system"}
    rows = [
        replace(row, system=HOSTILE if row.system == OURS else row.system, site=HOSTILE + row.site)
        for row in make_rows(HOSTILE, systems=(BICUBIC, OURS))
    ]
    example = replace(
        make_example(HOSTILE),
        site=HOSTILE,
        patch=HOSTILE,
        images={HOSTILE: make_example().reference},
    )
    study = make_study(
        rows=rows,
        roles=roles,
        main=HOSTILE,
        family=[(HOSTILE, BICUBIC, "psnr")],
        examples=[example],
        configuration={"command": HOSTILE, HOSTILE: HOSTILE},
    )
    reader = Reader(page(study, tmp_path, f"# {HOSTILE}\n\n| {HOSTILE} |\n|---|\n| {HOSTILE} |"))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert not any(key.startswith("on") for _, attributes in reader.tags for key in attributes)
    assert f"Evaluation of {HOSTILE}" in reader.said


def test_a_study_without_rows_still_makes_a_page(tmp_path: Path) -> None:
    text = page(make_study(rows=[], examples=[], configuration={}), tmp_path, "")
    assert "No patch was scored" in text and "The command was not recorded" in text


@pytest.mark.parametrize("sites", [1, 2])
def test_one_system_alone_makes_a_page(sites: int, tmp_path: Path) -> None:
    study = make_study(rows=make_rows(sites=sites, systems=(OURS,)), roles={OURS: "system"})
    assert OURS in Reader(page(study, tmp_path)).said


def test_no_number_that_is_missing_reaches_a_chart(tmp_path: Path) -> None:
    rows = make_rows()
    holes = [math.nan, math.inf, -math.inf]
    rows = [
        replace(row, figures={name: holes[n % 3] for name in row.figures}) if n % 5 == 0 else row
        for n, row in enumerate(rows)
    ]
    text = page(make_study(rows=rows, examples=[]), tmp_path)
    for _, attributes in Reader(text).tags:
        for name in ("x", "y", "x1", "x2", "cx", "cy", "d", "points", "width", "height"):
            assert not re.search("nan|inf", attributes.get(name) or "")
    assert "with a number on some patches only" in text


def test_who_lacks_patches_is_left_out_and_named_with_how_many() -> None:
    rows = [
        replace(row, figures={**row.figures, "psnr": math.nan})
        if (row.system, row.site) == (OURS, "site3")
        else row
        for row in make_rows()
    ]
    (scores,) = kinds(make_study(rows=rows))
    assert f"{OURS} (10 of 12)" in ranking.missing(scores, "psnr")
    assert OURS not in scores.ranked("psnr") and math.isnan(scores.mean(OURS, "psnr"))
    assert OURS in scores.ranked("ssim") and not ranking.missing(scores, "ssim")
    assert f"Without a number: {BICUBIC}, {TRUTH}." in ranking.missing(scores, "mflop")


def test_the_page_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def fails(*_: object) -> dict[str, str]:
        raise RuntimeError("no more room")

    monkeypatch.setattr("sitsr.evaluation.page.parts", fails)
    with pytest.raises(RuntimeError):
        write(make_study(), TABLE, path)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "before"


def test_kinds_have_sections_of_their_own_and_share_no_number() -> None:
    low, high = make_rows("one"), make_rows("two")
    high = [replace(row, figures={"psnr": row.figures["psnr"] + 50}) for row in high]
    first, second = kinds(make_study(rows=[*low, *high]))
    assert second.mean(OURS, "psnr") - first.mean(OURS, "psnr") == pytest.approx(50)
    assert (first.kind, second.kind) == ("one", "two")


def test_seeds_then_patches_then_sites_are_averaged() -> None:
    values = {("a", "p", 0): 1.0, ("a", "p", 1): 3.0, ("a", "q", 0): 6.0, ("b", "p", 0): 10.0}
    rows = [Row("s", a, p, "k", seed, 0.0, {"psnr": v}) for (a, p, seed), v in values.items()]
    scores = gathered("k", make_study(rows=rows), rows)
    assert scores.mean("s", "psnr") == ((2 + 6) / 2 + 10) / 2


def test_a_single_site_has_no_mean_and_no_interval() -> None:
    (scores,) = kinds(make_study(rows=make_rows("real pair", sites=1)))
    line = ranking.line_of(scores, OURS, scores.values(OURS, "psnr"))
    assert math.isnan(line.value) and line.interval is None
    assert [dot.numeral for dot in line.dots] == ["1", "2"]
    drawn = ranking.ranking(scores, "group")
    assert "interval psnr" not in drawn and 'class="interval' not in drawn
    assert 'class="numeral' in drawn


def test_systems_stand_in_order_of_merit_whichever_way_is_better() -> None:
    (scores,) = kinds(make_study())
    best_first = [TRUTH, OURS, SHUFFLED, BICUBIC]
    assert scores.ranked("psnr") == scores.ranked("rmse") == best_first


def test_differences_are_drawn_to_scale() -> None:
    interval = Interval(1.0, 0.5, 2.0, 6)
    chart = lines_chart([Line("s", "system", 1.0, interval)], Look("PSNR, dB", 2, "+", at=0.0))
    (centre,) = (float(x) for x in re.findall(r'circle cx="([\d.]+)"', chart))
    low, high = re.findall(
        r'class="interval system" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', chart
    )[0]
    zero = float(re.findall(r'class="zero" x1="([\d.]+)"', chart)[0])
    unit = centre - zero
    assert float(low) - zero == pytest.approx(0.5 * unit, abs=0.2)
    assert float(high) - zero == pytest.approx(2 * unit, abs=0.2)


def test_a_far_off_control_is_left_at_the_edge_with_an_arrow() -> None:
    lines = [Line("a", "system", 30.0), Line("b", "baseline", 29.0), Line("c", "control", 5.0)]
    look = Look("PSNR, dB", 2)
    axis = reaching(lines, look, 0, 100)
    assert axis.inside(29) and not axis.inside(5)
    assert lines_chart(lines, look).count('class="off control"') == 1
    near = [*lines[:2], Line("c", "control", 28.5)]
    assert reaching(near, look, 0, 100).inside(28.5)
    alone = [*lines[:2], Line("c", "control", math.nan, None, (Dot("p", 5.0, "1"),))]
    assert lines_chart(alone, look).count('class="off control"') == 1


@pytest.mark.parametrize(
    ("values", "log"),
    [((0.0, 1.0), False), ((-2.3, 7.7), False), ((0.4, 900.0), True), ((2, 3), True)],
)
def test_ticks_are_round_inside_and_in_order(values: tuple[float, float], log: bool) -> None:
    axis = (svg.spanning_log if log else svg.spanning)(values, 40, 500)
    ticks = axis.ticks()
    assert len(ticks) >= 2 and ticks == sorted(ticks) and all(axis.inside(tick) for tick in ticks)
    assert len({axis.label(tick) for tick in ticks}) == len(ticks)
    assert all(40 <= axis.at(tick) <= 500 for tick in ticks)
    assert all(float(svg.minus(axis.label(t)).replace("−", "-")) == pytest.approx(t) for t in ticks)


def test_equal_values_still_have_an_axis() -> None:
    for value in (0.0, 30.0, 30.0 + 4e-15, -1e-4):
        axis = svg.spanning([value, 30.0] if value > 29 else [value], 0, 100)
        assert axis.ticks() and 0 < axis.at(value) < 100


def test_names_that_are_too_near_move_apart_and_keep_their_order() -> None:
    moved = svg.apart([10.0, 11.0, 12.0, 80.0], 15)
    assert moved == [pytest.approx(v) for v in (-4.0, 11.0, 26.0, 80.0)]
    assert svg.apart([5.0, 40.0], 15) == [5.0, 40.0]


def test_minus_signs_are_true_and_dates_are_left_alone() -> None:
    assert svg.minus("-0.5 [-1, +2] on 2020-01-13, over-confident") == (
        "−0.5 [−1, +2] on 2020-01-13, over-confident"
    )


def test_no_name_covers_another_or_a_point() -> None:
    chance = np.random.default_rng(1)
    spots = [(float(x), float(y)) for x, y in chance.uniform((180, 90), (340, 250), (14, 2))]
    frame = (50.0, 20.0, 500.0, 330.0)
    boxes = places.placed(spots, [70.0] * len(spots), spots, frame)
    for n, box in enumerate(boxes):
        assert (
            frame[0] <= box[0] and box[2] <= frame[2] and frame[1] <= box[1] and box[3] <= frame[3]
        )
        for other in boxes[n + 1 :]:
            across = min(box[2], other[2]) - max(box[0], other[0])
            down = min(box[3], other[3]) - max(box[1], other[1])
            assert across <= 1e-9 or down <= 1e-9
        assert not any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in spots)


def test_shared_area_is_that_of_the_rectangles() -> None:
    one, other = np.array([[0.0, 0, 4, 2]]), np.array([[3.0, 1, 9, 9], [4, 0, 5, 2]])
    assert places.shared(one, other) == 1.0


def test_rank_shares_are_averaged_over_sites_not_pixels() -> None:
    counts = {("a", "p"): (1.0, 3.0), ("b", "p"): (900.0, 100.0)}
    rows = [
        Row(OURS, a, p, "k", 0, 0.0, {"rank_00": c[0], "rank_01": c[1]})
        for (a, p), c in counts.items()
    ]
    scores = gathered("k", make_study(rows=rows), rows)
    assert certainty.rank_shares(scores, OURS) == pytest.approx(
        [(0.25 + 0.9) / 2, (0.75 + 0.1) / 2]
    )
    assert certainty.rank_shares(gathered("k", make_study(), make_rows()), BICUBIC) == []


def test_the_room_used_is_the_share_of_the_way_to_the_ceiling() -> None:
    (scores,) = kinds(make_study())
    (track,) = room.tracks(scores, "psnr")
    assert (track.floor, track.ceiling, track.best) == (BICUBIC, TRUTH, OURS)
    assert room.share_used(track, OURS, "psnr") == pytest.approx(1.8 / 6, abs=0.01)
    (less_is_better,) = room.tracks(scores, "consistency")
    assert room.share_used(less_is_better, OURS, "consistency") == pytest.approx(1.8 / 6, abs=0.01)


def test_the_ceiling_is_the_oracle_that_agrees_with_what_was_seen() -> None:
    perfect = [
        replace(row, system="reference", figures={"detail": 1.0, "consistency": 0.02})
        for row in make_rows(systems=(TRUTH,))
    ]
    study = make_study(rows=make_rows() + perfect, roles=ROLES | {"reference": "oracle"})
    (track,) = room.tracks(kinds(study)[0], "detail")
    assert track.ceiling == TRUTH and track.oracles == ("reference", TRUTH)


def test_without_an_oracle_there_is_no_room_to_show() -> None:
    (scores,) = kinds(make_study(rows=make_rows(systems=(BICUBIC, OURS))))
    assert room.room(scores) == ""


def test_gaps_are_grouped_only_where_they_are_many() -> None:
    few = {("s", f"{n}"): float(gap) for n, gap in enumerate((3, 3, 12, 40))}
    assert [len(group) for group in gaps.grouped(few)] == [2, 1, 1]
    many = {("s", f"{n}"): float(gap) for n, gap in enumerate((1, 2, 4, 6, 9, 30, 31, 35, 100))}
    assert [len(group) for group in gaps.grouped(many)] == [3, 2, 3, 1]


def test_error_is_drawn_against_the_gap_where_gaps_differ() -> None:
    (scores,) = kinds(make_study())
    drawn = gaps.gaps(scores)
    assert OURS in drawn and SHUFFLED not in drawn
    level = [replace(row, figures=row.figures | {"gap_days": 4.0}) for row in make_rows()]
    assert gaps.gaps(kinds(make_study(rows=level))[0]) == ""


def test_maps_of_error_and_uncertainty_share_one_scale() -> None:
    example = make_example()
    found = patches.error_of(example, make_study())
    assert found is not None
    name, error = found
    assert name == f"{OURS}: mean"
    np.testing.assert_allclose(error[example.clear], 0.01, atol=1e-6)
    assert np.isnan(error[~example.clear]).all()
    drawn = patches.shown(example, make_study(), 512)
    assert drawn.count("or more") == 1 and "rms 0.0100" in drawn and "rms 0.0150" in drawn
    assert "PSNR 40.00 dB" in drawn


def test_pictures_of_a_patch_share_one_stretch_and_keep_their_pixels() -> None:
    example = make_example()
    low, high = patches.stretch(example.seen, example.bands)
    uri = patches.picture(example.seen, example.bands, low, high)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    assert shown.shape == (6, 9, 3)
    share = (example.seen[2] - low) / (high - low)
    np.testing.assert_array_equal(shown[..., 0], np.rint(np.clip(share, 0, 1) * 255))


def test_what_is_shown_is_cut_alike_in_both_resolutions() -> None:
    coarse, fine = patches.middle((30, 50), 4, 64)
    assert coarse == (slice(7, 23), slice(17, 33))
    assert fine == (slice(28, 92), slice(68, 132))
    assert patches.middle((6, 9), 4, 512)[1] == (slice(0, 24), slice(0, 36))


def test_pictures_shrink_until_the_page_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(examples=[make_example(rows=40, cols=30)])
    whole = patches.examples(study)["scale transfer"]
    assert "Shown: the middle" not in whole
    monkeypatch.setattr(patches, "ROOM", len(whole) // 2)
    less = patches.examples(study)["scale transfer"]
    assert len(less) <= len(whole) // 2 and "Shown: the middle" in less


def test_rough_pictures_can_be_written() -> None:
    noise = np.random.default_rng(0).uniform(0, 1, (4, 160, 200)).astype(np.float32)
    assert patches.picture(noise, ("B02", "B03", "B04", "B08"), 0, 1).startswith("data:image/jpeg")


def test_markdown_becomes_html() -> None:
    words = "# A\n\nsome **bold** words\nand more\n\n- one\n- two `x`\n\n"
    markdown = words + "| a | b |\n|---|--:|\n| p\\|q | -1 |"
    assert html_of(markdown) == (
        "<h2>A</h2><p>some <b>bold</b> words and more</p>"
        '<ul class="plain"><li>one</li><li>two <code>x</code></li></ul>'
        '<div class="scroll"><table class="full"><thead><tr><th class="start">a</th>'
        '<th class="end">b</th></tr></thead><tbody><tr><td class="start">p|q</td>'
        '<td class="end">−1</td></tr></tbody></table></div>'
    )
    assert html_of("") == "" and html_of("|---|") and "<td" in html_of("| a | b |\n|---|\n| 1 |")


def test_what_a_user_wrote_never_becomes_mark_up() -> None:
    assert "<img" not in html_of("<img src=x> **<img>** `<img>`\n\n| <img> |\n|---|\n| <img> |")


def test_every_measure_with_a_pane_is_known() -> None:
    assert set(ranking.PRIMARY) | set(certainty.NOMINAL) | set(room.METRICS) <= set(MEASURES)
    assert all(isinstance(each, Scores) for each in kinds(make_study()))
