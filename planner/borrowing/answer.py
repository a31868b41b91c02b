"""The whole answer for one host: mode, lenders, peers, what queue pairs and runtimes reach, and the alternative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fabric.flowfile import Dead
from fabric.runtimes import Remedy, runtimes
from planner.borrowing.options import Allowed, anywhere, same_nic
from planner.borrowing.plan import View
from planner.borrowing.problem import MODES, Mode, Pair
from planner.borrowing.reserve import Pool
from planner.borrowing.solve import Answer, load_before, nic_bound, solve

RESTART_MINUTES = 68.0
"""Median time to recover a training job by a restart, as R2CCL's authors quote it (arXiv 2512.25059, section 1)."""


@dataclass(frozen=True)
class Asked:
    """What the answer is for: a host, those it talks to, and how. ``mode`` None: whichever leaves more bandwidth.

    ``at_once``: hosts of the segment that move alike at the same time; ``network_share``: of a step's time, in which
    the job waits for the network; ``restart_minutes``: what replacing the host costs once.
    """

    view: View
    host: int
    peers: tuple[int, ...]
    mode: Mode | None = None
    queue_pairs: int = 4
    at_once: int = 1
    network_share: float = 1.0
    restart_minutes: float = RESTART_MINUTES


@dataclass(frozen=True)
class Instead:
    """Replacing the host: by whom, or why not, and what bandwidth that leaves (a shared fault stays)."""

    host: str | None
    source: str
    bandwidth_left: float
    why: str = ""


@dataclass(frozen=True)
class Borrowed:
    """The answer for one host; ``answers`` by peer, in their order, all of one mode; the one with least left counts.

    ``before``: T of each before anything was lost; ``bound``: what the NICs alone allow for this schedule;
    ``reachable``: what whole queue pairs keep.
    """

    asked: Asked
    mode: Mode
    answers: tuple[Answer, ...]
    before: tuple[float, ...]
    bound: float
    reachable: float
    reached: Mapping[str, tuple[tuple[Remedy, float, str], ...]]
    instead: Instead | None = None
    others: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a mode has no answer, by mode."""

    @property
    def worst(self) -> Answer:
        """The peer with which most is lost."""
        return min(zip(self.answers, self.before, strict=True), key=lambda one: left(one[1], one[0].load))[0]

    @property
    def left(self) -> float:
        """Share of the bandwidth before that the job keeps."""
        return kept(self.before, [answer.load for answer in self.answers])

    @property
    def slowdown(self) -> float:
        """How many times as long a step takes; infinite where nothing is left."""
        return slower(self.left, self.asked.network_share)

    @property
    def pays_after_hours(self) -> float | None:
        """Hours of work after which replacing costs less than borrowing does; None where it never does."""
        other = self.instead
        if other is None or other.host is None or other.bandwidth_left <= self.left + 1e-9:
            return None
        lost = 1 / slower(other.bandwidth_left, self.asked.network_share) - 1 / self.slowdown
        return self.asked.restart_minutes / 60 / lost if lost > 1e-12 else None


def left(before: float, load: float) -> float:
    """Bandwidth left: loads up to 1 slow nobody down."""
    return max(1.0, before) / max(1.0, before, load) if np.isfinite(load) else 0.0


def kept(before: Sequence[float], loads: Sequence[float]) -> float:
    """Bandwidth left with the peer with which least is: a job goes on at its slowest."""
    return min(left(one, load) for one, load in zip(before, loads, strict=True))


def slower(bandwidth_left: float, network_share: float) -> float:
    """A step's time over that before: its network part takes 1/left as long."""
    return 1 + network_share * (1 / bandwidth_left - 1) if bandwidth_left > 0 else float("inf")


def borrow(asked: Asked) -> Borrowed:
    """Solve one host: both modes unless one is asked for, every peer, whole queue pairs, and each runtime."""
    pairs = _distinct(asked)
    before = [_before(asked, peer, pair) for peer, pair in zip(_firsts(asked), pairs, strict=True)]
    modes: tuple[Mode, ...] = (asked.mode,) if asked.mode else MODES
    solved = {mode: tuple(solve(pair, mode) for pair in pairs) for mode in modes}
    mode = max(modes, key=lambda m: (round(kept(before, [a.load for a in solved[m]]), 9), -modes.index(m)))
    whole = kept(before, [solve(pair, mode, asked.queue_pairs).load for pair in pairs])
    bound = max(kept(before, [nic_bound(pair, m) for pair in pairs]) for m in modes)
    refused: dict[str, str] = {
        m: next(a.why for a in found if a.why) for m, found in solved.items() if any(a.why for a in found)
    }
    order = _order(asked)
    answers = tuple(_named(solved[mode][n], asked.view.name(peer)) for n, peer in zip(order, asked.peers, strict=True))
    reached = _reached(asked, pairs, before)
    return Borrowed(asked, mode, answers, tuple(before[n] for n in order), bound, whole, reached, refused=refused)


def _named(answer: Answer, peer: str) -> Answer:
    """The answer of an equal peer under its own name."""
    there = replace(answer.pair.there, name=peer)
    return replace(answer, pair=replace(answer.pair, there=there))


def _key(asked: Asked, peer: int) -> tuple[bytes, ...]:
    """Peers with the same key have the same answer but for their name."""
    end = asked.view.end(peer)
    return tuple(array.tobytes() for array in (end.alive, end.leaf, end.load_gbps, end.gbps))


def _firsts(asked: Asked) -> list[int]:
    keys = {_key(asked, peer): peer for peer in reversed(asked.peers)}
    return sorted(keys.values(), key=asked.peers.index)


def _distinct(asked: Asked) -> list[Pair]:
    return [asked.view.pair(asked.host, peer, asked.at_once) for peer in _firsts(asked)]


def _order(asked: Asked) -> list[int]:
    """For each peer the place of its answer."""
    keys = [_key(asked, peer) for peer in _firsts(asked)]
    return [keys.index(_key(asked, peer)) for peer in asked.peers]


def _before(asked: Asked, peer: int, pair: Pair) -> float:
    """T before anything was lost; over the spines, that of a whole fabric."""
    if np.array_equal(pair.here.leaf, pair.there.leaf):
        return load_before(pair)
    whole = replace(asked.view, dead=Dead())
    answer = solve(whole.pair(asked.host, peer, asked.at_once), "both-ends")
    return answer.load if answer.found else load_before(pair)


def _reached(
    asked: Asked, pairs: Sequence[Pair], before: Sequence[float]
) -> dict[str, tuple[tuple[Remedy, float, str], ...]]:
    """What the remedies of each runtime of these hosts leave, or why they do not apply."""
    view = asked.view
    server = view.plan.catalogue.servers[str(view.plan.fabric.hosts["model"][asked.host])]
    kind = server.scale_up.name if server.scale_up else ""
    return {
        key: tuple((remedy, *_remedy(remedy, pairs, before)) for remedy in runtime.remedies)
        for key, runtime in runtimes().items()
        if kind in runtime.scale_up
    }


def _remedy(remedy: Remedy, pairs: Sequence[Pair], before: Sequence[float]) -> tuple[float, str]:
    allowed: Allowed = same_nic if remedy.lenders == "same-nic" else anywhere
    pairs_each = None if remedy.spread else 1
    found = []
    for mode in ("both-ends",) if remedy.both_ends else MODES:
        answers = [solve(pair, mode, pairs_each, allowed) for pair in pairs]
        why = next((answer.why for answer in answers if answer.why), "")
        found.append((kept(before, [answer.load for answer in answers]), why))
    return max(found, key=lambda one: one[0])


def instead_of(asked: Asked, pool: Pool) -> Instead:
    """The best replacement: whole if any is; what it, or the peers that stay, have lost is counted."""
    view = asked.view
    name = view.name(asked.host)
    candidates = pool.candidates(name)
    if not candidates:
        why = f"no other host of {pool.scope[name]} is free or in reserve, and a job is not moved across it"
        return Instead(None, "none", 0.0, why)
    chosen = candidates[0]
    source = "free" if chosen in pool.free else "reserve"
    peers = tuple(peer for peer in asked.peers if view.name(peer) != chosen)
    degraded = pool.lost.get(chosen, 0) > 0
    if not peers or not (degraded or any(peer in view.lost for peer in peers)):
        return Instead(chosen, source, 1.0)
    names = view.plan.fabric.hosts["name"].to_list()
    there = borrow(replace(asked, host=names.index(chosen), peers=peers, at_once=1))
    return Instead(chosen, source, there.left, "it has lost ports too" if degraded else "its peers have lost ports")
