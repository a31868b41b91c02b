"""Addresses and AS numbers of every switch, link and host port, made from coordinates: docs/addressing.md.

An address belongs to a place (a switch by its segment, pod, plane and index; a port by its leaf and seat), never to an
id: whatever is added later, the places that exist keep theirs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from fabric.addressing_places import Ints
from fabric.addressing_pools import Blocks, blocks, host_shift
from fabric.addressing_shares import HOST_NETWORKS, part
from fabric.addressing_text import ipv4_text, ipv6_text
from fabric.errors import InputError, Problem
from fabric.intent.addressing import POOLS, Addressing
from fabric.plan import Plan

_CACHE = "_addresses"


@dataclass(frozen=True)
class Addresses:
    """Who has which address; ids are those of the tables, addresses are text (IPv6 canonical), null where none.

    ``switches``: device, asn, loopback_ipv4, loopback_ipv6 (/32 and /128), mgmt_ipv4, mgmt_prefix_ipv4,
    mgmt_gateway_ipv4, mgmt_ipv6, mgmt_prefix_ipv6, mgmt_gateway_ipv6; one row a switch, in the order of ids.
    InfiniBand switches have a management address alone; a leaf of oob is the gateway of its management subnet, which
    is its management address; it has an AS where it has links to other switches of ours.

    ``links``: link, a_ipv4, b_ipv4, a_ipv6, b_ipv6 (/31 and /127; null where unnumbered); one row a link between two of
    our switches that is not InfiniBand.

    ``host_ports``: port (of the host), leaf_port, device (the host), leaf, network, rail, plane, ipv4, prefix_ipv4
    (31), gateway_ipv4 (the leaf port's own address), ipv6, prefix_ipv6 (127), gateway_ipv6, subnet_ipv4, subnet_ipv6
    (of the rail and plane, over all segments); one row a port on a network other than oob and InfiniBand.

    ``leaf_subnets``: leaf, network, rail, plane, subnet_ipv4, subnet_ipv6, gateway_ipv4, gateway_ipv6; what a leaf
    advertises, one row a leaf and rail. Gateways are null but on leaves of oob, whose ports share them.

    ``management``: port, leaf_port, device, leaf, ipv4, prefix_ipv4, gateway_ipv4, ipv6, prefix_ipv6, gateway_ipv6; one
    row an oob port of a host, a PDU or a switch.
    """

    switches: pl.DataFrame
    links: pl.DataFrame
    host_ports: pl.DataFrame
    leaf_subnets: pl.DataFrame
    management: pl.DataFrame


def addresses(plan: Plan) -> Addresses:
    """The addresses of a plan, made once. Raises InputError where pools overlap or are too small."""
    found = plan.__dict__.get(_CACHE)
    if found is None:
        found = plan.__dict__[_CACHE] = _addresses(plan)
    assert isinstance(found, Addresses)
    return found


def network_subnet(plan: Plan, network: str) -> tuple[str, str]:
    """IPv4 and IPv6 subnet of all host ports of a network: every rail, plane and segment there is room for."""
    hosts = plan.intent.addressing.hosts
    four = ipaddress.IPv4Network(hosts.ipv4)
    own = part(four.num_addresses, HOST_NETWORKS[network])
    shift = host_shift(hosts.ipv4, hosts.ipv6)
    summary = _summaries(hosts.ipv4, hosts.ipv6, np.array([own.begin]), np.array([int(own.size)]), shift, spread=True)
    return str(summary["subnet_ipv4"][0]), str(summary["subnet_ipv6"][0])


def _addresses(plan: Plan) -> Addresses:
    if problems := list(_overlaps(plan.intent.addressing)):
        raise InputError(problems)
    made = blocks(plan)
    if made.problems:
        raise InputError(made.problems)
    management = _management(plan, made)
    return Addresses(
        switches=_switches(plan, made, management),
        links=_links(plan, made),
        host_ports=_host_ports(plan, made),
        leaf_subnets=_leaf_subnets(plan, made),
        management=management,
    )


def _overlaps(pools: Addressing) -> Iterator[Problem]:
    """Pools that share addresses; AS numbers that count down."""
    for family in ("ipv4", "ipv6"):
        nets = [(name, ipaddress.ip_network(getattr(getattr(pools, name), family))) for name in POOLS]
        for (one, first), (other, second) in combinations(nets, 2):
            if first.overlaps(second):
                shared = min(first.num_addresses, second.num_addresses)
                what = f"{one} {first} and {other} {second} overlap in {shared:,} addresses"
                yield Problem(f"addressing.{other}.{family}", what, "give each pool its own network")
    if pools.asns.first > pools.asns.last:
        what = f"first {pools.asns.first} is above last {pools.asns.last}"
        yield Problem("addressing.asns", what, "exchange them")


def _switches(plan: Plan, made: Blocks, management: pl.DataFrame) -> pl.DataFrame:
    pools = plan.intent.addressing
    first = plan.fabric.hosts.height
    zero = np.zeros_like(made.loopback)
    own = pl.DataFrame(
        {
            "device": pl.int_range(first, first + len(made.loopback), dtype=pl.UInt32, eager=True),
            "asn": _positive(made.asn),
            "loopback_ipv4": ipv4_text(pools.loopbacks.ipv4, made.loopback),
            "loopback_ipv6": _null_below(
                ipv6_text(pools.loopbacks.ipv6, zero, 0, np.maximum(made.loopback, 0)), made.loopback
            ),
        }
    )
    columns = ("ipv4", "prefix_ipv4", "gateway_ipv4", "ipv6", "prefix_ipv6", "gateway_ipv6")
    ports = management.sort("port").unique("device", keep="first", maintain_order=True)
    ports = pl.concat([ports.select("device", *columns), _gateways(plan, made).select("device", *columns)])
    ports = ports.rename({name: f"mgmt_{name}" for name in columns})
    return own.join(ports, on="device", how="left", maintain_order="left")


def _links(plan: Plan, made: Blocks) -> pl.DataFrame:
    """Both ends of each link: the a side has the even address."""
    pools = plan.intent.addressing
    columns: dict[str, pl.Series] = {"link": pl.Series(made.link, dtype=pl.UInt32)}
    numbered = pools.point_to_point == "numbered"
    zero = np.zeros_like(made.link)
    for family in ("ipv4", "ipv6"):
        for number, side in enumerate("ab"):
            offset = made.link_offset + number
            text = pl.repeat(None, len(made.link), dtype=pl.String, eager=True)
            if numbered:
                text = (
                    ipv4_text(pools.links.ipv4, offset)
                    if family == "ipv4"
                    else ipv6_text(pools.links.ipv6, zero, 0, offset)
                )
            columns[f"{side}_{family}"] = text
    return pl.DataFrame(columns)


def _host_ports(plan: Plan, made: Blocks) -> pl.DataFrame:
    """The leaf has the even address of each pair, the host the odd one."""
    pool, shift, at = plan.intent.addressing.hosts, made.host_shift, made.seats
    pair = 2 * at.seat
    return pl.DataFrame(
        {
            "port": pl.Series(at.port, dtype=pl.UInt32),
            "leaf_port": pl.Series(at.leaf_port, dtype=pl.UInt32),
            "device": pl.Series(at.device, dtype=pl.UInt32),
            "leaf": pl.Series(at.leaf, dtype=pl.UInt32),
            "network": at.network,
            "rail": pl.Series(at.rail, dtype=pl.UInt16),
            "plane": pl.Series(at.plane, dtype=pl.UInt16),
            "ipv4": ipv4_text(pool.ipv4, at.subnet + pair + 1),
            "prefix_ipv4": _repeat(31, at.port),
            "gateway_ipv4": ipv4_text(pool.ipv4, at.subnet + pair),
            "ipv6": ipv6_text(pool.ipv6, at.subnet, shift, pair + 1),
            "prefix_ipv6": _repeat(127, at.port),
            "gateway_ipv6": ipv6_text(pool.ipv6, at.subnet, shift, pair),
            **_summaries(pool.ipv4, pool.ipv6, at.rail_begin, at.rail_size, shift, spread=True),
        }
    )


def _leaf_subnets(plan: Plan, made: Blocks) -> pl.DataFrame:
    hosts, at = plan.intent.addressing.hosts, made.subnets
    first = pl.DataFrame(
        {
            "leaf": pl.Series(at.leaf, dtype=pl.UInt32),
            "network": at.network,
            "rail": pl.Series(at.rail, dtype=pl.UInt16),
            "plane": pl.Series(at.plane, dtype=pl.UInt16),
            **_summaries(hosts.ipv4, hosts.ipv6, at.begin, at.size, made.host_shift),
            "gateway_ipv4": pl.repeat(None, len(at.leaf), dtype=pl.String, eager=True),
            "gateway_ipv6": pl.repeat(None, len(at.leaf), dtype=pl.String, eager=True),
        }
    )
    pool, oob = plan.intent.addressing.management, made.oob
    gateways = _gateways(plan, made)
    second = pl.DataFrame(
        {
            "leaf": gateways["device"],
            "network": pl.repeat("oob", len(oob.leaf), eager=True, dtype=pl.String),
            "rail": pl.repeat(None, len(oob.leaf), dtype=pl.UInt16, eager=True),
            "plane": pl.repeat(0, len(oob.leaf), dtype=pl.UInt16, eager=True),
            **_summaries(pool.ipv4, pool.ipv6, oob.begin, oob.size, made.oob_shift),
            "gateway_ipv4": gateways["ipv4"],
            "gateway_ipv6": gateways["ipv6"],
        }
    )
    return pl.concat([first, second])


def _summaries(
    ipv4: str, ipv6: str, begin: Ints, size: Ints, shift: int, *, spread: bool = False
) -> dict[str, pl.Series]:
    """``subnet_ipv4`` and ``subnet_ipv6`` of blocks of addresses; ``spread``: over the subnets of several leaves.

    A leaf's own block is one IPv6 subnet of the width of ``shift``; that of a rail spans those of its leaves.
    """
    host_bits = np.log2(np.maximum(size, 1)).astype(np.int64)
    bits6 = host_bits + shift if spread else np.maximum(host_bits, shift)
    four = ipv4_text(ipv4, begin) + "/" + pl.Series(32 - host_bits).cast(pl.String)
    six = ipv6_text(ipv6, begin, shift, np.zeros_like(begin)) + "/" + pl.Series(128 - bits6).cast(pl.String)
    return {"subnet_ipv4": four, "subnet_ipv6": six}


def _management(plan: Plan, made: Blocks) -> pl.DataFrame:
    """Ports of an oob leaf follow its gateway, which is the first address of the leaf's subnet."""
    pool, at = plan.intent.addressing.management, made.oob_seats
    host = at.seat + 2
    columns = {name: pl.Series(getattr(at, name), dtype=pl.UInt32) for name in ("port", "leaf_port", "device", "leaf")}
    return pl.DataFrame({**columns, **_managed(pool.ipv4, pool.ipv6, at.subnet, host, at.rail_size, made.oob_shift)})


def _gateways(plan: Plan, made: Blocks) -> pl.DataFrame:
    """Leaves of oob as if they were ports of their own subnets."""
    pool, at = plan.intent.addressing.management, made.oob
    one = np.ones_like(at.begin)
    frame = pl.DataFrame(
        {"device": pl.Series(at.leaf, dtype=pl.UInt32)}
        | _managed(pool.ipv4, pool.ipv6, at.begin, one, at.size, made.oob_shift)
    )
    return frame.with_columns(gateway_ipv4=pl.lit(None, pl.String), gateway_ipv6=pl.lit(None, pl.String))


def _managed(ipv4: str, ipv6: str, subnet: Ints, host: Ints, size: Ints, shift: int) -> dict[str, pl.Series]:
    bits = np.log2(np.maximum(size, 1)).astype(np.int64)
    one = np.ones_like(subnet)
    return {
        "ipv4": ipv4_text(ipv4, subnet + host),
        "prefix_ipv4": pl.Series(32 - bits, dtype=pl.UInt8),
        "gateway_ipv4": ipv4_text(ipv4, subnet + one),
        "ipv6": ipv6_text(ipv6, subnet, shift, host),
        "prefix_ipv6": pl.Series(128 - np.maximum(bits, shift), dtype=pl.UInt8),
        "gateway_ipv6": ipv6_text(ipv6, subnet, shift, one),
    }


def _repeat(value: int, like: Ints) -> pl.Series:
    return pl.repeat(value, len(like), dtype=pl.UInt8, eager=True)


def _positive(numbers: Ints) -> pl.Series:
    """As UInt32, null below 0."""
    return _null_below(pl.Series(np.maximum(numbers, 0)).cast(pl.UInt32), numbers)


def _null_below(values: pl.Series, offset: Ints) -> pl.Series:
    return pl.select(pl.when(pl.Series(offset >= 0)).then(values)).to_series()
