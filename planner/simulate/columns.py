"""Which devices have which counter, and in how many bits: read from ``fabric/schema/counters.csv``.

A switch has what an OID, a gNMI path, SONiC's database or sFlow addresses; a host what its ``/sys`` or ``ethtool``
shows; a port of InfiniBand what its attributes hold.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from fabric.counters import Counter, counters, parse

if TYPE_CHECKING:
    from planner.simulate.wires import Floats

SWITCH = ("oid", "gnmi", "sonic", "sflow")
HOST = ("sysfs", "ethtool")
INFINIBAND = ("infiniband",)
ON_SWITCHES = ("headroom_", "queue_")
"""Beginnings of gauges that only switches of Ethernet have."""
NOT_INFINIBAND = (*ON_SWITCHES, "mtu_", "gid_", "lldp_", "pfc_enabled_", "counter_discontinuity_")
NOT_ETHERNET = ("width_lanes",)
FEC_BINS = 16
ENDLESS = 2.0**64
"""What no counter of 64 bits comes to in a run."""


def known(column: str) -> Counter:
    """The counter that a column holds; every column here is one."""
    found = parse(column)
    assert found is not None, column
    return found[0]


@cache
def holders(column: str, infiniband: bool) -> tuple[bool, bool]:
    """Whether switches and hosts have a column."""
    counter = known(column)
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


@cache
def counted(priority: int) -> tuple[str, ...]:
    """The column of every counter of a port; those of a priority or queue for the lossless one, and queue 0's."""
    found: list[str] = []
    for counter in counters().values():
        if counter.kind != "counter" or counter.object == "device":
            continue
        if counter.object == "port_fec":
            found += (counter.column(number) for number in range(FEC_BINS))
        else:
            found.append(counter.column(priority if counter.indexed else None))
    return tuple(dict.fromkeys([*found, "queue_tx_bytes_q0", "queue_tx_packets_q0"]))


def most(column: str) -> float:
    """One more than the highest value that a column of whole numbers holds."""
    bits = known(column).bits
    return ENDLESS if bits is None or bits >= 64 else 2.0**bits


def told(column: str, values: Floats, infiniband: bool) -> Floats:
    """A counter as devices say it, in whole numbers but for seconds.

    Counters of InfiniBand stop at their highest value, the others begin anew.
    """
    if known(column).unit == "s":
        return values
    whole, top = np.floor(values), most(column)
    if whole.max(initial=0.0) < top:
        return whole
    return np.minimum(whole, top - 1) if infiniband else np.mod(whole, top)
