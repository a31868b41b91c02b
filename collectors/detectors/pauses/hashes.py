"""Switches that hash without the ports, seen in flow samples: all queue pairs of two hosts leave by one member."""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from typing import Any

import numpy as np
import polars as pl

from collectors.detectors.interval import Interval
from collectors.detectors.policy import ConfigDrift
from collectors.detectors.view import View

EVEN = 0.75
"""Of the members that a good hash would take; a polarised group takes half of them at most."""


class Hashes:
    """It keeps what it said for as long as flows are seen that neither support nor refute it."""

    def __init__(self, view: View, policy: ConfigDrift) -> None:
        self.view, self.policy = view, policy
        self.left: dict[int, tuple[int, dict[str, Any]]] = {}

    def step(self, interval: Interval) -> Iterator[tuple[int, dict[str, Any]]]:
        """Devices whose hash lacks the ports, with the numbers that show it, in the order of ids."""
        self.left = {device: (n - 1, said) for device, (n, said) in self.left.items() if n > 1}
        for device, pairs, split, chance in self._pairs(interval):
            if split:
                self.left.pop(device, None)
            elif chance <= log(self.policy.hash_odds):
                said = {"host_pairs": pairs, "split_pairs": 0, "log10_chance": round(chance / log(10), 2)}
                self.left[device] = self.policy.keep + 1, said
        for device in sorted(self.left):
            yield device, self.left[device][1]

    def _pairs(self, interval: Interval) -> Iterator[tuple[int, int, int, float]]:
        """Of each device: pairs of hosts with several queue pairs, those that spread, and the logarithm of a chance.

        It is the chance that a good hash sends each of the others by one member: 1/m to the power of its queue pairs
        less one. Groups whose pairs all take few members are polarised, whatever their fields are, and left out.
        """
        flows = interval.flows
        if flows.is_empty():
            return
        flows = flows.select("out_id", "src_ip", "dst_ip", "src_port").filter(pl.col("out_id").is_not_null())
        group = self.view.group[flows["out_id"].to_numpy()]
        flows = flows.with_columns(group=group).filter(pl.col("group") >= 0).unique()
        if flows.is_empty():
            return
        pairs = flows.group_by("group", "src_ip", "dst_ip").agg(
            ports=pl.col("out_id").n_unique(), first=pl.col("out_id").min(), flows=pl.col("src_port").n_unique()
        ).filter(pl.col("flows") > 1)  # fmt: skip
        groups = pairs["group"].to_numpy()
        members = (self.view.group_start[groups + 1] - self.view.group_start[groups]).astype(float)
        pairs = pairs.with_columns(
            device=self.view.group_device[groups], chance=-np.log(members) * (pairs["flows"].to_numpy() - 1),
            choice=members > 1, members=members,
        )  # fmt: skip
        # hosts send to leaves unsorted: polarisation begins a tier above
        judged = pl.col("device").is_in(list(self.view.hosts_below)) | pl.col("group").is_in(_even(pairs).implode())
        rows = pairs.filter("choice").filter(judged).group_by("device").agg(
            pl.len(), split=(pl.col("ports") > 1).sum(), chance=pl.col("chance").sum()
        )  # fmt: skip
        yield from rows.sort("device").iter_rows()


def _even(pairs: pl.DataFrame) -> pl.Series:
    """Groups whose pairs together take as many members as a good hash would give them: m·(1 − (1 − 1/m)^n) of m."""
    used = pairs.group_by("group").agg(
        pl.len().alias("n"), pl.col("first").n_unique().alias("used"), pl.col("members").first()
    )
    expected = pl.col("members") * (1 - (1 - 1 / pl.col("members")) ** pl.col("n"))
    return used.filter(pl.col("used") >= EVEN * expected)["group"]
