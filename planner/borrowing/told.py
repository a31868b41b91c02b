"""A borrowing as JSON for programs, and in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from planner.borrowing.answer import Borrowed, Instead
from planner.borrowing.problem import End
from planner.borrowing.solve import Answer

DIGITS = 6
LEAST_SHARE = 1e-6
"""Shares below are the solver's dust."""


def json_of(found: Borrowed) -> dict[str, Any]:
    """As ``borrow --json`` prints it; a share is of the lost port's own traffic."""
    worst = found.worst
    data: dict[str, Any] = {
        "version": 1,
        "host": found.asked.view.name(found.asked.host),
        "mode": found.mode,
        "lost": _lost_here(found),
        "peers": [_peer(found, answer) for answer in found.answers],
        "max_relative_load": _number(worst.load),
        "scale_up_load": _number(max(answer.scale_up_load for answer in found.answers)),
        "bandwidth_left": _number(found.left),
        "bound": _number(found.bound),
        "reachable": _number(found.reachable),
        "queue_pairs": found.asked.queue_pairs,
        "status": worst.status,
        "bottleneck": worst.bottleneck,
        "slowdown": _number(found.slowdown),
        "at_once": found.asked.at_once,
        "alternative": _instead(found),
        "runtime": _runtime(found),
    }
    if found.refused:
        data["why"] = dict(found.refused)
    if found.others:
        data["same_for"] = list(found.others)
    return data


def _number(value: float) -> float | None:
    return round(value, DIGITS) if np.isfinite(value) else None


def _port(end: End, port: int) -> dict[str, int]:
    return {"rail": int(end.rail[port]), "plane": int(end.plane[port])}


def _lost_here(found: Borrowed) -> list[dict[str, Any]]:
    """Ports lost at the host; lenders' shares are the mean over its peers."""
    here = found.answers[0].pair.here
    nics = found.asked.view.rows(found.asked.host)["nic"].to_list()
    rows = []
    for port in np.flatnonzero(~here.alive).tolist():
        moves = [shares(answer, port, out=True) for answer in found.answers]
        mean = {other: sum(m.get(other, 0.0) for m in moves) / len(moves) for other in range(len(here))}
        lenders = [_lender(here, nics, other, share) for other, share in mean.items() if share > LEAST_SHARE]
        rows.append({**_port(here, port), "nic": nics[port], "lenders": lenders})
    return rows


def _lender(end: End, nics: list[str], port: int, share: float) -> dict[str, Any]:
    return {"nic": nics[port], **_port(end, port), "share": round(share, DIGITS)}


def shares(answer: Answer, port: int, *, out: bool) -> dict[int, float]:
    """Share of a port's traffic by the port that it leaves (or arrives) by."""
    options = answer.options
    if options is None or answer.share is None:
        return {}
    moved = options.out if out else options.into
    found: dict[int, float] = {}
    for option in np.flatnonzero(options.port == port).tolist():
        other, share = int(moved[option]), float(answer.share[option])
        found[other] = found.get(other, 0.0) + share
    return {other: share for other, share in found.items() if share > LEAST_SHARE}


def _peer(found: Borrowed, answer: Answer) -> dict[str, Any]:
    """One peer: what it has lost itself, where that arrives, and how much of moved traffic each spine carries."""
    there = answer.pair.there
    nics = found.asked.view.rows(found.asked.peers[0])["nic"].to_list()
    lost = [
        {
            **_port(there, port),
            "nic": nics[port],
            "lenders": [_lender(there, nics, other, s) for other, s in shares(answer, port, out=False).items()],
        }
        for port in np.flatnonzero(~there.alive).tolist()
    ]
    load = _number(answer.load)
    return {"host": there.name, "max_relative_load": load, "lost": lost, "links": _links(answer)}


def _links(answer: Answer) -> dict[str, float]:
    """Gb/s of moved traffic by link between switches."""
    options, found = answer.options, dict[str, float]()
    if options is None or answer.share is None:
        return found
    moved = np.isin(options.port, answer.pair.lost) & (answer.share > LEAST_SHARE)
    for option in np.flatnonzero(moved).tolist():
        gbps = float(answer.share[option] * answer.pair.demand_gbps[options.port[option]])
        for link in options.way[option]:
            name = answer.pair.links.name[link]
            found[name] = found.get(name, 0.0) + gbps
    return {name: round(gbps, 3) for name, gbps in sorted(found.items())}


def _instead(found: Borrowed) -> dict[str, Any]:
    other = found.instead or Instead(None, "none", 0.0, "nobody said which hosts are free")
    hours = found.pays_after_hours
    data = {
        "replace_with": other.host,
        "from": other.source,
        "bandwidth_left": _number(other.bandwidth_left),
        "restart_minutes": found.asked.restart_minutes,
        "pays_after_hours": None if hours is None else round(hours, 2),
    }
    return {**data, "why": other.why} if other.why else data


def _runtime(found: Borrowed) -> dict[str, Any]:
    names = lost_names(found)
    return {
        key: {
            "reachable": _number(max(reach for _, reach, _ in remedies)),
            "remedies": [
                {
                    "what": remedy.what,
                    "reachable": _number(reach),
                    "automatic": remedy.automatic,
                    "returns": remedy.returns,
                    "settings": {k: v.replace("{lost}", ",".join(names)) for k, v in remedy.settings.items()},
                    "limits": list(remedy.limits),
                    "source": remedy.source,
                    **({"why": why} if why else {}),
                }
                for remedy, reach, why in remedies
            ],
        }
        for key, remedies in found.reached.items()
    }


def lost_names(found: Borrowed) -> list[str]:
    """Lost ports of the host as runtimes name them: RDMA devices where the catalogue has them, else NICs."""
    view = found.asked.view
    server = view.plan.catalogue.servers[str(view.plan.fabric.hosts["model"][found.asked.host])]
    rdma = [name for group in server.nics if group.network == view.network for name in group.rdma or ()]
    rows = view.rows(found.asked.host)
    names = rdma if len(rdma) == rows.height else rows["nic"].to_list()
    return list(dict.fromkeys(names[port] for port in np.flatnonzero(~rows["alive"].to_numpy()).tolist()))


def percent(share: float) -> str:
    """93.8 %, without the solver's dust."""
    return f"{100 * round(share, DIGITS):.4g} %"


def words_of(found: Borrowed, *, explain: bool) -> str:
    """Lines for a person: what to do and what it costs; with ``explain`` also why."""
    lines = [*_headline(found), *_lending(found), *_beside(found)]
    return "\n".join([*lines, *(_explained(found) if explain else ())])


def _headline(found: Borrowed) -> Iterator[str]:
    view, worst = found.asked.view, found.worst
    name = view.name(found.asked.host)
    lost = ", ".join(f"rail {row['rail']} plane {row['plane']}" for row in _lost_here(found)) or "nothing itself"
    others = f" (and {len(found.others)} hosts alike)" if found.others else ""
    yield f"{name}{others} lost {lost}."
    if not worst.found:
        yield f"Nothing can be borrowed: {worst.why}."
        return
    how = "both ends move together" if found.mode == "both-ends" else "each end moves only what it lost"
    yield (
        f"Borrowing leaves {percent(found.left)} of the bandwidth ({how}; largest load {worst.load:.3f},"
        f" the NICs' bound is {percent(found.bound)})."
    )
    k = found.asked.queue_pairs
    said = "1 queue pair a port reaches" if k == 1 else f"{k} equal queue pairs a port reach"
    yield f"{said} {percent(found.reachable)}."


def _lending(found: Borrowed) -> Iterator[str]:
    """A line a lost port, once for peers that lost the same."""
    if not found.worst.found:
        return
    said = dict.fromkeys(f"{row['nic']} plane {row['plane']}: {_lenders(row)}" for row in _lost_here(found))
    yield from (f"  traffic of {line}" for line in said)
    for peer in {answer.pair.there.name: answer for answer in found.answers}.values():
        for row in _peer(found, peer)["lost"]:
            line = f"{row['nic']} plane {row['plane']}: {_lenders(row)}"
            if line not in said:
                yield f"  at {peer.pair.there.name}, traffic of {line}"


def _lenders(row: dict[str, Any]) -> str:
    """``6.7 % by each of nic-0 plane 1, nic-1 plane 0``: equal shares together."""
    by_share: dict[str, list[str]] = {}
    for lender in row["lenders"]:
        by_share.setdefault(f"{lender['share']:.1%}", []).append(f"{lender['nic']} plane {lender['plane']}")
    parts = [
        f"{share} by {'each of ' if len(ports) > 1 else ''}{', '.join(ports)}" for share, ports in by_share.items()
    ]
    return "; ".join(parts) or "by nobody"


def _beside(found: Borrowed) -> Iterator[str]:
    for key, remedies in found.reached.items():
        for remedy, reach, why in remedies:
            how = "" if remedy.automatic else ", by a restart"
            said = f"reaches {percent(reach)}{how}" if reach > 0 else f"does not apply ({why})"
            yield f"  {key}: {remedy.what}: {said}"
    other = found.instead
    if other is None or other.host is None:
        yield f"Replacing: {other.why if other else 'nobody said which hosts are free'}."
        return
    hours = found.pays_after_hours
    pays = f"pays after {hours:.1f} h of work" if hours is not None else "gains nothing"
    yield (
        f"Replacing it with {other.host} ({other.source}) leaves {percent(other.bandwidth_left)} and {pays},"
        f" if a restart costs {found.asked.restart_minutes:g} min."
    )


def _explained(found: Borrowed) -> Iterator[str]:
    worst = found.worst
    for mode, why in found.refused.items():
        yield f"Why not {mode}: {why}."
    if not worst.found:
        return
    yield f"Why not more: the most loaded is {worst.bottleneck}; with other shares it or another has more."
    pair = worst.pair
    if found.mode == "both-ends":
        alive = int((pair.here.alive & pair.there.alive).sum())
        yield f"Why that: traffic of {len(pair.here)} ports goes by the {alive} that are alive at both ends."
    else:
        yield f"Why that: {int(pair.here.alive.sum())} of {len(pair.here)} ports are alive at {pair.here.name}."
    if found.reachable < found.left - DUST:
        k = found.asked.queue_pairs
        yield (
            f"Why queue pairs reach less: each goes whole by one lender, and {k} a port do not come out even;"
            f" a number that does reaches {percent(found.left)}."
        )
    yield (
        f"A step takes {found.slowdown:.3f} times as long, if it waits for the network"
        f" {found.asked.network_share:.0%} of its time."
    )


DUST = 1e-6
