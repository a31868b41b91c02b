"""The schedule on a clock that jumps: who is asked when, what slow and silent devices do to others, what is counted."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually

from collectors.schedule import PATIENT_AFTER, Pace, Schedule
from collectors.sources import Outcome, Poll, Target
from fabric.errors import InputError

Answer = Callable[[float], Coroutine[Any, Any, Outcome]]
SECOND = 10**9


async def quick(_: float) -> Outcome:
    await asyncio.sleep(0.05)
    return Outcome.OK


async def silent(timeout: float) -> Outcome:
    await asyncio.sleep(timeout)
    return Outcome.SILENT


async def deaf(_: float) -> Outcome:
    """A source that does not keep its time."""
    await asyncio.sleep(1e6)
    return Outcome.OK


async def deaf_to_cancelling(_: float) -> Outcome:
    until = asyncio.get_running_loop().time() + 25
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue
    return Outcome.OK


async def faulty(_: float) -> Outcome:
    raise RuntimeError("password=hunter2")


async def misconfigured(_: float) -> Outcome:
    raise InputError("snmp.user: is missing")


@dataclass
class Asked:
    """A source that answers as each device is told to, and remembers when it was asked."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    name: str = "asked"
    begun: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    under_way: int = 0
    most: int = 0

    async def poll(self, target: Target, timeout: float) -> Poll:
        self.begun[target.device].append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            outcome = await self.answers.get(target.device, quick)(timeout)
        finally:
            self.under_way -= 1
        return Poll(self.name, target.device, outcome, 0, 0.0)

    async def close(self) -> None:
        return


@dataclass
class Told:
    """What the schedule emitted, by device."""

    polls: dict[str, list[Poll]] = field(default_factory=lambda: defaultdict(list))

    async def emit(self, polls: Sequence[Poll]) -> None:
        for poll in polls:
            self.polls[poll.device].append(poll)

    def outcomes(self, device: str) -> list[Outcome]:
        return [poll.outcome for poll in self.polls[device]]


def target(device: str) -> Target:
    return Target(device, "192.0.2.1", 161, {})


def scheduled(
    source: Asked, devices: Sequence[str], pace: Pace, seconds: float, **options: Any
) -> tuple[Told, Mapping[str, float]]:
    """What came of so many seconds."""

    async def work() -> tuple[Told, Mapping[str, float]]:
        told = Told()
        schedule = Schedule(told.emit, **options)
        for device in devices:
            schedule.add(source, target(device), pace)
        running = asyncio.create_task(schedule.run())
        await asyncio.sleep(seconds)
        running.cancel()
        health = schedule.health()
        await schedule.stop(grace=30)
        return told, health

    return run_virtually(work())


def names(number: int) -> list[str]:
    return [f"leaf-{n}" for n in range(number)]


def test_each_device_is_asked_once_a_period() -> None:
    source = Asked()
    scheduled(source, names(50), Pace(period=10, jitter=0.1), 1000)
    for times in source.begun.values():
        assert 99 <= len(times) <= 100
        gaps = [b - a for a, b in pairwise(times)]
        assert all(9 <= gap <= 11 for gap in gaps), "the place in the period drifts"


def test_devices_are_spread_over_the_period() -> None:
    source = Asked()
    scheduled(source, names(1500), Pace(period=10, jitter=0.02), 20)
    every = [time for times in source.begun.values() for time in times if 10 <= time < 19]
    seconds = [sum(1 for time in every if start <= time < start + 1) for start in range(10, 19)]
    assert min(seconds) >= 130
    assert max(seconds) <= 170


def test_long_periods_begin_within_a_minute() -> None:
    source = Asked()
    scheduled(source, names(40), Pace(period=3600, jitter=0), 61)
    assert len(source.begun) == 40


def test_the_same_seed_gives_the_same_schedule() -> None:
    runs = []
    for _ in range(2):
        scheduled(source := Asked(), names(20), Pace(period=5, jitter=0.3), 50, seed=7)
        runs.append(dict(source.begun))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("bad", [silent, deaf, deaf_to_cancelling, faulty])
def test_a_bad_device_never_delays_another(bad: Answer) -> None:
    """90 of 120 devices do not answer, and quick polls have room for 12."""
    devices = names(120)
    source = Asked(dict.fromkeys(devices[30:], bad))
    told, health = scheduled(source, devices, Pace(period=10, timeout=4), 200, concurrency=12)
    for device in devices[:30]:
        times = source.begun[device]
        assert set(told.outcomes(device)) == {Outcome.OK}
        assert len(times) >= 19
        place = times[-1] % 10
        assert all(min(abs(time % 10 - place), 10 - abs(time % 10 - place)) < 2.5 for time in times)
    assert health["running"] <= 120


def test_concurrency_of_quick_polls_is_bounded() -> None:
    source = Asked()
    scheduled(source, names(500), Pace(period=1, jitter=0), 10, concurrency=7)
    assert source.most == 7


def test_a_silent_device_is_recorded_each_period() -> None:
    told, _ = scheduled(Asked({"leaf-0": silent}), ["leaf-0"], Pace(period=10, timeout=2, retries=1), 100)
    assert told.outcomes("leaf-0") == [Outcome.SILENT] * 10


def test_what_failed_is_tried_again_within_its_deadline() -> None:
    source = Asked({"leaf-0": silent})
    _, health = scheduled(source, ["leaf-0"], Pace(period=60, timeout=2, retries=3), 30)
    times = source.begun["leaf-0"]
    assert len(times) == 4
    pauses = [b - a - 2 for a, b in pairwise(times)]
    assert all(0.1 <= pause <= 0.3 * 2**n for n, pause in enumerate(pauses))
    assert health["retries"] == 3


def test_a_retry_that_would_miss_the_deadline_is_left_out() -> None:
    source = Asked({"leaf-0": silent})
    scheduled(source, ["leaf-0"], Pace(period=60, timeout=4, retries=5, deadline=9), 30)
    times = source.begun["leaf-0"]
    assert len(times) == 2
    assert times[-1] - times[0] + 4 <= 9


def test_a_device_silent_for_long_is_asked_once_a_period() -> None:
    source = Asked({"leaf-0": silent})
    told, health = scheduled(source, ["leaf-0"], Pace(period=10, timeout=1, retries=2), 100)
    assert len(told.polls["leaf-0"]) == 10
    assert health["retries"] == 2 * PATIENT_AFTER


def test_what_recovers_on_the_second_attempt_is_ok() -> None:
    attempts = iter([silent, *[quick] * 99])

    async def once(timeout: float) -> Outcome:
        return await next(attempts)(timeout)

    told, _ = scheduled(Asked({"leaf-0": once}), ["leaf-0"], Pace(period=10, timeout=2), 30)
    assert told.outcomes("leaf-0") == [Outcome.OK] * 3


@pytest.mark.parametrize("outcome", [Outcome.DENIED, Outcome.LOOPING, Outcome.EMPTY, Outcome.PARTIAL])
def test_what_would_be_the_same_again_is_not_tried_again(outcome: Outcome) -> None:
    async def same(_: float) -> Outcome:
        return outcome

    told, health = scheduled(Asked({"leaf-0": same}), ["leaf-0"], Pace(period=10, retries=3), 30)
    assert told.outcomes("leaf-0") == [outcome] * 3
    assert health["retries"] == 0


def test_a_poll_still_under_way_makes_the_next_one_skipped() -> None:
    source = Asked({"leaf-0": deaf_to_cancelling})
    told, health = scheduled(source, ["leaf-0"], Pace(period=10, timeout=9, retries=0, jitter=0), 100)
    found = told.outcomes("leaf-0")
    assert found[:4] == [Outcome.SKIPPED, Outcome.LATE, Outcome.SKIPPED, Outcome.SKIPPED]
    assert source.most == 1, "a second poll of a device began before the first had ended"
    assert health["skipped"] == found.count(Outcome.SKIPPED) >= 5
    assert health["stuck"] >= health["polls"] - 1


def test_a_fault_of_a_source_is_an_outcome_that_tells_no_secret() -> None:
    told, _ = scheduled(Asked({"leaf-0": faulty}), ["leaf-0", "leaf-1"], Pace(period=10), 30)
    assert told.outcomes("leaf-0") == [Outcome.FAILED] * 3
    assert told.polls["leaf-0"][0].detail == "the source raised RuntimeError"
    assert told.outcomes("leaf-1") == [Outcome.OK] * 3


def test_a_mistake_in_the_settings_is_told() -> None:
    told, _ = scheduled(Asked({"leaf-0": misconfigured}), ["leaf-0"], Pace(period=10), 10)
    assert told.polls["leaf-0"][0].detail == "snmp.user: is missing"


def test_lateness_is_counted() -> None:
    """A hundred polls of 0.9 s with room for one: most wait."""

    async def long(_: float) -> Outcome:
        await asyncio.sleep(0.9)
        return Outcome.OK

    devices = names(100)
    told, health = scheduled(Asked(dict.fromkeys(devices, long)), devices, Pace(period=10), 100, concurrency=1)
    assert health["late"] > 50
    assert health["late_seconds"] > health["late"]
    assert health["skipped"] > 0
    assert health["waiting"] > 0
    assert health["lag_seconds"] > 10
    assert any(Outcome.SKIPPED in told.outcomes(device) for device in devices)


def test_a_stall_is_not_made_up_for_in_a_burst() -> None:
    async def work() -> tuple[Asked, Mapping[str, float]]:
        source, told = Asked(), Told()
        schedule = Schedule(told.emit)
        schedule.add(source, target("leaf-0"), Pace(period=10, jitter=0))
        running = asyncio.create_task(schedule.run())
        await asyncio.sleep(15)
        loop: Any = asyncio.get_running_loop()
        loop.jumping.now += 1000  # as when the machine sleeps
        await asyncio.sleep(25)
        running.cancel()
        return source, schedule.health()

    source, health = run_virtually(work())
    assert len(source.begun["leaf-0"]) <= 6
    assert health["missed"] == pytest.approx(99, abs=1)


def test_a_full_bus_holds_polls_back_and_says_so() -> None:
    async def work() -> tuple[Asked, list[Poll], Mapping[str, float]]:
        gate, source, got = asyncio.Event(), Asked(), list[Poll]()

        async def emit(polls: Sequence[Poll]) -> None:
            await gate.wait()
            got.extend(polls)

        schedule = Schedule(emit)
        for device in names(5):
            schedule.add(source, target(device), Pace(period=10))
        running = asyncio.create_task(schedule.run())
        await asyncio.sleep(60)
        health = schedule.health()
        gate.set()
        await asyncio.sleep(1)
        running.cancel()
        return source, got, health

    source, got, health = run_virtually(work())
    assert all(len(times) <= 2 for times in source.begun.values())
    assert health["running"] == 5
    assert health["skipped"] == pytest.approx(25, abs=1)
    assert [poll.outcome for poll in got].count(Outcome.SKIPPED) == 0 or len(got) >= 5


def test_a_device_removed_is_asked_no_more() -> None:
    async def work() -> Asked:
        source, told = Asked(), Told()
        schedule = Schedule(told.emit)
        schedule.add(source, target("leaf-0"), Pace(period=10))
        schedule.add(source, target("leaf-1"), Pace(period=10))
        running = asyncio.create_task(schedule.run())
        await asyncio.sleep(21)
        schedule.remove("asked", "leaf-0")
        await asyncio.sleep(50)
        running.cancel()
        assert schedule.health()["jobs"] == 1
        return source

    source = run_virtually(work())
    assert len(source.begun["leaf-0"]) == 3
    assert len(source.begun["leaf-1"]) >= 7


def test_stopping_ends_what_is_under_way_and_records_what_did_not_end() -> None:
    async def work() -> Told:
        told = Told()
        schedule = Schedule(told.emit)
        slow = Asked({"leaf-0": deaf, "leaf-1": silent})
        for device in ("leaf-0", "leaf-1"):
            schedule.add(slow, target(device), Pace(period=10, timeout=3, jitter=0))
        running = asyncio.create_task(schedule.run())
        await asyncio.sleep(7)
        running.cancel()
        await schedule.stop(grace=0.5)
        assert slow.under_way == 0
        return told

    told = run_virtually(work())
    assert told.outcomes("leaf-1")[-1] in (Outcome.LATE, Outcome.SILENT)
    assert all(told.polls[device] for device in ("leaf-0", "leaf-1"))


@given(
    st.lists(st.sampled_from([quick, silent, deaf, faulty, deaf_to_cancelling]), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(0, 3),
    st.floats(1, 20),
)
@settings(max_examples=25)
def test_every_period_of_every_device_has_an_outcome(
    answers: list[Answer], concurrency: int, retries: int, period: float
) -> None:
    devices = names(len(answers))
    source = Asked(dict(zip(devices, answers, strict=True)))
    pace = Pace(period=period, timeout=period / 2, retries=retries, jitter=0)
    told, health = scheduled(source, devices, pace, 10 * period, concurrency=concurrency, patience=period / 20)
    for device in devices:
        assert len(told.polls[device]) >= 10 - (3 if source.answers[device] is not quick else 0)
    assert health["missed"] == 0
    assert source.most <= len(devices)
