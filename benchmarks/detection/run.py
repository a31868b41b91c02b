"""The scored suite: faults with a known truth, simulated, through all detectors.

    python benchmarks/detection/run.py [--scale small|1024|15360]… [--runs 200] [--pairs 30] [--healthy 200]
                                       [--fault KIND]… [--jobs 2] [--each] [--json FILE]

Every run simulates telemetry interval by interval and feeds the columns to the detectors as a collector would; nothing
is written. The table has a row a fault: how many were found in time, how many findings were false, how often the cause
was right, and how long it took (median). Wilson's 95 % intervals stand beside the shares. Progress is on stderr; a run
that is interrupted prints the table of what it has, which is a fair sample: cases of all kinds take turns.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a run's tables are small: threads would only wait for each other
    sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.detection.cases import Case, Made, cases, made
from benchmarks.detection.plans import SCALES
from benchmarks.detection.score import Tally, Told, judged, score
from benchmarks.detection.table import as_json, costs, pooled, share, table
from collectors.detectors.run import watch
from planner.simulate.faults import KINDS
from planner.simulate.telemetry import intervals

RUNS = {"small": (4, 1, 10), "1024": (200, 30, 200), "15360": (10, 2, 4)}
"""Runs of each single fault and of each pair, and healthy ones, by scale."""
TELL_EVERY_S = 30.0


@dataclass(frozen=True)
class Done:
    """A run's tally, and in words what it missed and what it said falsely."""

    case: Case
    tally: Tally
    lines: tuple[str, ...]

    @property
    def perfect(self) -> bool:
        """Every fault in time with its cause, and nothing else."""
        return self.tally.causes == self.tally.faults and not self.tally.false


@dataclass
class Scores:
    """Tallies of one scale by relation and name, in the order of ``cases``."""

    found: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def add(self, done: Done) -> None:
        """One more run."""
        sums = self.found.setdefault((done.case.relation, done.case.name), Tally())
        sums += done.tally


def told(run: Made) -> Iterator[Told]:
    """All that the detectors say of a run."""
    scenario = run.scenario
    start_ns, step = scenario.settings.start_ns, round(scenario.settings.interval * 1e9)
    watching = watch(scenario.plan, maintenance=run.maintenance)
    for made_of in intervals(scenario):
        end_ns = start_ns + (made_of.number + 1) * step
        watching.intervals.feed(made_of.counters, made_of.flows, made_of.outcomes)
        yield from (Told(finding, end_ns) for finding in watching.step(end_ns))


def one(case: Case) -> Done:
    """Make, watch and score a run."""
    began = time.process_time()
    run = made(case)
    said = list(told(run))
    tally = score(run.scenario.plan, run.truths, said, run.scenario.settings.seconds)
    tally.cpu = time.process_time() - began
    return Done(case, tally, tuple(_lines(run, said)))


def _lines(run: Made, said: Sequence[Told]) -> Iterator[str]:
    """The truth, and findings that were no hits of the right cause."""
    worth = list(judged(run.scenario.plan, run.truths, said))
    hit = {id(one.truth) for one in worth}
    start = run.scenario.settings.start_ns
    for truth in run.truths:
        what = "masked" if truth.masked else "found" if id(truth) in hit else "MISSED"
        times = ", ".join(f"{(at - start) / 1e9:.0f}" for at in (truth.onset_ns, truth.deadline_ns, truth.end_ns))
        yield f"  {what}: {truth.code}/{truth.cause} {dict(truth.subject)}; onset, deadline, end {times}"
    for one in worth:
        wrong_cause = one.truth is not None and one.truth.cause != one.told.finding.cause
        if wrong_cause or one.verdict in ("late", "false"):
            verdict = "wrong cause" if wrong_cause else one.verdict
            yield f"  {verdict} at {(one.told.at_ns - start) / 1e9:.0f}: {one.told.finding.to_json()}"


def in_turns(todo: Sequence[Case]) -> list[Case]:
    """All cases, so that at any time about as large a part of each kind is done."""
    runs: dict[tuple[str, str], int] = {}
    for case in todo:
        runs[case.relation, case.name] = runs.get((case.relation, case.name), 0) + 1
    return sorted(todo, key=lambda case: (case.number + 0.5) / runs[case.relation, case.name])


def scored(todo: Sequence[Case], processes: int) -> Iterator[Done]:
    """Runs as they end, in their order. Each process keeps the plans that it has built."""
    with get_context("spawn").Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap(one, todo, chunksize=4)


@dataclass
class Progress:
    """A line on stderr now and then."""

    runs: int
    began: float = field(default_factory=time.monotonic)
    next_s: float = TELL_EVERY_S

    def tell(self, scale: str, scores: Scores) -> None:
        """How far it is, and how it stands."""
        took = time.monotonic() - self.began
        if took < self.next_s:
            return
        self.next_s = took + TELL_EVERY_S
        faults, healthy = pooled(scores.found, "single", "separate", "overlapping"), pooled(scores.found, "healthy")
        done, cpu = faults.runs + healthy.runs, faults.cpu + healthy.cpu
        left = (self.runs - done) * took / done / 60
        found = f"recall {share(faults.hits, faults.faults)}, false {faults.false} and {healthy.false} healthy"
        runs = f"{done:,} of {self.runs:,} runs, {cpu / done:.2f} CPU-s each, {left:.0f} min left"
        print(f"{scale}: {runs}; {found}", file=sys.stderr, flush=True)


def _scores(scale: str, asked: argparse.Namespace, scores: Scores) -> bool:
    """Score all of a scale; whether it came to its end."""
    given = (asked.runs, asked.pairs, asked.healthy)
    singles, pairs, healthy = (usual if own is None else own for usual, own in zip(RUNS[scale], given, strict=True))
    todo = list(cases(scale, singles, pairs, healthy, asked.fault))
    scores.found.update({(case.relation, case.name): Tally() for case in todo})
    progress = Progress(len(todo))
    try:
        for done in scored(in_turns(todo), asked.jobs):
            scores.add(done)
            tally = done.tally
            if asked.each and (tally.false or tally.causes < tally.faults):
                print(
                    f"{done.case}: {tally.hits}/{tally.faults}, {tally.false} false", *done.lines, sep="\n", flush=True
                )
            progress.tell(scale, scores)
    except KeyboardInterrupt:
        return False
    return True


def _print(scale: str, scores: Scores, took: float) -> None:
    found = {key: tally for key, tally in scores.found.items() if tally.runs}
    runs, cpu = sum(tally.runs for tally in found.values()), sum(tally.cpu for tally in found.values())
    print(f"\n{scale}: {runs:,} runs in {took:.0f} s, {cpu:.0f} s of CPU\n", *table(found), "", *costs(found), sep="\n")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Score and print the tables; 1 where it was interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", action="append", choices=SCALES, help="may be given again (default: small)")
    parser.add_argument("--runs", type=int, help="of each single fault")
    parser.add_argument("--pairs", type=int, help="of each pair")
    parser.add_argument("--healthy", type=int, help="without a fault")
    parser.add_argument("--fault", action="append", choices=list(KINDS), default=[], metavar="KIND", help="only these")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--each", action="store_true", help="print what was missed or false in each imperfect run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tallies there")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    all_scores: dict[str, Scores] = {}
    for scale in asked.scale or ["small"]:
        scores = all_scores[scale] = Scores()
        began = time.monotonic()
        try:
            whole = _scores(scale, asked, scores)
        finally:
            _print(scale, scores, time.monotonic() - began)
        if not whole:
            print("Interrupted: this is a part of it.")
            break
    if asked.json:
        asked.json.write_text(as_json({scale: scores.found for scale, scores in all_scores.items()}), encoding="utf-8")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
