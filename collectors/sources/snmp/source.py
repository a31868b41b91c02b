"""The source: polls agents by SNMPv3 or v2c and gives rows of samples."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collectors.sources import Outcome, Poll, Target
from collectors.sources.snmp import ber, decode, tables
from collectors.sources.snmp.decode import Message, Octets, Words
from collectors.sources.snmp.engine import Engine
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.options import Options, options
from collectors.sources.snmp.ports import Ports, ports_of
from collectors.sources.snmp.request import Agent, Request
from collectors.sources.snmp.rows import cells_of, frame
from collectors.sources.snmp.security import Clock, Usm, security
from collectors.sources.snmp.walk import AMPLE, Walk
from collectors.sources.snmp.warm import warm
from fabric.samples import empty

LEAST_PATIENCE = 0.05
RESERVE = 0.95
"""Part of the time for a poll that asking may take; the rest is for what has come."""
_WORST = (
    Outcome.DENIED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.FAILED, Outcome.MALFORMED, Outcome.LOOPING,
    Outcome.OVERSIZED, Outcome.LATE, Outcome.SILENT, Outcome.PARTIAL,
)  # fmt: skip
"""Of several problems the one that names the poll's outcome."""


class _Ended(Exception):  # noqa: N818  it is no error of ours
    """The agent cannot be asked further."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


@dataclass(slots=True)
class Device:
    """What is known of an agent from one poll to the next."""

    target: Target
    options: Options
    agent: Agent
    ports: Ports | None = None
    ports_at: float = 0.0
    slow_at: float = float("-inf")
    rows: dict[int, int] = field(default_factory=dict)
    """Rows that each column had; columns without any are missing."""
    uptime: int | None = None
    change: tuple[int | None, ...] = ()
    """ifTableLastChange and ifNumber."""
    room: int = AMPLE
    """Values that an answer of the agent has room for, as far as is known."""


@dataclass(slots=True)
class _Turn:
    """One poll under way."""

    device: Device
    harvest: Harvest
    patience: float
    started_ns: int
    time_ns: int = 0
    problems: list[tuple[Outcome, str]] = field(default_factory=list)
    heard: bool = False
    answered: bool = False
    """Whether the scalars have come: there is a device row."""
    remapped: bool = False
    cells: Words | None = None
    """Where the records belong, once all have come."""


class Snmp:
    """Polls any number of agents, many at a time, over one socket an address family (``collectors.sources.Polled``)."""

    name = "snmp"

    def __init__(self) -> None:
        warm()
        self._engine = Engine()
        self._devices: dict[str, Device] = {}
        self._varbinds = 0

    async def poll(self, target: Target, timeout: float) -> Poll:
        """Ask one agent for all that ``counters.csv`` has an object id for.

        Raises InputError for options that cannot be (at the first poll of a target), nothing for what agents send.
        """
        device = self._device(target)
        device.agent.wrong, device.agent.refused = 0, ""
        expected = sum(device.rows.values()) + 256
        patience = max(LEAST_PATIENCE, timeout * RESERVE / (device.options.retries + 1.5))
        turn = _Turn(device, Harvest(expected), patience, time.time_ns())
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout * RESERVE):
                await self._read(turn)
        except TimeoutError:
            late = turn.heard or turn.harvest.count
            turn.problems.append((Outcome.LATE, "not all came in time") if late else (Outcome.SILENT, "no answer"))
        except _Ended as ended:
            turn.problems.append((ended.outcome, str(ended)))
        return self._poll(turn, time.monotonic() - began)

    async def close(self) -> None:
        """Close the sockets."""
        self._engine.close()
        self._devices.clear()

    def forget(self, device: str) -> None:
        """Drop what is kept of a device that is no longer polled."""
        self._devices.pop(device, None)

    def health(self) -> Mapping[str, float]:
        """Counts since the start: requests, answers, retries, late, duplicates, unknown, malformed… and varbinds."""
        return dict(self._engine.counts) | {"varbinds": self._varbinds, "under_way": self._engine.under_way}

    def _device(self, target: Target) -> Device:
        known = self._devices.get(target.device)
        if known is None or known.target != target:
            given = options(target.options, f"{target.device}.snmp")
            agent = Agent(target.address, target.port, security(given.who))
            known = self._devices[target.device] = Device(target, given, agent)
        return known

    async def _read(self, turn: _Turn) -> None:
        """The whole poll: who the agent is, whether it is the one it was, its tables, and its names if need be."""
        device = turn.device
        if not device.agent.security.ready:
            await self._discover(turn)
        renewed = await self._renewed(turn)
        found = tables.tables()
        now = time.monotonic()
        slow = renewed or now - device.slow_at >= device.options.slow_seconds
        known = {column: rows for column, rows in device.rows.items() if slow or column not in found.slow}
        await self._walk(turn, known, found.samples if renewed else [])
        if slow:
            device.slow_at = now
        if renewed:
            await self._names(turn)
        elif device.ports is not None:
            turn.cells, strangers = cells_of(turn.harvest, found, device.ports)
            if strangers:  # an interface that was not there before
                turn.cells = None
                await self._names(turn)

    async def _discover(self, turn: _Turn) -> None:
        await self._ask(turn, ber.GET, [], discovery=True)
        turn.heard = True

    async def _renewed(self, turn: _Turn) -> bool:
        """Read the scalars; whether names and columns must be read anew: a restart, a changed table, old age."""
        device = turn.device
        said = await self._ask(turn, ber.GET, [tables.UPTIME, tables.TABLE_CHANGE, tables.NUMBER])
        turn.heard, turn.time_ns = True, time.time_ns()
        if said is None or said.error:
            raise _Ended(Outcome.MALFORMED, "no answer to what every agent has")
        values = {oid: value for oid, _, value in said.varbinds if isinstance(value, int)}
        uptime, before = values.get(tables.UPTIME), device.uptime
        change = (values.get(tables.TABLE_CHANGE), values.get(tables.NUMBER))
        restarted = uptime is not None and before is not None and uptime < before
        aged = time.monotonic() - device.ports_at > device.options.refresh_seconds
        renewed = device.ports is None or restarted or aged or change != device.change
        device.uptime, device.change, turn.answered = uptime, change, True
        if renewed:
            device.room = AMPLE
        return renewed

    async def _walk(self, turn: _Turn, known: Mapping[int, int], unknown: Sequence[int]) -> None:
        device, found = turn.device, tables.tables()
        walk = Walk(
            self._engine, device.agent, found.prefixes, found.packed, device.options, turn.harvest, turn.patience,
            device.room,
        )  # fmt: skip
        fresh = [column for column in unknown if column not in known]
        before = turn.harvest.count
        await walk.run(known, fresh)
        turn.problems += walk.problems
        device.room = walk.room
        if not walk.problems:
            came = turn.harvest.rows(len(found.prefixes), before)
            for column in (*known, *fresh):
                if came[column]:
                    device.rows[column] = came[column]
                else:
                    device.rows.pop(column, None)

    async def _names(self, turn: _Turn) -> None:
        """Read how the device calls its ports, once a poll."""
        if turn.remapped:
            return
        turn.remapped = True
        device, found = turn.device, tables.tables()
        names = {column: rows for column in found.names.values() if (rows := device.rows.pop(column, 0))}
        count = len(turn.problems)
        await self._walk(turn, names, list(found.names.values()))
        for column in found.names.values():
            if rows := device.rows.pop(column, 0):
                names[column] = rows
        if len(turn.problems) == count:
            device.ports = ports_of(turn.harvest, found, device.target.ports, device.target.device)
            device.ports_at = time.monotonic()

    async def _ask(
        self, turn: _Turn, tag: int, oids: Sequence[tuple[int, ...]], *, discovery: bool = False
    ) -> Message | None:
        """One request, one answer. Raises _Ended where none comes."""
        ended: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()

        def answer(buf: Octets, head: list[int]) -> bool:
            said = None if discovery else decode.opened(buf, head)
            if said is None and not discovery:
                return False
            if not ended.done():
                ended.set_result(said)
            return True

        def failure(outcome: Outcome, detail: str) -> None:
            if not ended.done():
                ended.set_exception(_Ended(outcome, detail))

        binds = b"".join(ber.varbind(ber.encode_oid(oid)) for oid in oids)
        tries = 1 + turn.device.options.retries
        request = Request(turn.device.agent, tag, answer, failure, turn.patience, binds, 0, tries, discovery)
        self._engine.ask(request)
        try:
            return await ended
        finally:
            self._engine.cancel(request)

    def _poll(self, turn: _Turn, seconds: float) -> Poll:
        """The rows of what has come, and the outcome."""
        device, received_ns = turn.device, time.time_ns()
        self._varbinds += turn.harvest.count
        ports = device.ports
        rows, unknown = empty(), 0
        if ports is not None and turn.answered:
            found = tables.tables()
            cells = turn.cells if turn.cells is not None else cells_of(turn.harvest, found, ports)[0]
            rows = frame(turn.harvest, found, ports, cells, device.uptime, turn.time_ns, received_ns)
            unknown = ports.unknown
        outcome, detail = self._outcome(turn, rows.height > 1)
        if outcome is Outcome.DENIED and isinstance(device.agent.security, Usm):
            device.agent.security.clock = Clock()  # request numbers alone keep replays out until it has signed again
        return Poll(
            self.name, device.target.device, outcome, turn.started_ns, seconds, rows, detail=detail, unknown=unknown
        )

    def _outcome(self, turn: _Turn, some: bool) -> tuple[Outcome, str]:
        if turn.problems:
            outcome, detail = min(turn.problems, key=lambda problem: _WORST.index(problem[0]))
            if outcome is Outcome.SILENT and some:
                outcome = Outcome.PARTIAL
            return outcome, detail
        ports = turn.device.ports
        if not some:
            return Outcome.EMPTY, "no counter of any port of the plan"
        missing = sorted(set(turn.device.target.ports.values()) - set(ports.ports if ports else ()))
        if ports is not None and ports.twice:
            return Outcome.PARTIAL, f"{', '.join(ports.twice[:8])}: two interfaces claim to be it"
        if missing:
            more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            return Outcome.PARTIAL, f"the device has no {', '.join(missing[:8])}{more}"
        return Outcome.OK, ""
