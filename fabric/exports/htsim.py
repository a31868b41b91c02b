"""csg-htsim: the compute network as a ``.topo`` file (``sim/datacenter/fat_tree_topology.cpp``, ``load``).

The file says a fat tree by its numbers alone: every ToR alike and full, one speed a tier, one link a node. A node is
therefore a NIC port's place on a leaf, vacant ones included, leaf after leaf. Planes that never join, and with
rail-only the leaf positions, are trees of their own and all alike: the file is one of them. A plan that is no such tree
is an InputError that says why; the conditions are those of that file's ``set_custom_params`` and ``init_network``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from fabric.design import ClassDesign, NetworkDesign
    from fabric.plan import Plan

LATENCY_NS, SWITCH_LATENCY_NS = 1000, 0
"""Of htsim's own examples (``sim/datacenter/topologies/*.topo``); cables are not measured here."""
MOST_PORTS = (96, 64, 64)
"""Ports of a switch by tier that ``init_network`` asserts."""


@dataclass(frozen=True)
class Tier:
    """One tier of switches: ports of one switch, Gb/s of the down ports, parallel links to each switch below."""

    down: int
    up: int
    gbps: int
    bundle: int
    oversubscribed: int | None


@dataclass(frozen=True)
class Tree:
    """A fat tree, and how many such trees the plan has."""

    nodes: int
    pod: int
    tiers: tuple[Tier, ...]
    alike: int


def htsim(plan: Plan) -> bytes:
    """The topology file. Raises InputError where the compute network is no fat tree as htsim has them."""
    if "compute" not in plan.design.networks:
        raise InputError(Problem("", "csg-htsim simulates the compute network, and the plan has none"))
    network = plan.design.networks["compute"]
    return "\n".join(_lines(plan.intent.name, tree_of(network))).encode()


def tree_of(network: NetworkDesign) -> Tree:
    """The network as htsim has it. Raises InputError where it is no such tree."""
    if problems := list(_unfit(network)):
        raise InputError(problems)
    tree = _tree(network)
    if problems := list(_refused(tree)):
        raise InputError(problems)
    return tree


def _problem(what: str) -> Problem:
    return Problem("networks.compute", f"csg-htsim cannot say it: {what}")


def _unfit(network: NetworkDesign) -> Iterator[Problem]:
    """What has no words in the format at all."""
    if network.tiers not in (2, 3) or network.spine is None:
        yield _problem(f"{network.tiers} tiers; a fat tree has 2 or 3")
    if len(network.classes) != 1:
        yield _problem(f"{len(network.classes)} classes of hosts with leaves of their own; all leaves are alike there")
    if network.planes > 1 and network.planes_join != "never":
        yield _problem(f"planes that join at the {network.planes_join}; a node has one link there")
    if any(kind.segments % kind.segments_per_pod for kind in network.classes) and network.pods > 1:
        yield _problem("a last pod that is not full")


def _tree(network: NetworkDesign) -> Tree:
    (kind,) = network.classes
    leaves, alike = _leaves(network, kind)
    ports = (kind.segment_hosts + kind.spares_per_segment) * kind.rails_per_leaf * kind.ports_per_plane
    pods = network.pods if network.tiers == 3 else 1
    whole = leaves * kind.segments
    up = network.uplink_speed_gbps or 0
    tiers = [
        Tier(ports, kind.uplinks, kind.speed_gbps, 1, ports // kind.uplinks),
        Tier(whole // pods * kind.trunk, 0, up, kind.trunk, None),
    ]
    if network.tiers == 3:
        top = network.spine_uplink_speed_gbps or 0
        aggregate, links = whole // pods * kind.uplinks * up, network.spines_per_group * network.spine_uplinks * top
        tiers[1] = Tier(tiers[1].down, network.spine_uplinks, up, kind.trunk, aggregate // links)
        tiers.append(Tier(pods * network.core_trunk, 0, top, network.core_trunk, None))
    return Tree(whole * ports, whole * ports // pods, tuple(tiers), alike)


def _leaves(network: NetworkDesign, kind: ClassDesign) -> tuple[int, int]:
    """Leaves a segment in one tree, and how many trees there are."""
    if network.layout == "rail-only":
        return 1, network.planes * kind.leaves_per_plane
    return kind.leaves_per_plane, network.planes


def _refused(tree: Tree) -> Iterator[Problem]:
    """What htsim's own arithmetic refuses."""
    tor, agg, *core = tree.tiers
    if tor.gbps != agg.gbps or tor.down % tor.up:
        yield _problem(
            f"leaves of {tor.down} down links of {tor.gbps} Gb/s and {tor.up} up links of {agg.gbps} Gb/s; both speeds "
            "must be equal and the down links a multiple of the up links"
        )
    if core and agg.gbps * agg.down % (core[0].gbps * agg.up):
        yield _problem(
            f"spines of {agg.down} down links of {agg.gbps} Gb/s and {agg.up} up links of {core[0].gbps} Gb/s; the "
            "bandwidth down must be a multiple of that up"
        )
    for name, tier, most in zip(("leaf", "spine", "core"), tree.tiers, MOST_PORTS, strict=False):
        if tier.down + tier.up > most:
            yield _problem(f"a {name} with {tier.down + tier.up} linked ports; its switches have at most {most}")


def _lines(name: str, tree: Tree) -> Iterator[str]:
    yield f"# {name}, compute network. Nodes are the ports of leaves to hosts, leaf after leaf."
    if tree.alike > 1:
        yield f"# One of {tree.alike} trees that are alike and never join."
    yield from (f"Nodes {tree.nodes}", f"Tiers {len(tree.tiers)}", f"Podsize {tree.pod}")
    for number, tier in enumerate(tree.tiers):
        yield from ("", f"Tier {number}", f"Downlink_speed_Gbps {tier.gbps}", f"Radix_Down {tier.down}")
        if tier.up:
            yield f"Radix_Up {tier.up}"
        if tier.oversubscribed is not None:
            yield f"Oversubscribed {tier.oversubscribed}"
        yield from (f"Downlink_Latency_ns {LATENCY_NS}", f"Switch_Latency_ns {SWITCH_LATENCY_NS}")
        yield f"Bundle {tier.bundle}"
    yield ""
