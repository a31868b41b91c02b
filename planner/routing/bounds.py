"""What no routing can go below, from counting and from the linear programme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.routing.answer import Bounds
from planner.routing.exact import Bundles, split_load
from planner.routing.jit import Floats, Ints, Mask
from planner.routing.network import Net

ROUNDING = 1e-9


@dataclass(frozen=True)
class Traffic:
    """Queue pairs that cross the switches: numbers of their leaves, and Gb/s."""

    source: Ints
    target: Ints
    gbps: Floats


def bounds(net: Net, traffic: Traffic, least: int | None = None) -> Bounds:
    """All bounds for traffic that has paths; ``least``: flows that a search proved some link must have."""
    if not len(traffic.gbps):
        return Bounds(0.0, 0.0, 0.0)
    rates = net.up.rates(len(net.leaf), len(net.spine))
    between = net.pod[0][traffic.source] != net.pod[0][traffic.target]
    leaf, where_leaf = _leaf(traffic, rates)
    pair, where_pair = _pair(traffic, rates, ~between)
    pod = _pod(net, traffic, between) if between.any() else None
    lp = _lp(net, traffic, rates, between, max(leaf, pod or 0.0))
    whole = _whole(traffic, net, lp)
    speed = float(net.up.gbps.max())
    if least is not None and equal(traffic.gbps):
        whole = max(whole, least * float(traffic.gbps[0]) / speed)
    return Bounds(
        leaf=leaf, pair=pair, whole=whole, pod=pod, lp=lp, where_leaf=int(net.leaf[where_leaf]),
        where_pair=None if where_pair is None else (int(net.leaf[where_pair[0]]), int(net.leaf[where_pair[1]])),
    )  # fmt: skip


def equal(gbps: Floats) -> bool:
    """Whether all are of one size (there is at least one)."""
    return bool(gbps.max() - gbps.min() <= ROUNDING * gbps.max())


def _leaf(traffic: Traffic, rates: Floats) -> tuple[float, int]:
    """max(out, in) of a leaf over the rate of its live uplinks, and the leaf."""
    total = np.maximum(rates.sum(axis=1), ROUNDING)
    loads = [np.bincount(end, traffic.gbps, len(rates)) / total for end in (traffic.source, traffic.target)]
    worst = np.maximum(*loads)
    return float(worst.max()), int(worst.argmax())


def _pair(traffic: Traffic, rates: Floats, inside: Mask) -> tuple[float, tuple[int, int] | None]:
    """What one leaf sends another of its pod over the rate of the spines that both have, and the leaves."""
    if not inside.any():
        return 0.0, None
    source, target = traffic.source[inside], traffic.target[inside]
    pairs, index = np.unique(source * len(rates) + target, return_inverse=True)
    demand = np.bincount(index.reshape(-1), traffic.gbps[inside])
    u, v = pairs // len(rates), pairs % len(rates)
    common = np.empty(len(pairs))
    for begin in range(0, len(pairs), 4096):
        part = slice(begin, begin + 4096)
        common[part] = np.minimum(rates[u[part]], rates[v[part]]).sum(axis=1)
    load = demand / np.maximum(common, ROUNDING)
    return float(load.max()), (int(u[load.argmax()]), int(v[load.argmax()]))


def _pod(net: Net, traffic: Traffic, between: Mask) -> float:
    """What a pod sends to others or gets over the rate of its live links to cores."""
    pods = net.pod
    many = int(max(part.max(initial=0) for part in pods)) + 1
    total = np.bincount(pods[1][net.top.lower[net.top.live]], net.top.gbps[net.top.live], many)
    most = 0.0
    for end in (traffic.source, traffic.target):
        demand = np.bincount(pods[0][end[between]], traffic.gbps[between], many)
        most = max(most, float((demand / np.maximum(total, ROUNDING)).max()))
    return most


def _lp(net: Net, traffic: Traffic, rates: Floats, between: Mask, even: float) -> float | None:
    """The least load if flows may be split at will.

    Where all links live, an even share over all of them reaches the bounds of leaves and pods.
    """
    if net.whole and _uniform(net, rates):
        return even
    if between.any():
        return None
    kind = np.zeros(len(traffic.source), np.int64)
    bundles = Bundles.of(traffic.source, traffic.target, kind)
    amount = np.bincount(bundles.of_edge, traffic.gbps)
    pod = net.pod[0][bundles.left]
    found = []
    for number in np.unique(pod):
        spines = np.flatnonzero(net.pod[1] == number)
        mine = pod == number
        part = Bundles(bundles.left[mine], bundles.right[mine], bundles.kind[mine], bundles.of_edge)
        every = np.ones((1, len(spines)), np.bool_)
        found.append(split_load(part, amount[mine], rates[:, spines], rates[:, spines], every))
    return None if None in found else max(float(load or 0.0) for load in found)


def _uniform(net: Net, rates: Floats) -> bool:
    """Whether each leaf has equal trunks to its spines, and each spine equally many links to its cores."""
    tops = net.top.rates(len(net.spine), len(net.core))
    for table in (rates, tops):
        most = table.max(axis=1, initial=0.0, keepdims=True)
        if ((table > 0) & (table != most)).any():
            return False
    totals = tops.sum(axis=1)
    return not len(net.core) or bool((totals == totals[0]).all())


def _whole(traffic: Traffic, net: Net, lp: float | None) -> float:
    """Where no queue pair may be split: k + 1 of the k·n + 1 largest at a leaf of n uplinks share a link."""
    speed = float(net.up.gbps.max())
    links = np.bincount(net.up.lower[net.up.live], minlength=len(net.leaf))
    most = max(_sharing(end, traffic.gbps, links) for end in (traffic.source, traffic.target)) / speed
    if lp is not None and equal(traffic.gbps):
        one = float(traffic.gbps[0]) / speed
        most = max(most, float(np.ceil(lp / one - 1e-6)) * one)
    return most


def _sharing(end: Ints, gbps: Floats, links: Ints) -> float:
    order = np.lexsort((-gbps, end))
    sizes = gbps[order]
    sums = np.concatenate([[0.0], np.cumsum(sizes)])
    nodes, begin, many = np.unique(end[order], return_index=True, return_counts=True)
    n = np.maximum(links[nodes], 1)
    most = 0.0
    for k in range(int(((many - 1) // n).max()) + 1):
        enough = many > k * n
        last = begin[enough] + k * n[enough]
        most = max(most, float((sums[last + 1] - sums[last - k]).max()))
    return most
