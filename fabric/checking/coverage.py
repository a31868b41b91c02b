"""Is everybody on: hosts on all their rails, services attached, every device on the out-of-band network."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import Row, View, report
from fabric.findings import Finding, find


def _loose_ports(view: View) -> pl.DataFrame:
    """NICs with ports that have no link: ``host, network, rail, ports, linked, group, role, name``."""
    nics = view.nics.select(pl.col("id").alias("nic"), "host", "network", "rail", "ports")
    links = view.fabric.links.select("a_port").join(
        view.ports.select(pl.col("id").alias("a_port"), "nic"), on="a_port", how="inner"
    )
    linked = links.group_by("nic").agg(pl.col("a_port").n_unique().alias("linked"))
    nics = nics.join(linked, on="nic", how="left", maintain_order="left").with_columns(pl.col("linked").fill_null(0))
    loose = nics.filter(pl.col("linked") < pl.col("ports"), pl.col("network").is_in(list(view.networks)))
    hosts = view.hosts.select(pl.col("id").alias("host"), "group", "role", "name")
    return loose.join(hosts, on="host", how="inner", maintain_order="left")


def _is_service(view: View) -> pl.Expr:
    """The host has no place of its own on the network: its links are services."""
    own = view.residents.select(pl.concat_str("network", "group", separator="/")).to_series().to_list()
    return pl.concat_str("network", "group", separator="/").is_in(own).not_()


def _nic(row: Row) -> dict[str, object]:
    return {"host": row["name"], "network": row["network"], "rail": row["rail"]}


def _count(row: Row) -> dict[str, object]:
    return {"ports": row["ports"], "linked": row["linked"]}


def rails(view: View) -> Iterator[Finding]:
    """Every NIC port on a planned network has a link: of hosts with places of their own, and of services.

    The out-of-band network is told apart.
    """
    loose = _loose_ports(view).filter(pl.col("network") != "oob")
    yield from report("host-off-rail", loose.filter(~_is_service(view)), _nic, _count)
    yield from report("service-unattached", loose.filter(_is_service(view)), _nic, _count)


def nics(view: View) -> Iterator[Finding]:
    """Every host has as many NICs on each network, rails 0 … R−1, as the class of its group says."""
    have = view.nics.group_by("host", "network").agg(pl.col("rail").n_unique().alias("rails"))
    hosts = view.hosts.select(pl.col("id").alias("host"), "group", "name").join(view.residents, on="group")
    for name, network in view.networks.items():
        wanted = {number: kind.rails for number, kind in enumerate(network.classes)}
        mine = hosts.filter(pl.col("network") == name, pl.col("network") != "oob").join(
            have, on=["host", "network"], how="left", maintain_order="left"
        )
        mine = mine.with_columns(
            pl.col("rails").fill_null(0),
            wanted=pl.col("class").replace_strict(wanted, default=0, return_dtype=pl.UInt32),
        )
        yield from report(
            "host-off-rail",
            mine.filter(pl.col("rails") != pl.col("wanted")).sort("host"),
            lambda row: {"host": row["name"], "network": row["network"]},
            lambda row: {"rails": row["rails"], "designed": row["wanted"]},
        )


def oob(view: View) -> Iterator[Finding]:
    """Every host, PDU and switch of the other networks has a link of the out-of-band network."""
    if "oob" not in view.networks:
        yield find("oob-missing", {"network": "oob"}, {"hosts": view.hosts.height, "switches": view.switches.height})
        return
    reached = view.links.filter(pl.col("network") == "oob")["a_device"].unique().alias("id").to_frame()
    switches = view.switches.filter(pl.col("network") != "oob").select("id", "name", kind="model")
    devices = pl.concat([view.hosts.select("id", "name", kind="model"), switches])
    bare = devices.join(reached, on="id", how="anti", maintain_order="left")
    kinds = bare.group_by("kind", maintain_order=True).agg(pl.len(), pl.col("name").first())
    yield from report(
        "oob-uncovered",
        kinds,
        lambda row: {"device": row["name"], "model": row["kind"]},
        lambda row: {"devices": row["len"]},
    )


CHECKS = (rails, nics, oob)
