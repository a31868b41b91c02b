"""Racks as a tree of three levels: hosts, the leaves that stand with them, spines and cores."""

from __future__ import annotations

import numpy as np

from planner.floorplan.racks import EVERY, Ints, Racks

HOSTS, LEAVES, CENTRAL = 0, 1, 2


def levels(racks: Racks) -> Ints:
    """Level of each rack."""
    hosts, block, high = (np.array(column) for column in (racks.hosts, racks.block, racks.high))
    return np.where(hosts & (high == 0), HOSTS, np.where(~hosts & (block == EVERY), CENTRAL, LEAVES))
