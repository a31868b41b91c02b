"""The sFlow source: one socket for all switches, drained in batches, decoded where the datagrams lie."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence

import numpy as np

from collectors.sources import Emit, Target
from collectors.sources.sflow import layout
from collectors.sources.sflow.agents import Agents
from collectors.sources.sflow.receive import SLOTS, Receiver, listen
from collectors.sources.sflow.station import MOST_ROWS, NAME, Station

ROUNDS = 16
"""System calls before other tasks get their turn."""
MOST_PAUSE = 0.1
"""Seconds that datagrams gather in the kernel at most."""
BURST, DATAGRAM_ROOM = 20_000, 4608
"""Datagrams a second that must not overflow the kernel's buffer, and what it reckons for one of 1,400 bytes at most."""
BUFFER_BYTES = 16 << 20
"""Asked of the kernel for what arrives meanwhile; it may give less (net.core.rmem_max)."""


class SFlow:
    """Listens on ``address:port`` (UDP); ``forwarders`` may send datagrams of any device of the plan.

    Options of a target: ``addresses`` (more addresses of its agent), ``ifindex`` (ifIndex → name of the port; without
    it the names that the agent sends in records 1005 are learned). At most ``most_rows`` samples of a kind are held;
    while the bus is full nothing is read, the kernel's buffer fills, and what it drops is counted.
    """

    name = NAME

    def __init__(
        self,
        address: str = "0.0.0.0",  # noqa: S104 - datagrams of strangers are counted and dropped
        port: int = 6343,
        *,
        forwarders: Sequence[str] = (),
        buffer_bytes: int = BUFFER_BYTES,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._where = (address, port, buffer_bytes)
        self._forwarders, self._most_rows = forwarders, most_rows
        self._socket: socket.socket | None = None
        self._receiver = Receiver()
        self._waiting = np.zeros(0, layout.HEAD)
        self._station = Station(Agents([]), 0)
        self._errors = 0

    def listen(self) -> tuple[str, int]:
        """Bind now and tell where (a port of 0 is chosen by the system); raises InputError where it cannot."""
        if self._socket is None:
            self._socket = listen(*self._where)
        address, port = self._socket.getsockname()[:2]
        return address, port

    async def run(self, targets: Sequence[Target], emit: Emit, interval: float) -> None:
        """Listen until cancelled; raises InputError for a wrong address or ifIndex, never for what was sent."""
        agents = Agents(targets, self._forwarders)
        self.listen()
        # Compiling takes seconds the first time on a machine: other tasks go on meanwhile.
        await asyncio.to_thread(self._warm)
        self._station = Station(agents, self._most_rows)
        try:
            await self._forever(emit, interval)
        finally:
            self.close()

    def _warm(self) -> None:
        """Compile, or load what was compiled, before anything must be quick."""
        self._receiver.warm()
        station = Station(Agents([]), 1)
        station.decode(self._receiver.bytes, station.admit(self._receiver.bytes, self._receiver.heads[:0]))
        station.polls()

    async def _forever(self, emit: Emit, interval: float) -> None:
        clock = asyncio.get_running_loop().time
        due, pause = clock() + interval, self._pause()
        while True:
            full, busy = self._drain()
            whole = clock() >= due
            if full or whole:
                await emit(await asyncio.to_thread(self._station.polls, whole))
                if whole:
                    due = max(due + interval, clock())
            elif not busy:
                # Few wake-ups with many datagrams each: their times are the kernel's, not ours.
                await asyncio.sleep(min(pause, max(0.0, due - clock())))
            await asyncio.sleep(0)

    def _pause(self) -> float:
        """Seconds in which a burst fills half of the kernel's buffer."""
        assert self._socket is not None
        room = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        return min(MOST_PAUSE, room / DATAGRAM_ROOM / 2 / BURST)

    def _drain(self) -> tuple[bool, bool]:
        """Read and decode what is there: whether the tables are full, whether more may be waiting."""
        assert self._socket is not None
        for _ in range(ROUNDS):
            if not len(self._waiting):
                try:
                    heads = self._receiver.fill(self._socket)
                except OSError:
                    self._errors += 1
                    return False, False
                if not len(heads):
                    return False, False
                self._waiting = self._station.admit(self._receiver.bytes, heads)
            count = len(self._waiting)
            self._waiting = self._station.decode(self._receiver.bytes, self._waiting)
            if len(self._waiting):
                return True, True
            if count < SLOTS // 2:
                return False, False
        return False, True

    def health(self) -> Mapping[str, float]:
        """Its own counters, cumulative: datagrams by what became of them, samples by kind, what the kernel dropped."""
        told = {"kernel_dropped": float(self._receiver.dropped[0]), "socket_errors": float(self._errors)}
        return self._station.health() | told

    def close(self) -> None:
        """Give back the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
