"""Forward error correction and auto-negotiation: what both ends of a link must be set to alike.

FEC follows the lanes that the medium carries: PAM4 lanes of 50 Gb/s and more need RS(544,514) (IEEE 802.3 clauses 119,
134 and 161; NDR and HDR InfiniBand use it too), NRZ lanes of 25 Gb/s RS(528,514) (clauses 91 and 108), slower ones
none. Auto-negotiation with link training is for copper (clauses 28 and 73); optics and retimed cables have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.tables import CATEGORIES

if TYPE_CHECKING:
    from fabric.tables import Fabric

NEGOTIATED = ("dac", "acc", "copper")
"""Media on which the two ends train their equalisers with each other: nothing between them is retimed."""


def negotiated(fabric: Fabric, cables: pl.DataFrame) -> pl.DataFrame:
    """The ports with ``fec`` and ``autoneg``; ``cables``: ``medium`` and ``lane_gbps`` by cable id.

    Both are said of a link and written at both of its ends. A port without a link is set for optics of its own lanes,
    and for copper where it has a single lane of at most 10 Gb/s.
    """
    ports, links = fabric.ports, fabric.links
    own_lane = (ports["speed_gbps"] / ports["lanes"]).to_numpy().copy()
    lane = own_lane.copy()
    autoneg = own_lane <= 10
    said = cables["lane_gbps"].gather(links["cable"]).to_numpy()
    copper = cables["medium"].is_in(NEGOTIATED).gather(links["cable"]).to_numpy()
    a = links["a_port"].to_numpy()
    b = links["b_port"].fill_null(links["a_port"]).to_numpy()
    by_link = np.where(np.isnan(said), np.maximum(own_lane[a], own_lane[b]), said)
    for port in (a, b):
        lane[port], autoneg[port] = by_link, copper
    categories = CATEGORIES["ports", "fec"]
    none, rs528, rs544 = (categories.index(name) for name in ("none", "rs528", "rs544"))
    code = np.select([lane >= 50, lane >= 25], [rs544, rs528], none)
    fec = pl.Series("fec", categories, dtype=pl.Enum(categories)).gather(pl.Series(code.astype(np.uint32)))
    return ports.with_columns(fec, pl.Series("autoneg", autoneg))
