"""``acceptance.csv``: what to measure on the day the light comes on, and what is good enough.

A row a link: light received on each lane, bit errors before and after correction. Then rows for a ping and a bandwidth
test between named hosts, a near and a far pair for every rail and plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from fabric.addressing import addresses
from fabric.exports.host import rdma_devices
from fabric.intent.qos import Qos
from fabric.population import asked
from fabric.qos import qos

if TYPE_CHECKING:
    from fabric.plan import Plan

COLUMNS = (
    "test", "network", "tier", "rail", "plane", "a_device", "a_port", "b_device", "b_port", "speed_gbps", "medium",
    "rx_dbm_least", "rx_dbm_most", "pre_fec_ber_most", "post_fec_ber_most", "gbps_expected", "gbps_least", "command",
    "source",
)  # fmt: skip

WINDOWS: dict[tuple[str, int, int], tuple[float, float, str]] = {
    ("multimode", 100, 1): (-6.4, 4.0, "IEEE 802.3db: launch -4.6 dBm less 1.8 dB of channel"),
    ("multimode", 50, 1): (-8.4, 4.0, "IEEE 802.3cd clause 138"),
    ("multimode", 25, 1): (-10.3, 2.4, "IEEE 802.3bm clause 95"),
    ("singlemode", 100, 1): (-5.9, 4.0, "IEEE 802.3bs clause 124, 802.3cd clause 140"),
    ("singlemode", 100, 4): (-7.3, 3.5, "IEEE 802.3cu clause 151"),
    ("singlemode", 50, 4): (-8.2, 4.7, "IEEE 802.3bs clause 122"),
    ("singlemode", 25, 4): (-11.5, 2.5, "CWDM4 MSA"),
}
"""Average power received on each lane in dBm, least and most, by medium, Gb/s a lane and wavelengths."""
PRE_FEC: dict[str, tuple[float, str]] = {
    "rs544": (2.4e-4, "IEEE 802.3 RS(544,514)"),
    "rs528": (5e-5, "IEEE 802.3bm RS(528,514)"),
}
"""Most bit errors before correction that the code is specified for."""
LEAST_SHARE = 0.97
"""Of the bandwidth expected; a choice: below it a lane, a buffer or a setting is wrong."""
ROCE_OVERHEAD = 8 + 14 + 20 + 8 + 12 + 4 + 4 + 12
"""Bytes a packet takes besides its data: preamble, Ethernet, IPv4, UDP, BTH, ICRC, FCS, gap."""
INFINIBAND_OVERHEAD = 8 + 12 + 4 + 2
"""LRH, BTH, ICRC, VCRC."""
PATH_MTUS = (4096, 2048, 1024, 512, 256)


@dataclass(frozen=True)
class End:
    """A host port under test."""

    host: str
    interface: str
    device: str | None
    address: str | None


def acceptance(plan: Plan) -> bytes:
    """The file; rows in the order of links, then of networks, rails and planes."""
    rows = pl.DataFrame(list(_pairs(plan)), schema=_schema(), orient="row")
    return pl.concat([_links(plan), rows]).write_csv().encode()


def _schema() -> dict[str, pl.DataType]:
    floats = ("rx_dbm_least", "rx_dbm_most", "pre_fec_ber_most", "post_fec_ber_most", "gbps_expected", "gbps_least")
    whole = ("rail", "plane", "speed_gbps")
    return {c: pl.Float64() if c in floats else pl.UInt32() if c in whole else pl.String() for c in COLUMNS}


def _links(plan: Plan) -> pl.DataFrame:
    """One row a link of at least 25 Gb/s; the windows hold for both ends."""
    fabric, schema = plan.fabric, _schema()
    devices, ports = fabric.device_names(), fabric.ports
    links = fabric.links.filter(pl.col("speed_gbps") >= 25)
    table = links.select(
        pl.lit("link").alias("test"), pl.col("network", "tier").cast(pl.String), "rail", "plane", "speed_gbps",
        a_device=devices.gather(links["a_device"]), a_port=ports["name"].gather(links["a_port"]),
        b_device=devices.gather(links["b_device"]).fill_null("external"), b_port=ports["name"].gather(links["b_port"]),
        medium=fabric.cables["medium"].cast(pl.String).gather(links["cable"]),
        optic=fabric.cables["a_optic"].gather(links["cable"]),
        fec=ports["fec"].cast(pl.String).gather(links["a_port"]),
    )  # fmt: skip
    key = ["network", "speed_gbps", "optic", "fec"]
    kinds = table.select(key).unique(maintain_order=True)
    limits = pl.DataFrame([_limits(plan, *row) for row in kinds.iter_rows()], schema=_LIMITS, orient="row")
    table = table.join(
        pl.concat([kinds, limits], how="horizontal"), on=key, how="left", maintain_order="left", nulls_equal=True
    )
    missing = {name: pl.lit(None).alias(name) for name in COLUMNS if name not in table.columns}
    return table.with_columns(missing.values()).select(pl.col(name).cast(kind) for name, kind in schema.items())


_LIMITS = {
    "rx_dbm_least": pl.Float64, "rx_dbm_most": pl.Float64, "pre_fec_ber_most": pl.Float64,
    "post_fec_ber_most": pl.Float64, "source": pl.String,
}  # fmt: skip


def _limits(plan: Plan, network: str, speed: int, optic: str | None, fec: str | None) -> list[Any]:
    """Light and error limits of one kind of link; null where nothing applies or nobody has published it."""
    least: float | None = None
    most: float | None = None
    sources = []
    found = plan.catalogue.optics.get(optic or "")
    if found is not None:
        window = WINDOWS.get((found.medium, round(found.lane_gbps), found.wavelengths))
        if window is None:
            sources.append("light: the optic's data sheet")
        else:
            least, most = window[:2]
            sources.append(f"light: {window[2]}")
    pre = PRE_FEC.get(fec or "")
    if pre is not None:
        sources.append(f"before correction: {pre[1]}")
    after, said = _post_fec(plan.design.networks[network].technology, speed)
    return [least, most, None if pre is None else pre[0], after, "; ".join([*sources, said])]


def _post_fec(technology: str, speed: int) -> tuple[float, str]:
    if technology == "infiniband":
        return 1e-15, "after correction: effective BER of InfiniBand links (IBTA)"
    if speed >= 200:
        return 1e-13, "after correction: IEEE 802.3bs and 802.3df objective"
    return 1e-12, "after correction: IEEE 802.3 objective"


def _pairs(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Ping and bandwidth for a near and a far pair of hosts of every rail and plane."""
    ends = _ends(plan)
    for (network, rail, plane), rows in ends.group_by(["network", "rail", "plane"], maintain_order=True):
        for a, b in _near_and_far(rows):
            yield from _tests(plan, str(network), rail, plane, a, b)


def _ends(plan: Plan) -> pl.DataFrame:
    """Ports of hosts with places of their own, by network, rail, plane and leaf."""
    fabric = plan.fabric
    hosts = fabric.hosts.filter(~pl.col("role").is_in(["service", "pdu"])).select(
        a_device="id", host="name", group=pl.col("group").cast(pl.String)
    )
    links = fabric.links.filter((pl.col("tier") == "host-leaf") & pl.col("rail").is_not_null())
    links = links.select(
        pl.col("network").cast(pl.String), "rail", "plane", "a_device", "a_port", "b_device", "speed_gbps"
    )
    links = links.join(hosts, on="a_device", how="inner", maintain_order="left")
    links = links.with_columns(interface=fabric.ports["name"].gather(links["a_port"]))
    links = links.join(rdma_devices(plan), on=["group", "interface"], how="left", maintain_order="left")
    given = addresses(plan).host_ports.select("ipv4", a_port="port")
    links = links.join(given, on="a_port", how="left", maintain_order="left")
    order = pl.col("network").cast(pl.Enum(list(plan.design.networks)))
    return links.sort(order, "rail", "plane", "b_device", "a_port")


def _near_and_far(rows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Two hosts on the first leaf, and the first host with the last leaf's first."""
    first, last = rows["b_device"][0], rows["b_device"][-1]
    a = rows.row(0, named=True)
    near = rows.filter((pl.col("b_device") == first) & (pl.col("a_device") != a["a_device"])).head(1)
    far = rows.filter((pl.col("b_device") == last) & (pl.col("a_device") != a["a_device"])).head(1)
    yield from ((a, b) for b in near.iter_rows(named=True))
    if last != first:
        yield from ((a, b) for b in far.iter_rows(named=True))


def _tests(
    plan: Plan, network: str, rail: Any, plane: Any, a: dict[str, Any], b: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    technology = plan.design.networks[network].technology
    mtu = (asked(plan.intent, network).qos or Qos()).mtu
    speed = min(a["speed_gbps"], b["speed_gbps"])
    tier = "leaf" if a["b_device"] == b["b_device"] else "fabric"
    ends = (a["host"], a["interface"], b["host"], b["interface"])
    empty = (None,) * 5
    head = (network, tier, rail, plane, *ends, speed, *empty)
    if a["ipv4"] and b["ipv4"]:
        command = f"{a['host']}: ping -c 3 -M do -s {mtu - 28} -I {a['ipv4']} {b['ipv4']}"
        yield ("ping", *head, None, None, command, "the largest packet unfragmented, none lost")
    if technology != "ethernet":
        expected = round(speed * _efficiency(technology, mtu), 1)
        least = round(expected * LEAST_SHARE, 1)
        yield ("bandwidth", *head, expected, least, _bandwidth(plan, network, a, b), _explained(technology, mtu))


def _bandwidth(plan: Plan, network: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    """``ib_write_bw`` (perftest) at both hosts; the server is started first."""
    rules = qos(plan, network)
    common = "ib_write_bw -F -D 10 -q 4 --report_gbits"
    if rules is not None:
        common += f" -x 3 --tclass={rules.roce_tos}"

    def device(end: dict[str, Any]) -> str:
        known = end["rdma"] or (end["interface"] if rules is not None else None)
        return f" -d {known}" if known else ""

    peer = b["ipv4"] or b["host"]
    return f"{b['host']}: {common}{device(b)} & {a['host']}: {common}{device(a)} {peer}"


def _path_mtu(technology: str, mtu: int) -> int:
    room = mtu - 60 if technology == "roce" else PATH_MTUS[0]
    return next(size for size in PATH_MTUS if size <= room)


def _efficiency(technology: str, mtu: int) -> float:
    """Share of the line that is data: path MTU to path MTU and overhead."""
    data = _path_mtu(technology, mtu)
    return data / (data + (ROCE_OVERHEAD if technology == "roce" else INFINIBAND_OVERHEAD))


def _explained(technology: str, mtu: int) -> str:
    data = _path_mtu(technology, mtu)
    overhead = ROCE_OVERHEAD if technology == "roce" else INFINIBAND_OVERHEAD
    return f"{data} B of data in {data + overhead} B on the line; least: {LEAST_SHARE:.0%} of it"
