"""What goes into which rack, before any rack has a place.

Rules (docs/floorplan.md): the hosts of a segment fill racks of their own in the order of their places; small segments
of one network share. Leaves stand with the hosts most of which they serve, a rack a side (plane); spines and cores in
racks of their own, a side each; where there is but one block they hang with its leaves if there is room. No rack holds
two planes of a network, nor all spines or cores of a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from fabric.catalogue import Catalogue
from fabric.design import Design
from fabric.intent import Intent
from fabric.intent.site import Site
from fabric.population import primary_network
from fabric.tables import Fabric
from fabric.trays import heights, watts
from planner.floorplan.racks import EVERY, Devices, Ints, Racks, evenly, next_fit, spread

SERVICE = "service"
"""Block key of hosts that have no segment of their own but on oob."""


@dataclass(frozen=True)
class Asked:
    """What is to be placed, as arrays by device id."""

    fabric: Fabric
    design: Design
    intent: Intent
    catalogue: Catalogue
    site: Site

    @cached_property
    def units(self) -> Ints:
        """Rack units of each device."""
        return heights(self.fabric, self.catalogue)

    @cached_property
    def watts(self) -> pl.Series:
        """Most power of each device."""
        return pl.Series(watts(self.fabric, self.catalogue))

    @property
    def hosts(self) -> int:
        """Number of hosts, which is the id of the first switch."""
        return self.fabric.hosts.height

    @property
    def pdus(self) -> Ints:
        """Ids of the PDUs."""
        return np.flatnonzero((self.fabric.hosts["role"].cast(pl.String) == "pdu").to_numpy())

    @cached_property
    def switches(self) -> pl.DataFrame:
        """Switches without oob leaves, with ``side``, ``redundant`` (number of the group of which any will do)."""
        planes = {name: network.planes for name, network in self.design.networks.items()}
        sides = max([2, *planes.values()])
        frame = self.fabric.switches.with_columns(pl.col("network", "tier").cast(pl.String))
        frame = frame.filter((pl.col("network") != "oob") | (pl.col("tier") != "leaf"))
        frame = frame.with_columns(planes=pl.col("network").replace_strict(planes, default=1, return_dtype=pl.Int64))
        alone = (pl.col("planes") > 1) & pl.col("plane").is_not_null()
        spare = pl.when(pl.col("tier") == "leaf").then(0).otherwise(pl.col("index") % sides)
        key = pl.struct("network", "tier", "pod", "rail", "plane", "group")
        return frame.with_columns(
            side=pl.when(alone).then(pl.col("plane")).otherwise(spare).cast(pl.Int64),
            redundant=pl.when(pl.col("tier") != "leaf").then(key.rank("dense").cast(pl.Int64)).otherwise(-1),
            alone=alone,
        )

    @cached_property
    def domain(self) -> Ints:
        """Hosts that share a scale-up domain, by device id; 1 where each is its own."""
        spans = {n: s.scale_up.hosts for n, s in self.catalogue.servers.items() if s.scale_up}
        hosts = self.fabric.hosts["model"].cast(pl.String).replace_strict(spans, default=1, return_dtype=pl.Int64)
        return hosts.to_numpy()


def fill(asked: Asked, style: str) -> Racks:
    """Racks with everything in them but PDUs and out-of-band leaves, which wait until the racks have places.

    ``style``: switches in racks of their own beside each block of hosts (``beside``), in as few racks of their own as
    may be (``few``), or in the units that hosts leave (``shared``); raises NoRoomError where those do not suffice.
    """
    racks = Racks(asked.site, Devices.of(asked.units, asked.watts.to_numpy()))
    blocks = host_racks(asked, racks)
    leaves = serving(asked, blocks)
    if style == "shared":
        _share(racks, asked, leaves)
    else:
        for block, side, chosen in _leaf_streams(leaves, together=style == "few"):
            _hang(racks, block, side, evenly(racks, chosen))
        free = _lone_block(racks)
        for side, chosen, key, least in _central_streams(asked):
            _hang(racks, EVERY, side, _joined(racks, free, side, spread(racks, chosen, key, least)))
    return racks


class NoRoomError(Exception):
    """The units and watts that hosts leave do not hold the switches; says how many were left over."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} switches left over")
        self.left = left


# --- hosts -------------------------------------------------------------------------------------------------------


def host_racks(asked: Asked, racks: Racks) -> Ints:
    """Fill racks with hosts; gives the block of each host, -1 for PDUs.

    Segments one after another; those that do not fill a rack share with the next of their network and pod. Segments
    of less than a row of racks together are one block.
    """
    blocks = np.full(asked.hosts, EVERY)
    block, before, filled = EVERY, "", 0
    for key, hosts in _streams(asked, racks):
        parts = next_fit(racks, hosts, asked.domain[hosts])
        if key != before or filled + len(parts) > asked.site.racks_per_row:
            block, filled = block + 1, 0
        before, filled = key, filled + len(parts)
        blocks[hosts] = block
        for part in parts:
            racks.put_hosts(racks.add(block, (len(racks)) % 2, hosts=True), part)
    return blocks


def _streams(asked: Asked, racks: Racks) -> Iterator[tuple[str, Ints]]:
    """Hosts that share racks, in order, with the key of what they may share a block with."""
    names = {g.name: primary_network(asked.intent, asked.catalogue, g) or SERVICE for g in asked.intent.hosts}
    frame = asked.fabric.hosts.select("id", "role", "pod", "segment", "place", pl.col("group").cast(pl.String))
    frame = frame.filter(pl.col("role").cast(pl.String) != "pdu").with_columns(
        net=pl.col("group").replace_strict(names, default=SERVICE, return_dtype=pl.String)
    )
    alone = (pl.col("role").cast(pl.String) != "service") & (pl.col("net") != "oob") & pl.col("segment").is_not_null()
    key = pl.when(alone).then(pl.concat_str("net", pl.lit("/"), pl.col("pod").fill_null(0))).otherwise(pl.lit(SERVICE))
    frame = frame.with_columns(key=key, part=pl.when(alone).then("segment").otherwise(0))
    frame = frame.with_columns(first=pl.col("id").min().over("key")).sort("first", "part", "group", "place", "id")
    waiting: list[Ints] = []
    last = ""
    for (name, _), rows in frame.group_by("key", "part", maintain_order=True):
        hosts = rows["id"].to_numpy().astype(np.int64)
        if waiting and name != last:
            yield last, np.concatenate(waiting)
            waiting = []
        last = str(name)
        if len(next_fit(racks, hosts, asked.domain[hosts])) > 1:
            yield from ([(last, np.concatenate(waiting))] if waiting else [])
            yield last, hosts
            waiting = []
        else:
            waiting.append(hosts)
    if waiting:
        yield last, np.concatenate(waiting)


# --- switches ----------------------------------------------------------------------------------------------------


def serving(asked: Asked, blocks: Ints) -> pl.DataFrame:
    """Leaves (``id, network, side, block``): the block that has most of their host ports."""
    links = asked.fabric.links.select("a_device", "b_device", pl.col("tier").cast(pl.String))
    links = links.filter((pl.col("tier") == "host-leaf") & pl.col("b_device").is_not_null())
    counted = (
        links.select(id="b_device", block=pl.Series(blocks)[links["a_device"].cast(pl.Int64)])
        .group_by("id", "block")
        .len()
        .sort("id", "len", "block", descending=[False, True, False])
        .unique("id", keep="first", maintain_order=True)
    )
    leaves = asked.switches.filter(pl.col("tier") == "leaf")
    leaves = leaves.join(counted.select("id", "block"), on="id", how="left", maintain_order="left")
    return leaves.select("id", "network", "side", "planes", pl.col("block").fill_null(EVERY))


def _leaf_streams(leaves: pl.DataFrame, *, together: bool) -> Iterator[tuple[int, int, Ints]]:
    """Block, side and leaves of each set of leaves that shares racks."""
    block = pl.lit(EVERY, pl.Int64) if together else pl.col("block")
    for (number, side), rows in (
        leaves.with_columns(block=block).sort("block", "side", "id").group_by("block", "side", maintain_order=True)
    ):
        yield int(number), int(side), rows["id"].to_numpy().astype(np.int64)


def _central_streams(asked: Asked) -> Iterator[tuple[int, Ints, Ints, int]]:
    """Side, switches, key for spreading them, least racks: spines (of a pod, where there are several) and cores."""
    upper = asked.switches.filter(pl.col("tier") != "leaf")
    pods = {name: network.pods for name, network in asked.design.networks.items()}
    several = pl.col("network").replace_strict(pods, default=1, return_dtype=pl.Int64) > 1
    where = pl.when(several & pl.col("pod").is_not_null()).then("pod").otherwise(-1).cast(pl.Int64)
    upper = upper.with_columns(where=where).sort("where", "side", "id")
    for (_, side), rows in upper.group_by("where", "side", maintain_order=True):
        group = rows["redundant"].to_numpy()
        nth = pl.int_range(pl.len()).over("redundant") + pl.col("redundant")
        least = 2 if (rows["alone"].to_numpy() & (np.bincount(group)[group] > 1)).any() else 1
        chosen = rows["id"].to_numpy().astype(np.int64)
        yield int(side), chosen, rows.select(nth).to_series().to_numpy(), least


def _lone_block(racks: Racks) -> list[int]:
    """Racks of leaves, where all are of one block: there spines may hang too."""
    own = [rack for rack in range(len(racks)) if not racks.hosts[rack]]
    return own if len({racks.block[rack] for rack in own}) == 1 else []


def _joined(racks: Racks, free: list[int], side: int, parts: list[Ints]) -> list[Ints]:
    """Hang parts in racks of leaves of their side that have room, no two in one; gives those that are left."""
    left, used = [], set()
    for part in parts:
        room = (r for r in free if racks.side[r] == side and r not in used and racks.fits(r, *racks.total(part)))
        rack = next(room, None)
        if rack is None:
            left.append(part)
        else:
            racks.put_switches(rack, part)
            used.add(rack)
    return left


def _hang(racks: Racks, block: int, side: int, parts: list[Ints]) -> None:
    for part in parts:
        racks.put_switches(racks.add(block, side, hosts=False), part)


def _share(racks: Racks, asked: Asked, leaves: pl.DataFrame) -> None:
    """Leaves into the racks of their block, then spines and cores into any, each side into every other rack."""
    upper = asked.switches.filter(pl.col("tier") != "leaf").with_columns(block=pl.lit(EVERY, pl.Int64))
    columns = ["id", "network", "side", "block", "planes"]
    leaves = leaves.with_columns(redundant=pl.lit(-1, pl.Int64))
    rows = pl.concat([leaves.select(*columns, "redundant"), upper.select(*columns, "redundant")])
    size = rows["redundant"].value_counts()
    members = dict(size.iter_rows())
    inside: dict[tuple[int, int], int] = {}
    left = 0
    for device, network, side, block, planes, redundant in rows.iter_rows():
        most = members[redundant] - 1 if redundant >= 0 and members[redundant] > 1 else 1 << 30
        units, watts = racks.total(np.array([device]))
        for rack in _candidates(racks, block, side):
            apart = planes < 2 or all(n != network or p == side for n, p in racks.held[rack])
            if apart and inside.get((redundant, rack), 0) < most and racks.fits(rack, units, watts):
                racks.put_switches(rack, np.array([device]))
                racks.held[rack].add((network, side))
                inside[redundant, rack] = inside.get((redundant, rack), 0) + 1
                break
        else:
            left += 1
    if left:
        raise NoRoomError(left)


def _candidates(racks: Racks, block: int, side: int) -> list[int]:
    """Racks in which a switch may hang, best first: those of its block and side, of its block, any."""
    number = range(len(racks))
    return sorted(number, key=lambda r: (block not in (EVERY, racks.block[r]), r % 2 != side % 2, r))
