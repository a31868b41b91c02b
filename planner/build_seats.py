"""Where each host sits: its segment and place on every network, and its number within its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fabric.design import ClassDesign, Design, NetworkDesign
from planner.build_templates import Ints


@dataclass(frozen=True)
class Seat:
    """Segments and places of the hosts of one group in one class of a network; arrays in the order of the hosts."""

    segment: Ints
    """Within the class."""
    place: Ints


@dataclass(frozen=True)
class GroupHosts:
    """The hosts of one group, spares included, in the order of the table; arrays of one length."""

    name: str
    index: Ints
    spare: npt.NDArray[np.bool_]
    pod: Ints
    segment: Ints
    """Numbered over all classes of the primary network; -1 (as pod and place) where the group has none."""
    place: Ints

    def __len__(self) -> int:
        return len(self.index)


@dataclass
class Seating:
    """All groups, by name, and the seat of each in the classes of the networks it is on."""

    groups: dict[str, GroupHosts] = field(default_factory=dict)
    seats: dict[tuple[str, int, str], Seat] = field(default_factory=dict)
    """By network, class and group."""


def seat_hosts(design: Design, counts: Mapping[str, int]) -> Seating:
    """Seat ``counts`` hosts of each group on every network but oob, whose endpoints are more than hosts.

    On its primary network a group gets its spares, and its hosts their numbers; on later ones its hosts, spares among
    them, fill the segments in the order of the table.
    """
    seating = Seating()
    for network in design.networks.values():
        if network.network == "oob":
            continue
        for number, cls in enumerate(network.classes):
            for group, (seat, spare) in zip(cls.groups, _seat_class(cls, counts, seating), strict=True):
                seating.seats[network.network, number, group] = seat
                if group not in seating.groups:
                    seating.groups[group] = _group(network, number, group, seat, spare)
    return seating


def first_segment(network: NetworkDesign, number: int) -> int:
    """Number of the first segment of a class; segments are numbered over all classes."""
    return sum(c.segments for c in network.classes[:number])


def pod_of(network: NetworkDesign, cls: ClassDesign, segment: Ints) -> Ints:
    """Pod of a segment of the class. Below three tiers there is one pod."""
    return segment // cls.segments_per_pod if network.tiers == 3 else np.zeros_like(segment)


def installed_spares(cls: ClassDesign, counts: Mapping[str, int]) -> dict[str, int]:
    """Spares that each group of a class gets where the class has its primary network; ``counts``: hosts by group."""
    seats = _seat_class(cls, counts, Seating())
    return {group: int(spare.sum()) for group, (_, spare) in zip(cls.groups, seats, strict=True)}


def _seat_class(
    cls: ClassDesign, counts: Mapping[str, int], seating: Seating
) -> list[tuple[Seat, npt.NDArray[np.bool_]]]:
    """Seat and spare flag of every host of each group: hosts fill segments one after another, then spares join them.

    Spares of a segment belong to the group of its first host; a segment without hosts has none.
    """
    sizes = [len(seating.groups[g]) if g in seating.groups else counts[g] for g in cls.groups]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    segment, place = np.divmod(np.arange(len(owner)), cls.segment_hosts)
    if segment.size and segment[-1] >= cls.segments:
        raise ValueError(f"class {cls.name}: {len(owner)} hosts in {cls.segments} segments of {cls.segment_hosts}")
    used = np.arange(-(-len(owner) // cls.segment_hosts))
    spares = cls.spares_per_segment
    owner = np.concatenate([owner, np.repeat(owner[used * cls.segment_hosts], spares)])
    segment = np.concatenate([segment, np.repeat(used, spares)])
    place = np.concatenate([place, cls.segment_hosts + np.tile(np.arange(spares), len(used))])
    order = np.lexsort((place, segment, owner))
    parts = np.split(order, np.cumsum(np.bincount(owner, minlength=len(sizes)))[:-1])
    return [(Seat(segment[p], place[p]), place[p] >= cls.segment_hosts) for p in parts]


def _group(network: NetworkDesign, number: int, group: str, seat: Seat, spare: npt.NDArray[np.bool_]) -> GroupHosts:
    """Give the hosts their numbers: segment × places + place, so that they stay when the cluster grows.

    Where several groups share the segments it is a running number within the group.
    """
    cls = network.classes[number]
    places = cls.segment_hosts + cls.spares_per_segment
    alone = len(cls.groups) == 1
    return GroupHosts(
        name=group,
        index=seat.segment * places + seat.place if alone else np.arange(len(seat.place)),
        spare=spare,
        pod=pod_of(network, cls, seat.segment),
        segment=seat.segment + first_segment(network, number),
        place=seat.place,
    )


def unseated(name: str, count: int) -> GroupHosts:
    """Hosts of a group that has no place of its own on any network."""
    none = np.full(count, -1)
    return GroupHosts(name, np.arange(count), np.zeros(count, dtype=np.bool_), none, none, none)


def seat_endpoints(group: GroupHosts, network: NetworkDesign, first: int, each: int) -> GroupHosts:
    """A group whose primary network is oob: each host sits where its first endpoint does.

    ``first``: number of the group's first endpoint; ``each``: endpoints a host.
    """
    cls = network.classes[0]
    segment, place = np.divmod(first + each * np.arange(len(group)), cls.segment_hosts)
    return replace(group, pod=pod_of(network, cls, segment), segment=segment, place=place)


def in_order(seating: Seating, names: Sequence[str], counts: Mapping[str, int]) -> list[GroupHosts]:
    """The groups in the order of the intent, unseated ones too."""
    return [seating.groups.get(name) or unseated(name, counts[name]) for name in names]
