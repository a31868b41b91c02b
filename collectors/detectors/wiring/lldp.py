"""Neighbours from files that ``lldpcli -f json0 show neighbors`` wrote, a file a device, and from stored samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from collectors.detectors.view import View
from collectors.detectors.wiring.claims import Claims
from collectors.detectors.wiring.names import Names
from collectors.sources.lldp import COLUMNS, neighbours
from fabric.errors import InputError, Problem
from fabric.validation import suggest

MOST_BYTES = 64 << 20
MOST_PROBLEMS = 50
Row = tuple[str, str, str | None, str | None, str | None]
"""Device, its port, and the neighbour's system, port and description."""
SCHEMA = dict.fromkeys(("device", "port", "system", "told", "description"), pl.String)


def read_files(files: Iterable[str], names: Names) -> tuple[Claims, int]:
    """What the devices of the files heard, and how many interfaces with a neighbour the plan does not have.

    Each is a path ``…/DEVICE.json`` or ``DEVICE=PATH``. Raises InputError with everything that is wrong.
    """
    known = set(names.view.device_names)
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for text in files:
        device, path = _named(text, known)
        if device not in known:
            what = f'the plan has no device "{device[:60]}"'
            problems.append(Problem(text, what, f"{suggest(device, sorted(known))}; or write DEVICE={path.name}"))
        elif device in seen:
            problems.append(Problem(text, f"{device} has the file {seen[device]} already", "give one file a device"))
        else:
            seen[device] = text
            try:
                rows += _rows(device, path)
            except InputError as error:
                problems += error.problems
    if problems:
        more = [Problem("--lldp", "more files are wrong", "mend these first")] * (len(problems) > MOST_PROBLEMS)
        raise InputError([*problems[:MOST_PROBLEMS], *more])
    return _claims(pl.DataFrame(rows, schema=SCHEMA, orient="row"), names)


def _named(text: str, known: set[str]) -> tuple[str, Path]:
    """Device and path; an equals sign belongs to the path where what is before it is no device but its name is."""
    before, equals, after = text.partition("=")
    if equals and (before in known or Path(text).stem not in known):
        return before, Path(after)
    return Path(text).stem, Path(text)


def _rows(device: str, path: Path) -> Iterator[Row]:
    for port, said in neighbours(_json(path)).items():
        system, chassis, told, description = (said.get(column) for column in COLUMNS)
        yield device, port, _text(system or chassis), _text(told), _text(description)


def _text(found: Any) -> str | None:
    return found if isinstance(found, str) else None


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "is it lldpcli's?"))
        found = json.loads(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(Problem(str(path), f"cannot be read: {reason}", "name a file of lldpcli")) from error
    except (ValueError, RecursionError) as error:
        remedy = "write it by `lldpcli -f json0 show neighbors`"
        raise InputError(Problem(str(path), "is no JSON", remedy)) from error
    if not isinstance(found, Mapping) or "lldp" not in found:
        remedy = "write it by `lldpcli -f json0 show neighbors`"
        raise InputError(Problem(str(path), "has no neighbours of LLDP in it", remedy))
    return found


def _claims(rows: pl.DataFrame, names: Names) -> tuple[Claims, int]:
    """Rows whose port the plan calls so, by name, alias or label."""
    ids = pl.Series(names.view.device_names, dtype=pl.String).to_frame("device").with_row_index("far_device")
    own = ids.join(names.ports, on=pl.col("far_device").cast(pl.Int64))
    found = rows.join(own.select("device", port="text", id="far"), on=["device", "port"], maintain_order="left")
    found = found.unique("id", keep="first", maintain_order=True)
    texts = (found[column].to_list() for column in ("system", "told", "description"))
    return names.claims(found["id"].to_list(), *texts), rows.height - found.height


def from_samples(rows: pl.DataFrame, view: View) -> tuple[Claims, int | None]:
    """What the newest samples of each port say, and when the newest of all was taken (ns; None without any).

    ``rows``: a table of counters with the columns of LLDP, as a store reads them.
    """
    lacking = {column: pl.lit(None, pl.String) for column in COLUMNS if column not in rows.columns}
    rows = rows.with_columns(**lacking)
    heard = rows.filter(pl.any_horizontal(pl.col(column).is_not_null() for column in COLUMNS[:3]))
    last = heard.sort("time_ns").unique(["device", "port"], keep="last", maintain_order=True)
    known = last.join(view.keys, on=["device", "port"]).sort("id")
    system = pl.coalesce("lldp_system", "lldp_chassis")
    texts = known.select(system, "lldp_port", "lldp_port_description").to_dict(as_series=False).values()
    newest = known["time_ns"].max()
    claims = Names(view).claims(known["id"].to_list(), *texts)
    return claims, newest if isinstance(newest, int) else None
