"""``load.csv``: what others already send, ``device,port,gbps`` a line, the port being the one that sends."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from fabric.errors import InputError, Problem
from fabric.plan import Plan

COLUMNS = ["device", "port", "gbps"]
MOST_BYTES = 64 << 20
MOST_PROBLEMS = 50


def read_load(path: Path, plan: Plan) -> dict[int, float]:
    """Gb/s by port id; raises InputError with all that is wrong."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "name a CSV file"))
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "cannot be read: is no UTF-8 text", "name a CSV file")) from error
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise InputError(Problem(str(path), f"cannot be read: {reason}", "name a CSV file")) from error
    return parse_load(text, plan, str(path))


def parse_load(text: str, plan: Plan, where: str = "load") -> dict[int, float]:
    """The same of the file's text."""
    lines = text.splitlines()
    if not lines or [name.strip().lower() for name in lines[0].split(",")] != COLUMNS:
        raise InputError(Problem(f"{where}: line 1", "is no header of such a file", f"write {','.join(COLUMNS)}"))
    names = plan.fabric.device_names()
    ports = plan.fabric.ports.select("device", "name", "id")
    known = {(names[device], name): port for device, name, port in ports.iter_rows()}
    found: dict[int, float] = {}
    problems: list[Problem] = []
    for number, cells in enumerate(csv.reader(lines[1:], quoting=csv.QUOTE_NONE), 2):
        row = [cell.strip() for cell in cells]
        if not any(row):
            continue
        problem = _problem(row, known, found)
        if problem:
            problems.append(Problem(f"{where}: line {number}", *problem))
            if len(problems) == MOST_PROBLEMS:
                break
        else:
            found[known[row[0], row[1]]] = float(row[2])
    if problems:
        raise InputError(problems)
    return found


def _problem(row: list[str], known: dict[tuple[str, str], int], found: dict[int, float]) -> tuple[str, str] | None:
    if len(row) != len(COLUMNS):
        return f"has {len(row)} cells, the header {len(COLUMNS)}", "names hold no comma"
    if (row[0], row[1]) not in known:
        return f'the plan has no port "{row[1][:60]}" of "{row[0][:60]}"', "names are those of cables.csv"
    try:
        gbps = float(row[2])
    except ValueError:
        gbps = math.nan
    if not 0 <= gbps < math.inf:
        return f'gbps "{row[2][:60]}" is no rate', "write Gb/s, 0 or more"
    if known[row[0], row[1]] in found:
        return f"{row[0]} {row[1]} is there already", "give one line a port"
    return None
