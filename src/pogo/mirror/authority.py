"""Certificates for the hosts that the mirror answers for, signed by an authority that only builds trust."""

from __future__ import annotations

import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pogo.mirror import repositories, runtimes
from pogo.settings import Settings

LEAF_DAYS = 30
RENEW_DAYS = 7


def hosts(settings: Settings) -> tuple[str, ...]:
    """Every host that the mirror answers for, with these settings."""
    return (*runtimes.hosts(), *((repositories.HOST,) if settings.mirror_git else ()))


class Authority:
    """directory: `<state>/tls/mirror`, with ca.pem and ca.key (install/certificates.py makes them)."""

    def __init__(self, directory: Path) -> None:
        self.certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = load_pem_private_key((directory / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._contexts: dict[str, tuple[ssl.SSLContext, datetime]] = {}

    def context(self, host: str) -> ssl.SSLContext:
        """For serving as `host`; made once a month."""
        now = datetime.now(UTC)
        if (known := self._contexts.get(host)) and known[1] > now:
            return known[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        with tempfile.NamedTemporaryFile() as file:  # OpenSSL reads them from files alone
            file.write(self._leaf(host, now))
            file.flush()
            os.fchmod(file.fileno(), 0o600)
            context.load_cert_chain(file.name)
        self._contexts[host] = context, now + timedelta(days=LEAF_DAYS - RENEW_DAYS)
        return context

    def _leaf(self, host: str, now: datetime) -> bytes:
        """Key and certificate, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(min(now + timedelta(days=LEAF_DAYS), self.certificate.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return text + certificate.public_bytes(Encoding.PEM)
