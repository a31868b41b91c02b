"""The ways between leaves: over a spine, over a pair of spines and their cores, or over a pair's own links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from fabric.plan import Plan
from planner.borrowing.problem import Bools, Floats, Ints, Way

Key = tuple[int | tuple[int, ...], int | tuple[int, ...]]
"""Sender and receiver: a switch, or several that count as one."""
SWITCHES = ("leaf-leaf", "leaf-spine", "spine-core")


@dataclass
class Trunks:
    """Live links between switches, parallel ones together, each direction by itself.

    ``gbps`` and ``load_gbps``: by sender and receiver. Links of a leaf to spines that are alike count as one, which
    changes no optimum (what is best spreads evenly over equal links); so do those of a spine to its cores. ``numbers``
    grows as ways are asked for.
    """

    gbps: dict[tuple[int, int], float]
    load_gbps: dict[tuple[int, int], float]
    names: tuple[str, ...]
    above: dict[int, list[int]]
    numbers: dict[Key, int] = field(default_factory=dict)
    _gbps: list[float] = field(default_factory=list)
    _load: list[float] = field(default_factory=list)
    _name: list[str] = field(default_factory=list)

    @property
    def links(self) -> tuple[Floats, Floats, tuple[str, ...]]:
        """Capacity, load and name of every link that a way asked for so far passes."""
        return np.array(self._gbps), np.array(self._load), tuple(self._name)

    def between(self, here: Ints, there: Ints) -> Mapping[tuple[int, int], tuple[Way, ...]]:
        """Ways by leaf here and leaf there."""
        alike = self._alike(sorted({*here.tolist(), *there.tolist()}))
        pairs = {(one, other) for one in here.tolist() for other in there.tolist()}
        return {pair: self._ways(*pair, alike) for pair in sorted(pairs)}

    def _ways(self, one: int, other: int, alike: Mapping[int, int]) -> tuple[Way, ...]:
        if one == other:
            return ((),)
        if (one, other) in self.gbps:
            return ((self._link(one, other),),)
        mine, theirs = self.above.get(one, []), set(self.above.get(other, []))
        if common := [spine for spine in mine if spine in theirs]:
            groups = {alike[spine]: tuple(s for s in common if alike[s] == alike[spine]) for spine in common}
            return tuple((self._bundle(one, g, up=True), self._bundle(other, g, up=False)) for g in groups.values())
        found = []
        for spine in mine:
            cores = set(self.above.get(spine, []))
            for far in sorted(theirs) if cores else ():
                if shared := tuple(sorted(cores & set(self.above.get(far, [])))):
                    middle = self._bundle(spine, shared, up=True), self._bundle(far, shared, up=False)
                    found.append((self._link(one, spine), *middle, self._link(far, other)))
        return tuple(found)

    def _link(self, sender: int, receiver: int) -> int:
        key = (sender, receiver)
        if key not in self.numbers:
            self._add(
                key, self.gbps[key], self.load_gbps.get(key, 0.0), f"{self.names[sender]} to {self.names[receiver]}"
            )
        return self.numbers[key]

    def _alike(self, leaves: list[int]) -> dict[int, int]:
        """By spine the first spine with the same links and loads to all leaves in question."""
        found: dict[tuple[object, ...], int] = {}
        alike = {}
        for spine in sorted({spine for leaf in leaves for spine in self.above.get(leaf, [])}):
            ends = [key for leaf in leaves for key in ((leaf, spine), (spine, leaf))]
            signature = (*(self.gbps.get(end) for end in ends), *(self.load_gbps.get(end) for end in ends))
            alike[spine] = found.setdefault(signature, spine)
        return alike

    def _bundle(self, low: int, above: tuple[int, ...], *, up: bool) -> int:
        """Links of a switch to several above it (or back) that count as one."""
        key = (low, above) if up else (above, low)
        if key not in self.numbers:
            trunks = [(low, switch) if up else (switch, low) for switch in above]
            others = self.names[above[0]] + (f" and {len(above) - 1} others" if len(above) > 1 else "")
            name = f"{self.names[low]} to {others}" if up else f"{others} to {self.names[low]}"
            self._add(key, sum(self.gbps[t] for t in trunks), sum(self.load_gbps.get(t, 0.0) for t in trunks), name)
        return self.numbers[key]

    def _add(self, key: Key, gbps: float, load: float, name: str) -> None:
        self.numbers[key] = len(self._gbps)
        self._gbps.append(gbps)
        self._load.append(load)
        self._name.append(name)


def trunks_of(plan: Plan, network: str, alive: Bools, load_gbps: Mapping[int, float]) -> Trunks:
    """What lives between the switches of a network; ``alive`` by link id, ``load_gbps`` by the port that sends."""
    links = plan.fabric.links.filter(pl.Series(alive, dtype=pl.Boolean))
    links = links.filter(
        (pl.col("network").cast(pl.String) == network) & pl.col("tier").cast(pl.String).is_in(SWITCHES)
    )
    gbps: dict[tuple[int, int], float] = {}
    load: dict[tuple[int, int], float] = {}
    above: dict[int, list[int]] = {}
    together = links.group_by("a_device", "b_device", maintain_order=True).agg(
        pl.col("speed_gbps").sum(), "a_port", "b_port", tier=pl.col("tier").cast(pl.String).first()
    )
    for a, b, speed, a_ports, b_ports, tier in together.iter_rows():
        for sender, receiver, ports in ((a, b, a_ports), (b, a, b_ports)):
            gbps[sender, receiver] = float(speed)
            load[sender, receiver] = sum(load_gbps.get(port, 0.0) for port in ports)
        if tier != "leaf-leaf":
            above.setdefault(a, []).append(b)
    return Trunks(gbps, load, tuple(plan.fabric.device_names()), above)
