"""Findings against the truth: hits, misses, false findings, causes, and Wilson's intervals.

A finding is a hit where its code is that of a fault, its subject matches, and it was told between onset and deadline. A
fault has one hit; what else is told of it later is a repeat and counts nowhere. All other findings are false: victims,
wrong subjects, and findings of a fault that came too late or when it was long over. A masked fault may be found and
need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

import polars as pl

from benchmarks.detection.truths import Truth
from fabric.findings import Finding, State
from fabric.plan import Plan

Z95 = 1.959964
DAY_S = 86_400.0


@dataclass(frozen=True)
class Told:
    """A finding and the end of the interval in which it was told."""

    finding: Finding
    at_ns: int


@dataclass(frozen=True)
class Judged:
    """A finding that opened, and the fault that it hits, if it does."""

    told: Told
    verdict: Literal["hit", "repeat", "late", "false"]
    truth: Truth | None = None

    @property
    def what(self) -> str:
        """Code and cause, and whether it came too late."""
        finding = self.told.finding
        return f"{finding.code}/{finding.cause}" + (" late" if self.verdict == "late" else "")


@dataclass
class Tally:
    """Sums over runs; those of several runs add up."""

    runs: int = 0
    faults: int = 0
    hits: int = 0
    causes: int = 0
    false: int = 0
    late: int = 0
    """False findings that name a fault, after its deadline."""
    seconds: float = 0.0
    delays: list[float] = field(default_factory=list)
    """Seconds from onset to the telling, a hit each."""
    wrong: dict[str, int] = field(default_factory=dict)
    """False findings by code and cause."""
    cpu: float = 0.0
    """CPU seconds of simulation and detectors."""

    def __iadd__(self, other: Tally) -> Tally:
        for name in ("runs", "faults", "hits", "causes", "false", "late", "seconds", "delays", "cpu"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for what, count in other.wrong.items():
            self.wrong[what] = self.wrong.get(what, 0) + count
        return self

    @property
    def false_a_day(self) -> float:
        """False findings in a day of one fabric."""
        return self.false * DAY_S / self.seconds if self.seconds else 0.0


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, 1927); (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share, z2 = hits / trials, Z95 * Z95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def score(plan: Plan, truths: Sequence[Truth], told: Iterable[Told], seconds: float) -> Tally:
    """The tally of one run; ``told``: all that was said, in its order."""
    tally = Tally(runs=1, faults=sum(not truth.masked for truth in truths), seconds=seconds)
    for one in judged(plan, truths, told):
        if one.verdict == "hit":
            assert one.truth is not None
            tally.hits += 1
            tally.causes += one.told.finding.cause == one.truth.cause
            tally.delays.append((one.told.at_ns - one.truth.onset_ns) / 1e9)
        elif one.verdict != "repeat":
            tally.false += 1
            tally.late += one.verdict == "late"
            tally.wrong[one.what] = tally.wrong.get(one.what, 0) + 1
    return tally


def judged(plan: Plan, truths: Sequence[Truth], told: Iterable[Told]) -> Iterator[Judged]:
    """What each finding that opened is worth, in their order."""
    hit: set[int] = set()
    for one in told:
        if one.finding.state != State.OPEN:
            continue
        about = [n for n, truth in enumerate(truths) if _alive(truth, one) and matches(plan, truth, one.finding)]
        new = [n for n in about if one.at_ns <= truths[n].deadline_ns and n not in hit and not truths[n].masked]
        if new:
            hit.add(new[0])
            yield Judged(one, "hit", truths[new[0]])
        elif any(n in hit or truths[n].masked for n in about):
            yield Judged(one, "repeat")
        else:
            yield Judged(one, "late" if about else "false")


def _alive(truth: Truth, told: Told) -> bool:
    """Whether the fault had begun, and was not over for longer than it may take to be told."""
    return truth.onset_ns < told.at_ns <= truth.end_ns + truth.deadline_ns - truth.onset_ns


def matches(plan: Plan, truth: Truth, finding: Finding) -> bool:
    """Whether a finding is about a fault: the code, and a subject that is the fault's.

    A link matches by either end, a group or trunk by any member, a host's rail by its NIC's ports or the leaf's ports
    that they are cabled to, a device by its name. Cables that are swapped match by their planned other ends too: that
    is the same swap, and of a breakout cable only its single ends can be. A fault of the whole network (or of a tier of
    it) matches by a tier of it (by that tier), or by any switch there.
    """
    if finding.code != truth.code:
        return False
    mine, theirs = truth.subject, finding.subject
    if "network" in mine:
        if "network" in theirs:
            return bool(theirs["network"] == mine["network"] and mine.get("tier") in (None, theirs.get("tier")))
        return _device(theirs) in _switches(plan, mine.get("tier"))
    if set(mine) & {"link", "ends", "ports", "rail"}:
        here = _ends(plan, mine)
        return bool((here | _cabled(plan, here) if "ends" in mine else here) & _ends(plan, theirs))
    return _device(mine) is not None and _device(mine) == _device(theirs)


def _device(subject: Mapping[str, Any]) -> str | None:
    found = subject.get("switch", subject.get("host"))
    return None if found is None else str(found)


def _switches(plan: Plan, tier: str | None) -> set[str]:
    rows = plan.fabric.switches
    own = rows if tier is None else rows.filter(pl.col("tier").cast(pl.String) == tier)
    return set(own["name"])


def _ends(plan: Plan, subject: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Device and port of each port that a subject names; of a rail both ends of its links."""
    found = {(end["device"], end["port"]) for key in ("link", "ends") for end in subject.get(key, ())}
    device = _device(subject)
    if device is not None:
        found |= {(device, port) for port in subject.get("ports", ())}
        if "rail" in subject:
            found |= _rail(plan, device, int(subject["rail"]))
    return found


def _cabled(plan: Plan, ends: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The planned other ends of links, by device and port."""
    names, ports, links = plan.fabric.device_names(), plan.fabric.ports["name"], plan.fabric.links
    links = links.filter(pl.col("b_device").is_not_null())
    sides = [list(zip(names.gather(links[f"{s}_device"]), ports.gather(links[f"{s}_port"]), strict=True)) for s in "ab"]
    pairs = zip(*sides, strict=True)
    return {far for a, b in pairs for near, far in ((a, b), (b, a)) if near in ends}


def _rail(plan: Plan, host: str, rail: int) -> set[tuple[str, str]]:
    """Ports at both ends of the links of a host's rail."""
    fabric = plan.fabric
    names, ports = fabric.device_names(), fabric.ports["name"]
    number = fabric.hosts["name"].index_of(host)
    rows = fabric.links.filter((pl.col("a_device") == number) & (pl.col("rail") == rail))
    ends = [rows.select(d=names.gather(rows[f"{s}_device"]), p=ports.gather(rows[f"{s}_port"])) for s in "ab"]
    return set(pl.concat(ends).iter_rows())
