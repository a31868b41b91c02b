"""The floor plan: a rack and a unit for every host and switch, so that the cables cost least.

Contents of racks are settled first (``contents``), by rule; then CP-SAT and a search by exact prices stand the racks in
the room (``exact``, ``rows``, ``search``), and ``bound`` says what no arrangement of these racks can undercut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from fabric.design import Proof
from fabric.trays import ways_m

if TYPE_CHECKING:
    from fabric.catalogue import Catalogue
    from fabric.design import Design
    from fabric.intent import Intent
    from fabric.tables import Fabric

__all__ = ["Placed", "bundle", "place"]


@dataclass(frozen=True)
class Placed:
    """A fabric whose hosts, switches and racks have places; without a site, the fabric as it was."""

    fabric: Fabric
    proof: Proof | None = None
    """Cents of all cables with their plugs; bound and gap are over all arrangements of the racks as filled."""
    lengths_m: pl.Series | None = None
    """Metres of the way of each cable, by cable id: what ``fabric.media.cable`` takes."""


def place(fabric: Fabric, design: Design, intent: Intent, catalogue: Catalogue) -> Placed:
    """Give every host, switch and PDU a rack and unit in the intent's site; without one nothing changes.

    Raises InfeasibleError where racks are too few, too low or too weak, or a cable would be longer than any medium.
    """
    if intent.site is None:
        return Placed(fabric)
    from planner.floorplan.contents import Asked
    from planner.floorplan.solve import solve
    from planner.floorplan.write import written

    asked = Asked(fabric, design, intent, catalogue, intent.site)
    answer = solve(asked)
    placed = written(asked, answer)
    ways = ways_m(placed, intent.site, catalogue)
    return Placed(placed, answer.proof(placed, ways), ways)


def bundle(fabric: Fabric) -> Fabric:
    """The fabric with the bundle of each cable; without racks as it is (see ``planner.floorplan.bundles``)."""
    from planner.floorplan.bundles import bundled

    return replace(fabric, cables=bundled(fabric)) if fabric.racks.height else fabric
