"""Small random intents and catalogues, for seeded loops and for Hypothesis.

One recipe serves both: ``case(rng)`` draws from any ``random.Random``, and Hypothesis hands in one whose draws it can
shrink. Catalogues have one to three switches of two to eight cages; intents have a handful of hosts, so that an
exhaustive search is quick, and touch every field that sizing reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from fabric.catalogue.models import Catalogue
from fabric.intent import Intent, intent_from
from fabric.validation import as_tuples

Values = dict[str, Any]

MODES = ("1x100", "2x100", "4x100", "1x200", "2x200", "4x200", "1x400", "2x400", "1x800")
SMALL = ("1x100", "2x100", "4x100", "1x200", "2x200", "1x400")
"""Breakouts of a cage of four lanes of 100 Gb/s."""
OVERSUBSCRIPTIONS = (1, 1, 1, 1.067, 1.333, 1.5, 2, 3, 0.5)


@dataclass(frozen=True)
class Case:
    """An intent with the catalogue it is planned from."""

    values: Values
    """The intent as YAML would say it."""
    intent: Intent
    catalogue: Catalogue

    def __repr__(self) -> str:
        switches = {name: switch.cages for name, switch in self.catalogue.switches.items()}
        return f"Case({self.values}, {switches}, {self.catalogue.servers})"


def cases() -> st.SearchStrategy[Case]:
    """The recipe for Hypothesis."""
    return st.randoms(use_true_random=False).map(case)


def case(rng: Random) -> Case:
    """One small intent with its catalogue."""
    network = rng.choice(("compute",) * 6 + ("storage", "storage", "frontend", "oob"))
    servers = [server(rng, f"server{n}", network) for n in range(rng.choice((1, 1, 1, 2)))]
    if len(servers) == 2 and (rng.random() < 0.5 or alike(*servers)):
        servers[1] = servers[0] | {"name": "server1"}
    nics = servers[0]["nics"][0]
    switches = [switch(rng, f"switch{n}", nics) for n in range(rng.choice((1, 1, 2, 2, 3)))]
    values = intent(rng, network, servers, switches)
    return Case(values, intent_from(values), make_catalogue(servers, switches))


def make_catalogue(servers: list[Values], switches: list[Values]) -> Catalogue:
    """A catalogue of plain values."""
    tables = {"servers": {s["name"]: s for s in servers}, "switches": {s["name"]: s for s in switches}}
    return Catalogue.model_validate(as_tuples(tables))


def maybe(rng: Random, share: float, values: Values) -> Values:
    """The values with this probability, else nothing."""
    return values if rng.random() < share else {}


# ------------------------------------------------------------------------------------------------------ the catalogue


def alike(one: Values, other: Values) -> bool:
    """Whether hosts of both models share a class; then their cages are to be the same, too."""
    return all(one["nics"][0][field] == other["nics"][0][field] for field in ("count", "ports", "speed_gbps"))


def server(rng: Random, name: str, network: str) -> Values:
    """A server with one group of NICs on the network."""
    if network == "oob":
        nics: Values = {"count": 1, "ports": 1, "speed_gbps": 1, "cage": "rj45"}
    else:
        nics = {
            "count": rng.choice((1, 1, 2, 2, 4, 3)),
            "ports": rng.choice((1, 1, 2)),
            "speed_gbps": rng.choice((100, 200, 200, 400)),
            "cage": rng.choice(("osfp", "osfp", "qsfp112")),
        }
        if nics["count"] * nics["ports"] % 2 == 0 and (nics["cage"] == "osfp" or nics["speed_gbps"] < 400):
            nics["ports_per_cage"] = rng.choice((1, 2))
    power = {"typical": 1000.0, "max": 2000.0}
    group = {"name": "nic", "network": network, **nics}
    return {"name": name, "gpus": 0, "rack_units": 4, "power_w": power, "nics": [group], "source": "invented"}


def switch(rng: Random, name: str, nics: Values) -> Values:
    """A switch that mostly has ports for these NICs."""
    if nics["cage"] == "rj45":
        sockets: Values = {"count": rng.choice((4, 6, 8)), "type": "rj45", "breakouts": ["1x1"]}
        groups = [sockets, cages(rng, 100) | {"count": rng.choice((1, 2, 2, 4))}]
    else:
        groups = [cages(rng, nics["speed_gbps"])]
        groups += [cages(rng, rng.choice((100, 200, 400)))] * (rng.random() < 0.3)
    typical = rng.choice((0.0, 100.0, 150.2, 300.0, 540.0))
    most = sum(group["count"] for group in groups)
    bank = {"cages": rng.choice((2, 2, 3)), "ports": rng.choice((4, 5, 6))}
    return {
        "name": name,
        "technologies": ["roce", "ethernet"],
        "cages": groups,
        **maybe(rng, 0.15, {"max_logical_ports": rng.randint(max(4, most), 4 * most)}),
        **maybe(rng, 0.12, {"max_ports_per_cage_group": bank}),
        "power_w": {"typical": typical, "max": 2 * typical},
        "nos": ["sonic"],
        "source": "invented",
    }


def cages(rng: Random, speed: int) -> Values:
    """A group of cages, one of whose modes mostly has this speed."""
    alike = [mode for mode in MODES if mode.endswith(f"x{speed}")]
    modes = {rng.choice(alike if rng.random() < 0.9 else MODES)}
    modes |= {rng.choice(MODES) for _ in range(rng.choice((0, 1, 1, 2)))}
    kind = "qsfp112" if rng.random() < 0.15 and modes <= set(SMALL) else "osfp"
    return {
        "count": rng.choice((2, 3, 4, 4, 6, 6, 8, 8)),
        "type": kind,
        "connectors": 1 if kind == "qsfp112" else rng.choice((1, 2, 2)),
        "breakouts": sorted(modes),
    }


# --------------------------------------------------------------------------------------------------------- the intent


def intent(rng: Random, network: str, servers: list[Values], switches: list[Values]) -> Values:
    """An intent of one network with one to three groups of hosts."""
    hosts = [host_group(rng, n, server["name"], network) for n, server in enumerate(servers)]
    if network != "oob" and rng.random() < 0.3:
        count = rng.choice((1, 1, 2, 3))
        hosts.append({"name": "service", "model": servers[0]["name"], "count": count, "role": "service"})
    rails = [server["nics"][0]["count"] for server in servers]
    ports = [server["nics"][0]["ports"] for server in servers]
    values = {
        "name": "case",
        "hosts": hosts,
        "networks": {network: network_intent(rng, network, rails, ports, switches)},
        "objective": rng.choice(("cost", "cost", "power", "switches")),
    }
    return values | (maybe(rng, 0.3, {"site": SITE}) if network == "oob" else {})


SITE = {"rows": 1, "racks_per_row": 3, "pdus_per_rack": 2, "occupied": [[1, 2]]}


def host_group(rng: Random, number: int, model: str, network: str) -> Values:
    """Hosts; now and then with spares, and of the role storage where the network takes it."""
    most = rng.choice((3, 6, 10, 16, 24)) if number == 0 else rng.choice((2, 4, 6))
    group: Values = {"name": f"hosts{number}", "model": model, "count": rng.randint(1, most)}
    if network == "oob":
        return group
    if network != "compute" and number:
        group["role"] = rng.choice(("compute", "storage"))
    return group | maybe(rng, 0.12, {"spares_per_segment": rng.choice((1, 1, 2))})


def network_intent(rng: Random, network: str, rails: list[int], ports: list[int], switches: list[Values]) -> Values:
    """A network; fields that exclude each other are not drawn together."""
    technology = "ethernet" if network == "oob" else rng.choice(("roce", "ethernet"))
    tiers = rng.choice(("auto",) * 5 + (1, 1, 2, 2, 3, 3))
    values: Values = {"technology": technology, "tiers": tiers}
    if network == "oob":
        return values | oob_fields(rng)
    if network == "compute":
        layouts = ["rail-optimized", "top-of-rack", "auto"] + ["rail-only"] * (len(set(rails)) == 1)
        values["layout"] = rng.choice(layouts)
    elif rng.random() < 0.3:
        values["layout"] = "auto"
    if values.get("layout") in ("auto", "rail-optimized", "rail-only") and len(set(rails)) == 1:
        values |= maybe(rng, 0.25, {"rails_per_leaf": rng.randint(1, rails[0])})
    if set(ports) == {2}:
        joins = ("never", "spine", "core")[: tiers if isinstance(tiers, int) else 3]
        values |= maybe(rng, 0.5, {"planes": rng.choice((1, 2))})
        values |= maybe(rng, 0.6, {"planes_join": rng.choice(joins)})
    return values | bandwidth_fields(rng, network, tiers) | growth_fields(rng, tiers, switches)


def oob_fields(rng: Random) -> Values:
    """What an out-of-band network is asked for."""
    return {
        **maybe(rng, 0.4, {"free_leaf_ports": rng.choice((1, 2))}),
        **maybe(rng, 0.5, {"uplinks": {"count": rng.choice((1, 2)), "speed_gbps": 100, "to": "external"}}),
        **maybe(rng, 0.3, {"segment_hosts": rng.randint(1, 6)}),
    }


def bandwidth_fields(rng: Random, network: str, tiers: Any) -> Values:
    """Oversubscription, pinned speeds, the link of a pair, what is kept free above."""
    over: Values = maybe(rng, 0.5 if tiers == 1 else 0.6, {"leaf": rng.choice(OVERSUBSCRIPTIONS)})
    if network != "compute" and rng.random() < 0.2:
        over = {"leaf": {"compute": 1, "storage": rng.choice((1, 1.5, 2))}}
    over |= maybe(rng, {1: 0.0, 2: 0.15}.get(tiers, 0.5), {"spine": rng.choice(OVERSUBSCRIPTIONS)})
    pins = {tier: rng.choice((100, 200, 400, 800)) for tier in ("leaf", "spine") if rng.random() < 0.12}
    return {
        **({"oversubscription": over} if over else {}),
        **({"uplink_speed_gbps": pins} if pins else {}),
        **maybe(rng, {1: 0.3, "auto": 0.2}.get(tiers, 0.0), {"interswitch": rng.choice((0.25, 0.5, 1))}),
        **maybe(rng, 0.12, {"uplinks": {"count": rng.choice((1, 2)), "speed_gbps": rng.choice((100, 200, 400))}}),
    }


def growth_fields(rng: Random, tiers: Any, switches: list[Values]) -> Values:
    """Sizes of segments, room for more, models a tier."""
    names = [switch["name"] for switch in switches]
    models = {
        tier: rng.sample(names, rng.randint(1, len(names))) for tier in ("leaf", "spine", "core") if rng.random() < 0.15
    }
    return {
        **maybe(rng, 0.2, {"segment_hosts": rng.randint(1, 5)}),
        **maybe(rng, 0.2, {"max_segments": 1 if tiers == 1 else rng.randint(1, 8)}),
        **maybe(rng, 0.0 if tiers == 1 else 0.15, {"min_spines": rng.choice((1, 2, 2, 3))}),
        **maybe(rng, 0.15, {"free_leaf_ports": rng.choice((1, 2))}),
        **maybe(rng, 0.08, {"media": rng.choice((["dac"], ["aec", "aoc"], ["dac", "multimode"]))}),
        **({"switches": models} if models else {}),
    }
