"""Faults at places drawn by chance: one of a kind, or one at the place of another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np
import polars as pl

from benchmarks.detection.plans import NETWORK, plan_of, working_hosts
from fabric.plan import Plan
from planner.simulate.effects import incast
from planner.simulate.faults import Fault
from planner.simulate.wires import wires

T = TypeVar("T")
LEAST_ERRORS = 0.5
"""Bad codewords a second: fewer take longer than the deadline to tell from chance (docs/detection.md)."""
Fields = dict[str, Any]
"""Of a fault, as a script has them, without kind and times."""


@dataclass(frozen=True)
class End:
    """One end of a link: device, port, and the device and port at the other end."""

    device: str
    port: str
    far: str
    far_port: str


@dataclass(frozen=True)
class Places:
    """Where faults can be: ends of links below and above leaves, hosts that work, their rails, switches."""

    hosts: tuple[str, ...]
    rails: int
    switches: tuple[str, ...]
    below: tuple[End, ...]
    """The leaf's end of links to hosts that work."""
    above: tuple[End, ...]
    """Both ends of links between switches."""

    def at(self, device: str) -> Sequence[End]:
        """Ends of the links at a device, that end first."""
        return self._by_device.get(device, ())

    @cached_property
    def _by_device(self) -> Mapping[str, Sequence[End]]:
        turned = [End(end.far, end.far_port, end.device, end.port) for end in self.below]
        found: dict[str, list[End]] = {}
        for end in (*self.below, *turned, *self.above):
            found.setdefault(end.device, []).append(end)
        return found

    @cached_property
    def own(self) -> frozenset[str]:
        """The hosts."""
        return frozenset(self.hosts)

    @cached_property
    def leaves(self) -> frozenset[str]:
        """Switches with links to hosts that work."""
        return frozenset(end.device for end in self.below)

    @cached_property
    def host_ends(self) -> frozenset[tuple[str, str]]:
        """Device and port at both ends of hosts' links."""
        both = (((end.device, end.port), (end.far, end.far_port)) for end in self.below)
        return frozenset(end for ends in both for end in ends)


@cache
def places(name: str) -> Places:
    """The places of one of the suite's fabrics."""
    plan = plan_of(name)
    hosts = tuple(working_hosts(plan))
    own = set(hosts)
    ends = _ends(plan)
    below = tuple(end for end in ends if end.far in own)
    switches = dict.fromkeys(end.device for end in ends)
    above = tuple(end for end in ends if end.far in switches)
    number = plan.fabric.device_names().to_list().index(hosts[0])
    nics = plan.fabric.nics.filter((pl.col("host") == number) & (pl.col("network").cast(pl.String) == NETWORK))
    return Places(hosts, nics["rail"].n_unique(), tuple(switches), below, above)


def _ends(plan: Plan) -> list[End]:
    """Ends of the network's links at switches."""
    fabric = plan.fabric
    rows = fabric.links.filter((pl.col("network").cast(pl.String) == NETWORK) & pl.col("b_device").is_not_null())
    names, ports = fabric.device_names(), fabric.ports["name"]
    a = rows.select(d=names.gather(rows["a_device"]), p=ports.gather(rows["a_port"]))
    b = rows.select(d=names.gather(rows["b_device"]), p=ports.gather(rows["b_port"]))
    lower = (rows["a_device"] >= fabric.hosts.height).to_list()
    found = [End(*far, *near) for near, far in zip(a.iter_rows(), b.iter_rows(), strict=True)]
    return found + [
        End(*near, *far) for near, far, switch in zip(a.iter_rows(), b.iter_rows(), lower, strict=True) if switch
    ]


def senders(name: str, fields: Fields) -> set[str]:
    """Hosts that send in an incast."""
    plan = plan_of(name)
    many = incast(wires(plan, NETWORK), Fault(kind="incast", start=0, end=1, **fields))
    return set(plan.fabric.device_names().gather(many.src_host))


class Draw:
    """Faults by chance on one fabric."""

    def __init__(self, name: str, rng: np.random.Generator, busy: Collection[tuple[str, str]] = ()) -> None:
        """``busy``: devices and ports that receive traffic, for what is lost of it."""
        self.places, self.rng, self.busy = places(name), rng, busy

    def one(self, kind: str) -> Fields:
        """A fault of the kind anywhere."""
        return _MADE[kind](self)

    def beside(self, kind: str, other: Fields, shares: str) -> Fields:
        """A fault of the kind that shares the link, the device or the host's rail of another."""
        if shares == "host-rail":
            return {**self.one(kind), "host": other["host"], "rail": other["rail"]}
        if shares == "link":
            return {**self.one(kind), "device": other["device"], "port": other["port"]}
        device = other["device"]
        ends = [end for end in self.places.at(device) if end.port != other.get("port")]
        end = self._pick(ends)
        made = self.one(kind)
        if "other_port" in made:
            return self._swapped(end)
        return {**made, "device": device} | ({"port": end.port} if "port" in made else {})

    def end(self) -> End:
        """One end of a link: below or above a leaf."""
        below = self.rng.random() < 0.5 or not self.places.above
        return self._pick(self.places.below if below else self.places.above)

    def _pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.integers(len(items)))]

    def link(self) -> Fields:
        """A link's end."""
        end = self.end()
        return {"device": end.device, "port": end.port}

    def receiver(self) -> Fields:
        """A link's end that receives traffic."""
        while True:
            found = self.link()
            if (found["device"], found["port"]) in self.busy:
                return found

    def rail(self) -> Fields:
        """A host's rail."""
        return {"host": self._pick(self.places.hosts), "rail": int(self.rng.integers(self.places.rails))}

    def swap(self) -> Fields:
        """Two cables that end at other devices, swapped."""
        return self._swapped(self.end())

    def _swapped(self, end: End) -> Fields:
        hosts = self.places.own
        like = [e for e in self.places.at(end.device) if e.far != end.far and (e.far in hosts) == (end.far in hosts)]
        other = self._pick(like)
        return {"device": end.device, "port": end.port, "other_device": other.device, "other_port": other.port}

    def drift(self) -> Fields:
        """A setting of a switch or of a host."""
        setting = self._pick(("pfc", "mtu", "pcie", "gid"))
        at = self.places.hosts if setting in ("pcie", "gid") else self.places.switches
        return {"device": self._pick(at), "setting": setting}

    def device(self) -> Fields:
        """A switch, now and then a host."""
        return {"device": self._pick(self.places.switches if self.rng.random() < 0.7 else self.places.hosts)}

    def log(self, low: float, high: float) -> float:
        """A number between two, evenly by its logarithm."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))


_MADE: Mapping[str, Callable[[Draw], Fields]] = {
    "link-down": Draw.link,
    "link-flap": Draw.link,
    "link-errors": lambda d: {**d.link(), "rate": d.log(LEAST_ERRORS, 1000)},
    "grey-loss": lambda d: {**d.receiver(), "share": d.log(1e-3, 2e-2)},
    "slow-link": lambda d: {**d.link(), "share": float(d.rng.choice([0.25, 0.5]))},
    "polarised-hash": lambda _: {"tier": "spine"},
    "low-entropy": lambda _: {"ports": 1},
    "regular-ports": lambda _: {"step": 16},
    "incast": lambda d: {**d.rail(), "senders": int(d.rng.integers(8, 25))},
    "slow-receiver": lambda d: {**d.rail(), "share": float(d.rng.uniform(0.3, 0.7))},
    "slow-rail": lambda d: {**d.rail(), "share": float(d.rng.uniform(0.3, 0.7))},
    "pfc-storm": lambda d: {**d.rail(), "watchdog": bool(d.rng.random() < 0.5)},
    "lossless-drop": lambda d: {**d.link(), "rate": d.log(1, 1000)},
    "miswire": Draw.swap,
    "config-drift": Draw.drift,
    "silence": Draw.device,
    "reboot": Draw.device,
}
"""How a fault of each kind is drawn."""
