"""Every kind of fault once over the wire: simulated, spoken by devices, collected, stored, detected, scored.

    python benchmarks/detection/wire.py [--fault KIND]… [--way snmp|openconfig|sonic]… [--store NAME]

What came into the store is compared with the simulator's tables, value by value, and what `railwright detect` says of
the store with what the detectors say of those tables fed to them directly. So runs on tables stand for those on a wire.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import polars as pl

from benchmarks import store as stores
from benchmarks.detection.cases import Case, Made, made
from benchmarks.detection.score import Told, score
from benchmarks.detection.wire_compare import SPEAKS, STEP, carried, compared, flows_apart, outcomes
from benchmarks.detection.wire_devices import Day
from benchmarks.detection.wire_field import on_the_wire
from benchmarks.detection.wire_table import Result, say, table
from collectors.detectors.run import watch
from collectors.store import Store, open_store
from fabric.bundle import write_plan
from fabric.findings import Finding, Severity, State
from planner.simulate.faults import KINDS
from planner.simulate.telemetry import START_NS, intervals

ROOT = Path(__file__).parents[2]
WAYS = {
    "link-errors": "openconfig", "pfc-storm": "sonic", "incast": "sonic", "config-drift": "sonic",
    "lossless-drop": "snmp", "reboot": "snmp", "silence": "sonic", "link-down": "openconfig", "miswire": "snmp",
    "slow-rail": "openconfig", "slow-receiver": "openconfig", "grey-loss": "openconfig", "low-entropy": "openconfig",
    "polarised-hash": "sonic",
}  # fmt: skip
"""How switches are asked in the run of a fault; by SNMP where nothing is said."""
STORES = {"miswire": "InfluxDB 2", "pfc-storm": "VictoriaMetrics"}
"""Where the samples of a fault go; to DuckDB where nothing is said."""


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
            say(results[-1])
    print(*table(results), sep="\n")
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(used.ru_utime + used.ru_stime for used in spent)
    print(f"\n{len(results)} runs, {sum(r.values for r in results):,} values, {cpu:.0f} s of CPU")
    sys.exit(not all(r.equal and r.found for r in results))


if __name__ == "__main__":
    main()
