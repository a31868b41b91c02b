"""Arrays as frames: the columns of ``fabric/schema`` with their dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric import names
from fabric.intent import Intent
from fabric.tables import SCHEMA, USES
from planner.build_cables import Ids, connectors, first_with
from planner.build_layout import Block, Layout
from planner.build_links import Batch
from planner.build_switches import SwitchRows, switch_rows
from planner.build_templates import Nic, Port

Array = npt.NDArray[Any]


def _frame(table: str, height: int, columns: Mapping[str, pl.Series | Array]) -> pl.DataFrame:
    """A table of the schema. Where it may be null, a number below 0 is; columns not given are null throughout."""
    made = []
    for column in SCHEMA[table].columns:
        dtype = SCHEMA[table].dtype(column)
        given = columns.get(column.name)
        if given is None:
            series = pl.repeat(None, height, dtype=dtype, eager=True)
        elif isinstance(given, pl.Series):
            series = given
        else:
            series = _numbers(given, dtype, nullable=column.nullable)
        made.append(series.alias(column.name))
    return pl.DataFrame(made)


def _numbers(values: Array, dtype: pl.DataType, *, nullable: bool) -> pl.Series:
    series = pl.Series(values)
    if nullable and values.dtype.kind == "i" and values.min(initial=0) < 0:
        series = pl.select(pl.when(series >= 0).then(series)).to_series()
    return series.cast(dtype)


def _enum(table: str, column: str, values: Sequence[str]) -> pl.Series:
    """A few strings as Enum: of the fixed categories, else of the values in the order in which they come."""
    schema = next(c for c in SCHEMA[table].columns if c.name == column)
    return pl.Series(column, values, SCHEMA[table].dtype(schema, tuple(dict.fromkeys(values))))


def _repeat(series: pl.Series, counts: Sequence[int]) -> pl.Series:
    """Each value so many times."""
    return series.gather(np.repeat(np.arange(len(series), dtype=np.uint32), counts))


def _joined(parts: Iterable[Array]) -> Array:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _rows(blocks: Sequence[Block], sizes: Sequence[int]) -> Array:
    """For each row of a table the row of the templates laid end to end; ``sizes``: rows of each template."""
    first = np.cumsum([0, *sizes])
    parts = [np.tile(np.arange(first[i], first[i + 1], dtype=np.uint32), b.devices) for i, b in enumerate(blocks)]
    return np.concatenate([np.empty(0, dtype=np.uint32), *parts])


def _owners(blocks: Sequence[Block], sizes: Sequence[int]) -> Array:
    """Device id of each row of such a table."""
    return np.concatenate(
        [np.empty(0, dtype=np.uint32)]
        + [np.repeat(np.arange(b.first_device, b.first_device + b.devices, dtype=np.uint32), n)
           for b, n in zip(blocks, sizes, strict=True)]
    )  # fmt: skip


def hosts_frame(layout: Layout, intent: Intent, gpus: Mapping[str, int]) -> pl.DataFrame:
    """The hosts, group after group, PDUs last; ``gpus`` by server model."""
    groups = layout.groups
    asked = {group.name: group for group in intent.hosts}
    sizes = [len(group) for group in groups]
    models = [asked[g.name].model if g.name in asked else "pdu" for g in groups]
    roles = [asked[g.name].role if g.name in asked else "pdu" for g in groups]
    index = _joined(g.index for g in groups)
    group = _repeat(_enum("hosts", "group", [g.name for g in groups]), sizes)
    name = pl.DataFrame({"group": group, "index": index}).select(names.host_name(pl.col("group"), pl.col("index")))
    columns: dict[str, pl.Series | Array] = {
        "id": np.arange(sum(sizes)),
        "name": name.to_series(),
        "group": group,
        "role": _repeat(_enum("hosts", "role", roles), sizes),
        "model": _repeat(_enum("hosts", "model", models), sizes),
        "index": index,
        "spare": pl.Series(_joined(g.spare for g in groups).astype(np.bool_)),
        "gpus": np.repeat([gpus.get(m, 0) for m in models], sizes),
    }
    columns |= {c: _joined(getattr(g, c) for g in groups) for c in ("pod", "segment", "place")}
    return _frame("hosts", sum(sizes), columns)


def switches_frame(layout: Layout, first: int) -> pl.DataFrame:
    """The switches, network after network: leaves, spines, cores; ids from ``first``."""
    kinds: list[SwitchRows] = [rows for network in layout.networks.values() for rows in switch_rows(network)]
    sizes = [len(k.index) for k in kinds]
    columns: dict[str, pl.Series | Array] = {
        "id": np.arange(first, first + sum(sizes)),
        "name": pl.concat([pl.Series(dtype=pl.String), *(k.names() for k in kinds)]),
    }
    for text in ("network", "tier", "model", "nos"):
        columns[text] = _repeat(_enum("switches", text, [getattr(k, text) for k in kinds]), sizes)
    for number in ("host_class", "pod", "segment", "rail", "rails", "plane", "group", "index"):
        columns[number] = _joined(np.broadcast_to(getattr(k, number), k.index.shape) for k in kinds)
    return _frame("switches", sum(sizes), columns)


def nics_frame(layout: Layout) -> pl.DataFrame:
    """The NICs of all hosts, host after host."""
    blocks = list(layout.hosts.values())
    sizes = [len(b.template.nics) for b in blocks]
    template = _template("nics", [nic for b in blocks for nic in b.template.nics], Nic)
    columns = _gathered(template, _rows(blocks, sizes))
    owner = _owners(blocks, sizes)
    return _frame("nics", len(owner), {**columns, "id": np.arange(len(owner), dtype=np.uint32), "host": owner})


def ports_frame(layout: Layout, batches: Sequence[Batch]) -> pl.DataFrame:
    """The ports of all devices, device after device. Free and vacant ports that services took have the use service."""
    blocks = list(layout.blocks())
    sizes = [len(b.template.ports) for b in blocks]
    template = _template("ports", [port for b in blocks for port in b.template.ports], Port)
    rows = _rows(blocks, sizes)
    columns = _gathered(template.drop("nic"), rows)
    device = _owners(blocks, sizes)
    return _frame(
        "ports",
        len(rows),
        {
            **columns,
            "id": np.arange(len(rows), dtype=np.uint32),
            "device": device,
            "nic": _nic_of_port(blocks, len(rows)),
            "use": _with_services(columns["use"], batches),
        },
    )


def _template(table: str, rows: Sequence[Port] | Sequence[Nic], kind: type[Port] | type[Nic]) -> pl.DataFrame:
    """Rows of all templates end to end, as columns of the table."""
    known = {c.name: c for c in SCHEMA[table].columns}
    series = []
    for item in fields(kind):
        if item.name not in known:
            continue
        column, values = known[item.name], [getattr(row, item.name) for row in rows]
        if column.dtype == "Enum":
            series.append(_enum(table, column.name, values))
        elif column.dtype == "String":
            series.append(pl.Series(column.name, values, pl.String))
        else:
            numbers = _numbers(np.array(values, dtype=np.int64), SCHEMA[table].dtype(column), nullable=True)
            series.append(numbers.alias(column.name))
    return pl.DataFrame(series)


def _gathered(template: pl.DataFrame, rows: Array) -> dict[str, pl.Series]:
    frame = template.select(pl.all().gather(pl.Series(rows)))
    return {name: frame[name] for name in frame.columns}


def _nic_of_port(blocks: Sequence[Block], ports: int) -> pl.Series:
    """NIC ids on hosts, null on switches; hosts come first."""
    found = []
    for block in blocks:
        if block.template.nics:
            own = np.array([port.nic for port in block.template.ports], dtype=np.uint32)
            first = np.arange(block.devices, dtype=np.uint32) * np.uint32(len(block.template.nics))
            found.append(((block.first_nic + first)[:, None] + own).astype(np.uint32).ravel())
    series = pl.Series(_joined(found), dtype=pl.UInt32)
    return series.extend(pl.repeat(None, ports - len(series), dtype=pl.UInt32, eager=True))


def _with_services(use: pl.Series, batches: Sequence[Batch]) -> pl.Series:
    taken = [b.b.port for b in batches if b.service and b.b is not None]
    if not taken:
        return use
    codes = use.to_physical().to_numpy().copy()
    codes[np.concatenate(taken)] = USES.index("service")
    return pl.Series(codes).cat.to(use.dtype)


def links_frame(batches: Sequence[Batch], cable: Ids) -> pl.DataFrame:
    """The links, batch after batch, with the cable of each."""
    sizes = [len(b) for b in batches]
    total = sum(sizes)
    columns: dict[str, pl.Series | Array] = {"id": np.arange(total, dtype=np.uint32), "cable": cable}
    for text in ("network", "tier"):
        columns[text] = _repeat(_enum("links", text, [getattr(b, text) for b in batches]), sizes)
    for number in ("pod", "segment", "rail", "plane"):
        columns[number] = _per_link(batches, number)
    for side in ("a", "b"):
        for what in ("device", "port"):
            columns[f"{side}_{what}"] = _ends(batches, side, what)
    columns["speed_gbps"] = _per_link(batches, "speed_gbps")
    return _frame("links", total, columns)


def _per_link(batches: Sequence[Batch], name: str) -> Array:
    """A number of each link, as int32."""
    parts = [np.broadcast_to(np.asarray(getattr(b, name), dtype=np.int32), (len(b),)) for b in batches]
    return np.concatenate([np.empty(0, dtype=np.int32), *parts])


def _ends(batches: Sequence[Batch], side: str, what: str) -> pl.Series:
    parts = [pl.Series(dtype=pl.UInt32)]
    for batch in batches:
        end = getattr(batch, side)
        null = pl.repeat(None, len(batch), dtype=pl.UInt32, eager=True)
        parts.append(null if end is None else pl.Series(getattr(end, what)))
    return pl.concat(parts, rechunk=True)


def cables_frame(links: pl.DataFrame, batches: Sequence[Batch], ports: int) -> pl.DataFrame:
    """The cables; medium, parts and length are chosen later. ``ports``: number of port ids."""
    cable = links["cable"].to_numpy()
    first = np.flatnonzero(first_with(cable, len(cable)) == np.arange(len(cable)))
    own = links.select("network", "tier", "rail", "plane").select(pl.all().gather(pl.Series(first.astype(np.uint32))))
    columns: dict[str, pl.Series | Array] = {
        "id": np.arange(len(first), dtype=np.uint32),
        "network": own["network"],
        "tier": own["tier"],
        "rail": _where_equal(links["rail"], own["rail"], cable),
        "plane": _where_equal(links["plane"], own["plane"], cable),
        "links": np.bincount(cable, minlength=len(first)),
        "a_ends": connectors(cable, _connectors(batches, "a"), ports),
        "b_ends": connectors(cable, _connectors(batches, "b"), ports),
        "speed_gbps": np.bincount(cable, weights=links["speed_gbps"].to_numpy(), minlength=len(first)),
    }
    return _frame("cables", len(first), columns)


def _where_equal(links: pl.Series, cables: pl.Series, cable: Ids) -> pl.Series:
    """What the first link of a cable has, null where another of its links has something else."""
    if len(cables) == len(links):
        return cables
    other = cable[links.ne_missing(cables.gather(pl.Series(cable))).to_numpy()]
    same = np.ones(len(cables), dtype=np.bool_)
    same[other] = False
    return pl.select(pl.when(pl.Series(same)).then(cables)).to_series()


def _connectors(batches: Sequence[Batch], side: str) -> Ids:
    """First port of the connector of each link at one side; what is not ours has one for each link."""
    ends = (getattr(b, side) for b in batches)
    parts = [b.a.port if end is None else end.connector for b, end in zip(batches, ends, strict=True)]
    return np.concatenate([np.empty(0, dtype=np.uint32), *parts])
