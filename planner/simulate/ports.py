"""The ports that report: both ends of every link of a network, in the order of devices and ports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from planner.simulate.endpoints import stirred
from planner.simulate.faults import Fault
from planner.simulate.kept import kept
from planner.simulate.wires import Wires

if TYPE_CHECKING:
    from planner.simulate.wires import Floats, Ints, Mask


@dataclass(frozen=True)
class Ports:
    """Columns, a port a row. ``tx``: the channel it sends into; it receives from ``tx ^ 1``."""

    wires: Wires
    device: Ints
    port: Ints
    tx: Ints
    gbps: Floats
    names: pl.DataFrame
    """``device, port``: names."""
    lanes: Ints
    found: dict[tuple[str | None, str | None], Ints] = field(default_factory=dict)
    """Rows that were asked for by name."""
    _stirred: dict[int, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.device)

    @cached_property
    def rx(self) -> Ints:
        """The channel it receives from."""
        return self.tx ^ 1

    @cached_property
    def switch(self) -> Mask:
        """Whether it is a switch's."""
        found: Mask = self.wires.level[self.device] > 0
        return found

    @cached_property
    def peer(self) -> Ints:
        """Row of the port at the other end."""
        row = np.empty(2 * self.wires.links, dtype=np.int64)
        row[self.tx] = np.arange(len(self))
        return row[self.rx]

    def drawn(self, seed: int) -> Ints:
        """A number as good as random of each port, 0 to 999, the same in every run."""
        return self.stirred(seed) % 1000

    def stirred(self, seed: int) -> Ints:
        """A number as good as random of each port."""
        if seed not in self._stirred:
            self._stirred[seed] = stirred(self.port, seed=seed)
        return self._stirred[seed]

    def at(self, device: str | None, port: str | None = None) -> Ints:
        """Rows of a device by name, or the one of its port."""
        key = device, port
        if key not in self.found:
            wanted = self.names["device"] == device
            if port is not None:
                wanted &= self.names["port"] == port
            self.found[key] = np.flatnonzero(wanted.to_numpy())
        return self.found[key]

    def of(self, fault: Fault) -> Ints:
        """Rows of a fault's device and port."""
        return self.at(fault.device, fault.port)


def ports(wires: Wires) -> Ports:
    """Every port of the network that has a link to another of ours."""
    found = kept(wires.plan, ("ports", wires.network), lambda: _ports(wires))
    return found if found.wires is wires else replace(found, wires=wires)


def _ports(wires: Wires) -> Ports:
    fabric = wires.plan.fabric
    channel = np.flatnonzero(wires.tail >= 0)
    ends = np.stack([fabric.links[f"{side}_port"].fill_null(0).to_numpy() for side in "ab"], axis=1).ravel()[channel]
    order = np.lexsort((ends, wires.tail[channel]))
    channel, ends = channel[order], ends[order].astype(np.int64)
    device = wires.tail[channel].astype(np.int64)
    names = pl.DataFrame({"device": fabric.device_names().gather(device), "port": fabric.ports["name"].gather(ends)})
    speed = fabric.links["speed_gbps"].to_numpy()[channel // 2].astype(np.float64)
    lanes = fabric.ports["lanes"].to_numpy()[ends].astype(np.int64)
    return Ports(wires, device, ends, channel.astype(np.int64), speed, names, lanes)
