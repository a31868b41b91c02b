"""Sources: one protocol a module, imported when first used. A source speaks its protocol and returns columns.

When to ask, how long to wait, what to do again and where samples go is the schedule's, the bus's and the store's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from fabric.samples import Outcome, empty, empty_flows

__all__ = ["Emit", "Listening", "Outcome", "Poll", "Polled", "Target"]


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll of one device gave: its rows (maybe none) and how it ended.

    ``rows`` is a table of counters, ``flows`` one of flow samples (``fabric.samples``). ``started_ns`` is our clock at
    the first request, ``seconds`` how long it took. ``unknown`` counts rows of ports that the plan does not have.
    """

    source: str
    device: str
    outcome: Outcome
    started_ns: int
    seconds: float
    rows: pl.DataFrame = field(default_factory=empty)
    flows: pl.DataFrame = field(default_factory=empty_flows)
    detail: str = ""
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A device as a source sees it: where it answers, and the plan's ports by every name it may call them.

    ``address``: its management address (IPv4 or IPv6 text), ``port``: UDP or TCP port; ``ports``: name of a port in the
    plan by each name the device may use (name, alias, label); ``options``: what the settings say for this source.
    """

    device: str
    address: str
    port: int
    ports: Mapping[str, str]
    options: Mapping[str, object] = field(default_factory=dict)


class Polled(Protocol):
    """A source that asks: the schedule calls ``poll`` for each device, many at a time, on one event loop."""

    name: str

    async def poll(self, target: Target, timeout: float) -> Poll:
        """Ask one device; returns within ``timeout`` seconds whatever it does, and never raises for what it sent."""
        ...

    async def close(self) -> None:
        """Give back sockets and programs."""
        ...


Emit = Callable[[Sequence[Poll]], Awaitable[None]]
"""Takes what a listening source got; waits while the bus is full."""


class Listening(Protocol):
    """A source that is told: ``run`` until cancelled, handing on what came, at most ``interval`` seconds old."""

    name: str

    async def run(self, targets: Sequence[Target], emit: Emit, interval: float) -> None:
        """Listen for all ``targets`` at once; a device that said nothing for an interval gets ``silent``."""
        ...

    def health(self) -> Mapping[str, float]:
        """Its own counters by name (datagrams, dropped, malformed, unknown agents…), all cumulative."""
        ...
