"""A plan on this machine: its switches as FRR routers in network namespaces, booted from the generated files alone.

Every switch and host is a namespace, every link a pair of virtual Ethernet ports with the planned names. The daemons
are children of the test. A reaper, which waits for the end of its standard input, takes everything away again: also
where the test is killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import polars as pl
import pytest
from conftest import need

from fabric.addressing import addresses
from fabric.exports.frr import Timers, configs
from fabric.plan import Plan

DAEMONS = Path("/usr/lib/frr")
FAST = Timers(keepalive=1, hold=3, connect=1, bfd_ms=1000)
"""Sessions come back in seconds, and a busy machine does not lose them."""
WORLD = "world"
"""The router behind uplinks that leave the plan."""
_NEIGHBOURS = [f"net.ipv{v}.neigh.default.gc_thresh{n}" for v in (4, 6) for n in (1, 2, 3)]
_REAPER = """
cat >/dev/null
folder=$1; shift
for name in "$@"; do ip netns pids "$name" 2>/dev/null; done | xargs -r kill -9
for name in "$@"; do ip netns del "$name" 2>/dev/null; done
sysctl -q -p "$folder/saved.conf"
rm -rf "$folder"
rmdir "${folder%/*}" 2>/dev/null
"""


@dataclass
class Twin:
    """The running fabric; a node is a switch or a host by its name in the plan, or ``world``."""

    plan: Plan
    folder: Path
    spaces: dict[str, str]
    """Namespaces by node."""
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def routers(self) -> list[str]:
        """Names of the switches."""
        return self.plan.fabric.switches["name"].to_list()

    def run(self, node: str, *command: str, check: bool = True) -> str:
        """The output of a program in the node's namespace."""
        return _run("ip", "netns", "exec", self.spaces[node], *command, check=check)

    def vtysh(self, node: str, command: str) -> Any:
        """What FRR answers, read as JSON."""
        return json.loads(_run("vtysh", "--vty_socket", str(self.folder / node), "-c", f"{command} json"))

    def frr_next_hops(self, node: str, family: str) -> dict[str, int]:
        """Next hops in use by prefix, of routes from BGP, as zebra tells them."""
        keyword = {"ipv4": "ip", "ipv6": "ipv6"}[family]
        found = self.vtysh(node, f"show {keyword} route bgp")
        return {
            prefix: sum(1 for hop in route["nexthops"] if hop.get("fib") and hop.get("active"))
            for prefix, routes in found.items()
            for route in routes
            if route.get("selected")
        }

    def kernel_routes(self, node: str, family: str) -> dict[str, dict[str, Any]]:
        """The kernel's routes from BGP by prefix."""
        text = _run("ip", "-n", self.spaces[node], f"-{family[-1]}", "-j", "route", "show", "proto", "bgp")
        full = {"ipv4": 32, "ipv6": 128}[family]
        routes = json.loads(text or "[]")
        return {dst if "/" in (dst := route["dst"]) else f"{dst}/{full}": route for route in routes}

    def kernel_next_hops(self, node: str, family: str) -> dict[str, int]:
        """Next hops that the kernel uses, by prefix."""
        return {prefix: _live(route) for prefix, route in self.kernel_routes(node, family).items()}

    def port(self, device: int, port: int, state: str) -> None:
        """Set a port of a switch ``up`` or ``down``."""
        node = self.plan.fabric.device_names()[device]
        _run("ip", "-n", self.spaces[node], "link", "set", "dev", self.plan.fabric.ports["name"][port], state)

    def reaches(self, node: str, source: str, target: str) -> bool:
        """Whether an echo comes back to ``source``."""
        command = ["ping", "-c1", "-W2", "-q", "-I", source, target]
        return subprocess.run(["ip", "netns", "exec", self.spaces[node], *command], capture_output=True).returncode == 0


def wait(done: Callable[[], bool], seconds: float) -> float:
    """Seconds until ``done`` is true; fails the test where that takes more than ``seconds``."""
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > seconds:
            pytest.fail(f"not so after {seconds} s")
        time.sleep(0.2)
    return time.monotonic() - start


@contextmanager
def twin(plan: Plan, *, timers: Timers = FAST, world: str | None = None) -> Iterator[Twin]:
    """The plan, running. ``world``: ``frr.conf`` of what is behind uplinks that leave the plan; its ports are w0 …"""
    require()
    with (
        Path(tempfile.gettempdir(), "railwright-twin.lock").open("w") as lock,
        tempfile.TemporaryDirectory(prefix="rw") as name,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(name, "d")
        nodes = [*plan.fabric.device_names(), *([] if world is None else [WORLD])]
        made = Twin(plan, folder, {node: f"rw{os.getpid()}-{n}" for n, node in enumerate(nodes)})
        with _reaper(made, lock):
            _write(made, timers, world)
            _wire(made)
            _boot(made)
            yield made


def require() -> None:
    """Skip the test where the machine cannot run routers."""
    for part in ("frr", "iproute2", "ping", "procps"):
        need(part)
    if os.geteuid() != 0:
        pytest.skip("network namespaces are root's to make: run the tests as root")
    probe = f"rw{os.getpid()}-probe"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode:
        pytest.skip("network namespaces cannot be made here: run the tests on a machine or in a container that may")
    _run("ip", "netns", "del", probe)


@contextmanager
def _reaper(made: Twin, lock: IO[str]) -> Iterator[None]:
    made.folder.mkdir()
    made.folder.parent.chmod(0o755)
    saved = "".join(f"{name} = {_run('sysctl', '-n', name)}" for name in _NEIGHBOURS)
    (made.folder / "saved.conf").write_text(saved)
    command = ["sh", "-c", _REAPER, "reaper", str(made.folder), *made.spaces.values()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, pass_fds=[lock.fileno()]) as reaper:
        try:
            yield
        finally:
            assert reaper.stdin is not None
            reaper.stdin.close()
            reaper.wait()
            for daemon in made.daemons:
                daemon.wait()


def _write(made: Twin, timers: Timers, world: str | None) -> None:
    """The generated files, each switch's in a folder of its own."""
    for path, content in configs(made.plan, timers=timers):
        target = made.folder / Path(path).relative_to("configs")
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    if world is not None:
        (made.folder / WORLD).mkdir()
        (made.folder / WORLD / "frr.conf").write_text(world)
        (made.folder / WORLD / "daemons").write_text('bgpd=yes\nzebra_options="-A 127.0.0.1"\n')
        (made.folder / WORLD / "sysctl.conf").write_text("net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n")
    for folder in made.folder.iterdir():
        if folder.is_dir():
            shutil.chown(folder, "frr", "frr")


def _wire(made: Twin) -> None:
    """Namespaces, kernel settings, links, and then addresses, as on a machine that starts."""
    _batch("".join(f"netns add {space}\n" for space in made.spaces.values()))
    booted = [node for node in made.spaces if (made.folder / node).is_dir()]
    # the neighbour tables are one for all namespaces, and set in the machine's own
    some = made.routers[0]
    wanted = (made.folder / some / "sysctl.conf").read_text().splitlines()
    _run("sysctl", "-q", "-w", *(line.replace(" ", "") for line in wanted if ".neigh." in line))
    for node in booted:
        made.run(node, "sysctl", "-e", "-q", "-p", str(made.folder / node / "sysctl.conf"))
    _batch("".join(_links(made)))
    for node in booted:
        if node != WORLD:
            space, folder = made.spaces[node], made.folder / node
            _run("ip", "-n", space, "-force", "-batch", str(folder / "interfaces"))
            if (folder / "interfaces6").exists():
                _run("ip", "-n", space, "-6", "-force", "-batch", str(folder / "interfaces6"))
    _hosts(made)


def _links(made: Twin) -> Iterator[str]:
    """What leaves the plan ends in the world, or where there is none, at the other end of a port of its own."""
    fabric = made.plan.fabric
    names, ports = fabric.device_names(), fabric.ports["name"]
    for n, link in enumerate(fabric.links.sort(pl.col("b_device").is_not_null()).iter_rows(named=True)):
        space = made.spaces[names[link["a_device"]]]
        if link["b_device"] is None:
            peer, other = f"w{n}", made.spaces.get(WORLD, space)
        else:
            peer, other = ports[link["b_port"]], made.spaces[names[link["b_device"]]]
        yield f"link add {ports[link['a_port']]} netns {space} type veth peer name {peer} netns {other}\n"


def _hosts(made: Twin) -> None:
    """Host ports have their addresses; what is on a rail is reached through that rail's port."""
    known, names, ports = addresses(made.plan), made.plan.fabric.device_names(), made.plan.fabric.ports["name"]
    lines: dict[str, list[str]] = {}
    for row in known.host_ports.iter_rows(named=True):
        mine, port = lines.setdefault(names[row["device"]], []), ports[row["port"]]
        mine.append(f"link set dev {port} up\n")
        for family, nodad in (("ipv4", ""), ("ipv6", " nodad")):
            mine.append(f"address add {row[family]}/{row[f'prefix_{family}']} dev {port}{nodad}\n")
            mine.append(f"route add {row[f'subnet_{family}']} via {row[f'gateway_{family}']} dev {port}\n")
    for row in known.management.iter_rows(named=True):
        if row["device"] < made.plan.fabric.hosts.height:
            mine, port = lines.setdefault(names[row["device"]], []), ports[row["port"]]
            mine.append(f"link set dev {port} up\n")
            mine.append(f"address add {row['ipv4']}/{row['prefix_ipv4']} dev {port}\n")
            mine.append(f"route add 0.0.0.0/0 via {row['gateway_ipv4']} dev {port}\n")
    for node, batch in lines.items():
        _batch("".join(batch), made.spaces[node])


def _boot(made: Twin) -> None:
    """zebra first, the others when it listens, and then the configuration, as ``frrinit.sh`` does it."""
    booted = [node for node in made.spaces if (made.folder / node).is_dir()]
    if WORLD in booted:
        ports = json.loads(_run("ip", "-n", made.spaces[WORLD], "-j", "link"))
        _batch("".join(f"link set dev {port['ifname']} up\n" for port in ports), made.spaces[WORLD])
    settings = {node: _daemons_file(made.folder / node / "daemons") for node in booted}
    for node in booted:
        _start(made, node, "zebra", settings[node])
    wait(lambda: all((made.folder / node / "zserv.api").exists() for node in booted), 10)
    for node in booted:
        wanted = ["staticd", *(name for name in ("bfdd", "bgpd") if settings[node].get(name) == "yes")]
        for name in wanted:
            _start(made, node, name, settings[node])
    wait(lambda: all((made.folder / node / "staticd.vty").exists() for node in booted), 10)
    wait(lambda: all((made.folder / n / "bgpd.vty").exists() for n in booted if settings[n].get("bgpd") == "yes"), 10)
    with ThreadPoolExecutor(2) as pool:
        for node, said in zip(booted, pool.map(lambda node: _load(made.folder / node), booted), strict=True):
            assert "%" not in said, f"{node}: {said}"


def _load(folder: Path) -> str:
    return _run("vtysh", "--vty_socket", str(folder), "--config_dir", str(folder), "-b")


def _daemons_file(path: Path) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in shlex.split(path.read_text()))


def _start(made: Twin, node: str, name: str, settings: Mapping[str, str]) -> None:
    folder = made.folder / node
    command = ["ip", "netns", "exec", made.spaces[node], str(DAEMONS / name), "-f", "/dev/null"]
    command += ["-i", f"{folder}/{name}.pid", "-z", f"{folder}/zserv.api", "--vty_socket", str(folder)]
    command += ["--log", f"file:{folder}/{name}.log", *settings.get(f"{name}_options", "").split()]
    if name == "bfdd":
        command += ["--bfdctl", f"{folder}/bfdd.sock"]
    with (folder / f"{name}.out").open("w") as log:
        made.daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def _live(route: Mapping[str, Any]) -> int:
    hops: Sequence[Mapping[str, Any]] = route.get("nexthops", [route])
    return sum(1 for hop in hops if not {"dead", "linkdown"} & set(hop.get("flags", ())))


def _batch(lines: str, space: str | None = None) -> None:
    command = ["ip", *(["-n", space] if space else []), "-batch", "-"]
    done = subprocess.run(command, input=lines, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def _run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, text=True, capture_output=True)
    assert not check or done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout
