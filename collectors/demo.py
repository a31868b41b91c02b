"""Agents to try collecting on: real ``snmpd`` where it is installed, else one in this process; all on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from collectors.schedule import Pace
from collectors.secrets import Secret
from collectors.service import Site
from collectors.settings import Chosen, Collect, CollectSettings, SourceSettings
from collectors.sources import Target
from fabric.errors import InputError, Problem

USER = "demo"
READY_SECONDS = 20.0


@contextmanager
def demo(agents: int, period: float) -> Iterator[tuple[Site, Collect, str]]:
    """A site of ``agents`` agents that run until the block ends, how to collect from it, and what the agents are."""
    with ExitStack() as stack:
        program = shutil.which("snmpd")
        if program:
            options: dict[str, object] = {
                "version": "3", "user": USER, "auth": "SHA-256", "priv": "AES-128",
                "auth_secret": Secret(secrets.token_hex(16)), "priv_secret": Secret(secrets.token_hex(16)),
            }  # fmt: skip
            ports = [stack.enter_context(snmpd(program, options)) for _ in range(agents)]
            names = [name for _, name in socket.if_nameindex()]
            what = "snmpd (SNMPv3, SHA-256, AES-128)"
        else:
            from collectors.demo_agent import NAMES, agent

            options = {"version": "2c", "community": Secret(secrets.token_hex(16))}
            ports = [stack.enter_context(agent(options["community"])) for _ in range(agents)]  # type: ignore[arg-type]
            names, what = list(NAMES), "agents of this process (SNMPv2c); install snmpd for real ones"
        devices = [f"demo-{number}" for number in range(agents)]
        known = {name: name for name in names}
        made = [Target(name, "127.0.0.1", port, known, options) for name, port in zip(devices, ports, strict=True)]
        yield Site(dict.fromkeys(devices, "demo"), {"snmp": made}), _collect(period, options), what


def _collect(period: float, options: Mapping[str, object]) -> Collect:
    pace = Pace(period, min(5.0, period), 1, 0.02)
    return Collect(CollectSettings(), (Chosen("snmp", SourceSettings(), pace, {}, options),))


@contextmanager
def snmpd(program: str, options: Mapping[str, Any]) -> Iterator[int]:
    """A net-snmp agent with one SNMPv3 user, as the options say; gives its UDP port on loopback."""
    with tempfile.TemporaryDirectory(prefix="railwright-demo-") as name:
        folder, port = Path(name), _free_port()
        auth, priv = options["auth_secret"].reveal(), options["priv_secret"].reveal()
        config = folder / "snmpd.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'createUser {USER} {options["auth"]} "{auth}" AES "{priv}"\nrouser {USER} authPriv\n'
            f"agentaddress udp:127.0.0.1:{port}\n"
        )
        command = [program, "-f", "-C", "-c", str(config), "-Lf", str(folder / "log"), "-p", str(folder / "pid")]
        environment = os.environ | {"SNMP_PERSISTENT_DIR": str(folder / "state"), "SNMPCONFPATH": name}
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603  # snmpd as found on the path
        try:
            _wait_until_bound(child, port, folder / "log")
            yield port
        finally:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_until_bound(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until somebody else has the port: binding it fails."""
    until = time.monotonic() + READY_SECONDS
    while child.poll() is None and time.monotonic() < until:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.02)
    said = (log.read_text(errors="replace") if log.exists() else "").strip().splitlines()[-1:]
    raise InputError(Problem("snmpd", "does not start", said[0] if said else "see its log with `snmpd -f -Le`"))
