"""What detectors can find: each code with its causes, how bad each is, and what it means; docs/runbook.md has the rest.

A finding of a detector is a ``fabric.findings.Finding`` whose cause is one of its code's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fabric.findings import Severity

_C, _E, _W, _I = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True)
class Detection:
    """One code: the severity of each of its causes, and what it says."""

    name: str
    causes: Mapping[str, Severity]
    meaning: str

    @property
    def advice(self) -> str:
        """Where the runbook speaks of it."""
        return f"docs/runbook.md#{self.name}"


def _detections(*detections: Detection) -> dict[str, Detection]:
    return {detection.name: detection for detection in detections}


DETECTIONS: Mapping[str, Detection] = _detections(
    Detection("hash-skew", {"polarisation": _W, "key-regularity": _W, "elephant": _I, "low-entropy": _I,
                            "capacity": _I, "unexplained": _W},
              "An ECMP group spreads its flows less evenly than a good hash would, or than its links can bear."),
    Detection("incast", {"incast": _W},
              "More is sent to one host port than it takes: its queue fills, and pauses spread from it."),
    Detection("pfc-storm", {"nic-storm": _C, "contention": _W, "deadlock": _C, "unexplained": _E},
              "A port is paused for so long that nothing passes; the root is named, not its victims."),
    Detection("lossless-drop", {"drop": _C}, "A queue that must never drop did."),
    Detection("link", {"down": _E, "flap": _W, "errors": _W, "margin": _I, "grey-loss": _E, "speed": _W, "width": _W},
              "A link is down, unsteady, faulty, or runs below its planned speed."),
    Detection("slow-rail", {"slow-nic": _W, "slow-receiver": _W, "slow-host": _W, "slow-leaf": _W},
              "A host's rail moves its bytes more slowly, while active, than its neighbours do."),
    Detection("miswire", {"swap": _E, "rotation": _E, "shift": _E, "wrong-rail": _E, "wrong-port": _E, "missing": _W,
                          "extra": _W}, "A cable is not where the plan has it."),
    Detection("config-drift", {"dscp": _W, "pfc": _E, "ecn": _W, "mtu": _E, "gid": _W, "hash": _W, "pcie": _W,
                               "acs": _W}, "A switch or host does not do what was planned for it."),
    Detection("silence", {"stopped": _W, "down": _E, "clock": _W},
              "A source stopped, or the device behind it is down: what it would have said is not known."),
)  # fmt: skip
"""Every code of a detector, in the order of the runbook."""
