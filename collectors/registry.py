"""The sources by name: where each is, whom it asks, and how often; a module is imported when its source is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.sources import Listening, Polled, Target


@dataclass(frozen=True)
class Entry:
    """One source.

    ``at``: module and class; ``asks``: ``switch``, ``host`` (devices of the plan, by their management addresses),
    ``subnet`` (InfiniBand networks of the plan), or ``server`` (one that speaks for them); ``port``: where devices
    listen, unless the settings say otherwise (of a subnet: the port of the adapter to ask through; of a source that
    takes ``port`` itself: where it listens); ``period``: seconds between polls, or that a listening source gathers;
    ``own``: settings that the class takes for
    itself, all others are options of each target; ``check``: module and function that raises InputError for options
    that cannot be.
    """

    at: str
    asks: str
    port: int
    period: float
    listens: bool = False
    own: tuple[str, ...] = ()
    check: str = ""


SOURCES: dict[str, Entry] = {
    "snmp": Entry("collectors.sources.snmp:Snmp", "switch", 161, 10, check="collectors.registry:check_snmp"),
    "gnmi": Entry(
        "collectors.sources.gnmi.source:Gnmi", "switch", 9339, 10, True, check="collectors.sources.gnmi.options:options"
    ),
    "sflow": Entry(
        "collectors.sources.sflow.source:SFlow",
        "switch",
        6343,
        10,
        True,
        ("address", "port", "forwarders", "buffer_bytes"),
    ),
    "traps": Entry(
        "collectors.sources.traps:Traps", "switch", 162, 1, True, ("address", "port"), "collectors.sources.traps:check"
    ),
    "infiniband": Entry("collectors.sources.infiniband:InfinibandSource", "subnet", 0, 30),
    "host": Entry("collectors.sources.host:HostSource", "host", 9342, 10, own=("ca",)),
    "prometheus": Entry(
        "collectors.sources.prometheus:Prometheus", "server", 9090, 15, check="collectors.sources.prometheus:options"
    ),
    "lldp": Entry("collectors.sources.lldp:LldpSource", "switch", 0, 60, check="collectors.sources.lldp:check"),
}
"""Every source that runs without end; ``capture`` reads files."""


def load(at: str) -> Any:
    """What ``module:name`` is; imports the module."""
    module, name = at.split(":")
    return getattr(importlib.import_module(module), name)


def make(name: str, own: Mapping[str, object]) -> Polled | Listening:
    """A source of that name; ``own``: what the settings say to its class."""
    source: Polled | Listening = load(SOURCES[name].at)(**own)
    return source


def check(name: str, target: Target) -> None:
    """Raises InputError where the options of a target cannot be; says nothing of sources that take any."""
    if SOURCES[name].check:
        load(SOURCES[name].check)(target)


def check_snmp(target: Target) -> None:
    """SNMP reads options by themselves."""
    from collectors.sources.snmp.options import options

    options(target.options, "collect.snmp")
