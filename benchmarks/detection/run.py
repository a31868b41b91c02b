"""The scored suite: faults with a known truth, simulated, through all detectors.

    python benchmarks/detection/run.py --scale small|1024|15360 [--runs 200] [--pairs 30] [--healthy 200]
                                       [--fault KIND]… [--jobs 2] [--each] [--json FILE]

Every run simulates telemetry interval by interval and feeds the columns to the detectors as a collector would; nothing
is written. The table has a row a fault: how many were found in time, how many findings were false, how often the cause
was right, and how long it took. Wilson's 95 % intervals stand beside the pooled figures.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.detection.cases import Case, Made, cases, made
from benchmarks.detection.plans import SCALES
from benchmarks.detection.score import Tally, Told, score, wilson
from collectors.detectors.run import watch
from planner.simulate.faults import KINDS
from planner.simulate.telemetry import intervals

RUNS = {"small": (4, 1, 10), "1024": (200, 30, 200), "15360": (10, 2, 4)}
"""Runs of each single fault and of each pair, and healthy ones, by scale."""


def told(run: Made) -> Iterator[Told]:
    """All that the detectors say of a run."""
    scenario = run.scenario
    start_ns, step = scenario.settings.start_ns, round(scenario.settings.interval * 1e9)
    watching = watch(scenario.plan, maintenance=run.maintenance)
    for made_of in intervals(scenario):
        end_ns = start_ns + (made_of.number + 1) * step
        watching.intervals.feed(made_of.counters, made_of.flows, made_of.outcomes)
        yield from (Told(finding, end_ns) for finding in watching.step(end_ns))


def one(case: Case) -> tuple[Case, Tally, list[str]]:
    """A case's tally, and what was said of it."""
    run = made(case)
    said = list(told(run))
    tally = score(run.scenario.plan, run.truths, said, run.scenario.settings.seconds)
    lines = [
        f"  truth {truth.code}/{truth.cause} {dict(truth.subject)} at {truth.onset_ns / 1e9:.1f}"
        for truth in run.truths
    ]
    return case, tally, lines + [f"  {t.at_ns / 1e9:.0f} {t.finding.state} {t.finding.to_json()}" for t in said]


def scored(todo: Sequence[Case], processes: int, *, each: bool) -> dict[tuple[str, str], Tally]:
    """Tallies by relation and name; ``each``: print what was said in every run that is not perfect."""
    found: dict[tuple[str, str], Tally] = {}
    with get_context("spawn").Pool(processes) as pool:
        for case, tally, lines in pool.imap(one, todo, chunksize=4):
            sums = found.setdefault((case.relation, case.name), Tally())
            sums += tally
            if each and (tally.false or tally.hits < tally.faults):
                print(f"{case}: {tally.hits}/{tally.faults}, {tally.false} false", *lines, sep="\n", flush=True)
    return found


def table(found: Mapping[tuple[str, str], Tally]) -> Iterator[str]:
    """A Markdown table: a row a single fault, pairs and healthy runs pooled, and the sum of all."""
    yield "| fault | runs | recall | precision | cause | seconds | false |"
    yield "|---|---|---|---|---|---|---|"
    for (relation, name), tally in found.items():
        if relation == "single":
            yield _row(name, tally)
    for relation in ("separate", "overlapping"):
        yield from (_row(f"pairs, {relation}", sums) for sums in [pooled(found, relation)] if sums.runs)
    yield _row("all faults", pooled(found, "single", "separate", "overlapping"))
    healthy = pooled(found, "healthy")
    if healthy.runs:
        yield f"| healthy | {healthy.runs} | | | | | {healthy.false} ({healthy.false_a_day:.2f} a fabric-day) |"


def pooled(found: Mapping[tuple[str, str], Tally], *relations: str) -> Tally:
    """The sum of the tallies of some relations."""
    sums = Tally()
    for (relation, _), tally in found.items():
        if relation in relations:
            sums += tally
    return sums


def _row(name: str, tally: Tally) -> str:
    wrong = ", ".join(f"{what} {count}" for what, count in sorted(tally.wrong.items(), key=lambda item: -item[1])[:4])
    took = f"{median(tally.delays):.0f}" if tally.delays else ""
    shares = (tally.hits, tally.faults), (tally.hits, tally.hits + tally.false), (tally.causes, tally.hits)
    cells = " | ".join(_share(*share) for share in shares)
    return f"| {name} | {tally.runs} | {cells} | {took} | {wrong} |"


def _share(hits: int, trials: int) -> str:
    low, high = wilson(hits, trials)
    return f"{hits / trials:.3f} ({low:.3f}–{high:.3f})" if trials else ""


def _as_json(found: Mapping[tuple[str, str], Tally]) -> str:
    rows = [{"relation": relation, "name": name, **vars(tally)} for (relation, name), tally in found.items()]
    return json.dumps({"version": 1, "rows": rows}, indent=1) + "\n"


def main() -> None:
    """Score and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--runs", type=int, help="of each single fault")
    parser.add_argument("--pairs", type=int, help="of each pair")
    parser.add_argument("--healthy", type=int, help="without a fault")
    parser.add_argument("--fault", action="append", choices=list(KINDS), default=[], metavar="KIND", help="only these")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--each", action="store_true", help="print what was said in each run that is not perfect")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tallies there")
    asked = parser.parse_args()
    usual = RUNS[asked.scale]
    singles, pairs, healthy = (
        own if given is None else given
        for own, given in zip(usual, (asked.runs, asked.pairs, asked.healthy), strict=True)
    )
    found = scored(list(cases(asked.scale, singles, pairs, healthy, asked.fault)), asked.jobs, each=asked.each)
    print(*table(found), sep="\n")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\n{sum(t.runs for t in found.values()):,} runs, {spent.ru_utime + spent.ru_stime:.0f} s of CPU")
    if asked.json:
        asked.json.write_text(_as_json(found), encoding="utf-8")


if __name__ == "__main__":
    main()
