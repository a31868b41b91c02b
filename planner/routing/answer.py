"""What routing answers: a path for every queue pair of every flow, the loads that makes, and how good that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from planner.routing.jit import Floats, Ints

Method = Literal["colored", "greedy", "ecmp"]
METHODS: tuple[Method, ...] = ("colored", "greedy", "ecmp")
Status = Literal["OPTIMAL", "FEASIBLE", "INFEASIBLE"]

UP = ("host_leaf", "leaf_spine", "spine_core")
"""Columns of link ids that are travelled away from the hosts (from the link's ``a`` end to its ``b`` end)."""
DOWN = ("core_spine", "spine_leaf", "leaf_host")
"""Columns of link ids that are travelled towards the hosts (from ``b`` to ``a``)."""

PATHS: dict[str, type[pl.DataType]] = {
    "flow": pl.UInt32, "pair": pl.UInt16, "gbps": pl.Float64, "plane": pl.UInt16,
    **dict.fromkeys((*UP, *DOWN), pl.UInt32),
}  # fmt: skip
"""Columns of ``Routes.paths``."""
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Bounds:
    """What no routing goes below, as largest loads of a link between switches (1.0: its whole rate).

    ``leaf``: max(out, in) of a leaf over the rate of its live uplinks, ``where_leaf`` the leaf's device id. ``pair``:
    what a leaf sends to another over the rate of the spines they have in common, ``where_pair`` both. ``pod``: what a
    pod sends or gets over its live uplinks to cores; None without cores. ``lp``: the least load where flows may be
    split at will; None where it was too large to solve and is not plain. ``whole``: where no queue pair may be split:
    so many go over so many links, and one link has the share rounded up; or a search that tried all.
    """

    leaf: float
    pair: float
    whole: float
    pod: float | None = None
    lp: float | None = None
    where_leaf: int | None = None
    where_pair: tuple[int, int] | None = None

    @property
    def best(self) -> float:
        """The highest of them."""
        return max(self.leaf, self.pair, self.whole, self.pod or 0.0, self.lp or 0.0)


@dataclass(frozen=True)
class Routes:
    """Paths for the flows of one network.

    ``paths`` has a row a queue pair, in the order of the flows and then of the pairs, with the columns of ``PATHS``:
    the links it takes, null where the path has none of that tier. Where there is no path all links are null.
    ``max_load`` is that of the links between switches; ``host_load`` that of the links of hosts, which no routing
    changes. ``moved`` counts queue pairs that had a live path before and got another one.
    """

    network: str
    method: Method
    paths: pl.DataFrame
    max_load: float
    host_load: float
    bounds: Bounds
    moved: int = 0
    notes: tuple[str, ...] = field(default=())
    """What could not be done, in words."""

    @property
    def unrouted(self) -> pl.DataFrame:
        """``flow`` and ``pair`` of what has no path."""
        return self.paths.filter(pl.col("leaf_host").is_null()).select("flow", "pair")

    @property
    def bound(self) -> float:
        """The largest load that no routing goes below."""
        return self.bounds.best

    @property
    def status(self) -> Status:
        """OPTIMAL: the load equals the bound. INFEASIBLE: some flows have no path at all."""
        if self.unrouted.height:
            return "INFEASIBLE"
        return "OPTIMAL" if self.max_load <= self.bound + TOLERANCE else "FEASIBLE"


def directed_gbps(paths: pl.DataFrame, links: int) -> tuple[Floats, Floats]:
    """Gb/s on each link away from the hosts and towards them, by link id."""
    return _sums(paths, UP, links), _sums(paths, DOWN, links)


def _sums(paths: pl.DataFrame, columns: tuple[str, ...], links: int) -> Floats:
    total = np.zeros(links)
    gbps = paths["gbps"].to_numpy()
    for column in columns:
        used = paths[column].is_not_null().to_numpy()
        link: Ints = paths[column].fill_null(0).to_numpy().astype(np.int64)
        total += np.bincount(link[used], weights=gbps[used], minlength=links)
    return total
