"""The sockets that requests leave by."""

from __future__ import annotations

import socket

from collectors.sources.snmp.icmp import report_errors

_BUFFER = 1 << 23
_ANSWER = 4096
"""Octets of the socket's buffer that an answer of 1,500 octets takes, kernel's bookkeeping included."""


def open_socket(family: int) -> socket.socket:
    """A UDP socket that does not block, with as much room for answers as the system gives."""
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    for option in (getattr(socket, "SO_RCVBUFFORCE", 33), socket.SO_RCVBUF):
        try:
            opened.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            break
        except PermissionError:
            continue  # only root may go beyond the system's bound
    report_errors(opened)
    opened.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104  answers come to where we asked from
    return opened


def answers(opened: socket.socket) -> int:
    """How many answers its buffer holds."""
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _ANSWER
