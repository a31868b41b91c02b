"""From datagrams to polls: identify, follow their numbers, decode, count; hand on what came, device by device.

It has no socket: a capture, a test and the source feed it alike. Its memory is made once: rows of the tables, streams
of sub-agents, a handful of strangers' names.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from collectors.sources import Outcome, Poll
from collectors.sources.sflow import layout, sequence
from collectors.sources.sflow.agents import Agents, address_text
from collectors.sources.sflow.decode import SKIPPED, read_heads, read_samples
from collectors.sources.sflow.jit import Bytes, Rows
from collectors.sources.sflow.lookup import Lookup
from collectors.sources.sflow.tables import flow_table, interface_table
from fabric.samples import empty, empty_flows

NAME = "sflow"
HEARD, MALFORMED, FLOW_ROWS, COUNTER_ROWS, UNKNOWN_PORTS = range(sequence.TALLY, sequence.TALLY + 5)
"""Places in a device's tally after those of ``sequence``."""
MOST_ROWS = 1 << 16
MOST_STRANGERS = 8
"""Unknown senders that are named in an interval; all are counted."""
STREAMS_A_DEVICE = 16
STATUSES = {
    layout.SHORT: "short", layout.VERSIONS: "other_versions", layout.MALFORMED: "malformed",
    layout.OVERSIZED: "oversized", layout.UNKNOWN_AGENT: "unknown_agents", layout.UNKNOWN_SOURCE: "unknown_sources",
    layout.DUPLICATE: "duplicated",
}  # fmt: skip
"""Names of what becomes of datagrams, as counted in ``health``."""
TALLIES = {
    sequence.LOST: "lost", sequence.LATE: "late", sequence.RESTARTED: "restarts", sequence.UNTRACKED: "untracked",
    FLOW_ROWS: "flow_samples", COUNTER_ROWS: "counter_samples", UNKNOWN_PORTS: "unknown_ports",
}  # fmt: skip


class Station:
    """Takes datagrams of ``agents`` and keeps at most ``most_rows`` rows of each kind until ``polls`` is called."""

    def __init__(self, agents: Agents, most_rows: int = MOST_ROWS) -> None:
        self.agents = agents
        count = len(agents.targets)
        self.tally = np.zeros((count, sequence.TALLY + 5), np.int64)
        """Of each device, since the beginning."""
        self.counts: Counter[str] = Counter(dict.fromkeys(["datagrams", "bytes", "skipped_samples"], 0))
        self._flows = np.zeros(most_rows, layout.FLOWS)
        self._interfaces = np.zeros(most_rows, layout.INTERFACES)
        self._names = np.zeros(most_rows, layout.NAMES)
        self._used = np.zeros(4, np.int64)
        self._streams = np.zeros(STREAMS_A_DEVICE * count + 16, sequence.STREAM)
        self._stream_at, self._stream_count = Lookup(len(self._streams)), np.zeros(1, np.int64)
        self._strangers: Counter[str] = Counter()
        self._before = self.tally.copy()
        self._since = time.time_ns()

    def admit(self, buf: Bytes, heads: Rows) -> Rows:
        """Read the heads of new datagrams and count them; those that are to be decoded keep status ``OK``."""
        read_heads(buf, heads)
        self.agents.identify(heads)
        at = self._stream_at
        sequence.follow(heads, at.keys, at.values, self._streams, self._stream_count, self.tally)
        self.counts["datagrams"] += len(heads)
        self.counts["bytes"] += int(heads["length"].sum())
        status = heads["status"]
        if status.any():
            self._refuse(heads[status != layout.OK])
        self.tally[:, HEARD] += np.bincount(heads["target"][status == layout.OK], minlength=len(self.tally))
        return heads

    def _refuse(self, heads: Rows) -> None:
        for status, count in zip(*np.unique(heads["status"], return_counts=True), strict=True):
            self.counts[STATUSES[int(status)]] += int(count)
        strange = np.isin(heads["status"], (layout.UNKNOWN_AGENT, layout.UNKNOWN_SOURCE))
        for head in heads[strange][:MOST_STRANGERS]:
            agent, source = (address_text(head[f"{one}_hi"], head[f"{one}_lo"]) for one in ("agent", "source"))
            name = agent if agent == source else f"{agent} (from {source})"
            if name in self._strangers or len(self._strangers) < MOST_STRANGERS:
                self._strangers[name] += 1

    def decode(self, buf: Bytes, heads: Rows) -> Rows:
        """Decode admitted datagrams; gives back those for which there is no room before ``polls`` is called."""
        used = self._used
        names, skipped = int(used[2]), int(used[SKIPPED])
        done = read_samples(buf, heads, 0, self._flows, self._interfaces, self._names, used)
        self.counts["skipped_samples"] += int(used[SKIPPED]) - skipped
        bad = heads[:done][(heads["status"][:done] == layout.MALFORMED) & (heads["target"][:done] >= 0)]
        if len(bad):
            self.counts["malformed"] += len(bad)
            wrong = np.bincount(bad["target"], minlength=len(self.tally))
            self.tally[:, MALFORMED] += wrong
            self.tally[:, HEARD] -= wrong
        if used[2] > names:
            self.agents.learn(self._names[names : used[2]])
            used[2] = names
        return heads[done:]

    def polls(self, whole: bool = True) -> list[Poll]:
        """What came since the last call, a poll a device, and room again.

        ``whole``: an interval is over. Each device then gets an outcome (``silent`` where nothing came), and what
        came from strangers is one poll without a device; otherwise only devices with rows get a poll.
        """
        flows, flow_from = self._flow_rows()
        rows, row_from = self._counter_rows()
        self._used[:2] = 0
        now = time.time_ns()
        seconds = (now - self._since) / 1e9
        gone = self.tally - self._before
        nothing, no_flows = empty(), empty_flows()
        found = []
        wanted = range(len(gone)) if whole else np.flatnonzero(np.diff(flow_from) + np.diff(row_from))
        for index in wanted:
            outcome, detail = judge(gone[index].tolist()) if whole else (Outcome.OK, "")
            flow, row = flow_from[index : index + 2], row_from[index : index + 2]
            found.append(
                Poll(
                    NAME, self.agents.targets[index].device, outcome, self._since, seconds,
                    rows.slice(row[0], row[1] - row[0]) if row[1] > row[0] else nothing,
                    flows.slice(flow[0], flow[1] - flow[0]) if flow[1] > flow[0] else no_flows,
                    detail, int(gone[index][UNKNOWN_PORTS]) if whole else 0,
                )
            )  # fmt: skip
        if whole:
            found += self._unknown(seconds)
            self._before, self._since = self.tally.copy(), now
        return found

    def _flow_rows(self) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
        """Flow samples sorted by device, and where each device's begin (one more at the end)."""
        rows = _by_target(self._flows[: self._used[0]])
        table, unknown = flow_table(rows, self.agents)
        count = len(self.tally)
        self.tally[:, FLOW_ROWS] += np.bincount(rows["target"], minlength=count)
        self.tally[:, UNKNOWN_PORTS] += np.bincount(rows["target"][unknown], minlength=count)
        return table, np.searchsorted(rows["target"], np.arange(count + 1))

    def _counter_rows(self) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
        """Counters sorted by device, and where each device's begin."""
        rows = _by_target(self._interfaces[: self._used[1]])
        table, targets, unknown = interface_table(rows, self.agents)
        count = len(self.tally)
        self.tally[:, COUNTER_ROWS] += np.bincount(rows["target"], minlength=count)
        self.tally[:, UNKNOWN_PORTS] += np.bincount(unknown, minlength=count)
        return table, np.searchsorted(targets, np.arange(count + 1))

    def _unknown(self, seconds: float) -> Iterator[Poll]:
        if self._strangers:
            told = ", ".join(f"{name}: {count}" for name, count in self._strangers.most_common())
            yield Poll(NAME, "", Outcome.UNKNOWN, self._since, seconds, detail=f"datagrams dropped: {told}")
            self._strangers.clear()

    def health(self) -> dict[str, float]:
        """All that is counted, cumulative."""
        sums = self.tally.sum(axis=0)
        found = dict.fromkeys(STATUSES.values(), 0.0) | {name: float(n) for name, n in self.counts.items()}
        return found | {name: float(sums[place]) for place, name in TALLIES.items()}


def judge(gone: list[int]) -> tuple[Outcome, str]:
    """How an interval of a device ended, by what its tally grew."""
    told = {
        "datagrams lost": max(0, gone[sequence.LOST] - gone[sequence.LATE]), "malformed": gone[MALFORMED],
        "of a sub-agent beyond the bound": gone[sequence.UNTRACKED],
    }  # fmt: skip
    detail = ", ".join(f"{count} {what}" for what, count in told.items() if count)
    if gone[HEARD] == 0 and gone[sequence.DOUBLED] == 0:
        return (Outcome.MALFORMED, detail) if gone[MALFORMED] else (Outcome.SILENT, detail)
    if gone[FLOW_ROWS] + gone[COUNTER_ROWS] == 0:
        return Outcome.EMPTY, detail or "no flow or counter samples"
    return (Outcome.PARTIAL, detail) if detail else (Outcome.OK, "")


def _by_target(rows: Rows) -> Rows:
    # Taken as bytes: numpy copies records field by field, fifteen times slower.
    size = rows.dtype.itemsize
    order = np.argsort(rows["target"], kind="stable")
    return np.take(rows.view(np.uint8).reshape(-1, size), order, axis=0).view(rows.dtype).reshape(-1)
