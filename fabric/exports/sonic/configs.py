"""``config_db.json`` of every SONiC switch: a template for each kind of switch, filled for each switch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from fabric.errors import InputError
from fabric.exports.sonic.buffers import pool_bytes
from fabric.exports.sonic.facts import facts
from fabric.exports.sonic.headrooms import too_small, with_headrooms
from fabric.exports.sonic.kinds import FAMILIES, kind_ports, with_kinds
from fabric.exports.sonic.limits import problems
from fabric.exports.sonic.tables import tables
from fabric.exports.sonic.template import Template, template
from fabric.plan import Plan

_OWN = (
    "asn",
    "hostname",
    "location",
    *(f"{part}_{family}" for part in ("loopback", "mgmt", "mgmt_prefix", "mgmt_gateway") for family in FAMILIES),
)
"""Slots of a switch, besides those of its ports."""
_BY_PORT = ("peer", "ipv4", "ipv6", "profile", "length")


def configs(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """``configs/<switch>/config_db.json`` of every switch with SONiC, in the order of switches.

    Raises InputError, before the first file, where SONiC cannot do what the intent asks, addresses run out, or a
    switch has less buffer than the headroom of its cables.
    """
    found = facts(plan)
    if wrong := problems(plan, found.switches["network"].unique(maintain_order=True)):
        raise InputError(wrong)
    switches = with_kinds(found.switches, found.ports)
    ports = with_headrooms(plan, switches, found.ports)
    if wrong := list(too_small(plan, switches, ports)):
        raise InputError(wrong)
    return _files(plan, switches, ports)


def _files(plan: Plan, switches: pl.DataFrame, ports: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    ports = ports.with_columns(length=pl.format("{}m", "length_m"))
    templates: dict[int, Template] = {}
    start = 0
    for switch in switches.iter_rows(named=True):
        rows = ports.slice(start, switch["port_count"])
        start += switch["port_count"]
        if switch["kind"] not in templates:
            templates[switch["kind"]] = template(tables(plan, switch, kind_ports(rows)))
        pool = pool_bytes(plan.catalogue.switches[switch["model"]])
        columns = _own_columns(switch) | _port_columns(rows, pool)
        yield f"configs/{switch['name']}/config_db.json", templates[switch["kind"]].fill(columns)


def _own_columns(switch: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    values = {**switch, "hostname": switch["name"]}
    return {name: (str(values[name]),) for name in _OWN}


def _port_columns(rows: pl.DataFrame, pool: int) -> dict[str, Sequence[str]]:
    """Columns by port; headrooms are written once each, and taken out of the pool for every port."""
    reserved = int(rows["xoff"].sum())
    return {
        **{name: rows[name].to_list() for name in _BY_PORT},
        "headrooms": ("".join(sorted(rows["headroom"].drop_nulls().unique())),),
        "reserved": (str(reserved),),
        "shared": (str(pool - reserved),),
    }
