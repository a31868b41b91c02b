"""The NICs of hosts as tables of hosts by rails, one a segment of a network; a cell has the ports of all planes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from collectors.detectors.view import NONE, Floats, Ints, Mask, View


@dataclass(frozen=True)
class Rails:
    """``port``: ports of hosts that have a switch at the other end (``peer``), in the order of their cells.

    ``cell``: number of each port's cell, ``shape``: tables × hosts × rails; ``host``: device of each table's row.
    """

    view: View
    port: Ints
    peer: Ints
    cell: Ints
    shape: tuple[int, int, int]
    host: Ints

    @classmethod
    def of(cls, view: View) -> Rails:
        """The tables of a fabric."""
        port = np.flatnonzero(view.host_facing[np.where(view.peer == NONE, 0, view.peer)] & (view.peer != NONE))
        port = port[view.rail[port] != NONE]
        device, rail = view.device[port], view.rail[port]
        place = view.network[port].astype(np.int64) * (int(view.segment.max(initial=0)) + 2) + view.segment[port] + 1
        table = np.unique(place, return_inverse=True)[1].astype(np.int64)
        many = len(view.device_names)
        rows, first, of_row = np.unique(table * many + device, return_index=True, return_inverse=True)
        start = np.searchsorted(rows // many, np.arange(int(table.max(initial=-1)) + 1))
        row = of_row - start[table]
        shape = (len(start), int(row.max(initial=-1)) + 1, int(rail.max(initial=-1)) + 1)
        cell = (table * shape[1] + row) * shape[2] + rail
        host = np.full(shape[:2], NONE)
        host[table[first], row[first]] = device[first]
        order = np.argsort(cell, kind="stable")
        port = port[order]
        return cls(view, port, view.peer[port], cell[order], shape, host)

    @cached_property
    def line(self) -> Floats:
        """Line rate of each port, bytes a second."""
        found: Floats = self.view.capacity[self.port]
        return found

    @cached_property
    def count(self) -> Ints:
        """Ports of each cell."""
        return np.bincount(self.cell, minlength=int(np.prod(self.shape))).reshape(self.shape)

    def mean(self, values: Floats) -> Floats:
        """Means of the ports of each cell, NaN as of ``total``."""
        found: Floats = self.total(values) / np.maximum(self.count, 1)
        return found

    def total(self, values: Floats) -> Floats:
        """Sums of the ports of each cell, NaN where the cell has none or any of them is unknown."""
        sums = np.bincount(self.cell, weights=values, minlength=self.count.size)
        found: Floats = sums.reshape(self.shape).astype(np.float64)
        found[self.count == 0] = np.nan
        return found

    def any(self, ports: Mask) -> Mask:
        """Cells of which any port is so."""
        found: Mask = np.bincount(self.cell, weights=ports, minlength=self.count.size) > 0
        return found.reshape(self.shape)

    def ports(self, cell: int) -> tuple[int, ...]:
        """Ports of a cell by its number: the host's, and those at the other ends."""
        low, high = np.searchsorted(self.cell, [cell, cell + 1])
        return tuple(sorted([*self.port[low:high].tolist(), *self.peer[low:high].tolist()]))

    def leaf(self, table: int, rail: int) -> int:
        """The switch that most hosts of a table have on a rail."""
        rail_of = self.cell % self.shape[2]
        table_of = self.cell // (self.shape[1] * self.shape[2])
        found = self.view.device[self.peer[(rail_of == rail) & (table_of == table)]]
        return int(np.bincount(found).argmax())
