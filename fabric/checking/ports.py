"""Do the two ends of a link fit: each port once, and the same speed, lanes, FEC and negotiation at both."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.catalogue import Mode
from fabric.checking.cages import model_cages, nic_cages
from fabric.checking.view import Row, View, any_of, differ, report
from fabric.findings import Finding
from fabric.lanes import joined, nic_lanes, switch_lanes

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


def _reduced(view: View, links: pl.DataFrame) -> pl.DataFrame:
    """Links at the lower speed of their ends, where that may be: a NIC slower than its port, or a service of any speed.

    A service takes what ports are left; management ports negotiate.
    """
    residents = view.residents.select("network", "group", resident=True)
    links = links.join(
        view.hosts.select(a_device="id", group="group"), on="a_device", how="left", maintain_order="left"
    )
    links = links.join(residents, on=["network", "group"], how="left", maintain_order="left")
    lower = pl.col("speed_gbps") == pl.min_horizontal("a_speed_gbps", "b_speed_gbps")
    slower = pl.col("a_speed_gbps") <= pl.col("b_speed_gbps")
    return links.filter(lower & pl.col("a_use").is_in(["nic", "mgmt"]) & (slower | pl.col("resident").is_null()))


def _speeds(row: Row) -> dict[str, object]:
    return {key: row[key] for key in ("speed_gbps", "a_speed_gbps", "b_speed_gbps")}


def speed(view: View) -> Iterator[Finding]:
    """The link and both ports have one speed, except where one end may run slower; that is told as such."""
    differing = any_of([pl.col("a_speed_gbps") != pl.col("speed_gbps"), differ("b_speed_gbps", "speed_gbps")])
    links = view.links.filter(differing)
    reduced = _reduced(view, links)
    wrong = links.join(reduced.select("id"), on="id", how="anti", maintain_order="left")
    yield from report("speed-mismatch", wrong, view.ends, _speeds)
    reduced = reduced.filter(pl.col("network") != "oob")
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
    """Both ends run at one speed a lane: the lanes are as many, or one end can run on as few as the other.

    A port's lanes are the most that its breakout or NIC gives it; an optic may change the number (``fabric.lanes``).
    Ends of two speeds are told by ``speed``.
    """
    same = pl.col("a_speed_gbps") == pl.col("b_speed_gbps")
    links = view.links.filter(((pl.col("a_lanes") != pl.col("b_lanes")) & same).fill_null(False))
    kinds = _kinds_of_ends(view, links)
    what = ["a_kind", "b_kind", "a_lanes", "b_lanes", "speed_gbps"]
    alike = kinds.select(what).unique(maintain_order=True)
    fits = [_join(view, row) for row in alike.iter_rows(named=True)]
    kinds = kinds.join(alike.with_columns(fits=pl.Series(fits, dtype=pl.Boolean)), on=what, nulls_equal=True)
    yield from report(
        "lane-speed-mismatch",
        kinds.filter(~pl.col("fits")).sort("id"),
        view.ends,
        lambda row: {key: row[key] for key in ("speed_gbps", "a_lanes", "b_lanes")},
    )


def _kinds_of_ends(view: View, links: pl.DataFrame) -> pl.DataFrame:
    """``a_kind``, ``b_kind``: model and cage (a switch) or NIC group (a host) of each end, which set the lanes."""
    devices = pl.concat([view.hosts.select("id", "model"), view.switches.select("id", "model")])
    cages = model_cages(view).select("model", "cage", "part")
    links = links.join(nic_cages(view), on="a_nic", how="left", maintain_order="left")
    for side in "ab":
        of_side = devices.rename({"id": f"{side}_device", "model": f"{side}_model"})
        links = links.join(of_side, on=f"{side}_device", how="left", maintain_order="left")
        links = links.join(
            cages.rename({"model": f"{side}_model", "cage": f"{side}_cage", "part": f"{side}_part"}),
            on=[f"{side}_model", f"{side}_cage"], how="left", maintain_order="left",
        )  # fmt: skip
        nic = pl.col("nic_group") if side == "a" else pl.lit(None, dtype=pl.UInt16)
        kind = pl.struct(model=f"{side}_model", part=f"{side}_part", mode=f"{side}_mode", nic=nic)
        links = links.with_columns(kind.alias(f"{side}_kind"))
    return links


def _join(view: View, row: Row) -> bool:
    """Whether two kinds of ends can run on lanes of one speed."""
    a, b = (_runs_on(view, row[f"{side}_kind"], row[f"{side}_lanes"], row["speed_gbps"]) for side in "ab")
    return joined(a, b, row["speed_gbps"])


def _runs_on(view: View, kind: Row, most: int, speed_gbps: int) -> frozenset[int]:
    """Numbers of lanes that a port can run on: at most those its breakout gives a switch port; all of them for a NIC.

    Empty where the catalogue does not know the port, or it has too few lanes for the speed.
    """
    switch, server = view.catalogue.switches.get(kind["model"]), view.catalogue.servers.get(kind["model"])
    possible: frozenset[int] = frozenset()
    if server and kind["nic"] is not None:
        possible = nic_lanes(server.nics[kind["nic"]])
        return possible if any(n <= most for n in possible) else frozenset()
    if switch and kind["part"] is None:
        possible = frozenset({1})  # a management port
    elif switch:
        possible = switch_lanes(switch.cages[kind["part"]], Mode.parse(kind["mode"]), speed_gbps)
    return frozenset(n for n in possible if n <= most)


CHECKS = (used_once, linked, speed, fec, autoneg, lanes)
