"""Which port is connected to which, tier by tier, by arithmetic over leaf, spine and core numbers.

Each function returns batches: links of one tier between devices of one kind at each side. Letters are those of
docs/sizing.md: P planes, K leaf positions, q rails a leaf, S places of a segment, u uplinks, s spines of a group, t and
e parallel links.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fabric.design import ClassDesign, NetworkDesign
from planner.build_layout import Block, End, Layout, LeafBlock, NetworkBlocks
from planner.build_seats import Seat, pod_of
from planner.build_templates import Ints


@dataclass(frozen=True)
class Batch:
    """Links of one tier; arrays of one length, or one number for all; -1 where there is none."""

    network: str
    tier: str
    a: End
    b: End | None
    """None: what is not ours."""
    pod: Ints | int = -1
    segment: Ints | int = -1
    rail: Ints | int = -1
    plane: Ints | int = -1
    trunk: bool = False
    """Links of neighbouring connectors at both ends share one cable."""
    service: bool = False

    def __len__(self) -> int:
        return len(self.a.local)

    @property
    def speed_gbps(self) -> Ints:
        """What both ends can."""
        return self.a.speed_gbps if self.b is None else np.minimum(self.a.speed_gbps, self.b.speed_gbps)


def _grid(outer: int, inner: int) -> tuple[Ints, Ints]:
    """0 0 0 1 1 1 … and 0 1 2 0 1 2 …: every pair of an outer and an inner number."""
    return np.repeat(np.arange(outer), inner), np.tile(np.arange(inner), outer)


def host_links(layout: Layout, network: NetworkBlocks) -> Iterator[Batch]:
    """Hosts to the leaves of their class, in the order host, rail, port."""
    for leaves in network.leaves:
        for group in leaves.cls.groups:
            seat = layout.seating.seats[network.design.network, leaves.number, group]
            yield _group_links(layout.hosts[group], leaves, seat)


def _group_links(hosts: Block, leaves: LeafBlock, seat: Seat) -> Batch:
    """Rail r, port j of a NIC: leaf (segment, plane j // π, position r // q), port (place·q + r mod q)·π + j mod π."""
    cls, design = leaves.cls, leaves.design
    each = cls.rails * cls.ports_per_nic
    host, number = _grid(hosts.devices, each)
    rail, port = np.divmod(number, cls.ports_per_nic)
    plane, sub = np.divmod(port, cls.ports_per_plane)
    position, slot_rail = np.divmod(rail, cls.rails_per_leaf)
    segment = seat.segment[host]
    leaf = leaves.leaf(segment, plane, position)
    slot = (seat.place[host] * cls.rails_per_leaf + slot_rail) * cls.ports_per_plane + sub
    return Batch(
        design.network, "host-leaf",
        a=hosts.slots(design.network, host, number), b=leaves.block.slots("host", leaf, slot),
        pod=pod_of(design, cls, segment), segment=segment + leaves.first_segment, rail=rail, plane=plane,
    )  # fmt: skip


def pair_links(network: NetworkBlocks) -> Iterator[Batch]:
    """The links between the two leaves of a single tier."""
    design = network.design
    if not design.interswitch_links:
        return
    leaves = network.leaves[0]
    link = np.arange(design.interswitch_links)
    zero = np.zeros_like(link)
    yield Batch(
        design.network, "leaf-leaf",
        a=leaves.block.slots("interswitch", zero, link), b=leaves.block.slots("interswitch", zero + 1, link),
        pod=0, segment=0, plane=0 if design.planes == 1 else -1, trunk=design.trunk_cables,
    )  # fmt: skip


def up_links(network: NetworkBlocks) -> Iterator[Batch]:
    """Leaves to the spines of their group: uplink n goes to spine n // t, so that parallel links are neighbours."""
    if network.spine is None:
        return
    for leaves in network.leaves:
        if leaves.block.devices and leaves.cls.uplinks:
            yield _leaf_spine(leaves, network.spine)


def _leaf_spine(leaves: LeafBlock, spines: Block) -> Batch:
    """Leaf ℓ of its group has the spine's down ports ℓ·t … ℓ·t + t − 1, after those of the classes before it.

    ℓ counts segments of the pod first, then planes (where they join at the spine), then positions (but with rail-only,
    where each has spines of its own), so that segments added later come after those that exist.
    """
    cls, design = leaves.cls, leaves.design
    leaf, uplink = _grid(leaves.block.devices, cls.uplinks)
    spine, parallel = np.divmod(uplink, cls.trunk)
    segment, plane, position = leaves.split(leaf)
    pod = pod_of(design, cls, segment)
    rail_only, joined = design.layout == "rail-only", design.planes_join == "spine"
    group = pod
    within = segment % cls.segments_per_pod if design.tiers == 3 else segment
    if joined:
        within = within * design.planes + plane
    if rail_only:
        group = group * cls.leaves_per_plane + position
    else:
        within = within * cls.leaves_per_plane + position
    if not joined:
        group = group * design.planes + plane
    slot = _first_down_port(design, leaves.number) + within * cls.trunk + parallel
    return Batch(
        design.network, "leaf-spine",
        a=leaves.block.slots("up", leaf, uplink),
        b=spines.slots("down", group * design.spines_per_group + spine, slot),
        pod=pod, segment=segment + leaves.first_segment, rail=leaves.link_rail(position), plane=plane,
        trunk=design.trunk_cables,
    )  # fmt: skip


def _first_down_port(design: NetworkDesign, number: int) -> int:
    """Down ports of a spine that belong to classes before this one, those of later segments included.

    The first class, which ``max_segments`` lets grow, comes last: what is added to it moves nothing.
    """
    before = design.classes[1:number] if number else design.classes[1:]
    return sum(_down_ports(design, cls) for cls in before)


def _down_ports(design: NetworkDesign, cls: ClassDesign) -> int:
    segments = cls.segments_per_pod if design.tiers == 3 else max(cls.segments, cls.max_segments)
    planes = design.planes if design.planes_join == "spine" else 1
    positions = 1 if design.layout == "rail-only" else cls.leaves_per_plane
    return segments * planes * positions * cls.trunk


def core_links(network: NetworkBlocks) -> Iterator[Batch]:
    """Spines to cores: the i-th spines of all pods share a group of cores; uplink n goes to core n // e of it.

    A core's down ports: (pod·planes + plane)·e + j, the planes where they join at the core.
    """
    design = network.design
    if network.core is None or network.spine is None:
        return
    spine, uplink = _grid(network.spine.devices, design.spine_uplinks)
    core, parallel = np.divmod(uplink, design.core_trunk)
    pod, position, plane, index = split_spine(design, spine)
    group, down = position, pod
    if design.planes_join == "core":
        down = down * design.planes + plane
    elif design.planes_join != "spine":
        group = group * design.planes + plane
    group = group * design.spines_per_group + index
    several = design.planes_join == "spine" and design.planes > 1
    rail = network.leaves[0].link_rail(position) if design.layout == "rail-only" else -1
    yield Batch(
        design.network, "spine-core",
        a=network.spine.slots("up", spine, uplink),
        b=network.core.slots("down", group * design.cores_per_group + core, down * design.core_trunk + parallel),
        pod=pod, rail=rail, plane=-1 if several else plane, trunk=design.trunk_cables,
    )  # fmt: skip


def split_spine(design: NetworkDesign, spine: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Pod, position (0 but with rail-only), plane (0 where planes join) and index of a spine."""
    rest, index = np.divmod(spine, design.spines_per_group)
    rest, plane = np.divmod(rest, 1 if design.planes_join == "spine" else design.planes)
    pod, position = np.divmod(rest, design.classes[0].leaves_per_plane if design.layout == "rail-only" else 1)
    return pod, position, plane, index


def split_core(design: NetworkDesign, core: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Position (0 but with rail-only), plane (0 where planes join), group and index of a core."""
    rest, index = np.divmod(core, design.cores_per_group)
    rest, group = np.divmod(rest, design.spines_per_group)
    position, plane = np.divmod(rest, design.planes if design.planes_join == "never" else 1)
    return position, plane, group, index


def leaving_links(layout: Layout, network: NetworkBlocks, attached: dict[str, int]) -> Iterator[Batch]:
    """Uplinks of leaves to what is not ours, or to another network's leaves.

    Link n of all goes to leaf n mod L of the L leaves of the other network's first class, port n // L; ``attached``
    counts the links that each network already has, and is brought up to date.
    """
    design = network.design
    if not design.external_uplinks:
        return
    target = layout.networks.get(design.external_to or "")
    for leaves in network.leaves:
        leaf, number = _grid(leaves.block.devices, design.external_uplinks)
        segment, plane, position = leaves.split(leaf)
        end = None
        if target is not None:
            name = target.design.network
            first = attached.get(name, 0)
            attached[name] = first + len(leaf)
            port, other = np.divmod(np.arange(first, first + len(leaf)), target.leaves[0].block.devices)
            end = target.leaves[0].block.slots("attach", other, port)
        yield Batch(
            design.network, "uplink",
            a=leaves.block.slots("external", leaf, number), b=end,
            pod=pod_of(design, leaves.cls, segment), segment=segment + leaves.first_segment,
            rail=leaves.link_rail(position), plane=plane,
        )  # fmt: skip


def endpoint_links(layout: Layout, network: NetworkBlocks) -> Iterator[Batch]:
    """The out-of-band endpoints in the order of the leaves' ports: NICs of hosts, switches of other networks, PDUs."""
    leaves = network.leaves[0]
    first = 0
    for block, use in _endpoints(layout):
        each = len(block.template.slot(use))
        if not block.devices * each:
            continue
        device, number = _grid(block.devices, each)
        segment, place = np.divmod(np.arange(first, first + len(device)), leaves.cls.segment_hosts)
        first += len(device)
        zero = np.zeros_like(segment)
        yield Batch(
            network.design.network, "oob",
            a=block.slots(use, device, number),
            b=leaves.block.slots("host", leaves.leaf(segment, zero, zero), place),
            pod=pod_of(network.design, leaves.cls, segment), segment=segment, rail=0, plane=0,
        )  # fmt: skip


def _endpoints(layout: Layout) -> Iterator[tuple[Block, str]]:
    for name, block in layout.hosts.items():
        if name != "pdu":
            yield block, "oob"
    for network in layout.networks.values():
        if network.design.network != "oob":
            yield from ((block, "mgmt") for block in network.switches())
    if "pdu" in layout.hosts:
        yield layout.hosts["pdu"], "oob"
