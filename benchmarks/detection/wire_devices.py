"""The devices of a run, speaking on loopback.

Switches answer SNMP or stream gNMI and send sFlow, hosts have their agent.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import polars as pl

from collectors.secrets import Secrets
from collectors.sources.sflow.encode import Encoder
from collectors.targets import targets
from fabric.plan import Plan
from railwright.replay.gnmi import Servers
from railwright.replay.hosts import Hosts
from railwright.replay.recording import Recording, standing, write_targets
from railwright.replay.sflow import speakers
from railwright.replay.snmp import Agents
from railwright.replay.steps import Steps

SECRETS = Secrets({"COMMUNITY": "loopback", "TOKEN": "loopback"})
HERE = "127.0.0.1"
SWITCH_SOURCES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "snmp": {"snmp": {"version": "2c", "community": "COMMUNITY", "slow_seconds": 0, "refresh_seconds": 86400}},
    "openconfig": {"gnmi": {"mode": "openconfig", "insecure": True, "period": 1.0, "timeout": 1.0}},
    "sonic": {"gnmi": {"mode": "sonic", "insecure": True, "period": 1.0, "timeout": 1.0}},
}
"""Settings of what switches are asked by, besides sFlow."""


@dataclass(frozen=True)
class Day:
    """What is put on the wire: whole tables of a run, and its plan. ``switches`` of those that are in the tables."""

    plan: Plan
    times: Sequence[int]
    counters: pl.DataFrame
    flows: pl.DataFrame
    switches: tuple[str, ...]
    hosts: tuple[str, ...]

    @staticmethod
    def of(plan: Plan, counters: pl.DataFrame, flows: pl.DataFrame) -> Day:
        """That of tables as the simulator makes them."""
        everyone = counters["device"].unique().sort().to_list()
        own = set(plan.fabric.switches["name"])
        return Day(
            plan, counters["time_ns"].unique().sort().to_list(), standing(counters), flows,
            tuple(name for name in everyone if name in own), tuple(name for name in everyone if name not in own),
        )  # fmt: skip

    def recording(self, devices: tuple[str, ...]) -> Recording:
        """Of some of its devices, switches at their management addresses."""
        at = {one.device: one.address for one in targets(self.plan, 0)}
        mine = pl.col("device").is_in(list(devices))
        return Recording(
            self.counters.filter(mine), self.flows.filter(mine), devices, {name: at.get(name, HERE) for name in devices}
        )


class Devices:
    """The agents and servers of a day; ``way``: a key of SWITCH_SOURCES."""

    def __init__(self, day: Day, way: str, steps: Steps) -> None:
        self.day, self.way = day, way
        self.switches, hosts = day.recording(day.switches), day.recording(day.hosts)
        snmp = way == "snmp"
        self.agents = Agents(self.switches, cast(Any, steps), SECRETS["COMMUNITY"]) if snmp else None
        self.servers = None if snmp else Servers(self.switches, cast(Any, steps))
        self.hosts = Hosts(hosts, cast(Any, steps), SECRETS["TOKEN"])
        self.encoder = Encoder(speakers(self.switches))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Answer in threads of their own."""
        self._thread.start()
        self.hosts.start()

    def _serve(self) -> None:
        while self.agents is not None and not self._over.is_set():
            self.agents.serve(0.1)

    def write_targets(self, path: Path) -> None:
        """Where each answers, as ``collect`` reads it."""
        asked: Any = self.agents or self.servers
        write_targets(path, {next(iter(SWITCH_SOURCES[self.way])): asked.places, "host": self.hosts.places})

    def close(self) -> None:
        """End them all."""
        self._over.set()
        self._thread.join()
        self.hosts.close()
        for one in (self.agents, self.servers):
            if one is not None:
                one.close()
