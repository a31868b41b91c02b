"""The messages of gNMI that a subscriber needs, on the protobuf runtime.

Built from the table below rather than from generated code: that ties every user to one range of protobuf runtimes, and
fills the process's one pool of descriptors, where other gNMI programs' ``gnmi.proto`` cannot stand beside it. Tests
hold the table equal to the official descriptors. Numbers and types: gnmi.proto 0.10 (openconfig/gnmi, Apache-2.0), with
``alias`` as devices of gNMI 0.7 send it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

_ANY = "Any: type_url=1 string, value=2 bytes"
_EXTENSION = """
Extension: registered_ext=1 RegisteredExtension/ext, master_arbitration=2 MasterArbitration/ext, history=3 History/ext
RegisteredExtension: id=1 int32, msg=2 bytes
MasterArbitration: role=1 Role, election_id=2 Uint128
Uint128: high=1 uint64, low=2 uint64
Role: id=1 string
History: snapshot_time=1 int64/request, range=2 TimeRange/request
TimeRange: start=1 int64, end=2 int64
"""
_GNMI = """
Path: element=1 string*, origin=2 string, elem=3 PathElem*, target=4 string
PathElem: name=1 string, key=2 map
Decimal64: digits=1 int64, precision=2 uint32
ScalarArray: element=1 TypedValue*
TypedValue: string_val=1 string/value, int_val=2 int64/value, uint_val=3 uint64/value, bool_val=4 bool/value, \
bytes_val=5 bytes/value, float_val=6 float/value, double_val=14 double/value, decimal_val=7 Decimal64/value, \
leaflist_val=8 ScalarArray/value, any_val=9 google.protobuf.Any/value, json_val=10 bytes/value, \
json_ietf_val=11 bytes/value, ascii_val=12 string/value, proto_bytes=13 bytes/value
Value: value=1 bytes, type=2 int32
Update: path=1 Path, value=2 Value, val=3 TypedValue, duplicates=4 uint32
Notification: timestamp=1 int64, prefix=2 Path, alias=3 string, update=4 Update*, delete=5 Path*, atomic=6 bool
Error: code=1 uint32, message=2 string, data=3 google.protobuf.Any
SubscribeResponse: update=1 Notification/response, sync_response=3 bool/response, error=4 Error/response, \
extension=5 gnmi_ext.Extension*
Subscription: path=1 Path, mode=2 int32, sample_interval=3 uint64, suppress_redundant=4 bool, \
heartbeat_interval=5 uint64
SubscriptionList: prefix=1 Path, subscription=2 Subscription*, mode=5 int32, encoding=8 int32, updates_only=9 bool
SubscribeRequest: subscribe=1 SubscriptionList/request, extension=5 gnmi_ext.Extension*
"""
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES, "bool": _Field.TYPE_BOOL, "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64, "uint32": _Field.TYPE_UINT32, "uint64": _Field.TYPE_UINT64,
    "float": _Field.TYPE_FLOAT, "double": _Field.TYPE_DOUBLE,
}  # fmt: skip


def _file(package: str, table: str, imports: tuple[str, ...] = ()) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.extend(imports)
    for line in table.strip().splitlines():
        name, _, fields = line.partition(": ")
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            _add(message, package, text)
    return file


def _add(message: descriptor_pb2.DescriptorProto, package: str, text: str) -> None:
    head, kind = text.split(" ")
    name, number = head.split("=")
    kind, _, oneof = kind.partition("/")
    repeated = kind == "map" or kind.endswith("*")
    field = message.field.add(name=name, number=int(number))
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    kind = _entry(message, name) if kind == "map" else kind.rstrip("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{kind}" if "." in kind else f".{package}.{kind}"
    if oneof:
        if not message.oneof_decl:
            message.oneof_decl.add(name=oneof)
        field.oneof_index = 0


def _entry(message: descriptor_pb2.DescriptorProto, name: str) -> str:
    """A map of strings is, on the wire, a repeated message of key and value."""
    entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, part in enumerate(("key", "value"), 1):
        entry.field.add(name=part, number=number, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    return f"gnmi.{message.name}.{entry.name}"


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file("google.protobuf", _ANY))
_POOL.Add(_file("gnmi_ext", _EXTENSION))
_POOL.Add(_file("gnmi", _GNMI, ("google.protobuf.proto", "gnmi_ext.proto")))


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"gnmi.{name}"))


Path = _message("Path")
PathElem = _message("PathElem")
Subscription = _message("Subscription")
SubscriptionList = _message("SubscriptionList")
SubscribeRequest = _message("SubscribeRequest")
SubscribeResponse = _message("SubscribeResponse")

ENCODINGS = {"json": 0, "bytes": 1, "proto": 2, "ascii": 3, "json_ietf": 4}
TARGET_DEFINED, ON_CHANGE, SAMPLE = 0, 1, 2
