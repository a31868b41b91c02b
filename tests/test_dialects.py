"""Plans in other tools' languages: read back as those tools read them, and compared with the plan.

What the tools themselves refuse is written down here as they have it; containerlab's schema and netlab are the real
ones.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import small_plans
import yaml
from cabled import plan as cabled_plan
from conftest import ROOT, shared_data
from planned import planned

from fabric.addressing import addresses
from fabric.catalogue import load_catalogue
from fabric.errors import InputError
from fabric.exports.containerlab import containerlab
from fabric.exports.hedgehog import hedgehog
from fabric.exports.htsim import htsim
from fabric.exports.lab import MOST_NODES
from fabric.exports.links import link_list
from fabric.exports.netbox_devices import netbox_devices, netbox_interfaces
from fabric.exports.netlab import netlab
from fabric.exports.simai import simai
from fabric.exports.sonic_links import sonic_links
from fabric.intent import parse_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

GOLDEN = Path(__file__).parent / "golden" / "dialects"
FILES: dict[str, Callable[[Plan], bytes]] = {
    "containerlab.yaml": containerlab,
    "netlab.yaml": netlab,
    "hedgehog.yaml": hedgehog,
    "simai.txt": simai,
    "htsim.topo": htsim,
    "sonic-links.csv": sonic_links,
    "netbox-devices.csv": netbox_devices,
    "netbox-interfaces.csv": netbox_interfaces,
}
SYSTEMS = ("sonic", "cumulus", "eos", "frr")


@cache
def made(name: str, *swaps: str) -> Plan:
    """The plan of golden/dialects/NAME.yaml; swaps are texts in it, each followed by what stands for it."""
    file = GOLDEN / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    for before, after in zip(swaps[::2], swaps[1::2], strict=True):
        assert before in text
        text = text.replace(before, after)
    intent = parse_intent(text, where=file)
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, cable(build(design, intent, catalogue), design, catalogue))


def lab_of(nos: str) -> Plan:
    """Twelve switches of one operating system."""
    return made("lab", "nos: sonic", f"nos: {nos}")


def kept(plan: Plan, *left_out: str) -> pl.DataFrame:
    """Links between two devices of ours on the networks that are not left out."""
    links = link_list(plan.fabric)
    return links.filter(~pl.col("network").is_in(left_out), pl.col("b_device") != "external", pl.col("tier") != "oob")


def rows(content: bytes) -> list[dict[str, str]]:
    """A CSV file with a header."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def words(text: str) -> frozenset[str]:
    """Words separated by spaces."""
    return frozenset(text.split())


def refusal(function: Callable[[Plan], bytes], plan: Plan) -> str:
    """What the dialect says of a plan that it cannot express."""
    with pytest.raises(InputError) as caught:
        function(plan)
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_tiny_plan_gives_the_files_that_were_read_by_hand(name: str) -> None:
    written, golden = FILES[name](made("tiny")), GOLDEN / "tiny" / name
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_bytes(written)
    assert written == golden.read_bytes()


# Labs


LABS = ["two-tier", "twin-cages", "three-tier", "rail-only", "pair", *SYSTEMS, "starter-32"]


def plan_of(name: str) -> Plan:
    """A plan by the name of its intent, or of an operating system."""
    if name in SYSTEMS:
        return lab_of(name)
    return small_plans.plan_of(name) if name in small_plans.NAMES else planned(name)


@pytest.mark.parametrize("name", LABS)
def test_containerlabs_schema_accepts_the_topology(name: str) -> None:
    validators = pytest.importorskip("jsonschema", reason="jsonschema is missing: make setup").validators
    schema = json.loads(shared_data("schemas/clab.schema.json").read_text(encoding="utf-8"))
    topology = yaml.load(containerlab(plan_of(name)), yaml.CSafeLoader)
    assert [error.message for error in validators.validator_for(schema)(schema).iter_errors(topology)] == []
    spoilt = {**topology, "topology": {**topology["topology"], "links": [{"endpoints": "one"}]}}
    assert list(validators.validator_for(schema)(schema).iter_errors(spoilt))


@pytest.mark.parametrize("name", LABS)
def test_containerlabs_links_are_the_plans(name: str) -> None:
    plan = plan_of(name)
    topology = yaml.load(containerlab(plan), yaml.CSafeLoader)["topology"]
    links = kept(plan, "oob")
    expected = Counter(
        (f"{a}:{ap}", f"{b}:{bp}") for a, ap, b, bp in links.select("a_device", "a_port", "b_device", "b_port").rows()
    )
    assert Counter((link["labels"]["port_a"], link["labels"]["port_b"]) for link in topology["links"]) == expected
    ends = [(end["node"], end["interface"]) for link in topology["links"] for end in link["endpoints"]]
    assert len(set(ends)) == len(ends)
    assert {node for node, _ in ends} == set(topology["nodes"])
    kinds = {node: topology["groups"][entry["group"]]["kind"] for node, entry in topology["nodes"].items()}
    takes = {"sonic-vs": r"eth[1-9]\d*", "arista_ceos": r"eth[1-9]\d*", "nvidia_cumulusvx": r"swp[1-9]\d*",
             "linux": r"(?!eth0$)[A-Za-z][A-Za-z0-9._-]{0,14}"}  # fmt: skip
    assert all(re.fullmatch(takes[kinds[node]], interface) for node, interface in ends)


def test_interfaces_that_linux_cannot_have_are_numbered() -> None:
    plan = made("tiny")
    ports = plan.fabric.ports.with_columns(name=pl.col("name").replace("gpu0", "a-name-of-16-bytes"))
    plan = replace(plan, fabric=replace(plan.fabric, ports=ports))
    topology = yaml.safe_load(containerlab(plan))["topology"]
    assert [end["interface"] for link in topology["links"][:2] for end in link["endpoints"][:1]] == ["eth1", "eth2"]
    assert topology["links"][0]["labels"]["port_a"] == "gpu-0000:a-name-of-16-bytes"


@pytest.mark.parametrize("dialect", [containerlab, netlab])
def test_a_lab_has_no_infiniband_and_fits_one_bridge(dialect: Callable[[Plan], bytes]) -> None:
    assert "no containers for InfiniBand" in refusal(dialect, planned("superpod-h100-1su"))
    assert f"at most {MOST_NODES:,}" in refusal(dialect, planned("hpn7-pod"))


@pytest.mark.slow
@pytest.mark.parts
@pytest.mark.parametrize("nos", SYSTEMS)
def test_netlab_creates_the_same_links(nos: str, tmp_path: Path) -> None:
    program = ROOT / ".parts" / "netlab" / "bin" / "netlab"
    if not program.exists():
        pytest.skip("netlab is missing: make .parts/netlab/.setup")
    plan = lab_of(nos)
    (tmp_path / "topology.yml").write_bytes(netlab(plan))
    done = subprocess.run([program, "create"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lab = yaml.safe_load((tmp_path / "clab.yml").read_text(encoding="utf-8"))["topology"]
    ends = [tuple(end.split(":")) for link in lab["links"] for end in link["endpoints"]]
    assert len(set(ends)) == len(ends)
    links = kept(plan)
    assert Counter((ends[n][0], ends[n + 1][0]) for n in range(0, len(ends), 2)) == Counter(
        (a.replace("-", "_"), b.replace("-", "_")) for a, b in links.select("a_device", "b_device").rows()
    )
    own = {port for (node, port) in ends if node.startswith("gpu")}
    assert own == {"gpu0", "gpu1"}
    if nos == "frr":
        named = Counter((a.replace("-", "_"), port) for a, port in links.select("b_device", "b_port").rows())
        assert named == Counter(ends[1::2])


def test_netlab_is_told_the_plans_addresses() -> None:
    plan = lab_of("frr")
    topology = yaml.safe_load(netlab(plan))
    known = addresses(plan)
    told = Counter(
        end["ipv4"].split("/")[0] for link in topology["links"] for end in link.values() if isinstance(end, dict)
    )
    expected = [
        *known.links["a_ipv4"],
        *known.links["b_ipv4"],
        *known.host_ports["ipv4"],
        *known.host_ports["gateway_ipv4"],
    ]
    assert told == Counter(expected)
    asns = {node.get("bgp.as") for node in topology["nodes"].values()} - {None}
    assert asns == set(known.switches["asn"])


def test_netlab_numbers_what_the_plan_does_not() -> None:
    plan = lab_of("frr")
    pools = plan.intent.addressing.model_copy(update={"point_to_point": "unnumbered"})
    plan = replace(plan, intent=plan.intent.model_copy(update={"addressing": pools}))
    topology = yaml.safe_load(netlab(plan))
    spine_links = [link for link in topology["links"] if not any(key.startswith("gpu") for key in link)]
    assert all(end["ipv4"] is True for link in spine_links for end in link.values() if isinstance(end, dict))


# NetBox: DeviceImportForm and InterfaceImportForm of netbox/dcim/forms/bulk_import.py, 4.6

DEVICE_FIELDS = words("""
name role tenant manufacturer device_type platform serial asset_tag status site location rack position
face latitude longitude parent device_bay airflow virtual_chassis vc_position vc_priority cluster description
config_template owner comments tags""")
DEVICE_REQUIRED = ("role", "manufacturer", "device_type", "status", "site")
INTERFACE_FIELDS = words("""
device name label parent bridge lag type speed duplex enabled mark_connected wwn vdcs mtu mgmt_only
description poe_mode poe_type mode vlan_group untagged_vlan tagged_vlans qinq_svlan vrf rf_role rf_channel
rf_channel_frequency rf_channel_width tx_power owner tags""")
INTERFACE_REQUIRED = ("device", "name", "type")
INTERFACE_TYPES = words("""
1000base-t 10gbase-t 25gbase-x-sfp28 50gbase-x-sfp56 100gbase-x-qsfp28 100gbase-x-qsfpdd
200gbase-x-qsfp56 200gbase-x-qsfpdd 400gbase-x-qsfp112 400gbase-x-qsfpdd 400gbase-x-osfp 800gbase-x-osfp
800gbase-x-qsfpdd 1.6tbase-x-osfp1600 1.6tbase-x-qsfpdd1600 infiniband-edr infiniband-hdr infiniband-ndr
infiniband-xdr""")


NETBOX = ["two-tier", "rail-only", "mixed"]


def netbox_plan(name: str) -> Plan:
    """A small plan, or the one with InfiniBand, splitters and copper."""
    return cabled_plan("small") if name == "mixed" else small_plans.plan_of(name)


@pytest.mark.parametrize("name", NETBOX)
def test_netbox_devices_have_columns_that_its_import_has(name: str) -> None:
    plan = netbox_plan(name)
    devices = rows(netbox_devices(plan))
    assert set(devices[0]) <= DEVICE_FIELDS
    assert all(row[field] for row in devices for field in DEVICE_REQUIRED)
    assert [row["name"] for row in devices] == plan.fabric.device_names().to_list()
    assert {row["status"] for row in devices} == {"planned"}


@pytest.mark.parametrize("name", NETBOX)
def test_netbox_interfaces_have_columns_and_types_that_its_import_has(name: str) -> None:
    plan = netbox_plan(name)
    interfaces = rows(netbox_interfaces(plan))
    assert set(interfaces[0]) <= INTERFACE_FIELDS
    assert all(row[field] for row in interfaces for field in INTERFACE_REQUIRED)
    assert {row["type"] for row in interfaces} <= INTERFACE_TYPES
    assert len({(row["device"], row["name"]) for row in interfaces}) == len(interfaces) == plan.fabric.ports.height
    linked = {(d, p) for s in "ab" for d, p in link_list(plan.fabric).select(f"{s}_device", f"{s}_port").rows()}
    assert {(row["device"], row["name"]) for row in interfaces if row["enabled"] == "true"} == {
        end for end in linked if end[0] != "external"
    }
    speeds = dict(zip(plan.fabric.ports["id"], plan.fabric.ports["speed_gbps"], strict=True))
    assert [int(row["speed"]) for row in interfaces] == [speed * 1_000_000 for speed in speeds.values()]


def test_infiniband_ports_are_of_its_generation() -> None:
    interfaces = rows(netbox_interfaces(cabled_plan("small")))
    compute = {row["type"] for row in interfaces if row["description"].startswith("compute")}
    assert compute == {"infiniband-ndr"}


def test_every_port_of_the_shipped_examples_has_a_type() -> None:
    for example in ("superpod-h100-1su", "starter-32", "ascend-a3", "megascale-block"):
        found = {row["type"] for row in rows(netbox_interfaces(planned(example)))}
        assert found <= INTERFACE_TYPES, example


def test_a_device_stands_where_the_floor_plan_has_it() -> None:
    plan = made("tiny")
    racks = pl.DataFrame(
        [
            {
                "id": 0,
                "name": "r1-01",
                "site": "hall",
                "row": 1,
                "position": 1,
                "units": 48,
                "power_kw": 44.0,
                "feed": "a b",
            }
        ],
        schema=plan.fabric.racks.schema,
    )
    one = {"rack": pl.lit(0, pl.UInt32), "unit": pl.lit(7, pl.UInt16)}
    fabric = replace(plan.fabric, racks=racks, hosts=plan.fabric.hosts.with_columns(**one))
    first, *_, last = rows(netbox_devices(replace(plan, fabric=fabric)))
    assert [first[key] for key in ("site", "rack", "position", "face")] == ["hall", "r1-01", "7", "front"]
    assert [last[key] for key in ("site", "rack", "position", "face")] == ["tiny", "", "", ""]


# sonic-mgmt


def test_sonic_links_have_the_header_of_sonic_mgmts_own_file() -> None:
    header = sonic_links(made("tiny")).decode().splitlines()[0]
    assert header == "StartDevice,StartPort,EndDevice,EndPort,BandWidth,VlanID,VlanMode,AutoNeg"


@pytest.mark.parametrize("name", NETBOX)
def test_sonic_links_are_the_plans_without_infiniband(name: str) -> None:
    plan = netbox_plan(name)
    infiniband = [n for n, network in plan.design.networks.items() if network.technology == "infiniband"]
    links = link_list(plan.fabric)
    links = links.filter(~pl.col("network").is_in(infiniband), pl.col("b_device") != "external")
    found = [
        (row["StartDevice"], row["StartPort"], row["EndDevice"], row["EndPort"], int(row["BandWidth"]) // 1000)
        for row in rows(sonic_links(plan))
    ]
    assert found == links.select("a_device", "a_port", "b_device", "b_port", "speed_gbps").rows()
    assert all(row["AutoNeg"] in ("on", "off") for row in rows(sonic_links(plan)))


# Hedgehog: fields of api/wiring/v1beta1

SWITCH_FIELDS = {"role", "description", "profile", "roce", "ecmp", "portBreakouts"}
ROLES = {"spine", "server-leaf", "border-leaf", "mixed-leaf"}
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
PORT = re.compile(r"E1/[1-9]\d*(/[1-9]\d*)?")


def documents(plan: Plan) -> list[dict[str, Any]]:
    """The objects of a wiring diagram."""
    return list(yaml.load_all(hedgehog(plan), yaml.CSafeLoader))


def fabric_ends(connection: dict[str, Any]) -> list[tuple[str, str]]:
    """Both ports of every link of a connection, the one nearer the hosts first."""
    ((kind, spec),) = connection["spec"].items()
    near, far = {"fabric": ("leaf", "spine"), "mesh": ("leaf1", "leaf2"), "unbundled": ("server", "switch")}[kind]
    links = spec.get("links") or [spec["link"]]
    return [(link[near]["port"], link[far]["port"]) for link in links]


@pytest.mark.parametrize("name", ["two-tier", "twin-cages", "rail-only", "pair", "mixed"])
def test_hedgehogs_wiring_is_the_plans(name: str) -> None:
    plan = netbox_plan(name)
    found = documents(plan)
    assert len({(one["kind"], one["metadata"]["name"]) for one in found}) == len(found)
    assert all(NAME.fullmatch(one["metadata"]["name"]) for one in found)
    switches = {one["metadata"]["name"]: one["spec"] for one in found if one["kind"] == "Switch"}
    assert all(set(spec) <= SWITCH_FIELDS and spec["role"] in ROLES for spec in switches.values())
    connections = [one for one in found if one["kind"] == "Connection"]
    inner = [pair for one in connections if "external" not in one["spec"] for pair in fabric_ends(one)]
    left_out = [n for n, network in plan.design.networks.items() if network.technology == "infiniband" or n == "oob"]
    links = kept(plan, *left_out)
    assert Counter((a.split("/")[0], b.split("/")[0]) for a, b in inner) == Counter(
        links.select("a_device", "b_device").rows()
    )
    ports = [end for pair in inner for end in pair if end.split("/")[0] in switches]
    assert len(set(ports)) == len(ports)
    for end in ports:
        switch, port = end.split("/", 1)
        assert PORT.fullmatch(port)
        cage, *breakout = port.split("/")[1:]
        mode = switches[switch]["portBreakouts"][f"E1/{cage}"]
        assert int(breakout[0] if breakout else 1) <= int(mode.split("x")[0])
        assert bool(breakout) == (not mode.startswith("1x"))


def test_leaves_with_a_way_out_are_mixed_and_have_its_connection() -> None:
    found = documents(cabled_plan("small"))
    ways = [one["spec"]["external"]["link"]["switch"]["port"] for one in found if "external" in one["spec"]]
    switches = {one["metadata"]["name"]: one["spec"] for one in found if one["kind"] == "Switch"}
    assert {way.split("/")[0] for way in ways} == {"leaf-frontend-s000-l0-p0"}
    assert len(ways) == 2
    assert switches["leaf-frontend-s000-l0-p0"]["role"] == "mixed-leaf"
    assert switches["leaf-storage-s000-l0-p0"]["roce"] is True


def test_hedgehog_has_neither_cores_nor_infiniband() -> None:
    assert "networks.compute.tiers: 3 tiers" in refusal(hedgehog, small_plans.plan_of("three-tier"))
    assert "Hedgehog wires RoCE and Ethernet" in refusal(hedgehog, planned("superpod-h100-1su"))


# SimAI


def topology(content: bytes) -> tuple[list[str], list[int], list[tuple[int, int, int]]]:
    """As SimAI reads it: words after words, wherever the lines end. First line, switches, links (Gb/s)."""
    said = iter(content.decode().split())
    head = [next(said) for _ in range(6)]
    switches = [int(next(said)) for _ in range(int(head[2]) + int(head[3]))]
    links = []
    for _ in range(int(head[4])):
        a, b, rate, delay, errors = (next(said) for _ in range(5))
        assert rate.endswith("Gbps")
        assert delay.endswith("ms")
        assert errors == "0"
        links.append((int(a), int(b), int(rate[:-4])))
    assert next(said, None) is None
    return head, switches, links


def test_simai_has_every_gpu_switch_and_gigabit_of_the_plan() -> None:
    plan = planned("superpod-h100-4su")
    head, switches, links = topology(simai(plan))
    assert head == ["1191", "8", "127", "48", str(1016 + 1016 + 32 * 16), "H100"]
    assert switches == list(range(1016, 1191))
    for gpu in range(1016):
        assert (gpu, 1016 + gpu // 8, 3600) in links[:1016]
    counted = kept(plan).filter(pl.col("tier") == "leaf-spine")["speed_gbps"].sum()
    assert sum(rate for a, b, rate in links if a >= 1143) == counted
    assert len({(a, b) for a, b, _ in links}) == len(links)
    rails = Counter(b for a, b, rate in links if a < 1016 and b >= 1143)
    assert max(rails.values()) == 32
    assert len(rails) == 32


def test_simais_gpu_meets_both_leaves_of_a_dual_tor() -> None:
    head, _, links = topology(simai(planned("hpn7-segment")))
    assert head[:4] == ["1168", "8", "128", "16"]
    assert Counter(a for a, b, _ in links if a < 1024 and b >= 1152) == dict.fromkeys(range(1024), 2)


def test_a_scale_up_domain_of_several_hosts_is_one_switch() -> None:
    plan = made("tiny", "model: duo, count: 2", "model: quad-of-two, count: 3")
    head, _, links = topology(simai(plan))
    assert head[:3] == [str(6 + 2 + plan.fabric.switches.filter(network="compute").height), "4", "2"]
    assert [(a, b) for a, b, rate in links if rate == 7200] == [(0, 6), (1, 6), (2, 6), (3, 6), (4, 7), (5, 7)]


def test_simai_says_what_it_lacks() -> None:
    assert "solo has no scale_up" in refusal(simai, small_plans.plan_of("twin-cages"))
    assert "simulates the compute network" in refusal(simai, small_plans.plan_of("pair"))
    both = made(
        "tiny", "model: duo, count: 2}", "model: duo, count: 1}\n  - {name: more, model: quad-of-two, count: 1}"
    )
    assert "duo and quad-of-two" in refusal(simai, both)
    assert "none on the compute network" in refusal(simai, made("tiny", "model: duo", "model: store"))


# csg-htsim


def fat_tree(content: bytes) -> tuple[dict[str, int], list[dict[str, int]]]:
    """As FatTreeTopology::load reads it, with what it and set_custom_params refuse."""
    head: dict[str, int] = {}
    tiers: list[dict[str, int]] = []
    for line in content.decode().splitlines():
        said = line.lower().split(" ")
        if said == [""] or said[0].startswith("#"):
            continue
        if said[0] == "tier":
            tiers.append({"oversubscribed": 1})
            assert int(said[1]) == len(tiers) - 1
        else:
            (tiers[-1] if tiers else head)[said[0]] = int(said[1])
    assert head["nodes"] % head["podsize"] == 0
    assert head["podsize"] % tiers[0]["radix_down"] == 0
    assert tiers[0]["radix_down"] // tiers[0]["radix_up"] == tiers[0]["oversubscribed"]
    return head, tiers


def switches(head: dict[str, int], tiers: list[dict[str, int]]) -> list[int]:
    """Switches by tier, by set_custom_params' own arithmetic."""
    pods = head["nodes"] // head["podsize"]
    tor, agg, *core = tiers
    up, rest = divmod(head["nodes"] * tor["downlink_speed_gbps"], agg["downlink_speed_gbps"] * tor["oversubscribed"])
    assert rest == 0
    aggs, rest = divmod(up, pods * agg["radix_down"])
    assert rest == 0
    assert aggs * agg["bundle"] == tor["radix_up"]
    counts = [head["nodes"] // tor["radix_down"], aggs * pods]
    if core:
        up, rest = divmod(up * agg["downlink_speed_gbps"], core[0]["downlink_speed_gbps"] * agg["oversubscribed"])
        cores, left = divmod(up, core[0]["radix_down"])
        assert (rest, left, cores % aggs) == (0, 0, 0)
        assert cores * core[0]["bundle"] // aggs == agg["radix_up"]
        counts.append(cores)
    return counts


@pytest.mark.parametrize(
    "name", ["superpod-h100-1su", "superpod-h100-3su", "superpod-h100-4su", "twin-cages", "three-tier", "sonic"]
)
def test_htsim_builds_the_switches_of_the_plan(name: str) -> None:
    plan = plan_of(name)
    counts = [count for count in plan.design.networks["compute"].counts().values() if count]
    assert switches(*fat_tree(htsim(plan))) == counts


def test_htsim_says_why_a_plan_is_no_fat_tree_of_its() -> None:
    assert "1 tiers; a fat tree has 2 or 3" in refusal(htsim, planned("hpn7-segment"))
    assert "200 Gb/s and 32 up links of 400 Gb/s" in refusal(htsim, planned("megascale-block"))
    assert "simulates the compute network" in refusal(htsim, small_plans.plan_of("pair"))
    assert "64 down links of 400 Gb/s and 32 up links of 800 Gb/s" in refusal(htsim, planned("starter-32"))
    wide = made("lab", "count: 16", "count: 256", "segment_hosts: 4", "segment_hosts: 64", "[mini]", "[box-51.2t]")
    assert "a leaf with 128 linked ports; its switches have at most 96" in refusal(htsim, wide)


def test_every_dialect_gives_the_same_bytes_again() -> None:
    plan = made("tiny")
    again = replace(plan)
    assert all(function(plan) == function(again) for function in FILES.values())


def test_the_modules_are_named_as_the_dialects_are() -> None:
    for function in FILES.values():
        assert getattr(importlib.import_module(function.__module__), function.__name__) is function
