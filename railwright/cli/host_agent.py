"""``railwright host-agent``."""

from __future__ import annotations

from pathlib import Path

import click

from railwright.cli.base import Command, print_json

EXAMPLE = """\
RAILWRIGHT_SECRET_HOST_AGENT=… railwright host-agent --listen 10.0.3.7:9342 --cert host.pem --key host.key"""


@click.command(cls=Command, name="host-agent", example=EXAMPLE)
@click.option("--listen", metavar="ADDR:PORT", default="127.0.0.1:9342", help="Where to listen (default: loopback).")
@click.option("--name", metavar="HOST", help="The host's name in the plan (default: the system's host name).")
@click.option("--cert", type=click.Path(path_type=Path), metavar="FILE", help="TLS certificate (PEM).")
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="Its key (PEM).")
@click.option("--secrets", type=click.Path(path_type=Path), metavar="FILE", help="File of secrets, mode 600.")
@click.option("--insecure", is_flag=True, help="Speak plain HTTP beyond loopback.")
@click.option("--once", is_flag=True, help="Print what it would answer, and end.")
def host_agent(
    listen: str, name: str | None, cert: Path | None, key: Path | None, secrets: Path | None, insecure: bool, once: bool
) -> int:
    """Answer a collector that asks this host for its ports' counters.

    Reads /sys, ethtool, dcb and lldpcli. The token is the secret HOST_AGENT (RAILWRIGHT_SECRET_HOST_AGENT, or a line
    of the file of secrets).
    """
    import socket

    from collectors.hostagent.read import document
    from collectors.hostagent.server import Agent, Listen, serve
    from collectors.secrets import secret
    from fabric.errors import InputError, Problem

    host = name or socket.gethostname().partition(".")[0]
    if once:
        print_json(document(host))
        return 0
    address, _, port = listen.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(Problem("--listen", f'"{listen}" is no address and port', "write 127.0.0.1:9342"))
    place = Listen(address.strip("[]"), int(port), cert, key, insecure)
    place.check()
    serve(place, Agent(host, secret("HOST_AGENT", secrets)))
    return 0
