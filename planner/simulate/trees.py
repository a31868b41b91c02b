"""NCCL's double binary tree (``src/graph/trees.cc``; Sanders, Speck, Träff 2009): a rank is inside one tree at most."""

from __future__ import annotations

import numpy as np

from planner.simulate.wires import Ints


def double_tree(ranks: int) -> tuple[Ints, Ints]:
    """Child and parent of every edge of both trees."""
    first = {rank: parent(rank, ranks) for rank in range(ranks)}
    pairs = [(child, above) for child, above in first.items() if above >= 0]
    if ranks % 2:
        second = [((child + 1) % ranks, (above + 1) % ranks) for child, above in pairs]
    else:
        second = [(ranks - 1 - child, ranks - 1 - above) for child, above in pairs]
    edges = np.array([*pairs, *second], dtype=np.int64).reshape(-1, 2)
    return edges[:, 0], edges[:, 1]


def parent(rank: int, ranks: int) -> int:
    """The rank above in the first tree, −1 of its root (rank 0): flip the lowest bit that is set, set the next."""
    if rank == 0:
        return -1
    bit = rank & -rank
    above = (rank ^ bit) | (bit << 1)
    return above if above < ranks else rank ^ bit
