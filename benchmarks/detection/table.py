"""The tallies as text: a Markdown table, what runs cost, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from statistics import median

from benchmarks.detection.score import Tally, wilson

Found = Mapping[tuple[str, str], Tally]
"""Tallies by relation and name."""


def table(found: Found) -> Iterator[str]:
    """A Markdown table: a row a single fault, pairs and healthy runs pooled, and the sum of all."""
    yield "| fault | runs | recall | precision | cause | seconds | false |"
    yield "|---|---|---|---|---|---|---|"
    for (relation, name), tally in found.items():
        if relation == "single":
            yield _row(name, tally)
    for relation in ("separate", "overlapping"):
        yield from (_row(f"pairs, {relation}", sums) for sums in [pooled(found, relation)] if sums.runs)
    yield _row("**all faults**", pooled(found, "single", "separate", "overlapping"))
    healthy = pooled(found, "healthy")
    if healthy.runs:
        yield f"| healthy | {healthy.runs:,} | | | | | {_healthy(healthy)} |"


def _healthy(tally: Tally) -> str:
    days = tally.seconds / 86_400
    return f"{tally.false} in {days:.2f} fabric-days ({tally.false_a_day:.2f} a day)" + _wrong(tally, ": ")


def pooled(found: Found, *relations: str) -> Tally:
    """The sum of the tallies of some relations."""
    sums = Tally()
    for (relation, _), tally in found.items():
        if relation in relations:
            sums += tally
    return sums


def _row(name: str, tally: Tally) -> str:
    took = f"{median(tally.delays):.0f}" if tally.delays else ""
    shares = (tally.hits, tally.faults), (tally.hits, tally.hits + tally.false), (tally.causes, tally.hits)
    cells = " | ".join(share(*each) for each in shares)
    return f"| {name} | {tally.runs:,} | {cells} | {took} | {tally.false or ''}{_wrong(tally, ': ')} |"


def _wrong(tally: Tally, before: str) -> str:
    """The most frequent of the false findings."""
    most = sorted(tally.wrong.items(), key=lambda item: (-item[1], item[0]))[:3]
    return before + ", ".join(f"{what} {count}" for what, count in most) if most else ""


def share(hits: int, trials: int) -> str:
    """A share with Wilson's 95 % interval."""
    low, high = wilson(hits, trials)
    return f"{hits / trials:.3f} ({low:.3f}–{high:.3f})" if trials else ""


def costs(found: Found) -> Iterator[str]:
    """CPU seconds a run by fault, the dearest first; pairs and healthy runs pooled."""
    rows = {name: tally for (relation, name), tally in found.items() if relation == "single"}
    rows |= {f"{relation} runs": pooled(found, relation) for relation in ("separate", "overlapping", "healthy")}
    mean = {name: tally.cpu / tally.runs for name, tally in rows.items() if tally.runs}
    yield "CPU seconds a run: " + ", ".join(
        f"{name} {cpu:.2f}" for name, cpu in sorted(mean.items(), key=lambda item: -item[1])
    )


def as_json(found: Mapping[str, Found]) -> str:
    """All tallies, by scale, relation and name."""
    rows = [
        {"scale": scale, "relation": relation, "name": name, **vars(tally)}
        for scale, of_scale in found.items()
        for (relation, name), tally in of_scale.items()
    ]
    return json.dumps({"version": 1, "rows": rows}, indent=1) + "\n"
