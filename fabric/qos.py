"""Quality of service of a RoCE network: the one source of the numbers that switches and hosts are given.

DSCP to traffic class to priority and queue are one map: a traffic class, the 802.1p priority of PFC and the egress
queue have the same number. Everything that is neither RoCE nor its congestion notification is class 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Literal

from fabric.intent.qos import Qos
from fabric.population import asked
from fabric.roce import Thresholds, mlx5e_headroom, sonic_headroom, thresholds

if TYPE_CHECKING:
    import polars as pl

    from fabric.catalogue.models import Switch
    from fabric.intent.qos import Watchdog
    from fabric.plan import Plan

CLASSES = 8
DSCPS = 64
DEFAULT_CLASS = 0
NVIDIA_DEFAULT_KB = 150, 1500
"""Kmin and Kmax that NVIDIA's switches come with, absolute, whatever the speed; the plan's own replace them."""
PIPELINE_LATENCY_KIB = 19.0
"""XON threshold where the chip's own is not known: SONiC's figure for Spectrum (``asic_table.j2``)."""
LEAST_SPEED_GBPS = 40
"""mlx5e reckons slower ports as if they had 40 Gb/s."""
DEFAULT_LENGTH_M = 5.0
"""Of a port without a cable; SONiC's own default for ports within a rack."""

Service = Literal["strict", "weighted"]
Formula = Literal["sonic", "mlx5e"]


@dataclass(frozen=True)
class Queue:
    """How one traffic class is served: strictly first, or by weight in per cent of what is left."""

    traffic_class: int
    service: Service
    percent: int
    """0 where it is served strictly."""


@dataclass(frozen=True)
class Headroom:
    """Ingress buffer of one lossless priority, in bytes."""

    xoff: int
    """Taken after pause was asked for."""
    xon: int
    """Below this the peer may send again."""
    formula: Formula
    estimate: bool
    """The formula is not of the switch's own family, or lacks the chip's figures."""

    @property
    def size(self) -> int:
        """Bytes to reserve in all."""
        return self.xoff + self.xon


@dataclass(frozen=True)
class QosPlan:
    """What a RoCE network agrees on; made by `qos` alone."""

    network: str
    settings: Qos

    @property
    def mtu(self) -> int:
        """Bytes of the largest IP packet."""
        return self.settings.mtu

    @property
    def roce_dscp(self) -> int:
        """DSCP of RoCE."""
        return self.settings.roce.dscp

    @property
    def roce_class(self) -> int:
        """Class, priority and queue of RoCE: the lossless one."""
        return self.settings.roce.traffic_class

    @property
    def cnp_dscp(self) -> int:
        """DSCP of congestion notification packets."""
        return self.settings.cnp.dscp

    @property
    def cnp_class(self) -> int:
        """Class and queue of congestion notification packets."""
        return self.settings.cnp.traffic_class

    @property
    def pfc_priorities(self) -> tuple[int, ...]:
        """Priorities with PFC."""
        return (self.roce_class,)

    @cached_property
    def dscp_to_class(self) -> tuple[int, ...]:
        """Traffic class by DSCP, 64 of them."""
        special = {self.roce_dscp: self.roce_class, self.cnp_dscp: self.cnp_class}
        return tuple(special.get(dscp, DEFAULT_CLASS) for dscp in range(DSCPS))

    @property
    def class_to_group(self) -> tuple[int, ...]:
        """Ingress priority group by traffic class: the lossless class has its own, all others share group 0."""
        return tuple(n if n in self.pfc_priorities else 0 for n in range(CLASSES))

    @cached_property
    def queues(self) -> tuple[Queue, ...]:
        """The classes that are used, in their order: congestion notification strictly, RoCE and the rest by weight.

        Where class 0 is that of RoCE or of its notification, RoCE has the whole weight.
        """
        share = self.settings.lossless_percent
        shares = {DEFAULT_CLASS: 100 - share, self.roce_class: share}
        if DEFAULT_CLASS in (self.roce_class, self.cnp_class):
            shares = {self.roce_class: 100}
        weighted = [Queue(n, "weighted", percent) for n, percent in shares.items()]
        return tuple(sorted([*weighted, Queue(self.cnp_class, "strict", 0)], key=lambda queue: queue.traffic_class))

    @property
    def roce_tos(self) -> int:
        """The IPv4 TOS byte (IPv6 traffic class) that hosts put on RoCE: the DSCP, ECN bits zero."""
        return self.roce_dscp << 2

    @property
    def watchdog(self) -> Watchdog:
        """Times (ms) and action of the PFC watchdog."""
        return self.settings.watchdog

    def ecn(self, speed_gbps: int) -> Thresholds:
        """Marking curve of a port; ``published`` is false where it was scaled by speed (an estimate)."""
        return thresholds(speed_gbps, self.settings)

    def headroom(self, speed_gbps: int, length_m: float, switch: Switch) -> Headroom:
        """PFC headroom of a switch port by the formula of the switch's family.

        Spectrum: SONiC's dynamic buffer model. Others publish none: mlx5e's formula, an estimate.
        """
        asic = switch.asic
        latency = (
            PIPELINE_LATENCY_KIB if asic is None or asic.pipeline_latency_kib is None else asic.pipeline_latency_kib
        )
        xon = ceil(latency) * 1024
        own = sonic_headroom(speed_gbps, length_m, self.mtu, asic) if is_spectrum(switch) else None
        if own is not None:
            return Headroom(own, xon, "sonic", estimate=False)
        return Headroom(host_headroom(speed_gbps, length_m, self.mtu), xon, "mlx5e", estimate=True)


def is_spectrum(switch: Switch) -> bool:
    """NVIDIA Spectrum, whose buffers SONiC's dynamic model describes."""
    return switch.asic is not None and switch.asic.name.startswith("spectrum")


def host_headroom(speed_gbps: int, length_m: float, mtu: int) -> int:
    """PFC headroom of a NIC port in bytes, as Linux' mlx5e driver reckons it; slower ports count as 40 Gb/s."""
    headroom = mlx5e_headroom(max(speed_gbps, LEAST_SPEED_GBPS), length_m, mtu)
    assert headroom is not None
    return headroom


def ecn_probability_percent(curve: Thresholds) -> int:
    """``pmax`` in whole per cent, at least 1: what switches take."""
    return max(1, round(curve.pmax * Fraction(100)))


def qos(plan: Plan, network: str) -> QosPlan | None:
    """The quality of service of a network; None where it is not RoCE (PFC stays off there)."""
    if plan.design.networks[network].technology != "roce":
        return None
    return QosPlan(network, asked(plan.intent, network).qos or Qos())


def port_headroom(plan: Plan, network: str) -> pl.DataFrame:
    """The lossless switch ports of a network, and their PFC headroom; on all others PFC stays off.

    ``port, device, speed_gbps, length_m, xoff, xon`` (bytes), ``formula, estimate``; in the order of port ids. Those of
    links to hosts and between switches of the network, not of uplinks that leave it; none where it is not RoCE. Each
    kind (switch model, speed, length) is reckoned once.
    """
    import polars as pl

    rules = qos(plan, network)
    ports = _cabled(plan, network)
    schema = {
        "xoff": pl.UInt32, "xon": pl.UInt32, "formula": pl.String, "estimate": pl.Boolean,
    }  # fmt: skip
    kind = ["model", "speed_gbps", "length_m"]
    kinds = ports.select(kind).unique(maintain_order=True)
    rows = []
    for model, speed, length in kinds.iter_rows() if rules else ():
        assert rules is not None
        found = rules.headroom(speed, length, plan.catalogue.switches[model])
        rows.append((found.xoff, found.xon, found.formula, found.estimate))
    reckoned = pl.concat([kinds.head(len(rows)), pl.DataFrame(rows, schema=schema, orient="row")], how="horizontal")
    joined = ports.join(reckoned, on=kind, how="inner", maintain_order="left")
    return joined.select("port", "device", "speed_gbps", "length_m", *schema)


def _cabled(plan: Plan, network: str) -> pl.DataFrame:
    """``port, device, model, speed_gbps, length_m`` of the switch ports of a network's own links."""
    import polars as pl

    fabric = plan.fabric
    links = fabric.links.with_columns(length_m=fabric.cables["length_m"].gather(fabric.links["cable"]))
    links = links.filter((pl.col("network") == network) & ~pl.col("tier").is_in(["uplink", "oob"]))
    ends = pl.concat(
        [
            links.select(
                port=f"{side}_port", device=f"{side}_device", length_m=pl.col("length_m").fill_null(DEFAULT_LENGTH_M)
            )
            for side in "ab"
        ]
    )
    switches = fabric.switches.select(
        device="id", model=pl.col("model").cast(pl.String), on=pl.col("network").cast(pl.String)
    )
    ends = ends.join(switches.filter(pl.col("on") == network).drop("on"), on="device", how="inner").sort("port")
    return ends.with_columns(speed_gbps=fabric.ports["speed_gbps"].gather(ends["port"]))
