"""Buffers of a RoCE switch: pools, and for each lossless port headroom for its own cable.

On Spectrum SONiC reckons pools itself (dynamic model) and takes a headroom that is written down as it is; elsewhere
all is written down (traditional model), and headroom is taken out of the shared pool.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from fabric.catalogue.models import Switch
from fabric.exports.sonic.ports import Port
from fabric.exports.sonic.template import Entry, Table, entry, more, slot
from fabric.qos import CLASSES, Headroom, QosPlan, is_spectrum

BYTES_PER_GBPS = 3227
"""Buffer of a chip that nobody gives: as much for its bandwidth as a Tomahawk 5 has (165.2 MB for 51.2 Tb/s)."""
GUARANTEED, XON_OFFSET = 18796, 3556
"""Bytes of a lossless priority group in its own right, and below which it resumes: SONiC's for Tomahawk 5."""
LOSSY_QUEUE = 1778
LENGTHS = "AZURE"


def buffer_tables(switch: Switch, rules: QosPlan, ports: Sequence[Port]) -> dict[str, Table]:
    """Every buffer table; ``ports``: the lossless ones.

    Slots: ``profile`` and ``length`` by port, ``headrooms``, ``shared`` and ``reserved``.
    """
    spectrum = is_spectrum(switch)
    profiles: Table = dict(_spectrum_profiles() if spectrum else _other_profiles(pool_bytes(switch)))
    more(profiles, "headrooms")
    lossless, lossy = ("egress_lossless_profile", "q_lossy_profile" if spectrum else "egress_lossy_profile")
    queues = _runs(dict.fromkeys(rules.pfc_priorities, lossless), lossy)
    groups = _groups(rules)
    tables: dict[str, Table] = {
        "BUFFER_POOL": _spectrum_pools(switch) if spectrum else _other_pools(switch),
        "BUFFER_PROFILE": profiles,
        "BUFFER_PG": {
            f"{port.name}|{group}": fields or {"profile": slot("profile", port.row)}
            for port in ports
            for group, fields in groups.items()
        },
        "BUFFER_QUEUE": {f"{port.name}|{queue}": fields for port in ports for queue, fields in queues.items()},
        "CABLE_LENGTH": {LENGTHS: {port.name: slot("length", port.row) for port in ports}},
    }
    if spectrum:
        for side in ("ingress", "egress"):
            profile = {"profile_list": f"{side}_lossless_profile,{side}_lossy_profile"}
            tables[f"BUFFER_PORT_{side.upper()}_PROFILE_LIST"] = {port.name: profile for port in ports}
    return tables


def profile_name(speed_gbps: int, length_m: int, *, spectrum: bool) -> str:
    """Name of a headroom: the one the traditional model looks for, one of its own in the dynamic model."""
    kind = "headroom" if spectrum else "pg_lossless"
    return f"{kind}_{speed_gbps * 1000}_{length_m}m_profile"


def headroom_entry(name: str, headroom: Headroom, *, spectrum: bool) -> str:
    """The text of one headroom's entry of BUFFER_PROFILE, with the comma before it."""
    if spectrum:
        own = {"size": str(headroom.size), "xon": str(headroom.xon)}
    else:
        own = {"size": str(GUARANTEED), "xon": "0", "xon_offset": str(XON_OFFSET)}
    fields = {"dynamic_th": "0", "pool": "ingress_lossless_pool", "xoff": str(headroom.xoff), **own}
    return ",\n" + entry(name, fields)


def pool_bytes(switch: Switch) -> int:
    """Buffer of the switch that pools may share: SONiC's figure for the chip, the catalogue's, or an estimate."""
    asic = switch.asic
    known = _pools().get(asic.name) if asic else None
    if known is not None:
        return known
    if asic is not None and asic.buffer_mb is not None:
        return int(asic.buffer_mb * 1_000_000)
    return switch.bandwidth_gbps * BYTES_PER_GBPS


def _groups(rules: QosPlan) -> dict[int, Entry | None]:
    """Priority groups that are used, with their profiles; None: the headroom of the port's own cable."""
    lossless = {rules.class_to_group[priority] for priority in rules.pfc_priorities}
    used = sorted(set(rules.class_to_group))
    return {group: None if group in lossless else {"profile": "ingress_lossy_profile"} for group in used}


def _runs(special: dict[int, str], usual: str) -> dict[str, Entry]:
    """Profiles of all queues, equal neighbours together: ``0-2``, ``3``, ``4-7``."""
    runs: list[tuple[int, int, str]] = []
    for queue in range(CLASSES):
        profile = special.get(queue, usual)
        if runs and runs[-1][2] == profile:
            runs[-1] = (runs[-1][0], queue, profile)
        else:
            runs.append((queue, queue, profile))
    return {str(first) if first == last else f"{first}-{last}": {"profile": text} for first, last, text in runs}


def _spectrum_pools(switch: Switch) -> Table:
    names = ("ingress_lossless_pool", "ingress_lossy_pool", "egress_lossless_pool", "egress_lossy_pool")
    table: Table = {name: {"mode": "dynamic", "type": name.split("_")[0]} for name in names}
    table["egress_lossless_pool"] = {**table["egress_lossless_pool"], "size": str(pool_bytes(switch))}
    return table


def _spectrum_profiles() -> Iterable[tuple[str, Entry]]:
    for name, pool, size, alpha in (
        ("ingress_lossless_profile", "ingress_lossless_pool", 0, 7),
        ("ingress_lossy_profile", "ingress_lossy_pool", 0, 3),
        ("egress_lossless_profile", "egress_lossless_pool", 0, 7),
        ("egress_lossy_profile", "egress_lossy_pool", 9216, 7),
        ("q_lossy_profile", "egress_lossy_pool", 0, 3),
    ):
        yield name, {"dynamic_th": str(alpha), "pool": pool, "size": str(size)}


def _other_pools(switch: Switch) -> Table:
    """One pool a direction; headroom of all ports is set aside from ingress."""
    return {
        "ingress_lossless_pool": {
            "mode": "dynamic", "size": slot("shared"), "type": "ingress", "xoff": slot("reserved"),
        },
        "egress_lossless_pool": {"mode": "dynamic", "size": str(pool_bytes(switch)), "type": "egress"},
    }  # fmt: skip


def _other_profiles(pool: int) -> Iterable[tuple[str, Entry]]:
    """Never dropped at egress and by lossy ingress: what counts is the lossless group's pause and the queue's share."""
    yield "ingress_lossy_profile", {"pool": "ingress_lossless_pool", "size": "0", "static_th": str(pool)}
    yield "egress_lossless_profile", {"pool": "egress_lossless_pool", "size": "0", "static_th": str(pool)}
    yield "egress_lossy_profile", {"dynamic_th": "0", "pool": "egress_lossless_pool", "size": str(LOSSY_QUEUE)}


@cache
def _pools() -> dict[str, int]:
    text = (files("fabric.exports.sonic") / "buffers.csv").read_text(encoding="utf-8")
    return {row["asic"]: int(row["pool_bytes"]) for row in csv.DictReader(text.splitlines())}
