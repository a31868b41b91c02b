"""One replay, from what was asked to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric.errors import InputError, OutputError, Problem
from railwright.replay.recording import Clock, Recording, read, sleepy, write_targets


@dataclass(frozen=True)
class Play:
    """What is asked: the recording's folder, patterns of devices, a plan, the file of targets, speed, secrets."""

    folder: Path
    devices: tuple[str, ...]
    plan: Path | None
    targets: Path | None
    speed: float
    secrets: Path | None


def play(asked: Play, how: str, what: Any) -> str:
    """Play a recording as ``how`` (pcap, sflow, snmp, gnmi) and say in a line what was done. Raises InputError."""
    made: dict[str, Callable[[Play, Recording, Any], str]] = {
        "pcap": _pcap, "sflow": _sflow, "snmp": _snmp, "gnmi": _gnmi,
    }  # fmt: skip
    return made[how](asked, read(asked.folder, asked.devices, _addresses(asked.plan)), what)


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
    if asked.targets is not None:
        write_targets(asked.targets, {name: (text, 0) for name, text in recording.addresses.items()}, "sflow")
    count = send(recording, Clock(recording.times, asked.speed), address.strip("[]"), int(port))
    return f"{count:,} datagrams sent to {where}"


def _snmp(asked: Play, recording: Recording, _: Any) -> str:
    from collectors.secrets import secret
    from railwright.replay.snmp import Agents

    community = secret("COMMUNITY", asked.secrets)
    agents = Agents(recording, Clock(recording.times, asked.speed), community)
    agents.prepare()
    agents.clock = clock = Clock(recording.times, asked.speed)
    try:
        _say_where(asked, agents.places, "snmp")
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
        _say_where(asked, servers.places, "gnmi")
        for _ in sleepy(clock):
            pass
    finally:
        servers.close()
    return f"{len(servers.places):,} servers answered until the end"


def _say_where(asked: Play, places: dict[str, tuple[str, int]], source: str) -> None:
    import click

    if asked.targets is not None:
        write_targets(asked.targets, places, source)
    for device, (address, port) in sorted(places.items())[:4]:
        click.echo(f"{device} answers at {address}:{port}", err=True)
    if len(places) > 4:
        click.echo(f"and {len(places) - 4:,} more", err=True)
