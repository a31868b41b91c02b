"""CPU an update of gNMI: the source, the protobuf runtime and Telegraf on the same stream of OpenConfig's fake target.

Every reader subscribes over TLS to a target that replays counters of 64 ports as fast as it can; what is counted is the
CPU time of the reader's process, less what it takes to start. Missing programs are skipped by name:

    python benchmarks/gnmi.py [--rounds 250] [--updates 15 30]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PORTS = 64
TELEGRAF = """
[agent]
  interval = "10s"
  flush_interval = "1s"
  metric_batch_size = 10000
  metric_buffer_limit = 1000000
  omit_hostname = true
  quiet = true
[[inputs.gnmi]]
  addresses = ["127.0.0.1:{port}"]
  encoding = "proto"
  tls_enable = true
  tls_ca = "{ca}"
  [[inputs.gnmi.subscription]]
    name = "interfaces"
    path = "/interfaces/interface/state/counters"
    subscription_mode = "sample"
    sample_interval = "10s"
[[outputs.discard]]
"""


def program(name: str) -> str | None:
    """Of ``make parts`` or of the system."""
    made = ROOT / ".parts/bin" / name
    return str(made) if made.exists() else shutil.which(name)


def leaves() -> list[str]:
    """Paths of counters below an interface, enough for any count asked for."""
    from collectors.sources.gnmi.paths import openconfig

    paths = [path for path in openconfig() if path.startswith("/interfaces/interface/") and "/counters/" in path]
    return [path.removeprefix("/interfaces/interface/") for path in paths]


def replay(rounds: int, updates: int) -> str:
    """A configuration of fake_server: a notification a port and round, ``updates`` counters in it."""
    paths = list(itertools.islice(itertools.cycle(leaves()), updates))
    lines = []
    for number, port in itertools.product(range(rounds), range(PORTS)):
        told = "".join(
            f" update {{ path {{ {elems(path)} }} val {{ uint_val: {10**12 + number * 10**6 + place} }} }}"
            for place, path in enumerate(paths)
        )
        prefix = f'{elems("interfaces")} elem {{ name: "interface" key {{ key: "name" value: "Ethernet{4 * port}" }} }}'
        at = 1_700_000_000_000_000_000 + number * 10**10
        lines.append(f"responses {{ update {{ timestamp: {at} prefix {{ {prefix} }}{told} }} }}")
    return 'target: "leaf-1" client_type: GRPC_GNMI disable_eof: true fixed {\n' + "\n".join(lines) + "\n}\n"


def elems(path: str) -> str:
    """The elements of a path without keys, as protobuf text."""
    return " ".join(f'elem {{ name: "{name}" }}' for name in path.split("/"))


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    pair = folder / "target.crt", folder / "target.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=leaf-1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", pair[0], "-keyout", pair[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return pair


@contextmanager
def target(fake: str, folder: Path, text: str) -> Iterator[int]:
    """The simulator on a free port, replaying a configuration to each who subscribes."""
    (folder / "replay").write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [fake, "--config", "replay", "--text", "--port", str(port), "--server_crt", "target.crt", "--server_key",
               "target.key", "--allow_no_client_auth"]  # fmt: skip
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as server:
        try:
            until_open(port)
            yield port
        finally:
            server.kill()


def until_open(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("fake_server does not listen")


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def source(port: int, ca: str, wanted: int) -> float:
    """CPU seconds of our source from its start until it has emitted rows of all updates."""
    from collectors.sources import Poll, Target
    from collectors.sources.gnmi.source import Gnmi, warm

    warm()
    ports = {f"Ethernet{4 * number}": f"Ethernet{4 * number}" for number in range(PORTS)}
    gnmi, rows, done = Gnmi(), 0, asyncio.Event()

    async def emit(polls: object) -> None:
        nonlocal rows
        assert isinstance(polls, list)
        rows += sum(poll.rows.height for poll in polls if isinstance(poll, Poll))
        if gnmi.health()["updates"] >= wanted and rows * PORTS >= wanted // PORTS:
            done.set()

    began = cpu()
    running = asyncio.create_task(gnmi.run([Target("leaf-1", "127.0.0.1", port, ports, {"ca": ca})], emit, 1.0))
    await asyncio.wait_for(done.wait(), 120)
    used = cpu() - began
    running.cancel()
    await asyncio.wait([running])
    return used


def runtime(port: int, ca: str, wanted: int) -> float:
    """CPU seconds of a plain client: gRPC and the protobuf runtime's objects, each value read once."""
    import grpc  # type: ignore[import-untyped]

    from collectors.sources.gnmi.proto import SubscribeRequest, SubscribeResponse

    began, told, values = cpu(), 0, set[int]()
    with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(Path(ca).read_bytes())) as channel:
        call = channel.stream_stream("/gnmi.gNMI/Subscribe")(iter([SubscribeRequest(subscribe={}).SerializeToString()]))
        for raw in call:
            for update in SubscribeResponse.FromString(raw).update.update:
                values.add(hash((*(elem.name for elem in update.path.elem), update.val.uint_val)))
                told += 1
            if told >= wanted:
                break
        call.cancel()
    return cpu() - began


def telegraf(path: str, folder: Path, port: int, least: float) -> float:
    """CPU seconds of Telegraf from its start until it has nothing more to do."""
    (folder / "telegraf.conf").write_text(TELEGRAF.format(port=port, ca=folder / "target.crt"))
    with subprocess.Popen([path, "--config", "telegraf.conf"], cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            return until_idle(process.pid, least)
        finally:
            process.kill()


def until_idle(process: int, least: float) -> float:
    """CPU seconds of a process when it has used less than 20 ms in 2 s, but at least ``least``, or 60 s have passed."""
    used, since = 0.0, time.monotonic()
    end = since + 60
    while (used < least or time.monotonic() - since < 2) and time.monotonic() < end:
        time.sleep(0.2)
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        now = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if now - used > 0.02:
            used, since = now, time.monotonic()
    return used


def child(kind: str, port: int, ca: Path, wanted: int) -> float:
    """Ours and the runtime's, each in a process of its own."""
    command = [sys.executable, __file__, "--read", kind, str(port), str(ca), str(wanted)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(fake: str, folder: Path, rounds: int, updates: int) -> dict[str, float]:
    """Microseconds of CPU an update, by reader."""
    found, wanted = {}, rounds * PORTS * updates
    with target(fake, folder, replay(rounds, updates)) as port:
        found["railwright"] = child("source", port, folder / "target.crt", wanted)
        found["protobuf runtime"] = child("runtime", port, folder / "target.crt", wanted)
        peer = program("telegraf")
        if peer is None:
            print("telegraf is missing: make parts")
        else:
            found["telegraf"] = telegraf(peer, folder, port, wanted * 3e-6)
    if peer is not None:
        with target(fake, folder, replay(1, 1)) as port:
            found["telegraf"] -= telegraf(peer, folder, port, 0.0)
    return {name: seconds / wanted * 1e6 for name, seconds in found.items()}


def main() -> None:
    """Print a table, ours first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=250, help="notifications of each of the 64 ports")
    parser.add_argument("--updates", type=int, nargs="+", default=[15, 30], help="updates a notification")
    parser.add_argument("--read", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        kind, port, ca, wanted = given.read[0], int(given.read[1]), given.read[2], int(given.read[3])
        print(asyncio.run(source(port, ca, wanted)) if kind == "source" else runtime(port, ca, wanted))
        return
    fake = program("fake_server")
    if fake is None:
        print("fake_server is missing: make parts")
        return
    for updates in given.updates:
        with tempfile.TemporaryDirectory() as name:
            certificate(Path(name))
            found = measure(fake, Path(name), given.rounds, updates)
        print(f"{updates} updates a notification, {given.rounds * PORTS * updates:,} updates:")
        for reader, each in found.items():
            print(f"  {reader:18} {each:6.2f} µs CPU an update, {each / found['railwright']:5.2f} times ours")


if __name__ == "__main__":
    main()
