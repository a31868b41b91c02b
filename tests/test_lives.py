"""The life of findings: they open once, are told again when worse, clear when gone, and not for want of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from planned import planned

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.jobs import Jobs
from collectors.detectors.life import Lives, Maintenance
from collectors.detectors.policy import Life
from collectors.detectors.run import watch
from collectors.detectors.view import NONE, View, view
from fabric.findings import Finding, State
from fabric.samples import empty_flows, empty_outcomes

SECOND = 1_000_000_000
STEP = 10 * SECOND
START = 1_767_225_600 * SECOND


@cache
def seen() -> View:
    return view(planned("starter-32"))


def interval(number: int, deaf: Iterable[int] = ()) -> Interval:
    """An interval in which every port was heard but those of ``deaf``."""
    heard = np.ones(seen().ports, dtype=bool)
    heard[list(deaf)] = False
    end = START + (number + 1) * STEP
    boots = np.zeros(len(seen().device_names), dtype=np.int64)
    return Interval(seen(), end - STEP, end, {}, {}, {}, boots, empty_flows(), empty_outcomes(), 0, heard)


def signal(port: int = 0, cause: str = "down", code: str = "link", **evidence: float) -> Signal:
    return Signal(code, cause, seen().link_of(port), evidence, (port,))


def lives(policy: Life | None = None, jobs: Jobs | None = None, maintenance: Sequence[Maintenance] = ()) -> Lives:
    return Lives(seen(), policy or Life(), jobs, maintenance)


def states(steps: Sequence[Sequence[Signal]], made: Lives | None = None) -> list[list[str]]:
    """What is told in each interval, as states."""
    made = made or lives()
    return [[str(one.state) for one in made.step(interval(n), signals)] for n, signals in enumerate(steps)]


def switch_ports() -> list[int]:
    """Cabled ports of the switch that has most of them."""
    cabled = np.flatnonzero(seen().on_switch & (seen().peer != NONE))
    device = np.bincount(seen().device[cabled]).argmax()
    return [int(port) for port in cabled[seen().device[cabled] == device]]


def test_a_finding_is_told_once_and_clears_after_quiet_intervals() -> None:
    quiet = Life().clear_after
    told = states([[signal()], [signal()], *[[]] * (quiet + 1)])
    assert told == [["open"], [], *[[]] * (quiet - 1), ["cleared"], []]


def test_a_gap_shorter_than_that_is_no_end() -> None:
    gap: list[list[Signal]] = [[]] * (Life().clear_after - 1)
    assert states([[signal()], *gap, [signal()], *gap, [signal()]]) == [["open"], *[[]] * (2 * len(gap) + 2)]


def test_missing_samples_do_not_clear() -> None:
    made = lives()
    port = 0
    assert len(made.step(interval(0), [signal(port)])) == 1
    for number in range(1, 40):
        assert not made.step(interval(number, deaf=[port]), [])
    for number in range(40, 40 + Life().clear_after - 1):
        assert not made.step(interval(number), [])
    (cleared,) = made.step(interval(60), [])
    assert cleared.state == State.CLEARED
    assert cleared.last_seen == START + STEP


def test_it_is_told_again_when_it_doubled_or_its_cause_changed() -> None:
    steps = [[signal(level=1)], [signal(level=1.9)], [signal(level=2.1)], [signal(level=4.1)]]
    assert states(steps) == [["open"], [], ["updated"], []]
    assert states([[signal(cause="errors")], [signal(cause="flap")]]) == [["open"], ["updated"]]


def test_it_is_told_again_now_and_then() -> None:
    every = round(Life().tell_again_s / 10)
    told = states([[signal()]] * (2 * every + 1))
    assert [number for number, one in enumerate(told) if one] == [0, every, 2 * every]


def test_the_id_stays_and_another_life_has_another() -> None:
    made = lives()
    steps = [[signal(level=1)], [signal(level=3)], *[[]] * Life().clear_after, [signal(level=1)]]
    told = [one for n, signals in enumerate(steps) for one in made.step(interval(n), signals)]
    assert [str(one.state) for one in told] == ["open", "updated", "cleared", "open"]
    assert len({one.id for one in told[:3]}) == 1
    assert told[3].id != told[0].id


def test_the_detectors_onset_is_when_it_was_first_seen() -> None:
    since = Signal("link", "down", seen().link_of(0), {}, (0,), onset_ns=START - 5)
    (found,) = lives().step(interval(3), [since])
    assert (found.first_seen, found.last_seen) == (START - 5, START + 4 * STEP)


def test_most_links_of_a_device_are_one_finding() -> None:
    ports = switch_ports()
    (found,) = lives().step(interval(0), [signal(port) for port in ports])
    name = seen().device_names[seen().device[ports[0]]]
    assert found.subject == {"switch": name}
    assert found.evidence["signals"] == len(ports)


def test_a_few_links_are_told_one_by_one() -> None:
    ports = switch_ports()[: Life().mass_least - 1]
    assert len(lives().step(interval(0), [signal(port) for port in ports])) == len(ports)


def test_flaps_of_most_links_of_a_device_are_one_finding() -> None:
    (found,) = lives().step(interval(0), [signal(port, "flap") for port in switch_ports()])
    assert (found.cause, list(found.subject)) == ("flap", ["switch"])


def test_a_mass_event_is_one_finding_from_its_beginning_to_its_end() -> None:
    all_of_it = [signal(port) for port in switch_ports()]
    quiet: list[list[Signal]] = [[]] * Life().clear_after
    assert states([all_of_it] * 5 + quiet) == [["open"], *[[]] * 6, ["cleared"]]


def test_members_open_one_by_one_where_it_was_no_mass_event() -> None:
    """A few links stay down while the others are back: those are told, and what was told of the device clears."""
    ports = switch_ports()
    few = [signal(port) for port in ports[: Life().mass_least - 1]]
    made = lives()
    (mass,) = made.step(interval(0), [signal(port) for port in ports])
    told = made.step(interval(1), few)
    assert [one.state for one in told] == [State.OPEN] * len(few)
    assert sorted(map(str, (one.subject for one in told))) == sorted(str(one.subject) for one in few)
    after = [one for number in range(2, 8) for one in made.step(interval(number), few)]
    assert [(one.state, one.id) for one in after] == [(State.CLEARED, mass.id)]
    assert {one.id for one in made.open()} == {one.id for one in told}


def test_what_was_told_one_by_one_clears_when_it_turns_out_to_be_a_mass_event() -> None:
    ports = switch_ports()
    made = lives()
    first = made.step(interval(0), [signal(port) for port in ports[:2]])
    told = [one for n in range(1, 6) for one in made.step(interval(n), [signal(port) for port in ports])]
    assert [one.state for one in told] == [State.OPEN, State.CLEARED, State.CLEARED]
    assert {one.id for one in told[1:]} == {one.id for one in first}
    assert [one.subject for one in made.open()] == [told[0].subject]


def test_causes_that_are_no_mass_event_are_told_one_by_one() -> None:
    ports = switch_ports()
    assert len(lives().step(interval(0), [signal(port, "errors") for port in ports])) == len(ports)


def test_announced_work_is_kept_back_and_told_when_it_is_over() -> None:
    device = seen().device_names[seen().device[switch_ports()[0]]]
    other = next(p for p in range(seen().ports) if device not in (seen().end(p)["device"], _far(p)))
    made = lives(maintenance=[Maintenance(START, START + 3 * STEP, frozenset({device}))])
    both = [signal(switch_ports()[0]), signal(other)]
    told = [[one.subject for one in made.step(interval(n), both)] for n in range(4)]
    assert told == [[seen().link_of(other)], [], [seen().link_of(switch_ports()[0])], []]


def _far(port: int) -> str:
    peer = seen().peer[port]
    return "" if peer == NONE else seen().end(int(peer))["device"]


def test_what_ended_during_announced_work_is_never_told() -> None:
    port = switch_ports()[0]
    device = seen().device_names[seen().device[port]]
    made = lives(maintenance=[Maintenance(START, START + 5 * STEP, frozenset({device}))])
    steps = [[signal(port)], [signal(port)], *[[]] * 8]
    assert states(steps, made) == [[]] * 10


def test_a_signal_that_another_explains_is_not_told() -> None:
    root = Signal("pfc-storm", "nic-storm", {"host": "h", "rail": 0}, {}, (1,), masks=(("link", 0),))
    assert [one.code for one in lives().step(interval(0), [signal(0), root])] == ["pfc-storm"]


def test_what_was_explained_opens_when_nothing_explains_it_any_more() -> None:
    root = Signal("silence", "down", {"switch": "s"}, {}, (1,), masks=(("link", 0),))
    made = lives()
    told = [[one.code for one in made.step(interval(n), [signal(0), *also])] for n, also in enumerate([[root], [], []])]
    assert told == [["silence"], ["link"], []]


def test_a_signal_of_two_ports_is_told_unless_both_are_explained() -> None:
    root = Signal("silence", "down", {"switch": "s"}, {}, (2,), masks=(("link", 0),))
    both = Signal("link", "down", seen().link_of(0), {}, (0, 1))
    assert sorted(one.code for one in lives().step(interval(0), [both, root])) == ["link", "silence"]


AWAY = 4
"""Intervals after which the device is gone."""


def telling(device: int, *, down: bool, intervals: int = 12) -> list[tuple[str, str]]:
    """Code and cause of what opens, by all detectors, where a device says nothing from ``AWAY`` on.

    ``down``: its neighbours say from then on that the links to it are down.
    """
    watching = watch(planned("starter-32"))
    cabled = seen().peer != NONE
    far = np.zeros(seen().ports, dtype=bool)
    far[cabled] = seen().device[seen().peer[cabled]] == device
    told = []
    for number in range(intervals):
        away = number >= AWAY
        rows = seen().keys.with_columns(
            time_ns=pl.lit(START + (number + 1) * STEP), received_ns=pl.lit(START + (number + 1) * STEP),
            oper_status=pl.Series(np.where(far & (away and down), 2, 1).astype(np.uint8)),
            link_down_events=pl.Series((far & (away and down)).astype(np.uint64)),
        ).filter(pl.Series((seen().device != device) | (not away)))  # fmt: skip
        watching.intervals.feed(rows.drop("id"))
        told += [(one.code, one.cause) for one in watching.step(START + (number + 1) * STEP) if one.state == State.OPEN]
    return told


def test_links_of_a_device_that_is_down_are_not_told() -> None:
    assert telling(int(seen().device[switch_ports()[0]]), down=True) == [("silence", "down")]


def test_links_of_a_device_that_says_nothing_are_not_told() -> None:
    assert telling(int(seen().device[switch_ports()[0]]), down=False) == [("silence", "stopped")]


def test_it_names_the_jobs_that_run_there_then() -> None:
    host = int(seen().device[0])
    rows = [(host, "mine", START, None), (host, "before", START - 9 * STEP, START), (host + 1, "other", START, None)]
    schema = {"host": pl.Int64, "job": pl.String, "start_ns": pl.Int64, "end_ns": pl.Int64}
    jobs = Jobs(pl.DataFrame(rows, schema=schema, orient="row"))
    (found,) = lives(jobs=jobs).step(interval(0), [signal(0)])
    assert found.jobs == ("mine",)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_what_opened_is_told_cleared_exactly_once_and_open_is_what_is_open(steps: list[tuple[bool, bool]]) -> None:
    made = lives()
    alive: dict[str, Finding] = {}
    for number, (holds, heard) in enumerate(steps):
        for one in made.step(interval(number, deaf=() if heard else [0]), [signal()] if holds else []):
            if one.state == State.CLEARED:
                assert alive.pop(one.id).first_seen == one.first_seen
            elif one.state == State.OPEN:
                assert one.id not in alive
                alive[one.id] = one
        assert {one.id for one in made.open()} == set(alive)
        assert len(alive) <= 1
