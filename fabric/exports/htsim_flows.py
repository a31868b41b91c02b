"""csg-htsim: flows on explicit paths, beside the topology of ``fabric.exports.htsim``, and what a run says of them.

The connection matrix is htsim's own format (``sim/datacenter/connection_matrix.cpp``, ``load``). htsim hashes by itself
and has no file of paths; ``pins`` is one (a line a flow: its id, the number of its link up from the leaf, the number of
its link down within the bundle of the spine's links to the far leaf), for a switch that is taught to read it. Links up
are numbered as htsim wires them: by spine, then by parallel link. Only two tiers are pinned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from fabric.plan import Plan

FINISHED = re.compile(r"^Flow \w*?_(?P<src>\d+)_(?P<dst>\d+)\b.*? finished at (?P<us>[0-9.eE+-]+)", re.MULTILINE)
"""What ``roce.cpp``, ``hpcc.cpp`` and others print when a flow's last byte is acknowledged."""


@dataclass(frozen=True)
class Connections:
    """The files of a run: connection matrix, pins, and the nodes of each flow in the order given."""

    matrix: bytes
    pins: bytes
    nodes: pl.DataFrame
    """Columns flow, src, dst."""


def htsim_connections(plan: Plan, paths: pl.DataFrame, network: str = "compute") -> Connections:
    """Flows that all start at once.

    ``paths``: flow, bytes, and link ids ``host_leaf, leaf_spine, spine_leaf, leaf_host`` (null where a path has none).
    Raises InputError where a flow has no path, shares both ends with another, or climbs above spines.
    """
    own = plan.fabric.links.filter(pl.col("network").cast(pl.String) == network)
    if own.filter(pl.col("tier").cast(pl.String) == "spine-core").height:
        raise InputError(Problem(f"networks.{network}", "paths over cores cannot be pinned", "take two tiers"))
    nodes = _nodes(own)
    links = _numbers(own)
    rows = (
        paths.join(nodes.rename({"link": "host_leaf", "node": "src"}), on="host_leaf", how="left")
        .join(nodes.rename({"link": "leaf_host", "node": "dst"}), on="leaf_host", how="left")
        .join(links.select(leaf_spine="link", up="up"), on="leaf_spine", how="left")
        .join(links.select(spine_leaf="link", down="down"), on="spine_leaf", how="left")
        .sort("flow")
        .with_columns(pl.col("up", "down").fill_null(0), id=pl.int_range(1, pl.len() + 1))
    )
    if rows["src"].null_count() or rows["dst"].null_count():
        raise InputError(Problem("flows", "a flow has no path", "leave out what is dead"))
    if rows.select("src", "dst").is_duplicated().any():
        raise InputError(Problem("flows", "two flows share both ends, and htsim's lines do not tell them apart"))
    vacant = _places(plan, network)
    matrix = [f"Nodes {vacant}", f"Connections {rows.height}"]
    matrix += [
        f"{s}->{d} id {i} start 0 size {b}" for s, d, i, b in rows.select("src", "dst", "id", "bytes").iter_rows()
    ]
    pins = [f"{i} {up} {down}" for i, up, down in rows.select("id", "up", "down").iter_rows()]
    return Connections(_text(matrix), _text(pins), rows.select("flow", "src", "dst"))


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _places(plan: Plan, network: str) -> int:
    from fabric.exports.htsim import tree_of

    return tree_of(plan.design.networks[network]).nodes


def _nodes(own: pl.DataFrame) -> pl.DataFrame:
    """Node of each host's link: leaf after leaf, in the order of the leaf's ports; vacant ports count."""
    ends = own.filter(pl.col("tier").cast(pl.String) == "host-leaf").sort("b_device", "b_port")
    places = pl.len().over("b_device").max()
    return ends.select(
        link="id",
        node=(pl.col("b_device").rank("dense") - 1).cast(pl.Int64) * places
        + pl.int_range(pl.len()).over("b_device").cast(pl.Int64),
    )


def _numbers(own: pl.DataFrame) -> pl.DataFrame:
    """Number of each link among its leaf's up links, and within its bundle."""
    links = own.filter(pl.col("tier").cast(pl.String) == "leaf-spine").sort("a_device", "b_device", "a_port")
    return links.select(
        link="id",
        up=pl.int_range(pl.len()).over("a_device"),
        down=pl.int_range(pl.len()).over("a_device", "b_device"),
    )


def htsim_finished(output: str, nodes: pl.DataFrame) -> pl.DataFrame:
    """Seconds at which each flow ended: ``nodes`` with a column ``seconds``, null where the run says nothing of it."""
    found = [(int(m["src"]), int(m["dst"]), float(m["us"]) * 1e-6) for m in FINISHED.finditer(output)]
    ended = pl.DataFrame(found, schema={"src": pl.Int64, "dst": pl.Int64, "seconds": pl.Float64}, orient="row")
    ended = ended.unique(["src", "dst"], keep="first")
    return nodes.join(ended, on=["src", "dst"], how="left", maintain_order="left")
