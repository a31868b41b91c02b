"""config-drift: what a device says of its settings, or does, is not what was planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from collectors.detectors import Signal
from collectors.detectors.interval import NEVER, Interval
from collectors.detectors.pauses.hashes import Hashes
from collectors.detectors.pauses.lossless import Lossless, lossless
from collectors.detectors.pauses.marks import Marks
from collectors.detectors.pauses.places import device as place
from collectors.detectors.policy import ConfigDrift as Thresholds
from collectors.detectors.policy import Policy
from collectors.detectors.view import Floats, Ints, Mask, View

GID = "roce v2"
ENCODING = 128 / 130
"""PCIe 3.0 to 5.0 send 130 bits for 128."""
TOLD = ("mtu_bytes", "pfc_enabled_mask", "pcie_lanes", "pcie_gigatransfers")
AGES = 10
"""What was told is looked at anew so often within the time for which it counts."""
EXPLAINS = {
    "pfc": ("lossless-drop",), "mtu": ("lossless-drop",), "pcie": ("slow-rail",), "ecn": (), "gid": (),
    "hash": ("hash-skew",),
}  # fmt: skip
"""Codes that each setting's ports would have too."""
MOST_NAMED = 20


class ConfigDrift:
    """The detector. Beside what ports last told of their settings it keeps queues that do not mark."""

    code = "config-drift"

    def __init__(self, view: View, policy: Policy) -> None:
        """``policy.config_drift`` has the thresholds."""
        self.view, self.policy = view, policy.config_drift
        self.rules = lossless(view)
        self.marks = Marks(view, self.rules, self.policy)
        self.hashes = Hashes(view, self.policy)
        self.settings = Settings(view, self.rules, self.policy)

    def step(self, interval: Interval) -> Iterable[Signal]:
        """A signal a device and setting."""
        found: list[Signal] = []
        for setting, wrong, known, told in self.settings.drifted(interval):
            found += self._by_device(interval, setting, wrong, known, told)
        wrong, fine = self.marks.step(interval)
        found += self._by_device(interval, "ecn", wrong, wrong | fine, None)
        found += [self._hashed(device, evidence) for device, evidence in self.hashes.step(interval)]
        return found

    def _by_device(
        self, interval: Interval, setting: str, wrong: Mask, known: Mask, told: Floats | None
    ) -> Iterator[Signal]:
        """By device and network: the device where all its ports that are known have drifted, else those ports."""
        if not wrong.any():
            return
        key = self.view.device * len(self.view.networks) + self.view.network
        for value in np.unique(key[wrong]).tolist():
            here = key == value
            ports = np.flatnonzero(here & wrong)
            yield self._signal(setting, ports, whole=not (here & known & ~wrong).any(), told=told)

    def _signal(self, setting: str, ports: Ints, *, whole: bool, told: Floats | None) -> Signal:
        names = [self.view.port_names[port] for port in ports.tolist()]
        subject: dict[str, Any] = place(self.view, int(self.view.device[ports[0]]))
        if not whole:
            subject["ports"] = names
        evidence: dict[str, Any] = {"level": len(names), "setting": setting, "ports": names[:MOST_NAMED]}
        if told is not None:
            evidence["told"] = float(told[ports[0]])
            evidence["planned"] = self.settings.planned(setting, int(ports[0]))
        elif setting == "gid":
            evidence["planned"] = "RoCE v2"
        return Signal(self.code, setting, subject, evidence, tuple(ports.tolist()), masks=self._masks(setting, ports))

    def _masks(self, setting: str, ports: Ints) -> tuple[tuple[str, int], ...]:
        ends = dict.fromkeys(int(end) for port in ports for end in (port, self.view.peer[port]))
        return tuple((code, port) for code in EXPLAINS[setting] for port in ends)

    def _hashed(self, number: int, evidence: dict[str, Any]) -> Signal:
        ports = np.flatnonzero((self.view.device == number) & (self.view.group >= 0))
        subject = place(self.view, number)
        masks = self._masks("hash", ports)
        return Signal(self.code, "hash", subject, {"level": 1} | evidence, tuple(ports.tolist()), masks=masks)


class Settings:
    """Settings that are told: MTU, PFC, GID, PCIe."""

    def __init__(self, view: View, rules: Lossless, policy: Thresholds) -> None:
        self.view, self.rules, self.policy = view, rules, policy
        self.kind, self.line = _nics(view)
        self._usual: Floats = np.full(view.ports, np.nan)
        self._found: list[tuple[str, Mask, Mask, Floats | None]] = []
        self._until_ns = NEVER

    def drifted(self, interval: Interval) -> Iterator[tuple[str, Mask, Mask, Floats | None]]:
        """Of each setting: ports that have drifted, ports of which it is known, and what is told."""
        if interval.end_ns > self._until_ns or any(interval.fresh(name).any() for name in TOLD):
            self._found = [*self._numbers(interval), *self._pcie(interval)]
            self._until_ns = interval.end_ns + round(self.policy.remember_s * 1e9 / AGES)
        yield from self._found
        yield from self._gid(interval)

    def _numbers(self, interval: Interval) -> Iterator[tuple[str, Mask, Mask, Floats]]:
        """MTU and PFC."""
        mtu, mask = (self._last(interval, name) for name in ("mtu_bytes", "pfc_enabled_mask"))
        # a larger packet than planned loses nothing, and some count the Ethernet header too
        yield "mtu", mtu < self.rules.mtu, np.isfinite(mtu + self.rules.mtu), mtu
        known = np.isfinite(mask + self.rules.pfc_mask)
        yield "pfc", known & (mask != self.rules.pfc_mask), known, mask

    def planned(self, setting: str, port: int) -> float:
        """What the plan wants; of PCIe Gb/s, what most NICs of the kind have, or the NIC's own line rate."""
        wanted = {"mtu": self.rules.mtu, "pfc": self.rules.pfc_mask, "pcie": self._usual}[setting][port]
        return float(wanted) if np.isfinite(wanted) else float(self.line[port])

    def _last(self, interval: Interval, column: str) -> Floats:
        """What each port last told, if that was not too long ago."""
        last = interval.now.get(column)
        if last is None:
            return np.full(self.view.ports, np.nan)
        recent = last.time_ns > interval.end_ns - round(self.policy.remember_s * 1e9)
        return np.where(recent & (last.time_ns != NEVER), last.value.astype(np.float64), np.nan)

    def _gid(self, interval: Interval) -> Iterator[tuple[str, Mask, Mask, None]]:
        """The GID's type; ports that tell another than RoCE v2 on a RoCE network."""
        texts = interval.texts.get("gid_type")
        if not texts or {text.strip().lower() for text in set(texts.values())} <= {GID}:
            return
        known, wrong = np.zeros(self.view.ports, dtype=bool), np.zeros(self.view.ports, dtype=bool)
        known[list(texts)] = True
        wrong[[port for port, text in texts.items() if text.strip().lower() != GID]] = True
        yield "gid", wrong & self.rules.ports, known & self.rules.ports, None

    def _pcie(self, interval: Interval) -> Iterator[tuple[str, Mask, Mask, Floats]]:
        """PCIe that carries less than the NIC's line rate, or less than that of most NICs of its kind."""
        lanes, speed = (self._last(interval, name) for name in ("pcie_lanes", "pcie_gigatransfers"))
        gbps = lanes * speed * ENCODING
        known = np.isfinite(gbps) & (self.kind >= 0)
        if not known.any():
            return
        self._usual = self._most(gbps, known)
        wrong = known & ((gbps < self.line) | (gbps < self._usual))
        yield "pcie", wrong, known, gbps

    def _most(self, gbps: Floats, known: Mask) -> Floats:
        """The median of each kind of NIC, where enough are known; NaN elsewhere."""
        found = np.full(self.view.ports, np.nan)
        if np.nanmin(gbps[known]) == np.nanmax(gbps[known]):
            return found
        for kind in np.unique(self.kind[known]).tolist():
            here = known & (self.kind == kind)
            if here.sum() > self.policy.alike:
                found[here] = np.median(gbps[here])
        return found


def _nics(view: View) -> tuple[Ints, Floats]:
    """By port id the kind of the NIC (its host's group, network and speed; −1: none) and its line rate in Gb/s."""
    fabric = view.plan.fabric
    nic = fabric.ports["nic"].cast(int).fill_null(-1).to_numpy()
    names = fabric.nics.select(
        "network", "speed_gbps", "ports", model=fabric.hosts["group"].gather(fabric.nics["host"])
    )
    kinds = names.select("network", "speed_gbps", "ports", "model").to_struct("kind").rank("dense").to_numpy()
    line = (names["speed_gbps"].cast(float) * names["ports"].cast(float)).to_numpy()
    has = nic >= 0
    kind, rate = np.full(view.ports, -1), np.full(view.ports, np.nan)
    kind[has], rate[has] = kinds[nic[has]].astype(np.int64), line[nic[has]]
    return kind, rate
