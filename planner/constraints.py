"""What must hold: one function a demand of docs/sizing.md, each with its inequality."""

from __future__ import annotations

from itertools import pairwise

from fabric.design import Use
from fabric.lanes import joined
from planner.cages import bank_size
from planner.variables import Choice, ClassVars, Expr, Kind, Model, Var


def one_of_each(m: Model) -> None:
    """One model a tier, one q, one speed a tier of links; none is left where no speed is fast enough at both ends."""
    for kind in m.kinds:
        m.cp.add_exactly_one(kind.chosen)
    m.cp.add_exactly_one(c.chosen for c in m.choices)
    for speeds, needed in ((m.v, m.has_uplinks), (m.y, m.has_spine_uplinks)):
        if needed:
            m.cp.add_exactly_one(speeds.values())


def cages_suffice(m: Model) -> None:
    """Banks in use ≤ banks of the chosen model, for each cage group; Σ ports of cages in use ≤ max_logical_ports.

    A last short bank counts as a bank.
    """
    for kind in m.kinds:
        for i, model in enumerate(kind.models):
            for g, group in enumerate(model.cages):
                size = bank_size(model, group, kind.needs)
                own = [(pattern, banks) for j, h, pattern, banks in kind.banks if (j, h) == (i, g)]
                m.cp.add(sum(banks for _, banks in own) <= -(-group.count // size) * kind.chosen[i])
                if short := group.count % size:
                    m.cp.add(sum(banks for pattern, banks in own if len(pattern) > short) <= group.count // size)
            if model.max_logical_ports is not None:
                logical = sum(sum(s.mode.ports for s in p) * banks for j, _, p, banks in kind.banks if j == i)
                m.cp.add(logical <= model.max_logical_ports)


def ports_fit(m: Model) -> None:
    """Ports of a use ≤ ports of the cages given to it, at the speed of the use; no cage at another speed."""
    for c in m.classes:
        host, extra = c.host, m.demand.external
        _fit(m, c.kind, "host", c.host_ports, {host.speed_gbps: None})
        _fit(m, c.kind, "free", c.free, {host.speed_gbps: None})
        _fit(m, c.kind, "up" if m.tiers > 1 else "reserve", c.u, dict(m.v))
        _fit(m, c.kind, "interswitch", m.i, dict(m.v))
        _fit(m, c.kind, "external", extra.count, {extra.speed_gbps: None})
        _fit(m, c.kind, "attach", c.attach, {m.demand.attached.speed_gbps: None})


def _fit(m: Model, kind: Kind, use: Use, ports: Expr, speeds: dict[int, Var | None]) -> None:
    if not any(need.use == use for need in kind.needs):
        return
    for speed, chosen in speeds.items():
        given = m.cp.add(kind.ports(use, speed) >= ports)
        if chosen is not None:
            given.only_enforce_if(chosen)
            m.cp.add(kind.ports(use, speed) == 0).only_enforce_if(~chosen)


def segments_hold_hosts(m: Model) -> None:
    """G·S ≥ N."""
    for c in m.classes:
        m.cp.add_multiplication_equality(c.GS, c.G, c.S)
        m.cp.add(c.GS >= c.N)


def leaf_ports(m: Model) -> None:
    """Host ports of a leaf = (S+σ)·q·π; leaves = G·P·K."""
    planes = m.demand.planes
    for c in m.classes:
        for choice in m.choices:
            q, k = choice.rails(c.host), choice.positions(c.host)
            m.cp.add(c.host_ports == (c.S + c.host.spares) * (q * (c.host.ports // planes))).only_enforce_if(
                choice.chosen
            )
            m.cp.add(c.leaves == c.G * (planes * k)).only_enforce_if(choice.chosen)


def services_fit(m: Model) -> None:
    """Σ (G·S − N)·R·ports + Σ x·leaves ≥ service ports; free ports of a leaf ≥ max(free_leaf_ports, x)."""
    if not m.demand.service_ports:
        return
    room: list[Expr] = []
    for c in m.classes:
        slots = m.cp.new_int_var(0, m.demand.service_ports * 2 + 2**20, f"slots.{c.kind.name}")
        m.cp.add_multiplication_equality(slots, c.x, c.leaves)
        m.cp.add(c.free >= c.x)
        room += [slots, (c.GS - c.N) * (c.host.rails * c.host.ports)]
    m.cp.add(sum(room) >= m.demand.service_ports)


def attached_fit(m: Model) -> None:
    """attach·leaves ≥ links that another network has on leaves of the first class."""
    if m.demand.attached.count:
        c = m.classes[0]
        room = m.cp.new_int_var(m.demand.attached.count, 2**40, "attached")
        m.cp.add_multiplication_equality(room, c.attach, c.leaves)


def leaf_bandwidth(m: Model) -> None:
    """S·q·π·h ≤ o_leaf·u·v, with the full segment; spares, services and free ports take no bandwidth."""
    if m.tiers == 1 and not m.demand.reserve_leaf:
        return
    for c in m.classes:
        o = c.host.oversubscription
        for choice in m.choices:
            down = choice.rails(c.host) * (c.host.ports // m.demand.planes) * c.host.speed_gbps
            for speed, chosen in m.v.items():
                m.cp.add(c.S * (down * o.denominator) <= c.u * (o.numerator * speed)).only_enforce_if(
                    choice.chosen, chosen
                )


def whole_trunks(m: Model) -> None:
    """The same whole number of links to every spine, and to every core: u = s·t for every class, w = b·e."""
    if m.tiers > 1:
        for c in m.classes:
            m.cp.add_multiplication_equality(c.u, m.s, c.t)
    if m.tiers == 3:
        m.cp.add_multiplication_equality(m.w, m.b, m.e)


def pods_hold_segments(m: Model) -> None:
    """T = 2: one pod, m = G, room for max(G, max_segments). T = 3: G ≤ D·m for every class."""
    for n, c in enumerate(m.classes):
        if m.tiers < 3:
            m.cp.add(c.m == c.G)
            m.cp.add_max_equality(c.max_m, [c.G, m.demand.max_segments if n == 0 else 0])
            continue
        held = m.cp.new_int_var(1, 2**40, f"held.{n}")
        m.cp.add_multiplication_equality(held, m.D, c.m)
        m.cp.add(held >= c.G)
        m.cp.add(c.max_m == c.m)


def _planes_at(m: Model, *joins: str) -> int:
    return m.demand.planes if m.demand.planes_join in joins else 1


def _positions(m: Model, c: ClassVars, choice: Choice) -> int:
    """Leaf positions that one spine group serves."""
    return 1 if m.demand.layout == "rail-only" else choice.positions(c.host)


def spine_ports(m: Model) -> None:
    """Down ports of a spine = Σ_c m·K·t (·P where planes join at the spine; K is 1 with rail-only), in its cages."""
    if m.spine is None:
        return
    high = max(max(mo.bandwidth_gbps for mo in m.spine.models) // min(m.v, default=1), 1)
    down = _spine_down(m, [c.max_m for c in m.classes], "room", high)
    m.spine_down = down
    _fit(m, m.spine, "down", down, dict(m.v))
    if m.demand.max_segments and m.tiers == 2:
        _filled(m, m.spine, _spine_down(m, [c.m for c in m.classes], "now", high), m.v)
    _fit(m, m.spine, "up" if m.tiers == 3 else "reserve", m.w, dict(m.y))
    spine_bandwidth(m, down)


def _spine_down(m: Model, segments: list[Var], name: str, high: int) -> Var:
    """Σ_c segments·K·t (·P where planes join at the spine)."""
    trunks = []
    for c, count in zip(m.classes, segments, strict=True):
        links = m.cp.new_int_var(0, high, f"mt.{name}.{c.kind.name}")
        m.cp.add_multiplication_equality(links, count, c.t)
        trunks.append(links)
    down = m.cp.new_int_var(0, high, f"down.{name}")
    for choice in m.choices:
        share = [_positions(m, c, choice) * _planes_at(m, "spine") for c in m.classes]
        m.cp.add(down == sum(k * links for k, links in zip(share, trunks, strict=True))).only_enforce_if(choice.chosen)
    return down


def _filled(m: Model, kind: Kind, down: Expr, speeds: dict[int, Var]) -> None:
    """Of the cages for ``down``, those filled now: no more than there are, with room for the ports linked now."""
    ports: dict[int, list[Expr]] = {speed: [] for speed in speeds}
    for place, (_, _, pattern, banks) in enumerate(kind.banks):
        for n, slot in enumerate(pattern):
            if slot.need.use == "down":
                filled = m.cp.new_int_var(
                    0, max(model.cage_count for model in kind.models), f"filled.{kind.name}.{place}.{n}"
                )
                m.cp.add(filled <= banks)
                kind.filled[place, n] = filled
                ports[slot.mode.speed_gbps].append(filled * slot.mode.ports)
    for speed, chosen in speeds.items():
        m.cp.add(sum(ports[speed]) >= down).only_enforce_if(chosen)


def spine_bandwidth(m: Model, down: Var) -> None:
    """Down ports·v ≤ o_spine·w·y, where a core is planned or kept room for."""
    o = m.demand.spine_oversubscription
    for v, leaf_speed in m.v.items():
        for y, spine_speed in m.y.items():
            m.cp.add(down * (v * o.denominator) <= m.w * (y * o.numerator)).only_enforce_if(leaf_speed, spine_speed)


def core_ports(m: Model) -> None:
    """Down ports of a core = D_max·e (·P where planes join at the core); D_max ≥ D, D_max·m ≥ max_segments."""
    if m.core is None:
        return
    high = max(max(mo.bandwidth_gbps for mo in m.core.models) // min(m.y, default=1), 1)
    pods = m.cp.new_int_var(1, high, "D_max")
    m.cp.add(pods >= m.D)
    if m.demand.max_segments:
        room = m.cp.new_int_var(m.demand.max_segments, 2**40, "room")
        m.cp.add_multiplication_equality(room, pods, m.classes[0].m)
    down = m.cp.new_int_var(0, high, "core_down")
    m.cp.add_multiplication_equality(down, pods, m.e)
    m.core_down = down * _planes_at(m, "core")
    _fit(m, m.core, "down", m.core_down, dict(m.y))
    if m.demand.max_segments:
        now = m.cp.new_int_var(0, high, "core_down.now")
        m.cp.add_multiplication_equality(now, m.D, m.e)
        _filled(m, m.core, now * _planes_at(m, "core"), m.y)


def switch_counts(m: Model) -> None:
    """Spines D·s·(P unless joined)·(K with rail-only); cores s·b·(P unless joined)·(K with rail-only)."""
    if m.spine is None:
        return
    groups = m.cp.new_int_var(1, 2**30, "sD")
    m.cp.add_multiplication_equality(groups, m.s, m.D)
    cores = m.cp.new_int_var(0, 2**30, "sb")
    m.cp.add_multiplication_equality(cores, m.s, m.b)
    planes = m.demand.planes
    for choice in m.choices:
        rails = choice.positions(m.classes[0].host) if m.demand.layout == "rail-only" else 1
        m.cp.add(m.spines == groups * (rails * planes // _planes_at(m, "spine"))).only_enforce_if(choice.chosen)
        m.cp.add(m.cores == cores * (rails * planes // _planes_at(m, "spine", "core"))).only_enforce_if(choice.chosen)


def speeds_rise(m: Model) -> None:
    """Links between spine and core are not slower than those below, y ≥ v; kept free: y = v unless pinned."""
    same = m.demand.reserve_spine and m.demand.spine_uplink_gbps is None
    for v, leaf_speed in m.v.items():
        for y, spine_speed in m.y.items():
            if y < v or (same and y != v):
                m.cp.add_bool_or(~leaf_speed, ~spine_speed)


def split_at_one_end(m: Model) -> None:
    """A link between switches has one port a connector at one of its ends at least: no cable fans out at both."""
    leaves = [c.kind for c in m.classes]
    for leaf in leaves:
        m.cp.add(_splits(m, leaf, "interswitch") == 0)
    for lower, upper in [*((leaf, m.spine) for leaf in leaves), (m.spine, m.core)]:
        if lower is not None and upper is not None:
            m.cp.add_bool_or(~_splits(m, lower, "up"), ~_splits(m, upper, "down"))


def lanes_join(m: Model) -> None:
    """The two ends of a link between switches have a number of lanes in common, or an optic that changes it."""
    for lower, upper in [*((c.kind, m.spine) for c in m.classes), (m.spine, m.core)]:
        if lower is None or upper is None:
            continue
        for (speed, below), low in _lane_choices(m, lower, "up").items():
            for (other, above), high in _lane_choices(m, upper, "down").items():
                if speed == other and not joined(below, above, speed):
                    m.cp.add_bool_or(~low, ~high)


def _lane_choices(m: Model, kind: Kind, use: Use) -> dict[tuple[int, frozenset[int]], Var]:
    """For each speed and numbers of lanes of cages in this use: a boolean that is true when there is such a cage."""
    found: dict[tuple[int, frozenset[int]], Var] = {}
    for _, _, pattern, banks in kind.banks:
        for slot in pattern:
            if slot.need.use == use:
                key = (slot.mode.speed_gbps, slot.lanes)
                found.setdefault(key, m.cp.new_bool_var(f"lanes.{kind.name}.{use}.{len(found)}"))
                m.cp.add(banks == 0).only_enforce_if(~found[key])
    return found


def _splits(m: Model, kind: Kind, use: Use) -> Var:
    """A boolean that is true when a cage in this use has several ports on a connector."""
    split = m.cp.new_bool_var(f"split.{kind.name}.{use}")
    for _, _, pattern, banks in kind.banks:
        if any(slot.need.use == use and slot.split for slot in pattern):
            m.cp.add(banks == 0).only_enforce_if(~split)
    return split


def single_tier(m: Model) -> None:
    """Reach with one tier: K = 1 and planes that need not join, unless written so or a pair has links of its own.

    i·v ≥ interswitch·S·q·π·h on a pair.
    """
    if m.tiers != 1 or m.demand.network == "oob":
        return
    c, share, planes = m.classes[0], m.demand.interswitch, m.demand.planes
    for choice in m.choices:
        leaves = choice.positions(c.host) * planes
        apart = choice.positions(c.host) > 1 or (planes > 1 and m.demand.planes_join != "never")
        if (share > 0 and leaves != 2) or (share == 0 and m.demand.tiers_auto and apart):
            m.cp.add(choice.chosen == 0)
        down = choice.rails(c.host) * (c.host.ports // planes) * c.host.speed_gbps
        for speed, chosen in m.v.items():
            if share > 0:
                m.cp.add(c.S * (down * share.numerator) <= m.i * (speed * share.denominator)).only_enforce_if(
                    choice.chosen, chosen
                )


def rail_only_alike(m: Model) -> None:
    """With rail-only every class has the same number of leaf positions, so that each spine group serves one of each."""
    if m.demand.layout != "rail-only":
        return
    for choice in m.choices:
        if any(choice.positions(a.host) != choice.positions(b.host) for a, b in pairwise(m.classes)):
            m.cp.add(choice.chosen == 0)


CONSTRAINTS = (
    one_of_each,
    cages_suffice,
    ports_fit,
    segments_hold_hosts,
    leaf_ports,
    services_fit,
    attached_fit,
    leaf_bandwidth,
    whole_trunks,
    pods_hold_segments,
    spine_ports,
    core_ports,
    switch_counts,
    speeds_rise,
    split_at_one_end,
    lanes_join,
    single_tier,
    rail_only_alike,
)
