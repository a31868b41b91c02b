"""Queues, marks and pauses behind the rates of a stretch of time: what a switch would count beside bytes.

Rates are max–min fair, as congestion control makes them in the long run. What queues and pauses do meanwhile follows
from them by a model that is one consistent account, not a packet simulation:

* A flow *wants* the fair share of its own NIC port; its *bottleneck* is the first full channel that holds it lower.
* *Overload* of a switch's channel: what flows want that it is the bottleneck of, and the rates of the others, over its
  speed. Its queue stands between Kmin (overload 1) and Kmax (2 or more), and marks in proportion up to Pmax.
* Before senders react (``REACTION`` seconds) an overload of r queues (r − 1)·speed·REACTION more; that is the
  watermark. Where it passes ``XOFF`` (times Kmax) the switch pauses who sends to it.
* Pauses go back hop by hop along each held flow to its NIC; a channel is paused the share of time by which its flows
  get less than they want: 1 − Σ rates/Σ wanted. So senders together are paused by just what the bottleneck lacks.
* A host that takes less than its line rate pauses its leaf for the share of time that it lacks. Behind a storm
  channels are paused throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.simulate.events import BYTES_A_GBPS_SECOND
from planner.simulate.kept import kept

if TYPE_CHECKING:
    from fabric.qos import QosPlan
    from planner.simulate.events import Span
    from planner.simulate.wires import Floats, Ints, Mask, Wires

REACTION = 50e-6
"""Seconds between two congestion notifications to one sender (DCQCN's default of mlx5)."""
XOFF = 2.0
"""Queue at which a switch pauses its neighbours, over Kmax; switches reckon it from the buffer that is free."""
PACKET = 4096 + 74
"""Bytes of a full RoCEv2 packet of path MTU 4096 on the wire: Ethernet 18, IPv4 20, UDP 8, BTH 12, RETH 16."""
FULL = 1 - 1e-6


@dataclass(frozen=True)
class Pressure:
    """By channel, in a stretch of time; queues are those of the port that sends into the channel.

    ``bytes``, and packets ``marked`` and ``dropped``, a second; ``paused``: share of the time; ``queue`` and
    ``watermark`` in bytes; ``echoed``: on channels of hosts alone, marked packets a second of the flows that end or
    begin there.
    """

    bytes: Floats
    paused: Floats
    marked: Floats
    dropped: Floats
    queue: Floats
    watermark: Floats
    echoed: Floats


@dataclass(frozen=True)
class Curve:
    """Marking curve of each channel's port, in bytes; zero where the network is not RoCE.

    ``credits``: InfiniBand, whose ports wait for credits as soon as anything behind them is full.
    """

    kmin: Floats
    kmax: Floats
    pmax: Floats
    credits: bool = False


def curve(wires: Wires, rules: QosPlan | None) -> Curve:
    """The planned curves by the links' speeds."""
    return kept(wires.plan, ("curve", wires.network), lambda: _curve(wires, rules))


def _curve(wires: Wires, rules: QosPlan | None) -> Curve:
    speeds = wires.plan.fabric.links["speed_gbps"].to_numpy().repeat(2)
    made = np.zeros((3, len(speeds)))
    for speed in np.unique(speeds).tolist() if rules else ():
        assert rules is not None
        row = rules.ecn(speed)
        made[:, speeds == speed] = np.array([row.kmin_kb * 1000.0, row.kmax_kb * 1000.0, float(row.pmax)])[:, None]
    return Curve(
        made[0], made[1], made[2], credits=wires.plan.design.networks[wires.network].technology == "infiniband"
    )


def pressure(wires: Wires, span: Span, line: Floats, curves: Curve, drops: Mask | None = None) -> Pressure:
    """What a stretch of time does to every channel on a link. ``line``: Gb/s of the channels when they are whole.

    ``drops``: channels into switches that do not pause (PFC off): what would be paused is dropped there.
    """
    count = 2 * wires.links
    entries = _Entries(wires, span)
    rate = span.channel_bytes(len(wires.gbps))[:count] / (1.0 if span.endless else span.seconds)
    over, held = entries.overload()
    switch = np.where(wires.tail >= 0, wires.level[wires.tail], -1) > 0
    excess = np.where(switch, np.clip(over[:count] - 1, 0, None), 0.0)
    lean = np.minimum(excess, 1.0)
    queue = np.where(excess > 1e-3, curves.kmin + lean * (curves.kmax - curves.kmin), 0.0)
    surge = excess * wires.gbps[:count] * BYTES_A_GBPS_SECOND * REACTION
    high = np.minimum(queue + surge, (XOFF + 1) * curves.kmax)
    pauses = (queue + surge > XOFF * curves.kmax) & (excess > 1e-3) & (curves.credits | (curves.kmax > 0))
    paused = entries.back_pressure(held, pauses)[:count]
    lost = np.zeros(count)
    if drops is not None:
        lost = np.where(drops, paused * line[:count] * BYTES_A_GBPS_SECOND / PACKET * 1e-3, 0.0)
        paused = np.where(drops, 0.0, paused)
    slow = np.divide(wires.gbps[:count], line[:count], out=np.ones(count), where=line[:count] > 0)
    busy = np.divide(entries.load[:count], wires.gbps[:count], out=np.zeros(count), where=wires.gbps[:count] > 0)
    paused = np.maximum(paused, np.where(switch & (wires.level[wires.head] == 0), busy * (1 - slow), 0.0))
    # flows that end early leave the rest of a batch idle, their queue too
    queue = queue * entries.active(span)[:count]
    if span.blocked is not None:
        paused = np.where(span.blocked[:count], 1.0, paused)
        stands = span.blocked[:count] & switch & (entries.wanting[:count] > 0)
        queue, high = np.where(stands, XOFF * curves.kmax, queue), np.where(stands, XOFF * curves.kmax, high)
    share = lean * curves.pmax
    return Pressure(rate, paused, share * rate / PACKET, lost, queue, high, entries.echoed(share))


class _Entries:
    """Flow–channel pairs of a stretch, in the order of each flow's path."""

    def __init__(self, wires: Wires, span: Span) -> None:
        lengths = np.diff(span.start)
        self.channels = len(wires.gbps)
        self.flow = np.repeat(np.arange(len(span.rates)), lengths)
        self.channel = span.items.astype(np.int64)
        self.place = np.arange(len(self.channel)) - np.repeat(span.start[:-1], lengths)
        self.rates = span.rates
        self.gbps = wires.gbps
        self.load = self.total(span.rates)
        self.wanting = np.bincount(self.channel, minlength=self.channels).astype(np.float64)
        first, has = np.zeros(len(span.rates), dtype=np.int64), lengths > 0
        first[has] = span.items[span.start[:-1][has]]
        sharing = np.bincount(first[has], minlength=self.channels)
        fair = wires.gbps[first] / np.maximum(sharing[first], 1)
        self.wanted = np.maximum(np.where(has, fair, 0.0), span.rates)

    def total(self, of: Floats) -> Floats:
        """Sum over each channel's flows."""
        found: Floats = np.bincount(self.channel, of[self.flow], self.channels).astype(np.float64)
        return found

    def active(self, span: Span) -> Floats:
        """Share of the stretch for which any flow runs over each channel."""
        found = np.zeros(self.channels)
        part = np.ones(len(self.rates)) if span.endless else span.until / span.seconds
        np.maximum.at(found, self.channel, part[self.flow])
        return found

    def overload(self) -> tuple[Floats, Ints]:
        """Overload of each channel, and each flow's bottleneck (−1: none)."""
        top = np.zeros(self.channels)
        np.maximum.at(top, self.channel, self.rates[self.flow])
        full = (self.load >= self.gbps * FULL) & (self.gbps > 0)
        holds = full[self.channel] & (self.rates[self.flow] >= top[self.channel] * FULL)
        bottleneck = np.full(len(self.rates), -1, dtype=np.int64)
        order = np.flatnonzero(holds)[::-1]
        bottleneck[self.flow[order]] = self.channel[order]
        own = bottleneck[self.flow] == self.channel
        asked = np.bincount(
            self.channel, weights=np.where(own, self.wanted[self.flow], self.rates[self.flow]), minlength=self.channels
        )
        return np.divide(asked, self.gbps, out=np.zeros(self.channels), where=self.gbps > 0), bottleneck

    def echoed(self, share: Floats) -> Floats:
        """Marked packets a second of each flow, on its first and its last channel."""
        known = np.append(share, np.zeros(self.channels - len(share)))
        marked = np.bincount(self.flow, known[self.channel], len(self.rates)).clip(max=1.0) * self.rates
        last = np.append(self.flow[1:] != self.flow[:-1], True)[: len(self.flow)]
        found: Floats = np.zeros(self.channels)
        for ends in (self.place == 0, last):
            np.add.at(found, self.channel[ends], marked[self.flow[ends]])
        return found[: len(share)] * BYTES_A_GBPS_SECOND / PACKET

    def back_pressure(self, bottleneck: Ints, pauses: Mask) -> Floats:
        """Share of time that each channel is paused by what lies behind it."""
        known = np.append(pauses, np.zeros(self.channels - len(pauses) + 1, dtype=np.bool_))
        held = known[bottleneck] & (bottleneck >= 0)
        at = np.full(len(self.rates), -1, dtype=np.int64)
        own = bottleneck[self.flow] == self.channel
        at[self.flow[own]] = self.place[own]
        before = held[self.flow] & (self.place < at[self.flow])
        wish = np.where(before, self.wanted[self.flow], self.rates[self.flow])
        asked = np.bincount(self.channel, weights=wish, minlength=self.channels)
        share: Floats = 1 - np.divide(self.load, asked, out=np.ones(self.channels), where=asked > 0)
        touched = np.zeros(self.channels, dtype=np.bool_)
        touched[self.channel[before]] = True
        return np.where(touched, np.clip(share, 0.0, 1.0), 0.0)
