"""Do the ports of every switch fit its cages, its chip and what is plugged into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from fabric.checking.view import View, report
from fabric.findings import Finding

SCHEMA: dict[str, Any] = {
    "model": pl.String, "cage": pl.UInt16, "type": pl.String, "connectors": pl.UInt16,
    "lanes": pl.UInt16, "breakouts": pl.List(pl.String),
}  # fmt: skip


def model_cages(view: View) -> pl.DataFrame:
    """``model, cage, type, connectors, lanes, breakouts``: one row a cage of each switch model in the plan, 1-based."""
    rows: list[dict[str, Any]] = []
    for model in view.switches["model"].unique().sort():
        switch = view.catalogue.switches.get(model)
        groups = [group for group in switch.cages for _ in range(group.count)] if switch else []
        rows += [
            {"model": model, "cage": number, "type": group.type, "connectors": group.connectors,
             "lanes": group.lanes, "breakouts": list(group.breakouts)}
            for number, group in enumerate(groups, 1)
        ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA)


def used_cages(view: View) -> pl.DataFrame:
    """One row a cage of a switch that has ports: modes set, ports held, what its model allows.

    Columns ``device, cage, mode, mixed, other, held, lane_sum, taken, distinct, connector, last_lane, per_cage, model``
    and those of ``model_cages``. ``taken`` adds the ports' lanes as bits, ``distinct`` joins them: the two differ where
    two ports share a lane. Management ports are no cages.
    """
    ports = view.fabric.ports.select("device", "cage", "connector", "lane", "lanes", "use", "mode")
    switches = view.switches.select(pl.col("id").alias("device"), "model")
    ports = ports.filter((pl.col("use") != "mgmt") & (pl.col("use") != "nic"))
    taken = (pl.lit(2, dtype=pl.Int64).pow("lanes") - 1) * pl.lit(2, dtype=pl.Int64).pow("lane")
    cages = ports.group_by("device", "cage").agg(
        pl.col("mode").first(),
        (pl.col("mode").to_physical().min() != pl.col("mode").to_physical().max()).alias("mixed"),
        pl.col("mode").last().alias("other"),
        pl.len().alias("held"),
        pl.col("lanes").sum().alias("lane_sum"),
        taken.sum().alias("taken"),
        taken.bitwise_or().alias("distinct"),
        pl.col("connector").max(),
        (pl.col("lane") + pl.col("lanes")).max().alias("last_lane"),
    )
    cages = cages.with_columns(pl.col("mode", "other").cast(pl.String))
    cages = cages.join(switches, on="device", how="inner").sort("device", "cage")
    cages = cages.with_columns(per_cage=pl.col("mode").str.split("x").list.first().cast(pl.UInt32, strict=False))
    return cages.join(model_cages(view), on=["model", "cage"], how="left", maintain_order="left")


def _cage_subject(view: View) -> Any:
    return lambda row: {"switch": view.device(row["device"]), "cage": row["cage"]}


def known(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """Cage and connector are there."""
    wrong = cages.filter(pl.col("type").is_null() | (pl.col("connector") > pl.col("connectors")))
    yield from report(
        "cage-unknown",
        wrong,
        _cage_subject(view),
        lambda row: {"model": row["model"], "connector": row["connector"], "connectors": row["connectors"]},
    )


def breakout(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """The breakout is one the cage has."""
    wrong = cages.filter(pl.col("breakouts").list.contains(pl.col("mode")).not_() & (~pl.col("mixed")))
    yield from report(
        "breakout-unsupported",
        wrong,
        _cage_subject(view),
        lambda row: {"mode": row["mode"], "breakouts": row["breakouts"]},
    )


def mixed(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """A cage has one breakout."""
    wrong = cages.filter("mixed")
    yield from report("cage-mixed", wrong, _cage_subject(view), lambda row: {"modes": [row["mode"], row["other"]]})


def overfull(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """At most P ports for a breakout PxG, each on lanes of its own, all within the cage."""
    over = (pl.col("held") > pl.col("per_cage")) | (pl.col("taken") != pl.col("distinct"))
    lanes = (pl.col("lane_sum") > pl.col("lanes")) | (pl.col("last_lane") > pl.col("lanes"))
    wrong = cages.filter((over | lanes.fill_null(False)) & (~pl.col("mixed")))
    yield from report(
        "cage-overfull",
        wrong,
        _cage_subject(view),
        lambda row: {"mode": row["mode"], "ports": row["held"], "lanes": row["lane_sum"], "cage_lanes": row["lanes"]},
    )


def logical(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """Ports of all cages in use, counted whole, are at most ``max_logical_ports``."""
    limits = _limits(view, lambda switch: switch.max_logical_ports)
    totals = cages.group_by("device", "model", maintain_order=True).agg(pl.col("per_cage").sum().alias("ports"))
    wrong = totals.join(limits, on="model", maintain_order="left").filter(pl.col("ports") > pl.col("limit"))
    yield from report(
        "logical-ports-exceeded",
        wrong,
        lambda row: {"switch": view.device(row["device"])},
        lambda row: {"ports": row["ports"], "limit": row["limit"]},
    )


def banks(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """In banks of neighbouring cages: at most ``max_ports_per_cage_group.ports`` ports, counted whole."""
    limits = _limits(view, lambda switch: getattr(switch.max_ports_per_cage_group, "ports", None))
    sizes = _limits(view, lambda switch: getattr(switch.max_ports_per_cage_group, "cages", None))
    held = cages.join(limits, on="model", maintain_order="left")
    held = held.join(sizes.rename({"limit": "size"}), on="model", maintain_order="left")
    held = held.with_columns(bank=(pl.col("cage") - 1) // pl.col("size"))
    totals = held.group_by("device", "bank", "limit", maintain_order=True).agg(pl.col("per_cage").sum().alias("ports"))
    yield from report(
        "bank-exceeded",
        totals.filter(pl.col("ports") > pl.col("limit")),
        lambda row: {"switch": view.device(row["device"]), "bank": row["bank"]},
        lambda row: {"ports": row["ports"], "limit": row["limit"]},
    )


def _limits(view: View, limit: Any) -> pl.DataFrame:
    models = [m for m in view.switches["model"].unique().sort() if m in view.catalogue.switches]
    found = [(model, limit(view.catalogue.switches[model])) for model in models]
    rows = [(model, value) for model, value in found if value is not None]
    return pl.DataFrame(rows, schema={"model": pl.String, "limit": pl.UInt32}, orient="row")


def copper(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """rj45 is cabled to rj45 only.

    A NIC's cage is known by the NIC's name and speed in the catalogue; a switch's management port is rj45.
    """
    types = cages.select("device", "cage", pl.col("type") == "rj45").unique()
    links = view.links.filter(pl.col("a_use").is_in(["nic", "mgmt"]) & pl.col("b_device").is_not_null())
    links = links.join(
        types.rename({"device": "b_device", "cage": "b_cage", "type": "b_copper"}),
        on=["b_device", "b_cage"], how="left", maintain_order="left",
    )  # fmt: skip
    links = links.join(_nic_copper(view), on="a_nic", how="left", maintain_order="left")
    copper_a = pl.when(pl.col("a_use") == "mgmt").then(True).otherwise(pl.col("a_copper"))
    wrong = links.filter((copper_a != pl.col("b_copper")).fill_null(False))
    yield from report(
        "cage-mismatch",
        wrong,
        view.ends,
        lambda row: {"a": "pluggable" if row["b_copper"] else "rj45", "b": "rj45" if row["b_copper"] else "pluggable"},
    )


def _nic_copper(view: View) -> pl.DataFrame:
    """``a_nic, a_copper``; null where the model's NICs of that network and speed are of both kinds."""
    rows: list[tuple[str, int, bool]] = []
    for group in view.intent.hosts:
        server = view.catalogue.servers.get(group.model)
        rows += [(group.name, nic.speed_gbps, nic.cage == "rj45") for nic in (server.nics if server else ())]
    schema: dict[str, Any] = {"group": pl.String, "speed_gbps": pl.UInt32, "a_copper": pl.Boolean}
    kinds = pl.DataFrame(rows, schema=schema, orient="row")
    kinds = kinds.unique().group_by("group", "speed_gbps").agg(
        pl.when(pl.len() == 1).then(pl.col("a_copper").first())
    )  # fmt: skip
    nics = view.nics.select(pl.col("id").alias("a_nic"), pl.col("host").alias("id"), "speed_gbps")
    nics = nics.join(view.hosts.select("id", "group"), on="id", how="left")
    return nics.join(kinds, on=["group", "speed_gbps"], how="left").select("a_nic", "a_copper")


PARTS = (known, breakout, mixed, overfull, logical, banks, copper)


def cages(view: View) -> Iterator[Finding]:
    """All that a cage can be used wrongly for."""
    table = used_cages(view)
    for part in PARTS:
        yield from part(view, table)


CHECKS = (cages,)
