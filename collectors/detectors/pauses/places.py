"""Hosts' rails as findings name them."""

from __future__ import annotations

from typing import Any

import numpy as np

from collectors.detectors.view import NONE, Ints, View

MAIN = "compute"
"""The network whose rails need no network beside them in a subject."""


def rails(view: View) -> Ints:
    """The rail of each host port's NIC, by port id; NONE elsewhere. (A link's rail is its leaf's, maybe none.)"""
    fabric = view.plan.fabric
    nic = fabric.ports["nic"].cast(int).fill_null(NONE).to_numpy()
    rail = fabric.nics["rail"].cast(int).fill_null(NONE).to_numpy()
    found = np.full(view.ports, NONE)
    has = nic != NONE
    found[has] = rail[nic[has]]
    return found


def host_rail(view: View, rail: Ints, port: int) -> dict[str, Any]:
    """The rail of a host's port as a subject; planes of one NIC are one subject."""
    found: dict[str, Any] = {"host": view.device_names[view.device[port]], "rail": int(rail[port])}
    network = view.networks[view.network[port]]
    return found if network == MAIN else found | {"network": network}


def device(view: View, number: int) -> dict[str, Any]:
    """A device as a subject."""
    kind = "switch" if number >= view.plan.fabric.hosts.height else "host"
    return {kind: view.device_names[number]}
