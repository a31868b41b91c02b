"""What a value polled by SNMP costs in CPU: ours, Telegraf, prometheus-snmp-exporter, pysnmp's walk and snmpbulkwalk.

    python benchmarks/snmp.py [--agents 8] [--interfaces 122] [--rounds 10] [--only ours,telegraf,…]

As many snmpd as told answer on the loopback of a network namespace of their own, each with that many interfaces; all
peers read the same columns of IF-MIB from the same agents in one run, SNMPv2c and SNMPv3 (SHA, AES-128). CPU is the
client's own, user and system, after its first round; a varbind is a value that the client gave out. Needs root for the
namespace (without it the interfaces are those of the machine); a peer that is missing is named and left out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

AUTH, PRIV, USER, COMMUNITY = "a passphrase to sign", "a passphrase to hide", "tele", "public"
COLUMNS = [
    *(f"1.3.6.1.2.1.2.2.1.{n}" for n in (8, 13, 14, 19, 20)),
    *(f"1.3.6.1.2.1.31.1.1.1.{n}" for n in (6, 7, 8, 9, 10, 11, 12, 13, 15, 19)),
]
"""What snmpd has of what we poll: states, discards, errors, octets, packets, speed, discontinuity."""
SECONDS = 2
"""Between two rounds of Telegraf."""
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Setup:
    """The agents' ports, the names of their interfaces, rounds to measure, a folder, and the version of SNMP."""

    ports: list[int]
    names: list[str]
    rounds: int
    folder: Path
    version: str

    @property
    def per_round(self) -> int:
        """Values that a round gives."""
        return len(self.ports) * len(self.names) * len(COLUMNS)


Peer = Callable[[Setup], tuple[float, int] | None]
"""CPU seconds and values; None if the peer is missing."""


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port that nobody has now."""
    with contextlib.closing(socket.socket(socket.AF_INET, kind)) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the block."""
    child = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def agent(folder: Path) -> Iterator[int]:
    """One snmpd."""
    folder.mkdir()
    port = free_port()
    user = f'createUser {USER} SHA "{AUTH}" AES "{PRIV}"\nrouser {USER} authPriv\n'
    (folder / "snmpd.conf").write_text(f"rocommunity {COMMUNITY}\n{user}")
    command = [
        "snmpd",
        "-C",
        "-c",
        str(folder / "snmpd.conf"),
        "-f",
        "-Lf",
        str(folder / "log"),
        f"udp:127.0.0.1:{port}",
    ]
    with running(command, {"SNMP_PERSISTENT_DIR": str(folder / "p"), "SNMPCONFPATH": str(folder)}):
        ask = ["snmpget", "-v2c", "-c", COMMUNITY, "-r0", "-t0.5", f"127.0.0.1:{port}", "1.3.6.1.2.1.1.3.0"]
        while subprocess.run(ask, capture_output=True, check=False).returncode:
            time.sleep(0.05)
        yield port


def cpu_of(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def own_cpu() -> float:
    """User and system seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def ours(setup: Setup) -> tuple[float, int]:
    """Polls to tables of samples, ready for the bus."""
    from collectors.secrets import Secret
    from collectors.sources import Target
    from collectors.sources.snmp import Snmp

    secrets = {"auth_secret": Secret(AUTH), "priv_secret": Secret(PRIV)}
    options: dict[str, object] = {"version": "3", "user": USER, "auth": "SHA", "priv": "AES-128", **secrets}
    if setup.version == "v2c":
        options = {"version": "2c", "community": Secret(COMMUNITY)}
    options["slow_seconds"] = 0  # what we read once a minute is read each time, as by the others
    names = {name: name for name in setup.names}
    targets = [Target(f"agent-{port}", "127.0.0.1", port, names, options) for port in setup.ports]

    async def body() -> tuple[float, int]:
        source = Snmp()
        for _ in range(2):
            await asyncio.gather(*(source.poll(target, 30) for target in targets))
        began, before = own_cpu(), source.health()["varbinds"]
        for _ in range(setup.rounds):
            polls = await asyncio.gather(*(source.poll(target, 30) for target in targets))
            assert {str(poll.outcome) for poll in polls} == {"ok"}, {poll.detail for poll in polls}
        used, count = own_cpu() - began, int(source.health()["varbinds"] - before)
        await source.close()
        return used, count

    return asyncio.run(body())


def pysnmp(setup: Setup) -> tuple[float, int]:
    """pysnmp's own bulk walk of each column, one agent and one round: it is slow."""
    from pysnmp.hlapi.v3arch import asyncio as hlapi  # type: ignore[import-untyped]

    user = hlapi.UsmUserData(
        USER, AUTH, PRIV, authProtocol=hlapi.usmHMACSHAAuthProtocol, privProtocol=hlapi.usmAesCfb128Protocol
    )
    who = hlapi.CommunityData(COMMUNITY) if setup.version == "v2c" else user

    async def body() -> tuple[float, int]:
        engine = hlapi.SnmpEngine()
        address = await hlapi.UdpTransportTarget.create(("127.0.0.1", setup.ports[0]), timeout=5)
        count, began = 0, 0.0
        for column in COLUMNS[:5]:
            kind = hlapi.ObjectType(hlapi.ObjectIdentity(column))
            walk = hlapi.bulk_walk_cmd(
                engine, who, address, hlapi.ContextData(), 0, 65, kind, lexicographicMode=False, lookupMib=False
            )
            async for error, _, _, binds in walk:
                assert not error, error
                count += len(binds)
            if not began:  # the first column pays for keys and discovery
                began, count = own_cpu(), 0
        used = own_cpu() - began
        engine.close_dispatcher()
        return used, count

    return asyncio.run(body())


def snmpbulkwalk(setup: Setup) -> tuple[float, int] | None:
    """A process a column and agent, as scripts do."""
    program = shutil.which("snmpbulkwalk")
    if program is None:
        return None
    who = ["-v2c", "-c", COMMUNITY] if setup.version == "v2c" else [
        "-v3", "-l", "authPriv", "-u", USER, "-a", "SHA", "-A", AUTH, "-x", "AES", "-X", PRIV
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = 0
    for port, table in itertools.product(setup.ports[:2], ("1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1")):
        command = [program, *who, "-On", "-Cr65", f"127.0.0.1:{port}", table]
        count += subprocess.run(command, capture_output=True, check=True).stdout.count(b"\n")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, count


def telegraf(setup: Setup) -> tuple[float, int] | None:
    """Its snmp input, tables of the same columns, metrics written to a file."""
    program = shutil.which("telegraf", path=f"{ROOT}/.parts/bin:{os.environ.get('PATH', '')}")
    if program is None:
        return None
    agents = ", ".join(f'"udp://127.0.0.1:{port}"' for port in setup.ports)
    who = f'version = 2\n  community = "{COMMUNITY}"' if setup.version == "v2c" else (
        f'version = 3\n  sec_name = "{USER}"\n  sec_level = "authPriv"\n  auth_protocol = "SHA"\n'
        f'  auth_password = "{AUTH}"\n  priv_protocol = "AES"\n  priv_password = "{PRIV}"'
    )  # fmt: skip
    fields = "".join(
        f'    [[inputs.snmp.table.field]]\n      oid = "{oid}"\n      name = "c{n}"\n' for n, oid in enumerate(COLUMNS)
    )
    out = setup.folder / f"telegraf-{setup.version}.out"
    config = setup.folder / f"telegraf-{setup.version}.conf"
    config.write_text(
        f'[agent]\n  interval = "{SECONDS}s"\n  flush_interval = "1s"\n  omit_hostname = true\n'
        f'  metric_buffer_limit = 1000000\n[[outputs.file]]\n  files = ["{out}"]\n'
        f'[[inputs.snmp]]\n  agents = [{agents}]\n  {who}\n  max_repetitions = 65\n  timeout = "10s"\n'
        f'  [[inputs.snmp.table]]\n    name = "port"\n{fields}'
    )
    with running([program, "--config", str(config)]) as child:
        return _watched(child, lambda: _fields(out), setup)


def _fields(out: Path) -> int:
    """Values in lines of line protocol."""
    if not out.exists():
        return 0
    return sum(line.split(" ")[1].count(",") + 1 for line in out.read_text().splitlines() if line.count(" ") >= 2)


def _watched(child: subprocess.Popen[bytes], values: Callable[[], int], setup: Setup) -> tuple[float, int] | None:
    """CPU and values of a program from its second round on."""
    end = time.monotonic() + 60
    while values() < 2 * setup.per_round and child.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
    if child.poll() is not None or time.monotonic() >= end:
        print("  telegraf gave nothing; its configuration may not fit its version", file=sys.stderr)
        return None
    began, before = cpu_of(child.pid), values()
    time.sleep(min(setup.rounds, 8) * SECONDS)
    return cpu_of(child.pid) - began, values() - before


EXPORTER = """\
bench:
  walk: [{walk}]
  max_repetitions: 65
  timeout: 10s
  {who}
  metrics:
"""


def exporter(setup: Setup) -> tuple[float, int] | None:
    """prometheus-snmp-exporter, scraped over HTTP; agents one after the other."""
    program = shutil.which("prometheus-snmp-exporter")
    if program is None:
        return None
    who = f"version: 2\n  auth: {{community: {COMMUNITY}}}" if setup.version == "v2c" else (
        f"version: 3\n  auth: {{username: {USER}, security_level: authPriv, password: {AUTH}, auth_protocol: SHA, "
        f"priv_protocol: AES, priv_password: {PRIV}}}"
    )  # fmt: skip
    metrics = "".join(
        f"  - {{name: c{n}, oid: {oid}, type: counter, indexes: [{{labelname: i, type: gauge}}]}}\n"
        for n, oid in enumerate(COLUMNS)
    )
    config = setup.folder / f"exporter-{setup.version}.yml"
    config.write_text(EXPORTER.format(walk=", ".join(COLUMNS), who=who) + metrics)
    port = free_port(socket.SOCK_STREAM)
    command = [program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with running(command) as child:
        _wait_for_http(port)
        _scrape(port, setup)
        began, count = cpu_of(child.pid), 0
        for _ in range(max(2, setup.rounds // 2)):
            count += _scrape(port, setup)
        return cpu_of(child.pid) - began, count


def _wait_for_http(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)


def _scrape(port: int, setup: Setup) -> int:
    count = 0
    for agent_port in setup.ports:
        query = urllib.parse.urlencode({"target": f"127.0.0.1:{agent_port}", "module": "bench"})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/snmp?{query}", timeout=60) as answer:
            count += sum(line.startswith(b"c") for line in answer)
    return count


PEERS: dict[str, Peer] = {
    "ours": ours, "telegraf": telegraf, "exporter": exporter, "snmpbulkwalk": snmpbulkwalk, "pysnmp": pysnmp,
}  # fmt: skip
TARGETS = {"v2c": 1.0, "v3": 2.0}


def report(setup: Setup, chosen: list[str]) -> None:
    """Measure the peers and print a line each, with how much dearer a value is than ours."""
    base: float | None = None
    for name in chosen:
        found = PEERS[name](setup)
        if found is None or not found[1]:
            print(f"{setup.version:4} {name:13} missing, left out")
            continue
        cost = found[0] / found[1] * 1e6
        base = cost if name == "ours" else base
        ratio = f"{cost / base:6.1f} times ours" if base and name != "ours" else ""
        goal = f"target {TARGETS[setup.version]:.0f} µs" if name == "ours" else ""
        print(f"{setup.version:4} {name:13} {cost:8.2f} µs of CPU a varbind ({found[1]:,} varbinds) {ratio}{goal}")


def in_namespace(arguments: argparse.Namespace) -> None:
    """Start over in a network namespace with interfaces of our own."""
    if arguments.inside or os.geteuid() or shutil.which("unshare") is None or shutil.which("ip") is None:
        return
    command = ["unshare", "-n", sys.executable, *sys.argv, "--inside"]
    raise SystemExit(subprocess.run(command, check=False).returncode)


def make_interfaces(count: int) -> list[str]:
    """Pairs of veth, and the loopback up."""
    lines = [
        "link set lo up",
        *(f"link add b{2 * n} type veth peer name b{2 * n + 1}" for n in range((count - 1) // 2)),
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)
    return [name for _, name in socket.if_nameindex()]


def main() -> None:
    """Run the peers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--interfaces", type=int, default=122)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--versions", default="v2c,v3")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    in_namespace(arguments)
    names = make_interfaces(arguments.interfaces) if arguments.inside else [name for _, name in socket.if_nameindex()]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as agents:
        ports = [agents.enter_context(agent(Path(folder, str(n)))) for n in range(arguments.agents)]
        print(
            f"{len(ports)} agents, {len(names)} interfaces each, {len(COLUMNS)} columns, load {os.getloadavg()[0]:.1f}"
        )
        for version in arguments.versions.split(","):
            setup = Setup(ports, names, arguments.rounds, Path(folder), version)
            report(setup, arguments.only.split(","))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
