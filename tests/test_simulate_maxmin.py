"""Max–min fair rates against an exact linear program (OR-Tools), and against what defines them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.linear_solver import pywraplp  # type: ignore[attr-defined, import-untyped, unused-ignore]

from planner.simulate.maxmin import fair_rates
from planner.simulate.wires import Floats

Path = tuple[int, ...]
SLACK = 1e-6
"""Room that the solver gets, so that rates fixed a step ago do not make the next step infeasible by rounding."""


def rates(paths: list[Path], capacity: list[float], limit: list[float] | None = None) -> Floats:
    start = np.cumsum([0, *map(len, paths)]).astype(np.int32)
    items = np.array([channel for path in paths for channel in path], dtype=np.int32)
    most = np.full(len(paths), np.inf) if limit is None else np.array(limit)
    found: Floats = fair_rates(start, items, np.array(capacity, dtype=np.float64), most)
    return found


def solver(
    paths: list[Path], capacity: list[float], limit: list[float], fixed: dict[int, float]
) -> tuple[pywraplp.Solver, list[pywraplp.Variable]]:
    """The polytope of rates, with those that are fixed already."""
    made = pywraplp.Solver.CreateSolver("GLOP")
    rate = [made.NumVar(fixed.get(i, 0.0), fixed.get(i, limit[i]), f"r{i}") for i in range(len(paths))]
    for channel, room in enumerate(capacity):
        made.Add(sum(path.count(channel) * rate[i] for i, path in enumerate(paths)) <= room + SLACK)
    return made, rate


def lexicographic(paths: list[Path], capacity: list[float], limit: list[float]) -> list[float]:
    """Raise the least rate as far as it goes, fix who cannot go further, raise the rest: each step a linear program."""
    fixed: dict[int, float] = {}
    while len(fixed) < len(paths):
        made, rate = solver(paths, capacity, limit, fixed)
        least = made.NumVar(0.0, made.infinity(), "least")
        for i in range(len(paths)):
            if i not in fixed:
                made.Add(rate[i] >= least)
        made.Maximize(least)
        assert made.Solve() == pywraplp.Solver.OPTIMAL
        level = least.solution_value()
        for i in [i for i in range(len(paths)) if i not in fixed]:
            other, others = solver(paths, capacity, limit, fixed)
            for k in range(len(paths)):
                if k not in fixed:
                    other.Add(others[k] >= level - SLACK)
            other.Maximize(others[i])
            assert other.Solve() == pywraplp.Solver.OPTIMAL
            if others[i].solution_value() <= level + 100 * SLACK:
                fixed[i] = max(level - SLACK, 0.0)
    return [fixed[i] for i in range(len(paths))]


small = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True).map(tuple), min_size=1, max_size=6)
rooms = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, 7.0, 10.0]), min_size=5, max_size=5)
limits = st.lists(st.sampled_from([0.5, 1.5, 4.0, 100.0]), min_size=6, max_size=6)


@given(small, rooms, limits)
@settings(max_examples=150)
def test_rates_equal_an_exact_linear_program(paths: list[Path], capacity: list[float], limit: list[float]) -> None:
    found = rates(paths, capacity, limit[: len(paths)])
    np.testing.assert_allclose(found, lexicographic(paths, capacity, limit[: len(paths)]), atol=1e-3)


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_every_flow_has_a_full_channel_on_which_none_is_faster(seed: int) -> None:
    """That is what max–min fair means (Bertsekas and Gallager, Data Networks, 6.5.2)."""
    rng = np.random.default_rng(seed)
    flows, channels = int(rng.integers(1, 200)), int(rng.integers(1, 60))
    paths = [tuple(rng.integers(0, channels, rng.integers(1, 6)).tolist()) for _ in range(flows)]
    capacity = rng.choice([1.0, 4.0, 10.0, 40.0], channels)
    found = rates(paths, capacity.tolist())
    load, top = np.zeros(channels), np.zeros(channels)
    for path, rate in zip(paths, found, strict=True):
        for channel in path:
            load[channel] += rate
            top[channel] = max(top[channel], rate)
    assert (load <= capacity * (1 + 1e-6)).all()
    full = load >= capacity * (1 - 1e-6)
    for path, rate in zip(paths, found, strict=True):
        assert any(full[channel] and rate >= top[channel] * (1 - 1e-6) for channel in path)


def test_the_textbook_line_of_channels() -> None:
    """One flow over all of three channels, one over each: the long one shares the narrowest."""
    assert rates([(0, 1, 2), (0,), (1,), (2,)], [1.0, 2.0, 4.0]).tolist() == [0.5, 0.5, 1.5, 3.5]


def test_what_has_no_channel_has_its_limit_and_a_dead_channel_carries_nothing() -> None:
    assert rates([(), (0,), (1, 0)], [5.0, 0.0], [3.0, np.inf, np.inf]).tolist() == [3.0, 5.0, 0.0]


def test_a_channel_that_a_flow_takes_twice_is_used_twice() -> None:
    assert rates([(0, 0), (0,)], [6.0]).tolist() == [2.0, 2.0]
