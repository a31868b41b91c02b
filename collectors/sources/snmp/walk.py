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
from collectors.sources.snmp.engine import Agent, Engine, Request
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.options import Options

PROBED = 20
"""Columns that a first request asks for one row of each."""
TOO_BIG = 1


class Chain:
    """Columns that are asked for together, each with the last object id that came."""

    __slots__ = ("columns", "cursors", "left", "most", "probe", "repetitions", "request")

    def __init__(self, columns: list[int], cursors: list[bytes], left: int, *, probe: bool = False) -> None:
        self.columns = columns
        self.cursors = cursors
        self.left = left
        """Rows that are still expected, the one after the last included."""
        self.probe = probe
        self.repetitions = 1
        self.most = 1 << 16
        """Repetitions that the agent's answers have room for."""
        self.request: Request | None = None


class Walk:
    """One walk of one agent. ``problems`` says how it ended: nothing, or outcomes with their details."""

    def __init__(
        self, engine: Engine, agent: Agent, prefixes: Sequence[bytes], table: Octets, options: Options,
        harvest: Harvest, patience: float,
    ) -> None:  # fmt: skip
        self._engine, self._agent, self._options, self._harvest = engine, agent, options, harvest
        self._prefixes, self._table, self._patience = prefixes, table, patience
        self._queue: deque[Chain] = deque()
        self._active: set[Chain] = set()
        self._ended: asyncio.Future[None] | None = None
        self.problems: list[tuple[Outcome, str]] = []
        self.heard = False

    async def run(self, known: Mapping[int, int], unknown: Sequence[int]) -> None:
        """Walk the columns of ``known`` (rows expected of each) and ``unknown``; returns when all have ended."""
        self._ended = asyncio.get_running_loop().create_future()
        self._queue.extend(self._grouped(known))
        for at in range(0, len(unknown), PROBED):
            columns = list(unknown[at : at + PROBED])
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
        self._active.clear()
        self._queue.clear()

    def _grouped(self, known: Mapping[int, int]) -> list[Chain]:
        """Chains of columns with the same number of rows, as many as one answer has room for."""
        chains: list[Chain] = []
        for column, rows in sorted(known.items(), key=lambda item: (item[1], item[0])):
            last = chains[-1] if chains else None
            if last and last.left == rows + 1 and (len(last.columns) + 1) * last.left <= self._options.varbinds:
                last.columns.append(column)
                last.cursors.append(self._prefixes[column])
            else:
                chains.append(Chain([column], [self._prefixes[column]], rows + 1))
        return chains

    def _pump(self) -> None:
        while self._queue and len(self._active) < self._options.window:
            chain = self._queue.popleft()
            self._active.add(chain)
            self._ask(chain)
        if not self._active and not self._queue and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _ask(self, chain: Chain) -> None:
        width = len(chain.columns)
        room = max(1, self._options.varbinds // width)
        left = chain.left if chain.left > 0 else room
        chain.repetitions = 1 if chain.probe else min(-(-left // -(-left // room)), chain.most)
        chain.request = Request(
            self._agent, ber.GET_BULK, (0, chain.repetitions), b"".join(map(ber.varbind, chain.cursors)),
            lambda buf, head: self._answer(chain, buf, head), self._failure, self._patience, 1 + self._options.retries,
        )  # fmt: skip
        self._engine.ask(chain.request)

    def _answer(self, chain: Chain, buf: Octets, head: Words) -> bool:
        if chain not in self._active:
            return True
        self.heard = True
        if head[decode.ERROR]:
            self._refused(chain, int(head[decode.ERROR]))
            return True
        ask, status = self._absorb(chain, buf, head)
        if status == decode.MALFORMED:
            return False
        if status == decode.LOOPING:
            self._stop(chain, Outcome.LOOPING, "object ids that do not increase")
        elif self._harvest.count > self._options.most:
            self._failure(Outcome.OVERSIZED, f"more than {self._options.most} values in one poll")
        elif self._harvest.state[3] == 0:
            self._stop(chain, Outcome.PARTIAL, "an answer without varbinds")
        else:
            self._advance(chain, ask, buf)
        return True

    def _absorb(self, chain: Chain, buf: Octets, head: Words) -> tuple[Words, int]:
        harvest, width = self._harvest, len(chain.columns)
        harvest.room(width * chain.repetitions, int(head[decode.DATA_END] - head[decode.BINDS]))
        ask = np.zeros((width, 5), np.int64)
        at = 0
        for row, column, cursor in zip(ask, chain.columns, chain.cursors, strict=True):
            row[:3] = column, at, at + len(cursor)
            at += len(cursor)
        asked = np.frombuffer(bytearray(b"".join(chain.cursors)), np.uint8)
        status = decode.absorb(
            buf, head, asked, ask, self._table, harvest.records, harvest.heap, harvest.state, harvest.found
        )
        return ask, status

    def _advance(self, chain: Chain, ask: Words, buf: Octets) -> None:
        """Go on with the columns that have not ended."""
        came = int(self._harvest.state[3]) // len(chain.columns)
        columns, cursors = [], []
        for (column, start, stop, new, ended), cursor in zip(ask.tolist(), chain.cursors, strict=True):
            if not ended:
                columns.append(column)
                cursors.append(buf[start:stop].tobytes() if new else cursor)
        if chain.probe:
            self._queue.extend(Chain([column], [cursor], 0) for column, cursor in zip(columns, cursors, strict=True))
            columns = []
        if not columns:
            self._active.discard(chain)
            self._pump()
            return
        chain.columns, chain.cursors, chain.left = columns, cursors, chain.left - came
        self._ask(chain)

    def _refused(self, chain: Chain, error: int) -> None:
        if error == TOO_BIG and chain.repetitions > 1:
            chain.most = chain.repetitions // 2
            self._ask(chain)
        elif error == TOO_BIG and len(chain.columns) > 1:
            self._queue.extend(Chain([c], [at], chain.left) for c, at in zip(chain.columns, chain.cursors, strict=True))
            self._active.discard(chain)
            self._pump()
        else:
            where = ber.dotted(ber.decode_oid(chain.cursors[0]))
            self._stop(chain, Outcome.PARTIAL, f"the agent answers with error {error} after {where}")

    def _stop(self, chain: Chain, outcome: Outcome, detail: str) -> None:
        """Give up one chain; the others go on."""
        self.problems.append((outcome, detail))
        self._active.discard(chain)
        self._pump()

    def _failure(self, outcome: Outcome, detail: str) -> None:
        """Give up all: an agent that does not answer one request will not answer the next."""
        self.problems.append((outcome, detail))
        self.cancel()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
