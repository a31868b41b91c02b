"""NetBox: devices and their interfaces for its bulk import.

Columns are of NetBox's ``DeviceImportForm`` and ``InterfaceImportForm`` (``netbox/dcim/forms/bulk_import.py``, 4.6),
values of its choices (``netbox/dcim/choices.py``). What devices refer to has to be there before: the site, the racks,
the roles, the manufacturers, the device types and the platforms, by the names in these files. NetBox makes interfaces
of a device type's template by itself: import the devices with types that have none, or only those that are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.exports.cabling import csv
from fabric.exports.ends import devices
from fabric.media.kinds import cage_table

if TYPE_CHECKING:
    from fabric.plan import Plan
    from fabric.tables import Fabric

DEVICE_COLUMNS = (
    "name", "role", "manufacturer", "device_type", "platform", "status", "site", "rack", "position", "face",
    "description",
)  # fmt: skip
INTERFACE_COLUMNS = ("device", "name", "label", "type", "speed", "enabled", "mgmt_only", "description")

MANUFACTURERS = {
    "sn": "NVIDIA", "qm": "NVIDIA", "q3": "NVIDIA", "dgx-": "NVIDIA", "ufm-": "NVIDIA", "gb200-": "NVIDIA",
    "gb300-": "NVIDIA", "arista-": "Arista", "celestica-": "Celestica", "edgecore-": "Edgecore", "atlas-": "Huawei",
}  # fmt: skip
"""Manufacturer by the beginning of a model's name in the catalogue, as NetBox's device type library has them."""
UNKNOWN = "Generic"
PLATFORMS = {"sonic": "SONiC", "cumulus": "Cumulus Linux", "eos": "Arista EOS", "frr": "FRR", "opensm": "MLNX-OS"}
FASTEST = 10_000
_TYPES: dict[str, tuple[tuple[int, str], ...]] = {
    "osfp": ((400, "400gbase-x-osfp"), (800, "800gbase-x-osfp"), (FASTEST, "1.6tbase-x-osfp1600")),
    "qsfp-dd": (
        (100, "100gbase-x-qsfpdd"), (200, "200gbase-x-qsfpdd"), (400, "400gbase-x-qsfpdd"),
        (800, "800gbase-x-qsfpdd"), (FASTEST, "1.6tbase-x-qsfpdd1600"),
    ),
    "qsfp112": ((FASTEST, "400gbase-x-qsfp112"),),
    "qsfp56": ((FASTEST, "200gbase-x-qsfp56"),),
    "qsfp28": ((FASTEST, "100gbase-x-qsfp28"),),
    "sfp56": ((FASTEST, "50gbase-x-sfp56"),),
    "sfp28": ((FASTEST, "25gbase-x-sfp28"),),
    "rj45": ((1, "1000base-t"), (FASTEST, "10gbase-t")),
}  # fmt: skip
"""Interface types by cage, the first whose speed is enough for the whole cage (a breakout's lanes share its cage)."""
INFINIBAND = ((25, "infiniband-edr"), (50, "infiniband-hdr"), (100, "infiniband-ndr"), (FASTEST, "infiniband-xdr"))
"""Interface types by the speed of a lane, Gb/s."""


def netbox_devices(plan: Plan) -> bytes:
    """CSV of hosts, PDUs and switches, in the order of ids. Without a floor plan the site is called like the plan."""
    fabric = plan.fabric
    places = devices(fabric)
    frame = pl.concat([_hosts(fabric), _switches(fabric)]).with_columns(
        name=places["name"], site=places["site"].fill_null(plan.intent.name), rack=places["rack"],
        position=places["unit"], status=pl.lit("planned"), manufacturer=_manufacturer(),
        face=pl.when(places["unit"].is_not_null()).then(pl.lit("front")),
    )  # fmt: skip
    return csv(frame.select(DEVICE_COLUMNS))


def _hosts(fabric: Fabric) -> pl.DataFrame:
    spare = pl.when(pl.col("spare")).then(pl.lit(" (spare)")).otherwise(pl.lit(""))
    where = pl.when(pl.col("segment").is_null()).then(pl.lit("")).otherwise(pl.format(", segment {}", "segment"))
    return fabric.hosts.select(
        role=pl.col("role").cast(pl.String),
        device_type=pl.col("model").cast(pl.String),
        platform=pl.lit(None, pl.String),
        description=pl.concat_str(pl.lit("group "), pl.col("group").cast(pl.String), where, spare),
    )


def _switches(fabric: Fabric) -> pl.DataFrame:
    return fabric.switches.select(
        role=pl.format("{}-{}", pl.col("network").cast(pl.String), pl.col("tier").cast(pl.String)),
        device_type=pl.col("model").cast(pl.String),
        platform=pl.col("nos").cast(pl.String).replace_strict(PLATFORMS, return_dtype=pl.String),
        description=pl.lit(None, pl.String),
    )


def _manufacturer() -> pl.Expr:
    known: pl.Expr = pl.lit(UNKNOWN)
    for start, name in MANUFACTURERS.items():
        known = pl.when(pl.col("device_type").str.starts_with(start)).then(pl.lit(name)).otherwise(known)
    return known


def netbox_interfaces(plan: Plan) -> bytes:
    """CSV of the ports of every device, in the order of ids; ``speed`` in kb/s, ``label`` as silk-screened.

    Ports without a link are disabled.
    """
    fabric = plan.fabric
    ports = fabric.ports.select(
        "name", "label", "speed_gbps", "lanes",
        pl.col("network", "use", "mode").cast(pl.String),
        device=fabric.device_names().gather(fabric.ports["device"]),
        cage=cage_table(fabric, plan.catalogue)["cage"],
    )  # fmt: skip
    infiniband = [name for name, network in plan.design.networks.items() if network.technology == "infiniband"]
    mode = pl.col("mode").str.split_exact("x", 1).struct
    total = mode.field("field_0").cast(pl.UInt32) * mode.field("field_1").cast(pl.UInt32)
    mgmt = pl.col("use") == "mgmt"
    frame = ports.with_columns(
        total=total, lane=pl.col("speed_gbps") / pl.col("lanes"), mgmt_only=mgmt,
        enabled=pl.int_range(pl.len(), dtype=pl.UInt32).is_in(_linked(fabric).implode()),
        speed=pl.col("speed_gbps").cast(pl.UInt32) * 1_000_000,
        description=pl.format("{} {}", "network", "use"),
    )  # fmt: skip
    named = pl.when(pl.col("network").is_in(infiniband) & ~mgmt).then(_infiniband()).otherwise(_types())
    return csv(frame.with_columns(type=named).select(INTERFACE_COLUMNS))


def _linked(fabric: Fabric) -> pl.Series:
    """Ids of the ports that have a link."""
    return pl.concat([fabric.links["a_port"], fabric.links["b_port"].drop_nulls()])


def _types() -> pl.Expr:
    found: pl.Expr = pl.lit("other")
    for cage, types in _TYPES.items():
        for limit, name in reversed(types):
            fits = (pl.col("cage") == cage) & (pl.col("total") <= limit)
            found = pl.when(fits).then(pl.lit(name)).otherwise(found)
    return found


def _infiniband() -> pl.Expr:
    found: pl.Expr = pl.lit("other")
    for limit, name in reversed(INFINIBAND):
        found = pl.when(pl.col("lane") <= limit).then(pl.lit(name)).otherwise(found)
    return found
