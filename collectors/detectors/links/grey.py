"""Grey loss: packets that one end sent and the other never received, with nothing counted as an error.

Switches bring their counters up to date every 1 to 10 s. With S the packets sent so far and d_A, d_B how old the
counters of both ends are, what seems lost so far is

    D(t) = S(t − d_A) − S(t − d_B) + lost(t),

so that lag moves D by no more than the lag times what the rate changed, and back again, while loss adds up. That
difference is judged as a cumulative sum is (Page 1954), over each of the latest windows of m intervals:

    G = Σ (sent − received) / mean sent ≥ B + m·s,

where s is the least share (``lost_share``) and B what lag of up to an interval explains: the range of the rates that
either end showed in the window and the interval before; or, where that is less, the change of the rate from before the
window to its end and twice the range of what single intervals lost, because lag that moves D moves it to and fro.
Besides, the loss has to be even: without its two largest terms (a step of the rates moves D in two intervals) the mean
is still s and ``lost_even`` of the whole's.

Where packets flow both ways the sum of both directions is judged, each over its own mean: lag has opposite signs
there. One end reads what it sends and what it receives at the same time, so that B is then at most the range of their
difference, each over its own mean. Where rates are unsteady (they moved by more than ``lost_unsteady`` of their mean)
and what single intervals lost moved with them (by more than ``lost_late`` of that), counters are late and a whole
burst may lie between those of the two ends, at the window's begin and at its end: there B is twice the range of the
rates. Where they moved by more than ``lost_steps_of`` of the mean (a job stalls or begins), means of an interval do
not bound what the rate was at its ends: there B is their range. Where packets flow one way alone, other ports of each
switch have to vouch for it: if a quarter of them seem to lose a quarter as much towards the same end, the device's lag
drifts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collectors.detectors.interval import Interval
from collectors.detectors.links.sums import Sums
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import Floats, Ints, Mask, View


@dataclass(frozen=True)
class Flow:
    """Some channels in a window of m intervals; all but ``known`` are shares of the mean sent."""

    lost: Floats
    """(m, channels)"""
    moved: Floats
    """Range of the rates in the window and the interval before, by channel; of both directions the sum."""
    changed: Floats
    """How much the rate at the end differs from that before."""
    known: Mask
    """Told in each interval, with enough packets."""

    def explained(self, policy: Thresholds) -> Floats:
        """What lag of an interval explains of the sum of the lost."""
        spread = self.lost.max(axis=0) - self.lost.min(axis=0)
        bursts = (self.moved > policy.lost_unsteady) & (spread > policy.lost_late * self.moved)
        steady = np.minimum(self.least, self.changed + policy.lost_uneven * spread)
        steady = np.where(self.moved > policy.lost_steps_of, self.moved, steady)
        found: Floats = np.where(bursts, 2 * self.moved, steady)
        return found

    @property
    def least(self) -> Floats:
        """The least that bounds what lag explains, where rates are steady."""
        return self.moved


@dataclass(frozen=True)
class Both(Flow):
    """As ``Flow``, with the other direction of the same link added where it carries packets (``two``)."""

    two: Mask
    mine: Mask
    """This direction lost more than the other."""
    between: Floats
    """Range of the difference between what either end sends and receives."""

    @property
    def least(self) -> Floats:
        """As of one direction, or less where the difference of both is steadier than they are."""
        return np.minimum(self.moved, np.where(self.two, self.between, np.inf))


class Grey:
    """Losses, a channel (named by the port that receives) an element."""

    def __init__(self, view: View, policy: Thresholds) -> None:
        """Nothing seen yet."""
        self.view, self.policy, self.sums = view, policy, Sums(view, policy)
        self.lost = np.zeros(view.ports)
        """Share lost in the window that alarmed."""
        self.alarmed: Mask = np.zeros(view.ports, dtype=bool)
        self._before: Mask = np.zeros(view.ports, dtype=bool)
        """Whether something seemed lost in the interval before."""
        order = np.argsort(view.device, kind="stable")
        bounds = np.searchsorted(view.device[order], np.arange(len(view.device_names) + 1))
        self._order, self._bounds = order, bounds
        self._others: dict[tuple[int, int], tuple[Flow, Flow]] = {}

    def step(self, interval: Interval) -> None:
        """Take an interval; where nothing is known all stays."""
        self.sums.step(interval)
        self._others.clear()
        self._clear(np.flatnonzero(self.alarmed & self.sums.joint))
        seems = self._seems()
        channels = np.flatnonzero(seems & self._before & ~self.alarmed)
        self._before = np.where(self.sums.joint, seems, self._before)
        for length in range(self.policy.lost_least, self.policy.lost_window + 1):
            channels = channels[~self.alarmed[channels]]
            if len(channels):
                self._judge(channels, length)

    def _seems(self) -> Mask:
        """Channels that may have lost something in the latest interval: all others need not be looked at."""
        sums = self.sums
        sent, received = sums.latest
        busy = sent >= self.policy.lost_packets
        lost = np.where(busy, (sent - received) / np.where(busy, sent, 1.0), 0.0)
        back = np.where(sums.peered, lost[sums.peer], 0.0)
        found: Mask = busy & (lost + back >= self.policy.lost_share / 2)
        return found

    def _clear(self, channels: Ints) -> None:
        """End what no longer goes on."""
        if len(channels):
            now = self._both(channels, self.policy.lost_least)
            over = now.known & (now.lost.mean(axis=0) < self.policy.lost_share / 2)
            self.alarmed[channels[over]] = False

    def _judge(self, channels: Ints, length: int) -> None:
        now = self._both(channels, length)
        least, total = self.policy.lost_share, now.lost.sum(axis=0)
        lower = np.sort(now.lost, axis=0)[: length - self.policy.lost_steps].mean(axis=0)
        even = lower >= np.maximum(least, self.policy.lost_even * total / length)
        beyond = total >= now.explained(self.policy) + length * least
        found = now.known & now.mine & beyond & even
        for at in np.flatnonzero(found).tolist():
            channel = int(channels[at])
            if self._alone(channel, length, float(total[at]), both=bool(now.two[at])):
                self.alarmed[channel] = True
                self.lost[channel] = float(np.median(now.lost[:, at]))

    def _both(self, channels: Ints, length: int) -> Both:
        peers = self.sums.peer[channels]
        there, back = self._flow(channels, length), self._flow(peers, length)
        sent = self.sums.window(peers, length)[0]
        two: Mask = np.any(np.nan_to_num(sent) >= self.policy.lost_packets, axis=0)
        idle = ~self.sums.ever[peers] | np.isfinite(sent).all(axis=0)
        between, changed = self._between(channels, length)
        known: Mask = there.known & np.where(two, back.known, idle)
        mine: Mask = ~two | (there.lost.sum(axis=0) >= back.lost.sum(axis=0))
        return Both(
            np.where(two, there.lost + back.lost, there.lost),
            np.where(two, there.moved + back.moved, there.moved),
            np.where(two, np.minimum(there.changed + back.changed, changed), there.changed),
            known, two, mine, between,
        )  # fmt: skip

    def _flow(self, channels: Ints, length: int) -> Flow:
        sent, received = self.sums.window(channels, length + 1)
        known = self.sums.joint[channels] & np.isfinite(sent[length])
        known &= np.all(sent[:length] >= self.policy.lost_packets, axis=0)
        mean = np.where(known, sent[:length].mean(axis=0), 1.0)
        moved, changed = _rates(sent, received)
        return Flow((sent - received)[:length] / mean, moved / mean, changed / mean, known)

    def _between(self, channels: Ints, length: int) -> tuple[Floats, Floats]:
        """Range and change of the difference between what either end sends and receives, each over its own mean."""
        there = self.sums.window(channels, length + 1)
        back = self.sums.window(self.sums.peer[channels], length + 1)
        means = [np.maximum(sent[:length].mean(axis=0), 1.0) for sent, _ in (there, back)]
        return _rates(*(there[end] / means[0] - back[1 - end] / means[1] for end in (0, 1)))

    def _alone(self, channel: int, length: int, lost: float, *, both: bool) -> bool:
        """Whether this channel's loss is its own, and not shared by ports of a device at either end."""
        ends = (channel, 1), (int(self.sums.peer[channel]), -1)
        return all(self._own(int(self.view.device[port]), sign, length, lost, both=both) for port, sign in ends)

    def _own(self, device: int, sign: int, length: int, lost: float, *, both: bool) -> bool:
        """Whether too few of a device's ports lose as much; ``sign``: 1 of what it receives, -1 of what it sends."""
        inward, outward = self._ports(device, length)
        into, out = (np.where(one.known, one.lost.sum(axis=0), np.nan) for one in (inward, outward))
        sizes = (into + out,) if both else (sign * into, -sign * out)
        known = np.any([np.isfinite(one) for one in sizes], axis=0)
        much = np.any([one >= lost * self.policy.lost_alike for one in sizes], axis=0)
        if known.sum() <= self.policy.lost_vouchers:
            return both or not self.view.on_switch[self._order[self._bounds[device]]]
        return bool(much.sum() - 1 < self.policy.lost_late_ports * known.sum())

    def _ports(self, device: int, length: int) -> tuple[Flow, Flow]:
        """What comes in and what goes out at each of a device's ports."""
        key = device, length
        if key not in self._others:
            ports = self._order[self._bounds[device] : self._bounds[device + 1]]
            ports = ports[self.sums.peered[ports]]
            self._others[key] = self._flow(ports, length), self._flow(self.sums.peer[ports], length)
        return self._others[key]


def _rates(*ends: Floats) -> tuple[Floats, Floats]:
    """The largest range of either, and the largest difference between its last (the first row) and its first."""
    moved = np.max([end.max(axis=0) - end.min(axis=0) for end in ends], axis=0)
    changed = np.max([np.abs(end[0] - end[-1]) for end in ends], axis=0)
    return moved, changed
