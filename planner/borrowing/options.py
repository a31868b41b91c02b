"""Which ways traffic may go, and what each loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from planner.borrowing.problem import Bools, End, Floats, Ints, Links, Mode, Options, Pair, Row, Way

Allowed = Callable[[End, int, int], bool]
"""Whether traffic of a port may move to another one of its host."""


def anywhere(end: End, port: int, other: int) -> bool:
    """Any NIC of the host lends."""
    del end, port, other
    return True


def same_nic(end: End, port: int, other: int) -> bool:
    """Only another port of the same NIC lends."""
    return bool(end.rail[port] == end.rail[other])


def options_of(pair: Pair, mode: Mode, allowed: Allowed = anywhere) -> Options:
    """All options of all ports with demand; a port that is alive at both ends keeps its traffic."""
    found: list[tuple[int, int, int, Way]] = []
    for port in np.flatnonzero(pair.demand_gbps > 0).tolist():
        for out, into in _ends(pair, port, mode, allowed):
            ways = pair.ways.get((int(pair.here.leaf[out]), int(pair.there.leaf[into])), ())
            found += [(port, out, into, way) for way in ways if _has_room(way, pair.links)]
    columns = np.array([one[:3] for one in found], dtype=np.int64).reshape(-1, 3)
    return Options(columns[:, 0], columns[:, 1], columns[:, 2], tuple(way for *_, way in found))


def _ends(pair: Pair, port: int, mode: Mode, allowed: Allowed) -> Iterator[tuple[int, int]]:
    here, there = pair.here, pair.there
    if here.alive[port] and there.alive[port]:
        yield port, port
    elif mode == "both-ends":
        for other in np.flatnonzero(here.alive & there.alive).tolist():
            if allowed(here, port, other):
                yield other, other
    else:
        for out in _movers(here, port, allowed):
            for into in _movers(there, port, allowed):
                yield out, into


def _movers(end: End, port: int, allowed: Allowed) -> list[int]:
    """Where an end may send: by the port itself while it lives."""
    if end.alive[port]:
        return [port]
    return [other for other in np.flatnonzero(end.alive).tolist() if allowed(end, port, other)]


def _has_room(way: Way, links: Links) -> bool:
    """A link that others fill, or that is dead, is no way."""
    return all(links.gbps[link] > links.load_gbps[link] for link in way)


def rows_of(pair: Pair, options: Options) -> list[Row]:
    """Everything whose load counts."""
    return [*nic_rows(pair, options), *scale_up_rows(pair, options), *link_rows(pair, options)]


def nic_rows(pair: Pair, options: Options) -> Iterator[Row]:
    """Each port of either host: others' load + Σ demand·share by it ≤ T·Gb/s."""
    for end, moved in ((pair.here, options.out), (pair.there, options.into)):
        for port in range(len(end)):
            what = f"{end.name} rail {end.rail[port]} plane {end.plane[port]}"
            used = np.flatnonzero(moved == port)
            if len(used):
                demand = pair.demand_gbps[options.port[used]]
                yield Row("nic", what, float(end.gbps[port]), float(end.load_gbps[port]), used, demand)


def scale_up_rows(pair: Pair, options: Options) -> Iterator[Row]:
    """Each GPU's scale-up link, out and in: the job's own load + Σ demand·share that hops there ≤ T·Gb/s."""
    for end, moved in ((pair.here, options.out), (pair.there, options.into)):
        hops = hopping(end, options.port, moved)
        for gpu in np.unique(end.gpu).tolist():
            for side, ports in (("from", options.port), ("to", moved)):
                used = np.flatnonzero(hops & (end.gpu[ports] == gpu))
                if len(used):
                    what, demand = f"{end.name} scale-up link {side} GPU {gpu}", pair.demand_gbps[options.port[used]]
                    yield Row("scale-up", what, end.scale_up_gbps, end.scale_up_load_gbps, used, demand)


def link_rows(pair: Pair, options: Options) -> Iterator[Row]:
    """Each link between switches: others' load + pairs at once · Σ demand·share over it ≤ T·Gb/s."""
    users: dict[int, list[int]] = {}
    for option, way in enumerate(options.way):
        for link in way:
            users.setdefault(link, []).append(option)
    for link, using in sorted(users.items()):
        used = np.array(using, dtype=np.int64)
        demand = pair.at_once * pair.demand_gbps[options.port[used]]
        what = pair.links.name[link] if pair.links.name else f"link {link}"
        yield Row("link", what, float(pair.links.gbps[link]), float(pair.links.load_gbps[link]), used, demand)


def hopping(end: End, ports: Ints, moved: Ints) -> Bools:
    """Which options pass the scale-up links of an end: their traffic belongs to another GPU than the NIC's."""
    found: Bools = end.gpu[ports] != end.gpu[moved]
    return found


def without_hops(pair: Pair, options: Options) -> Options:
    """Without scale-up links at an end, no traffic of one GPU leaves by another GPU's NIC."""
    keep = np.ones(len(options), dtype=np.bool_)
    for end, moved in ((pair.here, options.out), (pair.there, options.into)):
        if end.scale_up_gbps <= 0:
            keep &= ~hopping(end, options.port, moved)
    where = np.flatnonzero(keep)
    ways = tuple(options.way[option] for option in where.tolist())
    return Options(options.port[where], options.out[where], options.into[where], ways)


def loads(rows: list[Row], share: Floats) -> Floats:
    """Relative load of each row under the shares of all options."""
    return np.array([(r.base + float(r.coefficient @ share[r.option])) / r.capacity for r in rows], dtype=np.float64)
