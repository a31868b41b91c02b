"""How a network is laid out: which rows there are, and what stands beside what in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fabric.exports.drawing.facts import Box, Facts, Group, Segment
from fabric.exports.drawing.layout import Rect, Shown, abridge, divide

PAGE = 1600.0
MARGIN = 32.0
LEFT, RIGHT = 312.0, PAGE - MARGIN - 20
"""Left and right edge of the picture; the tier facts stand to its left."""

HEADER, EXTERNAL, CORE, SPINE, LEAF, FAN, HOSTS, TITLE, PAD = 62.0, 34.0, 62.0, 68.0, 36.0, 52.0, 88.0, 34.0, 10.0
GAP, SHORT_GAP = 126.0, 70.0
OUTSIDE = 132.0
"""Width of the box for what is not ours, beside the spines."""
MOST_SINGLE = 64
"""Networks of so many switches are drawn switch by switch, if the page is wide enough."""


@dataclass(frozen=True)
class Column:
    """One segment in detail, or several alike as a stack."""

    rect: Rect
    segments: tuple[Segment, ...]

    @property
    def stack(self) -> bool:
        """Stands for several segments."""
        return len(self.segments) > 1


@dataclass(frozen=True)
class Place:
    """A spine group or core group and the members that are drawn in it, one by one where there is room."""

    rect: Rect
    group: Group
    shown: Shown[Box]
    boxes: tuple[Rect, ...]
    rest: Rect | None


@dataclass(frozen=True)
class PodArea:
    """A pod in detail, or several alike as a stack."""

    rect: Rect
    pods: tuple[int, ...]
    columns: tuple[Column, ...]
    groups: tuple[Place, ...]

    @property
    def stack(self) -> bool:
        """Stands for several pods."""
        return not self.columns


@dataclass(frozen=True)
class CoreRow:
    """Core groups side by side; ``rests`` are the gaps that stand for groups not drawn, with their number."""

    places: tuple[Place, ...]
    rests: tuple[tuple[Rect, int], ...]


@dataclass(frozen=True)
class Arrangement:
    """A network on the page. Rows that it does not have are None; ``single``: every switch is drawn on its own."""

    frame: Rect
    single: bool
    pods: tuple[PodArea, ...]
    cores: CoreRow | None
    outside: Rect | None
    core_y: float | None
    spine_y: float | None
    leaf_y: float

    @property
    def hosts_y(self) -> float:
        """Top of the hosts."""
        return self.leaf_y + LEAF + FAN


def arrange(facts: Facts, top: float) -> Arrangement:
    """Lay the network out below ``top``."""
    y = top + HEADER
    outside_above = facts.design.external_uplinks > 0 and not facts.spines
    apart = outside_above or any(facts.trunks["kind"] == "leaf-leaf")
    core_y = y if facts.cores else None
    y += CORE + GAP if facts.cores else 0
    spine_y = y if facts.spines else None
    y += SPINE + GAP if facts.spines else (EXTERNAL + SHORT_GAP if apart else 0)
    leaf_y = y + PAD
    bottom = leaf_y + LEAF + FAN + HOSTS + TITLE + PAD + (TITLE if _boxed_pods(facts) else 0)
    beside = facts.design.external_uplinks > 0 and not outside_above
    right = RIGHT - (OUTSIDE + 24 if beside else 0)
    picture = Rect(LEFT, leaf_y - PAD, right - LEFT, LEAF + FAN + HOSTS + TITLE + 2 * PAD)
    single = facts.switch_count <= MOST_SINGLE and _needed(facts) <= picture.w
    pods = tuple(_pods(facts, picture, spine_y, single))
    outside = None
    if outside_above:
        outside = Rect(picture.cx - 130, top + HEADER, 260, EXTERNAL)
    elif beside and spine_y is not None:
        outside = Rect(right + 24, spine_y, OUTSIDE, SPINE)
    cores = _core_row(facts, Rect(LEFT, core_y, right - LEFT, CORE), single) if core_y is not None else None
    frame = Rect(MARGIN, top, PAGE - 2 * MARGIN, bottom + 16 - top)
    return Arrangement(frame, single, pods, cores, outside, core_y, spine_y, leaf_y)


def _boxed_pods(facts: Facts) -> bool:
    return len({segment.pod for segment in facts.segments}) > 1


def _needed(facts: Facts) -> float:
    """Width at which every leaf and spine can be drawn with a number on it."""
    leaves = sum(max(segment.leaves * 24, 52) + 2 * PAD + 10 for segment in facts.segments)
    spines = sum(len(group.members) * 17 + 34 for group in facts.spines)
    return max(leaves, spines) + 34 * len({segment.pod for segment in facts.segments})


def _pods(facts: Facts, picture: Rect, spine_y: float | None, single: bool) -> Iterator[PodArea]:
    by_pod = [
        tuple(items) for _, items in groupby(sorted(facts.segments, key=lambda s: (s.pod, s.number)), lambda s: s.pod)
    ]
    shown = abridge(by_pod, len(by_pod) if single else 1, tail=0) if len(by_pod) > 1 else Shown(tuple(by_pod), ())
    details = [_columns_of(segments, single) for segments in shown.first]
    weights = [sum(_weight(part) for part in parts) + 0.6 for parts in details] + ([4.6] if shown.rest else [])
    areas = divide(picture, weights, 22)
    for segments, parts, area in zip(shown.first, details, areas, strict=False):
        inner = area.inset(12 if len(by_pod) > 1 else 0)
        pod = segments[0].pod
        rects = divide(inner, [_weight(part) for part in parts], 14)
        columns = tuple(Column(rect, part) for rect, part in zip(rects, parts, strict=True))
        row = Rect(inner.x, spine_y or 0, inner.w, SPINE)
        yield PodArea(
            area, (pod,), columns, tuple(_places([g for g in facts.spines if g.pod in (pod, None)], row, single))
        )
    if shown.rest:
        yield PodArea(areas[-1], tuple(segments[0].pod for segments in shown.rest), (), ())


def _columns_of(segments: Sequence[Segment], single: bool) -> list[tuple[Segment, ...]]:
    """Every segment where single; else of each host class the first one, and the rest in one."""
    if single:
        return [(segment,) for segment in segments]
    columns: list[tuple[Segment, ...]] = []
    for _, items in groupby(segments, lambda s: s.host_class):
        first, *rest = items
        columns += [(first,), *([tuple(rest)] if rest else [])]
    return columns


def _weight(segments: Sequence[Segment]) -> float:
    return 5.0 if len(segments) > 1 else float(min(max(segments[0].leaves, 6), 16)) + 0.8


def _places(groups: Sequence[Group], row: Rect, single: bool) -> Iterator[Place]:
    """Groups side by side, as wide as their members where every one is drawn."""
    if not groups:
        return
    weights = [float(len(group.members)) + 1 if single else 1.0 for group in groups]
    for group, rect in zip(groups, divide(row, weights, 14), strict=True):
        yield place(group, rect, 13 if single else 30)


def place(group: Group, rect: Rect, narrowest: float, widest: float = 64) -> Place:
    """Members of a group as boxes between ``narrowest`` and ``widest`` pixels, abridged where there is no room."""
    inner = rect.inset(10, 24, 10)
    slots = int((inner.w + 4) // (narrowest + 4))
    shown = abridge(group.members, slots) if slots >= 3 else Shown((), group.members)
    number = len(shown.first) + len(shown.last) + bool(shown.rest)
    if not shown.first:
        return Place(rect, group, shown, (), None)
    width = min(max(widest, inner.w / (2.5 * number)), 150, (inner.w + 4) / number - 4)
    left = inner.x + (inner.w - number * (width + 4) + 4) / 2
    cells = [Rect(left + i * (width + 4), inner.y, width, inner.h) for i in range(number)]
    rest = cells.pop(len(shown.first)) if shown.rest else None
    return Place(rect, group, shown, tuple(cells), rest)


def _core_row(facts: Facts, row: Rect, single: bool) -> CoreRow:
    """Core groups of each rail and plane, the first ones and the last of each where there are many."""
    families = [tuple(items) for _, items in groupby(facts.cores, lambda g: (g.rail, g.plane))]
    places: list[Place] = []
    rests: list[tuple[Rect, int]] = []
    for family, rect in zip(families, divide(row, [1.0] * len(families), 18), strict=True):
        least = max(len(family[0].members) * 15 + 24, 60) if single else 124
        shown = abridge(family, max(1, int((rect.w + 10) // (least + 10))))
        cells = divide(rect, [1.0] * (len(shown.first) + len(shown.last) + bool(shown.rest)), 10)
        if shown.rest:
            rests.append((cells.pop(len(shown.first)), len(shown.rest)))
        places += [place(group, cell, 9, 26) for group, cell in zip((*shown.first, *shown.last), cells, strict=True)]
    return CoreRow(tuple(places), tuple(rests))
