"""What an interval says of each host's rail: how fast it takes and sends while active, and why that may be.

A port is active while it sends at line rate and while it is paused, so its rate while active is bytes over
bytes/line rate + time paused, whatever the interval's length: 1 of line rate where nobody pauses it. A host that takes
less than line rate pauses its leaf. One that sends less pauses nobody: its NIC waits for reads of the host's memory,
and where it tells for how long, the same sum says how fast it sends while it has something to send.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collectors.detectors.interval import Interval
from collectors.detectors.links.rises import most
from collectors.detectors.policy import SlowRail as Thresholds
from collectors.detectors.rails.table import Rails
from collectors.detectors.view import BYTES_A_GIGABIT, Floats, Mask

SPEED_SHARE = 0.99
STALLED = "pcie_read_stalled_share"
UP = 1


@dataclass(frozen=True)
class Evidence:
    """Of each cell, NaN where it says nothing (idle, unknown, or explained by something else).

    ``takes`` and ``reads``: log of the rate while active towards the host and from it, of line rate; ``sends``: log of
    the rate sent, of line rate, of the time in which nobody paused it. ``paused``: share of the interval in which the
    host paused its leaf; ``stalled``: share of a second in which its NIC had something to send and waited for the host.
    ``explained``: a storm, a slow or dead link, or a drifted PCIe slot accounts for whatever there is.
    """

    takes: Floats
    sends: Floats
    reads: Floats
    paused: Floats
    stalled: Floats
    explained: Mask


def evidence(interval: Interval, rails: Rails, policy: Thresholds, drifted: Mask) -> Evidence:
    """Of one interval. ``drifted``: ports of hosts whose PCIe slots run below others'."""
    took, held, seconds = _towards(interval, rails, policy)
    explained = _elsewhere(interval, rails) | rails.any(drifted[rails.port] | (held / seconds >= policy.storm_share))
    span = rails.total(seconds)
    paused = rails.total(held) / span
    takes = _active(rails.total(took / rails.line) / span, paused, policy.paused_share, policy, explained)
    sent, sent_s = interval.delta("tx_bytes")[rails.port], interval.seconds("tx_bytes")[rails.port]
    stalled = rails.mean(interval.gauge(STALLED)[rails.port])
    busy = rails.total(sent / rails.line) / rails.total(sent_s)
    reads = _active(busy, stalled, policy.stalled_share, policy, explained | ~np.isfinite(stalled))
    sends = _sends(interval, rails, policy, explained, sent, sent_s)
    return Evidence(takes, sends, reads, paused, stalled, explained)


def _active(busy: Floats, held: Floats, least: float, policy: Thresholds, explained: Mask) -> Floats:
    """Log of the rate while active: of the time that bytes take at line rate, and the time that they were held up.

    1 where they were held up for less than ``least`` of the time.
    """
    active = (busy >= policy.active_share) & ~explained
    slow = active & (held >= least)
    found = np.where(active, 0.0, np.nan)
    found[slow] = np.log(busy[slow] / (busy[slow] + held[slow]))
    return found


def _towards(interval: Interval, rails: Rails, policy: Thresholds) -> tuple[Floats, Floats, Floats]:
    """Bytes towards each host's port, seconds that it kept its leaf from sending, and in how many seconds.

    Both by one device, so that neither is older than the other: the host's, or else the leaf's.
    """
    paused = _pauses(interval, "tx")[rails.port]
    took, took_s = interval.delta("rx_bytes")[rails.port], interval.seconds("rx_bytes")[rails.port]
    there = most(_pauses(interval, "rx"), interval.risen("tx_wait_ticks") * policy.tick_s)[rails.peer]
    mine = np.isfinite(paused) & np.isfinite(took)
    if mine.all():
        return took, np.minimum(paused, took_s), took_s
    sent, sent_s = interval.delta("tx_bytes")[rails.peer], interval.seconds("tx_bytes")[rails.peer]
    seconds = np.where(mine, took_s, sent_s)
    return np.where(mine, took, sent), np.minimum(np.where(mine, paused, there), seconds), seconds


def _pauses(interval: Interval, way: str) -> Floats:
    """Seconds of pause, of the priority that was paused most."""
    found = np.full(interval.view.ports, np.nan)
    for _, column in interval.numbers(f"{way}_pfc_pause_seconds"):
        found = most(found, interval.risen(column))
    return found


def _sends(
    interval: Interval, rails: Rails, policy: Thresholds, explained: Mask, sent: Floats, seconds: Floats
) -> Floats:
    """Rate sent, of line rate, of the time not paused; NaN where congestion control held the sender back."""
    paused = np.nan_to_num(_pauses(interval, "rx")[rails.port])
    waits = np.nan_to_num(interval.risen("tx_wait_ticks")[rails.port]) * policy.tick_s
    free = seconds - np.minimum(np.maximum(paused, waits), 0.99 * seconds)
    marked = np.nan_to_num(interval.risen("cnp_handled_packets")[rails.port]) >= policy.marked_a_second * seconds
    rate = rails.total(sent) / rails.total(free * rails.line)
    known = (rate >= policy.active_share) & ~explained & ~rails.any(marked)
    return np.log(np.where(known, np.minimum(rate, 1.0), np.nan))


def _elsewhere(interval: Interval, rails: Rails) -> Mask:
    """Rails of hosts of which a link is down (the others carry its traffic too), and rails whose own link is slow."""
    oper, speed = interval.gauge("oper_status"), interval.gauge("speed_gbps")
    off = np.isfinite(oper) & (oper != UP)
    down = np.logical_or(off[rails.port], off[rails.peer])
    planned = rails.line / BYTES_A_GIGABIT * SPEED_SHARE
    slow = np.logical_or(_below(speed[rails.port], planned), _below(speed[rails.peer], planned))
    borrowing = rails.any(down).any(axis=2, keepdims=True)
    found: Mask = rails.any(slow) | borrowing
    return found


def _below(told: Floats, planned: Floats) -> Mask:
    found: Mask = np.isfinite(told) & (told < planned)
    return found


class Slots:
    """PCIe slots that run below the others of their kind: ``config-drift`` tells of them."""

    def __init__(self, rails: Rails) -> None:
        """Nothing known yet."""
        self.rails = rails
        self.speed = np.full(rails.view.ports, np.nan)
        self.drifted: Mask = np.zeros(rails.view.ports, dtype=bool)

    def step(self, interval: Interval) -> None:
        """Settings are told now and then; what was told last holds."""
        told = interval.gauge("pcie_lanes") * interval.gauge("pcie_gigatransfers")
        known = np.isfinite(told)
        if known.any():
            self.speed[known] = told[known]
            usual = np.nanmedian(self.speed)
            self.drifted = np.isfinite(self.speed) & (self.speed < usual)
