"""Runs the source gnmi for a test: targets in, what it emitted out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from gnmi_oracle import PORTS
from gnmi_server import Identity, identity

from collectors.sources import Outcome, Poll, Target
from collectors.sources.gnmi import stream
from collectors.sources.gnmi.source import Gnmi, warm

PLAIN: dict[str, Any] = {"insecure": True}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all: grpc.aio belongs to the first that it sees."""
    warm()
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return identity(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(stream, "LONGEST_BACKOFF", 0.2)


def leaf(port: int, ports: dict[str, str] = PORTS, device: str = "leaf-1", **said: Any) -> Target:
    return Target(device, "127.0.0.1", port, ports, said)


def listen(loop: asyncio.Runner, targets: list[Target], enough: Callable[[list[Poll]], bool],
           interval: float = 0.2) -> tuple[list[Poll], Gnmi]:  # fmt: skip
    """Run the source until what it gave is enough (20 s at most)."""
    polls: list[Poll] = []
    source = Gnmi()

    async def emit(new: Iterable[Poll]) -> None:
        polls.extend(new)

    async def run() -> None:
        running = asyncio.create_task(source.run(targets, emit, interval))
        end = time.monotonic() + 20
        while not enough(polls) and not running.done() and time.monotonic() < end:
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()

    loop.run(run())
    assert enough(polls), polls
    return polls, source


def has(outcome: Outcome) -> Callable[[list[Poll]], bool]:
    return lambda polls: any(poll.outcome is outcome for poll in polls)
