"""Fault scripts: what breaks, when, and the truth that detectors are scored against.

``faults.yaml`` is ``faults:``, a list of mappings with ``kind``, ``start`` and ``end`` (seconds from the beginning) and
what the kind needs (``KINDS``). Names are those of ``cables.csv``. docs/simulator.md describes each kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import Field

from fabric import yaml
from fabric.errors import InputError, Problem
from fabric.validation import Strict, validate
from planner.simulate.kept import kept

if TYPE_CHECKING:
    from fabric.plan import Plan

Kind = Literal[
    "link-down", "link-flap", "link-errors", "grey-loss", "slow-link", "polarised-hash", "low-entropy",
    "regular-ports", "incast", "slow-receiver", "slow-rail", "pfc-storm", "lossless-drop", "miswire", "config-drift",
    "silence", "reboot",
]  # fmt: skip
Setting = Literal["pfc", "ecn", "mtu", "hash", "pcie", "gid"]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1e12)]


@dataclass(frozen=True)
class KindOf:
    """What a kind of fault needs besides its times, what it may have, and what a detector should call it."""

    needs: tuple[str, ...]
    may: tuple[str, ...]
    code: str
    cause: str
    reroutes: bool
    """Whether flows or their rates change."""


KINDS: Mapping[str, KindOf] = {
    "link-down": KindOf(("device", "port"), (), "link", "down", reroutes=True),
    "link-flap": KindOf(("device", "port"), ("every",), "link", "flap", reroutes=True),
    "link-errors": KindOf(("device", "port"), ("rate",), "link", "errors", reroutes=False),
    "grey-loss": KindOf(("device", "port"), ("share",), "link", "grey-loss", reroutes=False),
    "slow-link": KindOf(("device", "port"), ("share",), "link", "speed", reroutes=True),
    "polarised-hash": KindOf(("tier",), (), "hash-skew", "polarisation", reroutes=True),
    "low-entropy": KindOf((), ("ports",), "hash-skew", "low-entropy", reroutes=True),
    "regular-ports": KindOf((), ("step",), "hash-skew", "key-regularity", reroutes=True),
    "incast": KindOf(("host", "rail"), ("senders",), "incast", "incast", reroutes=True),
    "slow-receiver": KindOf(("host", "rail"), ("share",), "slow-rail", "slow-receiver", reroutes=True),
    "slow-rail": KindOf(("host", "rail"), ("share",), "slow-rail", "slow-nic", reroutes=True),
    "pfc-storm": KindOf(("host", "rail"), ("watchdog",), "pfc-storm", "nic-storm", reroutes=True),
    "lossless-drop": KindOf(("device", "port"), ("rate",), "lossless-drop", "drop", reroutes=False),
    "miswire": KindOf(("device", "port", "other_device", "other_port"), (), "miswire", "swap", reroutes=False),
    "config-drift": KindOf(("device", "setting"), ("port",), "config-drift", "", reroutes=True),
    "silence": KindOf(("device",), (), "silence", "stopped", reroutes=False),
    "reboot": KindOf(("device",), (), "silence", "down", reroutes=True),
}
"""Every kind; the cause of a drifted configuration is its setting."""
TIMES = ("kind", "start", "end")


class Fault(Strict):
    """One fault. Times in seconds from the beginning of the run; the fault is there from ``start`` until ``end``."""

    kind: Kind
    start: Annotated[float, Field(ge=0, le=1e9)]
    end: Annotated[float, Field(gt=0, le=1e9)]
    device: str | None = None
    port: str | None = None
    other_device: str | None = None
    other_port: str | None = None
    host: str | None = None
    rail: Annotated[int, Field(ge=0, le=1023)] | None = None
    tier: Literal["spine", "core"] | None = None
    setting: Setting | None = None
    share: Share | None = None
    """Part of its speed that a slow thing keeps; of grey loss, part of the packets that are lost."""
    rate: Positive | None = None
    """Bad codewords, or drops, a second."""
    every: Positive | None = None
    """Seconds between two times a flapping link goes down."""
    senders: Annotated[int, Field(ge=2, le=100_000)] | None = None
    ports: Annotated[int, Field(ge=1, le=0x4000)] | None = None
    """Different source ports that are left."""
    step: Annotated[int, Field(ge=1, le=0x4000)] | None = None
    """Distance between neighbouring source ports."""
    watchdog: bool | None = None
    """Whether the switch's PFC watchdog drops what a storm holds up (default: yes)."""

    @property
    def about(self) -> KindOf:
        """What its kind is."""
        return KINDS[self.kind]

    def given(self) -> Iterator[str]:
        """Fields that were filled in, times left out."""
        return (name for name in type(self).model_fields if name not in TIMES and getattr(self, name) is not None)


class Script(Strict):
    """A fault script."""

    faults: tuple[Fault, ...]


def read_faults(path: Path, plan: Plan, network: str) -> tuple[Fault, ...]:
    """The faults of a file; raises InputError with all that is wrong with it."""
    return faults_from(yaml.load_file(path), plan, network, str(path))


def faults_from(data: object, plan: Plan, network: str, where: str = "faults") -> tuple[Fault, ...]:
    """The faults in plain values, as YAML gives them. Raises InputError."""
    if not isinstance(data, dict):
        raise InputError(Problem(where, "is not a mapping; a script has the key faults, a list"))
    script = validate(Script, data, where)
    names = kept(plan, ("names", network), lambda: _Names(plan, network))
    problems = [
        Problem(f"{where}: faults[{n}].{at}".removesuffix("."), what, remedy)
        for n, fault in enumerate(script.faults)
        for at, what, remedy in (*_unfit(fault), *names.unknown(fault))
    ]
    if problems:
        raise InputError(problems)
    return script.faults


def _unfit(fault: Fault) -> Iterator[tuple[str, str, str]]:
    """Fields that the kind lacks or has too many."""
    about = fault.about
    given = set(fault.given())
    for name in about.needs:
        if name not in given:
            yield name, f"is missing; {fault.kind} needs {', '.join(about.needs)}", ""
    for name in sorted(given - {*about.needs, *about.may}):
        yield name, f"does not belong to {fault.kind}", "leave it out"
    if fault.end <= fault.start:
        yield "end", f"{fault.end:g} is not after start, {fault.start:g}", ""


class _Names:
    """What the plan calls things."""

    def __init__(self, plan: Plan, network: str) -> None:
        fabric = plan.fabric
        names = fabric.device_names()
        self.devices = dict(zip(names, range(len(names)), strict=True))
        self.hosts = set(fabric.hosts["name"])
        own = fabric.links.filter((pl.col("network").cast(pl.String) == network) & pl.col("b_device").is_not_null())
        ports = fabric.ports["name"]
        ends = [own.select(d=f"{side}_device", p=ports.gather(own[f"{side}_port"])) for side in "ab"]
        self.ends = set(pl.concat(ends).iter_rows())
        nics = fabric.nics.filter(pl.col("network").cast(pl.String) == network)
        self.rails = set(nics.select("host", "rail").iter_rows())
        self.network = network

    def unknown(self, fault: Fault) -> Iterator[tuple[str, str, str]]:
        """Names of a fault that are none."""
        advice = "names are those of cables.csv"
        for device, port in (("device", "port"), ("other_device", "other_port")):
            name, end = getattr(fault, device), getattr(fault, port)
            if name is not None and name not in self.devices:
                yield device, f'the plan has no device "{name[:60]}"', advice
            elif name is not None and end is not None and (self.devices[name], end) not in self.ends:
                yield port, f'{name} has no link at port "{end[:60]}" on the {self.network} network', advice
        if fault.host is not None and fault.host not in self.hosts:
            yield "host", f'the plan has no host "{fault.host[:60]}"', advice
        elif fault.rail is not None and (self.devices.get(fault.host or ""), fault.rail) not in self.rails:
            yield "rail", f"{fault.host} has no rail {fault.rail} on the {self.network} network", "rails count from 0"


def truth(plan: Plan, network: str, faults: tuple[Fault, ...], start_ns: int = 0) -> list[dict[str, Any]]:
    """What detectors should find, a row a fault: code, cause, subject, onset_ns, end_ns, and the fault's kind."""
    return [
        {
            "code": fault.about.code, "cause": fault.about.cause or fault.setting, "kind": fault.kind,
            "subject": _subject(plan, network, fault),
            "onset_ns": start_ns + round(fault.start * 1e9), "end_ns": start_ns + round(fault.end * 1e9),
        }
        for fault in faults
    ]  # fmt: skip


def _subject(plan: Plan, network: str, fault: Fault) -> dict[str, Any]:
    """What it is about, in the keys that findings use; a link has both ends."""
    if fault.kind == "miswire":
        first = {"device": fault.device, "port": fault.port}
        return {"ends": [first, {"device": fault.other_device, "port": fault.other_port}]}
    if fault.port is not None and fault.kind not in ("config-drift", "lossless-drop"):
        assert fault.device is not None
        return {"link": [{"device": d, "port": p} for d, p in link_ends(plan, fault.device, fault.port)]}
    found: dict[str, Any] = {"network": network} if fault.device is None and fault.host is None else {}
    parts = {"switch": fault.device, "host": fault.host, "rail": fault.rail, "tier": fault.tier}
    found |= {key: value for key, value in parts.items() if value is not None}
    if "switch" in found and found["switch"] in set(plan.fabric.hosts["name"]):
        found["host"] = found.pop("switch")
    if fault.port is not None:
        found["ports"] = [fault.port]
    return found


def link_of(plan: Plan, device: str, port: str) -> tuple[int, int]:
    """The link at a port, and which end (0: ``a``, 1: ``b``) the port is; raises KeyError where there is none."""
    return kept(plan, ("link", device, port), lambda: _link_of(plan, device, port))


def _link_of(plan: Plan, device: str, port: str) -> tuple[int, int]:
    names, ports, links = plan.fabric.device_names(), plan.fabric.ports, plan.fabric.links
    number = int(names.index_of(device) if device in names else -1)  # type: ignore[arg-type]
    found = ports.filter((pl.col("device") == number) & (pl.col("name") == port))["id"]
    for side, column in enumerate(("a_port", "b_port")):
        hit = links.filter(pl.col(column).is_in(found.to_list()))["id"]
        if len(hit):
            return int(hit[0]), side
    raise KeyError(device, port)


def link_ends(plan: Plan, device: str, port: str) -> list[tuple[str, str]]:
    """Names of both ends of the link at a port, that port first."""
    link, side = link_of(plan, device, port)
    row = plan.fabric.links.row(link, named=True)
    names, ports = plan.fabric.device_names(), plan.fabric.ports["name"]
    both = [(str(names[row[f"{s}_device"]]), str(ports[row[f"{s}_port"]])) for s in "ab"]
    return both if side == 0 else both[::-1]
