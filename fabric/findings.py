"""What a check or a detector says: a code, how bad it is, what it is about and what shows it.

Every code is declared once, in ``CODES``; ``docs/checks.md`` is generated from it. A finding is written as one line of
JSON in the shape that programs read (``Finding.to_json``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 1


class Severity(StrEnum):
    """How bad a finding is; plan checks never say critical."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class State(StrEnum):
    """Where a finding is in its life; a plan check's finding is open until the plan changes."""

    OPEN = "open"
    UPDATED = "updated"
    CLEARED = "cleared"


class Cause(StrEnum):
    """What is behind a finding."""

    TABLES = "tables"
    PORTS = "ports"
    PARTS = "parts"
    CABLING = "cabling"
    COUNTS = "counts"
    CAPACITY = "capacity"
    REACHABILITY = "reachability"
    RESILIENCE = "resilience"
    MANAGEMENT = "management"
    CONFIGURATION = "configuration"


@dataclass(frozen=True)
class Code:
    """One kind of finding: its permitted cause and severity, what it means and what mends it."""

    name: str
    cause: Cause
    severity: Severity
    meaning: str
    remedy: str
    advice: str = ""

    @property
    def link(self) -> str:
        """Where the documentation speaks of it."""
        return self.advice or f"docs/checks.md#{self.name}"


@dataclass(frozen=True)
class Finding:
    """One thing that was found; ``first_seen`` and ``last_seen`` (nanoseconds) are ``None`` for plan checks.

    ``cause`` is one that the code permits: a plan check's is a ``Cause``, a detector's one of ``fabric.detections``.
    """

    code: str
    cause: str
    severity: Severity
    subject: Mapping[str, Any]
    evidence: Mapping[str, Any]
    first_seen: int | None = None
    last_seen: int | None = None
    jobs: tuple[str, ...] = ()
    state: State = State.OPEN
    advice: str = field(default="")

    @property
    def id(self) -> str:
        """Hash of code, subject and first_seen: the same thing found again has the same id."""
        what = json.dumps([self.code, self.subject, self.first_seen], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(what.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """The finding in the order of the published format."""
        return {
            "version": VERSION,
            "id": self.id,
            "code": self.code,
            "cause": str(self.cause),
            "severity": str(self.severity),
            "subject": dict(self.subject),
            "evidence": dict(self.evidence),
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "jobs": list(self.jobs),
            "state": str(self.state),
            "advice": self.advice,
        }

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), separators=(",", ":"), ensure_ascii=False)

    def __str__(self) -> str:
        subject = " ".join(f"{key}={_plain(value)}" for key, value in self.subject.items())
        evidence = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in self.evidence.items())
        return f"{self.severity}: {self.code}: {subject}: {evidence}; see {self.advice}"


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_plain(item)}" for key, item in value.items())
    return str(value)


def find(code: str, subject: Mapping[str, Any], evidence: Mapping[str, Any]) -> Finding:
    """A plan check's finding of a declared code."""
    known = CODES[code]
    return Finding(code, known.cause, known.severity, subject, evidence, advice=known.link)


def _codes(*codes: Code) -> dict[str, Code]:
    return {code.name: code for code in codes}


_T, _P, _PA, _C = Cause.TABLES, Cause.PORTS, Cause.PARTS, Cause.CABLING
_N, _B, _R, _S, _M = Cause.COUNTS, Cause.CAPACITY, Cause.REACHABILITY, Cause.RESILIENCE, Cause.MANAGEMENT
_CO = Cause.CONFIGURATION
_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

CODES: Mapping[str, Code] = _codes(
    Code("id-broken", _T, _E, "The ids of a table are not the dense, rising integers they must be.",
         "Plan again; the tables were changed by hand or are damaged."),
    Code("reference-dangling", _T, _E, "A row names something that is not there, or a port of another device.",
         "Plan again; the tables were changed by hand or are damaged."),
    Code("name-repeated", _T, _E, "Two devices, or two ports of one device, have the same name.",
         "Rename a host group whose name collides with another's."),
    Code("link-mislabelled", _T, _E, "A link's network, tier or segment is not that of its ends.",
         "Re-cable the link to the device its labels name, or plan again."),
    Code("port-used-twice", _C, _E, "Two links end on one port.", "Move one of the two links to its own port."),
    Code("port-unlinked", _C, _E, "A switch port that must carry a link (up, interswitch, external) has none.",
         "Cable the port as cables.csv says, or plan again."),
    Code("speed-mismatch", _P, _E, "The two ports of a link, or the link itself, have different speeds.",
         "Set both ends to one speed; a breakout must give that speed on both sides."),
    Code("speed-reduced", _P, _I, "NICs are plugged into ports of another speed; both must run at the lower one.",
         "Set both ends to the lower speed; check that the faster one can run at it."),
    Code("fec-mismatch", _P, _E, "The two ports of a link use different forward error correction: it stays down.",
         "Set both ends to the same FEC."),
    Code("autoneg-mismatch", _P, _E, "One port of a link negotiates and the other does not: it stays down.",
         "Set auto-negotiation and link training alike at both ends."),
    Code("lane-speed-mismatch", _P, _E, "The lanes of the two ports of a link run at different speeds.",
         "Choose breakouts whose lanes run at one speed at both ends."),
    Code("cage-unknown", _P, _E, "A port sits in a cage or connector that the switch model does not have.",
         "Correct the switch model in the catalogue, or plan again."),
    Code("breakout-unsupported", _P, _E, "A cage is set to a breakout that it does not have.",
         "Use one of the breakouts the catalogue lists for the cage."),
    Code("cage-mixed", _P, _E, "The ports of one cage are of different breakouts; a cage has one.",
         "Give each breakout its own cage."),
    Code("cage-overfull", _P, _E, "A cage holds more ports than its breakout gives, or ports that share lanes.",
         "Move the surplus ports to another cage."),
    Code("logical-ports-exceeded", _P, _E, "A switch has more logical ports than its chip can have.",
         "Use fewer breakouts on the switch or a model with more logical ports."),
    Code("bank-exceeded", _P, _E, "A group of neighbouring cages has more logical ports than the chip allows them.",
         "Spread the breakouts over more cages."),
    Code("cage-mismatch", _P, _E, "An rj45 port is cabled to a pluggable one.",
         "Cable rj45 to rj45; give the host's NIC or the switch the cage the other end has."),
    Code("rail-crossed", _C, _E, "A leaf serves another's rail, or with rail-only an upper switch joins two.",
         "Move the cable to the leaf of the NIC's rail."),
    Code("plane-joined", _C, _E, "A link or switch joins two planes that must stay apart.",
         "Move the cable to a switch of its own plane."),
    Code("planes-share-leaf", _C, _E, "The planes of a host's NIC do not end on leaves of their own, one a plane.",
         "Move one of the cables to the leaf of the other plane."),
    Code("segment-split", _C, _E, "The links of one host end in different segments.",
         "Move the cable to the leaf of the host's segment."),
    Code("group-crossed", _C, _E, "A leaf is linked to another pod's spine, or a spine to another group's core.",
         "Move the cable to a switch of its own group."),
    Code("trunk-uneven", _C, _E, "A switch has not equally many links to every switch of the group above it.",
         "Cable every switch to every other of its group with the links that the design says."),
    Code("reach-exceeded", _PA, _E, "A cable is longer than its optic or its assembly reaches.",
         "Choose a part with more reach or move the racks closer."),
    Code("medium-mismatch", _PA, _E, "The optics of a cable do not understand each other or are not of its medium.",
         "Use optics of one medium, lane speed and number of wavelengths at both ends."),
    Code("part-unresolved", _PA, _W, "No part of the catalogue fits a kind of cable.",
         "Add the cable or optic to a catalogue file of the intent."),
    Code("device-unplaced", _N, _E, "The intent has a site, but a host or switch has no rack or no unit.",
         "Plan again; the tables were changed by hand or are damaged."),
    Code("rack-units-exceeded", _B, _E, "Two devices of a rack are in one unit, or one is above its top.",
         "Move a device to a rack with free units, or raise site.rack_units."),
    Code("rack-power-exceeded", _B, _E, "The devices of a rack draw more at most than the rack gives.",
         "Move a device to a rack with power left, or raise site.rack_power_kw."),
    Code("planes-share-rack", _S, _E, "One rack holds switches of two planes of a network: its failure takes both.",
         "Move the switches of one plane to a rack of their own."),
    Code("planes-share-feed", _S, _E, "Switches of two planes of a network hang on one feed: its failure takes both.",
         "Feed the racks of each plane from a feed of their own, or give racks a PDU a feed."),
    Code("spines-share-rack", _S, _E, "All spines or cores of a group are in one rack: its failure parts the group.",
         "Move some of them to another rack."),
    Code("cable-short", _PA, _E, "A cable is shorter than its way over the trays.",
         "Order the next longer one, or plan again."),
    Code("count-differs", _N, _E, "Design, tables, cable list and bill of materials do not hold the same number.",
         "Plan again; one of the files was changed by hand or is damaged."),
    Code("oversubscribed", _B, _E, "A switch has more bandwidth below than the intent allows for that above.",
         "Cable the missing uplinks, or plan again."),
    Code("pair-unreachable", _R, _E, "Switches that the layout means to connect have no path between them.",
         "Cable the parts together as the design says."),
    Code("planes-unjoined", _R, _I, "The planes join at a tier that is not planned: they meet in the hosts alone.",
         "Ask for the tier (tiers: 2 for spine, 3 for core), or say planes_join: never."),
    Code("bisection-low", _B, _E, "Less bandwidth can flow between two parts of the network than the intent asks for.",
         "Cable the missing links; the evidence names the parts and the flow that fits."),
    Code("host-off-rail", _R, _E, "A NIC port of a host has no link: a rail or plane lacks the host.",
         "Cable the NIC port."),
    Code("service-unattached", _R, _E, "A service host has NIC ports without a link.",
         "Cable the service NIC to a free leaf port; keep more leaf ports free if there are none."),
    Code("oob-missing", _M, _W, "There is no out-of-band network: nothing reaches a device whose fabric is down.",
         "Add networks.oob to the intent."),
    Code("oob-uncovered", _M, _E, "A switch or host has no link to the out-of-band network.",
         "Cable its management port; give the server model an oob NIC if it has none."),
    Code("single-point-of-failure", _S, _W, "One failure cuts hosts off although the intent gives them two planes.",
         "Cable the planes to switches of their own."),
    Code("single-homed", _S, _I, "Hosts have one leaf on a network: one failure cuts them off it.",
         "Give the network two planes (NICs with two ports) where that matters."),
    Code("single-spine", _S, _I, "One failure of an upper switch parts the network: there is only one.",
         "Plan a second spine or core where that matters."),
    Code("ecmp-polarised", _CO, _W, "The hashes of two tiers choose alike: some links of the later one idle.",
         "Give each tier a hash function of its own; another seed of a CRC is not another function."),
    Code("qos-differs", _CO, _E, "A host marks, queues or pauses otherwise than its switches.",
         "Plan again; one of the files was changed by hand."),
)  # fmt: skip
"""Every code a plan check can say, by name, in the order of the documentation."""
