"""Designs written out by hand: published fabrics and small ones of other shapes, with the host groups they are for."""

from __future__ import annotations

from typing import Any

from handmade import Group

from fabric.design import Alternative, CageUse, ClassDesign, Design, NetworkDesign, Proof, SwitchPlan, Use


def switch_plan(model: str, cages: int, *uses: tuple[Use, int, str]) -> SwitchPlan:
    """A switch of ``cages`` cages, given as (use, ports, breakout) in the order in which the cages are taken."""
    placed: list[CageUse] = []
    for use, ports, mode in uses:
        each = int(mode.split("x")[0])
        placed += [CageUse(len(placed) + i, use, mode) for i in range(-(-ports // each))]
    assert len(placed) <= cages, f"{len(placed)} cages used of {cages}"
    return SwitchPlan(model, tuple(placed), {use: ports for use, ports, _ in uses})


def superpod(units: int) -> tuple[Design, list[Group]]:
    """DGX H100 SuperPOD of 1 … 4 scalable units (NVIDIA RA-11333-001 V11, Table 4)."""
    spines = {1: 4, 2: 8, 3: 16, 4: 16}[units]
    trunk = 32 // spines
    leaves = host_class(
        hosts=32 * units - 1,
        segment_hosts=32,
        segments=units,
        rails=8,
        rails_per_leaf=1,
        speed_gbps=400,
        trunk=trunk,
        leaf=switch_plan("qm9700", 32, ("host", 32, "2x400"), ("up", 32, "2x400")),
    )
    spine = switch_plan("qm9700", 32, ("down", units * 8 * trunk, "2x400"))
    net = network("compute", "infiniband", leaves, spine=spine, spines_per_group=spines, nos="opensm")
    gpu = Group("gpu", "dgx-h100", 32 * units - 1, {"compute": 8}, ports_per_cage=2)
    return Design(f"superpod-h100-{units}su", {"compute": net}), [
        gpu,
        Group("ufm", "ufm-appliance", 4, {"compute": 1}, "service", 0),
    ]


def hpn_pod(segments: int = 15) -> tuple[Design, list[Group]]:
    """Alibaba HPN 7.0's pod (SIGCOMM 2024): dual plane, 15:1 kept for a core; and a front-end with uplinks."""
    leaves = host_class(
        hosts=128 * segments,
        segment_hosts=128,
        segments=segments,
        spares_per_segment=8,
        rails=8,
        rails_per_leaf=1,
        ports_per_nic=2,
        speed_gbps=200,
        trunk=1,
        leaf=switch_plan("box-51.2t", 64, ("host", 136, "4x200"), ("up", 60, "2x400")),
    )
    spine = switch_plan("box-51.2t", 64, ("down", segments * 8, "2x400"), ("reserve", 8, "2x400"))
    net = network("compute", "roce", leaves, planes=2, spine=spine, spines_per_group=60, oversubscription_spine=15.0)
    racks = -(-136 * segments // 68)
    tors = host_class(
        hosts=136 * segments,
        segment_hosts=68,
        segments=racks,
        ports_per_nic=2,
        speed_gbps=200,
        trunk=2,
        leaf=switch_plan("box-51.2t", 64, ("host", 68, "2x200"), ("up", 32, "2x400"), ("external", 2, "2x400")),
    )
    top = switch_plan("box-51.2t", 64, ("down", racks * 4, "2x400"))
    front = network(
        "frontend",
        "ethernet",
        tors,
        layout="top-of-rack",
        planes=2,
        planes_join="spine",
        spine=top,
        spines_per_group=16,
        external_uplinks=2,
        external_speed_gbps=400,
        external_to="external",
    )
    hosts = Group("gpu", "hpn-gpu-8x2x200", 128 * segments, {"compute": 8, "frontend": 1})
    return Design("hpn7-pod", {"compute": net, "frontend": front}), [hosts]


def rail_only(segments: int) -> tuple[Design, list[Group]]:
    """Segments of 16 hosts whose rails never meet: a spine group for each of the 8 rails."""
    leaves = host_class(
        hosts=16 * segments,
        segment_hosts=16,
        segments=segments,
        rails=8,
        rails_per_leaf=1,
        speed_gbps=400,
        trunk=4,
        leaf=switch_plan("sn5600", 64, ("host", 16, "2x400"), ("up", 8, "1x800")),
    )
    spine = switch_plan("sn5600", 64, ("down", 4 * segments, "1x800"))
    net = network("compute", "roce", leaves, layout="rail-only", spine=spine, spines_per_group=2)
    return Design("rail-only", {"compute": net}), [Group("gpu", "hgx-h100", 16 * segments, {"compute": 8})]


def clos(pods: int, segments: int, radix: int) -> tuple[Design, list[Group]]:
    """Three tiers of one model used as a switch of ``radix`` ports of 400G, non-blocking; 8 rails, a leaf each."""
    half, up = radix // 2, segments * 8
    trunk = radix // pods
    leaves = host_class(
        hosts=half * pods * segments,
        segment_hosts=half,
        segments=pods * segments,
        segments_per_pod=segments,
        rails=8,
        rails_per_leaf=1,
        speed_gbps=400,
        trunk=1,
        leaf=switch_plan("box-51.2t", 64, ("host", half, "2x400"), ("up", half, "2x400")),
    )
    net = network(
        "compute",
        "roce",
        leaves,
        tiers=3,
        pods=pods,
        spines_per_group=half,
        spine_uplinks=up,
        oversubscription_spine=1.0,
        spine=switch_plan("box-51.2t", 64, ("down", up, "2x400"), ("up", up, "2x400")),
        spine_uplink_speed_gbps=400,
        core=switch_plan("box-51.2t", 64, ("down", pods * trunk, "2x400")),
        cores_per_group=up // trunk,
        core_trunk=trunk,
    )
    return Design("three-tier", {"compute": net}), [Group("gpu", "hgx-h100", half * pods * segments, {"compute": 8})]


def host_class(
    *, hosts: int, segment_hosts: int, segments: int, speed_gbps: int, trunk: int, leaf: SwitchPlan, **more: Any
) -> ClassDesign:
    """A host class of the group ``gpu``; unless said otherwise one rail, one port a NIC, and one pod."""
    rails, each = more.get("rails", 1), more.get("rails_per_leaf", 1)
    usual = {
        "name": "gpu",
        "groups": ("gpu",),
        "spares_per_segment": 0,
        "rails": 1,
        "ports_per_nic": 1,
        "ports_per_plane": 1,
        "segments_per_pod": segments,
        "max_segments": segments,
        "rails_per_leaf": 1,
        "leaves_per_plane": rails // each,
        "uplinks": leaf.ports["up"],
        "oversubscription": 1.0,
    }
    given = {"hosts": hosts, "segment_hosts": segment_hosts, "segments": segments, "speed_gbps": speed_gbps}
    return ClassDesign(**{**usual, **given, "trunk": trunk, "leaf": leaf, **more})


def network(name: str, technology: str, leaves: ClassDesign, **more: Any) -> NetworkDesign:
    """A network of two tiers with 400G between switches, unless said otherwise."""
    usual: dict[str, Any] = {
        "network": name,
        "technology": technology,
        "layout": "rail-optimized",
        "tiers": 2,
        "planes": 1,
        "planes_join": "never",
        "classes": (leaves,),
        "pods": 1,
        "uplink_speed_gbps": 400,
        "proof": Proof("OPTIMAL", 123_456_00, 123_456_00, 0.0, "US cents"),
        "runners_up": (
            Alternative("three tiers", {"leaf": 8, "spine": 4, "core": 2}, 150_000_00, "$26,544.00 more (21.5%)"),
        ),
        "neighbours": (
            Alternative("one host fewer", {"leaf": 7, "spine": 4, "core": 0}, 110_000_00, "$13,456.00 less"),
        ),
    }
    return NetworkDesign(**{**usual, **more})
