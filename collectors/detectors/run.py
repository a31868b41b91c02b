"""All detectors in their order over the intervals of a store's samples: live and replay are the same walk."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collectors.detectors.intervals import Intervals
from collectors.detectors.life import Lives, Maintenance
from collectors.detectors.policy import Policy
from collectors.detectors.view import View, view

if TYPE_CHECKING:
    from collectors.detectors import Detector
    from collectors.detectors.jobs import Jobs
    from collectors.store import Store
    from fabric.findings import Finding
    from fabric.plan import Plan

DETECTORS = {
    "hash-skew": "collectors.detectors.hash_skew:HashSkew",
    "link": "collectors.detectors.link:Link",
    "slow-rail": "collectors.detectors.slow_rail:SlowRail",
    "miswire": "collectors.detectors.miswire:Miswire",
    "incast": "collectors.detectors.incast:Incast",
    "pfc-storm": "collectors.detectors.pfc_storm:PfcStorm",
    "lossless-drop": "collectors.detectors.lossless_drop:LosslessDrop",
    "config-drift": "collectors.detectors.config_drift:ConfigDrift",
    "silence": "collectors.detectors.silence:Silence",
}
"""Module and class of each detector by its code, in the order in which they step."""


@dataclass
class Watch:
    """Detectors with their memories and the lives of findings; ``step`` takes the intervals in order."""

    view: View
    policy: Policy
    detectors: Sequence[Detector]
    lives: Lives
    intervals: Intervals = field(init=False)

    def __post_init__(self) -> None:
        self.intervals = Intervals(self.view, self.interval_ns)

    @property
    def interval_ns(self) -> int:
        """Length of an interval."""
        return round(self.policy.interval_s * 1e9)

    def notes(self) -> list[str]:
        """What detectors say of groups that they do not judge, and why."""
        return [note for detector in self.detectors for note in getattr(detector, "notes", ())]

    def step(self, end_ns: int) -> list[Finding]:
        """Findings that opened, changed or cleared in the interval that ends then; samples were fed before."""
        interval = self.intervals.step(end_ns)
        return self.lives.step(interval, [signal for detector in self.detectors for signal in detector.step(interval)])


def watch(
    plan: Plan,
    policy: Policy | None = None,
    *,
    codes: Sequence[str] | None = None,
    jobs: Jobs | None = None,
    maintenance: Sequence[Maintenance] = (),
) -> Watch:
    """A watch over a plan by all detectors, or by those of ``codes``."""
    seen, thresholds = view(plan), policy or Policy()
    made = [_made(DETECTORS[code], seen, thresholds) for code in DETECTORS if codes is None or code in codes]
    return Watch(seen, thresholds, made, Lives(seen, thresholds.life, jobs, maintenance))


def _made(at: str, seen: View, policy: Policy) -> Detector:
    module, name = at.split(":")
    made: Any = getattr(importlib.import_module(module), name)
    detector: Detector = made(seen, policy)
    return detector


def replay(watching: Watch, store: Store, since_ns: int, until_ns: int) -> Iterator[list[Finding]]:
    """Findings of each interval of (since, until], after a warm-up of ``policy.warm_up`` intervals that is not told.

    Intervals end at multiples of their length, so that who looks later sees the same ones. What opened in the warm-up
    and is still open is told with the first interval.
    """
    step = watching.interval_ns
    first = since_ns // step * step + step
    for end_ns in range(first - watching.policy.warm_up * step, until_ns + 1, step):
        found = look(watching, store, end_ns)
        if end_ns < first:
            continue
        told = {finding.id for finding in found}
        before = [one for one in watching.lives.open() if one.id not in told] if end_ns == first else []
        yield sorted([*before, *found], key=lambda one: (one.code, one.id))


def look(watching: Watch, store: Store, end_ns: int) -> list[Finding]:
    """Findings of the one interval that ends then, from the store's samples of it."""
    start_ns = end_ns - watching.interval_ns
    columns = store.columns()
    counters = store.read(columns, start_ns=start_ns + 1, end_ns=end_ns + 1)
    flows = store.read_flows(start_ns=start_ns + 1, end_ns=end_ns + 1)
    outcomes = store.read_outcomes(start_ns=start_ns + 1, end_ns=end_ns + 1)
    watching.intervals.feed(counters, flows, outcomes)
    return watching.step(end_ns)
