"""Which ECMP hash the switches of each tier are given: one table for configurations and the check of polarisation.

Two tiers that hash alike leave links idle: all flows that a spine receives agreed at the leaf, and agree again. So the
tiers of a network differ, by what the operating system lets one choose:

* SONiC on chips other than NVIDIA's: the algorithm (``SWITCH_HASH|GLOBAL|ecmp_hash_algorithm``), the three that
  Google's fabric has at its stages (sonic-net/sonic-pins, ``sai_p4/instantiations/google/hashing.p4``).
* SONiC on Spectrum: its SAI takes CRC, XOR and RANDOM; RANDOM is taken for a choice a packet, which would reorder RoCE.
  So CRC, XOR, and at the core CRC over fewer fields.
* Cumulus Linux and EOS: fields and a seed can be set, the function cannot. Another seed alone is no cure (a CRC is
  linear), so the spine leaves out the destination address and the core the source address: less than another function,
  for it helps as far as many addresses meet at a switch.
* FRR on Linux: the kernel's hash is keyed, and another seed (``net.ipv4.fib_multipath_hash_seed``) is another function.

RoCE's entropy is in its UDP source port; no tier leaves that out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric.hashing import FIELDS, EcmpHash, Field
from fabric.qos import is_spectrum

if TYPE_CHECKING:
    from fabric.plan import Plan

TIERS = ("leaf", "spine", "core")
SONIC = {
    "CRC": "crc16-arc", "XOR": "xor16", "CRC_32LO": "crc32-lo", "CRC_32HI": "crc32-hi", "CRC_CCITT": "crc16-ccitt",
    "CRC_XOR": "crc-xor",
}  # fmt: skip
"""SONiC's names (``sonic-types.yang``, hash-algorithm) and our functions; RANDOM is none."""
_SPECTRUM = {"leaf": "CRC", "spine": "XOR", "core": "CRC"}
_OTHERS = {"leaf": "CRC_32LO", "spine": "CRC_CCITT", "core": "CRC"}
SEEDS = {"leaf": 11, "spine": 5003, "core": 30011}
EOS_SEEDS = {"leaf": 1, "spine": 2, "core": 3}
"""One a tier, so that nothing depends on the device; within 16 bits, which every system takes."""
_LEFT_OUT: dict[str, Field | None] = {"leaf": None, "spine": "dst_ip", "core": "src_ip"}


@dataclass(frozen=True)
class TierHash:
    """What a tier's switches are told, and what that does.

    ``algorithm`` is the operating system's own word, empty where it has none; ``seed`` is 0 where it takes none.
    """

    algorithm: str
    hash: EcmpHash

    @property
    def seed(self) -> int:
        """Seed to configure."""
        return self.hash.seed

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of the five-tuple to hash."""
        return self.hash.fields

    def __str__(self) -> str:
        left_out = [name for name in FIELDS if name not in self.fields]
        parts = [self.algorithm or self.hash.function, *([f"seed {self.seed}"] if self.seed else [])]
        return " ".join([*parts, *([f"without {', '.join(left_out)}"] if left_out else [])])


def hash_of(plan: Plan, tier: str, nos: str, model: str | None = None) -> TierHash | None:
    """The hash of a tier's switches under an operating system; None for InfiniBand, where subnet managers route.

    ``model`` is that of the switch; where it is left out, chips are taken not to be NVIDIA's.
    """
    if nos == "opensm":
        return None
    if nos == "sonic":
        spectrum = model is not None and is_spectrum(plan.catalogue.switches[model])
        algorithm = (_SPECTRUM if spectrum else _OTHERS)[tier]
        fields = _fields(tier) if spectrum and tier == "core" else tuple(FIELDS)
        return TierHash(algorithm, EcmpHash(SONIC[algorithm], fields=fields))
    if nos == "frr":
        return TierHash("", EcmpHash("linux", SEEDS[tier], threshold=True))
    seed = EOS_SEEDS[tier] if nos == "eos" else SEEDS[tier]
    return TierHash("", EcmpHash("crc16-arc", seed, fields=_fields(tier)))


def _fields(tier: str) -> tuple[Field, ...]:
    return tuple(name for name in FIELDS if name != _LEFT_OUT[tier])
