"""What holds of every fabric built from a design, counted link by link, sharing no code with the builder."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import polars as pl
from small_designs import Made

from fabric import names
from fabric.design import ClassDesign, NetworkDesign, SwitchPlan
from fabric.tables import Fabric

Row = dict[str, Any]


def assert_built(made: Made, fabric: Fabric) -> None:
    """All rules."""
    fabric.validate()
    ports_are_used_once(fabric)
    names_are_told(fabric)
    cables_carry_all(fabric)
    for network in made.design.networks.values():
        planned_ports(network, fabric)
        if network.network != "oob":
            hosts_reach_their_leaves(made, network, fabric)
            services_spread(network, fabric)
        trunks_are_whole(network, fabric)
        cores_are_whole(network, fabric)


def _rows(frame: pl.DataFrame, **equal: object) -> list[Row]:
    return frame.filter(**equal).to_dicts()


def _switches(fabric: Fabric, network: str) -> dict[int, Row]:
    return {row["id"]: row for row in _rows(fabric.switches, network=network)}


def ports_are_used_once(fabric: Fabric) -> None:
    ports = fabric.ports
    sides = [fabric.links.select(device=f"{s}_device", port=f"{s}_port", speed="speed_gbps") for s in "ab"]
    ends = pl.concat(sides).drop_nulls()
    assert ends["port"].is_unique().all()
    joined = ends.join(ports, left_on="port", right_on="id", suffix="_of")
    assert joined.height == ends.height
    assert (joined["device"] == joined["device_of"]).all()
    assert (joined["speed"] <= joined["speed_gbps"]).all()
    place = ports.select("device", "network", "number")
    assert place.is_unique().all()
    assert ports.select("device", "cage", "connector", "lane").is_unique().all()
    assert ports.select("device", "name").is_unique().all()
    assert ports["device"].is_sorted()


def names_are_told(fabric: Fabric) -> None:
    told = fabric.device_names()
    assert told.is_unique().all()
    parsed = names.parse(told)
    kinds = pl.concat([
        fabric.hosts.select(pl.when(pl.col("role") == "pdu").then(pl.lit("pdu")).otherwise(pl.lit("host"))).to_series(),
        fabric.switches["tier"].cast(pl.String),
    ])  # fmt: skip
    assert (parsed["kind"] == kinds).all()
    hosts, switches = parsed.head(fabric.hosts.height), parsed.tail(fabric.switches.height)
    assert (hosts["host_group"] == fabric.hosts["group"].cast(pl.String)).all()
    assert (hosts["index"] == fabric.hosts["index"]).all()
    for column, part in {
        "network": "network",
        "segment": "segment",
        "pod": "pod",
        "plane": "plane",
        "group": "core_group",
    }.items():
        said = switches[part]
        own = fabric.switches[column].cast(said.dtype)
        assert (said.is_null() | (said == own)).all(), column


def planned_ports(network: NetworkDesign, fabric: Fabric) -> None:
    """Each switch has the planned ports of each use; free ports that services took count as free."""
    counts = Counter(row["tier"] for row in _switches(fabric, network.network).values())
    assert dict(counts) == {tier: n for tier, n in network.counts().items() if n}
    uses: dict[int, Counter[str]] = defaultdict(Counter)
    for port in _rows(fabric.ports, network=network.network):
        uses[port["device"]][port["use"]] += 1
    for device, switch in _switches(fabric, network.network).items():
        plan = _plan(network, switch)
        found = uses[device]
        for use, planned in plan.ports.items():
            if use not in ("host", "free", "service"):
                assert found[use] == planned
        shared = plan.ports.get("host", 0) + max(plan.ports.get("free", 0), plan.ports.get("service", 0))
        assert found["host"] + found["free"] + found["service"] == shared


def _plan(network: NetworkDesign, switch: Row) -> SwitchPlan:
    plans = {"leaf": network.classes[switch["host_class"] or 0].leaf, "spine": network.spine, "core": network.core}
    plan = plans[switch["tier"]]
    assert plan is not None
    assert plan.model == switch["model"]
    return plan


def hosts_reach_their_leaves(made: Made, network: NetworkDesign, fabric: Fabric) -> None:
    """Every port of every NIC ends on the leaf of its rail and plane, in one segment; no leaf has too many."""
    switches = _switches(fabric, network.network)
    hosts = {row["id"]: row for row in fabric.hosts.to_dicts()}
    nics = {row["id"]: row for row in fabric.nics.to_dicts()}
    ports = {row["id"]: row for row in _rows(fabric.ports, network=network.network)}
    classes = {group: (n, cls) for n, cls in enumerate(network.classes) for group in cls.groups}
    seen: dict[int, set[tuple[int, int]]] = defaultdict(set)
    segments: dict[int, set[int]] = defaultdict(set)
    taken: Counter[int] = Counter()
    for link in _rows(fabric.links, network=network.network, tier="host-leaf"):
        host, leaf = hosts[link["a_device"]], switches[link["b_device"]]
        assert (link["pod"], link["segment"], link["plane"]) == (leaf["pod"], leaf["segment"], leaf["plane"])
        taken[leaf["id"]] += 1
        if host["group"] not in classes:
            assert host["role"] == "service"
            assert ports[link["b_port"]]["use"] == "service"
            continue
        assert ports[link["b_port"]]["use"] == "host"
        number, cls = classes[host["group"]]
        port = ports[link["a_port"]]
        nic = nics[port["nic"]]
        within = port["number"] - nic["rail"] * nic["ports"]
        assert leaf["host_class"] == number
        assert link["rail"] == nic["rail"]
        assert leaf["plane"] == within // cls.ports_per_plane
        assert leaf["index"] == nic["rail"] // cls.rails_per_leaf
        assert leaf["rail"] in (None, leaf["index"] * cls.rails_per_leaf)
        segments[host["id"]].add(leaf["segment"])
        seen[host["id"]].add((nic["rail"], within))
    assert all(len(found) == 1 for found in segments.values())
    assert max(taken.values(), default=0) <= max(sum(c.leaf.ports.values()) for c in network.classes)
    _all_ports_of(made, fabric, classes, seen)
    _segments_fill(network, fabric, segments)


def _all_ports_of(
    made: Made, fabric: Fabric, classes: dict[str, tuple[int, ClassDesign]], seen: dict[int, set[tuple[int, int]]]
) -> None:
    asked = {group.name: group.count for group in made.intent.hosts}
    installed = Counter(row["group"] for row in fabric.hosts.to_dicts() if not row["spare"])
    for group, (_, cls) in classes.items():
        every = {(rail, port) for rail in range(cls.rails) for port in range(cls.ports_per_nic)}
        assert installed[group] == asked[group]
        assert all(seen[row["id"]] == every for row in _rows(fabric.hosts, group=group))


def _segments_fill(network: NetworkDesign, fabric: Fabric, segments: dict[int, set[int]]) -> None:
    """Hosts fill segments in order; each segment that has hosts has its spares."""
    spare = dict(fabric.hosts.select("id", "spare").iter_rows())
    first = 0
    for cls in network.classes:
        own = [
            (min(found), spare[host]) for host, found in segments.items() if first <= min(found) < first + cls.segments
        ]
        per_segment = Counter(segment - first for segment, _ in own)
        spares = Counter(segment - first for segment, is_spare in own if is_spare and cls.spares_per_segment)
        hosts = sum(per_segment.values()) - sum(spares.values())
        full, rest = divmod(hosts, cls.segment_hosts)
        for segment in range(cls.segments):
            here = cls.segment_hosts if segment < full else rest if segment == full else 0
            assert spares[segment] == (cls.spares_per_segment if here else 0)
            assert per_segment[segment] - spares[segment] == here
        first += cls.segments


def services_spread(network: NetworkDesign, fabric: Fabric) -> None:
    """The ports of one service NIC end on as many planes as there are, and all ports evenly on the planes."""
    own = {group for cls in network.classes for group in cls.groups}
    group = dict(fabric.hosts.select("id", pl.col("group").cast(pl.String)).iter_rows())
    planes: dict[int, list[int]] = defaultdict(list)
    nic_of = dict(fabric.ports.select("id", "nic").iter_rows())
    for link in _rows(fabric.links, network=network.network, tier="host-leaf"):
        if group[link["a_device"]] not in own:
            planes[nic_of[link["a_port"]]].append(link["plane"])
    load = Counter(plane for found in planes.values() for plane in found)
    assert not load or max(load.values()) - min(load[plane] for plane in range(network.planes)) <= 1
    for nic in _rows(fabric.nics, network=network.network):
        if group[nic["host"]] not in own:
            assert len(planes[nic["id"]]) == nic["ports"]
            assert len(set(planes[nic["id"]])) == min(network.planes, nic["ports"])


def trunks_are_whole(network: NetworkDesign, fabric: Fabric) -> None:
    """Each leaf has exactly its trunk to each spine of its pod, plane and position, and nothing to others."""
    switches = _switches(fabric, network.network)
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for link in _rows(fabric.links, network=network.network, tier="leaf-spine"):
        found[link["a_device"]][link["b_device"]] += 1
        leaf = switches[link["a_device"]]
        assert (link["pod"], link["segment"], link["plane"]) == (leaf["pod"], leaf["segment"], leaf["plane"])
    leaves = [row for row in switches.values() if row["tier"] == "leaf"]
    spines = [row for row in switches.values() if row["tier"] == "spine"]
    for leaf in leaves:
        trunk = network.classes[leaf["host_class"]].trunk
        group = {s["id"]: trunk for s in spines if _same_group(network, leaf, s)}
        assert len(group) == network.spines_per_group
        assert dict(found[leaf["id"]]) == group


def _same_group(network: NetworkDesign, leaf: Row, spine: Row) -> bool:
    if leaf["pod"] != spine["pod"]:
        return False
    if network.planes_join != "spine" and leaf["plane"] != spine["plane"]:
        return False
    return network.layout != "rail-only" or leaf["rail"] == spine["rail"]


def cores_are_whole(network: NetworkDesign, fabric: Fabric) -> None:
    """The i-th spines of all pods share a core group, exactly its trunk to each core; planes and rails stay apart."""
    switches = _switches(fabric, network.network)
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for link in _rows(fabric.links, network=network.network, tier="spine-core"):
        found[link["a_device"]][link["b_device"]] += 1
        spine = switches[link["a_device"]]
        assert (link["pod"], link["segment"], link["plane"]) == (spine["pod"], None, spine["plane"])
    cores = [row for row in switches.values() if row["tier"] == "core"]
    for spine in (row for row in switches.values() if row["tier"] == "spine" and network.core):
        group = {
            c["id"]: network.core_trunk
            for c in cores
            if c["group"] == spine["index"] and c["rail"] == spine["rail"]
            and (network.planes_join != "never" or c["plane"] == spine["plane"])
        }  # fmt: skip
        assert len(group) == network.cores_per_group
        assert dict(found[spine["id"]]) == group


def cables_carry_all(fabric: Fabric) -> None:
    """Each link has one cable; what shares a split connector shares a cable; the cable says what it carries."""
    port = {row["id"]: row for row in fabric.ports.to_dicts()}

    def connector(at: int) -> tuple[int, int, int]:
        return port[at]["device"], port[at]["cage"], port[at]["connector"]

    carried: dict[int, list[Row]] = defaultdict(list)
    at: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for link in fabric.links.to_dicts():
        carried[link["cable"]].append(link)
        for end in (link["a_port"], link["b_port"]):
            if end is not None:
                at[connector(end)].add(link["cable"])
    assert all(len(found) == 1 for found in at.values())
    assert sorted(carried) == list(range(fabric.cables.height))
    for cable in fabric.cables.to_dicts():
        links = carried[cable["id"]]
        a_ends = {connector(link["a_port"]) for link in links}
        b_ends = {connector(link["b_port"]) for link in links if link["b_port"] is not None}
        assert cable["links"] == len(links)
        assert cable["speed_gbps"] == sum(link["speed_gbps"] for link in links)
        assert cable["a_ends"] == len(a_ends)
        assert cable["b_ends"] == (len(b_ends) or len(links))
        for what in ("rail", "plane", "network", "tier"):
            values = {link[what] for link in links}
            assert cable[what] == (values.pop() if len(values) == 1 else None)
        assert _is_one_cable(a_ends, b_ends, links)


def _is_one_cable(a_ends: set[Any], b_ends: set[Any], links: list[Row]) -> bool:
    """Straight, a splitter, or a trunk of two neighbouring connectors at both sides."""
    if len(a_ends) == 1 or len(b_ends) <= 1:
        return True
    cages = {end[:2] for end in a_ends}, {end[:2] for end in b_ends}
    return len(links) == 2 and len(a_ends) == len(b_ends) == 2 and len(cages[0]) == len(cages[1]) == 1
