"""Who is on a network: which host groups, and with which of their NICs."""

from __future__ import annotations

from collections.abc import Iterator
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

    The catalogue says which NIC belongs where. ``HostGroup.networks`` overrides the number: the NICs meant for the
    network first, then others that no network of the override claims for itself.
    """
    if group.networks is None:
        return tuple(nic for nic in server.nics if nic.network == network)
    wanted = group.networks.get(network, 0)
    return tuple(_take(_candidates(group.networks, server, network), wanted))


def _candidates(claims: dict[str, int], server: Server, network: str) -> list[NicGroup]:
    own = [nic for nic in server.nics if nic.network == network]
    return own + [nic for nic in server.nics if nic.network != network and nic.network not in claims]


def _take(nics: list[NicGroup], wanted: int) -> Iterator[NicGroup]:
    for nic in nics:
        if wanted <= 0:
            return
        yield nic if nic.count <= wanted else nic.model_copy(update={"count": wanted})
        wanted -= nic.count


def on_network(intent: Intent, catalogue: Catalogue, network: str) -> tuple[Member, ...]:
    """Groups with NICs on ``network``, in the order of the intent.

    A group of role service is a *service* unless there are only services on the network, or it is oob.
    """
    roles = asked(intent, network).roles
    found = []
    for group in intent.hosts:
        nics = nics_on(group, catalogue.servers[group.model], network)
        if group.role in roles and sum(nic.count for nic in nics):
            found.append((group, nics))
    alike = network == "oob" or all(group.role == "service" for group, _ in found)
    return tuple(Member(group, nics, group.role == "service" and not alike) for group, nics in found)


def primary_network(intent: Intent, catalogue: Catalogue, group: HostGroup) -> str | None:
    """The first network on which the group has places of its own; there its spares belong to segments."""
    for network in intent.networks:
        if any(m.group.name == group.name and not m.service for m in on_network(intent, catalogue, network)):
            return network
    return None
