"""From a plan, a job and what is free and dead to a placement."""

from __future__ import annotations

import polars as pl

from fabric.errors import InputError, Problem
from fabric.flowfile import Dead
from fabric.jobfile import Job
from fabric.plan import Plan
from fabric.validation import suggest
from planner.freehosts import Free, domains, meant
from planner.placement.place import Placed, place
from planner.placement.supply import supply_of


def placed(
    plan: Plan, job: Job, free: Free | None = None, dead: Dead | None = None, network: str | None = None
) -> Placed:
    """Place a job on the free hosts of a plan that have its GPUs and at least one port alive.

    Where the job names its hosts, those are taken and only their order is decided. Raises InputError with names
    that are wrong, InfeasibleError where too little is free.
    """
    networks = list(plan.design.networks)
    network = network or networks[0]
    if network not in networks:
        raise InputError(Problem("--network", f'the plan has no network "{network}"', suggest(network, networks)))
    hosts = hosts_of(plan, network, dead or Dead())
    listed = free or _all(plan)
    names = _named(plan, job) if not isinstance(job.hosts, int) else listed.hosts
    fit = hosts.filter((pl.col("gpus") == job.gpus_per_host) & (pl.col("alive") > 0))
    lost = dict(fit.select("name", "lost").iter_rows())
    usable = [name for name in names if name in lost]
    if not usable:
        what = f"no free host has {job.gpus_per_host} GPUs and a live port on the {network} network"
        raise InputError(Problem("gpus_per_host", what, _gpus(plan)))
    segment = dict(fit.select("name", "segment").iter_rows())
    unit_hosts = max(1, job.tp // job.gpus_per_host)
    supply = supply_of(usable, segment, domains(plan, usable), lost, unit_hosts)
    return place(job, supply, reserve=sum(name in lost for name in listed.reserve))


def hosts_of(plan: Plan, network: str, dead: Dead) -> pl.DataFrame:
    """Hosts on a network, in the order of ids: name, gpus, segment, ports lost and alive."""
    alive = pl.Series(~dead.dead_links(plan), dtype=pl.Boolean)
    links = plan.fabric.links.with_columns(works=alive).filter(
        (pl.col("network").cast(pl.String) == network) & (pl.col("tier").cast(pl.String) == "host-leaf")
    )
    ends = links.group_by("a_device").agg(
        lost=(~pl.col("works")).sum().cast(pl.Int64), alive=pl.col("works").sum().cast(pl.Int64),
        leaf_segment=pl.col("segment").first(),
    )  # fmt: skip
    hosts = plan.fabric.hosts.join(ends, left_on="id", right_on="a_device").sort("id")
    return hosts.select(
        "name", "gpus", "lost", "alive", segment=pl.coalesce("leaf_segment", "segment").fill_null(0).cast(pl.Int64)
    )


def _all(plan: Plan) -> Free:
    hosts = plan.fabric.hosts
    return Free(tuple(hosts.filter(~pl.col("spare"))["name"]), tuple(hosts.filter("spare")["name"]))


def _named(plan: Plan, job: Job) -> tuple[str, ...]:
    assert not isinstance(job.hosts, int)
    known = plan.fabric.hosts["name"].to_list()
    wrong = sorted(set(job.hosts) - set(known))
    if wrong:
        raise InputError(
            [Problem("hosts", f'the plan has no host "{name[:60]}"', meant(name, known)) for name in wrong]
        )
    return job.hosts


def _gpus(plan: Plan) -> str:
    counts = sorted(plan.fabric.hosts.filter(pl.col("gpus") > 0)["gpus"].unique().to_list())
    return f"its hosts have {' or '.join(map(str, counts))} GPUs" if counts else "its hosts have no GPUs"
