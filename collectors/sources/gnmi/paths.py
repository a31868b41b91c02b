"""What a path means: which port (or transceiver), and which column of samples.

Two languages. OpenConfig: paths of YANG leaves with keys in brackets (``fabric/schema/counters.csv``, column ``gnmi``).
SONiC: tables of its Redis databases (column ``sonic``), whose values are JSON objects keyed by port or ``port:queue``.
A path is walked step by step through nodes made when first met, so that JSON of any depth is read by the same walk as a
path: what a container holds costs a dictionary look-up a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from fabric.counters import MOST_INDEX, Counter, counters

PORT, COMPONENT = "port", "component"
TRANSCEIVER = "/interfaces/interface/state/transceiver"
"""Names the component that a port's transceiver is (openconfig-platform-transceiver)."""
CHANNELS = "/interfaces/interface/state/physical-channel"
"""Lists the transceiver's lanes that are the port's, where ports share one."""
LINKS = (TRANSCEIVER, CHANNELS)
LANE = "\n"
"""Between a component's name and its lane, where a sample is of a lane."""
_NAMED = {
    "/interfaces/interface": (PORT, ("name",)),
    "/qos/interfaces/interface": (PORT, ("interface-id",)),
    "/lldp/interfaces/interface": (PORT, ("name",)),
    "/components/component": (COMPONENT, ("name",)),
}
"""Lists whose key names what a sample is of."""
_NUMBERED = {
    "/qos/interfaces/interface/output/queues/queue": ("name",),
    "/components/component/transceiver/physical-channels/channel": ("index",),
}
"""Lists whose key is the number of a queue or lane."""
_OTHER = {"/lldp/interfaces/interface/neighbors/neighbor": ("id",)}
_QUEUE = re.compile(r"^(?:.*:)?(?:(?:q|queue|tc|uc)[-_ ]?)?(\d{1,2})$", re.IGNORECASE | re.ASCII)
_KEYWORDS = frozenset({"Queues", "PriorityGroups", "Pfcwd"})
_DATABASES = {
    "PORT_TABLE": "APPL_DB", "LLDP_ENTRY_TABLE": "APPL_DB", "TRANSCEIVER_DOM_SENSOR": "STATE_DB",
    "PORT_QOS_MAP": "CONFIG_DB",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a value at a node is: ``subject`` in the names of ``kind``, the counter, its number, and its address' rank.

    ``rank`` is the place of the address among the counter's: a later one counts only where no earlier one is told.
    """

    kind: str
    subject: str
    counter: Counter | None
    index: int | None
    factor: float = 1.0
    rank: int = 0


@dataclass(slots=True, eq=False)
class Node:
    """A step of a path: ``leaf`` if its value is a sample's; ``under`` if what lies below can be."""

    under: bool
    leaf: Leaf | None = None
    place: str = ""
    subject: tuple[str, str] | None = None
    index: int | None = None
    parent: Node | None = None
    children: dict[tuple[str, str], Node] = field(default_factory=dict)
    ids: tuple[int, int] | None = None
    """Of the leaf's name and column, where a dictionary has given them."""


NOTHING = Node(under=False)
"""Where no counter is, and none below."""


@cache
def openconfig() -> dict[str, tuple[Counter, float, int]]:
    """Counter, factor and rank by path without keys."""
    return {
        address.path: (counter, address.factor, rank)
        for counter in counters().values()
        for rank, address in enumerate(counter.addresses["gnmi"])
    }


@cache
def _containers() -> frozenset[str]:
    paths = [*openconfig(), *LINKS]
    return frozenset(path[: at.start()] for path in paths for at in re.finditer("/", path))


@cache
def sonic() -> dict[tuple[str, str], tuple[Counter, int | None, float]]:
    """Counter, number (None where the key of its object has it) and factor by table and field."""
    found = {}
    for counter in counters().values():
        for address in counter.addresses["sonic"]:
            table, _, field_ = address.path.rpartition("/")
            for index in range(MOST_INDEX + 1) if "{" in field_ else (None,):
                name = field_ if index is None else field_.format(index=index, index1=index + 1)
                found[table or "COUNTERS", name] = (counter, index, address.factor)
    return found


def database(table: str) -> str:
    """The Redis database of SONiC that has a table."""
    return _DATABASES.get(table, "COUNTERS_DB")


class OpenConfig:
    """The walk through OpenConfig's paths. ``queues``: number of a queue by its name, where names are words."""

    name = "openconfig"

    def __init__(self, queues: Mapping[str, int] | None = None) -> None:
        self.queues = dict(queues or {})
        self.root = Node(under=True)
        self.made = 0

    def key(self, place: str, name: str, keys: Mapping[str, object]) -> str:
        """The one key of a list's entry that matters here; empty where the list has none."""
        full = f"{place}/{name}"
        wanted = _NAMED[full][1] if full in _NAMED else _NUMBERED.get(full) or _OTHER.get(full) or ()
        return next((str(keys[key]) for key in wanted if key in keys), "")

    def step(self, node: Node, name: str, keys: Mapping[str, object]) -> Node:
        """The node below ``node``; a module's prefix is no part of a name (RFC 7951)."""
        name = name.rpartition(":")[2]
        key = self.key(node.place, name, keys) if keys else ""
        found = node.children.get((name, key))
        if found is None:
            found = self._below(node, name, key)
            if found is not NOTHING:
                node.children[name, key], found.parent = found, node
                self.made += 1
        return found

    def _below(self, node: Node, name: str, key: str) -> Node:
        place = f"{node.place}/{name}"
        if place not in _containers():
            return self._leaf(place, node)
        below = Node(True, None, place, node.subject, node.index)
        if place in _NAMED:
            below.subject = (_NAMED[place][0], key) if key else None
        elif place in _NUMBERED:
            below.index = self._number(place, key)
            if node.subject is not None and node.subject[0] == COMPONENT:
                below.subject = (COMPONENT, f"{node.subject[1]}{LANE}{key}")
        return below

    def _leaf(self, place: str, node: Node) -> Node:
        if node.subject is None:
            return NOTHING
        if place in LINKS:
            return Node(False, Leaf(*node.subject, None, None), place)
        if place not in openconfig():
            return NOTHING
        counter, factor, rank = openconfig()[place]
        if counter.indexed and node.index is None:
            return NOTHING
        return Node(False, Leaf(*node.subject, counter, node.index, factor, rank), place)

    def _number(self, place: str, key: str) -> int | None:
        """Of a queue: by the settings, else only where no other queue of the port can have the same number."""
        if place.endswith("/queue") and key in self.queues:
            return self.queues[key]
        found = _QUEUE.match(key)
        return int(found[1]) if found and int(found[1]) <= MOST_INDEX else None

    def entries(self, node: Node, name: str, value: object) -> Iterator[tuple[Node, object]]:
        """What a member of a JSON object is: itself, or the entries of a list."""
        if isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict):
                    yield self.step(node, name, entry), entry
        else:
            yield self.step(node, name, {}), value


class Sonic:
    """The walk through SONiC's tables: table, then keys, wildcards and words like ``Queues``, then a field."""

    name = "sonic"

    def __init__(self) -> None:
        self.root = Node(under=True)
        self.made = 0

    def step(self, node: Node, name: str, keys: Mapping[str, object]) -> Node:
        """The node below ``node``; ``place`` is the table."""
        found = node.children.get((name, ""))
        if found is None:
            found = self._below(node, name)
            if found is not NOTHING:
                node.children[name, ""], found.parent = found, node
                self.made += 1
        return found

    def _below(self, node: Node, name: str) -> Node:
        if not node.place:
            return Node(under=True, place=name)
        if (node.place, name) in sonic():
            return self._field(node, name)
        if name in _KEYWORDS or "*" in name:
            return Node(under=True, place=node.place)
        return NOTHING if node.subject else self._object(node, name)

    def _object(self, node: Node, name: str) -> Node:
        """``Ethernet0``, ``Ethernet0:3`` (a queue or priority group); ``Ethernet0:3:periodic`` is another's view."""
        port, _, number = name.partition(":")
        if number and not (re.fullmatch(r"\d\d?", number, re.ASCII) and int(number) <= MOST_INDEX):
            return NOTHING
        return Node(True, None, node.place, (PORT, port), int(number) if number else None)

    def _field(self, node: Node, name: str) -> Node:
        counter, index, factor = sonic()[node.place, name]
        if node.subject is None:
            return Node(under=True, place=node.place)
        index = node.index if index is None else index
        if counter.indexed != (index is not None):
            return NOTHING
        return Node(False, Leaf(*node.subject, counter, index, factor), node.place)

    def entries(self, node: Node, name: str, value: object) -> Iterator[tuple[Node, object]]:
        """A member of a JSON object; SONiC has no lists of objects."""
        yield self.step(node, name, {}), value


Language = OpenConfig | Sonic


def steps(path: object) -> list[tuple[str, dict[str, str]]]:
    """Name and keys of each element of a ``gnmi.Path``, of the deprecated form too (``interface[name=Ethernet1]``)."""
    if path.elem:  # type: ignore[attr-defined]
        return [(elem.name, dict(elem.key)) for elem in path.elem]  # type: ignore[attr-defined]
    return [_element(text) for text in path.element]  # type: ignore[attr-defined]


_KEY = re.compile(r"\[([^=\]]+)=((?:\\.|[^\]\\])*)\]")


def _element(text: str) -> tuple[str, dict[str, str]]:
    name, bracket, _ = text.partition("[")
    if not bracket:
        return text, {}
    return name, {key: re.sub(r"\\(.)", r"\1", value) for key, value in _KEY.findall(text)}
