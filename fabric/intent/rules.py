"""Rules that join several fields of an intent.

Each is a function in ``RULES`` that looks at the plain values as YAML gave them and yields problems. They run also
where other fields are wrong, so that everything is said at once; what has the wrong type is left to the models.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from fabric.errors import Problem
from fabric.intent.addressing import POOLS, Addressing, Asns
from fabric.intent.expect import nearest, shown
from fabric.intent.network import NETWORKS, with_defaults
from fabric.intent.qos import Cnp, Roce
from fabric.validation import join

Data = Mapping[Any, Any]
Rule = Callable[[Data], Iterator[Problem]]

SECRET = re.compile(r"passw|secret|communit|token|passphrase|pass_phrase|private_?key|auth_?key|priv_?key|api_?key")
RESERVED = ("pdu", "external")
SWITCH_NAMES = ("leaf", "spine", "core")


def broken(data: Data) -> list[Problem]:
    """Problems of every rule; ``where`` is the path within the intent."""
    return [problem for rule in RULES for problem in rule(data)]


def no_secrets(data: Data) -> Iterator[Problem]:
    """A plan is copied, mailed and committed: nothing in it may be a secret."""
    for path in _keys(data, ()):
        if SECRET.search(path[-1].lower()):
            yield Problem(
                join(path),
                "an intent never holds a secret",
                "leave the field out: configs get a placeholder __RAILWRIGHT_NAME__ that "
                "`railwright export --fill FILE` fills on the way out",
            )


def something_to_plan(data: Data) -> Iterator[Problem]:
    """At least one host group and one network."""
    for field, what in (("hosts", "group of hosts"), ("networks", "network")):
        if field in data and not data[field] and isinstance(data[field], list | Mapping):
            yield Problem(field, f"there is no {what}", "give at least one")


def known_networks(data: Data) -> Iterator[Problem]:
    """A network is called compute, storage, frontend or oob."""
    for name in _mapping(data.get("networks")):
        if name not in NETWORKS:
            hint = nearest(name, NETWORKS) or f", expected one of {', '.join(NETWORKS)}"
            yield Problem(join(("networks", name)), f"unknown network{hint}")


def distinct_groups(data: Data) -> Iterator[Problem]:
    """No two groups have one name: names of hosts are made of it."""
    first: dict[str, int] = {}
    for index, group in _hosts(data):
        name = group.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            what = f"{shown(name)} is the name of hosts[{first[name]}] already"
            yield Problem(f"hosts[{index}].name", what, "give each group its own")


def names_of_their_own(data: Data) -> Iterator[Problem]:
    """Names of hosts and of switches never look alike: no group is called pdu, external, leaf-…, spine-… or core-…."""
    for index, group in _hosts(data):
        name = group.get("name")
        if isinstance(name, str) and (name in RESERVED or name.split("-")[0] in SWITCH_NAMES):
            what = f"{shown(name)} is kept for {'other devices' if name in RESERVED else 'switches'}"
            yield Problem(f"hosts[{index}].name", what, "choose another name")


def groups_on_planned_networks(data: Data) -> Iterator[Problem]:
    """A group that sends NICs to a network needs that network."""
    planned = _mapping(data.get("networks"))
    for index, group in _hosts(data):
        for network, nics in _mapping(group.get("networks")).items():
            if network in NETWORKS and network not in planned and nics != 0:
                what = "the intent has no such network"
                yield Problem(f"hosts[{index}].networks.{network}", what, f"add networks.{network} or leave it out")


def uplinks_lead_somewhere(data: Data) -> Iterator[Problem]:
    """Uplinks go to another network of the intent that they can be plugged into, and never in a circle."""
    networks = _networks(data)
    for name, network in networks.items():
        to = _goes_to(network)
        where = f"networks.{name}.uplinks.to"
        if to == name:
            yield Problem(where, "a network has no uplinks to itself", "name another network or external")
        elif to in NETWORKS and to not in _mapping(data.get("networks")):
            yield Problem(where, f"the intent has no network {to}", f"add networks.{to}, or say external")
        elif to in networks and _is_infiniband(network) != _is_infiniband(networks[to]):
            yield Problem(where, f"InfiniBand and Ethernet do not meet: {name} and {to} differ", "say external")
        elif to in networks and _leads_back(networks, name):
            yield Problem(where, f"uplinks go in a circle: {name}, {to} and back", "let one of them go to external")


def _leads_back(networks: Mapping[str, Data], start: str) -> bool:
    at = start
    for _ in networks:
        at = _goes_to(networks.get(at, {}))
        if at == start:
            return True
    return False


def _goes_to(network: Data) -> str:
    to = _mapping(network.get("uplinks")).get("to")
    return to if isinstance(to, str) else "external"


def technology_fits(data: Data) -> Iterator[Problem]:
    """InfiniBand is run by OpenSM, has its own quality of service, and is no management network."""
    for name, network in _networks(data).items():
        infiniband = _is_infiniband(network)
        if name == "oob" and infiniband:
            yield Problem("networks.oob.technology", "management ports speak Ethernet", "say ethernet")
        elif infiniband and network.get("nos") in ("sonic", "cumulus", "eos", "frr"):
            what = f"{network['nos']} does not run on InfiniBand switches"
            yield Problem(f"networks.{name}.nos", what, "leave it out: it is opensm")
        elif not infiniband and network.get("technology") in ("roce", "ethernet") and network.get("nos") == "opensm":
            what = f"opensm runs InfiniBand, and {name} is {network['technology']}"
            yield Problem(f"networks.{name}.nos", what, "say sonic, cumulus, eos or frr")
        if infiniband and network.get("qos"):
            yield Problem(f"networks.{name}.qos", "InfiniBand has its own quality of service", "leave it out")


def layout_fits(data: Data) -> Iterator[Problem]:
    """Rails are of hosts with several NICs; where one leaf takes them all there is nothing to spread."""
    for name, network in _networks(data).items():
        layout = network.get("layout")
        if name == "oob" and layout in ("rail-only", "rail-optimized"):
            yield Problem("networks.oob.layout", f"management ports have no rails for {layout}", "say top-of-rack")
        elif layout == "top-of-rack" and _is_count(network.get("rails_per_leaf")):
            what = "with layout top-of-rack a leaf serves all rails of its hosts"
            yield Problem(f"networks.{name}.rails_per_leaf", what, "leave it out, or say layout: rail-optimized")


def tiers_are_enough(data: Data) -> Iterator[Problem]:
    """What is asked of a spine or core needs the tiers to have one."""
    for name, network in _networks(data).items():
        tiers = network.get("tiers")
        if not _is_count(tiers) or tiers > 3:
            continue
        for field, asked, least in _asked_of_tiers(network):
            if asked and tiers < least:
                what = f"needs {least} tiers, and tiers is {tiers}"
                yield Problem(f"networks.{name}.{field}", what, "leave out one of the two, or say tiers: auto")
        if tiers > 1 and _is_number(network.get("interswitch")) and network["interswitch"] > 0:
            what = f"joins the two leaves of a single tier, and tiers is {tiers}"
            yield Problem(f"networks.{name}.interswitch", what, "leave out one of the two")


def _asked_of_tiers(network: Data) -> Iterator[tuple[str, bool, int]]:
    join_at = network.get("planes_join")
    yield "planes_join", join_at in ("spine", "core") and network.get("planes") != 1, 3 if join_at == "core" else 2
    yield "oversubscription.spine", _is_number(_mapping(network.get("oversubscription")).get("spine")), 2
    segments = network.get("max_segments")
    yield "max_segments", _is_count(segments) and segments > 1, 2


def site_is_one(data: Data) -> Iterator[Problem]:
    """Racks that are taken are in the room, and racks for switches fit beside them."""
    site = _mapping(data.get("site"))
    rows, width = site.get("rows"), site.get("racks_per_row")
    if not _is_count(rows) or not _is_count(width):
        return
    occupied = site.get("occupied")
    taken = [
        place for place in enumerate(occupied if isinstance(occupied, list | tuple) else ()) if _is_place(place[1])
    ]
    for index, (row, position) in taken:
        if row > rows or position > width:
            what = f"there is no rack [{row}, {position}]: the site has {rows} rows of {width}"
            yield Problem(f"site.occupied[{index}]", what, "rows and positions count from 1")
    free = rows * width - len({tuple(place) for _, place in taken})
    switch_racks = site.get("switch_racks")
    if free == 0 and taken:
        yield Problem("site.occupied", "every rack is taken", "leave some free, or leave the site out")
    elif _is_count(switch_racks) and switch_racks > free:
        yield Problem("site.switch_racks", f"{switch_racks} racks of {free} that are free", "ask for fewer")


def pools_are_apart(data: Data) -> Iterator[Problem]:
    """No address is in two pools, and AS numbers count upwards."""
    given = _mapping(data.get("addressing"))
    for family in ("ipv4", "ipv6"):
        nets = [(pool, net) for pool in POOLS if (net := _pool(given, pool, family)) is not None]
        for (one, first), (other, second) in itertools.combinations(nets, 2):
            if first.version == second.version and first.overlaps(second):
                where = f"addressing.{other if other in given else one}.{family}"
                yield Problem(where, f"{one} {first} and {other} {second} overlap", "give each pool its own network")
    asns = _mapping(given.get("asns"))
    first_asn, last_asn = (asns.get(end, Asns.model_fields[end].default) for end in ("first", "last"))
    if _is_count(first_asn) and _is_count(last_asn) and first_asn > last_asn:
        yield Problem("addressing.asns", f"first {first_asn} is above last {last_asn}", "exchange them")


def _pool(given: Data, pool: str, family: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    default = getattr(getattr(Addressing(), pool), family)
    text = _mapping(given.get(pool)).get(family, default)
    try:
        return ipaddress.ip_network(text) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def queues_are_apart(data: Data) -> Iterator[Problem]:
    """RoCE and its notifications have each a DSCP and a class; a marking curve climbs."""
    for name, network in _networks(data).items():
        qos = _mapping(network.get("qos"))
        roce, cnp = _mapping(qos.get("roce")), _mapping(qos.get("cnp"))
        for field in ("dscp", "traffic_class"):
            one = roce.get(field, Roce.model_fields[field].default)
            if qos and one == cnp.get(field, Cnp.model_fields[field].default):
                what = f"RoCE and CNP have both {field} {shown(one)}"
                where = f"networks.{name}.qos.{'cnp' if field in cnp else 'roce'}.{field}"
                yield Problem(where, what, "give each its own")
        yield from _curves(f"networks.{name}.qos.ecn", qos.get("ecn"))


def _curves(where: str, rows: Any) -> Iterator[Problem]:
    speeds: set[int] = set()
    for index, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
        low, high, speed = (_mapping(row).get(field) for field in ("kmin_kb", "kmax_kb", "speed_gbps"))
        if _is_count(low) and _is_count(high) and low > high:
            yield Problem(f"{where}[{index}]", f"kmin_kb {low} is above kmax_kb {high}", "exchange them")
        if _is_count(speed) and speed in speeds:
            yield Problem(f"{where}[{index}].speed_gbps", f"{speed} has a row already", "keep one")
        if _is_count(speed):
            speeds.add(speed)


RULES: tuple[Rule, ...] = (
    no_secrets,
    something_to_plan,
    known_networks,
    distinct_groups,
    names_of_their_own,
    groups_on_planned_networks,
    uplinks_lead_somewhere,
    technology_fits,
    layout_fits,
    tiers_are_enough,
    site_is_one,
    pools_are_apart,
    queues_are_apart,
)


def _mapping(value: Any) -> Data:
    return value if isinstance(value, Mapping) else {}


def _hosts(data: Data) -> list[tuple[int, Data]]:
    hosts = data.get("hosts")
    groups = enumerate(hosts if isinstance(hosts, list | tuple) else ())
    return [(index, group) for index, group in groups if isinstance(group, Mapping)]


def _networks(data: Data) -> dict[str, Data]:
    """Networks that are mappings, each with the defaults that are its own."""
    written = _mapping(data.get("networks"))
    return {name: with_defaults(name, written[name]) for name in NETWORKS if isinstance(written.get(name), Mapping)}


def _keys(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, ...]]:
    """Path of every key, at any depth."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key)
            yield from _keys(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _keys(item, (*path, index))


def _is_infiniband(network: Data) -> bool:
    return network.get("technology") == "infiniband"


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_place(value: Any) -> TypeGuard[tuple[int, int]]:
    return isinstance(value, list | tuple) and len(value) == 2 and all(_is_count(number) for number in value)
