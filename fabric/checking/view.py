"""The tables of a plan joined as the checks read them, each join made once.

Tables may be damaged: joins are left joins that never multiply rows, and a missing partner is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from fabric.findings import Finding, find

if TYPE_CHECKING:
    from fabric.design import NetworkDesign
    from fabric.intent import NetworkIntent
    from fabric.plan import Plan

LIMIT = 20
"""Findings of one code and check that are written out; the last of them says how many more there are."""

PORT = ("device", "nic", "network", "use", "number", "cage", "lanes", "mode", "fec", "autoneg", "speed_gbps", "name")
SWITCH = ("tier", "network", "host_class", "pod", "segment", "rail", "rails", "plane", "group", "index")

Row = dict[str, Any]
Subject = Callable[[Row], Mapping[str, Any]]


class View:
    """What checks ask of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.intent = plan.intent
        self.catalogue = plan.catalogue
        self.fabric = plan.fabric

    @cached_property
    def networks(self) -> Mapping[str, NetworkDesign]:
        """Network designs by name."""
        return self.plan.design.networks

    def asked(self, network: str) -> NetworkIntent:
        """What the intent says of a network."""
        found: Mapping[str, NetworkIntent] = {str(name): asked for name, asked in self.intent.networks.items()}
        return found[network]

    @cached_property
    def hosts(self) -> pl.DataFrame:
        """Hosts, one row an id, names of groups and roles as strings."""
        return _plain(_first(self.fabric.hosts), "group", "role", "model")

    @cached_property
    def switches(self) -> pl.DataFrame:
        """Switches, one row an id."""
        return _plain(_first(self.fabric.switches), "network", "tier", "model")

    @cached_property
    def ports(self) -> pl.DataFrame:
        """Ports, one row an id."""
        return _plain(_first(self.fabric.ports), "network", "use", "mode", "fec")

    @cached_property
    def nics(self) -> pl.DataFrame:
        """NICs, one row an id."""
        return _plain(_first(self.fabric.nics), "network", "name")

    @cached_property
    def cables(self) -> pl.DataFrame:
        """Cables, one row an id."""
        return _plain(_first(self.fabric.cables), "network", "tier", "medium")

    @cached_property
    def links(self) -> pl.DataFrame:
        """Links with what the ports at both ends say, as ``a_…`` and ``b_…`` (``a_on``: the port's device)."""
        links = _plain(self.fabric.links, "network", "tier")
        sides = [self._ports_at(links[f"{side}_port"]).select(pl.all().name.prefix(f"{side}_")) for side in "ab"]
        return pl.concat([links, *sides], how="horizontal")

    def _ports_at(self, port: pl.Series) -> pl.DataFrame:
        """The ports of these ids, a row each, null where there is none; ``on`` is the port's device."""
        dense = (self.ports["id"] == pl.int_range(self.ports.height, dtype=pl.UInt32, eager=True)).all()
        if dense:
            row = port.set(port >= self.ports.height, None)
            found = self.ports.select(pl.col(PORT).gather(row))
        else:
            ids = port.alias("id").to_frame()
            found = ids.join(self.ports.select("id", *PORT), on="id", how="left", maintain_order="left").drop("id")
        return found.rename({"device": "on"})

    @cached_property
    def between(self) -> pl.DataFrame:
        """Links between two switches of one network, with the switches' coordinates as ``a_…`` and ``b_…``."""
        links = self.fabric.links.select("id", "a_device", "b_device", "speed_gbps").drop_nulls("b_device")
        links = links.join(_ends(self.switches, "a"), on="a_device", how="inner", maintain_order="left")
        links = links.join(_ends(self.switches, "b"), on="b_device", how="inner", maintain_order="left")
        return links.filter(pl.col("a_network") == pl.col("b_network"))

    @cached_property
    def host_links(self) -> pl.DataFrame:
        """Links of hosts' NIC ports, with host, NIC and leaf: ``group, role, nic, nic_rail, leaf_…``."""
        links = self.links.select(
            "id",
            "network",
            "segment",
            "rail",
            "plane",
            "a_device",
            "a_port",
            "a_nic",
            "a_number",
            "b_device",
            "speed_gbps",
        ).rename({"a_device": "host", "a_nic": "nic"})
        hosts = self.hosts.select(pl.col("id").alias("host"), "group", "role")
        nics = self.nics.select(pl.col("id").alias("nic"), pl.col("rail").alias("nic_rail"))
        leaves = _ends(self.switches, "leaf").rename({"leaf_device": "b_device"})
        links = links.join(hosts, on="host", how="inner", maintain_order="left")
        links = links.join(nics, on="nic", how="left", maintain_order="left")
        return links.join(leaves, on="b_device", how="left", maintain_order="left")

    @cached_property
    def residents(self) -> pl.DataFrame:
        """``network, group, class``: the host groups that have places of their own on a network."""
        rows = [
            {"network": name, "group": group, "class": number}
            for name, network in self.networks.items()
            for number, kind in enumerate(network.classes)
            for group in kind.groups
        ]
        return pl.DataFrame(rows, schema={"network": pl.String, "group": pl.String, "class": pl.UInt16})

    @cached_property
    def _names(self) -> dict[int, str]:
        devices = pl.concat([self.hosts.select("id", "name"), self.switches.select("id", "name")])
        return dict(devices.iter_rows())

    def device(self, number: int | None) -> str:
        """Name of a device; ``external`` where there is none, its number where it is not in the tables."""
        return "external" if number is None else self._names.get(number, f"device {number}")

    def port(self, number: int | None) -> str:
        """Name of a port."""
        if number is None:
            return "external"
        name = self.ports.filter(pl.col("id") == number)["name"]
        return str(name[0]) if len(name) else f"port {number}"

    def ends(self, link: Row) -> dict[str, Any]:
        """A link as the subject of a finding: its id and both ends."""
        return {
            "link": link["id"],
            "a": [self.device(link["a_device"]), self.port(link["a_port"])],
            "b": [self.device(link["b_device"]), self.port(link["b_port"])],
        }


def report(
    code: str,
    rows: pl.DataFrame,
    subject: Subject,
    evidence: Subject,
) -> Iterator[Finding]:
    """One finding a row, in the order of the rows, at most ``LIMIT``; the last says how many ``more`` there are."""
    shown = rows.head(LIMIT)
    more = rows.height - shown.height
    for place, row in enumerate(shown.iter_rows(named=True)):
        tail = {"more": more} if more and place == LIMIT - 1 else {}
        yield find(code, subject(row), {**evidence(row), **tail})


def any_of(conditions: Sequence[pl.Expr]) -> pl.Expr:
    """True where one of the conditions is; null counts as false."""
    return pl.any_horizontal([condition.fill_null(False) for condition in conditions])


def differ(a: str, b: str) -> pl.Expr:
    """Both columns are given and differ."""
    return (pl.col(a) != pl.col(b)).fill_null(False)


def _ends(switches: pl.DataFrame, side: str) -> pl.DataFrame:
    return switches.select(
        pl.col("id").alias(f"{side}_device"), *(pl.col(name).alias(f"{side}_{name}") for name in SWITCH)
    )


def _first(table: pl.DataFrame) -> pl.DataFrame:
    return table if table["id"].n_unique() == table.height else table.unique("id", keep="first", maintain_order=True)


def _plain(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return table.with_columns(pl.col(name).cast(pl.String) for name in columns)
