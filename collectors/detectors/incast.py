"""incast: so many send to one host port at once that its queue fills, and pauses spread from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.pauses.echoes import Echoes
from collectors.detectors.pauses.lossless import lossless
from collectors.detectors.pauses.places import host_rail, rails
from collectors.detectors.policy import Policy
from collectors.detectors.view import NONE, Floats, Ints, Mask, View

EXPLAINS_AT_VICTIM = ("slow-rail", "pfc-storm")
SAMPLES_A_SENDER = 3
"""Flow samples for each sender asked for, at least: with fewer the pauses decide."""
LEAST_PART = 0.2
"""Of an equal share: who sends less is no sender of this."""
ROSE = 0.1
"""Share of the interval by which a sender's pause is longer than before."""
MOST_NAMED = 20


@dataclass(frozen=True)
class Fan:
    """Who sends: host ports where known (their leaf's side), how many in all, and how that is known."""

    ports: tuple[int, ...]
    count: int
    by: str


class Incast:
    """The detector. Of each port it keeps for how long it looked so, and how long hosts were paused before."""

    code = "incast"

    def __init__(self, view: View, policy: Policy) -> None:
        """``policy.incast`` has the thresholds."""
        self.view, self.policy = view, policy.incast
        self.rules = lossless(view)
        self.rail = rails(view)
        self.victims = view.host_facing & self.rules.ports
        self._cabled = view.peer != NONE
        self._echoes = Echoes(view, self.policy, self.rules)
        self._streak: Ints = np.zeros(view.ports, dtype=np.int64)
        self._rates = np.full(view.ports, np.nan)
        self._calm: Floats = np.zeros(view.ports)

    def step(self, interval: Interval) -> Iterable[Signal]:
        """A signal a host's rail to which too many send."""
        rate = interval.rate("tx_bytes") / self.view.capacity
        mean = np.where(np.isfinite(self._rates), (rate + self._rates) / 2, rate)
        fast = self.victims & (mean >= self.policy.rate_share)
        full = self.victims & (mean >= self.policy.unmarked_rate_share)
        marked = self._marked(interval, fast)
        pressed = fast & self._queues(interval, full, marked)
        self._rates = rate
        if not pressed.any():
            self._streak[:] = 0
            self._calm = self._either_end(interval, "tx", self.rules.crude) / interval.nominal_s
            return []
        pressed &= ~(self._host_pauses(interval) >= self.policy.host_pause_share)
        self._streak = np.where(pressed, self._streak + 1, 0)
        old = np.flatnonzero(self._streak >= self.policy.intervals).tolist()
        fans = {port: self._fan(interval, port) for port in old}
        return self._signals(interval, {p: fan for p, fan in fans.items() if fan.count >= self.policy.senders}, marked)

    def _marked(self, interval: Interval, fast: Mask) -> Floats:
        """Share of each port's lossless packets that were marked; NaN where there are no marks at any fast port.

        Where a switch tells neither queues nor marks, as the NIC at the other end says.
        """
        found: Floats = np.full(self.view.ports, np.nan)
        if (fast & self.rules.rose(interval, "queue_ecn_marked_packets")).any():
            marks = self.rules.rise(interval, "queue_ecn_marked_packets")
            sent = self.rules.rise(interval, "queue_tx_packets")
            np.divide(marks, sent, out=found, where=sent > 0)
        blind = self._echoes.untold(interval, fast)
        return np.where(blind, self._echoes.shares(interval), found) if blind.any() else found

    def _queues(self, interval: Interval, full: Mask, marked: Floats) -> Mask:
        """Ports whose queue was long: by its watermark and marks; where none are made, by pauses upstream."""
        high = self.rules.gauge(interval, "queue_watermark_bytes")
        long = high >= self.policy.queue_kmax * self.rules.kmax
        by_marks: Mask = (marked >= self.policy.marked_share * self.rules.pmax) & (long | np.isnan(high))
        unmarked = full & ~(marked > 0)
        if not unmarked.any():
            return by_marks
        # a watermark alone may be a burst too short for a single mark
        candidates = unmarked & long & (self.rules.gauge(interval, "queue_depth_bytes") >= self.rules.kmin)
        if candidates.any():
            asks = self._asked(interval) >= self.policy.paused_share
            upstream = np.bincount(self.view.device[asks], minlength=len(self.view.device_names)) > 0
            candidates &= upstream[self.view.device]
        return by_marks | candidates

    def _host_pauses(self, interval: Interval) -> Floats:
        """Share of the interval that a port was paused by its host."""
        return self._either_end(interval, "rx", self.rules.rate)

    def _asked(self, interval: Interval) -> Floats:
        """Share of the interval that a port asked its neighbour to pause."""
        return self._either_end(interval, "tx", self.rules.rate)

    def _either_end(self, interval: Interval, way: str, read: Callable[[Interval, str], Floats]) -> Floats:
        """Time of pauses that ports sent ("tx") or received: as they say, or who is at the other end of the cable.

        NICs count pauses also where switches are asked in a way that does not carry them. 0 where neither says.
        """
        back = "rx" if way == "tx" else "tx"
        own, far = (read(interval, f"{one}_pfc_pause_seconds") for one in (way, back))
        found: Floats = np.nan_to_num(np.fmax(own, np.where(self._cabled, far[self.view.peer], np.nan)))
        return found

    def _fan(self, interval: Interval, port: int) -> Fan:
        """Who sends to a port: by flow samples where there are enough, else by whose pauses rose."""
        flows = interval.flows
        to = flows.filter(pl.col("out_id") == port) if flows.height else flows
        if to.height >= SAMPLES_A_SENDER * self.policy.senders:
            return self._sampled(flows, to)
        asked = self._asked(interval)
        same = (
            (asked >= self.policy.paused_share) & self.view.host_facing & (self.view.network == self.view.network[port])
        )
        if self.view.rail[port] != NONE:
            same &= self.view.rail == self.view.rail[port]
        same[port] = False
        rose = same & (asked >= self._calm + ROSE)
        # beside other collisions the senders may have been paused before
        ports = np.flatnonzero(rose if rose.sum() >= self.policy.senders else same)
        return Fan(tuple(ports.tolist()), len(ports), "pauses")

    def _sampled(self, flows: pl.DataFrame, to: pl.DataFrame) -> Fan:
        by_source = to.group_by("src_ip").len()
        part = LEAST_PART * to.height / max(by_source.height, 1)
        sources = by_source.filter(pl.col("len") >= part)["src_ip"]
        entering = flows.filter(pl.col("src_ip").is_in(sources.to_list()) & pl.col("in_id").is_not_null())
        ids = entering["in_id"].unique().sort().to_numpy()
        return Fan(tuple(ids[self.view.host_facing[ids]].tolist()), len(sources), "flow-samples")

    def _signals(self, interval: Interval, fans: dict[int, Fan], marked: Floats) -> list[Signal]:
        """One signal a subject: the planes of one NIC are one."""
        found: dict[str, list[int]] = {}
        for port in sorted(fans):
            found.setdefault(str(self._subject(port)), []).append(port)
        return [self._signal(interval, ports, fans, marked) for ports in found.values()]

    def _subject(self, port: int) -> dict[str, Any]:
        return host_rail(self.view, self.rail, int(self.view.peer[port]))

    def _signal(self, interval: Interval, ports: list[int], fans: dict[int, Fan], marked: Floats) -> Signal:
        first = ports[0]
        count = sum(fans[port].count for port in ports)
        senders = sorted({sender for port in ports for sender in fans[port].ports})
        peers = [int(self.view.peer[port]) for port in (*ports, *senders)]
        line = float(self.view.capacity[first])
        room = buffer_bytes(self.view, first) or float(self.rules.kmax[first])
        watermark = self.rules.gauge(interval, "queue_watermark_bytes")[ports].max()
        evidence: dict[str, Any] = {
            "level": count,
            "senders": count,
            "senders_by": fans[first].by,
            "sender_hosts": sorted({self.view.device_names[self.view.device[self.view.peer[s]]] for s in senders})[
                :MOST_NAMED
            ],
            "at": [self.view.end(port) for port in ports],
            "rate_share": round(float(self._rates[ports].max()), 4),
            "marked_share": _rounded(marked[ports].max()),
            "watermark_bytes": _rounded(watermark),
            "buffer_bytes": room,
            "fill_seconds": fill_seconds(room, fans[first].count, self._sender_rate(fans[first], line), line),
        }
        both = tuple(dict.fromkeys((*ports, *senders, *peers)))
        masks = tuple((code, port) for code in EXPLAINS_AT_VICTIM for port in both)
        own = (*ports, *(int(self.view.peer[port]) for port in ports))
        return Signal(self.code, "incast", self._subject(first), evidence, own, masks=masks)

    def _sender_rate(self, fan: Fan, line: float) -> float:
        """Bytes a second of one sender's NIC; the victim's own line rate where nobody is named."""
        return float(np.median(self.view.capacity[list(fan.ports)])) if fan.ports else line


def fill_seconds(room: float, senders: int, rate: float, line: float) -> float | None:
    """Time in which k senders of r bytes a second fill B bytes before a port of C: B/(k·r − C); None: never."""
    excess = senders * rate - line
    return round(room / excess, 9) if excess > 0 else None


def buffer_bytes(view: View, port: int) -> float | None:
    """The packet buffer of a port's switch; None where the catalogue does not have it."""
    fabric = view.plan.fabric
    model = fabric.switches["model"][int(view.device[port]) - fabric.hosts.height]
    asic = view.plan.catalogue.switches[str(model)].asic
    return None if asic is None or asic.buffer_mb is None else asic.buffer_mb * 1e6


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
