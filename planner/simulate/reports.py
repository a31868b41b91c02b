"""From what happened in an interval to what devices report at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numba import njit

from fabric.samples import OUTCOME_SCHEMA, Outcome, empty, empty_flows
from planner.simulate import health, meters
from planner.simulate.columns import counted, holders, known, told
from planner.simulate.endpoints import stirred
from planner.simulate.flows import joined
from planner.simulate.flowsamples import Sampler
from planner.simulate.pressure import PACKET
from planner.simulate.sheet import Sheet
from planner.simulate.states import states
from planner.simulate.timeline import Window, flow_bytes
from planner.simulate.walk import MOST_HOPS

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

OUTCOMES = pl.Series("outcome", [Outcome.OK.value, Outcome.SILENT.value])


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
        self.meters = meters.Meters(counted(self.priority), len(ports))
        late = bool(scenario.settings.refresh)
        self.shown = np.zeros_like(self.meters.sums) if late else self.meters.sums
        self.before = np.zeros_like(self.meters.sums) if late else self.meters.sums
        """What was counted when the interval began."""
        self.booted = np.full(len(ports), -UPTIME_SECONDS)
        self.phase = stirred(ports.device, seed=8) % 1000 / 1000
        """Of each device's clock that brings its counters up to date, over the time between."""
        self.no_flows = empty_flows()
        self.samplers: dict[int, Sampler] = {}
        self.sheets: dict[bytes, Sheet] = {}
        self.settings: dict[Any, list[pl.Series]] = {}
        self.still: dict[tuple[int, str], pl.Series] = {}
        self.polled = _polled(self._sheet(np.zeros(len(ports), dtype=np.bool_)))

    def interval(self, number: int, begin: float, end: float, pieces: Pieces) -> Interval:
        """What the interval adds, and the reports at its end."""
        rng = np.random.default_rng([self.scenario.settings.seed, number])
        if self.scenario.settings.refresh:
            _copied(self.meters.moved, self.meters.sums, self.before)
        gauges: Added = {}
        flows = [self.no_flows]
        for epoch, state in pieces:
            first, last = max(begin, epoch.begin), min(end, epoch.end)
            window = self._window(state, number, first, last, epoch)
            gauges = self._piece(state, window, first, last, rng, gauges)
            if self.scenario.settings.sampling:
                flows.append(self._samples(state, window, first, last, rng))
        self._refresh(begin, end)
        self._reboots(begin, end)
        silent = self._silent(end)
        sheet = self._sheet(silent)
        counters = self._told(sheet, number, (begin, end), pieces[-1][1], gauges, rng)
        found = pl.concat(flows) if len(flows) > 1 else self.no_flows
        if silent.any():
            found = found.filter(~pl.col("device").is_in(self.ports.names["device"].filter(silent).unique().to_list()))
        return Interval(number, end, counters, found, self._outcomes(end, silent))

    def _window(self, state: State, number: int, first: float, last: float, epoch: Epoch) -> Window:
        """What the jobs do between two times, and the bursts beside them, which have chances of their own."""
        window = Window(state.line, state.line.weights(first - epoch.begin, last - epoch.begin))
        if state.bursts is None or last <= first:
            return window
        rng = np.random.default_rng([self.scenario.settings.seed, number, round(first * 1e3), 1])
        return Window(window.line, window.weights, state.bursts.drawn(window, last - first, rng))

    def _sheet(self, silent: Mask) -> Sheet:
        """The rows of those who say something."""
        key = silent.tobytes()
        if key not in self.sheets:
            self.sheets[key] = Sheet(self.ports, silent)
        return self.sheets[key]

    def _piece(
        self, state: State, window: Window, first: float, last: float, rng: np.random.Generator, gauges: Added
    ) -> Added:
        """Add a part of the interval in which the same faults hold; gauges keep their highest."""
        ports, seconds, p = state.ports, last - first, self.priority
        held = np.array(state.effects.held, dtype=np.int64)
        share = self._share(first, last)
        faults = self.scenario.faults
        moved = window.total("bytes")
        gone = health.lost(ports, faults, share, moved)
        plain = meters.traffic(ports, window, seconds, rng)
        plain["rx_packets"] = np.maximum(plain["rx_packets"] - gone[ports.rx], 0.0)
        plain["rx_unicast_packets"] = np.maximum(plain["rx_unicast_packets"] - gone[ports.rx], 0.0)
        plain["rx_bytes"] = np.maximum(plain["rx_bytes"] - gone[ports.rx] * PACKET, 0.0)
        for added in (
            plain, meters.lossless(ports, window, p), meters.hosts(ports, window, seconds, held, p),
            meters.storms(ports, window, seconds, held, p),
            health.codewords(ports, seconds, rng, bins=self.scenario.settings.detail),
            health.errors(ports, faults, share, seconds, rng, p), health.missed(ports, window, gone),
            meters.waiting(ports, window), {"link_down_events": health.downs(ports, faults, first, last)[1]},
        ):  # fmt: skip
            self.meters.add(added)
        own = meters.gauges(ports, window, p) | health.stalls(ports, faults, share, moved, seconds)
        return {name: np.maximum(column, gauges.get(name, 0.0)) for name, column in own.items()}

    def _share(self, first: float, last: float) -> Floats:
        """Part of a time in which each fault holds."""
        faults = self.scenario.faults
        return np.array([max(min(f.end, last) - max(f.start, first), 0.0) / max(last - first, 1e-9) for f in faults])

    def _now(self, at: float) -> tuple[Fault, ...]:
        return tuple(fault for fault in self.scenario.faults if fault.start <= at < fault.end)

    def _refresh(self, begin: float, end: float) -> None:
        """What the counters show: switches that bring them up to date now and then lag behind what they count."""
        every = self.scenario.settings.refresh
        if not every:
            return
        phase = self.phase * every
        last = np.floor((end - phase) / every) * every + phase
        last = np.where(self.ports.switch, last, end)
        part = np.clip((last - begin) / (end - begin), 0.0, 1.0)
        _brought_up(self.meters.moved, self.before, self.meters.sums, part, last >= begin, self.shown)

    def _reboots(self, begin: float, end: float) -> None:
        for fault in self.scenario.faults:
            if fault.kind == "reboot" and begin < fault.end <= end:
                rows = self.ports.of(fault)
                self.meters.reset(rows)
                self.shown[:, rows] = 0.0
                self.booted[rows] = fault.end

    def _silent(self, end: float) -> Mask:
        """Ports of devices that say nothing at a time."""
        found: Mask = np.zeros(len(self.ports), dtype=np.bool_)
        for fault in self._now(end - 1e-6):
            if fault.kind in ("silence", "reboot"):
                found[self.ports.of(fault)] = True
        return found

    def _told(
        self, sheet: Sheet, number: int, time: tuple[float, float], state: State, gauges: Added,
        rng: np.random.Generator,
    ) -> pl.DataFrame:  # fmt: skip
        """The table of all ports, then of all devices."""
        settings = self.scenario.settings
        (begin, end), faults = time, self._now(time[1] - 1e-6)
        down, _ = health.downs(state.ports, self.scenario.faults, begin, end)
        columns = dict(gauges)
        columns["oper_status"] = np.where(down, 2.0, 1.0)
        columns["admin_status"] = np.broadcast_to(1.0, len(self.ports))
        columns["width_lanes"] = np.broadcast_to(WIDTH_LANES, len(self.ports))
        columns["speed_gbps"] = np.where(down, 0.0, _speeds(state, faults))
        columns["counter_discontinuity_seconds"] = np.broadcast_to(0.0, len(self.ports))
        if settings.detail:
            columns |= health.optics(self.ports, faults, rng)
        if not sheet.height:
            return empty()
        at = settings.start_ns + round(end * 1e9)
        made = [sheet.constant("time_ns", at), sheet.constant("received_ns", at + RECEIVE_NS), sheet.device, sheet.port]
        made += [self._column(sheet, name, column) for name, column in columns.items() if self._wanted(name)]
        made += self._counters(sheet)
        if int(begin / settings.states_every) != int(end / settings.states_every) or number == 0:
            made += self._settings(sheet, state, faults)
        return pl.DataFrame([*made, sheet.of_devices("uptime_seconds", end - self.booted)])

    def _counters(self, sheet: Sheet) -> Iterator[pl.Series]:
        """What every counter shows; one that never rose is the same column in every interval."""
        for name, shown, moved in zip(self.meters.names, self.shown, self.meters.moved, strict=True):
            if moved and self._wanted(name):
                yield self._column(sheet, name, told(name, shown, self.infiniband))
            elif self._wanted(name):
                yield self._column(sheet, name, np.broadcast_to(0.0, len(shown)))

    def _column(self, sheet: Sheet, name: str, values: Floats) -> pl.Series:
        """A column of the table; one number for all ports, broadcast, is made once."""
        if values.strides == (0,):
            if (id(sheet), name) not in self.still:
                self.still[id(sheet), name] = self._made(sheet, name, values)
            return self.still[id(sheet), name]
        return self._made(sheet, name, values)

    def _made(self, sheet: Sheet, name: str, values: Floats) -> pl.Series:
        return sheet.number(name, values, known(name).dtype, holders(name, self.infiniband))

    def _settings(self, sheet: Sheet, state: State, faults: tuple[Fault, ...]) -> list[pl.Series]:
        """Settings and neighbours, which are the same as long as the faults are."""
        key = id(sheet), id(state), faults
        if key not in self.settings:
            found = states(state.ports, faults, self.rules)
            self.settings[key] = [sheet.text(one.name, one) for one in found if self._wanted(one.name)]
        return self.settings[key]

    def _wanted(self, name: str) -> bool:
        """Whether any device has the column, and it was asked for."""
        detail = self.scenario.settings.detail or not name.startswith("fec_codewords_b")
        return detail and any(holders(name, self.infiniband))

    def _outcomes(self, end: float, silent: Mask) -> pl.DataFrame:
        """How each device's poll ended."""
        at = self.scenario.settings.start_ns + round(end * 1e9)
        everyone = self._sheet(np.zeros(len(self.ports), dtype=np.bool_))
        quiet = silent[everyone.first]
        rows = np.diff(everyone.first, append=len(self.ports))
        changing = {
            "time_ns": pl.Series("time_ns", np.full(len(quiet), at)),
            "received_ns": pl.Series("received_ns", np.full(len(quiet), at + RECEIVE_NS)),
            "outcome": OUTCOMES.gather(quiet.astype(np.uint32)) if quiet.any() else self.polled["outcome"],
            "rows": pl.Series("rows", np.where(quiet, 0, rows).astype(np.uint32)),
        }  # fmt: skip
        return pl.DataFrame([(self.polled | changing)[name] for name in OUTCOME_SCHEMA])

    def _samples(
        self, state: State, window: Window, first: float, last: float, rng: np.random.Generator
    ) -> pl.DataFrame:
        settings = self.scenario.settings
        sampler = self.samplers.get(id(state)) or self.samplers.setdefault(id(state), self._sampler(state))
        if not len(sampler.many):
            return self.no_flows
        moved = flow_bytes(window.weights, state.moving, len(state.many))
        if window.beside is not None:
            moved = np.concatenate([moved, window.beside.moved])
        packets = np.maximum(window.total("bytes") / PACKET, 1.0)
        marked = np.clip(window.total("marked") / packets, 0.0, 1.0)
        begin, end = (settings.start_ns + round(t * 1e9) for t in (first, last))
        return sampler.draw(moved, marked, begin, end, rng)

    def _sampler(self, state: State) -> Sampler:
        """All flows of a state, those of bursts last."""
        hops = [np.empty((0, MOST_HOPS), dtype=np.int32), *(work.hops for work in state.works)]
        many = state.many
        if state.bursts is not None:
            many = joined([many, state.bursts.flows])
            hops.append(state.bursts.hops)
        return Sampler(state.now, self.ports, many, np.concatenate(hops), self.scenario.settings.sampling)


def _polled(everyone: Sheet) -> dict[str, pl.Series]:
    """Columns of outcomes that are the same in every interval."""
    n = len(everyone.first)
    return {
        "source": pl.Series("source", ["simulator"] * n), "device": everyone.device[-n:],
        "outcome": OUTCOMES.new_from_index(0, n),
        "detail": pl.Series("detail", [None] * n, dtype=pl.String), "seconds": pl.Series("seconds", np.zeros(n)),
    }  # fmt: skip


@njit(cache=True, nogil=True)
def _copied(rows: Mask, of: Floats, to: Floats) -> None:
    """Some rows of a table, over those of another."""
    for row in range(len(rows)):
        if rows[row]:
            to[row] = of[row]


@njit(cache=True, nogil=True)
def _brought_up(rows: Mask, before: Floats, now: Floats, part: Floats, fresh: Mask, shown: Floats) -> None:
    """Show counters as they were a ``part`` of the way from before to now, where there was a fresh look."""
    for row in range(len(rows)):
        if rows[row]:
            for at in range(len(fresh)):
                if fresh[at]:
                    shown[row, at] = before[row, at] + part[at] * (now[row, at] - before[row, at])


def _speeds(state: State, faults: Sequence[Fault]) -> Floats:
    """Speed of each port: that of its link, but of one that runs slower than it should."""
    found = state.ports.gbps.copy()
    for fault in faults:
        if fault.kind == "slow-link":
            rows = state.ports.of(fault)
            rows = np.concatenate([rows, state.ports.peer[rows]])
            found[rows] = state.now.wires.gbps[state.ports.tx[rows]]
    return found
