"""How long a cable is thought to be while nobody knows where the racks stand.

Guesses for one hall with leaves in the racks' row, spines in the middle and cores in a room of their own; every length
made from them is marked ``estimated``. The floor plan measures instead.
"""

from __future__ import annotations

ESTIMATE_M: dict[str, float] = {
    "host-leaf": 20.0,
    "leaf-leaf": 5.0,
    "leaf-spine": 30.0,
    "spine-core": 100.0,
    "uplink": 50.0,
    "oob": 15.0,
}
"""Metres by tier of links."""

RUNGS_M: tuple[float, ...] = (
    0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100,
    150, 200, 300, 500, 1000, 2000,
)  # fmt: skip
"""Lengths that are told apart; a way is rounded up to the next one before a part is looked for."""
