"""Rows of flow samples to the headers of the frames that they were taken of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from collectors.sources.sflow.jit import Bytes, Longs, Rows, compiled
from collectors.sources.sflow.untables import flow_rows
from collectors.sources.sflow.write import put_frame

if TYPE_CHECKING:
    from collectors.sources.sflow.encode import Speaker

MOST_BYTES = 128
"""Of a header: Ethernet, a tag, IPv6, UDP and the base transport header are fewer."""


def headers(flows: pl.DataFrame, speakers: Sequence[Speaker]) -> list[bytes]:
    """The header of each row's frame: Ethernet, tag, IP, UDP, RoCEv2's base transport header, as far as it goes."""
    rows = flow_rows(flows, speakers)
    out = np.zeros(len(rows) * MOST_BYTES, np.uint8)
    ends = np.zeros(len(rows) + 1, np.int64)
    _write(rows, out, ends)
    return [out[a:b].tobytes() for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


@compiled
def _write(rows: Rows, out: Bytes, ends: Longs) -> None:
    at = 0
    for place in range(len(rows)):
        at = put_frame(out, at, rows[place])
        ends[place + 1] = at
