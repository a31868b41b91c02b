"""A recording as the agents that run on hosts (``railwright host-agent``), one port of loopback a host."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import cache, partial
from typing import Any

import polars as pl

from collectors.hostagent import VERSION
from collectors.hostagent.server import Agent, Message
from collectors.secrets import Secret
from collectors.sources.host import STATES
from fabric.counters import Address, Counter, parse
from fabric.samples import KEYS
from railwright.replay.recording import Clock, Recording

SHOWN = ("sysfs", "ethtool")
"""Where a host shows its counters; of several places the last counts."""
LLDP = ("lldp_system", "lldp_chassis", "lldp_port", "lldp_port_description")
_STATES = {number: name for name, number in STATES.items()}


class Hosts:
    """The devices of a recording as host agents; ``places`` says where each listens. Without TLS, so loopback alone."""

    def __init__(self, recording: Recording, clock: Clock, token: Secret) -> None:
        """Opens a socket a host; ``start`` answers."""
        self.recording, self.clock = recording, clock
        self.places: dict[str, tuple[str, int]] = {}
        self._agents: dict[int, tuple[str, Agent]] = {}
        self._sockets = []
        for device in recording.devices:
            opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            opened.bind(("127.0.0.1", 0))
            port = int(opened.getsockname()[1])
            self._sockets.append(opened)
            self.places[device] = ("127.0.0.1", port)
            self._agents[port] = device, Agent(device, token, partial(self._document, device), period=0.0)
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer, in a thread, until ``close``."""
        import uvicorn

        config = uvicorn.Config(
            self._app, log_level="critical", access_log=False, lifespan="off", ws="none", interface="asgi3",
            timeout_keep_alive=3600,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=(self._sockets,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the sockets."""
        if self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join()
        for opened in self._sockets:
            opened.close()

    async def _app(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """One request, to the agent behind the port that it came to; a host that was silent then does not answer."""
        device, agent = self._agents[scope["server"][1]]
        if self.recording.at(device, self.clock.sample()).is_empty():
            while (await receive())["type"] != "http.disconnect":
                await asyncio.sleep(0)
            return
        await agent(scope, receive, send)

    def _document(self, device: str, host: str) -> dict[str, Any]:
        time_ns = self.clock.sample()
        return document(self.recording.at(device, time_ns), host, self.clock.ours(time_ns))


def document(rows: pl.DataFrame, host: str, time_ns: int) -> dict[str, Any]:
    """What the agent of a host answers whose ports are as in ``rows``; ``time_ns``: its clock."""
    ported = list(rows.filter(pl.col("port").is_not_null()).iter_rows(named=True))
    return {
        "version": VERSION,
        "host": host,
        "time_ns": time_ns,
        "ports": [{"names": [row["port"]], "values": dict(_values(row))} for row in ported],
        "lldp": {"lldp": [{"interface": [_neighbour(row) for row in ported if row.get("lldp_system")]}]},
    }


def _values(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        shown = place(column) if value is not None and column not in KEYS else None
        if shown is not None:
            counter, index, address = shown
            yield address.path.format(index=index), _text(counter, value, address.factor)


@cache
def place(column: str) -> tuple[Counter, int | None, Address] | None:
    """Counter, number and address of a column on a host: of several that take it whole the last, which counts."""
    known = parse(column)
    if known is None:
        return None
    addresses = [address for kind in SHOWN for address in known[0].addresses[kind]]
    whole = [address for address in addresses if address.factor == 1] or addresses
    return (*known, whole[-1]) if whole else None


def _text(counter: Counter, value: float | str, factor: float) -> str:
    if counter.kind == "state":
        return _STATES[int(value)]
    if counter.kind == "counter":
        return str(round(float(value) / factor) if factor != 1 else int(value))
    return value if isinstance(value, str) else repr(value / factor)


def _neighbour(row: dict[str, Any]) -> dict[str, Any]:
    """One interface as ``lldpcli -f json0 show neighbors`` prints it."""
    system, chassis, port, description = ([{"value": row[name]}] for name in LLDP)
    return {
        "name": row["port"],
        "chassis": [{"id": chassis, "name": system}],
        "port": [{"id": port, "descr": description}],
    }
