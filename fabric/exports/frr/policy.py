"""Prefix lists and route maps: what each role of router takes from its peers and gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fabric.exports.frr.domains import FAMILIES, Domain

_KEYWORD = {"ipv4": "ip", "ipv6": "ipv6"}
_EVERYTHING = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
ORIGIN = "ORIGIN"
"""AS path of one AS alone: what comes from a leaf is the leaf's own."""


@dataclass(frozen=True)
class Rule:
    """One entry of a route map, for both families; ``match`` is a prefix list, or empty: everything."""

    action: str
    match: str = ""
    as_path: str = ""

    def entries(self) -> Iterator[tuple[str, list[str]]]:
        """Action and match lines; one entry a family, since matches of an entry must all hold."""
        path = [f" match as-path {self.as_path}"] if self.as_path else []
        if not self.match:
            yield self.action, path
            return
        for family in FAMILIES:
            yield self.action, [f" match {_KEYWORD[family]} address prefix-list {self.match}", *path]


def prefix_list(name: str, family: str, permitted: Iterable[str]) -> str:
    """The list, numbered in fives; what is not permitted is denied."""
    rows = enumerate(permitted, start=1)
    return "".join(f"{_KEYWORD[family]} prefix-list {name} seq {5 * n} permit {what}\n" for n, what in rows)


def common_lists(domain: Domain) -> str:
    """FABRIC: loopbacks and host subnets of the domain, by length. DEFAULT: the default route, where there is one."""
    fabric = [prefix_list("FABRIC", family, domain.spans[family]) for family in FAMILIES]
    default = [prefix_list("DEFAULT", family, [_EVERYTHING[family]]) for family in FAMILIES if domain.exit]
    return "".join(fabric + default)


def route_map(name: str, rules: Sequence[Rule]) -> str:
    """The route map, numbered in tens."""
    entries = [entry for rule in rules for entry in rule.entries()]
    texts = [
        "\n".join([f"route-map {name} {action} {10 * n}", *lines, "exit\n"])
        for n, (action, lines) in enumerate(entries, start=1)
    ]
    return "".join(texts)


def taken(group: str, domain: Domain) -> list[Rule]:
    """What is taken from the peers of a group."""
    if group == "external":
        return [Rule("permit", "DEFAULT")]
    fabric = Rule("permit", "FABRIC", ORIGIN if group in ("leaves", "pair") and domain.closed else "")
    return [fabric, *([] if group == "attached" else _default(domain))]


def given(group: str, tier: str, domain: Domain, *, border: bool) -> list[Rule]:
    """What is given to the peers of a group.

    A leaf gives what is its own; only a border leaf (uplinks leave it, or leaves of other networks hang on it) gives
    more. What came from the peers' AS is not given back: up is never after down (no valley).
    """
    if group == "external":
        return [Rule("permit", "FABRIC")]
    if group == "uplinks" or (tier == "leaf" and group in ("spines", "pair") and not border):
        return [Rule("permit", "OWN")]
    back = [Rule("deny", as_path=above(group))] if group in ("cores", "pair") or tier == "leaf" else []
    return [*([] if group == "attached" else back), Rule("permit", "FABRIC"), *_default(domain)]


def above(group: str) -> str:
    """Name of the list of AS paths that hold the AS of the group's peers."""
    return f"VIA-{group.upper()}"


def as_path_list(name: str, patterns: Iterable[str]) -> str:
    """The list of AS paths."""
    rows = enumerate(patterns, start=1)
    return "".join(f"bgp as-path access-list {name} seq {5 * n} permit {what}\n" for n, what in rows)


def _default(domain: Domain) -> list[Rule]:
    return [Rule("permit", "DEFAULT")] if domain.exit else []
