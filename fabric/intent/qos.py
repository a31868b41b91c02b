"""Quality of service of a RoCE network: what a switch and a host must agree on.

Defaults: DSCP 26 in traffic class 3 (RoCE, lossless), DSCP 48 in 6 (congestion notification, strict), the ECN rows of
the SimAI / ns-3 HPCC lineage, and SONiC's PFC watchdog times (200 ms each).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator

from fabric.intent.base import said
from fabric.intent.expect import choice, exact, whole
from fabric.validation import Strict

Dscp = Annotated[int, whole(0, 63)]
TrafficClass = Annotated[int, whole(0, 7)]
Kilobytes = Annotated[int, whole(1, 1_000_000)]
Milliseconds = Annotated[int, whole(1, 60_000)]


class Marking(Strict):
    """How packets of one kind are marked and queued."""

    dscp: Dscp = said("Differentiated-services code point.")
    traffic_class: TrafficClass = said("Traffic class, and the priority of PFC.")


class Roce(Marking):
    """Marking of RoCE packets: the lossless class."""

    dscp: Dscp = said("Differentiated-services code point of RoCE.", 26)
    traffic_class: TrafficClass = said("Its traffic class, lossless by PFC.", 3)


class Cnp(Marking):
    """Marking of congestion notification packets."""

    dscp: Dscp = said("Differentiated-services code point of congestion notification.", 48)
    traffic_class: TrafficClass = said("Its traffic class, served strictly first.", 6)


class Ecn(Strict):
    """Marking curve of one port speed."""

    speed_gbps: Annotated[int, whole(1, 100_000)] = said("Port speed of this row.", unit="Gb/s")
    kmin_kb: Kilobytes = said("Queue at which marking begins.", unit="kB")
    kmax_kb: Kilobytes = said("Queue at which it reaches `pmax`.", unit="kB")
    pmax: Annotated[Fraction, exact(0, 1, above=True)] = said(
        "Share of packets marked there.", Fraction(1, 5), unit="ratio"
    )


class Watchdog(Strict):
    """PFC watchdog."""

    detection_ms: Milliseconds = said("Time a queue may be paused without a break.", 200, unit="ms")
    restoration_ms: Milliseconds = said("Time without pause until it serves again.", 200, unit="ms")
    action: Annotated[Literal["drop", "forward", "alert"], choice("drop", "forward", "alert")] = said(
        "What happens to a queue that is stuck.", "drop"
    )


PUBLISHED = tuple(
    Ecn(speed_gbps=speed, kmin_kb=kmin, kmax_kb=4 * kmin, pmax=Fraction(1, 5))
    for speed, kmin in ((100, 400), (200, 600), (400, 800))
)
"""Kmin, Kmax and Pmax of the SimAI / ns-3 HPCC lineage."""


def _with_published(rows: Iterable[Ecn]) -> tuple[Ecn, ...]:
    given = {row.speed_gbps: row for row in rows}
    return tuple(sorted(({row.speed_gbps: row for row in PUBLISHED} | given).values(), key=lambda row: row.speed_gbps))


class Qos(Strict):
    """Overrides of the defaults."""

    roce: Roce = said("RoCE packets.", make=Roce)
    cnp: Cnp = said("Congestion notification packets.", make=Cnp)
    lossless_percent: Annotated[int, whole(1, 99)] = said(
        "Share of a port's bandwidth promised to the RoCE class (ETS).", 50, unit="%"
    )
    ecn: Annotated[tuple[Ecn, ...], AfterValidator(_with_published)] = said(
        "Marking curves by port speed; a row given replaces the published one of its speed, the others stay.", PUBLISHED
    )
    watchdog: Watchdog = said("PFC watchdog.", make=Watchdog)
    mtu: Annotated[int, whole(1280, 16_384)] = said(
        "Largest packet on links between switches and to hosts.", 9216, unit="B"
    )

    def ecn_for(self, speed_gbps: int) -> Ecn | None:
        """The row of exactly that speed, or None."""
        return next((row for row in self.ecn if row.speed_gbps == speed_gbps), None)
