"""The ends of cables: one row a plug, from which the cable list and the labels are made.

Everything here is columns over all links at once; ids are row numbers, so that a gather stands for a join.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from fabric.media.choose import ASSEMBLIES
from fabric.tables import Fabric

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")
EXTERNAL = "external"
PLACE = ("site", "row", "rack", "unit")
PREFIX = {"compute": "C", "storage": "S", "frontend": "F", "oob": "O"}
"""First letter of a cable's name, by network."""


def cable_names(fabric: Fabric) -> pl.Series:
    """Names by cable id: the network's letter and the number among its cables, from 0, at least six digits.

    Numbers count within the network, so that another network's growth renames nothing here.
    """
    number = pl.int_range(pl.len()).over("network").cast(pl.String).str.zfill(6)
    letter = pl.col("network").cast(pl.String).replace_strict(PREFIX, return_dtype=pl.String)
    return fabric.cables.select(name=letter + number).to_series()


def devices(fabric: Fabric) -> pl.DataFrame:
    """By device id: ``name, site, row, rack, unit``; the place is null while there is no floor plan."""
    columns = ["name", "rack", "unit"]
    both = pl.concat([fabric.hosts.select(columns), fabric.switches.select(columns)])
    racks = fabric.racks.select("id", "site", pl.col("row").cast(pl.String), rack_name="name")
    placed = both.join(racks, left_on="rack", right_on="id", how="left", maintain_order="left")
    return placed.select("name", "site", "row", rack="rack_name", unit=pl.col("unit").cast(pl.String))


def cable_ends(fabric: Fabric, side: Side) -> pl.DataFrame:
    """One row a plug at this side, in the order of cables and then of ports.

    Columns: ``cable`` (id), ``tail`` (1 … of the cable's plugs at this side), ``tails`` (how many), ``device`` (name),
    ``site, row, rack, unit, cage`` (as silk-screened), ``connector`` (none where the cable's own plug fills the cage),
    ``ports`` (names, separated by spaces), and ``device_ports`` (the same as ``device:port``). What is not ours has the
    device ``external`` and no ports.
    """
    placed = devices(fabric)
    plugs = _plugs(_link_ends(fabric, side, placed["name"]))
    place = [placed[name].gather(plugs["device"]).alias(name) for name in PLACE]
    plugs = plugs.with_columns(*place, *_tails(plugs["cable"]), device="device_name")
    return plugs.select("cable", "tail", "tails", "device", *PLACE, "cage", "connector", "ports", "device_ports")


def _tails(cable: pl.Series) -> list[pl.Series]:
    """``tail`` and ``tails``: the number of each plug among those of its cable, and how many those are."""
    of = cable.to_numpy()
    counts = np.bincount(of)
    first = np.cumsum(counts) - counts
    tail = np.arange(1, len(of) + 1) - first[of]
    return [pl.Series("tail", tail.astype(np.uint16)), pl.Series("tails", counts[of].astype(np.uint16))]


def _link_ends(fabric: Fabric, side: Side, names: pl.Series) -> pl.DataFrame:
    """One row a link: its cable and the port at this side (cage, connector, names), sorted by cable and port."""
    links, ports = fabric.links, fabric.ports
    at, device = links[f"{side}_port"], links[f"{side}_device"]
    columns = {name: ports[name].gather(at) for name in ("cage", "connector", "label", "name")}
    named = names.gather(device).fill_null(EXTERNAL)
    frame = pl.DataFrame({"cable": links["cable"], "device": device, "device_name": named, "port": at, **columns})
    own_ends = fabric.cables["medium"].is_in(ASSEMBLIES).gather(links["cable"]).fill_null(False)
    connector = pl.when(~pl.Series(own_ends)).then(pl.col("connector"))
    silk = pl.col("label").str.strip_suffix(pl.concat_str(pl.lit("/"), pl.col("connector")))
    device_port = pl.concat_str("device_name", pl.lit(":"), "name")
    frame = frame.with_columns(silk=silk, device_port=device_port, connector=connector)
    return frame.sort("cable", "port", maintain_order=True)


def _plugs(ends: pl.DataFrame) -> pl.DataFrame:
    """Ports that share a connector as one row; only cables of several links, which are few, are grouped."""
    key = ["cable", "device", "cage", "connector"]
    of = ends["cable"].to_numpy()
    shared = pl.Series((np.bincount(of) > 1)[of]) & ends["port"].is_not_null()
    kept = ["cable", "device", "device_name", "connector", "port", "silk"]
    one = ends.filter(~shared).select(*kept, ports="name", device_ports="device_port")
    if not shared.any():
        return one.rename({"silk": "cage"}).drop("port")
    several = ends.filter(shared).group_by(key, maintain_order=True).agg(
        pl.col("device_name", "port", "silk").first(),
        ports=pl.col("name").str.join(" "),
        device_ports=pl.col("device_port").str.join(" "),
    )  # fmt: skip
    plugs = pl.concat([one, several.select(one.columns)]).sort("cable", "port", maintain_order=True)
    return plugs.rename({"silk": "cage"}).drop("port")
