"""Down-sampling in InfluxDB: the coarse rows are written first, then the fine ones deleted, a step at a time.

A coarse row stands in its step's last millisecond, so what is interrupted is done again with the same result. How far
it came is a small file; without it all is looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.store.retention import Retention, downsampled
from collectors.store.tidy import MILLISECOND_NS

if TYPE_CHECKING:
    from collectors.store.influx import InfluxServer
    from collectors.store.lines import LineStore

_OBJECTS = ("port", "device", "port_priority", "port_queue", "port_fec", "optic", "port_text")


def thin_out(store: LineStore, server: InfluxServer, retention: Retention, state: Path) -> Mapping[str, int]:
    """Down-sample what is older than the retention says and was not yet; rows gone and written."""
    before, step, done = retention.coarse_before_ns, retention.step_ns, {"downsampled": 0, "written": 0}
    oldest = server.first_ns()
    if before is None or step is None or oldest is None:
        return done
    start = max(oldest - oldest % step, _until(state, step))
    store.flush()
    columns = store.columns()
    while start < before:
        gone, written = _thin(store, server, columns, start, step)
        done["downsampled"] += gone
        done["written"] += written
        start += step
        state.write_text(json.dumps({"step_ns": step, "until_ns": start}), encoding="utf-8")
    return done


def _until(state: Path, step_ns: int) -> int:
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        return int(found["until_ns"]) if found["step_ns"] == step_ns else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _thin(store: LineStore, server: InfluxServer, columns: list[str], start: int, step: int) -> tuple[int, int]:
    rows = store.read(columns, start_ns=start, end_ns=start + step)
    if rows.is_empty():
        return 0, 0
    kept = downsampled(rows, step)
    store.write(kept)
    store.flush()
    for name in _OBJECTS:
        server.delete(start, start + step - MILLISECOND_NS, f"railwright_{name}")
    return rows.height, kept.height
