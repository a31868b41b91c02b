"""Grey loss beside what only looks like it: counters that are late, rates that change, polls that are missing."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.detectors.links.grey import Grey
from collectors.detectors.policy import Link as Thresholds
from collectors.detectors.view import Floats, Mask

STEP = 10.0
INTERVALS = 30
ONSET = 153.0
"""Seconds at which a link begins to lose, where one does."""
DEVICES, LINKS = 4, 4
"""Switches, each with so many links to each other one."""


def network() -> Any:
    """Ports and cables, as far as the detector looks at them: ports 2n and 2n + 1 are the ends of a cable."""
    pairs = [(a, b) for a in range(DEVICES) for b in range(a + 1, DEVICES) for _ in range(LINKS)]
    ports = np.arange(2 * len(pairs))
    return SimpleNamespace(
        ports=len(ports), peer=ports ^ 1, device=np.array(pairs).ravel(), device_names=list(range(DEVICES)),
        on_switch=np.ones(len(ports), dtype=bool),
    )  # fmt: skip


NETWORK = network()
PORTS = np.arange(NETWORK.ports)


@dataclass
class Told:
    """An interval, as far as the detector looks at it."""

    risen_by: dict[str, Floats]
    came: dict[str, Mask]

    def delta(self, column: str) -> Floats:
        return self.risen_by.get(column, np.full(NETWORK.ports, np.nan))

    risen = delta

    def fresh(self, column: str) -> Mask:
        return self.came.get(column, np.zeros(NETWORK.ports, dtype=bool))


class Traffic:
    """Packets that were sent into each channel (named by the port that receives) until a time: rates in steps."""

    def __init__(self, edges: Floats, rates: Floats) -> None:
        self.edges, self.rates = edges, rates
        self.sums = np.vstack([np.zeros(rates.shape[1]), np.cumsum(rates * np.diff(edges)[:, None], axis=0)])

    def until(self, at: Floats) -> Floats:
        row = np.clip(np.searchsorted(self.edges, at, side="right") - 1, 0, len(self.rates) - 1)
        return self.sums[row, PORTS] + self.rates[row, PORTS] * (at - self.edges[row])


def traffic(kind: str, ways: str, rng: np.random.Generator) -> Traffic:
    """Steady, or with steps at any time, bursts of any period, a ramp, noise, or jobs that stand still for a while.

    ``ways``: one, the same, or any. What goes on while jobs stand still is a few hundredths, in bursts of its own.
    """
    end = STEP * INTERVALS + 1
    edges: Floats
    factor: Floats
    base = rng.uniform(5e4, 1e6, (1, NETWORK.ports))
    if kind == "bursts":
        edges = np.arange(-50, end, rng.uniform(0.5, 30) / 2)
        factor = np.where(np.arange(len(edges)) % 2, 1.0, 0.0)[:, None] * np.ones(NETWORK.ports)
    elif kind == "ramp":
        edges = np.arange(-50, end, 5.0)
        factor = 1 + np.linspace(0, rng.uniform(-0.8, 3), len(edges))[:, None]
    elif kind == "noise":
        edges = np.arange(-50, end, rng.uniform(1, 12))
        factor = np.maximum(1 + rng.uniform(0.005, 0.3) * rng.standard_normal((len(edges), 1)), 0)
    elif kind == "stall":
        edges = np.arange(-50, end, 3.0)
        still = (edges > 100) & (edges < 190)
        beside = rng.uniform(0.01, 0.3) * rng.exponential(1.0, (len(edges), NETWORK.ports))
        factor = np.where(still, 0.0, 1 + rng.uniform(0, 0.1) * rng.standard_normal(len(edges)))[:, None] + beside
    else:
        edges = np.sort(np.concatenate([[-50.0], rng.uniform(0, end, 4 if kind == "steps" else 0)]))
        factor = rng.uniform(0, 2, (len(edges), NETWORK.ports)) if kind == "steps" else np.ones((1, 1))
    if ways == "one":
        base = base * (PORTS % 2 == 0)
    elif ways == "same":
        base, factor = base[:, PORTS // 2 * 2], factor[:, PORTS // 2 * 2] if factor.shape[1] > 1 else factor
    return Traffic(np.append(edges, end + 50), base * factor)


@dataclass(frozen=True)
class Run:
    """What a run is like: how often switches refresh (s; 0: at once), which values are missing, what is lost."""

    kind: str = "steady"
    ways: str = "same"
    refresh: tuple[float, ...] = (0.0,) * DEVICES
    missing: float = 0.0
    share: float = 0.0
    seed: int = 0


def alarms(run: Run) -> dict[int, int]:
    """The interval in which each channel is first told; channel 0 loses what is to be lost."""
    rng = np.random.default_rng(run.seed)
    sent, grey = traffic(run.kind, run.ways, rng), Grey(NETWORK, Thresholds())
    every = np.maximum(np.array(run.refresh), 1e-9)
    phase = rng.random(DEVICES) * every
    last = np.full((2, NETWORK.ports), np.nan)
    first: dict[int, int] = {}
    for number in range(1, INTERVALS + 1):
        now = STEP * number
        seen_at = np.where(every > 1e-6, np.floor((now - phase) / every) * every + phase, now)
        shown = np.array([sent.until(seen_at[NETWORK.device[ports]]) for ports in (NETWORK.peer, PORTS)])
        since, until = (float(sent.until(np.full(NETWORK.ports, t))[0]) for t in (ONSET, max(seen_at[0], ONSET)))
        shown[1, 0] -= run.share * (until - since)
        shown = np.floor(shown)
        came = rng.random((2, NETWORK.ports)) >= run.missing
        rose = np.where(came, shown - last, np.nan)
        last = np.where(came, shown, last)
        grey.step(_told(rose, came))
        first |= {port: number for port in np.flatnonzero(grey.alarmed).tolist() if port not in first}
    return first


def _told(rose: Floats, came: Mask) -> Any:
    back = NETWORK.peer
    return Told(
        {"tx_packets": rose[0][back], "rx_packets": rose[1]}, {"tx_packets": came[0][back], "rx_packets": came[1]}
    )


KINDS = st.sampled_from(["steady", "steps", "bursts", "ramp", "noise", "stall"])
WAYS = st.sampled_from(["one", "same", "any"])
PERIODS = st.sampled_from([0.0, 1.0, 2.0, 2.5, 5.0, 10.0])
"""Those that divide the interval: the lag of a device is always the same."""
ALL = st.tuples(*[PERIODS] * DEVICES)
SEEDS = st.integers(0, 2**31)


@settings(max_examples=60)
@given(st.builds(Run, kind=KINDS, ways=WAYS, refresh=ALL, missing=st.sampled_from([0.0, 0.05]), seed=SEEDS))
def test_counters_that_are_late_are_no_loss(run: Run) -> None:
    assert alarms(run) == {}


@settings(max_examples=30)
@given(kind=st.sampled_from(["steady", "bursts", "ramp"]), period=st.floats(0.5, 10.0), ways=WAYS, seed=SEEDS)
def test_lag_that_changes_is_no_loss(kind: str, period: float, ways: str, seed: int) -> None:
    """Any period, the same for all switches: the lag is another one at each poll, or drifts."""
    assert alarms(Run(kind, ways, (period,) * DEVICES, seed=seed)) == {}


@settings(max_examples=30)
@given(share=st.floats(1e-3, 2e-2), ways=WAYS, refresh=ALL, missing=st.sampled_from([0.0, 0.02]), seed=SEEDS)
@example(share=1e-3, ways="one", refresh=(10.0, 0.0, 5.0, 2.0), missing=0.0, seed=1)
def test_loss_that_adds_up_is_told(share: float, ways: str, refresh: Any, missing: float, seed: int) -> None:
    """Of steady traffic in three whole intervals, and those that missing values cut; nothing else is told."""
    first = alarms(Run("steady", ways, refresh, missing, share, seed))
    assert set(first) == {0}
    assert first[0] * STEP - ONSET <= (50 if missing == 0 else 150)


@pytest.mark.parametrize("kind", ["noise", "steps"])
@pytest.mark.parametrize("seed", range(4))
def test_loss_is_told_however_the_rates_are_where_counters_are_up_to_date(kind: str, seed: int) -> None:
    assert set(alarms(Run(kind, "same", share=5e-3, seed=seed))) == {0}
