"""Do rails and planes stay apart, and does every cable stay in its segment, pod and group."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fabric.checking.view import Subject, View, any_of, differ, report
from fabric.findings import Finding


def _residents(view: View) -> pl.DataFrame:
    """Links of hosts that have places of their own on the network, to leaves that are there."""
    links = view.host_links.join(view.residents, on=["network", "group"], how="inner", maintain_order="left")
    return links.filter(pl.col("leaf_tier") == "leaf")


def _host_link(view: View) -> Subject:
    return lambda row: {
        "link": row["id"],
        "host": view.device(row["host"]),
        "rail": row["nic_rail"],
        "leaf": view.device(row["b_device"]),
    }


def rails(view: View) -> Iterator[Finding]:
    """A leaf serves rails ``rail … rail + rails − 1`` and no other; the link's own label agrees.

    Services are exempt: their NIC takes whatever port is left.
    """
    rail, first = pl.col("nic_rail").cast(pl.Int32), pl.col("leaf_rail").cast(pl.Int32)
    outside = (rail < first) | (rail >= first + pl.col("leaf_rails").cast(pl.Int32))
    wrong = _residents(view).filter(any_of([outside, differ("rail", "nic_rail")]))
    yield from report(
        "rail-crossed",
        wrong,
        _host_link(view),
        lambda row: {"leaf_rail": row["leaf_rail"], "leaf_rails": row["leaf_rails"], "link_rail": row["rail"]},
    )


def rails_above(view: View) -> Iterator[Finding]:
    """With rail-only no spine or core joins two leaf positions."""
    names = [name for name, network in view.networks.items() if network.layout == "rail-only"]
    links = view.between.filter(pl.col("a_network").is_in(names))
    wrong = links.filter(~pl.col("a_rail").eq_missing(pl.col("b_rail")) & (pl.col("b_tier") != "leaf"))
    yield from report(
        "rail-crossed", wrong, _pair(view), lambda row: {"a_rail": row["a_rail"], "b_rail": row["b_rail"]}
    )


def planes(view: View) -> Iterator[Finding]:
    """No link joins two planes, neither below (NIC port and leaf) nor between switches."""
    below = view.host_links.filter(differ("plane", "leaf_plane"))
    yield from report(
        "plane-joined",
        below,
        _host_link(view),
        lambda row: {"link_plane": row["plane"], "leaf_plane": row["leaf_plane"]},
    )
    above = view.between.filter(differ("a_plane", "b_plane") & ~_interswitch())
    yield from report(
        "plane-joined", above, _pair(view), lambda row: {"a_plane": row["a_plane"], "b_plane": row["b_plane"]}
    )


def _interswitch() -> pl.Expr:
    """The link of a single-tier pair joins two leaves, of two planes where there are two: that is what it is for."""
    return (pl.col("a_tier") == "leaf") & (pl.col("b_tier") == "leaf")


def plane_switches(view: View) -> Iterator[Finding]:
    """With several planes every switch below the tier where they join belongs to one plane."""
    joined = {"never": (), "core": ("core",), "spine": ("spine", "core")}
    for name, network in view.networks.items():
        if network.planes > 1:
            switches = view.switches.filter(pl.col("network") == name)
            free = switches.filter(pl.col("plane").is_null() & ~pl.col("tier").is_in(list(joined[network.planes_join])))
            free = free.with_columns(planes=pl.lit(network.planes), join=pl.lit(network.planes_join))
            yield from report(
                "plane-joined",
                free,
                lambda row: {"switch": row["name"]},
                lambda row: {"planes": row["planes"], "planes_join": row["join"]},
            )


def leaves_of_a_nic(view: View) -> Iterator[Finding]:
    """Each NIC has ``ports_per_plane`` links in each plane, each plane's on one leaf."""
    for name, network in view.networks.items():
        if network.planes < 2:
            continue
        links = _residents(view).filter(pl.col("network") == name)
        per_nic = links.group_by("host", "nic_rail", maintain_order=True).agg(
            pl.len().alias("links"),
            pl.col("b_device").n_unique().alias("leaves"),
            pl.col("leaf_plane").n_unique().alias("planes"),
            pl.col("b_device").unique(maintain_order=True).alias("on"),
            pl.col("class").first(),
        )
        expected = pl.min_horizontal(pl.col("links"), pl.lit(network.planes))
        wrong = per_nic.filter((pl.col("planes") < expected) | (pl.col("leaves") < expected))
        yield from report(
            "planes-share-leaf",
            wrong,
            lambda row: {"host": view.device(row["host"]), "rail": row["nic_rail"]},
            lambda row: {"leaves": [view.device(leaf) for leaf in row["on"]], "planes": row["planes"]},
        )


def segments(view: View) -> Iterator[Finding]:
    """All links of a host that has a place of its own end in one segment of the network."""
    per_host = (
        _residents(view)
        .group_by("network", "host", "leaf_segment")
        .agg(pl.len().alias("links"))
        .sort("network", "host", "links", "leaf_segment", descending=[False, False, True, False])
    )
    per_host = per_host.group_by("network", "host", maintain_order=True).agg("leaf_segment", "links")
    wrong = per_host.filter(pl.col("leaf_segment").list.len() > 1)
    yield from report(
        "segment-split",
        wrong,
        lambda row: {"network": row["network"], "host": view.device(row["host"])},
        lambda row: {"segments": row["leaf_segment"], "links": row["links"]},
    )


def groups(view: View) -> Iterator[Finding]:
    """Leaf and spine share a pod; a core's group is the index of the spines below it."""
    links = view.between
    leaf_spine = (pl.col("a_tier") == "leaf") & (pl.col("b_tier") == "spine")
    spine_core = (pl.col("a_tier") == "spine") & (pl.col("b_tier") == "core")
    wrong = links.filter((leaf_spine & differ("a_pod", "b_pod")) | (spine_core & differ("a_index", "b_group")))
    yield from report(
        "group-crossed",
        wrong,
        _pair(view),
        lambda row: {"pods": [row["a_pod"], row["b_pod"]], "index": row["a_index"], "group": row["b_group"]},
    )


def _pair(view: View) -> Subject:
    return lambda row: {"link": row["id"], "a": view.device(row["a_device"]), "b": view.device(row["b_device"])}


CHECKS = (rails, rails_above, planes, plane_switches, leaves_of_a_nic, segments, groups)
