"""A recording: samples by interval, and for each device an address of its own and a number for each port."""

from __future__ import annotations

import csv
import ipaddress
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import polars as pl

from fabric.counters import parse
from fabric.errors import InputError, Problem
from fabric.samples import FLOW_SCHEMA, empty_flows

FIRST_ADDRESS = ipaddress.IPv4Address("127.64.0.1")
"""Of the first device, where no plan says its management address: the whole of 127/8 is this machine."""
SAMPLES, FLOWS = "counters.parquet", "flows.parquet"


@dataclass(frozen=True)
class Recording:
    """``counters`` and ``flows`` as in ``fabric.samples``, of ``devices`` alone; ``addresses`` by device."""

    counters: pl.DataFrame
    flows: pl.DataFrame
    devices: tuple[str, ...]
    addresses: Mapping[str, str]

    @cached_property
    def times(self) -> list[int]:
        """When samples were taken, ns, in order."""
        return self.counters["time_ns"].unique().sort().to_list()

    @cached_property
    def ifindex(self) -> dict[str, dict[str, int]]:
        """Number of each port, from 1, by device: in the order of names as people count (Ethernet8 before 16)."""
        pairs = self.counters.filter(pl.col("port").is_not_null()).select("device", "port").unique()
        sides = [self.flows.select("device", port=side).drop_nulls() for side in ("in_port", "out_port")]
        names: dict[str, set[str]] = {device: set() for device in self.devices}
        for device, port in pl.concat([pairs, *sides]).unique().iter_rows():
            names[device].add(port)
        return {device: {p: n for n, p in enumerate(sorted(ports, key=_natural), 1)} for device, ports in names.items()}

    def parted(self) -> tuple[Recording, Recording]:
        """Hosts, and the rest: a host tells something that only the places of hosts' counters have.

        Raises InputError where there is no host.
        """
        own = [name for name in self.counters.columns if _of_hosts(name)]
        told = pl.any_horizontal(pl.col(name).is_not_null() for name in own) if own else pl.lit(value=False)
        hosts = set(self.counters.filter(told)["device"].unique())
        if not hosts:
            raise InputError(Problem("the recording", "has no host among these devices", "see --devices"))
        return self.of(hosts), self.of({*self.devices} - hosts)

    def of(self, devices: Collection[str]) -> Recording:
        """Of some of its devices alone."""
        names = tuple(name for name in self.devices if name in devices)
        mine = pl.col("device").is_in(list(names))
        return Recording(
            self.counters.filter(mine), self.flows.filter(mine), names, {name: self.addresses[name] for name in names}
        )

    def at(self, device: str, time_ns: int) -> pl.DataFrame:
        """A device's rows of one time."""
        found = self._by_device_and_time.get((device, time_ns))
        return self._nothing if found is None else found

    @cached_property
    def _nothing(self) -> pl.DataFrame:
        return self.counters.clear()

    @cached_property
    def _by_device_and_time(self) -> dict[tuple[str, int], pl.DataFrame]:
        parts = self.counters.partition_by("device", "time_ns", as_dict=True)
        return {(str(device), int(str(time_ns))): part for (device, time_ns), part in parts.items()}


def _of_hosts(column: str) -> bool:
    """Whether hosts' agents alone have a counter: neither switches nor an InfiniBand subnet's manager."""
    known = parse(column)
    if known is None:
        return False
    at = known[0].addresses
    return bool(at["sysfs"] or at["ethtool"]) and not any(at[other] for other in ("oid", "gnmi", "sonic", "infiniband"))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def read(folder: Path, patterns: Sequence[str] = ("*",), addresses: Mapping[str, str] | None = None) -> Recording:
    """The recording in a folder: devices whose names match a pattern.

    ``addresses``: what devices are known by; else each gets one of 127.64.0.0 and up, in the order of all names, so
    that the choice of devices does not change them. Raises InputError.
    """
    counters = _table(folder / SAMPLES)
    flows = _table(folder / FLOWS) if (folder / FLOWS).exists() else empty_flows()
    missing = [name for name in ("time_ns", "device", "port") if name not in counters.columns]
    missing += [name for name in FLOW_SCHEMA if name not in flows.columns]
    if missing:
        raise InputError([Problem(str(folder), f"has no column {name}") for name in missing])
    everyone = pl.concat([counters["device"], flows["device"]]).drop_nulls().unique().sort().to_list()
    devices = [name for name in everyone if any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not devices:
        raise InputError(Problem(str(folder), f"has no device called {' or '.join(patterns)}"))
    given = addresses or {}
    found = {name: given.get(name, str(FIRST_ADDRESS + number)) for number, name in enumerate(everyone)}
    mine = pl.col("device").is_in(devices)
    if "outcome" in counters.columns:
        mine &= pl.col("outcome").is_null()
    return Recording(
        standing(counters.filter(mine)).sort("time_ns", "device", "port"),
        flows.filter(pl.col("device").is_in(devices)).sort("time_ns", "device"),
        tuple(devices), {name: found[name] for name in devices},
    )  # fmt: skip


def standing(counters: pl.DataFrame) -> pl.DataFrame:
    """A table of counters in which what devices were seldom asked for (settings, neighbours) stands until asked again.

    A device that is asked has an MTU always, whenever it was that the recording noted it.
    """
    seldom = [name for name in counters.columns if _is_state(name) and _seldom(counters, name)]
    if not seldom:
        return counters
    key = ["device", "port", "noted_ns"]
    told = pl.any_horizontal(pl.col(name).is_not_null() for name in seldom).any().over("device", "time_ns")
    noted = pl.when(told).then("time_ns").forward_fill().over("device", order_by="time_ns")
    table = counters.with_columns(noted_ns=noted)
    notes = table.filter(pl.col("noted_ns") == pl.col("time_ns")).select(*key, *seldom)
    found = table.drop(seldom).join(notes, on=key, how="left", nulls_equal=True, maintain_order="left")
    return found.select(counters.columns)


def _is_state(column: str) -> bool:
    known = parse(column)
    return known is not None and known[0].kind in ("gauge", "state", "text") and known[0].object == "port"


def _seldom(counters: pl.DataFrame, column: str) -> bool:
    """Whether there are times at which no port has it."""
    return not counters.group_by("time_ns").agg(pl.col(column).count() > 0)[column].all()


def _table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except OSError as error:
        remedy = "name a folder that railwright simulate -o wrote"
        raise InputError(
            Problem(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}", remedy)
        ) from error
    except pl.exceptions.PolarsError as error:
        raise InputError(Problem(str(path), f"is not Parquet: {str(error).splitlines()[0][:120]}")) from error


def write_targets(path: Path, places: Mapping[str, Mapping[str, tuple[str, int]]]) -> None:
    """The file of targets that ``railwright collect --targets`` reads: by source, where each device answers."""
    rows = sorted((device, *at, source) for source, known in places.items() for device, at in known.items())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("device", "address", "port", "source"))
        writer.writerows((device, address, port or "", source) for device, address, port, source in rows)


class Clock:
    """Recorded time, running ``speed`` times as fast as ours from the first sample on; it stops at the last."""

    def __init__(self, times: Sequence[int], speed: float) -> None:
        """``times``: of the samples, in order."""
        self.times, self.speed = list(times), speed
        self._began_ns = time.monotonic_ns()
        self.wall_ns = time.time_ns()
        """Our own clock when it began."""

    def now_ns(self) -> int:
        """Recorded time now."""
        return self.times[0] + round((time.monotonic_ns() - self._began_ns) * self.speed)

    def sample(self) -> int:
        """Time of the newest sample that is not in the future."""
        from bisect import bisect_right

        return self.times[max(bisect_right(self.times, self.now_ns()) - 1, 0)]

    def over(self) -> bool:
        """Whether the last sample is past."""
        return self.now_ns() > self.times[-1]

    def wait(self, recorded_ns: int) -> None:
        """Sleep until recorded time is there."""
        ahead = (recorded_ns - self.now_ns()) / self.speed / 1e9
        if ahead > 0:
            time.sleep(ahead)

    def ours(self, recorded_ns: int) -> int:
        """Our clock at a recorded time."""
        return self.wall_ns + round((recorded_ns - self.times[0]) / self.speed)


def sleepy(clock: Clock, step: float = 0.05) -> Iterator[None]:
    """Turns of a loop until the recording is over."""
    while not clock.over():
        yield
        time.sleep(step)
