"""What gNMI messages say, by the official stubs and plain Python: nothing here is the project's own reading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pygnmi.spec.v080 import gnmi_pb2  # type: ignore[import-untyped]

PORTS = {f"Ethernet{number}": f"swp{number}" for number in range(4)}
COLUMNS = {
    r"/interfaces/interface\[name=([^\]]*)\]/state/counters/in-octets": ("rx_bytes", int),
    r"/interfaces/interface\[name=([^\]]*)\]/state/counters/out-discards": ("tx_discards", int),
    r"/interfaces/interface\[name=([^\]]*)\]/state/mtu": ("mtu_bytes", float),
    r"/qos/interfaces/interface\[interface-id=([^\]]*)\]/output/queues/queue\[name=3\]/state/max-queue-len": (
        "queue_watermark_bytes_q3", float),
    r"/qos/interfaces/interface\[interface-id=([^\]]*)\]/output/queues/queue\[name=3\]/state/dropped-pkts": (
        "queue_dropped_packets_q3", int),
    r"/lldp/interfaces/interface\[name=([^\]]*)\]/neighbors/neighbor\[id=1\]/state/system-name": ("lldp_system", str),
    r"/interfaces/interface\[name=([^\]]*)\]/state/oper-status": ("oper_status", list),
}  # fmt: skip
STATUS = ["UP", "DOWN", "TESTING", "UNKNOWN", "DORMANT", "NOT_PRESENT", "LOWER_LAYER_DOWN"]
Told = dict[tuple[str, int, str], Any]


def text(*paths: Any) -> str | None:
    """Paths after each other as text; None where an origin is not ours."""
    found = ""
    for path in paths:
        if path.origin not in ("", "openconfig"):
            return None
        if path.elem:
            found += "".join(
                f"/{elem.name}" + "".join(f"[{key}={value}]" for key, value in sorted(elem.key.items()))
                for elem in path.elem
            )
        else:
            found += "".join(f"/{element}" for element in path.element)
    return found


def scalar(value: Any) -> Any:
    """A TypedValue as Python has it; None for what no counter can be."""
    kind = value.WhichOneof("value")
    if kind in ("json_val", "json_ietf_val"):
        try:
            return json.loads(getattr(value, kind))
        except (ValueError, RecursionError):
            return None
    if kind == "decimal_val":
        found = value.decimal_val
        return None if found.precision > 18 else found.digits / 10**found.precision
    if kind == "leaflist_val":
        return [scalar(element) for element in value.leaflist_val.element if element.WhichOneof("value")]
    if kind in (None, "any_val", "bytes_val", "proto_bytes"):
        return None
    return getattr(value, kind)


def number(value: Any, kind: type) -> Any:
    """What a column of a kind keeps of a value (or of a list of one); None if nothing."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if kind is str:
        return value[:1024] if isinstance(value, str) else None
    if kind is list:
        if isinstance(value, str):
            return STATUS.index(value) + 1 if value in STATUS else None
        return value if type(value) is int and 1 <= value <= len(STATUS) else None
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", value):
        if kind is int and not (value.isdecimal() and len(value) <= 20):
            return None
        value = kind(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind is float:
        return float(value) if abs(value) < 1e300 else None
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2**63)
    return int(value) if whole and 0 <= value < 2**64 else None


def told(messages: Iterable[bytes], arrived: Iterable[int]) -> tuple[Told, int]:
    """Values by (port, time, column), the last told counts; and how many messages are no messages."""
    found: Told = {}
    malformed = 0
    for raw, stamp in zip(messages, arrived, strict=True):
        try:
            note = gnmi_pb2.SubscribeResponse.FromString(raw).update
        except DecodeError:
            malformed += 1
            continue
        for update in note.update:
            value = scalar(update.val)
            if not update.val.WhichOneof("value") and update.value.value and update.value.type in (0, 4):
                value = scalar(gnmi_pb2.TypedValue(json_val=update.value.value))
            _add(found, text(note.prefix, update.path), note.timestamp if note.timestamp > 0 else stamp, value)
    return found, malformed


def _add(found: Told, path: str | None, time: int, value: Any) -> None:
    for pattern, (column, kind) in COLUMNS.items():
        match = re.fullmatch(pattern, path or "")
        kept = number(value, kind)
        if match and match[1] in PORTS and kept is not None:
            found[PORTS[match[1]], time, column] = kept
