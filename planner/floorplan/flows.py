"""What it costs to put two racks so far apart: cables between racks, priced by the metres of tray between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from fabric.trays import Room, middles
from planner.floorplan.contents import Asked
from planner.floorplan.prices import PriceTable
from planner.floorplan.racks import Floats, Ints, Racks


@dataclass(frozen=True)
class Places:
    """Where a rack may stand, row by row: row, position, and metres of tray between any two, as numbers of ``metres``."""

    row: Ints
    position: Ints
    metres: Floats
    """Distinct metres of tray, rising; the first is the least between two racks."""
    between: Ints
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
    fixed: float
    """Cents at least of the cables that no placement of racks changes or that are not looked at."""


def places_of(racks_free: Sequence[tuple[int, int]], room: Room) -> Places:
    """Every free place of the room."""
    row, position = np.array(racks_free, dtype=np.int64).reshape(-1, 2).T
    between = np.round(room.along_m(row[:, None], position[:, None], row, position), 3)
    np.fill_diagonal(between, np.inf)
    out = np.round(room.out_m(row, position), 3)
    metres = np.unique(np.concatenate([between.ravel(), out]))
    metres = metres[np.isfinite(metres)] if len(row) > 1 else np.unique(out)
    np.fill_diagonal(between, metres[0])
    number = np.searchsorted(metres, between).astype(np.int32)
    return Places(row, position, metres, number, np.searchsorted(metres, out), room)


def flows_of(asked: Asked, racks: Racks, prices: PriceTable, places: Places) -> Flows:
    """Cables between racks. A cable with ends in several racks counts a share to each."""
    links = _links(asked, racks, prices)
    outside = links["b"] == -1
    inside = links.filter((links["a"] == links["b"]) & ~outside)
    loose = links.filter((links["a"] < 0) | (links["b"] < -1))
    moving = links.filter((pl.col("a") >= 0) & (pl.col("b") >= -1) & (pl.col("a") != pl.col("b")))
    fixed = float((prices.at(*_kind_way(inside, "inside")) * inside["share"].to_numpy()).sum())
    least = prices.at(loose["kind"].to_numpy(), np.full(loose.height, asked.site.slack_m))
    fixed += float((least * loose["share"].to_numpy()).sum())
    moving = moving.with_columns(pl.min_horizontal("a", "b").alias("low"), pl.max_horizontal("a", "b").alias("high"))
    moving = moving.with_columns(a=pl.when(pl.col("b") < 0).then("a").otherwise("low"), b=pl.when(pl.col("b") < 0).then(-1).otherwise("high"))
    cables = moving.group_by("a", "b", "kind", "up").agg(pl.col("share").sum().round(9)).sort("a", "b", "kind", "up")
    pairs, classes = _classes(cables)
    return Flows(pairs[:, 0], pairs[:, 1], pairs[:, 2], _cents(classes, prices, places), fixed)


def _kind_way(frame: pl.DataFrame, column: str) -> tuple[Ints, Floats]:
    return frame["kind"].to_numpy(), frame[column].to_numpy()


def _links(asked: Asked, racks: Racks, prices: PriceTable) -> pl.DataFrame:
    """By link: kind, racks of its ends (b -1: leaves the room; -2: no rack yet), share of its cable, metres up and down
    (slack included), and metres where both ends are in one rack."""
    links, room, site = asked.fabric.links, Room(asked.site), asked.site
    devices = racks.devices
    middle = middles(devices.unit, devices.units, site.rack_units)
    a, b = links["a_device"].to_numpy(), links["b_device"].fill_null(0).to_numpy()
    outside = links["b_device"].is_null().to_numpy()
    up = room.climb_m(middle)
    cable = links["cable"].to_numpy()
    share = 1 / np.bincount(cable, minlength=asked.fabric.cables.height)[cable]
    rack_b = np.where(devices.rack[b] < 0, -2, devices.rack[b])
    from fabric.trays import UNIT_M

    return pl.DataFrame(
        {
            "kind": prices.kind[cable],
            "a": devices.rack[a],
            "b": np.where(outside, -1, rack_b),
            "share": share,
            "up": np.round(up[a] + np.where(outside, 0, up[b]) + site.slack_m, 3),
            "inside": np.round(np.abs(middle[a] - middle[b]) * UNIT_M + site.slack_m, 3),
        }
    )


def _classes(cables: pl.DataFrame) -> tuple[Ints, list[pl.DataFrame]]:
    """Pairs (a, b, class) and the cables of each class: pairs whose cables are alike are of one class."""
    said = pl.concat_str(pl.col("kind"), pl.lit(":"), pl.col("up"), pl.lit(":"), pl.col("share"))
    pairs = cables.group_by("a", "b", maintain_order=True).agg(said.str.join(" ").alias("said"))
    pairs = pairs.with_columns(kind=pl.col("said").rank("dense").cast(pl.Int64) - 1)
    first = pairs.unique("kind", keep="first", maintain_order=True).sort("kind")
    mine = cables.join(first.select("a", "b", number="kind"), on=["a", "b"], how="inner").sort("number", "kind", "up")
    return pairs.select("a", "b", "kind").to_numpy(), mine.partition_by("number", maintain_order=True)


def _cents(classes: list[pl.DataFrame], prices: PriceTable, places: Places) -> Floats:
    rows = []
    for cables in classes:
        kind, up, share = (cables[name].to_numpy() for name in ("kind", "up", "share"))
        rows.append(share @ prices.at(kind[:, None], up[:, None] + places.metres))
    return np.array(rows).reshape(len(rows), len(places.metres))
