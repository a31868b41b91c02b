"""A placement as JSON for programs, and in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from planner.placement.place import Placed


def json_of(found: Placed) -> dict[str, Any]:
    """As ``place --json`` prints it; bytes are those of one iteration."""
    return {
        "version": 1,
        "hosts": list(found.hosts),
        "segments": _segments(found),
        "cross_segment_bytes": found.bytes_,
        "bound": found.bound,
        "gap": round(found.gap, 6),
        "status": found.status,
        "by_group": found.crossing,
        "stages_split": split(found),
        "spread": round(found.spread, 6),
        "lost_ports": found.lost,
    }


def _segments(found: Placed) -> dict[str, Any]:
    """Of each segment in use: hosts taken, hosts left, and hosts by pipeline stage."""
    size = found.shape.hosts
    left = found.left
    table = {}
    for number, segment in enumerate(found.supply.segments):
        by_stage = (found.row == number).sum(axis=1)
        if by_stage.any():
            stages = {str(stage): int(by_stage[stage]) * size for stage in np.flatnonzero(by_stage).tolist()}
            taken = {"hosts": int(by_stage.sum()) * size, "left": int(left[number]) * size}
            table[str(segment)] = {**taken, "stages": stages}
    return table


def split(found: Placed) -> int:
    """Pipeline stages that lie in more than one segment."""
    return sum(len(np.unique(stage)) > 1 for stage in found.row)


def words_of(found: Placed, *, explain: bool) -> str:
    """Lines for a person: what goes where and what crosses; with ``explain`` also why."""
    lines = [*_headline(found), *_table(found), *(_explained(found) if explain else ())]
    return "\n".join(lines)


def _headline(found: Placed) -> Iterator[str]:
    job = found.job
    used = len(np.unique(found.row))
    yield f"{job.name}: {job.host_count:,} hosts in {used} of {len(found.supply.segments)} segments with room."
    said = ", ".join(f"{group} {size(n)}" for group, n in found.crossing.items() if n) or "nothing"
    yield f"{size(found.bytes_)} an iteration cross segments ({said});"
    yield f"no placement crosses less than {size(found.bound)} ({found.status}, gap {found.gap:.1%})."
    yield f"{split(found)} of {found.shape.stages} stages are split."


def size(number: int) -> str:
    """Bytes for people: 1.5 GB."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB" if value < 1000 else f"{value:,.0f} TB"


def _table(found: Placed) -> Iterator[str]:
    for segment, row in _segments(found).items():
        stages = _runs(row["stages"])
        yield f"  segment {segment}: {row['hosts']} hosts ({row['left']} left): {stages}"


def _runs(stages: dict[str, int]) -> str:
    """``stages 0-3 of 80 hosts``: neighbours with equal counts together."""
    runs: list[list[int]] = []
    for stage, hosts in ((int(stage), hosts) for stage, hosts in stages.items()):
        if runs and runs[-1][1] == stage - 1 and runs[-1][2] == hosts:
            runs[-1][1] = stage
        else:
            runs.append([stage, stage, hosts])
    named = (f"stages {a}-{b}" if a < b else f"stage {a}" for a, b, _ in runs)
    return ", ".join(f"{name} ({hosts})" for name, (*_, hosts) in zip(named, runs, strict=True))


def _explained(found: Placed) -> Iterator[str]:
    shape, prices = found.shape, found.shape.prices
    yield "Why so: tensor parallelism stays in the scale-up domain and crosses nothing."
    if shape.units > 1 and prices.ring:
        yield f"Each cut of a stage's rings costs {size(prices.ring)}; a stage in two segments is cut twice."
    if prices.pipeline:
        whole = size(shape.units * prices.pipeline)
        yield f"A pipeline that changes segment between whole stages costs {whole} (all {shape.units} counterparts)."
    if shape.expert > 1:
        yield f"Expert groups are {shape.expert * shape.hosts} hosts; a split one exchanges its all-to-all across."
    if found.lost:
        yield f"Too few whole hosts are free: those taken have lost {found.lost} ports, the fewest there can be."
    if found.gap:
        yield "The gap is what the proof leaves open: a better placement may exist, at most that much better."
    yield f"Holes: two free hosts drawn of those left are in different segments with probability {found.spread:.2f}."
