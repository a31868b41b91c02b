"""The simulator's compiled passes against plain readings of the same: samples, ways, and what flows do to channels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_plans import plan_of

from planner.simulate import default_network
from planner.simulate.entries import ACTIVE, BYTES, FLOWS, LOAD, entries
from planner.simulate.events import BYTES_A_GBPS_SECOND, Span
from planner.simulate.flowsamples import _taken
from planner.simulate.walk import FAR, near, walk
from planner.simulate.wires import Csr, wires

Path = tuple[int, ...]

# samples


@pytest.mark.parametrize("mean", [0.02, 1.5, 25.0, 80.0])
def test_numbers_of_samples_are_those_of_numpy(mean: float) -> None:
    """The same numbers from the same stream, below and above the mean at which numpy takes another method."""
    one_in = 100_000
    frames = np.random.default_rng(3).integers(0, int(2 * mean * one_in) + 2, 3000)
    frames[::7] = 0
    flow = np.repeat(np.arange(len(frames)), 3)
    ours, theirs = np.random.default_rng(8), np.random.default_rng(8)
    assert np.array_equal(_taken(frames, flow, 1 / one_in, ours), theirs.binomial(frames[flow], 1 / one_in))
    assert ours.random() == theirs.random()


# ways


def choice(members: list[int], weight: Any, hashed: int, bits: int) -> int:
    """Of channels by weight, all alike where none has any."""
    many = [channel for channel in members for _ in range(int(weight[channel]))] or members
    return many[(hashed * len(many)) >> bits if bits else hashed % len(many)]


def listed(lists: Csr, device: int) -> list[int]:
    """The channels of a device."""
    found: list[int] = lists.items[lists.start[device] : lists.start[device + 1]].tolist()
    return found


def way(own: Any, first: int, last: int, hashed: int, bits: int, pins: set[int]) -> list[int]:
    """A flow's channels, hop by hop, as the docstrings of ``planner.simulate.walk`` say."""
    made = own.wires
    below, any_way = own.near
    device, target = made.head[first], made.leaf_column[made.head[last ^ 1]]
    found, rising = [first], True
    while made.leaf_column[device] != target:
        rising = rising and below[device, target] != any_way[device, target]
        distance = any_way if rising else below
        if distance[device, target] >= FAR:
            return []
        lists = made.up if rising else made.down
        wanted = distance[device, target] - 1
        members = [channel for channel in listed(lists, device) if distance[made.head[channel], target] == wanted]
        pinned = [channel for channel in members if channel in pins]
        if not members:
            members = [one for one in listed(made.across, device) if below[made.head[one], target] == wanted]
        found.append(pinned[0] if pinned else choice(members, own.weight, hashed, bits))
        device = made.head[found[-1]]
    return [*found, last]


@pytest.mark.parametrize("name", ["two-tier", "three-tier", "pair"])
@given(seed=st.integers(0, 10_000), bits=st.sampled_from([0, 16]), broken=st.integers(0, 20))
def test_flows_go_where_a_plain_reading_sends_them(name: str, seed: int, bits: int, broken: int) -> None:
    """Groups with gaps (dead links), with weights, drained and pinned."""
    rng = np.random.default_rng(seed)
    plan = plan_of(name)
    whole = wires(plan, default_network(plan))
    dead = np.zeros(whole.links, dtype=np.bool_)
    between = np.flatnonzero((whole.tail[::2] >= 0) & (whole.level[np.maximum(whole.tail[::2], 0)] > 0))
    dead[rng.choice(between, min(broken, len(between) // 2), replace=False)] = True
    made = wires(plan, default_network(plan), dead)
    weight = rng.choice([0, 1, 1, 1, 2], 2 * made.links).astype(np.int32)
    own = SimpleNamespace(wires=made, near=near(made), weight=weight)
    up = np.flatnonzero((made.tail >= 0) & (made.level[np.maximum(made.tail, 0)] == 0)).astype(np.int32)
    first, last = rng.choice(up, 60), rng.choice(up, 60) ^ 1
    hashed = rng.integers(0, 2**16, (1, 60)).astype(np.uint32)
    pins = np.where(rng.random((60, 2)) < 0.3, rng.choice(2 * between, (60, 2)), -1).astype(np.int32)
    lists = tuple((part.start, part.items) for part in (made.up, made.down, made.across))
    function, widths = np.zeros(len(made.level), np.int32), np.array([bits], np.int32)
    below, any_way = own.near
    hops = walk(
        first, last, pins, hashed, function, widths, below, any_way, lists, weight, made.head, made.leaf_column
    )  # fmt: skip
    for i, found in enumerate(hops):
        wanted = way(own, int(first[i]), int(last[i]), int(hashed[0, i]), bits, set(pins[i].tolist()))
        assert found[found >= 0].tolist() == wanted


# channels


def stretch(paths: list[Path], rates: list[float], until: list[float], seconds: float) -> Span:
    start = np.cumsum([0, *map(len, paths)]).astype(np.int32)
    items = np.array([channel for path in paths for channel in path], dtype=np.int32)
    rows = np.zeros((len(paths), 3), dtype=np.int64)
    return Span(0.0, seconds, rows, np.array(rates), np.array(until), start, items)


PATHS = [(0, 2, 4), (1, 2, 5), (1, 3, 5), ()]
"""Two senders; channel 2 is shared and full, 5 is where two flows end."""
GBPS = np.array([10.0, 10.0, 8.0, 10.0, 10.0, 10.0])
SPAN = stretch(PATHS, [4.0, 4.0, 5.0, 1.0], [2.0, 1.0, 2.0, 2.0], 2.0)


def test_sums_of_channels() -> None:
    sums = entries(SPAN, GBPS).sums
    assert sums[:, LOAD].tolist() == [4.0, 9.0, 8.0, 5.0, 4.0, 9.0]
    assert sums[:, FLOWS].tolist() == [1, 2, 2, 1, 1, 2]
    assert sums[2, BYTES] == (4.0 * 2 + 4.0 * 1) * BYTES_A_GBPS_SECOND
    assert sums[:, ACTIVE].tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_bottlenecks_and_what_is_wanted_of_them() -> None:
    """Flow 0 has its sender to itself, 1 and 2 share one; channel 2 is full and is asked for 10 + 5 of its 8."""
    found = entries(SPAN, GBPS)
    assert found.bottleneck.tolist() == [2, 2, -1, -1]
    assert found.wanted.tolist() == [10.0, 5.0, 5.0, 1.0]
    assert found.over[2] == 15.0 / 8.0


def test_what_holds_flows_up_pauses_who_sends_them() -> None:
    pauses = np.array([False, False, True, False])
    paused = entries(SPAN, GBPS).back_pressure(pauses)
    assert paused == pytest.approx([1 - 4 / 10, 1 - 9 / 10, 0, 0, 0, 0])
    assert not entries(SPAN, GBPS).back_pressure(~pauses).any()


def test_marks_come_back_to_both_ends_of_a_flow() -> None:
    """Shares of marks add along a path, up to all of a flow's packets; channels after the last share mark nothing."""
    share = np.array([0.0, 0.25, 0.9, 0.0, 0.0])
    echoed = entries(SPAN, GBPS).echoed(share)
    assert echoed == pytest.approx([0.9 * 4, 1.0 * 4 + 0.25 * 5, 0, 0, 0.9 * 4])
