"""A plan: what was asked, from which parts, what was decided, and the fabric that came of it."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.catalogue import Catalogue
from fabric.design import Design
from fabric.intent import Intent
from fabric.tables import Fabric


@dataclass(frozen=True)
class Plan:
    """Everything that exports and checks read; ``catalogue`` holds at least the parts that the plan uses."""

    intent: Intent
    catalogue: Catalogue
    design: Design
    fabric: Fabric
