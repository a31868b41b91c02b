"""``railwright store``: history in, history out, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fabric.errors import InputError, Problem
from railwright.cli.base import PLAN, Command, LazyGroup, counted, json_option, open_plan, print_json

if TYPE_CHECKING:
    import polars as pl

    from collectors.store import Store
    from fabric.plan import Plan

COMMANDS = {
    "load": "railwright.cli.store:load",
    "query": "railwright.cli.store:query",
    "retain": "railwright.cli.store:retain",
    "export": "railwright.cli.store:export",
}
WHAT = ("counters", "flows", "outcomes", "rollups")
Option = Callable[[Callable[..., Any]], Callable[..., Any]]

STORE = click.option(
    "--store", "url", metavar="URL",
    help="duckdb:FILE, influxdb://HOST:PORT/ORG/BUCKET or victoriametrics://HOST:PORT (default: PLAN.duckdb).",
)  # fmt: skip
SPOOL = click.option(
    "--spool", metavar="DIR", type=click.Path(path_type=Path),
    help="Folder of what a server has not got yet (default: below the user's state folder).",
)  # fmt: skip
SINCE = click.option("--since", metavar="WHEN", default=None, help="1h (ago), 2026-01-31T12:00:00Z or nanoseconds.")
UNTIL = click.option("--until", metavar="WHEN", default=None, help="The same (default: now).")
DEVICE = click.option("--device", "devices", metavar="NAME", multiple=True, help="Only this device; may be repeated.")
PORT = click.option("--port", "ports", metavar="NAME", multiple=True, help="Only ports of this name; may be repeated.")
EXAMPLE = """\
railwright store load out/hpn samples.parquet
railwright store query out/hpn tx_bytes --device leaf-compute-s000-l0-p0 --since 1h"""


@click.group(name="store", cls=LazyGroup, commands_at=COMMANDS, example=EXAMPLE)
def store() -> None:
    """Bring samples into the store, ask it, thin it out, and write samples out again."""


@click.command(cls=Command, example="railwright store load out/hpn samples.parquet flows.csv")
@PLAN
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@STORE
@SPOOL
def load(plan: Path, files: tuple[Path, ...], url: str | None, spool: Path | None) -> int:
    """Load recorded samples: counters, flow samples and outcomes, Parquet or CSV.

    Nothing of a file is taken before all of it was found to be right. Rows of what the plan does not have are left out
    and counted. Loading a file again changes nothing.
    """
    from fabric.samplefile import check_samples, known_to, read_samples

    made = open_plan(plan)
    problems = [problem for file in files for problem in _problems(check_samples, file)]
    if problems:
        raise InputError(problems)
    with _opened(made, plan, url, spool) as opened:
        for file in files:
            taken, unknown = 0, dict[str, None]()
            for piece in read_samples(file):
                counters, others = known_to(made, piece.counters)
                flows, strangers = known_to(made, piece.flows)
                opened.write(counters, flows, piece.outcomes)
                taken += counters.height + flows.height + piece.outcomes.height
                unknown |= dict.fromkeys([*others, *strangers])
            _report(file, taken, list(unknown))
        opened.flush()
    return 0


def _problems(check: Callable[[Path], None], file: Path) -> tuple[Problem, ...]:
    try:
        check(file)
    except InputError as error:
        return error.problems
    return ()


def _report(file: Path, taken: int, unknown: Sequence[str]) -> None:
    click.echo(f"{file}: {counted(taken, 'row')}")
    if unknown:
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        click.echo(f"railwright: {file}: left out, not in the plan: {', '.join(unknown[:3])}{more}", err=True)


@click.command(cls=Command, example=EXAMPLE.splitlines()[1])
@PLAN
@click.argument("columns", metavar="COUNTER...", nargs=-1)
@STORE
@SPOOL
@SINCE
@UNTIL
@DEVICE
@PORT
@click.option("--what", type=click.Choice(WHAT), default="counters", help="The table (default: counters).")
@click.option("--rate", is_flag=True, help="What counters rose a second instead of where they stood.")
@json_option
def query(
    plan: Path,
    columns: tuple[str, ...],
    url: str | None,
    spool: Path | None,
    since: str | None,
    until: str | None,
    devices: tuple[str, ...],
    ports: tuple[str, ...],
    what: str,
    rate: bool,
    as_json: bool,
) -> int:
    """Print what the store has, as CSV; without COUNTER the names of the counters that it has."""
    from collectors.rates import rates

    with _there(plan, url, spool) as opened:
        if what == "counters" and not columns:
            names = opened.columns()
            print_json(names) if as_json else click.echo("\n".join(names))
            return 0
        rows = _read(opened, what, columns, devices, ports, _span(since, until))
    if rate:
        try:
            rows = rates(rows, columns)
        except ValueError as error:
            raise InputError(Problem("--rate", str(error), "name counters alone")) from error
    if as_json:
        print_json({"version": 1, "rows": rows.to_dicts()})
    else:
        click.echo(rows.write_csv(), nl=False)
    return 0


@click.command(cls=Command, example="railwright store retain out/hpn --keep 90d --fine 7d --step 5m")
@PLAN
@STORE
@SPOOL
@click.option("--keep", metavar="AGE", help="Delete what is older, such as 90d.")
@click.option("--fine", metavar="AGE", help="Keep counters as they came for so long, such as 7d…")
@click.option("--step", metavar="TIME", help="…and then one row a port each TIME, such as 5m.")
@json_option
def retain(
    plan: Path, url: str | None, spool: Path | None, keep: str | None, fine: str | None, step: str | None, as_json: bool
) -> int:
    """Delete and thin out what is old; run it daily. Interrupted, it goes on where it was."""
    import time

    from collectors.store.retention import Retention, duration_ns

    given = {"keep": keep, "fine": fine, "step": step}
    if not any(given.values()):
        raise click.UsageError("nothing to do: give --keep, or --fine and --step")
    ages = {f"{name}_ns": duration_ns(text, f"--{name}") for name, text in given.items() if text}
    retention = Retention(time.time_ns(), **ages)
    with _there(plan, url, spool) as opened:
        done = opened.retain(retention)
    if as_json:
        print_json({"version": 1, **done})
    else:
        click.echo(", ".join(f"{number:,} {name}" for name, number in done.items()))
    return 0


@click.command(cls=Command, example="railwright store export out/hpn -o samples.parquet --since 1d")
@PLAN
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path), help="Parquet or CSV.")
@STORE
@SPOOL
@SINCE
@UNTIL
@DEVICE
@click.option("--what", type=click.Choice(WHAT[:2]), default="counters", help="The table (default: counters).")
def export(
    plan: Path,
    output: Path,
    url: str | None,
    spool: Path | None,
    since: str | None,
    until: str | None,
    devices: tuple[str, ...],
    what: str,
) -> int:
    """Write samples to a file that `store load` reads: counters with the outcomes of polls, or flow samples."""
    from fabric.samplefile import write_counters, write_flows

    span = _span(since, until)
    with _there(plan, url, spool) as opened:
        rows = _read(opened, what, opened.columns() if what == "counters" else (), devices, (), span)
        if what == "flows":
            write_flows(output, rows)
        else:
            write_counters(output, rows, _read(opened, "outcomes", (), devices, (), span))
    click.echo(f"{output}: {counted(rows.height, 'row')}")
    return 0


def _read(
    opened: Store,
    what: str,
    columns: Sequence[str],
    devices: Sequence[str],
    ports: Sequence[str],
    span: tuple[int, int],
) -> pl.DataFrame:
    start, end = span
    if what == "flows":
        return opened.read_flows(devices=devices or None, start_ns=start, end_ns=end)
    if what == "outcomes":
        return opened.read_outcomes(devices=devices or None, start_ns=start, end_ns=end)
    if what == "rollups":
        return opened.read_rollups(start_ns=start, end_ns=end)
    return opened.read(columns, devices=devices or None, ports=ports or None, start_ns=start, end_ns=end)


@contextmanager
def _opened(made: Plan, folder: Path, url: str | None, spool: Path | None) -> Iterator[Store]:
    from collectors.store import open_store

    opened = open_store(url or default_url(folder), spool=spool, plan=made)
    try:
        yield opened
    finally:
        opened.close()


def _there(folder: Path, url: str | None, spool: Path | None) -> AbstractContextManager[Store]:
    """A store that must be there already; raises InputError where its file is not."""
    made, url = open_plan(folder), url or default_url(folder)
    path = Path(url.removeprefix("duckdb:"))
    if url.startswith("duckdb:") and url != "duckdb:" and not path.exists():
        remedy = "`railwright store load` and `railwright collect` make it"
        raise InputError(Problem(str(path), "there is no store", remedy))
    return _opened(made, folder, url, spool)


def default_url(folder: Path) -> str:
    """The store beside a plan: ``out/hpn`` has ``out/hpn.duckdb``."""
    whole = folder.resolve()
    return f"duckdb:{whole.with_name(whole.name + '.duckdb')}"


def _span(since: str | None, until: str | None) -> tuple[int, int]:
    """Start and end in nanoseconds since 1970; raises InputError."""
    import time

    now = time.time_ns()
    day = 86_400 * 1_000_000_000
    start = moment_ns(since, now, "--since") if since else 0
    return start, moment_ns(until, now, "--until") if until else now + day


def moment_ns(text: str, now_ns: int, where: str) -> int:
    """``1h`` (ago), a time of RFC 3339 or nanoseconds since 1970, in nanoseconds; raises InputError."""
    from datetime import UTC, datetime

    from collectors.store.retention import duration_ns

    if text.isdigit() and len(text) <= 19:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return now_ns - duration_ns(text, where)
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000) * 1_000_000
