"""Replacing a host: free hosts before the reserve, never across its supernode or segment, and refilling the reserve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fabric.plan import Plan
from planner.freehosts import Free, scopes


@dataclass(frozen=True)
class Pool:
    """Hosts without a job. ``scope``: the supernode or segment of every host; ``lost``: ports lost, by host.

    ``reserve`` is a queue: its first host of a scope is the next to be taken, and a host that comes back joins its end,
    so that each spare works in turn and none grows cold. ``wanted``: hosts that the reserve of a scope should hold.
    """

    free: tuple[str, ...]
    reserve: tuple[str, ...]
    scope: Mapping[str, str]
    wanted: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)

    def candidates(self, host: str) -> tuple[str, ...]:
        """Who may replace a host, best first: whole before degraded, then free before reserve, then in their order."""
        mine = self.scope[host]
        near = [name for name in (*self.free, *self.reserve) if self.scope[name] == mine and name != host]
        return tuple(sorted(near, key=lambda name: self.lost.get(name, 0)))

    def taken(self, name: str) -> Pool:
        """The pool once a host of it works."""
        return replace(
            self,
            free=tuple(other for other in self.free if other != name),
            reserve=tuple(other for other in self.reserve if other != name),
        )

    def returned(self, name: str) -> Pool:
        """The pool once a repaired host is back: it refills the reserve of its scope first, else it is free.

        The job stays where it is: going back would cost a second restart, and the spare has become an ordinary host.
        """
        scope = self.scope[name]
        held = sum(self.scope[other] == scope for other in self.reserve)
        if held < self.wanted.get(scope, 0):
            return replace(self, reserve=(*self.reserve, name))
        return replace(self, free=(*self.free, name))


def pool_of(plan: Plan, free: Free | None, lost: Mapping[str, int]) -> Pool:
    """The pool of a plan: the hosts of a file, or without one the plan's spares as the reserve."""
    hosts = plan.fabric.hosts
    scope = scopes(plan)
    spares = hosts.filter(spare=True)["name"].to_list()
    wanted: dict[str, int] = {}
    for name in spares:
        wanted[scope[name]] = wanted.get(scope[name], 0) + 1
    if free is None:
        return Pool((), tuple(spares), scope, wanted, lost)
    return Pool(free.hosts, free.reserve, scope, wanted, lost)
