"""What a host says of its ports: files under ``/sys``, ``ethtool``, ``dcb`` and ``lldpcli``; all of it bounded text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from collectors.hostagent import MOST_PORTS, VERSION

SYS = Path("/sys")
MOST_VALUE = 128
MOST_OUTPUT = 1 << 20
PROGRAM_TIMEOUT_S = 5.0
Run = Callable[[list[str]], str]
"""Runs a program and gives what it printed, or nothing where it is not there, fails, or takes too long."""


@dataclass
class Port:
    """One port: every name it goes by, and raw values by address."""

    names: list[str]
    values: dict[str, str] = field(default_factory=dict)


def run(command: list[str]) -> str:
    """Run one of the programs that are asked here; see ``Run``."""
    program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  # fixed programs; names of interfaces come from the kernel
            [program, *command[1:]], capture_output=True, timeout=PROGRAM_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:MOST_OUTPUT].decode("utf-8", "replace") if done.returncode == 0 else ""


def document(host: str, sys: Path = SYS, program: Run = run) -> dict[str, Any]:
    """What the agent answers: version, host, clock, and every port with its names and values."""
    found = ports(sys, program)
    neighbours = program(["lldpcli", "-f", "json0", "show", "neighbors"])
    return {
        "version": VERSION,
        "host": host,
        "time_ns": time.time_ns(),
        "ports": [{"names": port.names, "values": port.values} for port in found[:MOST_PORTS]],
        "lldp": _json(neighbours),
    }


def ports(sys: Path = SYS, program: Run = run) -> list[Port]:
    """RDMA ports with their interfaces, then interfaces of hardware that have no RDMA device."""
    found = list(_rdma_ports(sys))
    taken = {name for port in found for name in port.names}
    others = (folder for folder in _folders(sys / "class/net") if folder.name not in taken)
    found.extend(_interface(folder) for folder in others if (folder / "device").exists())
    for port in found:
        _ask_programs(port, program)
    return found


def _rdma_ports(sys: Path) -> Iterator[Port]:
    for device in _folders(sys / "class/infiniband"):
        for folder in _folders(device / "ports"):
            port = Port([f"{device.name}/{folder.name}", *([device.name] if folder.name == "1" else [])])
            _values(port, "ib", folder / "counters")
            _values(port, "hw", folder / "hw_counters")
            _rate(port, folder / "rate")
            _value(port, "ib/gid_type", folder / "gid_attrs/types/3")
            interface = _interface_of(device, folder)
            if interface is not None:
                own = _interface(interface)
                port.names[:0] = own.names
                port.values |= own.values
            yield port


def _interface_of(device: Path, folder: Path) -> Path | None:
    """The interface of an RDMA port: the one whose ``dev_port`` is the port's number less one, or the only one."""
    interfaces = _folders(device / "device/net")
    for interface in interfaces:
        if _text(interface / "dev_port") == str(int(folder.name) - 1):
            return interface
    return interfaces[0] if len(interfaces) == 1 else None


def _interface(folder: Path) -> Port:
    port = Port([folder.name])
    _values(port, "net", folder / "statistics")
    for name in ("operstate", "speed", "mtu", "carrier_down_count"):
        _value(port, f"net/{name}", folder / name)
    for name in ("current_link_width", "current_link_speed"):
        _value(port, f"pci/{name}", folder / "device" / name)
    return port


def _values(port: Port, prefix: str, folder: Path) -> None:
    for file in _files(folder):
        if f"{prefix}/{file.name}" in _wanted():
            _value(port, f"{prefix}/{file.name}", file)


def _value(port: Port, address: str, file: Path) -> None:
    text = _text(file)
    if text:
        port.values[address] = text


_RATE = re.compile(r"^([\d.]+) Gb/sec \((\d+)X")


def _rate(port: Port, file: Path) -> None:
    """Speed and lanes of a line like ``400 Gb/sec (4X NDR)``."""
    match = _RATE.match(_text(file))
    if match is not None:
        port.values["ib/rate"], port.values["ib/lanes"] = match[1], match[2]


def _ask_programs(port: Port, program: Run) -> None:
    name = port.names[0]
    if "/" in name:
        return
    port.values |= dict(_statistics(program(["ethtool", "-S", name])))
    port.values |= dict(_fec(program(["ethtool", "-I", "--show-fec", name])))
    port.values |= dict(_module(program(["ethtool", "-m", name])))
    port.values |= dict(_pfc(program(["dcb", "-j", "pfc", "show", "dev", name])))


_STATISTIC = re.compile(r"^\s*([A-Za-z0-9_.\[\] -]+?):\s+(\d+)\s*$", re.MULTILINE)


def _statistics(text: str) -> Iterator[tuple[str, str]]:
    """``rx_prio3_pause: 17`` and so on of ``ethtool -S``: those that counters are made of."""
    wanted = _statistic_names()
    yield from ((name, value) for name, value in _STATISTIC.findall(text) if wanted.fullmatch(name))


def _fec(text: str) -> Iterator[tuple[str, str]]:
    for name, value in _STATISTIC.findall(text):
        if name in ("corrected_blocks", "uncorrectable_blocks"):
            yield f"fec/{name}", value


_CHANNEL = re.compile(
    r"^\s*(Rcvr signal avg optical power|Transmit avg optical power|Laser (?:tx )?bias current)"
    r"\s*\(Channel (\d+)\)\s*:\s*([\d.]+) (mW / (-?[\d.]+) dBm|mA)", re.MULTILINE,
)  # fmt: skip
_MODULE = re.compile(r"^\s*Module (temperature|voltage)\s*:\s*(-?[\d.]+) ", re.MULTILINE)
_CHANNELS = {"R": "rx_power_dbm", "T": "tx_power_dbm", "L": "tx_bias_ma"}


def _module(text: str) -> Iterator[tuple[str, str]]:
    """Optical power and bias by lane, counted from 0, temperature and voltage, of ``ethtool -m``."""
    for what, channel, first, _, dbm in _CHANNEL.findall(text):
        yield f"module/{_CHANNELS[what[0]]}/{int(channel) - 1}", dbm or first
    yield from ((f"module/{name}", value) for name, value in _MODULE.findall(text))


def _pfc(text: str) -> Iterator[tuple[str, str]]:
    """Priorities with PFC on as a mask, from ``dcb -j pfc show``."""
    found = _json(text)
    enabled = found.get("prio_pfc", found.get("prio-pfc")) if isinstance(found, dict) else None
    if isinstance(enabled, dict):
        mask = sum(1 << int(priority) for priority, on in enabled.items() if on and priority in set("01234567"))
        yield "dcb/pfc", str(mask)


@cache
def _wanted() -> frozenset[str]:
    """Addresses under /sys that counters are made of."""
    from fabric.counters import counters

    return frozenset(place.path for counter in counters().values() for place in counter.addresses["sysfs"])


@cache
def _statistic_names() -> re.Pattern[str]:
    from fabric.counters import counters

    paths = [place.path for counter in counters().values() for place in counter.addresses["ethtool"]]
    return re.compile("|".join(re.escape(path).replace(r"\{index\}", r"\d") for path in paths))


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.name)
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def _text(file: Path) -> str:
    """The first line of a small file; nothing where it cannot be read (a port that is down gives EINVAL)."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_VALUE).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return text.splitlines()[0] if text else ""


def _json(text: str) -> Any:
    try:
        found: Any = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], Mapping) else found
