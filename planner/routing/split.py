"""Unequal flows as equal queue pairs."""

from __future__ import annotations

import numpy as np
import polars as pl

from planner.routing.jit import Floats


def split(flows: pl.DataFrame, most: int) -> pl.DataFrame:
    """``flows`` with ``queue_pairs`` such that all queue pairs are of one size, or within a factor of two.

    Flows of a, 2a and 4a become 1, 2 and 4 queue pairs of a, if ``most`` allows; else the largest flow gets ``most``
    and the others as many of about that size. A flow never gets fewer than it had.
    """
    gbps = flows["gbps"].to_numpy()
    if not len(gbps):
        return flows
    pairs = np.ceil(gbps / _unit(gbps, most) - 1e-9).astype(np.int64)
    return flows.with_columns(
        queue_pairs=pl.max_horizontal("queue_pairs", pl.Series(np.clip(pairs, 1, most))).cast(pl.UInt16)
    )


def _unit(gbps: Floats, most: int) -> float:
    """The largest size that divides all flows, if the largest flow has at most ``most`` of it."""
    sizes = np.unique(gbps)
    for parts in range(1, most + 1):
        unit = float(sizes[0]) / parts
        if sizes[-1] > most * unit * (1 + 1e-9):
            continue
        if np.allclose(sizes / unit, np.rint(sizes / unit), rtol=0, atol=1e-6):
            return unit
    return float(sizes[-1]) / most
