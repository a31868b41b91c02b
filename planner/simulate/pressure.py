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

from planner.simulate.entries import ACTIVE, BYTES, FLOWS, LOAD, entries
from planner.simulate.events import BYTES_A_GBPS_SECOND
from planner.simulate.kept import kept

if TYPE_CHECKING:
    from fabric.qos import QosPlan
    from planner.simulate.events import Span
    from planner.simulate.wires import Floats, Mask, Wires

REACTION = 50e-6
"""Seconds between two congestion notifications to one sender (DCQCN's default of mlx5)."""
XOFF = 2.0
"""Queue at which a switch pauses its neighbours, over Kmax; switches reckon it from the buffer that is free."""
PACKET = 4096 + 74
"""Bytes of a full RoCEv2 packet of path MTU 4096 on the wire: Ethernet 18, IPv4 20, UDP 8, BTH 12, RETH 16."""


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
    found = entries(span, wires.gbps)
    sums = found.sums[:count]
    rate = sums[:, BYTES] / (1.0 if span.endless else span.seconds)
    switch = np.where(wires.tail >= 0, wires.level[wires.tail], -1) > 0
    excess = np.where(switch, np.clip(found.over[:count] - 1, 0, None), 0.0)
    lean = np.minimum(excess, 1.0)
    queue = np.where(excess > 1e-3, curves.kmin + lean * (curves.kmax - curves.kmin), 0.0)
    surge = excess * wires.gbps[:count] * BYTES_A_GBPS_SECOND * REACTION
    high = np.minimum(queue + surge, (XOFF + 1) * curves.kmax)
    pauses = (queue + surge > XOFF * curves.kmax) & (excess > 1e-3) & (curves.credits | (curves.kmax > 0))
    paused = found.back_pressure(pauses)[:count]
    lost = np.zeros(count)
    if drops is not None:
        lost = np.where(drops, paused * line[:count] * BYTES_A_GBPS_SECOND / PACKET * 1e-3, 0.0)
        paused = np.where(drops, 0.0, paused)
    slow = np.divide(wires.gbps[:count], line[:count], out=np.ones(count), where=line[:count] > 0)
    busy = np.divide(sums[:, LOAD], wires.gbps[:count], out=np.zeros(count), where=wires.gbps[:count] > 0)
    paused = np.maximum(paused, np.where(switch & (wires.level[wires.head] == 0), busy * (1 - slow), 0.0))
    # flows that end early leave the rest of a batch idle, their queue too
    queue = queue * sums[:, ACTIVE]
    if span.blocked is not None:
        paused = np.where(span.blocked[:count], 1.0, paused)
        stands = span.blocked[:count] & switch & (sums[:, FLOWS] > 0)
        queue, high = np.where(stands, XOFF * curves.kmax, queue), np.where(stands, XOFF * curves.kmax, high)
    share = lean * curves.pmax
    echoed = found.echoed(share) * BYTES_A_GBPS_SECOND / PACKET
    return Pressure(rate, paused, share * rate / PACKET, lost, queue, high, echoed)
