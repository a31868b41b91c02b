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
"""Modules that write for hosts and for the first day; their ``configs`` also take an inventory."""


def configs(plan: Plan, inventory: Inventory | None = None) -> Iterator[tuple[str, bytes]]:
    """(path in the bundle, content) of every file, in a fixed order of modules."""
    systems = set(plan.fabric.switches["nos"].cast(str).unique())
    modules = dict.fromkeys(module for nos, names in SWITCHES.items() if nos in systems for module in names)
    for module in modules:
        yield from import_module(module).configs(plan)
    for module in HOSTS:
        yield from import_module(module).configs(plan, inventory)
