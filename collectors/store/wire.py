"""Messages between the process that has a DuckDB file open and others that ask it: a JSON header, then tables.

On a Unix socket that only its owner may open. Nothing in a message is evaluated: a header names one of a few calls.
"""

from __future__ import annotations

import io
import json
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

MAGIC = b"RWS1"
MOST_HEADER = 32 << 20
MOST_TABLE = 4 << 30
_HEAD = struct.Struct("<4sI")

Message = tuple[dict[str, Any], dict[str, pl.DataFrame]]


class WireError(ConnectionError):
    """The other side does not speak as it should, or went away."""


def send(sock: socket.socket, header: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> None:
    """One message; raises OSError where the other side is gone."""
    bodies = {name: _packed(table) for name, table in tables.items()}
    text = json.dumps({**header, "tables": {name: len(body) for name, body in bodies.items()}}).encode()
    sock.sendall(_HEAD.pack(MAGIC, len(text)) + text)
    for body in bodies.values():
        sock.sendall(body)


def receive(sock: socket.socket) -> Message:
    """One message; raises WireError."""
    magic, length = _HEAD.unpack(_exactly(sock, _HEAD.size))
    if magic != MAGIC or length > MOST_HEADER:
        raise WireError("not a message of ours")
    header = json.loads(_exactly(sock, length))
    sizes = header.pop("tables", None) if isinstance(header, dict) else None
    if not isinstance(sizes, dict) or any(not isinstance(n, int) or not 0 <= n <= MOST_TABLE for n in sizes.values()):
        raise WireError("not a message of ours")
    return header, {name: pl.read_ipc_stream(io.BytesIO(_exactly(sock, size))) for name, size in sizes.items()}


def _packed(table: pl.DataFrame) -> memoryview:
    buffer = io.BytesIO()
    table.write_ipc_stream(buffer)
    return buffer.getbuffer()


def _exactly(sock: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        more = sock.recv_into(view[got:], min(size - got, 1 << 20))
        if not more:
            raise WireError("the other side closed")
        got += more
    return data


def address(folder_fd: int, name: str) -> str:
    """A socket's address that is short whatever the folder's path: Linux takes 107 bytes."""
    return f"/proc/self/fd/{folder_fd}/{name}"


def socket_name(path: Path) -> str:
    """Name of the socket beside a DuckDB file."""
    return f"{path.name}.sock"
