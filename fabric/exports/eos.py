"""Arista EOS: ``configs/<switch>/startup-config`` of every switch that runs it (docs/vendors.md).

What is by port is written for all switches at once, as columns; the rest is short text by switch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from fabric.ecmp_hash import hash_of
from fabric.errors import InputError, Problem
from fabric.exports.frr.domains import FAMILIES
from fabric.exports.frr.kinds import section
from fabric.exports.frr.policy import Rule
from fabric.exports.routers import EVERYTHING, MANAGEMENT_VLAN, Router, by_device, is_address, routers
from fabric.fill import placeholder, snmp_secret
from fabric.intent.services import Services
from fabric.plan import Plan
from fabric.qos import CLASSES, QosPlan, ecn_probability_percent

MOST_MTU = 9214
"""Largest IP packet of a routed port (EOS user manual, ``mtu``)."""
MOST_PATHS = 128
LEAST_SAMPLE = 16_384
"""EOS calls a smaller sampling rate dangerous."""
_FIELDS = {
    "src_ip": "source-ip", "dst_ip": "destination-ip", "src_port": "source-port", "dst_port": "destination-port",
}  # fmt: skip
_ACTIONS = {"drop": "drop", "forward": "no-drop"}
_IP = {"ipv4": "ip", "ipv6": "ipv6"}
VRF = "MGMT"
SSL = "RAILWRIGHT"


def configs(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """``configs/<switch>/startup-config`` of every EOS switch, in the order of switches.

    Raises InputError, before the first file, where EOS cannot do what the intent asks or addresses run out.
    """
    found = routers(plan, "eos")
    if wrong := list(_problems(plan.intent.services, found.routers)):
        raise InputError(wrong)
    if not found.routers:
        return
    curves = {name: rules for router in found.routers if (rules := router.rules) for name in [router.row["network"]]}
    interfaces = by_device(found.ports.with_columns(lines=_interface(curves)), "lines")
    neighbours = by_device(found.sessions.with_columns(lines=_neighbour()), "lines")
    speeds = _speeds(found.ports)
    for router in found.routers:
        device = router.row["device"]
        text = _file(plan, router, interfaces.get(device, ""), neighbours.get(device, ""), speeds.get(device, []))
        yield f"configs/{router.name}/startup-config", text.encode()


def _problems(services: Services, found: Sequence[Router]) -> Iterator[Problem]:
    for number, server in enumerate(services.dns if found else ()):
        if not is_address(server):
            yield Problem(
                f"services.dns.{number}", f'EOS takes an IP address here, not "{server}"', "write its address"
            )
    for network in sorted({router.row["network"] for router in found if router.rules}):
        rules = next(router.rules for router in found if router.row["network"] == network)
        if rules is not None and rules.watchdog.action not in _ACTIONS:
            where = f"networks.{network}.qos.watchdog.action"
            yield Problem(where, f"EOS has no {rules.watchdog.action}", "write drop or forward")


def _speeds(ports: pl.DataFrame) -> dict[int, list[int]]:
    """Speeds of the lossless ports, by device."""
    rows = ports.filter("lossless").group_by("device").agg(pl.col("speed_gbps").unique().sort())
    return dict(rows.iter_rows())


def _file(plan: Plan, router: Router, interfaces: str, neighbours: str, speeds: Sequence[int]) -> str:
    services, row = plan.intent.services, router.row
    vrf, source = _reach(router)
    parts = [
        f"hostname {router.name}\n",
        "service routing protocols model multi-agent\n",
        "lldp timer 30\nlldp run\n",
        _logging(services, vrf, source),
        "".join(f"ip name-server{vrf} {server}\n" for server in services.dns),
        _ntp(services, vrf, source),
        _sflow(plan, router, vrf, source),
        _snmp(services, row["location"], vrf, source),
        "spanning-tree mode mstp\n" if router.oob else "spanning-tree mode none\n",
        *_qos(router.rules, speeds),
        f"vlan {MANAGEMENT_VLAN}\n   name oob\n" if router.oob else "",
        f"vrf instance {VRF}\n" if router.managed else "",
        f"management security\n   ssl profile {SSL}\n      certificate railwright.crt key railwright.key\n"
        "      trust certificate railwright-ca.crt\n",
        interfaces.removesuffix("!\n"),
        _loopback(router),
        _management(router),
        _vlan(router),
        _hash(plan, router),
        "ip routing ipv6 interfaces\n" if "neighbor interface" in neighbours else "ip routing\n",
        f"no ip routing vrf {VRF}\n" if router.managed else "",
        "ipv6 unicast-routing\n",
        *_policy(router),
        _static(router),
        _pause(router.rules, speeds),
        _bgp(router, neighbours),
        f"management api gnmi\n   transport grpc default\n      ssl profile {SSL}\n"
        f"{f'      vrf {VRF}{chr(10)}' if router.managed else ''}   provider eos-native\n",
    ]
    return "!\n" + "!\n".join(part for part in parts if part) + "!\nend\n"


def _reach(router: Router) -> tuple[str, str]:
    """The VRF, as commands have it, and the interface that services are reached from."""
    if router.managed:
        return f" vrf {VRF}", "Management1"
    return "", f"Vlan{MANAGEMENT_VLAN}" if router.oob else "Loopback0"


def _logging(services: Services, vrf: str, source: str) -> str:
    hosts = "".join(f"logging{vrf} host {server}\n" for server in services.syslog)
    return f"logging trap notifications\n{hosts}logging{vrf} source-interface {source}\n" if hosts else ""


def _ntp(services: Services, vrf: str, source: str) -> str:
    servers = "".join(f"ntp server{vrf} {server} iburst\n" for server in services.ntp)
    return f"ntp local-interface{vrf} {source}\n{servers}" if servers else ""


def _sflow(plan: Plan, router: Router, vrf: str, source: str) -> str:
    """One packet in as many as the fastest cage mode has Mb/s: EOS has one rate for all ports."""
    collectors = plan.intent.services.collectors
    if not collectors:
        return ""
    groups = plan.catalogue.switches[router.row["model"]].cages
    rate = max(LEAST_SAMPLE, 1000 * max(mode.speed_gbps for group in groups for mode in group.modes))
    lines = [f"sflow{vrf} destination {one.address} {one.sflow_port}\n" for one in collectors]
    return (
        f"sflow sample {rate}\nsflow polling-interval 20\n{''.join(lines)}"
        f"sflow{vrf} source-interface {source}\nsflow run\n"
    )


def _snmp(services: Services, location: str, vrf: str, source: str) -> str:
    """SNMPv3 alone: a user's pass phrases are placeholders, EOS makes keys of them when it reads the file."""
    if not services.snmp_users:
        return ""
    users = [
        f"snmp-server user {user.name} RAILWRIGHT v3 auth {user.authentication} "
        f"{placeholder(snmp_secret(user.name, 'AUTH'))} priv {user.privacy} "
        f"{placeholder(snmp_secret(user.name, 'PRIV'))}\n"
        for user in services.snmp_users
    ]
    first = services.snmp_users[0].name
    traps = [
        f"snmp-server host {one.address}{vrf} version 3 priv {first}"
        + ("\n" if one.trap_port == 162 else f" udp-port {one.trap_port}\n")
        for one in services.collectors
    ]
    return "".join(
        [
            f"snmp-server location {location}\nsnmp-server{vrf} local-interface {source}\n",
            "snmp-server view RAILWRIGHT iso included\nsnmp-server group RAILWRIGHT v3 priv read RAILWRIGHT\n",
            *users,
            *traps,
            *(["snmp-server enable traps\n"] if traps else []),
            *([f"no snmp-server vrf default\nsnmp-server{vrf}\n"] if vrf else []),
        ]
    )


def _qos(rules: QosPlan | None, speeds: Sequence[int]) -> Iterator[str]:
    """Maps of the whole switch, and a profile for the lossless ports of each speed."""
    if rules is None:
        return
    classes: dict[int, list[str]] = {}
    for dscp, traffic_class in enumerate(rules.dscp_to_class):
        classes.setdefault(traffic_class, []).append(str(dscp))
    lines = [f"qos map dscp {' '.join(dscps)} to traffic-class {n}\n" for n, dscps in sorted(classes.items())]
    lines += [f"qos map traffic-class {n} to uc-tx-queue {n}\n" for n in range(CLASSES)]
    yield "".join(lines)
    for speed in speeds:
        yield _profile(rules, speed)


def profile_name(speed_gbps: int) -> str:
    """Name of the QoS profile of lossless ports of a speed."""
    return f"ROCE-{speed_gbps}G"


def _profile(rules: QosPlan, speed: int) -> str:
    curve = rules.ecn(speed)
    ecn = (
        f"      random-detect ecn minimum-threshold {curve.kmin_kb} kbytes maximum-threshold {curve.kmax_kb} kbytes "
        f"max-mark-probability {ecn_probability_percent(curve)}\n"
    )
    text = f"qos profile {profile_name(speed)}\n   qos trust dscp\n"
    for queue in rules.queues:
        weighted = f"      no priority\n      bandwidth percent {queue.percent}\n"
        text += f"   !\n   uc-tx-queue {queue.traffic_class}\n"
        text += "      priority strict\n" if queue.service == "strict" else weighted
        text += ecn if queue.traffic_class == rules.roce_class else ""
    text += "   !\n   priority-flow-control on\n"
    text += "".join(f"   priority-flow-control priority {n} no-drop\n" for n in rules.pfc_priorities)
    return text + "   priority-flow-control pause watchdog\n"


def _pause(rules: QosPlan | None, speeds: Sequence[int]) -> str:
    """PFC of the whole switch: the watchdog's times in seconds; off where no port is lossless."""
    if rules is None or not speeds:
        return "priority-flow-control all off\n"
    watchdog = rules.watchdog
    poll = min(watchdog.detection_ms, watchdog.restoration_ms) / 2000
    return "".join(
        f"priority-flow-control pause watchdog {what}\n"
        for what in (
            f"default timeout {watchdog.detection_ms / 1000:g}",
            f"default recovery-time {watchdog.restoration_ms / 1000:g}",
            f"default polling-interval {poll:g}",
            f"action {_ACTIONS[watchdog.action]}",
        )
    )


def _interface(curves: dict[str, QosPlan]) -> pl.Expr:
    """The block of a port, with a ``!`` after it."""
    fec = pl.col("fec").replace_strict(
        {"none": "no error-correction encoding", "fc": "error-correction encoding fire-code"},
        default="error-correction encoding reed-solomon",
    )
    mtus = {name: min(MOST_MTU, rules.mtu) for name, rules in curves.items()}
    mtu = pl.col("network").replace_strict(mtus, default=MOST_MTU, return_dtype=pl.UInt32)
    slow = pl.format("{}gfull", "speed_gbps")
    speed = pl.when(pl.col("speed_gbps") < 50).then(slow).otherwise(pl.format("{}g-{}", "speed_gbps", "lanes"))
    member = pl.col("linked") & ~pl.col("routed") & (pl.col("network") == "oob")
    switchport = f"   switchport access vlan {MANAGEMENT_VLAN}\n   switchport\n   spanning-tree portfast\n"
    lossless = pl.format("   service-profile {}\n", pl.format("ROCE-{}G", "speed_gbps"))
    unnumbered = pl.col("routed") & pl.col("ipv4").is_null()
    return pl.concat_str(
        pl.format("interface {}\n", "name"),
        pl.when("linked").then(pl.format("   description {}\n   no shutdown\n", "peer")).otherwise(
            pl.lit("   shutdown\n")
        ),
        pl.when(~member).then(pl.format("   mtu {}\n", mtu)).otherwise(pl.lit("")),
        pl.format("   speed {}\n", speed),
        pl.format("   {}\n", fec).fill_null(""),
        pl.when(member).then(pl.lit(switchport)).otherwise(pl.lit("   no switchport\n")),
        pl.format("   ip address {}\n", "ipv4").fill_null(""),
        pl.when(unnumbered).then(pl.lit("   ipv6 enable\n")).otherwise(pl.lit("")),
        pl.format("   ipv6 address {}\n", "ipv6").fill_null(""),
        pl.when("lossless").then(lossless).otherwise(pl.lit("   no priority-flow-control\n")),
        pl.lit("!\n"),
    )  # fmt: skip


def _loopback(router: Router) -> str:
    four, six = router.row["loopback_ipv4"], router.row["loopback_ipv6"]
    lines = [f"   ip address {four}/32\n"] if four else []
    lines += [f"   ipv6 address {six}/128\n"] if six else []
    return "interface Loopback0\n   description router\n" + "".join(lines) if lines else ""


def _management(router: Router) -> str:
    if not router.managed:
        return ""
    row = router.row
    lines = [f"   {_IP[f]} address {row[f'mgmt_{f}']}/{row[f'mgmt_prefix_{f}']}\n" for f in router.managed]
    return f"interface Management1\n   description oob\n   vrf {VRF}\n{''.join(lines)}"


def _vlan(router: Router) -> str:
    row = router.row
    families = [f for f in FAMILIES if router.oob and row[f"mgmt_{f}"]]
    lines = [f"   {_IP[f]} address {row[f'mgmt_{f}']}/{row[f'mgmt_prefix_{f}']}\n" for f in families]
    return f"interface Vlan{MANAGEMENT_VLAN}\n   description oob\n{''.join(lines)}" if lines else ""


def _hash(plan: Plan, router: Router) -> str:
    """Fields and seed of the tier."""
    found = hash_of(plan, router.row["tier"], "eos", router.row["model"])
    assert found is not None
    fields = " ".join(_FIELDS[name] for name in found.fields if name in _FIELDS)
    return (
        f"ip load-sharing trident {found.seed}\n"
        f"ip load-sharing trident fields ip {fields}\nip load-sharing trident fields ipv6 {fields}\n"
    )


def _policy(router: Router) -> Iterator[str]:
    policy = router.policy
    for name, family, permitted in policy.prefix_lists:
        rows = "".join(f"   seq {10 * n} permit {what}\n" for n, what in enumerate(permitted, start=1))
        yield f"{_IP[family]} prefix-list {name}\n{rows}"
    yield "".join(
        f"ip as-path access-list {name} permit {pattern} any\n"
        for name, patterns in policy.as_paths
        for pattern in patterns
    )
    for name, rules in policy.route_maps:
        yield from _route_map(name, rules)


def _route_map(name: str, rules: Sequence[Rule]) -> Iterator[str]:
    entries = [entry for rule in rules for entry in rule.entries()]
    for n, (action, lines) in enumerate(entries, start=1):
        yield f"route-map {name} {action} {10 * n}\n" + "".join(f"  {line}\n" for line in lines)


def _static(router: Router) -> str:
    """Summaries are dropped where no port has the address; oob leaves and management ports have default routes."""
    lines = []
    for family in FAMILIES:
        command = f"{_IP[family]} route"
        if family in router.managed:
            lines.append(f"{command} vrf {VRF} {EVERYTHING[family]} {router.row[f'mgmt_gateway_{family}']}\n")
        lines += [f"{command} {subnet} Null0 254\n" for subnet in router.summaries[family]]
        lines += [f"{command} {prefix} {via}\n" for prefix, via in router.static[family]]
    return "".join(lines)


def _neighbour() -> pl.Expr:
    """Lines of ``router bgp`` for one session's link: an address of each family, or the interface."""
    remote = pl.coalesce(pl.col("peer_asn").cast(pl.String), pl.lit("__RAILWRIGHT_EXTERNAL_ASN__"))
    text = pl.concat_str("peer", "peer_port", separator=" ").fill_null("external")
    numbered = [
        pl.format(
            "   neighbor {} peer group {}\n   neighbor {} remote-as {}\n   neighbor {} description {}\n",
            family, pl.col("group") + f"-{family}", family, remote, family, text,
        )
        for family in FAMILIES
    ]  # fmt: skip
    plain = pl.format("   neighbor interface {} peer-group {} remote-as {}\n", "name", "group", remote)
    return pl.when(pl.col("ipv4").is_null()).then(plain).otherwise(pl.concat_str(numbered))


def _bgp(router: Router, neighbours: str) -> str:
    if not router.peers:
        return ""
    kind, row = router.kind, router.row
    paths = min(MOST_PATHS, kind.paths)
    lines = [
        f"router bgp {row['asn']}\n   router-id {row['loopback_ipv4']}\n   no bgp default ipv4-unicast\n",
        f"   maximum-paths {paths} ecmp {paths}\n   bgp bestpath as-path multipath-relax\n",
    ]
    for name, group, families in kind.sections():
        most = max(kind.most(group, family) for family in families)
        lines.append(f"   neighbor {name} peer group\n")
        if group == "external":
            lines.append(f"   neighbor {name} remove-private-as all replace-as\n")
        else:
            bfd = kind.timers.bfd_ms
            lines.append(f"   neighbor {name} bfd\n   neighbor {name} bfd interval {bfd} min-rx {bfd} multiplier 3\n")
        lines.append(f"   neighbor {name} timers {kind.timers.keepalive} {kind.timers.hold}\n")
        lines.append(f"   neighbor {name} maximum-routes {most} warning-limit 80 percent\n")
    return "".join(lines) + neighbours + "".join(_family(router, family) for family in FAMILIES)


def _family(router: Router, family: str) -> str:
    lines = [f"   !\n   address-family {family}\n"]
    for name, group, families in router.kind.sections():
        if family not in families:
            continue
        lines.append(f"      neighbor {name} activate\n")
        lines.append(f"      neighbor {name} route-map FROM-{group.upper()} in\n")
        lines.append(f"      neighbor {name} route-map TO-{group.upper()} out\n")
        if family == "ipv4" and name == section(group, None):
            lines.append(f"      neighbor {name} next-hop address-family ipv6 originate\n")
    return "".join(lines) + "".join(f"      network {prefix}\n" for prefix in router.announced(family))
