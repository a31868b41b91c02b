"""Whose datagram it is, and which port of the plan an ifIndex is.

A datagram is a device's when the agent's address in it is one of the device's, and it came from one of them or from a
forwarder that the settings name. An ifIndex is a port by the mapping in the target's option ``ifindex`` (ifIndex →
name of the port), else as the agent itself names its interfaces in counter records 1005.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from collectors.sources import Target
from collectors.sources.sflow.jit import Ints, Rows, Words, compiled
from collectors.sources.sflow.layout import OK, UNKNOWN_AGENT, UNKNOWN_SOURCE
from collectors.sources.sflow.lookup import Lookup, find
from fabric.errors import InputError, Problem

LOW = (1 << 64) - 1
NO_PORT = 0
"""Number of a port that the plan does not have (any more) at an ifIndex; the plan's ports begin at 1."""


def words(address: str) -> tuple[int, int]:
    """An address as two words, IPv4 as IPv4-mapped IPv6; raises ValueError."""
    found = ipaddress.ip_address(address)
    value = int(found) | 0xFFFF << 32 if found.version == 4 else int(found)
    return value >> 64, value & LOW


def address_text(high: int, low: int) -> str:
    """Two words as an address again."""
    value = int(high) << 64 | int(low)
    return str(ipaddress.IPv4Address(value & 0xFFFFFFFF) if value >> 32 == 0xFFFF else ipaddress.IPv6Address(value))


class Agents:
    """The devices of the plan as sFlow sees them; raises InputError with every mistake in their addresses."""

    def __init__(self, targets: Sequence[Target], forwarders: Sequence[str] = ()) -> None:
        self.targets = list(targets)
        addresses = [(index, text) for index, one in enumerate(targets) for text in _addresses(one)]
        self._agents, self._forwarders = Lookup(len(addresses)), Lookup(len(forwarders))
        problems = [*self._place(addresses), *self._forward(forwarders)]
        self.devices = pl.Series("device", [one.device for one in targets], dtype=pl.String)
        self._ids: list[dict[str, int]] = []
        self._at: list[dict[int, int]] = [{} for _ in targets]
        names: list[str | None] = [None]
        for one in targets:
            plain = list(dict.fromkeys(one.ports.values()))
            self._ids.append({name: len(names) + place for place, name in enumerate(plain)})
            names += plain
        self.ports = pl.Series("port", names, dtype=pl.String)
        self._hashes = np.zeros(len(names), np.uint64)
        self._rebuild()
        problems += [p for index in range(len(targets)) for p in self._given(index)]
        if problems:
            raise InputError(problems)

    def _place(self, addresses: Sequence[tuple[int, str]]) -> Iterator[Problem]:
        seen: dict[tuple[int, int], int] = {}
        for index, text in addresses:
            device = self.targets[index].device
            try:
                key = words(text)
            except ValueError:
                yield Problem(f"{device}: {text}", "is no IP address", "give the address that its sFlow agent has")
                continue
            if seen.setdefault(key, index) != index:
                yield Problem(f"{device}: {text}", f"is also an address of {self.targets[seen[key]].device}")
            self._agents.put(*key, index)

    def _forward(self, forwarders: Sequence[str]) -> Iterator[Problem]:
        for text in forwarders:
            try:
                self._forwarders.put(*words(text), 0)
            except ValueError:
                yield Problem(f"forwarders: {text}", "is no IP address")

    def _given(self, target: int) -> Iterator[Problem]:
        """Take the option ``ifindex`` of a target."""
        one = self.targets[target]
        given = one.options.get("ifindex", {})
        for key, name in (given if isinstance(given, Mapping) else {}).items():
            plain = one.ports.get(str(name))
            if not str(key).isdigit() or not 0 < int(key) < 1 << 32 or plain is None:
                yield Problem(f"{one.device}: ifindex {key}: {name}", "is no ifIndex of a port of the plan")
                continue
            self._teach(target, int(key), self._ids[target][plain])

    def identify(self, heads: Rows) -> None:
        """Set the target of each datagram; marks what is of no device of the plan."""
        agents, forwarders = self._agents, self._forwarders
        identify(heads, agents.keys, agents.values, forwarders.keys, forwarders.values)

    def port_ids(self, target: Ints, ifindex: Words) -> Ints:
        """The number in ``ports`` of each ifIndex, ``NO_PORT`` where the plan has none."""
        found = self._numbers.find(target.astype(np.uint64), ifindex.astype(np.uint64))
        return np.maximum(found, NO_PORT)

    def learn(self, rows: Rows) -> None:
        """Take the names that agents gave their interfaces (rows of ``layout.NAMES``), where the plan knows them."""
        known = self.port_ids(rows["target"], rows["ifindex"])
        for row in rows[self._hashes[known] != rows["hash"]]:
            target = int(row["target"])
            text = row["text"][: row["length"]].tobytes().decode("utf-8", "replace")
            plain = self.targets[target].ports.get(text)
            if plain is not None and not self.targets[target].options.get("ifindex"):
                number = self._ids[target][plain]
                self._teach(target, int(row["ifindex"]), number)
                self._hashes[number] = row["hash"]

    def _teach(self, target: int, ifindex: int, number: int) -> None:
        """One ifIndex, one port: what either was before is forgotten."""
        at = self._at[target]
        stale = [key for key, value in at.items() if value == number and key != ifindex]
        for key in stale:
            del at[key]
            self._numbers.put(target, key, NO_PORT)
        if ifindex not in at:
            self._used += 1
        at[ifindex] = number
        self._numbers.put(target, ifindex, number)
        if self._used > self._most:
            self._rebuild()

    def _rebuild(self) -> None:
        """A new table without what was forgotten; it has room for as much again."""
        self._most = 2 * len(self.ports) + 8
        self._numbers, self._used = Lookup(self._most + 1), 0
        for target, at in enumerate(self._at):
            for ifindex, number in at.items():
                self._numbers.put(target, ifindex, number)
                self._used += 1


def _addresses(target: Target) -> list[str]:
    """All addresses of a device: where it is managed, and its option ``addresses``."""
    more = target.options.get("addresses", ())
    texts = [str(one) for one in more] if isinstance(more, Sequence) and not isinstance(more, str) else []
    return [target.address, *texts]


@compiled
def identify(heads: Rows, keys: Words, values: Ints, forward_keys: Words, forward_values: Ints) -> None:
    """Set ``target`` by the agent's address, if the sender is of the same device or a forwarder."""
    for index in range(len(heads)):
        head = heads[index]
        if head["status"] != OK:
            continue
        target = find(keys, values, head["agent_hi"], head["agent_lo"])
        if target < 0:
            head["status"] = UNKNOWN_AGENT
        elif (
            find(keys, values, head["source_hi"], head["source_lo"]) != target
            and find(forward_keys, forward_values, head["source_hi"], head["source_lo"]) < 0
        ):
            head["status"] = UNKNOWN_SOURCE
        else:
            head["target"] = target
