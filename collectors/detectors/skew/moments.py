"""Moments of unevenness under a good hash, exact for any weights.

Σx² over members is Σw² and twice what pairs of flows on one member add. Y = Σ over pairs i < k of wᵢ·wₖ·(m·[same
member] − 1) has mean 0, and n_eff·CoV² = n_eff·(2Y + (m − 1)·Σw²). A product of pairs has the mean of the flow
polynomial of their graph at m (the number of nowhere-zero flows over Z_m, Tutte 1954): 0 with a bridge, m − 1 for a
cycle. So the second moment needs double edges alone, and the fourth adds fourfold edges, pairs of double ones, cycles
of four, and triangles with one edge double.
"""

from __future__ import annotations

from collectors.detectors.skew.phi import Floats


def variance(weights: Floats, members: int) -> float:
    """E[Y²] = (m − 1)·Σ over pairs of wᵢ²wₖ²."""
    s2, s4 = float((weights**2).sum()), float((weights**4).sum())
    return (members - 1) * (s2**2 - s4) / 2


def fourth(weights: Floats, members: int) -> float:
    """E[Y⁴], by the power sums of the weights."""
    m = members
    s2, s3, s4, s5, s6, s8 = (float((weights**k).sum()) for k in (2, 3, 4, 5, 6, 8))
    edges, doubles = (s2**2 - s4) / 2, (s4**2 - s8) / 2
    fourfold = (m - 1) * (m * m - 3 * m + 3) * doubles
    pairs = 3 * (m - 1) ** 2 * (edges**2 - doubles)
    cycles = 3 * (m - 1) * (s2**4 - 6 * s2**2 * s4 + 3 * s4**2 + 8 * s2 * s6 - 6 * s8)
    triangles = 6 * (m - 1) * (m - 2) * (s3**2 * s2 - s6 * s2 - 2 * s5 * s3 + 2 * s8)
    return fourfold + pairs + cycles + triangles
