"""Routes for changed traffic or newly dead links, with few of the living paths moved.

A queue pair whose whole path lives stays on it. New ones, and those whose path died, go in one by one: directly, or by
one Kempe chain over the live spines of their pod, within the flows a link that were needed before. What is left takes
the least loaded path there is, and the answer says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from planner.routing.answer import DOWN, UP, Routes
from planner.routing.bounds import Traffic, equal
from planner.routing.jit import Floats, Ints, Mask, compiled
from planner.routing.kempe import place, state
from planner.routing.network import Net, Tier, network
from planner.routing.pairs import queue_pairs
from planner.routing.search import greedy, load, paths
from planner.routing.solve import answer, ends
from planner.routing.spread import CHAIN, Edges, least_of
from planner.routing.tiers import Choice

if TYPE_CHECKING:
    from fabric.flowfile import Dead
    from fabric.plan import Plan

_BETWEEN = (*UP[1:], *DOWN[:2])


def change(plan: Plan, before: Routes, flows: pl.DataFrame, dead: Dead | None, most_moved: int) -> Routes:
    """``planner.routing.update``."""
    net = network(plan, before.network, dead)
    pairs, old = _kept(net, queue_pairs(net, flows), before, flows)
    source, target = ends(pairs)
    crossing = (source >= 0) & (source != target) & (net.zone[0][source] == net.zone[0][target])
    traffic = Traffic(source[crossing], target[crossing], pairs["gbps"].to_numpy()[crossing])
    links = old[:, crossing]
    choice = _chosen(net, links)
    first = choice.up.copy()
    failed = _chains(net, traffic, choice, most_moved)
    moved = (first >= 0) & (choice.up != first)
    links[:, moved] = -1
    notes = _notes(failed, int(moved.sum()), most_moved)
    _search(net, traffic, choice)
    _onto_links(net, traffic, choice, links)
    every = np.full((4, len(source)), -1)
    every[:, crossing] = links
    return answer(net, before.method, pairs, every, None, int(moved.sum()), notes)


def _kept(net: Net, pairs: pl.DataFrame, before: Routes, flows: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """Queue pairs with the ports and links they had, where those live and are still between the same NICs."""
    nics = flows.select("flow", "src_host", "src_rail", "dst_host", "dst_rail", asked="plane")
    ports = net.attached.select("link", "host", "rail", "leaf")
    old = before.paths.drop_nulls("leaf_host").drop("gbps").join(nics, on="flow")
    for column, end in (("host_leaf", "src"), ("leaf_host", "dst")):
        at = ports.rename({"link": column, "leaf": f"{column}_at", "host": f"{end}_host", "rail": f"{end}_rail"})
        old = old.join(at, on=[column, f"{end}_host", f"{end}_rail"])
    dead = pl.Series(np.flatnonzero(net.dead), dtype=pl.UInt32).implode()
    alive = pl.all_horizontal(~pl.col(name).is_in(dead).fill_null(value=False) for name in _BETWEEN)
    old = old.filter(alive & (pl.col("asked").is_null() | (pl.col("asked") == pl.col("plane"))))
    columns = ["plane", "host_leaf", "leaf_host", *_BETWEEN, "host_leaf_at", "leaf_host_at"]
    found = pairs.join(old.select("flow", "pair", *columns), on=["flow", "pair"], how="left", maintain_order="left")
    has = pl.col("leaf_host_right").is_not_null()
    kept = {name: f"{name}_right" for name in ("plane", "host_leaf", "leaf_host")}
    kept |= {"from_leaf": "host_leaf_at", "to_leaf": "leaf_host_at"}
    made = found.with_columns(
        pl.when(has).then(pl.col(other).cast(pairs.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, other in kept.items()
    )
    links = np.stack([found[name].cast(pl.Int64).fill_null(-1).to_numpy() for name in _BETWEEN])
    return made.select(pairs.columns), links


def _chosen(net: Net, links: Ints) -> Choice:
    """Spines and cores of the links that are there."""
    up = _upper(net.up, links[0])
    return Choice(up, _upper(net.top, links[1]), _upper(net.up, links[3]))


def _upper(tier: Tier, link: Ints) -> Ints:
    place_of = np.full(int(max(tier.link.max(initial=0), link.max(initial=0))) + 2, -1)
    place_of[tier.link] = tier.upper
    found: Ints = place_of[link]
    return found


def _chains(net: Net, traffic: Traffic, choice: Choice, most_moved: int) -> int:
    """Put new queue pairs inside pods in by chains, if all are of one size; how many found none."""
    if not len(traffic.gbps) or not equal(traffic.gbps):
        return 0
    inside = net.pod[0][traffic.source] == net.pod[0][traffic.target]
    rooms = net.up.rooms(len(net.leaf), len(net.spine))
    failed, left = 0, most_moved
    for pod in np.unique(net.pod[0][traffic.source[inside]]):
        mine = np.flatnonzero(inside & (net.pod[0][traffic.source] == pod))
        new = choice.up[mine] < 0
        if not new.any():
            continue
        spines = np.flatnonzero(net.pod[1] == pod)
        room = rooms[:, spines]
        edges = Edges.plain(traffic.source[mine], traffic.target[mine], room, room)
        color = np.where(new, -1, np.searchsorted(spines, choice.up[mine]))
        times = _times(edges, color)
        lost, used = _place(edges, color, new & edges.possible(), times, left)
        failed, left = failed + lost, left - used
        spine = np.where(color >= 0, spines[color], -1)
        choice.up[mine], choice.down[mine] = spine, spine
    return failed


def _times(edges: Edges, color: Ints) -> int:
    """Flows a link: what the kept ones have, and what counting says of all."""
    has = color >= 0
    most = 1
    for node, room in ((edges.left, edges.room_left), (edges.right, edges.room_right)):
        many = np.zeros_like(room)
        np.add.at(many, (node[has], color[has]), 1)
        most = max(most, int((-(-many // np.maximum(room, 1))).max(initial=0)))
    return max(most, least_of(edges))


def _place(edges: Edges, color: Ints, new: Mask, times: int, most_moved: int) -> tuple[int, int]:
    """Colours for the new edges: how many found none, and how many others moved."""
    rooms = edges.room_left * times, edges.room_right * times
    work = state(edges.left, edges.right, edges.kind, edges.allowed, *rooms, color)
    fixed = np.zeros(len(color), np.bool_)
    failed = used = 0
    for edge in np.flatnonzero(new).tolist():
        moves = place(work, edge, min(CHAIN, most_moved - used), fixed)
        failed += moves < 0
        used += max(moves, 0)
    return failed, used


def _notes(failed: int, moved: int, most_moved: int) -> tuple[str, ...]:
    if not failed:
        return ()
    said = f"{failed} new queue pairs fit only by moving more than {most_moved} others ({moved} were moved)"
    return (f"{said}; they took the least loaded path",)


def _search(net: Net, traffic: Traffic, choice: Choice) -> None:
    """The least loaded path for what has none, beside all others."""
    rates = net.up.rates(len(net.leaf), len(net.spine)), net.top.rates(len(net.spine), len(net.core))
    loads = paths(*rates)
    flows = (traffic.source, traffic.target, traffic.gbps, choice.up, choice.core, choice.down)
    load(loads, *flows)
    greedy(loads, *flows)


def _onto_links(net: Net, traffic: Traffic, choice: Choice, links: Ints) -> None:
    """Fill in links of what has none: of each trunk the emptiest, beside those that stay."""
    has = choice.core >= 0
    up, down = np.where(has, choice.up, -1), np.where(has, choice.down, -1)
    stages = (
        (net.up, traffic.source, choice.up), (net.top, up, choice.core),
        (net.top, down, choice.core), (net.up, traffic.target, choice.down),
    )  # fmt: skip
    for stage, (tier, lower, upper) in enumerate(stages):
        live = np.flatnonzero(tier.live)
        order = live[np.lexsort((tier.upper[live], tier.lower[live]))]
        ends_of = (tier.lower[order], tier.upper[order], tier.link[order])
        _emptiest(*ends_of, np.asarray(lower, np.int64), upper, traffic.gbps, links[stage])


@compiled
def _emptiest(low: Ints, high: Ints, link: Ints, lower: Ints, upper: Ints, gbps: Floats, taken: Ints) -> None:
    """Links are sorted by their ends; ``taken`` has a link id or −1 a flow and is filled in."""
    most = 0
    for one in link:
        most = max(most, one)
    at, total = np.full(most + 1, -1), np.zeros(len(link))
    for n in range(len(link)):
        at[link[n]] = n
    for flow in range(len(taken)):
        if taken[flow] >= 0:
            total[at[taken[flow]]] += gbps[flow]
    for flow in range(len(taken)):
        if taken[flow] >= 0 or upper[flow] < 0 or lower[flow] < 0:
            continue
        best = -1
        for n in range(np.searchsorted(low, lower[flow]), len(link)):
            if low[n] != lower[flow] or high[n] > upper[flow]:
                break
            if high[n] == upper[flow] and (best < 0 or total[n] < total[best]):
                best = n
        if best >= 0:
            total[best] += gbps[flow]
            taken[flow] = link[best]
