"""What does not count but is: settings of ports, and who the neighbours say they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from fabric.qos import QosPlan
    from planner.simulate.faults import Fault
    from planner.simulate.ports import Ports

PCIE_LANES, PCIE_GIGATRANSFERS = 16.0, 32.0
"""PCIe 5.0 × 16, as NICs of 400 Gb/s have it."""
DRIFTED_MTU = 1500.0


def states(ports: Ports, faults: tuple[Fault, ...], rules: QosPlan | None) -> list[pl.Series]:
    """Settings and neighbours of every port, as columns."""
    return [*_settings(ports, faults, rules), *_neighbours(ports, faults)]


def _settings(ports: Ports, faults: tuple[Fault, ...], rules: QosPlan | None) -> list[pl.Series]:
    mask = float(sum(1 << p for p in rules.pfc_priorities)) if rules else 0.0
    host = ~ports.switch
    found = {
        "mtu_bytes": np.full(len(ports), float(rules.mtu if rules else 9216)),
        "pfc_enabled_mask": np.full(len(ports), mask),
        "pcie_lanes": np.where(host, PCIE_LANES, np.nan),
        "pcie_gigatransfers": np.where(host, PCIE_GIGATRANSFERS, np.nan),
    }  # fmt: skip
    gid = np.where(host & (rules is not None), "RoCE v2", "").astype(object)
    for fault in faults:
        rows = ports.of(fault) if fault.kind == "config-drift" else np.empty(0, int)
        if fault.setting == "mtu":
            found["mtu_bytes"][rows] = DRIFTED_MTU
        elif fault.setting == "pfc":
            found["pfc_enabled_mask"][rows] = 0.0
        elif fault.setting == "pcie":
            found["pcie_lanes"][rows] = PCIE_LANES / 2
        elif fault.setting == "gid":
            gid[rows] = "IB/RoCE v1"
    columns = [pl.Series(name, column, nan_to_null=True) for name, column in found.items()]
    return [*columns, pl.Series("gid_type", [text or None for text in gid.tolist()], dtype=pl.String)]


def _neighbours(ports: Ports, faults: tuple[Fault, ...]) -> list[pl.Series]:
    """LLDP: the port that each port's cable really ends at; swapped ports hear each other's neighbours."""
    heard = ports.peer.copy()
    down = ports.wires.gbps[ports.rx] <= 0
    for fault in faults:
        if fault.kind != "miswire":
            continue
        one, other = ports.of(fault), ports.at(fault.other_device, fault.other_port)
        far, farther = heard[one], heard[other]
        heard[one], heard[other] = farther, far
        heard[far], heard[farther] = other, one
    return list(_lldp(ports, heard, down))


def _lldp(ports: Ports, heard: Any, down: Any) -> Iterable[pl.Series]:
    aliases = ports.wires.plan.fabric.ports["alias"].gather(ports.port)
    told = {
        "lldp_chassis": ports.names["device"], "lldp_port": aliases, "lldp_port_description": ports.names["port"],
        "lldp_system": ports.names["device"],
    }  # fmt: skip
    silent = pl.Series(down)
    for name, column in told.items():
        yield pl.select(pl.when(~silent).then(column.gather(heard))).to_series().alias(name)
