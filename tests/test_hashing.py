"""Hash functions give the values that their authors and standards publish."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric import hashing
from fabric.hashing import FIELDS, FUNCTIONS, EcmpHash, five_tuples

CHECK = b"123456789"


def rows(*texts: bytes) -> npt.NDArray[np.uint8]:
    """Keys of one length."""
    return np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(len(texts), -1)


@pytest.mark.parametrize(
    ("crc", "value"),
    [
        (hashing.CRC16_CCITT, 0x29B1),
        (hashing.CRC16_XMODEM, 0x31C3),
        (hashing.CRC16_ARC, 0xBB3D),
        (hashing.CRC32, 0xCBF43926),
        (hashing.CRC32C, 0xE3069283),
        (hashing.CRC32_KOOPMAN, 0xD2C22F51),
        (hashing.CRC32_Q, 0x3010BF7F),
    ],
)
def test_a_crc_gives_the_check_value_of_the_catalogue_of_parametrised_crcs(crc: hashing.Crc, value: int) -> None:
    assert crc(rows(CHECK, CHECK)).tolist() == [value, value]


def test_halves_of_the_ethernet_crc() -> None:
    assert hashing.crc_32lo(rows(CHECK)).tolist() == [0x3926]
    assert hashing.crc_32hi(rows(CHECK)).tolist() == [0xCBF4]


RSS = [
    ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323E8FC2, 0x51CCC178),
    ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xD718262A, 0xC626B0EA),
    ("24.19.198.95", 12898, "12.22.207.184", 38024, 0xD2D0A5DE, 0x5C2B394A),
    ("38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xAFC7327F),
    ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x5D1809C5, 0x10E828A2),
]
"""Microsoft's "Verifying the RSS Hash Calculation", IPv4: source, destination, hash of addresses, hash with ports."""


def address(text: str) -> bytes:
    """Four bytes."""
    return bytes(map(int, text.split(".")))


def test_toeplitz_passes_microsofts_verification_suite() -> None:
    addresses = rows(*(address(src) + address(dst) for src, _, dst, _, _, _ in RSS))
    whole = rows(*(address(src) + address(dst) + a.to_bytes(2) + b.to_bytes(2) for src, a, dst, b, _, _ in RSS))
    assert hashing.toeplitz(addresses).tolist() == [row[4] for row in RSS]
    assert hashing.toeplitz(whole).tolist() == [row[5] for row in RSS]


@pytest.mark.parametrize(
    ("text", "seed", "value"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"\x21\x43\x65\x87", 0, 0xF55B516B),
        (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
        (b"\x21\x43\x65", 0, 0x7E4A8634),
        (b"\x21\x43", 0, 0xA0F7B07A),
        (b"\x21", 0, 0x72661CF4),
        (b"Hello, world!", 0x9747B28C, 0x24884CBA),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)
def test_murmur3_gives_the_values_known_of_its_reference(text: bytes, seed: int, value: int) -> None:
    keys = np.frombuffer(text, dtype=np.uint8).reshape(1, -1)
    assert hashing.murmur3(keys, seed).tolist() == [value]


@pytest.mark.parametrize(
    ("length", "value"),
    [(0, 0x726FDB47DD0E0E31), (1, 0x74F839C593DC67FD), (8, 0x93F5F5799A932462), (15, 0xA129CA6149BE45E5)],
)
def test_siphash_gives_the_vectors_of_its_paper(length: int, value: int) -> None:
    keys = np.arange(length, dtype=np.uint8).reshape(1, -1)
    first, second = (int.from_bytes(bytes(range(at, at + 8)), "little") for at in (0, 8))
    assert hashing.siphash(keys, first, second).tolist() == [value]


def test_xor_folds_words_and_an_odd_byte() -> None:
    assert hashing.xor16(rows(b"\x12\x34\x56\x78\x9a")).tolist() == [0x1234 ^ 0x5678 ^ 0x9A00]


def test_a_five_tuple_is_laid_out_most_significant_byte_first() -> None:
    keys = five_tuples(0x0A000001, [0x0A000002, 0x0A000003], 0xC001, 4791)
    assert keys.tolist() == [
        [10, 0, 0, 1, 10, 0, 0, 2, 17, 0xC0, 1, 0x12, 0xB7],
        [10, 0, 0, 1, 10, 0, 0, 3, 17, 0xC0, 1, 0x12, 0xB7],
    ]


def flows(count: int, stir: int = 1) -> npt.NDArray[np.uint8]:
    """So many RoCE flows between two subnets."""
    number = np.arange(count)
    return five_tuples(0x0A000000 + number % 61, 0x0A010000 + number // 61 % 59, 0xC000 + number * stir % 16384, 4791)


@pytest.mark.parametrize("name", ["crc16-ccitt", "crc16-arc", "crc32", "crc32c", "crc32-koopman", "crc32-q", "xor16"])
@given(seed=st.integers(1, 0xFFFF))
def test_another_seed_of_a_linear_hash_only_adds_a_constant(name: str, seed: int) -> None:
    keys = flows(500)
    difference = EcmpHash(name).hashes(keys) ^ EcmpHash(name, seed).hashes(keys)
    assert len(set(difference.tolist())) == 1


@pytest.mark.parametrize("name", ["murmur3", "linux"])
def test_another_seed_of_a_mixing_hash_is_another_hash(name: str) -> None:
    keys = flows(500)
    difference = EcmpHash(name).hashes(keys) ^ EcmpHash(name, 7).hashes(keys)
    assert len(set(difference.tolist())) > 400


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("threshold", [False, True])
@pytest.mark.parametrize("members", [2, 16, 60])
def test_every_function_uses_every_member(name: str, threshold: bool, members: int) -> None:
    picked = EcmpHash(name, threshold=threshold).pick(flows(20_000, 7919), members)
    assert set(picked.tolist()) == set(range(members))


def test_the_number_of_members_may_differ_by_flow() -> None:
    keys, members = flows(100), np.arange(1, 101)
    picked = EcmpHash("crc32").pick(keys, members)
    assert (picked < members).all()
    assert picked[0] == 0


def test_an_offset_turns_the_hash() -> None:
    keys = flows(50)
    plain, turned = EcmpHash("crc16-arc").hashes(keys), EcmpHash("crc16-arc", offset=4).hashes(keys)
    assert (turned == (plain >> 4 | (plain & 15) << 12)).all()


def test_a_field_that_is_not_hashed_does_not_count() -> None:
    here = five_tuples(0x0A000001, 0x0A000002, 1000, 4791)
    there = five_tuples(0x0A000009, 0x0A000002, 1000, 4791)
    without = EcmpHash("crc32", fields=("dst_ip", "protocol", "src_port", "dst_port"))
    assert without.hashes(here) == without.hashes(there)
    assert EcmpHash("crc32").hashes(here) != EcmpHash("crc32").hashes(there)


def test_fields_cover_the_key_once() -> None:
    places = [place for at in FIELDS.values() for place in range(at.start, at.stop)]
    assert places == list(range(hashing.KEY_BYTES))


def test_no_flow_at_all() -> None:
    empty = np.zeros((0, hashing.KEY_BYTES), dtype=np.uint8)
    assert all(EcmpHash(name).hashes(empty).shape == (0,) for name in FUNCTIONS)
