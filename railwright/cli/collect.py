"""``railwright collect``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from railwright.cli.base import Command, State, json_option, open_plan, print_json

if TYPE_CHECKING:
    from collectors.secrets import Secrets
    from collectors.service import Roles, Service, Site
    from collectors.settings import Collect
    from railwright.cli.collect_table import Board

EXAMPLE = """\
railwright collect --demo --for 30
railwright collect out/hpn --secrets secrets.env
railwright collect out/hpn --bus nats://127.0.0.1:4222 --only collect"""
MINUTE = 60.0


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    url: str | None
    spool: Path | None
    bus: str | None
    only: str | None
    seconds: float | None
    metrics: str | None
    as_json: bool


@click.command(cls=Command, example=EXAMPLE)
@click.argument("plan", metavar="PLAN", required=False, type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="Start agents on this machine and poll them; needs no PLAN.")
@click.option("--agents", metavar="N", type=click.IntRange(1, 64), default=4, help="Of --demo: how many (default: 4).")
@click.option(
    "--period",
    metavar="SECONDS",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    help="Of --demo: between two polls of one (default: 2).",
)
@click.option("--source", "sources", metavar="NAME", multiple=True, help="Only this source; may be repeated.")
@click.option("--targets", metavar="FILE", help="CSV device,address,port,source: where devices are instead.")
@click.option(
    "--store", "url", metavar="URL", help="duckdb:FILE, influxdb://… or victoriametrics://… (default: PLAN.duckdb)."
)
@click.option(
    "--spool", metavar="DIR", type=click.Path(path_type=Path), help="Folder of what a server has not got yet."
)
@click.option("--bus", metavar="URL", help="memory: or nats://HOST:PORT (default: memory:).")
@click.option(
    "--only", type=click.Choice(["collect", "write"]), help="With nats: collect and publish, or take and write."
)
@click.option(
    "--secrets", "secrets_file", metavar="FILE", help="NAME=value lines, mode 600; RAILWRIGHT_SECRET_NAME works too."
)
@click.option(
    "--metrics", metavar="ADDR:PORT", help="Serve /metrics there (loopback), behind the secret METRICS_TOKEN."
)
@click.option("--for", "seconds", metavar="SECONDS", type=click.FloatRange(0.1), help="End after that long.")
@json_option
@click.pass_obj
def collect(
    state: State, plan: Path | None, demo: bool, agents: int, period: float, sources: tuple[str, ...],
    targets: str | None, url: str | None, spool: Path | None, bus: str | None, only: str | None,
    secrets_file: str | None, metrics: str | None, seconds: float | None, as_json: bool,
) -> int:  # fmt: skip
    """Collect telemetry of a plan's devices into a store, until interrupted.

    Whom to ask, how, and how often is in the tables [collect] of railwright.toml: docs/collect.md. On a terminal a
    table shows every device; --json prints the numbers of all parts at the end.
    """
    from collectors.secrets import read_secrets

    asked = Asked(url, spool, bus, only, seconds, metrics, as_json)
    with ExitStack() as stack:
        if demo:
            if plan is not None or sources or targets:
                raise click.UsageError("--demo takes no PLAN, --source or --targets")
            from collectors.demo import demo as demonstrate

            site, settings, what = stack.enter_context(demonstrate(agents, period))
            click.echo(f"railwright: {agents} × {what}", err=True)
            secrets = read_secrets(Path(secrets_file) if secrets_file else None)
        else:
            if plan is None:
                raise click.UsageError("missing argument PLAN (or --demo)")
            site, settings, secrets = _planned(state, plan, sources, targets, secrets_file, asked)
        url = url or settings.shared.store or _default_store(stack, plan)
        return _run(state, site, settings, secrets, url, asked)


def _planned(
    state: State, plan: Path, only: tuple[str, ...], targets: str | None, secrets_file: str | None, asked: Asked
) -> tuple[Site, Collect, Secrets]:
    """Site, settings with their secrets, and secrets, as flags and the file of settings say."""
    from collectors.secrets import read_secrets
    from collectors.service import Site
    from collectors.settings import read, with_secrets
    from collectors.targets import shards

    found = state.settings
    flags = {"targets": targets, "secrets": secrets_file, "bus": asked.bus, "metrics": asked.metrics}
    tables = {**found.tables.get("collect", {}), **{name: value for name, value in flags.items() if value}}
    shared, sources = read(tables, found.file)
    secrets = read_secrets(Path(shared.secrets) if shared.secrets else None)
    made = open_plan(plan)
    if asked.only == "write":
        from collectors.settings import Collect

        return Site(shards(made), {}, made), Collect(shared, ()), secrets
    settings = with_secrets(shared, sources, secrets, found.file)
    settings = settings.only(only) if only else settings
    return Site.of(made, settings), settings, secrets


def _default_store(stack: ExitStack, plan: Path | None) -> str:
    """Beside the plan; of a demonstration a folder that goes with it."""
    if plan is not None:
        from railwright.cli.store import default_url

        return default_url(plan)
    import tempfile

    return f"duckdb:{stack.enter_context(tempfile.TemporaryDirectory(prefix='railwright-demo-'))}/demo.duckdb"


def _run(state: State, site: Site, settings: Collect, secrets: Secrets, url: str, asked: Asked) -> int:
    from collectors.service import Roles
    from collectors.store import open_store
    from railwright.cli.collect_table import Board

    if asked.only and (asked.bus or settings.shared.bus) == "memory:":
        raise click.UsageError("--only needs a bus between processes: --bus nats://HOST:PORT")
    store = None if asked.only == "collect" else open_store(url, spool=asked.spool, plan=site.plan)
    board = Board()
    try:
        roles = Roles(asked.only != "write", store)
        health = asyncio.run(_serve(state, site, settings, secrets, roles, board, asked))
    finally:
        if store is not None:
            store.close()
    if asked.as_json:
        print_json(health | {"outcomes": dict(board.outcomes)})
    elif asked.only != "write":
        click.echo(board.text(health))
    return 0


async def _serve(
    state: State, site: Site, settings: Collect, secrets: Secrets, roles: Roles, board: Board, asked: Asked
) -> dict[str, dict[str, float]]:
    from collectors.bus import open_bus
    from collectors.service import Service

    bus = await open_bus(asked.bus or settings.shared.bus, secrets=secrets)
    try:
        service = Service(site, settings, bus, roles, tell=_say, watch=board.watch)
        with _metrics(service, asked.metrics or settings.shared.metrics, secrets):
            async with _stopping(asked.seconds) as stop, _showing(state, service, board):
                await service.run(stop)
        return {name: dict(numbers) for name, numbers in service.health().items()}
    finally:
        await bus.close()


def _say(line: str) -> None:
    click.echo(f"railwright: {line}", err=True)


@contextmanager
def _metrics(service: Service, where: str | None, secrets: Secrets) -> Iterator[None]:
    """``/metrics`` until the block ends, where it was asked for."""
    if where is None:
        yield
        return
    from collectors.exposition import MetricsServer, registry
    from fabric.errors import InputError, Problem

    host, _, port = where.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InputError(Problem("--metrics", f'"{where}" is no address and port', "write 127.0.0.1:9810"))
    token = secrets["METRICS_TOKEN"].reveal()
    server = MetricsServer(registry([service.samples]), token, host.strip("[]") or "127.0.0.1", int(port))
    try:
        _say(f"metrics at http://{server.host}:{server.port}/metrics")
        yield
    finally:
        server.close()


@asynccontextmanager
async def _stopping(seconds: float | None) -> AsyncIterator[asyncio.Event]:
    """An event set by SIGINT, SIGTERM or after so many seconds; a second signal does not wait for anything."""
    import signal

    loop, stop, task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()

    def signalled() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    timer = loop.call_later(seconds, stop.set) if seconds else None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if timer is not None:
            timer.cancel()


@asynccontextmanager
async def _showing(state: State, service: Service, board: Board) -> AsyncIterator[None]:
    """A live table, a line a minute, or nothing."""
    from collectors.tasks import end

    how = state.settings["progress"]
    live = how == "bars" or (how == "auto" and sys.stderr.isatty())
    task = None
    if how != "none":
        task = asyncio.create_task(_live(state, service, board) if live else _lines(service, board))
    try:
        yield
    finally:
        await end(task)


async def _live(state: State, service: Service, board: Board) -> None:
    from rich.console import Console
    from rich.live import Live

    color = state.settings["color"]
    console = Console(
        stderr=True, no_color=True if color == "never" else None, force_terminal=color == "always" or None
    )
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(board.table(service.health()), refresh=True)
            await asyncio.sleep(0.5)


async def _lines(service: Service, board: Board) -> None:
    from railwright.cli.collect_table import summary

    while True:
        await asyncio.sleep(MINUTE)
        _say(summary(board, service.health()))
