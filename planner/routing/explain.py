"""Why the load is what it is, in words a person would use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from planner.routing.answer import TOLERANCE, Routes, directed_gbps
from planner.routing.jit import Ints
from planner.routing.network import Net
from planner.routing.pairs import queue_pairs
from planner.routing.solve import ends

SHOWN = 5
"""Flows without a path that are explained one by one."""


def explain(net: Net, flows: pl.DataFrame, routes: Routes) -> list[str]:
    """Sentences: the busiest link, what keeps it from being less, what has no path and why, what hosts are asked."""
    names = net.plan.fabric.device_names()
    said = [*_busiest(net, routes, names), *_reason(routes, names), *_promise(net, routes)]
    said += _without(net, flows, routes, names)
    if routes.host_load > 1 + TOLERANCE:
        said.append(
            f"A host's own link is asked for {routes.host_load:.2f} times its rate: the flows want more than the NIC "
            "has, and no route changes that."
        )
    return [*said, *(f"{note[0].upper()}{note[1:]}." for note in routes.notes)]


def _busiest(net: Net, routes: Routes, names: pl.Series) -> Iterator[str]:
    links = net.plan.fabric.links
    if routes.max_load == 0:
        yield "No flow crosses from one leaf to another: no link between switches is used."
        return
    speed = links["speed_gbps"].to_numpy().astype(np.float64)
    hosts = (links["tier"] == "host-leaf").to_numpy()
    loads = [np.where(hosts, 0, gbps / speed) for gbps in directed_gbps(routes.paths, links.height)]
    upward = loads[0].max() >= loads[1].max()
    link = int(loads[0 if upward else 1].argmax())
    row = links.row(link, named=True)
    near, far = ("a", "b") if upward else ("b", "a")
    port = net.plan.fabric.ports["name"][row[f"{near}_port"]]
    alike = int(sum((load > routes.max_load - TOLERANCE).sum() for load in loads)) - 1
    more = f" (and {alike:,} others)" if alike else ""
    yield (
        f"The busiest link, {names[row[f'{near}_device']]} {port} to {names[row[f'{far}_device']]}{more}, carries "
        f"{routes.max_load * speed[link]:,.0f} of {speed[link]:,.0f} Gb/s: load {routes.max_load:.2f}."
    )


def _reason(routes: Routes, names: pl.Series) -> Iterator[str]:
    """Which bound is the highest, and whether it is reached."""
    limits = routes.bounds
    if routes.max_load == 0:
        return
    end = "Nothing less is possible" if routes.status == "OPTIMAL" else f"No routing goes below {routes.bound:.2f}"
    best = routes.bound - TOLERANCE
    if limits.leaf >= best and limits.where_leaf is not None:
        yield f"{end}: {names[limits.where_leaf]} sends or gets {limits.leaf:.2f} of what its live uplinks carry."
    elif limits.pair >= best and limits.where_pair is not None:
        one, two = (names[leaf] for leaf in limits.where_pair)
        yield f"{end}: {one} sends {two} {limits.pair:.2f} of what the live spines that both have carry."
    elif (limits.pod or 0) >= best:
        yield f"{end}: a pod sends or gets {limits.pod:.2f} of what its live links to the cores carry."
    elif (limits.lp or 0) >= best:
        yield f"{end}: even if flows were split at will over all live paths, some link would have {limits.lp:.2f}."
    else:
        yield (
            f"{end}: whole queue pairs do not divide evenly over the links; split at will they would need "
            f"{max(limits.leaf, limits.pair, limits.pod or 0, limits.lp or 0):.2f}."
        )
    if routes.status == "FEASIBLE" and routes.method == "colored":
        yield "Whether something between the two is possible is not known."
    elif routes.status == "FEASIBLE":
        yield f"The method {routes.method} left the rest on the table; try `--routes colored`."


def _promise(net: Net, routes: Routes) -> Iterator[str]:
    """With dead links and queue pairs of one size: how many leaf pairs the theorem covers."""
    rows = routes.paths.drop_nulls("leaf_spine")
    if net.whole or not rows.height:
        return
    dead = int((~net.up.live).sum() + (~net.top.live).sum())
    yield f"{dead:,} links between switches are dead."
    links = net.plan.fabric.links
    source, target = (
        np.searchsorted(net.leaf, links["a_device"].gather(rows[column]).to_numpy())
        for column in ("leaf_spine", "spine_leaf")
    )
    each = int(net.up.gbps.min() // rows["gbps"].max())
    if not each or (net.pod[0][source] != net.pod[0][target]).any() or rows["gbps"].n_unique() > 1:
        return
    out, into = np.bincount(source, minlength=len(net.leaf)), np.bincount(target, minlength=len(net.leaf))
    room = each * net.up.rooms(len(net.leaf), len(net.spine))
    pairs = np.unique(np.stack([source, target], axis=1), axis=0)
    common = np.array([np.minimum(room[u], room[v]).sum() for u, v in pairs.tolist()], dtype=np.int64)
    short = int((common < np.maximum(out[pairs[:, 0]], into[pairs[:, 1]])).sum())
    if short:
        yield (
            f"{short:,} of {len(pairs):,} pairs of leaves have less room on the live spines that both have than the "
            "busier of them has flows: a load of 1 is not promised."
        )
    else:
        yield (
            "All pairs of leaves still have as much room on the live spines that both have as the busier of them has "
            "flows, so a load of 1 is possible (Borodin, Kostochka and Woodall, 1997)."
        )


def _without(net: Net, flows: pl.DataFrame, routes: Routes, names: pl.Series) -> Iterator[str]:
    lost = routes.unrouted["flow"].unique(maintain_order=True)
    if not len(lost):
        return
    pairs = queue_pairs(net, flows.filter(pl.col("flow").is_in(lost.to_list()))).unique("flow", maintain_order=True)
    source, target = ends(pairs)
    rooms = net.up.rooms(len(net.leaf), len(net.spine))
    for flow, u, v in list(zip(pairs["flow"].to_list(), source.tolist(), target.tolist(), strict=True))[:SHOWN]:
        yield f"Flow {flow} has no path: {_why(net, rooms, u, v, names)}."
    if len(lost) > SHOWN:
        yield f"{len(lost) - SHOWN:,} more flows have no path."


def _why(net: Net, rooms: Ints, u: int, v: int, names: pl.Series) -> str:
    if u < 0 or v < 0:
        return "its NIC, or that of its destination, has no living port in a plane that both have"
    one, two = names[int(net.leaf[u])], names[int(net.leaf[v])]
    if net.zone[0][u] != net.zone[0][v]:
        return f"no switch above {one} and {two} joins them, dead or alive (another rail or plane)"
    up = [", ".join(str(names[int(net.spine[s])]) for s in np.flatnonzero(rooms[leaf])) or "none" for leaf in (u, v)]
    if net.pod[0][u] == net.pod[0][v]:
        return f"{one} has living links to these spines: {up[0]}; {two} to these: {up[1]}; none is in both lists"
    return f"the living links of {one} (to {up[0]}) and of {two} (to {up[1]}) meet at no core"
