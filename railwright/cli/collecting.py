"""Running ``railwright collect``: bus and store opened, signals heard, something shown, all of it closed again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import click

from railwright.cli.base import State, print_json
from railwright.cli.collect_table import Board, summary

if TYPE_CHECKING:
    from collectors.secrets import Secrets
    from collectors.service import Roles, Service
    from railwright.cli.collect import Asked, Work

MINUTE = 60.0


def run(state: State, work: Work, asked: Asked) -> int:
    """Collect until told to stop; prints what came of it."""
    from collectors.service import Roles
    from collectors.store import open_store

    if asked.only and (asked.bus or work.settings.shared.bus) == "memory:":
        raise click.UsageError("--only needs a bus between processes: --bus nats://HOST:PORT")
    store = None if asked.only == "collect" else open_store(work.url, spool=asked.spool, plan=work.site.plan)
    board = Board()
    try:
        roles = Roles(asked.only != "write", store)
        health = asyncio.run(_serve(state, work, roles, board, asked))
    finally:
        if store is not None:
            store.close()
    if asked.as_json:
        print_json(health | {"outcomes": dict(board.outcomes)})
    elif asked.only != "write":
        click.echo(board.text(health))
    return 0


async def _serve(state: State, work: Work, roles: Roles, board: Board, asked: Asked) -> dict[str, dict[str, float]]:
    from collectors.bus import open_bus
    from collectors.service import Service

    bus = await open_bus(asked.bus or work.settings.shared.bus, secrets=work.secrets)
    try:
        service = Service(work.site, work.settings, bus, roles, tell=_say, watch=board.watch)
        with _metrics(service, asked.metrics or work.settings.shared.metrics, work.secrets):
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
    while True:
        await asyncio.sleep(MINUTE)
        _say(summary(board, service.health()))
