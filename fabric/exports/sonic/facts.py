"""What a SONiC switch's configuration is made of: one row a port, one row a switch."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from fabric.addressing import addresses
from fabric.plan import Plan
from fabric.qos import DEFAULT_LENGTH_M

LOSSLESS = ("host", "service", "up", "down", "interswitch")
"""Uses of ports on which a RoCE network is lossless; what leaves it is not ours to pause."""

MOST_TEXT = 255
"""Longest description of a port."""

_ESCAPED = r'[\\"\x00-\x1f]'


@dataclass(frozen=True)
class Facts:
    """Everything by switch, text ready for JSON.

    ``switches``: device, name, network, tier, model, host_class, location, and the columns of ``Addresses.switches``.

    ``ports``: device, number, cage (from 1), lane, lanes, ports and mode (of the cage), name, alias, speed_gbps, use,
    fec, autoneg, and of its cable: linked, length_m, peer, lossless, routed (it has, or may have, addresses), ipv4 and
    ipv6 with prefix lengths (null where unnumbered). In the order of devices and numbers; no management ports.
    """

    switches: pl.DataFrame
    ports: pl.DataFrame


def facts(plan: Plan) -> Facts:
    """The facts of all SONiC switches; raises InputError where addresses cannot be given."""
    switches = _switches(plan)
    return Facts(switches, port_rows(plan, switches))


def _switches(plan: Plan) -> pl.DataFrame:
    found = plan.fabric.switches.filter(pl.col("nos").cast(pl.String) == "sonic")
    racks = plan.fabric.racks.select(rack="id", place=pl.format("{} {}", "site", "name"))
    place = pl.format("{}, unit {}", "place", "unit")
    return (
        found.join(racks, on="rack", how="left", maintain_order="left")
        .select(
            pl.col("network", "tier", "model").cast(pl.String),
            "name",
            "host_class",
            device="id",
            location=escaped(place.fill_null(pl.lit(plan.intent.name))),
        )
        .join(addresses(plan).switches, on="device", how="left", maintain_order="left")
    )


def port_rows(plan: Plan, switches: pl.DataFrame) -> pl.DataFrame:
    """Ports of ``switches`` but the management ones, one row a port: cage, mode, name, and what the link asks of it."""
    columns = ("cage", "lane", "lanes", "name", "alias", "speed_gbps", "autoneg", "number", "device", "id")
    ports = plan.fabric.ports.select(*columns, pl.col("use", "fec", "mode", "network").cast(pl.String))
    ports = ports.filter(pl.col("use") != "mgmt").join(switches.select("device"), on="device", how="semi")
    linked = ports.join(_cables(plan), left_on="id", right_on="port", how="left")
    roce = [name for name, network in plan.design.networks.items() if network.technology == "roce"]
    lossless = pl.col("network").is_in(roce) & pl.col("use").is_in(LOSSLESS) & pl.col("peer").is_not_null()
    return (
        linked.join(_networks(plan), left_on="id", right_on="port", how="left")
        .with_columns(
            lossless=lossless,
            ports=pl.col("mode").str.split("x").list.first().cast(pl.UInt16),
            linked=pl.col("peer").is_not_null(),
            length_m=pl.col("length_m").fill_null(DEFAULT_LENGTH_M).ceil().cast(pl.UInt32),
            peer=escaped(pl.col("peer").fill_null("")).str.slice(0, MOST_TEXT),
            routed=pl.col("routed").fill_null(False),
        )
        .drop("network")
        .sort("device", "number")
    )


def _cables(plan: Plan) -> pl.DataFrame:
    """``port, length_m, peer`` of both ends of each link; the peer is a device and its port, or ``external``."""
    fabric = plan.fabric
    names = fabric.device_names()
    ends = []
    for side, other in (("a", "b"), ("b", "a")):
        rows = fabric.links.filter(pl.col(f"{side}_port").is_not_null())
        far = pl.DataFrame(
            {
                "device": names.gather(rows[f"{other}_device"]),
                "port": fabric.ports["name"].gather(rows[f"{other}_port"]),
            }
        )
        ends.append(
            pl.DataFrame(
                {
                    "port": rows[f"{side}_port"],
                    "length_m": fabric.cables["length_m"].gather(rows["cable"]),
                    "peer": far.select(pl.format("{} {}", "device", "port").fill_null("external")).to_series(),
                }
            )
        )
    return pl.concat(ends)


def _networks(plan: Plan) -> pl.DataFrame:
    """``port, ipv4, ipv6, routed`` of the switch ports that are routed: addresses with prefix lengths, or null."""
    given = addresses(plan)
    links = plan.fabric.links.select("a_port", "b_port", link="id").join(given.links, on="link", how="inner")
    hosts = given.host_ports.select(
        port="leaf_port",
        ipv4=pl.format("{}/{}", "gateway_ipv4", "prefix_ipv4"),
        ipv6=pl.format("{}/{}", "gateway_ipv6", "prefix_ipv6"),
    )
    ends = [
        links.select(
            port=f"{side}_port", ipv4=pl.format("{}/31", f"{side}_ipv4"), ipv6=pl.format("{}/127", f"{side}_ipv6")
        )
        for side in "ab"
    ]
    outside = plan.fabric.links.filter(pl.col("b_port").is_null()).select(
        port="a_port", ipv4=pl.lit(None, pl.String), ipv6=pl.lit(None, pl.String)
    )
    return pl.concat([hosts, *ends, outside]).with_columns(routed=True)


def escaped(text: pl.Expr) -> pl.Expr:
    """Text that may stand between quotes in JSON: quotes, backslashes and control characters become blanks."""
    return text.str.replace_all(_ESCAPED, " ")
