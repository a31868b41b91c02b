"""Groups of switches without flow samples: byte counters of their members beside flows that other switches sampled.

A frame that a switch sends to one without samples goes on by the trunk to the leaf of its destination, where there is
one, and else up. So the flows of a group are known where all from which it can get them tell theirs. What is left out:
groups that get frames from a silent switch, that frames for unknown addresses may have taken, of which counters are
missing, or whose counters say other than the samples (late ones, ports that do not sample, other routes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from collectors.detectors.interval import Interval
from collectors.detectors.skew.addresses import numbers
from collectors.detectors.skew.gather import hashed, joined, sorted_rows
from collectors.detectors.skew.groups import Groups, sorted_members, starts
from collectors.detectors.skew.memory import Memory
from collectors.detectors.skew.observe import Flows, Rows
from collectors.detectors.skew.phi import SAMPLES_A_FLOW
from collectors.detectors.skew.planned import shares
from collectors.detectors.view import NONE, Floats, Ints, Mask, View
from fabric.addressing import addresses
from fabric.errors import InputError

STRANGE = 0.01
"""Of the samples of frames to a switch: so many may be for addresses that the plan does not have."""
OFF = 0.1
"""What samples say that a group carried may be off from its counters, and three standard errors more."""
ERRORS = 3.0


@dataclass
class Shares:
    """Which flows were judged, and how counters shared out what groups carried then."""

    memory: Memory = field(default_factory=Memory)
    number: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    by_port: Floats = field(default_factory=lambda: np.zeros(0))

    def changed(self, groups: Groups, share: float) -> bool:
        """Whether flows are new or gone, or such a part of the bytes has moved to other members."""
        changed = self.memory.changed(groups.flows, share)
        same = np.flatnonzero(np.isin(groups.number, self.number))
        moved = 0.0
        if len(same):
            ports = groups.ports[groups.rows_of(same, groups.port_start)]
            now = _shares(groups)[groups.rows_of(same, groups.port_start)]
            moved = float(np.abs(now - self.by_port[ports]).sum()) / 2 / len(same)
        # what was seen while they moved is a mixture: the next interval is judged too
        self.memory.mixed |= moved >= share
        return changed or moved >= share

    def remember(self, groups: Groups, ports: int, now_ns: int) -> None:
        """These are judged now."""
        self.memory.remember(groups.flows, now_ns)
        self.number, self.by_port = groups.number, np.zeros(ports)
        self.by_port[groups.ports] = _shares(groups)


def _shares(groups: Groups) -> Floats:
    return shares(groups.loads, groups.port_start[:-1], groups.members)


class Beside:
    """Finds such groups, with their flows, in intervals."""

    def __init__(self, view: View) -> None:
        """Tables of the view that do not change."""
        self.view = view
        self._has = np.zeros(len(view.device_names), dtype=np.bool_)
        self._has[view.group_device] = True

    def groups(self, interval: Interval, rows: Rows, usable: Mask, least: int) -> Groups | None:
        """The groups that can be judged; None without any."""
        view, devices = self.view, len(self.view.device_names)
        tells = np.zeros(devices, dtype=np.bool_)
        says = np.zeros(devices, dtype=np.bool_)
        tells[view.device[rows.out[rows.out >= 0]]] = True
        says[view.device[rows.into[rows.into >= 0]]] = True
        silent = self._has & ~tells & ~says
        if not silent[view.group_device].any():
            return None
        far = np.where(rows.out >= 0, view.peer[rows.out], NONE)
        sent = np.flatnonzero((far >= 0) & silent[view.device[far]] & (rows.source_port >= 0))
        if not len(sent) or not len(self._leaf_of[0]):
            return None
        return self._judgeable(interval, rows, usable, sent, view.device[far[sent]], tells, least)

    def _judgeable(
        self, interval: Interval, rows: Rows, usable: Mask, sent: Ints, at: Ints, tells: Mask, least: int
    ) -> Groups | None:
        group, strange = self._next(at, rows.target[sent])
        known = group != NONE
        count = np.bincount(group[known], minlength=self.view.groups)
        good = (count >= least) & self._fed(interval, tells) & ~strange[self.view.group_device]
        good &= self._agrees(interval, sent[known], group[known], count, usable)
        keep = known & good[np.maximum(group, 0)]
        found = _counted(self.view, rows, sent[keep], group[keep], self._bytes(interval), usable, least)
        return found if len(found) else None

    def _next(self, at: Ints, target: Ints) -> tuple[Ints, Mask]:
        """By frame: the group by which the switch sends it on, NONE without; switches with too many strange ones."""
        known, leaf = self._leaf_of
        place = np.minimum(np.searchsorted(known, target), len(known) - 1)
        mine = known[place] == target
        devices = len(self.view.device_names)
        down = self._pairs[np.minimum(np.searchsorted(self._pairs, at * devices + leaf[place]), len(self._pairs) - 1)]
        below = down == at * devices + leaf[place]
        trunk = self._trunk.get_many(at * devices + leaf[place])
        # at its own leaf it goes to its host
        group = np.where(mine & (leaf[place] != at), np.where(below, trunk, self._up[at]), NONE)
        odd = np.bincount(at[~mine], minlength=devices) > STRANGE * np.bincount(at, minlength=devices)
        return group, odd

    @cached_property
    def _leaf_of(self) -> tuple[Ints, Ints]:
        """Addresses of host ports, sorted, and the leaf of each."""
        try:
            ports = addresses(self.view.plan).host_ports
        except InputError:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        known, leaf = numbers(ports["ipv4"]), ports["leaf"].cast(int).to_numpy()
        order = np.argsort(known, kind="stable")
        return known[order], leaf[order]

    @cached_property
    def _pairs(self) -> Ints:
        """Neighbouring switches, as numbers of pairs, sorted."""
        view = self.view
        ports = np.flatnonzero(view.on_switch & (view.peer >= 0))
        ports = ports[view.on_switch[view.peer[ports]]]
        return np.unique(view.device[ports] * len(view.device_names) + view.device[view.peer[ports]])

    @cached_property
    def _trunk(self) -> _Table:
        """Trunks by pairs of switches."""
        view = self.view
        trunks = np.flatnonzero(view.group_peer != NONE)
        return _Table(view.group_device[trunks] * len(view.device_names) + view.group_peer[trunks], trunks)

    @cached_property
    def _up(self) -> Ints:
        """By device: its up group, NONE without or where it has several."""
        view = self.view
        up = np.flatnonzero(view.group_peer == NONE)
        found = np.full(len(view.device_names), NONE)
        found[view.group_device[up]] = up
        found[np.bincount(view.group_device[up], minlength=len(found)) > 1] = NONE
        return found

    def _fed(self, interval: Interval, tells: Mask) -> Mask:
        """By group: whether all from which its switch can get frames for it tell theirs, or send it nothing.

        Hosts tell nothing. Frames from above do not go up again, and none goes back to where it came from.
        """
        view = self.view
        ports = np.flatnonzero(view.on_switch & (view.peer >= 0))
        ports = ports[~tells[view.device[view.peer[ports]]]]
        got = interval.rate("rx_bytes")[ports]
        ports = ports[~(got <= STRANGE * view.capacity[ports])]
        devices = len(view.device_names)
        above = view.group[ports] >= 0
        whole = np.bincount(view.device[ports], minlength=devices)
        down = np.bincount(view.device[ports][~above], minlength=devices)
        back = _Table(*np.unique(view.device[ports] * devices + view.device[view.peer[ports]], return_counts=True))
        mute = whole[view.group_device] - np.maximum(back.get_many(view.group_device * devices + view.group_peer), 0)
        return np.asarray(np.where(view.group_peer == NONE, down[view.group_device], mute) == 0)

    def _bytes(self, interval: Interval) -> Floats:
        return interval.rate("tx_bytes") * interval.nominal_s

    def _agrees(self, interval: Interval, sent: Ints, group: Ints, count: Ints, usable: Mask) -> Mask:
        """By group: one sampling rate, counters of all usable members, and as many bytes as the samples say."""
        view = self.view
        rate = interval.flows["sampling_rate"].cast(float).fill_null(np.nan).to_numpy()[sent]
        size = interval.flows["frame_bytes"].cast(float).fill_null(np.nan).to_numpy()[sent]
        high, low = np.zeros(view.groups), np.full(view.groups, np.inf)
        np.maximum.at(high, group, rate)
        np.minimum.at(low, group, rate)
        said = np.bincount(group, rate * size, view.groups)
        ports = view.group_ports[usable[view.group_ports]]
        number = np.repeat(np.arange(view.groups), np.diff(view.group_start))[usable[view.group_ports]]
        real = np.bincount(number, self._bytes(interval)[ports], view.groups)
        off = OFF + ERRORS / np.sqrt(np.maximum(count, 1))
        return np.asarray((high == low) & (np.abs(said - real) <= off * real))


class _Table:
    """Numbers by keys; NONE for keys that it lacks."""

    def __init__(self, keys: Ints, values: Ints) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._values = np.append(keys[order], np.iinfo(np.int64).max), np.append(values[order], NONE)

    def get_many(self, keys: Ints) -> Ints:
        place = np.searchsorted(self._keys, keys)
        return np.where(self._keys[place] == keys, self._values[place], NONE)


def _counted(view: View, rows: Rows, at: Ints, group: Ints, sent: Floats, usable: Mask, least: int) -> Groups:
    """Groups with the flows that these samples are of, and the bytes that members sent."""
    words = hashed(rows.odd_source[at], rows.odd_target[at], rows.source_port[at], rows.target_port[at])
    order, identity = sorted_rows(group, words, view.groups)
    first, samples, _ = joined(identity, group[order])
    own, row = group[order[first]], at[order[first]]
    ports = sorted_members(view)
    number = np.repeat(np.arange(view.groups), np.diff(view.group_start))
    number, ports = number[usable[ports]], ports[usable[ports]]
    members, flows = (np.bincount(which, minlength=view.groups) for which in (number, own))
    judged = (flows >= least) & (members > 1) & (2 * flows >= members)  # as montecarlo.enough
    keep, taken = judged[own], judged[number]
    own, row, samples, identity = own[keep], row[keep], samples[keep], identity[first][keep]
    none = np.full(len(own), NONE)
    found = Flows(
        own, identity, none, samples, none, none, np.zeros(len(own), np.bool_), rows.source[row], rows.target[row],
        rows.source_port[row], rows.target_port[row],
    )  # fmt: skip
    chosen = np.flatnonzero(judged)
    return measured(chosen, starts(flows[chosen]), found, ports[taken], starts(members[chosen]), sent[ports[taken]])


def measured(number: Ints, start: Ints, flows: Flows, ports: Ints, port_start: Ints, sent: Floats) -> Groups:
    """Groups of so many flows and members, by what these sent (``sent``, bytes by member, more than none a group).

    They have what ``phi.beside_counters`` and ``phi.phi`` say of each, all at once.
    """
    if not len(number):
        start, port_start = np.zeros(1, np.int64), np.zeros(1, np.int64)
    c, members, n = flows.samples, np.diff(port_start), np.diff(start)
    total, pairs, squares = (_by(how, start) for how in (c, c * (c - 1), c * c))
    heaviest = np.maximum.reduceat(c, start[:-1]) if len(number) else total
    plain = (total < SAMPLES_A_FLOW * n) | (pairs <= 0)
    effective = np.where(plain, total**2 / squares, total * (total - 1) / np.maximum(pairs, 1))
    carried = _by(sent, port_start)
    off = sent - np.repeat(carried / members, members)
    skew = effective * _by(off**2, port_start) * members / np.maximum(carried, 1) ** 2 / (members - 1)
    busiest = np.maximum.reduceat(sent, port_start[:-1]) if len(number) else carried
    none = np.zeros(len(ports), dtype=np.int64)
    return Groups(
        number, start, flows, np.zeros(len(flows), dtype=np.int64), ports, port_start, _whole(sent), none,
        effective, skew, _whole(heaviest / total * carried), _whole(busiest), beside=True,
    )  # fmt: skip


def _by(values: Ints | Floats, start: Ints) -> Floats:
    """Sums of the parts."""
    return np.asarray(np.add.reduceat(values, start[:-1]) if len(start) > 1 else np.zeros(0), dtype=np.float64)


def _whole(values: Floats) -> Ints:
    return np.asarray(np.rint(values).astype(np.int64))
