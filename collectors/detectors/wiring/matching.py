"""Which planned cable each wrong cable should be: an assignment at the least cost.

Shortest augmenting paths with potentials, row by row (R. Jonker and A. Volgenant, "A shortest augmenting path algorithm
for dense and sparse linear assignment problems", Computing 38, 1987), on a sparse table whose columns take several
rows. Every row may also stay unassigned, which costs more than any assignment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

ALONE = 1 << 50
"""Cost of leaving a row unassigned."""


def assign(costs: Sequence[Mapping[int, int]], room: Mapping[int, int]) -> list[int | None]:
    """The column of each row: as many rows as can be have one, and the sum of their costs is least.

    ``costs``: by row, its columns and what each costs (0 … 2⁴⁵); ``room``: how many rows a column takes.
    """
    table = _Table(costs, room)
    for row in range(len(costs)):
        table.insert(row)
    return [None if (column := table.column[row]) < 0 else column for row in range(len(costs))]


class _Table:
    """Rows assigned so far, at the least cost. Column −1 − r is row r's own: unassigned."""

    def __init__(self, costs: Sequence[Mapping[int, int]], room: Mapping[int, int]) -> None:
        self.costs, self.room = costs, room
        self.column: dict[int, int] = {}
        self.rows: dict[int, set[int]] = {}
        self.of_row = [0] * len(costs)
        self.of_column: dict[int, int] = {}

    def insert(self, row: int) -> None:
        """One more row, along the shortest path to a column with room."""
        far: dict[int, int] = {}
        came: dict[int, int] = {}
        scanned = {row: 0}
        done: dict[int, int] = {}
        heap: list[tuple[int, int]] = []
        self._scan(row, 0, far, came, heap)
        while True:
            distance, column = heappop(heap)
            if column in done:
                continue
            if self._free(column):
                break
            done[column] = distance
            for other in sorted(self.rows.get(column, ())):
                scanned[other] = distance
                self._scan(other, distance, far, came, heap)
        for number, at in scanned.items():
            self.of_row[number] += distance - at
        for number, at in done.items():
            self.of_column[number] = self.of_column.get(number, 0) + at - distance
        self._turn(row, column, came)

    def _scan(
        self, row: int, base: int, far: dict[int, int], came: dict[int, int], heap: list[tuple[int, int]]
    ) -> None:
        for column, cost in (*self.costs[row].items(), (-1 - row, ALONE)):
            reach = base + cost - self.of_row[row] - self.of_column.get(column, 0)
            if self.column.get(row) != column and reach < far.get(column, 1 << 62):
                far[column], came[column] = reach, row
                heappush(heap, (reach, column))

    def _free(self, column: int) -> bool:
        return len(self.rows.get(column, ())) < (1 if column < 0 else self.room.get(column, 0))

    def _turn(self, row: int, column: int, came: Mapping[int, int]) -> None:
        """Give every row on the path the next column."""
        while True:
            mover = came[column]
            before = self.column.get(mover)
            self.rows.setdefault(column, set()).add(mover)
            self.column[mover] = column
            if mover == row:
                return
            assert before is not None
            self.rows[before].discard(mover)
            column = before
