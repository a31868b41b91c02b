"""Which devices have which counter, and in how many bits: read from ``fabric/schema/counters.csv``.

A switch has what an OID, a gNMI path, SONiC's database or sFlow addresses; a host what its ``/sys`` or ``ethtool``
shows; a port of InfiniBand what its attributes hold.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.counters import Counter, counters, parse

if TYPE_CHECKING:
    from planner.simulate.ports import Ports
    from planner.simulate.wires import Floats

SWITCH = ("oid", "gnmi", "sonic", "sflow")
HOST = ("sysfs", "ethtool")
INFINIBAND = ("infiniband",)
ON_SWITCHES = ("headroom_", "queue_")
"""Beginnings of gauges that only switches of Ethernet have."""
NOT_INFINIBAND = (*ON_SWITCHES, "mtu_", "gid_", "lldp_", "pfc_enabled_", "counter_discontinuity_")
NOT_ETHERNET = ("width_lanes",)
FEC_BINS = 16


@cache
def holders(column: str, infiniband: bool) -> tuple[bool, bool]:
    """Whether switches and hosts have a column."""
    found = parse(column)
    assert found is not None, column
    counter = found[0]
    if infiniband and (counter.kind != "counter" or not _addressed(counter, INFINIBAND)):
        own = counter.kind != "counter" and not column.startswith(NOT_INFINIBAND)
        return own, own
    if counter.kind != "counter":
        ours = not column.startswith(NOT_ETHERNET)
        return ours, ours and not column.startswith(ON_SWITCHES)
    if infiniband:
        return True, True
    return _addressed(counter, SWITCH), _addressed(counter, HOST)


def _addressed(counter: Counter, protocols: tuple[str, ...]) -> bool:
    return any(counter.addresses.get(protocol) for protocol in protocols)


def zeros(count: int, priority: int) -> dict[str, Floats]:
    """Every counter of a port at 0; those of a priority or queue for the lossless one."""
    found: dict[str, Floats] = {}
    for counter in counters().values():
        if counter.kind != "counter" or counter.object == "device":
            continue
        if counter.object == "port_fec":
            found |= {counter.column(number): np.zeros(count) for number in range(FEC_BINS)}
        else:
            found[counter.column(priority if counter.indexed else None)] = np.zeros(count)
    return found


def reported(ports: Ports, column: str, values: Floats, infiniband: bool) -> pl.Series:
    """A column as the devices say it: whole, in so many bits, null where a device has none.

    Counters of InfiniBand stop at their highest value, the others begin anew.
    """
    counter = parse(column)[0]  # type: ignore[index]
    if counter.kind == "counter" and counter.unit != "s":
        values = np.floor(values)
        if counter.bits is not None and counter.bits < 64:
            most = 2.0**counter.bits
            values = np.minimum(values, most - 1) if infiniband else np.mod(values, most)
    series = pl.Series(column, values, nan_to_null=True).cast(counter.dtype)
    switches, hosts = holders(column, infiniband)
    if switches and hosts:
        return series
    has = pl.Series(ports.switch if switches else ~ports.switch)
    return pl.select(pl.when(has).then(series)).to_series().alias(column)
