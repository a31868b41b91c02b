"""Agents of SNMP for tests: net-snmp's snmpd, snmpsim with recorded walks, and what snmpbulkwalk says of them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from collectors.secrets import Secret

AUTH, PRIV, COMMUNITY = "a passphrase to sign", "a passphrase to hide", "public"
"""What the agents of tests know; it protects nothing."""


def free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the test."""
    child = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@contextmanager
def snmpd(program: str, folder: Path, lines: str = "", port: int | None = None) -> Iterator[int]:
    """A live snmpd with a community and users tele-AUTH-PRIV; gives its port."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    users = [(a, p) for a in ("SHA", "SHA-256", "SHA-512") for p in ("AES", "AES-256")]
    text = f"rocommunity {COMMUNITY}\n" + "".join(
        f'createUser {user_name(a, p)} {a} "{AUTH}" {p} "{PRIV}"\nrouser {user_name(a, p)} authPriv\n' for a, p in users
    )
    (folder / "snmpd.conf").write_text(text + lines)
    environment = {"SNMP_PERSISTENT_DIR": str(folder / "p"), "SNMPCONFPATH": str(folder)}
    command = [
        program,
        "-C",
        "-c",
        str(folder / "snmpd.conf"),
        "-f",
        "-Lf",
        str(folder / "log"),
        f"udp:127.0.0.1:{port}",
    ]
    with running(command, environment) as child:
        wait_for(port, child)
        yield port


def user_name(auth: str, priv: str) -> str:
    return f"tele-{auth}-{priv}".lower()


def v3(auth: str = "SHA-256", priv: str = "AES-128") -> dict[str, object]:
    """Options of a target, as ``snmpd`` knows the user."""
    name = user_name(auth, {"AES-128": "AES"}.get(priv, priv))
    secrets = {"auth_secret": Secret(AUTH), "priv_secret": Secret(PRIV)}
    return {"version": "3", "user": name, "auth": auth, "priv": priv, **secrets}


def v2c(community: str = COMMUNITY) -> dict[str, object]:
    return {"version": "2c", "community": Secret(community)}


@contextmanager
def snmpsim(folder: Path, cache: Path) -> Iterator[int]:
    """snmpsim replaying the .snmprec files of a folder, each under its name as community; gives its port."""
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "snmpsim-command-responder"), f"--data-dir={folder}",
        f"--cache-dir={cache}", f"--agent-udpv4-endpoint=127.0.0.1:{port}", "--logging-method=null",
        "--process-user=root", "--process-group=root",
    ]  # fmt: skip
    community = sorted(folder.glob("*.snmprec"))[0].stem
    with running(command) as child:
        wait_for(port, child, community)
        yield port


def wait_for(port: int, child: subprocess.Popen[bytes], community: str = COMMUNITY, seconds: float = 60) -> None:
    """Until the agent answers."""
    end = time.monotonic() + seconds
    command = ["snmpget", "-v2c", "-c", community, "-r0", "-t0.3", f"127.0.0.1:{port}", "1.3.6.1.2.1.1.3.0"]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        assert child.poll() is None, "the agent ended"
        assert time.monotonic() < end, "the agent does not answer"
        time.sleep(0.05)


_LINE = re.compile(r"^\.([0-9.]+) = (?:([A-Za-z0-9-]+): ?)?(.*)$", re.DOTALL)


def bulkwalk(program: str, port: int, oid: str, community: str = COMMUNITY) -> dict[tuple[int, ...], str]:
    """What snmpbulkwalk says below an object id: value as text (strings in hexadecimal) by index."""
    command = [program, "-v2c", "-c", community, "-On", "-Oe", "-Ox", "-Ot", "-t5", f"127.0.0.1:{port}", oid]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode("latin-1")
    found = {}
    for line in re.split(r"\n(?=\.1\.)", text.rstrip("\n")):
        match = _LINE.match(line)
        if match and match[1].startswith(oid + "."):
            index = tuple(map(int, match[1][len(oid) + 1 :].split(".")))
            found[index] = f"{match[2] or 'STRING'}: {match[3]}"
    return found
