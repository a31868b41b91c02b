"""``flows.csv`` and ``dead.csv``: who sends how much to whom, and what of the fabric does not work.

Both are CSV without quoting (names hold no comma); columns may come in any order, blank lines are skipped. Everything
that is wrong with a file is told at once, at most 50 things. Names are those of ``cables.csv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.errors import InputError, Problem
from fabric.validation import suggest

if TYPE_CHECKING:
    from fabric.plan import Plan

Mask = npt.NDArray[np.bool_]

FLOW_COLUMNS = ("flow", "src_host", "src_rail", "dst_host", "dst_rail", "gbps", "plane", "queue_pairs")
FLOW_OPTIONAL = ("plane", "queue_pairs")
FLOWS: dict[str, type[pl.DataType]] = {
    "flow": pl.UInt32, "src_host": pl.UInt32, "src_rail": pl.UInt16, "dst_host": pl.UInt32, "dst_rail": pl.UInt16,
    "gbps": pl.Float64, "plane": pl.UInt16, "queue_pairs": pl.UInt16,
}  # fmt: skip
"""Columns of a frame of flows; hosts are device ids, ``plane`` is null where any will do."""
DEAD_COLUMNS = ("device", "port")
MOST_PROBLEMS = 50
"""Problems of one file that are told; the last says how many more there are."""
MOST_BYTES = 256 << 20
MOST_QUEUE_PAIRS = 1024
MOST_GBPS = 1_000_000.0
_LINE = "line"


@dataclass(frozen=True)
class Dead:
    """What does not work: device ids, and port ids; a dead port kills its link in both directions."""

    devices: npt.NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    ports: npt.NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))

    def dead_links(self, plan: Plan) -> Mask:
        """Which links do not work, by link id."""
        links = plan.fabric.links
        found: Mask = np.zeros(links.height, dtype=np.bool_)
        for column, ids in (("device", self.devices), ("port", self.ports)):
            for side in "ab":
                ends = links[f"{side}_{column}"].is_in(ids.tolist())
                found |= ends.fill_null(value=False).to_numpy()
        return found


def read_flows(path: Path, plan: Plan, network: str | None = None) -> pl.DataFrame:
    """The flows of a file, in its order: the columns of ``FLOWS``.

    ``network`` is that of the NICs (default: the plan's first). Raises InputError with all that is wrong.
    """
    return parse_flows(_text(path), plan, network, str(path))


def parse_flows(text: str, plan: Plan, network: str | None = None, where: str = "flows") -> pl.DataFrame:
    """The same of the file's text."""
    rows = _cells(text, FLOW_COLUMNS, FLOW_OPTIONAL, where)
    network = network or next(iter(plan.design.networks))
    ids = _device_ids(plan).filter(pl.col("id") < plan.fabric.hosts.height)
    for end in ("src", "dst"):
        known = ids.rename({"name": f"{end}_host", "id": f"{end}_id"})
        rows = rows.join(known, on=f"{end}_host", how="left", maintain_order="left")
    rows = _numbers(rows)
    rows = _with_ports(rows, plan, network)
    problems = _flow_problems(rows, where, network)
    if problems:
        raise InputError(problems)
    return rows.select(
        flow="flow_n", src_host="src_id", src_rail="src_rail_n", dst_host="dst_id", dst_rail="dst_rail_n",
        gbps="gbps_n", plane="plane_n", queue_pairs=pl.col("queue_pairs_n").fill_null(1),
    ).select(pl.col(name).cast(dtype) for name, dtype in FLOWS.items())  # fmt: skip


def read_dead(path: Path, plan: Plan) -> Dead:
    """The devices and ports of a file. Raises InputError with all that is wrong."""
    return parse_dead(_text(path), plan, str(path))


def parse_dead(text: str, plan: Plan, where: str = "dead") -> Dead:
    """The same of the file's text."""
    rows = _cells(text, DEAD_COLUMNS, ("port",), where)
    rows = rows.join(_device_ids(plan), left_on="device", right_on="name", how="left", maintain_order="left")
    ports = plan.fabric.ports.filter(pl.col("device").is_in(rows["id"].drop_nulls().unique().to_list()))
    known = ports.select(id="device", port="name", port_id="id").unique(["id", "port"], keep="first")
    rows = rows.join(known, on=["id", "port"], how="left", maintain_order="left")
    wrong = [
        _Wrong(pl.col("id").is_null(), 'the plan has no device "{}"', ("device",), "names are those of cables.csv"),
        _Wrong(
            pl.col("id").is_not_null() & (pl.col("port") != "") & pl.col("port_id").is_null(),
            '{} has no port "{}"', ("device", "port"), "names are those of cables.csv",
        ),
    ]  # fmt: skip
    if problems := _told(rows, wrong, where):
        raise InputError(problems)
    whole = rows.filter(pl.col("port") == "")["id"].unique().sort()
    return Dead(whole.to_numpy().astype(np.uint32), rows["port_id"].drop_nulls().unique().sort().to_numpy())


@dataclass(frozen=True)
class _Wrong:
    """Rows that are wrong in one way: which, what is said with which cells, and what to do."""

    which: pl.Expr
    what: str
    cells: tuple[str, ...]
    remedy: str


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "split it"))
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), "cannot be read: is no UTF-8 text", "name a CSV file")) from error
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise InputError(Problem(str(path), f"cannot be read: {reason}", "name a CSV file")) from error


def _cells(text: str, columns: Sequence[str], optional: Sequence[str], where: str) -> pl.DataFrame:
    """Every cell as text, a column of the file a column, and ``line``; columns left out are empty."""
    first, _, rest = text.partition("\n")
    header = [name.strip(' "\r\t').lower() for name in first.split(",")]
    if problems := _header(header, columns, optional, where):
        raise InputError(problems)
    lines = pl.DataFrame({"text": pl.Series(rest.split("\n"), dtype=pl.String)}).with_row_index(_LINE, offset=2)
    lines = lines.filter(pl.col("text").str.contains(r'[^\s,"]')).with_columns(cells=pl.col("text").str.split(","))
    long = lines.filter(pl.col("cells").list.len() > len(header))
    if long.height:
        said = long.select(_LINE, pl.col("cells").list.len()).head(MOST_PROBLEMS).rows()
        what = f"cells, the header {len(header)}"
        raise InputError(
            [Problem(f"{where}: line {n}", f"has {count} {what}", "names hold no comma") for n, count in said]
        )
    made = {
        name: pl.col("cells").list.get(header.index(name), null_on_oob=True).fill_null("").str.strip_chars(' "\r\t')
        if name in header
        else pl.lit("")
        for name in columns
    }
    return lines.select(_LINE, **made)


def _header(header: list[str], columns: Sequence[str], optional: Sequence[str], where: str) -> list[Problem]:
    at = f"{where}: line 1"
    if header == [""]:
        return [Problem(at, "the file is empty", f"write the columns {','.join(columns)}")]
    found = []
    for name in dict.fromkeys(header):
        if name not in columns:
            found.append(Problem(at, f'unknown column "{name[:40]}", {suggest(name, columns)}'))
        elif header.count(name) > 1:
            found.append(Problem(at, f'column "{name}" is there twice', "keep one"))
    missing = [name for name in columns if name not in header and name not in optional]
    found += [Problem(at, f"there is no column {name}", f"write the columns {','.join(columns)}") for name in missing]
    return found[:MOST_PROBLEMS]


def _device_ids(plan: Plan) -> pl.DataFrame:
    names = plan.fabric.device_names()
    return pl.DataFrame({"name": names, "id": pl.int_range(len(names), dtype=pl.UInt32, eager=True)})


def _numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Cells as numbers in columns ``…_n``; null where they are none."""
    whole = {f"{name}_n": _whole(name) for name in ("flow", "src_rail", "dst_rail", "plane", "queue_pairs")}
    return rows.with_columns(gbps_n=pl.col("gbps").cast(pl.Float64, strict=False), **whole)


def _whole(name: str) -> pl.Expr:
    digits = pl.when(pl.col(name).str.contains(r"^[0-9]{1,10}$")).then(pl.col(name))
    return digits.cast(pl.Int64, strict=False)


def _with_ports(rows: pl.DataFrame, plan: Plan, network: str) -> pl.DataFrame:
    """Whether each end's NIC is there (``…_nic``), and whether it has a link in the plane (``…_linked``)."""
    nics = plan.fabric.nics.filter(pl.col("network").cast(pl.String) == network)
    known = nics.select("host", pl.col("rail").cast(pl.Int64), nic=pl.lit(value=True)).unique(["host", "rail"])
    links = plan.fabric.links.filter(
        (pl.col("network").cast(pl.String) == network) & (pl.col("tier").cast(pl.String) == "host-leaf")
    )
    linked = links.select(host="a_device", rail=pl.col("rail").cast(pl.Int64), plane=pl.col("plane").cast(pl.Int64))
    linked = linked.unique().with_columns(linked=pl.lit(value=True))
    for end in ("src", "dst"):
        at = [f"{end}_id", f"{end}_rail_n"]
        rows = rows.join(known, left_on=at, right_on=["host", "rail"], how="left", maintain_order="left")
        rows = rows.join(
            linked, left_on=[*at, "plane_n"], right_on=["host", "rail", "plane"], how="left", maintain_order="left"
        ).rename({"nic": f"{end}_nic", "linked": f"{end}_linked"})
    return rows


def _flow_problems(rows: pl.DataFrame, where: str, network: str) -> list[Problem]:
    rows = rows.with_columns(again=pl.col("flow_n").is_not_null() & ~pl.col("flow_n").is_first_distinct())
    return _told(rows, [*_number_rules(), *_end_rules(network)], where)


def _number_rules() -> list[_Wrong]:
    plane, pairs, gbps = pl.col("plane_n"), pl.col("queue_pairs_n"), pl.col("gbps_n")
    right_gbps = (gbps.is_finite() & (gbps > 0) & (gbps <= MOST_GBPS)).fill_null(value=False)
    right_pairs = pairs.is_between(1, MOST_QUEUE_PAIRS).fill_null(value=False)
    counted = f"write a number from 1 to {MOST_QUEUE_PAIRS}"
    return [
        _Wrong(
            (pl.col("flow_n") > 0xFFFFFFFF).fill_null(value=True),
            'flow "{}" is no number', ("flow",), "number the flows from 0",
        ),
        _Wrong(pl.col("again"), "flow {} is there already", ("flow",), "give each its own number"),
        _Wrong(~right_gbps, 'gbps "{}" is no rate', ("gbps",), "write Gb/s, more than 0"),
        _Wrong(
            (pl.col("plane") != "") & plane.is_null(), 'plane "{}" is no number', ("plane",), "planes count from 0"
        ),
        _Wrong((pl.col("queue_pairs") != "") & ~right_pairs, 'queue_pairs "{}" is no count', ("queue_pairs",), counted),
    ]  # fmt: skip


def _end_rules(network: str) -> list[_Wrong]:
    rules = []
    for end in ("src", "dst"):
        host, rail = f"{end}_host", f"{end}_rail"
        known, nic = pl.col(f"{end}_id").is_not_null(), pl.col(f"{end}_nic").is_not_null()
        rules += [
            _Wrong(~known, 'the plan has no host "{}"', (host,), "names are those of cables.csv"),
            _Wrong(
                known & ~nic, f'{{}} has no rail "{{}}" on the {network} network', (host, rail), "rails count from 0"
            ),
            _Wrong(
                known & nic & pl.col("plane_n").is_not_null() & pl.col(f"{end}_linked").is_null(),
                "{} rail {} has no port in plane {}", (host, rail, "plane"), "planes count from 0",
            ),
        ]  # fmt: skip
    itself = (pl.col("src_id") == pl.col("dst_id")) & (pl.col("src_rail_n") == pl.col("dst_rail_n"))
    rules.append(_Wrong(itself.fill_null(value=False), "{} sends to itself", ("src_host",), "leave it out"))
    return rules


def _told(rows: pl.DataFrame, rules: Sequence[_Wrong], where: str) -> list[Problem]:
    """What is wrong by line, then by rule; the last of too many says so."""
    found: list[tuple[int, int, Problem]] = []
    for number, rule in enumerate(rules):
        wrong = rows.filter(rule.which).head(MOST_PROBLEMS + 1).select(_LINE, *rule.cells)
        for line, *cells in wrong.iter_rows():
            what = rule.what.format(*(str(cell)[:60] for cell in cells))
            found.append((line, number, Problem(f"{where}: line {line}", what, rule.remedy)))
    found.sort(key=lambda one: one[:2])
    told = [problem for _, _, problem in found[: MOST_PROBLEMS + 1]]
    if len(told) > MOST_PROBLEMS:
        told[-1] = Problem(where, "and more", "mend these first")
    return told
