"""NCCL's environment, ``nccl.conf`` (to /etc/nccl.conf): which NICs, which traffic class, whether rails may cross.

Choices, with their reasons in docs/hosts.md; NCCL's own documentation ("Environment Variables") says what each means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GID_INDEX = 3
"""RoCE v2 over IPv4 on NICs whose interface has one IPv4 address: the fourth entry of mlx5's GID table."""
QPS_PER_CONNECTION = 4
"""Queue pairs a connection: ECMP spreads them over uplinks; one would put a whole rail's flow on one link."""
RETRY_COUNT, TIMEOUT = 7, 22
"""InfiniBand's most retries; 4.096 µs × 2²² = 17 s each: a link flap is ridden out, not a job lost."""


@dataclass(frozen=True)
class Nccl:
    """What the environment is made of."""

    technology: str
    devices: tuple[str, ...]
    """RDMA devices of the compute network in the order of rails; empty where nobody knows their names."""
    sockets: tuple[str, ...]
    """Interfaces for bootstrap and out-of-band traffic."""
    crossing: bool
    """Rails meet on one leaf anyway (top-of-rack)."""
    tos: int | None
    ports_per_nic: int


def conf(of: Nccl) -> str:
    """The file; NCCL skips lines without an equals sign."""
    return "".join(f"{line}\n" for line in _lines(of))


def _lines(of: Nccl) -> Iterator[str]:
    yield "# NCCL's environment for this host; explained in docs/hosts.md of Railwright"
    if of.devices:
        yield f"NCCL_IB_HCA=={','.join(f'{device}:1' for device in of.devices)}"
    else:
        yield "# NCCL_IB_HCA is left to NCCL: the catalogue does not name the RDMA devices of this model (field rdma)"
    if of.tos is not None:
        yield f"NCCL_IB_GID_INDEX={GID_INDEX}"
        yield f"NCCL_IB_TC={of.tos}"
    elif of.technology == "infiniband":
        yield "NCCL_IB_SL=0"
        yield "NCCL_IB_ADAPTIVE_ROUTING=1"
    yield f"NCCL_CROSS_NIC={1 if of.crossing else 0}"
    yield f"NCCL_IB_QPS_PER_CONNECTION={QPS_PER_CONNECTION if of.technology != 'infiniband' else 1}"
    yield f"NCCL_IB_TIMEOUT={TIMEOUT}"
    yield f"NCCL_IB_RETRY_CNT={RETRY_COUNT}"
    if of.ports_per_nic > 1:
        yield "NCCL_NET_MERGE_LEVEL=PORT"
    if of.sockets:
        yield f"NCCL_SOCKET_IFNAME=={','.join(of.sockets)}"


def sockets(frontend: Sequence[str], storage: Sequence[str], compute: Sequence[str]) -> tuple[str, ...]:
    """Where bootstrap goes: the frontend, else storage, else the rails themselves."""
    return tuple(frontend or storage or compute)
