"""What every vendor's configuration of a switch is made of: its facts, its ports, and its BGP sessions, as tables.

The BGP design is that of ``fabric.exports.frr``; here is nothing of any vendor's language.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from fabric.addressing import Addresses, addresses
from fabric.exports.frr.domains import FAMILIES, FULL, Domain, domains
from fabric.exports.frr.kinds import Kind, ordered
from fabric.exports.frr.policy import Rule, above, given, taken
from fabric.exports.frr.sessions import ends, sessions
from fabric.exports.frr.timers import PRODUCTION
from fabric.exports.sonic.facts import escaped, port_rows  # what a port is made of does not depend on the system
from fabric.plan import Plan
from fabric.qos import QosPlan, qos

EVERYTHING = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
MANAGEMENT_VLAN = 100


@dataclass(frozen=True)
class Policy:
    """Prefix lists, AS-path lists and route maps of a router, in the order of the file."""

    prefix_lists: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Name, family, and what is permitted: ``PREFIX [ge N] [le N]``."""
    as_paths: tuple[tuple[str, tuple[str, ...]], ...]
    """Name, and regular expressions that are permitted."""
    route_maps: tuple[tuple[str, tuple[Rule, ...]], ...]


@dataclass(frozen=True)
class Router:
    """One switch: a row of ``Facts.switches`` and what routes on it."""

    row: Mapping[str, Any]
    rules: QosPlan | None
    own: Mapping[str, Sequence[str]]
    """By family: subnets of its hosts."""
    static: Mapping[str, Sequence[tuple[str, str]]]
    """By family: prefix and next hop."""
    peers: Mapping[str, Mapping[str, Any]]
    """By group: ``paths``, ``numbered``, ``asns``; none where the switch does not speak BGP."""
    kind: Kind

    @property
    def name(self) -> str:
        """Its host name."""
        return str(self.row["name"])

    @property
    def oob(self) -> bool:
        """A leaf of the management network."""
        return bool(self.row["network"] == "oob")

    @property
    def managed(self) -> tuple[str, ...]:
        """Families of the address of its own management port."""
        return tuple(family for family in FAMILIES if self.row[f"mgmt_gateway_{family}"])

    @property
    def summaries(self) -> Mapping[str, Sequence[str]]:
        """Subnets that are no interface's, but those of many ports together: announced, and dropped as a whole."""
        return {family: () if self.oob or not self.peers else self.own[family] for family in FAMILIES}

    def announced(self, family: str) -> list[str]:
        """Loopback, own subnets, and those reached by static routes."""
        loopback = self.row[f"loopback_{family}"]
        return [
            *([f"{loopback}/{FULL[family]}"] if loopback else []),
            *self.own[family],
            *dict.fromkeys(prefix for prefix, _ in self.static[family] if not prefix.endswith("/0")),
        ]

    @property
    def policy(self) -> Policy:
        """Its lists and route maps; nothing where it does not speak BGP."""
        if not self.peers:
            return Policy((), (), ())
        domain, kind = self.kind.domain, self.kind
        maps: list[tuple[str, tuple[Rule, ...]]] = []
        for group in kind.names:
            maps.append((f"FROM-{group.upper()}", tuple(taken(group, domain))))
            maps.append((f"TO-{group.upper()}", tuple(given(group, kind.tier, domain, border=kind.border))))
        used = {name for _, rules in maps for rule in rules for name in (rule.match, rule.as_path)}
        lists = [(name, family, what) for family in FAMILIES for name, what in self._lists(family) if name in used]
        paths: list[tuple[str, tuple[str, ...]]] = [("ORIGIN", ("^[0-9]+$",))]
        paths += [(above(group), tuple(f"_{asn}_" for asn in peer["asns"])) for group, peer in self.peers.items()]
        return Policy(tuple(lists), tuple(path for path in paths if path[0] in used), tuple(maps))

    def _lists(self, family: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield "FABRIC", tuple(self.kind.domain.spans[family])
        yield "DEFAULT", (EVERYTHING[family],)
        yield "OWN", tuple(self.announced(family))


@dataclass(frozen=True)
class Routers:
    """All switches of a system: routers in the order of devices, ``ports`` and ``sessions`` by device and number."""

    routers: tuple[Router, ...]
    ports: pl.DataFrame
    sessions: pl.DataFrame


def routers(plan: Plan, nos: str) -> Routers:
    """The switches that run ``nos``. Raises InputError where addresses run out."""
    switches = _switches(plan, nos)
    if not switches.height:
        return Routers((), pl.DataFrame(), pl.DataFrame())
    known = addresses(plan)
    found = ends(plan, known).join(switches.select("device"), on="device", how="semi", maintain_order="left")
    peered = sessions(found)
    ports = port_rows(plan, switches).join(_static_ends(found), left_on="id", right_on="port", how="left")
    ports = ports.join(switches.select("device", "network"), on="device", how="left").sort("device", "number")
    return Routers(tuple(_routers(plan, known, switches, found, peered)), ports, peered)


def is_address(text: str) -> bool:
    """An IP address and no host name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def by_device(rows: pl.DataFrame, lines: str) -> dict[int, str]:
    """The text of a column joined, by device."""
    joined = rows.group_by("device", maintain_order=True).agg(pl.col(lines).str.join())
    return dict(joined.iter_rows())


def _switches(plan: Plan, nos: str) -> pl.DataFrame:
    found = plan.fabric.switches.filter(pl.col("nos").cast(pl.String) == nos)
    racks = plan.fabric.racks.select(rack="id", place=pl.format("{} {}", "site", "name"))
    place = pl.format("{}, unit {}", "place", "unit").fill_null(pl.lit(plan.intent.name))
    columns = (pl.col("network", "tier", "model").cast(pl.String), "name")
    return (
        found.join(racks, on="rack", how="left", maintain_order="left")
        .select(*columns, device="id", location=escaped(place))
        .join(addresses(plan).switches, on="device", how="left", maintain_order="left")
    )


def _static_ends(found: pl.DataFrame) -> pl.DataFrame:
    return found.select("port", static="static")


def _routers(
    plan: Plan, known: Addresses, switches: pl.DataFrame, found: pl.DataFrame, peered: pl.DataFrame
) -> Iterator[Router]:
    peers, subnets = _peers(peered), _subnets(known)
    static, reach, made = _static(found, known, subnets), domains(plan, known), dict[Any, Kind]()
    nothing: dict[str, Any] = dict.fromkeys(FAMILIES, ())
    rules = {name: qos(plan, name) for name in plan.design.networks}
    most = max((len(own["ipv4"]) for own in subnets.values()), default=0) + 1
    for row in switches.iter_rows(named=True):
        own = peers.get(row["device"], {}) if row["asn"] is not None else {}
        kind = _kind(row, reach[row["network"]], own, most, made)
        subnet = subnets.get(row["device"], nothing)
        yield Router(row, rules[row["network"]], subnet, static.get(row["device"], nothing), own, kind)


def _kind(
    row: Mapping[str, Any], domain: Domain, peers: Mapping[str, Mapping[str, Any]], own: int, made: dict[Any, Kind]
) -> Kind:
    groups = ordered({group: peer["paths"] for group, peer in peers.items()})
    numbered = any(peer["numbered"] for peer in peers.values())
    key = row["network"], row["tier"], groups, numbered
    if key not in made:
        made[key] = Kind(row["tier"], domain, groups, numbered, own, PRODUCTION)
    return made[key]


def _peers(peered: pl.DataFrame) -> dict[int, dict[str, dict[str, Any]]]:
    rows = peered.group_by("device", "group", maintain_order=True).agg(
        paths=pl.when(pl.col("above").first()).then(pl.len()).otherwise(pl.col("peer_device").unique_counts().max()),
        numbered=pl.col("ipv4").is_not_null().any(),
        asns=pl.col("peer_asn").drop_nulls().unique(maintain_order=True),
    )
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["device"], {})[row["group"]] = row
    return found


def _subnets(known: Addresses) -> dict[int, dict[str, list[str]]]:
    rows = known.leaf_subnets.group_by("leaf", maintain_order=True).agg("subnet_ipv4", "subnet_ipv6")
    return {leaf: {"ipv4": four, "ipv6": six} for leaf, four, six in rows.iter_rows()}


def _static(
    found: pl.DataFrame, known: Addresses, subnets: Mapping[int, Mapping[str, Sequence[str]]]
) -> dict[int, dict[str, list[tuple[str, str]]]]:
    """An oob leaf's default routes, and the ways back to it."""
    first = int(known.switches["device"][0])
    routes: dict[int, dict[str, list[tuple[str, str]]]] = {}
    for row in found.filter("static").iter_rows(named=True):
        mine = routes.setdefault(row["device"], {family: [] for family in FAMILIES})
        for family in FAMILIES:
            loopback = known.switches[f"loopback_{family}"][row["peer_device"] - first]
            back = [*subnets[row["peer_device"]][family], f"{loopback}/{FULL[family]}"]
            prefixes = [EVERYTHING[family]] if row["group"] == "uplinks" else back
            mine[family] += [(prefix, row[family]) for prefix in prefixes]
    return routes
