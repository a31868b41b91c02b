"""Does the floor plan hold: units and power of racks, planes and redundant switches apart, cables long enough.

Counted from the tables alone. Without racks there is nothing to check.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from fabric.checking.view import View, report
from fabric.findings import Finding
from fabric.trays import heights, link_ways_m, watts

ROUNDING_M = 0.005
ROUNDING_KW = 1e-6


def _devices(view: View) -> pl.DataFrame:
    """Hosts and switches: ``device`` (id), ``rack``, ``unit``, ``height``, ``kw``."""
    fabric = view.fabric
    both = pl.concat([fabric.hosts.select("rack", "unit"), fabric.switches.select("rack", "unit")])
    return both.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("device"),
        height=pl.Series(heights(fabric, view.catalogue)),
        kw=pl.Series(watts(fabric, view.catalogue)) / 1000,
    )


def _planned(view: View) -> bool:
    return view.intent.site is not None and view.fabric.racks.height > 0


def _named(view: View) -> pl.DataFrame:
    return view.fabric.racks.select(rack="id", rack_name="name", units="units", power_kw="power_kw", feed="feed")


def unplaced(view: View) -> Iterator[Finding]:
    """With a site every host and switch has a rack, and a unit where it takes any."""
    if not _planned(view):
        return
    nowhere = (pl.col("rack") >= view.fabric.racks.height).fill_null(True)
    lacking = _devices(view).filter(nowhere | (pl.col("unit").is_null() & (pl.col("height") > 0)))
    yield from report(
        "device-unplaced",
        lacking,
        lambda row: {"device": view.device(row["device"])},
        lambda row: {"rack": row["rack"]},
    )


def units(view: View) -> Iterator[Finding]:
    """No rack has a device above its top or two in one unit."""
    if not _planned(view):
        return
    taken = _devices(view).drop_nulls(["rack", "unit"]).filter(pl.col("height") > 0)
    taken = taken.with_columns(at=pl.int_ranges("unit", pl.col("unit") + pl.col("height"))).explode("at")
    taken = taken.join(_named(view), on="rack", how="left")
    over = taken.filter((pl.col("at") > pl.col("units")) | (pl.col("at") < 1))
    twice = taken.filter(pl.struct("rack", "at").is_duplicated())
    wrong = pl.concat([over, twice]).group_by("rack", "rack_name", "units").agg(
        pl.col("at").min(), devices=pl.col("device").n_unique(), height=pl.col("device").len()
    )  # fmt: skip
    yield from report(
        "rack-units-exceeded",
        wrong.sort("rack"),
        lambda row: {"rack": row["rack_name"]},
        lambda row: {"unit": row["at"], "devices": row["devices"], "units": row["units"]},
    )


def power(view: View) -> Iterator[Finding]:
    """No rack draws more at most than it gives."""
    if not _planned(view):
        return
    drawn = _devices(view).drop_nulls("rack").group_by("rack").agg(pl.col("kw").sum(), devices=pl.len())
    wrong = drawn.join(_named(view), on="rack", how="left").filter(pl.col("kw") > pl.col("power_kw") + ROUNDING_KW)
    yield from report(
        "rack-power-exceeded",
        wrong.sort("rack"),
        lambda row: {"rack": row["rack_name"]},
        lambda row: {"kw": round(row["kw"], 3), "power_kw": row["power_kw"], "devices": row["devices"]},
    )


def _dual(view: View) -> pl.DataFrame:
    """Switches of networks with several planes that belong to one of them, with their rack."""
    dual = [name for name, network in view.networks.items() if network.planes > 1]
    switches = view.switches.filter(pl.col("network").is_in(dual) & pl.col("plane").is_not_null())
    return switches.drop_nulls("rack").join(_named(view), on="rack", how="left", maintain_order="left")


def planes_apart(view: View) -> Iterator[Finding]:
    """No rack holds switches of two planes of one network."""
    if not _planned(view):
        return
    racks = _dual(view).group_by("network", "rack", "rack_name").agg(pl.col("plane").unique().sort(), pl.len())
    yield from report(
        "planes-share-rack",
        racks.filter(pl.col("plane").list.len() > 1).sort("network", "rack"),
        lambda row: {"network": row["network"], "rack": row["rack_name"]},
        lambda row: {"planes": row["plane"], "switches": row["len"]},
    )


def feeds_apart(view: View) -> Iterator[Finding]:
    """No single feed is all that feeds switches of two planes of one network."""
    if not _planned(view) or view.intent.site is None or len(view.intent.site.feeds) < 2:
        return
    switches = _dual(view).filter(~pl.col("feed").str.contains(" "))
    feeds = switches.group_by("network", "feed").agg(pl.col("plane").unique().sort(), pl.len())
    yield from report(
        "planes-share-feed",
        feeds.filter(pl.col("plane").list.len() > 1).sort("network", "feed"),
        lambda row: {"network": row["network"], "feed": row["feed"]},
        lambda row: {"planes": row["plane"], "switches": row["len"]},
    )


def spines_apart(view: View) -> Iterator[Finding]:
    """The spines of a group, and the cores of a group, do not all hang in one rack."""
    if not _planned(view):
        return
    key = ["network", "tier", "pod", "rail", "plane", "group"]
    upper = view.switches.filter((pl.col("tier") != "leaf") & pl.col("rack").is_not_null())
    groups = upper.group_by(key, maintain_order=True).agg(
        pl.len(), pl.col("rack").n_unique().alias("racks"), pl.col("rack").first(), pl.col("id").first()
    )
    wrong = groups.filter((pl.col("len") > 1) & (pl.col("racks") == 1)).join(_named(view), on="rack", how="left")
    yield from report(
        "spines-share-rack",
        wrong.sort("id"),
        lambda row: {"network": row["network"], "tier": row["tier"], "first": view.device(row["id"])},
        lambda row: {"switches": row["len"], "rack": row["rack_name"]},
    )


def long_enough(view: View) -> Iterator[Finding]:
    """Every cable is at least as long as its way over the trays."""
    site = view.intent.site
    if not _planned(view) or site is None or view.fabric.cables["length_m"].null_count():
        return
    links, devices = view.fabric.links, view.hosts.height + view.switches.height
    limits = {"a_device": devices, "b_device": devices, "cable": view.fabric.cables.height}
    if any((links[column] >= limit).any() for column, limit in limits.items()):
        return  # dangling: a finding of its own
    ways = np.zeros(view.fabric.cables.height)
    metres = np.nan_to_num(link_ways_m(view.fabric, site, view.catalogue))
    np.maximum.at(ways, view.fabric.links["cable"].to_numpy(), metres)
    cables = view.cables.with_columns(way_m=pl.Series(ways)).filter(~pl.col("estimated"))
    short = cables.filter((pl.col("length_m") + ROUNDING_M < pl.col("way_m")) & (pl.col("part") != "unresolved"))
    yield from report(
        "cable-short",
        short,
        lambda row: {"cable": row["id"], "part": row["part"]},
        lambda row: {"length_m": row["length_m"], "way_m": round(row["way_m"], 3)},
    )


CHECKS = (unplaced, units, power, planes_apart, feeds_apart, spines_apart, long_enough)
