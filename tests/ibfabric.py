"""A real ibsim with OpenSM and infiniband-diags on it, one at a time on a machine."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PRELOAD = next(Path("/usr/lib").glob("*/umad2sim/libumad2sim.so"), None)
LOCK = Path(tempfile.gettempdir()) / "railwright-ibsim.lock"
End = tuple[str, int]


@dataclass(frozen=True)
class Simulated:
    """A running ibsim; programs speak to it as node ``host``."""

    folder: Path
    host: str
    process: subprocess.Popen[bytes]

    def say(self, *lines: str) -> None:
        """Give commands to its console (``Unlink``, ``PerformanceSet``); returns when all are done."""
        assert self.process.stdin is not None
        log = self.folder / "ibsim.log"
        done = log.read_text().count("sim>") + len(lines)
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()
        for _ in range(300):
            if log.read_text().count("sim>") >= done:
                return
            time.sleep(0.02)
        raise AssertionError(f"ibsim did not answer: {log.read_text()[-2000:]}")

    @property
    def environment(self) -> dict[str, str]:
        """What programs of the InfiniBand tools need to be told to speak to the simulator."""
        return {
            **os.environ,
            "LD_PRELOAD": str(PRELOAD),
            "SIM_HOST": self.host,
            "OSM_TMP_DIR": str(self.folder),
            "OSM_CACHE_DIR": str(self.folder),
        }

    def run(self, *command: str | Path, timeout_s: int = 240) -> subprocess.CompletedProcess[str]:
        """Run a program of the InfiniBand tools on the simulated fabric; again where it crashes.

        ``ibqueryerrors`` writes outside of its tables where an answer comes after its time, on a busy machine.
        """
        words = [str(word) for word in command]
        for _ in range(5):
            ended = subprocess.run(
                words, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=timeout_s,
                check=False,
            )  # fmt: skip
            if ended.returncode >= 0:
                break
        return ended

    def start(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start one that stays, such as a subnet manager; the caller ends it."""
        quiet = subprocess.DEVNULL
        words = [str(word) for word in command]
        return subprocess.Popen(words, env=self.environment, cwd=self.folder, stdin=quiet, stdout=quiet, stderr=quiet)


@contextmanager
def ibsim(net: Path, host: str, folder: Path) -> Iterator[Simulated]:
    """Start ibsim on a net file; another test's ibsim is waited for."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = folder / "ibsim.log"
        command = ["ibsim", "-s", "-N", "65536", "-S", "4096", "-P", "400000", "-L", "49151", str(net)]
        with (
            log.open("w") as output,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=folder) as process,
        ):
            try:
                _wait(process, log)
                yield Simulated(folder, host, process)
            finally:
                process.kill()


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"ibsim ended with {process.returncode}: {log.read_text()[-2000:]}")
        if "sim>" in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"ibsim is not ready: {log.read_text()[-2000:]}")


_NODE = re.compile(r'(?:Switch|Ca)\s+\d+ "(\S+)"')
_PORT = re.compile(r'\[(\d+)\](?:\([0-9a-f]+\))?\s+"(\S+)"\[(\d+)\]')


def links_of(text: str) -> set[frozenset[End]]:
    """Links of a topology as ibnetdiscover writes it, each the set of its two (node, port)."""
    found: set[frozenset[End]] = set()
    node = ""
    for line in text.splitlines():
        if match := _NODE.match(line):
            node = match[1]
        elif match := _PORT.match(line):
            found.add(frozenset({(node, int(match[1])), (match[2], int(match[3]))}))
    return found
