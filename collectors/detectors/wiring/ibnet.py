"""Neighbours from what ``ibnetdiscover`` prints of an InfiniBand subnet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from collectors.detectors.view import NONE, View
from collectors.detectors.wiring.claims import NOWHERE, Claims
from fabric.errors import InputError, Problem
from fabric.exports.infiniband import subnets
from fabric.inventory import Inventory

MOST_BYTES = 512 << 20
Node = tuple[str, str]
"""GUID (16 digits) and description."""
_NODE = re.compile(r'^(Switch|Ca|Rt)\s+\d{1,3}\s+"[SHR]-([0-9a-f]{1,16})"\s*#\s*"([^"\n]{0,255})"')
_PORT = re.compile(
    r'^\[(\d{1,3})\](?:\[ext \d+\])?(?:\([0-9a-f]{1,16}\))?\s+"[SHR]-([0-9a-f]{1,16})"\[(\d{1,3})\]'
    r"(?:\[ext \d+\])?(?:\([0-9a-f]{1,16}\))?\s*(?:#(.*))?$"
)
_QUOTED = re.compile(r'"([^"\n]{0,255})"')


def read_file(path: Path) -> str:
    """The text of a file. Raises InputError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "is it ibnetdiscover's?"))
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(Problem(str(path), f"cannot be read: {reason}", "name what ibnetdiscover printed")) from error


def cables(text: str) -> Iterator[tuple[Node, int, Node, int]]:
    """Each line of a port: its node and number, and those at the other end; other lines give nothing."""
    own: Node | None = None
    names: dict[str, str] = {}
    lines: list[tuple[Node, int, str, int, str]] = []
    for line in text.splitlines():
        if match := _NODE.match(line):
            own = (f"{int(match[2], 16):016x}", match[3].strip())
            names[own[0]] = own[1]
        elif not line.strip():
            own = None
        elif own is not None and (match := _PORT.match(line)):
            quoted = _QUOTED.findall(match[4] or "")
            lines.append((own, int(match[1]), f"{int(match[2], 16):016x}", int(match[3]), quoted[-1] if quoted else ""))
    for near, number, guid, other, said in lines:
        yield near, number, (guid, names.get(guid, said.strip())), other


def claims(
    text: str, view: View, inventory: Inventory | None = None, where: str = "ibnetdiscover"
) -> tuple[Claims, int]:
    """What the nodes say, and how many of them the plan does not have. Raises InputError where none is in it.

    A node is found by its description (a host's name and its RDMA device), else by its GUID.
    """
    places = _Places(view, inventory)
    found = Claims.none(view.ports)
    ids: list[int] = []
    far: list[int] = []
    devices: list[int] = []
    said: list[tuple[str, str]] = []
    strange: set[Node] = set()
    for near, number, other, at in cables(text):
        port = places.port(near, number)
        if port == NONE:
            strange |= {near} if places.node(near) is None else set()
            continue
        opposite = places.port(other, at)
        ids.append(port)
        far.append(NOWHERE if opposite == NONE else opposite)
        devices.append(int(view.device[opposite]) if opposite != NONE else places.device(other))
        said.append((other[1] or f"0x{other[0]}", str(at)))
    if not ids:
        remedy = "give what `ibnetdiscover` prints, with node descriptions as in `railwright export --to ibnetdiscover`"
        raise InputError(Problem(where, "has no cable of a node that the plan has", remedy))
    found.take(ids, np.array(far), np.array(devices), said)
    return found, len(strange)


class _Places:
    """Port ids by node and number."""

    def __init__(self, view: View, inventory: Inventory | None) -> None:
        subnet = subnets(view.plan, inventory)
        self.view = view
        self.by_guid, self.by_name = ({row[0]: row[1:] for row in rows} for rows in self._nodes(subnet.nodes))
        self.nics, self.switches = _numbers(view)

    def _nodes(self, nodes: pl.DataFrame) -> Iterator[list[tuple[str, int | None, int]]]:
        for column in ("node", "name"):
            rows = nodes.unique(column, keep="none").select(column, "nic", "device").iter_rows()
            yield [(f"{key:016x}" if column == "node" else key, nic, device) for key, nic, device in rows]

    def node(self, node: Node) -> tuple[int | None, int] | None:
        """NIC (None for a switch) and device of a node; None where the plan has none."""
        found: tuple[int | None, int] | None = self.by_name.get(node[1], self.by_guid.get(node[0]))
        return found

    def device(self, node: Node) -> int:
        """Device of a node, or NONE."""
        found = self.node(node)
        return NONE if found is None else found[1]

    def port(self, node: Node, number: int) -> int:
        """Port id, or NONE."""
        found = self.node(node)
        if found is None:
            return NONE
        nic, device = found
        return self.switches.get((device, number), NONE) if nic is None else self.nics.get((nic, number), NONE)


def _numbers(view: View) -> tuple[Mapping[tuple[int, int], int], Mapping[tuple[int, int], int]]:
    """Port ids by NIC and number (from 1), and by switch and number (which its ports' names end in)."""
    ports = view.plan.fabric.ports.filter(pl.col("use") != "mgmt")
    nics = ports.filter(pl.col("nic").is_not_null()).with_columns(n=pl.int_range(1, pl.len() + 1).over("nic"))
    switches = ports.filter(pl.col("nic").is_null() & (pl.col("device") >= view.plan.fabric.hosts.height))
    switches = switches.with_columns(n=pl.col("name").str.extract(r"(\d+)$").cast(pl.Int64, strict=False))
    by_nic = {(nic, n): port for nic, n, port in nics.select("nic", "n", "id").iter_rows()}
    return by_nic, {(d, n): port for d, n, port in switches.select("device", "n", "id").iter_rows()}
