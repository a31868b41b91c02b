"""Hosts: what the agent on each host (``railwright host-agent``) says of its ports, over HTTPS with a token."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import httpx
import polars as pl

from collectors.hostagent import MOST_BYTES, MOST_PORTS, PATH, VERSION
from collectors.secrets import Secret
from collectors.sources import Outcome, Poll, Target
from collectors.sources.lldp import neighbours
from fabric.counters import Counter, counters
from fabric.samples import empty, schema

STATES = {"up": 1, "down": 2, "testing": 3, "unknown": 4, "dormant": 5, "notpresent": 6, "lowerlayerdown": 7}
"""IF-MIB's numbers of Linux' operational states."""
MOST_WAIT_S = 60.0
"""For any one step of a request; the poll's own time ends it sooner."""
Values = dict[str, float | int | str]


class HostSource:
    """Asks the agents of hosts; one connection a host, kept open."""

    name = "host"

    def __init__(self, ca: str | None = None) -> None:
        """``ca``: file of certificates to trust besides the system's own."""
        self._ca = ca
        self._client: httpx.AsyncClient | None = None

    async def poll(self, target: Target, timeout: float) -> Poll:
        """Ask one host. Options: ``token`` (Secret), ``insecure`` (plain HTTP, where the settings say so)."""
        started_ns, began = time.time_ns(), time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                text = await self._fetch(target)
            outcome, rows, detail, unknown = _read(text, target, time.time_ns())
        except _Ended as ended:
            outcome, rows, detail, unknown = ended.outcome, empty(), ended.detail, 0
        except (TimeoutError, httpx.TimeoutException):
            outcome, rows, detail, unknown = Outcome.SILENT, empty(), f"no answer within {timeout:g} s", 0
        except httpx.HTTPError as error:
            outcome, rows, detail, unknown = _failure(error), empty(), _reason(error), 0
        seconds = time.monotonic() - began
        return Poll(self.name, target.device, outcome, started_ns, seconds, rows, detail=detail, unknown=unknown)

    async def _fetch(self, target: Target) -> bytes:
        """The body of the answer, at most MOST_BYTES of it."""
        token = target.options.get("token")
        headers = {"Authorization": f"Bearer {token.reveal()}"} if isinstance(token, Secret) else {}
        scheme = "http" if target.options.get("insecure") else "https"
        address = f"[{target.address}]" if ":" in target.address else target.address
        url = f"{scheme}://{address}:{target.port}{PATH}"
        async with self._http().stream("GET", url, headers=headers) as answer:
            if answer.status_code in (401, 403):
                raise _Ended(Outcome.DENIED, f"HTTP {answer.status_code}")
            if answer.status_code != 200:
                raise _Ended(Outcome.MALFORMED, f"HTTP {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise _Ended(Outcome.OVERSIZED, f"more than {MOST_BYTES} bytes")
            return bytes(body)

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            import ssl

            # A handshake a poll, of TLS, is what connections are kept open against: they outlast any period.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=4096, keepalive_expiry=None)
            trusted = ssl.create_default_context(cafile=self._ca)
            self._client = httpx.AsyncClient(
                verify=trusted, limits=limits, timeout=MOST_WAIT_S, follow_redirects=False, trust_env=False
            )  # fmt: skip
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class _Ended(Exception):  # noqa: N818  # how a poll ended, not a fault of ours
    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail


def _failure(error: httpx.HTTPError) -> Outcome:
    import errno
    import ssl

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return Outcome.DENIED
        if isinstance(cause, ConnectionRefusedError):
            return Outcome.REFUSED
        if isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return Outcome.UNREACHABLE
        cause = cause.__cause__ or cause.__context__
    text = str(error).lower()
    if isinstance(error, httpx.ConnectError):
        return Outcome.REFUSED if "connect" in text and "unreach" not in text else Outcome.UNREACHABLE
    return Outcome.MALFORMED


def _reason(error: httpx.HTTPError) -> str:
    return (str(error) or type(error).__name__)[:200]


def _read(text: bytes, target: Target, received_ns: int) -> tuple[Outcome, pl.DataFrame, str, int]:
    """Outcome, rows, detail and number of ports that the plan does not have, of one answer."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return Outcome.MALFORMED, empty(), "is not JSON", 0
    if not isinstance(found, dict) or found.get("version") != VERSION or not isinstance(found.get("ports"), list):
        return Outcome.MALFORMED, empty(), f"is no answer of version {VERSION}", 0
    if found.get("host") != target.device:
        return Outcome.UNKNOWN, empty(), f"says that it is {str(found.get('host'))[:64]!r}", 0
    rows, unknown = _rows(found["ports"][:MOST_PORTS], target.ports)
    for port, values in neighbours(found.get("lldp")).items():
        if port in target.ports:
            rows.setdefault(target.ports[port], {}).update(values)
    if not rows:
        return Outcome.EMPTY, empty(), "none of its ports is in the plan", unknown
    time_ns = found.get("time_ns")
    at = time_ns if isinstance(time_ns, int) and 0 < time_ns < 1 << 63 else received_ns
    detail = "" if len(found["ports"]) <= MOST_PORTS else f"more than {MOST_PORTS} ports"
    missing = sorted(set(target.ports.values()) - set(rows))
    if missing and not detail:
        detail = f"says nothing of {', '.join(missing[:4])}" + (" …" if len(missing) > 4 else "")
    return (Outcome.PARTIAL if detail else Outcome.OK), _frame(rows, target.device, at, received_ns), detail, unknown


def _rows(ports: list[Any], known: Mapping[str, str]) -> tuple[dict[str, Values], int]:
    rows: dict[str, Values] = {}
    unknown = 0
    for port in ports:
        names, values = (port.get("names"), port.get("values")) if isinstance(port, dict) else (None, None)
        if not isinstance(names, list) or not isinstance(values, dict):
            unknown += 1
            continue
        name = next((known[name] for name in names if isinstance(name, str) and name in known), None)
        if name is None:
            unknown += 1
        else:
            rows.setdefault(name, {}).update(_values(values))
    return rows, unknown


def _values(raw: Mapping[Any, Any]) -> Iterator[tuple[str, float | int | str]]:
    """Columns and values of one port's raw ones; what is no number where one belongs is left out.

    Where a counter has two addresses, the later in ``sysfs`` and then ``ethtool`` wins: the port's own count before
    that of its interface.
    """
    for address, text in sorted(raw.items(), key=lambda item: _order().get(str(item[0]), 0)):
        place = _place(address) if isinstance(address, str) else None
        if place is None or not isinstance(text, str):
            continue
        counter, index, factor = place
        value = _number(counter, text, factor)
        if value is not None:
            yield counter.column(index), value


def _number(counter: Counter, text: str, factor: float) -> float | int | str | None:
    if counter.kind == "text":
        return text
    if counter.kind == "state":
        return STATES.get(text)
    try:
        if counter.kind == "counter" and counter.unit != "s":
            number = int(text) * int(factor)
            return number if 0 <= number < 1 << 64 else None
        return float(text.split()[0]) * factor
    except (ValueError, IndexError):
        return None


@cache
def _order() -> dict[str, int]:
    paths = [p.path for k in ("sysfs", "ethtool") for c in counters().values() for p in c.addresses[k]]
    return {path: number for number, path in enumerate(paths)}


@cache
def _exact() -> dict[str, tuple[Counter, float]]:
    return {
        place.path: (counter, place.factor)
        for protocol in ("sysfs", "ethtool")
        for counter in counters().values()
        for place in counter.addresses[protocol]
        if "{index}" not in place.path
    }


@cache
def _numbered() -> tuple[tuple[re.Pattern[str], Counter, float], ...]:
    return tuple(
        (re.compile(re.escape(place.path).replace(r"\{index\}", r"(\d)")), counter, place.factor)
        for counter in counters().values()
        for place in counter.addresses["ethtool"]
        if "{index}" in place.path
    )


_PLACES: dict[str, tuple[Counter, int | None, float] | None] = {}
MOST_PLACES = 4096


def _place(address: str) -> tuple[Counter, int | None, float] | None:
    """The counter at an address, its number and factor; remembered for the first MOST_PLACES addresses."""
    if address in _PLACES:
        return _PLACES[address]
    found: tuple[Counter, int | None, float] | None = None
    if address in _exact():
        counter, factor = _exact()[address]
        found = None if counter.indexed else (counter, None, factor)
    else:
        for pattern, counter, factor in _numbered():
            if match := pattern.fullmatch(address):
                found = (counter, int(match[1]), factor)
                break
    if len(_PLACES) < MOST_PLACES:
        _PLACES[address] = found
    return found


def _frame(rows: Mapping[str, Values], device: str, time_ns: int, received_ns: int) -> pl.DataFrame:
    columns = sorted({column for values in rows.values() for column in values})
    data: dict[str, list[Any]] = {
        "time_ns": [time_ns] * len(rows),
        "received_ns": [received_ns] * len(rows),
        "device": [device] * len(rows),
        "port": list(rows),
    }
    for column in columns:
        data[column] = [values.get(column) for values in rows.values()]
    return pl.DataFrame(data, schema=schema(columns))
