"""Which members of a group a hash can be judged by: those that work, and lead everywhere that the others do."""

from __future__ import annotations

import numpy as np

from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.view import BYTES_A_GIGABIT, NONE, Floats, Ints, Mask, View

UP = 1.0
SLOWER = 0.99
"""Of the planned speed: less is a slower link, not rounding."""


def last_known(interval: Interval, column: str) -> Floats:
    """The last value of a gauge by port, however old; NaN where none came yet."""
    found = interval.now.get(column)
    if found is None:
        return np.full(interval.view.ports, np.nan)
    return np.where(found.time_ns != NEVER, found.value.astype(np.float64), np.nan)


def working(interval: Interval) -> Mask:
    """Ports that are not known to be down or slower than planned; at either end of the link."""
    view = interval.view
    status, speed = last_known(interval, "oper_status"), last_known(interval, "speed_gbps") * BYTES_A_GIGABIT
    bad = (status == status) & (status != UP)
    bad |= speed < SLOWER * view.capacity
    far = np.zeros(view.ports, dtype=np.bool_)
    has = view.peer != NONE
    far[has] = bad[view.peer[has]]
    works: Mask = ~(bad | far)
    return works


def usable(view: View, works: Mask) -> Mask:
    """By port: whether it works and what it leads to lost no more links between switches than the other members' did.

    A switch leaves a member out for the leaves that are dead behind it; flows on the others are still even.
    """
    between = view.on_switch & (view.peer != NONE) & view.on_switch[np.maximum(view.peer, 0)]
    lost = np.bincount(view.device[between & ~works], minlength=len(view.device_names))
    ports = view.group_ports
    behind = lost[view.device[np.maximum(view.peer[ports], 0)]]
    group = np.repeat(np.arange(view.groups), np.diff(view.group_start))
    good = works[ports]
    least = np.full(view.groups, np.iinfo(np.int64).max)
    np.minimum.at(least, group[good], behind[good])
    found = np.zeros(view.ports, dtype=np.bool_)
    found[ports] = good & (behind <= least[group])
    return found


def group_of(view: View) -> tuple[Ints, Ints]:
    """By port: its group, up groups and trunks alike, and its place in it; NONE where it has none."""
    group, place = np.full(view.ports, NONE), np.full(view.ports, NONE)
    sizes = np.diff(view.group_start)
    group[view.group_ports] = np.repeat(np.arange(view.groups), sizes)
    place[view.group_ports] = np.arange(len(view.group_ports)) - np.repeat(view.group_start[:-1], sizes)
    return group, place
