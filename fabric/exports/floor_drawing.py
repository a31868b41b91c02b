"""``drawings/floor.svg``: the room from above; racks coloured by what they hold, trays as thick as they are full."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from fabric.exports.drawing import words
from fabric.exports.drawing.canvas import Canvas
from fabric.exports.drawing.gear import Gear, Kind, gear
from fabric.exports.drawing.palette import FAINT, GROUND, INK, MUTED, PAPER, RULE
from fabric.exports.racks_drawing import block, legend
from fabric.intent.site import Site
from fabric.plan import Plan
from fabric.tray_fill import MOST_FILL, TRAY_MM, TrayFill, share_of_tray, tray_fill
from fabric.trays import Floats

PAGE, MARGIN = 1600.0, 32.0
LEFT, SIDE = 96.0, 330.0
MOST_LABELS = 12
THICK = 11.0
"""Pixels of the fullest tray."""
EMPTY, TAKEN = "#ffffff", "#9aa3ad"


@dataclass(frozen=True)
class Grid:
    """Where racks and trays lie on the page."""

    site: Site
    top: float

    @property
    def wide(self) -> float:
        """Pixels of a rack across."""
        return min(54.0, (PAGE - LEFT - SIDE - MARGIN - 20) / self.site.racks_per_row)

    @property
    def tall(self) -> float:
        """Pixels of a rack from front to back."""
        return min(self.wide * 1.3, 34.0, 26.0 if self.site.rows <= 40 else 14.0)

    @property
    def pitch(self) -> float:
        """Pixels from row to row."""
        return self.tall + 15.0

    @property
    def right(self) -> float:
        """Right edge of the rows."""
        return LEFT + self.wide * self.site.racks_per_row

    @property
    def middle(self) -> float:
        """X of the cross tray."""
        return LEFT + self.wide * self.site.racks_per_row / 2

    def y(self, row: int) -> float:
        """Upper edge of a row of racks."""
        return self.top + 30 + (row - 1) * self.pitch

    def tray(self, row: int) -> float:
        """Y of the tray of a row; 0: where cables leave the room."""
        return self.y(row) + self.tall + 6

    @property
    def bottom(self) -> float:
        """Below the last row."""
        return self.y(self.site.rows + 1) + 6


def floor_svg(plan: Plan) -> bytes:
    """The drawing as an SVG document; without a floor plan it says so."""
    site = plan.intent.site
    canvas = Canvas()
    found = gear(plan)
    y = _title(canvas, plan, site, found)
    if site is not None and plan.fabric.racks.height:
        grid = Grid(site, y)
        fill = tray_fill(plan.fabric, site)
        _trays(canvas, grid, fill)
        _racks(canvas, grid, plan, found)
        _labels(canvas, grid, fill)
        side = _busiest(canvas, grid, fill)
        y = max(grid.bottom, side) + 12
    ground = Canvas()
    ground.rect(0, 0, PAGE, y + 16, PAPER)
    ground.extend(canvas)
    told = "rows of racks and cable trays from above"
    return ground.to_svg(PAGE, y + 16, f"{plan.design.name}: floor", told).encode()


def _title(canvas: Canvas, plan: Plan, site: Site | None, found: Gear) -> float:
    canvas.text(MARGIN, 46, f"{plan.design.name}: floor", size=26, bold=True)
    if site is None:
        canvas.text(MARGIN, 70, "No floor plan: the intent has no site.", size=13, fill=MUTED)
        return 90
    used = found.devices["rack"].n_unique()
    cables = plan.fabric.cables
    metres = 0.0 if cables["length_m"].null_count() else float(cables["length_m"].sum())
    parts = [
        f"{words.several(site.rows, 'row')} of {words.several(site.racks_per_row, 'rack')}",
        f"{words.count(used)} used",
        f"{words.count(float(found.devices['kw'].sum()))} kW at most",
        f"{words.count(cables.height)} cables, {words.count(metres / 1000)} km",
    ]
    canvas.text(MARGIN, 70, " · ".join(parts), size=13, fill=MUTED)
    return legend(canvas, found.kinds, 88)


def _racks(canvas: Canvas, grid: Grid, plan: Plan, found: Gear) -> None:
    """Every place: empty, taken by others, or in the colours of what it holds."""
    site = grid.site
    for row in range(1, site.rows + 1):
        canvas.text(LEFT - 12, grid.y(row) + grid.tall / 2 + 4, f"row {row}", size=11, anchor="end", fill=MUTED)
    for row, at in sorted(site.occupied):
        _box(canvas, grid, row, at, TAKEN, "taken", "")
    kinds = _kinds_of_racks(found)
    block_of = _blocks(plan)
    for rack, row, at, name in plan.fabric.racks.select("id", "row", "position", "name").iter_rows():
        held = kinds.get(rack, [])
        told = ", ".join(f"{number} × {found.kinds[kind].name}" for kind, number in held)
        _box(canvas, grid, row, at, EMPTY if held else GROUND, name, told)
        _content(canvas, grid, row, at, [(found.kinds[kind], number) for kind, number in held], block_of.get(rack, ""))


def _box(canvas: Canvas, grid: Grid, row: int, at: int, fill: str, name: str, told: str) -> None:
    x, y = LEFT + (at - 1) * grid.wide, grid.y(row)
    title = f"{name}: {told}" if told else name
    canvas.rect(x + 1, y, grid.wide - 2, grid.tall, fill, stroke=RULE, width=0.8, title=title)


def _content(canvas: Canvas, grid: Grid, row: int, at: int, held: list[tuple[Kind, int]], label: str) -> None:
    """The main kind fills the rack; switches in a rack of hosts show as a strip at its front."""
    if not held:
        return
    x, y, w = LEFT + (at - 1) * grid.wide + 1, grid.y(row), grid.wide - 2
    hosts = [kind for kind, _ in held if not kind.switch]
    switches = [kind for kind, _ in held if kind.switch]
    if hosts:
        canvas.rect(x, y, w, grid.tall, hosts[0].colour)
    else:
        part = w / len(switches)
        for number, kind in enumerate(switches):
            block(canvas, kind, x + number * part, y, part, grid.tall)
    if hosts and switches:
        for number, kind in enumerate(switches):
            canvas.rect(x + number * w / len(switches), y, w / len(switches), 5, kind.colour)
    if label and hosts and grid.wide >= 20:
        size = 9.0 if grid.wide >= 26 else 8.0
        canvas.text(x + w / 2, y + grid.tall / 2 + 5, label, size=size, anchor="middle", fill=INK, room=w)


def _kinds_of_racks(found: Gear) -> dict[int, list[tuple[int, int]]]:
    """By rack: kinds and how many of each, the one with most units first."""
    counted = found.devices.group_by("rack", "kind").agg(pl.col("height").sum(), pl.len())
    counted = counted.sort("rack", "height", "kind", descending=[False, True, False])
    kinds: dict[int, list[tuple[int, int]]] = {}
    for rack, kind, _, number in counted.iter_rows():
        kinds.setdefault(rack, []).append((kind, number))
    return kinds


def _blocks(plan: Plan) -> dict[int, str]:
    """By rack: the segment of most of its hosts, as ``s3``."""
    hosts = plan.fabric.hosts.filter(pl.col("rack").is_not_null() & pl.col("segment").is_not_null())
    hosts = hosts.filter(pl.col("role").cast(pl.String).is_in(["compute", "storage"]))
    first = hosts.group_by("rack").agg(pl.col("segment").mode().min())
    return {rack: f"s{segment}" for rack, segment in first.iter_rows()}


def _thick(share: float, most: float) -> float:
    return 0.0 if share <= 0 else 0.8 + (THICK - 0.8) * share / most


def _colour(share: float) -> str:
    """Blue up to half a tray, darker to a full one, then orange: more than one tray is needed."""
    return "#9ec9e8" if share <= 0.5 else "#3b8fc4" if share <= 1 else "#d55e00"


def _trays(canvas: Canvas, grid: Grid, fill: TrayFill) -> None:
    most = max(float(fill.rows_mm2.max(initial=0)), float(fill.cross_mm2.max(initial=0)), 1.0)
    half = grid.wide / 2
    for row in range(1, grid.site.rows + 1):
        y = grid.tray(row)
        canvas.line(LEFT, y, grid.right, y, RULE, width=1)
        for first, last, mm2 in _stretches(fill.rows_mm2[row - 1]):
            share = share_of_tray(mm2)
            wide = min(_thick(mm2, most), 8.0)
            canvas.line(LEFT + first * half, y, LEFT + last * half, y, _colour(share), width=wide)
    canvas.line(grid.middle, grid.tray(0), grid.middle, grid.tray(grid.site.rows), RULE, width=1)
    for stretch, mm2 in enumerate(fill.cross_mm2.tolist()):
        if mm2 > 0:
            share = share_of_tray(mm2)
            y, below = grid.tray(stretch), grid.tray(stretch + 1)
            canvas.line(grid.middle, y, grid.middle, below, _colour(share), width=_thick(mm2, most), opacity=0.85)
    if fill.cross[0] > 0:
        said = f"out of the room: {words.several(int(fill.cross[0]), 'cable')}"
        canvas.text(grid.middle + 10, grid.tray(0) + 4, said, size=11, fill=MUTED)


def _stretches(loads: Floats) -> list[tuple[int, int, float]]:
    """Neighbouring stretches with one load as one: first, end, load."""
    cuts = [0, *(np.flatnonzero(np.diff(loads)) + 1).tolist(), len(loads)]
    return [(a, b, float(loads[a])) for a, b in pairwise(cuts) if loads[a] > 0]


def _labels(canvas: Canvas, grid: Grid, fill: TrayFill) -> None:
    """Cables on the cross tray after the fullest stretches, and the busiest stretch of each row at its end."""
    for row in range(1, grid.site.rows + 1):
        busiest = int(fill.rows[row - 1].max(initial=0))
        if busiest:
            canvas.text(grid.right + 8, grid.tray(row) + 3.5, words.count(busiest), size=10, fill=FAINT)
    if grid.site.rows:
        canvas.text(grid.right + 8, grid.y(1) + 2, "cables, most", size=10, fill=FAINT)


def _busiest(canvas: Canvas, grid: Grid, fill: TrayFill) -> float:
    """The fullest stretches in words, beside the room; gives the y below them."""
    x, y = min(grid.right + 110, PAGE - SIDE + 8), grid.top + 30
    canvas.text(x, y, "Fullest trays", size=15, bold=True)
    lines = [
        (mm2, int(count), f"cross tray, row {stretch} to {stretch + 1}" if stretch else "cross tray, out to row 1")
        for stretch, (count, mm2) in enumerate(zip(fill.cross.tolist(), fill.cross_mm2.tolist(), strict=True))
    ]
    for row in range(len(fill.rows)):
        at = int(fill.rows_mm2[row].argmax())
        where = f"row {row + 1}, at position {at // 2 + 1}"
        lines.append((float(fill.rows_mm2[row, at]), int(fill.rows[row, at]), where))
    lines = sorted((line for line in lines if line[0] > 0), key=lambda line: (-line[0], line[2]))[:MOST_LABELS]
    for number, (mm2, count, where) in enumerate(lines):
        top = y + 26 + number * 34
        share = share_of_tray(mm2)
        canvas.text(x, top, where, size=12)
        canvas.text(x, top + 14, f"{words.count(count)} cables · {share:.0%} of a tray", size=11, fill=MUTED)
        canvas.rect(x + 190, top + 5, 90, 7, GROUND, stroke=RULE, width=0.6)
        canvas.rect(x + 190, top + 5, 90 * min(share, 1), 7, _colour(share))
    end = y + 26 + len(lines) * 34
    told = (
        f"A tray is {TRAY_MM[0]} × {TRAY_MM[1]} mm, filled to {MOST_FILL:.0%} (TIA-569).",
        "Cable diameters are estimates. Orange: stack",
        "another tray, or a wider one.",
    )
    for number, line in enumerate(told):
        canvas.text(x, end + 10 + number * 15, line, size=11, fill=FAINT)
    return end + 10 + 15 * len(told)
