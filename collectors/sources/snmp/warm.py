"""Compiles what is compiled (or reads it from the cache) before the first poll, so that no poll waits for it."""

from __future__ import annotations

from functools import cache

import numpy as np

from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.ports import Ports
from collectors.sources.snmp.rows import cells_of, frame
from collectors.sources.snmp.tables import tables


@cache
def warm() -> None:
    """Send one made-up answer through everything; the first time on a machine takes seconds."""
    found = tables()
    oid = found.prefixes[0]
    binds = ber.tlv(ber.SEQUENCE, ber.tlv(ber.SEQUENCE, ber.tlv(ber.OID, oid + b"\1") + ber.integer(1)))
    pdu = ber.tlv(ber.RESPONSE, ber.integer(1) + ber.integer(0) * 2 + binds)
    buf = np.frombuffer(bytearray(ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.tlv(ber.OCTETS, b"") + pdu)), np.uint8)
    head = np.zeros(decode.HEAD, np.int64)
    harvest = Harvest()
    harvest.room(1, len(buf))
    decode.message(buf, 0, len(buf), head)
    decode.scoped(buf, 0, 0, np.zeros(decode.HEAD, np.int64))
    ask = np.zeros((1, 4), np.int64)
    cursors = np.frombuffer(bytearray(bytes((len(oid),)) + oid.ljust(decode.CURSOR - 1, b"\0")), np.uint8)
    start, stop = int(head[decode.BINDS]), int(head[decode.DATA_END])
    decode.absorb(
        buf, start, stop, ask, cursors, found.packed, harvest.records, harvest.heap, harvest.state, harvest.found
    )
    decode.binds(ask, cursors, np.zeros(1024, np.uint8))
    one, none = np.array([1], np.int64), np.array([], np.int64)
    ports = Ports(["p"], one, np.array([0], np.int64), none, none)
    cells, _ = cells_of(harvest, found, ports)
    frame(harvest, found, ports, cells, None, 0, 0)
