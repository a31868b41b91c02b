"""Real lldpd daemons in network namespaces, one a device, with cables between them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import need

End = tuple[str, str]
"""Device and interface."""


@contextmanager
def daemons(devices: Sequence[str], cables: Sequence[tuple[End, End]]) -> Iterator[dict[str, Path]]:
    """A daemon a device until the block ends; gives their control sockets.

    lldpd gives up root: its folder has to be open to others.
    """
    need("lldpd")
    need("iproute2")
    if os.geteuid() != 0:
        pytest.skip("namespaces need root: run as root")
    folder = Path(tempfile.mkdtemp(prefix="rw-lldp-"))
    folder.chmod(0o755)
    spaces = {device: f"{folder.name}-{number}" for number, device in enumerate(devices)}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for space in spaces.values():
            _ip("netns", "add", space)
        for (near, near_port), (far, far_port) in cables:
            _ip("-n", spaces[near], "link", "add", near_port, "type", "veth", "peer", far_port, "netns", spaces[far])
            _ip("-n", spaces[near], "link", "set", near_port, "up")
            _ip("-n", spaces[far], "link", "set", far_port, "up")
        Path("/run/lldpd").mkdir(exist_ok=True)
        running += [_start(device, space, folder) for device, space in spaces.items()]
        yield {device: folder / f"{space}.sock" for device, space in spaces.items()}
    finally:
        for process in running:
            process.kill()
            process.wait()
        for space in spaces.values():
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False).stdout
            for pid in pids.split():
                subprocess.run(["kill", "-9", pid], check=False)
            subprocess.run(["ip", "netns", "del", space], check=False)
        shutil.rmtree(folder)


def _start(device: str, space: str, folder: Path) -> subprocess.Popen[bytes]:
    settings = folder / f"{space}.conf"
    lines = f"configure system hostname {device}\nconfigure lldp tx-interval 1\n"
    settings.write_text(f"{lines}configure lldp portidsubtype ifname\nresume\n")
    command = ["ip", "netns", "exec", space, "lldpd", "-d", "-u", str(folder / f"{space}.sock"), "-O", str(settings)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
