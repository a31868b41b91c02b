"""gNMI messages as devices send them, and as nobody should (Hypothesis strategies)."""

from __future__ import annotations

import json
from typing import Any

from gnmi_oracle import STATUS
from hypothesis import strategies as st
from pygnmi.spec.v080 import gnmi_ext_pb2, gnmi_pb2  # type: ignore[import-untyped]

Path, Elem = gnmi_pb2.Path, gnmi_pb2.PathElem
NAMES = st.sampled_from(["Ethernet0", "Ethernet1", "Ethernet2", "Ethernet9"])
LEAVES = st.sampled_from(
    [
        ("interfaces", "interface", "name", ["state", "counters", "in-octets"]),
        ("interfaces", "interface", "name", ["state", "counters", "out-discards"]),
        ("interfaces", "interface", "name", ["state", "mtu"]),
        ("interfaces", "interface", "name", ["state", "oper-status"]),
        ("interfaces", "interface", "name", ["state", "description"]),
        (
            "qos/interfaces",
            "interface",
            "interface-id",
            ["output", "queues", "queue[name=3]", "state", "max-queue-len"],
        ),
        ("qos/interfaces", "interface", "interface-id", ["output", "queues", "queue[name=3]", "state", "dropped-pkts"]),
        ("lldp/interfaces", "interface", "name", ["neighbors", "neighbor[id=1]", "state", "system-name"]),
    ]
)
WHOLE = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 127, 128, 2**53, 2**63, 2**64 - 1]))
SIGNED = st.integers(-(2**63), 2**63 - 1)
WORDS = st.one_of(st.text(max_size=20), WHOLE.map(str), st.sampled_from([*STATUS, "00", "1.5", "-3", "1e3", "nan"]))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


JSON = st.one_of(
    st.one_of(WHOLE, SIGNED, WHOLE.map(str), WORDS, st.none(), st.booleans(), st.integers(-(10**30), 10**30)).map(
        _json
    ),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(_json),
    st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 9999)).map(lambda pair: f"{pair[0]}.{pair[1]:04}".encode()),
    st.sampled_from([b"", b'"', b'""', b"{}", b"[7]", b"[" * 2000, b"1" * 5000, b"007", b"-0", b" 8 ", b'"9\\u0030"']),
    st.binary(max_size=12),
)


@st.composite
def typed(draw: st.DrawFn, depth: int = 0) -> Any:
    """A TypedValue of any kind."""
    kind = draw(st.sampled_from(["uint", "uint", "int", "json", "json_ietf", "string", "ascii", "float", "double",
                                 "decimal", "bool", "bytes", "leaflist", "none"]))  # fmt: skip
    if kind == "decimal":
        value = gnmi_pb2.Decimal64(digits=draw(SIGNED), precision=draw(st.integers(0, 25)))
        return gnmi_pb2.TypedValue(decimal_val=value)
    if kind == "leaflist" and depth < 2:
        listed = draw(st.lists(typed(depth + 1), max_size=2))
        return gnmi_pb2.TypedValue(leaflist_val=gnmi_pb2.ScalarArray(element=listed))
    values = {"uint": WHOLE, "int": SIGNED, "json": JSON, "json_ietf": JSON, "string": WORDS, "ascii": WORDS,
              "float": st.floats(width=32), "double": st.floats(), "bool": st.booleans(),
              "bytes": st.binary(max_size=8)}  # fmt: skip
    return gnmi_pb2.TypedValue(**{f"{kind}_val": draw(values[kind])}) if kind in values else gnmi_pb2.TypedValue()


def elements(texts: list[str]) -> list[Any]:
    """Elements of the form ``name`` or ``name[key=value]``."""
    found = []
    for text in texts:
        name, _, rest = text.partition("[")
        key, _, value = rest.rstrip("]").partition("=")
        found.append(Elem(name=name, key={key: value} if rest else {}))
    return found


@st.composite
def split(draw: st.DrawFn) -> tuple[Any, Any]:
    """A leaf's path in two parts, prefix and path, in either form and with an origin or a target, maybe."""
    top, name, key, rest = draw(LEAVES)
    whole = [*top.split("/"), f"{name}[{key}={draw(NAMES)}]", *rest]
    at = draw(st.integers(0, len(whole)))
    form = draw(st.sampled_from(["elem", "elem", "elem", "element"]))
    if form == "elem":
        prefix, path = Path(elem=elements(whole[:at])), Path(elem=elements(whole[at:]))
    else:
        prefix, path = Path(element=whole[:at]), Path(element=whole[at:])
    prefix.origin = draw(st.sampled_from(["", "", "openconfig", "cli"]))
    prefix.target = draw(st.sampled_from(["", "leaf-1", "ä"]))
    return prefix, path


@st.composite
def message(draw: st.DrawFn) -> bytes:
    """One SubscribeResponse: updates of one prefix, now and then with what is out of the ordinary."""
    prefix, first = draw(split())
    note = gnmi_pb2.Notification(prefix=prefix, timestamp=draw(st.sampled_from([0, -5, 10, 20, 2**62])))
    for path in [first, *draw(st.lists(split().map(lambda pair: pair[1]), max_size=3))]:
        note.update.add(path=path, val=draw(typed()), duplicates=draw(st.integers(0, 3)))
    response = gnmi_pb2.SubscribeResponse(update=note)
    if draw(st.integers(0, 9)) == 0:
        note = response.update
        odd = draw(st.sampled_from(["extension", "value", "sync", "error"]))
        if odd == "extension":
            known = gnmi_ext_pb2.RegisteredExtension(id=999, msg=b"x")
            response.extension.append(gnmi_ext_pb2.Extension(registered_ext=known))
        elif odd == "value":
            note.update.add(path=first, value=gnmi_pb2.Value(value=draw(JSON), type=draw(st.integers(0, 4))))
        elif odd == "sync":
            response = gnmi_pb2.SubscribeResponse(sync_response=True)
        else:
            response = gnmi_pb2.SubscribeResponse(error=gnmi_pb2.Error(code=3, message="no"))
    found: bytes = response.SerializeToString()
    return found


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A message with some bytes changed, cut, doubled or inserted."""
    raw = bytearray(draw(message()))
    for _ in range(draw(st.integers(1, 4))):
        if not raw:
            break
        at, end = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
        what = draw(st.sampled_from(["flip", "flip", "cut", "insert", "double", "truncate"]))
        if what == "flip" and at < len(raw):
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del raw[at : min(end, at + 4)]
        elif what == "insert":
            raw[at:at] = draw(st.binary(max_size=4))
        elif what == "double":
            raw[at:at] = raw[at:end]
        elif what == "truncate":
            del raw[end:]
    return bytes(raw)


def varint(value: int, padding: int = 0) -> bytes:
    """A varint, longer than it need be by ``padding``."""
    groups: list[int] = []
    while value > 0x7F or (padding and len(groups) < 9):
        padding -= value <= 0x7F
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def delimited(number: int, payload: bytes, padding: int = 0) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload), padding) + payload


ODD_FIELDS = st.one_of(
    st.tuples(st.integers(1, 40), st.binary(max_size=4)).map(lambda pair: delimited(*pair)),
    st.tuples(st.integers(1, 40), WHOLE).map(lambda pair: varint(pair[0] << 3) + varint(pair[1])),
    st.integers(1, 40).map(lambda number: varint(number << 3 | 5) + b"abcd"),
    st.integers(1, 40).map(lambda number: varint(number << 3 | 1) + b"abcdefgh"),
    st.integers(1, 40).map(lambda number: varint(number << 3 | 3) + b"\x08\x01" + varint(number << 3 | 4)),
    st.sampled_from([b"\x00\x01", b"\x0c", b"\x8a\x00\x00", b"\xff\xff\xff\xff\x0f\x01"]),
)
"""Fields that the message has not, or has of another kind; groups; and what is no field."""


@st.composite
def _mixed(draw: st.DrawFn, usual: list[bytes]) -> bytes:
    """Fields in any order, some left out or twice, now and then with one that does not belong."""
    fields = [field for field in usual if draw(st.integers(0, 7))]
    if draw(st.integers(0, 7)) == 0:
        fields.append(draw(ODD_FIELDS))
    if fields and draw(st.integers(0, 5)) == 0:
        fields.append(draw(st.sampled_from(fields)))
    return b"".join(draw(st.permutations(fields)) if draw(st.booleans()) else fields)


@st.composite
def wild(draw: st.DrawFn) -> bytes:
    """A message that is whole on the wire, but not as any library would write it."""
    prefix, first = draw(split())
    updates = []
    for _ in range(draw(st.integers(1, 3))):
        value = draw(_mixed([draw(typed()).SerializeToString() for _ in range(draw(st.sampled_from([1, 1, 1, 2])))]))
        told = [delimited(1, first.SerializeToString(), draw(st.sampled_from([0, 0, 1]))), delimited(3, value)]
        told.append(b"\x20" + varint(draw(st.integers(0, 2**40)), draw(st.sampled_from([0, 0, 0, 3]))))
        updates.append(delimited(4, draw(_mixed(told))))
    time = b"\x08" + varint(draw(st.sampled_from([10, 20, 2**64 - 5])), draw(st.sampled_from([0, 0, 2])))
    note = draw(_mixed([time, delimited(2, prefix.SerializeToString()), *updates]))
    return draw(_mixed([delimited(1, note, draw(st.sampled_from([0, 0, 0, 1])))]))
