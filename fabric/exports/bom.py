"""The bill of materials: what to order, by orderable part, with spare parts and prices.

Optics are counted by the cages they fill (a twin-port optic once, however many cables it serves), cables by part and
length. Servers are counted and not priced, unless the user prices them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fabric.exports.cabling import csv, once_a_plan
from fabric.media.choose import UNRESOLVED
from fabric.media.prices import USER, Price, cable_cents, optic_cents, switch_price

if TYPE_CHECKING:
    from fabric.catalogue import Cable, Catalogue, Prices
    from fabric.plan import Plan

MONEY = pl.Decimal(38, 2)
SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.String(), "part": pl.String(), "description": pl.String(), "medium": pl.String(),
    "connector": pl.String(), "polarity": pl.String(), "form": pl.String(), "speed_gbps": pl.UInt32(),
    "length_m": pl.Float64(), "quantity": pl.UInt32(), "spare": pl.UInt32(), "total": pl.UInt32(),
    "unit_price_usd": MONEY, "price_source": pl.String(), "sum_usd": MONEY, "source": pl.String(),
}  # fmt: skip
"""Columns of ``bom.csv``. ``form``: what the plug is made for (finned or flat-top OSFP); ``source``: of the figures."""
KINDS = ("switch", "optic", "fibre", "splitter", "cable", "server", "pdu")
FOR_CABLES = ("fibre", "splitter", "cable")
"""Kinds that are a cable each."""
SPARED = ("optic", *FOR_CABLES)
"""Kinds that spare parts are ordered of."""
Row = dict[str, Any]


def bom(plan: Plan) -> bytes:
    """``bom.csv``."""
    return csv(bom_table(plan))


def bom_table(plan: Plan, network: str | None = None) -> pl.DataFrame:
    """One row an orderable part, with ``SCHEMA``; with ``network`` what it takes, without spares and servers."""
    prices = prices_of(plan)
    rows = [*_switches(plan, network, prices), *_optics(plan, network, prices), *_cables(plan, network, prices)]
    if network is None:
        rows += _hosts(plan, prices)
    rows.sort(key=lambda row: (KINDS.index(row["kind"]), row["part"], row.get("length_m") or 0, row.get("medium", "")))
    percent = Fraction(plan.intent.spare_parts_percent) if network is None else Fraction(0)
    return _frame([_summed(row, percent) for row in rows])


def total_usd(plan: Plan) -> float:
    """Price of switches, optics and cables in US dollars, without spare parts and servers."""
    table = bom_table(plan).filter(pl.col("kind").is_in(["server", "pdu"]).not_())
    cents = (table["unit_price_usd"] * 100).cast(pl.Int64).fill_null(0) * table["quantity"].cast(pl.Int64)
    return int(cents.sum()) / 100


def prices_of(plan: Plan) -> Prices:
    """The prices the plan was made with; raises InputError where the user's file is not there any more."""
    from fabric.catalogue import load_prices

    return load_prices(plan.intent.prices_path, plan.catalogue)


def _summed(row: Row, percent: Fraction) -> Row:
    """The row with spares, total and sum."""
    spare = ceil(row["quantity"] * percent / 100) if row["kind"] in SPARED else 0
    total = row["quantity"] + spare
    price: Price | None = row.pop("price", None)
    money = {"unit_price_usd": _usd(price.cents), "sum_usd": _usd(price.cents * total)} if price else {}
    return {**row, "spare": spare, "total": total, "price_source": price.source if price else None, **money}


def _usd(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _frame(rows: Iterable[Row]) -> pl.DataFrame:
    plain = {name: pl.String() if dtype == MONEY else dtype for name, dtype in SCHEMA.items()}
    columns = [{name: row.get(name) for name in SCHEMA} for row in rows]
    return pl.DataFrame(columns, schema=plain).with_columns(pl.col(n).cast(d) for n, d in SCHEMA.items() if d == MONEY)


# --- switches and hosts ------------------------------------------------------------------------------------------


def _switches(plan: Plan, network: str | None, prices: Prices) -> Iterator[Row]:
    table = _on(plan.fabric.switches, network)
    for model, count in _counted(table, "model"):
        switch = plan.catalogue.switches[model]
        cages = " + ".join(f"{group.count} {group.type}" for group in switch.cages)
        yield {
            "kind": "switch", "part": model, "quantity": count, "price": switch_price(prices, switch),
            "description": f"switch, {cages}, {switch.rack_units} U", "source": switch.source,
        }  # fmt: skip


def _hosts(plan: Plan, prices: Prices) -> Iterator[Row]:
    for model, count in _counted(plan.fabric.hosts, "model"):
        server = plan.catalogue.servers.get(model)
        own = prices.part_cents("servers", model) if server else None
        what = f"server, {server.gpus} GPUs, {server.rack_units} U" if server else "power distribution unit"
        yield {
            "kind": "server" if server else "pdu", "part": model, "quantity": count, "description": what,
            "source": server.source if server else None, "price": None if own is None else Price(own, USER),
        }  # fmt: skip


def _on(table: pl.DataFrame, network: str | None) -> pl.DataFrame:
    return table if network is None else table.filter(pl.col("network").cast(pl.String) == network)


def _counted(table: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    counts = table.group_by(pl.col(column).cast(pl.String)).len().sort(column)
    return [(str(value), int(count)) for value, count in counts.iter_rows()]


# --- optics ------------------------------------------------------------------------------------------------------


@once_a_plan
def occupied_cages(plan: Plan) -> pl.DataFrame:
    """Cages that hold an optic: ``network, side, device, cage, optic``, one row a cage.

    ``side`` is ``switch``, ``host`` or ``service`` (a service host on a network that has other hosts too).
    """
    fabric = plan.fabric
    plugs = pl.concat([_plugged(plan, side) for side in ("a", "b")])
    first = np.unique((plugs["device"].cast(pl.UInt64) * (1 << 16) + plugs["cage"]).to_numpy(), return_index=True)[1]
    plugs = plugs.select(pl.all().gather(pl.Series(first.astype(np.uint32))))
    roles = pl.concat(
        [
            fabric.hosts["role"].cast(pl.String),
            pl.Series([None], dtype=pl.String).new_from_index(0, fabric.switches.height),
        ]
    )
    plugs = plugs.with_columns(role=roles.gather(plugs["device"]))
    others = (pl.col("role").is_not_null() & (pl.col("role") != "service")).any().over("network")
    side = (
        pl.when(pl.col("role").is_null()).then(pl.lit("switch"))
        .when((pl.col("role") == "service") & others).then(pl.lit("service"))
        .otherwise(pl.lit("host"))
    )  # fmt: skip
    return plugs.select("network", side.alias("side"), "device", "cage", "optic")


def _plugged(plan: Plan, side: str) -> pl.DataFrame:
    """``network, device, cage, optic`` of each link's end at this side that has an optic."""
    fabric = plan.fabric
    links = fabric.links.select("network", "cable", port=f"{side}_port", device=f"{side}_device")
    optic = fabric.cables[f"{side}_optic"].gather(links["cable"]).alias("optic")
    cage = fabric.ports["cage"].gather(links["port"]).alias("cage")
    plugged = links.with_columns(optic, cage).filter((pl.col("optic") != "") & pl.col("port").is_not_null())
    return plugged.select(pl.col("network").cast(pl.String), "device", "cage", "optic")


def optic_counts(plan: Plan) -> pl.DataFrame:
    """Optics by network and side: ``network, side, optic, count``; side is ``switch``, ``host`` or ``service``."""
    cages = occupied_cages(plan)
    return cages.group_by("network", "side", "optic").agg(pl.len().alias("count")).sort("network", "side", "optic")


def _optics(plan: Plan, network: str | None, prices: Prices) -> Iterator[Row]:
    for name, count in _counted(_on(occupied_cages(plan), network), "optic"):
        if name not in plan.catalogue.optics:
            yield {"kind": "optic", "part": name, "quantity": count, "description": "no optic of the catalogue fits"}
            continue
        optic = plan.catalogue.optics[name]
        ports = "twin-port" if optic.ports == 2 else "single-port"
        yield {
            "kind": "optic", "part": name, "quantity": count, "price": optic_cents(prices, optic),
            "description": f"{ports} {optic.cage} transceiver, {optic.speed_gbps} Gb/s, {optic.reach_m:g} m",
            "medium": optic.medium, "connector": optic.connector, "form": optic.cage, "speed_gbps": optic.speed_gbps,
            "source": optic.source,
        }  # fmt: skip


# --- cables ------------------------------------------------------------------------------------------------------


def _cables(plan: Plan, network: str | None, prices: Prices) -> Iterator[Row]:
    table = _on(plan.fabric.cables, network).select(pl.col("medium").cast(pl.String), "part", "length_m")
    for medium, part, length, count in table.group_by("medium", "part", "length_m").len().iter_rows():
        row: Row = {"part": part, "quantity": count, "medium": medium, "length_m": length}
        yield {**row, **_described(plan.catalogue, part, length, prices)}


def _described(catalogue: Catalogue, part: str, length_m: float, prices: Prices) -> Row:
    if part not in catalogue.cables:
        return {"kind": "cable", "description": "no cable of the catalogue fits" if part == UNRESOLVED else None}
    cable = catalogue.cables[part]
    return {
        "kind": ("splitter" if cable.breakouts > 1 else "fibre") if cable.fibre else "cable",
        "description": _words(cable), "connector": _connector(cable), "polarity": cable.polarity,
        "form": None if cable.cages is None else " > ".join(dict.fromkeys(cable.cages)),
        "speed_gbps": cable.speed_gbps, "price": cable_cents(prices, cable, length_m), "source": cable.source,
    }  # fmt: skip


def _words(cable: Cable) -> str:
    split = f", 1 to {cable.breakouts}" if cable.breakouts > 1 else ""
    if not cable.fibre:
        return f"{cable.medium} cable, {cable.speed_gbps} Gb/s{split}"
    pairs = f", {cable.pairs} connectors an end" if cable.pairs > 1 else ""
    fibres = f", {cable.fibres} fibres" if cable.fibres else ""
    return f"{cable.medium} fibre{fibres}{split}{pairs}"


def _connector(cable: Cable) -> str | None:
    if cable.connector_b and cable.connector_b != cable.connector:
        return f"{cable.connector} > {cable.connector_b}"
    return cable.connector
