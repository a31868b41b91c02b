"""What a network has to carry, as numbers: the intent and the catalogue without names of fields or devices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from math import gcd

from fabric.catalogue import Catalogue
from fabric.catalogue.models import Switch
from fabric.catalogue.prices import Prices
from fabric.design import NetworkDesign, Tier
from fabric.errors import InputError, Problem
from fabric.intent import Intent, NetworkIntent
from fabric.lanes import nic_lanes, switch_lanes
from fabric.population import Member, asked, on_network, primary_network
from planner.build_seats import installed_spares

COPPER = frozenset({"dac", "acc", "aec", "aoc", "copper"})
"""Media whose ends carry no separate transceiver."""


@dataclass(frozen=True)
class HostClass:
    """Hosts alike on a network; the letters are those of docs/sizing.md."""

    groups: tuple[str, ...]
    hosts: int
    """N"""
    spares: int
    """σ, a segment"""
    rails: int
    """R"""
    ports: int
    """Ports of one NIC."""
    speed_gbps: int
    """h"""
    oversubscription: Fraction
    """o_leaf"""
    cages: tuple[int, ...]
    """Bandwidth of each pluggable cage of one host, Gb/s; empty for rj45."""
    rj45: bool
    lanes: frozenset[int]
    """Numbers of lanes on which a NIC port runs; empty for rj45."""
    segment_hosts: int | None = None


@dataclass(frozen=True)
class Extra:
    """Links that leave the network: ``count`` (a leaf for uplinks, in all for attached ones) of ``speed_gbps``."""

    count: int
    speed_gbps: int
    to: str = ""
    lanes: frozenset[int] = frozenset()
    """Numbers of lanes on which the other end runs; empty where it is not ours."""


@dataclass(frozen=True)
class Demand:
    """One network to be sized."""

    network: str
    technology: str
    layout: str
    """rail-optimized, rail-only, top-of-rack; auto is rail-optimized with every choice of rails a leaf."""
    layout_auto: bool
    tiers: tuple[int, ...]
    tiers_auto: bool
    planes: int
    planes_join: str
    classes: tuple[HostClass, ...]
    rails_per_leaf: int | None
    candidates: dict[Tier, tuple[Switch, ...]]
    leaf_uplink_gbps: int | None
    spine_uplink_gbps: int | None
    spine_oversubscription: Fraction
    reserve_leaf: bool
    reserve_spine: bool
    free_leaf_ports: int
    max_segments: int
    min_spines: int
    service_ports: int
    interswitch: Fraction
    external: Extra
    attached: Extra
    copper_only: bool
    objective: str
    prices: Prices

    @property
    def single_class(self) -> HostClass | None:
        """The one class that a single tier can serve: all classes, if they differ only in oversubscription."""
        first = self.classes[0]
        if any(
            replace(c, groups=(), hosts=0, oversubscription=Fraction(1))
            != replace(first, groups=(), hosts=0, oversubscription=Fraction(1))
            for c in self.classes
        ):
            return None
        return replace(
            first,
            groups=tuple(g for c in self.classes for g in c.groups),
            hosts=sum(c.hosts for c in self.classes),
            oversubscription=min(c.oversubscription for c in self.classes),
        )


def demand(
    intent: Intent,
    catalogue: Catalogue,
    prices: Prices,
    network: str,
    decided: dict[str, NetworkDesign],
    attached: int = 0,
) -> Demand:
    """What ``network`` has to carry, given the networks ``decided`` before it.

    ``attached`` is the number of links that leaves of oob have on leaves of this network. Raises InputError where
    hosts and network do not fit.
    """
    wanted = asked(intent, network)
    members = on_network(intent, catalogue, network)
    classes = (
        _oob_class(intent, catalogue, decided)
        if network == "oob"
        else _classes(intent, catalogue, network, members, decided)
    )
    if not classes:
        raise InputError(
            Problem(
                f"networks.{network}",
                "no host group has a NIC on this network",
                "remove the network, or give a group NICs on it",
            )
        )
    spine_given = wanted.oversubscription.spine_given
    return Demand(
        network=network,
        technology=wanted.technology,
        layout="rail-optimized" if wanted.layout == "auto" else wanted.layout,
        layout_auto=wanted.layout == "auto",
        tiers=_tiers(network, wanted),
        tiers_auto=wanted.tiers == "auto",
        planes=_planes(network, wanted, classes),
        planes_join=wanted.planes_join,
        classes=classes,
        rails_per_leaf=None if wanted.rails_per_leaf == "auto" else wanted.rails_per_leaf,
        candidates={tier: _models(catalogue, wanted, tier) for tier in ("leaf", "spine", "core")},
        leaf_uplink_gbps=_number(wanted.uplink_speed_gbps.leaf),
        spine_uplink_gbps=_number(wanted.uplink_speed_gbps.spine),
        spine_oversubscription=wanted.oversubscription.spine_or(1),
        reserve_leaf=wanted.tiers == 1 and wanted.oversubscription.leaf_given,
        reserve_spine=wanted.tiers == 2 and spine_given,
        free_leaf_ports=wanted.free_leaf_ports,
        max_segments=0 if wanted.max_segments == "auto" else wanted.max_segments,
        min_spines=wanted.min_spines,
        service_ports=_service_ports(network, members, classes),
        interswitch=Fraction(wanted.interswitch),
        external=_external(wanted),
        attached=_attached(intent, catalogue, network, attached),
        copper_only=_copper_only(wanted),
        objective=intent.objective,
        prices=prices,
    )


def _number(value: int | str) -> int | None:
    return None if value == "auto" else int(value)


def _tiers(network: str, wanted: NetworkIntent) -> tuple[int, ...]:
    if wanted.tiers != "auto":
        return (int(wanted.tiers),)
    return (1,) if network == "oob" else (1, 2, 3)


def _models(catalogue: Catalogue, wanted: NetworkIntent, tier: Tier) -> tuple[Switch, ...]:
    """The candidates of a tier: those named, else all of the technology that run the network's operating system."""
    named = wanted.switches.get(tier)
    if named:
        return tuple(catalogue.switches[name] for name in named)
    return tuple(s for s in catalogue.switches.values() if wanted.technology in s.technologies and wanted.nos in s.nos)


def _copper_only(wanted: NetworkIntent) -> bool:
    media = wanted.media
    if media == "auto":
        return False
    lists = media.values() if isinstance(media, dict) else [media]
    return all(m in COPPER for entry in lists for m in entry)


def _external(wanted: NetworkIntent) -> Extra:
    up = wanted.uplinks
    return Extra(up.count, up.speed_gbps, up.to) if up else Extra(0, 0)


def _attached(intent: Intent, catalogue: Catalogue, network: str, links: int) -> Extra:
    """Uplinks of another network on leaves of this one: all models that may be its leaf must be able to join."""
    for name, other in intent.networks.items():
        if other.uplinks and other.uplinks.to == network:
            speed = other.uplinks.speed_gbps
            runs = [
                frozenset().union(*(switch_lanes(g, m) for g in model.cages for m in g.modes if m.speed_gbps == speed))
                for model in _models(catalogue, asked(intent, name), "leaf")
            ]
            known = [lanes for lanes in runs if lanes]
            return Extra(links, speed, lanes=frozenset.intersection(*known) if known else frozenset())
    return Extra(0, 0)


def _planes(network: str, wanted: NetworkIntent, classes: tuple[HostClass, ...]) -> int:
    planes = reduce(gcd, (c.ports for c in classes)) if wanted.planes == "auto" else int(wanted.planes)
    uneven = [c for c in classes if c.ports % planes]
    if uneven:
        raise InputError(
            Problem(
                f"networks.{network}.planes",
                f"{planes} planes do not divide the {c.ports} ports of a NIC of {', '.join(c.groups)}",
                f"use one of {', '.join(str(p) for p in range(1, c.ports + 1) if c.ports % p == 0)}",
            )
            for c in uneven
        )
    return planes


def _installed(
    intent: Intent, catalogue: Catalogue, network: str, member: Member, decided: dict[str, NetworkDesign]
) -> tuple[int, int]:
    """(hosts, spares a segment) of a group on a network; where it is not the primary one, spares are hosts."""
    group = member.group
    if not group.spares_per_segment:
        return group.count, 0
    home = primary_network(intent, catalogue, group)
    if home == network:
        return group.count, group.spares_per_segment
    counts = {g.name: g.count for g in intent.hosts}
    classes = decided[home].classes if home in decided else ()
    spares = sum(installed_spares(c, counts)[group.name] for c in classes if group.name in c.groups)
    return group.count + spares, 0


def _classes(
    intent: Intent, catalogue: Catalogue, network: str, members: Iterable[Member], decided: dict[str, NetworkDesign]
) -> tuple[HostClass, ...]:
    wanted = asked(intent, network)
    segment = None if wanted.segment_hosts == "auto" else int(wanted.segment_hosts)
    pooled: dict[HostClass, HostClass] = {}
    for member in members:
        if member.service:
            continue
        hosts, spares = _installed(intent, catalogue, network, member, decided)
        first = member.nics[0]
        _alike(network, member)
        alone = HostClass(
            groups=(),
            hosts=0,
            spares=spares,
            rails=member.nic_count,
            ports=first.ports,
            speed_gbps=first.speed_gbps,
            oversubscription=wanted.oversubscription.leaf_for(member.group.role),
            cages=_host_cages(member),
            rj45=first.cage == "rj45",
            lanes=frozenset.intersection(*(nic_lanes(nic) for nic in member.nics))
            if first.cage != "rj45"
            else frozenset(),
            segment_hosts=segment,
        )
        old = pooled.get(alone, alone)
        pooled[alone] = replace(old, groups=(*old.groups, member.group.name), hosts=old.hosts + hosts)
    return tuple(pooled.values())


def _alike(network: str, member: Member) -> None:
    kinds = {(nic.ports, nic.speed_gbps, nic.cage == "rj45") for nic in member.nics}
    if len(kinds) > 1:
        text = ", ".join(f"{n.count} × {n.ports} × {n.speed_gbps}G ({n.name})" for n in member.nics)
        raise InputError(
            Problem(
                f"networks.{network}",
                f"hosts of group {member.group.name} have unlike NICs on it: {text}",
                "say how many in the group's `networks`, or split the model in a catalogue file of yours",
            )
        )


def _host_cages(member: Member) -> tuple[int, ...]:
    return tuple(
        nic.speed_gbps * nic.ports_per_cage
        for nic in member.nics
        if nic.cage != "rj45"
        for _ in range(-(-nic.count * nic.ports // nic.ports_per_cage))
    )


def _service_ports(network: str, members: Iterable[Member], classes: tuple[HostClass, ...]) -> int:
    services = [m for m in members if m.service]
    fastest = max(c.speed_gbps for c in classes)
    wrong = [
        Problem(
            f"hosts[{m.group.name}]",
            f"its {nic.speed_gbps}G NIC takes a host port of network {network}, whose hosts have {fastest}G",
            "give it a NIC that is not faster",
        )
        for m in services
        for nic in m.nics
        if nic.speed_gbps > fastest
    ]
    if wrong:
        raise InputError(wrong)
    return sum(m.port_count * m.group.count for m in services)


def endpoints(intent: Intent, catalogue: Catalogue, decided: dict[str, NetworkDesign]) -> dict[str, int]:
    """What the out-of-band network reaches: NICs of ``hosts``, management ports of ``switches``, ``pdus``."""
    hosts = 0
    for member in on_network(intent, catalogue, "oob"):
        count, _ = _installed(intent, catalogue, "oob", member, decided)
        hosts += count * member.port_count
    switches = sum(
        plan * catalogue.switches[model].management.ports
        for design in decided.values()
        if design.network != "oob"
        for model, plan in _switches_by_model(design).items()
    )
    return {"hosts": hosts, "switches": switches, "pdus": pdus(intent)}


def pdus(intent: Intent) -> int:
    """Power distribution units of the site: those of every rack place that is not occupied; 0 without a site."""
    site = intent.site
    return 0 if site is None else (site.rows * site.racks_per_row - len(site.occupied)) * site.pdus_per_rack


def _switches_by_model(design: NetworkDesign) -> dict[str, int]:
    counts = design.counts()
    plans = {"leaf": design.classes[0].leaf, "spine": design.spine, "core": design.core}
    found: dict[str, int] = {}
    for tier, plan in plans.items():
        if plan is not None:
            found[plan.model] = found.get(plan.model, 0) + counts[tier]
    return found


def _oob_class(intent: Intent, catalogue: Catalogue, decided: dict[str, NetworkDesign]) -> tuple[HostClass, ...]:
    """All endpoints as one class of hosts with one rj45 NIC; its speed is the fastest of them."""
    wanted = asked(intent, "oob")
    members = on_network(intent, catalogue, "oob")
    speeds = [nic.speed_gbps for m in members for nic in m.nics]
    speeds += [
        catalogue.switches[model].management.speed_gbps for d in decided.values() for model in _switches_by_model(d)
    ]
    total = sum(endpoints(intent, catalogue, decided).values())
    if not total:
        return ()
    segment = None if wanted.segment_hosts == "auto" else int(wanted.segment_hosts)
    return (
        HostClass(
            groups=tuple(m.group.name for m in members),
            hosts=total,
            spares=0,
            rails=1,
            ports=1,
            speed_gbps=max([1, *speeds]),
            oversubscription=Fraction(1),
            cages=(),
            rj45=True,
            lanes=frozenset(),
            segment_hosts=segment,
        ),
    )
