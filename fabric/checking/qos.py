"""Do hosts mark, queue and pause as the switches do: read back from what hosts are given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fabric.errors import RailwrightError
from fabric.findings import Finding, find

if TYPE_CHECKING:
    from fabric.checking.view import View
    from fabric.plan import Plan
    from fabric.qos import QosPlan


@dataclass(frozen=True)
class Maps:
    """What the two ends of a link must say alike."""

    dscp_to_class: tuple[int, ...]
    pfc_priorities: tuple[int, ...]
    shares: Mapping[int, int]
    """Per cent by weighted class."""
    roce_dscp: int
    cnp_dscp: int
    mtu: int


def switch_maps(rules: QosPlan) -> Maps:
    """What the switches of a network are given."""
    return Maps(
        dscp_to_class=rules.dscp_to_class,
        pfc_priorities=rules.pfc_priorities,
        shares={queue.traffic_class: queue.percent for queue in rules.queues if queue.service == "weighted"},
        roce_dscp=rules.roce_dscp,
        cnp_dscp=rules.cnp_dscp,
        mtu=rules.mtu,
    )


def host_maps(script: str, netplan: Mapping[str, Any]) -> dict[str, Maps]:
    """By interface: what ``roce-qos.sh`` and the parsed ``netplan.yaml`` of a host say."""
    bodies = dict(re.findall(r"^(\w+)\(\) \{\n(.*?)^\}", script, re.MULTILINE | re.DOTALL))
    ethernets = netplan["network"]["ethernets"]
    called = re.findall(r"^(\w+) (\S+) \d+$", script, re.MULTILINE)
    return {interface: _maps(bodies[name], int(ethernets[interface]["mtu"])) for name, interface in called}


def _maps(body: str, mtu: int) -> Maps:
    dscps = _pairs(_said(r"dscp-prio ([\d: ]+)", body))
    classes = _pairs(_said(r"prio-tc ([\d: ]+?) tc-tsa", body))
    pfc = re.findall(r"(\d):on", _said(r"prio-pfc ([\w: ]+)", body))
    shares = _pairs(_said(r"tc-bw ([\d: ]+)", body))
    return Maps(
        dscp_to_class=tuple(classes[dscps[dscp]] for dscp in sorted(dscps)),
        pfc_priorities=tuple(int(priority) for priority in pfc),
        shares={traffic_class: percent for traffic_class, percent in shares.items() if percent},
        roce_dscp=int(_said(r"default_roce_tos\" (\d+)", body)) >> 2,
        cnp_dscp=int(_said(r"cnp_dscp\" (\d+)", body)),
        mtu=mtu,
    )


def _said(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return "" if found is None else found[1]


def _pairs(text: str) -> dict[int, int]:
    return {int(a): int(b) for a, b in (pair.split(":") for pair in text.split())}


def differences(plan: Plan) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Subject and evidence of every interface of the first host of each group that disagrees with its switches."""
    import yaml

    from fabric.exports.host import samples
    from fabric.qos import qos

    files = {path: data.decode() for path, data in samples(plan)}
    rules = {name: found for name in plan.design.networks if (found := qos(plan, name))}
    for path, script in files.items():
        if not path.endswith("/roce-qos.sh"):
            continue
        host = path.split("/")[1]
        said = host_maps(script, yaml.safe_load(files[path.replace("roce-qos.sh", "netplan.yaml")]))
        networks = {interface: name for name, interface in re.findall(r"^(\w+) (\S+) \d+$", script, re.MULTILINE)}
        for interface, maps in said.items():
            yield from _compared(host, interface, maps, switch_maps(rules[networks[interface]]))


def _compared(host: str, interface: str, maps: Maps, switch: Maps) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    ours, theirs = asdict(maps), asdict(switch)
    unlike = {name: {"host": ours[name], "switch": theirs[name]} for name in ours if ours[name] != theirs[name]}
    if unlike:
        yield {"host": host, "port": interface}, unlike


def same_maps(view: View) -> Iterator[Finding]:
    """Host and switch agree on DSCP, classes, PFC, shares, notification and MTU.

    Where nothing can be configured (a pool is too small, a name is none) the writing of the files says so.
    """
    try:
        unlike = list(differences(view.plan))
    except RailwrightError:
        return
    yield from (find("qos-differs", subject, evidence) for subject, evidence in unlike)


CHECKS = (same_maps,)
