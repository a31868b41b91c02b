"""From what happened in an interval to what devices report at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.samples import OUTCOME_SCHEMA, empty_flows, empty_outcomes, stacked
from planner.simulate import health, meters
from planner.simulate.columns import holders, reported, zeros
from planner.simulate.endpoints import stirred
from planner.simulate.flowsamples import Sampler
from planner.simulate.pressure import PACKET
from planner.simulate.states import states
from planner.simulate.timeline import flow_bytes

if TYPE_CHECKING:
    from fabric.qos import QosPlan
    from planner.simulate.faults import Fault
    from planner.simulate.meters import Added
    from planner.simulate.ports import Ports
    from planner.simulate.telemetry import Epoch, Scenario, State
    from planner.simulate.wires import Floats, Mask

Pieces = Sequence[tuple["Epoch", "State"]]

WIDTH_LANES = 4.0
RECEIVE_NS = 2_000_000
"""Between a device's clock and ours, as far as a run without faults of clocks goes."""
UPTIME_SECONDS = 1e6
"""Of every device when a run begins."""


@dataclass(frozen=True)
class Interval:
    """One interval: tables as ``fabric.samples`` has them. ``seconds``: its end, from the beginning of the run."""

    number: int
    seconds: float
    counters: pl.DataFrame
    flows: pl.DataFrame
    outcomes: pl.DataFrame


class Reports:
    """The devices' memories: what each counter stands at."""

    def __init__(self, scenario: Scenario, ports: Ports, rules: QosPlan | None) -> None:
        self.scenario, self.ports, self.rules = scenario, ports, rules
        self.infiniband = scenario.plan.design.networks[scenario.network].technology == "infiniband"
        self.priority = rules.roce_class if rules else 3
        self.meters = meters.Meters(ports, zeros(len(ports), self.priority))
        self.booted = np.full(len(ports), -UPTIME_SECONDS)
        self.away: Mask = np.zeros(len(ports), dtype=np.bool_)
        self.shown: Added = {}
        self.samplers: dict[int, Sampler] = {}

    def interval(self, number: int, begin: float, end: float, pieces: Pieces) -> Interval:
        """What the interval adds, and the reports at its end."""
        rng = np.random.default_rng([self.scenario.settings.seed, number])
        before = dict(self.meters.sums)
        gauges: Added = {}
        flows = [empty_flows()]
        for epoch, state in pieces:
            first, last = max(begin, epoch.begin), min(end, epoch.end)
            weights = state.line.weights(first - epoch.begin, last - epoch.begin)
            gauges = self._piece(state, weights, first, last, rng, gauges)
            if self.scenario.settings.sampling:
                flows.append(self._samples(state, weights, first, last, rng))
        self._refresh(before, begin, end)
        self._reboots(begin, end)
        state = pieces[-1][1]
        silent = self._silent(end)
        counters = self._told(number, begin, end, state, gauges, rng).filter(pl.Series(~silent))
        found = pl.concat(flows)
        if silent.any():
            found = found.filter(
                ~pl.col("device").is_in(self.ports.names["device"].filter(pl.Series(silent)).unique().to_list())
            )
        device = self._devices(end, silent)
        return Interval(number, end, stacked([counters, device]), found, self._outcomes(end, silent))

    def _piece(
        self, state: State, weights: Floats, first: float, last: float, rng: np.random.Generator, gauges: Added
    ) -> Added:
        """Add a part of the interval in which the same faults hold; gauges keep their highest."""
        line, seconds, p = state.line, last - first, self.priority
        held = np.array(state.effects.held, dtype=np.int64)
        share = self._share(first, last)
        faults = self.scenario.faults
        moved = line.total(weights, "bytes")
        gone = health.lost(state.ports, faults, share, moved)
        plain = meters.traffic(state.ports, line, weights, seconds, rng)
        plain["rx_packets"] = np.maximum(plain["rx_packets"] - gone[state.ports.rx], 0.0)
        plain["rx_unicast_packets"] = np.maximum(plain["rx_unicast_packets"] - gone[state.ports.rx], 0.0)
        plain["rx_bytes"] = np.maximum(plain["rx_bytes"] - gone[state.ports.rx] * PACKET, 0.0)
        for added in (
            plain, meters.lossless(state.ports, line, weights, p),
            meters.hosts(state.ports, line, weights, seconds, held, p),
            meters.storms(state.ports, line, weights, seconds, held, p), health.codewords(state.ports, seconds, rng),
            health.errors(state.ports, faults, share, seconds, rng, p), health.missed(state.ports, line, weights, gone),
            meters.waiting(state.ports, line, weights),
            {"link_down_events": health.downs(state.ports, faults, first, last)[1]},
        ):  # fmt: skip
            self.meters.add(added)
        own = meters.gauges(state.ports, line, weights, p) | health.stalls(state.ports, faults, share, moved, seconds)
        return {name: np.maximum(column, gauges.get(name, 0.0)) for name, column in own.items()}

    def _share(self, first: float, last: float) -> Floats:
        """Part of a time in which each fault holds."""
        faults = self.scenario.faults
        return np.array([max(min(f.end, last) - max(f.start, first), 0.0) / max(last - first, 1e-9) for f in faults])

    def _now(self, at: float) -> tuple[Fault, ...]:
        return tuple(fault for fault in self.scenario.faults if fault.start <= at < fault.end)

    def _refresh(self, before: Added, begin: float, end: float) -> None:
        """What the counters show: switches that bring them up to date now and then lag behind what they count."""
        every = self.scenario.settings.refresh
        if not every:
            self.shown = self.meters.sums
            return
        phase = stirred(self.ports.device, seed=8) % 1000 / 1000 * every
        last = np.floor((end - phase) / every) * every + phase
        last = np.where(self.ports.switch, last, end)
        part = np.clip((last - begin) / (end - begin), 0.0, 1.0)
        zero = np.zeros(len(self.ports))
        shown = {}
        for name, column in self.meters.sums.items():
            start = before.get(name, zero)
            stale = self.shown.get(name, zero)
            shown[name] = np.where(last >= begin, start + part * (column - start), stale)
        self.shown = shown

    def _reboots(self, begin: float, end: float) -> None:
        every = np.arange(len(self.ports))
        for fault in self.scenario.faults:
            if fault.kind == "reboot" and begin < fault.end <= end:
                rows = self.ports.of(fault)
                self.meters.reset(rows)
                self.shown = {name: np.where(np.isin(every, rows), 0.0, column) for name, column in self.shown.items()}
                self.booted[rows] = fault.end

    def _silent(self, end: float) -> Mask:
        """Ports of devices that say nothing at a time."""
        found: Mask = np.zeros(len(self.ports), dtype=np.bool_)
        for fault in self._now(end - 1e-6):
            if fault.kind in ("silence", "reboot"):
                found[self.ports.of(fault)] = True
        return found

    def _told(
        self, number: int, begin: float, end: float, state: State, gauges: Added, rng: np.random.Generator
    ) -> pl.DataFrame:
        """The table of all ports."""
        settings = self.scenario.settings
        faults = self._now(end - 1e-6)
        down, _ = health.downs(state.ports, self.scenario.faults, begin, end)
        columns = dict(gauges)
        columns["oper_status"] = np.where(down, 2.0, 1.0)
        columns["admin_status"] = np.ones(len(self.ports))
        columns["width_lanes"] = np.full(len(self.ports), WIDTH_LANES)
        columns["speed_gbps"] = np.where(down, 0.0, _speeds(state, faults))
        columns["counter_discontinuity_seconds"] = np.zeros(len(self.ports))
        if settings.detail:
            columns |= health.optics(self.ports, faults, rng)
        columns |= self.shown
        frame = self.ports.names.select(
            time_ns=pl.lit(settings.start_ns + round(end * 1e9), pl.Int64),
            received_ns=pl.lit(settings.start_ns + round(end * 1e9) + RECEIVE_NS, pl.Int64),
            device="device", port="port",
        )  # fmt: skip
        frame = frame.with_columns(
            reported(self.ports, name, column, self.infiniband)
            for name, column in columns.items()
            if self._wanted(name)
        )
        if int(begin / settings.states_every) != int(end / settings.states_every) or number == 0:
            extra = states(state.ports, faults, self.rules).drop("device", "port")
            frame = frame.with_columns(extra.select(name for name in extra.columns if self._wanted(name)))
        return frame

    def _wanted(self, name: str) -> bool:
        """Whether any device has the column, and it was asked for."""
        detail = self.scenario.settings.detail or not name.startswith("fec_codewords_b")
        return detail and any(holders(name, self.infiniband))

    def _devices(self, end: float, silent: Mask) -> pl.DataFrame:
        """Uptimes: a row a device, without a port."""
        at = self.scenario.settings.start_ns + round(end * 1e9)
        names = self.ports.names.with_columns(uptime_seconds=pl.Series(end - self.booted)).filter(pl.Series(~silent))
        rows = names.unique("device", keep="first", maintain_order=True)
        return rows.select(
            time_ns=pl.lit(at, pl.Int64), received_ns=pl.lit(at + RECEIVE_NS, pl.Int64), device="device",
            port=pl.lit(None, pl.String), uptime_seconds="uptime_seconds",
        )  # fmt: skip

    def _outcomes(self, end: float, silent: Mask) -> pl.DataFrame:
        """How each device's poll ended."""
        at = self.scenario.settings.start_ns + round(end * 1e9)
        names = self.ports.names.with_columns(silent=pl.Series(silent))
        rows = names.group_by("device", maintain_order=True).agg(pl.col("silent").any(), rows=pl.len())
        made = rows.with_columns(
            time_ns=pl.lit(at), received_ns=pl.lit(at + RECEIVE_NS), source=pl.lit("simulator"),
            outcome=pl.when("silent").then(pl.lit("silent")).otherwise(pl.lit("ok")), detail=pl.lit(None, pl.String),
            seconds=pl.lit(0.0), rows=pl.when("silent").then(0).otherwise("rows"),
        )  # fmt: skip
        return pl.concat([empty_outcomes(), made.select(pl.col(n).cast(t) for n, t in OUTCOME_SCHEMA.items())])

    def _samples(
        self, state: State, weights: Floats, first: float, last: float, rng: np.random.Generator
    ) -> pl.DataFrame:
        settings = self.scenario.settings
        if not len(state.many) or not state.works:
            return empty_flows()
        sampler = self.samplers.get(id(state))
        if sampler is None:
            hops = np.concatenate([work.hops for work in state.works])
            sampler = self.samplers[id(state)] = Sampler(state.now, self.ports, state.many, hops, settings.sampling)
        moved = flow_bytes(state.line, weights, state.offsets, len(state.many))
        packets = np.maximum(state.line.total(weights, "bytes") / PACKET, 1.0)
        marked = np.clip(state.line.total(weights, "marked") / packets, 0.0, 1.0)
        begin, end = (settings.start_ns + round(t * 1e9) for t in (first, last))
        return sampler.draw(moved, marked, begin, end, rng)


def _speeds(state: State, faults: Sequence[Fault]) -> Floats:
    """Speed of each port: that of its link, but of one that runs slower than it should."""
    found = state.ports.gbps.copy()
    for fault in faults:
        if fault.kind == "slow-link":
            rows = state.ports.of(fault)
            rows = np.concatenate([rows, state.ports.peer[rows]])
            found[rows] = state.now.wires.gbps[state.ports.tx[rows]]
    return found
