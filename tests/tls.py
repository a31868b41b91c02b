"""Certificates for tests: an authority and a server of 127.0.0.1, made anew each time."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificates(folder: Path, name: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    """Files of the authority's certificate, the server's certificate and its key."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name)), x509.DNSName("localhost")])
    root = _builder(authority, authority, authority_key).add_extension(x509.BasicConstraints(True, None), True)
    root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), False)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    signed = root.add_extension(usage, True).sign(authority_key, hashes.SHA256())
    server = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), authority, server_key)
    server = server.add_extension(address, False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
    )
    files = (folder / "ca.pem", folder / "server.pem", folder / "server.key")
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(server.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    files[2].write_bytes(server_key.private_bytes(serialization.Encoding.PEM, form, plain))
    files[2].chmod(0o600)
    return files


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(minutes=1))
    return builder.not_valid_after(now + dt.timedelta(days=1))
