"""Routes as JSON (docs/routes.md), and back: names outside, ids inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fabric.errors import InputError, Problem
from planner.routing.answer import DOWN, METHODS, PATHS, UP, Bounds, Routes
from planner.routing.jit import Ints
from planner.routing.network import network
from planner.routing.realise import NONE

if TYPE_CHECKING:
    from fabric.plan import Plan

VERSION = 1
MOST_BYTES = 512 << 20
MOST_PROBLEMS = 50
MOST_HOPS = 5
_EGRESS = (("leaf_spine", "a"), ("spine_core", "a"), ("core_spine", "b"), ("spine_leaf", "b"), ("leaf_host", "b"))
"""Links of a path in the order they are met, and the end at which a switch sends into them."""


def to_json(plan: Plan, routes: Routes, source_ports: Ints) -> dict[str, Any]:
    """The document; queue pairs of a flow that take one path are one entry. Loads are rounded to six digits."""
    limits = routes.bounds
    names = ("leaf", "pair", "pod", "lp", "whole")
    return {
        "version": VERSION, "network": routes.network, "method": routes.method,
        "max_load": _round(routes.max_load), "bound": _round(routes.bound), "status": routes.status,
        "moved": routes.moved, "host_load": _round(routes.host_load),
        "bounds": {name: _round(getattr(limits, name)) for name in names},
        "unrouted": routes.unrouted["flow"].unique(maintain_order=True).to_list(), "notes": list(routes.notes),
        "routes": list(_entries(plan, routes, source_ports)),
    }  # fmt: skip


def _round(load: float | None) -> float | None:
    return None if load is None else round(load, 6)


def _entries(plan: Plan, routes: Routes, source_ports: Ints) -> Iterator[dict[str, Any]]:
    devices, names = plan.fabric.device_names().to_list(), plan.fabric.ports["name"].to_list()
    at = {
        side: (plan.fabric.links[f"{side}_device"].to_list(), plan.fabric.links[f"{side}_port"].to_list())
        for side in "ab"
    }
    columns = [column for column, _ in _EGRESS]
    rows = routes.paths.drop_nulls("leaf_host").with_columns(port=pl.Series(source_ports).filter(_routed(routes)))
    grouped = rows.group_by("flow", "host_leaf", *columns, maintain_order=True).agg("pair", "port")
    for flow, _, *links, pairs, ports in grouped.sort("flow", maintain_order=True).iter_rows():
        hops = [
            [devices[at[side][0][link]], names[at[side][1][link]]]
            for (_, side), link in zip(_EGRESS, links, strict=True)
            if link is not None
        ]
        found = [port for port in ports if port != NONE]
        yield {"flow": flow, "hops": hops, "udp_source_ports": found, "queue_pairs": pairs}


def _routed(routes: Routes) -> pl.Series:
    return routes.paths["leaf_host"].is_not_null()


def weights_csv(plan: Plan, weights: pl.DataFrame) -> bytes:
    """``realise.weights`` as CSV, names for ids."""
    devices, ports = plan.fabric.device_names(), plan.fabric.ports["name"]
    named = weights.with_columns(
        leaf=devices.gather(weights["leaf"]),
        to_leaf=devices.gather(weights["to_leaf"]),
        port=ports.gather(weights["port"]),
    )
    return named.write_csv().encode()


def read_routes(path: Path, plan: Plan, flows: pl.DataFrame) -> Routes:
    """Routes of a file that ``to_json`` made, for the flows that are among ``flows``.

    Loads and bounds are those that the file tells. Raises InputError with what is wrong, at most 50 things.
    """
    where = str(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(where, f"is larger than {MOST_BYTES >> 20} MiB", "is it `route --json`?"))
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = str(getattr(error, "strerror", None) or "is no JSON").lower()
        raise InputError(Problem(where, f"cannot be read: {reason}", "give a file of `route --json`")) from error
    if problem := _shape(data):
        raise InputError(Problem(where, problem, "give a file of `route --json`"))
    rows, problems = _rows(data["routes"], plan, flows, data["network"], where)
    if problems:
        raise InputError(problems[:MOST_PROBLEMS])
    paths = pl.DataFrame(rows, schema=PATHS, orient="row")
    load, bound = float(data["max_load"]), float(data["bound"])
    return Routes(data["network"], data["method"], paths, load, 0.0, Bounds(bound, 0.0, 0.0))


def _shape(data: Any) -> str:
    if not isinstance(data, dict) or data.get("version") != VERSION:
        return f"is no document of version {VERSION}"
    if data.get("method") not in METHODS or not isinstance(data.get("network"), str):
        return "does not say by which method and for which network it is"
    if not all(isinstance(data.get(name), int | float) for name in ("max_load", "bound")):
        return "does not say its load and bound"
    return "" if isinstance(data.get("routes"), list) else "has no routes"


def _rows(
    entries: list[Any], plan: Plan, flows: pl.DataFrame, name: str, where: str
) -> tuple[list[tuple[Any, ...]], list[Problem]]:
    """Rows of paths; an entry that does not fit the plan is a problem."""
    reader = Reader(plan, flows, name)
    rows: list[tuple[Any, ...]] = []
    problems = []
    for number, entry in enumerate(entries):
        found = reader.rows(entry)
        if isinstance(found, str):
            problems.append(Problem(f"{where}: routes[{number}]", found, "routes belong to one plan"))
            if len(problems) == MOST_PROBLEMS:
                break
        else:
            rows += found
    return rows, problems


class Reader:
    """Entries of a document to rows of paths, names to ids."""

    def __init__(self, plan: Plan, flows: pl.DataFrame, name: str) -> None:
        fabric = plan.fabric
        ids = {device: number for number, device in enumerate(fabric.device_names())}
        self.devices = ids
        switch = fabric.ports.filter(pl.col("device") >= fabric.hosts.height)
        self.ports = dict(zip(zip(switch["device"], switch["name"], strict=True), switch["id"], strict=True))
        links = fabric.links.filter(pl.col("network") == name).select(
            "id", "a_device", "b_device", "a_port", "b_port", "plane"
        )
        self.by_port = {row[3]: row for row in links.iter_rows()} | {row[4]: row for row in links.iter_rows()}
        rows = flows.select("flow", "src_host", "src_rail", pl.col("gbps") / pl.col("queue_pairs"))
        self.ends = {row[0]: row[1:] for row in rows.iter_rows()}
        net = network(plan, name)
        attached = net.attached.with_columns(leaf=pl.Series(net.leaf).gather(net.attached["leaf"]))
        self.host_links: dict[tuple[int, int, int], int] = {}
        for host, rail, leaf, link in attached.select("host", "rail", "leaf", "link").iter_rows():
            self.host_links.setdefault((host, rail, leaf), link)

    def rows(self, entry: Any) -> list[tuple[Any, ...]] | str:
        """A row a queue pair; what is wrong, in words; nothing for flows that are no more."""
        if not isinstance(entry, dict) or not isinstance(entry.get("flow"), int):
            return "has no flow"
        pairs, hops = entry.get("queue_pairs", [0]), entry.get("hops")
        if not isinstance(pairs, list) or not all(isinstance(pair, int) and 0 <= pair < 1 << 16 for pair in pairs):
            return "has no numbers of queue pairs"
        if not isinstance(hops, list) or len(hops) not in (1, 3, MOST_HOPS):
            return "has no hops"
        if entry["flow"] not in self.ends:
            return []
        links = self._links(hops)
        if isinstance(links, str):
            return links
        host, rail, gbps = self.ends[entry["flow"]]
        first = self.host_links.get((host, rail, self.devices[hops[0][0]]))
        if first is None:
            return "does not begin at a leaf of the flow's host"
        plane = self.by_port[self.ports[self.devices[hops[-1][0]], hops[-1][1]]][5]
        return [(entry["flow"], pair, gbps, plane or 0, first, *links) for pair in pairs]

    def _links(self, hops: list[Any]) -> list[int | None] | str:
        """Links of ``UP[1:]`` and ``DOWN``; they must hang together."""
        found: list[int] = []
        here: int | None = None
        for hop in hops:
            if not isinstance(hop, list) or len(hop) != 2 or not all(isinstance(name, str) for name in hop):
                return "has a hop that is no pair of names"
            device = self.devices.get(hop[0], -1)
            link = self.by_port.get(self.ports.get((device, hop[1]), -1))
            if link is None:
                return f"names {hop[0][:60]} {hop[1][:60]}, which has no link there"
            if here is not None and device != here:
                return f"jumps to {hop[0][:60]}"
            here = link[2] if device == link[1] else link[1]
            found.append(link[0])
        last = found.pop()
        ups, downs = found[: len(found) // 2], found[len(found) // 2 :]
        return [*ups, *[None] * (len(UP) - 1 - len(ups)), *[None] * (len(DOWN) - 1 - len(downs)), *downs, last]
