"""``railwright replay``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import Command

EXAMPLE = """\
railwright simulate out/hpn --job job.yaml --sampling 1000 -o out/day
railwright replay out/day --sflow 127.0.0.1:6343 --speed 10
railwright replay out/day --snmp --targets out/targets.csv --devices 'leaf-*'
railwright replay out/day --gnmi --host-agents --targets out/targets.csv
railwright replay out/day --pcap out/day.pcap"""
CODES = ("the recording was played to its end", "", "it could not be read, or not be played")
FILE = click.Path(path_type=Path)


@click.command(cls=Command, example=EXAMPLE, codes=CODES)
@click.argument("recording", metavar="DIR", type=FILE)
@click.option("--pcap", metavar="FILE", type=FILE, help="Write the sampled frames as a capture, and end.")
@click.option("--sflow", metavar="ADDR:PORT", help="Send what the devices' sFlow agents would send, there.")
@click.option("--snmp", is_flag=True, help="Answer as the devices' SNMP agents (v2c; the secret COMMUNITY).")
@click.option("--gnmi", is_flag=True, help="Answer as the devices' gNMI servers.")
@click.option("--host-agents", is_flag=True, help="Answer as the agents of hosts, alone or beside the switches (HTTP).")
@click.option("--cert", metavar="FILE", type=FILE, help="TLS certificate of the gNMI servers (PEM).")
@click.option("--key", metavar="FILE", type=FILE, help="Its key (PEM).")
@click.option("--targets", metavar="FILE", type=FILE, help="Where to write who answers where, for collect --targets.")
@click.option("--plan", metavar="PLAN", type=FILE, help="Take the devices' sFlow addresses from this plan.")
@click.option("--devices", metavar="PATTERN", multiple=True, default=("*",), help="Only devices called so.")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.001, 1e6), help="Times real time.")
@click.option("--secrets", metavar="FILE", type=FILE, help="File of secrets, mode 600.")
def replay(
    recording: Path,
    pcap: Path | None,
    sflow: str | None,
    snmp: bool,
    gnmi: bool,
    host_agents: bool,
    cert: Path | None,
    key: Path | None,
    targets: Path | None,
    plan: Path | None,
    devices: tuple[str, ...],
    speed: float,
    secrets: Path | None,
) -> int:
    """Put a recording on the wire, as the devices it is of would.

    DIR is what simulate -o wrote. Agents and servers listen on 127.0.0.1, a port each; the file of --targets says
    which. sFlow carries the address of each device: its own with --plan, else one of 127.64.0.0/10, in --targets too.

    Host agents ask for the secret HOST_AGENT. With them the hosts of the recording are left to them; without them all
    devices speak as the switches do.
    """
    from railwright.replay.play import Play, play

    ways = {"pcap": pcap, "sflow": sflow, "snmp": snmp or None, "gnmi": gnmi or None}
    chosen = [name for name, value in ways.items() if value is not None] or (["host"] if host_agents else [])
    if len(chosen) != 1 or (host_agents and pcap is not None):
        raise click.UsageError(
            "choose one of --pcap, --sflow, --snmp and --gnmi; --host-agents alone, or beside the last three"
        )
    (how,) = chosen
    tls = None if cert is None or key is None else (cert, key)
    asked = Play(recording, devices, plan, targets, speed, secrets)
    click.echo(play(asked, how, {"pcap": pcap, "sflow": sflow, "gnmi": tls}.get(how), hosts=host_agents))
    return 0
