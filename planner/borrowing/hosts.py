"""From a plan and a wish to answers: one host, or every host that lost something, those alike together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fabric.errors import InputError, Problem
from fabric.exports.host_nccl import QPS_PER_CONNECTION
from fabric.flowfile import Dead
from fabric.plan import Plan
from fabric.validation import suggest
from planner.borrowing.answer import RESTART_MINUTES, Asked, Borrowed, borrow, instead_of
from planner.borrowing.plan import View, host_ids
from planner.borrowing.problem import MODES
from planner.borrowing.reserve import Pool, pool_of
from planner.freehosts import Free


@dataclass(frozen=True)
class Wish:
    """What is asked; names as in the plan, loads by port id. ``queue_pairs`` None: as NCCL is told."""

    dead: Dead
    host: str | None = None
    peers: tuple[str, ...] = ()
    free: Free | None = None
    load_gbps: Mapping[int, float] = field(default_factory=dict)
    network: str | None = None
    mode: str = "auto"
    queue_pairs: int | None = None
    demand: float = 1.0
    scale_up_load: float = 0.0
    network_share: float = 1.0
    restart_minutes: float = RESTART_MINUTES


def answers(plan: Plan, wish: Wish) -> list[Borrowed]:
    """The answer for the host of the wish, or one for each kind of host that lost ports, in the order of hosts.

    Hosts are alike that share the segment and what they lost; they move at once, over the same links. Raises
    InputError with names that are wrong, and where a host lost nothing.
    """
    view = view_of(plan, wish)
    lost = view.lost
    pool = _pool(plan, wish, view)
    hosts = host_ids(plan, [wish.host], "--host") if wish.host else tuple(sorted(lost))
    if problem := _nothing(view, wish, hosts):
        raise InputError(problem)
    found = []
    for alike in _alike(plan, view, hosts):
        asked = _asked(view, wish, alike[0], _at_once(plan, view, alike[0]))
        answer = borrow(asked)
        others = tuple(view.name(host) for host in alike[1:])
        found.append(replace(answer, instead=instead_of(asked, pool), others=others))
    return found


def view_of(plan: Plan, wish: Wish) -> View:
    """The network with what is dead and loaded; raises InputError."""
    networks = list(plan.design.networks)
    network = wish.network or networks[0]
    if network not in networks:
        raise InputError(Problem("--network", f'the plan has no network "{network}"', suggest(network, networks)))
    return View(plan, network, wish.dead, wish.load_gbps, wish.demand, wish.scale_up_load)


def _pool(plan: Plan, wish: Wish, view: View) -> Pool:
    return pool_of(plan, wish.free, {view.name(host): len(ports) for host, ports in view.lost.items()})


def _nothing(view: View, wish: Wish, hosts: tuple[int, ...]) -> Problem | None:
    lost = view.lost
    peers = host_ids(view.plan, wish.peers, "--peer")
    if hosts and (hosts[0] in lost or any(peer in lost for peer in peers)):
        return None
    who = wish.host or "every host"
    what = f"{who} has all of its ports on the {view.network} network: nothing is to be borrowed"
    return Problem("--dead", what, "name what is dead: a NIC's port, or the leaf and its port")


def _key(plan: Plan, view: View, host: int) -> tuple[object, ...]:
    """Hosts with the same key are in the same place."""
    row = plan.fabric.hosts.row(host, named=True)
    return row["group"], row["segment"], view.lost.get(host, ())


def _at_once(plan: Plan, view: View, host: int) -> int:
    """Hosts at work (spares idle) that move as this one does, itself included."""
    spare = plan.fabric.hosts["spare"]
    others = [other for other in view.lost if other != host and not spare[other]]
    return 1 + sum(_key(plan, view, other) == _key(plan, view, host) for other in others)


def _alike(plan: Plan, view: View, hosts: tuple[int, ...]) -> list[list[int]]:
    found: dict[tuple[object, ...], list[int]] = {}
    for host in hosts:
        found.setdefault(_key(plan, view, host), []).append(host)
    return list(found.values())


def _asked(view: View, wish: Wish, host: int, at_once: int) -> Asked:
    peers = host_ids(view.plan, wish.peers, "--peer") or view.neighbours(host)
    peers = tuple(peer for peer in peers if peer != host)
    if not peers:
        name = view.name(host)
        raise InputError(
            Problem("--peer", f"{name} has nobody else to talk to", "name another host with the same NICs")
        )
    mode = next((mode for mode in MODES if mode == wish.mode), None)
    technology = view.plan.design.networks[view.network].technology
    pairs = wish.queue_pairs or (1 if technology == "infiniband" else QPS_PER_CONNECTION)
    return Asked(view, host, peers, mode, pairs, at_once, wish.network_share, wish.restart_minutes)
