"""Which links share a cable: those of a split connector, and the two of a trunk cable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from planner.build_links import Batch

Ids = npt.NDArray[np.uint32]


def cable_ids(batches: Sequence[Batch], ports: int) -> Ids:
    """Cable of every link, numbered in the order of their first links; ``ports``: number of port ids.

    Links are known by a port that all links of one cable share: the first of the split connector, at whichever side
    it is; of a trunk cable the first of the two connectors at the a side; else the link's own a port.
    """
    key = np.concatenate([_key(batch, ports) for batch in batches] or [np.empty(0, dtype=np.uint32)])
    link = np.arange(len(key), dtype=np.uint32)
    first = first_with(key, ports)
    number = np.cumsum(first == link, dtype=np.uint32) - np.uint32(1)
    return number[first]


def first_with(key: Ids, keys: int) -> Ids:
    """For each row the first row with the same key (0 … keys − 1)."""
    row = np.arange(len(key), dtype=np.uint32)
    found = np.empty(keys, dtype=np.uint32)
    found[key[::-1]] = row[::-1]  # of rows with one key the last written is the first there is
    return found[key]


def _key(batch: Batch, ports: int) -> Ids:
    a, b = batch.a, batch.b
    key = a.port
    if b is None:
        return np.where(a.split, a.connector, key)
    if batch.trunk and not a.split.any() and not b.split.any():
        return _trunk_key(batch, ports)
    return np.where(a.split, a.connector, np.where(b.split, b.connector, key))


def _trunk_key(batch: Batch, ports: int) -> Ids:
    """The pair's first port where the first link of the pair goes to the same pair at the other side."""
    assert batch.b is not None
    pair, other = batch.a.pair, batch.b.pair
    return np.where(other == other[first_with(pair, ports)], pair, batch.a.port)


def connectors(cable: Ids, connector: Ids, ports: int) -> Ids:
    """Connectors that each cable has at one side; ``connector``: for each link the first port of its connector."""
    link = np.arange(len(cable), dtype=np.uint32)
    counted = np.bincount(cable[first_with(connector, ports) == link], minlength=len(np.bincount(cable)))
    return np.maximum(counted, 1).astype(np.uint32)
