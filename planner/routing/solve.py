"""From a plan and flows to routes: queue pairs, spines and cores by one of three methods, links, loads, bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.errors import InputError, Problem
from fabric.validation import one_of
from planner.routing.answer import DOWN, METHODS, PATHS, UP, Bounds, Method, Routes, directed_gbps
from planner.routing.bounds import Traffic, bounds
from planner.routing.ecmp import Walk, drawn_ports, hashes_of, keys_of
from planner.routing.jit import Floats, Ints, Mask
from planner.routing.network import Net, network
from planner.routing.pairs import queue_pairs
from planner.routing.search import greedy, load, paths
from planner.routing.tiers import Choice, Zone, colored
from planner.routing.trunks import on_links

if TYPE_CHECKING:
    from fabric.flowfile import Dead
    from fabric.plan import Plan


def route(plan: Plan, flows: pl.DataFrame, dead: Dead | None, method: Method, name: str | None) -> Routes:
    """``planner.routing.routes``."""
    if method not in METHODS:
        raise InputError(Problem("routes", f'there is no method "{method}"', f"expected {one_of(METHODS)}"))
    net = network(plan, name, dead)
    pairs, links, least = chosen(net, flows, method)
    return answer(net, method, pairs, links, least)


def chosen(net: Net, flows: pl.DataFrame, method: Method) -> tuple[pl.DataFrame, Ints, int | None]:
    """Queue pairs, their links between switches (stage × queue pair), and the least that colouring found."""
    pairs = queue_pairs(net, flows)
    source, target = ends(pairs)
    crossing = (source >= 0) & (source != target) & (net.zone[0][source] == net.zone[0][target])
    traffic = Traffic(source[crossing], target[crossing], pairs["gbps"].to_numpy()[crossing])
    least = None
    links = np.full((4, len(source)), -1)
    if method == "ecmp":
        links[:, crossing] = hashed(net, pairs.filter(pl.Series(crossing)), traffic)
    else:
        choice = colors(net, traffic) if method == "colored" else Choice.none(len(traffic.source))
        complete(net, traffic, choice)
        least = choice.least
        links[:, crossing] = linked(net, traffic, choice)
    return pairs, links, least


def ends(pairs: pl.DataFrame) -> tuple[Ints, Ints]:
    """Numbers of the leaves of each queue pair; −1 for none."""
    source, target = (pairs[name].fill_null(-1).to_numpy().astype(np.int64) for name in ("from_leaf", "to_leaf"))
    return source, target


def hashed(net: Net, pairs: pl.DataFrame, traffic: Traffic) -> Ints:
    """Links by ECMP, stage × queue pair."""
    keys, destination = keys_of(net, pairs, drawn_ports(pairs))
    return np.stack(Walk(net, hashes_of(net)).take(traffic.source, traffic.target, keys, destination).links)


def colors(net: Net, traffic: Traffic) -> Choice:
    """Spines and cores by colouring, zone by zone."""
    up, top = net.up.rooms(len(net.leaf), len(net.spine)), net.top.rooms(len(net.spine), len(net.core))
    zone = net.zone[0][traffic.source]
    result, least = Choice.none(len(zone)), []
    for number in np.unique(zone):
        mine = zone == number
        part = Zone(net, int(number), traffic.source[mine], traffic.target[mine], traffic.gbps[mine], up, top)
        found = colored(part)
        result.up[mine], result.core[mine], result.down[mine] = found.up, found.core, found.down
        least.append(found.least)
    result.least = max((one for one in least if one is not None), default=None)
    return result


def complete(net: Net, traffic: Traffic, choice: Choice) -> None:
    """A path by search for each flow that has none yet, if there is one."""
    missing = (choice.up < 0) | (choice.down < 0)
    if not missing.any():
        return
    choice.up[missing] = choice.core[missing] = choice.down[missing] = -1
    rates = net.up.rates(len(net.leaf), len(net.spine)), net.top.rates(len(net.spine), len(net.core))
    state = paths(*rates)
    flows = (traffic.source, traffic.target, traffic.gbps, choice.up, choice.core, choice.down)
    load(state, *flows)
    greedy(state, *flows)


def linked(net: Net, traffic: Traffic, choice: Choice) -> Ints:
    """Links of the chosen switches, stage × queue pair; parallel links share the queue pairs."""
    spines, cores = len(net.spine), len(net.core)
    has = choice.core >= 0
    rise, fall = np.where(has, choice.up, -1), np.where(has, choice.down, -1)
    return np.stack([
        on_links(net.up, traffic.source, choice.up, traffic.gbps, spines),
        on_links(net.top, rise, choice.core, traffic.gbps, cores),
        on_links(net.top, fall, choice.core, traffic.gbps, cores),
        on_links(net.up, traffic.target, choice.down, traffic.gbps, spines),
    ])  # fmt: skip


def answer(
    net: Net, method: Method, pairs: pl.DataFrame, links: Ints, least: int | None, moved: int = 0,
    notes: tuple[str, ...] = (),
) -> Routes:  # fmt: skip
    """The routes that these links (stage × queue pair) make, with their loads and bounds."""
    source, target = ends(pairs)
    whole = (source >= 0) & ((source == target) | ((links[0] >= 0) & (links[3] >= 0)))
    columns = dict(zip((*UP[1:], *DOWN[:2]), np.where(whole, links, -1), strict=True))
    frame = pairs.with_columns(
        *(pl.Series(name, values).replace(-1, None) for name, values in columns.items()),
        *(pl.when(pl.Series(whole)).then(pl.col(name)).alias(name) for name in ("host_leaf", "leaf_host")),
    )
    found = frame.select(pl.col(name).cast(dtype) for name, dtype in PATHS.items())
    crossing = whole & (source != target)
    traffic = Traffic(source[crossing], target[crossing], pairs["gbps"].to_numpy()[crossing])
    limits = bounds(net, traffic, least) if crossing.any() else Bounds(0.0, 0.0, 0.0)
    between, hosts = _largest(net, found)
    return Routes(net.name, method, found, between, hosts, limits, moved, notes)


def _largest(net: Net, found: pl.DataFrame) -> tuple[float, float]:
    """The largest loads of links between switches, and of links of hosts."""
    links = net.plan.fabric.links
    speed: Floats = links["speed_gbps"].to_numpy().astype(np.float64)
    load = np.maximum(*directed_gbps(found, links.height)) / speed
    hosts: Mask = (links["tier"] == "host-leaf").to_numpy()
    return float(load[~hosts].max(initial=0.0)), float(load[hosts].max(initial=0.0))
