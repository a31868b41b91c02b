"""How fast a session notices that its neighbour is gone, and comes back."""

from __future__ import annotations

from typing import NamedTuple


class Timers(NamedTuple):
    """Of BGP in seconds, of BFD in milliseconds."""

    keepalive: int = 3
    hold: int = 9
    """Without BFD a dead neighbour is noticed after so long."""
    connect: int = 10
    """Between two attempts to connect."""
    bfd_ms: int = 300
    """Between two BFD packets; the third missing one in a row ends the session."""


PRODUCTION = Timers()
"""FRR's own defaults for data centres (``frr defaults datacenter``); 900 ms of BFD, as FRR's own."""
