"""What one and two lost links, optics and switches cost, by equivalence class.

Trying all pairs of 10⁴ links is 10⁸ trials. A planned fabric looks the same from every link of a tier: segments, leaf
positions, planes, spines of a group and parallel links can be exchanged. So one element of each *kind* is lost, and
with it one element of each kind *as seen from the first*: same or other device, segment, pod, position, plane, index.
What is told is the worst of each figure over all sets tried. (It holds for a plan that the checks find no fault with.)

Bandwidth left is Gb/s after over Gb/s before:

- ``host_left``: of the worst host's NIC ports;
- ``segment_left``: of the worst segment, the less of its host links and its uplinks;
- ``pair_left``: between the worst two segments, ``rail_left`` between the worst two leaves of one position and plane.

``hosts_cut`` have no link left on the network, ``hosts_degraded`` fewer than before; ``rails_lost`` is the most that
one host lost whole. On the out-of-band network managed switches count as hosts. Links that leave the plan are not lost
here, nor are power feeds, which need a floor plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fabric.checking.view import View
from fabric.failing.effects import LEFT, LOST, Effect, Effects
from fabric.failing.elements import ENDS, Elements, elements
from fabric.failing.network import Network

if TYPE_CHECKING:
    from fabric.plan import Plan

KINDS = ("link", "optic", "switch")
SCHEMA: dict[str, Any] = {
    "network": pl.String, "kind": pl.String, "lost": pl.UInt8, "where": pl.String, "sets": pl.UInt32,
    **dict.fromkeys(LOST, pl.UInt32), **dict.fromkeys(LEFT, pl.Float64), "example": pl.String,
}  # fmt: skip


def analyse(plan: Plan, most: int = 2) -> pl.DataFrame:
    """The worst of each kind of failure, up to ``most`` (1 or 2) at once: a row a network, kind, number and place.

    Columns of ``SCHEMA``: ``where`` is the tiers lost, ``sets`` the sets tried, ``example`` the worst of them by name;
    a share that does not apply is null.
    """
    view = View(plan)
    rows: list[dict[str, Any]] = []
    for name in view.networks:
        network = Network.of(view, name)
        effects = Effects(network)
        for kind in KINDS:
            found = elements(network, kind)
            for lost in range(1, most + 1):
                rows += _rows(found, effects, lost)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(pl.col(LEFT).fill_nan(None))


def _rows(found: Elements, effects: Effects, lost: int) -> Iterator[dict[str, Any]]:
    tried: dict[str, list[tuple[Effect, tuple[int, ...]]]] = {}
    for chosen in _sets(found, lost):
        effect = effects.of(np.unique(np.concatenate([found.taken(element) for element in chosen])))
        tried.setdefault(" + ".join(sorted(map(found.where, chosen))), []).append((effect, chosen))
    for where, effects_of in sorted(tried.items()):
        total = effects_of[0][0]
        for effect, _ in effects_of:
            total = total.worst(effect)
        example = min(effects_of, key=lambda pair: pair[0].rank)[1]
        yield {
            "network": found.network.name, "kind": found.kind, "lost": lost, "where": where, "sets": len(effects_of),
            **{name: getattr(total, name) for name in (*LOST, *LEFT)},
            "example": "; ".join(_name(found, element) for element in example),
        }  # fmt: skip


def _sets(found: Elements, lost: int) -> Iterator[tuple[int, ...]]:
    for first in found.representatives():
        if lost == 1:
            yield (first,)
        else:
            yield from ((first, second) for second in found.partners(first))


def _name(found: Elements, element: int) -> str:
    view, links = found.network.view, found.network.links
    row = links.row(int(found.taken(element)[0]), named=True)
    ends = {side: view.device(row[f"{side}_device"]) for side in "ab"}
    if found.kind == "link":
        return f"{ends['a']} {view.port(row['a_port'])} to {ends['b']} {view.port(row['b_port'])}"
    if found.kind == "optic":
        side = "ab"[int(found.label[element]) // len(ENDS)]
        return f"{ends[side]} cage {row[f'{side}_cage']}"
    tier = found.where(element)
    side = "a" if {"leaf": "leaf-spine", "spine": "spine-core"}.get(tier) == row["tier"] else "b"
    return ends[side]
