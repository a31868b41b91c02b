"""The script that sets a host's RoCE ports as the switches are set: ``roce-qos.sh``.

The numbers are those of ``fabric.qos``. NVIDIA NICs are set with ``mlnx_qos`` where it is installed, all others with
``dcb`` of iproute2; what the kernel offers under /sys is written directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fabric.qos import CLASSES, QosPlan

HEAD = """\
#!/bin/sh
# RoCE quality of service of {host}: DSCP to priority, PFC, ETS, ECN, RoCE mode and type of service.
# Run as root whenever the interfaces have come up (networkd-dispatcher: /etc/networkd-dispatcher/routable.d/).
# It states what shall be, so that running it again changes nothing.
set -eu

SYS=${SYSFS:-/sys}
CONFIG=${CONFIGFS:-$SYS/kernel/config}

have() { command -v "$1" >/dev/null 2>&1; }

# write FILE VALUE: only where the file is there and says something else
write() {
  [ -e "$1" ] || return 0
  [ "$(cat "$1")" = "$2" ] || printf '%s\\n' "$2" >"$1"
}

# devices INTERFACE: its RDMA devices
devices() {
  for path in "$SYS/class/net/$1/device/infiniband/"*; do
    if [ -e "$path" ]; then basename "$path"; fi
  done
}

"""

RENAME = """\
# rename INTERFACE: its RDMA device is called like the interface, which is how NCCL_IB_HCA knows it
rename() {
  for device in $(devices "$1"); do
    [ "$device" = "$1" ] || rdma dev set "$device" name "$1"
  done
}

"""


@dataclass(frozen=True)
class RocePort:
    """A RoCE port of a host."""

    interface: str
    network: str
    rename: bool
    """The catalogue does not say what its RDMA device is called."""


def script(ports: Sequence[RocePort], rules: dict[str, QosPlan]) -> str:
    """The script as a template: ``{host}`` and, for each port in order, ``{length_N}`` (whole metres) are left to fill.

    ``rules``: by network. Braces of the shell are doubled.
    """
    networks = [name for name in rules if any(port.network == name for port in ports)]
    text = _escaped(HEAD).replace("{{host}}", "{host}")
    if any(port.rename for port in ports):
        text += _escaped(RENAME)
    text += "".join(_escaped(_function(rules[name])) for name in networks)
    for number, port in enumerate(ports):
        if port.rename:
            text += f"rename {port.interface}\n"
        text += f"{port.network} {port.interface} {{length_{number}}}\n"
    return text


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _function(rules: QosPlan) -> str:
    """``NETWORK INTERFACE METRES``: everything for one port."""
    lossless = rules.roce_class
    app = _pairs(rules.dscp_to_class)
    return f"""\
# {rules.network} INTERFACE METRES: RoCE is DSCP {rules.roce_dscp} in class {rules.roce_class}, lossless; \
notification is DSCP {rules.cnp_dscp} in class {rules.cnp_class}
{rules.network}() {{
  [ -e "$SYS/class/net/$1" ] || {{ echo "$1: there is no such interface" >&2; exit 1; }}
  if have mlnx_qos; then
    mlnx_qos -i "$1" --trust dscp --pfc {pfc_list(rules)} --prio_tc {class_list(rules)} \\
      --tsa {tsa_list(rules)} --tcbw {share_list(rules)} --cable_len "$2" >/dev/null
  else
    dcb ets set dev "$1" prio-tc {_pairs(class_of(rules))} tc-tsa {_pairs(tsa(rules))} tc-bw {_pairs(shares(rules))}
    dcb pfc set dev "$1" prio-pfc {_pairs("on" if n in rules.pfc_priorities else "off" for n in range(CLASSES))}
  fi
  dcb app replace dev "$1" dscp-prio {app}
  write "$SYS/class/net/$1/ecn/roce_np/enable/{lossless}" 1
  write "$SYS/class/net/$1/ecn/roce_rp/enable/{lossless}" 1
  write "$SYS/class/net/$1/ecn/roce_np/cnp_dscp" {rules.cnp_dscp}
  write "$SYS/class/net/$1/ecn/roce_np/cnp_802p_prio" {rules.cnp_class}
  for device in $(devices "$1"); do
    write "$SYS/class/infiniband/$device/tc/1/traffic_class" {rules.roce_tos}
    if [ -d "$CONFIG/rdma_cm" ]; then
      mkdir -p "$CONFIG/rdma_cm/$device"
      write "$CONFIG/rdma_cm/$device/ports/1/default_roce_mode" "RoCE v2"
      write "$CONFIG/rdma_cm/$device/ports/1/default_roce_tos" {rules.roce_tos}
    fi
  done
}}

"""


def _pairs(values: Iterable[object]) -> str:
    return " ".join(f"{number}:{value}" for number, value in enumerate(values))


def class_of(rules: QosPlan) -> list[int]:
    """Traffic class by priority: used classes are their own, the priorities nobody marks go to class 0."""
    used = {queue.traffic_class for queue in rules.queues}
    return [n if n in used else 0 for n in range(CLASSES)]


def tsa(rules: QosPlan) -> list[str]:
    """How each traffic class is served: ets or strict; classes that nothing uses are strict, as they come."""
    weighted = {queue.traffic_class for queue in rules.queues if queue.service == "weighted"}
    return ["ets" if n in weighted else "strict" for n in range(CLASSES)]


def shares(rules: QosPlan) -> list[int]:
    """Per cent of each traffic class; 100 in all."""
    percent = {queue.traffic_class: queue.percent for queue in rules.queues}
    return [percent.get(n, 0) for n in range(CLASSES)]


def pfc_list(rules: QosPlan) -> str:
    """PFC by priority, as mlnx_qos takes it: ``0,0,0,1,0,0,0,0``."""
    return ",".join(str(int(n in rules.pfc_priorities)) for n in range(CLASSES))


def class_list(rules: QosPlan) -> str:
    """Traffic class by priority, as mlnx_qos takes it."""
    return ",".join(map(str, class_of(rules)))


def tsa_list(rules: QosPlan) -> str:
    """Service by traffic class, as mlnx_qos takes it."""
    return ",".join(tsa(rules))


def share_list(rules: QosPlan) -> str:
    """Shares by traffic class, as mlnx_qos takes them."""
    return ",".join(map(str, shares(rules)))
