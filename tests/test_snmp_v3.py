"""SNMPv3's keys, cipher, digests, window of time and discovery, held to the RFCs' vectors, pysnmp and cryptography."""

from __future__ import annotations

import hmac

import numpy as np
import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st
from pysnmp.entity import config  # type: ignore[import-untyped]
from pysnmp.proto import rfc1902  # type: ignore[import-untyped]
from pysnmp.proto.secmod.rfc3414 import service as usm_service  # type: ignore[import-untyped]

from collectors.secrets import Secret
from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.keys import AUTHS, PRIVS, Auth, cipher_key, localised, user_key
from collectors.sources.snmp.options import User
from collectors.sources.snmp.security import LAST_BOOT, WINDOW, Cfb, Clock, Signer, Usm, Verdict

ENGINE = bytes.fromhex("000000000000000000000002")
MAPLE = Secret("maplesyrup")
PDU = ber.tlv(0xA2, ber.integer(1) + ber.integer(0) * 2 + ber.tlv(0x30, b""))


def test_the_keys_of_rfc_3414() -> None:
    """Appendix A.3.2 of the RFC."""
    assert user_key(AUTHS["SHA"], MAPLE).hex() == "9fb5cc0381497b3793528939ff788d5d79145211"
    assert localised(AUTHS["SHA"], MAPLE, ENGINE).hex() == "6695febc9288e36282235fc7151f128497b38f3f"


THEIR_ENGINE = rfc1902.OctetString(hexValue=ENGINE.hex())
MODEL = usm_service.SnmpUSMSecurityModel
AUTH_SERVICES = dict(
    zip(
        AUTHS,
        [
            config.USM_AUTH_HMAC96_SHA,
            config.USM_AUTH_HMAC128_SHA224,
            config.USM_AUTH_HMAC192_SHA256,
            config.USM_AUTH_HMAC256_SHA384,
            config.USM_AUTH_HMAC384_SHA512,
        ],
        strict=True,
    )
)
PRIV_SERVICES = dict(
    zip(
        PRIVS,
        [
            config.USM_PRIV_CFB128_AES,
            config.USM_PRIV_CFB192_AES_BLUMENTHAL,
            config.USM_PRIV_CFB256_AES_BLUMENTHAL,
            config.USM_PRIV_CFB192_AES,
            config.USM_PRIV_CFB256_AES,
        ],
        strict=True,
    )
)


@pytest.mark.parametrize("name", AUTHS)
def test_localised_keys_are_pysnmps(name: str) -> None:
    service = MODEL.AUTH_SERVICES[AUTH_SERVICES[name]]
    key = service.localize_key(service.hash_passphrase(rfc1902.OctetString(MAPLE.reveal())), THEIR_ENGINE)
    assert localised(AUTHS[name], MAPLE, ENGINE) == bytes(key)


@pytest.mark.parametrize("name", AUTHS)
@pytest.mark.parametrize("priv", PRIVS)
def test_keys_of_ciphers_are_pysnmps(name: str, priv: str) -> None:
    auth, service = AUTH_SERVICES[name], MODEL.PRIV_SERVICES[PRIV_SERVICES[priv]]
    key = service.localize_key(auth, service.hash_passphrase(auth, rfc1902.OctetString(MAPLE.reveal())), THEIR_ENGINE)
    assert cipher_key(AUTHS[name], PRIVS[priv], MAPLE, ENGINE) == bytes(key)[: PRIVS[priv].octets]


def usm(auth: str = "SHA-256", priv: str | None = "AES-128", name: str = "tele") -> Usm:
    cipher = PRIVS[priv] if priv else None
    found = Usm(User(name, AUTHS[auth], MAPLE, cipher, Secret("another one") if cipher else None))
    found.found(ENGINE, 3, 1000)
    return found


@pytest.mark.parametrize("priv", PRIVS)
@given(data=st.binary(min_size=1, max_size=200), vector=st.binary(min_size=16, max_size=16))
@settings(max_examples=50)
def test_the_cipher_is_cfb(priv: str, data: bytes, vector: bytes) -> None:
    key = cipher_key(AUTHS["SHA-256"], PRIVS[priv], Secret("another one"), ENGINE)
    ours = Cfb(key)
    for part in (data, data[::-1], data[:-1]):  # nothing of one message is left for the next
        theirs = Cipher(algorithms.AES(key), CFB(vector)).encryptor().update(part)
        assert ours.encrypt(vector, part) == theirs
        assert ours.decrypt(vector, theirs) == part


@pytest.mark.parametrize("auth", AUTHS.values(), ids=str)
@given(key=st.binary(min_size=1, max_size=200), message=st.binary(max_size=300))
@settings(max_examples=20)
def test_the_digest_is_hmac(auth: Auth, key: bytes, message: bytes) -> None:
    ours = Signer(key, auth.hash, auth.octets)
    for part in (message, message[::-1]):
        assert ours.digest(part) == hmac.digest(key, part, auth.hash)[: auth.octets]


def opened(security: Usm, message: bytes) -> tuple[Verdict, list[int]]:
    buf = np.frombuffer(bytearray(message), np.uint8)
    head = np.zeros(decode.HEAD, np.int64)
    if decode.message(buf, 0, len(buf), head) != decode.OK:
        return Verdict.MALFORMED, []
    fields: list[int] = head.tolist()
    return security.open(buf, len(buf), fields, head), fields


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("priv", [*PRIVS, None])
def test_what_is_sealed_opens_again(auth: str, priv: str | None) -> None:
    message = usm(auth, priv).seal(77, PDU)
    verdict, fields = opened(usm(auth, priv), message)
    assert verdict is Verdict.FINE
    assert (fields[decode.ID], fields[decode.REQUEST], fields[decode.TYPE]) == (77, 1, 0xA2)
    assert priv is None or b"\xa2" + PDU[1:] not in message


@given(st.data())
@settings(max_examples=200)
def test_a_changed_message_is_never_believed(data: st.DataObject) -> None:
    message = bytearray(usm().seal(77, PDU))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    verdict, _ = opened(usm(), bytes(message))
    assert verdict is not Verdict.FINE


@given(st.data())
def test_a_cut_message_is_malformed(data: st.DataObject) -> None:
    message = usm().seal(77, PDU)
    verdict, _ = opened(usm(), message[: data.draw(st.integers(0, len(message) - 1))])
    assert verdict is Verdict.MALFORMED


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        (usm(auth="SHA-512"), Verdict.FORGED), (usm(name="else"), Verdict.FOREIGN), (usm(priv=None), Verdict.FOREIGN),
        (usm(priv="AES-256"), Verdict.MALFORMED),
    ],
)  # fmt: skip
def test_messages_of_others(other: Usm, verdict: Verdict) -> None:
    assert opened(usm(), other.seal(77, PDU))[0] is verdict


def test_a_message_of_another_engine_is_foreign() -> None:
    other = usm()
    other.found(b"\x80another", 1, 1)
    assert opened(usm(), other.seal(77, PDU))[0] is Verdict.FOREIGN


def test_the_window_of_time() -> None:
    """RFC 3414, 3.2.7b."""
    clock = Clock()
    assert clock.hear(3, 1000)
    assert clock.hear(3, 1000 - WINDOW)
    assert not clock.hear(3, 999 - WINDOW)
    assert not clock.hear(2, 5000)
    assert clock.hear(4, 1)
    assert not clock.hear(3, 5000)
    assert not clock.hear(LAST_BOOT, 1)


def test_an_old_message_is_a_replay() -> None:
    old = usm().seal(77, PDU)
    ours = usm()
    ours.clock.hear(4, 10)
    assert opened(ours, old)[0] is Verdict.REPLAYED


def test_no_two_messages_have_the_same_salt() -> None:
    sender = usm()
    salts = set()
    for number in range(1, 50):
        message = sender.seal(number, PDU)
        _, fields = opened(usm(), message)
        salts.add(message[fields[decode.PRIV] : fields[decode.PRIV_END]])
    assert len(salts) == 49


def test_secrets_are_never_shown() -> None:
    secret = "a secret that nobody sees"
    shown = repr(User("tele", AUTHS["SHA"], Secret(secret), PRIVS["AES-128"], Secret(secret)))
    assert secret not in shown
    assert "***" in shown


def test_a_discovery_says_nothing_of_us() -> None:
    assert b"tele" not in usm().discovery(5, PDU)
