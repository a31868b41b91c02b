"""Pairs of hosts as a plan has them: ports, leaves, the ways between leaves, and what of it is dead or loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from fabric.errors import InputError, Problem
from fabric.flowfile import Dead
from fabric.plan import Plan
from planner.borrowing.problem import Bools, End, Floats, Links, Pair
from planner.borrowing.ways import Trunks, trunks_of
from planner.freehosts import meant


@dataclass(frozen=True)
class View:
    """A plan's network as rails are borrowed on it.

    ``load_gbps``: what others send by a port, by port id. ``demand``: what the job sends by each of its ports, and
    ``scale_up``: by each GPU's scale-up link, as a share of its speed.
    """

    plan: Plan
    network: str
    dead: Dead
    load_gbps: Mapping[int, float] = field(default_factory=dict)
    demand: float = 1.0
    scale_up: float = 0.0

    @cached_property
    def dead_links(self) -> Bools:
        """By link id."""
        return self.dead.dead_links(self.plan)

    @cached_property
    def ports(self) -> pl.DataFrame:
        """Host ports of the network by host, rail and plane: host, rail, gpu, plane, nic, leaf, gbps, alive, load."""
        fabric = self.plan.fabric
        links = fabric.links.with_columns(alive=pl.Series(~self.dead_links, dtype=pl.Boolean))
        links = links.filter(
            (pl.col("network").cast(pl.String) == self.network) & (pl.col("tier").cast(pl.String) == "host-leaf")
        )
        loads = pl.DataFrame(
            {"port": list(self.load_gbps), "load": list(self.load_gbps.values())},
            schema={"port": pl.UInt32, "load": pl.Float64},
        )
        for side in "ab":
            known = loads.rename({"port": f"{side}_port", "load": f"{side}_load"})
            links = links.join(known, on=f"{side}_port", how="left", maintain_order="left")
        nics = fabric.nics.select(nic="id", nic_name=pl.col("name").cast(pl.String), nic_rail="rail", gpu="gpu")
        rows = links.join(fabric.ports.select(a_port="id", nic="nic"), on="a_port").join(nics, on="nic")
        rows = rows.sort("a_device", "nic_rail", "plane", "a_port")
        nth = pl.int_range(pl.len()).over("a_device", "nic_rail")
        return rows.select(
            host="a_device",
            rail=pl.col("nic_rail").cast(pl.Int64),
            gpu=pl.coalesce("gpu", "nic_rail").cast(pl.Int64),
            plane=pl.coalesce(pl.col("plane").cast(pl.Int64), nth),
            nic="nic_name",
            leaf=pl.col("b_device").cast(pl.Int64),
            gbps=pl.col("speed_gbps").cast(pl.Float64),
            alive="alive",
            load=pl.max_horizontal("a_load", "b_load").fill_null(0.0),
        )

    @cached_property
    def _first(self) -> dict[int, tuple[int, int]]:
        """First row and number of rows of each host in ``ports``."""
        runs = self.ports.with_row_index("row").group_by("host", maintain_order=True)
        return {h: (r, n) for h, r, n in runs.agg(pl.col("row").first(), n=pl.len()).iter_rows()}

    @cached_property
    def trunks(self) -> Trunks:
        """What lives between the switches."""
        return trunks_of(self.plan, self.network, ~self.dead_links, self.load_gbps)

    def name(self, host: int) -> str:
        """Name of a host."""
        return str(self.plan.fabric.hosts["name"][host])

    def rows(self, host: int) -> pl.DataFrame:
        """The host's rows of ``ports``; raises InputError where it has none."""
        if host not in self._first:
            remedy = f"name a host with NICs there, or another network than {self.network}"
            raise InputError(Problem(self.name(host), f"has no NIC on the {self.network} network", remedy))
        return self.ports.slice(*self._first[host])

    def end(self, host: int) -> End:
        """A host as one end of a pair."""
        rows = self.rows(host)
        server = self.plan.catalogue.servers[str(self.plan.fabric.hosts["model"][host])]
        gbps = float(server.scale_up.gbps_per_gpu) if server.scale_up else 0.0
        rail, plane, gpu, leaf = (rows[name].to_numpy().astype(np.int64) for name in ("rail", "plane", "gpu", "leaf"))
        speed, load = (rows[name].to_numpy().astype(np.float64) for name in ("gbps", "load"))
        alive = rows["alive"].to_numpy().astype(np.bool_)
        return End(self.name(host), rail, plane, gpu, leaf, speed, alive, load, gbps, gbps * self.scale_up)

    def pair(self, here: int, there: int, at_once: int = 1) -> Pair:
        """Two hosts that talk; raises InputError where their NICs differ."""
        one, other = self.end(here), self.end(there)
        same = (
            len(one) == len(other) and np.array_equal(one.rail, other.rail) and np.array_equal(one.plane, other.plane)
        )
        if not same or not np.array_equal(one.gbps, other.gbps):
            what = f"has other NICs on the {self.network} network than {one.name}"
            raise InputError(Problem(other.name, what, "name a peer with the same NICs"))
        demand: Floats = one.gbps * self.demand
        ways = self.trunks.between(one.leaf, other.leaf)
        return Pair(one, other, demand, Links(*self.trunks.links), ways, at_once)

    @cached_property
    def lost(self) -> dict[int, tuple[int, ...]]:
        """Hosts that lost ports, and which: numbers in the order of the host's ports."""
        nth = self.ports.select("host", "alive", nth=pl.int_range(pl.len()).over("host"))
        gone = nth.filter(~pl.col("alive")).group_by("host", maintain_order=True).agg("nth")
        return {host: tuple(ports) for host, ports in gone.iter_rows()}

    def neighbours(self, host: int) -> tuple[int, ...]:
        """The next and the previous host of the segment, as a ring has them: whom a host talks to unless told."""
        hosts = self.plan.fabric.hosts.filter(~pl.col("spare")).filter(pl.col("id").is_in(list(self._first)))
        me = self.plan.fabric.hosts.row(host, named=True)
        same = hosts.filter(model=me["model"]).filter(pl.col("id") != host)
        near = same.filter(pl.col("segment").eq_missing(me["segment"]))
        ring = (near if near.height else same).sort("segment", "place")["id"].to_list()
        after = [other for other in ring if other > host]
        before = [other for other in ring if other < host]
        chosen = [(after or before)[0], (before or after)[-1]] if ring else []
        return tuple(dict.fromkeys(chosen))


def host_ids(plan: Plan, names: Sequence[str], where: str) -> tuple[int, ...]:
    """Device ids of hosts; raises InputError with every name that is none."""
    known = {name: number for number, name in enumerate(plan.fabric.hosts["name"])}
    wrong = [name for name in names if name not in known]
    if wrong:
        raise InputError([Problem(where, f'the plan has no host "{name}"', meant(name, list(known))) for name in wrong])
    return tuple(known[name] for name in names)
