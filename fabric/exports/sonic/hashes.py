"""Which ECMP hash each tier uses: two tiers that hash alike leave links idle, whatever their seeds (CRC is linear)."""

from __future__ import annotations

FIELDS = ("SRC_IP", "DST_IP", "IP_PROTOCOL", "L4_SRC_PORT", "L4_DST_PORT")
"""SONiC's model has 19 fields and none for the queue pair: RoCE's entropy is in the UDP source port."""
_SPECTRUM = {"leaf": "CRC", "spine": "XOR", "core": "RANDOM"}
_OTHERS = {"leaf": "CRC_32LO", "spine": "CRC_CCITT", "core": "CRC_32HI"}


def algorithm(tier: str, *, spectrum: bool) -> str:
    """The value of ``ecmp_hash_algorithm``; NVIDIA's chips and the others offer different ones."""
    return (_SPECTRUM if spectrum else _OTHERS)[tier]
