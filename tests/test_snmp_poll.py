"""Polls of agents that answer well, late, twice, cut short, with loops, restarts and other names; nothing raises."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snmp_agents import v2c, v3
from snmp_fake import IFX, Fake, answer, counter64, serving, switch, text

from collectors.sources import Outcome, Poll, Target
from collectors.sources.snmp import Snmp, ber, decode
from collectors.sources.snmp.ber import parts
from collectors.sources.snmp.walk import broadest

PLAN = {f"Ethernet{n}": f"swp{n}" for n in range(1, 5)}
UPTIME = parts("1.3.6.1.2.1.1.3.0")


def target(fake: Fake, **options: object) -> Target:
    return Target("leaf-1", "127.0.0.1", fake.port, PLAN, v2c() | options)


def run(body: Callable[[Snmp], Coroutine[Any, Any, None]]) -> None:
    """Run a test with a source of its own, closed at its end."""

    async def whole() -> None:
        source = Snmp()
        try:
            await body(source)
        finally:
            await source.close()

    asyncio.run(whole())


def polled(
    fake: Fake, times: int = 1, timeout: float = 5, settle: float = 0.05, **options: object
) -> tuple[list[Poll], dict[str, float]]:
    """Polls of a fake agent one after the other, and the source's health."""
    found: list[Poll] = []
    health: dict[str, float] = {}

    async def body(source: Snmp) -> None:
        async with serving(fake):
            found.extend([await source.poll(target(fake, **options), timeout) for _ in range(times)])
            await asyncio.sleep(settle)  # what still comes is counted
        health.update(source.health())

    run(body)
    return found, health


def values(poll: Poll, column: str) -> dict[str | None, Any]:
    return dict(zip(poll.rows["port"], poll.rows[column], strict=True))


def test_an_honest_agent() -> None:
    (first, second), health = polled(Fake(switch()), times=2)
    for poll in (first, second):
        assert (poll.outcome, poll.detail, poll.unknown) == (Outcome.OK, "", 0)
        assert values(poll, "rx_bytes") == {f"swp{n}": 1000 * n for n in range(1, 5)} | {None: None}
        assert values(poll, "tx_bytes") == {f"swp{n}": 2**63 + n for n in range(1, 5)} | {None: None}
        assert values(poll, "oper_status")["swp1"] == 1
        assert values(poll, "rx_pfc_frames_p3")["swp4"] == 4
        assert values(poll, "uptime_seconds") == {f"swp{n}": None for n in range(1, 5)} | {None: 10.0}
        assert set(poll.rows["device"]) == {"leaf-1"}
    assert health["requests"] == health["answers"]


def test_a_second_poll_asks_less() -> None:
    fake = Fake(switch())
    polled(fake)
    first = fake.asked
    again = Fake(switch())
    polled(again, times=2)
    assert again.asked - first < first / 2


@pytest.mark.parametrize("ports", [1, 47, 60, 61, 130])
@pytest.mark.parametrize("varbinds", [3, 7, 60, 500])
def test_tables_of_any_length_and_answers_of_any_size(ports: int, varbinds: int) -> None:
    fake = Fake(switch(ports))
    plan = {f"Ethernet{n}": f"swp{n}" for n in range(1, ports + 1)}

    async def body(source: Snmp) -> None:
        async with serving(fake):
            for _ in range(2):
                poll = await source.poll(Target("d", "127.0.0.1", fake.port, plan, v2c() | {"varbinds": varbinds}), 20)
                assert poll.outcome is Outcome.OK
                assert values(poll, "rx_bytes") == {f"swp{n}": 1000 * n for n in range(1, ports + 1)} | {None: None}

    run(body)


def test_an_agent_that_answers_late_is_waited_for() -> None:
    """Each answer comes after the request was sent again: the first is taken, the second counted."""
    fake = Fake(switch(2), lambda fake, datagram: [(0.4 if fake.asked < 3 else 0, fake.honest(datagram))])
    (poll,), health = polled(fake, timeout=3, settle=1, retries=10)
    assert poll.outcome is Outcome.PARTIAL  # two of four ports
    assert values(poll, "rx_bytes")["swp2"] == 2000
    assert health["retries"] > 0
    assert health["duplicates"] > 0


def test_what_has_come_by_the_deadline_is_kept() -> None:
    late = parts(f"{IFX}.10")

    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        slow = renewed and any(oid[: len(late)] == late for oid, _, _ in said.varbinds)
        return [] if slow else [(0, fake.honest(datagram))]

    renewed = False
    fake = Fake(switch(), answers)

    async def body(source: Snmp) -> None:
        nonlocal renewed
        async with serving(fake):
            assert (await source.poll(target(fake, varbinds=1), 5)).outcome is Outcome.OK
            renewed = True
            poll = await source.poll(target(fake, varbinds=1, retries=0), 0.5)
            assert poll.outcome in (Outcome.LATE, Outcome.PARTIAL, Outcome.SILENT)
            assert poll.seconds < 1

    run(body)


def test_an_agent_that_answers_twice_is_heard_once() -> None:
    fake = Fake(switch(), lambda fake, datagram: [(0, fake.honest(datagram)), (0.01, fake.honest(datagram))])
    (poll,), health = polled(fake)
    assert poll.outcome is Outcome.OK
    assert poll.rows.height == 5
    assert health["duplicates"] > 0


@pytest.mark.parametrize("octets", [1, 20, -1])
def test_answers_that_are_cut_short(octets: int) -> None:
    fake = Fake(switch(), lambda fake, datagram: [(0, fake.honest(datagram)[:octets])])
    (poll,), health = polled(fake, timeout=0.6)
    assert poll.outcome is Outcome.MALFORMED
    assert poll.rows.is_empty()
    assert health["malformed"] >= 3


def test_a_cut_answer_is_asked_for_again() -> None:
    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        whole = fake.honest(datagram)
        return [(0, whole[:30] if fake.asked == 4 else whole)]

    (poll,), health = polled(Fake(switch(), answers), timeout=3)
    assert poll.outcome is Outcome.OK
    assert health["malformed"] == 1
    assert health["retries"] >= 1


def test_varbinds_that_are_malformed_inside_a_sound_message() -> None:
    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        if said.type == ber.GET:
            return [(0, fake.honest(datagram))]
        return [(0, answer(said, [(oid, b"\x46\x00") for oid, _, _ in said.varbinds]))]

    (poll,), _ = polled(Fake(switch(), answers), timeout=2)
    assert poll.outcome is Outcome.MALFORMED


@pytest.mark.parametrize("step", [0, -1])
def test_a_loop_ends(step: int) -> None:
    """The agent gives the same row, or the one before, for ever."""

    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        if said.type == ber.GET:
            return [(0, fake.honest(datagram))]
        again = [
            ((*oid[:-1], max(0, oid[-1] + step)) if len(oid) > 11 else (*oid, 5), text("x"))
            for oid, _, _ in said.varbinds
        ]
        return [(0, answer(said, again))]

    (poll,), _ = polled(Fake(switch(), answers))
    assert poll.outcome is Outcome.LOOPING


def test_an_endless_table_is_bounded() -> None:
    """Ids increase for ever: one more row for each that is asked."""

    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        if said.type == ber.GET:
            return [(0, fake.honest(datagram))]
        rows = []
        for n in range(said.index):
            rows += [
                ((*oid, 1 + n) if len(oid) < 13 else (*oid[:-1], oid[-1] + 1 + n), text("x"))
                for oid, _, _ in said.varbinds
            ]
        return [(0, answer(said, rows))]

    (poll,), _ = polled(Fake(switch(), answers), most=5000)
    assert poll.outcome is Outcome.OVERSIZED


def test_too_big_makes_answers_smaller() -> None:
    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        if said.type == ber.GET_BULK and said.index * len(said.varbinds) > 8:
            return [(0, answer(said, [], error=1))]
        return [(0, fake.honest(datagram))]

    fake = Fake(switch(40), answers)
    (poll,), _ = polled(fake)
    assert poll.outcome is Outcome.OK
    assert values(poll, "rx_bytes")["swp4"] == 4000


def test_answers_cut_short_are_asked_for_no_larger_than_they_come() -> None:
    """Cut within a row, too: what an agent has room for is learned once, and nothing is lost or read twice."""
    asked: list[int] = []

    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        if said.type != ber.GET_BULK:
            return [(0, fake.honest(datagram))]
        asked.append(said.index * len(said.varbinds))
        return [(0, answer(said, fake.bulk([oid for oid, _, _ in said.varbinds], said.index)[:31]))]

    fake = Fake(switch(70), answers)
    plan = {f"Ethernet{n}": f"swp{n}" for n in range(1, 71)}

    async def body(source: Snmp) -> None:
        async with serving(fake):
            for turn in range(3):
                asked.clear()
                poll = await source.poll(Target("d", "127.0.0.1", fake.port, plan, v2c()), 20)
                assert poll.outcome is Outcome.OK
                assert values(poll, "rx_bytes") == {f"swp{n}": 1000 * n for n in range(1, 71)} | {None: None}
                assert turn == 0 or max(asked) <= 31

    run(body)


@given(rows=st.integers(1, 600), columns=st.integers(1, 80), room=st.integers(1, 500))
def test_columns_share_requests_where_that_takes_fewer(rows: int, columns: int, room: int) -> None:
    width = broadest(rows, columns, room)
    assert 1 <= width <= min(columns, room, 48)
    alone = columns * -(-rows // room)
    whole, rest = divmod(columns, width)
    together = whole * -(-rows // (room // width)) + (-(-rows // (room // rest)) if rest else 0)
    assert together <= alone


def test_an_agent_with_an_error_gives_the_rest() -> None:
    bad = parts(f"{IFX}.6")

    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        said = decode.decode(datagram)
        assert said is not None
        if said.type == ber.GET_BULK and len(said.varbinds) == 1 and said.varbinds[0][0][: len(bad)] == bad:
            return [(0, answer(said, [], error=5))]
        return [(0, fake.honest(datagram))]

    (poll,), _ = polled(Fake(switch(), answers))
    assert poll.outcome is Outcome.PARTIAL
    assert "error 5" in poll.detail
    assert values(poll, "tx_bytes")["swp1"] == 2**63 + 1


def test_counters_that_wrap_and_an_agent_that_restarts_are_given_as_they_are() -> None:
    """No arithmetic here: what it means is for those who read two samples. Names are read anew after a restart."""
    fake = Fake(switch())

    async def body(source: Snmp) -> None:
        async with serving(fake):
            await source.poll(target(fake), 5)
            fake.rows[parts(f"{IFX}.6.1")] = counter64(3)
            assert values(await source.poll(target(fake), 5), "rx_bytes")["swp1"] == 3
            fake.rows = switch(uptime=7)
            for n in range(1, 5):  # the indexes have moved
                fake.rows[parts(f"{IFX}.1.{n}")] = text(f"Ethernet{5 - n}")
            poll = await source.poll(target(fake), 5)
            assert values(poll, "rx_bytes")["swp1"] == 4000
            assert values(poll, "uptime_seconds")[None] == 0.07

    run(body)


def test_names_are_read_anew_when_the_table_changed_and_when_there_is_a_stranger() -> None:
    fake = Fake(switch(2))

    async def body(source: Snmp) -> None:
        async with serving(fake):
            poll = await source.poll(target(fake), 5)
            assert (poll.outcome, poll.detail) == (Outcome.PARTIAL, "the device has no swp3, swp4")
            number = fake.rows[parts("1.3.6.1.2.1.2.1.0")]
            fake.rows = switch(3) | {parts("1.3.6.1.2.1.2.1.0"): number}  # an agent that forgets to say so
            assert values(await source.poll(target(fake), 5), "rx_bytes")["swp3"] == 3000
            fake.rows = switch(4)
            assert (await source.poll(target(fake), 5)).outcome is Outcome.OK
            fake.rows[parts(f"{IFX}.1.1")] = text("renamed")
            fake.rows[parts("1.3.6.1.2.1.31.1.5.0")] = b"\x43\x01\x09"
            assert "swp1" in (await source.poll(target(fake), 5)).detail

    run(body)


def test_nothing_and_nobody() -> None:
    silent = Fake(switch(), lambda *_: [])
    (poll,), health = polled(silent, timeout=0.4)
    assert (poll.outcome, poll.detail) == (Outcome.SILENT, "no answer")
    assert silent.asked == 3
    assert health["under_way"] == 0
    (poll,), _ = polled(Fake({UPTIME: b"\x43\x01\x05"}))
    assert poll.outcome is Outcome.EMPTY


def test_where_nobody_listens_it_says_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

    async def body(source: Snmp) -> None:
        there = Fake(switch())
        async with serving(there):
            refused, fine = await asyncio.gather(
                source.poll(Target("d", "127.0.0.1", port, PLAN, v2c()), 3), source.poll(target(there), 3)
            )
        assert refused.outcome is Outcome.REFUSED
        assert refused.seconds < 1
        assert fine.outcome is Outcome.OK

    run(body)


def test_answers_of_another_address_or_community_are_not_taken() -> None:
    fake = Fake(switch(), lambda fake, datagram: [(0, fake.honest(datagram, b"private"))])
    (poll,), health = polled(fake, timeout=1.5)
    assert poll.outcome is Outcome.DENIED
    assert health["distrusted"] > 0


def test_a_stranger_that_guesses_the_number_is_counted_and_dropped() -> None:
    loop_done: list[bytes] = []

    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        loop_done.append(datagram)
        return []

    fake, other = Fake(switch(), answers), Fake(switch())

    async def body(source: Snmp) -> None:
        async with serving(fake), serving(other):
            poll = asyncio.create_task(source.poll(target(fake), 0.5))
            await asyncio.sleep(0.1)
            where = source._engine._sockets[socket.AF_INET].getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(other.honest(loop_done[0]), ("127.0.0.1", where))
            assert (await poll).outcome is Outcome.SILENT
        assert source.health()["unknown"] == 1

    run(body)


def test_hundreds_of_agents_at_once_and_a_silent_one_delays_nobody() -> None:
    fakes = [Fake(switch(3)) for _ in range(150)] + [Fake(switch(3), lambda *_: [])]

    async def body(source: Snmp) -> None:
        async with _all(fakes):
            polls = await asyncio.gather(
                *(source.poll(replace(target(fake), device=f"d{n}"), 20) for n, fake in enumerate(fakes[:-1]))
            )
            silent = await source.poll(replace(target(fakes[-1]), device="silent"), 0.3)
        assert {poll.outcome for poll in polls} == {Outcome.PARTIAL}
        assert all(values(poll, "rx_bytes")["swp3"] == 3000 for poll in polls)
        assert silent.outcome is Outcome.SILENT
        assert source.health()["under_way"] == 0

    run(body)


class _all:  # noqa: N801  reads as what it does
    def __init__(self, fakes: list[Fake]) -> None:
        self.contexts = [serving(fake) for fake in fakes]

    async def __aenter__(self) -> None:
        for context in self.contexts:
            await context.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        for context in self.contexts:
            await context.__aexit__(None, None, None)


@given(st.lists(st.binary(max_size=120), min_size=1, max_size=3), st.booleans())
@settings(max_examples=20)
def test_an_agent_that_answers_noise_never_raises(noise: list[bytes], well_first: bool) -> None:
    def answers(fake: Fake, datagram: bytes) -> list[tuple[float, bytes]]:
        whole = fake.honest(datagram)
        if well_first and fake.asked < 5:
            return [(0, whole)]
        return [(0, whole[: len(whole) // 2] + octets) for octets in noise]

    (poll,), _ = polled(Fake(switch(2), answers), timeout=0.1, retries=0)
    assert poll.outcome in set(Outcome) - {Outcome.OK}


def test_memory_does_not_grow() -> None:
    async def body(source: Snmp) -> None:
        fake = Fake(switch(64), lambda fake, datagram: [(0, fake.honest(datagram)), (0, b"noise" * 50)])
        async with serving(fake):
            await _times(source, fake, 6)
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await _times(source, fake, 10)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        assert after - before < 500_000

    run(body)


async def _times(source: Snmp, fake: Fake, times: int) -> None:
    for _ in range(times):
        await source.poll(target(fake), 5)


def test_an_agent_at_an_ipv6_address() -> None:
    async def body(source: Snmp) -> None:
        async with serving(Fake(switch()), "::1") as fake:
            poll = await source.poll(replace(target(fake), address="0:0:0:0:0:0:0:1"), 5)
            assert (poll.outcome, poll.detail) == (Outcome.OK, "")

    run(body)


def test_a_poll_that_is_cancelled_leaves_nothing_under_way() -> None:
    async def body(source: Snmp) -> None:
        async with serving(Fake(switch(), lambda *_: [])) as fake:
            poll: Awaitable[Poll] = asyncio.ensure_future(source.poll(target(fake), 5))
            await asyncio.sleep(0.05)
            assert source.health()["under_way"] > 0
            poll.cancel()  # type: ignore[attr-defined]
            with pytest.raises(asyncio.CancelledError):
                await poll
            assert source.health()["under_way"] == 0

    run(body)


def test_a_v3_agent_that_answers_nothing_but_v2c_is_silent_or_denied() -> None:
    async def body(source: Snmp) -> None:
        async with serving(Fake(switch(), lambda _, datagram: [(0, datagram)])) as fake:
            poll = await source.poll(Target("d", "127.0.0.1", fake.port, PLAN, v3()), 0.4)
            assert poll.outcome in (Outcome.DENIED, Outcome.SILENT, Outcome.MALFORMED)

    run(body)
