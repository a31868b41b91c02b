"""What the switches' own hashes do: equal-cost multipath with the planned hash of every tier.

A RoCE queue pair's UDP source port is drawn as the driver does, from a number of its own. Members of a group are its
living links in the order of ports. InfiniBand has no hash: the subnet manager gives each destination one way, modelled
as the destination's seat at its leaf modulo the links (D-mod-K, Zahavi, "D-Mod-K routing providing non-blocking traffic
for shift permutations on real life fat trees", 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fabric.addressing import addresses
from fabric.ecmp_hash import TierHash, hash_of
from fabric.hashing import Bytes, five_tuples, murmur3
from planner.routing.jit import Ints, Mask
from planner.routing.network import Net, Tier

if TYPE_CHECKING:
    from fabric.hashing import EcmpHash

ROCE_PORT = 4791
FIRST_PORT, PORTS = 0xC000, 0x4000
"""UDP source ports of RoCEv2 (Linux, ``rdma_flow_label_to_udp_sport``)."""
LEAF_SPINE, SPINE_CORE, CORE_SPINE, SPINE_LEAF = range(4)


@dataclass(frozen=True)
class Hashes:
    """How the switches of a network choose; None: by destination."""

    leaf: EcmpHash | None
    spine: EcmpHash | None
    core: EcmpHash | None


def hashes_of(net: Net) -> Hashes:
    """The planned hash of each tier."""
    design = net.plan.design.networks[net.name]
    models = {
        "leaf": design.classes[0].leaf.model,
        "spine": design.spine.model if design.spine else None,
        "core": design.core.model if design.core else None,
    }
    found = {tier: hash_of(net.plan, tier, design.nos, model) for tier, model in models.items()}
    return Hashes(**{tier: _plain(chosen) for tier, chosen in found.items()})


def _plain(chosen: TierHash | None) -> EcmpHash | None:
    return chosen.hash if chosen else None


def ends_of(net: Net, pairs: pl.DataFrame) -> tuple[Ints, Ints]:
    """IPv4 addresses of the ports that each queue pair leaves and reaches; of InfiniBand the seats at their leaves."""
    links = net.plan.fabric.links
    if net.plan.design.networks[net.name].technology == "infiniband":
        seat = net.attached.select("link", seat=pl.int_range(pl.len()).over("leaf"))
        seats = np.zeros(links.height, np.int64)
        seats[seat["link"].to_numpy()] = seat["seat"].to_numpy()
        return seats[pairs["host_leaf"].fill_null(0).to_numpy()], seats[pairs["leaf_host"].fill_null(0).to_numpy()]
    ports = [links["a_port"].gather(pairs[column].fill_null(0)) for column in ("host_leaf", "leaf_host")]
    known = addresses(net.plan).host_ports.select("port", "ipv4")
    columns = []
    for port in ports:
        text = port.to_frame("port").join(known, on="port", how="left", maintain_order="left")["ipv4"]
        parts = text.fill_null("0.0.0.0").str.split(".").list.to_struct(fields=list("abcd")).struct.unnest()  # noqa: S104
        octets = parts.cast(pl.Int64).to_numpy()
        columns.append(octets @ np.array([1 << 24, 1 << 16, 1 << 8, 1]))
    return columns[0], columns[1]


def drawn_ports(pairs: pl.DataFrame) -> Ints:
    """A source port for each queue pair, as good as random, the same in every run."""
    numbers = np.stack([pairs["flow"].to_numpy(), pairs["pair"].to_numpy()], axis=1).astype("<u4")
    return FIRST_PORT + murmur3(numbers.view(np.uint8).reshape(-1, 8), 0).astype(np.int64) % PORTS


@dataclass(frozen=True)
class Taken:
    """The link of each flow on every stage, by id; −1 where it takes none or finds none."""

    links: tuple[Ints, Ints, Ints, Ints]
    """leaf → spine, spine → core, core → spine, spine → leaf."""


class Walk:
    """Flows through the hashes of one network.

    A switch hashes over the links by which it knows the destination's leaf: where links are dead further on, routing
    has withdrawn it there, and the group is smaller.
    """

    def __init__(self, net: Net, hashes: Hashes) -> None:
        self.net, self.hashes = net, hashes
        up, top = net.up.rooms(len(net.leaf), len(net.spine)) > 0, net.top.rooms(len(net.spine), len(net.core)) > 0
        under = _product(top.T, up.T)
        down, core_down = np.argsort(net.up.upper_port), np.argsort(net.top.upper_port)
        leaf_up = Groups.living(net.up.lower, np.arange(len(net.up.link)), net.up)
        spine_up = Groups.living(net.top.lower, np.arange(len(net.top.link)), net.top)
        self.near = Step("leaf", leaf_up, net.up.upper, up.T)
        self.far = Step("leaf", leaf_up, net.up.upper, _product(top, under))
        self.rise = Step("spine", spine_up, net.top.upper, under)
        fall = Groups.living(net.top.upper[core_down] * self.pods + net.pod[1][net.top.lower[core_down]], core_down,
                              net.top)  # fmt: skip
        self.fall = Step("core", fall, net.top.lower, up.T)
        self.last = Groups.living(net.up.upper[down] * len(net.leaf) + net.up.lower[down], down, net.up)

    @property
    def pods(self) -> int:
        """Pods of the network."""
        return int(max(part.max(initial=0) for part in self.net.pod)) + 1

    def take(self, source: Ints, target: Ints, keys: Bytes, destination: Ints) -> Taken:
        """The links that flows between these leaves take; keys are five-tuples, destinations numbers."""
        net, pod, asked = self.net, self.net.pod[0], _Asked(keys, destination)
        none = np.full(len(source), -1)
        first, second, third, fourth, spine = (none.copy() for _ in range(5))
        live = np.flatnonzero((source >= 0) & (source != target) & (net.zone[0][source] == net.zone[0][target]))
        far = pod[source[live]] != pod[target[live]]
        for step, flows in ((self.near, live[~far]), (self.far, live[far])):
            first[flows], spine[flows] = self._step(step, source, flows, target, asked)
        flows = live[far][spine[live[far]] >= 0]
        if len(flows):
            core = none.copy()
            second[flows], core[flows] = self._step(self.rise, spine, flows, target, asked)
            spine[flows] = -1
            flows = flows[core[flows] >= 0]
            third[flows], spine[flows] = self._fall(core, flows, target, asked)
        flows = live[spine[live] >= 0]
        key = spine[flows] * len(net.leaf) + target[flows]
        at = self.last.pick(key, self.hashes.spine, keys[flows], destination[flows])
        fourth[flows] = np.where(at >= 0, net.up.link[at], -1)
        return Taken((first, second, third, fourth))

    def _fall(self, core: Ints, flows: Ints, target: Ints, asked: _Asked) -> tuple[Ints, Ints]:
        """From cores to the pods of the leaves."""
        node = np.full(len(core), -1)
        node[flows] = core[flows] * self.pods + self.net.pod[0][target[flows]]
        return self._step(self.fall, node, flows, target, asked)

    def _step(self, step: Step, node: Ints, flows: Ints, target: Ints, asked: _Asked) -> tuple[Ints, Ints]:
        """One choice of ``flows`` at ``node``: the link and the switch that follows of each, −1 for none."""
        groups, key = self.groups(step, node[flows], target[flows])
        at = groups.pick(key, getattr(self.hashes, step.tier), asked.keys[flows], asked.destination[flows])
        links = self.net.up.link if step.tier == "leaf" else self.net.top.link
        return np.where(at >= 0, links[at], -1), np.where(at >= 0, step.far_end[at], -1)

    def groups(self, step: Step, node: Ints, target: Ints) -> tuple[Groups, Ints]:
        """The groups that switches choose from on the way to these leaves, and each choice's key."""
        if self.net.whole:
            return step.groups, node
        leaves = len(self.net.leaf)
        pairs, index = np.unique(node * leaves + target, return_inverse=True)
        return step.groups.narrowed(pairs // leaves, pairs % leaves, step.far_end, step.reach), index.reshape(-1)


@dataclass(frozen=True)
class _Asked:
    """Five-tuples, and a number for each destination."""

    keys: Bytes
    destination: Ints


@dataclass(frozen=True)
class Step:
    """A choice among links of one tier: who makes it, what is at the far ends, and which leaves those reach."""

    tier: str
    groups: Groups
    far_end: Ints
    reach: Mask


class Groups:
    """ECMP groups: links (places in their tier) by key, in the order given."""

    def __init__(self, key: Ints, place: Ints) -> None:
        order = np.argsort(key, kind="stable")
        self.place = place[order]
        self.keys, self.begin, self.many = np.unique(key[order], return_index=True, return_counts=True)

    @classmethod
    def living(cls, key: Ints, place: Ints, tier: Tier) -> Groups:
        """Of the links that live."""
        live = tier.live[place]
        return cls(key[live], place[live])

    def narrowed(self, key: Ints, target: Ints, far_end: Ints, reach: Mask) -> Groups:
        """A group for each pair of a key and a leaf (its key: the pair's number): the links that lead to the leaf."""
        if not len(self.keys):
            return self
        group = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        many = np.where(self.keys[group] == key, self.many[group], 0)
        pair = np.repeat(np.arange(len(key)), many)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many)
        place = self.place[self.begin[group][pair] + within]
        leads = reach[far_end[place], target[pair]]
        return Groups(pair[leads], place[leads])

    def pick(self, key: Ints, chosen: EcmpHash | None, keys: Bytes, destination: Ints) -> Ints:
        """The place of each flow's link; −1 where its group has none."""
        result = np.full(len(key), -1)
        if not len(self.keys) or not len(key):
            return result
        group = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        good = np.flatnonzero(self.keys[group] == key)
        many = self.many[group[good]].astype(np.int64)
        member = destination[good] % many if chosen is None else chosen.pick(keys[good], many)
        result[good] = self.place[self.begin[group[good]] + member]
        return result

    def member(self, key: Ints, place: Ints) -> tuple[Ints, Ints]:
        """Size of each choice's group, and which member a place is; 0 and −1 where it is none."""
        many, member = np.zeros(len(key), np.int64), np.full(len(key), -1)
        if not len(self.keys) or not len(key):
            return many, member
        width = int(self.place.max()) + 1
        group = np.repeat(np.arange(len(self.keys)), self.many)
        own = group * width + self.place
        order = np.argsort(own)
        asked = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        at = order[np.minimum(np.searchsorted(own[order], asked * width + place), len(own) - 1)]
        good = (self.keys[asked] == key) & (own[at] == asked * width + place)
        many[good], member[good] = self.many[asked[good]], (at - self.begin[asked])[good]
        return many, member


def _product(one: Mask, two: Mask) -> Mask:
    """Whether there is a way in two steps."""
    found: Mask = one.astype(np.float32) @ two.astype(np.float32) > 0
    return found


def keys_of(net: Net, pairs: pl.DataFrame, source_port: Ints) -> tuple[Bytes, Ints]:
    """Five-tuples of the queue pairs, and a number for each one's destination."""
    here, there = ends_of(net, pairs)
    return five_tuples(here, there, source_port, ROCE_PORT), there
