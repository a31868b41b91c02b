"""Announced work: ``maintenance.csv`` with ``device,start,end``, a device a row."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from collectors.detectors.jobs import texts
from collectors.detectors.life import Maintenance
from fabric.errors import InputError, Problem
from fabric.plan import Plan

COLUMNS = ("device", "start", "end")
MOST_PROBLEMS = 20


def read_maintenance(path: Path, plan: Plan) -> tuple[Maintenance, ...]:
    """The windows of a file, devices of the same times together. Raises InputError with all that is wrong with it.

    ``start`` and ``end`` are times of RFC 3339 or nanoseconds since 1970.
    """
    rows = texts(path, COLUMNS)
    known = set(plan.fabric.device_names())
    windows: dict[tuple[int, int], set[str]] = defaultdict(set)
    problems: list[Problem] = []
    for line, (device, start, end) in enumerate(rows.iter_rows(), 2):
        where = f"{path}:{line}"
        if device not in known:
            problems.append(Problem(f"{where}: device", f'the plan has no device "{(device or "")[:60]}"'))
        times = [_time_ns(text) for text in (start, end)]
        for name, text, found in zip(COLUMNS[1:], (start, end), times, strict=True):
            if found is None:
                remedy = "write 2026-01-31T12:00:00Z, or nanoseconds since 1970"
                problems.append(Problem(f"{where}: {name}", f'"{(text or "")[:60]}" is no time', remedy))
        first, last = times
        if first is not None and last is not None:
            if last <= first:
                problems.append(Problem(f"{where}: end", "is not after start"))
            windows[first, last].add(device or "")
    if problems:
        raise InputError(problems[:MOST_PROBLEMS])
    return tuple(Maintenance(*times, frozenset(devices)) for times, devices in sorted(windows.items()))


def _time_ns(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 18 + 1:
        return min(int(text), 2**63 - 1)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000) * 1_000_000
