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
from typing import Literal

import numpy as np

from benchmarks.detection.scenes import HASHES, INTERVAL, busy_ports, fault_of, healthy, ordinary, with_faults
from benchmarks.detection.scripts import Draw, Fields, places, senders
from benchmarks.detection.truths import Truth, due, truths
from collectors.detectors.life import Maintenance
from planner.simulate.faults import KINDS, Fault
from planner.simulate.telemetry import Scenario

Relation = Literal["single", "separate", "overlapping", "healthy"]
ONSET = (60.0, 80.0)
"""Seconds into a run between which a fault begins: detectors have seen five intervals."""
LASTS = 80.0
BESIDE = 40.0
"""Seconds that two faults last beside each other, where one has to begin after the other was told."""
STALLS = ("pfc-storm", "reboot", "link-down", "link-flap")
"""Faults for which a job stands still, where they are at a host's only way; elsewhere a link may lose its traffic."""
MOVES = ("incast", "slow-receiver", "slow-rail", "grey-loss")
"""Faults that only traffic shows."""


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
        scenario, announced = healthy(fabric, rng)
        return Made(scenario, (), announced)
    scenario = ordinary(fabric, rng, case.kinds)
    draw = Draw(fabric, rng, busy_ports(scenario) if "grey-loss" in case.kinds else frozenset())
    masked = [False] * len(case.kinds)
    if case.relation == "overlapping":
        chosen, masked = _overlapping(case, draw)
    else:
        chosen = _apart(case.kinds, draw, fabric)
    faults = []
    for kind, fields in zip(case.kinds, chosen, strict=True):
        start = round(float(rng.uniform(*ONSET)), 1)
        faults.append(fault_of(fabric, kind, start, start + LASTS, fields))
    if case.relation == "overlapping":
        faults = [fault.model_copy(update={"start": faults[0].start, "end": faults[0].end}) for fault in faults]
    else:
        faults = _one_after_the_other(faults, fabric)
    scenario = with_faults(scenario, tuple(faults))
    return Made(scenario, truths(scenario, masked))


def _one_after_the_other(faults: list[Fault], fabric: str) -> list[Fault]:
    """Faults that only traffic shows begin first where the other one stops it, and go on beside it."""
    moving = [fault for fault in faults if fault.kind in MOVES]
    lost = any(fault.kind == "grey-loss" for fault in faults)
    stalling = [fault for fault in faults if _stalls(fault, fabric) or (lost and fault.kind in STALLS)]
    if not moving or not stalling:
        return faults
    (first,), (second,) = moving, stalling
    start = first.start + round((due(first.kind) + 1) * INTERVAL)
    later = second.model_copy(update={"start": start, "end": start + LASTS})
    longer = first.model_copy(update={"end": max(first.end, start + BESIDE)})
    return [longer if fault is first else later for fault in faults]


def _stalls(fault: Fault, fabric: str) -> bool:
    """Whether a host may have no way left, so that its job stands still."""
    at = places(fabric)
    if fault.kind == "reboot":
        return fault.device in at.hosts or fault.device in at.leaves
    return fault.kind == "pfc-storm" or (fault.kind in STALLS and (fault.device, fault.port) in at.host_ends)


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
        near = [_devices(kind, fields, fabric) for kind, fields in zip(kinds, chosen, strict=True)]
        if all(not a & b for a, b in combinations(near, 2)):
            return chosen


def _devices(kind: str, fields: Fields, fabric: str) -> set[str]:
    """Devices that a fault's fields name, those at the other ends of the links that they name, and who sends."""
    found = {str(fields[key]) for key in ("device", "other_device", "host") if key in fields}
    named = {(fields.get("device"), fields.get("port")), (fields.get("other_device"), fields.get("other_port"))}
    far = {end.far for device in tuple(found) for end in places(fabric).at(device) if (device, end.port) in named}
    if "host" in fields:
        leaves = places(fabric).at(fields["host"])
        far |= {end.far for end in leaves}
    return found | far | (senders(fabric, fields) if kind == "incast" else set())
