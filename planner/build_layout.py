"""Who has which ids: devices of one kind lie next to each other, and so do the ports of each device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fabric.catalogue import Catalogue
from fabric.design import ClassDesign, Design, NetworkDesign, SwitchPlan
from fabric.intent import Intent
from fabric.population import Member, on_network
from planner.build_seats import GroupHosts, Seating, first_segment, in_order, seat_endpoints, seat_hosts, unseated
from planner.build_templates import PDU, Ints, Template, host_template, switch_template


@dataclass(frozen=True)
class Block:
    """Devices of one kind: ids ``first_device`` …, each with the ports of the template, ids ``first_port`` …."""

    template: Template
    devices: int
    first_device: int
    first_port: int
    first_nic: int

    def end(self, device: Ints, row: Ints) -> End:
        """Ports of the block by number of the device within it and row of the template."""
        return End(self, device, row)

    def slots(self, use: str, device: Ints, number: Ints) -> End:
        """The ``number``-th ports of a use; raises ValueError where the design gave the switch fewer."""
        rows = self.template.slot(use)
        if number.size and number.max() >= len(rows):
            raise ValueError(f"port {number.max()} of use {use} on a device that has {len(rows)}")
        return End(self, device, rows[number])


@dataclass(frozen=True)
class End:
    """One end of many links: for each link the device within the block and the row within its template."""

    block: Block
    local: Ints
    row: Ints

    @property
    def device(self) -> npt.NDArray[np.uint32]:
        """Device ids."""
        return (self.block.first_device + self.local).astype(np.uint32)

    @property
    def port(self) -> npt.NDArray[np.uint32]:
        """Port ids."""
        return self._port(self.row)

    @property
    def connector(self) -> npt.NDArray[np.uint32]:
        """For each port the first port of its connector."""
        return self._port(self.block.template.connector[self.row])

    @property
    def pair(self) -> npt.NDArray[np.uint32]:
        """For each port the first port of its pair of neighbouring connectors."""
        return self._port(self.block.template.pair[self.row])

    @property
    def split(self) -> npt.NDArray[np.bool_]:
        """Whether the connector is shared, so that a splitter is plugged in."""
        return self.block.template.split[self.row]

    @property
    def speed_gbps(self) -> Ints:
        """Speed of the port."""
        return self.block.template.speed_gbps[self.row]

    def _port(self, row: Ints) -> npt.NDArray[np.uint32]:
        return (self.block.first_port + self.local * len(self.block.template.ports) + row).astype(np.uint32)


@dataclass(frozen=True)
class LeafBlock:
    """Leaves of one class, in the order segment, plane, position."""

    block: Block
    design: NetworkDesign
    number: int
    """Of the class."""
    first_segment: int
    first_leaf: int
    """Leaves of the classes before."""

    @property
    def cls(self) -> ClassDesign:
        """The class."""
        return self.design.classes[self.number]

    def leaf(self, segment: Ints, plane: Ints, position: Ints) -> Ints:
        """Number of a leaf within the block."""
        return (segment * self.design.planes + plane) * self.cls.leaves_per_plane + position

    def split(self, leaf: Ints) -> tuple[Ints, Ints, Ints]:
        """Segment (within the class), plane and position of a leaf."""
        rest, position = np.divmod(leaf, self.cls.leaves_per_plane)
        segment, plane = np.divmod(rest, self.design.planes)
        return segment, plane, position

    def rails(self, position: Ints) -> tuple[Ints, Ints]:
        """First rail that the leaf serves, and how many."""
        first = position * self.cls.rails_per_leaf
        return first, np.minimum(self.cls.rails_per_leaf, self.cls.rails - first)

    def link_rail(self, position: Ints) -> Ints:
        """The leaf's rail, -1 where it serves several."""
        first, rails = self.rails(position)
        return np.where(rails == 1, first, -1)


@dataclass(frozen=True)
class NetworkBlocks:
    """The switches of one network."""

    design: NetworkDesign
    leaves: tuple[LeafBlock, ...]
    spine: Block | None
    core: Block | None

    def switches(self) -> Iterator[Block]:
        """Leaves, spines and cores, in the order of their ids."""
        yield from (leaf.block for leaf in self.leaves)
        yield from (block for block in (self.spine, self.core) if block is not None)


@dataclass(frozen=True)
class Layout:
    """All devices and ports of a fabric, and who is on which network."""

    groups: tuple[GroupHosts, ...]
    seating: Seating
    members: Mapping[str, Mapping[str, Member]]
    """By network and group."""
    hosts: Mapping[str, Block]
    """By group, in the order of the table; the PDUs, where there are any, are ``pdu``."""
    networks: Mapping[str, NetworkBlocks]

    def blocks(self) -> Iterator[Block]:
        """Every block in the order of its ids."""
        yield from self.hosts.values()
        for network in self.networks.values():
            yield from network.switches()


class _Ids:
    """Gives out ids, block after block."""

    def __init__(self) -> None:
        self.device = self.port = self.nic = 0

    def block(self, template: Template, devices: int) -> Block:
        block = Block(template, devices, self.device, self.port, self.nic)
        self.device += devices
        self.port += devices * len(template.ports)
        self.nic += devices * len(template.nics)
        return block


def lay_out(design: Design, intent: Intent, catalogue: Catalogue) -> Layout:
    """Seat the hosts and give every device and port its id."""
    names = [group.name for group in intent.hosts]
    counts = {group.name: group.count for group in intent.hosts}
    members = {name: {m.group.name: m for m in on_network(intent, catalogue, name)} for name in design.networks}
    seating = seat_hosts(design, counts)
    groups = in_order(seating, names, counts)
    if "oob" in design.networks:
        switches = _management_ports(design, catalogue)
        groups = _seat_on_oob(groups, seating, members["oob"], design.networks["oob"], switches, _pdus(intent))
    ids = _Ids()
    models = {group.name: catalogue.servers[group.model] for group in intent.hosts}
    hosts = {}
    for group in groups:
        on = {n: m[group.name].nics for n, m in members.items() if group.name in m}
        template = host_template(models[group.name], on) if group.name in models else PDU
        hosts[group.name] = ids.block(template, len(group))
    managed = "oob" in design.networks
    networks = {
        name: _switches(network, catalogue, ids, managed=managed and name != "oob")
        for name, network in design.networks.items()
    }
    return Layout(tuple(groups), seating, members, hosts, networks)


def _seat_on_oob(
    groups: list[GroupHosts],
    seating: Seating,
    members: Mapping[str, Member],
    oob: NetworkDesign,
    switches: int,
    pdus: int,
) -> list[GroupHosts]:
    """Groups that have a place on no other network take that of their first endpoint; PDUs follow the ``switches``."""
    seated = []
    first = 0
    for group in groups:
        each = members[group.name].port_count if group.name in members else 0
        own = each and group.name not in seating.groups
        seated.append(seat_endpoints(group, oob, first, each) if own else group)
        first += each * len(group)
    if pdus:
        seated.append(seat_endpoints(unseated("pdu", pdus), oob, first + switches, 1))
    return seated


def _pdus(intent: Intent) -> int:
    """Power distribution units of the site (docs/sizing.md); 0 without a site."""
    site = intent.site
    return 0 if site is None else (site.rows * site.racks_per_row - len(site.occupied)) * site.pdus_per_rack


def _management_ports(design: Design, catalogue: Catalogue) -> int:
    """Management ports of the switches of all networks but oob."""
    total = 0
    for network in design.networks.values():
        if network.network == "oob":
            continue
        counts = network.counts()
        kinds = [(c.leaf, c.segments * network.planes * c.leaves_per_plane) for c in network.classes]
        kinds += [(plan, counts[tier]) for tier, plan in (("spine", network.spine), ("core", network.core)) if plan]
        total += sum(count * catalogue.switches[plan.model].management.ports for plan, count in kinds)
    return total


def _switches(design: NetworkDesign, catalogue: Catalogue, ids: _Ids, *, managed: bool) -> NetworkBlocks:
    def template(plan: SwitchPlan) -> Template:
        return switch_template(plan, catalogue.switches[plan.model], design.nos, design.network, managed=managed)

    counts = design.counts()
    leaves: list[LeafBlock] = []
    for number, cls in enumerate(design.classes):
        first_leaf = sum(leaf.block.devices for leaf in leaves)
        block = ids.block(template(cls.leaf), cls.segments * design.planes * cls.leaves_per_plane)
        leaves.append(LeafBlock(block, design, number, first_segment(design, number), first_leaf))
    spine = ids.block(template(design.spine), counts["spine"]) if design.spine else None
    core = ids.block(template(design.core), counts["core"]) if design.core else None
    return NetworkBlocks(design, tuple(leaves), spine, core)
