"""``drawings/racks.svg``: rack elevations. Up to forty racks one by one, more of them one for each distinct content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fabric.exports.drawing import words
from fabric.exports.drawing.canvas import Canvas, text_width
from fabric.exports.drawing.gear import Gear, Kind, gear
from fabric.exports.drawing.palette import FAINT, GROUND, INK, MUTED, PAPER, RULE
from fabric.plan import Plan

PAGE, MARGIN = 1600.0, 32.0
MOST_RACKS = 40
MOST_KINDS = 28
"""Distinct contents that are drawn; the rarest are told in a line."""
ACROSS = 8
WIDTH, GAP, UNIT, HEAD, FOOT = 150.0, 44.0, 9.0, 40.0, 40.0


@dataclass(frozen=True)
class Elevation:
    """One rack, or several with the same content: rows of (unit, height, kind, name), and power drawn at most."""

    racks: tuple[str, ...]
    devices: tuple[tuple[int, int, int, str], ...]
    kw: float
    power_kw: float
    units: int
    feed: str

    @property
    def free(self) -> int:
        """Units that nothing takes."""
        return self.units - sum(height for _, height, _, _ in self.devices)


def racks_svg(plan: Plan) -> bytes:
    """The drawing as an SVG document; without a floor plan it says so."""
    found = gear(plan)
    every = list(elevations(plan, found))
    alone = len(every) <= MOST_RACKS
    shown = every if alone else alike(every)
    canvas = Canvas()
    y = _title(canvas, plan, every, shown, found)
    y = _draw(canvas, shown[: MOST_RACKS if alone else MOST_KINDS], found, y)
    if not alone and len(shown) > MOST_KINDS:
        rest = shown[MOST_KINDS:]
        racks = sum(len(item.racks) for item in rest)
        said = f"… and {len(rest)} more contents in {racks} racks: {', '.join(r for item in rest for r in item.racks)}"
        canvas.text(MARGIN, y + 8, said, size=12, fill=MUTED, room=PAGE - 2 * MARGIN)
        y += 24
    ground = Canvas()
    ground.rect(0, 0, PAGE, y + 16, PAPER)
    ground.extend(canvas)
    return ground.to_svg(PAGE, y + 16, f"{plan.design.name}: racks", f"{len(every)} racks with devices").encode()


def elevations(plan: Plan, found: Gear) -> Iterator[Elevation]:
    """Every rack that holds something, in the order of rows and positions."""
    racks = plan.fabric.racks
    for (rack,), rows in found.devices.group_by("rack", maintain_order=True):
        about = racks.row(int(rack), named=True)
        devices = tuple(rows.select("unit", "height", "kind", "name").iter_rows())
        yield Elevation(
            (about["name"],), devices, float(rows["kw"].sum()), about["power_kw"], about["units"], about["feed"]
        )


def alike(every: list[Elevation]) -> list[Elevation]:
    """Racks of one content as one, the most frequent first; of hosts and switches only kind and unit count."""
    groups: dict[tuple[object, ...], list[Elevation]] = {}
    for item in every:
        groups.setdefault(tuple((u, h, k) for u, h, k, _ in item.devices), []).append(item)
    merged = [
        Elevation(tuple(i.racks[0] for i in same), same[0].devices, max(i.kw for i in same), *_about(same[0]))
        for same in groups.values()
    ]
    return sorted(merged, key=lambda item: -len(item.racks))


def _about(item: Elevation) -> tuple[float, int, str]:
    return item.power_kw, item.units, item.feed


def _title(canvas: Canvas, plan: Plan, every: list[Elevation], shown: list[Elevation], found: Gear) -> float:
    canvas.text(MARGIN, 46, f"{plan.design.name}: racks", size=26, bold=True)
    kw = sum(item.kw for item in every)
    parts = [words.several(len(every), "rack") + f" with devices of {words.count(plan.fabric.racks.height)}"]
    parts += [f"{words.count(kw)} kW at most"]
    if len(shown) < len(every):
        parts.append(f"{len(shown)} distinct contents, each drawn once, the most frequent first")
    if not every:
        parts = ["No floor plan: the intent has no site."]
    canvas.text(MARGIN, 70, " · ".join(parts), size=13, fill=MUTED)
    return legend(canvas, found.kinds, 88)


def legend(canvas: Canvas, kinds: tuple[Kind, ...], y: float) -> float:
    """A swatch a kind; gives the y below."""
    x = MARGIN
    for kind in kinds:
        wide = 22 + text_width(kind.name, 11) + 18
        if x + wide > PAGE - MARGIN:
            x, y = MARGIN, y + 20
        block(canvas, kind, x, y, 15, 13)
        canvas.text(x + 21, y + 10.5, kind.name, size=11, fill=INK)
        x += wide
    return y + 34


def block(canvas: Canvas, kind: Kind, x: float, y: float, w: float, h: float) -> None:
    """A device: its colour, and the bar of its plane."""
    canvas.rect(x, y, w, h, kind.colour, stroke=MUTED, width=0.5, dash="2 2" if kind.spare else "")
    if kind.stripe:
        canvas.rect(x, y, min(5, w / 3), h, kind.stripe)


def _draw(canvas: Canvas, shown: list[Elevation], found: Gear, y: float) -> float:
    for first in range(0, len(shown), ACROSS):
        line = shown[first : first + ACROSS]
        for column, item in enumerate(line):
            _elevation(canvas, item, found, MARGIN + 22 + column * (WIDTH + GAP), y)
        y += HEAD + max(item.units for item in line) * UNIT + FOOT + 14
    return y


def _elevation(canvas: Canvas, item: Elevation, found: Gear, x: float, y: float) -> None:
    count = len(item.racks)
    name = item.racks[0] if count == 1 else f"{words.count(count)} racks"
    canvas.text(x, y + 12, name, size=14, bold=True, room=WIDTH)
    which = f"feeds {item.feed}" if count == 1 else f"{item.racks[0]} … {item.racks[-1]}"
    canvas.text(x, y + 28, which, size=11, fill=MUTED, room=WIDTH + 20)
    top = y + HEAD
    canvas.rect(x, top, WIDTH, item.units * UNIT, GROUND, stroke=RULE, width=1.2)
    for unit in range(5, item.units + 1, 5):
        at = top + (item.units - unit) * UNIT
        canvas.text(x - 5, at + UNIT - 1.5, str(unit), size=8, anchor="end", fill=FAINT)
        canvas.line(x - 3, at + UNIT / 2, x, at + UNIT / 2, RULE)
    for devices in _runs(item):
        _run(canvas, devices, item, found, x, top, count)
    bottom = top + item.units * UNIT
    full = item.kw / item.power_kw if item.power_kw else 0
    canvas.rect(x, bottom + 5, WIDTH, 5, GROUND, stroke=RULE, width=0.6)
    canvas.rect(x, bottom + 5, WIDTH * min(full, 1), 5, "#56b4e9" if full <= 1 else "#d55e00")
    said = f"{item.kw:.1f} of {item.power_kw:g} kW · {item.free} U free"
    canvas.text(x, bottom + 23, said, size=11, fill=MUTED, room=WIDTH + 20)


def _runs(item: Elevation) -> Iterator[list[tuple[int, int, int, str]]]:
    """Devices of one kind right above each other, so that many low ones share a label."""
    run: list[tuple[int, int, int, str]] = []
    for device in item.devices:
        if run and (device[2] != run[-1][2] or device[0] + device[1] != run[-1][0]):
            yield run
            run = []
        run.append(device)
    if run:
        yield run


def _run(
    canvas: Canvas, run: list[tuple[int, int, int, str]], item: Elevation, found: Gear, x: float, top: float, count: int
) -> None:
    for unit, height, kind, name in run:
        at = top + (item.units - unit - height + 1) * UNIT
        block(canvas, found.kinds[kind], x + 3, at + 0.5, WIDTH - 6, height * UNIT - 1)
        if height >= 3 or (count == 1 and height == 1 and len(run) <= 2) or (height == 2 and count == 1):
            label = name if count == 1 else found.kinds[kind].name
            size = min(10.0, height * UNIT - 1)
            middle = at + height * UNIT / 2 + size * 0.36
            canvas.text(x + WIDTH / 2 + 3, middle, label, size=size, anchor="middle", room=WIDTH - 18)
    low = all(height < 3 for _, height, _, _ in run)
    tall = sum(height for _, height, _, _ in run)
    if low and tall >= 2 and (count > 1 or (run[0][1] == 1 and len(run) > 2)):
        named = found.kinds[run[0][2]].name
        label = f"{len(run)} × {named}" if len(run) > 1 else named
        middle = top + (item.units - (run[0][0] + run[0][1] + run[-1][0] - 1) / 2 + 0.5) * UNIT
        wide = text_width(label, 9.5)
        canvas.rect(x + WIDTH / 2 + 2 - wide / 2, middle - 6.5, wide + 4, 13, PAPER, rx=3, opacity=0.82)
        canvas.text(x + WIDTH / 2 + 4, middle + 3.4, label, size=9.5, anchor="middle", room=WIDTH - 12)
