"""What it costs to put two racks so far apart: cables between racks, priced by the metres of tray between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.catalogue import Catalogue
from fabric.intent.site import Site
from fabric.tables import Fabric
from fabric.trays import UNIT_M, Room, link_ways_m, middles, racks_of
from planner.floorplan.contents import Asked
from planner.floorplan.prices import PriceTable
from planner.floorplan.racks import Floats, Ints, Racks

TIDY_CENTS = 1.0
"""What a metre of a cable's way counts besides its price while racks are moved; never part of a sum."""
_MOST = {"up": "most", "inside": "inside_most"}


@dataclass(frozen=True)
class Places:
    """Where a rack may stand, row by row: row, position, metres of tray between any two (as numbers of ``metres``)."""

    row: Ints
    position: Ints
    metres: Floats
    """Distinct metres of tray, rising; the first is the least between two racks."""
    between: npt.NDArray[np.int32]
    """Number of the metres between two places, a square."""
    out: Ints
    """Number of the metres to where cables leave the room."""
    room: Room

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Flows:
    """Pairs of racks with cables between them; their prices by metres of tray.

    ``cents[c]`` are all cables between two racks of class c by number of metres; ``a``, ``b`` and ``kind`` name the
    racks and class of each pair, b is -1 for what leaves the room.
    """

    a: Ints
    b: Ints
    kind: Ints
    cents: Floats
    tidy: Floats
    """``cents`` and a little for each metre: of placements that cost the same, the one with shorter ways is taken."""
    fixed: float
    """Cents at least of the cables that no placement of racks changes or that are not looked at."""


def places_of(racks_free: Sequence[tuple[int, int]], room: Room) -> Places:
    """Every free place of the room."""
    row, position = np.array(racks_free, dtype=np.int64).reshape(-1, 2).T
    at = np.arange(1, room.site.racks_per_row + 1)
    apart = np.arange(room.site.rows)[:, None, None]
    ways = np.round(room.along_m(apart, at[:, None], 0, at), 3)
    out = np.round(room.out_m(row, position), 3)
    metres = np.unique(np.concatenate([ways[ways > 0], out]))
    number = np.searchsorted(metres, ways).astype(np.int32)
    between = number[np.abs(row[:, None] - row), position[:, None] - 1, position - 1]
    return Places(row, position, metres, between, np.searchsorted(metres, out), room)


def flows_of(asked: Asked, racks: Racks, prices: PriceTable, places: Places) -> Flows:
    """Cables between racks. A cable with ends in several racks counts a share to each."""
    links = _links(asked, racks, prices)
    inside = links.filter((pl.col("a") == pl.col("b")) & (pl.col("a") >= 0))
    loose = links.filter((pl.col("a") < 0) | (pl.col("b") < -1))
    moving = links.filter((pl.col("a") >= 0) & (pl.col("b") >= -1) & (pl.col("a") != pl.col("b")))
    fixed = _sum(inside, prices, "inside", "inside_most") + _sum(loose, prices, "least", "least")
    key = ["a", "b", "kind", "up", "most"]
    cables = moving.group_by(key).agg(pl.col("share").sum().round(9)).sort(key)
    pairs, classes = _classes(cables)
    cents = _cents(classes, prices, places)
    number = np.array([mine["share"].sum() for mine in classes])
    tidy = cents + TIDY_CENTS * number[:, None] * places.metres
    return Flows(pairs[:, 0], pairs[:, 1], pairs[:, 2], cents, tidy, fixed)


def _sum(links: pl.DataFrame, prices: PriceTable, way: str, reach: str) -> float:
    kind, share, ways, reaches = (links[name].to_numpy() for name in ("kind", "share", way, reach))
    return float((prices.at(kind, ways, reaches) * share).sum())


def measured(fabric: Fabric, site: Site, catalogue: Catalogue, prices: PriceTable) -> float:
    """Cents of all cables of a fabric whose devices have places, by the same prices."""
    rack = racks_of(fabric)["rack"].cast(pl.Int64).fill_null(-2)
    cable = fabric.links["cable"].to_numpy()
    b = rack.gather(fabric.links["b_device"])
    frame = pl.DataFrame(
        {
            "kind": prices.kind[cable],
            "cable": cable,
            "component": prices.component[cable],
            "a": rack.gather(fabric.links["a_device"]),
            "b": b.fill_null(-1),
            "share": 1 / np.bincount(cable, minlength=fabric.cables.height)[cable],
            "way": link_ways_m(fabric, site, catalogue),
        }
    ).with_columns(a=pl.min_horizontal("a", "b"), b=pl.max_horizontal("a", "b"))
    most = pl.col("way").max().over("component", "a", "b")
    return _sum(frame.with_columns(pl.col("way").max().over("cable", "a", "b"), most=most), prices, "way", "most")


def _links(asked: Asked, racks: Racks, prices: PriceTable) -> pl.DataFrame:
    """One row a link.

    ``kind``; ``a`` and ``b``, racks of its ends, the lower first (b -1: leaves the room; -2: no rack yet); ``share`` of
    its cable; ``up``: metres up and down, slack included, of the longest link of its cable between the two racks, and
    ``most``, of those that hang together with it; ``inside`` and ``inside_most``: metres within a rack; ``least``:
    metres at least.
    """
    links, room, site = asked.fabric.links, Room(asked.site), asked.site
    devices = racks.devices
    middle = middles(devices.unit, devices.units, site.rack_units)
    a, b = links["a_device"].to_numpy(), links["b_device"].fill_null(0).to_numpy()
    outside = links["b_device"].is_null().to_numpy()
    up = room.climb_m(middle)
    cable = links["cable"].to_numpy()
    one, other = devices.rack[a], np.where(outside, -1, np.where(devices.rack[b] < 0, -2, devices.rack[b]))
    frame = pl.DataFrame(
        {
            "kind": prices.kind[cable],
            "cable": cable,
            "component": prices.component[cable],
            "a": np.where(other < 0, one, np.minimum(one, other)),
            "b": np.where(other < 0, other, np.maximum(one, other)),
            "share": 1 / np.bincount(cable, minlength=asked.fabric.cables.height)[cable],
            "up": np.round(up[a] + np.where(outside, 0, up[b]) + site.slack_m, 3),
            "inside": np.round(np.abs(middle[a] - middle[b]) * UNIT_M + site.slack_m, 3),
            "least": np.full(len(cable), site.slack_m),
        }
    )
    together = [pl.col(name).max().over("component", "a", "b").alias(new) for name, new in _MOST.items()]
    return frame.with_columns(pl.col(*_MOST).max().over("cable", "a", "b"), *together)


def _classes(cables: pl.DataFrame) -> tuple[Ints, list[pl.DataFrame]]:
    """Pairs (a, b, class) and the cables of each class: pairs whose cables are alike are of one class."""
    said = pl.concat_str("kind", "up", "most", "share", separator=":")
    pairs = cables.group_by("a", "b", maintain_order=True).agg(said.str.join(" ").alias("said"))
    pairs = pairs.with_columns(kind=pl.col("said").rank("dense").cast(pl.Int64) - 1)
    first = pairs.unique("kind", keep="first", maintain_order=True).sort("kind")
    mine = cables.join(first.select("a", "b", number="kind"), on=["a", "b"], how="inner")
    mine = mine.sort("number", "kind", "up", "most")
    return pairs.select("a", "b", "kind").to_numpy(), mine.partition_by("number", maintain_order=True)


def _cents(classes: list[pl.DataFrame], prices: PriceTable, places: Places) -> Floats:
    rows = []
    for cables in classes:
        kind, up, most, share = (cables[name].to_numpy() for name in ("kind", "up", "most", "share"))
        rows.append(share @ prices.at(kind[:, None], up[:, None] + places.metres, most[:, None] + places.metres))
    return np.array(rows).reshape(len(rows), len(places.metres))


def alike(racks: int, flows: Flows) -> list[list[int]]:
    """Racks that have the same cables to the same others, and so may change places; each group rising."""
    mates: list[list[tuple[int, int]]] = [[] for _ in range(racks)]
    for a, b, kind in zip(flows.a.tolist(), flows.b.tolist(), flows.kind.tolist(), strict=True):
        mates[a].append((b, kind))
        if b >= 0:
            mates[b].append((a, kind))
    same: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for rack, found in enumerate(mates):
        same.setdefault(tuple(sorted(found)), []).append(rack)
    return list(same.values())
