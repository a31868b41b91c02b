"""Cumulus Linux: ``configs/<switch>/startup.yaml`` of every switch that runs it, for NVUE (docs/vendors.md).

The object tree is that of Cumulus Linux 5.15 and later, where a switch is ``enabled`` or ``disabled``. What is by
port is written for all at once, as columns; the rest is a tree by switch. Text is quoted as JSON, which is YAML too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl

from fabric.ecmp_hash import hash_of
from fabric.errors import InputError, Problem
from fabric.exports.frr.domains import FAMILIES
from fabric.exports.frr.kinds import section
from fabric.exports.frr.policy import Rule
from fabric.exports.routers import MANAGEMENT_VLAN, Policy, Router, by_device, is_address, routers
from fabric.fill import placeholder, snmp_secret
from fabric.intent.services import Services
from fabric.plan import Plan
from fabric.qos import CLASSES, QosPlan, ecn_probability_percent

Tree = dict[str, Any]
MOST_MTU = 9216
GNMI_PORT = 9339
WATCHDOG_POLL_MS = 100, 5000
_FIELDS = {
    "src_ip": "source-ip", "dst_ip": "destination-ip", "src_port": "source-port", "dst_port": "destination-port",
    "protocol": "ip-protocol", "ip_protocol": "ip-protocol",
}  # fmt: skip
_AF = {"ipv4": "ipv4-unicast", "ipv6": "ipv6-unicast"}
_BRIDGE = "br_default"
_PLAIN = re.compile(r"[a-z_][a-z0-9_-]*|-?[0-9]+", re.IGNORECASE)
_WORDS = {"on", "off", "yes", "no", "true", "false", "null", "y", "n"}


def configs(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """``configs/<switch>/startup.yaml`` of every Cumulus switch, in the order of switches.

    Raises InputError, before the first file, where NVUE cannot do what the intent asks or addresses run out.
    """
    found = routers(plan, "cumulus")
    if wrong := list(_problems(plan.intent.services, found.routers)):
        raise InputError(wrong)
    if not found.routers:
        return
    mtus = {router.row["network"]: router.rules.mtu for router in found.routers if router.rules}
    interfaces = by_device(_cages(found.ports.with_columns(lines=_interface(mtus))), "lines")
    neighbours = by_device(found.sessions.with_columns(lines=_neighbour()), "lines")
    shared: dict[tuple[Any, ...], str] = {}
    lossless = found.ports.filter("lossless").group_by("device").agg(
        pl.col("speed_gbps").unique().sort(), pl.col("length_m").unique().sort()
    )  # fmt: skip
    kinds = {device: (speeds, lengths) for device, speeds, lengths in lossless.iter_rows()}
    for router in found.routers:
        device = router.row["device"]
        speeds, lengths = kinds.get(device, ((), ()))
        key = router.row["network"], *speeds, 0, *lengths
        if key not in shared:
            qos = _qos(router.rules, speeds, lengths) if router.rules and speeds else {}
            shared[key] = _yaml({"qos": qos}, 4) if qos else ""
        text = _text(_tree(plan, router), shared[key], interfaces.get(device, ""), neighbours.get(device, ""))
        yield f"configs/{router.name}/startup.yaml", text.encode()


def _problems(services: Services, found: Sequence[Router]) -> Iterator[Problem]:
    if not found:
        return
    hosts = [(f"services.dns.{n}", name) for n, name in enumerate(services.dns)]
    hosts += [(f"services.collectors.{n}.address", one.address) for n, one in enumerate(services.collectors)]
    for where, name in hosts:
        if not is_address(name):
            yield Problem(where, f'NVUE takes an IP address here, not "{name}"', "write its address")
    for n, user in enumerate(services.snmp_users):
        if user.privacy != "aes":
            where = f"services.snmp_users.{n}.privacy"
            yield Problem(where, f"Cumulus Linux knows no {user.privacy}", "write privacy: aes")
    for router in {router.row["network"]: router for router in found if router.rules}.values():
        assert router.rules is not None
        if router.rules.mtu > MOST_MTU:
            what = f"Cumulus Linux takes at most {MOST_MTU} B, {router.rules.mtu:,} asked"
            yield Problem(f"networks.{router.row['network']}.qos.mtu", what, f"write {MOST_MTU}")


def _text(tree: Tree, qos: str, interfaces: str, neighbours: str) -> str:
    """The file: ``tree`` with ports and ``qos`` after the other interfaces, and the neighbours at their place."""
    text = "- header:\n    model: cumulus\n    nvue-api-version: nvue_v1\n    rev-id: 1.0\n- set:\n" + _yaml(tree, 4)
    text = text.replace("      PORTS: {}\n", interfaces + qos)
    return text.replace(
        "            neighbor: NEIGHBOURS\n", f"            neighbor:\n{neighbours}" if neighbours else ""
    )


def _yaml(tree: Mapping[str, Any], indent: int) -> str:
    pad, lines = " " * indent, []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines.append(
                f"{pad}{_quoted(key)}:\n{_yaml(value, indent + 2)}" if value else f"{pad}{_quoted(key)}: {{}}\n"
            )
        else:
            lines.append(f"{pad}{_quoted(key)}: {value if isinstance(value, int) else _quoted(value)}\n")
    return "".join(lines)


@cache
def _quoted(text: str) -> str:
    """Text as YAML reads it back: as it is where it is a plain word that is no number, else as JSON has it."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not text.lstrip("-").isdigit()
    return text if plain else json.dumps(text, ensure_ascii=False)


def _tree(plan: Plan, router: Router) -> Tree:
    """All but ports, neighbours and quality of service, which switches share."""
    tree: Tree = {
        "bridge": {"domain": {_BRIDGE: {"vlan": {str(MANAGEMENT_VLAN): {}}}}} if router.oob else {},
        "interface": _own_interfaces(router) | {"PORTS": {}},
        "router": _router(router),
        "system": _system(plan, router),
        "vrf": _vrfs(router),
    }
    return {name: branch for name, branch in tree.items() if branch}


def _own_interfaces(router: Router) -> Tree:
    row, found = router.row, Tree()
    if row["loopback_ipv4"] or row["loopback_ipv6"]:
        own = [(row["loopback_ipv4"], 32), (row["loopback_ipv6"], 128)]
        found["lo"] = {"ip": {"address": {f"{ip}/{length}": {} for ip, length in own if ip}}, "type": "loopback"}
    managed = {f"{row[f'mgmt_{f}']}/{row[f'mgmt_prefix_{f}']}": Tree() for f in FAMILIES if row[f"mgmt_{f}"]}
    if router.managed:
        gateways = {row[f"mgmt_gateway_{f}"]: Tree() for f in router.managed}
        found["eth0"] = {
            "description": "oob", "ip": {"address": managed, "gateway": gateways, "vrf": "mgmt"}, "type": "eth",
        }  # fmt: skip
    elif router.oob and managed:
        found[f"vlan{MANAGEMENT_VLAN}"] = {
            "description": "oob", "ip": {"address": managed}, "type": "svi", "vlan": MANAGEMENT_VLAN,
        }  # fmt: skip
    return found


def _qos(rules: QosPlan, speeds: Sequence[int], lengths: Sequence[int]) -> Tree:
    """Profiles of lossless ports; the maps, pools and queues of the whole switch are its defaults replaced."""
    poll = max(WATCHDOG_POLL_MS[0], min(WATCHDOG_POLL_MS[1], rules.watchdog.detection_ms // 2))
    priorities = {str(n): Tree() for n in rules.pfc_priorities}
    lossy = {str(n): Tree() for n in range(CLASSES) if n not in rules.pfc_priorities}
    share = rules.settings.lossless_percent
    return {
        "congestion-control": {f"ecn-{speed}g": _curve(rules, speed) for speed in speeds},
        "egress-queue-mapping": {
            "default-global": {"switch-priority": {str(n): {"traffic-class": n} for n in range(CLASSES)}}
        },
        "egress-scheduler": {"roce": {"traffic-class": _queues(rules)}},
        "mapping": {
            "roce": {
                "dscp": {str(dscp): {"switch-priority": n} for dscp, n in enumerate(rules.dscp_to_class)},
                "trust": "l3",
            }
        },
        "pfc": {
            f"roce-{length}m": {
                "cable-length": length, "rx": "enabled", "switch-priority": priorities, "tx": "enabled",
            }
            for length in lengths
        },
        "pfc-watchdog": {"polling-interval": poll, "robustness": max(1, rules.watchdog.detection_ms // poll)},
        "traffic-pool": {
            "default-lossy": {"memory-percent": 100 - share, "switch-priority": lossy},
            "default-lossless": {"memory-percent": share, "switch-priority": priorities},
        },
    }  # fmt: skip


def _curve(rules: QosPlan, speed: int) -> Tree:
    curve = rules.ecn(speed)
    own = {
        "ecn": "enabled", "max-threshold": curve.kmax_kb * 1000, "min-threshold": curve.kmin_kb * 1000,
        "probability": ecn_probability_percent(curve), "red": "disabled",
    }  # fmt: skip
    return {"traffic-class": {str(rules.roce_class): own}}


def _queues(rules: QosPlan) -> Tree:
    return {
        str(queue.traffic_class): {"mode": "strict"}
        if queue.service == "strict"
        else {"bw-percent": queue.percent, "mode": "dwrr"}
        for queue in rules.queues
    }


def _router(router: Router) -> Tree:
    if not router.peers:
        return {}
    bfd = router.kind.timers.bfd_ms
    return {
        "bfd": {
            "profile": {"fabric": {"detect-multiplier": 3, "min-rx-interval": bfd, "min-tx-interval": bfd}},
            "state": "enabled",
        },
        "bgp": {
            "autonomous-system": router.row["asn"], "router-id": router.row["loopback_ipv4"], "state": "enabled",
        },
        "policy": _policy(router.policy),
    }  # fmt: skip


def _policy(policy: Policy) -> Tree:
    tree: Tree = {
        "as-path-list": {
            name: {
                "rule": {str(10 * n): {"action": "permit", "aspath-exp": what} for n, what in enumerate(patterns, 1)}
            }
            for name, patterns in policy.as_paths
        },
        "prefix-list": {
            f"{name}-{family}": {
                "rule": {
                    str(10 * n): {"action": "permit", "match": _match(what)} for n, what in enumerate(permitted, 1)
                },
                "type": family,
            }
            for name, family, permitted in policy.prefix_lists
        },
        "route-map": {name: {"rule": _rules(rules)} for name, rules in policy.route_maps},
    }
    return {name: branch for name, branch in tree.items() if branch}


def _match(what: str) -> Tree:
    """``PREFIX [ge N] [le N]`` as NVUE has it."""
    prefix, *words = what.split()
    names = {"ge": "min-prefix-len", "le": "max-prefix-len"}
    return {prefix: {names[word]: int(length) for word, length in zip(words[::2], words[1::2], strict=True)}}


def _rules(rules: Sequence[Rule]) -> Tree:
    """One rule a family where a prefix list is matched; what an entry matches must all hold."""
    found: list[Tree] = []
    for rule in rules:
        path = {"as-path-list": rule.as_path} if rule.as_path else {}
        matches: list[Tree] = [
            {"ip-prefix-list": f"{rule.match}-{family}", "type": family, **path} for family in FAMILIES if rule.match
        ]
        found += [{"action": {rule.action: {}}, **({"match": match} if match else {})} for match in matches or [path]]
    return {str(10 * n): entry for n, entry in enumerate(found, 1)}


def _system(plan: Plan, router: Router) -> Tree:
    services, row = plan.intent.services, router.row
    vrf = "mgmt" if router.managed else "default"
    source = "eth0" if router.managed else f"vlan{MANAGEMENT_VLAN}" if router.oob else "lo"
    here = [f for f in FAMILIES if row[f"mgmt_{f}" if source != "lo" else f"loopback_{f}"]]
    own = [row[f"mgmt_{f}" if source != "lo" else f"loopback_{f}"] for f in here]
    found = hash_of(plan, row["tier"], "cumulus", row["model"])
    assert found is not None
    fields = {_FIELDS[name] for name in found.fields}
    hashed = {name: "enabled" if name in fields else "disabled" for name in sorted(set(_FIELDS.values()))}
    tree: Tree = {
        "dns": {"server": {server: {"vrf": vrf} for server in services.dns}} if services.dns else {},
        "forwarding": {"ecmp-hash": hashed, "hash-seed": found.seed, "lag-hash": hashed},
        "gnmi-server": {"listening-address": {ip: {} for ip in own[:1]}, "port": GNMI_PORT, "state": "enabled"},
        "hostname": router.name,
        "lldp": {"tx-interval": 30},
        "ntp": _ntp(services, vrf),
        "sflow": _sflow(services, plan, router, source),
        "snmp-server": _snmp(services, row["location"], own, vrf),
        "syslog": {"server": {server: {"vrf": vrf} for server in services.syslog}} if services.syslog else {},
    }
    return {name: branch for name, branch in tree.items() if branch}


def _ntp(services: Services, vrf: str) -> Tree:
    return {"server": {server: {"iburst": "enabled"} for server in services.ntp}, "vrf": vrf} if services.ntp else {}


def _sflow(services: Services, plan: Plan, router: Router, source: str) -> Tree:
    """One packet in as many as the port has Mb/s."""
    if not services.collectors:
        return {}
    groups = plan.catalogue.switches[router.row["model"]].cages
    speeds = sorted({mode.speed_gbps for group in groups for mode in group.modes})
    return {
        "agent": {"interface": source},
        "collector": {one.address: {"interface": source, "port": one.sflow_port} for one in services.collectors},
        "poll-interval": 20,
        "sampling-rate": {f"speed-{speed}g": speed * 1000 for speed in speeds},
        "state": "enabled",
    }


def _snmp(services: Services, location: str, own: Sequence[str], vrf: str) -> Tree:
    """SNMPv3 alone; Cumulus Linux has SHA-1 for authentication."""
    if not services.snmp_users:
        return {}
    users: Tree = {
        user.name: {
            "auth-sha": {
                placeholder(snmp_secret(user.name, "AUTH")): {
                    "encrypt-aes": {placeholder(snmp_secret(user.name, "PRIV")): {}}
                }
            }
        }
        for user in services.snmp_users
    }
    return {
        "listening-address": {ip: {"vrf": vrf} for ip in own},
        "state": "enabled",
        "system-location": location,
        "username": users,
    }


def _vrfs(router: Router) -> Tree:
    """Static routes; summaries are dropped where no port has the address. Neighbours are put in later."""
    static: Tree = {}
    for family in FAMILIES:
        for subnet in router.summaries[family]:
            static[subnet] = {"address-family": _AF[family], "via": {"blackhole": {"type": "blackhole"}}}
        for prefix, via in router.static[family]:
            hops = static.setdefault(prefix, {"address-family": _AF[family], "via": {}})["via"]
            hops[via] = {"type": f"{family}-address"}
    routing: Tree = {"static": static} if static else {}
    if router.peers:
        routing = {"bgp": _bgp(router), **routing}
    return {"default": {"router": routing}} if routing else {}


def _bgp(router: Router) -> Tree:
    kind = router.kind
    families = {
        _AF[family]: {
            "multipaths": {"ebgp": kind.paths},
            "network": {prefix: {} for prefix in router.announced(family)},
            "state": "enabled",
        }
        for family in FAMILIES
    }
    groups = {name: _group(router, name, group, ours) for name, group, ours in kind.sections()}
    return {
        "address-family": families,
        "neighbor": "NEIGHBOURS",
        "path-selection": {"multipath": {"aspath-ignore": "enabled"}},
        "peer-group": groups,
        "state": "enabled",
    }


def _group(router: Router, name: str, group: str, families: Sequence[str]) -> Tree:
    """A peer group; a family that it does not carry is off (IPv4 is on where nothing is said)."""
    kind, tree = router.kind, Tree()
    for family in FAMILIES:
        if family not in families:
            tree[_AF[family]] = {"state": "disabled"}
            continue
        tree[_AF[family]] = {
            "policy": {
                "inbound": {"route-map": f"FROM-{group.upper()}"},
                "outbound": {"route-map": f"TO-{group.upper()}"},
            },
            "prefix-limits": {"inbound": {"maximum": kind.most(group, family), "warning-threshold": 80}},
            "state": "enabled",
        }
        if name == section("external", None):
            tree[_AF[family]]["aspath"] = {"private-as": "replace"}
    timers = kind.timers
    times = {"connection-retry": timers.connect, "hold": timers.hold, "keepalive": timers.keepalive}
    found: Tree = {"address-family": tree, "timers": times}
    return found if group == "external" else {**found, "bfd": {"profile": "fabric"}}


def _interface(mtus: Mapping[str, int]) -> pl.Expr:
    """The branch of a port below ``interface``, keys sorted."""
    fec = pl.col("fec").replace_strict({"none": "off", "fc": "baser"}, default="rs")
    mtu = pl.col("network").replace_strict(mtus, default=MOST_MTU, return_dtype=pl.UInt32)
    member = pl.col("linked") & ~pl.col("routed") & (pl.col("network") == "oob")
    bridge = f"        bridge:\n          domain:\n            {_BRIDGE}:\n              access: {MANAGEMENT_VLAN}\n"
    addresses = pl.concat_str(
        pl.lit("        ip:\n          address:\n"),
        pl.format('            "{}": {}\n', "ipv4", pl.lit("{}")).fill_null(""),
        pl.format('            "{}": {}\n', "ipv6", pl.lit("{}")).fill_null(""),
    )
    qos = pl.format(
        "        qos:\n          congestion-control:\n            profile: ecn-{}g\n"
        "          egress-scheduler:\n            profile: roce\n          mapping:\n            profile: roce\n"
        "          pfc:\n            profile: roce-{}m\n          pfc-watchdog:\n            state: enabled\n",
        "speed_gbps", "length_m",
    )  # fmt: skip
    autoneg = pl.when("autoneg").then(pl.lit("enabled")).otherwise(pl.lit("disabled"))
    state = pl.when("linked").then(pl.lit("up")).otherwise(pl.lit("down"))
    numbered = pl.col("ipv4").is_not_null() | pl.col("ipv6").is_not_null()
    return pl.concat_str(
        pl.format("      {}:\n", "name"),
        pl.when(member).then(pl.lit(bridge)).otherwise(pl.lit("")),
        pl.when("linked").then(pl.format('        description: "{}"\n', "peer")).otherwise(pl.lit("")),
        pl.when(numbered).then(addresses).otherwise(pl.lit("")),
        pl.format("        link:\n          auto-negotiate: {}\n", autoneg),
        pl.format("          fec: {}\n", pl.format('"{}"', fec)).fill_null(""),
        pl.format("          mtu: {}\n          speed: {}G\n", mtu, "speed_gbps"),
        pl.format("          state:\n            {}: {}\n", state, pl.lit("{}")),
        pl.when("lossless").then(qos).otherwise(pl.lit("")),
        pl.lit("        type: swp\n"),
    )  # fmt: skip


def _cages(ports: pl.DataFrame) -> pl.DataFrame:
    """Ports with the breakout of their cage before the first of each that is split."""
    each = pl.format(
        "      swp{}:\n        link:\n          breakout:\n            {}x:\n              lanes-per-port: {}\n"
        "        type: swp\n",
        "cage", "ports", "lanes",
    )  # fmt: skip
    first = pl.col("number") == pl.col("number").min().over("device", "cage")
    split = pl.when((pl.col("ports") > 1) & first).then(each).otherwise(pl.lit(""))
    return ports.with_columns(lines=pl.concat_str(split, "lines"))


def _neighbour() -> pl.Expr:
    """Branches below ``neighbor`` of one session's link: an address of each family, or the interface."""
    remote = pl.coalesce(pl.col("peer_asn").cast(pl.String), pl.lit("external"))
    text = pl.concat_str("peer", "peer_port", separator=" ").fill_null("external")
    branch = (
        '              "{}":\n                description: "{}"\n                peer-group: {}\n'
        "                remote-as: {}\n                type: {}\n"
    )
    numbered = [
        pl.format(branch, family, text, pl.col("group") + f"-{family}", remote, pl.lit("numbered"))
        for family in FAMILIES
    ]  # fmt: skip
    plain = pl.format(branch, "name", text, "group", remote, pl.lit("unnumbered"))
    return pl.when(pl.col("ipv4").is_null()).then(plain).otherwise(pl.concat_str(numbered))
