"""Offsets into the pools: what each switch, link, leaf and seat takes, and whether the pools are large enough."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import polars as pl

from fabric.addressing_places import Ints, Kind, Seats, kinds, room, seats
from fabric.addressing_shares import (
    HOST_NETWORKS,
    LINKS,
    NETWORKS,
    SWITCHES,
    Claim,
    classes,
    exhausted,
    part,
    times_larger,
)
from fabric.errors import Problem
from fabric.plan import Plan
from fabric.tables import LINK_TIERS, USES
from fabric.tables import NETWORKS as TABLE_NETWORKS

LEAST_RAILS = {"compute": 8, "storage": 4, "frontend": 2}
"""Rails that a network's addresses have room for even where it has fewer."""
SUBNET_BITS = 64
"""Host bits of an IPv6 subnet, where the pool is large enough for one a leaf and rail."""


@dataclass
class Subnets:
    """What leaves advertise, a row a leaf and rail; begin and size are addresses of the pool."""

    leaf: Ints
    rail: Ints
    plane: Ints
    begin: Ints
    size: Ints
    network: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))


@dataclass
class SeatRows:
    """Host ports that are plugged in, a row each."""

    port: Ints
    leaf_port: Ints
    device: Ints
    leaf: Ints
    rail: Ints
    plane: Ints
    subnet: Ints
    seat: Ints
    rail_begin: Ints
    rail_size: Ints
    network: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))


Rows = TypeVar("Rows", SeatRows, Subnets)


@dataclass
class Blocks:
    """Offsets into the pools, arrays in the order of switches, links and ports; -1 where there is none."""

    loopback: Ints
    asn: Ints
    link: Ints
    link_offset: Ints
    seats: SeatRows
    subnets: Subnets
    host_shift: int
    oob_seats: SeatRows
    oob: Subnets
    oob_shift: int
    problems: list[Problem]


def blocks(plan: Plan) -> Blocks:
    """Everything at once; ``problems`` says which pools are too small, and then the rest is not to be used."""
    found = list(kinds(plan))
    routed = _routed(plan, found)
    problems: list[Problem] = []
    loopback = _loopbacks(plan, found, problems)
    asn = _asns(plan, [kind for kind in found if kind.device[0] in routed], problems)
    link, link_offset = _links(plan, found, problems)
    host_seats, subnets, host_shift = _hosts(plan, found, problems)
    oob_seats, oob, oob_shift = _oob(plan, found, problems)
    return Blocks(
        loopback, asn, link, link_offset, host_seats, subnets, host_shift, oob_seats, oob, oob_shift, problems
    )


def _switch_links(plan: Plan) -> pl.DataFrame:
    """Links between two switches of ours that are not InfiniBand."""
    first = plan.fabric.hosts.height
    infiniband = [name for name, network in plan.design.networks.items() if network.technology == "infiniband"]
    links = plan.fabric.links.select("id", "network", "tier", "a_device", "a_port", "b_device")
    ours = (pl.col("a_device") >= first) & pl.col("b_device").is_not_null() & (pl.col("tier") != "oob")
    return links.filter(ours & ~pl.col("network").is_in(infiniband))


def _routed(plan: Plan, found: Sequence[Kind]) -> set[int]:
    """First devices of the kinds that route: all but InfiniBand, and of oob those with links to switches of ours."""
    links = _switch_links(plan)
    linked = set(np.unique(np.concatenate([links["a_device"].to_numpy(), links["b_device"].to_numpy()])).tolist())
    return {
        int(kind.device[0])
        for kind in found
        if kind.network.technology != "infiniband"
        and (kind.network.network != "oob" or not linked.isdisjoint(kind.device.tolist()))
    }


def _bits(pool: str) -> int:
    net = ipaddress.ip_network(pool)
    return net.max_prefixlen - net.prefixlen


def host_shift(ipv4: str, ipv6: str) -> int:
    """Host bits of an IPv6 subnet: 64, less where the pool has no room for so many subnets."""
    return max(0, min(SUBNET_BITS, _bits(ipv6) - _bits(ipv4)))


def _by_part(found: Sequence[Kind]) -> Iterator[list[Kind]]:
    """Kinds that share a part: the classes of a network's leaves, its spines, its cores."""
    parts: dict[tuple[str, str], list[Kind]] = {}
    for kind in found:
        parts.setdefault((kind.network.network, kind.tier), []).append(kind)
    yield from parts.values()


def _by_class(found: Sequence[Kind]) -> Iterator[tuple[int, Kind | None]]:
    """Every class number up to the last, with its kind or None."""
    have = {kind.number: kind for kind in found}
    yield from ((number, have.get(number)) for number in range(max(have, default=-1) + 1))


def _loopbacks(plan: Plan, found: Sequence[Kind], problems: list[Problem]) -> Ints:
    """One address a switch that speaks IP; the pool's first address is nobody's."""
    first, pool = plan.fabric.hosts.height, plan.intent.addressing.loopbacks
    offset = np.full(plan.fabric.switches.height, -1, dtype=np.int64)
    claims = []
    for same in _by_part([kind for kind in found if kind.network.technology != "infiniband"]):
        mine = part(1 << _bits(pool.ipv4), NETWORKS[same[0].network.network], SWITCHES[same[0].tier])
        for kind, claim in _claims(same, mine.size, [1] * len(same), [kind.count + 1 for kind in same], "take"):
            claims.append(claim)
            offset[kind.device - first] = mine.begin + claim.begin + 1 + kind.ordinal
    problems += _pool_problems("loopbacks", pool.ipv4, pool.ipv6, claims, int(offset.max(initial=0)))
    return offset


def _asns(plan: Plan, found: Sequence[Kind], problems: list[Problem]) -> Ints:
    """AS numbers themselves, not offsets."""
    pool, first = plan.intent.addressing.asns, plan.fabric.hosts.height
    number = np.full(plan.fabric.switches.height, -1, dtype=np.int64)
    total = pool.last - pool.first + 1
    claims = []
    for same in _by_part(found):
        mine = part(total, NETWORKS[same[0].network.network], SWITCHES[same[0].tier])
        for kind, claim in _claims(same, mine.size, [1] * len(same), [kind.authorities for kind in same], "take"):
            claims.append(claim)
            number[kind.device - first] = pool.first + mine.begin + claim.begin + kind.authority
    larger = f"{times_larger(claims)} times as many would do"
    problems += exhausted("addressing.asns", f"{pool.first}–{pool.last}", claims, "AS numbers", larger)
    return number


def _claims(
    same: Sequence[Kind], size: Fraction, strides: Sequence[int], counts: Sequence[int], verb: str
) -> Iterator[tuple[Kind, Claim]]:
    """The claim of each kind of one part of ``size`` units; classes without switches claim nothing."""
    numbers = {kind.number: place for place, kind in enumerate(same)}
    slots = [numbers.get(number) for number, _ in _by_class(same)]
    claims = classes(
        size,
        [1 if place is None else strides[place] for place in slots],
        [0 if place is None else counts[place] for place in slots],
        ["" if place is None else f"{same[place].name} {verb}" for place in slots],
    )
    yield from ((same[place], claim) for place, claim in zip(slots, claims, strict=True) if place is not None)


def _links(plan: Plan, found: Sequence[Kind], problems: list[Problem]) -> tuple[Ints, Ints]:
    """Links and the even address of each: the switch at the a side has a block for each use of its ports."""
    links = _switch_links(plan)
    pool = plan.intent.addressing.links
    offset = np.full(links.height, -1, dtype=np.int64)
    if plan.intent.addressing.point_to_point == "unnumbered":
        return links["id"].to_numpy().astype(np.int64), offset
    device, port = links["a_device"].to_numpy(), _rank(plan)[links["a_port"].to_numpy()]
    tiers, names = links["tier"].to_physical().to_numpy(), links["network"].to_physical().to_numpy()
    claims = []
    for same in _by_part(found):
        network, tier = same[0].network, same[0].tier
        for use, share in LINKS.items():
            own = part(1 << (_bits(pool.ipv4) - 1), NETWORKS[network.network], share)
            mine = (names == TABLE_NETWORKS.index(network.network)) & (tiers == LINK_TIERS.index(use))
            if use not in _USES[tier] or not mine.any():
                continue
            strides = [room(_ports_of(kind, use)) for kind in same]
            counts = [kind.count for kind in same]
            for kind, claim in _claims(same, own.size, strides, counts, f"take for {use} links"):
                claims.append(claim)
                ordinal = np.full(int(kind.device.max()) + 1, -1, dtype=np.int64)
                ordinal[kind.device] = kind.ordinal
                rows = np.flatnonzero(mine & (device >= kind.device[0]) & (device <= kind.device[-1]))
                offset[rows] = 2 * (own.begin + claim.begin + ordinal[device[rows]] * claim.stride + port[rows])
    problems += _pool_problems("links", pool.ipv4, pool.ipv6, claims, int(offset.max(initial=0)) + 1, 2)
    return links["id"].to_numpy().astype(np.int64), offset


_USES = {"leaf": ("leaf-spine", "leaf-leaf", "uplink"), "spine": ("spine-core",), "core": ()}
"""Tiers of links whose a side is such a switch."""


def _ports_of(kind: Kind, use: str) -> int:
    """Ports that one switch has for links of this tier."""
    network = kind.network
    if use == "leaf-spine":
        return kind.cls.uplinks
    if use == "spine-core":
        return network.spine_uplinks
    return network.interswitch_links if use == "leaf-leaf" else network.external_uplinks


def _rank(plan: Plan) -> Ints:
    """By port id: the port's place among those of its device with the same use."""
    ports = plan.fabric.ports
    key = ports["device"].to_numpy().astype(np.int64) * len(USES) + ports["use"].to_physical().to_numpy()
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    rank = np.empty(len(key), dtype=np.int64)
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(key) else np.empty(0, dtype=np.bool_)
    starts = np.flatnonzero(first)
    rank[order] = np.arange(len(key)) - np.repeat(starts, np.diff(np.append(starts, len(key))))
    return rank


def _hosts(plan: Plan, found: Sequence[Kind], problems: list[Problem]) -> tuple[SeatRows, Subnets, int]:
    """Network, rail, plane, class, segment, seat: from the highest bits to the lowest."""
    pool = plan.intent.addressing.hosts
    bits = _bits(pool.ipv4)
    seated, subnets, claims = [], [], []
    leaves = [k for k in found if k.tier == "leaf" and k.network.network != "oob"]
    for same in _by_part([kind for kind in leaves if kind.network.technology != "infiniband"]):
        network = same[0].network
        rails = room(max(LEAST_RAILS[network.network], *(cls.rails for cls in network.classes)))
        own = part(1 << bits, HOST_NETWORKS[network.network])
        share = own.size / (rails * room(network.planes))
        rail_size = int(share)
        seat = [seats(plan, kind) for kind in same]
        strides = [2 * room(s.each) for s in seat]
        counts = [int(_segment(kind).max(initial=-1)) + 1 for kind in same]
        what = f"take in each of {rails} rails × {room(network.planes)} planes"
        for kind, claim in _claims(same, share, strides, counts, what):
            claims.append(claim)
            at = _LeafSubnets(kind, own.begin, rail_size, claim, room(network.planes))
            subnets.append(at.subnets())
            seated.append(_seated(plan, kind, seat[same.index(kind)], at))
    last = max((int((s.begin + s.size).max(initial=1)) - 1 for s in subnets), default=0)
    problems += _pool_problems("hosts", pool.ipv4, pool.ipv6, claims, last)
    return _stacked(SeatRows, seated), _stacked(Subnets, subnets), host_shift(pool.ipv4, pool.ipv6)


def _segment(kind: Kind) -> Ints:
    """Segment within the class of each leaf."""
    return kind.ordinal // (kind.network.planes * kind.cls.leaves_per_plane)


@dataclass(frozen=True)
class _LeafSubnets:
    """Subnets of the leaves of a kind: one block a rail and plane, in it one a segment."""

    kind: Kind
    begin: int
    rail_size: int
    claim: Claim
    planes: int

    def rail_begin(self, rail: Ints, plane: Ints) -> Ints:
        """First address of a rail and plane."""
        return self.begin + (rail * self.planes + plane) * self.rail_size

    def subnet(self, leaf: Ints, slot_rail: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Of the ``leaf``-th leaf of the kind and a rail of its own: rail, plane, first address of rail and subnet."""
        cls, planes = self.kind.cls, self.kind.network.planes
        rest, position = np.divmod(self.kind.ordinal[leaf], cls.leaves_per_plane)
        segment, plane = np.divmod(rest, planes)
        rail = position * cls.rails_per_leaf + slot_rail
        begin = self.rail_begin(rail, plane)
        return rail, plane, begin, begin + self.claim.begin + segment * self.claim.stride

    def subnets(self) -> Subnets:
        """One row a leaf and rail."""
        cls = self.kind.cls
        leaf = np.repeat(np.arange(len(self.kind.device)), cls.rails_per_leaf)
        slot = np.tile(np.arange(cls.rails_per_leaf), len(self.kind.device))
        rail, plane, _, begin = self.subnet(leaf, slot)
        kept = rail < cls.rails
        size = np.full(int(kept.sum()), self.claim.stride, dtype=np.int64)
        name = pl.repeat(self.kind.network.network, int(kept.sum()), dtype=pl.String, eager=True)
        return Subnets(self.kind.device[leaf][kept], rail[kept], plane[kept], begin[kept], size, name)


def _seated(plan: Plan, kind: Kind, seat: Seats, at: _LeafSubnets) -> SeatRows:
    """The host ports on the leaves of a kind, by host port."""
    device, port, leaf, leaf_port = _host_links(plan, kind)
    number = plan.fabric.ports["number"].gather(pl.Series(leaf_port)).to_numpy().astype(np.int64)
    rail, plane, begin, subnet = at.subnet(leaf - int(kind.device[0]), seat.rail[number])
    size = np.full(len(port), at.rail_size, dtype=np.int64)
    name = pl.repeat(kind.network.network, len(port), dtype=pl.String, eager=True)
    return SeatRows(port, leaf_port, device, leaf, rail, plane, subnet, seat.seat[number], begin, size, name)


def _host_links(plan: Plan, kind: Kind) -> tuple[Ints, Ints, Ints, Ints]:
    """Host, host port, leaf, leaf port of the links that hosts (for oob: all endpoints) have on leaves of a kind."""
    first, last = int(kind.device[0]), int(kind.device[-1])
    tiers = ["oob"] if kind.network.network == "oob" else ["host-leaf"]
    links = plan.fabric.links.filter(
        pl.col("tier").is_in(tiers) & pl.col("b_device").is_between(first, last)
    ).sort("a_port")  # fmt: skip
    device, port, leaf, leaf_port = (
        links[name].to_numpy().astype(np.int64) for name in ("a_device", "a_port", "b_device", "b_port")
    )
    return device, port, leaf, leaf_port


def _oob(plan: Plan, found: Sequence[Kind], problems: list[Problem]) -> tuple[SeatRows, Subnets, int]:
    """One subnet a leaf of oob: network, gateway, seats, broadcast."""
    pool = plan.intent.addressing.management
    bits = _bits(pool.ipv4)
    same = [kind for kind in found if kind.tier == "leaf" and kind.network.network == "oob"]
    seat = [seats(plan, kind) for kind in same]
    strides = [room(s.each * kind.cls.rails_per_leaf + 3) for s, kind in zip(seat, same, strict=True)]
    seated, subnets, claims = [], [], []
    for kind, claim in _claims(same, Fraction(1 << bits), strides, [kind.count for kind in same], "take"):
        claims.append(claim)
        begin = claim.begin + kind.ordinal * claim.stride
        zero, size = np.zeros_like(begin), np.full(len(begin), claim.stride, dtype=np.int64)
        subnets.append(Subnets(kind.device, zero, zero, begin, size))
        device, port, leaf, leaf_port = _host_links(plan, kind)
        number = plan.fabric.ports["number"].gather(pl.Series(leaf_port)).to_numpy().astype(np.int64)
        at = seat[same.index(kind)]
        place = at.seat[number] * kind.cls.rails_per_leaf + at.rail[number]
        mine, none = begin[leaf - int(kind.device[0])], np.zeros_like(leaf)
        sizes = np.full(len(port), claim.stride, dtype=np.int64)
        seated.append(SeatRows(port, leaf_port, device, leaf, none, none, mine, place, mine, sizes))
    last = max((int((s.begin + s.size).max(initial=1)) - 1 for s in subnets), default=0)
    problems += _pool_problems("management", pool.ipv4, pool.ipv6, claims, last)
    return _stacked(SeatRows, seated), _stacked(Subnets, subnets), host_shift(pool.ipv4, pool.ipv6)


def _stacked(kind: type[Rows], parts: Sequence[Rows]) -> Rows:
    """Rows of all parts, in their order."""
    columns: dict[str, Any] = {}
    for column in fields(kind):
        stack: list[Any] = [getattr(one, column.name) for one in parts]
        if column.name == "network":
            columns[column.name] = pl.concat([pl.Series(dtype=pl.String), *stack])
        else:
            columns[column.name] = np.concatenate([np.empty(0, dtype=np.int64), *stack])
    return kind(**columns)


def _pool_problems(
    name: str, ipv4: str, ipv6: str, claims: Sequence[Claim], last: int, unit: int = 1
) -> Iterator[Problem]:
    """Problems of a pool: shares that are too small for IPv4, and an IPv6 network that cannot hold offset ``last``."""
    prefix = int(ipv4.split("/")[1])
    wanted = prefix - (times_larger(claims).bit_length() - 1)
    remedy = f"make it a /{wanted}" if wanted >= 0 else "no IPv4 network is large enough"
    if name == "links":
        remedy += ", or say point_to_point: unnumbered"
    yield from exhausted(
        f"addressing.{name}.ipv4", ipv4, claims, "addresses" if unit == 1 else "pairs of addresses", remedy
    )
    if last >> _bits(ipv6) and not any(claim.missing for claim in claims):
        what = f"{ipv6} is too small: {last + 1:,} addresses are needed, it has {1 << _bits(ipv6):,}"
        yield Problem(f"addressing.{name}.ipv6", what, f"make it a /{128 - last.bit_length()} or larger")
