"""EOS and Cumulus Linux: configurations taken apart and held against the plan, and against pyavd's schema."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from fabric.catalogue import load_catalogue
from fabric.errors import InputError
from fabric.exports import eos, nvue
from fabric.exports.routers import Router, routers
from fabric.intent import load_intent, parse_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

HERE = Path(__file__).parent
GOLDEN = HERE / "golden/vendors"
PYAVD = HERE.parent / ".parts/pyavd/bin/python"
SMALL = (HERE / "golden/sonic/small.yaml").read_text(encoding="utf-8")
PLANS: dict[str, str | Path] = {
    "small": SMALL,
    "unnumbered": SMALL + "addressing: {point_to_point: unnumbered}\n",
    "three-tier": HERE / "golden/checks/three-tier.yaml",
    "split": HERE / "golden/checks/twin-cages.yaml",
}
LEAF = "leaf-compute-s000-l0-p0"
Sections = dict[str, list[str]]


@cache
def plan(name: str, nos: str) -> Plan:
    """The plan of an intent whose Ethernet switches all run ``nos``."""
    asked = PLANS[name]
    intent = load_intent(asked) if isinstance(asked, Path) else parse_intent(asked)
    networks = {key: one.model_copy(update={"nos": nos}) for key, one in intent.networks.items()}
    intent = intent.model_copy(update={"networks": networks})
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, cable(build(design, intent, catalogue), design, catalogue))


@cache
def made(name: str, nos: str) -> dict[str, str]:
    """Files by switch."""
    module = eos if nos == "eos" else nvue
    return {path.split("/")[1]: data.decode() for path, data in module.configs(plan(name, nos))}


def sections(text: str) -> Sections:
    """Unindented lines of an EOS configuration, each with the lines below it."""
    found: Sections = {}
    for line in text.splitlines():
        if line.startswith(" "):
            found[list(found)[-1]].append(line.strip())
        elif line != "!":
            assert line not in found, f"{line} is there twice"
            found[line] = []
    return found


@cache
def tree(name: str, switch: str) -> dict[str, Any]:
    header, config = yaml.safe_load(made(name, "cumulus")[switch])
    assert header["header"]["nvue-api-version"] == "nvue_v1"
    found: dict[str, Any] = config["set"]
    return found


def rows(name: str, nos: str) -> list[tuple[Router, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Each switch with its planned ports and sessions."""
    found = routers(plan(name, nos), nos)
    return [
        (
            router,
            found.ports.filter(pl.col("device") == router.row["device"]).to_dicts(),
            found.sessions.filter(pl.col("device") == router.row["device"]).to_dicts(),
        )
        for router in found.routers
    ]


@pytest.mark.parametrize("name", PLANS)
def test_eos_has_each_planned_port_once(name: str) -> None:
    for router, ports, _ in rows(name, "eos"):
        found = sections(made(name, "eos")[router.name])
        assert [line for line in found if line.startswith("interface Ethernet")] == [
            f"interface {port['name']}" for port in ports
        ]
        for port in ports:
            block = found[f"interface {port['name']}"]
            assert len(block) == len(set(block))
            assert (f"description {port['peer']}" in block) == port["linked"]
            speed = next(line for line in block if line.startswith("speed "))
            assert int(re.findall(r"\d+", speed)[0]) == port["speed_gbps"]
            assert (f"service-profile ROCE-{port['speed_gbps']}G" in block) == port["lossless"]
            assert ("no priority-flow-control" in block) != port["lossless"]
            for family, word in (("ipv4", "ip"), ("ipv6", "ipv6")):
                own = [line for line in block if line.startswith(f"{word} address ")]
                assert own == ([f"{word} address {port[family]}"] if port[family] else [])


@pytest.mark.parametrize("name", PLANS)
def test_eos_neighbours_are_the_planned_links(name: str) -> None:
    for router, _, sessions in rows(name, "eos"):
        found = sections(made(name, "eos")[router.name])
        bgp = found.get(f"router bgp {router.row['asn']}", [])
        remote = Counter(line for line in bgp if re.search(r" remote-as ", line))
        expected: Counter[str] = Counter()
        for one in sessions:
            asn = one["peer_asn"] or "__RAILWRIGHT_EXTERNAL_ASN__"
            if one["ipv4"] is None:
                expected[f"neighbor interface {one['name']} peer-group {one['group']} remote-as {asn}"] += 1
            else:
                expected[f"neighbor {one['ipv4']} remote-as {asn}"] += 1
                expected[f"neighbor {one['ipv6']} remote-as {asn}"] += 1
        assert remote == expected
        if sessions:
            paths = int(next(line for line in bgp if line.startswith("maximum-paths")).split()[1])
            assert paths >= max(peer["paths"] for peer in router.peers.values())
            assert sum(line.endswith(" bfd") for line in bgp) == sum(g[1] != "external" for g in router.kind.sections())


@pytest.mark.parametrize("name", PLANS)
def test_eos_names_are_defined_before_they_are_missed(name: str) -> None:
    for text in made(name, "eos").values():
        for used, defined in (
            (r"service-profile (\S+)", r"^qos profile (\S+)"),
            (r"^ +neighbor \S+ route-map (\S+) ", r"^route-map (\S+) "),
            (r"^ +match ip address prefix-list (\S+)", r"^ip prefix-list (\S+)"),
            (r"^ +match ipv6 address prefix-list (\S+)", r"^ipv6 prefix-list (\S+)"),
            (r"^ +match as-path (\S+)", r"^ip as-path access-list (\S+) "),
            (r"^ +vrf (\S+)", r"^vrf instance (\S+)"),
        ):
            wanted, there = (set(re.findall(pattern, text, re.MULTILINE)) for pattern in (used, defined))
            assert wanted <= there, wanted - there


@pytest.mark.parametrize("nos", ["eos", "cumulus"])
@pytest.mark.parametrize("name", PLANS)
def test_no_address_is_there_twice(name: str, nos: str) -> None:
    seen: Counter[str] = Counter()
    for switch, text in made(name, nos).items():
        if nos == "eos":
            seen.update(re.findall(r"^ +ip(?:v6)? address (\S+)/", text, re.MULTILINE))
        else:
            for interface in tree(name, switch)["interface"].values():
                seen.update(address.split("/")[0] for address in interface.get("ip", {}).get("address", {}))
    assert seen
    assert {address: count for address, count in seen.items() if count > 1} == {}


BRANCHES = {
    "interface.*": {"bridge", "description", "ip", "link", "qos", "type", "vlan"},
    "interface.*.link": {"auto-negotiate", "breakout", "fec", "mtu", "speed", "state"},
    "interface.*.ip": {"address", "gateway", "vrf"},
    "interface.*.qos": {"congestion-control", "egress-scheduler", "mapping", "pfc", "pfc-watchdog"},
    "qos": {
        "congestion-control", "egress-queue-mapping", "egress-scheduler", "mapping", "pfc", "pfc-watchdog",
        "traffic-pool",
    },
    "qos.pfc.*": {"cable-length", "rx", "switch-priority", "tx"},
    "qos.congestion-control.*.traffic-class.*": {"ecn", "max-threshold", "min-threshold", "probability", "red"},
    "router": {"bfd", "bgp", "policy"},
    "router.policy": {"as-path-list", "prefix-list", "route-map"},
    "system": {"dns", "forwarding", "gnmi-server", "hostname", "lldp", "ntp", "sflow", "snmp-server", "syslog"},
    "system.forwarding": {"ecmp-hash", "hash-seed", "lag-hash"},
    "vrf.default.router": {"bgp", "static"},
    "vrf.default.router.bgp": {"address-family", "neighbor", "path-selection", "peer-group", "state"},
    "vrf.default.router.bgp.neighbor.*": {"description", "peer-group", "remote-as", "type"},
    "vrf.default.router.bgp.peer-group.*": {"address-family", "bfd", "timers"},
}  # fmt: skip
"""Branches of the object tree and their keys, as NVIDIA's reference of set commands has them."""


def branches(found: dict[str, Any], path: str) -> list[dict[str, Any]]:
    here = [found]
    for key in path.split("."):
        here = [value for one in here for name, value in one.items() if key in ("*", name) and isinstance(value, dict)]
    return here


@pytest.mark.parametrize("name", PLANS)
def test_nvue_keys_are_those_of_the_object_tree(name: str) -> None:
    for switch in made(name, "cumulus"):
        found = tree(name, switch)
        assert set(found) <= {"bridge", "interface", "qos", "router", "system", "vrf"}
        assert found["system"]["hostname"] == switch
        for path, keys in BRANCHES.items():
            for branch in branches(found, path):
                assert set(branch) <= keys, path


@pytest.mark.parametrize("name", PLANS)
def test_nvue_has_each_planned_port_once_and_breaks_out_first(name: str) -> None:
    for router, ports, sessions in rows(name, "cumulus"):
        text = made(name, "cumulus")[router.name]
        found = tree(name, router.name)
        order = re.findall(r"^      (swp\S+):$", text, re.MULTILINE)
        assert len(order) == len(set(order))
        assert set(order) == {p["name"] for p in ports} | {f"swp{p['cage']}" for p in ports}
        for port in ports:
            interface = found["interface"][port["name"]]
            assert interface["link"]["speed"] == f"{port['speed_gbps']}G"
            assert interface.get("description") == (port["peer"] or None)
            assert ("pfc" in interface.get("qos", {})) == port["lossless"]
            if port["ports"] > 1:
                cage = f"swp{port['cage']}"
                assert found["interface"][cage]["link"]["breakout"] == {
                    f"{port['ports']}x": {"lanes-per-port": port["lanes"]}
                }
                assert order.index(cage) < order.index(port["name"])
        bgp = found.get("vrf", {}).get("default", {}).get("router", {}).get("bgp", {})
        remote = {peer: one["remote-as"] for peer, one in bgp.get("neighbor", {}).items()}
        wanted = {one["name"]: one["peer_asn"] or "external" for one in sessions if one["ipv4"] is None}
        wanted |= {one[f]: one["peer_asn"] for one in sessions if one["ipv4"] for f in ("ipv4", "ipv6")}
        assert remote == wanted


def test_tiers_hash_differently() -> None:
    eos_hashes = {
        tier: tuple(line for line in made("three-tier", "eos")[name].splitlines() if "load-sharing" in line)
        for name in made("three-tier", "eos")
        for tier in [name.split("-")[0]]
    }
    assert len(set(eos_hashes.values())) == len(eos_hashes) == 3
    trees = {
        name.split("-")[0]: tree("three-tier", name)["system"]["forwarding"] for name in made("three-tier", "cumulus")
    }
    assert len({json.dumps(found) for found in trees.values()}) == 3


def test_pfc_is_off_where_the_network_is_no_roce() -> None:
    for switch, text in made("small", "eos").items():
        assert ("priority-flow-control all off" in text) == ("-compute-" not in switch)
        assert ("qos" in tree("small", switch)) == ("-compute-" in switch)


@pytest.mark.parametrize(("nos", "file"), [("eos", "startup-config"), ("cumulus", "startup.yaml")])
def test_a_leaf_is_as_reviewed(nos: str, file: str) -> None:
    assert made("small", nos)[LEAF] == (GOLDEN / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("nos", ["eos", "cumulus"])
def test_what_a_system_cannot_do_is_said_first(nos: str) -> None:
    PLANS["names"] = SMALL.replace("dns: [10.128.0.2]", "dns: [dns.example.net]")
    with pytest.raises(InputError, match="takes an IP address here"):
        made("names", nos)


# --- pyavd ---


def structured(router: Router, ports: list[dict[str, Any]], sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """The same facts as pyavd's schema has them."""
    return {
        "hostname": router.name,
        "ethernet_interfaces": _interfaces(ports),
        "lldp": {"timer": 30},
        "qos_profiles": [
            {
                "name": "ROCE-400G",
                "trust": "dscp",
                "uc_tx_queues": _queues(router),
                "priority_flow_control": {
                    "enabled": True,
                    "priorities": [{"priority": 3, "no_drop": True}],
                    "watchdog": {"enabled": True},
                },
            }
        ],
        "priority_flow_control": {
            "watchdog": {"action": "drop", "timeout": "0.2", "recovery_time": "0.2", "polling_interval": "0.1"}
        },
        "router_bgp": _bgp(router, sessions),
    }


def _interfaces(ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": port["name"],
            "description": port["peer"],
            "shutdown": False,
            "mtu": eos.MOST_MTU,
            "speed": f"{port['speed_gbps']}g-{port['lanes']}",
            "error_correction_encoding": {"reed_solomon": True},
            "switchport": {"enabled": False},
            "ip_address": port["ipv4"],
            "ipv6_address": port["ipv6"],
            "service_profile": eos.profile_name(port["speed_gbps"]),
        }
        for port in ports
    ]


def _queues(router: Router) -> list[dict[str, Any]]:
    assert router.rules is not None
    curve = router.rules.ecn(400)
    return [
        {"id": 0, "priority": "no priority", "bandwidth_percent": 50},
        {
            "id": 3,
            "priority": "no priority",
            "bandwidth_percent": 50,
            "random_detect": {
                "ecn": {
                    "threshold": {
                        "units": "kbytes", "min": curve.kmin_kb, "max": curve.kmax_kb, "max_probability": 20,
                    }
                }
            },
        },
        {"id": 6, "priority": "priority strict"},
    ]  # fmt: skip


def _bgp(router: Router, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    neighbours = [
        {
            "ip_address": one[family],
            "peer_group": f"{one['group']}-{family}",
            "remote_as": str(one["peer_asn"]),
            "description": f"{one['peer']} {one['peer_port']}",
        }
        for one in sessions
        for family in ("ipv4", "ipv6")
    ]
    kind = router.kind
    groups = [
        {
            "name": name,
            "bfd": True,
            "bfd_timers": {"interval": 300, "min_rx": 300, "multiplier": 3},
            "timers": "3 9",
            "maximum_routes": kind.most(group, families[0]),
            "maximum_routes_warning_limit": "80 percent",
        }
        for name, group, families in kind.sections()
    ]
    bgp: dict[str, Any] = {
        "as": str(router.row["asn"]),
        "router_id": router.row["loopback_ipv4"],
        "bgp": {"default": {"ipv4_unicast": False}},
        "maximum_paths": {"paths": 64, "ecmp": 64},
        "peer_groups": groups,
        "neighbors": neighbours,
    }
    for family in ("ipv4", "ipv6"):
        bgp[f"address_family_{family}"] = {
            "networks": [{"prefix": prefix} for prefix in router.announced(family)],
            "peer_groups": [
                {"name": name, "activate": True, "route_map_in": "FROM-SPINES", "route_map_out": "TO-SPINES"}
                for name, _, families in kind.sections()
                if family in families
            ],
        }
    return bgp


@pytest.mark.parts
def test_pyavd_says_the_same() -> None:
    if not PYAVD.exists():
        pytest.skip("pyavd is missing: python -m venv .parts/pyavd && .parts/pyavd/bin/pip install pyavd")
    router, ports, sessions = next(one for one in rows("small", "eos") if one[0].name == LEAF)
    given = json.dumps({LEAF: structured(router, ports, sessions)})
    done = subprocess.run([PYAVD, HERE / "avd.py"], input=given, text=True, capture_output=True, check=True)
    answer = json.loads(done.stdout)[LEAF]
    assert answer["errors"] == []
    theirs, ours = sections(answer["text"]), sections(made("small", "eos")[LEAF])
    assert {name for name in theirs if name.startswith("interface Ethernet")} == {
        name for name in ours if name.startswith("interface Ethernet")
    }
    for name, block in theirs.items():
        assert name in ours
        missing = set(block) - set(ours[name]) - {"!"}
        assert missing == set(), name
