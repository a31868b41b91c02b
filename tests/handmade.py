"""Plans made by hand: small designs written out, and their tables filled by plain loops.

Slow and simple on purpose, and independent of the builder: what is counted and drawn is known beforehand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import polars as pl
import yaml

from fabric.catalogue import load_catalogue
from fabric.design import ClassDesign, Design, NetworkDesign, SwitchPlan
from fabric.intent import parse_intent
from fabric.plan import Plan
from fabric.tables import LATER, SCHEMA, Fabric, Table


@dataclass(frozen=True)
class Group:
    """Hosts of one kind and the networks they have NICs on: network → rails."""

    name: str
    model: str
    count: int
    networks: dict[str, int]
    role: str = "compute"
    gpus: int = 8
    ports_per_cage: int = 1


@dataclass
class Rows:
    """Rows of the tables, as dicts; what a table does not need stays out."""

    hosts: list[dict[str, Any]] = field(default_factory=list)
    switches: list[dict[str, Any]] = field(default_factory=list)
    nics: list[dict[str, Any]] = field(default_factory=list)
    ports: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    cables: list[dict[str, Any]] = field(default_factory=list)
    unused: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def take(self, device: int, use: str) -> int:
        """The first port of this use that no link has taken."""
        return self.unused[device, use].pop(0)

    def link(self, network: str, tier: str, a: tuple[int, int], b: tuple[int, int] | None, **more: Any) -> None:
        """A link and the fibre that carries it alone, with an optic of the same name at either end."""
        about = {"id": len(self.links), "network": network, "tier": tier, "speed_gbps": self.ports[a[1]]["speed_gbps"]}
        ends = {"a_device": a[0], "a_port": a[1], "b_device": b and b[0], "b_port": b and b[1]}
        self.links.append({**about, "cable": about["id"], **ends, **more})
        fibre = {"links": 1, "a_ends": 1, "b_ends": 1, "medium": "multimode", "part": "mpo12-apc-mm", "polarity": "B"}
        optics = {"a_optic": "osfp-2xsr4", "b_optic": "osfp-2xsr4", "length_m": 30.0, "estimated": True, "bundle": ""}
        self.cables.append({**about, **fibre, **optics})


def rows_of(design: Design, groups: list[Group]) -> Rows:
    """Tables of the design; every group that is not a service has its places on the first class that names it."""
    rows = Rows()
    first = next(iter(design.networks.values()))
    for group in groups:
        _hosts(rows, group, first)
    for network in design.networks.values():
        for group in groups:
            _nics(rows, group, network)
    for network in design.networks.values():
        _network(rows, network, groups)
    return rows


def _hosts(rows: Rows, group: Group, first: NetworkDesign) -> None:
    own = [c for c in first.classes if group.name in c.groups]
    spares = own[0].segments * own[0].spares_per_segment if own else 0
    for index in range(group.count + spares):
        rows.hosts.append(
            {
                "id": len(rows.hosts),
                "name": f"{group.name}-{index:04d}",
                "group": group.name,
                "role": group.role,
                "model": group.model,
                "index": index,
                "spare": index >= group.count,
                "gpus": group.gpus,
            }
        )


def _nics(rows: Rows, group: Group, network: NetworkDesign) -> None:
    rails = group.networks.get(network.network, 0)
    design = next((c for c in network.classes if group.name in c.groups), network.classes[0])
    ports = design.ports_per_nic if group.role != "service" else 1
    taken = Counter(port["device"] for port in rows.ports)
    for host in (h for h in rows.hosts if h["group"] == group.name):
        for rail in range(rails):
            nic: dict[str, Any] = {"id": len(rows.nics), "host": host["id"], "network": network.network, "rail": rail}
            rows.nics.append({**nic, "name": f"nic{rail}", "ports": ports, "speed_gbps": design.speed_gbps})
            for number in range(ports):
                at = taken[host["id"]] + rail * ports + number
                _nic_port(rows, nic, at, at // group.ports_per_cage + 1, design.speed_gbps)


def _nic_port(rows: Rows, nic: dict[str, Any], number: int, cage: int, speed: int) -> None:
    port: dict[str, Any] = {
        "id": len(rows.ports),
        "device": nic["host"],
        "nic": nic["id"],
        "network": nic["network"],
        "use": "nic",
    }
    place = {"number": number, "cage": cage, "connector": 1, "lanes": 1, "mode": f"1x{speed}", "speed_gbps": speed}
    rows.ports.append({**port, **place, "name": f"nic{nic['rail']}"})
    rows.unused[nic["host"], nic["network"]].append(port["id"])


def _switch(rows: Rows, network: NetworkDesign, tier: str, plan: SwitchPlan, name: str, **more: Any) -> None:
    # Hosts come first: devices are numbered over hosts and then switches.
    device = len(rows.hosts) + len(rows.switches)
    about = {"network": network.network, "tier": tier, "model": plan.model, "nos": network.nos, "rails": 1}
    rows.switches.append({"id": device, "name": name, **about, **more})
    left = dict(plan.ports)
    for cage in plan.cages:
        ports, speed = (int(part) for part in cage.mode.split("x"))
        for lane in range(min(ports, left[cage.use])):
            left[cage.use] -= 1
            port: dict[str, Any] = {
                "id": len(rows.ports),
                "device": device,
                "network": network.network,
                "use": cage.use,
            }
            place = {"cage": cage.cage + 1, "connector": 1, "lane": lane, "lanes": 1, "mode": cage.mode}
            names = {"name": f"swp{cage.cage + 1}s{lane}", "label": f"{cage.cage + 1}/{lane + 1}"}
            rows.ports.append({**port, **place, **names, "speed_gbps": speed})
            rows.unused[device, cage.use].append(port["id"])


def _network(rows: Rows, net: NetworkDesign, groups: list[Group]) -> None:
    leaves = [leaf for number, c in enumerate(net.classes) for leaf in _leaves(rows, net, number, c)]
    spines = list(_spines(rows, net)) if net.spine else []
    cores = list(_cores(rows, net)) if net.core else []
    for number, design in enumerate(net.classes):
        _host_links(rows, net, number, design, leaves)
    for group in (g for g in groups if g.role == "service" and net.network in g.networks):
        _service_links(rows, net, group, leaves)
    for leaf in leaves:
        design = net.classes[leaf["host_class"]]
        for spine in (s for s in spines if _same_group(net, leaf, s)):
            for _ in range(design.trunk):
                a = (leaf["id"], rows.take(leaf["id"], "up"))
                where = {"pod": leaf["pod"], "segment": leaf["segment"], "plane": leaf["plane"]}
                rows.link(net.network, "leaf-spine", a, (spine["id"], rows.take(spine["id"], "down")), **where)
        for _ in range(net.external_uplinks):
            rows.link(net.network, "uplink", (leaf["id"], rows.take(leaf["id"], "external")), None)
    for spine in spines:
        for core in (c for c in cores if c["group"] == spine["index"] and c["plane"] in (None, spine["plane"])):
            for _ in range(net.core_trunk):
                a = (spine["id"], rows.take(spine["id"], "up"))
                rows.link(net.network, "spine-core", a, (core["id"], rows.take(core["id"], "down")), pod=spine["pod"])


def _leaves(rows: Rows, net: NetworkDesign, number: int, c: ClassDesign) -> Iterator[dict[str, Any]]:
    before = sum(other.segments for other in net.classes[:number])
    for segment in range(before, before + c.segments):
        for plane in range(net.planes):
            for position in range(c.leaves_per_plane):
                rails = min(c.rails_per_leaf, c.rails - position * c.rails_per_leaf)
                _switch(
                    rows,
                    net,
                    "leaf",
                    c.leaf,
                    f"leaf-{net.network}-s{segment:03d}-l{position}-p{plane}",
                    host_class=number,
                    pod=(segment - before) // c.segments_per_pod,
                    segment=segment,
                    rails=rails,
                    rail=None if rails == c.rails > 1 else position * c.rails_per_leaf,
                    plane=plane,
                    index=position,
                )
                yield rows.switches[-1]


def _spines(rows: Rows, net: NetworkDesign) -> Iterator[dict[str, Any]]:
    planes = [None] if net.planes_join == "spine" else list(range(net.planes))
    rails = list(range(net.classes[0].leaves_per_plane)) if net.layout == "rail-only" else [None]
    for pod in range(net.pods):
        for rail in rails:
            for plane in planes:
                for index in range(net.spines_per_group):
                    part = ("" if rail is None else f"-l{rail}") + ("" if plane is None else f"-p{plane}")
                    assert net.spine is not None
                    _switch(
                        rows,
                        net,
                        "spine",
                        net.spine,
                        f"spine-{net.network}-d{pod:02d}{part}-{index:03d}",
                        pod=pod,
                        rail=rail,
                        plane=plane,
                        index=index,
                        rails=net.classes[0].rails if rail is None else 1,
                    )
                    yield rows.switches[-1]


def _cores(rows: Rows, net: NetworkDesign) -> Iterator[dict[str, Any]]:
    planes = [None] if net.planes_join in ("spine", "core") else list(range(net.planes))
    for plane in planes:
        for group in range(net.spines_per_group):
            for index in range(net.cores_per_group):
                part = "" if plane is None else f"-p{plane}"
                assert net.core is not None
                _switch(
                    rows,
                    net,
                    "core",
                    net.core,
                    f"core-{net.network}{part}-g{group:03d}-{index:03d}",
                    plane=plane,
                    group=group,
                    index=index,
                    rails=net.classes[0].rails,
                )
                yield rows.switches[-1]


def _same_group(net: NetworkDesign, leaf: dict[str, Any], spine: dict[str, Any]) -> bool:
    rail = spine["rail"] is None or spine["rail"] == leaf["index"]
    return spine["pod"] == leaf["pod"] and spine["plane"] in (None, leaf["plane"]) and rail


def _host_links(rows: Rows, net: NetworkDesign, number: int, c: ClassDesign, leaves: list[dict[str, Any]]) -> None:
    mine = [leaf for leaf in leaves if leaf["host_class"] == number]
    by_place = {(leaf["segment"], leaf["plane"], leaf["index"]): leaf for leaf in mine}
    before = sum(other.segments for other in net.classes[:number])
    hosts = [h for h in rows.hosts if h["group"] in c.groups]
    actives = [h for h in hosts if not (h["spare"] and c.spares_per_segment)]
    spares = [h for h in hosts if h["spare"] and c.spares_per_segment]
    placed = [(i // c.segment_hosts, h) for i, h in enumerate(actives)]
    placed += [(i // c.spares_per_segment, h) for i, h in enumerate(spares)]
    for segment, host in sorted(placed, key=lambda pair: (pair[0], pair[1]["id"])):
        for rail in range(c.rails):
            for port in range(c.ports_per_nic):
                leaf = by_place[before + segment, port % net.planes, rail // c.rails_per_leaf]
                a = (host["id"], rows.take(host["id"], net.network))
                b = (leaf["id"], rows.take(leaf["id"], "host"))
                tier = "oob" if net.network == "oob" else "host-leaf"
                rows.link(net.network, tier, a, b, segment=leaf["segment"], rail=rail, plane=leaf["plane"])


def _service_links(rows: Rows, net: NetworkDesign, group: Group, leaves: list[dict[str, Any]]) -> None:
    wanted = [h for h in rows.hosts if h["group"] == group.name for _ in range(group.networks[net.network])]
    last = [leaf for leaf in leaves if leaf["segment"] == leaves[-1]["segment"]]
    for i, host in enumerate(wanted):
        leaf = last[i % len(last)]
        use = "host" if rows.unused[leaf["id"], "host"] else "service"
        a = (host["id"], rows.take(host["id"], net.network))
        rows.link(net.network, "host-leaf", a, (leaf["id"], rows.take(leaf["id"], use)), segment=leaf["segment"])


def fabric_of(rows: Rows) -> Fabric:
    """The rows as frames with the columns and dtypes of the schema; what was not said is empty, nought or null."""
    return Fabric(**{name: _frame(SCHEMA[name], getattr(rows, name, [])) for name in [f.name for f in fields(Fabric)]})


def _frame(table: Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    columns = []
    for column in table.columns:
        values = [row.get(column.name) for row in rows]
        if not column.nullable and column.name not in LATER.get(table.name, ()):
            values = [_blank(column.dtype) if value is None else value for value in values]
        categories = tuple(dict.fromkeys(str(value) for value in values if value is not None))
        columns.append(pl.Series(column.name, values, dtype=table.dtype(column, categories)))
    return pl.DataFrame(columns)


def _blank(dtype: str) -> Any:
    return {"String": "", "Enum": "none", "Boolean": False}.get(dtype, 0)


def plan_of(design: Design, groups: list[Group]) -> Plan:
    """A plan with those tables, an intent that asks for as much, and the shipped catalogue."""
    hosts = [{"name": g.name, "model": g.model, "count": g.count, "role": g.role} for g in groups]
    networks = {name: {"technology": net.technology} for name, net in design.networks.items()}
    intent = parse_intent(yaml.safe_dump({"name": design.name, "hosts": hosts, "networks": networks}))
    return Plan(intent, load_catalogue(), design, fabric_of(rows_of(design, groups)))
