"""What a set of lost links does to hosts, segments and flows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fabric.failing.climb import Climb
from fabric.failing.network import HOST, PAIR, SPINE, Floats, Ints, Network

LOST = ("hosts_cut", "hosts_degraded", "rails_lost")
LEFT = ("host_left", "segment_left", "pair_left", "rail_left")
NOTHING = float("nan")


@dataclass(frozen=True)
class Effect:
    """What one set of failures does; bandwidth left is a share of what was there, NaN where it does not apply."""

    hosts_cut: int = 0
    hosts_degraded: int = 0
    rails_lost: int = 0
    host_left: float = 1.0
    segment_left: float = 1.0
    pair_left: float = NOTHING
    rail_left: float = NOTHING

    def worst(self, other: Effect) -> Effect:
        """Each figure the worse of the two."""
        more: dict[str, Any] = {name: max(getattr(self, name), getattr(other, name)) for name in LOST}
        less: dict[str, Any] = {name: float(np.fmin(getattr(self, name), getattr(other, name))) for name in LEFT}
        return replace(self, **more, **less)

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts the worst first."""
        pair, rail = (1.0 if np.isnan(x) else x for x in (self.pair_left, self.rail_left))
        return (-self.hosts_cut, pair, self.segment_left, rail, self.host_left, -self.hosts_degraded)


class Effects:
    """Effects of lost links on one network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.climb = Climb(network) if (network.tier == SPINE).any() else None
        self._flows: dict[bytes, tuple[float, float]] = {}

    def of(self, lost: Ints) -> Effect:
        """What is left without the links ``lost`` (rows, each once)."""
        tier = self.network.tier[lost]
        hosts, above = lost[tier == HOST], lost[tier > HOST]
        pair, rail = self._between(above)
        segment = min(self._segments(hosts, HOST), self._segments(lost[tier == SPINE], SPINE))
        return Effect(**self._hosts(hosts), segment_left=segment, pair_left=pair, rail_left=rail)

    def _hosts(self, lost: Ints) -> dict[str, Any]:
        """Hosts with nothing left and with less; most rails that one host lost whole; the worst host's share."""
        if not len(lost):
            return {}
        host = self.network.column("a_device")[lost]
        left = self._left(host, lost, self._of_host)
        return {
            "hosts_cut": int((left <= 0).sum()),
            "hosts_degraded": int((left > 0).sum()),
            "rails_lost": self._rails(host, lost),
            "host_left": float(left.min()),
        }

    def _left(self, owner: Ints, lost: Ints, total: Floats) -> Floats:
        """Share left of each owner's Gb/s."""
        owners, place = np.unique(owner, return_inverse=True)
        gone = np.bincount(place, weights=self.network.gbps[lost])
        share: Floats = 1 - gone / total[owners]
        return share

    def _rails(self, host: Ints, lost: Ints) -> int:
        """A rail of a host is lost when its NIC has no link left; a management port counts as a rail."""
        nic = self.network.column("a_nic")[lost]
        nic = np.where(nic < 0, -2 - host, nic)
        nics, first, count = np.unique(nic, return_index=True, return_counts=True)
        dead = first[(nics < 0) | (count == self._links_of_nic[np.maximum(nics, 0)])]
        return int(np.unique(host[dead], return_counts=True)[1].max(initial=0))

    def _segments(self, lost: Ints, tier: int) -> float:
        """The worst segment's share of its links of a tier."""
        if not len(lost):
            return 1.0
        return float(self._left(self.network.column("leaf_segment")[lost], lost, self._of_segment[tier]).min())

    def _between(self, lost: Ints) -> tuple[float, float]:
        """Share left between two segments and between two leaves; of a single-tier pair, of the links between them."""
        if self.climb is None:
            total = float(self.network.gbps[self.network.tier == PAIR].sum())
            return (1 - float(self.network.gbps[lost].sum()) / total if total else NOTHING), NOTHING
        key = lost.tobytes()
        if key not in self._flows:
            self._flows[key] = self.climb.left(lost) if len(lost) else (1.0, 1.0)
        return self._flows[key]

    @cached_property
    def _of_host(self) -> Floats:
        return self._total("a_device", HOST)

    @cached_property
    def _of_segment(self) -> dict[int, Floats]:
        return {tier: self._total("leaf_segment", tier) for tier in (HOST, SPINE)}

    def _total(self, column: str, tier: int) -> Floats:
        """Gb/s of a tier's links by the id in a column."""
        mine = self.network.tier == tier
        owner = self.network.column(column)[mine]
        total = np.zeros(int(owner.max(initial=-1)) + 1)
        np.add.at(total, owner, self.network.gbps[mine])
        return total

    @cached_property
    def _links_of_nic(self) -> Ints:
        nic = self.network.column("a_nic")[self.network.tier == HOST]
        return np.bincount(nic[nic >= 0], minlength=1).astype(np.int64)
