"""Do the hashes of two tiers choose alike: the planned hash configuration, tried on flows between the plan's own hosts.

A leaf sends a flow to a spine by its hash; a spine then chooses among its own uplinks, or among the parallel links of a
trunk, by its hash. Where both hashes are the same function, or CRCs that differ in their seeds only, the flows that
meet at a spine agree again and some of its links stay idle. So: flows with the planned addresses are sent through one
representative leaf's members, the spines' and the cores', in the order of the ports; the load on the later choice is
compared with what the same hash gives where the earlier choices are independent of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.addressing import addresses
from fabric.ecmp_hash import TierHash, hash_of
from fabric.errors import RailwrightError
from fabric.findings import CODES, Finding
from fabric.hashing import TCP, UDP, Bytes, EcmpHash, five_tuples, murmur3

if TYPE_CHECKING:
    from fabric.checking.view import View
    from fabric.design import NetworkDesign
    from fabric.plan import Plan

Ints = npt.NDArray[np.int64]
HashOf = Callable[["Plan", str, str, str | None], TierHash | None]

TOLERATED = 1.5
"""A link may carry this much more than with independent hashes; a hash of a few bits is uneven by itself."""
SOURCES, DESTINATIONS, FLOWS = 128, 16, 65_536
"""Host ports that send, ports that each sends to, and flows in all, at most; what is left over is queue pairs."""
ROCE_PORT = 4791
FIRST_ROCE_SOURCE_PORT, ROCE_SOURCE_PORTS = 0xC000, 0x4000
"""Where RoCE drivers put the flow label (Linux, ``rdma_flow_label_to_udp_sport``)."""
FIRST_PORT, PORTS = 32768, 28232
"""Linux' ephemeral ports, for networks that are not RoCE."""

CODE = CODES["ecmp-polarised"]


@dataclass(frozen=True)
class Stage:
    """A choice that comes after others: which switch each flow is at, and how many links it has to choose from."""

    tier: str
    towards: str
    at: Ints
    independent: Ints
    """The same where the earlier choices had independent hashes."""
    members: int


def polarised(view: View, hashes: HashOf = hash_of) -> Iterator[Finding]:
    """One finding a network and choice that earlier choices spoil."""
    for name, network in view.networks.items():
        if name != "oob" and network.spine is not None and network.technology != "infiniband":
            yield from _network(view, name, network, hashes)


def _network(view: View, name: str, network: NetworkDesign, hashes: HashOf) -> Iterator[Finding]:
    chosen = {tier: _hash(view, network, tier, hashes) for tier in ("leaf", "spine", "core")}
    wiring = _wiring(view, name)
    if wiring is None or chosen["leaf"] is None or chosen["spine"] is None:
        return
    keys = _flows(view, name, network, wiring)
    if keys is None:
        return
    for stage in _stages(network, wiring, keys, chosen):
        own = chosen[stage.tier]
        assert own is not None
        picked = own.hash.pick(keys, stage.members)
        factor, used = _load(stage.at, picked, stage.members)
        alone, _ = _load(stage.independent, picked, stage.members)
        if factor > TOLERATED * alone:
            subject = {"network": name, "tier": stage.tier, "towards": stage.towards}
            tiers = {tier: str(found) for tier, found in chosen.items() if found and _has(network, tier)}
            evidence = {
                "factor": round(factor, 2), "factor_if_independent": round(alone, 2),
                "links": stage.members, "links_used": used, "flows": len(keys), "hashes": tiers,
            }  # fmt: skip
            yield Finding(CODE.name, CODE.cause, CODE.severity, subject, evidence, advice=CODE.link)


def _has(network: NetworkDesign, tier: str) -> bool:
    return network.counts()[tier] > 0


def _hash(view: View, network: NetworkDesign, tier: str, hashes: HashOf) -> TierHash | None:
    plans = {"leaf": network.classes[0].leaf, "spine": network.spine, "core": network.core}
    switch = plans[tier]
    return hashes(view.plan, tier, network.nos, switch.model if switch else None)


@dataclass(frozen=True)
class Wiring:
    """The choices of one leaf and of the spines above it, as wired; members in the order of their ports."""

    spines: Ints
    """Device at the far end of each of the leaf's up links."""
    leaves: Ints
    """All leaves below these spines."""
    cores: dict[int, Ints]
    """By spine: device at the far end of each of its up links."""


def _wiring(view: View, name: str) -> Wiring | None:
    """None where no switch has up links to choose from."""
    links = view.links.filter(pl.col("network") == name).sort("a_port")
    ups = links.filter(pl.col("tier") == "leaf-spine").drop_nulls(["a_device", "b_device"])
    if not ups.height:
        return None
    spines = ups.filter(pl.col("a_device") == ups["a_device"].min())["b_device"].to_numpy().astype(np.int64)
    leaves = ups.filter(pl.col("b_device").is_in(np.unique(spines)))["a_device"].unique().sort()
    above = links.filter(pl.col("tier") == "spine-core").drop_nulls(["a_device", "b_device"])
    above = above.filter(pl.col("a_device").is_in(np.unique(spines)))
    cores = {
        int(spine): rows["b_device"].to_numpy().astype(np.int64)
        for (spine,), rows in above.group_by(["a_device"], maintain_order=True)
    }
    return Wiring(spines, leaves.to_numpy().astype(np.int64), cores if set(cores) == set(spines.tolist()) else {})


def _flows(view: View, name: str, network: NetworkDesign, wiring: Wiring) -> Bytes | None:
    """Keys of flows from hosts below the leaves to others; None where there are no such pairs or no addresses."""
    try:
        ports = addresses(view.plan).host_ports.filter(pl.col("network") == name)
    except (RailwrightError, pl.exceptions.PolarsError, LookupError, ValueError):
        return None  # tables so damaged, or pools too small, have findings and errors of their own
    pairs = _pairs(ports, wiring.leaves)
    if not pairs:
        return None
    queue_pairs = min(max(FLOWS // len(pairs), 1), 1024)
    ends = np.repeat(np.array(pairs, dtype=np.uint32), queue_pairs, axis=0)
    stir = _stir(np.arange(len(ends)), 0)
    if network.technology == "roce":
        source_ports = FIRST_ROCE_SOURCE_PORT + stir % ROCE_SOURCE_PORTS
        return five_tuples(ends[:, 0], ends[:, 1], source_ports, ROCE_PORT, UDP)
    return five_tuples(ends[:, 0], ends[:, 1], FIRST_PORT + stir % PORTS, FIRST_PORT + stir // PORTS % PORTS, TCP)


def _stir(numbers: npt.NDArray[np.int64], seed: int) -> Ints:
    """Numbers as good as random, the same in every run."""
    words = np.ascontiguousarray(numbers.astype("<u4"))
    return murmur3(words.view(np.uint8).reshape(-1, 4), seed).astype(np.int64)


def _pairs(ports: pl.DataFrame, leaves: Ints) -> list[tuple[int, int]]:
    """Addresses of ports below the leaves, and of ports behind others (behind another of them, where there are none).

    Both are drawn by hash, for a fixed step would leave address bits that never change; to each source belong ports of
    its rail and plane, and of its plane where its rail has none.
    """
    drawn = ports.select("leaf", "rail", "plane", "ipv4")[_stir(np.arange(ports.height), 0).argsort(kind="stable")]
    near = pl.col("leaf").is_in(leaves)
    far = drawn.filter(~near)
    far = far if far.height else drawn
    by_rail = {key: rows.rows() for key, rows in far.partition_by("rail", "plane", as_dict=True).items()}
    by_plane = {key: rows.rows() for key, rows in far.partition_by("plane", as_dict=True).items()}
    pairs = []
    for number, (leaf, rail, plane, address) in enumerate(drawn.filter(near).head(SOURCES).iter_rows()):
        found = _others(by_rail.get((rail, plane), []), leaf, number) or _others(
            by_plane.get((plane,), []), leaf, number
        )
        pairs += [(int(IPv4Address(address)), int(IPv4Address(other))) for other in found]
    return pairs


def _others(rows: list[tuple[int, int, int, str]], leaf: int, number: int) -> list[str]:
    """Addresses behind other leaves, a run of them that starts elsewhere for each source."""
    start = number * DESTINATIONS % max(len(rows), 1)
    turned = rows[start : start + 4 * DESTINATIONS] + rows[: 4 * DESTINATIONS]
    return [row[3] for row in turned if row[0] != leaf][:DESTINATIONS]


def _stages(network: NetworkDesign, wiring: Wiring, keys: Bytes, chosen: dict[str, TierHash | None]) -> Iterator[Stage]:
    """Choices of spines and cores: their uplinks, and the parallel links of a trunk downwards."""
    leaf, spine = chosen["leaf"], chosen["spine"]
    assert leaf is not None
    assert spine is not None
    at = wiring.spines[leaf.hash.pick(keys, len(wiring.spines))]
    independent = wiring.spines[EcmpHash("murmur3", 1).pick(keys, len(wiring.spines))]
    trunk = network.classes[0].trunk
    if trunk > 1:
        yield Stage("spine", "leaf", at, independent, trunk)
    if not wiring.cores:
        return
    members = min(len(cores) for cores in wiring.cores.values())
    if members > 1:
        yield Stage("spine", "core", at, independent, members)
    if network.core_trunk > 1 and chosen["core"] is not None:
        cores = _above(wiring, at, spine.hash.pick(keys, members))
        free = _above(wiring, independent, EcmpHash("murmur3", 2).pick(keys, members))
        yield Stage("core", "spine", cores, free, network.core_trunk)


def _above(wiring: Wiring, at: Ints, picked: Ints) -> Ints:
    """The core at the far end of the picked link of each flow's spine."""
    spines, index = np.unique(at, return_inverse=True)
    width = min(len(wiring.cores[spine]) for spine in spines.tolist())
    table = np.stack([wiring.cores[spine][:width] for spine in spines.tolist()])
    found: Ints = table[index, picked]
    return found


def _load(at: Ints, picked: Ints, members: int) -> tuple[float, int]:
    """The busiest link's load over an even share, the mean of the switches; and links used, the least of them.

    Switches with fewer flows than links do not count.
    """
    switches, index = np.unique(at, return_inverse=True)
    loads = np.bincount(index * members + picked, minlength=len(switches) * members).reshape(-1, members)
    loads = loads[loads.sum(axis=1) >= members]
    if not len(loads):
        return 1.0, members
    return float((loads.max(axis=1) / loads.mean(axis=1)).mean()), int((loads > 0).sum(axis=1).min())


CHECKS = (polarised,)
