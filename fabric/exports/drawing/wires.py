"""The links of the picture: one line a pair of switches where all are drawn, else one a leaf and a band a stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from fabric.exports.drawing import words
from fabric.exports.drawing.arrange import Arrangement, Column, Place, PodArea
from fabric.exports.drawing.boxes import colour_of, leaf_rects
from fabric.exports.drawing.canvas import Canvas, number, text_width
from fabric.exports.drawing.facts import Box, Facts
from fabric.exports.drawing.layout import Rect
from fabric.exports.drawing.palette import FAINT, MUTED, STEEL, plane_colour

FEW_LEAVES = 12
"""Leaves whose uplinks to the outside are drawn one by one."""


@dataclass(frozen=True)
class _Foot:
    """Where a leaf, or the leaves of one plane of a stack, send their links up from."""

    x: float
    pod: int
    rail: int | None
    plane: int | None
    colour: str
    bundle: bool


def draw_links(canvas: Canvas, facts: Facts, arrangement: Arrangement) -> None:
    """All links between switches, below the boxes."""
    if arrangement.single:
        _single(canvas, facts, arrangement)
    else:
        for area in arrangement.pods:
            _leaf_to_groups(canvas, facts, arrangement, area)
        if arrangement.cores:
            _spines_to_cores(canvas, facts, arrangement)
    if arrangement.outside:
        _uplinks(canvas, facts, arrangement, arrangement.outside)
    _pair(canvas, facts, arrangement)


def draw_labels(canvas: Canvas, facts: Facts, arrangement: Arrangement) -> None:
    """How many links of which speed a bundle is, above the lines."""
    if arrangement.spine_y is not None:
        y = arrangement.leaf_y - 32
        for x, width, frame in _bundles(facts, arrangement):
            _label(canvas, x, y, width, frame, arrangement.single)
    if arrangement.cores and arrangement.spine_y is not None:
        for area in arrangement.pods:
            mine = facts.trunks.filter((pl.col("kind") == "spine-core") & pl.col("pod").is_in(list(area.pods)))
            if not arrangement.single or area is arrangement.pods[0]:
                whole = facts.trunks.filter(pl.col("kind") == "spine-core")
                x = (
                    (arrangement.pods[0].rect.x + arrangement.pods[-1].rect.right) / 2
                    if arrangement.single
                    else area.rect.cx
                )
                _label(
                    canvas,
                    x,
                    arrangement.spine_y - 34,
                    area.rect.w,
                    whole if arrangement.single else mine,
                    arrangement.single,
                )


def _bundles(facts: Facts, arrangement: Arrangement) -> Iterator[tuple[float, float, pl.DataFrame]]:
    """Middle, width and links of each labelled bundle: all of a small network, else each plane of a column."""
    up = facts.trunks.filter(pl.col("kind") == "leaf-spine")
    if arrangement.single:
        areas = arrangement.pods
        yield (areas[0].rect.x + areas[-1].rect.right) / 2, areas[-1].rect.right - areas[0].rect.x, up
        return
    for area in arrangement.pods:
        for column in area.columns:
            mine = up.filter(pl.col("segment").is_in([s.number for s in column.segments]))
            planes = facts.design.planes if column.rect.w / facts.design.planes > 104 else 1
            for plane in range(planes):
                part = mine.filter(pl.col("plane") == plane) if planes > 1 else mine
                yield column.rect.at((plane + 0.5) / planes), column.rect.w / planes, part


def _label(canvas: Canvas, x: float, y: float, width: float, trunks: pl.DataFrame, whole: bool) -> None:
    if trunks.is_empty():
        return
    fastest = int(trunks["speed_gbps"].to_numpy().max())
    text = f"{words.count(int(trunks['links'].sum()))} × {words.speed(fastest)}"
    total = text
    each = sorted(set(trunks["links"].to_list()))
    if whole and len(each) == 1:
        text += f" · {each[0]} a pair of switches"
    lower = trunks.group_by("a").agg(pl.col("links").sum())["links"].to_list()
    if not whole and len(lower) > 1 and len(set(lower)) == 1 and trunks["kind"][0] == "leaf-spine":
        text = f"{words.count(len(lower))} leaves × {lower[0]} × {words.speed(fastest)}"
    for label in dict.fromkeys((text, total)):
        if text_width(label, 11, bold=True) + 16 <= width:
            canvas.pill(x, y, label, bold=True)
            return


def _single(canvas: Canvas, facts: Facts, arrangement: Arrangement) -> None:
    spots = dict(_spots(facts, arrangement))
    pairs = facts.trunks.filter(pl.col("kind") != "leaf-leaf")
    faint = 0.8 if pairs.height < 80 else 0.6 if pairs.height < 300 else 0.42
    ends = pairs.with_columns(
        at_a=_share("b", "a"), at_b=_share("a", "b")
    ).select("a", "b", "links", "at_a", "at_b")  # fmt: skip
    for a, b, links, at_a, at_b in ends.iter_rows():
        (low, box), (high, upper) = spots[a], spots[b]
        colour = colour_of(box, facts)
        colour = colour_of(upper, facts) if colour == STEEL else colour
        canvas.line(
            low.at(at_a), low.y, high.at(at_b), high.bottom, colour, width=min(0.8 + 0.3 * links, 4), opacity=faint
        )


def _share(other: str, own: str) -> pl.Expr:
    """Where along its switch a line ends (0 … 1), so that neighbouring lines do not meet in a point."""
    rank = pl.col(other).rank("ordinal").over(own, "kind")
    return rank / (pl.len().over(own, "kind") + 1)


def _spots(facts: Facts, arrangement: Arrangement) -> Iterator[tuple[int, tuple[Rect, Box]]]:
    """Every switch that is drawn, by id."""
    for area in arrangement.pods:
        for column in area.columns:
            leaves = facts.leaves(column.segments[0].number)
            for box, rect in zip(leaves, leaf_rects(leaves, column, arrangement.leaf_y), strict=True):
                yield box.id, (rect, box)
        yield from _members(area.groups)
    yield from _members(arrangement.cores.places if arrangement.cores else ())


def _members(places: Iterable[Place]) -> Iterator[tuple[int, tuple[Rect, Box]]]:
    for item in places:
        members = (*item.shown.first, *item.shown.last) if item.boxes else ()
        for box, rect in zip(members, item.boxes, strict=True):
            yield box.id, (rect, box)


def _feet(facts: Facts, arrangement: Arrangement, area: PodArea) -> Iterator[_Foot]:
    for column in area.columns:
        pod = area.pods[0]
        if column.stack:
            yield from _stack_feet(facts, column, pod)
            continue
        leaves = facts.leaves(column.segments[0].number)
        for box, rect in zip(leaves, leaf_rects(leaves, column, arrangement.leaf_y), strict=True):
            yield _Foot(rect.cx, pod, box.rail, box.plane, colour_of(box, facts), False)


def _stack_feet(facts: Facts, column: Column, pod: int) -> Iterator[_Foot]:
    """A stack sends a bundle from each of its planes to each group that serves the plane."""
    planes = facts.design.planes
    for plane in range(planes):
        groups = [g for g in facts.spines if g.pod in (pod, None) and g.plane in (plane, None)]
        for i, group in enumerate(groups):
            x = column.rect.at((plane + (i + 1) / (len(groups) + 1)) / planes)
            colour = plane_colour(plane) if planes > 1 else STEEL
            colour = colour_of(group.members[0], facts) if group.rail is not None else colour
            yield _Foot(x, pod, group.rail, plane, colour, True)


def _leaf_to_groups(canvas: Canvas, facts: Facts, arrangement: Arrangement, area: PodArea) -> None:
    feet = list(_feet(facts, arrangement, area))
    for item in area.groups:
        mine = [foot for foot in feet if _meets(foot, item)]
        for i, foot in enumerate(mine):
            x = item.rect.at((i + 1) / (len(mine) + 1))
            start = arrangement.leaf_y - (10 if foot.bundle else 0)
            width, opacity = (max(4.0, 14.0 / len(area.groups)), 0.28) if foot.bundle else (2.2, 0.8)
            canvas.cubic(foot.x, start, x, item.rect.bottom, foot.colour, width=width, opacity=opacity)


def _meets(foot: _Foot, item: Place) -> bool:
    group = item.group
    return group.plane in (None, foot.plane) and group.rail in (None, foot.rail)


def _spines_to_cores(canvas: Canvas, facts: Facts, arrangement: Arrangement) -> None:
    if arrangement.cores is None:
        return
    for area in arrangement.pods:
        if area.stack:
            _stack_to_cores(canvas, arrangement, area)
        for item in area.groups:
            members = (*item.shown.first, *item.shown.last) if item.boxes else ()
            for box, rect in zip(members, item.boxes, strict=True):
                _spine_to_core(canvas, facts, arrangement, item, box, rect)


def _spine_to_core(canvas: Canvas, facts: Facts, arrangement: Arrangement, item: Place, box: Box, rect: Rect) -> None:
    """The i-th spine of every pod meets the i-th core group of its rail and plane."""
    for core in arrangement.cores.places if arrangement.cores else ():
        group = core.group
        if (
            group.number == box.index
            and group.plane in (None, item.group.plane)
            and group.rail in (None, item.group.rail)
        ):
            canvas.cubic(
                rect.cx, rect.y, core.rect.at(0.4), core.rect.bottom, colour_of(box, facts), width=2.4, opacity=0.75
            )


def _stack_to_cores(canvas: Canvas, arrangement: Arrangement, area: PodArea) -> None:
    places = arrangement.cores.places if arrangement.cores else ()
    top = (arrangement.spine_y or 0) - 12
    for i, core in enumerate(places):
        x = area.rect.at(0.2 + 0.6 * (i + 0.5) / len(places))
        canvas.cubic(x, top, core.rect.at(0.6), core.rect.bottom, FAINT, width=7, opacity=0.35)


def _uplinks(canvas: Canvas, facts: Facts, arrangement: Arrangement, outside: Rect) -> None:
    """Dashed lines from every column to what is not ours, or to another network's leaves."""
    design = facts.design
    feet = list(_uplink_feet(facts, arrangement))
    for i, (x, y) in enumerate(feet):
        target = outside.at((i + 1) / (len(feet) + 1))
        canvas.cubic(x, y, target, outside.bottom, MUTED, width=1.6, dash="5 4")
    canvas.rect(
        outside.x,
        outside.y,
        outside.w,
        outside.h,
        "#ffffff",
        stroke=MUTED,
        rx=outside.h / 2 if outside.h < 40 else 10,
        dash="5 4",
    )
    where = "outside" if design.external_to in (None, "external") else f"{design.external_to} leaves"
    total = int((facts.links["kind"] == "uplink").sum())
    text = f"{words.count(total)} × {words.speed(design.external_speed_gbps or 0)}"
    if outside.h < 40:
        canvas.text(
            outside.cx,
            outside.y + outside.h / 2 + 4,
            f"{text} to {where}",
            size=12,
            bold=True,
            anchor="middle",
            room=outside.w - 20,
        )
        return
    canvas.text(outside.cx, outside.y + 28, where, size=12, bold=True, anchor="middle", room=outside.w - 12)
    canvas.text(outside.cx, outside.y + 46, text, size=11, anchor="middle", fill=MUTED, room=outside.w - 12)


def _uplink_feet(facts: Facts, arrangement: Arrangement) -> Iterator[tuple[float, float]]:
    """Where uplinks leave: at each leaf where these are few, else at each column."""
    columns = [column for area in arrangement.pods for column in area.columns]
    if arrangement.single and sum(column.segments[0].leaves for column in columns) <= FEW_LEAVES:
        for column in columns:
            rects = leaf_rects(facts.leaves(column.segments[0].number), column, arrangement.leaf_y)
            yield from ((rect.at(0.88), rect.y) for rect in rects)
        return
    share = 0.5 if arrangement.spine_y is None else 0.94
    yield from ((column.rect.at(share), column.rect.y) for column in columns)


def _pair(canvas: Canvas, facts: Facts, arrangement: Arrangement) -> None:
    """The links between the two leaves of a single-tier pair, as an arc above them."""
    pairs = facts.trunks.filter(pl.col("kind") == "leaf-leaf")
    spots = dict(_spots(facts, arrangement))
    for a, b, links, gbps in pairs.select("a", "b", "links", "speed_gbps").iter_rows():
        if a in spots and b in spots:
            left, right = sorted((spots[a][0], spots[b][0]), key=lambda r: r.x)
            y = arrangement.leaf_y
            points = [number(value) for value in (left.cx, y, left.cx, y - 56, right.cx, y - 56, right.cx, y)]
            canvas.path("M{} {}C{} {} {} {} {} {}".format(*points), stroke=STEEL, width=2.4)
            canvas.pill((left.cx + right.cx) / 2, y - 42, f"{links} × {words.speed(gbps)}", bold=True)
