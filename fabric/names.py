"""Names of devices: made here and parsed here, by polars expressions over whole columns.

| device | name |
|---|---|
| host | ``{group}-{index:04d}`` |
| PDU | ``pdu-{index:04d}`` |
| leaf | ``leaf-{network}-s{segment:03d}-l{position}-p{plane}`` |
| spine | ``spine-{network}-d{pod:02d}[-l{position}][-p{plane}]-{index:03d}`` |
| core | ``core-{network}[-l{position}][-p{plane}]-g{group:03d}-{index:03d}`` |

A part in brackets is left out where the switch serves every leaf position or every plane. Numbers are printed with at
least so many digits; longer ones are not cut. A host group may not be called like a switch, nor ``pdu``.
"""

from __future__ import annotations

import polars as pl

_NETWORK = "(?P<network>compute|storage|frontend|oob)"
_OPTIONAL = r"(?:-l(?P<position>0|[1-9]\d*))?(?:-p(?P<plane>0|[1-9]\d*))?"


def _digits(name: str, width: int) -> str:
    """A number as `_padded` prints it: exactly ``width`` digits, or more without a leading zero."""
    return rf"(?P<{name}>\d{{{width}}}|[1-9]\d{{{width},}})"


_PATTERNS = {
    "leaf": rf"^leaf-{_NETWORK}-s{_digits('segment', 3)}-l(?P<position>0|[1-9]\d*)-p(?P<plane>0|[1-9]\d*)$",
    "spine": rf"^spine-{_NETWORK}-d{_digits('pod', 2)}{_OPTIONAL}-{_digits('index', 3)}$",
    "core": rf"^core-{_NETWORK}{_OPTIONAL}-g{_digits('core_group', 3)}-{_digits('index', 3)}$",
    "pdu": rf"^(?P<host_group>pdu)-{_digits('index', 4)}$",
    "host": rf"^(?P<host_group>.+)-{_digits('index', 4)}$",
}
PARTS = ("host_group", "network", "segment", "pod", "position", "plane", "core_group", "index")
_TEXT = ("host_group", "network")


def _padded(number: pl.Expr, width: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(width)


def _part(prefix: str, number: pl.Expr) -> pl.Expr:
    """``-l3`` and the like; null where the number is."""
    return pl.lit(prefix) + number.cast(pl.String)


def host_name(group: pl.Expr, index: pl.Expr) -> pl.Expr:
    """Names of hosts and PDUs."""
    return pl.concat_str(group.cast(pl.String), _padded(index, 4), separator="-")


def leaf_name(network: pl.Expr, segment: pl.Expr, position: pl.Expr, plane: pl.Expr) -> pl.Expr:
    """Names of leaves; ``segment`` is numbered over all host classes of the network."""
    return pl.concat_str(
        pl.lit("leaf-"), network.cast(pl.String), pl.lit("-s"), _padded(segment, 3),
        _part("-l", position), _part("-p", plane),
    )  # fmt: skip


def spine_name(network: pl.Expr, pod: pl.Expr, position: pl.Expr, plane: pl.Expr, index: pl.Expr) -> pl.Expr:
    """Names of spines; ``position`` and ``plane`` are null where the spine serves all of them."""
    return pl.concat_str(
        pl.lit("spine-"), network.cast(pl.String), pl.lit("-d"), _padded(pod, 2),
        _part("-l", position), _part("-p", plane), pl.lit("-"), _padded(index, 3), ignore_nulls=True,
    )  # fmt: skip


def core_name(network: pl.Expr, position: pl.Expr, plane: pl.Expr, group: pl.Expr, index: pl.Expr) -> pl.Expr:
    """Names of cores; ``group`` is the index of the spines that share the core."""
    return pl.concat_str(
        pl.lit("core-"), network.cast(pl.String), _part("-l", position), _part("-p", plane),
        pl.lit("-g"), _padded(group, 3), pl.lit("-"), _padded(index, 3), ignore_nulls=True,
    )  # fmt: skip


def parse(names: pl.Series) -> pl.DataFrame:
    """What each name says: kind (leaf, spine, core, pdu, host; null where it is no name of ours) and PARTS.

    Parts are strings (``host_group``, ``network``) and UInt32, null where a name has no such part.
    """
    frame = names.rename("name").to_frame()
    kind = pl.coalesce(pl.when(pl.col("name").str.contains(p)).then(pl.lit(k)) for k, p in _PATTERNS.items())
    frame = frame.select("name", kind=kind)
    return frame.select("kind", *(_parsed(part) for part in PARTS))


def _parsed(part: str) -> pl.Expr:
    found = pl.coalesce(
        pl.when(pl.col("kind") == kind).then(pl.col("name").str.extract_groups(pattern).struct.field(part))
        for kind, pattern in _PATTERNS.items()
        if f"<{part}>" in pattern
    )
    return (found if part in _TEXT else found.cast(pl.UInt32)).alias(part)
