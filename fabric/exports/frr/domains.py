"""What a network's routers may learn: the prefixes of all networks that uplinks join with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from fabric.addressing import Addresses
from fabric.plan import Plan

FAMILIES = ("ipv4", "ipv6")
FULL = {"ipv4": 32, "ipv6": 128}
"""Bits of an address."""


@dataclass(frozen=True)
class Domain:
    """Networks that exchange routes, and all prefixes there are in them."""

    networks: tuple[str, ...]
    exit: bool
    """Some leaf has uplinks to what is not ours, and so a default route."""
    spans: Mapping[str, tuple[str, ...]]
    """By family: what a prefix list permits, as ``POOL ge A le B``; loopbacks first."""
    prefixes: Mapping[str, int]
    """By family: how many prefixes there are, a default route counted."""

    @property
    def closed(self) -> bool:
        """One network alone: every route in it comes from one of its leaves."""
        return len(self.networks) == 1 and not self.exit


def domains(plan: Plan, known: Addresses) -> dict[str, Domain]:
    """The domain of each network that is not InfiniBand."""
    joined = _joined(plan)
    made = {group: _domain(plan, known, group) for group in set(joined.values())}
    return {network: made[group] for network, group in joined.items()}


def _joined(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Networks by network: itself and all it is joined with by uplinks, in the order of the design."""
    networks = {name: one for name, one in plan.design.networks.items() if one.technology != "infiniband"}
    group = {name: {name} for name in networks}
    for name, one in networks.items():
        if one.external_uplinks and one.external_to in group:
            both = group[name] | group[one.external_to]
            group.update(dict.fromkeys(both, both))
    return {name: tuple(other for other in networks if other in group[name]) for name in networks}


def _domain(plan: Plan, known: Addresses, networks: tuple[str, ...]) -> Domain:
    designs = [plan.design.networks[name] for name in networks]
    leaves = known.leaf_subnets.filter(pl.col("network").is_in(networks))
    ours = plan.fabric.switches["network"].cast(pl.String).is_in(networks)
    loopbacks = known.switches.filter(ours)
    return Domain(
        networks,
        any(one.external_uplinks and one.external_to == "external" for one in designs),
        {family: tuple(_spans(plan, leaves, family)) for family in FAMILIES},
        {family: leaves.height + loopbacks[f"loopback_{family}"].count() + 1 for family in FAMILIES},
    )


def _spans(plan: Plan, leaves: pl.DataFrame, family: str) -> Iterable[str]:
    pools = plan.intent.addressing
    yield span(getattr(pools.loopbacks, family), [FULL[family]], FULL[family])
    for pool, oob in ((pools.hosts, False), (pools.management, True)):
        lengths = _lengths(leaves.filter((pl.col("network") == "oob") == oob)[f"subnet_{family}"])
        if lengths:
            yield span(getattr(pool, family), lengths, FULL[family])


def _lengths(subnets: pl.Series) -> list[int]:
    return subnets.str.split("/").list.last().cast(pl.Int64).unique().sort().to_list()


def span(pool: str, lengths: Sequence[int], full: int) -> str:
    """The prefixes of a pool with these lengths: FRR wants ``length of the pool < ge ≤ le``."""
    least, most, own = min(lengths), max(lengths), int(pool.split("/")[1])
    lower = f" ge {least}" if least > own else ""
    upper = f" le {most}" if most > own and (not lower or most < full) else ""
    return pool + lower + upper
