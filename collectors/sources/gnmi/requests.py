"""What is asked of a device: a SubscribeRequest a database (SONiC) or one for all (OpenConfig)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collectors.sources.gnmi import paths
from collectors.sources.gnmi.options import Options
from collectors.sources.gnmi.proto import (
    ENCODINGS,
    ON_CHANGE,
    SAMPLE,
    Path,
    PathElem,
    SubscribeRequest,
    Subscription,
    SubscriptionList,
)

CONTAINERS = ("/counters/", "/queue/state/")
"""Of these all leaves are asked for at once: nearly all are counters, and one subscription is less work."""
_LISTS = {
    "/interfaces/interface": "name", "/qos/interfaces/interface": "interface-id", "/lldp/interfaces/interface": "name",
    "/components/component": "name", "/qos/interfaces/interface/output/queues/queue": "name",
    "/components/component/transceiver/physical-channels/channel": "index",
    "/lldp/interfaces/interface/neighbors/neighbor": "id",
}  # fmt: skip
_VIEWS = ("", "Queues", "PriorityGroups", "Pfcwd")
"""Of SONiC's COUNTERS table: of a port, its queues, its priority groups, its PFC watchdog."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to ask: encoding of values, and whether states are told on change (else they are sampled)."""

    encoding: str
    on_change: bool


def wishes(options: Options) -> list[Wish]:
    """What to try in turn, as devices refuse what they cannot do."""
    usual = ("proto", "json_ietf", "json") if options.mode == "openconfig" else ("json_ietf", "json", "proto")
    encodings = (options.encoding,) if options.encoding else usual
    return [Wish(encoding, on_change) for on_change in (True, False) for encoding in encodings]


def openconfig_paths() -> tuple[list[str], list[str]]:
    """Sampled and on-change paths, without keys; containers where all below is wanted."""
    sampled, changing = set(), set()
    for path in [*paths.openconfig(), *paths.LINKS]:
        at = next((path.index(part) + len(part) - 1 for part in CONTAINERS if part in path), None)
        if at is not None:
            sampled.add(path[:at])
        elif path.endswith("/instant"):
            sampled.add(path)
        else:
            changing.add(path)
    return sorted(sampled), sorted(changing)


def path(text: str, database: str = "") -> Path:
    """A path with ``*`` for every key of its lists; SONiC's is table and keys as they are."""
    elems, place = [], ""
    for name in text.strip("/").split("/"):
        place += f"/{name}"
        key = _LISTS.get(place) if not database else None
        elems.append(PathElem(name=name, key={key: "*"} if key else {}))
    return Path(elem=elems)


def _subscriptions(texts: Iterable[str], mode: int, seconds: float, database: str = "") -> Iterator[Subscription]:
    for text in texts:
        nanoseconds = int(seconds * 1e9)
        field = "sample_interval" if mode == SAMPLE else "heartbeat_interval"
        yield Subscription(path=path(text, database), mode=mode, **{field: nanoseconds})


def requests(options: Options, period: float, wish: Wish) -> dict[str, bytes]:
    """A serialised SubscribeRequest by database; OpenConfig's is the empty name."""
    mode = ON_CHANGE if wish.on_change else SAMPLE
    if options.mode == "openconfig":
        sampled, changing = openconfig_paths()
        told = _subscriptions(changing, mode, options.heartbeat if wish.on_change else period)
        found = {"": [*_subscriptions(sampled, SAMPLE, period), *told]}
    else:
        found = _sonic(period, options.heartbeat, wish)
    return {
        database: _request(subscriptions, database or options.target, wish) for database, subscriptions in found.items()
    }


def _request(subscriptions: list[Subscription], target: str, wish: Wish) -> bytes:
    listed = SubscriptionList(prefix=Path(target=target), subscription=subscriptions, encoding=ENCODINGS[wish.encoding])
    found: bytes = SubscribeRequest(subscribe=listed).SerializeToString()
    return found


def _sonic(period: float, heartbeat: float, wish: Wish) -> dict[str, list[Subscription]]:
    found: dict[str, list[Subscription]] = {}
    for table in sorted({table for table, _ in paths.sonic()}):
        database = paths.database(table)
        texts = [f"COUNTERS/Ethernet*/{view}".rstrip("/") for view in _VIEWS] if table == "COUNTERS" else [table]
        mode = SAMPLE if database in ("COUNTERS_DB", "STATE_DB") or not wish.on_change else ON_CHANGE
        seconds = period if mode == SAMPLE else heartbeat
        found.setdefault(database, []).extend(_subscriptions(texts, mode, seconds, database))
    return found
