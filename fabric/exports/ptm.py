"""``topology.dot`` for Prescriptive Topology Manager (PTM), which compares cabling with what LLDP reports.

The format is Graphviz' (undirected): ``"leaf":"swp1" -- "spine":"swp3"``. ``ptmd`` looks for its own host name and
checks the neighbour's name and its LLDP port id, which is the interface's name (Cumulus Linux user guide, "Prescriptive
Topology Manager"). InfiniBand has no LLDP; its links are listed for people and tools that read the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from fabric.plan import Plan


def ptm(plan: Plan) -> bytes:
    """Every link between two devices that are ours, one a line, in the order of links."""
    lines = edges(plan)
    body = "\n".join(["graph G {", *(f"  {line}" for line in lines.to_list()), "}", ""])
    return body.encode()


def edges(plan: Plan) -> pl.Series:
    """The lines without indentation; links that leave for what is not ours have none."""
    links = plan.fabric.links.filter(pl.col("b_port").is_not_null())
    devices, ports = plan.fabric.device_names(), plan.fabric.ports["name"]
    ends = links.select(
        a=devices.gather(links["a_device"]), a_port=ports.gather(links["a_port"]),
        b=devices.gather(links["b_device"]), b_port=ports.gather(links["b_port"]),
    )  # fmt: skip
    quoted = [pl.col(name).str.replace_all(r'(["\\])', r"\$1") for name in ("a", "a_port", "b", "b_port")]
    return ends.select(line=pl.format('"{}":"{}" -- "{}":"{}"', *quoted)).to_series()
