"""From flows to queue pairs, each with the ports of the hosts it leaves and reaches."""

from __future__ import annotations

import numpy as np
import polars as pl

from planner.routing.coloring import color, degree
from planner.routing.jit import Ints, Mask
from planner.routing.network import Net

COLUMNS = ("flow", "pair", "gbps", "plane", "host_leaf", "leaf_host", "from_leaf", "to_leaf")


def queue_pairs(net: Net, flows: pl.DataFrame) -> pl.DataFrame:
    """A row a queue pair, ``COLUMNS``: its share of the rate, plane, links of the hosts, numbers of the leaves.

    A flow without a plane takes those that live at both ends, so that its NICs' ports, and then their leaves, share
    the queue pairs evenly. Where planes join in the network, a port of another plane will do at the far end. Links and
    leaves are null where an end has no living port.
    """
    rows = _split(flows)
    ports = _ports(net)
    nics = [ports.nic(rows[f"{end}_host"], rows[f"{end}_rail"]) for end in ("src", "dst")]
    here, there = ports.planes_of(nics[0]), ports.planes_of(nics[1])
    if not net.whole:
        led = here & there & net.reach[ports.leaves_of(nics[0]), ports.leaves_of(nics[1])]
        here, there = (np.where(led.any(axis=1, keepdims=True), led, planes) for planes in (here, there))
    asked = rows["plane"].cast(pl.Int64).fill_null(-1).to_numpy()
    planes = _planes(here, there, asked, nics, ports, joined=net.joined)
    ends = [ports.take(nic, plane) for nic, plane in zip(nics, planes, strict=True)]
    lost = (ends[0][0] < 0) | (ends[1][0] < 0)
    made = rows.select("flow", "pair", "gbps").with_columns(
        _column("plane", planes[0], lost, pl.UInt16),
        _column("host_leaf", ends[0][0], lost, pl.UInt32),
        _column("leaf_host", ends[1][0], lost, pl.UInt32),
        _column("from_leaf", ends[0][1], lost, pl.Int64),
        _column("to_leaf", ends[1][1], lost, pl.Int64),
    )
    return made.select(COLUMNS)


def _split(flows: pl.DataFrame) -> pl.DataFrame:
    """A row a queue pair, with its number within the flow, ``pair``, and its share of the rate."""
    if (flows["queue_pairs"] == 1).all():
        return flows.with_columns(pair=pl.lit(0, dtype=pl.UInt16))
    rows = flows.with_row_index("row").select(pl.all().repeat_by("queue_pairs").explode())
    return rows.with_columns(
        pair=pl.int_range(pl.len()).over("row").cast(pl.UInt16), gbps=pl.col("gbps") / pl.col("queue_pairs")
    )


def _column(name: str, values: Ints, lost: Mask, dtype: type[pl.DataType]) -> pl.Series:
    if not lost.any():
        return pl.Series(name, values).cast(dtype)
    numbers = pl.DataFrame({name: np.maximum(values, 0), "lost": lost})
    return numbers.select(pl.when(~pl.col("lost")).then(pl.col(name)).cast(dtype).alias(name)).to_series()


def _ports(net: Net) -> _Ports:
    """The ports of a network, made once."""
    known: dict[str, _Ports] = net.__dict__
    return known.get("_ports") or known.setdefault("_ports", _Ports(net))


class _Ports:
    """Living ports by NIC and plane."""

    def __init__(self, net: Net) -> None:
        at = net.attached
        self.planes = int(at["plane"].max() or 0) + 1  # type: ignore[arg-type]
        self.nics = at.select("host", "rail").unique(maintain_order=True).with_row_index("nic")
        rows = at.join(self.nics, on=["host", "rail"], how="left", maintain_order="left")
        slot = rows["nic"].to_numpy().astype(np.int64) * self.planes + rows["plane"].to_numpy()
        order = np.argsort(slot, kind="stable")
        self.link, self.leaf = rows["link"].to_numpy()[order].astype(np.int64), rows["leaf"].to_numpy()[order]
        self.many = np.bincount(slot, minlength=self.nics.height * self.planes)
        self.begin = np.cumsum(self.many) - self.many

    def nic(self, host: pl.Series, rail: pl.Series) -> Ints:
        """Number of each NIC; −1 where all its links are dead."""
        asked = pl.DataFrame({"host": host.cast(pl.UInt32), "rail": rail.cast(pl.UInt16)})
        found = asked.join(self.nics, on=["host", "rail"], how="left", maintain_order="left")["nic"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy()

    def planes_of(self, nic: Ints) -> Mask:
        """Row × plane: whether the NIC has a living port there."""
        table = np.vstack([self.many.reshape(-1, self.planes) > 0, np.zeros((1, self.planes), np.bool_)])
        found: Mask = table[nic]
        return found

    def leaves_of(self, nic: Ints) -> Ints:
        """Row × plane: the leaf of the NIC's first living port there; any where there is none."""
        slot = np.minimum(self.begin, len(self.leaf) - 1)
        found: Ints = self.leaf[slot].reshape(-1, self.planes)[nic].astype(np.int64)
        return found

    def first_leaf(self, nic: Ints) -> Ints:
        """Leaf of the NIC's first living port: the same for NICs that share their leaves."""
        first = (self.many.reshape(-1, self.planes) > 0).argmax(axis=1)
        slot = nic * self.planes + first[nic]
        found: Ints = self.leaf[self.begin[slot]].astype(np.int64)
        return found

    def take(self, nic: Ints, plane: Ints) -> tuple[Ints, Ints]:
        """Link and leaf for each row, ports of one NIC and plane in turn; −1 where there is none."""
        slot = np.where((nic >= 0) & (plane >= 0), nic * self.planes + plane, -1)
        turn = _turn(slot)
        good = slot >= 0
        good[good] = self.many[slot[good]] > 0
        at = self.begin[slot[good]] + turn[good] % self.many[slot[good]]
        link, leaf = np.full(len(nic), -1), np.full(len(nic), -1)
        link[good], leaf[good] = self.link[at], self.leaf[at]
        return link, leaf


def _turn(slot: Ints) -> Ints:
    """How often each row's slot came before it."""
    order = np.argsort(slot, kind="stable")
    ordered = slot[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(slot)])
    found = np.empty(len(slot), dtype=np.int64)
    found[order] = np.arange(len(slot)) - np.repeat(first, np.diff(first, append=len(slot)))
    return found


def _planes(
    here: Mask, there: Mask, asked: Ints, nics: list[Ints], ports: _Ports, *, joined: bool
) -> tuple[Ints, Ints]:
    """Plane at either end of each row; −1 for none."""
    common = here & there
    chosen = np.where(asked >= 0, asked, -1)
    free = (asked < 0) & common.all(axis=1)
    if free.any():
        chosen[free] = _even(nics[0][free], nics[1][free], ports) if ports.planes > 1 else 0
    some = (asked < 0) & ~free & common.any(axis=1)
    chosen[some] = _nth(common[some], np.arange(int(some.sum())))
    ends = np.stack([chosen, chosen])
    if joined:
        apart = (asked < 0) & (chosen < 0)
        for end, mask in zip(ends, (here, there), strict=True):
            reach = apart & mask.any(axis=1)
            end[reach] = _nth(mask[reach], np.arange(int(reach.sum())))
    return ends[0], ends[1]


def _nth(mask: Mask, number: Ints) -> Ints:
    """The planes that are set, in turn."""
    wanted = number % np.maximum(mask.sum(axis=1), 1) + 1
    found: Ints = (mask.cumsum(axis=1) >= wanted[:, None]).argmax(axis=1)
    return found


def _even(source: Ints, target: Ints, ports: _Ports) -> Ints:
    """A plane for each row, so that each NIC's ports, and its leaves, get equally many or one more.

    The colours of a proper colouring are cut into as many equal runs as there are planes.
    """
    runs = -(-degree(source, target) // ports.planes)
    groups = ports.first_leaf(source), ports.first_leaf(target)
    return color(source, target, runs * ports.planes, groups) // runs
