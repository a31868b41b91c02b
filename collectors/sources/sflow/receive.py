"""Many datagrams a system call (Linux' recvmmsg), with the kernel's time and sender of each, into one array.

The array and the headers are made once: that is all the memory there is. The kernel counts what it had no room for.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import time

import numpy as np

from collectors.sources.sflow.frames import MAPPED
from collectors.sources.sflow.jit import Bytes, Longs, Row, Rows, compiled
from collectors.sources.sflow.layout import HEAD, OK, OVERSIZED
from fabric.errors import InputError, Problem

SLOTS = 256
"""Datagrams a system call."""
ROOM = 9216 + 64
"""Bytes a datagram may have: a jumbo frame's. Agents send at most 1,400 unless told otherwise."""
NAME_BYTES, CONTROL_BYTES = 32, 64
SOL_SOCKET, SO_TIMESTAMPNS, SO_RXQ_OVFL, SO_RCVBUFFORCE = 1, 35, 40, 33
MSG_TRUNC, MSG_DONTWAIT = 0x20, 0x40
INET, INET6 = 2, 10

MESSAGE = np.dtype(
    [
        ("name", "u8"), ("name_bytes", "u4"), ("_1", "u4"), ("vector", "u8"), ("vectors", "u8"), ("control", "u8"),
        ("control_bytes", "u8"), ("flags", "i4"), ("_2", "u4"), ("length", "u4"), ("_3", "u4"),
    ]
)  # fmt: skip
"""struct mmsghdr of 64-bit Linux."""
VECTOR = np.dtype([("base", "u8"), ("length", "u8")])


def listen(address: str, port: int, buffer_bytes: int) -> socket.socket:
    """A bound UDP socket, not blocking; raises InputError where it cannot be. ``::`` takes IPv4 too."""
    try:
        family, _, _, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise InputError(Problem(f"sflow {address}", f"cannot listen: {error.strerror or error}")) from None
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        _buffer(made, buffer_bytes)
        for option in (SO_TIMESTAMPNS, SO_RXQ_OVFL):
            made.setsockopt(SOL_SOCKET, option, 1)
        made.bind(where)
    except OSError as error:
        made.close()
        raise InputError(Problem(f"sflow {address}:{port}", f"cannot listen: {error.strerror or error}")) from None
    return made


def _buffer(made: socket.socket, size: int) -> None:
    """Ask for room in the kernel: as much as it gives, more where we may override its limit."""
    made.setsockopt(SOL_SOCKET, socket.SO_RCVBUF, size)
    with contextlib.suppress(PermissionError):
        made.setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, size)


class Receiver:
    """The array that datagrams are received into, and ``heads``, one row of ``layout.HEAD`` a datagram."""

    def __init__(self, slots: int = SLOTS, room: int = ROOM) -> None:
        self.bytes = np.zeros(slots * room, np.uint8)
        self.heads = np.zeros(slots, HEAD)
        self.dropped = np.zeros(1, np.int64)
        """Datagrams that the kernel had no room for since the socket was made (the lowest 32 bits)."""
        self._starts = np.arange(slots, dtype=np.int64) * room
        self._names = np.zeros((slots, NAME_BYTES), np.uint8)
        self._controls = np.zeros((slots, CONTROL_BYTES), np.uint8)
        self._vectors = np.zeros(slots, VECTOR)
        self._messages = np.zeros(slots, MESSAGE)
        self._wire(room)
        self._call = ctypes.CDLL(None, use_errno=True).recvmmsg

    def _wire(self, room: int) -> None:
        self._vectors["base"] = self.bytes.ctypes.data + self._starts
        self._vectors["length"] = room
        steps = np.arange(len(self._messages), dtype=np.uint64)
        for field, array, size in (
            ("name", self._names, NAME_BYTES), ("control", self._controls, CONTROL_BYTES), ("vector", self._vectors, 16)
        ):  # fmt: skip
            self._messages[field] = array.ctypes.data + steps * np.uint64(size)
        self._messages["vectors"] = 1

    def fill(self, sock: socket.socket) -> Rows:
        """What is waiting, at most ``slots`` datagrams: their heads, none when nothing waits. Raises OSError."""
        self._messages["name_bytes"], self._messages["control_bytes"] = NAME_BYTES, CONTROL_BYTES
        count = self._call(
            sock.fileno(), ctypes.c_void_p(self._messages.ctypes.data), len(self._messages), MSG_DONTWAIT, None
        )
        if count < 0:
            code = ctypes.get_errno()
            # What an ICMP answer left on the socket is not ours: the next call goes on.
            if code in (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED):
                return self.heads[:0]
            raise OSError(code, os.strerror(code))
        return self._arrived(count)

    def _arrived(self, count: int) -> Rows:
        heads = self.heads[:count]
        arrivals(self._messages, self._names, self._controls, self._starts, time.time_ns(), heads, self.dropped)
        return heads

    def warm(self) -> None:
        """Compile what ``fill`` needs."""
        self._arrived(0)


@compiled
def arrivals(
    messages: Rows, names: Bytes, controls: Bytes, starts: Longs, now: int, heads: Rows, dropped: Longs
) -> None:
    """Where each datagram lies, its length, sender and time (``now`` where the kernel gave none) into ``heads``."""
    for index in range(len(heads)):
        message, head = messages[index], heads[index]
        head["start"], head["length"] = starts[index], message["length"]
        head["status"] = OVERSIZED if message["flags"] & MSG_TRUNC else OK
        head["received"] = now
        _sender(names[index], head)
        _control(controls[index], min(int(message["control_bytes"]), CONTROL_BYTES), head, dropped)


@compiled
def _sender(name: Bytes, head: Row) -> None:
    head["source_hi"], head["source_lo"] = 0, 0
    family = int(name[0]) | int(name[1]) << 8
    if family == INET:
        head["source_lo"] = MAPPED | _big(name, 4, 4)
    elif family == INET6:
        head["source_hi"], head["source_lo"] = _big(name, 8, 8), _big(name, 16, 8)


@compiled
def _control(control: Bytes, size: int, head: Row, dropped: Longs) -> None:
    at = 0
    while at + 16 <= size:
        length, kind = _little(control, at, 8), _little(control, at + 12, 4)
        if length < 16 or at + length > size:
            break
        if _little(control, at + 8, 4) == SOL_SOCKET:
            if kind == SO_TIMESTAMPNS and length >= 32:
                head["received"] = _little(control, at + 16, 8) * 1_000_000_000 + _little(control, at + 24, 8)
            elif kind == SO_RXQ_OVFL and length >= 20:
                dropped[0] = _little(control, at + 16, 4)
        at += (length + 7) & ~7


@compiled
def _big(data: Bytes, at: int, size: int) -> int:
    value = 0
    for index in range(size):
        value = value << 8 | int(data[at + index])
    return value


@compiled
def _little(data: Bytes, at: int, size: int) -> int:
    value = 0
    for index in range(size):
        value |= int(data[at + index]) << (8 * index)
    return value
