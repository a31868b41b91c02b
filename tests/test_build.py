"""Fabrics built from designs written by hand and at random."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from build_rules import assert_built
from hypothesis import given, settings
from small_designs import BOX, Made, catalogue, random_designs, setup

from fabric.catalogue import load_catalogue
from fabric.design import ClassDesign, Design, NetworkDesign, SwitchPlan
from fabric.errors import InputError
from fabric.intent import intent_from
from fabric.portnames import nic_port_name
from fabric.tables import Fabric
from planner.build import build
from planner.build_seats import installed_spares
from planner.build_templates import host_template


def host_class(groups: str, hosts: int, places: int, segments: int, leaf: SwitchPlan, **more: Any) -> ClassDesign:
    """A class with 8 rails, one port each, one rail a leaf; ``more`` overrides."""
    values: dict[str, Any] = {
        "name": groups, "groups": tuple(groups.split("+")), "hosts": hosts, "spares_per_segment": 0, "rails": 8,
        "ports_per_nic": 1, "ports_per_plane": 1, "speed_gbps": 400, "segment_hosts": places, "segments": segments,
        "segments_per_pod": segments, "max_segments": segments, "rails_per_leaf": 1, "leaves_per_plane": 8,
        "uplinks": 0, "trunk": 0, "oversubscription": 1.0, "leaf": leaf,
    }  # fmt: skip
    return ClassDesign(**values | more)


def made(networks: list[NetworkDesign], hosts: list[dict[str, Any]], own: Any = None, **intent: Any) -> Made:
    """With the shipped catalogue unless ``own`` is given."""
    asked = {n.network: {"technology": n.technology} for n in networks}
    return Made(
        Design("test", {n.network: n for n in networks}),
        intent_from({"name": "test", "hosts": hosts, "networks": asked, **intent}),
        own or load_catalogue(),
    )


def tiers(fabric: Fabric, column: str = "len") -> dict[str, int]:
    """Links of each tier, or their distinct cables."""
    counted = pl.len() if column == "len" else pl.col(column).n_unique()
    return dict(fabric.links.group_by(pl.col("tier").cast(pl.String)).agg(counted).sort("tier").iter_rows())


def superpod(*, trunk_cables: bool = False) -> Made:
    """DGX H100 SuperPOD, 4 SU (NVIDIA RA-11333-001, Table 4): 127 hosts and 4 UFM ports."""
    leaf = setup("qm9700", ("host", 32, "2x400"), ("up", 32, "2x400"))
    cls = host_class("gpu", 127, 32, 4, leaf, uplinks=32, trunk=2)
    network = NetworkDesign(
        "compute", "infiniband", "rail-optimized", 2, 1, "never", (cls,), 1, nos="opensm", trunk_cables=trunk_cables,
        spine=setup("qm9700", ("down", 64, "2x400")), spines_per_group=16, uplink_speed_gbps=400, service_ports=4,
    )  # fmt: skip
    hosts = [
        {"name": "gpu", "model": "dgx-h100", "count": 127},
        {"name": "ufm", "model": "ufm-appliance", "count": 4, "role": "service"},
    ]
    return made([network], hosts)


def test_superpod_has_the_published_links() -> None:
    plan = superpod()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    assert plan.network.counts() == {"leaf": 32, "spine": 16, "core": 0}
    assert tiers(fabric) == {"host-leaf": 1020, "leaf-spine": 1024}
    assert tiers(fabric, "cable") == {"host-leaf": 1020, "leaf-spine": 1024}


def test_services_take_the_ports_of_the_missing_host_one_a_leaf() -> None:
    plan = superpod()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    services = fabric.links.join(fabric.hosts.select(a_device="id", role="role"), on="a_device").filter(role="service")
    names = fabric.device_names().gather(services["b_device"]).to_list()
    assert names == [f"leaf-compute-s003-l{position}-p0" for position in range(4)]
    assert fabric.ports.gather(services["b_port"].to_list())["use"].to_list() == ["service"] * 4
    assert set(fabric.ports.gather(services["b_port"].to_list())["number"]) == {31}


def test_trunk_cables_pair_neighbouring_connectors() -> None:
    plan = superpod(trunk_cables=True)
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    assert tiers(fabric, "cable") == {"host-leaf": 1020, "leaf-spine": 512}
    assert set(fabric.cables.filter(tier="leaf-spine").select("links", "a_ends", "b_ends").iter_rows()) == {(2, 2, 2)}


def test_infiniband_ports_are_numbers_and_host_cages_are_twin() -> None:
    plan = superpod()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    leaf = fabric.switches["id"][0]
    assert fabric.ports.filter(device=leaf)["name"].to_list() == [str(n) for n in range(1, 65)]
    host = fabric.ports.filter(device=0)
    assert host.select("cage", "connector").rows() == [(n // 2 + 1, n % 2 + 1) for n in range(8)]
    assert fabric.nics.filter(host=0)["gpu"].to_list() == list(range(8))


def hpn_pod() -> Made:
    """HPN 7.0 pod: 15 segments of 128 + 8 hosts, two planes, 136×200G on 34 cages and 60×400G on 30 (SIGCOMM 2024)."""
    leaf = setup("box-51.2t", ("host", 136, "4x200"), ("up", 60, "2x400"))
    cls = host_class(
        "gpu", 1920, 128, 15, leaf, spares_per_segment=8, ports_per_nic=2, speed_gbps=200, uplinks=60, trunk=1
    )
    spine = setup("box-51.2t", ("down", 120, "2x400"), ("reserve", 8, "2x400"))
    network = NetworkDesign(
        "compute", "roce", "rail-optimized", 2, 2, "never", (cls,), 1,
        spine=spine, spines_per_group=60, uplink_speed_gbps=400,
    )  # fmt: skip
    return made([network], [{"name": "gpu", "model": "hpn-gpu-8x2x200", "count": 1920, "spares_per_segment": 8}])


def test_hpn_pod_has_the_published_counts() -> None:
    plan = hpn_pod()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    assert plan.network.counts() == {"leaf": 240, "spine": 120, "core": 0}
    assert tiers(fabric) == {"host-leaf": 32640, "leaf-spine": 14400}
    # 200G lanes of a twin-port cage: two ports a connector, so half as many cables as links.
    assert tiers(fabric, "cable") == {"host-leaf": 16320, "leaf-spine": 14400}
    assert fabric.hosts.filter("spare").height == 120
    assert fabric.hosts.filter("spare")["index"].head(8).to_list() == list(range(128, 136))
    assert int(fabric.hosts.filter(~pl.col("spare"))["gpus"].sum()) == 15360
    assert set(fabric.hosts["place"]) == set(range(136))


def test_sonic_names_follow_the_lanes() -> None:
    plan = hpn_pod()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    leaf = fabric.ports.filter(device=int(fabric.switches["id"][0]))
    assert leaf["name"].head(5).to_list() == ["Ethernet0", "Ethernet2", "Ethernet4", "Ethernet6", "Ethernet8"]
    assert leaf.filter(use="up")["name"].head(3).to_list() == ["Ethernet272", "Ethernet276", "Ethernet280"]
    assert leaf.select("cage", "connector", "lane", "lanes").row(3) == (1, 2, 6, 2)
    assert leaf["number"].to_list() == list(range(196))


def fat_tree(planes: int = 1, join: str = "never", layout: str = "top-of-rack", rails: int = 1) -> Made:
    """Three tiers of 8-port switches: 8 pods of 4 leaves and 4 spines, 16 cores (a plane, a rail with rail-only)."""
    joined_spine, joined_core = (planes if join == place else 1 for place in ("spine", "core"))
    positions = rails
    wide = 1 if layout == "rail-only" else positions
    leaf = setup(BOX, ("host", 4, "1x400"), ("up", 4, "1x400"))
    cls = host_class(
        "gpu", 128, 4, 32, leaf, rails=rails, ports_per_nic=planes, rails_per_leaf=1, leaves_per_plane=positions,
        segments_per_pod=4, uplinks=4, trunk=1,
    )  # fmt: skip
    network = NetworkDesign(
        "compute", "roce", layout, 3, planes, join, (cls,), 8,
        spine=setup(BOX, ("down", 4 * joined_spine * wide, "1x400"), ("up", 4, "1x400")), spines_per_group=4,
        uplink_speed_gbps=400, core=setup(BOX, ("down", 8 * joined_core, "1x400")), spine_uplinks=4,
        spine_uplink_speed_gbps=400, cores_per_group=4, core_trunk=1,
    )  # fmt: skip
    nics = [{"name": "nic", "count": rails, "ports": planes, "speed_gbps": 400, "network": "compute", "cage": "osfp"}]
    return made([network], [{"name": "gpu", "model": "server", "count": 128}], catalogue({"server": nics}))


def test_fat_tree_of_radix_8_has_k_cubed_over_4_endpoints() -> None:
    plan = fat_tree()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    assert plan.network.counts() == {"leaf": 32, "spine": 32, "core": 16}
    assert tiers(fabric) == {"host-leaf": 128, "leaf-spine": 128, "spine-core": 128}
    assert fabric.device_names()[-1] == "core-compute-g003-003"


@pytest.mark.parametrize("join", ["never", "spine", "core"])
def test_planes_meet_where_they_join_and_nowhere_else(join: str) -> None:
    plan = fat_tree(planes=2, join=join)
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    planes = fabric.switches.group_by(pl.col("tier").cast(pl.String)).agg(pl.col("plane").n_unique()).sort("tier")
    expected = {"never": (2, 2, 2), "spine": (1, 2, 1), "core": (1, 2, 2)}[join]
    assert tuple(planes["plane"]) == expected  # core, leaf, spine
    components = _components(fabric)
    assert components == (2 if join == "never" else 1)


def _components(fabric: Fabric) -> int:
    import networkx as nx

    graph = fabric.graph()
    graph.remove_nodes_from(fabric.hosts["id"].to_list())
    return int(nx.number_connected_components(graph))


def test_rail_only_has_a_fabric_for_each_rail_and_plane() -> None:
    plan = fat_tree(planes=2, layout="rail-only", rails=3)
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    assert _components(fabric) == 6
    assert set(fabric.switches.filter(tier="core")["rail"]) == {0, 1, 2}
    assert "core-compute-l2-p1-g003-003" in set(fabric.device_names())


def test_the_pair_of_a_single_tier_is_linked() -> None:
    leaf = setup(BOX, ("host", 4, "2x400"), ("interswitch", 4, "2x400"))
    cls = host_class("gpu", 4, 4, 1, leaf, rails=1, ports_per_nic=2, leaves_per_plane=1)
    network = NetworkDesign(
        "compute", "roce", "top-of-rack", 1, 2, "never", (cls,), 1, interswitch_links=4, interswitch_speed_gbps=400,
        trunk_cables=True,
    )  # fmt: skip
    nics = [{"name": "nic", "count": 1, "ports": 2, "speed_gbps": 400, "network": "compute", "cage": "osfp"}]
    plan = made([network], [{"name": "gpu", "model": "server", "count": 4}], catalogue({"server": nics}))
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    pair = fabric.links.filter(tier="leaf-leaf")
    assert pair.select("a_device", "b_device").unique().rows() == [(4, 5)]
    assert pair["cable"].n_unique() == 2
    assert pair["plane"].null_count() == 4
    groups = fabric.ecmp_groups()
    assert groups.select("device", "peer").unique(maintain_order=True).rows() == [(4, 5), (5, 4)]


def test_ecmp_groups_are_uplinks_and_trunks() -> None:
    plan = superpod()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    groups = fabric.ecmp_groups()
    sizes = groups.group_by("id", pl.col("direction").cast(pl.String), "peer").len()
    ups, downs = sizes.filter(direction="up"), sizes.filter(direction="down")
    assert (ups.height, set(ups["len"]), ups["peer"].null_count()) == (32, {32}, 32)
    assert (downs.height, set(downs["len"])) == (512, {2})
    assert groups["port"].is_unique().all()
    assert groups["id"].to_list() == sorted(groups["id"].to_list())
    assert groups["id"].n_unique() == groups["id"][-1] + 1


def with_oob() -> Made:
    """Compute, storage, a frontend with nothing but a service on it, and an oob network whose leaves hang below it."""
    nics = [
        {"name": "cx", "count": 2, "speed_gbps": 400, "network": "compute", "cage": "osfp", "ports_per_cage": 2},
        {"name": "st", "count": 1, "ports": 2, "speed_gbps": 200, "network": "storage", "cage": "qsfp112"},
        {"name": "bmc", "count": 1, "speed_gbps": 1, "network": "oob", "cage": "rj45"},
        {"name": "mgmt", "count": 1, "speed_gbps": 1, "network": "oob", "cage": "rj45"},
    ]
    stor = [{**nics[1], "count": 1}, nics[2]]
    login = [{"name": "eth", "count": 1, "speed_gbps": 400, "network": "frontend", "cage": "osfp"}, nics[2]]
    parts = catalogue({"gpu": nics, "stor": stor, "login": login})
    compute = host_class(
        "gpu", 5, 4, 2, setup(BOX, ("host", 5, "2x400"), ("up", 2, "2x400")),
        spares_per_segment=1, rails=2, leaves_per_plane=2, uplinks=2, trunk=1,
    )  # fmt: skip
    storage = host_class(
        "gpu+stor", 10, 5, 2, setup(BOX, ("host", 5, "4x200"), ("up", 4, "2x400")),
        rails=1, ports_per_nic=2, speed_gbps=200, leaves_per_plane=1, uplinks=4, trunk=2,
    )  # fmt: skip
    leaf = setup(BOX, ("host", 1, "1x400"), ("attach", 2, "1x400"), ("external", 1, "1x400"))
    front = host_class("login", 1, 1, 1, leaf, rails=1, leaves_per_plane=1)
    leaf = setup("small", ("host", 18, "1x1"), ("free", 30, "1x1"), ("external", 1, "1x100"))
    oob = host_class("gpu+stor+login", 35, 18, 2, leaf, rails=1, speed_gbps=1, leaves_per_plane=1)
    spine: dict[str, Any] = {"spine": setup(BOX, ("down", 8, "2x400")), "spines_per_group": 2}
    below: dict[str, Any] = {"external_uplinks": 1, "external_to": "frontend"}
    outside: dict[str, Any] = {"external_uplinks": 1, "external_to": "external", "attached": 2}
    networks = [
        NetworkDesign("compute", "roce", "rail-optimized", 2, 1, "never", (compute,), 1, **spine),
        NetworkDesign("storage", "roce", "top-of-rack", 2, 2, "spine", (storage,), 1, **spine),
        NetworkDesign("frontend", "ethernet", "top-of-rack", 1, 1, "never", (front,), 1, **outside),
        NetworkDesign("oob", "ethernet", "top-of-rack", 1, 1, "never", (oob,), 1, **below),
    ]
    hosts = [
        {"name": "gpu", "model": "gpu", "count": 5, "spares_per_segment": 1},
        {"name": "stor", "model": "stor", "count": 3, "role": "storage"},
        {"name": "login", "model": "login", "count": 1, "role": "service"},
    ]
    return made(networks, hosts, parts, site={"rows": 1, "racks_per_row": 2, "pdus_per_rack": 2})


def test_every_network_is_connected_and_oob_reaches_everything() -> None:
    plan = with_oob()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    assert_built(plan, fabric)
    endpoints = fabric.links.filter(tier="oob")
    # 7 gpu hosts with 2 NICs, 3 stor, 1 login; 4 + 2 compute, 4 + 2 storage, 1 frontend switches; 4 PDUs.
    assert endpoints.height == 14 + 3 + 1 + 13 + 4
    reached = Counter(endpoints["a_device"].to_list())
    own = fabric.switches.filter(network="oob")["id"].to_list()
    assert set(reached) | set(own) == set(range(fabric.hosts.height + fabric.switches.height))
    assert fabric.ports.filter(use="mgmt").select("name", "network", "number").unique().rows() == [("eth0", "oob", 0)]
    uplinks = fabric.links.filter(tier="uplink")
    assert uplinks.filter(network="frontend")["b_device"].null_count() == 1
    attached = fabric.ports.gather(uplinks.filter(network="oob")["b_port"].to_list())
    assert attached["use"].to_list() == ["attach"] * 2


def test_spares_have_places_on_their_primary_network_and_are_hosts_on_others() -> None:
    plan = with_oob()
    fabric = build(plan.design, plan.intent, plan.catalogue)
    gpu = fabric.hosts.filter(group="gpu")
    assert gpu["index"].to_list() == [0, 1, 2, 3, 4, 5, 9]
    assert gpu["spare"].to_list() == [False] * 4 + [True, False, True]
    assert gpu.select("segment", "place").rows() == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 4)]
    storage = fabric.links.filter(network="storage", tier="host-leaf")
    segment = dict(storage.select("a_device", "segment").iter_rows())
    assert [segment[host] for host in range(10)] == [0] * 5 + [1] * 5
    stor = fabric.hosts.filter(group="stor")
    assert stor.select("index", "segment", "place").rows() == [(0, 1, 2), (1, 1, 3), (2, 1, 4)]


def test_a_service_without_hosts_beside_it_is_a_host() -> None:
    fabric = build(*_parts(with_oob()))
    login = fabric.hosts.filter(group="login").row(0, named=True)
    assert (login["name"], login["role"], login["segment"], login["place"]) == ("login-0000", "service", 0, 0)


def _parts(plan: Made) -> tuple[Any, Any, Any]:
    return plan.design, plan.intent, plan.catalogue


def test_host_cages_count_over_all_nics_of_the_server() -> None:
    fabric = build(*_parts(with_oob()))
    ports = fabric.ports.filter(device=0)
    assert ports.select("network", "cage", "connector").rows() == [
        ("compute", 1, 1), ("compute", 1, 2), ("storage", 2, 1), ("storage", 3, 1), ("oob", 4, 1), ("oob", 5, 1),
    ]  # fmt: skip
    assert ports["number"].to_list() == [0, 1, 0, 1, 0, 1]


def test_services_fill_vacant_ports_evenly_then_free_ports() -> None:
    """Six ports are vacant on the two leaves of the last segment; then come free ports, the last segment first."""
    leaf = setup(BOX, ("host", 4, "2x400"), ("free", 2, "2x400"), ("up", 1, "1x400"))
    cls = host_class("gpu", 5, 4, 2, leaf, rails=2, leaves_per_plane=2, uplinks=1, trunk=1)
    network = NetworkDesign(
        "compute", "roce", "rail-optimized", 2, 1, "never", (cls,), 1,
        spine=setup(BOX, ("down", 4, "1x400")), spines_per_group=1, service_ports=11,
    )  # fmt: skip
    nic = {"name": "nic", "count": 1, "speed_gbps": 400, "network": "compute", "cage": "osfp"}
    hosts = [
        {"name": "gpu", "model": "gpu", "count": 5},
        {"name": "svc", "model": "svc", "count": 11, "role": "service"},
    ]
    plan = made([network], hosts, catalogue({"gpu": [{**nic, "count": 2}], "svc": [nic]}))
    fabric = build(*_parts(plan))
    assert_built(plan, fabric)
    links = fabric.links.join(fabric.hosts.select(a_device="id", role="role"), on="a_device").filter(role="service")
    leaves = fabric.switches.select(b_device="id", segment="segment", position="index")
    reached = links.select("a_device", "b_device", "b_port").join(leaves, on="b_device").sort("a_device")
    vacant = [(1, 0), (1, 1)] * 3
    free = [(1, 0), (1, 1), (0, 0), (0, 1), (1, 0)]
    assert reached.select("segment", "position").rows() == vacant + free
    assert fabric.ports.gather(reached["b_port"].to_list())["number"].to_list() == [1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5]
    assert fabric.ports.filter(use="free").height == 8 - 5
    assert fabric.ports.filter(use="host").height == 2 * 2 * 4 - 6


def test_growth_of_the_first_class_moves_no_cable_of_another() -> None:
    """Classes after the first keep the first down ports of the spines, which growth does not touch."""
    nic = {"name": "nic", "count": 1, "speed_gbps": 400, "network": "compute", "cage": "osfp"}
    hosts = [
        {"name": "a", "model": "s", "count": 2},
        {"name": "b", "model": "s", "count": 2, "spares_per_segment": 1},
    ]
    plans = []
    for segments in (2, 3):
        leaf = setup(BOX, ("host", 2, "2x400"), ("up", 2, "2x400"))
        more: dict[str, Any] = {"rails": 1, "leaves_per_plane": 1, "uplinks": 2, "trunk": 2}
        first = host_class("a", segments, 1, segments, leaf, **more)
        other = host_class("b", 2, 1, 2, leaf, spares_per_segment=1, **more)
        network = NetworkDesign(
            "compute", "roce", "top-of-rack", 2, 1, "never", (first, other), 1,
            spine=setup(BOX, ("down", 12, "2x400")), spines_per_group=1,
        )  # fmt: skip
        hosts[0]["count"] = segments
        plans.append(made([network], hosts, catalogue({"s": [nic]})))
    less, more_ = (_spine_ends(plan) for plan in plans)
    assert less[("b", 0)] == more_[("b", 0)]
    assert {key: value for key, value in more_.items() if key in less} == less


def _spine_ends(plan: Made) -> dict[tuple[str, int], list[str]]:
    """Spine ports by class and segment within the class."""
    fabric = build(*_parts(plan))
    assert_built(plan, fabric)
    leaves = fabric.switches.select(a_device="id", cls="host_class", segment="segment")
    links = fabric.links.filter(tier="leaf-spine").join(leaves, on="a_device", suffix="_of")
    first = plan.network.classes[0].segments
    found: dict[tuple[str, int], list[str]] = {}
    for cls, segment, port in links.select("cls", "segment_of", "b_port").iter_rows():
        name = fabric.ports["name"][port]
        found.setdefault(("ab"[cls], segment - first * cls), []).append(name)
    return found


def test_growth_moves_no_cable_that_exists() -> None:
    """The same spines with one segment more: every link there was is still there."""
    plan = superpod()
    network = plan.network
    grown = replace(network, classes=(replace(network.classes[0], max_segments=4),))
    small = replace(network, classes=(replace(network.classes[0], hosts=95, segments=3, segments_per_pod=3),))
    more, less = (_named_links(_fewer(plan, n)) for n in (grown, small))
    assert less < more


def _fewer(plan: Made, network: NetworkDesign) -> Made:
    hosts = plan.intent.hosts[0].model_copy(update={"count": network.classes[0].hosts})
    intent = plan.intent.model_copy(update={"hosts": (hosts,)})
    return replace(plan, design=Design("x", {"compute": network}), intent=intent)


def _named_links(plan: Made) -> set[tuple[str, str, str, str]]:
    fabric = build(*_parts(plan))
    names, ports = fabric.device_names(), fabric.ports["name"]
    links = fabric.links
    sides = [(names.gather(links[f"{s}_device"]), ports.gather(links[f"{s}_port"])) for s in "ab"]
    columns = [column for side in sides for column in side]
    return set(zip(*(c.to_list() for c in columns), strict=True))


@settings(max_examples=150)
@given(random_designs())
def test_any_design_is_built_as_designed(plan: Made) -> None:
    fabric = build(*_parts(plan))
    assert_built(plan, fabric)


@settings(max_examples=30)
@given(random_designs())
def test_the_same_design_gives_the_same_tables(plan: Made) -> None:
    first, second = build(*_parts(plan)), build(*_parts(plan))
    for (name, one), (_, other) in zip(first.tables(), second.tables(), strict=True):
        assert one.equals(other, null_equal=True), name


def test_spares_of_pooled_groups_are_those_of_their_segments() -> None:
    """Segments of 4: aaaa ss | aabb ss | bb.. ss; a segment's spares belong to the group of its first host."""
    leaf = setup(BOX, ("host", 6, "2x400"), ("up", 1, "1x400"))
    cls = host_class("a+b", 10, 4, 4, leaf, spares_per_segment=2, rails=1, leaves_per_plane=1, uplinks=1, trunk=1)
    network = NetworkDesign(
        "compute", "roce", "top-of-rack", 2, 1, "never", (cls,), 1,
        spine=setup(BOX, ("down", 4, "1x400")), spines_per_group=1,
    )  # fmt: skip
    nic = {"name": "nic", "count": 1, "speed_gbps": 400, "network": "compute", "cage": "osfp"}
    hosts = [{"name": n, "model": "s", "count": c, "spares_per_segment": 2} for n, c in (("a", 6), ("b", 4))]
    plan = made([network], hosts, catalogue({"s": [nic]}))
    fabric = build(*_parts(plan))
    assert_built(plan, fabric)
    spares = fabric.hosts.filter("spare")
    assert spares.select(pl.col("group").cast(pl.String), "index", "segment", "place").rows() == [
        ("a", 4, 0, 4), ("a", 5, 0, 5), ("a", 8, 1, 4), ("a", 9, 1, 5), ("b", 4, 2, 4), ("b", 5, 2, 5),
    ]  # fmt: skip
    assert installed_spares(cls, {"a": 6, "b": 4}) == {"a": 4, "b": 2}


def test_networks_that_want_more_nics_than_there_are_are_refused() -> None:
    server = load_catalogue().servers["megascale-8x200"]
    nics = server.nics[0]
    four, five = (nics.model_copy(update={"count": count}) for count in (4, 5))
    shared = host_template(server, {"storage": [four], "frontend": [four]})
    assert [p.name for p in shared.ports] == [nic_port_name(nics, n, 0) for n in range(8)]
    assert [p.number for p in shared.ports] == [0, 1, 2, 3] * 2
    with pytest.raises(InputError, match="has 8, 9 NICs nic on storage, frontend asked"):
        host_template(server, {"storage": [four], "frontend": [five]})


def test_a_design_with_too_few_ports_is_refused() -> None:
    plan = superpod()
    spine = plan.network.spine
    assert spine is not None
    short = replace(plan.network, spine=replace(spine, ports={"down": 63}))
    with pytest.raises(ValueError, match="port 63 of use down on a device that has 63"):
        build(Design("x", {"compute": short}), plan.intent, plan.catalogue)
