"""Lossless RoCE: maps, scheduling, marking, pause and its watchdog, on the lossless ports alone.

A port of another network has none of it: no map, no priority with PFC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fabric.exports.sonic.ports import Port
from fabric.exports.sonic.template import Table
from fabric.qos import CLASSES, QosPlan, ecn_probability_percent
from fabric.roce import Thresholds

MAP = "AZURE"
"""What SONiC's own maps are called; its tools look for that name."""
POLL_MS = 100, 1000
"""Bounds of SONiC's watchdog poll; it may not be longer than detection or restoration."""
COLOURS = ("green", "yellow", "red")


def qos_tables(rules: QosPlan, ports: Sequence[Port], *, spectrum: bool) -> dict[str, Table]:
    """Every QoS table but buffers. ``ports``: the lossless ones."""
    tables: dict[str, Table] = {
        "DSCP_TO_TC_MAP": _numbered(rules.dscp_to_class),
        "TC_TO_PRIORITY_GROUP_MAP": _numbered(rules.class_to_group),
        "TC_TO_QUEUE_MAP": _numbered(range(CLASSES)),
        "MAP_PFC_PRIORITY_TO_QUEUE": _numbered(range(CLASSES)),
        "SCHEDULER": _schedulers(rules),
        "WRED_PROFILE": _curves(rules, sorted({port.speed_gbps for port in ports})),
        "PORT_QOS_MAP": _port_maps(rules, ports, spectrum=spectrum),
        "QUEUE": dict(_queues(rules, ports)),
        "PFC_WD": _watchdogs(rules, ports),
    }
    if spectrum:
        groups = {str(priority): str(rules.class_to_group[priority]) for priority in rules.pfc_priorities}
        tables["PFC_PRIORITY_TO_PRIORITY_GROUP_MAP"] = {MAP: groups}
    return tables


def _numbered(values: Sequence[int]) -> Table:
    return {MAP: {str(number): str(value) for number, value in enumerate(values)}}


def _schedulers(rules: QosPlan) -> Table:
    table: Table = {}
    for queue in rules.queues:
        strict = queue.service == "strict"
        fields = {"type": "STRICT"} if strict else {"type": "DWRR", "weight": str(queue.percent)}
        table[_scheduler(queue.traffic_class)] = fields
    return table


def _scheduler(traffic_class: int) -> str:
    return f"scheduler.{traffic_class}"


def _curves(rules: QosPlan, speeds: Sequence[int]) -> Table:
    return {curve_name(speed, rules.ecn(speed)): _curve(rules.ecn(speed)) for speed in speeds}


def curve_name(speed_gbps: int, curve: Thresholds) -> str:
    """Name of a marking curve; it says so where the thresholds are an estimate (JSON has no comments)."""
    return f"ecn-{speed_gbps}g" + ("" if curve.published else "-estimate")


def _curve(curve: Thresholds) -> dict[str, str]:
    fields = {"ecn": "ecn_all"}
    for colour in COLOURS:
        fields |= {
            f"wred_{colour}_enable": "true",
            f"{colour}_min_threshold": str(curve.kmin_kb * 1000),
            f"{colour}_max_threshold": str(curve.kmax_kb * 1000),
            f"{colour}_drop_probability": str(ecn_probability_percent(curve)),
        }
    return fields


def _port_maps(rules: QosPlan, ports: Sequence[Port], *, spectrum: bool) -> Table:
    priorities = ",".join(map(str, rules.pfc_priorities))
    fields = {
        "dscp_to_tc_map": MAP,
        "pfc_enable": priorities,
        "pfc_to_queue_map": MAP,
        "pfcwd_sw_enable": priorities,
        "tc_to_pg_map": MAP,
        "tc_to_queue_map": MAP,
    }
    if spectrum:
        fields["pfc_to_pg_map"] = MAP
    return {"global": {"dscp_to_tc_map": MAP}, **{port.name: fields for port in ports}}


def _queues(rules: QosPlan, ports: Sequence[Port]) -> Iterator[tuple[str, dict[str, str]]]:
    by_speed = {speed: _port_queues(rules, speed) for speed in {port.speed_gbps for port in ports}}
    for port in ports:
        for queue, fields in by_speed[port.speed_gbps].items():
            yield f"{port.name}|{queue}", fields


def _port_queues(rules: QosPlan, speed_gbps: int) -> dict[int, dict[str, str]]:
    """Queues of a port of that speed: how each is served, and the marking of RoCE's."""
    queues = {queue.traffic_class: {"scheduler": _scheduler(queue.traffic_class)} for queue in rules.queues}
    queues[rules.roce_class]["wred_profile"] = curve_name(speed_gbps, rules.ecn(speed_gbps))
    return queues


def _watchdogs(rules: QosPlan, ports: Sequence[Port]) -> Table:
    watchdog = rules.watchdog
    poll = min(watchdog.detection_ms, watchdog.restoration_ms, POLL_MS[1])
    fields = {
        "action": watchdog.action,
        "detection_time": str(watchdog.detection_ms),
        "restoration_time": str(watchdog.restoration_ms),
    }
    return {"GLOBAL": {"POLL_INTERVAL": str(max(poll, POLL_MS[0]))}, **{port.name: fields for port in ports}}
