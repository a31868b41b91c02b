"""Agents, and requests on their way to them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from collectors.sources import Outcome
from collectors.sources.snmp import ber
from collectors.sources.snmp.decode import Octets
from collectors.sources.snmp.security import Security

_FIELDS = struct.Struct(">BBIBBBBBB")
_SHORTEST = 1 << 23
"""A whole number from here up to 31 bits takes four octets."""

Answer = Callable[[Octets, list[int]], bool]
"""Takes an answer and its head (``decode.message``); False: it is malformed inside, ask again."""
Failure = Callable[[Outcome, str], None]


class Agent:
    """One agent: its address, how messages to it are wrapped, and what has gone wrong with it since a poll began."""

    __slots__ = ("address", "family", "refused", "security", "wrong")

    def __init__(self, address: str, port: int, security: Security) -> None:
        found = ip_address(address)
        self.family = socket.AF_INET if found.version == 4 else socket.AF_INET6
        self.address = (str(found), port)
        self.security = security
        self.wrong = 0
        """Answers since the poll began that were malformed."""
        self.refused = ""
        """Why an answer since the poll began was not believed."""


@dataclass(slots=True, eq=False)
class Request:
    """A PDU on its way to an agent, and who takes its answer or its failure; one of the two is called, once."""

    agent: Agent
    tag: int
    answer: Answer
    failure: Failure
    patience: float
    """Seconds to wait for an answer before asking again."""
    binds: bytes = b""
    repetitions: int = 0
    tries: int = 1
    """How often it may still be sent."""
    discovery: bool = False
    number: int = 0
    message: bytes = b""
    due: float = 0.0
    resynced: bool = False

    def pdu(self) -> bytes:
        """Its PDU: number, no error or non-repeaters, repetitions, varbinds."""
        if self.repetitions < 0x80 and self.number >= _SHORTEST:
            body = _FIELDS.pack(2, 4, self.number, 2, 1, 0, 2, 1, self.repetitions)
        else:
            body = ber.integer(self.number) + ber.integer(0) + ber.integer(self.repetitions)
        return ber.tlv(self.tag, body + ber.tlv(ber.SEQUENCE, self.binds))


def numbers() -> Iterator[int]:
    """Numbers of four octets, 30 bits of them beyond guessing: an answer that bears one has seen the request."""
    while True:
        for number in struct.unpack("256I", os.urandom(1024)):
            yield number & 0x7F7FFFFF | _SHORTEST
