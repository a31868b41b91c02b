"""The drawing: well-formed, nothing written over anything else, the same bytes, the true counts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache

import polars as pl
import pytest
from handmade import plan_of
from handmade_designs import clos, hpn_pod, rail_only, superpod
from hypothesis import given
from hypothesis import strategies as st
from planned import planned

from fabric.exports.drawing.arrange import PAGE
from fabric.exports.drawing.canvas import Canvas, TextBox, fit, overlapping, text_width
from fabric.exports.drawing.layout import Rect, abridge, divide, grid
from fabric.exports.drawings import compose, draw, fabric_svg
from fabric.plan import Plan
from fabric.summary import summarise

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>&\"'\x00\u202e]]>" + "x" * 120
DESIGNS = {
    "1 SU": lambda: superpod(1),
    "4 SU": lambda: superpod(4),
    "HPN pod": lambda: hpn_pod(15),
    "rail-only": lambda: rail_only(3),
    "rail-only, many": lambda: rail_only(12),
    "three tiers": lambda: clos(2, 1, 16),
    "three tiers, many pods": lambda: clos(16, 2, 32),
}
EXAMPLES = [
    "starter-32",
    "hpn7-pod",
    "hpn7-segment",
    "megascale-block",
    "ascend-a3",
    "superpod-h100-4su",
    "roce-131072",
]


@cache
def made(name: str) -> Plan:
    return plan_of(*DESIGNS[name]()) if name in DESIGNS else planned(name)


@pytest.mark.parametrize("name", [*DESIGNS, *EXAMPLES])
def test_nothing_is_written_over_anything_else(name: str) -> None:
    canvas, height = compose(made(name))
    assert overlapping(canvas.texts) == []
    outside = [box for box in canvas.texts if box.left < 0 or box.right > PAGE or box.top < 0 or box.bottom > height]
    assert outside == []


@pytest.mark.parametrize("name", [*DESIGNS, *EXAMPLES])
def test_every_tier_is_named_with_its_count(name: str) -> None:
    plan = made(name)
    root = ET.fromstring(draw(plan))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    for network in summarise(plan)["networks"].values():
        for tier in filter(None, network["switches"].values()):
            assert f"{tier['count']:,} × {tier['model']}" in texts


def test_same_plan_gives_the_same_bytes() -> None:
    assert fabric_svg(plan_of(*superpod(1))) == fabric_svg(plan_of(*superpod(1)))


@pytest.mark.parametrize("units", [1, 2, 3, 4])
def test_small_fabrics_show_every_switch_and_every_trunk(units: int) -> None:
    plan = plan_of(*superpod(units))
    root = ET.fromstring(draw(plan))
    titles = [element.text for element in root.iter(f"{SVG}title")]
    assert set(plan.fabric.switches["name"]) <= set(titles)
    trunks = plan.fabric.links.filter(pl.col("tier").cast(pl.String) == "leaf-spine")
    pairs = trunks.select("a_device", "b_device").n_unique()
    slanting = [line for line in root.iter(f"{SVG}line") if line.get("y1") != line.get("y2")]
    assert len(slanting) == pairs


def test_large_fabrics_are_aggregated() -> None:
    svg = draw(plan_of(*hpn_pod(15)))
    assert "… × 14 more" in svg
    assert "8 leaves × 60 × 400G" in svg
    assert len(svg) < 200_000


def test_drawing_grows_with_the_page_not_with_the_fabric() -> None:
    assert len(draw(made("roce-131072"))) < 3 * len(draw(made("superpod-h100-4su")))


def test_hostile_names_stay_text() -> None:
    plan = plan_of(*superpod(1))
    hostile = pl.lit(HOSTILE)
    fabric = replace(
        plan.fabric,
        switches=plan.fabric.switches.with_columns(name=hostile, model=hostile),
        hosts=plan.fabric.hosts.with_columns(name=hostile, model=hostile),
    )
    plan = replace(plan, fabric=fabric, design=replace(plan.design, name=HOSTILE))
    svg = draw(plan)
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()} <= {
        "svg", "title", "desc", "g", "rect", "line", "path", "text",
    }  # fmt: skip
    assert "<script" not in svg
    assert overlapping(compose(plan)[0].texts) == []


def test_no_attribute_can_run_or_load_anything() -> None:
    root = ET.fromstring(draw(plan_of(*hpn_pod(2))))
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or "href" in name or name == "style"]


def test_overlaps_are_found() -> None:
    canvas = Canvas()
    canvas.text(10, 20, "one line")
    canvas.text(14, 24, "another upon it")
    canvas.text(10, 60, "far away")
    assert [(a.text, b.text) for a, b in overlapping(canvas.texts)] == [("one line", "another upon it")]


def test_boxes_that_touch_do_not_overlap() -> None:
    left, right = TextBox("a", 0, 0, 10, 10), TextBox("b", 10, 0, 20, 10)
    assert not left.overlaps(right)
    assert left.overlaps(TextBox("c", 5, 5, 15, 15))


@given(st.text(max_size=80), st.floats(6, 30), st.floats(0, 400))
def test_fitted_text_fits(text: str, size: float, width: float) -> None:
    shown = fit(text, size, width)
    assert text_width(shown, size) <= width or shown == ""
    assert shown == text or text_width(text, size) > width


@given(st.text(max_size=60))
def test_any_text_makes_well_formed_xml(text: str) -> None:
    canvas = Canvas()
    canvas.text(0, 10, text)
    canvas.rect(0, 0, 5, 5, "#fff", title=text)
    with canvas.group(text):
        canvas.pill(5, 5, "x")
    ET.fromstring(canvas.to_svg(10, 10, text, text))


@given(st.lists(st.floats(0.5, 20), min_size=1, max_size=12), st.floats(0, 5))
def test_divided_rows_keep_their_width_and_shares(weights: list[float], gap: float) -> None:
    row = Rect(3, 0, 900, 10)
    pieces = divide(row, weights, gap)
    assert pieces[0].x == row.x
    assert pieces[-1].right == pytest.approx(row.right)
    assert [piece.w / pieces[0].w for piece in pieces] == pytest.approx([weight / weights[0] for weight in weights])


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 1))
def test_abridging_loses_nothing(number: int, slots: int, tail: int) -> None:
    items = list(range(number))
    shown = abridge(items, slots, tail)
    assert [*shown.first, *shown.rest, *shown.last] == items
    assert shown.all_shown == (number <= slots)


@given(st.integers(1, 400), st.floats(20, 900), st.floats(20, 120))
def test_tiles_stay_in_their_room(number: int, width: float, height: float) -> None:
    side, columns = grid(number, Rect(0, 0, width, height), 30, 3)
    if side:
        rows = -(-number // columns)
        assert columns * (side + 3) - 3 <= width + 1e-9
        assert rows * (side + 3) - 3 <= height + 1e-9
