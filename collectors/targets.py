"""Whom to ask: the devices of a plan at their management addresses, with their ports by every name they may use.

A file (CSV ``device,address,port,source``) puts devices elsewhere: behind an address translation, in a twin, in a test.
"""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl

from collectors.sources import Target
from fabric.addressing import addresses
from fabric.errors import InputError, Problem
from fabric.plan import Plan
from fabric.validation import suggest

FIELDS = ("device", "address", "port", "source")
MOST_LINES = 1_000_000
SERVERS = ("prometheus",)
"""Sources that ask one server about many devices; it goes by the source's name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is instead; None: as the plan or the settings say."""

    address: str | None
    port: int | None


Places = Mapping[tuple[str, str], Place]
"""By device and source; source "" stands for all."""


def targets(
    plan: Plan,
    port: int,
    *,
    asks: str = "switch",
    networks: Sequence[str] = (),
    devices: Sequence[str] = ("*",),
    source: str = "",
    places: Places | None = None,
    options: Mapping[str, object] | None = None,
    family: int = 4,
) -> list[Target]:
    """The targets of one source, sorted by device.

    ``asks``: ``switch``, ``host``, ``subnet`` or ``server`` (one, at the option ``address``, that speaks for all
    switches and hosts); ``networks``: only switches of those, or subnets (default: all);
    ``devices``: patterns of names (``leaf-compute-*``). Raises InputError where two devices have one place, or a
    pattern matches nothing.
    """
    if asks == "subnet":
        return _subnets(plan, networks, options or {})
    if asks == "server":
        return [_server(plan, port, networks, devices, source, options or {}, family)]
    managed = _managed(plan, asks, family)
    if asks == "switch" and networks:
        managed = managed.filter(pl.col("network").is_in(list(networks)))
    names = _chosen(managed["name"].to_list(), devices, source)
    managed = managed.filter(pl.col("name").is_in(names)).sort("name")
    ports = _ports(plan, managed["id"])
    found = [
        _target(
            name, address, port, ports.get(device, {}), source, places or {}, _with_agent(options or {}, source, own)
        )
        for device, name, address, own in managed.select("id", "name", "address", "loopback").iter_rows()
    ]
    _refuse_shared(found, source)
    return found


def _with_agent(options: Mapping[str, object], source: str, loopback: str | None) -> Mapping[str, object]:
    """Where there is no management network, switches sign their sFlow with their loopback; some do so always."""
    if source != "sflow" or loopback is None or "addresses" in options:
        return options
    return {**options, "addresses": (loopback,)}


def _managed(plan: Plan, asks: str, family: int) -> pl.DataFrame:
    """id, name, network, address, loopback of switches or hosts.

    A switch without a management port is asked at its loopback, a host with several at the first.
    """
    made = addresses(plan)
    if asks == "switch":
        loopback = f"loopback_ipv{family}"
        address = pl.coalesce(f"mgmt_ipv{family}", loopback)
        rows = made.switches.select(id="device", address=address, loopback=loopback)
        own = plan.fabric.switches.select("id", "name", network=pl.col("network").cast(pl.String))
    else:
        rows = made.management.sort("port").unique("device", keep="first", maintain_order=True)
        rows = rows.select(id="device", address=f"ipv{family}", loopback=pl.lit(None, pl.String))
        hosts = plan.fabric.hosts.filter(pl.col("role").cast(pl.String) != "pdu")
        own = hosts.select("id", "name", network=pl.lit(None, pl.String))
    return own.join(rows, on="id", how="left", maintain_order="left")


def _chosen(names: list[str], patterns: Sequence[str], source: str) -> list[str]:
    by_pattern = {pattern: [name for name in names if fnmatchcase(name, pattern)] for pattern in patterns}
    empty = [pattern for pattern, found in by_pattern.items() if not found and pattern != "*"]
    if empty:
        raise InputError(
            Problem(f"collect.{source}.devices", f'"{pattern}" matches no device', suggest(pattern, names))
            for pattern in empty
        )
    return [name for found in by_pattern.values() for name in found]


def _ports(plan: Plan, devices: pl.Series) -> dict[int, dict[str, str]]:
    """Ports of each device by name, alias and label: a name before an alias, an alias before a label."""
    rows = plan.fabric.ports.filter(pl.col("device").is_in(devices.implode()))
    found: dict[int, dict[str, str]] = {}
    for column in ("name", "alias", "label"):
        for device, said, name in rows.select("device", said=column, name="name").iter_rows():
            found.setdefault(device, {}).setdefault(said, name)
    return found


def _target(
    name: str,
    address: str | None,
    port: int,
    ports: Mapping[str, str],
    source: str,
    places: Places,
    options: Mapping[str, object],
) -> Target:
    place = places.get((name, source)) or places.get((name, "")) or Place(None, None)
    where = place.address or address
    if where is None:
        raise InputError(Problem(name, "has no management address", "give it one in the file of targets"))
    return Target(name, where, place.port or port, ports, options)


def _refuse_shared(found: Sequence[Target], source: str) -> None:
    """Two devices in one place could not be told apart."""
    first: dict[tuple[str, int], str] = {}
    problems = []
    for target in found:
        other = first.setdefault((target.address, target.port), target.device)
        if other != target.device:
            what = f"{target.address}:{target.port} is also {other}"
            problems.append(Problem(f"{source} {target.device}".strip(), what, "give each its own in the targets"))
    if problems:
        raise InputError(problems)


def _server(
    plan: Plan, port: int, networks: Sequence[str], devices: Sequence[str], source: str,
    options: Mapping[str, object], family: int,
) -> Target:  # fmt: skip
    """The server that a source is named after, with the devices of the plan as its option ``devices``."""
    given = dict(options)
    address = str(given.pop("address", "127.0.0.1"))
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        remedy = "names are not looked up: give the address"
        raise InputError(Problem(f"collect.{source}.address", f'"{address[:60]}" is no IP address', remedy)) from error
    names = [*plan.fabric.switches["name"], *plan.fabric.hosts["name"]]
    chosen = set(_chosen(names, devices, source))
    both = [
        *targets(plan, 0, asks="switch", networks=networks, source=source, family=family),
        *targets(plan, 0, asks="host", source=source, family=family),
    ]
    return Target(source, address, port, {}, {**given, "devices": [one for one in both if one.device in chosen]})


def _subnets(plan: Plan, networks: Sequence[str], options: Mapping[str, object]) -> list[Target]:
    from collectors.sources.infiniband import places as nodes

    own = [name for name, network in plan.design.networks.items() if network.nos == "opensm"]
    return [Target(name, "", 0, nodes(plan, name), options) for name in own if not networks or name in networks]


def shards(plan: Plan) -> dict[str, str]:
    """The shard of each device: its segment, or for what stands above segments its pod or group.

    Names are words of small letters, digits and ``-``; subnets (networks that are polled as one) and servers are there
    too.
    """
    switches = plan.fabric.switches.select(
        "name",
        pl.col("network").cast(pl.String),
        pl.col("tier").cast(pl.String),
        place=pl.coalesce(pl.col("segment"), pl.col("pod"), pl.col("group"), 0),
    )
    found = {
        name: f"{network}-s{place:03}" if tier == "leaf" else f"{network}-{tier}-{place:02}"
        for name, network, tier, place in switches.iter_rows()
    }
    hosts = plan.fabric.hosts.select("name", place=pl.col("segment").fill_null(0))
    found |= {name: f"host-s{place:03}" for name, place in hosts.iter_rows()}
    found |= {network: f"{network}-subnet" for network in plan.design.networks}
    return found | dict.fromkeys(SERVERS, "servers")


def read_places(path: Path, plan: Plan, sources: Sequence[str]) -> dict[tuple[str, str], Place]:
    """The file of targets: CSV with the columns ``device,address,port,source``, the last two may be empty or absent.

    Raises InputError with every mistake: unknown devices and sources, addresses and ports that are none, repetitions.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "is no UTF-8 text"
        raise InputError(Problem(str(path), f"cannot be read: {said}")) from error
    reader = csv.DictReader(text.splitlines()[:MOST_LINES])
    given = reader.fieldnames or []
    if not {"device", "address"} <= set(given) <= set(FIELDS):
        what = f"has the columns {', '.join(map(str, given)) or '(none)'}"
        raise InputError(Problem(str(path), what, f"expected {','.join(FIELDS)}"))
    devices = {*plan.fabric.device_names()}
    found: dict[tuple[str, str], Place] = {}
    problems: list[Problem] = []
    for number, row in enumerate(reader, start=2):
        cells = {name: (row.get(name) or "").strip() for name in FIELDS}
        where = f"{path}: line {number}"
        wrong = list(_mistakes(where, cells, devices, sources))
        key = (cells["device"], cells["source"])
        if key in found:
            wrong.append(Problem(where, f"{' '.join(key).strip()} is given twice", "keep one"))
        problems += wrong
        if not wrong:
            found[key] = Place(cells["address"] or None, int(cells["port"]) if cells["port"] else None)
    if problems:
        raise InputError(problems)
    return found


def _mistakes(where: str, cells: Mapping[str, str], devices: set[str], sources: Sequence[str]) -> Iterator[Problem]:
    device, source, address, port = (cells[name] for name in ("device", "source", "address", "port"))
    if device not in devices:
        yield Problem(where, f'the plan has no device "{device}"', suggest(device, sorted(devices)))
    if source and source not in sources:
        yield Problem(where, f'unknown source "{source}"', suggest(source, sources))
    if address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield Problem(where, f'"{address[:60]}" is no IP address', "names are not looked up: give the address")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        yield Problem(where, f'"{port[:20]}" is no port', "expected 1 to 65535")
