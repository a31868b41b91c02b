"""How long a switch's configuration takes: SONiC, FRR, EOS and NVUE of ours, and pyavd beside them.

    python benchmarks/configs.py [--pyavd .parts/pyavd/bin/python] [--repeat N]

The same leaf-spine fabric of 20 switches (4 spines, 16 leaves). Ours: all files of all switches from a finished plan,
addresses included, the fastest of N runs. Theirs: facts, structured configuration and text of every switch, in an
interpreter of its own (starting it and importing pyavd is not counted).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from fabric.catalogue import load_catalogue
from fabric.intent import parse_intent
from fabric.media import cable
from fabric.plan import Plan
from planner.build import build
from planner.sizing import size

SPINES, LEAVES = 4, 16
INTENT = """\
name: leaf-spine-20
hosts: [{name: gpu, model: hgx-h100, count: 64}]
networks:
  compute:
    technology: roce
    layout: rail-optimized
    tiers: 2
    segment_hosts: 32
    rails_per_leaf: 1
    uplink_speed_gbps: {leaf: 400}
    switches: {leaf: [box-51.2t], spine: [box-51.2t]}
"""
MODULES = {"SONiC": "sonic", "FRR": "frr", "EOS": "eos", "NVUE": "nvue"}
SYSTEMS = {"SONiC": "sonic", "FRR": "frr", "EOS": "eos", "NVUE": "cumulus"}
PYAVD = """\
import json, sys, time
import pyavd
inputs = json.load(sys.stdin)
start = time.perf_counter()
facts = pyavd.get_avd_facts(inputs)
for name, own in inputs.items():
    pyavd.get_device_config(pyavd.get_device_structured_config(name, own, facts))
print(json.dumps({"ms": 1000 * (time.perf_counter() - start) / len(inputs), "devices": len(inputs)}))
"""


def plan(nos: str) -> Plan:
    """The fabric, under an operating system; new each time, so that no address is known yet."""
    intent = parse_intent(INTENT)
    networks = {name: one.model_copy(update={"nos": nos}) for name, one in intent.networks.items()}
    intent = intent.model_copy(update={"networks": networks})
    catalogue = load_catalogue(intent.catalogue_paths)
    design = size(intent, catalogue)
    return Plan(intent, catalogue, design, cable(build(design, intent, catalogue), design, catalogue))


def ours(name: str, repeat: int) -> tuple[float, int]:
    """Milliseconds a switch, the fastest run, and the number of switches."""
    configs: Callable[[Plan], Iterator[tuple[str, bytes]]] = import_module(f"fabric.exports.{MODULES[name]}").configs
    made, best = plan(SYSTEMS[name]), float("inf")
    switches = made.fabric.switches.height
    for _ in range(repeat):
        made.__dict__.pop("_addresses", None)
        start = time.perf_counter()
        for _path, _content in configs(made):
            pass
        best = min(best, time.perf_counter() - start)
    return 1000 * best / switches, switches


def theirs(python: str) -> tuple[float, int]:
    """The same of pyavd: an eBGP underlay of that many switches and links, with host ports that are routed."""
    spines = [f"spine{n + 1}" for n in range(SPINES)]
    nodes = [
        {"name": name, "id": n + 1, "bgp_as": "65000", "mgmt_ip": f"10.1.0.{n + 1}/24"} for n, name in enumerate(spines)
    ]
    each = 32 // SPINES
    uplinks = [f"Ethernet{33 + n}/1" for n in range(32)]
    leaves = [
        {
            "name": f"leaf{n + 1}",
            "id": n + 1,
            "bgp_as": str(65001 + n),
            "mgmt_ip": f"10.1.1.{n + 1}/24",
            "uplink_interfaces": uplinks,
            "uplink_switches": [spine for spine in spines for _ in range(each)],
            "uplink_switch_interfaces": [f"Ethernet{n * each + k + 1}/1" for _ in spines for k in range(each)],
        }
        for n in range(LEAVES)
    ]
    shared = {
        "fabric_name": "FABRIC",
        "underlay_routing_protocol": "ebgp",
        "overlay_routing_protocol": "none",
        "mgmt_gateway": "10.1.0.254",
        "p2p_uplinks_mtu": 9214,
        "spine": {"defaults": {"loopback_ipv4_pool": "10.255.0.0/24"}, "nodes": nodes},
        "l3leaf": {
            "defaults": {
                "loopback_ipv4_pool": "10.255.1.0/24",
                "vtep_loopback_ipv4_pool": "10.255.2.0/24",
                "uplink_ipv4_pool": "10.64.0.0/16",
                "vtep": False,
                "max_uplink_switches": SPINES,
                "max_parallel_uplinks": each,
            },
            "nodes": leaves,
        },
    }
    inputs = {name: {**shared, "type": "spine"} for name in spines}
    inputs |= {str(leaf["name"]): {**shared, "type": "l3leaf"} for leaf in leaves}
    done = subprocess.run(
        [python, "-c", PYAVD], input=json.dumps(inputs), text=True, stdout=subprocess.PIPE, check=True
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["ms"], answer["devices"]


def main() -> None:
    """Run all, print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyavd", default=".parts/pyavd/bin/python", help="interpreter that has pyavd")
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    peer = theirs(given.pyavd) if Path(given.pyavd).exists() else None
    print(f"Python {sys.version.split()[0]}{'':14}switches   ms a switch" + ("   times faster" if peer else ""))
    if peer:
        print(f"{'pyavd':<28}{peer[1]:>8}   {peer[0]:>11.1f}")
    for name in MODULES:
        ms, switches = ours(name, given.repeat)
        print(f"{name:<28}{switches:>8}   {ms:>11.2f}" + (f"   {peer[0] / ms:>12.0f}" if peer else ""))
    if not peer:
        print(f"no pyavd at {given.pyavd}: python -m venv .parts/pyavd && .parts/pyavd/bin/pip install pyavd")


if __name__ == "__main__":
    main()
