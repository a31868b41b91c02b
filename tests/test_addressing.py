"""Addresses: none twice, inside their pools, the same for a place whatever is added; what of a pool too small is told.

Cases are files: ``golden/errors/addressing/NAME.yaml`` (an example's plan and other pools) with the messages in
``NAME.txt``; ``RAILWRIGHT_UPDATE_GOLDEN=1`` rewrites them.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import planned
from small_designs import BOX, Made, random_design, random_designs, setup
from small_plans import NAMES, plan_of

from fabric.addressing import Addresses, addresses, network_subnet
from fabric.addressing_shares import HOST_NETWORKS, LINKS, NETWORKS, SWITCHES, class_begin, classes, part, times_larger
from fabric.addressing_text import ipv4_text, ipv6_text
from fabric.catalogue import load_catalogue
from fabric.design import Design, NetworkDesign
from fabric.errors import InputError
from fabric.intent import intent_from
from fabric.intent.addressing import Addressing
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

ERRORS = Path(__file__).parent / "golden/errors/addressing"
Net = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def built(made: Made) -> Plan:
    fabric = build(made.design, made.intent, made.catalogue)
    return Plan(made.intent, made.catalogue, made.design, fabric)


def with_pools(plan: Plan, pools: dict[str, Any]) -> Plan:
    addressing = Addressing.model_validate(pools)
    return replace(plan, intent=plan.intent.model_copy(update={"addressing": addressing}))


# ------------------------------------------------------------------------------------------------------- what must hold


def assert_sound(plan: Plan) -> None:
    """Every rule of docs/addressing.md, by the standard library's arithmetic."""
    found = addresses(plan)
    for family in ("ipv4", "ipv6"):
        _each_once(found, family)
        _inside(plan, found, family)
        _links_are_pairs(found, family)
        _hosts_meet_their_leaf(found, family)
        _leaf_subnets_are_apart(found, family)
        _management_is_in_its_subnet(found, family)
    _numbers(plan, found)
    _covers(plan, found)


def _each_once(found: Addresses, family: str) -> None:
    columns = [
        found.switches[f"loopback_{family}"], found.links[f"a_{family}"], found.links[f"b_{family}"],
        found.host_ports[family], found.host_ports[f"gateway_{family}"], found.management[family],
        found.leaf_subnets[f"gateway_{family}"],
    ]  # fmt: skip
    every = pl.concat([column.drop_nulls().rename("address") for column in columns])
    assert every.is_unique().all()
    canonical = [str(ipaddress.ip_address(text)) for text in every]
    assert canonical == every.to_list()


def _inside(plan: Plan, found: Addresses, family: str) -> None:
    pools = plan.intent.addressing
    for pool, column in (
        (pools.loopbacks, found.switches[f"loopback_{family}"]),
        (pools.links, pl.concat([found.links[f"a_{family}"], found.links[f"b_{family}"].rename(f"a_{family}")])),
        (pools.hosts, found.host_ports[family]),
        (pools.management, found.management[family]),
    ):
        net = ipaddress.ip_network(getattr(pool, family))
        assert all(ipaddress.ip_address(text) in net for text in column.drop_nulls())


def _links_are_pairs(found: Addresses, family: str) -> None:
    bits = 31 if family == "ipv4" else 127
    for a, b in found.links.select(f"a_{family}", f"b_{family}").drop_nulls().iter_rows():
        assert ipaddress.ip_interface(f"{a}/{bits}").network == ipaddress.ip_interface(f"{b}/{bits}").network
        assert int(ipaddress.ip_address(b)) == int(ipaddress.ip_address(a)) + 1


def _hosts_meet_their_leaf(found: Addresses, family: str) -> None:
    columns = (family, f"prefix_{family}", f"gateway_{family}", f"subnet_{family}", "leaf", "network", "rail", "plane")
    own = {
        (leaf, network, rail, plane): ipaddress.ip_network(subnet)
        for leaf, network, rail, plane, subnet in found.leaf_subnets.select(
            "leaf", "network", "rail", "plane", f"subnet_{family}"
        ).iter_rows()
    }
    summaries: dict[str, tuple[str, int, int]] = {}
    for host, prefix, gateway, summary, leaf, network, rail, plane in found.host_ports.select(columns).iter_rows():
        assert prefix == (31 if family == "ipv4" else 127)
        assert (
            ipaddress.ip_interface(f"{host}/{prefix}").network == ipaddress.ip_interface(f"{gateway}/{prefix}").network
        )
        assert ipaddress.ip_address(host) in own[leaf, network, rail, plane]
        assert own[leaf, network, rail, plane].subnet_of(ipaddress.ip_network(summary))  # type: ignore[arg-type]
        assert summaries.setdefault(summary, (network, rail, plane)) == (network, rail, plane)
    _apart([ipaddress.ip_network(summary) for summary in summaries])


def _leaf_subnets_are_apart(found: Addresses, family: str) -> None:
    _apart([ipaddress.ip_network(subnet) for subnet in found.leaf_subnets[f"subnet_{family}"]])


def _apart(nets: list[Net]) -> None:
    ordered = sorted(nets, key=lambda net: int(net.network_address))
    for one, other in pairwise(ordered):
        assert int(one.broadcast_address) < int(other.network_address)


def _management_is_in_its_subnet(found: Addresses, family: str) -> None:
    shared = found.leaf_subnets.select("leaf", f"gateway_{family}").drop_nulls()
    gateways = dict(shared.iter_rows())
    columns = ("leaf", family, f"prefix_{family}", f"gateway_{family}")
    for leaf, address, prefix, gateway in found.management.select(columns).iter_rows():
        assert gateway == gateways[leaf]
        net = ipaddress.ip_interface(f"{address}/{prefix}").network
        assert ipaddress.ip_address(gateway) in net
        assert address not in (str(net.network_address), gateway)
        assert family == "ipv6" or address != str(net.broadcast_address)


def _numbers(plan: Plan, found: Addresses) -> None:
    """AS numbers: one a leaf; spines share with their pod and plane (and position), cores with their plane."""
    pool = plan.intent.addressing.asns
    switches = plan.fabric.switches.join(found.switches.select(id="device", asn="asn"), on="id")
    switches = switches.with_columns(pl.col("network", "tier").cast(pl.String)).drop_nulls("asn")
    assert switches["asn"].is_between(pool.first, pool.last).all()
    plane, rail = (pl.col(name).fill_null(99) for name in ("plane", "rail"))
    leaf, spine = pl.format("{}", "id"), pl.format("{} {} {} {}", "network", "pod", plane, rail)
    core = pl.format("{} {} {}", "network", plane, rail)
    key = pl.when(tier="leaf").then(leaf).when(tier="spine").then(spine).otherwise(core)
    pairs = switches.select("asn", key=pl.concat_str("tier", key)).unique()
    assert pairs["asn"].is_unique().all()
    assert pairs["key"].is_unique().all()


def _covers(plan: Plan, found: Addresses) -> None:
    """Every switch, every link between switches and every host port that speaks IP has what it needs."""
    fabric = plan.fabric
    infiniband = [name for name, network in plan.design.networks.items() if network.technology == "infiniband"]
    quiet = fabric.switches["network"].cast(pl.String).is_in(infiniband)
    assert found.switches["device"].to_list() == fabric.switches["id"].to_list()
    assert (found.switches["loopback_ipv4"].is_null() == quiet).all()
    speaking = fabric.links.filter(~pl.col("network").is_in(infiniband))
    assert set(found.host_ports["port"]) == set(speaking.filter(tier="host-leaf")["a_port"])
    assert set(found.management["port"]) == set(speaking.filter(tier="oob")["a_port"])
    between = speaking.filter(~pl.col("tier").is_in(["host-leaf", "oob"]) & pl.col("b_device").is_not_null())
    assert found.links["link"].to_list() == between["id"].to_list()
    routing = set(between["a_device"]) | set(between["b_device"])
    assert routing <= set(found.switches.drop_nulls("asn")["device"])


@pytest.mark.parametrize("name", NAMES)
def test_small_plans_of_every_layout_are_sound(name: str) -> None:
    assert_sound(plan_of(name))


@pytest.mark.parametrize("example", ["starter-32", "ascend-a3", "hpn7-segment", "megascale-block", "superpod-h100-1su"])
def test_examples_are_sound(example: str) -> None:
    assert_sound(planned(example))


@settings(max_examples=40)
@given(random_designs())
def test_any_design_is_sound(made: Made) -> None:
    assert_sound(built(made))


def test_the_rail_of_an_address_is_that_of_the_link() -> None:
    plan = planned("starter-32")
    links = plan.fabric.links.select(port="a_port", link_rail="rail", link_plane="plane")
    joined = addresses(plan).host_ports.join(links, on="port").drop_nulls("link_rail")
    assert joined.height > 300
    assert (joined["rail"] == joined["link_rail"]).all()
    assert (joined["plane"] == joined["link_plane"]).all()


# --------------------------------------------------------------------------------------------------------------- growth


def by_place(plan: Plan) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What every place has: switches and leaf ports by their coordinates, which no growth changes."""
    found, fabric = addresses(plan), plan.fabric
    first = {
        name: [sum(cls.segments for cls in network.classes[:n]) for n in range(len(network.classes))]
        for name, network in plan.design.networks.items()
    }
    where: dict[int, tuple[Any, ...]] = {}
    columns = ("id", "network", "tier", "host_class", "pod", "segment", "rail", "plane", "group", "index")
    for device, network, tier, cls, pod, segment, *rest in fabric.switches.select(columns).iter_rows():
        local = None if segment is None else segment - first[network][cls]
        where[device] = (network, tier, cls, pod if tier == "spine" else None, local, *rest)
    places: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for device, *values in found.switches.select("device", "asn", "loopback_ipv4", "loopback_ipv6").iter_rows():
        places[where[device]] = tuple(values)
    number = fabric.ports["number"]
    for table in (found.host_ports, found.management):
        for leaf, port, *values in table.select("leaf", "leaf_port", "ipv4", "ipv6", "gateway_ipv4").iter_rows():
            places[where[leaf], number[port]] = tuple(values)
    ends = fabric.links.select(link="id", device="a_device", port="a_port")
    for _, a, b, device, port in found.links.select("link", "a_ipv4", "b_ipv4").join(ends, on="link").iter_rows():
        places[where[device], "link", number[port]] = (a, b)
    return places


def assert_stable(less: Plan, more: Plan) -> None:
    before, after = by_place(less), by_place(more)
    assert before.items() <= after.items()
    assert len(after) > len(before)


def grown(made: Made, rng: Random) -> Made:
    """The same shape with more segments in one class and more hosts in them (and, with three tiers, more pods)."""
    network = made.network
    at = rng.randrange(len(network.classes))
    cls = network.classes[at]
    segments = cls.segments + rng.randint(1, 3)
    added = segments * cls.segment_hosts - cls.hosts
    bigger = replace(cls, hosts=cls.hosts + added, segments=segments, max_segments=segments)
    if network.tiers < 3:
        bigger = replace(bigger, segments_per_pod=segments)
    kinds = (*network.classes[:at], bigger, *network.classes[at + 1 :])
    pods = max(-(-c.segments // c.segments_per_pod) for c in kinds) if network.tiers == 3 else 1
    grown_network = _roomy(replace(network, classes=kinds, pods=max(pods, network.pods)))
    hosts = tuple(
        h.model_copy(update={"count": h.count + added}) if h.name == cls.groups[-1] else h for h in made.intent.hosts
    )
    intent = made.intent.model_copy(update={"hosts": hosts})
    return replace(made, design=Design("grown", {"compute": grown_network}), intent=intent)


def _roomy(network: NetworkDesign) -> NetworkDesign:
    """With as many down ports as anyone could ask."""
    if network.spine is None:
        return network
    ups = network.spine.ports.get("up", 0)
    spine = setup(BOX, ("up", ups, "2x400"), ("down", 1000, "2x400"))
    core = setup(BOX, ("down", 1000, "2x400")) if network.core else None
    return replace(network, spine=spine, core=core)


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_more_segments_hosts_and_pods_move_nobody(rng: Random) -> None:
    made = random_design(rng)
    made = replace(made, design=Design("random", {"compute": _roomy(made.network)}))
    made = _without_services(made)
    if made.network.tiers == 1:
        return
    assert_stable(built(made), built(grown(made, rng)))


def _without_services(made: Made) -> Made:
    """Services sit where nobody else does: they give way to hosts, and a place's address is then a host's."""
    hosts = tuple(host for host in made.intent.hosts if host.role != "service")
    return replace(made, intent=made.intent.model_copy(update={"hosts": hosts}))


def test_more_spines_of_a_group_move_nobody() -> None:
    """A leaf's uplinks spread over twice as many spines: those that were there keep their addresses."""
    made = next(
        m for n in range(1000) if (m := random_design(Random(n))).network.tiers == 2 and m.network.classes[0].trunk == 2
        and len(m.network.classes) == 1
    )  # fmt: skip
    network = made.network
    wider = replace(
        network, spines_per_group=2 * network.spines_per_group, classes=(replace(network.classes[0], trunk=1),)
    )
    before, after = (
        addresses(built(replace(made, design=Design("x", {"compute": _roomy(shape)})))) for shape in (network, wider)
    )
    assert before.links.drop("link").equals(after.links.drop("link"))
    kept = set(before.switches["loopback_ipv4"])
    assert kept < set(after.switches["loopback_ipv4"])


GROWTH: dict[str, Any] = {
    "name": "lab",
    "hosts": [{"name": "gpu", "model": "hgx-h100", "count": 32}],
    "networks": {
        "compute": {"technology": "roce", "segment_hosts": 32, "max_segments": 4, "switches": {"leaf": ["sn5600"]}}
    },
}


def _lab(hosts: int, *networks: str) -> Plan:
    asked = {**GROWTH["networks"]}
    for name in networks:
        asked[name] = {"technology": "roce" if name == "storage" else "ethernet", "segment_hosts": 32}
    values = {**GROWTH, "hosts": [{**GROWTH["hosts"][0], "count": hosts}], "networks": asked}
    intent, catalogue = intent_from(values), load_catalogue()
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, build(design, intent, catalogue))


def test_a_planned_cluster_grows_without_renumbering() -> None:
    small, hosts, networks = _lab(30), _lab(96), _lab(96, "storage", "frontend")
    assert_stable(small, hosts)
    assert_stable(hosts, networks)


# ---------------------------------------------------------------------------------------------------------- other rules


def test_unnumbered_links_have_no_addresses() -> None:
    plan = with_pools(plan_of("two-tier"), {"point_to_point": "unnumbered", "links": {"ipv4": "192.0.2.0/31"}})
    links = addresses(plan).links
    assert links.height == addresses(plan_of("two-tier")).links.height > 0
    assert links.drop("link").null_count().row(0) == (links.height,) * 4
    assert_sound(plan)


def test_infiniband_has_management_addresses_alone() -> None:
    found = addresses(planned("superpod-h100-1su"))
    assert found.host_ports.is_empty()
    assert found.links.is_empty()
    assert found.switches["asn"].null_count() == found.switches.height > 0


def test_oob_leaves_are_the_gateways_and_route_where_they_have_uplinks_to_us() -> None:
    plan = planned("starter-32")
    found = addresses(plan)
    oob = plan.fabric.switches.filter(network="oob")["id"]
    rows = found.switches.filter(pl.col("device").is_in(oob.implode()))
    assert rows["asn"].null_count() == 0
    assert rows["mgmt_ipv4"].to_list() == found.leaf_subnets.filter(network="oob")["gateway_ipv4"].to_list()
    others = found.switches.filter(~pl.col("device").is_in(oob.implode()))
    assert set(others["mgmt_gateway_ipv4"]) <= set(rows["mgmt_ipv4"])


def test_a_small_pool_of_ipv6_holds_what_the_ipv4_pool_holds() -> None:
    small = {
        "hosts": "fd00:1::/80",
        "management": "fd00:3::/100",
        "links": "fd00:2::/104",
        "loopbacks": "fd00:ff::/112",
    }
    pools = {pool: {"ipv6": net} for pool, net in small.items()}
    assert_sound(with_pools(planned("starter-32"), pools))


def test_a_network_is_one_subnet_of_its_rails() -> None:
    plan = planned("starter-32")
    for number, family in enumerate(("ipv4", "ipv6")):
        wide = ipaddress.ip_network(network_subnet(plan, "compute")[number])
        rails = addresses(plan).host_ports.filter(network="compute")[f"subnet_{family}"].unique()
        assert len(rails) == 8
        assert all(ipaddress.ip_network(rail).subnet_of(wide) for rail in rails)  # type: ignore[arg-type]


def test_addresses_are_made_once_and_alike() -> None:
    plan = planned("starter-32")
    again = replace(plan)
    assert addresses(plan) is addresses(plan)
    assert addresses(again) is not addresses(plan)
    for name in ("switches", "links", "host_ports", "leaf_subnets", "management"):
        assert getattr(addresses(again), name).equals(getattr(addresses(plan), name))


@pytest.mark.slow
def test_131072_gpus_take_two_seconds() -> None:
    plan = planned("roce-131072")
    addresses(planned("starter-32"))  # the tables of octets and of groups are made
    begin = process_time()
    found = addresses(plan)
    assert process_time() - begin < 4  # of both cores together
    assert found.host_ports.height == 131_072 + 2 * 2 * 16_384
    assert found.links["a_ipv4"].is_unique().all()


# ------------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("case", sorted(path.stem for path in ERRORS.glob("*.yaml")))
def test_what_does_not_fit_is_told_by_how_much(case: str) -> None:
    given_ = yaml.safe_load((ERRORS / f"{case}.yaml").read_text(encoding="utf-8"))
    with pytest.raises(InputError) as caught:
        addresses(with_pools(planned(given_["plan"]), given_["addressing"]))
    said = f"{caught.value}\n"
    expected = ERRORS / f"{case}.txt"
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


def test_what_the_message_asks_for_does() -> None:
    """Each remedy of the golden messages that names a prefix is enough, and half of it is not."""
    plan = planned("starter-32")
    for pool, right in (("loopbacks", 25), ("links", 22), ("hosts", 21), ("management", 25)):
        wide = {pool: {"ipv4": f"172.16.0.0/{right}"}}
        addresses(with_pools(plan, wide))
        with pytest.raises(InputError, match=f"make it a /{right}"):
            addresses(with_pools(plan, {pool: {"ipv4": f"172.16.0.0/{right + 1}"}}))


# ----------------------------------------------------------------------------------------------------------- arithmetic


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**16 - 1)), min_size=1, max_size=40))
def test_ipv6_text_is_canonical(parts: list[tuple[int, int]]) -> None:
    subnet, host = np.array([a for a, _ in parts]), np.array([b for _, b in parts])
    for pool, shift in (("fd00:1::/32", 64), ("fd00:0:0:1::/64", 20), ("fd00::/16", 48), ("fd12:3456:789a::/48", 16)):
        base = int(ipaddress.ip_network(pool).network_address)
        expected = [str(ipaddress.IPv6Address(base | a << shift | b)) for a, b in parts]
        assert ipv6_text(pool, subnet, shift, host).to_list() == expected


@given(st.lists(st.integers(-1, 2**22 - 1), max_size=40))
def test_ipv4_text_is_dotted(offsets: list[int]) -> None:
    base = int(ipaddress.IPv4Address("10.64.0.0"))
    expected = [None if n < 0 else str(ipaddress.IPv4Address(base + n)) for n in offsets]
    assert ipv4_text("10.64.0.0/10", np.array(offsets, dtype=np.int64)).to_list() == expected


def test_classes_begin_where_they_always_did() -> None:
    assert [float(class_begin(n)) for n in range(6)] == [0, 0.5, 0.25, 0.75, 0.125, 0.625]
    two = list(classes(Fraction(1024), [4, 8], [10, 10], ["a", "b"]))
    three = list(classes(Fraction(1024), [4, 8, 2], [10, 10, 10], ["a", "b", "c"]))
    assert [claim.begin for claim in two] == [claim.begin for claim in three][:2]
    assert [claim.room for claim in three] == [256, 512, 256]
    assert times_larger(two) == 1
    assert times_larger(classes(Fraction(64), [4, 8], [10, 10], ["a", "b"])) == 4


def test_shares_fill_a_pool_without_gap() -> None:
    for shares in (NETWORKS, SWITCHES, LINKS, {k: v for k, v in HOST_NETWORKS.items() if k != "oob"}):
        ends = sorted((found.begin, int(found.size)) for found in (part(4096, share) for share in shares.values()))
        assert ends[0][0] == 0
        assert all(a + size == b for (a, size), (b, _) in pairwise(ends))
        assert sum(ends[-1]) == 4096
