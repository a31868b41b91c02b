"""Keys of SNMPv3 users: from a passphrase, for one engine (RFC 3414, RFC 3826, RFC 7860)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from collectors.secrets import Secret

_STRETCHED = 1 << 20
"""Octets of the repeated passphrase that are hashed (RFC 3414, A.2)."""


@dataclass(frozen=True, slots=True)
class Auth:
    """An authentication protocol: its hash, and how many octets of the HMAC are sent."""

    name: str
    hash: str
    octets: int


@dataclass(frozen=True, slots=True)
class Priv:
    """A privacy protocol: AES in CFB mode with a key of so many octets; ``cisco`` is how a short hash is lengthened."""

    name: str
    octets: int
    cisco: bool = False


AUTHS = {auth.name: auth for auth in (
    Auth("SHA", "sha1", 12), Auth("SHA-224", "sha224", 16), Auth("SHA-256", "sha256", 24),
    Auth("SHA-384", "sha384", 32), Auth("SHA-512", "sha512", 48),
)}  # fmt: skip
"""By the name in settings: RFC 3414 and RFC 7860. MD5 is none of them."""

PRIVS = {priv.name: priv for priv in (
    Priv("AES-128", 16), Priv("AES-192", 24), Priv("AES-256", 32),
    Priv("AES-192-C", 24, cisco=True), Priv("AES-256-C", 32, cisco=True),
)}  # fmt: skip
"""By the name in settings: RFC 3826 and its two longer kin, as net-snmp and, with ``-C``, as Cisco make their keys."""


@lru_cache(maxsize=1024)
def user_key(auth: Auth, passphrase: Secret) -> bytes:
    """A user's key: the hash of the passphrase, repeated up to a megabyte (RFC 3414, A.2)."""
    secret = passphrase.reveal().encode()
    repeated = secret * (_STRETCHED // len(secret) + 1)
    return hashlib.new(auth.hash, repeated[:_STRETCHED]).digest()


def localised(auth: Auth, passphrase: Secret, engine: bytes) -> bytes:
    """The user's key at one engine: H(Ku, engine, Ku) (RFC 3414, A.2)."""
    key = user_key(auth, passphrase)
    return hashlib.new(auth.hash, key + engine + key).digest()


def cipher_key(auth: Auth, priv: Priv, passphrase: Secret, engine: bytes) -> bytes:
    """The key of the cipher: the localised key, lengthened where the hash is shorter, cut to what the cipher takes.

    Lengthening: Kul' = Kul, H(Kul), H(Kul, H(Kul))… (draft-blumenthal-aes-usm-04, 3.1.2.1, as net-snmp); for
    ``cisco`` each piece is the key made of the piece before as passphrase (draft-reeder-snmpv3-usm-3desede-00, 2.1).
    """
    key = localised(auth, passphrase, engine)
    piece = key
    while len(key) < priv.octets:
        piece = _again(auth, piece, engine) if priv.cisco else hashlib.new(auth.hash, key).digest()
        key += piece
    return key[: priv.octets]


def _again(auth: Auth, piece: bytes, engine: bytes) -> bytes:
    repeated = (piece * (_STRETCHED // len(piece) + 1))[:_STRETCHED]
    key = hashlib.new(auth.hash, repeated).digest()
    return hashlib.new(auth.hash, key + engine + key).digest()
