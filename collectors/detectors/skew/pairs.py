"""By which factor a tier is polarised: how often two flows of a group meet on one member."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

import numpy as np
import numpy.typing as npt


def inverse_members(counts: Iterable[npt.ArrayLike]) -> float:
    """1/m_hat = Σ nᵢ(nᵢ − 1) / Σ n(n − 1), numerators and denominators of all groups added up.

    ``counts``: flows on each member, a row a group. The chance that two flows meet, unbiased (m_hat itself is not);
    NaN without a pair.
    """
    met = pairs = 0.0
    for row in counts:
        n = np.asarray(row, dtype=np.float64)
        met += float((n * (n - 1)).sum())
        pairs += float(n.sum() * (n.sum() - 1))
    return met / pairs if pairs else float("nan")


def factor(members: int, inverse: float) -> float:
    """g = m/m_hat: so many times fewer members are used than there are; 1 under a good hash."""
    return members * inverse


def expected(upstream: int, members: int, *, same_seed: bool) -> int:
    """The factor that a tier with the hash of the tier below has.

    With the same seed the hashes' remainders agree: gcd of both sizes. Another seed turns a CRC by a fixed XOR, which
    keeps what agrees in low bits alone: the largest power of two dividing both (8/16: 8, 12/12: 4, 3/6: none, 1).
    """
    common = gcd(upstream, members)
    return common if same_seed else common & -common
