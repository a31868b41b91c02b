"""Pools of addresses and numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from fabric.intent.base import said
from fabric.intent.expect import choice, network, whole
from fabric.validation import Strict

PRIVATE_ASNS = 4_200_000_000, 4_294_967_294
"""4-byte AS numbers for private use (RFC 6996)."""
Asn = Annotated[int, whole(*PRIVATE_ASNS)]


class Pool(Strict):
    """One network of each family."""

    ipv4: Annotated[str, network(4)] = said("IPv4 network.")
    ipv6: Annotated[str, network(6)] = said("IPv6 network.")


class Loopbacks(Pool):
    """One address a switch."""

    ipv4: Annotated[str, network(4)] = said("IPv4 network.", "10.255.0.0/16")
    ipv6: Annotated[str, network(6)] = said("IPv6 network.", "fd00:ff::/32")


class Hosts(Pool):
    """One subnet a rail and plane."""

    ipv4: Annotated[str, network(4)] = said("IPv4 network.", "10.0.0.0/10")
    ipv6: Annotated[str, network(6)] = said("IPv6 network.", "fd00:1::/32")


class Links(Pool):
    """One /31 and one /127 a link."""

    ipv4: Annotated[str, network(4)] = said("IPv4 network.", "10.64.0.0/10")
    ipv6: Annotated[str, network(6)] = said("IPv6 network.", "fd00:2::/32")


class Management(Pool):
    """One address an oob port."""

    ipv4: Annotated[str, network(4)] = said("IPv4 network.", "10.128.0.0/10")
    ipv6: Annotated[str, network(6)] = said("IPv6 network.", "fd00:3::/32")


class Asns(Strict):
    """Private AS numbers: one a leaf, one for the spines of a pod and plane, one for the cores of a plane."""

    first: Asn = said("First AS number used (RFC 6996).", PRIVATE_ASNS[0])
    last: Asn = said("Last AS number used.", PRIVATE_ASNS[1])


class Addressing(Strict):
    """Addresses are given from these pools in the order of device ids; a pool that is too small is an error."""

    loopbacks: Loopbacks = said("Loopback addresses of switches.", make=Loopbacks)
    links: Links = said("Addresses of links between switches, where numbered.", make=Links)
    hosts: Hosts = said("Addresses of host ports.", make=Hosts)
    management: Management = said("Addresses of the oob network.", make=Management)
    asns: Asns = said("AS numbers.", make=Asns)
    point_to_point: Annotated[Literal["numbered", "unnumbered"], choice("numbered", "unnumbered")] = said(
        "Links between switches: /31 and /127, or unnumbered (RFC 5549).", "numbered"
    )


POOLS = ("loopbacks", "links", "hosts", "management")
__all__ = ["POOLS", "PRIVATE_ASNS", "Addressing", "Asns", "Pool"]
