"""One replay, from what was asked to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabric.errors import InputError, OutputError, Problem
from railwright.replay.recording import Clock, Recording, read, sleepy, write_targets

if TYPE_CHECKING:
    from railwright.replay.hosts import Hosts

Places = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class Play:
    """What is asked: the recording's folder, patterns of devices, a plan, the file of targets, speed, secrets.

    ``hosts``: agents of hosts that answer beside what is played.
    """

    folder: Path
    devices: tuple[str, ...]
    plan: Path | None
    targets: Path | None
    speed: float
    secrets: Path | None
    hosts: Hosts | None = None


def play(asked: Play, how: str, what: Any, *, hosts: bool = False) -> str:
    """Play a recording as ``how`` (pcap, sflow, snmp, gnmi, host) and say in a line what was done. Raises InputError.

    ``hosts``: its hosts answer as their agents beside that, and the rest is played.
    """
    made: dict[str, Callable[[Play, Recording, Any], str]] = {
        "pcap": _pcap, "sflow": _sflow, "snmp": _snmp, "gnmi": _gnmi, "host": _host,
    }  # fmt: skip
    recording = read(asked.folder, asked.devices, _addresses(asked.plan))
    if not hosts:
        return made[how](asked, recording, what)
    from collectors.secrets import secret
    from railwright.replay.hosts import Hosts

    mine, rest = recording.parted()
    if not rest.devices and how != "host":
        raise InputError(Problem(str(asked.folder), "has hosts alone among these devices", f"leave out --{how}"))
    with closing(Hosts(mine, Clock(mine.times, asked.speed), secret("HOST_AGENT", asked.secrets))) as agents:
        said = made[how](replace(asked, hosts=agents), rest, what)
    return "; ".join(filter(None, (said, f"{len(agents.places):,} host agents answered until the end")))


def _host(asked: Play, _: Recording, __: Any) -> str:
    assert asked.hosts is not None
    clock = Clock(asked.hosts.recording.times, asked.speed)
    _say_where(asked, clock)
    for _turn in sleepy(clock):
        pass
    return ""


def _addresses(plan: Path | None) -> dict[str, str]:
    """Management addresses of the devices of a plan."""
    if plan is None:
        return {}
    from collectors.targets import targets
    from fabric.bundle import read_plan

    made = read_plan(plan)
    return {one.device: one.address for asks in ("switch", "host") for one in targets(made, 0, asks=asks)}


def _pcap(_: Play, recording: Recording, path: Path) -> str:
    from railwright.replay.sflow import write_capture

    try:
        return f"{write_capture(recording, path):,} frames in {path}"
    except OSError as error:
        raise OutputError(Problem(str(path), f"cannot be written: {(error.strerror or str(error)).lower()}")) from error


def _sflow(asked: Play, recording: Recording, where: str) -> str:
    from railwright.replay.sflow import send

    address, _, port = where.rpartition(":")
    if not address or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(Problem("--sflow", f'"{where}" is no address and port', "write 127.0.0.1:6343"))
    clock = Clock(recording.times, asked.speed)
    _say_where(asked, clock, {name: (text, 0) for name, text in recording.addresses.items()}, "sflow")
    count = send(recording, clock, address.strip("[]"), int(port))
    return f"{count:,} datagrams sent to {where}"


def _snmp(asked: Play, recording: Recording, _: Any) -> str:
    from collectors.secrets import secret
    from railwright.replay.snmp import Agents

    community = secret("COMMUNITY", asked.secrets)
    agents = Agents(recording, Clock(recording.times, asked.speed), community)
    agents.prepare()
    agents.clock = clock = Clock(recording.times, asked.speed)
    try:
        _say_where(asked, clock, agents.places, "snmp")
        while not clock.over():
            agents.serve(0.1)
    finally:
        agents.close()
    return f"{len(agents.places):,} agents answered until the end"


def _gnmi(asked: Play, recording: Recording, tls: tuple[Path, Path] | None) -> str:
    from railwright.replay.gnmi import Servers

    try:
        pair = None if tls is None else (tls[1].read_bytes(), tls[0].read_bytes())
    except OSError as error:
        raise InputError(Problem(str(error.filename), "cannot be read", "give PEM files")) from error
    clock = Clock(recording.times, asked.speed)
    servers = Servers(recording, clock, pair)
    try:
        _say_where(asked, clock, servers.places, "gnmi")
        for _ in sleepy(clock):
            pass
    finally:
        servers.close()
    return f"{len(servers.places):,} servers answered until the end"


def _say_where(asked: Play, clock: Clock, places: Places | None = None, source: str = "") -> None:
    """Start the agents of hosts, by the same clock; write the file of targets; say where the first of all answer."""
    import click

    told = {} if places is None else {source: places}
    if asked.hosts is not None:
        asked.hosts.clock = clock
        asked.hosts.start()
        told["host"] = asked.hosts.places
    if asked.targets is not None:
        write_targets(asked.targets, told)
    answering = sorted((device, *at) for known in told.values() for device, at in known.items() if at[1])
    for device, address, port in answering[:4]:
        click.echo(f"{device} answers at {address}:{port}", err=True)
    if len(answering) > 4:
        click.echo(f"and {len(answering) - 4:,} more", err=True)
