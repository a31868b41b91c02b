"""LLDP as ``lldpcli`` writes it: who is at the other end of each interface.

Switches are asked by SNMP or gNMI; hosts by their agent, which hands on what ``lldpcli -f json0`` says. This source
asks daemons whose control sockets are on this machine, as those of network namespaces are: the option ``socket`` is
the path of a device's socket, with ``{device}`` for its name.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from collectors.sources import Outcome, Poll, Target
from fabric.errors import InputError, Problem
from fabric.samples import empty, schema

COLUMNS = ("lldp_system", "lldp_chassis", "lldp_port", "lldp_port_description")
MOST_TEXT = 255
"""Octets that the standard gives a text."""
MOST_BYTES = 4 << 20


def neighbours(found: Any) -> dict[str, dict[str, float | int | str]]:
    """Columns and values by interface, of parsed ``lldpcli -f json0`` (or ``json``) output; of anything else, nothing.

    Where an interface has several neighbours (a switch between that forwards LLDP), the first counts.
    """
    rows: dict[str, dict[str, float | int | str]] = {}
    for lldp in _listed(found.get("lldp") if isinstance(found, Mapping) else found):
        for interface in _interfaces(lldp):
            name = interface.get("name")
            if isinstance(name, str) and name not in rows:
                values: dict[str, float | int | str] = dict(_neighbour(interface))
                if values:
                    rows[name] = values
    return rows


def _interfaces(lldp: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Interfaces of either form: ``[{"name": "eth0", …}]`` (json0) or ``{"eth0": {…}}``, once or in a list (json)."""
    for entry in _listed(lldp.get("interface")):
        if isinstance(entry.get("name"), str):
            yield entry
        else:
            yield from ({**value, "name": name} for name, value in entry.items() if isinstance(value, Mapping))


def _neighbour(interface: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    chassis = next(_listed(interface.get("chassis")), {})
    if chassis and "id" not in chassis and len(chassis) == 1:
        system, inner = next(iter(chassis.items()))
        chassis = {**(inner if isinstance(inner, Mapping) else {}), "name": system}
    port = next(_listed(interface.get("port")), {})
    texts = (_value(chassis.get("name")), _value(chassis.get("id")), _value(port.get("id")), _value(port.get("descr")))
    for column, text in zip(COLUMNS, texts, strict=True):
        if text:
            yield column, text[:MOST_TEXT]


def _listed(found: Any) -> Iterator[Mapping[str, Any]]:
    """The mappings in a list, or the one that is none."""
    yield from (item for item in (found if isinstance(found, list) else [found]) if isinstance(item, Mapping))


def _value(found: Any) -> str:
    """``"text"``, ``{"value": "text"}`` or a list of such: the first text."""
    first = found[0] if isinstance(found, list) and found else found
    inner = first.get("value") if isinstance(first, Mapping) else first
    return inner if isinstance(inner, str) else ""


def rows(found: Any, target: Target, received_ns: int) -> tuple[pl.DataFrame, int]:
    """A table of counters with the neighbours of a target's ports, and how many interfaces the plan does not have."""
    by_port = neighbours(found)
    known = {target.ports[name]: values for name, values in by_port.items() if name in target.ports}
    data: dict[str, list[Any]] = {
        "time_ns": [received_ns] * len(known),
        "received_ns": [received_ns] * len(known),
        "device": [target.device] * len(known),
        "port": list(known),
    }
    data |= {column: [values.get(column) for values in known.values()] for column in COLUMNS}
    return pl.DataFrame(data, schema=schema(COLUMNS)), len(by_port) - len(known)


def check(target: Target) -> None:
    """Raise InputError where the options do not say which socket to ask."""
    socket = target.options.get("socket")
    if not isinstance(socket, str) or not socket.startswith("/"):
        remedy = 'write socket = "/run/…/{device}.sock"'
        raise InputError(Problem("collect.lldp.socket", "is no path of a control socket", remedy))


class LldpSource:
    """Asks lldpd by ``lldpcli``."""

    name = "lldp"

    async def poll(self, target: Target, timeout: float) -> Poll:
        """Ask once."""
        started_ns, began = time.time_ns(), time.monotonic()
        socket = str(target.options["socket"]).replace("{device}", target.device)
        command = ["lldpcli", "-u", socket, "-f", "json0", "show", "neighbors"]
        outcome, frame, detail, unknown = Outcome.FAILED, empty(), "", 0
        try:
            found = json.loads(await output_of(command, timeout))
            frame, unknown = rows(found, target, time.time_ns())
            outcome = Outcome.EMPTY if frame.is_empty() else Outcome.OK
        except TimeoutError:
            outcome, detail = Outcome.SILENT, f"lldpcli did not end within {timeout:g} s"
        except OSError as error:
            detail = f"lldpcli: {(error.strerror or str(error)).lower()}"
        except (ValueError, RecursionError):
            outcome, detail = Outcome.MALFORMED, "lldpcli did not write JSON"
        except ProgramError as error:
            detail = str(error)
        seconds = time.monotonic() - began
        return Poll(self.name, target.device, outcome, started_ns, seconds, frame, detail=detail, unknown=unknown)

    async def close(self) -> None:
        """Nothing is kept open."""


class ProgramError(Exception):
    """A program that a source asks ended with an error; the text is the last line it wrote."""


class ProgramCrashError(ProgramError):
    """A program that a source asks was ended by a signal, its own fault as a rule."""


async def output_of(
    command: list[str], timeout: float, environment: Mapping[str, str] | None = None, most_code: int = 0
) -> bytes:
    """What a program prints. Raises OSError, TimeoutError (the program is then ended) or ProgramError.

    ``most_code``: the highest exit code that is no failure.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, limit=MOST_BYTES, env=environment
    )
    try:
        async with asyncio.timeout(timeout):
            printed, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    if not 0 <= process.returncode <= most_code:
        lines = (said.strip() or printed).decode("utf-8", "replace").strip().splitlines()
        kind = ProgramCrashError if process.returncode < 0 else ProgramError
        raise kind(f"{command[0]} ended with {process.returncode}" + (f": {lines[-1][:200]}" if lines else ""))
    return printed
