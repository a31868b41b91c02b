"""Hedgehog Open Network Fabric: the plan as a wiring diagram, the input of ``hhfab``.

Kinds and fields are of its API ``wiring.githedgehog.com/v1beta1`` (githedgehog/fabric, ``api/wiring/v1beta1``): Switch,
Server, and Connection of the kinds fabric (one a pair of spine and leaf), mesh (leaf to leaf), unbundled (one a NIC
port) and external. Ports have Hedgehog's names: ``E1/<cage>``, and ``/<breakout>`` from 1 where the cage is broken out.

Addresses and AS numbers are left to ``hhfab``, which fills them in; so is ``boot`` (MAC or serial number), which nobody
knows when planning. Out-of-band management is Hedgehog's own and InfiniBand is not its business: both are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fabric.errors import InputError, Problem

if TYPE_CHECKING:
    from fabric.plan import Plan

API = "wiring.githedgehog.com/v1beta1"
PROFILES = {"celestica-ds5000": "celestica-ds5000"}
"""Hedgehog's switch profile by model; another model is taken for a profile of the user's own."""
HASHES_QUEUE_PAIR = ("celestica-ds5000",)
"""Profiles with the feature ``ECMPRoCEQPN``."""
NAMESPACES = """\
apiVersion: wiring.githedgehog.com/v1beta1
kind: VLANNamespace
metadata: {name: default}
spec: {ranges: [{from: 1000, to: 2999}]}
---
apiVersion: vpc.githedgehog.com/v1beta1
kind: IPv4Namespace
metadata: {name: default}
spec: {subnets: [10.0.0.0/16]}
"""
"""What every wiring diagram begins with; the values are those of Hedgehog's sample."""


def hedgehog(plan: Plan) -> bytes:
    """The wiring diagram as YAML documents. Raises InputError where a network has a core, or none is Hedgehog's."""
    networks = [n for n, d in plan.design.networks.items() if n != "oob" and d.technology != "infiniband"]
    if not networks:
        what = "Hedgehog wires RoCE and Ethernet networks, and the plan has none besides out-of-band management"
        raise InputError(Problem("", what))
    deep = [name for name in networks if plan.design.networks[name].tiers > 2]
    if deep:
        problems = [Problem(f"networks.{name}.tiers", "3 tiers; Hedgehog has spines and leaves only") for name in deep]
        raise InputError(problems)
    links = _links(plan, networks)
    head = f"# {plan.intent.name}: add boot.mac or boot.serial to every switch.\n{NAMESPACES}"
    documents = [
        _switches(plan, networks, links), _servers(plan, links),
        _pairs(links, "leaf-spine"), _pairs(links, "leaf-leaf"), _unbundled(links), _external(links),
    ]  # fmt: skip
    return "---\n".join([head, *pl.concat(documents).to_list()]).encode()


def _links(plan: Plan, networks: list[str]) -> pl.DataFrame:
    """``tier`` and for ``a_`` and ``b_``: device, name, port (``name/port``); a link out of the fabric has no b."""
    fabric = plan.fabric
    links = fabric.links.filter(pl.col("network").cast(pl.String).is_in(networks), pl.col("tier") != "oob")
    devices, ports = fabric.device_names(), _port_names(plan)
    columns = {
        f"{s}_{what}": series.gather(links[f"{s}_{of}"])
        for s in "ab"
        for what, series, of in (("name", devices, "device"), ("text", ports, "port"))
    }
    frame = links.select("id", pl.col("tier").cast(pl.String), "a_device", "b_device").with_columns(**columns)
    return frame.with_columns(pl.format("{}/{}", f"{s}_name", f"{s}_text").alias(f"{s}_port") for s in "ab")


def _port_names(plan: Plan) -> pl.Series:
    """By port id: Hedgehog's name on a switch, the host's own on a host."""
    ports = plan.fabric.ports
    broken_out = ~pl.col("mode").cast(pl.String).str.starts_with("1x")
    index = pl.col("lane").rank("ordinal").over("device", "network", "cage")
    cage = pl.concat_str(pl.lit("E1/"), "cage", pl.when(broken_out).then(pl.format("/{}", index)).otherwise(pl.lit("")))
    switch = pl.col("device") >= plan.fabric.hosts.height
    return ports.select(name=pl.when(switch).then(cage).otherwise("name")).to_series()


def _document(kind: str, name: pl.Expr, spec: pl.Expr) -> pl.Expr:
    """One object; ``spec`` is flow style."""
    head = f"apiVersion: {API}\nkind: {kind}\nmetadata: {{{{name: "
    return pl.format(head + "{}, namespace: default}}\nspec: {}\n", name, spec).alias("document")


def _switches(plan: Plan, networks: list[str], links: pl.DataFrame) -> pl.Series:
    roce = [name for name in networks if plan.design.networks[name].technology == "roce"]
    cages = plan.fabric.ports.filter(pl.col("nic").is_null(), pl.col("use") != "mgmt")
    cages = cages.select("device", "cage", pl.col("mode").cast(pl.String)).unique(maintain_order=True)
    cages = cages.group_by("device", maintain_order=True).agg(
        pl.format("E1/{}: {}G", "cage", "mode").str.join(", ").alias("breakouts")
    )
    rows = plan.fabric.switches.with_columns(pl.col("network", "tier", "model").cast(pl.String))
    rows = rows.filter(pl.col("network").is_in(networks))
    rows = rows.join(cages, left_on="id", right_on="device", how="left", maintain_order="left")
    border = links.filter(pl.col("b_device").is_null())["a_device"]
    leaf = pl.when(pl.col("id").is_in(border.implode())).then(pl.lit("mixed-leaf")).otherwise(pl.lit("server-leaf"))
    profile = pl.col("model").replace(PROFILES)
    hashing = pl.when(profile.is_in(HASHES_QUEUE_PAIR)).then(pl.lit(", ecmp: {roceQPN: true}")).otherwise(pl.lit(""))
    spec = pl.format(
        "{{role: {}, description: {}, profile: {}{}{}, portBreakouts: {{{}}}}}",
        pl.when(pl.col("tier") == "spine").then(pl.lit("spine")).otherwise(leaf),
        "name",
        profile,
        pl.when(pl.col("network").is_in(roce)).then(pl.lit(", roce: true")).otherwise(pl.lit("")),
        hashing,
        "breakouts",
    )
    return rows.select(_document("Switch", pl.col("name"), spec)).to_series()


def _servers(plan: Plan, links: pl.DataFrame) -> pl.Series:
    ids = links.filter(pl.col("tier") == "host-leaf")["a_device"].unique()
    rows = plan.fabric.hosts.filter(pl.col("id").is_in(ids.implode()))
    spec = pl.format("{{description: {}}}", pl.col("model").cast(pl.String))
    return rows.select(_document("Server", pl.col("name"), spec)).to_series()


def _pairs(links: pl.DataFrame, tier: str) -> pl.Series:
    """One fabric (or mesh) connection a pair of switches, its links in the order of the plan."""
    kind, left, right = ("fabric", "spine", "leaf") if tier == "leaf-spine" else ("mesh", "leaf2", "leaf1")
    link = pl.format(f"{{{{{left}: {{{{port: {{}}}}}}, {right}: {{{{port: {{}}}}}}}}}}", "b_port", "a_port")
    pairs = links.filter(pl.col("tier") == tier).group_by("a_name", "b_name", maintain_order=True)
    rows = pairs.agg(link.str.join(", ").alias("links"))
    name = pl.format(f"{{}}--{kind}--{{}}", "b_name", "a_name")
    spec = pl.format(f"{{{{{kind}: {{{{links: [{{}}]}}}}}}}}", "links")
    return rows.select(_document("Connection", name, spec)).to_series()


def _unbundled(links: pl.DataFrame) -> pl.Series:
    """One connection a NIC port; named after the switch's port, since a host may have several on one leaf."""
    rows = links.filter(pl.col("tier") == "host-leaf")
    name = pl.format("{}--unbundled--{}--{}", "a_name", "b_name", _label("b_text"))
    spec = pl.format("{{unbundled: {{link: {{server: {{port: {}}}, switch: {{port: {}}}}}}}}}", "a_port", "b_port")
    return rows.select(_document("Connection", name, spec)).to_series()


def _external(links: pl.DataFrame) -> pl.Series:
    rows = links.filter(pl.col("tier") == "uplink", pl.col("b_device").is_null())
    name = pl.format("{}--external--{}", "a_name", _label("a_text"))
    spec = pl.format("{{external: {{link: {{switch: {{port: {}}}}}}}}}", "a_port")
    return rows.select(_document("Connection", name, spec)).to_series()


def _label(port: str) -> pl.Expr:
    """A port's name as part of an object's: ``E1/3/2`` → ``e1-3-2``."""
    return pl.col(port).str.to_lowercase().str.replace_all("/", "-", literal=True)
