"""What this machine has and lacks: Python, packages, cores, memory, and programs that some commands or tests use."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

State = Literal["ok", "missing", "optional"]

LEAST_PYTHON = (3, 11)
PROGRAMS = (
    ("dot", "graphviz", "draws cabling/topology.dot"),
    ("snmpd", "snmpd", "gives collect --demo real agents"),
    ("ibqueryerrors", "infiniband-diags", "reads InfiniBand counters"),
    ("lldpcli", "lldpd", "tells neighbours"),
    ("ethtool", "ethtool", "gives the host agent statistics, FEC and optics"),
)
"""Optional programs of the system: command, Debian package, what for."""


MEMORY = "a plan of 131,072 GPUs takes about 1 GiB, one of 1,048,576 about 6 GiB"
"""Measured by benchmarks/plan.py."""


@dataclass(frozen=True)
class Remark:
    """One thing examined: its state, what was found, and the command that mends it (empty: nothing to do)."""

    name: str
    state: State
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For ``doctor --json``."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.state:<9} {self.name:<12} {self.found}" + (f"; {self.remedy}" if self.remedy else "")


def examine() -> list[Remark]:
    """Every remark, in the order of the page."""
    return [_python(), *_packages(), _cores(), _memory(), *_programs()]


def _python() -> Remark:
    state: State = "ok" if sys.version_info >= LEAST_PYTHON else "missing"
    least = ".".join(map(str, LEAST_PYTHON))
    return Remark(
        "python", state, platform.python_version(), "" if state == "ok" else f"install Python {least} or newer"
    )


def _packages() -> Iterator[Remark]:
    """The packages that the installed distribution says it needs."""
    for text in metadata.requires("railwright") or ():
        requirement, _, marker = text.partition(";")
        if "extra" in marker:
            continue
        name = re.split(r"[^A-Za-z0-9_.-]", requirement.strip(), maxsplit=1)[0]
        try:
            yield Remark(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Remark(name, "missing", "not installed", f'pip install "{requirement.strip()}"')


def _cores() -> Remark:
    return Remark("cores", "ok", f"{len(os.sched_getaffinity(0))} for this process")


def _memory() -> Remark:
    """Memory that this process may take, GiB."""
    gib = available_memory() / 2**30
    return Remark("memory", "ok", f"{gib:.1f} GiB available; {MEMORY}")


def available_memory(proc: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes that are free, or what the control group still allows, if less."""
    fields = dict(line.split(":", 1) for line in proc.read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    limit = cgroup.read_text().strip() if cgroup.is_file() else "max"
    return free if limit == "max" else min(free, int(limit))


def _programs() -> Iterator[Remark]:
    for program, package, purpose in PROGRAMS:
        where = shutil.which(program)
        if where:
            yield Remark(program, "ok", where)
        else:
            yield Remark(program, "optional", f"not here; {purpose}", f"apt-get install {package}")
