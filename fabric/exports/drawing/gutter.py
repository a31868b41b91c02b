"""What stands beside the picture: for each tier its model, number and ports, and between tiers the links."""

from __future__ import annotations

import polars as pl

from fabric.exports.drawing import words
from fabric.exports.drawing.arrange import GAP, LEFT, MARGIN, SPINE, Arrangement
from fabric.exports.drawing.canvas import Canvas, text_width
from fabric.exports.drawing.facts import Facts, Kind
from fabric.exports.drawing.palette import FAINT, INK, MUTED, STEEL, tint

X = MARGIN + 20
WIDTH = LEFT - X - 22


def draw_gutter(canvas: Canvas, facts: Facts, arrangement: Arrangement) -> None:
    """Every tier's facts at the height of its row."""
    for tier, y in (("core", arrangement.core_y), ("spine", arrangement.spine_y)):
        for kind in (k for k in facts.kinds if k.tier == tier):
            _tier(canvas, y or 0.0, kind, facts.name)
    if arrangement.core_y is not None:
        _links(canvas, arrangement.core_y + SPINE + GAP - 44, facts, "spine-core", "Spine – core")
    if arrangement.spine_y is not None:
        _links(canvas, arrangement.spine_y + SPINE + GAP - 36, facts, "leaf-spine", "Leaf – spine")
    leaves = [k for k in facts.kinds if k.tier == "leaf"]
    if len(leaves) == 1:
        _tier(canvas, arrangement.leaf_y - 8, leaves[0], facts.name)
    else:
        _leaf_classes(canvas, arrangement.leaf_y - 8, leaves, facts)
    _ends(canvas, arrangement.hosts_y + 8, facts)


def _tier(canvas: Canvas, y: float, kind: Kind, network: str) -> None:
    canvas.text(X, y + 10, kind.tier.upper(), size=10, bold=True, fill=FAINT)
    canvas.text(X, y + 27, f"{words.count(kind.count)} × {kind.model}", size=15, bold=True, room=WIDTH)
    lines = _wrap([words.usage(use, network) for use in kind.usage])
    for i, line in enumerate(lines[:3]):
        canvas.text(X, y + 42 + 13 * i, line, size=11, fill=MUTED, room=WIDTH)
    if kind.up_gbps and kind.tier != "core":
        _bars(canvas, y + 38 + 13 * min(len(lines), 3), kind)


def _wrap(parts: list[str]) -> list[str]:
    """Several to a line where they fit."""
    lines: list[str] = []
    for part in parts:
        if lines and text_width(f"{lines[-1]} · {part}", 11) <= WIDTH:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


def _bars(canvas: Canvas, y: float, kind: Kind) -> None:
    """Bandwidth down and up as two bars on one scale, and their ratio."""
    most = max(kind.down_gbps, kind.up_gbps)
    room = 84.0
    for i, (arrow, gbps) in enumerate((("↓", kind.down_gbps), ("↑", kind.up_gbps))):
        top = y + 9 * i
        canvas.rect(
            X,
            top,
            room * gbps / most,
            6,
            tint(STEEL, 0.75 if i else 0.45),
            rx=1,
            title=f"{arrow} {words.speed(gbps)}b/s",
        )
    exact = round(kind.down_gbps / kind.up_gbps, 4)
    canvas.text(X + room + 10, y + 11, words.ratio(exact), size=12, bold=True, fill=INK, room=WIDTH - room - 10)


def _leaf_classes(canvas: Canvas, y: float, leaves: list[Kind], facts: Facts) -> None:
    """Leaves of several host classes, two lines each."""
    canvas.text(X, y + 10, "LEAF", size=10, bold=True, fill=FAINT)
    for i, kind in enumerate(leaves[:3]):
        top = y + 26 + 28 * i
        groups = ", ".join(facts.design.classes[kind.host_class or 0].groups)
        share = words.ratio(round(kind.down_gbps / kind.up_gbps, 4)) if kind.up_gbps else ""
        canvas.text(X, top, f"{words.count(kind.count)} × {kind.model}", size=12, bold=True, room=WIDTH)
        canvas.text(
            X, top + 13, " · ".join(part for part in (f"for {groups}", share) if part), size=10, fill=MUTED, room=WIDTH
        )


def _links(canvas: Canvas, y: float, facts: Facts, kind: str, title: str) -> None:
    trunks = facts.trunks.filter(pl.col("kind") == kind)
    if trunks.is_empty():
        return
    speeds = " / ".join(words.speed(s) for s in sorted(set(trunks["speed_gbps"].to_list())))
    each = sorted(set(trunks["links"].to_list()))
    canvas.text(X, y, title.upper(), size=10, bold=True, fill=FAINT)
    canvas.text(
        X, y + 15, f"{words.count(int(trunks['links'].sum()))} links × {speeds}", size=12, bold=True, room=WIDTH
    )
    several = f"{each[0]}" if len(each) == 1 else f"{each[0]}–{each[-1]}"
    canvas.text(X, y + 29, f"{several} a pair of switches", size=11, fill=MUTED, room=WIDTH)


def _ends(canvas: Canvas, y: float, facts: Facts) -> None:
    canvas.text(X, y + 10, "HOSTS" if facts.name != "oob" else "ENDPOINTS", size=10, bold=True, fill=FAINT)
    counts = [(f"{words.count(n)} × {model}") for model, n in facts.models]
    switches = facts.links.filter(pl.col("kind") == "switch-leaf")["a_device"].n_unique() if facts.name == "oob" else 0
    counts += [f"{words.count(switches)} × switch management"] if switches else []
    for i, line in enumerate(counts[:3] if len(counts) <= 3 else [*counts[:2], f"and {len(counts) - 2} more kinds"]):
        canvas.text(X, y + 27 + 16 * i, line, size=13 if i == 0 else 12, bold=i == 0, room=WIDTH)
    total = facts.links.filter(pl.col("kind").is_in(["host-leaf", "service-leaf", "switch-leaf", "pdu-leaf"]))
    top = y + 27 + 16 * min(len(counts), 3)
    canvas.text(X, top + 2, f"{words.count(total.height)} links to leaves", size=11, fill=MUTED, room=WIDTH)
