"""What a Linux switch with plain FRR loads beside ``frr.conf``: interfaces, kernel settings, which daemons to start.

``interfaces`` is a batch of ``ip`` (``ip -force -batch interfaces``), which every Linux has, and ``interfaces6`` one of
``ip -6``, for the one thing whose family ``ip`` does not tell from the address: rules. ``sysctl.conf`` comes before
both, since settings of ``default`` reach only interfaces that come later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import polars as pl

from fabric.addressing import Addresses
from fabric.plan import Plan
from fabric.qos import qos

MTU = 9216
"""Of ports of networks that are not RoCE; the rest is told by their quality of service."""
OOB_MTU = 1500
BRIDGE = "oob"
"""Joins the ports of an oob leaf and holds its gateway address."""
MANAGEMENT_TABLE = 1001
"""Routing table of the management port: its default route is not that of the fabric."""

_SETTINGS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv6.conf.default.forwarding": 1,
    "net.ipv4.fib_multipath_hash_policy": 1,
    "net.ipv6.fib_multipath_hash_policy": 1,
    "net.ipv4.fib_multipath_use_neigh": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.ignore_routes_with_linkdown": 1,
    "net.ipv4.conf.default.ignore_routes_with_linkdown": 1,
    "net.ipv6.conf.all.ignore_routes_with_linkdown": 1,
    "net.ipv6.conf.default.ignore_routes_with_linkdown": 1,
    "net.ipv6.conf.all.keep_addr_on_down": 1,
    "net.ipv6.conf.default.keep_addr_on_down": 1,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.route.skip_notify_on_dev_down": 1,
    "net.ipv4.neigh.default.gc_thresh1": 8192,
    "net.ipv4.neigh.default.gc_thresh2": 32768,
    "net.ipv4.neigh.default.gc_thresh3": 65536,
    "net.ipv6.neigh.default.gc_thresh1": 8192,
    "net.ipv6.neigh.default.gc_thresh2": 32768,
    "net.ipv6.neigh.default.gc_thresh3": 65536,
}
"""Hash over ports too; keep IPv6 addresses and drop routes of links that are down; room for neighbours."""

Beside = Callable[[int, int, bool], Iterator[tuple[str, str]]]


def linux_files(plan: Plan, known: Addresses, found: pl.DataFrame) -> Beside:
    """A function that gives the files (name, text) of a device, none where it is not a switch with plain FRR.

    Its other arguments: most next hops of a route, and whether there are BGP sessions.
    """
    linux = plan.fabric.switches.filter(pl.col("nos").cast(pl.String) == "frr")
    rows = linux.with_columns(pl.col("network").cast(pl.String)).join(
        known.switches, left_on="id", right_on="device", how="left", maintain_order="left"
    )
    switches = {row["id"]: row for row in rows.iter_rows(named=True)}
    ports = _ports(plan, known, found, linux["id"]) if switches else {}
    settings = "".join(f"{name} = {value}\n" for name, value in _SETTINGS.items())

    def files(device: int, paths: int, routed: bool) -> Iterator[tuple[str, str]]:
        if device in switches:
            yield "interfaces", "".join([_own(switches[device]), ports.get(device, "")])
            if rules := _rule(switches[device], "ipv6"):
                yield "interfaces6", rules
            yield "sysctl.conf", settings
            yield "daemons", _daemons(paths, routed=routed)

    return files


def _daemons(paths: int, *, routed: bool) -> str:
    """``/etc/frr/daemons`` of Debian's package; zebra and staticd always run."""
    start = "yes" if routed else "no"
    return (
        f"bgpd={start}\nbfdd={start}\nvtysh_enable=yes\n"
        f'zebra_options="-A 127.0.0.1 -s 90000000 -e {paths}"\n'
        f'bgpd_options="-A 127.0.0.1 -e {paths}"\n'
        'staticd_options="-A 127.0.0.1"\nbfdd_options="-A 127.0.0.1"\n'
    )


def _own(switch: Mapping[str, Any]) -> str:
    """Loopback and management port; of an oob leaf the bridge."""
    lines = ["link set dev lo up"]
    for family, full in (("ipv4", 32), ("ipv6", 128)):
        if switch[f"loopback_{family}"]:
            lines.append(f"address add {switch[f'loopback_{family}']}/{full} dev lo")
    if switch["network"] == "oob":
        lines += [f"link add name {BRIDGE} type bridge", f"link set dev {BRIDGE} mtu {OOB_MTU} up"]
    if switch["mgmt_ipv4"] is not None:
        lines += _management(switch, BRIDGE if switch["network"] == "oob" else "eth0")
    return "".join(f"{line}\n" for line in lines) + _rule(switch, "ipv4")


def _management(switch: Mapping[str, Any], port: str) -> Iterator[str]:
    """The management address; its default route, in a table of its own, must not wait for a carrier."""
    yield f"link set dev {port} up"
    for family, every in (("ipv4", "0.0.0.0/0"), ("ipv6", "::/0")):
        address, gateway = switch[f"mgmt_{family}"], switch[f"mgmt_gateway_{family}"]
        yield f"address add {address}/{switch[f'mgmt_prefix_{family}']} dev {port}"
        if gateway is not None:
            yield f"route add {every} via {gateway} dev {port} table {MANAGEMENT_TABLE} onlink"


def _rule(switch: Mapping[str, Any], family: str) -> str:
    """What comes from the management address leaves by that table."""
    if switch[f"mgmt_gateway_{family}"] is None:
        return ""
    return f"rule add from {switch[f'mgmt_{family}']} lookup {MANAGEMENT_TABLE}\n"


def _ports(plan: Plan, known: Addresses, found: pl.DataFrame, devices: pl.Series) -> dict[int, str]:
    """Lines of all linked ports by device, in the order of ports."""
    columns = ("device", "port", "peer", "peer_port", "own_ipv4", "own_ipv6", "bridged")
    routers = found.with_columns(bridged=pl.lit(value=False)).select(columns)
    names, port_names = plan.fabric.device_names(), plan.fabric.ports["name"]
    hosts = known.host_ports.select(
        device="leaf", port="leaf_port", peer_device="device", peer_port_id="port",
        own_ipv4="gateway_ipv4", own_ipv6="gateway_ipv6", bridged=pl.lit(value=False),
    )  # fmt: skip
    managed = known.management.select(
        device="leaf", port="leaf_port", peer_device="device", peer_port_id="port",
        own_ipv4=pl.lit(None, pl.String), own_ipv6=pl.lit(None, pl.String), bridged=pl.lit(value=True),
    )  # fmt: skip
    seated = pl.concat([hosts, managed])
    seated = seated.with_columns(
        peer=names.gather(seated["peer_device"]), peer_port=port_names.gather(seated["peer_port_id"])
    )
    both = pl.concat([routers, seated.select(columns)]).filter(pl.col("device").is_in(devices.implode()))
    both = both.sort("device", "port")
    mtu = {
        name: rules.mtu if (rules := qos(plan, name)) else MTU
        for name, one in plan.design.networks.items()
        if one.technology != "infiniband"
    }
    both = both.with_columns(
        name=port_names.gather(both["port"]),
        mtu=pl.when("bridged").then(OOB_MTU).otherwise(
            plan.fabric.ports["network"].cast(pl.String).gather(both["port"]).replace_strict(mtu, default=MTU)
        ),
    )  # fmt: skip
    rows = both.select("device", line=_lines()).group_by("device", maintain_order=True).agg(pl.col("line").str.join())
    return dict(rows.iter_rows())


def _lines() -> pl.Expr:
    """Up, with what is at the other end as alias, and its addresses."""
    peer = pl.when(pl.col("peer").is_null()).then(pl.lit("external")).otherwise(pl.format("{} {}", "peer", "peer_port"))
    up = pl.format('link set dev {} mtu {} alias "{}" up\n', "name", "mtu", peer)
    bridge = pl.format(f"link set dev {{}} master {BRIDGE}\n", "name")
    addresses = [
        pl.coalesce(pl.format(f"address add {{}}/{length} dev {{}}\n", f"own_{family}", "name"), pl.lit(""))
        for family, length in (("ipv4", 31), ("ipv6", 127))
    ]
    return pl.concat_str(up, pl.when("bridged").then(bridge).otherwise(pl.lit("")), *addresses)
