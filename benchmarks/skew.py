"""False alarms and power of the hash-skew verdict, as tables in Markdown; CPU seconds beside them.

``python benchmarks/skew.py`` draws what a good hash does with flows of known weights, shows the verdict what it would
get (exact counts, sFlow samples, or byte counters beside sampled flows, 4 samples a flow), and counts how often the
verdict is wrong, over the level: 1 is just right, less is on the safe side. The level of 1e-2 is tried with 10,000
draws over all sizes, that of 1e-4 with a million up to 128 flows, and up to 1,024 for 16 and 64 members: about 4
minutes of CPU time. ``--full`` tries 1e-4 over all sizes (15 minutes). One seed a cell: the same tables each time.
``--luck`` tries instead what bad luck with the samples does at 1e-4: of 2,000 sets of weights and samples the two whose
samples miss most of Σw², in standard errors, and 12 sets as they come for 1,024 flows.

Power is that of 8 independent groups together at p < 1e-4 with a million draws, against a hash that uses half of the
members. 1/m_hat is that of a good hash over 20,000 groups, times the members: 1 is unbiased.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import nlargest
from statistics import fmean

import numpy as np

from collectors.detectors.skew.montecarlo import ROUNDING, counted, enough, sampled, throws
from collectors.detectors.skew.pairs import inverse_members
from collectors.detectors.skew.phi import Floats

MEMBERS = (4, 8, 16, 32, 60, 64, 128)
FLOWS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
WEIGHTS = ("equal", "lognormal", "Pareto")
INPUTS = ("exact", "sFlow", "counters")
SAMPLES_A_FLOW = 4
LARGE = 1024


@dataclass(frozen=True)
class Effort:
    """``sets`` of weights a cell, each with ``draws`` for the verdict and ``trials`` of a good hash.

    ``lucky``: sets beside counters, where the luck of the samples is what counts.
    """

    level: float
    draws: int
    trials: int
    sets: int
    lucky: int


COARSE = Effort(1e-2, 10_000, 5_000, 4, 32)
FINE = Effort(1e-4, 1_000_000, 300_000, 1, 2)
LUCK = replace(FINE, lucky=12)
UNLUCKY_OF = 2_000


def weights(kind: str, flows: int, rng: np.random.Generator) -> Floats:
    """Weights that sum to 1: equal, lognormal with σ = 1, or Pareto with α = 1.2."""
    made = {"equal": np.ones(flows), "lognormal": rng.lognormal(0, 1, flows), "Pareto": 1 + rng.pareto(1.2, flows)}
    found: Floats = made[kind] / made[kind].sum()
    return found


def seen(kind: str, flows: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Weights, and how often each flow was sampled that was."""
    real = weights(kind, flows, rng)
    samples = rng.multinomial(SAMPLES_A_FLOW * flows, real).astype(np.float64)
    return real, samples[samples > 0]


def false_alarms(members: int, flows: int, kind: str, given: str, effort: Effort) -> list[float]:
    """Part of the trials in which a good hash is called uneven, over the level, by set of weights."""
    rng = np.random.default_rng([members, flows, WEIGHTS.index(kind), INPUTS.index(given)])
    sets = effort.lucky if given == "counters" else effort.sets
    return [wrong(members, *seen(kind, flows, rng), given, effort, number) for number in range(sets)]


def wrong(members: int, real: Floats, samples: Floats, given: str, effort: Effort, number: int) -> float:
    """The same for one set."""
    none = np.ones(members)
    if given == "counters" and not enough(samples, members):
        return 0.0
    own = counted(samples, none, effort.level) if given == "counters" else None
    shown = (own or sampled(real if given == "exact" else samples, none)).rows
    # samples say where they went: what is thrown is what was sampled; counters see everything
    thrown = shown if given == "sFlow" else real[None, :]
    null = throws(shown, members, 1.0, effort.draws, 2 * number + 11)
    null.sort()
    found = throws(thrown, members, 1.0, effort.trials, 2 * number + 10)
    above = len(null) - np.searchsorted(null, found * (1 - ROUNDING) - 1e-12)
    return float(((1 + above) / (1 + effort.draws) <= effort.level).mean()) / effort.level


def power(members: int, flows: int, collapse: int = 2, groups: int = 8, trials: int = 20_000) -> float:
    """Part of the trials in which so many groups on 1/collapse of their members are called uneven at 1e-4."""
    each = np.full((1, flows), 1.0 / flows)
    null = throws(each, members, float(flows), groups * 1_000_000, 5).reshape(-1, groups).sum(axis=1)
    null.sort()
    few = throws(each, members // collapse, float(flows), groups * trials, 6)
    # n·CoV² of the members in use, brought to all members: n·((CoV² + 1)·collapse − 1)
    seen = (collapse * (few + flows) - flows).reshape(-1, groups).sum(axis=1)
    above = len(null) - np.searchsorted(null, seen * (1 - ROUNDING))
    return float(((1 + above) / (1 + len(null)) < 1e-4).mean())


def table(effort: Effort, members: tuple[int, ...], flows: tuple[int, ...]) -> Iterator[str]:
    """One table a kind of weights and of input."""
    for kind in WEIGHTS:
        for given in INPUTS:
            yield f"\n{kind}, {given}: false alarms over the level of {effort.level:g}, {effort.draws:,} draws\n"
            yield "| members | " + " | ".join(str(n) for n in flows) + " |"
            yield "|---" * (1 + len(flows)) + "|"
            for m in members:
                cells = (fmean(false_alarms(m, n, kind, given, _eased(effort, n))) for n in flows)
                yield f"| {m} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def missed(both: tuple[Floats, Floats]) -> float:
    """How many standard errors of Σw² its unbiased estimate from the samples is too low."""
    real, c = both
    squares, total = float((real**2).sum()), float(c.sum())
    error = np.sqrt(((real**3).sum() - squares**2) / total)
    return float((squares - (c * (c - 1)).sum() / (total * (total - 1))) / (2 * error))


def unluckiest(members: int, flows: int, kind: str) -> str:
    """The two that missed most: by how much the worse of them breaks the level, and what it missed."""
    rng = np.random.default_rng([members, flows, WEIGHTS.index(kind), 99])
    sets = nlargest(2, (seen(kind, flows, rng) for _ in range(UNLUCKY_OF)), key=missed)
    cells = [(wrong(members, *both, "counters", LUCK, number), missed(both)) for number, both in enumerate(sets)]
    return "{:.2f} ({:.1f})".format(*max(cells))


def several(members: int, flows: int, kind: str) -> str:
    """Mean and worst of 12 sets."""
    cells = false_alarms(members, flows, kind, "counters", LUCK)
    return f"{fmean(cells):.2f}, {max(cells):.2f}"


def luck() -> Iterator[str]:
    """What luck with the samples does beside counters, for weights that differ."""
    for kind in reversed(WEIGHTS[1:]):
        yield f"\n{kind}, counters: false alarms over the level of {LUCK.level:g}, {LUCK.draws:,} draws\n"
        yield "| members | " + " | ".join(f"{n}, unluckiest" for n in FLOWS[5:8]) + f" | {FLOWS[7]}, 12 sets |"
        yield "|---" * 5 + "|"
        for m in (32, 64, 128):
            cells = [unluckiest(m, n, kind) for n in FLOWS[5:8]]
            yield f"| {m} | " + " | ".join(cells) + f" | {several(m, FLOWS[7], kind)} |"


def _eased(effort: Effort, flows: int) -> Effort:
    if flows < LARGE:
        return effort
    return replace(effort, sets=max(effort.sets // 2, 1), lucky=max(effort.lucky // 4, 1))


def unbiased(members: int, flows: int) -> float:
    """Members times the pooled 1/m_hat of 20,000 groups of 2 to so many flows under a good hash."""
    rng = np.random.default_rng([members, flows])
    rows = (np.bincount(rng.integers(0, members, n), minlength=members) for n in rng.integers(2, flows + 1, 20_000))
    return members * inverse_members(rows)


def everything(full: bool) -> Iterator[str]:
    """All tables but those of luck; with ``full`` all sizes at 1e-4."""
    yield "| members | flows | power |\n|---|---|---|"
    for m, n in ((16, 16), (8, 8), (16, 8)):
        yield f"| {m} | {n} | {power(m, n):.3f} |"
    yield "\n| members | flows, at most | m/m_hat |\n|---|---|---|"
    for m, n in ((4, 8), (16, 16), (60, 200), (128, 400)):
        yield f"| {m} | {n} | {unbiased(m, n):.3f} |"
    fine = ((MEMBERS, FLOWS),) if full else ((MEMBERS, FLOWS[:5]), ((16, 64), FLOWS[5:8]))
    for effort, members, flows in (*((FINE, *part) for part in fine), (COARSE, MEMBERS, FLOWS)):
        yield from table(effort, members, flows)


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="1e-4 with a million draws over all sizes (15 minutes)")
    parser.add_argument("--luck", action="store_true", help="only what bad luck with samples does (2 minutes)")
    asked = parser.parse_args()
    for line in luck() if asked.luck else everything(asked.full):
        print(line, flush=True)
    print(f"\n{resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s of CPU time")


if __name__ == "__main__":
    main()
