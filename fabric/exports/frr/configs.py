"""``frr.conf`` of every router: what its kind has in common, and its own names, numbers and neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from fabric.addressing import Addresses, addresses
from fabric.exports.frr.domains import FAMILIES, FULL, Domain, domains
from fabric.exports.frr.kinds import Kind, ordered
from fabric.exports.frr.linux import linux_files
from fabric.exports.frr.policy import above, as_path_list, prefix_list
from fabric.exports.frr.sessions import ends, neighbours
from fabric.exports.frr.timers import PRODUCTION, Timers
from fabric.plan import Plan

NOSES = ("frr", "sonic")
_KERNEL = {
    "frr": "no zebra nexthop kernel enable\n",
    "sonic": "no fpm use-next-hop-groups\nfpm address 127.0.0.1\nzebra nexthop-group keep 1\n",
}
"""Linux' own next-hop groups stay shrunk after a flap; on SONiC routes go to fpmsyncd, as its own template has it."""
_KEYWORD = {"ipv4": "ip", "ipv6": "ipv6"}


def configs(plan: Plan, *, timers: Timers = PRODUCTION) -> Iterator[tuple[str, bytes]]:
    """``configs/<switch>/frr.conf`` of every switch with FRR or SONiC, in the order of switches.

    Of those with FRR also ``daemons``, ``interfaces`` and ``sysctl.conf``. Raises InputError where addresses run out.
    """
    if not plan.fabric.switches["nos"].cast(pl.String).is_in(NOSES).any():
        return
    known = addresses(plan)
    found = ends(plan, known)
    beside = linux_files(plan, known, found)
    for router in _routers(plan, known, found, timers):
        yield f"configs/{router.name}/frr.conf", router.text().encode()
        for name, text in beside(router.device, router.kind.paths, bool(router.neighbours)):
            yield f"configs/{router.name}/{name}", text.encode()


@dataclass(frozen=True)
class Router:
    """One switch and what its file says."""

    device: int
    name: str
    nos: str
    asn: int | None
    loopback: Mapping[str, str | None]
    own: Mapping[str, Sequence[str]]
    """By family: subnets of its hosts."""
    connected: bool
    """The subnets are on an interface as they are (oob), and not a summary of those of many ports."""
    static: Mapping[str, Sequence[tuple[str, str]]]
    """By family: prefix and next hop of static routes."""
    leaving: str
    """Ports that leave for what is not ours without a session."""
    neighbours: str
    returning: Mapping[str, Sequence[int]]
    """AS numbers by group."""
    kind: Kind

    def text(self) -> str:
        """The whole file."""
        parts = [f"frr defaults datacenter\nhostname {self.name}\nlog syslog informational\n", _KERNEL[self.nos]]
        parts += ["service integrated-vtysh-config\n", self._routes()]
        if self.leaving:
            parts.append(
                f"! {self.leaving}: not ours beyond; its addresses and the default route are not in the plan\n"
            )
        if self.neighbours:
            parts += [_bfd(self.kind.timers), self._lists(), self.kind.policy, self._source(), self._bgp()]
        return "!\n".join(part for part in parts if part) + "!\nend\n"

    def _announced(self, family: str) -> list[str]:
        """Loopback, own subnets, and those reached by static routes."""
        loopback = self.loopback[family]
        return [
            *([f"{loopback}/{FULL[family]}"] if loopback else []),
            *self.own[family],
            *dict.fromkeys(prefix for prefix, _ in self.static[family] if not prefix.endswith("/0")),
        ]

    def _routes(self) -> str:
        """Static routes; a summary drops what no port of this switch has, and so is always announced."""
        lines = []
        for family in FAMILIES:
            if self.neighbours and not self.connected:
                lines += [f"{_KEYWORD[family]} route {subnet} blackhole 254\n" for subnet in self.own[family]]
            lines += [f"{_KEYWORD[family]} route {prefix} {via}\n" for prefix, via in self.static[family]]
        return "".join(lines)

    def _lists(self) -> str:
        paths = [as_path_list(above(group), [f"_{asn}_" for asn in asns]) for group, asns in self.returning.items()]
        families = FAMILIES if self.kind.lists_own else ()
        own = [prefix_list("OWN", family, self._announced(family)) for family in families]
        return "".join([*paths, *own])

    def _source(self) -> str:
        """What the switch itself sends comes from its loopback: addresses of links are not announced."""
        return "".join(
            f"route-map SOURCE-{family.upper()} permit 10\n set src {self.loopback[family]}\nexit\n"
            f"{_KEYWORD[family]} protocol bgp route-map SOURCE-{family.upper()}\n"
            for family in FAMILIES
        )

    def _bgp(self) -> str:
        head = (
            f"router bgp {self.asn}\n"
            f" bgp router-id {self.loopback['ipv4']}\n"
            " bgp log-neighbor-changes\n"
            " no bgp default ipv4-unicast\n"
            " bgp bestpath as-path multipath-relax\n"
        )
        families = [
            f" address-family {family} unicast\n"
            + "".join(f"  network {prefix}\n" for prefix in self._announced(family))
            + self.kind.family(family)
            + " exit-address-family\n"
            for family in FAMILIES
        ]
        return head + self.kind.peer_groups + self.neighbours + "".join(families) + "exit\n"


def _bfd(timers: Timers) -> str:
    interval = timers.bfd_ms
    return (
        "bfd\n profile fabric\n  detect-multiplier 3\n"
        f"  receive-interval {interval}\n  transmit-interval {interval}\n exit\nexit\n"
    )


def _routers(plan: Plan, known: Addresses, found: pl.DataFrame, timers: Timers) -> Iterator[Router]:
    peered = neighbours(found)
    subnets = _subnets(known)
    static = _static(found, known, subnets)
    leaving = _leaving(found)
    reach, kinds = domains(plan, known), _Kinds(plan, timers, subnets)
    table = plan.fabric.switches.with_columns(pl.col("network", "tier", "nos").cast(pl.String))
    table = table.join(known.switches, left_on="id", right_on="device", how="left", maintain_order="left")
    for row in table.filter(pl.col("nos").is_in(NOSES)).iter_rows(named=True):
        device, peers = row["id"], peered.get(row["id"], {})
        kind = kinds(row, reach[row["network"]], peers)
        yield Router(
            device=device,
            name=row["name"],
            nos=row["nos"],
            asn=row["asn"],
            loopback={family: row[f"loopback_{family}"] for family in FAMILIES},
            own=subnets.get(device, dict.fromkeys(FAMILIES, ())),
            connected=row["network"] == "oob",
            static=static.get(device, dict.fromkeys(FAMILIES, ())),
            leaving=" ".join(leaving.get(device, ())),
            neighbours="".join(peer["lines"] for peer in peers.values()),
            returning={group: peers[group]["asns"] for group in kind.returning},
            kind=kind,
        )


def _leaving(found: pl.DataFrame) -> dict[int, list[str]]:
    """By device: ports of switches without an AS number that leave for what is not ours."""
    rows = found.filter((pl.col("group") == "external") & pl.col("asn").is_null())
    return dict(rows.group_by("device", maintain_order=True).agg("name").iter_rows())


def _subnets(known: Addresses) -> dict[int, dict[str, list[str]]]:
    """By leaf and family."""
    rows = known.leaf_subnets.group_by("leaf", maintain_order=True).agg("subnet_ipv4", "subnet_ipv6")
    return {leaf: {"ipv4": four, "ipv6": six} for leaf, four, six in rows.iter_rows()}


def _static(
    found: pl.DataFrame, known: Addresses, subnets: Mapping[int, Mapping[str, Sequence[str]]]
) -> dict[int, dict[str, list[tuple[str, str]]]]:
    """By device and family: an oob leaf's default routes, and the ways back to it."""
    first = int(known.switches["device"][0])
    every = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
    routes: dict[int, dict[str, list[tuple[str, str]]]] = {}
    for row in found.filter("static").iter_rows(named=True):
        mine = routes.setdefault(row["device"], {family: [] for family in FAMILIES})
        for family in FAMILIES:
            loopback = known.switches[f"loopback_{family}"][row["peer_device"] - first]
            behind = [every[family]]
            if row["group"] == "attached":
                behind = [*subnets[row["peer_device"]][family], f"{loopback}/{FULL[family]}"]
            mine[family] += [(prefix, row[family]) for prefix in behind]
    return routes


class _Kinds:
    """Kinds by what makes them differ; each is made once."""

    def __init__(self, plan: Plan, timers: Timers, subnets: Mapping[int, Mapping[str, Sequence[str]]]) -> None:
        self._timers, self._made = timers, dict[Any, Kind]()
        networks = plan.fabric.switches["network"].cast(pl.String).to_list()
        first, self._own = plan.fabric.hosts.height, dict[str, int]()
        for leaf, own in subnets.items():
            network = networks[leaf - first]
            self._own[network] = max(self._own.get(network, 0), len(own["ipv4"]) + 1)

    def __call__(self, row: Mapping[str, Any], domain: Domain, peers: Mapping[str, Mapping[str, Any]]) -> Kind:
        groups = ordered({group: peer["paths"] for group, peer in peers.items()})
        key = row["network"], row["tier"], groups
        if key not in self._made:
            numbered = any(peer["numbered"] for peer in peers.values())
            own = self._own.get(row["network"], 0)
            self._made[key] = Kind(row["tier"], domain, groups, numbered, own, self._timers)
        return self._made[key]
