"""What the machines of a plan load: every switch's and host's files, and what brings them up."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabric.inventory import Inventory
    from fabric.plan import Plan

SWITCHES = {
    "sonic": ("fabric.exports.sonic", "fabric.exports.frr"),
    "frr": ("fabric.exports.frr",),
    "cumulus": ("fabric.exports.nvue",),
    "eos": ("fabric.exports.eos",),
    "opensm": ("fabric.exports.opensm",),
}
"""Modules that write for each network operating system; each has ``configs(plan)``."""
HOSTS = ("fabric.exports.host", "fabric.exports.bringup")
"""Modules that write for hosts and for the first day."""
KNOW_DEVICES = frozenset({"fabric.exports.opensm", *HOSTS})
"""Modules whose ``configs`` also take an inventory: GUIDs, MACs and serial numbers of the devices that came."""


def configs(plan: Plan, inventory: Inventory | None = None) -> Iterator[tuple[str, bytes]]:
    """(path in the bundle, content) of every file, in a fixed order of modules."""
    systems = set(plan.fabric.switches["nos"].cast(str).unique())
    modules = dict.fromkeys(module for nos, names in SWITCHES.items() if nos in systems for module in names)
    for module in (*modules, *HOSTS):
        write = import_module(module).configs
        yield from write(plan, inventory) if module in KNOW_DEVICES else write(plan)
