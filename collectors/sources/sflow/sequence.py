"""What is missing, doubled or late in each agent's numbered datagrams.

A stream is one sub-agent of a device. The last 64 numbers are kept as bits (the window of RFC 4303, 3.4.3), so that a
datagram that came twice is dropped and one that came late is not counted as lost for ever. An agent that starts again
counts from a low number with a low uptime: a new beginning, nothing lost.
"""

from __future__ import annotations

import numpy as np

from collectors.sources.sflow.jit import Ints, Longs, Row, Rows, Words, compiled
from collectors.sources.sflow.layout import DUPLICATE, OK
from collectors.sources.sflow.lookup import seek

STREAM = np.dtype([("last", "u4"), ("uptime", "u4"), ("seen", "u8")])
LOST, LATE, DOUBLED, RESTARTED, UNTRACKED = range(5)
"""Places in a device's tally."""
TALLY = 5
WINDOW = 64
SLACK_MS = 1000
"""An uptime this much lower than before is a restart; less is a datagram that was overtaken."""
MOST_LOST = 1 << 20
"""A jump further ahead than this is a new beginning, not a loss."""


@compiled
def follow(heads: Rows, keys: Words, values: Ints, streams: Rows, used: Longs, tally: Longs) -> None:
    """Count gaps of datagrams with a target into ``tally[target]``; marks those that came twice ``DUPLICATE``.

    ``used[0]`` streams are known; a stream for which there is no room is counted and not followed.
    """
    for index in range(len(heads)):
        head = heads[index]
        if head["status"] != OK:
            continue
        target = int(head["target"])
        slot = seek(keys, values, target, head["sub_agent"])
        if values[slot] < 0:
            if used[0] == len(streams):
                tally[target, UNTRACKED] += 1
                continue
            keys[slot, 0], keys[slot, 1], values[slot] = target, head["sub_agent"], used[0]
            _begin(streams[used[0]], head)
            used[0] += 1
        elif not _step(streams[values[slot]], head, tally[target]):
            head["status"] = DUPLICATE
            tally[target, DOUBLED] += 1


@compiled
def _begin(stream: Row, head: Row) -> None:
    stream["last"], stream["uptime"], stream["seen"] = head["sequence"], head["uptime"], 1


@compiled
def _step(stream: Row, head: Row, tally: Longs) -> bool:
    """Follow one datagram; False if it is one that came before."""
    ahead = (int(head["sequence"]) - int(stream["last"])) & 0xFFFFFFFF
    behind = (int(stream["last"]) - int(head["sequence"])) & 0xFFFFFFFF
    if 0 < ahead <= MOST_LOST:
        tally[LOST] += ahead - 1
        seen = np.uint64(stream["seen"])
        stream["seen"] = (seen << np.uint64(ahead) if ahead < WINDOW else np.uint64(0)) | np.uint64(1)
        stream["last"], stream["uptime"] = head["sequence"], head["uptime"]
        return True
    if behind >= WINDOW or int(head["uptime"]) + SLACK_MS < int(stream["uptime"]):
        tally[RESTARTED] += 1
        _begin(stream, head)
        return True
    bit = np.uint64(1) << np.uint64(behind)
    if np.uint64(stream["seen"]) & bit:
        return False
    stream["seen"] = np.uint64(stream["seen"]) | bit
    tally[LATE] += 1
    return True
