"""Samples: the tables that collectors, the store, detectors and the simulator hand each other, keyed by names.

Counters: ``time_ns, received_ns, device, port, <counter>…``, one row a port and time, a column a counter
(``fabric.counters``), cumulative as the device reports them; ``port`` is null for what the device has once. Flow
samples and the outcomes of polls are tables of their own; in a file an outcome is a row of the counters' table, with
``source``, ``outcome`` and ``detail`` filled and no port.

``time_ns`` is the device's clock where it has one, ``received_ns`` ours; both nanoseconds since 1970 (UTC).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

import polars as pl

from fabric.counters import parse
from fabric.errors import InputError, Problem

KEYS: dict[str, type[pl.DataType]] = {
    "time_ns": pl.Int64, "received_ns": pl.Int64, "device": pl.String, "port": pl.String,
}  # fmt: skip
"""The first columns of a table of counters."""

FLOW_SCHEMA: dict[str, type[pl.DataType]] = {
    "time_ns": pl.Int64, "received_ns": pl.Int64, "device": pl.String, "in_port": pl.String, "out_port": pl.String,
    "src_ip": pl.String, "dst_ip": pl.String, "src_port": pl.UInt16, "dst_port": pl.UInt16, "dest_qp": pl.UInt32,
    "opcode": pl.UInt8, "ecn": pl.UInt8, "priority": pl.UInt8, "frame_bytes": pl.UInt32, "sampling_rate": pl.UInt32,
    "sample_pool": pl.UInt32, "drops": pl.UInt32,
}  # fmt: skip
"""Flow samples, one row a sampled frame: ``dest_qp`` and ``opcode`` are RoCEv2's, null elsewhere; ``ecn`` is the two
bits of the IP header; ``priority`` the 802.1p bits, null without a tag; ``sample_pool`` and ``drops`` as the agent
says."""

OUTCOME_SCHEMA: dict[str, type[pl.DataType]] = {
    "time_ns": pl.Int64, "received_ns": pl.Int64, "source": pl.String, "device": pl.String, "outcome": pl.String,
    "detail": pl.String, "seconds": pl.Float64, "rows": pl.UInt32,
}  # fmt: skip
"""How each poll, stream or interval of listening ended: a row each."""


class Outcome(StrEnum):
    """How a poll ended. ``ok`` with no rows, ``empty`` and ``silent`` are different things."""

    OK = "ok"
    PARTIAL = "partial"
    """Some counters or ports are missing; the detail says which."""
    EMPTY = "empty"
    """The device answered that it has none of what was asked."""
    SILENT = "silent"
    """Nothing came: no answer in time, or no datagram or update in the interval."""
    REFUSED = "refused"
    """The address answered that nobody listens."""
    UNREACHABLE = "unreachable"
    """The network says that there is no way."""
    DENIED = "denied"
    """Wrong user, key, community, certificate or rights."""
    MALFORMED = "malformed"
    """The answer is not what the protocol says; nothing of it was taken."""
    LOOPING = "looping"
    """A walk whose object ids do not increase."""
    OVERSIZED = "oversized"
    """More than the bound; what was over it was dropped."""
    UNKNOWN = "unknown"
    """From an agent that is not in the plan; counted and dropped."""
    LATE = "late"
    """The deadline passed in the middle; what had come was kept."""
    SKIPPED = "skipped"
    """Not asked: the poll before was still under way."""
    FAILED = "failed"
    """A program or file that the source reads failed; the detail says how."""


EXTRA: dict[str, type[pl.DataType]] = {"source": pl.String, "outcome": pl.String, "detail": pl.String}
"""Columns that a file of samples may have besides keys and counters."""


def schema(columns: Iterable[str]) -> dict[str, type[pl.DataType]]:
    """Keys, then the dtype of each counter column; raises KeyError for what is none."""
    found = dict(KEYS)
    for column in columns:
        known = parse(column)
        if known is None:
            raise KeyError(column)
        found[column] = known[0].dtype
    return found


def empty(columns: Iterable[str] = ()) -> pl.DataFrame:
    """A table of counters without rows."""
    return pl.DataFrame(schema=schema(columns))


def empty_flows() -> pl.DataFrame:
    """A table of flow samples without rows."""
    return pl.DataFrame(schema=FLOW_SCHEMA)


def empty_outcomes() -> pl.DataFrame:
    """A table of outcomes without rows."""
    return pl.DataFrame(schema=OUTCOME_SCHEMA)


def stacked(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Tables of counters on top of each other: the columns of all, null where a table lacks one."""
    found = [frame for frame in frames if not frame.is_empty()]
    return pl.concat(found, how="diagonal") if found else empty()


def conform(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """A table of counters from a file in the dtypes of the schema; raises InputError with all that is wrong."""
    problems = list(_differences(frame, where))
    if problems:
        raise InputError(problems)
    wanted = schema(column for column in frame.columns if column not in KEYS and column not in EXTRA) | EXTRA
    casts = []
    for column in frame.columns:
        try:
            casts.append(frame[column].cast(wanted[column]))
        except pl.exceptions.PolarsError:
            problems.append(Problem(f"{where}: {column}", f"holds values that are no {wanted[column].__name__}"))
    if problems:
        raise InputError(problems)
    return pl.DataFrame(casts)


def _differences(frame: pl.DataFrame, where: str) -> Iterator[Problem]:
    from fabric.validation import suggest

    for column in ("time_ns", "received_ns", "device", "port"):
        if column not in frame.columns:
            yield Problem(where, f"has no column {column}", "add it; docs/counters.md names all columns")
    known = [*KEYS, *EXTRA]
    for column in frame.columns:
        if column not in known and parse(column) is None:
            from fabric.counters import counters

            yield Problem(f"{where}: {column}", f"unknown column, {suggest(column, [*known, *counters()])}")
