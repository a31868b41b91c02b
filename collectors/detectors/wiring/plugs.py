"""The plan as sockets and plugs: which cable's which end belongs in which connector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from collectors.detectors.view import NONE, Ints, Mask, View


@dataclass(frozen=True)
class Plugs:
    """Arrays by port, by socket and by run; NONE where there is none.

    A *run* is a set of interchangeable cables: those between the same switches, or one cable of a host. Its cables have
    the same ends, numbered by *slot*: the end with the most ports first, then the plan's ``a`` side.
    """

    view: View
    socket: Ints
    """By port."""
    rank: Ints
    """By port: its number in its socket."""
    trunk: Ints
    """By port: links of one trunk are interchangeable; any other link is its own trunk."""
    side: Ints
    """By port: 0 at the plan's ``a`` end, 1 at ``b``."""
    order: Ints
    """Ports by socket: those of socket s are ``order[start[s]:start[s + 1]]``."""
    start: Ints
    run: Ints
    """By socket."""
    slot: Ints
    """By socket."""
    cables: Ints
    """By run: how many cables it has."""
    slots: Ints
    """By run: how many ends each of its cables has."""

    @cached_property
    def external(self) -> Mask:
        """Ports whose planned cable leads to what is not ours."""
        found: Mask = (self.view.link != NONE) & (self.view.peer == NONE)
        return found

    @cached_property
    def device(self) -> Ints:
        """By socket: the device it is on."""
        found: Ints = self.view.device[self.order[self.start[:-1]]]
        return found

    @cached_property
    def _by_place(self) -> tuple[Ints, Ints]:
        """Sockets in the order of run and slot, and the keys they are sorted by."""
        key = np.where(self.run == NONE, NONE, self.run * (1 << 20) + self.slot)
        order = np.argsort(key, kind="stable")
        return order, key[order]

    def places(self, run: int, slot: int) -> Ints:
        """The sockets in which the plan has this end of a run's cables."""
        order, key = self._by_place
        low, high = np.searchsorted(key, [run * (1 << 20) + slot, run * (1 << 20) + slot + 1])
        return order[low:high]

    def size(self, socket: int) -> int:
        """How many ports a socket has."""
        return int(self.start[socket + 1] - self.start[socket])

    def first(self, socket: int) -> int:
        """The socket's first port with a planned cable, else its first."""
        ports = self.order[self.start[socket] : self.start[socket + 1]]
        linked = ports[self.view.peer[ports] != NONE]
        return int(linked[0] if len(linked) else ports[0])

    def leg(self, run: int, slot: int, rank: int) -> int:
        """The slot of the end that a cable of the run has opposite to a port; NONE where it has none there."""
        places = self.places(run, slot)
        if not len(places) or rank >= self.size(int(places[0])):
            return NONE
        peer = int(self.view.peer[self.order[self.start[places[0]] + rank]])
        return NONE if peer == NONE else int(self.slot[self.socket[peer]])


def plugs(view: View) -> Plugs:
    """The sockets of a plan and what belongs in them."""
    table = view.plan.fabric.ports.select(pl.col("cage", "connector").cast(pl.Int64))
    key = (view.device << 32) + (table["cage"].to_numpy() << 16) + table["connector"].to_numpy()
    _, socket = np.unique(key, return_inverse=True)
    order = np.argsort(socket, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(socket))]).astype(np.int64)
    rank = np.empty(len(socket), dtype=np.int64)
    rank[order] = np.arange(len(socket)) - start[socket[order]]
    trunk, side = _trunks(view)
    run, slot, cables, slots = _runs(view, socket.astype(np.int64), len(start) - 1)
    return Plugs(view, socket.astype(np.int64), rank, trunk, side, order, start, run, slot, cables, slots)


def _linked(view: View) -> pl.DataFrame:
    """Links within the plan, with whether both ends are switches'."""
    hosts = view.plan.fabric.hosts.height
    links = view.plan.fabric.links.filter(pl.col("b_port").is_not_null())
    return links.with_columns(switches=(pl.col("a_device") >= hosts) & (pl.col("b_device") >= hosts))


def _trunks(view: View) -> tuple[Ints, Ints]:
    links = _linked(view)
    own = pl.when("switches").then(0).otherwise(pl.col("id").cast(pl.Int64) + 1)
    parts = ("network", "tier", "speed_gbps", "a_device", "b_device")
    number = links.select(pl.struct(own.alias("own"), *parts).rank("dense").cast(pl.Int64)).to_series().to_numpy()
    trunk, side = (np.full(view.ports, NONE, dtype=np.int64) for _ in range(2))
    for end, column in enumerate(("a_port", "b_port")):
        ports = links[column].to_numpy()
        trunk[ports], side[ports] = number, end
    return trunk, side


def _runs(view: View, socket: Ints, sockets: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Run and slot by socket; cables and ends by run."""
    links = _linked(view)
    what = ("cable", "network", "tier", "speed_gbps", "switches")
    ends = pl.concat([links.select(*what, side=pl.lit(n), port=f"{s}_port") for n, s in enumerate("ab")])
    ends = ends.with_columns(pl.Series("socket", socket[ends["port"].to_numpy()]))
    ends = ends.with_columns(pl.Series("device", view.device[ends["port"].to_numpy()]))
    plug = ends.group_by("cable", "socket").agg(
        pl.len().alias("ports"), pl.col("side", "port").min(), pl.col("device", "network", "tier").first(),
        pl.col("speed_gbps").first(), pl.col("switches").all(),
    ).sort("cable", pl.col("ports"), "side", "port", descending=[False, True, False, False])  # fmt: skip
    plug = plug.with_columns(slot=pl.int_range(pl.len(), dtype=pl.Int64).over("cable"))
    cable = plug.group_by("cable", maintain_order=True).agg(
        pl.col("device", "ports").cast(pl.String), pl.col("network", "tier", "speed_gbps").first(),
        pl.col("switches").all(), pl.len().alias("slots"),
    )  # fmt: skip
    alike = pl.concat_str(
        pl.col("network", "tier").cast(pl.String), pl.col("speed_gbps").cast(pl.String),
        pl.col("device").list.join(" "), pl.col("ports").list.join(" "), separator="|",
    )  # fmt: skip
    cable = cable.with_columns(key=pl.when("switches").then(alike).otherwise(pl.col("cable").cast(pl.String)))
    first = pl.col("cable").min().over("key")
    cable = cable.with_columns(run=first.rank("dense").cast(pl.Int64) - 1)
    plug = plug.join(cable.select("cable", "run"), on="cable", maintain_order="left")
    run, slot = (np.full(sockets, NONE, dtype=np.int64) for _ in range(2))
    at = plug["socket"].to_numpy()
    run[at], slot[at] = plug["run"].to_numpy(), plug["slot"].to_numpy()
    runs = cable.group_by("run").agg(pl.len().alias("cables"), pl.col("slots").first()).sort("run")
    return run, slot, runs["cables"].to_numpy().astype(np.int64), runs["slots"].to_numpy().astype(np.int64)
