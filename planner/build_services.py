"""Where service NICs are plugged in: into what the hosts of a network left over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.build_layout import End, Layout, LeafBlock, NetworkBlocks
from planner.build_links import Batch
from planner.build_seats import pod_of
from planner.build_templates import FREE, Ints


@dataclass(frozen=True)
class _Openings:
    """Ports that services may take on the leaves of one plane (the others have the same), best first."""

    number: Ints
    """Of the class."""
    segment: Ints
    position: Ints
    row: Ints
    """Of the leaf's template."""
    speed_gbps: Ints

    def __getitem__(self, which: Ints) -> _Openings:
        return _Openings(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def service_links(layout: Layout, network: NetworkBlocks) -> Iterator[Batch]:
    """Service NICs on vacant host ports, else on free ports of leaves.

    Vacant ports: the last segment first, at most one a leaf until all its leaves have one. Free ports: evenly over all
    leaves, from the last segment. The ports of service NICs take the planes in turn, so that those of one NIC go to as
    many planes as there are. Ports of the NIC's own speed are taken before others. Raises ValueError where the design
    left too few.
    """
    name, planes = network.design.network, network.design.planes
    services = [m for m in layout.members[name].values() if m.service]
    if not services:
        return
    openings = _openings(layout, network)
    taken = np.zeros((planes, len(openings.row)), dtype=np.bool_)
    first = 0
    for member in services:
        hosts = layout.hosts[member.group.name]
        link = np.arange(hosts.devices * member.port_count)
        plane = (first + link) % planes
        first += len(link)
        place = openings[_take(taken, _ranked(openings, member.nics[0].speed_gbps), plane)]
        for leaves in network.leaves:
            mine = np.flatnonzero(place.number == leaves.number)
            if mine.size:
                host, port = np.divmod(mine, member.port_count)
                yield _batch(leaves, place[mine], plane[mine], hosts.slots(name, host, port))


def _batch(leaves: LeafBlock, place: _Openings, plane: Ints, a: End) -> Batch:
    leaf = leaves.leaf(place.segment, plane, place.position)
    return Batch(
        leaves.design.network, "host-leaf", a=a, b=leaves.block.end(leaf, place.row),
        pod=pod_of(leaves.design, leaves.cls, place.segment), segment=place.segment + leaves.first_segment,
        rail=leaves.link_rail(place.position), plane=plane, service=True,
    )  # fmt: skip


def _ranked(openings: _Openings, speed_gbps: int) -> Ints:
    """The openings in order of preference: of this speed, faster, slower; else as they come."""
    worse = np.sign(speed_gbps - openings.speed_gbps) % 3
    return np.argsort(np.array([0, 2, 1])[worse], kind="stable")


def _take(taken: npt.NDArray[np.bool_], ranked: Ints, plane: Ints) -> Ints:
    """The best opening not ``taken`` for each link, in the order of the links of its plane; marks them taken."""
    chosen = np.empty(len(plane), dtype=np.int64)
    for number, gone in enumerate(taken):
        mine = plane == number
        left = ranked[~gone[ranked]]
        if mine.sum() > len(left):
            raise ValueError(f"{mine.sum()} service ports in plane {number}, room for {len(left)}")
        chosen[mine] = left[: mine.sum()]
        gone[chosen[mine]] = True
    return chosen


def _openings(layout: Layout, network: NetworkBlocks) -> _Openings:
    """Vacant host ports of all classes, then free ports of all classes."""
    found = [_vacant(layout, leaves) for leaves in network.leaves] + [_free(leaves) for leaves in network.leaves]
    return _Openings(*(np.concatenate([getattr(f, n) for f in found]) for n in _Openings.__dataclass_fields__))


def _vacant(layout: Layout, leaves: LeafBlock) -> _Openings:
    """Host ports of places without a host (not those kept for spares)."""
    cls = leaves.cls
    seats = [layout.seating.seats[leaves.design.network, leaves.number, group] for group in cls.groups]
    hosts = sum(int((seat.place < cls.segment_hosts).sum()) for seat in seats)
    vacant = np.arange(hosts, cls.segments * cls.segment_hosts)
    each = cls.rails * cls.ports_per_plane
    segment, place = np.divmod(np.repeat(vacant, each), cls.segment_hosts)
    rail, sub = np.divmod(np.tile(np.arange(each), len(vacant)), cls.ports_per_plane)
    position, slot_rail = np.divmod(rail, cls.rails_per_leaf)
    slot = (place * cls.rails_per_leaf + slot_rail) * cls.ports_per_plane + sub
    nth = _nth_of_leaf(segment * cls.leaves_per_plane + position, slot)
    order = np.lexsort((position, nth, -segment))
    row = leaves.block.template.slot("host")[slot]
    return _opened(leaves, segment[order], position[order], row[order])


def _nth_of_leaf(leaf: Ints, slot: Ints) -> Ints:
    """Number of each slot among those listed of its leaf, by slot."""
    order = np.lexsort((slot, leaf))
    ordered = leaf[order]
    nth = np.empty_like(slot)
    nth[order] = np.arange(len(slot)) - np.searchsorted(ordered, ordered)
    return nth


def _free(leaves: LeafBlock) -> _Openings:
    """Ports kept free: the first of each leaf from the last segment on, then the second of each …"""
    cls = leaves.cls
    rows = leaves.block.template.slot(FREE[0])
    leaves_of_plane = cls.segments * cls.leaves_per_plane
    nth, rest = np.divmod(np.arange(len(rows) * leaves_of_plane), leaves_of_plane)
    segment, position = np.divmod(rest, cls.leaves_per_plane)
    return _opened(leaves, cls.segments - 1 - segment, position, rows[nth])


def _opened(leaves: LeafBlock, segment: Ints, position: Ints, row: Ints) -> _Openings:
    return _Openings(np.full(len(row), leaves.number), segment, position, row, leaves.block.template.speed_gbps[row])
