"""Roll-ups: sum, maximum and 99th percentile of ports' rates a rail, segment, tier and ECMP group each interval.

They are what boards of more than one device read. A port's rate in an interval is what its counter rose since the
port's sample before, if that is known (``collectors.rates``); ports without a rate are not counted in ``ports``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from collectors.rates import DISCONTINUITY, UPTIME, intervals
from collectors.store.series import SeriesTags
from collectors.store.tables import ROLLUP_KEY, ROLLUP_SCHEMA
from fabric.samples import KEYS, empty

if TYPE_CHECKING:
    from fabric.plan import Plan

TRAFFIC = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")
ERRORS = (
    "rx_errors", "tx_errors", "rx_discards", "tx_discards", "rx_fcs_errors", "rx_symbol_errors",
    "fec_uncorrectable_codewords", "link_down_events",
)  # fmt: skip
"""Counters of which any rise makes a port one ``with errors``."""
ROLLED = (*TRAFFIC, *ERRORS, "ecn_marked_packets")
GROUPED = ("tx_bytes",)
"""Of ECMP groups: what is sent over the members."""
BYS = ("rail", "segment", "tier", "group")


@dataclass(frozen=True)
class Members:
    """Which sets each port is in: ``by, network, tier, segment, rail, device, group, port_device, port``."""

    table: pl.DataFrame

    @staticmethod
    def of(plan: Plan) -> Members:
        """The rails, segments and tiers of ports, and the ECMP groups of switches."""
        tags = SeriesTags.of(plan).table.filter(pl.col("port").is_not_null())
        sets = [_set(tags, by) for by in ("rail", "segment", "tier")]
        found = pl.concat([*sets, _groups(plan)], how="diagonal")
        names = [name for name in ROLLUP_KEY if name not in {"time_ns", "counter"}]
        return Members(found.select(*names, "port_device", "port"))


def _set(tags: pl.DataFrame, by: str) -> pl.DataFrame:
    rows = tags.filter(pl.col(by).is_not_null())
    return rows.select("network", by, "port", by=pl.lit(by), port_device="device")


def _groups(plan: Plan) -> pl.DataFrame:
    groups = plan.fabric.ecmp_groups()
    names = plan.fabric.device_names()
    ids = pl.DataFrame({"device": pl.int_range(len(names), dtype=pl.UInt32, eager=True), "name": names})
    ports = plan.fabric.ports.select(port="id", port_name="name")
    text = [pl.col(name).cast(pl.String) for name in ("network", "tier")]
    found = groups.join(ids, on="device", how="left").join(ports, on="port", how="left")
    return found.select(
        *text, by=pl.lit("group"), device="name", group=group_name(), port_device="name", port="port_name"
    )


def group_name() -> pl.Expr:
    """The name of an ECMP group of a switch: ``up``, or ``down-`` and the id of the device at the trunk's other end."""
    return (
        pl.when(pl.col("peer").is_null())
        .then(pl.col("direction").cast(pl.String))
        .otherwise(pl.format("{}-{}", pl.col("direction").cast(pl.String), pl.col("peer")))
    )


class Rolling:
    """Takes counters as they come and gives the roll-ups of the intervals that ended; keeps one interval's samples."""

    def __init__(self, members: Members, interval_ns: int) -> None:
        """``interval_ns``: length of an interval; they start at whole multiples of it since 1970."""
        self._members, self._interval_ns = members, interval_ns
        self._rows = empty()
        self._done_ns: int | None = None

    def feed(self, counters: pl.DataFrame, now_ns: int) -> pl.DataFrame:
        """Add a table of counters; the roll-ups (``ROLLUP_SCHEMA``) of the intervals that ended before ``now_ns``.

        A row that comes after its interval was given counts for the rates of the next alone.
        """
        wanted = [name for name in counters.columns if name in {*KEYS, *ROLLED, DISCONTINUITY, UPTIME}]
        self._rows = pl.concat([self._rows, counters.select(wanted)], how="diagonal")
        end = now_ns - now_ns % self._interval_ns
        if self._done_ns is None:
            first = self._rows["time_ns"].min()
            self._done_ns = (int(first) // self._interval_ns) * self._interval_ns if isinstance(first, int) else end
        if end <= self._done_ns:
            return pl.DataFrame(schema=ROLLUP_SCHEMA)
        ended = self._rows.filter(pl.col("time_ns") < end)
        found = rollup(ended, self._members, self._interval_ns)
        found = found.filter(pl.col("time_ns") > self._done_ns)
        self._done_ns = end
        self._rows = pl.concat([_latest(ended, end - self._interval_ns), self._rows.filter(pl.col("time_ns") >= end)])
        return found


def _latest(rows: pl.DataFrame, since_ns: int) -> pl.DataFrame:
    """All rows since then, for several sources may fill a port's columns; of other ports the last row."""
    recent = rows.filter(pl.col("time_ns") >= since_ns)
    older = rows.join(recent, on=["device", "port"], how="anti", nulls_equal=True).sort("time_ns")
    last = older.group_by("device", "port", maintain_order=True).last().select(rows.columns)
    return pl.concat([last, recent])


def rollup(counters: pl.DataFrame, members: Members, interval_ns: int) -> pl.DataFrame:
    """The roll-ups of a table of counters: a row a set, counter and interval in which a port of it has a rate."""
    columns = [name for name in ROLLED if name in counters.columns]
    risen = [
        intervals(counters, name).filter(pl.col("delta").is_not_null()).with_columns(counter=pl.lit(name))
        for name in columns
    ]
    if not risen:
        return pl.DataFrame(schema=ROLLUP_SCHEMA)
    ports = _by_port(pl.concat(risen), interval_ns)
    joined = members.table.join(ports, on=["port_device", "port"], how="inner")
    joined = joined.filter((pl.col("by") != "group") | pl.col("counter").is_in(GROUPED))
    return _summed(joined, _erroring(ports, members))


def _by_port(risen: pl.DataFrame, interval_ns: int) -> pl.DataFrame:
    """A port's mean rate of each counter in each interval, by the time at which its samples end."""
    end = pl.col("time_ns") - pl.col("time_ns") % interval_ns + interval_ns
    keys = ["port_device", "port", "counter", "time_ns"]
    risen = risen.rename({"device": "port_device"}).with_columns(time_ns=end)
    sums = risen.group_by(keys).agg(pl.col("delta", "seconds").sum())
    return sums.with_columns(rate=pl.col("delta") / pl.col("seconds"))


def _summed(joined: pl.DataFrame, erroring: pl.DataFrame) -> pl.DataFrame:
    rate = pl.col("rate")
    found = joined.group_by(*ROLLUP_KEY).agg(
        sum=rate.sum(), max=rate.max(), p99=rate.quantile(0.99, "higher"), ports=pl.len()
    )
    keys = [name for name in ROLLUP_KEY if name != "counter"]
    found = found.join(erroring, on=keys, how="left", nulls_equal=True)
    found = found.with_columns(pl.col("ports_with_errors").fill_null(0))
    return found.select(pl.col(name).cast(dtype) for name, dtype in ROLLUP_SCHEMA.items()).sort(*ROLLUP_KEY)


def _erroring(ports: pl.DataFrame, members: Members) -> pl.DataFrame:
    """How many ports of each set counted an error in each interval."""
    bad = ports.filter(pl.col("counter").is_in(ERRORS) & (pl.col("delta") > 0))
    bad = bad.select("port_device", "port", "time_ns").unique()
    keys = [name for name in ROLLUP_KEY if name not in {"counter", "time_ns"}]
    counted = members.table.join(bad, on=["port_device", "port"], how="inner")
    return counted.group_by("time_ns", *keys).agg(ports_with_errors=pl.len())
