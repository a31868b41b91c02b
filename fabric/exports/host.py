"""What hosts load: addresses and routes, RoCE quality of service, NCCL's environment, LLDP; docs/hosts.md.

``hosts/<host>/netplan.yaml`` (to /etc/netplan/), ``roce-qos.sh``, ``nccl.conf`` (to /etc/), ``lldpd.conf`` (to
/etc/lldpd.d/) and ``sysctl.conf`` (to /etc/sysctl.d/). Hosts whose ports are alike share templates; a host is one
filling of them. InfiniBand ports have no IP addresses; ports on oob are the BMC's and have theirs by DHCP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING, Any

import polars as pl

from fabric.addressing import addresses, network_subnet
from fabric.errors import InputError, Problem
from fabric.exports import host_nccl, host_netplan, host_qos
from fabric.intent.qos import Qos
from fabric.population import asked, on_network
from fabric.qos import DEFAULT_LENGTH_M, QosPlan, qos

if TYPE_CHECKING:
    from fabric.inventory import Inventory
    from fabric.plan import Plan

INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
"""What Linux takes as the name of an interface and no shell or YAML takes for something else."""

LLDPD = """\
configure system hostname {host}
configure lldp portidsubtype ifname
configure lldp tx-interval 30
configure system interface pattern {interfaces}
"""
SYSCTL = """\
# Several interfaces in one host: each answers for its own address alone, and a reply may come by another.
net.ipv4.conf.all.arp_ignore = 1
net.ipv4.conf.default.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2
net.ipv4.conf.default.arp_announce = 2
net.ipv4.conf.all.rp_filter = 2
net.ipv4.conf.default.rp_filter = 2
"""
_FILLED = ("ipv4", "gateway_ipv4", "subnet_ipv4", "ipv6", "gateway_ipv6", "subnet_ipv6")


@dataclass(frozen=True)
class Port:
    """A port of a host that is not on oob, as all hosts of its shape have it."""

    interface: str
    network: str
    rail: int
    rdma: str | None
    addressed: bool


def configs(plan: Plan, inventory: Inventory | None = None) -> Iterator[tuple[str, bytes]]:
    """Path under the bundle and content of every file of every host, in the order of device ids.

    MACs of the inventory tie interfaces to their names. Raises InputError where an interface has a name that no Linux
    host can have.
    """
    rows = _rows(plan)
    _refuse_names(rows)
    yield from _filled(plan, rows, {} if inventory is None else inventory.macs(plan))


def _filled(plan: Plan, rows: pl.DataFrame, macs: Mapping[int, str]) -> Iterator[tuple[str, bytes]]:
    made = _Templates(plan)
    names = plan.fabric.hosts["name"]
    models = plan.fabric.hosts["group"].cast(pl.String)
    for device, of in groupby(rows.iter_rows(), key=lambda row: int(row[0])):
        ports = list(of)
        template = made.of(models[device], tuple(row[1:6] for row in ports))
        yield from template.fill(names[device], ports, macs)


def samples(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """The files of the first host of each group: what checks read."""
    rows = _rows(plan)
    groups = plan.fabric.hosts.select(device="id", group="group")
    firsts = rows.select("device").unique().join(groups, on="device").sort("device").unique("group", keep="first")
    yield from _filled(plan, rows.filter(pl.col("device").is_in(firsts["device"].implode())), {})


def _rows(plan: Plan) -> pl.DataFrame:
    """One row a port: device, interface, network, rail, RDMA device, addressed, port, metres, and what is filled in."""
    fabric = plan.fabric
    nics = fabric.nics.select(nic="id", nic_rail=pl.col("rail").cast(pl.Int64))
    ports = fabric.ports.filter(pl.col("nic").is_not_null() & (pl.col("network") != "oob"))
    ports = ports.select("device", "nic", port="id", interface="name", network=pl.col("network").cast(pl.String))
    groups = fabric.hosts.select(device="id", group=pl.col("group").cast(pl.String))
    ports = ports.join(nics, on="nic", how="left").join(groups, on="device", how="left")
    links = fabric.links.select(port="a_port", length_m=fabric.cables["length_m"].gather(fabric.links["cable"]))
    ports = ports.join(links, on="port", how="left", maintain_order="left")
    given = addresses(plan).host_ports.select("port", *_FILLED)
    ports = ports.join(given, on="port", how="left", maintain_order="left").join(
        rdma_devices(plan), on=["group", "interface"], how="left", maintain_order="left"
    )
    return ports.sort("device", "port").select(
        "device", "interface", "network", "nic_rail", "rdma", addressed=pl.col("ipv4").is_not_null(), port="port",
        length_m=pl.col("length_m").fill_null(DEFAULT_LENGTH_M), **{name: pl.col(name) for name in _FILLED},
    )  # fmt: skip


def rdma_devices(plan: Plan) -> pl.DataFrame:
    """``group, interface, rdma``: RDMA devices, where the catalogue names them."""
    rows = []
    for group in plan.intent.hosts:
        for nic in plan.catalogue.servers[group.model].nics:
            if nic.interfaces is not None and nic.rdma is not None:
                rows += [(group.name, *pair) for pair in zip(nic.interfaces, nic.rdma, strict=True)]
    schema = {"group": pl.String, "interface": pl.String, "rdma": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _refuse_names(rows: pl.DataFrame) -> None:
    names = rows["interface"].unique(maintain_order=True)
    wrong = [str(name) for name in names if not INTERFACE.fullmatch(str(name))]
    if wrong:
        remedy = "give the NIC group `interfaces` in a catalogue file: at most 15 letters, digits, . _ and -"
        raise InputError(
            Problem("catalogue.servers", f'"{name}" is no name for an interface', remedy) for name in wrong[:20]
        )


@dataclass(frozen=True)
class HostTemplate:
    """The files of hosts whose ports are alike."""

    netplan: str | None
    qos: str | None
    nccl: str | None
    lldpd: str | None
    addressed: tuple[int, ...]
    """Which ports the netplan file has."""
    roce: tuple[int, ...]
    """Which ports the script has."""

    def fill(self, host: str, ports: Sequence[tuple[Any, ...]], macs: Mapping[int, str]) -> Iterator[tuple[str, bytes]]:
        """The files of one host; ``ports`` are its rows."""
        values = {"host": host}
        for number, at in enumerate(self.addressed):
            row = ports[at]
            values |= {f"{name}_{number}": text for name, text in zip(_FILLED, row[8:], strict=True)}
            mac = macs.get(row[6])
            values[f"match_{number}"] = host_netplan.match(mac, row[1]) if mac else ""
        for number, at in enumerate(self.roce):
            values[f"length_{number}"] = str(ceil(ports[at][7]))
        folder = f"hosts/{host}"
        for name, text in (("netplan.yaml", self.netplan), ("roce-qos.sh", self.qos), ("lldpd.conf", self.lldpd)):
            if text is not None:
                yield f"{folder}/{name}", text.format_map(values).encode()
        if self.nccl is not None:
            yield f"{folder}/nccl.conf", self.nccl.encode()
        if self.netplan is not None:
            yield f"{folder}/sysctl.conf", SYSCTL.encode()


class _Templates:
    """Makes each template once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rules: dict[str, QosPlan] = {name: r for name in plan.design.networks if (r := qos(plan, name))}
        self.gpus = {group.name: plan.catalogue.servers[group.model].gpus for group in plan.intent.hosts}
        self.nic_ports = {
            (member.group.name, network): max(nic.ports for nic in member.nics)
            for network in plan.design.networks
            for member in on_network(plan.intent, plan.catalogue, network)
        }
        self.of = lru_cache(maxsize=None)(self._make)

    def _make(self, group: str, shape: tuple[tuple[Any, ...], ...]) -> HostTemplate:
        ports = [Port(*row) for row in shape]
        addressed = tuple(n for n, port in enumerate(ports) if port.addressed)
        roce = tuple(n for n, port in enumerate(ports) if port.network in self.rules and port.addressed)
        netplan = host_netplan.template(list(self._netplan_ports([ports[n] for n in addressed])))
        script = host_qos.script(
            [host_qos.RocePort(p.interface, p.network, p.rdma is None) for p in (ports[n] for n in roce)], self.rules
        )
        return HostTemplate(
            netplan=netplan if addressed else None,
            qos=script if roce else None,
            nccl=self._nccl(group, ports),
            lldpd=LLDPD.replace("{interfaces}", ",".join(ports[n].interface for n in addressed)) if addressed else None,
            addressed=addressed,
            roce=roce,
        )

    def _netplan_ports(self, ports: Sequence[Port]) -> Iterator[host_netplan.NetplanPort]:
        servers = tuple(server for server in self.plan.intent.services.dns if re.fullmatch(r"[0-9a-fA-F:.]+", server))
        first = next((port for port in ports if port.network == "frontend"), ports[0] if ports else None)
        for port in ports:
            yield host_netplan.NetplanPort(
                interface=port.interface,
                network=port.network,
                mtu=(asked(self.plan.intent, port.network).qos or Qos()).mtu,
                wide=self._wide(port.network, ports),
                default=port.network == "frontend",
                nameservers=servers if port is first else (),
            )

    def _wide(self, network: str, ports: Sequence[Port]) -> tuple[str, str] | None:
        """The whole network, where the host lacks some of its rails and leaves of all rails reach each other."""
        design = self.plan.design.networks[network]
        rails = len({port.rail for port in ports if port.network == network})
        apart = design.layout == "rail-only" or (design.planes > 1 and design.planes_join == "never")
        if network == "frontend" or apart or rails == max(cls.rails for cls in design.classes):
            return None
        return network_subnet(self.plan, network)

    def _nccl(self, group: str, ports: Sequence[Port]) -> str | None:
        """NCCL's environment; None for hosts without GPUs or without compute ports."""
        compute = [port for port in ports if port.network == "compute"]
        if not compute or not self.gpus[group]:
            return None
        design = self.plan.design.networks["compute"]
        infiniband = design.technology == "infiniband"
        devices = [port.rdma or ("" if infiniband else port.interface) for port in compute]
        by_network = {name: [p.interface for p in ports if p.network == name and p.addressed] for name in _NETWORKS}
        return host_nccl.conf(
            host_nccl.Nccl(
                technology=design.technology,
                devices=tuple(devices) if all(devices) else (),
                sockets=host_nccl.sockets(by_network["frontend"], by_network["storage"], by_network["compute"]),
                crossing=design.layout == "top-of-rack",
                tos=self.rules["compute"].roce_tos if "compute" in self.rules else None,
                ports_per_nic=self.nic_ports[group, "compute"],
            )
        )


_NETWORKS = ("compute", "storage", "frontend")
