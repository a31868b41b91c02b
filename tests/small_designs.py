"""Designs written by hand and at random, with the intent and catalogue that go with them, for what builds from them.

A design here is consistent by construction (enough ports, whole trunks), not necessarily a good one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from fabric.catalogue import Catalogue
from fabric.design import CageUse, ClassDesign, Design, NetworkDesign, SwitchPlan, Use
from fabric.intent import Intent, intent_from
from fabric.validation import as_tuples

BOX = "box"
CAGES = 600
"""Cages of the switch of random designs: more than any needs."""


@dataclass(frozen=True)
class Made:
    """What ``build`` takes."""

    design: Design
    intent: Intent
    catalogue: Catalogue

    @property
    def network(self) -> NetworkDesign:
        """The first network."""
        return next(iter(self.design.networks.values()))

    def __repr__(self) -> str:
        plain = [replace(n, spine=None, core=None) for n in self.design.networks.values()]
        return f"Made({plain}, {self.intent.hosts})"


def setup(model: str, *uses: tuple[Use, int, str]) -> SwitchPlan:
    """A switch whose cages are taken in order: (use, ports, breakout)."""
    cages: list[CageUse] = []
    for use, ports, mode in uses:
        each = int(mode.split("x")[0])
        cages += [CageUse(len(cages) + n, use, mode) for n in range(-(-ports // each))]
    return SwitchPlan(model, tuple(cages), {use: ports for use, ports, _ in uses if ports})


def catalogue(servers: dict[str, list[dict[str, Any]]], nos: str = "sonic") -> Catalogue:
    """Servers with the NIC groups given (8 GPUs each), and one big switch."""
    ib = nos == "opensm"
    box = {
        "technologies": ["infiniband"] if ib else ["roce", "ethernet"],
        "cages": [{"count": CAGES, "type": "osfp", "connectors": 2, "breakouts": ["1x400", "2x400", "4x200", "2x200"]}],
        "power_w": {"typical": 1, "max": 2},
        "nos": [nos],
        "source": "estimate",
        "name": BOX,
    }  # fmt: skip
    cages = [
        {"count": 48, "type": "rj45", "breakouts": ["1x1"]},
        {"count": 4, "type": "qsfp28", "breakouts": ["1x100"]},
    ]
    small = {**box, "name": "small", "cages": cages}
    server = {"gpus": 8, "rack_units": 2, "power_w": {"typical": 1, "max": 2}, "source": "estimate"}
    made = {name: {**server, "name": name, "nics": nics} for name, nics in servers.items()}
    return Catalogue.model_validate(as_tuples({"servers": made, "switches": {BOX: box, "small": small}}))


def random_designs() -> st.SearchStrategy[Made]:
    """Small compute networks of every shape."""
    return st.randoms(use_true_random=False).map(random_design)


def random_design(rng: Random) -> Made:
    """One compute network: tiers, planes, rails, classes, pools, spares, services, trunks, breakouts, growth."""
    tiers, planes = rng.choice((1, 2, 2, 3, 3)), rng.choice((1, 1, 2, 3))
    layout = rng.choice(("rail-optimized", "rail-only", "top-of-rack"))
    join = rng.choice(("never", "spine", "core")) if tiers > 1 else "never"
    classes = rng.choice((1, 1, 2, 3)) if tiers > 1 and layout != "rail-only" else 1
    pods = rng.choice((1, 2, 3)) if tiers == 3 else 1
    s, t = rng.randint(1, 4), rng.randint(1, 3)
    shape = NetworkDesign("compute", "roce", layout, tiers, planes, join, (), pods)
    made = [_random_class(rng, shape, f"c{n}", s * t * (tiers > 1), t * (tiers > 1)) for n in range(classes)]
    groups = [group for _, own in made for group in own]
    servers = {f"server-c{n}": [_nics(cls)] for n, (cls, _) in enumerate(made)}
    shape = replace(shape, classes=tuple(cls for cls, _ in made), trunk_cables=rng.random() < 0.5)
    services = _random_services(rng, shape, servers)
    shape = replace(shape, service_ports=sum(s["count"] * _ports(servers[s["model"]]) for s in services))
    if tiers > 1:
        shape = _with_spines(rng, shape, s)
    intent = intent_from(
        {"name": "random", "hosts": groups + services, "networks": {"compute": {"technology": "roce"}}}
    )
    return Made(Design("random", {"compute": shape}), intent, catalogue(servers))


def _random_class(
    rng: Random, shape: NetworkDesign, name: str, uplinks: int, trunk: int
) -> tuple[ClassDesign, list[dict[str, Any]]]:
    """A class of one to three groups, and the groups."""
    rails, per_plane, places = rng.randint(1, 5), rng.randint(1, 2), rng.randint(1, 5)
    q = rails if shape.layout == "top-of-rack" else rng.randint(1, rails)
    spares = rng.choice((0, 0, 1, 2))
    segments = rng.randint(max(1, shape.pods), 4) if shape.tiers > 1 else 1
    segments_per_pod = -(-segments // shape.pods) + (rng.random() < 0.2) if shape.tiers == 3 else segments
    hosts = rng.randint(max(1, (segments - 2) * places + 1), segments * places)
    cuts = sorted({rng.randint(1, hosts) for _ in range(rng.choice((1, 1, 3)))} | {hosts})
    counts = [b - a for a, b in zip([0, *cuts], cuts, strict=False)]
    groups = [
        {"name": f"{name}g{n}", "model": f"server-{name}", "count": count, "spares_per_segment": spares}
        for n, count in enumerate(counts)
    ]
    host_ports = (places + spares) * q * per_plane
    mode = rng.choice(("1x400", "2x400")), rng.choice(("4x200", "2x200"))
    speed = rng.choice((400, 200))
    grown = segments + rng.choice((0, 0, 2)) if name == "c0" and shape.tiers == 2 else segments
    return ClassDesign(
        name=name, groups=tuple(str(g["name"]) for g in groups), hosts=hosts, spares_per_segment=spares, rails=rails,
        ports_per_nic=per_plane * shape.planes, ports_per_plane=per_plane, speed_gbps=speed,
        segment_hosts=places, segments=segments, segments_per_pod=segments_per_pod, max_segments=grown,
        rails_per_leaf=q, leaves_per_plane=-(-rails // q), uplinks=uplinks, trunk=trunk, oversubscription=1.0,
        leaf=setup(
            BOX,
            ("host", host_ports, mode[0] if speed == 400 else mode[1]),
            ("free", rng.randint(0, 2), mode[0] if speed == 400 else mode[1]),
            ("up", uplinks, rng.choice(("1x400", "2x400"))),
        ),
    ), groups  # fmt: skip


def _nics(cls: ClassDesign) -> dict[str, Any]:
    return {"name": "nic", "count": cls.rails, "ports": cls.ports_per_nic, "speed_gbps": cls.speed_gbps,
            "network": "compute", "cage": "osfp"}  # fmt: skip


def _ports(nics: list[dict[str, Any]]) -> int:
    return sum(int(nic["count"]) * int(nic["ports"]) for nic in nics)


def openings(shape: NetworkDesign) -> int:
    """Service ports there are: vacant host ports, and free ports of leaves."""
    return sum(
        (c.segments * c.segment_hosts - c.hosts) * c.rails * c.ports_per_nic
        + c.leaf.ports.get("free", 0) * c.segments * c.leaves_per_plane * shape.planes
        for c in shape.classes
    )


def _random_services(rng: Random, shape: NetworkDesign, servers: dict[str, Any]) -> list[dict[str, Any]]:
    """Services that fit into what the hosts leave over; NICs of one port, or one a plane."""
    left = openings(shape) // shape.planes * shape.planes
    found: list[dict[str, Any]] = []
    for n in range(rng.choice((0, 1, 2))):
        ports = rng.choice((1, shape.planes))
        most = left // (ports * shape.planes) * shape.planes
        if not most:
            continue
        count = rng.randint(1, most)
        left -= -(-count * ports // shape.planes) * shape.planes
        nic = {"name": "nic", "count": 1, "ports": ports, "speed_gbps": 200, "network": "compute", "cage": "osfp"}
        servers[f"service{n}"] = [nic]
        found.append({"name": f"service{n}", "model": f"service{n}", "count": count, "role": "service"})
    return found


def _with_spines(rng: Random, shape: NetworkDesign, s: int) -> NetworkDesign:
    joined = shape.planes if shape.planes_join == "spine" else 1
    positions = 1 if shape.layout == "rail-only" else None
    down = sum(
        (c.segments_per_pod if shape.tiers == 3 else c.max_segments)
        * (positions or c.leaves_per_plane)
        * joined
        * c.trunk
        for c in shape.classes
    )
    b, e = rng.randint(1, 3), rng.randint(1, 2)
    core_down = shape.pods * e * (shape.planes if shape.planes_join == "core" else 1)
    return replace(
        shape,
        spine=setup(BOX, ("down", down, "2x400"), ("up", b * e * (shape.tiers == 3), "2x400")),
        spines_per_group=s,
        uplink_speed_gbps=400,
        core=setup(BOX, ("down", core_down, "2x400")) if shape.tiers == 3 else None,
        spine_uplinks=b * e if shape.tiers == 3 else 0,
        cores_per_group=b if shape.tiers == 3 else 0,
        core_trunk=e if shape.tiers == 3 else 0,
    )
