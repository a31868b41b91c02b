"""Is the bandwidth there that the intent asks for: by ratio at every switch, and by max-flow across the network."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric import flow
from fabric.checking.view import View, report
from fabric.design import NetworkDesign
from fabric.findings import Finding, find

Flags = npt.NDArray[np.bool_]

MBPS = 1000
"""Flows are counted in Mb/s, so that a ratio rounds off less than a hundred-thousandth of a port."""

MOST_PAIRS = 64
"""Leaf pairs of different kinds tried a network; a healthy one has three to six."""


def ratios(view: View, network: str) -> list[Fraction]:
    """Most oversubscription of each class's leaves: the least that its host groups' roles allow."""
    asked = view.asked(network).oversubscription
    roles = {group.name: group.role for group in view.intent.hosts}
    return [
        min(Fraction(asked.leaf_for(role)) for role in ({roles[g] for g in kind.groups if g in roles} or {"compute"}))
        for kind in view.networks[network].classes
    ]


def leaves(view: View, network: str) -> pl.DataFrame:
    """Leaves of a network with ``down``: Gb/s of a full segment's hosts, spares and services not counted.

    Down is read from the ports kept for hosts, less those of spares; a segment that lacks hosts counts as full.
    """
    kinds = view.networks[network].classes
    spare = [kind.spares_per_segment * kind.rails_per_leaf * kind.ports_per_plane * kind.speed_gbps for kind in kinds]
    mine = view.switches.filter(pl.col("network") == network, pl.col("tier") == "leaf")
    mine = mine.join(_kept(view, "host"), on="id", how="left", maintain_order="left")
    off = pl.col("host_class").replace_strict(dict(enumerate(spare)), default=0, return_dtype=pl.Int64)
    return mine.with_columns(down=(pl.col("gbps").fill_null(0) - off).clip(0))


def _kept(view: View, use: str) -> pl.DataFrame:
    """``id, gbps``: sum of a switch's ports of one use, linked or not."""
    ports = view.ports.filter(pl.col("use") == use).group_by(pl.col("device").alias("id"))
    return ports.agg(pl.col("speed_gbps").cast(pl.Int64).sum().alias("gbps"))


def _above(view: View) -> pl.DataFrame:
    """``id, up``: Gb/s of a switch's links to the tier above and of the ports kept for a tier not built."""
    links = view.between.filter(pl.col("a_tier") != pl.col("b_tier"))
    up = links.group_by(pl.col("a_device").alias("id")).agg(pl.col("speed_gbps").cast(pl.Int64).sum().alias("gbps"))
    return pl.concat([up, _kept(view, "reserve")]).group_by("id").agg(pl.col("gbps").sum().alias("up"))


def leaf_ratio(view: View) -> Iterator[Finding]:
    """Bandwidth down ≤ o·up on every leaf that has a tier, or ports kept for one, above it."""
    above = _above(view)
    for name, network in view.networks.items():
        planned = network.tiers > 1 or any("reserve" in kind.leaf.ports for kind in network.classes)
        if planned:
            mine = leaves(view, name)
            for number, limit in enumerate(ratios(view, name)):
                yield from _over(mine.filter(pl.col("host_class") == number), above, limit)


def spine_ratio(view: View) -> Iterator[Finding]:
    """Bandwidth down ≤ o·up on every spine with, or with ports kept for, a core; ports for growth count as down."""
    above = _above(view)
    down = _kept(view, "down")
    for name, network in view.networks.items():
        kept = network.spine is not None and "reserve" in network.spine.ports
        if network.tiers > 2 or kept:
            spines = view.switches.filter(pl.col("network") == name, pl.col("tier") == "spine")
            spines = spines.join(down, on="id", how="left", maintain_order="left")
            spines = spines.with_columns(down=pl.col("gbps").fill_null(0))
            yield from _over(spines, above, Fraction(view.asked(name).oversubscription.spine_or(Fraction(1))))


def _over(switches: pl.DataFrame, above: pl.DataFrame, limit: Fraction) -> Iterator[Finding]:
    """Exact: down·denominator ≤ numerator·up."""
    switches = switches.join(above, on="id", how="left", maintain_order="left").with_columns(pl.col("up").fill_null(0))
    wrong = switches.filter(pl.col("down") * limit.denominator > pl.col("up") * limit.numerator)
    yield from report(
        "oversubscribed",
        wrong,
        lambda row: {"switch": row["name"]},
        lambda row: {"down_gbps": row["down"], "up_gbps": row["up"], "allowed": round(float(limit), 4)},
    )


def planes_meet(design: NetworkDesign) -> bool:
    """A tier is planned at which planes join."""
    return (design.planes_join == "spine" and design.tiers > 1) or (design.planes_join == "core" and design.tiers > 2)


def unjoined(view: View) -> Iterator[Finding]:
    """Planes join where the intent says, unless the network ends below."""
    for name, network in view.networks.items():
        joins = network.planes_join == "never" or planes_meet(network) or network.interswitch_links
        if network.planes > 1 and not joins:
            evidence = {"planes": network.planes, "planes_join": network.planes_join, "tiers": network.tiers}
            yield find("planes-unjoined", {"network": name}, evidence)


def meeting(view: View, network: str) -> flow.Ints:
    """A number by leaf: leaves of one number must reach each other inside the tiers planned.

    Of one leaf position and plane with rail-only and wherever there is a single tier; of one plane otherwise; any,
    where planes join. The leaves of a single-tier pair with an inter-switch link meet. Segments without a tier above
    meet outside the network (oob).
    """
    design = view.networks[network]
    mine = view.switches.filter(pl.col("network") == network, pl.col("tier") == "leaf")
    alone = design.tiers == 1 and not design.interswitch_links
    keys: list[str] = []
    if not planes_meet(design) or alone:
        keys.append("plane")
    if design.layout == "rail-only" or alone:
        keys.append("rail")
    if alone:
        keys.append("segment")
    if design.interswitch_links or not keys:
        return np.zeros(mine.height, dtype=np.int64)
    return mine.select(pl.struct(keys).rank("dense").cast(pl.Int64)).to_series().to_numpy() - 1


def network_trunks(view: View, network: str) -> flow.Trunks:
    """The switch graph of a network; its leaves come first, in the order of ids."""
    mine = view.switches.filter(pl.col("network") == network)
    mine = pl.concat([mine.filter(pl.col("tier") == tier) for tier in ("leaf", "spine", "core")])
    return flow.trunks(mine.select("id", "tier"), view.between.filter(pl.col("a_network") == network))


def reachable(view: View) -> Iterator[Finding]:
    """Leaves that the layout means to connect are in one component of the switch graph."""
    for name in view.networks:
        trunks, key = network_trunks(view, name), meeting(view, name)
        part = trunks.component()[: len(key)]
        for value in np.unique(key):
            members = np.flatnonzero(key == value)
            parts, first, sizes = np.unique(part[members], return_index=True, return_counts=True)
            if len(parts) > 1:
                seen = [view.device(int(trunks.device[members[i]])) for i in sorted(first)[:8]]
                evidence = {"parts": len(parts), "one_of_each": seen, "leaves": [int(n) for n in -np.sort(-sizes)[:8]]}
                yield find("pair-unreachable", {"network": name, "leaf": seen[0]}, evidence)


def bisection(view: View) -> Iterator[Finding]:
    """Half of the leaves can send to the other half all that the intent promises, and so can any leaf to any other.

    A leaf is promised down/o_leaf; across pods down/(o_leaf·o_spine). Halves are cut between segments and between pods.
    """
    for name, network in view.networks.items():
        if network.tiers > 1:
            yield from _Bisection(view, name).findings()
        elif network.interswitch_links:
            yield from _interswitch(view, name)


def _interswitch(view: View, network: str) -> Iterator[Finding]:
    """The link of a single-tier pair carries ``interswitch`` of the hosts' bandwidth."""
    share = Fraction(view.asked(network).interswitch)
    trunks, rows = network_trunks(view, network), leaves(view, network)
    wanted = min(rows["down"]) * share
    if len(trunks.device) == 2 and int(trunks.gbps.sum()) < wanted:
        evidence = {"gbps": int(trunks.gbps.sum()), "promised_gbps": float(wanted)}
        yield find("bisection-low", {"network": network, "between": rows["name"].to_list()}, evidence)


def _scaled(trunks: flow.Trunks) -> flow.Graph:
    graph = trunks.up_down()
    capacity = np.where(graph.capacity > 0, graph.capacity * MBPS, graph.capacity)
    return flow.Graph(graph.nodes, graph.tail, graph.head, capacity)


def _spine_domains(view: View, network: str, leaves: pl.DataFrame) -> flow.Ints:
    """A number by leaf: leaves of one number share their spines."""
    design = view.networks[network]
    keys = ["pod"]
    if design.planes_join != "spine":
        keys.append("plane")
    if design.layout == "rail-only":
        keys.append("rail")
    return leaves.select(pl.struct(keys).rank("dense").cast(pl.Int64)).to_series().to_numpy() - 1


class _Bisection:
    """The flows tried on one network of two or three tiers."""

    def __init__(self, view: View, network: str) -> None:
        self.view, self.network = view, network
        self.trunks = network_trunks(view, network)
        self.key = meeting(view, network)
        rows = leaves(view, network)
        down, kinds = rows["down"].to_numpy(), rows["host_class"].fill_null(0).to_numpy()
        limits = ratios(view, network)
        limit = [limits[min(kind, len(limits) - 1)] for kind in kinds.tolist()]
        self.promise = np.array([int(d * MBPS / o) for d, o in zip(down.tolist(), limit, strict=True)], dtype=np.int64)
        spine = Fraction(view.asked(network).oversubscription.spine_or(Fraction(1)))
        # What leaves a leaf is all that can cross the core, also where the core is given more than that.
        self.spine = max(Fraction(1), spine) if view.networks[network].tiers > 2 else Fraction(1)
        self.pod = rows["pod"].fill_null(0).cast(pl.Int64).to_numpy()
        self.domain = _spine_domains(view, network, rows)
        self.segment = rows["segment"].fill_null(0).cast(pl.Int64).to_numpy()
        self.whole = _scaled(self.trunks)
        self.below_core = _scaled(self.trunks.keep(self.trunks.tier[self.trunks.upper] < 2))

    def findings(self) -> Iterator[Finding]:
        """Within the pods, across pods, and between two leaves of every kind."""
        low = self._half(self.segment, self.domain)
        yield from self._cut("segments", self.below_core, self.domain, low, Fraction(1))
        if len(np.unique(self.pod)) > 1:
            yield from self._cut("pods", self.whole, self.key, self._half(self.pod, self.pod * 0), self.spine)
        yield from self._pairs()

    @staticmethod
    def _half(value: flow.Ints, within: flow.Ints) -> Flags:
        """The lower half of the distinct values, counted within each group."""
        low = np.zeros(len(value), dtype=bool)
        for group in np.unique(within):
            mine = within == group
            distinct = np.unique(value[mine])
            low[mine] = value[mine] < distinct[len(distinct) // 2]
        return low

    def _cut(self, what: str, graph: flow.Graph, scope: flow.Ints, low: Flags, spine: Fraction) -> Iterator[Finding]:
        """All scopes at once, which is enough: none can lend another its flow. Where it falls short, each by itself."""
        give, take, wanted = self._amounts(scope, low, spine)
        if wanted and self._flow(graph, give, take) < wanted:
            for value in np.unique(scope):
                give, take, wanted = self._amounts(np.where(scope == value, 0, -1), low, spine)
                got = self._flow(graph, give, take)
                if got < wanted:
                    one = self.view.device(int(self.trunks.device[np.flatnonzero(scope == value)[0]]))
                    yield self._short({"between": f"halves of the {what}", "with": one}, got, wanted)

    def _amounts(self, scope: flow.Ints, low: Flags, spine: Fraction) -> tuple[flow.Ints, flow.Ints, int]:
        """Supplies of the low half, demands of the high one, the flow promised: in each scope the less of the two."""
        amount = self.promise * spine.denominator // spine.numerator * (scope >= 0)
        give, take = amount * low, amount * ~low
        return give, take, sum(min(int(give[scope == v].sum()), int(take[scope == v].sum())) for v in np.unique(scope))

    def _flow(self, graph: flow.Graph, give: flow.Ints, take: flow.Ints) -> int:
        n = len(self.trunks.device)
        supply, demand = np.zeros(2 * n, np.int64), np.zeros(2 * n, np.int64)
        supply[: len(give)], demand[n : n + len(take)] = give, take
        return flow.max_flow(graph, supply, demand)

    def _pairs(self) -> Iterator[Finding]:
        for a, b in self._kinds_of_pairs()[:MOST_PAIRS]:
            wanted = min(int(self.promise[a]), int(self.promise[b]))
            if self.domain[a] != self.domain[b]:
                wanted = min(wanted, self._leaving(a), self._leaving(b))
            got = flow.between(self.trunks, np.array([a]), np.array([b])) * MBPS
            if got < wanted:
                between = [self.view.device(int(self.trunks.device[x])) for x in (a, b)]
                yield self._short({"between": between}, got, wanted)

    def _leaving(self, leaf: int) -> int:
        """Mb/s that the intent lets leave all spines of a leaf together."""
        return int(int(self.promise[self.domain == self.domain[leaf]].sum()) / self.spine)

    def _short(self, subject: dict[str, Any], got: int, wanted: int) -> Finding:
        evidence = {"gbps": got / MBPS, "promised_gbps": wanted / MBPS}
        return find("bisection-low", {"network": self.network, **subject}, evidence)

    def _kinds_of_pairs(self) -> list[tuple[int, int]]:
        """A leaf of each kind, and for it a partner of each kind *as seen from it*, among those it must reach."""
        n = len(self.trunks.device)
        start = np.repeat(np.array([0, 1]), n)
        kinds = flow.refine(self.whole, start)[: len(self.key)]
        found: list[tuple[int, int]] = []
        for a in np.unique(kinds, return_index=True)[1].tolist()[:MOST_PAIRS]:
            seen = start.copy()
            seen[np.flatnonzero(self.key == self.key[a])] = 2
            seen[a], seen[n + a] = 3, 4
            views = flow.refine(self.whole, seen)[: len(self.key)]
            partners = np.unique(views, return_index=True)[1].tolist()
            found += [(a, b) for b in partners if b != a and self.key[b] == self.key[a]]
        return found


CHECKS = (unjoined, leaf_ratio, spine_ratio, reachable, bisection)
