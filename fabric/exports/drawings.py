"""``drawings/fabric.svg``: the fabric as it is shown in a design review.

One band a network, hosts below and cores on top. Small networks show every switch and link; large ones their first
segment and pod, and how many more there are alike. The same plan gives the same bytes.
"""

from __future__ import annotations

import polars as pl

from fabric.exports.drawing import words
from fabric.exports.drawing.arrange import HEADER, MARGIN, PAGE, Arrangement, CoreRow, arrange
from fabric.exports.drawing.boxes import (
    column_ground,
    draw_tiles,
    group_box,
    group_ground,
    pod_box,
    segment_box,
    stack_box,
)
from fabric.exports.drawing.canvas import Canvas, text_width
from fabric.exports.drawing.facts import Facts, facts
from fabric.exports.drawing.gutter import draw_gutter
from fabric.exports.drawing.layout import Rect
from fabric.exports.drawing.palette import FAINT, INK, MUTED, PAPER, RULE, plane_colour, rail_colour, tint
from fabric.exports.drawing.wires import draw_labels, draw_links
from fabric.plan import Plan


def fabric_svg(plan: Plan) -> bytes:
    """The drawing as an SVG document."""
    return draw(plan).encode()


def draw(plan: Plan) -> str:
    """The drawing as text."""
    canvas, height = compose(plan)
    return canvas.to_svg(PAGE, height, f"{plan.design.name}: fabric", "; ".join(_totals(plan)))


def compose(plan: Plan) -> tuple[Canvas, float]:
    """The drawn canvas and the height of the page in pixels."""
    canvas = Canvas()
    networks = list(facts(plan))
    y = _title(canvas, plan, networks)
    ground = Canvas()
    for network in networks:
        y = _band(canvas, network, y) + 20
    ground.rect(0, 0, PAGE, y + 12, PAPER)
    ground.extend(canvas)
    return ground, y + 12


def _title(canvas: Canvas, plan: Plan, networks: list[Facts]) -> float:
    """Name, totals and legend; gives where the first band begins."""
    canvas.text(MARGIN, 46, plan.design.name, size=26, bold=True, room=PAGE - 2 * MARGIN)
    canvas.text(MARGIN, 70, " · ".join(_totals(plan)), size=13, fill=MUTED, room=PAGE - 2 * MARGIN)
    return _legend(canvas, networks, 92)


def _totals(plan: Plan) -> list[str]:
    fabric = plan.fabric
    hosts = fabric.hosts.filter(~pl.col("spare")).with_columns(pl.col("role").cast(pl.String))
    roles = dict(hosts.group_by("role").len().iter_rows())
    spares = fabric.hosts.height - hosts.height
    parts = [f"{words.count(int(hosts['gpus'].sum()))} GPUs", words.several(roles.get("compute", 0), "host")]
    parts += [words.several(spares, "spare")] if spares else []
    parts += [words.several(roles[role], f"{role} host") for role in ("storage", "service") if role in roles]
    return [*parts, words.several(fabric.switches.height, "switch"), words.several(fabric.links.height, "link")]


def _legend(canvas: Canvas, networks: list[Facts], y: float) -> float:
    """What the colours and shapes say, as far as they are used; gives the y below it."""
    x = MARGIN
    rails = max((c.leaves_per_plane for n in networks if n.shows_rails for c in n.design.classes), default=0)
    planes = max((n.design.planes for n in networks if n.shows_planes), default=0)
    wide = next((n.design.classes[0].rails_per_leaf for n in networks if n.shows_rails), 1)
    for k in range(min(rails, 8)):
        label = words.rails(k * wide, wide)
        x = _swatch(canvas, x, y, rail_colour(k), label + (" (+8 …)" if k == 7 and rails > 8 else ""))
    for plane in range(min(planes, 4)):
        x = _swatch(canvas, x, y, plane_colour(plane), f"plane {plane}", bar=True)
    tiles = {kind for n in networks for s in n.segments for kind, number in s.tiles.items() if number}
    names = {
        "host": "host",
        "spare": "spare host",
        "vacant": "vacant place",
        "service": "service host",
        "switch": "switch",
        "pdu": "PDU",
    }
    for kind, label in names.items():
        if kind in tiles:
            x = _tile(canvas, x, y, kind, label, [rail_colour(k) for k in range(min(rails, 8))])
    return y + 30


def _swatch(canvas: Canvas, x: float, y: float, colour: str, label: str, bar: bool = False) -> float:
    if bar:
        canvas.rect(x, y + 4, 16, 5, colour, rx=2)
    else:
        canvas.rect(x, y, 14, 14, tint(colour, 0.2), stroke=colour, rx=3, width=1.2)
    canvas.text(x + 20, y + 11, label, size=11, fill=INK)
    return x + 20 + text_width(label, 11) + 16


def _tile(canvas: Canvas, x: float, y: float, kind: str, label: str, colours: list[str]) -> float:
    draw_tiles(canvas, [Rect(x, y, 14, 14)], kind, colours)
    canvas.text(x + 20, y + 11, label, size=11, fill=INK)
    return x + 20 + text_width(label, 11) + 16


def _band(canvas: Canvas, network: Facts, top: float) -> float:
    """One network; gives its lower edge."""
    arrangement = arrange(network, top)
    frame = arrangement.frame
    with canvas.group(words.NETWORK_TITLES.get(network.name, network.name)):
        canvas.rect(frame.x, frame.y, frame.w, frame.h, PAPER, stroke=RULE, rx=12, width=1.2)
        _heading(canvas, network, frame)
        for area in arrangement.pods:
            pod_box(canvas, area, network, arrangement, network.design.pods > 1)
        _ground(canvas, network, arrangement)
        draw_links(canvas, network, arrangement)
        for area in arrangement.pods:
            for item in area.groups:
                group_box(canvas, item, network, "spine")
            for column in area.columns:
                (stack_box if column.stack else segment_box)(canvas, column, network, arrangement)
        _cores(canvas, network, arrangement.cores)
        draw_labels(canvas, network, arrangement)
        draw_gutter(canvas, network, arrangement)
    return frame.bottom


def _heading(canvas: Canvas, network: Facts, frame: Rect) -> None:
    """The network's name and shape on the left, its proof on the right."""
    title = words.NETWORK_TITLES.get(network.name, network.name)
    x = frame.x + 20
    width = canvas.text(x, frame.y + 32, title, size=20, bold=True)
    proof = network.design.proof
    right = canvas.text(
        frame.right - 20, frame.y + 31, f"proof: {proof.status}, gap {proof.gap:g}", size=12, fill=MUTED, anchor="end"
    )
    canvas.text(
        x + width + 14, frame.y + 31, words.subtitle(network), size=13, fill=MUTED, room=frame.w - width - right - 80
    )
    canvas.line(frame.x, frame.y + HEADER - 16, frame.right, frame.y + HEADER - 16, RULE)


def _ground(canvas: Canvas, network: Facts, arrangement: Arrangement) -> None:
    """What lies below the links."""
    for area in arrangement.pods:
        for item in area.groups:
            group_ground(canvas, item, network)
        for column in area.columns:
            column_ground(canvas, column)
    for item in arrangement.cores.places if arrangement.cores else ():
        group_ground(canvas, item, network)


def _cores(canvas: Canvas, network: Facts, row: CoreRow | None) -> None:
    if row is None:
        return
    for item in row.places:
        group_box(canvas, item, network, "core")
    for rect, number in row.rests:
        canvas.text(
            rect.cx,
            rect.y + rect.h / 2 + 4,
            f"… × {number} more",
            size=13,
            bold=True,
            anchor="middle",
            fill=FAINT,
            room=rect.w,
        )
