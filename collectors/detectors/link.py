"""Links that are down, unsteady, faulty, losing, slow or narrow, or nearly so: one signal a link, the gravest cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import Interval
from collectors.detectors.links.errors import Errors
from collectors.detectors.links.grey import Grey
from collectors.detectors.links.margin import Margin
from collectors.detectors.links.state import State
from collectors.detectors.policy import Policy
from collectors.detectors.view import Floats, Mask, View

ORDER = ("down", "flap", "errors", "grey-loss", "speed", "width", "margin")
"""Causes, the one that explains the others first."""


class Link:
    """The detector of links."""

    code = "link"

    def __init__(self, view: View, policy: Policy) -> None:
        """A link is told by its number in the plan, whichever end saw it."""
        self.view, self.policy = view, policy.link
        self.state = State(view, policy.link, policy.interval_s)
        self.errors, self.grey = Errors(view, policy.link), Grey(view, policy.link)
        self.margin = Margin(view, policy.link)

    def step(self, interval: Interval) -> Iterator[Signal]:
        """A signal for each link with a fault, in the order of links."""
        for part in (self.state, self.errors, self.grey, self.margin):
            part.step(interval)
        found = self._found()
        some = np.zeros(len(self.state.ends.a), dtype=bool)
        for mask in found.values():
            some |= mask
        for link in np.flatnonzero(some).tolist():
            causes = [cause for cause in ORDER if found[cause][link]]
            yield self._signal(link, causes, interval)

    def _found(self) -> dict[str, Mask]:
        """By cause, which links."""
        state, ends = self.state, self.state.ends
        long = self.margin.alarmed >= self.policy.margin_intervals
        bad = self.errors.alarmed | (long & (self.errors.sum > 0))
        return {
            "down": state.down & ~state.flapping, "flap": state.flapping, "errors": ends.any(bad),
            "grey-loss": ends.any(self.grey.alarmed), "speed": state.slow, "width": state.narrow,
            "margin": ends.any(long),
        }  # fmt: skip

    def _signal(self, link: int, causes: list[str], interval: Interval) -> Signal:
        a, b = int(self.state.ends.a[link]), int(self.state.ends.b[link])
        ports = (a,) if a == b else (a, b)
        evidence: dict[str, Any] = {"cause": causes[0], "window_s": interval.nominal_s}
        if len(causes) > 1:
            evidence["also"] = causes[1:]
        evidence |= getattr(self, "_" + causes[0].replace("-", "_"))(link, ports, interval)
        onset = evidence.pop("onset_ns", None)
        severity = "warning" if causes[0] == "down" and self.state.admin[link] else None
        masks = tuple(("slow-rail", port) for port in ports)
        return Signal(self.code, causes[0], self.view.link_of(a), evidence, ports, onset, severity, masks)

    def _down(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        since = int(self.state.down_ns[link]) - round(interval.nominal_s * 1e9)
        down_s = (interval.end_ns - since) / 1e9
        return {"down_s": down_s, "switched_off": bool(self.state.admin[link]), "onset_ns": since}

    def _flap(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        times = float(self.state.times[link])
        return {"level": times, "went_down": int(times), "within_s": self.policy.flap_window_s}

    def _errors(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        port = _largest(self.errors.sum, ports)
        bad = float(np.nan_to_num(self.errors.bad[port]))
        return {
            "level": bad / interval.nominal_s, "bad_a_second": bad / interval.nominal_s, "at": self.view.end(port),
            "cusum": float(self.errors.sum[port]), "onset_ns": int(self.errors.since_ns[port]),
        }  # fmt: skip

    def _grey_loss(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        port = _largest(np.where(self.grey.alarmed, self.grey.lost, -np.inf), ports)
        share = float(self.grey.lost[port])
        return {"level": share, "lost_share": share, "at": self.view.end(port)}

    def _speed(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        return _below(interval.gauge("speed_gbps"), self.state.planned, ports)

    def _width(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        return _below(interval.gauge("width_lanes"), self.state.lanes.astype(np.float64), ports)

    def _margin(self, link: int, ports: tuple[int, ...], interval: Interval) -> dict[str, Any]:
        port = _largest(self.margin.alarmed.astype(np.float64), ports)
        light, usual = (float(np.nan_to_num(one[port])) for one in (self.margin.light, self.margin.usual))
        worst = int(self.margin.worst[port])
        return {"worst_bin": worst, "rx_power_dbm": light, "usual_rx_power_dbm": usual, "at": self.view.end(port)}


def _largest(values: Floats, ports: tuple[int, ...]) -> int:
    return max(ports, key=lambda port: (float(values[port]), -port))


def _below(told: Floats, planned: Floats, ports: tuple[int, ...]) -> dict[str, Any]:
    """The lowest that either end tells, where one does, and what was planned."""
    known = [float(told[port]) for port in ports if np.isfinite(told[port])]
    return {"planned": float(planned[ports[0]]), **({"told": min(known)} if known else {})}
