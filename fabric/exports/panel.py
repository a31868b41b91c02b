"""Front panels: one switch of each kind, cage by cage, with breakout and use, as a picture and as runs of cages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from fabric.exports.drawing import words
from fabric.exports.drawing.canvas import Canvas
from fabric.exports.drawing.palette import FAINT, INK, MUTED, PAPER, RULE, tint
from fabric.plan import Plan

COLOURS = {
    "host": "#0072b2", "service": "#cc79a7", "attach": "#56b4e9", "up": "#d55e00", "down": "#009e73",
    "reserve": "#e69f00", "external": "#3a3a3a", "interswitch": "#c9bb1e", "free": "#8a96a3",
}  # fmt: skip
CELL, TALL, ACROSS = 36.0, 40.0, 32


@dataclass(frozen=True)
class Cage:
    """One cage: its breakout, the uses of its ports, ports the plan has there, and how many of them carry a link."""

    number: int
    mode: str
    uses: tuple[str, ...]
    ports: int
    linked: int


@dataclass(frozen=True)
class Run:
    """Neighbouring cages set up alike, with the first and last port name."""

    cages: str
    mode: str
    use: str
    ports: int
    linked: int
    names: str


@dataclass(frozen=True)
class Panel:
    """The first switch of a kind."""

    network: str
    tier: str
    model: str
    switch: str
    count: int
    cages: tuple[Cage, ...]
    runs: tuple[Run, ...]
    svg: str


def panels(plan: Plan) -> Iterator[Panel]:
    """One panel for each network, tier and host class."""
    text = pl.col("network", "tier", "model").cast(pl.String)
    switches = plan.fabric.switches.with_columns(text)
    taken = pl.concat([plan.fabric.links["a_port"], plan.fabric.links["b_port"].drop_nulls()])
    kinds = switches.group_by("network", "tier", "host_class", maintain_order=True)
    for (network, tier, _), same in kinds:
        first = same.row(0, named=True)
        ports = _ports(plan, first["id"], taken)
        size = plan.catalogue.switches[first["model"]].cage_count
        cages = tuple(_cages(ports, size))
        svg = draw(cages, f"{first['name']}: front panel")
        runs = tuple(_runs(ports))
        yield Panel(str(network), str(tier), first["model"], first["name"], same.height, cages, runs, svg)


def _ports(plan: Plan, device: int, taken: pl.Series) -> pl.DataFrame:
    """Ports of a switch in the order of its cages; ``linked``: whether something is plugged in."""
    ports = plan.fabric.ports.filter((pl.col("device") == device) & (pl.col("use").cast(pl.String) != "mgmt"))
    linked = ports["id"].is_in(taken.implode())
    return ports.with_columns(pl.col("use", "mode").cast(pl.String), linked=linked).sort("cage", "connector", "lane")


def _cages(ports: pl.DataFrame, size: int) -> Iterator[Cage]:
    by_cage = ports.group_by("cage", maintain_order=True).agg(
        pl.col("mode").first(), pl.col("use").unique(maintain_order=True), pl.len(), pl.col("linked").sum()
    )
    known = {cage: (mode, tuple(uses), n, linked) for cage, mode, uses, n, linked in by_cage.iter_rows()}
    for number in range(1, size + 1):
        yield Cage(number, *known.get(number, ("", (), 0, 0)))


def _runs(ports: pl.DataFrame) -> Iterator[Run]:
    rows = ports.select("cage", "mode", "use", "linked", "name").iter_rows()
    for (mode, use), items in groupby(rows, lambda row: (row[1], row[2])):
        run = list(items)
        first, last = run[0], run[-1]
        cages = str(first[0]) if first[0] == last[0] else f"{first[0]} – {last[0]}"
        names = first[4] if len(run) == 1 else f"{first[4]} … {last[4]}"
        yield Run(cages, mode, words.USES.get(use, use), len(run), sum(bool(row[3]) for row in run), names)


def rows_of(cages: int) -> int:
    """Rows of cages: an even number, at most ``ACROSS`` cages in each; one row of up to eight."""
    if cages <= 8:
        return 1
    return 2 * -(-cages // (2 * ACROSS))


def draw(cages: tuple[Cage, ...], title: str) -> str:
    """The panel as SVG: cages count downwards and then to the right, as on most boxes."""
    canvas = Canvas()
    rows = rows_of(len(cages))
    columns = -(-len(cages) // rows)
    width, height = columns * CELL + 20, rows * TALL + 20
    canvas.rect(1, 1, width - 2, height - 2, "#f5f7f9", stroke=RULE, rx=6)
    for i, cage in enumerate(cages):
        _cage(canvas, cage, 10 + (i // rows) * CELL, 10 + (i % rows) * TALL)
    return canvas.to_svg(width, height, title, f"{len(cages)} cages")


def _cage(canvas: Canvas, cage: Cage, x: float, y: float) -> None:
    use = cage.uses[0] if cage.uses else ""
    colour = COLOURS.get(use, FAINT)
    filled = cage.linked > 0
    about = f"cage {cage.number}: {cage.mode} {', '.join(words.USES.get(u, u) for u in cage.uses)}, " if use else ""
    title = f"{about}{cage.linked} of {cage.ports} ports linked" if use else f"cage {cage.number}: unused"
    fill = tint(colour, 0.3) if filled else PAPER
    dash = "" if filled else "2 2"
    canvas.rect(
        x + 1.5, y + 1.5, CELL - 3, TALL - 3, fill, stroke=colour if use else RULE, rx=3, dash=dash, title=title
    )
    canvas.text(x + CELL / 2, y + 15, str(cage.number), size=9, bold=True, anchor="middle", fill=INK if use else MUTED)
    canvas.text(x + CELL / 2, y + 29, cage.mode.replace("x", "×"), size=9, anchor="middle", fill=INK, room=CELL - 4)
