"""Published designs come out of the planner from inputs alone; each test names the document and table."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest

from fabric.catalogue import Catalogue, load_catalogue
from fabric.design import Design, NetworkDesign
from fabric.errors import InfeasibleError
from fabric.intent import parse_intent
from planner.sizing import size

CLOSED_FORM_RADIX = (4, 8, 16, 32, 64, 128, 256, 512)


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def design(text: str) -> Design:
    return size(parse_intent(text), catalogue())


def compute(hosts: str, network: str) -> NetworkDesign:
    return design(f"name: t\nhosts:\n{hosts}\nnetworks:\n  compute: {network}\n").networks["compute"]


def links(found: NetworkDesign) -> tuple[int, int, int]:
    """(host ports in use, leaf-spine links, spine-core links)"""
    planes = found.planes
    hosts = sum((c.hosts + c.spares_per_segment * c.segments) * c.rails * c.ports_per_nic for c in found.classes)
    up = sum(c.segments * planes * c.leaves_per_plane * c.uplinks for c in found.classes)
    return hosts + found.service_ports, up, found.counts()["spine"] * found.spine_uplinks


SUPERPOD = (
    "{technology: infiniband, layout: rail-optimized, segment_hosts: 32, switches: {leaf: [qm9700], spine: [qm9700]}}"
)


@pytest.mark.parametrize(
    ("hosts", "leaves", "spines", "host_cables", "trunk_links"),
    [(31, 8, 4, 252, 256), (63, 16, 8, 508, 512), (95, 24, 16, 764, 768), (127, 32, 16, 1020, 1024)],
)
def test_superpod_h100(hosts: int, leaves: int, spines: int, host_cables: int, trunk_links: int) -> None:
    """NVIDIA RA-11333-001 V11, Table 4: compute fabric of 1 to 4 scalable units."""
    found = compute(
        f"  - {{name: dgx, model: dgx-h100, count: {hosts}}}\n"
        "  - {name: ufm, model: ufm-appliance, count: 4, role: service}",
        SUPERPOD,
    )
    assert found.counts() == {"leaf": leaves, "spine": spines, "core": 0}
    assert links(found)[:2] == (host_cables, trunk_links)
    assert (found.proof.status, found.proof.gap) == ("OPTIMAL", 0.0)


def test_superpod_h100_fourth_unit_has_room_for_127_hosts_beside_ufm() -> None:
    """The same table: four UFM links displace one host, so 128 hosts ask for a fifth unit, and the plan says so."""
    found = compute(
        "  - {name: dgx, model: dgx-h100, count: 128}\n  - {name: ufm, model: ufm-appliance, count: 4, role: service}",
        SUPERPOD,
    )
    assert found.classes[0].segments == 5
    assert [n.shape for n in found.neighbours] == ["127 hosts instead of 128 beside 4 service ports"]


def test_superpod_h100_out_of_band() -> None:
    """RA-11333-001, out-of-band management: 127 host, 64 switch, 108 PDU links on 8 switches, two 100G uplinks each.

    The 16 storage switches of the 64 are not derivable from the document; they stand here as managed devices.
    """
    found = design(
        "name: t\n"
        "hosts:\n"
        "  - {name: dgx, model: dgx-h100, count: 127}\n"
        "  - {name: storage-switch, model: managed-device, count: 16, role: service}\n"
        "networks:\n"
        f"  compute: {SUPERPOD}\n"
        "  oob: {free_leaf_ports: 6, uplinks: {count: 2, speed_gbps: 100, to: external}, switches: {leaf: [sn2201]}}\n"
        "site: {rows: 6, racks_per_row: 9}\n"
    ).networks["oob"]
    assert found.classes[0].hosts == 127 + 64 + 108
    assert found.counts()["leaf"] == 8
    assert found.classes[0].leaf.ports["external"] == 2


HPN = (
    "{technology: roce, layout: %s, tiers: %s, planes: 2, planes_join: never, "
    "oversubscription: {leaf: 1.067, spine: 15}, uplink_speed_gbps: {leaf: 400}, "
    "switches: {leaf: [box-51.2t], spine: [box-51.2t]}}"
)


def hpn_hosts(count: int, spares: int = 8) -> str:
    return f"  - {{name: gpu, model: hpn-gpu-8x2x200, count: {count}, spares_per_segment: {spares}}}"


def test_hpn7_pod() -> None:
    """Alibaba HPN (SIGCOMM 2024): a pod of 15 segments of 128 + 8 hosts, dual plane, 15:1 to the core."""
    found = compute(hpn_hosts(1920), HPN % ("rail-optimized", 2))
    (hosts,) = found.classes
    assert (hosts.segments, hosts.segment_hosts, hosts.leaf.ports) == (15, 128, {"host": 136, "up": 60})
    assert found.counts() == {"leaf": 240, "spine": 120, "core": 0}
    assert links(found) == (32_640, 14_400, 0)
    assert found.spine is not None
    assert found.spine.ports == {"down": 120, "reserve": 8}
    modes = [(cage.use, cage.mode) for cage in hosts.leaf.cages]
    assert (modes.count(("host", "4x200")), modes.count(("up", "2x400"))) == (34, 30)


def test_hpn7_rail_only_second_tier() -> None:
    """The same paper, rail-only tier 2: 16 planes, 122,880 GPUs; one host more asks for more than two tiers."""
    network = HPN % ("rail-only", 2)
    found = compute(hpn_hosts(15_360), network)
    assert found.spine_groups_per_pod == 16
    assert found.counts() == {"leaf": 1920, "spine": 960, "core": 0}
    with pytest.raises(InfeasibleError):
        compute(hpn_hosts(15_361), network)


def test_hpn7_segment() -> None:
    """The same paper: a single-tier segment is 16 ToRs and 1,024 GPUs, uplinks kept free."""
    network = (
        "{technology: roce, layout: rail-optimized, tiers: 1, planes: 2, oversubscription: {leaf: 1.067}, "
        "uplink_speed_gbps: {leaf: 400}, switches: {leaf: [box-51.2t]}}"
    )
    found = compute(hpn_hosts(128), network)
    assert found.counts() == {"leaf": 16, "spine": 0, "core": 0}
    assert found.classes[0].leaf.ports == {"host": 136, "reserve": 60}
    with pytest.raises(InfeasibleError):
        compute(hpn_hosts(129), network)


@pytest.mark.parametrize(
    ("most", "spares", "layout", "network"),
    [
        (16, 0, "top-of-rack", "tiers: 1, planes_join: never, oversubscription: {leaf: 1}"),
        (512, 0, "top-of-rack", "tiers: 2, planes_join: spine, oversubscription: {leaf: 1, spine: 1}"),
        (128, 0, "rail-optimized", "tiers: 1, planes_join: never, oversubscription: {leaf: 1}"),
        (1024, 0, "rail-optimized", "tiers: 2, planes_join: never, oversubscription: {leaf: 1, spine: 1}"),
        (1920, 8, "rail-optimized", "tiers: 2, planes_join: never, oversubscription: {leaf: 1.067, spine: 15}"),
    ],
    ids=["dual-tor-128", "dual-tor-4k", "rail-optimized-1k", "dual-plane-8k", "oversubscribed-core-15k"],
)
def test_hpn7_scale_ladder(most: int, spares: int, layout: str, network: str) -> None:
    """The same paper, scale ladder (hosts of 8 GPUs): so many hosts are carried and not one more."""
    text = (
        f"{{technology: roce, layout: {layout}, planes: 2, {network}, uplink_speed_gbps: {{leaf: 400}}, "
        "switches: {leaf: [box-51.2t], spine: [box-51.2t]}}"
    )
    assert compute(hpn_hosts(most, spares), text).classes[0].hosts == most
    with pytest.raises(InfeasibleError) as no:
        compute(hpn_hosts(most + 1, spares), text)
    assert f"({most:,} hosts); " in str(no.value)


def test_dcn_plus() -> None:
    """The same paper, predecessor DCN+: 64 leaves (our inference), 8 aggregation switches, one 400G link to each."""
    found = compute(
        hpn_hosts(64, 0),
        "{technology: roce, layout: rail-optimized, tiers: 2, planes: 2, planes_join: spine, segment_hosts: 16, "
        "rails_per_leaf: 1, oversubscription: {leaf: 1, spine: 1}, uplink_speed_gbps: {leaf: 400}, "
        "switches: {leaf: [box-51.2t], spine: [box-51.2t]}}",
    )
    assert found.counts() == {"leaf": 64, "spine": 8, "core": 0}
    assert (links(found)[1], found.classes[0].trunk) == (512, 1)


def test_megascale_block() -> None:
    """ByteDance MegaScale (NSDI 2024), section 3.6: 64 servers on 8 ToRs, 512 × 200G on 256 ports, 256 × 400G up."""
    found = compute(
        "  - {name: gpu, model: megascale-8x200, count: 64}",
        "{technology: roce, layout: rail-optimized, uplink_speed_gbps: {leaf: 400}, "
        "switches: {leaf: [box-25.6t], spine: [box-25.6t]}}",
    )
    (hosts,) = found.classes
    assert found.counts() == {"leaf": 8, "spine": 4, "core": 0}
    assert links(found)[:2] == (512, 256)
    assert sum(c.use == "host" for c in hosts.leaf.cages) * 8 == 256


def flat(radix: int, hosts: int, tiers: int) -> NetworkDesign:
    """Hosts of one port on switches of ``radix`` one-port cages, non-blocking."""
    text = (
        f"name: flat\nhosts: [{{name: h, model: one-port, count: {hosts}}}]\n"
        f"networks:\n  compute: {{technology: roce, layout: rail-optimized, tiers: {tiers}, "
        f"switches: {{leaf: [k{radix}], spine: [k{radix}], core: [k{radix}]}}}}\n"
    )
    return size(parse_intent(text), _flat_catalogue(radix)).networks["compute"]


@cache
def _flat_catalogue(radix: int) -> Catalogue:
    shipped = catalogue()
    switch = shipped.switches["box-25.6t"]
    (cages,) = switch.cages
    nic = (
        shipped.servers["hgx-h100"].nics[0].model_copy(update={"count": 1, "ports": 1, "speed_gbps": 400, "gpu": None})
    )
    server = shipped.servers["hgx-h100"].model_copy(
        update={"name": "one-port", "nics": (nic.model_copy(update={"ports_per_cage": 1, "network": "compute"}),)}
    )
    flat_switch = switch.model_copy(
        update={
            "name": f"k{radix}",
            "max_logical_ports": None,
            "cages": (cages.model_copy(update={"count": radix, "breakouts": ("1x400",)}),),
        }
    )
    return Catalogue(servers={"one-port": server}, switches={f"k{radix}": flat_switch})


@pytest.mark.parametrize("radix", CLOSED_FORM_RADIX)
@pytest.mark.parametrize("tiers", [1, 2, 3])
def test_closed_forms(radix: int, tiers: int) -> None:
    """Clos networks of radix k carry k, k²/2, k³/4 endpoints on 1, 3N/k, 5N/k switches, and not one endpoint more."""
    most = {1: radix, 2: radix**2 // 2, 3: radix**3 // 4}[tiers]
    found = flat(radix, most, tiers)
    counts = found.counts()
    assert sum(counts.values()) == {1: 1, 2: 3 * most // radix, 3: 5 * most // radix}[tiers]
    assert sum(links(found)) == tiers * most
    with pytest.raises(InfeasibleError):
        flat(radix, most + 1, tiers)


def test_oversubscription_is_exact() -> None:
    """128 active hosts of 136 on 60 uplinks give 16/15, within 1.067 and not within 1.066."""
    found = compute(hpn_hosts(1920), HPN % ("rail-optimized", 2))
    assert Fraction(found.classes[0].oversubscription).limit_denominator(100) == Fraction(16, 15)
