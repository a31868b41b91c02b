"""Groups whose hash is fine and whose busiest member is full all the same: few flows, or one that is too large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.policy import HashSkew
from collectors.detectors.skew.groups import Group, groups_of
from collectors.detectors.skew.observe import Flows
from collectors.detectors.skew.phi import SAMPLES_A_FLOW
from collectors.detectors.view import Floats, Mask, View

CODE = "hash-skew"
LARGER = 4.0
"""Times the median flow: less is not what one calls an elephant."""


def busy_signals(
    view: View, flows: Flows, good: Mask, steady: Mask, load: Floats, policy: HashSkew
) -> Iterator[Signal]:
    """One signal a group with a full member that carries more than the objective times the mean.

    That many samples say how much each member carries; with few the busiest one is the luckiest.
    """
    full = np.flatnonzero(np.nan_to_num(load[view.group_ports]) >= policy.saturated)
    if not len(full):
        return
    which = np.zeros(view.groups, dtype=np.bool_)
    which[np.searchsorted(view.group_start, full, side="right") - 1] = True
    for group in groups_of(view, flows, good, which & steady, policy.least_flows):
        enough = group.loads.sum() >= SAMPLES_A_FLOW * len(group.flows)
        if enough and group.excess >= policy.objective:
            yield _signal(view, group, load, policy)


def _signal(view: View, group: Group, load: Floats, policy: HashSkew) -> Signal:
    heaviest = int(group.flows.samples.max())
    large = heaviest >= policy.elephant * group.loads.max() and heaviest >= LARGER * np.median(group.flows.samples)
    busiest = int(group.ports[np.argmax(group.loads)])
    evidence = {
        "level": round(group.excess, 3), "phi": round(group.phi, 3), "flows": len(group.flows),
        "members": len(group.ports), "max_over_mean": round(float(group.loads.max() / group.loads.mean()), 2),
        "busiest": view.port_names[busiest], "load": round(float(np.nan_to_num(load[busiest])), 3),
        "heaviest_share": round(heaviest / float(group.loads.sum()), 3),
    }  # fmt: skip
    subject = {
        "switch": view.device_names[view.group_device[group.number]],
        "ports": [view.port_names[port] for port in view.members(group.number)],
    }
    cause = "elephant" if large else "low-entropy"
    return Signal(CODE, cause, subject, evidence, tuple(group.ports.tolist()))
