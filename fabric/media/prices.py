"""What one part costs and who says so: the user, the catalogue, or the shipped rule."""

from __future__ import annotations

from typing import NamedTuple

from fabric.catalogue import Cable, Optic, Prices, Switch
from fabric.catalogue.prices import cents

USER = "user's prices"
RULE = "arXiv 2307.12169 rule"
ESTIMATE = "catalogue estimate"
CATALOGUE = "catalogue"
UNKNOWN = "unknown"


class Price(NamedTuple):
    """US cents for one piece, and where they come from."""

    cents: int
    source: str


def switch_price(prices: Prices, switch: Switch) -> Price:
    """A switch: the user's price, else the rule over its bandwidth."""
    return Price(prices.switch_cents(switch), RULE if prices.is_default("switches", switch.name) else USER)


def optic_cents(prices: Prices, optic: Optic) -> Price:
    """An optic: the user's price, else the catalogue's, else the rule over the speed of its cage."""
    own = prices.part_cents("optics", optic.name)
    if own is not None:
        return Price(own, USER)
    if optic.price_usd is not None:
        return Price(cents(optic.price_usd), _said(optic.source))
    return Price(prices.optic_cents(optic.speed_gbps), RULE if prices.is_default("optics", optic.name) else USER)


def cable_cents(prices: Prices, cable: Cable, length_m: float) -> Price:
    """A cable of that length: the user's price whatever the length, else the catalogue's, with its price a metre."""
    own = prices.part_cents("cables", cable.name)
    if own is not None:
        return Price(own, USER)
    if cable.price_usd is None and not cable.price_usd_per_m:
        return Price(0, UNKNOWN)
    return Price(cents(cable.price_usd or 0) + cents(round(cable.price_usd_per_m * length_m, 6)), _said(cable.source))


def _said(source: str) -> str:
    return ESTIMATE if "estimate" in source else CATALOGUE
