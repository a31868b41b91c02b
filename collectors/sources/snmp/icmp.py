"""What the network says of datagrams that did not arrive: Linux' queue of errors of an unconnected UDP socket."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR (ip(7), ipv6(7)); Python does not name them everywhere."""
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES)
_MOST = 256


def report_errors(opened: socket.socket) -> None:
    """Ask the kernel to queue ICMP errors with the address that was asked; elsewhere than on Linux nothing happens."""
    try:
        opened.setsockopt(*_RECVERR[opened.family], 1)
    except OSError:
        return


def queued_errors(opened: socket.socket) -> Iterator[tuple[tuple[str, int], bool]]:
    """Address and port that a datagram did not reach, and whether nobody listens there (else: there is no way)."""
    flag = getattr(socket, "MSG_ERRQUEUE", 0)
    for _ in range(_MOST if flag else 0):
        try:
            _, ancillary, _, address = opened.recvmsg(0, 512, flag)
        except OSError:
            return
        number = next((struct.unpack_from("I", data)[0] for _, _, data in ancillary if len(data) >= 16), 0)
        if number == errno.ECONNREFUSED or number in _UNREACHABLE:
            yield address[:2], number == errno.ECONNREFUSED
