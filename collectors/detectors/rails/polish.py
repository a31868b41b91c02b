"""Two-way median polish (Tukey 1977) of many tables of hosts by rails at once, with unknown cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collectors.detectors.view import Floats

ROUNDS = 3
"""Sweeps over rows and columns; residuals of tables with few outliers hardly move after that."""
NORMAL = 1.4826
"""Standard deviation over median absolute deviation, of a normal distribution."""


@dataclass(frozen=True)
class Polished:
    """Of tables g × hosts × rails: effects of hosts (g × hosts) and rails (g × rails), and what is left of each cell.

    Effects are deviations from the table's own level; NaN where nothing is known.
    """

    level: Floats
    hosts: Floats
    rails: Floats
    rest: Floats

    @property
    def whole(self) -> Floats:
        """Deviations of cells from the level: what is left, and their host's and rail's effects."""
        return self.rest + np.nan_to_num(self.hosts)[:, :, None] + np.nan_to_num(self.rails)[:, None, :]


def medians(table: Floats, axis: int) -> Floats:
    """Medians of what is known along an axis, which stays with length 1; NaN where nothing is."""
    ordered = np.sort(table, axis=axis)
    known = np.isfinite(table).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, axis=axis)
    high = np.take_along_axis(ordered, np.minimum(known // 2, table.shape[axis] - 1), axis=axis)
    return np.where(known > 0, (low + high) / 2, np.nan)


def polished(table: Floats) -> Polished:
    """Polish g × hosts × rails."""
    groups, hosts, rails = table.shape
    rest, by_host, by_rail = table.copy(), np.zeros((groups, hosts, 1)), np.zeros((groups, 1, rails))
    for _ in range(ROUNDS if rails > 1 and hosts > 1 else 0):
        for axis, effect in ((1, by_rail), (2, by_host)):
            step = medians(rest, axis)
            rest -= step
            effect += np.nan_to_num(step)
    # with one host or one rail the two effects are the same thing: only the level is taken off
    known_host, known_rail = np.isfinite(table).any(2, keepdims=True), np.isfinite(table).any(1, keepdims=True)
    flat = rest.reshape(groups, 1, -1) if rails == 1 or hosts == 1 else None
    level = medians(flat, 2) if flat is not None else np.zeros((groups, 1, 1))
    rest = rest - level
    mid_host = medians(np.where(known_host, by_host, np.nan), 1)
    mid_rail = medians(np.where(known_rail, by_rail, np.nan), 2)
    return Polished(
        (level + np.nan_to_num(mid_host) + np.nan_to_num(mid_rail))[:, 0, 0],
        np.where(known_host, by_host - mid_host, np.nan)[:, :, 0],
        np.where(known_rail, by_rail - mid_rail, np.nan)[:, 0, :],
        rest,
    )


def scores(deviations: Floats, rest: Floats, floor: float) -> Floats:
    """Deviations of cells over each table's deviation, as the MAD of what polish left estimates it; at least ``floor``.

    Both are g × hosts × rails.
    """
    spread = NORMAL * medians(np.abs(rest.reshape(len(rest), -1)), 1)
    return deviations / np.fmax(spread, floor)[:, :, None]
