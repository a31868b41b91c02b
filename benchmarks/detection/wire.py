"""Every kind of fault once over the wire: simulated, spoken by devices, collected, stored, detected, scored.

    python benchmarks/detection/wire.py [--fault KIND]… [--way snmp|openconfig|sonic]… [--store NAME]

What came into the store is compared with the simulator's tables, value by value, and what `railwright detect` says of
the store with what the detectors say of those tables fed to them directly. So runs on tables stand for those on a wire.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import polars as pl

from benchmarks import store as stores
from benchmarks.detection.cases import Case, Made, made
from benchmarks.detection.score import Told, score
from benchmarks.detection.wire_field import SWITCH_SOURCES, Day, on_the_wire
from collectors.detectors.run import watch
from collectors.store import Store, open_store
from fabric.bundle import write_plan
from fabric.counters import counters, parse
from fabric.findings import Finding, Severity, State
from fabric.samples import FLOW_SCHEMA, KEYS, OUTCOME_SCHEMA
from planner.simulate.faults import KINDS
from planner.simulate.telemetry import START_NS, intervals

ROOT = Path(__file__).parents[2]
SPEAKS = {"snmp": ("oid", "sflow"), "openconfig": ("gnmi", "sflow"), "sonic": ("sonic", "sflow")}
"""Columns of ``counters.csv`` with the addresses that switches have, by the way in which they are asked."""
SHOWN = ("sysfs", "ethtool")
"""The same of hosts; LLDP comes beside them, as ``lldpcli`` prints it."""
WAYS = {
    "link-errors": "openconfig", "pfc-storm": "sonic", "incast": "sonic", "config-drift": "sonic",
    "lossless-drop": "snmp", "reboot": "snmp", "silence": "sonic", "link-down": "openconfig", "miswire": "snmp",
    "slow-rail": "openconfig", "slow-receiver": "openconfig", "grey-loss": "openconfig", "low-entropy": "openconfig",
    "polarised-hash": "sonic",
}  # fmt: skip
"""How switches are asked in the run of a fault; by SNMP where nothing is said."""
STORES = {"miswire": "InfluxDB 2", "pfc-storm": "VictoriaMetrics"}
"""Where the samples of a fault go; to DuckDB where nothing is said."""
STEP = 10 * 10**9
TIMES = ("time_ns", "received_ns")
CLOSE = 1e-12
"""Of a value that is no whole number: a unit and back cost its last bit."""


@dataclass(frozen=True)
class Result:
    """What became of a run: values compared and different, flow samples, findings, and the score of the store's."""

    kind: str
    way: str
    store: str
    values: int
    wrong: Mapping[str, int]
    flows: int
    flows_wrong: int
    findings: int
    same_findings: bool
    as_told: bool
    """Whether the same was opened as from all columns of the tables, with what the protocols do not carry."""
    found: bool
    cause: bool
    false: int
    polls: Mapping[str, int]

    @property
    def equal(self) -> bool:
        """Whether wire and tables gave the same in everything."""
        return not self.wrong and not self.flows_wrong and self.same_findings


@cache
def unit(column: str, protocols: tuple[str, ...]) -> float | None:
    """What a column is counted in on the wire; None where no protocol has it."""
    known = parse(column)
    assert known is not None, column
    addresses = [address for name in protocols for address in known[0].addresses[name]]
    if not addresses and not (protocols == SHOWN and column.startswith("lldp_")):
        return None
    if not addresses or known[0].kind == "text":
        return 0.0
    coarse = column == "uptime_seconds" or (known[0].kind == "counter" and known[0].unit == "s")
    return addresses[0].factor if coarse else 0.0


def carried(table: pl.DataFrame, switches: Sequence[str], way: str) -> pl.DataFrame:
    """A table of counters as the wire can have it: without what no protocol has, times in the protocol's unit."""
    own = pl.col("device").is_in(list(switches))
    names = [name for name in table.columns if name not in KEYS]
    return table.select(
        *TIMES, "device", "port",
        *(pl.when(own).then(_in_units(c, SPEAKS[way])).otherwise(_in_units(c, SHOWN)).alias(c) for c in names),
    ).filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names))  # fmt: skip


def _in_units(column: str, protocols: tuple[str, ...]) -> pl.Expr:
    size = unit(column, protocols)
    if size is None:
        return pl.lit(None)
    return (pl.col(column) / size).round() * size if size else pl.col(column)


def not_carried(columns: Sequence[str], protocols: tuple[str, ...]) -> list[str]:
    """Columns that protocols have no address for."""
    return [name for name in columns if name not in KEYS and unit(name, protocols) is None]


@cache
def read_by_detectors() -> frozenset[str]:
    """Names of counters that the code of detectors has in it, also where ``rx`` or ``tx`` are filled in."""
    folder = ROOT / "collectors/detectors"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    text += (ROOT / "collectors/rates.py").read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z][a-z0-9_]+", text)) | {
        f"{way}{rest}" for rest in re.findall(r"\{\w+\}(_\w+)", text) for way in ("rx", "tx")
    }
    return frozenset(name for name in counters() if name in words)


def compared(want: pl.DataFrame, got: pl.DataFrame) -> tuple[int, dict[str, int]]:
    """How many values were compared, and of each column how many are missing, too many, or others."""
    key = ["time_ns", "device", "port"]
    both = want.join(got, on=key, how="full", nulls_equal=True, coalesce=True, suffix="_got")
    values, wrong = 0, {}
    for column in dict.fromkeys((*want.columns, *got.columns)):
        if column in KEYS:
            continue
        mine = both[column] if column in want.columns else pl.Series([None] * both.height, dtype=got.schema[column])
        other = column if column not in want.columns else f"{column}_got"
        theirs = both[other] if column in got.columns else pl.Series([None] * both.height, dtype=mine.dtype)
        values += mine.count()
        if different := int((~_same(mine, theirs)).sum()):
            wrong[column] = different
    return values, wrong


def _same(mine: pl.Series, theirs: pl.Series) -> pl.Series:
    if mine.dtype == pl.Float64:
        near = ((mine - theirs).abs() <= CLOSE * mine.abs()).fill_null(value=False)
        return near | (mine.is_null() & theirs.is_null())
    return mine.eq_missing(theirs)


def flows_apart(want: pl.DataFrame, got: pl.DataFrame) -> int:
    """Flow samples that are on one side alone; of times only the interval counts, as a datagram gathers samples."""
    names = [name for name in FLOW_SCHEMA if name not in (*TIMES, "sample_pool", "drops", "priority")]
    sides = [
        table.select(*names, at=(pl.col("time_ns") - START_NS - 1) // STEP).group_by(pl.all()).len()
        for table in (want, got)
    ]
    both = sides[0].join(sides[1], on=[*names, "at"], how="full", nulls_equal=True, suffix="_got")
    apart = both.select((pl.col("len").fill_null(0).cast(int) - pl.col("len_got").fill_null(0)).abs().sum())
    return int(apart.item())


def outcomes(table: pl.DataFrame, switches: Sequence[str], way: str) -> pl.DataFrame:
    """How polls ended, by the names of the sources that ask: the simulator's know of one."""
    own = pl.col("device").is_in(list(switches))
    parts = [
        table.filter(own if name != "host" else ~own).with_columns(source=pl.lit(name))
        for name in (*SWITCH_SOURCES[way], "sflow", "host")
    ]
    return pl.concat(parts).select(*OUTCOME_SCHEMA)


def told(run: Made, table: pl.DataFrame, flows: pl.DataFrame, ends: pl.DataFrame) -> list[Told]:
    """What the detectors say of tables that are fed to them an interval at a time."""
    watching = watch(run.scenario.plan, maintenance=run.maintenance)
    said = []
    for end_ns in table["time_ns"].unique().sort().to_list():
        mine = (pl.col("time_ns") > end_ns - STEP) & (pl.col("time_ns") <= end_ns)
        watching.intervals.feed(*(part.filter(mine) for part in (table, flows, ends)))
        # In the order in which a replay of a store tells those of an interval.
        found = sorted(watching.step(end_ns), key=lambda finding: (finding.code, finding.id))
        said += [Told(finding, end_ns) for finding in found]
    return said


def detected(folder: Path, url: str, seconds: float) -> list[str]:
    """What ``railwright detect`` says of a store, a line of JSON a finding."""
    minutes, rest = divmod(round(seconds), 60)
    command = [sys.executable, "-m", "railwright", "detect", str(folder / "plan"), "--store", url, "--json"]
    command += ["--spool", str(folder / "spool"), "--since", "2026-01-01T00:00:00Z"]
    command += ["--until", f"2026-01-01T00:{minutes:02}:{rest:02}Z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return done.stdout.splitlines()


def _told(line: str) -> Told:
    said: Mapping[str, Any] = json.loads(line)
    finding = Finding(
        said["code"], said["cause"], Severity(said["severity"]), said["subject"], said["evidence"],
        first_seen=said["first_seen"], last_seen=said["last_seen"], state=State(said["state"]),
    )  # fmt: skip
    return Told(finding, said["last_seen"])


@contextmanager
def _token() -> Iterator[None]:
    """The benchmark's own token for servers that want one, in the environment of this block alone."""
    before = os.environ.get("RAILWRIGHT_STORE_TOKEN")
    os.environ["RAILWRIGHT_STORE_TOKEN"] = stores.TOKEN
    try:
        yield
    finally:
        del os.environ["RAILWRIGHT_STORE_TOKEN"]
        if before is not None:
            os.environ["RAILWRIGHT_STORE_TOKEN"] = before


def one(kind: str, way: str, store: str, folder: Path, *, whole: bool = False) -> Result:
    """A fault's run by one way into one store: until it has to be told, or the whole; ``folder`` is empty."""
    run = made(Case("small", "single", (kind,), 0))
    seconds = run.scenario.settings.seconds
    if not whole:
        seconds = min(seconds, (run.truths[0].deadline_ns - START_NS) / 1e9)
    parts = list(takewhile(lambda part: part.seconds <= seconds, intervals(run.scenario)))
    table = pl.concat([part.counters for part in parts], how="diagonal")
    flows, ends = (pl.concat([getattr(part, name) for part in parts]) for name in ("flows", "outcomes"))
    day = Day.of(run.scenario.plan, table, flows)
    write_plan(run.scenario.plan, folder / "plan")
    opened: Callable[[Path], AbstractContextManager[tuple[str, int]]] = _STORES.get(store, stores.STORES[store])
    with opened(folder) as (url, _), _token():
        held = open_store(url, spool=folder / "spool", plan=run.scenario.plan)
        polls = on_the_wire(day, way, held, folder)
        got, got_flows = _read(held)
        held.close()
        lines = detected(folder, url, seconds)
    want = carried(day.counters, day.switches, way)
    values, wrong = compared(want, got)
    direct = told(run, want, flows, outcomes(ends, day.switches, way))
    every = told(run, table, flows, ends)
    said = [_told(line) for line in lines]
    tally = score(run.scenario.plan, run.truths, said, seconds)
    return Result(
        kind, way, store, values, wrong, flows.height, flows_apart(flows, got_flows), len(said),
        lines == [t.finding.to_json() for t in direct], _opened(said) == _opened(every),
        tally.hits == tally.faults == 1, tally.causes == 1, tally.false, polls,
    )  # fmt: skip


def _opened(said: Sequence[Told]) -> list[str]:
    return sorted(
        json.dumps([t.at_ns, t.finding.code, t.finding.cause, t.finding.subject], default=list)
        for t in said
        if t.finding.state == State.OPEN
    )


def _read(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    start, last = START_NS, START_NS + 3600 * 10**9
    return store.read(store.columns(), start_ns=start, end_ns=last), store.read_flows(start_ns=start, end_ns=last)


@contextmanager
def victoria(folder: Path) -> Iterator[tuple[str, int]]:
    """VictoriaMetrics that takes what is from before its first start: the store's URL and its pid."""
    port = stores.free_port()
    base = f"http://127.0.0.1:{port}"
    command = ["victoria-metrics", f"-storageDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{port}"]
    command += ["-retentionPeriod=100y", "-search.latencyOffset=0s", "-dedup.minScrapeInterval=1ms"]
    with stores.served(command, f"{base}/health") as pid:
        yield f"victoriametrics://127.0.0.1:{port}", pid


_STORES = {"VictoriaMetrics": victoria}


def table(results: Sequence[Result]) -> Iterator[str]:
    """A Markdown table: a row a run."""
    yield "| fault | protocols | store | values | equal | flow samples | findings | equal | as of all | found | cause |"
    yield "|---|---|---|---:|---|---:|---:|---|---|---|---|"
    for r in results:
        values, flows = ("no" if bad else "yes" for bad in (r.wrong, r.flows_wrong))
        cells = [
            r.kind, f"{r.way}, sflow", r.store, f"{r.values:,}", values, f"{r.flows:,} ({flows})", str(r.findings),
            *("yes" if good else "no" for good in (r.same_findings, r.as_told, r.found, r.cause)),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def lacking(columns: Sequence[str]) -> Iterator[str]:
    """What detectors read and a way does not carry, and by which other way it comes."""
    read = [name for name in columns if name not in KEYS and parse(name)[0].name in read_by_detectors()]  # type: ignore[index]
    ways = {**SPEAKS, "host": SHOWN}
    for way, protocols in ways.items():
        for name in not_carried(read, protocols):
            others = [other for other, said in SPEAKS.items() if way != "host" and unit(name, said) is not None]
            yield f"{way} does not carry {name}; {', '.join(others) or 'nothing else does'}"


def main() -> None:
    """Run and print the table; exit 1 where anything differs or a fault is not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="append", choices=list(KINDS), default=[], metavar="KIND", help="only these")
    parser.add_argument("--way", action="append", choices=list(SPEAKS), default=[], help="how switches are asked")
    parser.add_argument("--whole", action="store_true", help="go on when the fault had to be told, to the run's end")
    parser.add_argument("--store", choices=list(stores.STORES), help="where all samples go")
    asked = parser.parse_args()
    results = []
    for kind in asked.fault or KINDS:
        store = asked.store or STORES.get(kind, "DuckDB")
        if stores.missing(store):
            print(f"{store} is not on this machine: {kind} goes into DuckDB", file=sys.stderr)
            store = "DuckDB"
        for way in asked.way or [WAYS.get(kind, "snmp")]:
            with tempfile.TemporaryDirectory() as folder:
                results.append(one(kind, way, store, Path(folder), whole=asked.whole))
            _say(results[-1])
    print(*table(results), sep="\n")
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(used.ru_utime + used.ru_stime for used in spent)
    print(f"\n{len(results)} runs, {sum(r.values for r in results):,} values, {cpu:.0f} s of CPU")
    sys.exit(not all(r.equal and r.found for r in results))


def _say(result: Result) -> None:
    polls = ", ".join(f"{name} {count:,}" for name, count in sorted(result.polls.items()))
    print(f"{result.kind}: {polls}", file=sys.stderr)
    if not result.equal:
        wrong = ", ".join(f"{column} {count:,}" for column, count in result.wrong.items())
        print(f"  different: {wrong or 'no value'}; {result.flows_wrong:,} flow samples", file=sys.stderr)


if __name__ == "__main__":
    main()
