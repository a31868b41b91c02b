"""The hash of a chip that nobody publishes, fitted to probes: five-tuples sent, and the member each one took.

First the functions that are known are tried: those that are linear over XOR with their seed left open (a seed changes
every hash by one constant), with and without parts of the five-tuple. Where none explains the probes and the group has
2, 4, 8 or 16 members, any linear hash will do: each bit of the member is then an XOR of bits of the key, found by
elimination over GF(2). A difference of source ports then moves the member by a fixed XOR, whatever the rest of the key
is. For groups of other sizes the remainder mixes all bits, and only a known function predicts it.

A fit is made on some of the probes and judged on the others, which it has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from fabric.errors import InputError, Problem
from fabric.hashing import FIELDS, FUNCTIONS, Bytes, EcmpHash, Field
from planner.routing.jit import Ints, Mask
from planner.routing.realise import LINEAR

JUDGED = 4
"""Every fourth probe judges."""
LEAST_PROBES = 32
GOOD = 0.999
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fit:
    """A hash that explains probes: a known function with its ``constant``, or a matrix over GF(2).

    ``right`` is the share of the judging probes that it predicts; by chance it would be ``chance``.
    """

    members: int
    right: float
    chance: float
    known: EcmpHash | None = None
    constant: int = 0
    matrix: Bits | None = None
    """Bits of the member × bits of the key (and a last column of ones), lowest bit of the member first."""

    @property
    def name(self) -> str:
        """What was found, in words."""
        if self.known is None:
            return "linear, fitted bit by bit"
        left_out = [name for name in FIELDS if name not in self.known.fields]
        return self.known.function + (f" without {', '.join(left_out)}" if left_out else "")

    def pick(self, keys: Bytes) -> Ints:
        """The member of each key (n × 13)."""
        if self.known is not None:
            return _picked(self.known.hashes(keys), self.constant, self.members)
        assert self.matrix is not None
        bits = _bits(keys) @ self.matrix.T % 2
        found: Ints = bits.astype(np.int64) @ (1 << np.arange(bits.shape[1]))
        return found


def fit(keys: Bytes, member: Ints, members: int) -> Fit | None:
    """The best explanation of probes; None where none predicts what it has not seen.

    ``keys`` are five-tuples (n × 13), ``member`` the place each took in its group (0 … ``members`` − 1, in the order of
    the group's ports). Raises InputError where there are too few probes or members that cannot be.
    """
    if len(keys) != len(member) or len(keys) < LEAST_PROBES:
        raise InputError(Problem("probes", f"are {len(keys)}", f"send at least {LEAST_PROBES}, each with its member"))
    if members < 2 or (member < 0).any() or (member >= members).any():
        raise InputError(Problem("probes", f"name members that a group of {members} has not", "count from 0"))
    judges = np.arange(len(keys)) % JUDGED == JUDGED - 1
    for found in _candidates(keys, member, members, judges):
        if found.right >= GOOD:
            return found
    return None


def _candidates(keys: Bytes, member: Ints, members: int, judges: Mask) -> Iterator[Fit]:
    for known in _known():
        hashes = known.hashes(keys)
        constant = _constant(known, hashes[~judges], member[~judges], members)
        if constant is not None:
            right = float((_picked(hashes[judges], constant, members) == member[judges]).mean())
            yield Fit(members, right, 1 / members, known=known, constant=constant)
    if members & (members - 1) == 0 and members <= 16:
        matrix = _solved(_bits(keys[~judges]), member[~judges], members.bit_length() - 1)
        if matrix is not None:
            found = Fit(members, 0.0, 1 / members, matrix=matrix)
            right = float((found.pick(keys[judges]) == member[judges]).mean())
            yield Fit(members, right, 1 / members, matrix=matrix)


def _known() -> Iterator[EcmpHash]:
    """Every function, over all fields and without one or two of them; the source port is never left out."""
    others: list[Field] = [name for name in FIELDS if name != "src_port"]
    for gone in range(3):
        for left_out in combinations(others, gone):
            fields = tuple(name for name in FIELDS if name not in left_out)
            yield from (EcmpHash(function, fields=fields) for function in FUNCTIONS)


def _picked(hashes: npt.NDArray[np.uint32], constant: int, members: int) -> Ints:
    found: Ints = (hashes.astype(np.int64) ^ constant) % members
    return found


def _constant(known: EcmpHash, hashes: npt.NDArray[np.uint32], member: Ints, members: int) -> int | None:
    """The constant that a seed adds to a linear hash, all of 16 bits tried; None where none explains all probes."""
    if known.function not in LINEAR:
        return 0 if np.array_equal(_picked(hashes, 0, members), member) else None
    bits = FUNCTIONS[known.function][1]
    low = members & (members - 1) == 0
    tried = np.arange(min(members if low else 1 << 16, 1 << bits))
    if not low and bits > 16:
        tried = tried[:1]
    for hashed, taken in zip(hashes.astype(np.int64).tolist(), member.tolist(), strict=True):
        tried = tried[(hashed ^ tried) % members == taken]
        if not len(tried):
            return None
    return int(tried[0])


def _bits(keys: Bytes) -> Bits:
    """Bits of each key, and a one."""
    return np.concatenate([np.unpackbits(keys, axis=1), np.ones((len(keys), 1), np.uint8)], axis=1)


def _solved(bits: Bits, member: Ints, width: int) -> Bits | None:
    """The matrix M with M · key = member over GF(2), by elimination; None where there is none."""
    wanted = (member[:, None] >> np.arange(width) & 1).astype(np.uint8)
    table = np.concatenate([bits, wanted], axis=1)
    columns, row = bits.shape[1], 0
    pivots = []
    for column in range(columns):
        at = np.flatnonzero(table[row:, column])
        if not len(at):
            continue
        table[[row, row + at[0]]] = table[[row + at[0], row]]
        others = np.flatnonzero(table[:, column])
        table[others[others != row]] ^= table[row]
        pivots.append(column)
        row += 1
        if row == len(table):
            break
    if table[row:, columns:].any():
        return None
    matrix = np.zeros((width, columns), np.uint8)
    matrix[:, pivots] = table[: len(pivots), columns:].T
    return matrix
