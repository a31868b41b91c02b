"""SimAI: the compute network as a topology for its ns-3 (``SetupNetwork`` in ``network_frontend/ns3/common.h``).

First line: ``nodes gpus_per_server nvswitches switches links gpu_type``; then the ids of all switches, scale-up ones
first; then a line a link: ``src dst rate delay error_rate``. A node is a GPU, in the order of hosts; after them one
scale-up switch a domain, leaves, spines, cores: SimAI reckons a GPU's scale-up switch from these numbers.

ns-3's routes know one link between two nodes: the links of a trunk, and of a NIC's ports on one leaf, are one line with
the sum of their rates. SimAI's configuration needs KMIN, KMAX and PMAX for every such rate. Left out are spares, hosts
without GPUs, switches without links to the rest, and all other networks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from fabric.catalogue.models import Server
    from fabric.plan import Plan

Ints = npt.NDArray[np.int64]
GPU_TYPES = ("A100", "A800", "H100", "H800", "H20")
"""What SimAI knows; others are NONE."""
SCALE_UP_DELAY, DELAY = "0.000025ms", "0.0005ms"
"""Of SimAI's own generator (``inputs/topo/gen_Topo_Template.py``); cables are not measured here."""


def simai(plan: Plan) -> bytes:
    """The topology file. Raises InputError where SimAI cannot simulate the hosts: no GPUs, or several kinds."""
    server, hosts = _servers(plan)
    gpus = server.gpus
    domain = server.scale_up.gpus if server.scale_up else gpus
    most = len(hosts) * gpus
    domains = -(-most // domain) if server.scale_up else 0
    switches = plan.fabric.switches.filter(pl.col("network") == "compute")["id"].to_numpy().astype(np.int64)
    node = _nodes(plan, hosts, gpus, switches, most + domains)
    links = pl.concat([_scale_up(server, most, domain), _rails(plan, node, gpus), _between(plan, node)])
    kind = next((name for name in GPU_TYPES if re.search(rf"{name}(?!\d)", server.name, re.IGNORECASE)), "NONE")
    total = most + domains + len(switches)
    head = f"{total} {domain} {domains} {len(switches)} {links.height} {kind}"
    ids = " ".join(map(str, range(most, total)))
    lines = links.select(pl.format("{} {} {}Gbps {} 0", "a", "b", "gbps", "delay")).to_series()
    return "\n".join([head, ids, *lines.to_list(), ""]).encode()


def _servers(plan: Plan) -> tuple[Server, Ints]:
    """The one model of host that has GPUs on the compute network, and these hosts' ids."""
    if "compute" not in plan.design.networks:
        raise InputError(Problem("", "SimAI simulates the compute network, and the plan has none"))
    on = plan.fabric.nics.filter(pl.col("network") == "compute")["host"].unique()
    hosts = plan.fabric.hosts.filter(pl.col("gpus") > 0, ~pl.col("spare"), pl.col("id").is_in(on.implode()))
    models = hosts["model"].cast(pl.String).unique().sort().to_list()
    if len(models) != 1:
        found = f"the plan has {' and '.join(models)}" if models else "the plan has none on the compute network"
        raise InputError(Problem("", f"SimAI simulates one kind of host with GPUs; {found}", "plan each kind alone"))
    server = plan.catalogue.servers[models[0]]
    if server.gpus > 1 and server.scale_up is None:
        what = f"SimAI joins the GPUs of a host by a scale-up switch, and {server.name} has no scale_up"
        raise InputError(Problem("", what, "add it to the server in the catalogue"))
    return server, hosts["id"].to_numpy().astype(np.int64)


def _nodes(plan: Plan, hosts: Ints, gpus: int, switches: Ints, first: int) -> Ints:
    """SimAI's number by device id: of a host its first GPU, of a switch itself; −1 for what is left out."""
    node = np.full(plan.fabric.hosts.height + plan.fabric.switches.height, -1, dtype=np.int64)
    node[hosts] = np.arange(len(hosts)) * gpus
    node[switches] = first + np.arange(len(switches))
    return node


def _frame(a: Ints, b: Ints, gbps: Ints, delay: str) -> pl.DataFrame:
    """One line a pair of nodes, in the order of their first links."""
    frame = pl.DataFrame({"a": a, "b": b, "gbps": gbps, "delay": pl.repeat(delay, len(a), eager=True, dtype=pl.String)})
    return frame.group_by("a", "b", "delay", maintain_order=True).agg(pl.col("gbps").sum()).select(frame.columns)


def _scale_up(server: Server, gpus: int, domain: int) -> pl.DataFrame:
    """Each GPU to the scale-up switch of its domain; none where the host has none."""
    number = np.arange(gpus if server.scale_up else 0, dtype=np.int64)
    rate = server.scale_up.gbps_per_gpu if server.scale_up else 0
    return _frame(number, gpus + number // domain, np.full_like(number, rate), SCALE_UP_DELAY)


def _rails(plan: Plan, node: Ints, gpus: int) -> pl.DataFrame:
    """GPUs to leaves: each NIC is its GPU's; a NIC without one is the GPU's at its share of the rails."""
    links = plan.fabric.links.filter(pl.col("network") == "compute", pl.col("tier") == "host-leaf")
    nics = plan.fabric.nics.with_columns(most=pl.col("rail").max().over("host", "network") + 1)
    own = nics.select(gpu=pl.coalesce("gpu", pl.col("rail").cast(pl.UInt32) * gpus // pl.col("most")))["gpu"]
    gpu = own.gather(plan.fabric.ports["nic"].gather(links["a_port"])).to_numpy().astype(np.int64)
    host = node[links["a_device"].to_numpy()]
    kept = host >= 0
    frame = _frame(
        (host + gpu)[kept], node[links["b_device"].to_numpy()][kept],
        links["speed_gbps"].to_numpy().astype(np.int64)[kept], DELAY,
    )  # fmt: skip
    return frame.sort("a", maintain_order=True)


def _between(plan: Plan, node: Ints) -> pl.DataFrame:
    """Leaf to leaf, leaf to spine and spine to core."""
    links = plan.fabric.links.filter(
        pl.col("network") == "compute", pl.col("tier").is_in(["leaf-leaf", "leaf-spine", "spine-core"])
    )
    ends = [node[links[f"{side}_device"].to_numpy()] for side in "ab"]
    return _frame(ends[0], ends[1], links["speed_gbps"].to_numpy().astype(np.int64), DELAY)
