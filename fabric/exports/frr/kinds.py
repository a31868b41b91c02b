"""What routers of one kind have in common, written once: policy, peer groups, families."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fabric.addressing_places import room
from fabric.exports.frr.domains import FAMILIES, Domain
from fabric.exports.frr.policy import ORIGIN, above, as_path_list, common_lists, given, route_map, taken
from fabric.exports.frr.sessions import ORDER
from fabric.exports.frr.timers import Timers

LEAST_PATHS = 64
MOST_PATHS = 256
"""Next hops of a route that Debian's FRR is built for."""
EXTERNAL_PREFIXES = 8
"""From what is not ours a default route is taken, and little else is wanted."""
_MARGIN = 2


@dataclass(frozen=True)
class Kind:
    """Routers with the same peer groups and equal numbers of next hops; the text of each part ends its own lines."""

    tier: str
    domain: Domain
    groups: tuple[tuple[str, int], ...]
    """Peer groups in the order of ``ORDER``, and how many next hops a route by each of them has, at most."""
    numbered: bool
    own: int
    """Prefixes that a leaf below gives to this router, at most (a router without leaves: 0)."""
    timers: Timers

    @property
    def names(self) -> tuple[str, ...]:
        """The groups there are."""
        return tuple(group for group, _ in self.groups)

    @property
    def border(self) -> bool:
        """A leaf that others reach the outside, or other networks, through."""
        return self.tier == "leaf" and not {"external", "attached"}.isdisjoint(self.names)

    @property
    def paths(self) -> int:
        """Most next hops of a route, at least LEAST_PATHS."""
        return min(MOST_PATHS, max([LEAST_PATHS, *(count for _, count in self.groups)]))

    @property
    def returning(self) -> tuple[str, ...]:
        """Groups whose own AS must not get its routes back: their AS paths are listed for each router."""
        text = self.policy
        return tuple(group for group in self.names if f"as-path {above(group)}\n" in text)

    @property
    def lists_own(self) -> bool:
        """Some route map asks for what is the router's own."""
        return "prefix-list OWN\n" in self.policy

    @cached_property
    def policy(self) -> str:
        """Lists that all routers of the domain share, and the route maps."""
        maps = [
            route_map(f"FROM-{group.upper()}", taken(group, self.domain))
            + route_map(f"TO-{group.upper()}", given(group, self.tier, self.domain, border=self.border))
            for group in self.names
        ]
        text = common_lists(self.domain) + "".join(maps)
        return (as_path_list(ORIGIN, ["^[0-9]+$"]) if f"as-path {ORIGIN}\n" in text else "") + text

    def sections(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Peer groups as FRR has them: name, group, families; where links are numbered one a family."""
        parts: list[tuple[str, str, tuple[str, ...]]] = []
        for group in self.names:
            if self.numbered and group != "external":
                parts += [(section(group, family), group, (family,)) for family in FAMILIES]
            else:
                parts.append((section(group, None), group, FAMILIES))
        return parts

    @cached_property
    def peer_groups(self) -> str:
        """Lines of ``router bgp`` that define the peer groups."""
        lines: list[str] = []
        for name, group, _ in self.sections():
            lines.append(f" neighbor {name} peer-group")
            lines.append(f" neighbor {name} timers {self.timers.keepalive} {self.timers.hold}")
            lines.append(f" neighbor {name} timers connect {self.timers.connect}")
            lines += [] if group == "external" else [f" neighbor {name} bfd", f" neighbor {name} bfd profile fabric"]
        return "".join(f"{line}\n" for line in lines)

    def family(self, family: str) -> str:
        """Lines of ``address-family``."""
        lines: list[str] = []
        for name, group, families in self.sections():
            if family not in families:
                continue
            lines.append(f"  neighbor {name} activate")
            if group == "external":
                lines.append(f"  neighbor {name} remove-private-AS all replace-AS")
            lines.append(f"  neighbor {name} route-map FROM-{group.upper()} in")
            lines.append(f"  neighbor {name} route-map TO-{group.upper()} out")
            lines.append(f"  neighbor {name} maximum-prefix {self.most(group, family)} 80 restart 5")
        lines.append(f"  maximum-paths {self.paths}")
        return "".join(f"{line}\n" for line in lines)

    def most(self, group: str, family: str) -> int:
        """Prefixes that a peer may send: a power of two, at least twice what the plan has."""
        if group == "external":
            return EXTERNAL_PREFIXES
        planned = self.own if group == "leaves" and self.domain.closed else self.domain.prefixes[family]
        return max(16, room(_MARGIN * planned))


def section(group: str, family: str | None) -> str:
    """Name of a peer group of FRR."""
    return group if family is None else f"{group}-{family}"


def ordered(paths: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """Groups in their order."""
    return tuple((group, paths[group]) for group in ORDER if group in paths)
