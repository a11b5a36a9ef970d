"""Certificates of all kinds, good and bad, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Made:
    """One certificate and its private key."""

    certificate: x509.Certificate
    private: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def locked_key(self) -> str:
        secret = BestAvailableEncryption(b"secret")
        return str(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret).decode())


def make(
    *names: str,
    common: str | None = None,
    issuer: Made | None = None,
    private: Any = None,
    starts: datetime = NOW - DAY,
    expires: datetime = NOW + 89 * DAY,
    ca: bool = False,
    digest: Any = None,
) -> Made:
    """Signed by `issuer`, or by itself. common: the common name, else the first of the names."""
    private = private or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common or names[0])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(expires)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return Made(builder.sign(issuer.private if issuer else private, digest or hashes.SHA256()), private)


def authority(name: str = "Test Authority", issuer: Made | None = None) -> Made:
    return make(common=name, issuer=issuer, ca=True)
