"""How routes are brought about: UDP source ports for the switches' hashes, queue pairs by spine, weighted next hops.

A RoCEv2 queue pair's UDP source port is its entropy, 0xC000 to 0xFFFF (16,384 values; the flow label sets it). Where
the hash of every switch on the path is known, a port is looked for that makes each choose the wanted link. CRC, XOR and
Toeplitz are linear over XOR: another port changes a hash by the same bits whatever the rest of the key is, so each key
is hashed once, and ports are tried by an XOR and a remainder. For others every port tried is a hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.hashing import FIELDS, FUNCTIONS, Bytes, EcmpHash, five_tuples
from planner.routing.answer import Routes
from planner.routing.ecmp import FIRST_PORT, PORTS, ROCE_PORT, Hashes, Step, Walk, drawn_ports, ends_of, hashes_of
from planner.routing.jit import Ints, Mask, compiled
from planner.routing.network import Net

NONE = 0
"""Where there is no source port."""
LINEAR = frozenset(FUNCTIONS) - {"murmur3", "linux"}
"""Functions with hash(x ^ y) = hash(x) ^ hash(y) ^ hash(0) for keys of one length."""
BLOCK = 1 << 16
"""Hashes at once where each port tried is one."""
Hashed = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Wanted:
    """What one tier's hash has to say, a row a queue pair: of ``many`` members the ``member``-th; 0: nothing."""

    hash: EcmpHash
    many: Ints
    member: Ints


def source_ports(net: Net, routes: Routes, hashes: Hashes | None = None) -> Ints:
    """A UDP source port for each row of ``routes.paths`` that sends it along its links; ``NONE`` where there is none.

    ``hashes`` are those of the switches (default: the planned ones). Queue pairs between the same two ports get
    different source ports where enough do. On InfiniBand there are none.
    """
    hashes = hashes or hashes_of(net)
    if hashes.leaf is None:
        return np.full(routes.paths.height, NONE)
    here, there = ends_of(net, routes.paths)
    routed = routes.paths["leaf_host"].is_not_null().to_numpy()
    result = np.full(routes.paths.height, NONE)
    rows = routes.paths.filter(pl.Series(routed))
    keys = five_tuples(here[routed], there[routed], FIRST_PORT, ROCE_PORT)
    result[routed] = find_ports(keys, wanted(net, rows, hashes), drawn_ports(rows))
    return result


def wanted(net: Net, rows: pl.DataFrame, hashes: Hashes) -> list[Wanted]:
    """What each switch on the paths has to choose, tier by tier as they are met."""
    walk, place = Walk(net, hashes), _Places(net, rows)
    source, target, core = place.leaf("leaf_spine"), place.leaf("spine_leaf"), place.upper("spine_core")
    rise, fall = place.at["spine_core"], place.at["core_spine"]
    near = np.where((source >= 0) & (rise < 0), source, -1)
    choices: list[tuple[Step, Ints, Ints]] = [
        (walk.near, near, place.at["leaf_spine"]),
        (walk.far, np.where(rise >= 0, source, -1), place.at["leaf_spine"]),
        (walk.rise, np.where(rise >= 0, place.upper("leaf_spine"), -1), rise),
        (walk.fall, np.where(fall >= 0, core * walk.pods + net.pod[0][target], -1), fall),
    ]
    found = [_asked(walk, step, node, target, at, hashes) for step, node, at in choices]
    last = np.where(target >= 0, place.upper("spine_leaf") * len(net.leaf) + target, -1)
    many, member = walk.last.member(last, place.at["spine_leaf"])
    assert hashes.spine is not None
    found.append(Wanted(hashes.spine, np.where(target >= 0, many, 0), member))
    return [one for one in found if one.many.any()]


def _asked(walk: Walk, step: Step, node: Ints, target: Ints, at: Ints, hashes: Hashes) -> Wanted:
    chosen: EcmpHash | None = getattr(hashes, step.tier) or hashes.leaf
    assert chosen is not None
    many, member = np.zeros(len(node), np.int64), np.full(len(node), -1)
    used = node >= 0
    if used.any():
        groups, key = walk.groups(step, node[used], target[used])
        many[used], member[used] = groups.member(key, at[used])
    return Wanted(chosen, many, member)


class _Places:
    """Where the links of paths are in their tiers; −1 for none."""

    def __init__(self, net: Net, rows: pl.DataFrame) -> None:
        self.net = net
        known = {False: _inverse(net.up.link), True: _inverse(net.top.link)}
        self.at: dict[str, Ints] = {}
        for column in ("leaf_spine", "spine_core", "core_spine", "spine_leaf"):
            link = rows[column].cast(pl.Int64).fill_null(-1).to_numpy()
            self.at[column] = known["core" in column][link]

    def leaf(self, column: str) -> Ints:
        """Leaf of a link."""
        return np.where(self.at[column] >= 0, self.net.up.lower[self.at[column]], -1)

    def upper(self, column: str) -> Ints:
        """Upper end of a link."""
        upper = self.net.top.upper if "core" in column else self.net.up.upper
        if not len(upper):
            return np.full(len(self.at[column]), -1)
        return np.where(self.at[column] >= 0, upper[self.at[column]], -1)


def _inverse(link: Ints) -> Ints:
    """Place by link id; −1 for other links and for −1."""
    found = np.full(int(link.max(initial=0)) + 2, -1)
    found[link] = np.arange(len(link))
    return found


def find_ports(keys: Bytes, wants: Sequence[Wanted], start: Ints) -> Ints:
    """A source port for each key (n × 13), looked for from ``start`` on; ``NONE`` where no port does."""
    busy = np.zeros(len(keys), np.bool_)
    result = np.full(len(keys), NONE)
    for _ in range(8):
        todo = ~busy
        result[todo] = _first_ports(keys[todo], [_rows(one, todo) for one in wants], start[todo])
        ends = np.concatenate([keys[:, :8], result[:, None].astype("<i8").view(np.uint8).reshape(-1, 8)], axis=1)
        first = np.unique(ends, axis=0, return_index=True)[1]
        busy = result == NONE
        busy[first] = True
        if busy.all():
            break
        start = FIRST_PORT + (result - FIRST_PORT + 1) % PORTS
    return result


def _rows(one: Wanted, rows: Mask) -> Wanted:
    return Wanted(one.hash, one.many[rows], one.member[rows])


def _first_ports(keys: Bytes, wants: Sequence[Wanted], start: Ints) -> Ints:
    if not wants:
        return start.copy()
    if all(one.hash.function in LINEAR for one in wants):
        return _by_difference(keys, wants, start)
    return _by_trial(keys, wants, start)


def _by_difference(keys: Bytes, wants: Sequence[Wanted], start: Ints) -> Ints:
    """One hash a key, and one a port."""
    base = np.stack([one.hash.hashes(keys) for one in wants])
    differences = np.stack([port_differences(one.hash) for one in wants])
    many = np.stack([one.many for one in wants]).astype(np.uint32)
    member = np.stack([one.member for one in wants]).astype(np.int64)
    bits = np.array([FUNCTIONS[one.hash.function][1] if one.hash.threshold else -1 for one in wants])
    return _search(base, differences, many, member, bits, start - FIRST_PORT)


def port_differences(chosen: EcmpHash) -> Hashed:
    """By how much each source port from 0xC000 on changes a linear hash, against that of 0xC000."""
    hashes = chosen.hashes(five_tuples(0, 0, np.arange(FIRST_PORT, FIRST_PORT + PORTS), 0))
    changes: Hashed = hashes ^ hashes[0]
    return changes


@compiled
def _search(base: Hashed, differences: Hashed, many: Hashed, member: Ints, bits: Ints, start: Ints) -> Ints:
    """The first port from the start on that every hash agrees with."""
    wants, flows = base.shape
    result = np.full(flows, NONE)
    for flow in range(flows):
        for turn in range(PORTS):
            port = (start[flow] + turn) % PORTS
            good = True
            for want in range(wants):
                size = many[want, flow]
                if size == 0:
                    continue
                hashed = base[want, flow] ^ differences[want, port]
                ranged = (np.int64(hashed) * np.int64(size)) >> max(bits[want], 0)
                picked = np.int64(hashed % size) if bits[want] < 0 else ranged
                if picked != member[want, flow]:
                    good = False
                    break
            if good:
                result[flow] = FIRST_PORT + port
                break
    return result


def _by_trial(keys: Bytes, wants: Sequence[Wanted], start: Ints) -> Ints:
    """Every port tried is hashed: for all keys at once, and for what is left over many ports at once."""
    result, left, tried = np.full(len(keys), NONE), np.arange(len(keys)), 0
    while len(left) and tried < PORTS:
        width = max(1, min(BLOCK // len(left), PORTS - tried))
        ports = FIRST_PORT + (start[left][:, None] - FIRST_PORT + tried + np.arange(width)) % PORTS
        good = _agree(keys[left], [_rows_at(one, left) for one in wants], ports)
        hit = good.any(axis=1)
        result[left[hit]] = ports[hit, good[hit].argmax(axis=1)]
        left, tried = left[~hit], tried + width
    return result


def _rows_at(one: Wanted, rows: Ints) -> Wanted:
    return Wanted(one.hash, one.many[rows], one.member[rows])


def _agree(keys: Bytes, wants: Sequence[Wanted], ports: Ints) -> Mask:
    """Key × port: whether every hash chooses what it should."""
    width = ports.shape[1]
    tried = np.repeat(keys, width, axis=0)
    at = FIELDS["src_port"]
    flat = ports.reshape(-1)
    tried[:, at.start], tried[:, at.start + 1] = flat >> 8, flat & 255
    good = np.ones(len(tried), np.bool_)
    for one in wants:
        many, member = np.repeat(one.many, width), np.repeat(one.member, width)
        good &= (many == 0) | (one.hash.pick(tried, np.maximum(many, 1)) == member)
    return good.reshape(-1, width)


def queue_pair_counts(routes: Routes, net: Net) -> pl.DataFrame:
    """How many queue pairs of a flow take each spine: ``flow, spine`` (device id), ``queue_pairs``."""
    spine = net.plan.fabric.links["b_device"]
    rows = routes.paths.drop_nulls("leaf_spine")
    rows = rows.select("flow", spine=spine.gather(rows["leaf_spine"]))
    return rows.group_by("flow", "spine").agg(queue_pairs=pl.len()).sort("flow", "spine")


def weights(routes: Routes, net: Net) -> pl.DataFrame:
    """Weighted next hops: ``leaf, to_leaf, port`` (of the leaf, device and port ids), ``weight``.

    A leaf's links towards another leaf by the Gb/s that the routes put there, in whole numbers as small as they can be
    (at most 255, as FRR's next-hop groups take); what is not listed gets none.
    """
    links = net.plan.fabric.links
    rows = routes.paths.drop_nulls("leaf_spine")
    up, down = links[rows["leaf_spine"].to_list()], links[rows["spine_leaf"].to_list()]
    gbps = pl.DataFrame(
        {"leaf": up["a_device"], "to_leaf": down["a_device"], "port": up["a_port"], "gbps": rows["gbps"]}
    )
    summed = gbps.group_by("leaf", "to_leaf", "port").agg(pl.col("gbps").sum()).sort("leaf", "to_leaf", "port")
    share = pl.col("gbps") / pl.col("gbps").min().over("leaf", "to_leaf")
    most = share.max().over("leaf", "to_leaf")
    scaled = share / pl.when(most > 255).then(most / 255).otherwise(1)
    return summed.select("leaf", "to_leaf", "port", weight=scaled.round().clip(1, 255).cast(pl.UInt16))


def idle_links(routes: Routes, net: Net) -> pl.Series:
    """Living links between switches that no queue pair takes: to drain them changes nothing."""
    live = np.concatenate([net.up.link[net.up.live], net.top.link[net.top.live]])
    columns = ("leaf_spine", "spine_core", "core_spine", "spine_leaf")
    used = pl.concat([routes.paths[column].rename("link") for column in columns]).drop_nulls().unique()
    return pl.Series("link", np.setdiff1d(live, used.to_numpy()), dtype=pl.UInt32)
