"""Hash functions that switches spread flows by, over whole columns of flows.

Keys are rows of bytes (uint8, one row a flow, most significant byte first); hashes are uint32 (SipHash: uint64).
Chips do not publish theirs bit for bit: what is here are the functions that their documentation names, each held to
published check values in the tests.

A CRC is linear over XOR: another initial value (which is what a seed is) changes every hash of keys of one length by
the same constant, and flows that agreed before agree after. Another polynomial, or another function, does not do that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Field = Literal["src_ip", "dst_ip", "protocol", "src_port", "dst_port"]

FIELDS: dict[Field, slice] = {
    "src_ip": slice(0, 4), "dst_ip": slice(4, 8), "protocol": slice(8, 9),
    "src_port": slice(9, 11), "dst_port": slice(11, 13),
}  # fmt: skip
"""Where each field of an IPv4 five-tuple is in its key."""
KEY_BYTES = 13
UDP, TCP = 17, 6


def five_tuples(
    src_ip: npt.ArrayLike, dst_ip: npt.ArrayLike, src_port: npt.ArrayLike, dst_port: npt.ArrayLike, protocol: int = UDP
) -> Bytes:
    """Keys of IPv4 flows, n × 13; addresses as uint32, ports as uint16, each a column or one number for all."""
    columns = np.broadcast_arrays(np.atleast_1d(np.asarray(src_ip)), dst_ip, src_port, dst_port)
    keys = np.empty((len(columns[0]), KEY_BYTES), dtype=np.uint8)
    for name, column in zip(("src_ip", "dst_ip", "src_port", "dst_port"), columns, strict=True):
        at = FIELDS[name]  # type: ignore[index]
        keys[:, at] = _big_endian(column, at.stop - at.start)
    keys[:, FIELDS["protocol"]] = protocol
    return keys


def _big_endian(column: npt.NDArray[np.generic], width: int) -> Bytes:
    number = column.astype(np.uint64)
    return np.stack([(number >> np.uint64(8 * at)) & np.uint64(255) for at in reversed(range(width))], axis=1).astype(
        np.uint8
    )


@dataclass(frozen=True)
class Crc:
    """A CRC in Rocksoft's terms: width in bits, polynomial (normal form), initial value, reflection, final XOR."""

    width: int
    polynomial: int
    initial: int
    reflected: bool
    final: int = 0

    def __call__(self, keys: Bytes, seed: int = 0) -> Hashes:
        """Hash of each row; ``seed`` is XORed into the initial value."""
        table, mask = _table(self), (1 << self.width) - 1
        start = (self.initial ^ seed) & mask
        state = np.full(len(keys), _reverse(start, self.width) if self.reflected else start, dtype=np.uint32)
        for byte in keys.T:
            if self.reflected:
                state = (state >> np.uint32(8)) ^ table[(state ^ byte) & np.uint32(255)]
            else:
                top = (state >> np.uint32(self.width - 8)) ^ byte
                state = ((state << np.uint32(8)) & np.uint32(mask)) ^ table[top & np.uint32(255)]
        return state ^ np.uint32(self.final)


@cache
def _table(crc: Crc) -> Hashes:
    """What each byte adds: 256 remainders."""
    polynomial = _reverse(crc.polynomial, crc.width) if crc.reflected else crc.polynomial
    return np.array([_remainder(byte, crc, polynomial) for byte in range(256)], dtype=np.uint32)


def _remainder(byte: int, crc: Crc, polynomial: int) -> int:
    if crc.reflected:
        for _ in range(8):
            byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
        return byte
    state, top = byte << (crc.width - 8), 1 << (crc.width - 1)
    for _ in range(8):
        state = (state << 1) ^ (polynomial if state & top else 0)
    return state & ((1 << crc.width) - 1)


def _reverse(number: int, width: int) -> int:
    return int(f"{number:0{width}b}"[::-1], 2)


CRC16_CCITT = Crc(16, 0x1021, 0xFFFF, reflected=False)
CRC16_XMODEM = Crc(16, 0x1021, 0x0000, reflected=False)
CRC16_ARC = Crc(16, 0x8005, 0x0000, reflected=True)
"""Also called BISYNC, IBM or ANSI."""
CRC32 = Crc(32, 0x04C11DB7, 0xFFFFFFFF, reflected=True, final=0xFFFFFFFF)
"""Ethernet's own."""
CRC32C = Crc(32, 0x1EDC6F41, 0xFFFFFFFF, reflected=True, final=0xFFFFFFFF)
"""Castagnoli."""
CRC32_KOOPMAN = Crc(32, 0x741B8CD7, 0xFFFFFFFF, reflected=True)
"""CRC-32/MEF in the catalogue of parametrised CRC algorithms."""
CRC32_Q = Crc(32, 0x814141AB, 0x00000000, reflected=False)
"""CRC-32/AIXM in the same catalogue."""


def crc_32lo(keys: Bytes, seed: int = 0) -> Hashes:
    """Low half of the Ethernet CRC."""
    return CRC32(keys, seed) & np.uint32(0xFFFF)


def crc_32hi(keys: Bytes, seed: int = 0) -> Hashes:
    """High half of the Ethernet CRC."""
    return CRC32(keys, seed) >> np.uint32(16)


def xor16(keys: Bytes, seed: int = 0) -> Hashes:
    """XOR of the key's 16-bit words, the last one filled with zero."""
    padded = np.pad(keys, ((0, 0), (0, keys.shape[1] % 2))).astype(np.uint32)
    words = (padded[:, 0::2] << np.uint32(8)) | padded[:, 1::2]
    folded: Hashes = np.bitwise_xor.reduce(words, axis=1)
    return folded ^ np.uint32(seed & 0xFFFF)


def crc_xor(keys: Bytes, seed: int = 0) -> Hashes:
    """High byte of a CRC-16 and XOR of the key's bytes below it."""
    folded: Bytes = np.bitwise_xor.reduce(keys, axis=1)
    return (CRC16_ARC(keys, seed) & np.uint32(0xFF00)) | folded


TOEPLITZ_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
"""The secret key of Microsoft's verification suite for receive side scaling, 40 bytes."""


def toeplitz(keys: Bytes, seed: int = 0) -> Hashes:
    """Toeplitz hash of each row (at most 36 bytes); a seed turns the secret key by so many bytes."""
    tables = _toeplitz_tables(seed % len(TOEPLITZ_KEY), keys.shape[1])
    state = np.zeros(len(keys), dtype=np.uint32)
    for table, byte in zip(tables, keys.T, strict=True):
        state ^= table[byte]
    return state


@cache
def _toeplitz_tables(turn: int, width: int) -> tuple[Hashes, ...]:
    """By place of a byte: what each of its 256 values adds, the XOR of the key's windows at its set bits."""
    key = TOEPLITZ_KEY[turn:] + TOEPLITZ_KEY[:turn]
    whole, bits = int.from_bytes(key), 8 * len(key)
    windows = [whole >> (bits - 32 - at) & 0xFFFFFFFF for at in range(8 * width)]
    return tuple(_combined(windows[8 * place : 8 * place + 8]) for place in range(width))


def _combined(windows: Sequence[int]) -> Hashes:
    table = np.zeros(256, dtype=np.uint32)
    byte = np.arange(256)
    for at, window in enumerate(windows):
        table ^= np.where(byte >> (7 - at) & 1, window, 0).astype(np.uint32)
    return table


def murmur3(keys: Bytes, seed: int = 0) -> Hashes:
    """MurmurHash3_x86_32 of each row (little-endian blocks, as the reference has them)."""
    length = keys.shape[1]
    padded = np.pad(keys, ((0, 0), (0, -length % 4))).astype(np.uint32)
    state = np.full(len(keys), seed & 0xFFFFFFFF, dtype=np.uint32)
    for at in range(0, padded.shape[1], 4):
        block = sum((padded[:, at + n] << np.uint32(8 * n) for n in range(4)), start=np.zeros(len(keys), np.uint32))
        state ^= _turn(block * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
        if at + 4 <= length:
            state = _turn(state, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    return _avalanche(state ^ np.uint32(length))


def _turn(words: Hashes, by: int) -> Hashes:
    return (words << np.uint32(by)) | (words >> np.uint32(32 - by))


def _avalanche(state: Hashes) -> Hashes:
    state = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    state = (state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return state ^ (state >> np.uint32(16))


def siphash(keys: Bytes, first: int, second: int) -> Words:
    """SipHash-2-4 of each row under the 128-bit key of two little-endian words, as uint64."""
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = [np.full(len(keys), word ^ (second if n % 2 else first), dtype=np.uint64) for n, word in enumerate(start)]
    for word in _sip_words(keys):
        state[3] ^= word
        _sip_rounds(state, 2)
        state[0] ^= word
    state[2] ^= np.uint64(0xFF)
    _sip_rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip_words(keys: Bytes) -> Words:
    """The row in little-endian words, the last with the length in its highest byte; one row a word."""
    length = keys.shape[1]
    padded = np.pad(keys, ((0, 0), (0, 8 - length % 8)))
    padded[:, -1] = length & 0xFF
    words: Words = np.ascontiguousarray(padded).view("<u8").astype(np.uint64)
    return words.T


def _sip_rounds(v: list[Words], rounds: int) -> None:
    for _ in range(rounds):
        v[0] = v[0] + v[1]
        v[2] = v[2] + v[3]
        v[1] = _sip_turn(v[1], 13) ^ v[0]
        v[3] = _sip_turn(v[3], 16) ^ v[2]
        v[0] = _sip_turn(v[0], 32)
        v[2] = v[2] + v[1]
        v[0] = v[0] + v[3]
        v[1] = _sip_turn(v[1], 17) ^ v[2]
        v[3] = _sip_turn(v[3], 21) ^ v[0]
        v[2] = _sip_turn(v[2], 32)


def _sip_turn(words: Words, by: int) -> Words:
    return (words << np.uint64(by)) | (words >> np.uint64(64 - by))


def linux_multipath(keys: Bytes, seed: int = 0) -> Hashes:
    """As Linux' ``flow_hash_from_keys_seed``: SipHash under the 32-bit seed four times, cut to 32 bits, one bit less.

    The kernel hashes its own ``struct flow_keys``; here it is the row. (``net/ipv4/fib_semantics.c`` shifts the hash
    right once before it is compared with the hops' upper bounds.)
    """
    key = (seed & 0xFFFFFFFF) * 0x1_0000_0001
    return (siphash(keys, key, key) & np.uint64(0xFFFFFFFF)).astype(np.uint32) >> np.uint32(1)


Function = Callable[[Bytes, int], Hashes]

FUNCTIONS: dict[str, tuple[Function, int]] = {
    "crc16-ccitt": (CRC16_CCITT, 16),
    "crc16-arc": (CRC16_ARC, 16),
    "crc32": (CRC32, 32),
    "crc32c": (CRC32C, 32),
    "crc32-koopman": (CRC32_KOOPMAN, 32),
    "crc32-q": (CRC32_Q, 32),
    "crc32-lo": (crc_32lo, 16),
    "crc32-hi": (crc_32hi, 16),
    "xor16": (xor16, 16),
    "crc-xor": (crc_xor, 16),
    "toeplitz": (toeplitz, 32),
    "murmur3": (murmur3, 32),
    "linux": (linux_multipath, 31),
}
"""Functions by name, and the bits of what they give."""


@dataclass(frozen=True)
class EcmpHash:
    """How a switch picks one of a group's members for a flow.

    ``offset`` turns the hash right by so many bits before it is used; ``fields`` are the parts of the five-tuple that
    are hashed, the others count as zero. ``threshold``: members take equal ranges of the hash (RFC 2992, Linux) instead
    of its remainders.
    """

    function: str
    seed: int = 0
    offset: int = 0
    fields: tuple[Field, ...] = tuple(FIELDS)
    threshold: bool = False

    def hashes(self, keys: Bytes) -> Hashes:
        """The hash of each five-tuple (n × 13), turned by the offset."""
        if set(self.fields) != set(FIELDS):
            keys = keys.copy()
            for name in FIELDS.keys() - set(self.fields):
                keys[:, FIELDS[name]] = 0
        function, bits = FUNCTIONS[self.function]
        hashed = function(keys, self.seed).astype(np.uint64)
        by = self.offset % bits
        mask = np.uint64((1 << bits) - 1)
        turned = (hashed >> np.uint64(by)) | (hashed << np.uint64(bits - by))
        return (turned & mask).astype(np.uint32)

    def pick(self, keys: Bytes, members: int | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which of so many members each flow takes, from 0; ``members`` is one number or one a flow."""
        hashed = self.hashes(keys).astype(np.int64)
        if not self.threshold:
            return hashed % members
        return (hashed * members) >> FUNCTIONS[self.function][1]
