"""A walk: columns of tables read by GETBULK, several requests under way, each column from where it has come.

Columns with few rows share a request; a column with many has requests of its own, cut so that the last one is as full
as the others. How many rows there will be is what the walk before found; the first walk asks each column for one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from collectors.sources import Outcome
from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.decode import Octets, Words
from collectors.sources.snmp.engine import Engine
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.options import Options
from collectors.sources.snmp.request import Agent, Request

PROBED = 20
"""Columns that a first request asks for one row of each."""
WIDEST = 48
"""Columns that a request names at most: it is to fit a datagram of 1,500 octets."""
BROAD = 8
"""Columns that share a request though their rows take several answers."""
AMPLE = 1 << 16
"""Values that an answer of an agent has room for that has not shown its bound."""
TOO_BIG = 1


class Chain:
    """Columns that are asked for together, each with the last object id that came."""

    __slots__ = ("ask", "cursors", "left", "probe", "request", "width")

    def __init__(self, columns: Sequence[int], cursors: Sequence[bytes], left: int, *, probe: bool = False) -> None:
        self.width = len(columns)
        self.ask: Words = np.zeros((self.width, 4), np.int64)
        self.ask[:, decode.ASKED] = columns
        row = [bytes((len(cursor),)) + cursor.ljust(decode.CURSOR - 1, b"\0") for cursor in cursors]
        self.cursors = np.frombuffer(bytearray(b"".join(row)), np.uint8)
        self.left = left
        """Rows that are still expected, the one after the last included."""
        self.probe = probe
        self.request: Request | None = None

    def apart(self) -> list[Chain]:
        """Its columns one by one, each from where it has come."""
        size = decode.CURSOR
        rows = [self.cursors[at * size : (at + 1) * size].tobytes() for at in range(self.width)]
        columns = self.ask[:, decode.ASKED].tolist()
        return [Chain([column], [row[1 : 1 + row[0]]], 0) for column, row in zip(columns, rows, strict=False)]


class Walk:
    """One walk of one agent. ``problems`` says how it ended: nothing, or outcomes with their details."""

    def __init__(
        self, engine: Engine, agent: Agent, prefixes: Sequence[bytes], table: Octets, options: Options,
        harvest: Harvest, patience: float, room: int,
    ) -> None:  # fmt: skip
        self._engine, self._agent, self._options, self._harvest = engine, agent, options, harvest
        self._prefixes, self._table, self._patience = prefixes, table, patience
        self._queue: deque[Chain] = deque()
        self._active: set[Chain] = set()
        self._ended: asyncio.Future[None] | None = None
        self._out = np.zeros(max(PROBED, options.varbinds) * (decode.CURSOR + 8), np.uint8)
        self.problems: list[tuple[Outcome, str]] = []
        self.heard = False
        self.room = room
        """Values that an answer of this agent has room for, as far as it has shown."""

    async def run(self, known: Mapping[int, int], unknown: Sequence[int]) -> None:
        """Walk the columns of ``known`` (rows expected of each) and ``unknown``; returns when all have ended."""
        self._ended = asyncio.get_running_loop().create_future()
        self._queue.extend(self._grouped(known))
        for at in range(0, len(unknown), PROBED):
            columns = unknown[at : at + PROBED]
            self._queue.append(Chain(columns, [self._prefixes[column] for column in columns], 1, probe=True))
        try:
            self._pump()
            await self._ended
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Forget what is under way."""
        for chain in self._active:
            if chain.request is not None:
                self._engine.cancel(chain.request)
                chain.request = None
        self._active.clear()
        self._queue.clear()

    def _grouped(self, known: Mapping[int, int]) -> list[Chain]:
        """Chains of columns with the same number of rows, so wide that their answers are full."""
        groups: dict[int, list[int]] = {}
        for column, rows in sorted(known.items()):
            groups.setdefault(rows + 1, []).append(column)
        chains = []
        for rows, columns in sorted(groups.items()):
            width = broadest(rows, len(columns), self._full)
            for at in range(0, len(columns), width):
                some = columns[at : at + width]
                chains.append(Chain(some, [self._prefixes[column] for column in some], rows))
        return chains

    @property
    def _full(self) -> int:
        """Values to ask for in one answer."""
        return min(self._options.varbinds, self.room)

    def _pump(self) -> None:
        while self._queue and len(self._active) < self._options.window:
            chain = self._queue.popleft()
            self._active.add(chain)
            self._ask(chain)
        if not self._active and not self._queue and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _ask(self, chain: Chain) -> None:
        """Ask for the next rows of a chain; one whose columns have all ended makes room for the next."""
        width, size = decode.binds(chain.ask, chain.cursors, self._out)
        if not width:
            self._drop(chain)
            return
        if width < chain.width:
            chain.width, chain.ask = width, chain.ask[:width]
        request = chain.request
        if request is None:
            request = chain.request = Request(
                self._agent, ber.GET_BULK, lambda buf, head: self._answer(chain, buf, head), self._failure,
                self._patience,
            )  # fmt: skip
        request.binds = self._out[:size].tobytes()
        request.tries = 1 + self._options.retries
        request.repetitions = self._repetitions(chain)
        self._engine.ask(request)

    def _repetitions(self, chain: Chain) -> int:
        """Rows to ask for: so many that the last answer is as full as the others."""
        if chain.probe:
            return 1
        room = max(1, self._full // chain.width)
        left = chain.left if chain.left > 0 else room
        return -(-left // -(-left // room))

    def _answer(self, chain: Chain, buf: Octets, head: list[int]) -> bool:
        if chain not in self._active or chain.request is None:
            return True
        self.heard = True
        if head[decode.ERROR]:
            self._refused(chain, chain.request, head[decode.ERROR])
            return True
        harvest = self._harvest
        start, stop = head[decode.BINDS], head[decode.DATA_END]
        harvest.room(chain.width * chain.request.repetitions, stop - start)
        status = decode.absorb(
            buf, start, stop, chain.ask, chain.cursors, self._table,
            harvest.records, harvest.heap, harvest.state, harvest.found,
        )  # fmt: skip
        if status == decode.MALFORMED:
            return False
        if status == decode.LOOPING:
            self._stop(chain, Outcome.LOOPING, "object ids that do not increase")
        else:
            self._advance(chain)
        return True

    def _advance(self, chain: Chain) -> None:
        """Go on with the columns that have not ended."""
        count, _, _, came = self._harvest.state.tolist()
        self._learn(chain, came)
        chain.left -= came // chain.width
        if count > self._options.most:
            self._failure(Outcome.OVERSIZED, f"more than {self._options.most} values in one poll")
        elif came == 0:
            self._stop(chain, Outcome.PARTIAL, "an answer without varbinds")
        elif chain.probe:
            chain.width, _ = decode.binds(chain.ask, chain.cursors, self._out)
            self._split(chain)
        else:
            self._ask(chain)

    def _learn(self, chain: Chain, came: int) -> None:
        """An answer cut short though its columns go on shows what the agent has room for."""
        assert chain.request is not None
        if came < chain.width * chain.request.repetitions and not chain.ask[:, decode.ENDED].any():
            self.room = max(1, min(self.room, came))

    def _split(self, chain: Chain) -> None:
        self._queue.extend(chain.apart())
        self._drop(chain)

    def _refused(self, chain: Chain, request: Request, error: int) -> None:
        if error == TOO_BIG and request.repetitions > 1:
            self.room = min(self.room, chain.width * request.repetitions // 2)
            self._ask(chain)
        elif error == TOO_BIG and chain.width > 1:
            self._split(chain)
        else:
            where = ber.dotted(ber.decode_oid(chain.cursors[1 : 1 + chain.cursors[0]].tobytes()))
            self._stop(chain, Outcome.PARTIAL, f"the agent answers with error {error} after {where}")

    def _stop(self, chain: Chain, outcome: Outcome, detail: str) -> None:
        """Give up one chain; the others go on."""
        self.problems.append((outcome, detail))
        self._drop(chain)

    def _drop(self, chain: Chain) -> None:
        """Be done with a chain. It and its request hold each other: undone here, not by the collector of garbage."""
        self._active.discard(chain)
        chain.request = None
        self._pump()

    def _failure(self, outcome: Outcome, detail: str) -> None:
        """Give up all: an agent that does not answer one request will not answer the next."""
        self.problems.append((outcome, detail))
        self.cancel()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


def broadest(rows: int, columns: int, room: int) -> int:
    """How many of ``columns`` with so many rows to ask for together, ``room`` values an answer: the fewest answers."""
    most = min(columns, room, WIDEST, max(BROAD, room // rows))
    return min(range(1, most + 1), key=lambda width: _answers(rows, columns, width, room))


def _answers(rows: int, columns: int, width: int, room: int) -> int:
    whole, rest = divmod(columns, width)
    return whole * -(-rows // (room // width)) + (-(-rows // (room // rest)) if rest else 0)
