"""From flow samples to flows: who took which member of which group, and how often it was seen."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from collectors.detectors.interval import Interval
from collectors.detectors.skew.addresses import codes, numbers
from collectors.detectors.skew.gather import Words, emitted, hashed, joined, sorted_rows
from collectors.detectors.skew.members import group_of
from collectors.detectors.view import NONE, Ints, Mask, View

KEY = ("src_ip", "dst_ip", "src_port", "dst_port")
PORTS = 1 << 16


@dataclass(frozen=True)
class Flows:
    """One row a flow and group, sorted by group, and within it by identity.

    ``identity``: of flow and group, which are its first bits; ``port``: the member that most samples took;
    ``samples``: of all members;
    ``upstream``: place of the member taken a tier below, ``sender``: the device that it came from, NONE where unknown;
    ``moved``: seen on several members.
    ``source``, ``target``: IPv4 addresses as numbers, NONE for others; ``source_port``, ``target_port``.
    """

    group: Ints
    identity: Words
    port: Ints
    samples: Ints
    upstream: Ints
    sender: Ints
    moved: Mask
    source: Ints
    target: Ints
    source_port: Ints
    target_port: Ints

    def take(self, rows: Ints | Mask) -> Flows:
        """Some of them."""
        if rows.dtype == np.bool_:
            if rows.all():
                return self
            rows = np.flatnonzero(rows)
        return Flows(*(getattr(self, name)[rows] for name in _NAMES))

    def part(self, first: int, last: int) -> Flows:
        """Those of a range of rows, without a copy."""
        return Flows(*(getattr(self, name)[first:last] for name in _NAMES))

    def __len__(self) -> int:
        return len(self.group)


_NAMES = tuple(part.name for part in fields(Flows))


@dataclass(frozen=True)
class Entries:
    """What hosts send into one network: distinct source ports, and queue pairs (a key with its destination's)."""

    ports: Ints
    queue_pairs: int


@dataclass(frozen=True)
class Rows:
    """An interval's flow samples as numbers, a row a sample; NONE where there is none.

    ``out``, ``into``: ports; ``source``, ``target``: addresses, and ``odd_source``, ``odd_target`` with other numbers
    for what is none.
    """

    out: Ints
    into: Ints
    source: Ints
    target: Ints
    odd_source: Ints
    odd_target: Ints
    source_port: Ints
    target_port: Ints
    queue_pair: Ints


def rows_of(interval: Interval) -> Rows:
    """The samples of an interval."""
    flows = interval.flows
    source, target = numbers(flows["src_ip"]), numbers(flows["dst_ip"])
    whole = [_whole(flows[name]) for name in ("src_port", "dst_port", "dest_qp")]
    return Rows(
        _whole(flows["out_id"]), _whole(flows["in_id"]), source, target, codes(flows["src_ip"], source),
        codes(flows["dst_ip"], target), *whole,
    )  # fmt: skip


def _whole(column: pl.Series) -> Ints:
    """Whole numbers; NONE for null."""
    return column.cast(pl.Int64).fill_null(NONE).to_numpy()


class Observer:
    """Reads the flows of intervals."""

    def __init__(self, view: View) -> None:
        """Tables of the view that do not change."""
        self.view = view
        self.group, self.place = group_of(view)

    def flows(self, interval: Interval, rows: Rows) -> Flows:
        """The flows on members of groups.

        A switch that does not say where its samples went is read at the next one: what comes in there left by the
        member at the other end.
        """
        view = self.view
        keyed = np.ones(len(rows.out), dtype=np.bool_)
        for name in KEY:
            if interval.flows[name].null_count():
                keyed &= interval.flows[name].is_not_null().to_numpy()
        out, into = (side if keyed.all() else np.where(keyed, side, NONE) for side in (rows.out, rows.into))
        at, port, tells = emitted(out, into, self.group, view.peer, view.device, len(view.device_names))
        words = hashed(rows.odd_source, rows.odd_target, rows.source_port, rows.target_port)
        order, identity = sorted_rows(self.group[port], words[at], view.groups)
        first, samples, moved = joined(identity, port[order])
        at, port = at[order[first]], port[order[first]]
        # what is read at the next switch came to this one by a port that nobody told
        below = np.where(tells[view.device[port]] & (into[at] >= 0), view.peer[into[at]], NONE)
        return Flows(
            group=self.group[port], identity=identity[first], port=port, samples=samples,
            upstream=np.where(below >= 0, self.place[below], NONE),
            sender=np.where(below >= 0, view.device[below], NONE),
            moved=moved, source=rows.source[at], target=rows.target[at],
            source_port=rows.source_port[at], target_port=rows.target_port[at],
        )  # fmt: skip

    def entries(self, rows: Rows) -> dict[int, Entries]:
        """By network: what hosts send in."""
        own = np.flatnonzero((rows.into >= 0) & self.view.host_facing[rows.into] & (rows.source_port >= 0))
        network, port = self.view.network[rows.into[own]].astype(np.int64), rows.source_port[own]
        pairs = hashed(rows.odd_source[own], rows.odd_target[own], port, rows.queue_pair[own], network)
        used = np.bincount(network * PORTS + port, minlength=PORTS * len(self.view.networks)).reshape(-1, PORTS) > 0
        return {
            int(number): Entries(np.flatnonzero(used[number]), len(_distinct(pairs[network == number])))
            for number in np.flatnonzero(used.any(axis=1))
        }


def _distinct(words: Words) -> Words:
    ordered = np.sort(words)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def moving(flows: Flows, groups: int, least: int, share: float) -> Mask:
    """By group: more than this share of the flows with two samples were on several members; at least so many flows."""
    twice = flows.samples >= 2
    known = np.bincount(flows.group[twice], minlength=groups)
    moved = np.bincount(flows.group[twice & flows.moved], minlength=groups)
    found: Mask = (known >= least) & (moved > share * known)
    return found
