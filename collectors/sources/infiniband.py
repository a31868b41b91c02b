"""InfiniBand: counters of a whole subnet by ``ibqueryerrors``, links by ``iblinkinfo``, from one machine on it.

A target is a subnet, named like its network in the plan; ``Target.ports`` gives ``device port`` (a blank between) for
``NODE/NUMBER``, NODE being a node's GUID (``0x…``) or its description (``leaf-…``, ``dgx-0000 mlx5_0``): see
``places``. Options: ``map`` (a node-name map), ``ca`` and ``port`` of the adapter to send from, ``environment``.

``ibqueryerrors`` prints data counters of every port, and error counters of the ports where any is above its threshold:
all thresholds are 0 here, so what it does not print is 0. Counters of 32 bits and fewer stick at their maximum.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import polars as pl

from collectors.sources import Outcome, Poll, Target
from collectors.sources.lldp import ProgramCrashError, ProgramError, output_of
from fabric.counters import Counter, counters
from fabric.exports.infiniband import subnets
from fabric.inventory import Inventory
from fabric.plan import Plan
from fabric.samples import empty, schema

MOST_ROWS = 1 << 20
MOST_VALUE = 1 << 64
CRASHES = 3
"""How often a program may crash in one poll: ``ibqueryerrors`` (infiniband-diags 44) does where an answer is late."""
WIDTHS = {"1X": 1, "2X": 2, "4X": 4, "8X": 8, "12X": 12}
LANE_GBPS = {"14.0625": 14.0, "25.78125": 25.0, "53.125": 50.0, "106.25": 100.0, "212.5": 200.0}
"""Data rate by the signalling rate that the programs print (FDR, EDR, HDR, NDR, XDR)."""
Place = tuple[str, str]
Cells = dict[Place, dict[str, float | int]]


def places(plan: Plan, network: str, inventory: Inventory | None = None) -> dict[str, str]:
    """``device port`` of the plan by ``NODE/NUMBER``, NODE once as GUID and once as description.

    ``network``: the InfiniBand network of the plan; GUIDs are the inventory's, or simulated.
    """
    found = subnets(plan, inventory)
    names = plan.fabric.device_names()
    ports = plan.fabric.ports.select(port="id", device="device", title="name")
    own = plan.fabric.ports.filter(pl.col("network").cast(pl.String) == network)["id"]
    rows = found.ends.filter(pl.col("port").is_in(own.implode())).join(ports, on="port", how="left")
    result: dict[str, str] = {}
    for node, number, name, device, title in rows.select("node", "number", "name", "device", "title").iter_rows():
        place = f"{names[device]} {title}"
        result[f"0x{node:016x}/{number}"] = place
        result[f"{name}/{number}"] = place
    return result


class InfinibandSource:
    """Asks subnets through the programs of infiniband-diags."""

    name = "infiniband"

    async def poll(self, target: Target, timeout: float) -> Poll:
        """Ask one subnet: every port of every node of it."""
        started_ns, began = time.time_ns(), time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                outcome, rows, detail, unknown = await self._ask(target, timeout)
        except TimeoutError:
            outcome, rows, detail, unknown = Outcome.SILENT, empty(), f"no answer within {timeout:g} s", 0
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            outcome, rows, unknown = Outcome.FAILED, empty(), 0
            detail = f"{error.filename or 'ibqueryerrors'}: {reason}; install infiniband-diags"
        except ProgramError as error:
            outcome, rows, detail, unknown = Outcome.FAILED, empty(), str(error), 0
        seconds = time.monotonic() - began
        return Poll(self.name, target.device, outcome, started_ns, seconds, rows, detail=detail, unknown=unknown)

    async def _ask(self, target: Target, timeout: float) -> tuple[Outcome, pl.DataFrame, str, int]:
        options, environment = list(_options(target)), _environment(target)
        with tempfile.TemporaryDirectory(prefix="railwright-ib-") as folder:
            thresholds = Path(folder, "thresholds")
            thresholds.write_text("".join(f"{name}=0\n" for name in _error_names()))
            errors = ["ibqueryerrors", *options, "--threshold-file", str(thresholds)]
            data_text = await _output(["ibqueryerrors", *options, "--counters", "--data"], timeout, environment, 1)
            error_text = await _output(errors, timeout, environment, 1)
        link_text = await _output(["iblinkinfo", *options, "--line"], timeout, environment)
        cells = read_counters(data_text.decode("utf-8", "replace"), target.ports)
        swept = _summary(error_text.decode("utf-8", "replace"))
        if not data_text.strip():
            return Outcome.FAILED, empty(), "ibqueryerrors printed nothing: is a subnet manager running?", 0
        if not cells.known:
            return Outcome.EMPTY, empty(), "none of the subnet's ports is in the plan", cells.unknown
        if swept:
            _with_errors(cells, read_counters(error_text.decode("utf-8", "replace"), target.ports))
        _with_links(cells, link_text.decode("utf-8", "replace"), target.ports)
        detail = "" if swept else "ibqueryerrors did not end its sweep: errors are left out"
        return (Outcome.OK if swept else Outcome.PARTIAL), _frame(cells.known, time.time_ns()), detail, cells.unknown

    async def close(self) -> None:
        """Nothing is kept open."""


async def _output(
    command: list[str], timeout: float, environment: Mapping[str, str] | None, most_code: int = 0
) -> bytes:
    """``output_of``, asked again where the program crashed: it only reads."""
    for _ in range(CRASHES - 1):
        try:
            return await output_of(command, timeout, environment, most_code)
        except ProgramCrashError:
            continue
    return await output_of(command, timeout, environment, most_code)


def _options(target: Target) -> Iterator[str]:
    for option, flag in (("ca", "-C"), ("port", "-P"), ("map", "--node-name-map")):
        if target.options.get(option):
            yield from (flag, str(target.options[option]))


def _environment(target: Target) -> dict[str, str] | None:
    given = target.options.get("environment")
    return {**os.environ, **{str(k): str(v) for k, v in given.items()}} if isinstance(given, Mapping) else None


@cache
def _fields() -> dict[str, tuple[Counter, int]]:
    """Counter and factor by the name that the programs give its field."""
    return {
        place.path: (counter, int(place.factor))
        for counter in counters().values()
        for place in counter.addresses["infiniband"]
        if "." not in place.path
    }


@cache
def _error_names() -> tuple[str, ...]:
    """Fields that are printed only where they are above a threshold."""
    always = ("Data", "Pkts")
    return tuple(name for name in _fields() if not name.endswith(always))


class Read:
    """What one run of ``ibqueryerrors`` gave: columns and values by place, and how many ports are not in the plan."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.known: Cells = defaultdict(dict)
        self.unknown = 0


_NODE = re.compile(r'^(?:Data Counters|Errors) for (?:0x([0-9a-f]{1,16}) )?"([^"\n]{0,255})"')
_PORT = re.compile(r"^\s+GUID 0x[0-9a-f]{1,16} port (\d{1,3}):(.*)$")
_FIELD = re.compile(r"\[(\w{1,64}) == (\d{1,20})[ \]]")
_SUMMARY = re.compile(r"^## Summary: \d+ nodes checked", re.MULTILINE)
_LINK = re.compile(
    r"^0x([0-9a-f]{1,16})\s+\"([^\"\n]*)\"\s+\d+\s+(\d+)\[[^\]]*\]\s+==\(\s*(?:(\d+X)\s+([\d.]+) Gbps)?\s*(\w+)/",
    re.MULTILINE,
)


def read_counters(text: str, ports: Mapping[str, str]) -> Read:
    """What ``ibqueryerrors`` printed, by (device, port) of the plan; hostile text gives nothing worse than nothing."""
    read, node = Read(), ("", "")
    for line in text.splitlines()[:MOST_ROWS]:
        if match := _NODE.match(line):
            node = (f"0x{int(match[1], 16):016x}" if match[1] else "", match[2].strip())
        elif (match := _PORT.match(line)) and match[1] != "0":
            place = _place(node, int(match[1]), ports)
            if place is None:
                read.unknown += 1
            else:
                read.known[place].update(_cells(match[2]))
    return read


def _place(node: tuple[str, str], number: int, ports: Mapping[str, str]) -> Place | None:
    for name in node:
        found = ports.get(f"{name}/{number}") if name else None
        if found is not None:
            device, _, port = found.rpartition(" ")
            return device, port
    return None


def _cells(text: str) -> Iterator[tuple[str, int]]:
    for name, value in _FIELD.findall(text):
        known = _fields().get(name)
        if known is not None and int(value) * known[1] < MOST_VALUE:
            yield known[0].column(), int(value) * known[1]


def _summary(text: str) -> bool:
    return _SUMMARY.search(text) is not None


def _with_errors(cells: Read, errors: Read) -> None:
    """Error counters: 0 where the sweep, which reached every node, does not name the port."""
    columns = [_fields()[name][0].column() for name in _error_names()]
    for place, values in cells.known.items():
        values.update(dict.fromkeys(columns, 0) | errors.known.get(place, {}))


def _with_links(cells: Read, text: str, ports: Mapping[str, str]) -> None:
    """State, lanes and speed of each link end."""
    for guid, name, number, width, lane_gbps, state in _LINK.findall(text):
        place = _place((f"0x{int(guid, 16):016x}", name.strip()), int(number), ports)
        if place is None:
            continue
        values = cells.known[place]
        values["oper_status"] = 1 if state == "Active" else 2
        if width in WIDTHS:
            values["width_lanes"] = WIDTHS[width]
            values["speed_gbps"] = WIDTHS[width] * LANE_GBPS.get(lane_gbps, float(lane_gbps))


def _frame(cells: Cells, received_ns: int) -> pl.DataFrame:
    columns = sorted({column for values in cells.values() for column in values})
    known = sorted(cells.items())
    data: dict[str, list[object]] = {
        "time_ns": [received_ns] * len(known),
        "received_ns": [received_ns] * len(known),
        "device": [device for (device, _), _ in known],
        "port": [port for (_, port), _ in known],
    }
    for column in columns:
        data[column] = [values.get(column) for _, values in known]
    return pl.DataFrame(data, schema=schema(columns))
