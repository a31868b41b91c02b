"""Messages out and in: wrapped for a community (v2c) or for a user at an engine (v3, RFC 3412 and 3414)."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.decode import Octets, Words
from collectors.sources.snmp.keys import cipher_key, localised
from collectors.sources.snmp.options import Community, User

try:  # where newer versions have it
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

WINDOW = 150
"""Seconds that an engine's clock may be behind what it said before (RFC 3414, 2.2.3)."""
LAST_BOOT = 0x7FFFFFFF
"""An engine that started so often takes nothing more (RFC 3414, 2.3)."""
MOST_SIZE = ber.integer(65507)
"""msgMaxSize: what a datagram can hold."""
_VERSION = _USM = ber.integer(3)
_REPORTABLE, _PRIV, _AUTH = 4, 2, 1


class Verdict(Enum):
    """What became of a message that came in."""

    FINE = "fine"
    FOREIGN = "another community, engine, user or security level"
    FORGED = "a wrong digest"
    REPLAYED = "outside the time window"
    MALFORMED = "malformed"


class Open:
    """SNMPv2c: the community in the clear."""

    ready = True

    def __init__(self, who: Community) -> None:
        self._head = ber.integer(1) + ber.tlv(ber.OCTETS, who.secret.reveal().encode())
        self._name = who.secret.reveal().encode()

    def seal(self, _: int, pdu: bytes) -> bytes:
        """The message around a PDU."""
        return ber.tlv(ber.SEQUENCE, self._head + pdu)

    def open(self, buf: Octets, _end: int, fields: list[int], _head: Words) -> Verdict:
        """Judge a message that ``decode.message`` has read."""
        same = buf[fields[decode.NAME] : fields[decode.NAME_END]].tobytes() == self._name
        return Verdict.FINE if fields[decode.VERSION] == 1 and same else Verdict.FOREIGN


@dataclass(slots=True)
class Clock:
    """What an engine says of its time: how often it started, and since when it runs by our monotonic clock."""

    boots: int = 0
    time: int = 0
    at: float = 0.0
    known: bool = False
    """Whether a signed message said so."""
    latest: int = 0
    """The latest time that a signed message had, in this boot."""

    def now(self) -> int:
        """Its time now, in seconds."""
        return min(self.time + int(time.monotonic() - self.at), 0x7FFFFFFF) if self.at else 0

    def hear(self, boots: int, seconds: int) -> bool:
        """Take a signed message's time; False if it is outside the window (RFC 3414, 3.2.7b)."""
        if boots == LAST_BOOT or (self.known and boots < self.boots):
            return False
        same = self.known and boots == self.boots
        if same and seconds < self.latest - WINDOW:
            return False
        if not same or seconds > self.latest:
            self.boots, self.time, self.latest, self.at = boots, seconds, seconds, time.monotonic()
        self.known = True
        return True


class Signer:
    """HMAC (RFC 2104) with one key: what depends on the key alone is hashed once, and copied for each message."""

    __slots__ = ("_inner", "_octets", "_outer")

    def __init__(self, key: bytes, name: str, octets: int) -> None:
        self._octets = octets
        block = hashlib.new(name).block_size
        key = (hashlib.new(name, key).digest() if len(key) > block else key).ljust(block, b"\0")
        self._inner = hashlib.new(name, bytes(octet ^ 0x36 for octet in key))
        self._outer = hashlib.new(name, bytes(octet ^ 0x5C for octet in key))

    def digest(self, message: bytes | bytearray) -> bytes:
        """The first octets of the digest, as many as the protocol sends."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()[: self._octets]


class Cfb:
    """AES in CFB mode with segments of 128 bits (RFC 3826, 3.1.3) with one key, its cipher set up once.

    A stream in this mode goes on from the 16 octets of ciphertext that it saw last. So to decrypt with a new initial
    vector is to feed the vector as ciphertext first, and to encrypt is to feed first what becomes the vector.
    """

    __slots__ = ("_block", "_decryptor", "_encryptor", "_last")

    def __init__(self, key: bytes) -> None:
        cipher, zero = algorithms.AES(key), bytes(16)
        self._block = Cipher(cipher, modes.ECB()).encryptor()  # noqa: S305  the mask of one block, see above
        self._encryptor = Cipher(cipher, CFB(zero)).encryptor()
        self._decryptor = Cipher(cipher, CFB(zero)).decryptor()
        self._last = zero

    def encrypt(self, vector: bytes, data: bytes) -> bytes:
        """As many octets as ``data`` has."""
        mask = self._block.update(self._last)
        lead = (int.from_bytes(vector, "big") ^ int.from_bytes(mask, "big")).to_bytes(16, "big")
        size = len(data)
        done = self._encryptor.update(b"".join((lead, data, bytes(-size % 16))))
        self._last = done[-16:]
        return done[16 : 16 + size]

    def decrypt(self, vector: bytes, data: bytes) -> bytes:
        """As many octets as ``data`` has."""
        size = len(data)
        return self._decryptor.update(b"".join((vector, data, bytes(-size % 16))))[16 : 16 + size]


@dataclass(slots=True)
class Usm:
    """SNMPv3 with one user at one engine, which is found by asking (``discovery``, then ``found``)."""

    who: User
    engine: bytes = b""
    clock: Clock = field(default_factory=Clock)
    _signer: Signer | None = None
    _cipher: Cfb | None = None
    _salt: int = field(default_factory=lambda: int.from_bytes(os.urandom(8), "big"))
    _scope: bytes = b""
    _before: bytes = b""
    _name: bytes = b""
    _user: bytes = b""
    _named: bytes = b""
    _time: tuple[int, int] = (-1, -1)

    @property
    def ready(self) -> bool:
        """Whether the engine is known."""
        return bool(self.engine)

    def forget(self) -> None:
        """Find the engine anew: it says that it is another one."""
        self.engine = b""

    def found(self, engine: bytes, boots: int, seconds: int) -> None:
        """Take the engine's id and, until it signs one, its time; makes the keys."""
        if engine != self.engine:
            self.engine, self.clock = engine, Clock()
            self._make_keys()
        if not self.clock.known:
            self.clock = Clock(boots, seconds, time.monotonic())

    def _make_keys(self) -> None:
        who = self.who
        self._signer = Signer(localised(who.auth, who.auth_secret, self.engine), who.auth.hash, who.auth.octets)
        if who.priv is not None and who.priv_secret is not None:
            self._cipher = Cfb(cipher_key(who.auth, who.priv, who.priv_secret, self.engine))
        self._scope = ber.tlv(ber.OCTETS, self.engine) + ber.tlv(ber.OCTETS, who.context.encode())
        self._before = ber.tlv(ber.OCTETS, self.engine)
        digest = ber.tlv(ber.OCTETS, bytes(who.auth.octets))
        self._name = who.name.encode()
        self._user, self._time = ber.tlv(ber.OCTETS, self._name) + digest, (-1, -1)

    def discovery(self, number: int, pdu: bytes) -> bytes:
        """A message that says nothing, for the engine to report who it is (RFC 3414, 4)."""
        empty = ber.tlv(ber.OCTETS, b"")
        security = ber.tlv(ber.SEQUENCE, empty + ber.integer(0) * 2 + empty * 3)
        return self._message(number, _REPORTABLE, security, ber.tlv(ber.SEQUENCE, empty * 2 + pdu))

    def seal(self, number: int, pdu: bytes) -> bytes:
        """The message around a PDU, encrypted and signed for the engine."""
        boots, seconds = self.clock.boots, self.clock.now()
        if self._time != (boots, seconds):
            self._time = boots, seconds
            self._named = self._before + ber.integer(boots) + ber.integer(seconds) + self._user
        data = ber.tlv(ber.SEQUENCE, self._scope + pdu)
        salt, flags = b"", _REPORTABLE | _AUTH
        if self._cipher is not None:
            self._salt = (self._salt + 1) & 0xFFFFFFFFFFFFFFFF
            salt, flags = self._salt.to_bytes(8, "big"), flags | _PRIV
            data = ber.tlv(ber.OCTETS, self._cipher.encrypt(_vector(boots, seconds, salt), data))
        security = ber.tlv(ber.SEQUENCE, self._named + bytes((ber.OCTETS, len(salt))) + salt)
        message = self._message(number, flags, security, data)
        after = len(message) - len(data) - len(salt) - 2
        digest = self._sign(message)
        return b"".join((message[: after - len(digest)], digest, message[after:]))

    def _message(self, number: int, flags: int, security: bytes, data: bytes) -> bytes:
        header = ber.tlv(ber.SEQUENCE, ber.integer(number) + MOST_SIZE + bytes((ber.OCTETS, 1, flags)) + _USM)
        return ber.tlv(ber.SEQUENCE, _VERSION + header + ber.tlv(ber.OCTETS, security) + data)

    def _sign(self, message: bytes | bytearray) -> bytes:
        assert self._signer is not None, "made with the engine's id"
        return self._signer.digest(message)

    def open(self, buf: Octets, end: int, fields: list[int], head: Words) -> Verdict:
        """Judge, verify and decrypt in place the message at the start of ``buf``; ``head`` then has its PDU.

        ``fields`` are those of ``head``, and are the same again on return.
        """
        flags = _AUTH | (_PRIV if self._cipher is not None else 0)
        engine = buf[fields[decode.ENGINE] : fields[decode.ENGINE_END]].tobytes()
        user = buf[fields[decode.USER] : fields[decode.USER_END]].tobytes()
        if fields[decode.VERSION] != 3 or engine != self.engine or not self.engine or user != self._name:
            return Verdict.FOREIGN
        if fields[decode.FLAGS] & 3 != flags and (fields[decode.TYPE] != ber.REPORT or not fields[decode.FLAGS] & 1):
            return Verdict.FOREIGN
        if not self._signed(buf, end, fields):
            return Verdict.FORGED
        if not self.clock.hear(fields[decode.BOOTS], fields[decode.TIME]):
            return Verdict.REPLAYED
        return self._unwrap(buf, fields, head) if fields[decode.FLAGS] & _PRIV else Verdict.FINE

    def _signed(self, buf: Octets, end: int, fields: list[int]) -> bool:
        low, high = fields[decode.AUTH], fields[decode.AUTH_END]
        if high - low != self.who.auth.octets:
            return False
        message = bytearray(buf[:end])
        digest = bytes(message[low:high])
        message[low:high] = bytes(high - low)
        return hmac.compare_digest(digest, self._sign(message))

    def _unwrap(self, buf: Octets, fields: list[int], head: Words) -> Verdict:
        salt = buf[fields[decode.PRIV] : fields[decode.PRIV_END]].tobytes()
        low, high = fields[decode.DATA], fields[decode.DATA_END]
        if len(salt) != 8 or high == low or self._cipher is None:
            return Verdict.MALFORMED
        vector = _vector(fields[decode.BOOTS], fields[decode.TIME], salt)
        buf[low:high] = np.frombuffer(self._cipher.decrypt(vector, buf[low:high].tobytes()), np.uint8)
        if decode.scoped(buf, low, high, head) != decode.OK:
            return Verdict.MALFORMED
        fields[:] = head.tolist()
        return Verdict.FINE


def _vector(boots: int, seconds: int, salt: bytes) -> bytes:
    """The initial vector (RFC 3826, 3.1.2.1)."""
    return boots.to_bytes(4, "big") + seconds.to_bytes(4, "big") + salt


Security = Open | Usm


def security(who: User | Community) -> Security:
    """How messages are wrapped for someone."""
    return Usm(who) if isinstance(who, User) else Open(who)
