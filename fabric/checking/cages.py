"""Do the ports of every switch fit its cages, its chip and what is plugged into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from fabric.checking.view import View, report
from fabric.findings import Finding

_CAGE: dict[str, Any] = {
    "device": pl.UInt32, "cage": pl.UInt16, "mode": pl.UInt32, "other": pl.UInt32, "mixed": pl.Boolean,
    "held": pl.UInt32, "lane_sum": pl.UInt32, "taken": pl.Int64, "distinct": pl.Int64, "connector": pl.UInt16,
    "last_lane": pl.UInt16,
}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "model": pl.String, "cage": pl.UInt16, "type": pl.String, "connectors": pl.UInt16, "lanes": pl.UInt16,
    "breakouts": pl.List(pl.String), "part": pl.UInt16, "at": pl.UInt16,
}  # fmt: skip


def model_cages(view: View) -> pl.DataFrame:
    """One row a cage of each switch model in use, 1-based; ``part``: its group of cages, ``at``: its place there."""
    rows: list[dict[str, Any]] = []
    for model in view.switches["model"].unique().sort():
        switch = view.catalogue.switches.get(model)
        parts = enumerate(switch.cages) if switch else ()
        cages = [(part, group, at) for part, group in parts for at in range(group.count)]
        rows += [
            {"model": model, "cage": number, "type": group.type, "connectors": group.connectors,
             "lanes": group.lanes, "breakouts": list(group.breakouts), "part": part, "at": at}
            for number, (part, group, at) in enumerate(cages, 1)
        ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA)


def used_cages(view: View) -> pl.DataFrame:
    """One row a cage of a switch that has ports: breakouts set, ports held, what its model allows.

    Columns ``device, cage, mode, mixed, other, held, lane_sum, taken, distinct, connector, last_lane, per_cage, model``
    and those of ``model_cages``. ``taken`` adds the ports' lanes as bits, ``distinct`` joins them: the two differ where
    two ports share a lane. Management ports are no cages.
    """
    ports = view.fabric.ports.select("device", "cage", "connector", "lane", "lanes", "use", "mode")
    ports = ports.filter((pl.col("use") != "mgmt") & (pl.col("use") != "nic"))
    modes = _codes(ports["mode"])
    cages = _by_cage(ports).with_columns(pl.col("mode", "other").replace_strict(modes, return_dtype=pl.String))
    switches = view.switches.select(pl.col("id").alias("device"), "model")
    cages = cages.join(switches, on="device", how="inner", maintain_order="left")
    cages = cages.with_columns(per_cage=pl.col("mode").str.split("x").list.first().cast(pl.UInt32, strict=False))
    return cages.join(model_cages(view), on=["model", "cage"], how="left", maintain_order="left")


def _codes(modes: pl.Series) -> dict[int, str]:
    """Breakouts by their physical code."""
    return dict(pl.DataFrame({"code": modes.to_physical(), "mode": modes.cast(pl.String)}).unique().iter_rows())


def _by_cage(ports: pl.DataFrame) -> pl.DataFrame:
    """Sums, bits and extremes over the ports of each cage, in the order of devices and cages."""
    if not ports.height:
        return pl.DataFrame(schema=_CAGE)
    device, cage, connector, lane, lanes = (
        ports[name].cast(pl.Int64).to_numpy() for name in ("device", "cage", "connector", "lane", "lanes")
    )
    mode = ports["mode"].to_physical().cast(pl.Int64).to_numpy()
    key = device * (int(cage.max()) + 1) + cage
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        key, device, cage, connector, lane, lanes, mode = (
            values[order] for values in (key, device, cage, connector, lane, lanes, mode)
        )
    start = np.flatnonzero(np.diff(key, prepend=-1))
    bits = ((1 << lanes) - 1) << lane
    low, high = np.minimum.reduceat(mode, start), np.maximum.reduceat(mode, start)
    columns = {
        "device": device[start], "cage": cage[start], "mode": low, "other": high, "mixed": low != high,
        "held": np.diff(start, append=len(key)), "lane_sum": np.add.reduceat(lanes, start),
        "taken": np.add.reduceat(bits, start), "distinct": np.bitwise_or.reduceat(bits, start),
        "connector": np.maximum.reduceat(connector, start), "last_lane": np.maximum.reduceat(lane + lanes, start),
    }  # fmt: skip
    return pl.DataFrame(columns, schema_overrides=_CAGE)


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
    """In banks of neighbouring cages of a group: at most ``max_ports_per_cage_group.ports`` ports, counted whole."""
    limits = _limits(view, lambda switch: getattr(switch.max_ports_per_cage_group, "ports", None))
    sizes = _limits(view, lambda switch: getattr(switch.max_ports_per_cage_group, "cages", None))
    held = cages.join(limits, on="model", maintain_order="left")
    held = held.join(sizes.rename({"limit": "size"}), on="model", maintain_order="left")
    held = held.with_columns(bank=pl.col("at") // pl.col("size"))
    of_bank = held.group_by("device", "part", "bank", "limit", maintain_order=True)
    totals = of_bank.agg(pl.col("per_cage").sum().alias("ports"))
    yield from report(
        "bank-exceeded",
        totals.filter(pl.col("ports") > pl.col("limit")),
        lambda row: {"switch": view.device(row["device"]), "group": row["part"], "bank": row["bank"]},
        lambda row: {"ports": row["ports"], "limit": row["limit"]},
    )


def _limits(view: View, limit: Any) -> pl.DataFrame:
    models = [m for m in view.switches["model"].unique().sort() if m in view.catalogue.switches]
    found = [(model, limit(view.catalogue.switches[model])) for model in models]
    rows = [(model, value) for model, value in found if value is not None]
    return pl.DataFrame(rows, schema={"model": pl.String, "limit": pl.UInt32}, orient="row")


def copper(view: View, cages: pl.DataFrame) -> Iterator[Finding]:
    """rj45 is cabled to rj45 only; a switch's management port is rj45."""
    types = cages.select(b_device="device", b_cage="cage", b_copper=pl.col("type") == "rj45")
    links = view.links.filter(pl.col("a_use").is_in(["nic", "mgmt"]) & pl.col("b_device").is_not_null())
    links = links.join(types, on=["b_device", "b_cage"], how="left", maintain_order="left")
    links = links.join(nic_cages(view).select("a_nic", "nic_cage"), on="a_nic", how="left", maintain_order="left")
    a_copper = (pl.col("a_use") == "mgmt") | (pl.col("nic_cage") == "rj45")
    wrong = links.filter((a_copper != pl.col("b_copper")).fill_null(False))
    yield from report(
        "cage-mismatch",
        wrong,
        view.ends,
        lambda row: {"a": "pluggable" if row["b_copper"] else "rj45", "b": "rj45" if row["b_copper"] else "pluggable"},
    )


def nic_cages(view: View) -> pl.DataFrame:
    """``a_nic, nic_cage, nic_group``: cage type of each NIC, and the place of its group among its server's.

    The r-th NIC of a host on a network is the r-th that its group's share of the server's NICs gives (``nics_on``).
    """
    from fabric.population import nics_on

    rows: list[tuple[str, str, int, str, int]] = []
    for group in view.intent.hosts:
        server = view.catalogue.servers.get(group.model)
        if server is None:
            continue
        names = [nic.name for nic in server.nics]
        for network in view.networks:
            rails = [nic for nic in nics_on(group, server, network) for _ in range(nic.count)]
            rows += [(group.name, network, rail, nic.cage, names.index(nic.name)) for rail, nic in enumerate(rails)]
    schema: dict[str, Any] = {
        "group": pl.String, "network": pl.String, "rail": pl.UInt16, "nic_cage": pl.String, "nic_group": pl.UInt16,
    }  # fmt: skip
    kinds = pl.DataFrame(rows, schema=schema, orient="row")
    nics = view.nics.select(a_nic="id", id="host", network="network", rail="rail")
    nics = nics.join(view.hosts.select("id", "group"), on="id", how="left", maintain_order="left")
    nics = nics.join(kinds, on=["group", "network", "rail"], how="left", maintain_order="left")
    return nics.select("a_nic", "nic_cage", "nic_group")


PARTS = (known, breakout, mixed, overfull, logical, banks, copper)


def cages(view: View) -> Iterator[Finding]:
    """All that a cage can be used wrongly for."""
    table = used_cages(view)
    for part in PARTS:
        yield from part(view, table)


CHECKS = (cages,)
