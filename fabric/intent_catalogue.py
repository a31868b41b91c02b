"""Whether an intent and a catalogue fit together: what can be said before anything is sized.

``check_against`` returns every problem found, none of them raised. Each check is a function in ``CHECKS``; hosts whose
model is unknown are told once and left out of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fabric.catalogue.models import Catalogue, Switch
from fabric.errors import Problem
from fabric.intent import HostGroup, Intent, NetworkIntent
from fabric.intent.network import TIERS
from fabric.population import Member, nics_on, on_network
from fabric.validation import one_of, suggest


@dataclass(frozen=True)
class Asked:
    """An intent beside its catalogue. ``sound``: groups whose server is known and has the NICs they ask for."""

    intent: Intent
    catalogue: Catalogue
    sound: tuple[HostGroup, ...]

    def members(self, network: str) -> tuple[Member, ...]:
        """Sound groups with NICs on a network."""
        return on_network(self.intent.model_copy(update={"hosts": self.sound}), self.catalogue, network)

    @property
    def networks(self) -> Iterator[tuple[str, NetworkIntent]]:
        """Networks by name, in their order."""
        return ((str(name), network) for name, network in self.intent.networks.items())


Check = Callable[[Asked], Iterator[Problem]]


def check_against(intent: Intent, catalogue: Catalogue) -> list[Problem]:
    """Problems of the intent that need the catalogue, sorted by place; empty where all fits."""
    by_group = [list(servers_have_the_nics(index, group, catalogue)) for index, group in enumerate(intent.hosts)]
    sound = tuple(group for group, found in zip(intent.hosts, by_group, strict=True) if not found)
    asked = Asked(intent, catalogue, sound)
    problems = [problem for found in by_group for problem in found]
    problems += [problem for check in CHECKS for problem in check(asked)]
    source = f"{intent.source}: " if intent.source else ""
    return sorted({Problem(f"{source}{problem.where}", problem.what, problem.remedy) for problem in problems})


def servers_have_the_nics(index: int, group: HostGroup, catalogue: Catalogue) -> Iterator[Problem]:
    """Each group's model is in the catalogue and has the NICs that the group sends to networks."""
    server = catalogue.servers.get(group.model)
    if server is None:
        yield Problem(
            f"hosts[{index}].model", f'unknown server "{group.model}"', _name_or_add(group.model, catalogue.servers)
        )
        return
    wanted = group.networks or {}
    for network, count in wanted.items():
        have = sum(nic.count for nic in nics_on(group, server, network))
        if count > have:
            what = f"asks for {count} NICs of {group.model}, which has {have} for {network}"
            yield Problem(f"hosts[{index}].networks.{network}", what, f"ask for {have} or fewer")
    total = sum(nic.count for nic in server.nics)
    if sum(wanted.values()) > total:
        what = f"asks for {sum(wanted.values())} NICs in all of {group.model}, which has {total}"
        yield Problem(f"hosts[{index}].networks", what, "ask for fewer")


def known_switches(asked: Asked) -> Iterator[Problem]:
    """Each switch named is in the catalogue, speaks the network's technology and runs its operating system."""
    for name, network in asked.networks:
        fitting = tuple(switch.name for switch in _of_technology(network, asked.catalogue))
        for tier, models in network.switches.items():
            for index, model in enumerate(models):
                where = f"networks.{name}.switches.{tier}[{index}]"
                switch = asked.catalogue.switches.get(model)
                if switch is None:
                    yield Problem(where, f'unknown switch "{model}"', _name_or_add(model, fitting))
                elif network.technology not in switch.technologies:
                    what = f"{model} speaks {' and '.join(switch.technologies)}, and {name} is {network.technology}"
                    yield Problem(where, what, f"name {one_of(fitting)}" if fitting else "change the technology")
                elif network.nos not in switch.nos:
                    yield Problem(where, f"{model} does not run {network.nos}", f"say nos: {' or '.join(switch.nos)}")


def everyone_is_on_a_network(asked: Asked) -> Iterator[Problem]:
    """Each network has NICs, and each group is on a network."""
    members = {name: asked.members(name) for name, _ in asked.networks}
    told = len(asked.sound) < len(asked.intent.hosts)
    for name, network in asked.networks:
        # The oob network always has the management ports of the others' switches.
        if not members[name] and not told and (name != "oob" or len(members) == 1):
            what = f"no group of hosts has a NIC on {name} (roles: {', '.join(network.roles)})"
            yield Problem(f"networks.{name}", what, f"leave the network out, or say hosts[…].networks: {{{name}: 1}}")
    connected = {member.group.name for found in members.values() for member in found}
    for index, group in enumerate(asked.intent.hosts):
        if group in asked.sound and group.name not in connected:
            what = f"{group.name} ({group.model}, role {group.role}) has no NIC on any network of the intent"
            yield Problem(f"hosts[{index}]", what, "add its network, or leave the group out")


def planes_divide(asked: Asked) -> Iterator[Problem]:
    """Each plane gets the same number of ports of every NIC."""
    for name, network in asked.networks:
        for member in asked.members(name):
            for nic in member.nics:
                if isinstance(network.planes, int) and nic.ports % network.planes and not member.service:
                    ports = f"{nic.ports} port{'s' if nic.ports > 1 else ''}"
                    what = f"{network.planes} planes do not divide the {ports} of {nic.name} ({member.group.model})"
                    yield Problem(f"networks.{name}.planes", what, f"say {one_of(_divisors(nic.ports))}, or auto")


def rails_exist(asked: Asked) -> Iterator[Problem]:
    """A leaf cannot serve more rails than the hosts have."""
    for name, network in asked.networks:
        rails = max((m.nic_count for m in asked.members(name) if not m.service), default=0)
        if isinstance(network.rails_per_leaf, int) and rails and network.rails_per_leaf > rails:
            what = f"{network.rails_per_leaf} rails on a leaf, and the hosts have {rails}"
            yield Problem(f"networks.{name}.rails_per_leaf", what, f"say at most {rails}, or auto")


def leaves_take_the_nics(asked: Asked) -> Iterator[Problem]:
    """Some leaf model has a cage and breakout for the speed of every NIC."""
    for name, network in asked.networks:
        leaves = _candidates(network, asked.catalogue, "leaf")
        for speed, rj45, who in _speeds(name, asked.members(name)):
            if leaves and not any(speed in _port_speeds(leaf, rj45=rj45) for leaf in leaves):
                kind = "rj45 cage" if rj45 else "breakout"
                what = f"{_lack(network, leaves, 'leaf', f'{kind} of {speed} Gb/s')}, which {who} needs"
                others = [s for s in _of_technology(network, asked.catalogue) if speed in _port_speeds(s, rj45=rj45)]
                remedy = (
                    f"name {one_of([s.name for s in others])}"
                    if others
                    else "add one that has to a file of `catalogue:`"
                )
                yield Problem(_tier_place(name, network, "leaf"), what, remedy)


def pinned_speeds_exist(asked: Asked) -> Iterator[Problem]:
    """Both ends of inter-switch links can be set to a speed that is pinned."""
    for name, network in asked.networks:
        for lower, upper in (("leaf", "spine"), ("spine", "core")):
            speed = getattr(network.uplink_speed_gbps, lower)
            ends = (lower, upper) if network.tiers == "auto" or network.tiers > TIERS.index(lower) + 1 else (lower,)
            for tier in ends if isinstance(speed, int) else ():
                yield from _speed_on(
                    f"networks.{name}.uplink_speed_gbps.{lower}", speed, network, asked.catalogue, tier
                )
        if network.uplinks is not None:
            where = f"networks.{name}.uplinks.speed_gbps"
            yield from _speed_on(where, network.uplinks.speed_gbps, network, asked.catalogue, "leaf")
            target = asked.intent.networks.get(network.uplinks.to)  # type: ignore[call-overload]
            if target is not None:
                yield from _speed_on(where, network.uplinks.speed_gbps, target, asked.catalogue, "leaf")


def _speed_on(where: str, speed: int, network: NetworkIntent, catalogue: Catalogue, tier: str) -> Iterator[Problem]:
    switches = _candidates(network, catalogue, tier)
    if switches and not any(speed in _port_speeds(switch, rj45=False) for switch in switches):
        have = sorted({each for switch in switches for each in _port_speeds(switch, rj45=False)})
        what = _lack(network, switches, tier, f"breakout of {speed} Gb/s")
        yield Problem(where, what, f"say {one_of([str(each) for each in have])}" if have else "leave it out")


def uplinks_are_not_slower(asked: Asked) -> Iterator[Problem]:
    """A link between switches is never slower than the fastest host port below it."""
    for name, network in asked.networks:
        pinned = network.uplink_speed_gbps
        nics = [nic for member in asked.members(name) if not member.service for nic in member.nics]
        fastest = max((nic.speed_gbps for nic in nics), default=0)
        below = {"leaf": (fastest, "its NICs"), "spine": (fastest, "its NICs")}
        if isinstance(pinned.leaf, int) and pinned.leaf > fastest:
            below["spine"] = (pinned.leaf, "the leaf uplinks")
        for tier, (speed, who) in below.items():
            speed_asked = getattr(pinned, tier)
            if isinstance(speed_asked, int) and speed_asked < speed:
                what = f"{speed_asked} Gb/s is slower than {who} ({speed} Gb/s)"
                yield Problem(f"networks.{name}.uplink_speed_gbps.{tier}", what, f"say {speed} or more, or auto")


CHECKS: tuple[Check, ...] = (
    known_switches,
    everyone_is_on_a_network,
    planes_divide,
    rails_exist,
    leaves_take_the_nics,
    pinned_speeds_exist,
    uplinks_are_not_slower,
)


def _name_or_add(model: str, known: Iterable[str]) -> str:
    return f"{suggest(model, tuple(known))} or add it to a file of `catalogue:`"


def _of_technology(network: NetworkIntent, catalogue: Catalogue) -> list[Switch]:
    return [switch for switch in catalogue.switches.values() if network.technology in switch.technologies]


def _candidates(network: NetworkIntent, catalogue: Catalogue, tier: str) -> list[Switch]:
    """Switches a tier may use; none where a name is unknown, so that no second problem is made of it."""
    fitting = _of_technology(network, catalogue)
    named = network.switches.get(tier)  # type: ignore[call-overload]
    if named is None:
        return fitting
    found = [switch for switch in fitting if switch.name in named]
    return found if len(found) == len(named) else []


def _port_speeds(switch: Switch, *, rj45: bool) -> set[int]:
    """Speeds that ports of a switch can be set to; rj45 cages take rj45 plugs only, other cages never do."""
    groups = (group for group in switch.cages if (group.type == "rj45") == rj45)
    return {mode.speed_gbps for group in groups for mode in group.modes}


def _speeds(network: str, members: tuple[Member, ...]) -> list[tuple[int, bool, str]]:
    """Distinct (speed in Gb/s, whether rj45, who has it first); on oob only the fastest, which all ports then have."""
    first: dict[tuple[int, bool], str] = {}
    for member in members:
        for nic in member.nics:
            first.setdefault((nic.speed_gbps, nic.cage == "rj45"), f"{nic.name} of {member.group.model}")
    found = [(speed, rj45, who) for (speed, rj45), who in first.items()]
    return sorted(found, reverse=True)[:1] if network == "oob" else found


def _lack(network: NetworkIntent, switches: list[Switch], tier: str, thing: str) -> str:
    """``NAME has no THING``, or the same of all the names, or of the whole catalogue."""
    if tier not in network.switches:
        return f"no {network.technology} switch of the catalogue has {_a(thing)}"
    names = [switch.name for switch in switches]
    return f"{names[0]} has no {thing}" if len(names) == 1 else f"none of {', '.join(names)} has {_a(thing)}"


def _tier_place(name: str, network: NetworkIntent, tier: str) -> str:
    return f"networks.{name}.switches.{tier}" if tier in network.switches else f"networks.{name}"


def _divisors(number: int) -> list[str]:
    return [str(divisor) for divisor in range(1, number + 1) if number % divisor == 0]


def _a(noun: str) -> str:
    return f"a{'n' if noun.startswith('rj') else ''} {noun}"
