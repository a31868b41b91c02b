"""Do the tables hang together: ids, references, names, labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from fabric.checking.view import View, any_of, differ, report
from fabric.findings import Finding, find

TABLES = ("hosts", "switches", "nics", "ports", "links", "cables")


def ids(view: View) -> Iterator[Finding]:
    """Ids of each table are 0 … n−1 in order; devices are numbered over hosts, then switches."""
    for table in TABLES:
        rows = getattr(view.fabric, table)["id"]
        start = view.fabric.hosts.height if table == "switches" else 0
        wrong = rows.to_numpy() != np.arange(start, start + len(rows))
        if wrong.any():
            at = int(np.argmax(wrong))
            evidence = {"rows": int(wrong.sum()), "first_row": at, "id": rows[at], "expected": start + at}
            yield find("id-broken", {"table": table}, evidence)


def references(view: View) -> Iterator[Finding]:
    """Every id that a row names is there, and a link's port belongs to the link's device."""
    fabric = view.fabric
    devices = pl.concat([fabric.hosts["id"], fabric.switches["id"]])
    for table, column, target in (
        ("nics", "host", fabric.hosts["id"]),
        ("ports", "device", devices),
        ("ports", "nic", fabric.nics["id"]),
        ("links", "a_device", devices),
        ("links", "b_device", devices),
        ("links", "a_port", fabric.ports["id"]),
        ("links", "b_port", fabric.ports["id"]),
        ("links", "cable", fabric.cables["id"]),
    ):
        yield from _dangling(getattr(fabric, table), table, column, target)
    for side in "ab":
        wrong = view.links.filter(differ(f"{side}_device", f"{side}_on"))
        wrong = wrong.select("id", device=f"{side}_device", on=f"{side}_on", column=pl.lit(f"{side}_port"))
        yield from report(
            "reference-dangling",
            wrong,
            lambda row: {"table": "links", "row": row["id"], "column": row["column"]},
            lambda row: {"device": view.device(row["device"]), "port_of": view.device(row["on"])},
        )


def _dangling(rows: pl.DataFrame, table: str, column: str, target: pl.Series) -> Iterator[Finding]:
    ids = target.cast(pl.Int64).to_numpy()
    known = np.zeros(int(ids.max(initial=0)) + 2, dtype=np.bool_)
    known[ids] = True
    used = rows[column].cast(pl.Int64).fill_null(-1).to_numpy()
    wrong = (used >= 0) & ~known[np.minimum(used, len(known) - 1)]
    if column.endswith("_device"):  # one of the two without the other is neither a link nor a way out
        wrong |= (used < 0) != rows[column.replace("device", "port")].is_null().to_numpy()
    bad = rows.select("id", pl.col(column).alias("to")).filter(pl.Series(wrong))
    yield from report(
        "reference-dangling",
        bad,
        lambda row: {"table": table, "row": row["id"], "column": column},
        lambda row: {"names": row["to"]},
    )


def names(view: View) -> Iterator[Finding]:
    """Names are unique: devices in the plan, ports in a device."""
    devices = pl.concat([view.hosts.select("name", "id"), view.switches.select("name", "id")])
    twice = devices.group_by("name", maintain_order=True).agg(pl.len()).filter(pl.col("len") > 1)
    yield from report("name-repeated", twice, lambda row: {"device": row["name"]}, lambda row: {"devices": row["len"]})
    ports = view.fabric.ports.select("device", "name")
    # Equal hashes are rare and only cost the exact count below.
    if ports.select((pl.col("device").hash(1) ^ pl.col("name").hash(2)).n_unique()).item() == ports.height:
        return
    twice = ports.group_by("device", "name", maintain_order=True).agg(pl.len()).filter(pl.col("len") > 1)
    yield from report(
        "name-repeated",
        twice,
        lambda row: {"device": view.device(row["device"]), "port": row["name"]},
        lambda row: {"ports": row["len"]},
    )


def labels(view: View) -> Iterator[Finding]:
    """A link's network is that of both ports (an uplink's far end may be another network's), its segment the leaf's.

    A link between hosts and switches carries the tier that its ends imply.
    """
    switches = view.switches.select("id", "tier", "segment")
    links = view.links.join(
        switches.rename({"id": "a_device", "tier": "a_tier", "segment": "a_segment"}),
        on="a_device", how="left", maintain_order="left",
    ).join(
        switches.rename({"id": "b_device", "tier": "b_tier", "segment": "b_segment"}),
        on="b_device", how="left", maintain_order="left",
    )  # fmt: skip
    leaf_segment = (
        pl.when(pl.col("a_tier") == "leaf").then("a_segment").when(pl.col("b_tier") == "leaf").then("b_segment")
    )
    links = links.with_columns(leaf_segment=leaf_segment, ends=pl.concat_str("a_tier", pl.lit("-"), "b_tier"))
    inner = pl.col("tier").is_in(["leaf-spine", "spine-core", "leaf-leaf"])
    wrong = links.filter(
        any_of(
            [
                (pl.col("network") != pl.col("a_network")) & (pl.col("tier") != "oob"),
                (pl.col("network") != pl.col("b_network")) & ~pl.col("tier").is_in(["uplink", "oob"]),
                differ("segment", "leaf_segment")
                & (pl.col("tier") != "oob")
                & (pl.col("a_network") == pl.col("b_network")),
                inner & (pl.col("ends").is_null() | (pl.col("ends") != pl.col("tier"))),
            ]
        )
    )
    yield from report(
        "link-mislabelled",
        wrong,
        view.ends,
        lambda row: {
            "network": row["network"],
            "tier": row["tier"],
            "segment": row["segment"],
            "port_networks": [row["a_network"], row["b_network"]],
            "leaf_segment": row["leaf_segment"],
        },
    )


CHECKS = (ids, references, names, labels)
