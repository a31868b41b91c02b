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


def met_of_loads(loads: npt.ArrayLike, samples: npt.ArrayLike) -> float:
    """1/m_hat of one group from what its members carry and c samples of each flow; NaN without a pair of samples.

    Two parts of the load meet on one member where they are of one flow (Σw², of which Σc(c − 1)/C(C − 1) is unbiased)
    or where their flows meet: (Σx² − Σw²)/(1 − Σw²), x and w being parts of the whole.
    """
    x, c = np.asarray(loads, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    total = float(c.sum())
    if total < 2 or len(c) < 2 or x.sum() <= 0:
        return float("nan")
    own = float((c * (c - 1)).sum()) / (total * (total - 1))
    return (float(((x / x.sum()) ** 2).sum()) - own) / (1 - own) if own < 1 else float("nan")


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
