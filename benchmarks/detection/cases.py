"""Cases: faults alone, separate pairs, overlapping pairs (``overlaps.csv``), and healthy runs with what is ordinary.

A case is a few words from which the same run comes every time; ``made`` gives its scenario and its truth.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.detection.plans import NETWORK, exchanges, plan_of, rings
from benchmarks.detection.scripts import Draw, Fields, places
from benchmarks.detection.truths import Truth, truths
from collectors.detectors.life import Maintenance
from fabric.jobfile import Job
from planner.simulate.faults import KINDS, Fault, faults_from
from planner.simulate.job import workload
from planner.simulate.telemetry import START_NS, Scenario, Settings

Relation = Literal["single", "separate", "overlapping", "healthy"]
INTERVAL = 10.0
ONSET = (60.0, 80.0)
"""Seconds into a run between which a fault begins: detectors have seen five intervals."""
LASTS = 80.0
AFTER = 20.0
HEALTHY_SECONDS = 300.0
HASHES = ("polarised-hash", "low-entropy", "regular-ports")
"""Faults that show where switches choose by a hash: these runs have many queue pairs and no pinned paths."""
QUEUE_PAIRS = 32
SAMPLING = {"many": 1_000_000, "few": 20_000_000}
"""A frame in so many becomes a flow sample; the second on paths that are pinned, where flows are few."""


@dataclass(frozen=True)
class Case:
    """One run: ``scale`` names the fabric, ``number`` the draw; ``shares`` is what an overlapping pair shares."""

    scale: str
    relation: Relation
    kinds: tuple[str, ...]
    number: int
    shares: str = ""

    @property
    def name(self) -> str:
        """How tables call it."""
        return "+".join(self.kinds) + (f" ({self.shares})" if self.shares else "") or "healthy"


@dataclass(frozen=True)
class Made:
    """What a case becomes."""

    scenario: Scenario
    truths: tuple[Truth, ...]
    maintenance: tuple[Maintenance, ...] = ()


@dataclass(frozen=True)
class Overlap:
    """A pair of kinds at one place: what they share, and which of them the other hides."""

    first: str
    second: str
    shares: str
    masked: str
    why: str


@cache
def overlaps() -> tuple[Overlap, ...]:
    """The pairs of ``overlaps.csv``."""
    with Path(__file__).with_name("overlaps.csv").open(newline="", encoding="utf-8") as file:
        return tuple(Overlap(**row) for row in csv.DictReader(file))


def cases(scale: str, singles: int, pairs: int, healthy: int, kinds: Sequence[str] = ()) -> Iterator[Case]:
    """So many runs of each single fault, of each pair, and healthy ones; ``kinds``: only runs with these."""
    for kind in KINDS:
        yield from _numbered(Case(scale, "single", (kind,), 0), singles, kinds)
    for pair in combinations([kind for kind in KINDS if kind not in HASHES], 2):
        yield from _numbered(Case(scale, "separate", pair, 0), pairs, kinds)
    for one in overlaps():
        yield from _numbered(Case(scale, "overlapping", (one.first, one.second), 0, one.shares), pairs, kinds)
    yield from _numbered(Case(scale, "healthy", (), 0), healthy, ())


def _numbered(case: Case, runs: int, kinds: Sequence[str]) -> Iterator[Case]:
    if kinds and case.kinds and not set(case.kinds) & set(kinds):
        return
    yield from (replace(case, number=number) for number in range(runs))


def made(case: Case) -> Made:
    """The run and its truth; the same case gives the same bytes."""
    rng = np.random.default_rng([case.number, zlib.crc32(f"{case.scale} {case.relation} {case.name}".encode())])
    fabric = f"{case.scale}-3" if "polarised-hash" in case.kinds else case.scale
    if case.relation == "healthy":
        return _healthy(fabric, rng)
    draw = Draw(fabric, rng)
    masked = [False] * len(case.kinds)
    if case.relation == "overlapping":
        chosen, masked = _overlapping(case, draw)
    else:
        chosen = _apart(case.kinds, draw, fabric)
    faults = tuple(_fault(fabric, kind, fields, rng) for kind, fields in zip(case.kinds, chosen, strict=True))
    if case.relation == "overlapping":
        faults = tuple(fault.model_copy(update={"start": faults[0].start, "end": faults[0].end}) for fault in faults)
    scenario = _scenario(fabric, rng, faults, hashes=bool(set(case.kinds) & set(HASHES)))
    return Made(scenario, truths(scenario, masked))


def _fault(fabric: str, kind: str, fields: Fields, rng: np.random.Generator) -> Fault:
    start = round(float(rng.uniform(*ONSET)), 1)
    script = {"faults": [{"kind": kind, "start": start, "end": start + LASTS, **fields}]}
    return faults_from(script, plan_of(fabric), NETWORK)[0]


def _overlapping(case: Case, draw: Draw) -> tuple[list[Fields], list[bool]]:
    at = next(o for o in overlaps() if (o.first, o.second, o.shares) == (*case.kinds, case.shares))
    first = draw.one(at.first)
    while at.shares == "device" and first["device"] not in draw.places.switches:
        first = draw.one(at.first)
    second = draw.beside(at.second, first, at.shares)
    return [first, second], [at.masked == "first", at.masked == "second"]


def _apart(kinds: Sequence[str], draw: Draw, fabric: str) -> list[Fields]:
    """Faults that share no device, not even the one at the other end of a cable."""
    while True:
        chosen = [draw.one(kind) for kind in kinds]
        near = [_devices(fields, fabric) for fields in chosen]
        if all(not a & b for a, b in combinations(near, 2)):
            return chosen


def _devices(fields: Fields, fabric: str) -> set[str]:
    """Devices that a fault's fields name, and those at the other ends of the links that they name."""
    found = {str(fields[key]) for key in ("device", "other_device", "host") if key in fields}
    named = {(fields.get("device"), fields.get("port")), (fields.get("other_device"), fields.get("other_port"))}
    far = {end.far for device in tuple(found) for end in places(fabric).at(device) if (device, end.port) in named}
    if "host" in fields:
        leaves = places(fabric).at(fields["host"])
        far |= {end.far for end in leaves}
    return found | far


def _scenario(fabric: str, rng: np.random.Generator, faults: tuple[Fault, ...], *, hashes: bool) -> Scenario:
    """A run of rings on pinned paths, or of many queue pairs where switches choose."""
    jobs = rings(plan_of(fabric), rng, 1 if hashes else int(rng.integers(1, 4)))
    settings = Settings(
        seconds=ONSET[1] + LASTS + AFTER, interval=INTERVAL, idle=float(rng.uniform(0.1, 1.0)),
        refresh=float(rng.choice([0.0, 0.0, 2.0, 5.0])), seed=int(rng.integers(2**31)),
        sampling=_sampling(faults, hashes), detail=any(fault.kind == "link-errors" for fault in faults),
    )  # fmt: skip
    return _run(fabric, jobs, settings, faults, QUEUE_PAIRS if hashes else None)


def _sampling(faults: Sequence[Fault], hashes: bool) -> int:
    if hashes:
        return SAMPLING["many"]
    return SAMPLING["few"] if any(fault.kind == "incast" for fault in faults) else 0


def _run(
    fabric: str, jobs: list[Job], settings: Settings, faults: tuple[Fault, ...], queue_pairs: int | None
) -> Scenario:
    plan = plan_of(fabric)
    tracks = workload(plan, jobs, NETWORK, queue_pairs)
    method: Any = "ecmp" if queue_pairs else "colored"
    return Scenario(plan, NETWORK, jobs, tracks, faults=faults, method=method, settings=settings)


def _healthy(fabric: str, rng: np.random.Generator) -> Made:
    """Bursts, idle phases, stale counters, and reboots that were announced; nothing is to be found."""
    plan = plan_of(fabric)
    flavour = int(rng.integers(4))
    jobs = exchanges(plan, rng) if flavour == 0 else rings(plan, rng, int(rng.integers(1, 5)))
    settings = Settings(
        seconds=HEALTHY_SECONDS, interval=INTERVAL, idle=float(rng.uniform(0.05, 4.0)),
        refresh=float(rng.choice([0.0, 2.0, 5.0, 10.0])), seed=int(rng.integers(2**31)),
        sampling=SAMPLING["many"] if flavour < 2 else 0, detail=bool(rng.random() < 0.3),
    )  # fmt: skip
    work = _announced(fabric, rng) if flavour == 3 else ()
    faults = tuple(fault for fault, _ in work)
    pairs = {0: 1, 1: QUEUE_PAIRS}.get(flavour)
    return Made(_run(fabric, jobs, settings, faults, pairs), (), tuple(window for _, window in work))


def _announced(fabric: str, rng: np.random.Generator) -> tuple[tuple[Fault, Maintenance], ...]:
    """A switch that is restarted within a window that was announced."""
    fault = _fault(fabric, "reboot", {"device": str(rng.choice(places(fabric).switches))}, rng)
    begin, end = (START_NS + round(at * 1e9) for at in (fault.start - 30, fault.end + 60))
    return ((fault, Maintenance(begin, end, frozenset({fault.device or ""}))),)
