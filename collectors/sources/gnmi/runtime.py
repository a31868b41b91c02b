"""What the protobuf runtime's objects say, for messages that the fast path leaves to it."""

from __future__ import annotations

from typing import Any

from collectors.sources.gnmi.values import decimal, parse


def value(update: Any) -> Any:
    """The value of an update of the protobuf runtime, the deprecated form too."""
    kind = update.val.WhichOneof("value")
    if kind is None:
        return parse(update.value.value) if update.value.type in (0, 4) and update.value.value else None
    return scalar(update.val, kind)


def scalar(value: Any, kind: str) -> Any:
    """The value of a TypedValue whose kind is known; None for what no counter can be."""
    found = getattr(value, kind)
    if kind == "decimal_val":
        return decimal(found.digits, found.precision)
    if kind in ("json_val", "json_ietf_val"):
        return parse(found)
    if kind == "leaflist_val":
        return [scalar(element, inner) for element in found.element if (inner := element.WhichOneof("value"))]
    return None if kind in ("any_val", "bytes_val", "proto_bytes") else found
