"""Do the two ends of a link fit: each port once, and the same speed, lanes, FEC and negotiation at both."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import Row, View, any_of, differ, report
from fabric.findings import Finding

MUST_LINK = ("up", "interswitch", "external")


def used_once(view: View) -> Iterator[Finding]:
    """No port ends two links."""
    links = view.fabric.links
    used = pl.concat([links["a_port"], links["b_port"].drop_nulls()])
    if used.n_unique() == len(used):
        return
    ends = pl.concat(
        [links.select(port=f"{s}_port", device=f"{s}_device", link="id") for s in "ab"],
    ).drop_nulls()
    twice = ends.group_by("port", "device", maintain_order=True).agg("link").filter(pl.col("link").list.len() > 1)
    yield from report(
        "port-used-twice",
        twice.sort("port"),
        lambda row: {"device": view.device(row["device"]), "port": view.port(row["port"])},
        lambda row: {"links": row["link"]},
    )


def linked(view: View) -> Iterator[Finding]:
    """A port that exists only for a link has one; host and down ports may wait for growth."""
    links = view.fabric.links
    used = pl.concat([links["a_port"], links["b_port"].drop_nulls()]).unique()
    idle = view.ports.filter(pl.col("use").is_in(MUST_LINK)).join(
        used.alias("id").to_frame(), on="id", how="anti", maintain_order="left"
    )
    yield from report(
        "port-unlinked",
        idle,
        lambda row: {"device": view.device(row["device"]), "port": row["name"]},
        lambda row: {"use": row["use"], "speed_gbps": row["speed_gbps"]},
    )


def _slower(side: str, other: str) -> pl.Expr:
    """A NIC or management port that is slower than the switch port it is plugged into: the switch port runs slower."""
    faster = pl.col(f"{other}_speed_gbps") > pl.col(f"{side}_speed_gbps")
    return faster & pl.col(f"{side}_use").is_in(["nic", "mgmt"]) & (pl.col("speed_gbps") == pl.col(f"{side}_speed_gbps"))


def _speeds(row: Row) -> dict[str, object]:
    return {key: row[key] for key in ("speed_gbps", "a_speed_gbps", "b_speed_gbps")}


def speed(view: View) -> Iterator[Finding]:
    """The link and both ports have one speed; only a NIC may be slower than its switch port, and is told as such."""
    differing = any_of([pl.col("a_speed_gbps") != pl.col("speed_gbps"), differ("b_speed_gbps", "speed_gbps")])
    links = view.links.filter(differing).with_columns(slower=_slower("a", "b").fill_null(False))
    yield from report("speed-mismatch", links.filter(~pl.col("slower")), view.ends, _speeds)
    reduced = links.filter(pl.col("slower") & (pl.col("network") != "oob"))
    kinds = reduced.group_by("network", "a_speed_gbps", "b_speed_gbps", maintain_order=True).agg(
        pl.len(), pl.col("a_device", "b_device").first()
    )
    yield from report(
        "speed-reduced",
        kinds,
        lambda row: {"network": row["network"], "nic_gbps": row["a_speed_gbps"], "port_gbps": row["b_speed_gbps"]},
        lambda row: {"links": row["len"], "first": [view.device(row["a_device"]), view.device(row["b_device"])]},
    )


def _alike(view: View, code: str, what: str) -> Iterator[Finding]:
    links = view.links.filter(pl.col("b_port").is_not_null())
    wrong = links.filter(~pl.col(f"a_{what}").eq_missing(pl.col(f"b_{what}")) & pl.col("b_on").is_not_null())
    yield from report(
        code, wrong, view.ends, lambda row: {f"a_{what}": row[f"a_{what}"], f"b_{what}": row[f"b_{what}"]}
    )


def fec(view: View) -> Iterator[Finding]:
    """Both ends use one FEC; empty at both ends means it has not been chosen yet."""
    return _alike(view, "fec-mismatch", "fec")


def autoneg(view: View) -> Iterator[Finding]:
    """Both ends negotiate or neither does."""
    return _alike(view, "autoneg-mismatch", "autoneg")


def lanes(view: View) -> Iterator[Finding]:
    """Speed a lane is one: a.speed·b.lanes = b.speed·a.lanes; wrong speeds are told by ``speed`` alone."""
    per_lane = pl.col("a_speed_gbps") * pl.col("b_lanes") != pl.col("b_speed_gbps") * pl.col("a_lanes")
    wrong = view.links.filter(per_lane.fill_null(False) & (pl.col("a_speed_gbps") == pl.col("b_speed_gbps")))
    yield from report(
        "lane-speed-mismatch",
        wrong,
        view.ends,
        lambda row: {
            "speed_gbps": row["speed_gbps"],
            "a_lanes": row["a_lanes"],
            "b_lanes": row["b_lanes"],
        },
    )


CHECKS = (used_once, linked, speed, fec, autoneg, lanes)
