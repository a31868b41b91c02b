"""The boxes of the picture: switches, segments with their hosts, groups, and stacks of what is alike."""

from __future__ import annotations

from fabric.exports.drawing import words
from fabric.exports.drawing.arrange import FAN, HOSTS, LEAF, PAD, Arrangement, Column, Place, PodArea
from fabric.exports.drawing.canvas import Canvas, number, text_width
from fabric.exports.drawing.facts import TILES, Box, Facts, Segment
from fabric.exports.drawing.layout import Rect, divide, grid
from fabric.exports.drawing.palette import (
    CARD,
    FAINT,
    GROUND,
    INK,
    MUTED,
    PAPER,
    RULE,
    STEEL,
    plane_colour,
    rail_colour,
    tint,
)

STRIPES = 8
"""Most stripes drawn on one host."""
_TILE_COLOURS = {
    "host": (tint(STEEL, 0.3), "none"),
    "spare": (PAPER, STEEL),
    "vacant": (PAPER, FAINT),
    "service": (INK, "none"),
    "switch": (tint("#0072b2", 0.6), "none"),
    "pdu": (tint("#e69f00", 0.6), "none"),
}
"""Ground and border of what ends on leaves."""
WIDEST = 240.0
"""Widest leaf."""


def colour_of(box: Box, facts: Facts) -> str:
    """A switch has its rail's colour where rails have leaves of their own, else its plane's, else none."""
    if facts.shows_rails and box.rail is not None:
        return rail_colour(box.rail // facts.design.classes[box.host_class or 0].rails_per_leaf)
    if facts.shows_planes and box.plane is not None:
        return plane_colour(box.plane)
    return STEEL


def leaf_rects(leaves: tuple[Box, ...], column: Column, leaf_y: float) -> list[Rect]:
    """Where the leaves of a detailed segment stand: side by side, planes a little apart."""
    row = Rect(column.rect.x, leaf_y, column.rect.w, LEAF).inset(PAD)
    planes = sorted({box.plane or 0 for box in leaves})
    rects: list[Rect] = []
    for plane, part in zip(
        planes, divide(row, [sum((b.plane or 0) == p for b in leaves) for p in planes], 18), strict=True
    ):
        mine = [box for box in leaves if (box.plane or 0) == plane]
        rects += divide(part, [1.0] * len(mine), 5 if part.w / len(mine) > 20 else 2)
    return [Rect(slot.cx - min(slot.w, WIDEST) / 2, slot.y, min(slot.w, WIDEST), slot.h) for slot in rects]


def switch_box(canvas: Canvas, rect: Rect, box: Box, facts: Facts, label: str) -> None:
    """One switch: its colour, a short label, its name when pointed at; with several planes their colour on top."""
    colour = colour_of(box, facts)
    canvas.rect(rect.x, rect.y, rect.w, rect.h, tint(colour, 0.2), stroke=colour, rx=3, width=1.2, title=box.name)
    if facts.shows_planes and facts.shows_rails and box.plane is not None:
        canvas.rect(rect.x, rect.y, rect.w, 5, plane_colour(box.plane), rx=2)
    size = 11.0 if rect.w >= 26 else 9.0
    named = rect.h > 30 and text_width(box.name, 9) <= rect.w - 8
    if named:
        lower = rect.y + rect.h / 2 + (13 if label else 4)
        canvas.text(rect.cx, lower, box.name, size=9, anchor="middle", fill=MUTED)
    label = label if label or named else str(box.index)
    if label and text_width(label, size, bold=True) <= rect.w - 2:
        middle = rect.y + rect.h / 2 + (1 if named else size * 0.5)
        canvas.text(rect.cx, middle, label, size=size, bold=True, anchor="middle", fill=INK)


def leaf_label(box: Box, facts: Facts) -> str:
    """``r3`` where a leaf has rails of its own, else ``p1`` where planes do, else its number."""
    design = facts.design.classes[box.host_class or 0]
    if not facts.shows_rails or box.rail is None:
        alone = "" if design.leaves_per_plane == 1 else str(box.index)
        return f"p{box.plane}" if facts.shows_planes else alone
    last = min(box.rail + design.rails_per_leaf, design.rails) - 1
    return f"r{box.rail}" if last == box.rail else f"r{box.rail}–{last}"


def column_ground(canvas: Canvas, column: Column) -> None:
    """What lies below the links: the border of a segment, or cards on each other."""
    rect = column.rect
    if column.stack:
        deck(canvas, rect)
    else:
        canvas.rect(rect.x, rect.y, rect.w, rect.h, CARD, stroke=RULE, rx=8)


def segment_box(canvas: Canvas, column: Column, facts: Facts, arrangement: Arrangement) -> None:
    """A segment in detail: its leaves, what reaches each, its hosts one by one, and what they are."""
    segment = column.segments[0]
    rect = column.rect
    leaves = facts.leaves(segment.number)
    hosts = Rect(rect.x, arrangement.hosts_y, rect.w, HOSTS).inset(PAD)
    rects = leaf_rects(leaves, column, arrangement.leaf_y)
    for i, (box, leaf) in enumerate(zip(leaves, rects, strict=True)):
        _fan(canvas, leaf, hosts, (i / len(leaves), (i + 1) / len(leaves)), colour_of(box, facts))
    canvas.rect(hosts.x, hosts.y, hosts.w, hosts.h, PAPER, stroke=RULE, rx=5)
    for box, leaf in zip(leaves, rects, strict=True):
        switch_box(canvas, leaf, box, facts, leaf_label(box, facts))
    _tiles(canvas, segment, facts, hosts)
    _fan_label(canvas, segment, facts, rect, arrangement.leaf_y + LEAF + FAN / 2)
    _segment_title(canvas, rect, segment, hosts.bottom)


def _fan(canvas: Canvas, leaf: Rect, hosts: Rect, share: tuple[float, float], colour: str) -> None:
    """A band from a leaf down to the hosts: straight down, or wider where the leaf is narrower than its share."""
    low, high = (leaf.x, leaf.right) if leaf.w < WIDEST else (hosts.at(share[0]), hosts.at(share[1]))
    corners = [(leaf.x, leaf.bottom), (leaf.right, leaf.bottom), (high, hosts.y), (low, hosts.y)]
    canvas.path("M" + "L".join(f"{number(x)} {number(y)}" for x, y in corners) + "z", fill=tint(colour, 0.3))


def _fan_label(canvas: Canvas, segment: Segment, facts: Facts, rect: Rect, y: float) -> None:
    if not segment.links_a_leaf:
        return
    design = facts.design.classes[segment.host_class]
    text = f"{segment.links_a_leaf} × {words.speed(design.speed_gbps)}"
    for label in (f"{text} to each leaf" if segment.leaves > 1 else f"{text} to the leaf", f"{text} each", text):
        if text_width(label, 11) + 18 <= rect.w:
            canvas.pill(rect.cx, y, label)
            return


def _segment_title(canvas: Canvas, rect: Rect, segment: Segment, y: float) -> None:
    room = rect.w - 2 * PAD
    title = (
        f"Segment {segment.number}"
        if text_width(f"Segment {segment.number}", 12, bold=True) <= room
        else f"s{segment.number}"
    )
    canvas.text(rect.x + PAD, y + 18, title, size=12, bold=True, room=room)
    line = words.segment(segment)
    line = line if text_width(line, 11) <= room else words.segment(segment, gpus=False)
    if room < 90:
        line = str(sum(n for kind, n in segment.tiles.items() if kind in TILES)) + " ends"
    canvas.text(rect.x + PAD, y + 33, line, size=11, fill=MUTED, room=room)


def _tiles(canvas: Canvas, segment: Segment, facts: Facts, room: Rect) -> None:
    """One square a host; what is vacant is drawn dashed, spares hollow, services and others grey."""
    kinds = [kind for kind in (*TILES, "vacant") for _ in range(segment.tiles.get(kind, 0))]
    inner = room.inset(7, 7, 7)
    gap = 4.0 if len(kinds) <= 40 else 3.0
    side, columns = grid(len(kinds), inner, 30, gap)
    if not side or side < 3:
        total = sum(n for kind, n in segment.tiles.items() if kind in TILES)
        canvas.text(
            room.cx, room.y + room.h / 2 + 5, words.count(total), size=14, bold=True, anchor="middle", fill=STEEL
        )
        return
    columns = min(columns, -(-len(kinds) // max(1, -(-len(kinds) // columns))))
    rows = -(-len(kinds) // columns)
    left = inner.x + (inner.w - columns * (side + gap) + gap) / 2
    top = inner.y + (inner.h - rows * (side + gap) + gap) / 2
    spots = [
        Rect(left + (i % columns) * (side + gap), top + (i // columns) * (side + gap), side, side)
        for i in range(len(kinds))
    ]
    for kind in dict.fromkeys(kinds):
        draw_tiles(
            canvas, [spot for spot, its in zip(spots, kinds, strict=True) if its == kind], kind, stripes(facts, segment)
        )


def stripes(facts: Facts, segment: Segment) -> list[str]:
    """Colours of a host's rails, where leaves have rails of their own."""
    design = facts.design.classes[segment.host_class]
    return [rail_colour(k) for k in range(min(design.leaves_per_plane, STRIPES))] if facts.shows_rails else []


def draw_tiles(canvas: Canvas, spots: list[Rect], kind: str, colours: list[str]) -> None:
    """Squares of one kind, a path a colour; a host wears its rails on top, where its links leave."""
    ground, stroke = _TILE_COLOURS[kind]
    if kind == "host" and not colours:
        ground = tint(STEEL, 0.75)
    canvas.path(_squares(spots), fill=ground, stroke=stroke, dash="2 2" if kind == "vacant" else "")
    if kind not in ("host", "spare") or spots[0].w < 6:
        return
    for i, colour in enumerate(colours):
        parts = [
            Rect(spot.x + spot.w * i / len(colours), spot.y, spot.w / len(colours), spot.h * 0.4) for spot in spots
        ]
        canvas.path(_squares(parts), fill=colour)


def _squares(spots: list[Rect]) -> str:
    return "".join(f"M{number(r.x)} {number(r.y)}h{number(r.w)}v{number(r.h)}h{number(-r.w)}z" for r in spots)


def deck(canvas: Canvas, rect: Rect) -> Rect:
    """Cards on each other; gives the top one."""
    for step in (12, 6):
        canvas.rect(rect.x + step, rect.y + step, rect.w - 12, rect.h - 12, GROUND, stroke=RULE, rx=8)
    top = _card(rect)
    canvas.rect(top.x, top.y, top.w, top.h, CARD, stroke=RULE, rx=8)
    return top


def _card(rect: Rect) -> Rect:
    return Rect(rect.x, rect.y, rect.w - 12, rect.h - 12)


def stack_box(canvas: Canvas, column: Column, facts: Facts, arrangement: Arrangement) -> None:
    """Several segments alike: how many, which, how they differ."""
    top = _card(column.rect)
    first, last = column.segments[0], column.segments[-1]
    _mini_leaves(canvas, Rect(top.x, arrangement.leaf_y, top.w, 10).inset(PAD + 4), facts, first)
    y = arrangement.leaf_y + LEAF + 34
    canvas.text(top.cx, y, f"… × {len(column.segments)} more", size=20, bold=True, anchor="middle", room=top.w - 16)
    canvas.text(
        top.cx,
        y + 20,
        f"segments {first.number} – {last.number}",
        size=12,
        anchor="middle",
        fill=MUTED,
        room=top.w - 16,
    )
    lines = words.stack(column.segments, gpus=facts.name != "oob")
    for i, line in enumerate(lines):
        canvas.text(top.cx, y + 48 + 16 * i, line, size=11, anchor="middle", fill=MUTED, room=top.w - 16)
    hosts = sum(segment.tiles.get("host", 0) for segment in column.segments)
    gpus = sum(segment.gpus for segment in column.segments)
    total = f"together {words.several(hosts, 'host')}"
    total += f" · {words.count(gpus)} GPUs" if gpus and facts.name != "oob" else ""
    canvas.text(top.cx, y + 48 + 16 * len(lines), total, size=11, anchor="middle", fill=INK, room=top.w - 16)


def _mini_leaves(canvas: Canvas, row: Rect, facts: Facts, segment: Segment) -> None:
    leaves = facts.leaves(segment.number)
    for box, rect in zip(leaves, divide(row, [1.0] * len(leaves), 3 if len(leaves) < 40 else 1), strict=True):
        colour = colour_of(box, facts)
        canvas.rect(rect.x, rect.y, rect.w, rect.h, tint(colour, 0.4), stroke=colour, rx=1.5, width=0.8)


def group_ground(canvas: Canvas, item: Place, facts: Facts) -> None:
    """The border of a group, below the links."""
    rect, colour = item.rect, colour_of(item.group.members[0], facts)
    canvas.rect(rect.x, rect.y, rect.w, rect.h, tint(colour, 0.06), stroke=tint(colour, 0.55), rx=8)


def group_box(canvas: Canvas, item: Place, facts: Facts, noun: str) -> None:
    """A spine or core group, its members as boxes where there is room."""
    lines = words.group(item.group, facts, noun)
    if not item.boxes:
        _stacked(canvas, item.rect, lines)
        return
    _group_title(canvas, item, facts, " · ".join(lines))
    for box, place in zip((*item.shown.first, *item.shown.last), item.boxes, strict=True):
        switch_box(canvas, place, box, facts, str(box.index) if place.w >= 13 else "")
    if item.rest is not None:
        canvas.text(
            item.rest.cx, item.rest.y + item.rest.h / 2 + 3, "…", size=14, bold=True, anchor="middle", fill=MUTED
        )


def _stacked(canvas: Canvas, rect: Rect, lines: list[str]) -> None:
    top = rect.y + rect.h / 2 - 15 * (len(lines) - 1) / 2 + 4
    for i, line in enumerate(lines):
        canvas.text(rect.cx, top + 15 * i, line, size=11, bold=i == 0, anchor="middle", fill=INK, room=rect.w - 6)


def _group_title(canvas: Canvas, item: Place, facts: Facts, title: str) -> None:
    """The title, on a ground of its own where links to cores pass behind it."""
    rect = item.rect
    if facts.cores and item.group.number is None:
        half = text_width(title, 11, bold=True) / 2 + 6
        ground = tint(colour_of(item.group.members[0], facts), 0.06)
        canvas.rect(rect.cx - half, rect.y + 4, 2 * half, 16, ground, rx=8)
    canvas.text(rect.cx, rect.y + 16, title, size=11, bold=True, anchor="middle", fill=INK, room=rect.w - 12)


def pod_box(canvas: Canvas, area: PodArea, facts: Facts, arrangement: Arrangement, several: bool) -> None:
    """The border of a pod, or a deck for those that are not drawn."""
    top = (arrangement.spine_y or area.rect.y) - 12
    rect = Rect(area.rect.x, top, area.rect.w, arrangement.frame.bottom - 16 - top)
    if not area.stack:
        if several:
            canvas.rect(rect.x, rect.y, rect.w, rect.h, PAPER, stroke=FAINT, rx=10, dash="5 4")
            mine = [segment for segment in facts.segments if segment.pod == area.pods[0]]
            canvas.text(
                rect.x + 14, rect.bottom - 12, _pod_words(area.pods[0], mine), size=12, bold=True, room=rect.w - 28
            )
        return
    card = deck(canvas, rect)
    members = [segment for segment in facts.segments if segment.pod in area.pods]
    y = card.y + card.h * 0.42
    canvas.text(card.cx, y, f"… × {len(area.pods)} more", size=20, bold=True, anchor="middle", room=card.w - 16)
    lines = [f"pods {area.pods[0]} – {area.pods[-1]}", words.several(len(members), "segment"),
             words.several(sum(s.leaves for s in members), "leaf").replace("leafs", "leaves"),
             words.several(sum(len(g.members) for g in facts.spines if g.pod in area.pods), "spine"),
             words.several(sum(s.tiles.get("host", 0) for s in members), "host"),
             f"{words.count(sum(s.gpus for s in members))} GPUs"]  # fmt: skip
    for i, line in enumerate(lines):
        canvas.text(card.cx, y + 26 + 18 * i, line, size=12, anchor="middle", fill=MUTED, room=card.w - 16)


def _pod_words(pod: int, segments: list[Segment]) -> str:
    hosts, gpus = sum(s.tiles.get("host", 0) for s in segments), sum(s.gpus for s in segments)
    text = f"Pod {pod} · {words.several(len(segments), 'segment')} · {words.several(hosts, 'host')}"
    return text + (f" · {words.count(gpus)} GPUs" if gpus else "")
