"""What the faults of a moment do to the network and to its flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.endpoints import endpoints, stirred
from planner.simulate.events import Storms
from planner.simulate.faults import Fault, link_of
from planner.simulate.flows import FIRST_PORT, PORTS, Flows, flows
from planner.simulate.job import Stage
from planner.simulate.kept import kept
from planner.simulate.paths import Routing, routing, tier_hashes
from planner.simulate.wires import LEVELS, Wires, wires

if TYPE_CHECKING:
    from fabric.flowfile import Dead
    from fabric.hashing import EcmpHash
    from fabric.plan import Plan
    from planner.simulate.wires import Ints

SHARE = 0.5
"""Of its speed that a slow thing keeps, where the script does not say."""
SENDERS = 16
BELOW = {"spine": "leaf", "core": "spine"}
"""The tier whose hash a polarised tier shares."""


@dataclass
class Effects:
    """Links that are down, channels that lost speed or stand still, hashes that are not the planned ones."""

    dead: set[int] = field(default_factory=set)
    slower: dict[int, float] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    spreads: bool = False
    hashes: dict[int, EcmpHash] = field(default_factory=dict)
    incasts: list[Flows] = field(default_factory=list)
    ports: int | None = None
    step: int | None = None

    @property
    def storms(self) -> Storms | None:
        """The storms of the moment, if any."""
        return Storms(np.array(self.held, dtype=np.int64), drained=not self.spreads) if self.held else None

    def stages(self, tracks: Sequence[Sequence[Stage]]) -> list[list[Stage]]:
        """The workload with the ports that it has now, and incasts as tracks of their own."""
        made: dict[int, Flows] = {}
        for track in tracks:
            for stage in track:
                made.setdefault(id(stage.flows), self._ported(stage.flows))
        found = [[replace(stage, flows=made[id(stage.flows)]) for stage in track] for track in tracks]
        return found + [[Stage(-1, 0, many)] for many in self.incasts]

    def _ported(self, many: Flows) -> Flows:
        if self.ports is not None:
            return replace(many, src_port=FIRST_PORT + many.src_port % self.ports)
        if self.step is not None:
            return replace(many, src_port=FIRST_PORT + np.arange(len(many)) * self.step % PORTS)
        return many


def effects(whole: Wires, faults: Sequence[Fault]) -> Effects:
    """All faults of a moment together; ``whole`` is the network without them."""
    found = Effects()
    for fault in faults:
        _apply(found, whole, fault)
    return found


def degraded(plan: Plan, network: str, now: Effects, dead: Dead | None) -> Routing:
    """The network with the effects, and with what does not work anyway."""
    down = dead.dead_links(plan) if dead else np.zeros(plan.fabric.links.height, dtype=np.bool_)
    down[list(now.dead)] = True
    return routing(wires(plan, network, down, now.slower), now.hashes)


def _apply(found: Effects, whole: Wires, fault: Fault) -> None:
    kind = fault.kind
    if kind in ("link-down", "link-flap"):
        found.dead.add(_link(whole, fault)[0])
    elif kind == "slow-link":
        link, _ = _link(whole, fault)
        _slow(found, whole, np.array([2 * link, 2 * link + 1]), fault.share or SHARE)
    elif kind in ("slow-receiver", "slow-rail", "pfc-storm"):
        _host(found, whole, fault)
    elif kind == "polarised-hash":
        _polarise(found, whole, fault.tier or "spine")
    elif kind == "low-entropy":
        found.ports = fault.ports or 1
    elif kind == "regular-ports":
        found.step = fault.step or 16
    elif kind == "incast":
        found.incasts.append(incast(whole, fault))
    elif kind == "reboot":
        found.dead |= set(links_of(whole, fault).tolist())
    elif kind == "config-drift":
        _drift(found, whole, fault)


def _link(whole: Wires, fault: Fault) -> tuple[int, int]:
    return link_of(whole.plan, fault.device or "", fault.port or "")


def device_of(whole: Wires, name: str | None) -> int:
    """Device id of a name."""
    fabric = whole.plan.fabric
    return kept(whole.plan, ("device", name), lambda: int((fabric.device_names() == name).arg_max() or 0))


def links_of(whole: Wires, fault: Fault) -> Ints:
    """Links of the fault's device on this network."""
    device = device_of(whole, fault.device)
    ends = (whole.tail == device) | (whole.head == device)
    return np.unique(np.flatnonzero(ends) // 2)


def rail_links(whole: Wires, host: str | None, rail: int | None) -> Ints:
    """Links of a host's rail, one a port of its NIC."""
    found = endpoints(whole).link[device_of(whole, host), rail or 0]
    return np.unique(found[found >= 0]).astype(np.int64)


def _slow(found: Effects, whole: Wires, channels: Ints, share: float) -> None:
    for channel in channels.tolist():
        speed = float(whole.gbps[channel]) * share
        found.slower[channel] = min(found.slower.get(channel, np.inf), speed)


def _host(found: Effects, whole: Wires, fault: Fault) -> None:
    """A host that takes less than its line rate (``slow-receiver``), sends less too, or takes nothing."""
    links = rail_links(whole, fault.host, fault.rail)
    if fault.kind == "pfc-storm":
        found.held += (2 * links + 1).tolist()
        found.spreads = found.spreads or fault.watchdog is False
        return
    channels = 2 * links + 1 if fault.kind == "slow-receiver" else np.concatenate([2 * links, 2 * links + 1])
    _slow(found, whole, channels, fault.share or SHARE)


def _polarise(found: Effects, whole: Wires, tier: str) -> None:
    """A tier that hashes as the tier below it does."""
    hashes = tier_hashes(whole)
    for device in np.flatnonzero(whole.level == LEVELS[tier]).tolist():
        found.hashes[device] = hashes[BELOW[tier]]


def _drift(found: Effects, whole: Wires, fault: Fault) -> None:
    """A switch whose hash lacks the ports, a NIC on half its PCIe lanes; other settings show in counters alone."""
    device = device_of(whole, fault.device)
    if fault.setting == "hash" and whole.level[device] > 0:
        tier = next(name for name, level in LEVELS.items() if level == whole.level[device])
        found.hashes[device] = replace(tier_hashes(whole)[tier], fields=("src_ip", "dst_ip"))
    elif fault.setting == "pcie":
        _slow(found, whole, np.flatnonzero((whole.tail == device) | (whole.head == device)), SHARE)


def incast(whole: Wires, fault: Fault) -> Flows:
    """Endless flows at line rate from so many hosts of other places to one rail of one host."""
    fabric = whole.plan.fabric
    victim, rail = device_of(whole, fault.host), fault.rail or 0
    links = endpoints(whole).link[:, rail].max(axis=(1, 2))
    others = np.flatnonzero((links >= 0) & (fabric.hosts["gpus"].to_numpy() > 0) & ~fabric.hosts["spare"].to_numpy())
    others = others[others != victim]
    drawn = others[np.argsort(stirred(others, victim, seed=5), kind="stable")][: fault.senders or SENDERS]
    n = len(drawn)
    rails, zero = np.full(n, rail), np.zeros(n, dtype=np.int64)
    ends = (np.sort(drawn), zero, rails), (np.full(n, victim), zero, rails)
    made = flows(*ends, np.full(n, np.inf), zero, gbps=whole.gbps[2 * links[np.sort(drawn)]])
    return with_turns(made)


def with_turns(many: Flows) -> Flows:
    """The same, spread over planes in turn."""
    return replace(many, turn=np.arange(len(many)))
