"""Exports that only translate a plan into somebody else's format.

A dialect is a function ``(plan: Plan) -> bytes`` in a module of its own, named here; it is imported when it is
asked for. Where a plan is too large for the format the function gives None.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from fabric.plan import Plan


@dataclass(frozen=True)
class Dialect:
    """A format a plan can be written in: its name, what it is for, where it is, and whether a terminal can show it."""

    name: str
    description: str
    where: str
    binary: bool = False

    def load(self) -> Callable[[Plan], bytes | None]:
        """The function that writes it; it gives None where a plan is too large for the format."""
        module, function = self.where.split(":")
        written: Callable[[Plan], bytes | None] = getattr(importlib.import_module(module), function)
        return written


_ALL = (
    Dialect("links", "logical links, one a row (CSV)", "fabric.exports.links:links"),
    Dialect("cables", "cables with both ends, one a row (CSV)", "fabric.exports.cabling:cables"),
    Dialect("cables-xlsx", "the same as a workbook, a sheet a network", "fabric.exports.workbook:cables", binary=True),
    Dialect("labels", "what is printed on each end of each cable (CSV)", "fabric.exports.cabling:labels"),
    Dialect("netbox-cables", "NetBox's bulk import of cables (CSV)", "fabric.exports.netbox:netbox_cables"),
    Dialect("ptm", "Prescriptive Topology Manager's topology.dot", "fabric.exports.ptm:ptm"),
    Dialect("netbox-devices", "NetBox's bulk import of devices (CSV)", "fabric.exports.netbox_devices:netbox_devices"),
    Dialect(
        "netbox-interfaces",
        "NetBox's bulk import of interfaces (CSV)",
        "fabric.exports.netbox_devices:netbox_interfaces",
    ),
    Dialect("containerlab", "a lab of containers (YAML)", "fabric.exports.containerlab:containerlab"),
    Dialect("netlab", "netlab's lab topology (YAML)", "fabric.exports.netlab:netlab"),
    Dialect("hedgehog", "Hedgehog's wiring diagram (YAML)", "fabric.exports.hedgehog:hedgehog"),
    Dialect("sonic-links", "sonic-mgmt's links (CSV)", "fabric.exports.sonic_links:sonic_links"),
    Dialect(
        "ibnetdiscover", "an InfiniBand fabric as ibnetdiscover prints it", "fabric.exports.infiniband:ibnetdiscover"
    ),
    Dialect("ibsim", "a net file for ibsim", "fabric.exports.infiniband:ibsim"),
    Dialect("ufm", "topology for UFM's NDT plugin (CSV)", "fabric.exports.infiniband:ufm"),
    Dialect("simai", "topology for SimAI and its ns-3", "fabric.exports.simai:simai"),
    Dialect("htsim", "topology for csg-htsim", "fabric.exports.htsim:htsim"),
    Dialect("bom", "bill of materials by orderable part (CSV)", "fabric.exports.bom:bom"),
    Dialect("bom-xlsx", "the same as a workbook", "fabric.exports.workbook:bom", binary=True),
    Dialect("drawing", "the fabric as a picture (SVG)", "fabric.exports.drawings:fabric_svg"),
    Dialect("racks", "elevations of the racks (SVG)", "fabric.exports.racks_drawing:racks_svg"),
    Dialect("floor", "plan of the room with its trays (SVG)", "fabric.exports.floor_drawing:floor_svg"),
    Dialect("workorders", "sheets for pulling cables, a rack each, to print (HTML)", "fabric.exports.workorders:page"),
    Dialect("report", "the whole plan on one page (HTML)", "fabric.exports.report:report"),
)

DIALECTS = {dialect.name: dialect for dialect in _ALL}
"""Every dialect by its name, in the order of ``railwright export --to list``."""


def known(dialect: str) -> Dialect:
    """The dialect of that name; raises InputError, naming the nearest, where there is none."""
    if dialect not in DIALECTS:
        from fabric.validation import suggest

        raise InputError(Problem("--to", f'unknown dialect "{dialect}", {suggest(dialect, list(DIALECTS))}'))
    return DIALECTS[dialect]


def render(plan: Plan, dialect: str) -> bytes | None:
    """The plan in that dialect, None where it is too large for it; raises InputError where no dialect is so named."""
    return known(dialect).load()(plan)
