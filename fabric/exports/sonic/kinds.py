"""Kinds of switches: those of one kind differ in slots alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from fabric.exports.sonic.ports import Port

FAMILIES = ("ipv4", "ipv6")
_OF_PORT = (
    "cage", "lane", "lanes", "ports", "mode", "name", "alias", "speed_gbps", "use", "fec", "autoneg", "linked",
    "routed", "lossless", "has_ipv4", "has_ipv6",
)  # fmt: skip
_OF_SWITCH = ("network", "tier", "model", "host_class", "has_asn", "has_loopback", "has_mgmt", "has_gateway")


def with_kinds(switches: pl.DataFrame, ports: pl.DataFrame) -> pl.DataFrame:
    """Switches with ``kind``, ``port_count`` (their rows in ``ports``) and what they have.

    That is ``has_asn`` and, by family, ``has_loopback``, ``has_mgmt`` and ``has_gateway``.
    """
    marked = _marked(ports)
    signature = pl.concat_str([pl.col(name).cast(pl.String).fill_null("-") for name in _OF_PORT], separator="|")
    by_switch = marked.group_by("device").agg(port_count=pl.len(), ports=signature.str.join(";"))
    switches = switches.join(by_switch, on="device", how="left", maintain_order="left").with_columns(
        pl.col("port_count").fill_null(0),
        has_asn=pl.col("asn").is_not_null(),
        has_loopback=_has("loopback"),
        has_mgmt=_has("mgmt"),
        has_gateway=_has("mgmt_gateway"),
    )
    kinds = switches.group_by([*_OF_SWITCH, "ports"], maintain_order=True).agg("device")
    numbered = kinds.select("device").with_row_index("kind").explode("device")
    return switches.drop("ports").join(numbered, on="device", how="left", maintain_order="left")


def kind_ports(rows: pl.DataFrame) -> list[Port]:
    """The ports of a switch as its kind has them."""
    return [Port(row=number, **_values(row)) for number, row in enumerate(_marked(rows).iter_rows(named=True))]


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("has_"): row[name] for name in _OF_PORT}


def _marked(ports: pl.DataFrame) -> pl.DataFrame:
    return ports.with_columns(**{f"has_{family}": pl.col(family).is_not_null() for family in FAMILIES})


def _has(column: str) -> pl.Expr:
    return pl.struct(pl.col(f"{column}_{family}").is_not_null().alias(family) for family in FAMILIES)
