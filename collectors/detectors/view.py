"""The fabric as detectors see it: arrays by port, made once for a plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from fabric.plan import Plan

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
NONE = -1
BYTES_A_GIGABIT = 125_000_000


@dataclass(frozen=True)
class View:
    """Arrays by port id (n ports), NONE where there is none; ids are those of the plan's tables.

    ``device``; ``peer``: the port at the other end of the cable; ``link``; ``rail``, ``plane``, ``segment``, ``pod``
    of the link; ``capacity``: bytes a second in one direction; ``network`` and ``tier`` (of the link) as text codes in
    ``networks`` and ``tiers``; ``group``: the number of the up group that the port is a member of.
    """

    plan: Plan
    device: Ints
    peer: Ints
    link: Ints
    rail: Ints
    plane: Ints
    segment: Ints
    capacity: Floats
    on_switch: Mask
    network: npt.NDArray[np.int8]
    tier: npt.NDArray[np.int8]
    group: Ints
    group_start: Ints
    """Members of group g: ``group_ports[group_start[g]:group_start[g + 1]]``; up groups and trunks."""
    group_ports: Ints
    group_device: Ints
    group_peer: Ints
    """Device at the other end of a trunk; NONE for an up group."""
    networks: tuple[str, ...]
    tiers: tuple[str, ...]

    @property
    def ports(self) -> int:
        """How many ports there are."""
        return len(self.device)

    @property
    def groups(self) -> int:
        """How many ECMP groups there are."""
        return len(self.group_device)

    @cached_property
    def device_names(self) -> list[str]:
        """Names of devices by id."""
        return self.plan.fabric.device_names().to_list()

    @cached_property
    def port_names(self) -> list[str]:
        """Names of ports by id."""
        return self.plan.fabric.ports["name"].to_list()

    @cached_property
    def host_facing(self) -> Mask:
        """Switch ports with a host at the other end."""
        peered = self.peer != NONE
        found = np.zeros(self.ports, dtype=bool)
        found[peered] = self.on_switch[peered] & ~self.on_switch[self.peer[peered]]
        return found

    @cached_property
    def keys(self) -> pl.DataFrame:
        """``device, port`` (names) and ``id``: samples are joined to ids by it."""
        names = self.plan.fabric.device_names()
        ports = self.plan.fabric.ports
        return pl.DataFrame(
            {"device": names.gather(ports["device"]), "port": ports["name"], "id": ports["id"].cast(pl.Int64)}
        )

    @cached_property
    def device_ids(self) -> dict[str, int]:
        """Ids of devices by name."""
        return {name: number for number, name in enumerate(self.device_names)}

    @cached_property
    def racks(self) -> list[str]:
        """Name of each device's rack, empty without a floor plan."""
        fabric = self.plan.fabric
        both = pl.concat([fabric.hosts["rack"], fabric.switches["rack"]])
        return fabric.racks["name"].gather(both).fill_null("").to_list() if fabric.racks.height else [""] * len(both)

    @cached_property
    def hosts_below(self) -> dict[int, Ints]:
        """Ids of the hosts on each leaf, by the leaf's id."""
        ports = np.flatnonzero(self.host_facing)
        hosts = self.device[self.peer[ports]]
        order = np.argsort(self.device[ports], kind="stable")
        leaves, start = np.unique(self.device[ports][order], return_index=True)
        parts = np.split(hosts[order], start[1:])
        return {int(leaf): np.unique(part) for leaf, part in zip(leaves, parts, strict=True)}

    def members(self, group: int) -> Ints:
        """Port ids of a group's members."""
        return self.group_ports[self.group_start[group] : self.group_start[group + 1]]

    def end(self, port: int) -> dict[str, str]:
        """A port as findings name it."""
        return {"device": self.device_names[self.device[port]], "port": self.port_names[port]}

    def link_of(self, port: int) -> dict[str, list[dict[str, str]]]:
        """The link at a port as a finding's subject: both ends, the plan's ``a`` first."""
        row = self.plan.fabric.links.row(int(self.link[port]), named=True)
        ends = [row["a_port"], row["b_port"]]
        return {"link": [self.end(end) for end in ends if end is not None]}


def view(plan: Plan) -> View:
    """The arrays of a plan."""
    fabric = plan.fabric
    n = fabric.ports.height
    links = fabric.links
    own = {name: np.full(n, NONE, dtype=np.int64) for name in ("peer", "link", "rail", "plane", "segment")}
    tier = np.full(n, NONE, dtype=np.int8)
    tiers = tuple(links["tier"].cast(pl.String).unique().sort())
    code = links["tier"].cast(pl.String).replace_strict({name: i for i, name in enumerate(tiers)}, return_dtype=pl.Int8)
    a, b = links["a_port"].to_numpy(), links["b_port"].fill_null(n).to_numpy()
    joined = b < n
    for mine, other in ((a, b), (b[joined], None)):
        rows = np.arange(len(links)) if other is not None else np.flatnonzero(joined)
        mine = mine.astype(np.int64)
        far = b[rows].astype(np.int64) if other is not None else a[rows].astype(np.int64)
        own["peer"][mine] = np.where(far < n, far, NONE)
        own["link"][mine] = links["id"].to_numpy()[rows]
        for name in ("rail", "plane", "segment"):
            own[name][mine] = links[name].cast(pl.Int64).fill_null(NONE).to_numpy()[rows]
        tier[mine] = code.to_numpy()[rows]
    networks = tuple(fabric.ports["network"].cast(pl.String).unique().sort())
    network = fabric.ports["network"].cast(pl.String)
    device = fabric.ports["device"].cast(pl.Int64).to_numpy()
    return View(
        plan=plan, device=device, **own,
        capacity=fabric.ports["speed_gbps"].cast(pl.Float64).to_numpy() * BYTES_A_GIGABIT,
        on_switch=device >= fabric.hosts.height,
        network=network.replace_strict({v: i for i, v in enumerate(networks)}, return_dtype=pl.Int8).to_numpy(),
        tier=tier, networks=networks, tiers=tiers, **_groups(plan, n),
    )  # fmt: skip


def _groups(plan: Plan, ports: int) -> dict[str, Ints]:
    found = plan.fabric.ecmp_groups()
    ids = found["id"].to_numpy().astype(np.int64)
    count = int(ids.max()) + 1 if len(ids) else 0
    start = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(ids, minlength=count), out=start[1:])
    members = found["port"].to_numpy().astype(np.int64)
    first = found.unique("id", keep="first", maintain_order=True)
    group = np.full(ports, NONE, dtype=np.int64)
    up = (found["direction"].cast(pl.String) == "up").to_numpy()
    group[members[up]] = ids[up]
    return {
        "group": group,
        "group_start": start,
        "group_ports": members,
        "group_device": first["device"].cast(pl.Int64).to_numpy(),
        "group_peer": first["peer"].cast(pl.Int64).fill_null(NONE).to_numpy(),
    }
