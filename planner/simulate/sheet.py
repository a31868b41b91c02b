"""The rows of an interval's table, and columns that are made for them without a step between.

First come the ports that report, then a row for each of their devices, which has no port.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it brings no types

if TYPE_CHECKING:
    from planner.simulate.ports import Ports
    from planner.simulate.wires import Floats, Ints, Mask

TYPES = {pl.UInt64: (np.int64, pa.uint64()), pl.UInt8: (np.uint8, pa.uint8()), pl.Float64: (np.float64, pa.float64())}
"""By dtype of a column: what numpy makes of floats quickly, and what Arrow then calls it."""


class Sheet:
    """Rows of a table; ``silent``: ports that say nothing, always all of a device."""

    def __init__(self, ports: Ports, silent: Mask) -> None:
        self.ports, self.whole = ports, not silent.any()
        self.rows: Ints = np.flatnonzero(~silent)
        device = ports.device[self.rows]
        self.first: Ints = self.rows[np.flatnonzero(np.diff(device, prepend=-1))]
        """Row of the first port of each device that says something."""
        self.height = len(self.rows) + len(self.first)

    @cached_property
    def device(self) -> pl.Series:
        """Names of the devices of all rows."""
        return self.ports.names["device"].gather(np.concatenate([self.rows, self.first])).alias("device")

    @cached_property
    def port(self) -> pl.Series:
        """Names of the ports, null in the rows of devices."""
        return self.text("port", self.ports.names["port"])

    def text(self, name: str, of_ports: pl.Series) -> pl.Series:
        """Text of every port as a column."""
        return of_ports.gather(self.rows).extend_constant(None, len(self.first)).alias(name)

    def number(self, name: str, of_ports: Floats, dtype: Any, has: tuple[bool, bool]) -> pl.Series:
        """Numbers of every port as a column of a dtype: null where NaN, and where switches or hosts have none."""
        holds = self.holds(*has)
        gone = np.isnan(of_ports) if dtype is not pl.UInt64 else None
        if gone is not None and gone.any():
            holds = _packed(np.append(self._chosen(has)[self.rows] & ~gone[self.rows], np.zeros(len(self.first), bool)))
            of_ports = np.where(gone, 0.0, of_ports)
        return self._column(name, of_ports, dtype, holds)

    def of_devices(self, name: str, of_ports: Floats) -> pl.Series:
        """A gauge of every device, by the first of its ports."""
        values = np.zeros(self.height)
        values[len(self.rows) :] = of_ports[self.first]
        holds = _packed(np.arange(self.height) >= len(self.rows))
        return pl.Series(name, pa.Array.from_buffers(pa.float64(), self.height, [holds, pa.py_buffer(values)]))

    def constant(self, name: str, value: int) -> pl.Series:
        """One number in all rows."""
        return pl.Series(name, np.full(self.height, value, dtype=np.int64))

    def _column(self, name: str, of_ports: Floats, dtype: Any, holds: Any) -> pl.Series:
        quick, arrow = TYPES[dtype]
        values = np.zeros(self.height, dtype=quick)
        values[: len(self.rows)] = of_ports if self.whole else of_ports[self.rows]
        return pl.Series(name, pa.Array.from_buffers(arrow, self.height, [holds, pa.py_buffer(values)]))

    def holds(self, switches: bool, hosts: bool) -> Any:
        """Validity of a column that switches, hosts or both have."""
        known = self._known
        if (switches, hosts) not in known:
            chosen = self._chosen((switches, hosts))[self.rows]
            known[switches, hosts] = _packed(np.append(chosen, np.zeros(len(self.first), bool)))
        return known[switches, hosts]

    @cached_property
    def _known(self) -> dict[tuple[bool, bool], Any]:
        return {}

    def _chosen(self, has: tuple[bool, bool]) -> Mask:
        """Ports of switches, of hosts, or of both."""
        found: Mask = np.where(self.ports.switch, *has)
        return found


def _packed(holds: Mask) -> Any:
    return pa.py_buffer(np.packbits(holds, bitorder="little"))
