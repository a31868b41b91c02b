"""Tables of counters and flow samples: a run of jobs (or flows) in which faults come and go, interval by interval.

``intervals(scenario)`` yields one ``Interval`` after another; nothing of an interval is kept. The truth that belongs to
them is ``faults.truth``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fabric.qos import QosPlan, qos
from planner.simulate import router as route_by
from planner.simulate.bursts import Bursts, bursts, pool
from planner.simulate.effects import Effects, degraded, effects
from planner.simulate.events import BATCH, Clock, Span, Work, spans
from planner.simulate.flows import joined
from planner.simulate.job import Stage, routed
from planner.simulate.kept import kept
from planner.simulate.offered import run_flows
from planner.simulate.ports import Ports, ports
from planner.simulate.pressure import Curve, curve, pressure
from planner.simulate.reports import Interval, Reports
from planner.simulate.timeline import Timeline, moving
from planner.simulate.wires import Wires, wires

if TYPE_CHECKING:
    from fabric.flowfile import Dead
    from fabric.jobfile import Job
    from fabric.plan import Plan
    from planner.routing import Method
    from planner.simulate.faults import Fault
    from planner.simulate.flows import Flows
    from planner.simulate.paths import Routing
    from planner.simulate.timeline import Moving
    from planner.simulate.walk import Hops
    from planner.simulate.wires import Mask

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: a run begins at a fixed time, so that the same run gives the same bytes."""
QUIET = ("mtu", "gid")
"""Settings that change no rate."""

IDLE = Span(
    0.0, np.inf, np.empty((0, 3), np.int64), np.empty(0), np.empty(0), np.zeros(1, np.int32), np.empty(0, np.int32)
)
"""Nothing runs."""


@dataclass(frozen=True)
class Settings:
    """How long, how often, and how much is told. Times in seconds.

    ``idle``: time between two iterations of the jobs, over that of the iteration (computing). ``refresh``: switches
    bring their counters up to date so often (0: at once). ``sampling``: frames a flow sample (0: none).
    ``detail``: optics and FEC bins too. ``bursts``: part of its line rate that a NIC sends beside the jobs, in bursts
    that fill no queue up to its marks (0: none).
    """

    seconds: float = 60.0
    interval: float = 10.0
    idle: float = 0.25
    refresh: float = 0.0
    sampling: int = 0
    seed: int = 0
    detail: bool = True
    states_every: float = 30.0
    start_ns: int = START_NS
    batch: float = BATCH
    bursts: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """What runs: jobs with their stages (``job.workload``), or flows; and what breaks meanwhile."""

    plan: Plan
    network: str
    jobs: Sequence[Job] = ()
    tracks: Sequence[Sequence[Stage]] = ()
    flows: Flows | None = None
    faults: tuple[Fault, ...] = ()
    dead: Dead | None = None
    method: Method = "ecmp"
    settings: Settings = Settings()


@dataclass(frozen=True)
class Epoch:
    """A time in which the same faults hold; ``begin`` and ``end`` in seconds."""

    begin: float
    end: float
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class State:
    """An epoch worked out: the network, the timeline, and all flows with their paths, stage after stage."""

    now: Routing
    ports: Ports
    line: Timeline
    effects: Effects
    many: Flows
    works: tuple[Work, ...]
    offsets: tuple[tuple[int, ...], ...]
    bursts: Bursts | None = None

    @cached_property
    def moving(self) -> list[Moving]:
        """Flows and their rates, stretch by stretch."""
        return moving(self.line.spans, self.offsets)


def epochs(scenario: Scenario) -> Iterator[Epoch]:
    """The run cut where faults that change flows begin or end."""
    last = scenario.settings.seconds
    own = [fault for fault in scenario.faults if fault.about.reroutes]
    cuts = sorted({0.0, last, *(t for f in own for t in (f.start, f.end) if 0 < t < last)})
    for begin, end in pairwise(cuts):
        yield Epoch(begin, end, tuple(f for f in own if f.start <= begin and end <= f.end))


def intervals(scenario: Scenario) -> Iterator[Interval]:
    """Every interval of the run, in order. Raises InputError where a job or a fault does not fit."""
    whole = wires(scenario.plan, scenario.network)
    rules = kept(scenario.plan, ("qos", scenario.network), lambda: qos(scenario.plan, scenario.network))
    made: dict[tuple[Fault, ...], State] = {}
    known: dict[bytes, Hops] = {}
    parts = list(epochs(scenario))
    reports = Reports(scenario, ports(whole), rules)
    settings = scenario.settings
    for number in range(int(np.ceil(settings.seconds / settings.interval - 1e-9))):
        begin = number * settings.interval
        end = min(begin + settings.interval, settings.seconds)
        pieces = []
        for epoch in parts:
            if epoch.begin < end and epoch.end > begin:
                own = tuple(fault for fault in epoch.faults if fault.setting not in QUIET)
                if own not in made:
                    made[own] = _state(scenario, whole, rules, own, known)
                pieces.append((epoch, made[own]))
        yield reports.interval(number, begin, end, pieces)


def _state(
    scenario: Scenario, whole: Wires, rules: QosPlan | None, faults: tuple[Fault, ...], known: dict[bytes, Hops]
) -> State:
    """The network and the rates under some faults; ``known``: what routing answered before."""
    found = effects(whole, faults)
    now = degraded(scenario.plan, scenario.network, found, scenario.dead)
    router = route_by(scenario.method, _dead_now(scenario, found), known)
    period = 1.0
    if scenario.flows is not None:
        tracks = [[Stage(0, 0, joined([t[0].flows for t in found.stages([[Stage(0, 0, scenario.flows)]])]))]]
        _, span, work = run_flows(now, tracks[0][0].flows, router)
        works, all_spans = [[work]], [span]
    else:
        tracks = found.stages(scenario.tracks)
        works = routed(now, tracks, router)
        all_spans = list(spans(works, now.wires.gbps, Clock(), scenario.settings.batch, found.storms))
        period = sum(span.seconds for span in all_spans) * (1 + scenario.settings.idle) or np.inf
    all_spans = all_spans or [IDLE]
    curves, drops = _drifted(now.wires, curve(now.wires, rules), faults), _no_pause(now.wires, faults)
    pressed = tuple(pressure(now.wires, span, whole.gbps, curves, drops) for span in all_spans)
    line = Timeline(tuple(all_spans), pressed, period)
    stages = [stage.flows for track in tracks for stage in track]
    first = iter(np.concatenate([[0], np.cumsum([len(many) for many in stages])]).astype(int).tolist())
    offsets = tuple(tuple(next(first) for _ in track) for track in tracks)
    flat = tuple(work for track in works for work in track)
    beside = None
    if scenario.settings.bursts:
        kmin = curve(now.wires, rules).kmin
        beside = bursts(now, pool(whole, scenario.settings.seed), kmin, scenario.settings.bursts)
    return State(now, ports(now.wires), line, found, joined(stages), flat, offsets, beside)


def _dead_now(scenario: Scenario, found: Effects) -> Dead | None:
    """What routing has to avoid now: as said beforehand, and what faults took down."""
    from fabric.flowfile import Dead

    links = scenario.plan.fabric.links
    down = links["a_port"].to_numpy()[sorted(found.dead)].astype(np.uint32)
    known = scenario.dead or Dead()
    return replace(known, ports=np.union1d(known.ports, down).astype(np.uint32))


def _drifted(now: Wires, curves: Curve, faults: tuple[Fault, ...]) -> Curve:
    """Marking curves without those of devices whose ECN is off."""
    pmax = curves.pmax.copy()
    for fault in faults:
        if fault.kind == "config-drift" and fault.setting == "ecn":
            pmax[_sent_by(now, fault)] = 0.0
    return replace(curves, pmax=pmax)


def _no_pause(now: Wires, faults: tuple[Fault, ...]) -> Mask | None:
    """Channels into devices whose PFC is off."""
    found: Mask = np.zeros(2 * now.links, dtype=np.bool_)
    for fault in faults:
        if fault.kind == "config-drift" and fault.setting == "pfc":
            found |= np.roll(_sent_by(now, fault).reshape(-1, 2), 1, axis=1).ravel()
    return found if found.any() else None


def _sent_by(now: Wires, fault: Fault) -> Mask:
    """Channels that the fault's device (or its one port) sends into."""
    from planner.simulate.effects import device_of
    from planner.simulate.faults import link_of

    found: Mask = now.tail == device_of(now, fault.device)
    if fault.port is not None:
        link, side = link_of(now.plan, fault.device or "", fault.port)
        found &= np.arange(len(found)) == 2 * link + side
    return found
