"""Who is on a network: which host groups, and with which of their NICs."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.catalogue import Catalogue
from fabric.catalogue.models import NicGroup, Server
from fabric.intent import HostGroup, Intent, NetworkIntent

NETWORKS = ("compute", "storage", "frontend", "oob")
"""The order in which networks are sized and written."""


@dataclass(frozen=True)
class Member:
    """A host group and its NICs on one network; ``count`` of each NIC group is the number used there."""

    group: HostGroup
    nics: tuple[NicGroup, ...]
    service: bool
    """Takes ports that are left over instead of having places of its own."""

    @property
    def nic_count(self) -> int:
        """NICs of one host on the network."""
        return sum(nic.count for nic in self.nics)

    @property
    def port_count(self) -> int:
        """NIC ports of one host on the network."""
        return sum(nic.count * nic.ports for nic in self.nics)


def asked(intent: Intent, network: str) -> NetworkIntent:
    """What the intent says of a network that it has."""
    return next(wanted for name, wanted in intent.networks.items() if name == network)


def nics_on(group: HostGroup, server: Server, network: str) -> tuple[NicGroup, ...]:
    """NICs that the group's hosts have on ``network``, in the order of the catalogue.

    The catalogue says which NIC belongs where. ``HostGroup.networks`` overrides the number: each network named takes
    the NICs meant for it first, then, in the order of ``NETWORKS``, what no other network named keeps for itself.
    """
    if group.networks is None:
        return tuple(nic for nic in server.nics if nic.network == network)
    left = {nic.name: nic.count for nic in server.nics}
    given = {name: _take(server, left, name, group.networks[name], own=True) for name in _named(group)}
    for name in _named(group):
        missing = group.networks[name] - sum(count for _, count in given[name])
        given[name] += _take(server, left, name, missing, own=False)
    return tuple(
        nic if count == nic.count else nic.model_copy(update={"count": count}) for nic, count in given.get(network, [])
    )


def _named(group: HostGroup) -> tuple[str, ...]:
    return tuple(name for name in NETWORKS if group.networks and name in group.networks)


def _take(server: Server, left: dict[str, int], network: str, wanted: int, *, own: bool) -> list[tuple[NicGroup, int]]:
    """Up to ``wanted`` NICs that are left, of those meant for the network (``own``) or for others."""
    taken = []
    for nic in server.nics:
        count = min(wanted, left[nic.name]) if (nic.network == network) == own else 0
        if count > 0:
            left[nic.name] -= count
            wanted -= count
            taken.append((nic, count))
    return taken


def on_network(intent: Intent, catalogue: Catalogue, network: str) -> tuple[Member, ...]:
    """Groups with NICs on ``network``, in the order of the intent.

    A group of role service is a *service* unless there are only services on the network, or it is oob.
    """
    roles = asked(intent, network).roles
    found = []
    for group in intent.hosts:
        nics = nics_on(group, catalogue.servers[group.model], network)
        if group.role in roles and nics:
            found.append((group, nics))
    alike = network == "oob" or all(group.role == "service" for group, _ in found)
    return tuple(Member(group, nics, group.role == "service" and not alike) for group, nics in found)


def primary_network(intent: Intent, catalogue: Catalogue, group: HostGroup) -> str | None:
    """The first network on which the group has places of its own; there its spares belong to segments."""
    for network in intent.networks:
        if any(m.group.name == group.name and not m.service for m in on_network(intent, catalogue, network)):
            return network
    return None
