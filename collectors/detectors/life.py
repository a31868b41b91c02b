"""From signals to findings: they open, are told again when they got worse, and clear; each is said once.

Missing samples never count as clean. What holds of most links of a device, or of most devices of a rack, is one
finding. Signals of devices under announced maintenance are kept back, and told when it is over if they still hold.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.jobs import Jobs
from collectors.detectors.policy import Life as Thresholds
from collectors.detectors.view import NONE, View
from fabric.detections import DETECTIONS
from fabric.findings import Finding, Severity, State

MASS = (("link", "down"), ("link", "flap"), ("silence", "stopped"), ("silence", "down"))
"""Codes and causes that come in masses: a power feed or a restart makes flaps where links are back in time."""


@dataclass(frozen=True)
class Maintenance:
    """Announced work: devices (names) whose signals are kept back from ``start_ns`` until ``end_ns``."""

    start_ns: int
    end_ns: int
    devices: frozenset[str]


@dataclass
class _Track:
    """A signal through time."""

    signal: Signal
    first_ns: int
    last_ns: int
    quiet: int = 0
    told: Finding | None = None
    told_ns: int = 0


class Lives:
    """The lives of all findings of one fabric."""

    def __init__(
        self, view: View, policy: Thresholds, jobs: Jobs | None = None, maintenance: Sequence[Maintenance] = ()
    ) -> None:
        """``jobs``: which ran where; ``maintenance``: what was announced."""
        self.view, self.policy, self.jobs, self.maintenance = view, policy, jobs, maintenance
        self._tracks: dict[str, _Track] = {}

    def step(self, interval: Interval, signals: Iterable[Signal]) -> list[Finding]:
        """Findings that opened, changed or cleared in this interval, in the order of code and subject."""
        present = {_key(signal): signal for signal in self._masses(_unmasked(list(signals)))}
        for key, signal in present.items():
            track = self._tracks.get(key)
            if track is None:
                onset = interval.start_ns if signal.onset_ns is None else signal.onset_ns
                self._tracks[key] = _Track(signal, onset, interval.end_ns)
            else:
                self._tracks[key] = replace(track, signal=signal, last_ns=interval.end_ns, quiet=0)
        found: list[Finding] = []
        for key in sorted(self._tracks):
            found.extend(self._one(key, key in present, interval))
        return found

    def open(self) -> list[Finding]:
        """Every finding that was told and has not cleared."""
        return [track.told for _, track in sorted(self._tracks.items()) if track.told is not None]

    def _one(self, key: str, present: bool, interval: Interval) -> Iterator[Finding]:
        track = self._tracks[key]
        if present:
            if not self._kept_back(track.signal, interval.end_ns):
                yield from self._tell(track, interval.end_ns)
            return
        if self._heard(track.signal, interval):
            track.quiet += 1
        if track.quiet >= self.policy.clear_after:
            del self._tracks[key]
            if track.told is not None:
                yield replace(track.told, state=State.CLEARED, last_seen=track.last_ns)

    def _tell(self, track: _Track, now_ns: int) -> Iterator[Finding]:
        finding = self._finding(track)
        if track.told is None:
            track.told, track.told_ns = finding, now_ns
            yield finding
        elif self._worth_telling(track, finding, now_ns):
            track.told, track.told_ns = replace(finding, state=State.UPDATED), now_ns
            yield track.told
        else:
            track.told = replace(track.told, last_seen=track.last_ns)

    def _worth_telling(self, track: _Track, finding: Finding, now_ns: int) -> bool:
        assert track.told is not None
        if (finding.cause, finding.severity) != (track.told.cause, track.told.severity):
            return True
        before, level = track.told.evidence.get("level"), finding.evidence.get("level")
        worse = before is not None and level is not None and level > before * self.policy.worse
        return worse or now_ns - track.told_ns >= self.policy.tell_again_s * 1e9

    def _finding(self, track: _Track) -> Finding:
        signal = track.signal
        known = DETECTIONS[signal.code]
        severity = Severity(signal.severity) if signal.severity else known.causes[signal.cause]
        jobs = () if self.jobs is None else self.jobs.touched(self.view, signal.ports, track.last_ns)
        return Finding(
            signal.code, signal.cause, severity, signal.subject, signal.evidence, first_seen=track.first_ns,
            last_seen=track.last_ns, jobs=jobs, advice=known.advice,
        )  # fmt: skip

    def _heard(self, signal: Signal, interval: Interval) -> bool:
        """Whether anything came of what the signal is about; what it is about may have no ports."""
        return not signal.ports or bool(interval.heard[list(signal.ports)].any())

    def _kept_back(self, signal: Signal, now_ns: int) -> bool:
        under = [m.devices for m in self.maintenance if m.start_ns <= now_ns < m.end_ns]
        if not under or not signal.ports:
            return False
        names, devices = self.view.device_names, self.view.device
        ends = [int(p) for port in signal.ports for p in (port, self.view.peer[port]) if p != NONE]
        return any(names[devices[port]] in group for group in under for port in ends)

    def _masses(self, signals: list[Signal]) -> Iterator[Signal]:
        """Signals with those of a mass event replaced by one."""
        for code, cause in MASS:
            mine = [signal for signal in signals if (signal.code, signal.cause) == (code, cause)]
            taken, events = self._events(mine)
            signals = [signal for signal in signals if id(signal) not in taken] + events
        yield from signals

    def _events(self, signals: list[Signal]) -> tuple[set[int], list[Signal]]:
        taken: set[int] = set()
        events: list[Signal] = []
        for name, members in self._by_place(signals):
            left = [signal for signal in members if id(signal) not in taken]
            if len(left) < self.policy.mass_least or len(left) < self.policy.mass_share * self._size(name, left[0]):
                continue
            taken |= {id(signal) for signal in left}
            ports = tuple(sorted({port for signal in left for port in signal.ports}))
            evidence = {"level": len(left), "signals": len(left), "of": self._size(name, left[0])}
            onset = min((s.onset_ns for s in left if s.onset_ns is not None), default=None)
            subject = {name[0]: name[1]}
            events.append(Signal(left[0].code, left[0].cause, subject, evidence, ports, onset))
        return taken, events

    def _by_place(self, signals: list[Signal]) -> list[tuple[tuple[str, str], list[Signal]]]:
        """Signals by rack and then by device, the largest first."""
        places: dict[tuple[str, str], list[Signal]] = defaultdict(list)
        for signal in signals:
            ends = {int(p) for port in signal.ports for p in (port, self.view.peer[port]) if p != NONE}
            for device in sorted({int(self.view.device[port]) for port in ends}):
                kind = "switch" if device >= self.view.plan.fabric.hosts.height else "host"
                places[kind, self.view.device_names[device]].append(signal)
                rack = self.view.racks[device]
                if rack and signal.code == "silence":
                    places["rack", rack].append(signal)
        return sorted(places.items(), key=lambda item: (item[0][0] != "rack", -len(item[1]), item[0]))

    def _size(self, place: tuple[str, str], signal: Signal) -> int:
        """How many signals there could be: cabled ports of the device, devices of the rack."""
        if place[0] == "rack":
            return self.view.racks.count(place[1])
        device = self.view.device_ids[place[1]]
        return int(np.count_nonzero((self.view.device == device) & (self.view.peer != NONE)))


def _key(signal: Signal) -> str:
    return json.dumps([signal.code, signal.subject], sort_keys=True, separators=(",", ":"))


def _unmasked(signals: list[Signal]) -> list[Signal]:
    """Signals that no other explains."""
    explained = {mask for signal in signals for mask in signal.masks}
    return [s for s in signals if not s.ports or not all((s.code, port) in explained for port in s.ports)]
