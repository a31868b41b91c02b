"""What became of a run over the wire, and how it is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What became of a run: values compared and different, flow samples, findings, and the score of the store's."""

    kind: str
    way: str
    store: str
    values: int
    wrong: Mapping[str, int]
    flows: int
    flows_wrong: int
    findings: int
    same_findings: bool
    as_told: bool
    """Whether the same was opened as from all columns of the tables, with what the protocols do not carry."""
    found: bool
    cause: bool
    false: int
    polls: Mapping[str, int]

    @property
    def equal(self) -> bool:
        """Whether wire and tables gave the same in everything."""
        return not self.wrong and not self.flows_wrong and self.same_findings


def table(results: Sequence[Result]) -> Iterator[str]:
    """A Markdown table: a row a run."""
    yield "| fault | protocols | store | values | equal | flow samples | findings | equal | as of all | found | cause |"
    yield "|---|---|---|---:|---|---:|---:|---|---|---|---|"
    for r in results:
        values, flows = ("no" if bad else "yes" for bad in (r.wrong, r.flows_wrong))
        cells = [
            r.kind, f"{r.way}, sflow", r.store, f"{r.values:,}", values, f"{r.flows:,} ({flows})", str(r.findings),
            *("yes" if good else "no" for good in (r.same_findings, r.as_told, r.found, r.cause)),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def say(result: Result) -> None:
    """How polls ended, and what differed, to standard error."""
    polls = ", ".join(f"{name} {count:,}" for name, count in sorted(result.polls.items()))
    print(f"{result.kind}: {polls}", file=sys.stderr)
    if not result.equal:
        wrong = ", ".join(f"{column} {count:,}" for column, count in result.wrong.items())
        print(f"  different: {wrong or 'no value'}; {result.flows_wrong:,} flow samples", file=sys.stderr)
