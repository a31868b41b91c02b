"""The counters that a user's Prometheus already has, by its HTTP API: raw samples with the times they were scraped at.

The settings say which selector is which counter (``ifHCInOctets{job="snmp"}``, with a factor: ``ifHighSpeed*0.001``)
and which labels name device and port. A selector is asked for as ``selector[range]``: that gives every sample since
the last poll with its own time, where an instant query would give the newest again and again at the time of asking.
"""

from __future__ import annotations

import asyncio
import base64
import math
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from collectors.secrets import Secret
from collectors.sources import Outcome, Poll, Target
from collectors.sources.prometheus_api import Ask, Ended, connect
from fabric.counters import MOST_INDEX, TAGS, Counter, counters, parse
from fabric.errors import InputError, Problem
from fabric.samples import empty, schema

MOST_SERIES = 2_000_000
"""Whose last time is kept; beyond it a sample may come twice, which the store does not mind."""
OVERLAP = 15.0
"""Seconds asked for again: a slow scrape is stamped when it began."""
FIRST_RANGE = 60.0
_FACTOR = re.compile(r"^(?P<selector>.*[^\s*])\s*\*\s*(?P<factor>[0-9.]+(?:e[+-]?[0-9]+)?)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """A selector and what its series are: a counter, its number (None: the label has it), a factor."""

    column: str
    counter: Counter
    index: int | None
    selector: str
    factor: float


@dataclass(frozen=True, slots=True)
class Options:
    """What the settings say of a server; ``devices``: of the plan, by every value that the device's label may have."""

    queries: tuple[Query, ...]
    devices: Mapping[str, Target]
    device_label: str = "device"
    port_label: str = "port"
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    context: ssl.SSLContext | None = None


class Prometheus:
    """Polls servers of the Prometheus HTTP API (``collectors.sources.Polled``); a poll has the rows of many devices.

    ``options`` of a target: ``queries`` (selector by column or counter), ``devices`` (targets of the plan, whose names,
    addresses and ports the labels are), ``device_label``, ``port_label``, ``path``, ``token`` or ``user`` and
    ``password`` (secrets), ``ca`` (PEM file), ``insecure``.
    """

    name = "prometheus"

    def __init__(self) -> None:
        self._options: dict[str, Options] = {}
        self._asked: dict[str, float] = {}
        self._last: dict[tuple[str, str, str | None, str], int] = {}
        self._counts = dict.fromkeys(("polls", "queries", "bytes", "samples", "unknown", "unusable"), 0)

    async def poll(self, target: Target, timeout: float) -> Poll:
        """All samples since the last poll. Raises InputError for options that cannot be, nothing for what is sent."""
        if target.device not in self._options:
            self._options[target.device] = options(target)
        self._counts["polls"] += 1
        return await asyncio.to_thread(self._poll, target, self._options[target.device], timeout)

    async def close(self) -> None:
        """Forget servers and series."""
        self._options.clear()
        self._last.clear()

    def health(self) -> Mapping[str, float]:
        """Counts since the start."""
        return dict(self._counts)

    def _poll(self, target: Target, said: Options, timeout: float) -> Poll:
        began, now_ns = time.monotonic(), time.time_ns()
        now = now_ns / 1e9
        span = max(1.0, min(86400.0, now - self._asked.get(target.device, now - FIRST_RANGE) + OVERLAP))
        gathered = _Gathered(said, now_ns, self._last)
        problems: list[Ended] = []
        connection = connect(target.address, target.port, said.context)
        try:
            for query in said.queries:
                try:
                    self._counts["queries"] += 1
                    ask = Ask(query.column, f"{query.selector}[{math.ceil(span)}s]", now, began + timeout * 0.95)
                    answer = ask.send(connection, said.path, said.headers)
                    self._counts["bytes"] += len(answer)
                    gathered.add(query, ask.read(answer))
                except Ended as ended:
                    problems.append(ended)
                    connection.close()
                    if ended.outcome not in (Outcome.FAILED, Outcome.OVERSIZED, Outcome.MALFORMED):
                        break
        finally:
            connection.close()
        if not problems:
            self._asked[target.device] = now
        return self._result(target, gathered, problems, now_ns, time.monotonic() - began)

    def _result(self, target: Target, gathered: _Gathered, problems: list[Ended], started_ns: int,
                seconds: float) -> Poll:  # fmt: skip
        self._counts["samples"] += gathered.count
        self._counts["unknown"] += len(gathered.unknown)
        self._counts["unusable"] += gathered.unusable
        if len(self._last) > MOST_SERIES:
            self._last.clear()
        rows = gathered.table()
        outcome = Outcome.OK if gathered.series else Outcome.EMPTY
        if problems:
            outcome = Outcome.PARTIAL if gathered.series else problems[0].outcome
        detail = "; ".join(dict.fromkeys(problem.detail for problem in problems))
        return Poll(self.name, target.device, outcome, started_ns, seconds, rows, detail=detail,
                    unknown=len(gathered.unknown))  # fmt: skip


class _Gathered:
    """Samples of one poll, by column."""

    def __init__(self, said: Options, received_ns: int, last: dict[tuple[str, str, str | None, str], int]) -> None:
        self.said, self.received_ns, self.last = said, received_ns, last
        self.unknown: set[tuple[str, str]] = set()
        self.series = self.unusable = self.count = 0
        self._parts: dict[str, list[pl.DataFrame]] = {}

    def add(self, query: Query, series: list[Any]) -> None:
        """The series of one answer; raises Ended for what is none."""
        try:
            for each in series:
                self._series(query, each["metric"], each["values"])
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise Ended(Outcome.MALFORMED, f"{query.column}: its answer is no range of samples") from error

    def _series(self, query: Query, labels: dict[str, str], told: list[Any]) -> None:
        place = self._place(labels)
        index = query.index
        if query.counter.indexed and index is None:
            text = labels.get(TAGS[query.counter.object], "")
            index = int(text) if text.isascii() and text.isdigit() and int(text) <= MOST_INDEX else None
        if place is None or query.counter.indexed != (index is not None):
            self.unknown.add((labels.get(self.said.device_label, ""), labels.get(self.said.port_label, "")))
            return
        column = query.counter.column(index)
        key = (*place, column)
        since = self.last.get((self.said.path, *key), 0)
        pairs = [(round(float(at) * 1000) * 1_000_000, _number(query, text)) for at, text in told]
        kept = [(at, value) for at, value in pairs if value is not None and at > since]
        self.series += 1
        self.unusable += sum(value is None for _, value in pairs)
        if kept:
            self.last[self.said.path, *key] = max(at for at, _ in kept)
            self._keep(column, place, kept)

    def _place(self, labels: dict[str, str]) -> tuple[str, str | None] | None:
        """Device and port of a series; port is None where it has no such label."""
        device = self.said.devices.get(labels.get(self.said.device_label, ""))
        if device is None or self.said.port_label not in labels:
            return None if device is None else (device.device, None)
        port = device.ports.get(labels[self.said.port_label])
        return None if port is None else (device.device, port)

    def _keep(self, column: str, place: tuple[str, str | None], kept: list[tuple[int, int | float]]) -> None:
        times, numbers = zip(*kept, strict=True)
        self.count += len(kept)
        data = {"time_ns": times, "device": place[0], "port": place[1], column: numbers}
        wanted = schema([column])
        frame = pl.DataFrame({name: pl.Series(name, [value] * len(kept) if name in ("device", "port") else value,
                                              dtype=wanted[name]) for name, value in data.items()})  # fmt: skip
        self._parts.setdefault(column, []).append(frame)

    def table(self) -> pl.DataFrame:
        """A row a port and time, a column a counter."""
        found: pl.DataFrame | None = None
        keys = ["time_ns", "device", "port"]
        for parts in self._parts.values():
            part = pl.concat(parts).unique(keys, keep="last", maintain_order=True)
            found = part if found is None else found.join(part, on=keys, how="full", coalesce=True, nulls_equal=True)
        if found is None:
            return empty()
        received = pl.lit(self.received_ns, pl.Int64).alias("received_ns")
        return found.select("time_ns", received, "device", "port", *self._parts).sort("device", "port", "time_ns")


def _number(query: Query, text: str) -> int | float | None:
    """A sample's value as its column keeps it; None if it cannot."""
    value = float(text) * query.factor
    if not math.isfinite(value):
        return None
    if query.counter.dtype == pl.Float64:
        return value
    most = 255 if query.counter.dtype == pl.UInt8 else 2**64 - 1
    return int(value) if value.is_integer() and 0 <= value <= most else None


def options(target: Target) -> Options:
    """The options of a server; raises InputError with all that is wrong with them."""
    given = dict(target.options)
    where, problems = f"prometheus: {target.device}", list[Problem]()
    found: dict[str, Any] = {"queries": tuple(_queries(given.pop("queries", None), where, problems))}
    devices = given.pop("devices", ())
    assert isinstance(devices, list | tuple)
    found["devices"] = {
        name: each for each in devices for name in (f"{each.address}:{each.port}", each.address, each.device)
    }
    found["headers"] = _headers(given, where, problems)
    found["context"] = _context(given, where, problems)
    for key in ("device_label", "port_label", "path"):
        if key in given:
            found[key] = str(given.pop(key)).rstrip("/")
    problems += [Problem(f"{where}: {key}", "unknown") for key in sorted(given)]
    if problems:
        raise InputError(problems)
    return Options(**found)


def _queries(table: object, where: str, problems: list[Problem]) -> Iterator[Query]:
    if not isinstance(table, Mapping) or not table:
        problems.append(Problem(f"{where}: queries", "is no table of selectors", 'say e.g. rx_bytes = "ifHCInOctets"'))
        return
    for column, text in table.items():
        known = parse(column)
        counter = known[0] if known else counters().get(column)
        if counter is None or counter.kind == "text":
            problems.append(Problem(f"{where}: queries.{column}", "is no counter", "docs/counters.md has them all"))
        elif not isinstance(text, str) or not text.strip():
            problems.append(Problem(f"{where}: queries.{column}", "is no selector"))
        else:
            match = _FACTOR.match(text.strip())
            selector, factor = (match["selector"], float(match["factor"])) if match else (text.strip(), 1.0)
            yield Query(column, counter, known[1] if known else None, selector, factor)


def _headers(given: dict[str, object], where: str, problems: list[Problem]) -> dict[str, str]:
    token, user, password = given.pop("token", None), given.pop("user", None), given.pop("password", None)
    for name, secret in (("token", token), ("password", password)):
        if secret is not None and not isinstance(secret, Secret):
            problems.append(Problem(f"{where}: {name}", "is not a secret", "say the secret's name in the settings"))
    if isinstance(token, Secret):
        return {"Authorization": f"Bearer {token.reveal()}"}
    if isinstance(password, Secret):
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()}
    return {}


def _context(given: dict[str, object], where: str, problems: list[Problem]) -> ssl.SSLContext | None:
    ca = given.pop("ca", None)
    if given.pop("insecure", False) is True:
        return None
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        problems.append(Problem(f"{where}: ca", f"cannot be read: {error}"))
        return None
