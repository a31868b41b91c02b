"""The ports of one kind of device, written once; every device of the kind has them.

Lists here are as long as one switch or one host has ports. Whatever is as long as the fabric is made from these by
array arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from fabric.catalogue.models import CAGE_LANES, CageGroup, Mode, NicGroup, Server, Switch
from fabric.design import CageUse, SwitchPlan
from fabric.errors import InputError, Problem
from fabric.portnames import Place, management_ports, nic_lanes, nic_name, nic_port_name, switch_ports

Ints = npt.NDArray[np.int64]

FREE = ("free", "service")
"""Uses that share slots: a port kept free may be taken by a service NIC."""


@dataclass(frozen=True)
class Port:
    """One row of a template; the fields are those of the table ``ports``, and ``split``."""

    use: str
    network: str
    nic: int
    """Number among the NICs of the host; -1 on switches."""
    number: int
    cage: int
    connector: int
    lane: int
    lanes: int
    name: str
    alias: str
    label: str
    speed_gbps: int
    mode: str
    split: bool = False
    """Several ports of the mode share the connector: what is plugged in is a splitter."""


@dataclass(frozen=True)
class Nic:
    """One row of the NICs of a host."""

    network: str
    rail: int
    name: str
    ports: int
    speed_gbps: int
    gpu: int
    """-1 where it is near to none."""


@dataclass(frozen=True)
class Template:
    """Ports (and NICs) that each device of one kind has.

    ``slots`` gives for each use of a switch, and each network of a host, the rows in the order in which they are
    filled. ``connector`` and ``pair``: the first row of the same connector, and of the same two neighbouring
    connectors of a cage.
    """

    ports: tuple[Port, ...]
    nics: tuple[Nic, ...]
    slots: Mapping[str, Ints]
    speed_gbps: Ints
    split: npt.NDArray[np.bool_]
    connector: Ints
    pair: Ints

    @classmethod
    def of(cls, ports: Sequence[Port], slots: Mapping[str, Sequence[int]], nics: Sequence[Nic] = ()) -> Template:
        """A template, with what follows from its rows."""
        return cls(
            ports=tuple(ports),
            nics=tuple(nics),
            slots={use: np.array(rows, dtype=np.int64) for use, rows in slots.items()},
            speed_gbps=np.array([p.speed_gbps for p in ports], dtype=np.int64),
            split=np.array([p.split for p in ports], dtype=np.bool_),
            connector=_first([(p.cage, p.connector) for p in ports]),
            pair=_first([(p.cage, (p.connector - 1) // 2) for p in ports]),
        )

    def slot(self, use: str) -> Ints:
        """Rows of a use in the order in which they are filled; none where the device has no such ports."""
        return self.slots.get(use, np.empty(0, dtype=np.int64))


def _first(keys: Sequence[tuple[int, int]]) -> Ints:
    """For each row the first row of the same key."""
    seen: dict[tuple[int, int], int] = {}
    return np.array([seen.setdefault(key, row) for row, key in enumerate(keys)], dtype=np.int64)


@dataclass(frozen=True)
class _Planned:
    """A port of a switch before it has a number and a name; ``order``: its place among the ports of its use."""

    use: str
    order: int
    place: Place
    lanes: int
    mode: Mode
    split: bool


def switch_template(plan: SwitchPlan, switch: Switch, nos: str, network: str, *, managed: bool) -> Template:
    """Ports of a switch that is set up as planned; with its management ports where there is an oob network."""
    planned = sorted(_planned(plan, switch), key=lambda p: (p.place.cage, p.place.index))
    names = switch_ports(switch, nos, [p.place for p in planned])
    ports = [
        Port(
            use=p.use, network=network, nic=-1, number=number,
            cage=p.place.cage + 1, connector=p.place.connector + 1, lane=p.place.lane, lanes=p.lanes,
            name=name.name, alias=name.alias, label=name.label,
            speed_gbps=p.mode.speed_gbps, mode=str(p.mode), split=p.split,
        )
        for number, (p, name) in enumerate(zip(planned, names, strict=True))
    ]  # fmt: skip
    slots: dict[str, list[int]] = {}
    for row in sorted(range(len(planned)), key=lambda row: planned[row].order):
        slots.setdefault(planned[row].use, []).append(row)
    if managed:
        slots["mgmt"] = list(range(len(ports), len(ports) + switch.management.ports))
        ports += _management(switch, nos)
    return Template.of(ports, slots)


def _planned(plan: SwitchPlan, switch: Switch) -> Iterator[_Planned]:
    """The first ports of each use, over the cages of that use in the order listed."""
    groups = [group for group in switch.cages for _ in range(group.count)]
    left: dict[str, int] = {}
    for use, count in plan.ports.items():
        left[_shared(use)] = max(count, left.get(_shared(use), 0))
    for order, cage in enumerate(plan.cages):
        use = _shared(cage.use)
        for port in _cage_ports(cage, use, groups[cage.cage], order):
            if left.get(use, 0) > 0:
                left[use] -= 1
                yield port


def _shared(use: str) -> str:
    return FREE[0] if use in FREE else use


def _cage_ports(cage: CageUse, use: str, group: CageGroup, order: int) -> Iterator[_Planned]:
    """Ports of one cage: spread evenly over its connectors, equal shares of its lanes."""
    mode = Mode.parse(cage.mode)
    lanes = group.lanes // mode.ports
    each = group.ports_per_connector(mode)
    for index in range(mode.ports):
        place = Place(cage=cage.cage, index=index, ports=mode.ports, connector=index // each, lane=index * lanes)
        yield _Planned(use, order * 1000 + index, place, lanes, mode, each > 1)


def _management(switch: Switch, nos: str) -> list[Port]:
    """Management ports: cages of their own, numbered after the others."""
    speed = switch.management.speed_gbps
    return [
        Port(
            use="mgmt", network="oob", nic=-1, number=number,
            cage=switch.cage_count + number + 1, connector=1, lane=0, lanes=1,
            name=name, alias=name, label=name, speed_gbps=speed, mode=f"1x{speed}",
        )
        for number, name in enumerate(management_ports(switch, nos))
    ]  # fmt: skip


def host_template(server: Server, networks: Mapping[str, Sequence[NicGroup]]) -> Template:
    """NICs and ports of a host: ``networks`` says which it has on each, in the order in which they are numbered.

    Rails count over the NICs on a network, and so do the ports. Cages count over all NICs of the server.
    """
    first_cage = dict(zip((n.name for n in server.nics), [0, *accumulate(n.cages for n in server.nics)], strict=False))
    nics: list[Nic] = []
    ports: list[Port] = []
    slots: dict[str, list[int]] = {}
    rails: Counter[str] = Counter()
    for network, nic, instance in _instances(server, networks):
        for port in range(nic.ports):
            rows = slots.setdefault(network, [])
            made = _nic_port(nic, instance, port, first_cage[nic.name])
            ports.append(replace(made, network=network, nic=len(nics), number=len(rows)))
            rows.append(len(ports) - 1)
        nics.append(_nic(nic, instance, network, rails[network]))
        rails[network] += 1
    return Template.of(ports, slots, nics)


def _instances(server: Server, networks: Mapping[str, Sequence[NicGroup]]) -> Iterator[tuple[str, NicGroup, int]]:
    """Network, group and number within the group of every NIC in use.

    Where two networks share a group, the later one takes the NICs that follow; raises InputError when too few are left.
    """
    whole = {nic.name: nic for nic in server.nics}
    used: Counter[str] = Counter()
    for network, groups in networks.items():
        for group in groups:
            first = used[group.name]
            used[group.name] += group.count
            if used[group.name] > whole[group.name].count:
                asked = f"{used[group.name]} NICs {group.name} on {', '.join(networks)} asked"
                what = f"has {whole[group.name].count}, {asked}"
                raise InputError(Problem(f"servers.{server.name}", what, "ask for fewer"))
            yield from ((network, whole[group.name], n) for n in range(first, used[group.name]))


def _nic(nic: NicGroup, instance: int, network: str, rail: int) -> Nic:
    gpu = -1 if nic.gpu is None else nic.gpu[instance]
    return Nic(network, rail, nic_name(nic, instance), nic.ports, nic.speed_gbps, gpu)


def _nic_port(nic: NicGroup, instance: int, port: int, first_cage: int) -> Port:
    """A port of the ``instance``-th NIC of its group; network, NIC and number are filled in by the caller."""
    lanes = nic_lanes(nic, CAGE_LANES[nic.cage])
    cage, connector = divmod(instance * nic.ports + port, nic.ports_per_cage)
    name = nic_port_name(nic, instance, port)
    label = f"{first_cage + cage + 1}" + (f"/{connector + 1}" if nic.ports_per_cage > 1 else "")
    return Port(
        use="nic", network="", nic=-1, number=-1,
        cage=first_cage + cage + 1, connector=connector + 1, lane=connector * lanes, lanes=lanes,
        name=name, alias=name, label=label, speed_gbps=nic.speed_gbps, mode=f"{nic.ports_per_cage}x{nic.speed_gbps}",
    )  # fmt: skip


PDU = Template.of(
    [
        Port(
            use="nic", network="oob", nic=0, number=0, cage=1, connector=1, lane=0, lanes=1,
            name="eth0", alias="eth0", label="eth0", speed_gbps=1, mode="1x1",
        )
    ],
    {"oob": [0]},
    [Nic(network="oob", rail=0, name="eth0", ports=1, speed_gbps=1, gpu=-1)],
)  # fmt: skip
"""A power distribution unit: one management port of 1 Gb/s."""
