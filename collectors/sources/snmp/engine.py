"""Requests and answers of all agents over one UDP socket an address family, on the event loop.

A request has an unguessable number and is sent again until an answer from the very address that was asked bears it.
Under way at once are at most as many as the socket's buffer holds answers; the rest waits in a queue.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter, deque

import numpy as np

from collectors.sources import Outcome
from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.icmp import queued_errors
from collectors.sources.snmp.request import Agent, Request, numbers
from collectors.sources.snmp.security import Usm, Verdict
from collectors.sources.snmp.sockets import answers, open_socket

TICK = 0.02
"""Seconds between looks at what has waited too long."""
BURST = 64
"""Datagrams that are read before other work gets its turn."""
_REMEMBERED = 4096
"""Requests of which it is remembered how they ended, and as many again."""
_REPORTS = {
    1: "the agent has no such security level for this user", 2: "outside the agent's time window",
    3: "the agent does not know this user", 4: "the agent is another engine than before",
    5: "the agent finds the digest wrong: another authentication secret or protocol",
    6: "the agent cannot decrypt: another privacy secret or protocol",
}  # fmt: skip
"""usmStats of RFC 3414 by their last sub-identifier."""
_USM_STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)


class Engine:
    """The sockets, what is under way, and counts of what came."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sockets: dict[int, socket.socket] = {}
        self._pending: dict[int, Request] = {}
        self._waiting: deque[Request] = deque()
        self._recent: dict[int, str] = {}
        self._older: dict[int, str] = {}
        self._limit = 32
        self._reading = False
        self._outbox: list[Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self._space = bytearray(65536)
        self._buffer = np.frombuffer(self._space, np.uint8)
        self._head = np.zeros(decode.HEAD, np.int64)
        self._numbers = numbers()

    @property
    def under_way(self) -> int:
        """Requests that wait for an answer or for their turn."""
        return len(self._pending) + len(self._waiting)

    def ask(self, request: Request) -> None:
        """Send a request, or queue it while too many are under way."""
        if len(self._pending) >= self._limit:
            self._waiting.append(request)
            return
        request.number = next(self._numbers)
        while request.number in self._pending:
            request.number = next(self._numbers)
        self._pending[request.number] = request
        if self._reading:
            self._outbox.append(request)
        else:
            self._seal(request)
            self._send(request)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._sweep)

    def cancel(self, request: Request) -> None:
        """Forget a request; neither of its two functions will be called."""
        if self._pending.get(request.number) is request:
            self._done(request, "cancelled")
        elif request in self._waiting:
            self._waiting.remove(request)

    def close(self) -> None:
        """Close the sockets; what is under way fails."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for opened in self._sockets.values():
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()
        self._sockets.clear()
        under_way = [*self._pending.values(), *self._waiting]
        self._pending.clear()
        self._waiting.clear()
        for request in under_way:
            request.failure(Outcome.FAILED, "closed")

    def _seal(self, request: Request) -> None:
        pdu = request.pdu()
        security = request.agent.security
        if request.discovery and isinstance(security, Usm):
            request.message = security.discovery(request.number, pdu)
        else:
            request.message = security.seal(request.number, pdu)

    def _send(self, request: Request) -> None:
        request.tries -= 1
        request.due = time.monotonic() + request.patience
        self.counts["requests"] += 1
        opened = self._socket(request.agent.family)
        for _ in range(2):
            try:
                opened.sendto(request.message, request.agent.address)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                self._failed_addresses(opened)  # the refusal was of another datagram
            except OSError as error:
                text = error.strerror or str(error)
                asyncio.get_running_loop().call_soon(self._fail, request, Outcome.UNREACHABLE, text)
                return
            else:
                return

    def _socket(self, family: int) -> socket.socket:
        opened = self._sockets.get(family)
        if opened is None:
            opened = self._sockets[family] = open_socket(family)
            self._limit = max(32, answers(opened))
            asyncio.get_running_loop().add_reader(opened, self._readable, opened)
        return opened

    def _readable(self, opened: socket.socket) -> None:
        """Read what there is, then send what follows from it: to and fro costs more than it takes."""
        self._reading = True
        try:
            self._read(opened)
        finally:
            self._reading = False
            waiting, self._outbox = self._outbox, []
        for request in waiting:
            if self._pending.get(request.number) is request:
                self._seal(request)
                self._send(request)

    def _read(self, opened: socket.socket) -> None:
        for turn in range(BURST):
            try:
                size, address = opened.recvfrom_into(self._space)
            except BlockingIOError:
                if turn == 0:  # woken for an error
                    self._failed_addresses(opened)
                return
            except OSError:
                self._failed_addresses(opened)
                return
            self._take(size, address[:2])

    def _take(self, size: int, address: tuple[str, int]) -> None:
        if decode.message(self._buffer, 0, size, self._head) != decode.OK:
            self._malformed(address)
            return
        head: list[int] = self._head.tolist()
        number = head[decode.ID] if head[decode.VERSION] == 3 else head[decode.REQUEST]
        request = self._pending.get(number)
        if request is None:
            self.counts[self._recent.get(number) or self._older.get(number, "unknown")] += 1
        elif address != request.agent.address:
            self.counts["unknown"] += 1
        elif head[decode.TYPE] == ber.REPORT and not head[decode.FLAGS] & 1:
            self._report(request, head)
        else:
            self._judge(request, size, head)

    def _judge(self, request: Request, size: int, head: list[int]) -> None:
        verdict = request.agent.security.open(self._buffer, size, head, self._head)
        if verdict is not Verdict.FINE:
            self._distrust(request.agent, verdict)
        elif head[decode.TYPE] == ber.REPORT:
            self._report(request, head)
        elif head[decode.TYPE] != ber.RESPONSE or head[decode.REQUEST] != request.number:
            self._malformed(request.agent.address)
        else:
            self._answered(request, head)

    def _answered(self, request: Request, head: list[int]) -> None:
        self.counts["answers"] += 1
        self._done(request, "duplicates")
        if not request.answer(self._buffer, head):
            self.counts["malformed"] += 1
            request.agent.wrong += 1
            if request.tries > 0:
                self.ask(request)
            else:
                request.failure(Outcome.MALFORMED, "an answer whose varbinds are malformed")

    def _distrust(self, agent: Agent, verdict: Verdict) -> None:
        self.counts["malformed" if verdict is Verdict.MALFORMED else "distrusted"] += 1
        if verdict is Verdict.MALFORMED:
            agent.wrong += 1
        else:
            agent.refused = verdict.value

    def _report(self, request: Request, head: list[int]) -> None:
        """A report of the agent's USM: who it is, what its time is, or why it says no."""
        said = decode.opened(self._buffer, head)
        security = request.agent.security
        oid = said.varbinds[0][0] if said is not None and said.varbinds else ()
        if oid[:9] != _USM_STATS or not isinstance(security, Usm) or len(oid) < 10:
            self._malformed(request.agent.address)
        elif request.discovery and oid[9] == 4:
            engine = self._buffer[head[decode.ENGINE] : head[decode.ENGINE_END]].tobytes()
            if 5 <= len(engine) <= 32:
                security.found(engine, head[decode.BOOTS], head[decode.TIME])
                self._answered(request, head)
            else:
                self._malformed(request.agent.address)
        elif oid[9] == 2 and head[decode.FLAGS] & 1 and not request.resynced:
            request.resynced, request.tries = True, request.tries + 1
            self._seal(request)
            self._send(request)
        else:
            if oid[9] == 4:
                security.forget()
            self._fail(request, Outcome.DENIED, _REPORTS.get(oid[9], "reported an error of its security"))

    def _malformed(self, address: tuple[str, int]) -> None:
        self.counts["malformed"] += 1
        for request in self._pending.values():
            if request.agent.address == address:
                request.agent.wrong += 1
                return

    def _failed_addresses(self, opened: socket.socket) -> None:
        for address, refused in queued_errors(opened):
            outcome = Outcome.REFUSED if refused else Outcome.UNREACHABLE
            for request in [found for found in self._pending.values() if found.agent.address == address]:
                self._fail(request, outcome, "nobody listens there" if refused else "no way to it")

    def _done(self, request: Request, why: str) -> None:
        """Take a request off; an answer that still comes for it is counted by ``why``."""
        del self._pending[request.number]
        self._recent[request.number] = why
        if len(self._recent) >= _REMEMBERED:
            self._older, self._recent = self._recent, {}
        if self._waiting and len(self._pending) < self._limit:
            self.ask(self._waiting.popleft())

    def _fail(self, request: Request, outcome: Outcome, detail: str) -> None:
        if self._pending.get(request.number) is request:
            self._done(request, "late")
            self.counts[outcome.value] += 1
            request.failure(outcome, detail)

    def _sweep(self) -> None:
        """Send again what has waited too long, or give it up."""
        self._timer = None
        now = time.monotonic()
        for request in [found for found in self._pending.values() if found.due <= now]:
            if request.tries > 0:
                self.counts["retries"] += 1
                self._send(request)
            else:
                self._fail(request, *_silence(request.agent))
        if self._pending and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._sweep)


def _silence(agent: Agent) -> tuple[Outcome, str]:
    """What it means that no answer could be taken."""
    if agent.refused:
        return Outcome.DENIED, f"its answers are not believed: {agent.refused}"
    if agent.wrong:
        return Outcome.MALFORMED, "its answers are malformed or cut short"
    return Outcome.SILENT, "no answer"
