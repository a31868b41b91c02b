"""What ``simulate`` prints: the JSON that programs read, and words for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from planner.simulate.job import JobsResult, StepResult
    from planner.simulate.load import Loads
    from planner.simulate.offered import OfferedResult
    from planner.simulate.paths import Routing

VERSION = 1
HOTTEST = 5
"""Links that are named."""


def jobs_json(result: JobsResult) -> dict[str, Any]:
    """One iteration of jobs; seconds that never end are null."""
    steps = [
        {
            "job": step.job, "collective": step.step.collective, "group": step.step.group,
            "seconds": finite(step.seconds), "bus_gbps": round(step.bus_gbps, 3),
            "bound_seconds": finite(step.bound_seconds),
            "links": {"max_load": round(step.loads.max, 6), "p99_load": round(step.loads.p99, 6)},
        }
        for step in result.steps
    ]  # fmt: skip
    return {
        "version": VERSION, "seconds": finite(result.seconds), "steps": steps, "links": _links(result.loads),
        "bound_seconds": finite(result.bound_seconds), "flows": result.flows, "stuck": result.stuck,
    }  # fmt: skip


def flows_json(result: OfferedResult) -> dict[str, Any]:
    """Flows with rates: no steps, no seconds."""
    return {
        "version": VERSION, "seconds": None, "steps": [], "links": _links(result.loads), "bound_seconds": None,
        "flows": len(result.rates), "stuck": result.unrouted,
        "share": {"least": round(result.least_share, 6), "total": round(result.total_share, 6)},
    }  # fmt: skip


def finite(seconds: float) -> float | None:
    """Seconds in nine digits, or None where it never ends."""
    return float(f"{seconds:.9g}") if math.isfinite(seconds) else None


def _links(loads: Loads) -> dict[str, float]:
    return {"max_load": round(loads.max, 6), "p99_load": round(loads.p99, 6)}


def jobs_text(result: JobsResult) -> Iterator[str]:
    """A line a step, then the whole."""
    for step in result.steps:
        yield (
            f"{step.job}: {step.step.collective} in {step.step.group} groups: {_time(step.seconds)}, "
            f"{step.bus_gbps:,.0f} Gb/s bus bandwidth a GPU; no routes could take less than {_time(step.bound_seconds)}"
        )
    yield f"iteration: {_time(result.seconds)} (at least {_time(result.bound_seconds)}), {result.flows:,} flows"
    yield f"busiest link between switches: load {result.loads.max:.2f}, 99 % of them at most {result.loads.p99:.2f}"
    if result.stuck:
        yield f"{result.stuck:,} flows have no way or stand still: what waits for them never ends"


def flows_text(result: OfferedResult) -> Iterator[str]:
    """What was asked and what comes."""
    yield (
        f"{len(result.rates):,} queue pairs ask for {result.asked.sum():,.0f} Gb/s and get {result.rates.sum():,.0f} "
        f"({100 * result.total_share:.1f} %); the worst gets {100 * result.least_share:.1f} % of its own"
    )
    yield f"busiest link between switches: load {result.loads.max:.2f}, 99 % of them at most {result.loads.p99:.2f}"
    if result.unrouted:
        yield f"{result.unrouted:,} queue pairs have no way"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "without end"
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1 else f"{seconds:,.3g} s"


def explained(now: Routing, loads: Loads, steps: tuple[StepResult, ...] = (), method: str = "ecmp") -> Iterator[str]:
    """Why it takes as long as it does, in words."""
    for step in steps:
        yield _why(step, method)
    if len(loads.channel):
        yield "The hottest links:"
        order = np.argsort(-loads.load, kind="stable")[:HOTTEST]
        for channel, load in zip(loads.channel[order], loads.load[order], strict=True):
            yield f"  {channel_name(now, int(channel))}: load {load:.2f}"


def loads_table(now: Routing, loads: Loads) -> pl.DataFrame:
    """``from_device,from_port,to_device,to_port,speed_gbps,load`` of the links between switches, hottest first."""
    order = np.argsort(-loads.load, kind="stable")
    link, reverse = loads.channel[order] // 2, loads.channel[order] % 2 == 1
    fabric = now.wires.plan.fabric
    names, ports, rows = fabric.device_names(), fabric.ports["name"], fabric.links[link]
    ends = [(names.gather(rows[f"{side}_device"]), ports.gather(rows[f"{side}_port"])) for side in "ab"]
    columns = {"load": loads.load[order], "speed_gbps": rows["speed_gbps"], "back": reverse}
    for side, (device, port) in zip("ab", ends, strict=True):
        columns |= {f"{side}_device": device, f"{side}_port": port}
    table = pl.DataFrame(columns)
    chosen = {
        f"{way}_{what}": pl.when("back").then(f"{last}_{what}").otherwise(f"{first}_{what}")
        for way, first, last in (("from", "a", "b"), ("to", "b", "a"))
        for what in ("device", "port")
    }
    return table.select(**chosen, speed_gbps="speed_gbps", load="load")


def _why(step: StepResult, method: str) -> str:
    what = f"{step.job}, {step.step.collective} in {step.step.group}:"
    if not math.isfinite(step.seconds):
        return f"{what} some flows have no live path, and the others wait for them."
    if step.seconds <= 0:
        return f"{what} its groups have one rank; nothing is sent."
    slower = step.seconds / step.bound_seconds if step.bound_seconds > 0 else 1.0
    if slower < 1.01:
        return f"{what} host ports or scale-up links are the limit; other routes would not be faster."
    if step.loads.max > 1.01:
        cause = "hashes put several flows on one link" if method == "ecmp" else "these routes share links"
        return (
            f"{what} takes {slower:.2f} times the least possible, because {cause}: the busiest link between "
            f"switches carries {step.loads.max:.2f} times what a host port can send."
        )
    return f"{what} takes {slower:.2f} times the least possible: flows of one host port, or of other jobs, take turns."


def channel_name(now: Routing, channel: int) -> str:
    """A link and its direction by the names of both ends."""
    plan = now.wires.plan
    link = plan.fabric.links.row(channel // 2, named=True)
    sides = "ab" if channel % 2 == 0 else "ba"
    names, ports = plan.fabric.device_names(), plan.fabric.ports["name"]
    ends = [f"{names[link[f'{side}_device']]} {ports[link[f'{side}_port']]}" for side in sides]
    return " → ".join(ends)
