"""The installation's own certificate authority and the certificate of its names.

For local names no public authority signs, so bin/up makes one whose key only root can read, and
which can sign for the names of the installation only: that makes it harmless to trust (see trust.py).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pogo.install.places import write
from pogo.process import run
from pogo.settings import Settings

AUTHORITY_DAYS = 3650
# Apple's clients refuse server certificates that are valid for longer than 825 days.
SERVER_DAYS = 820
RENEW_DAYS = 30


def ensure(settings: Settings, group: int) -> bool:
    """Make what is missing, damaged, short of names or about to run out. True if anything was made.

    In `<state>/tls`: ca.pem (everyone), ca.key (root), server.pem, the chain, and server.key (root and
    `group`, who serve with it). HAProxy's copy, of root alone, has both in one file:
    `<state>/haproxy/certs/default.pem`.
    """
    tls = settings.state_dir / "tls"
    now = datetime.now(UTC)
    authority = _load(tls / "ca.pem", tls / "ca.key")
    made = False
    if authority is None or _runs_out(authority[0], now) or not _may_sign(authority[0], names(settings)):
        title = f"Pogoapp {settings.domain} {settings.tag} {now:%Y-%m-%d}"
        authority = _new_authority(title, names(settings), now)
        write(tls / "ca.key", _key_text(authority[1]), mode=0o600)
        write(tls / "ca.pem", _text(authority[0]), mode=0o644)
        made = True
    server = _load(tls / "server.pem", tls / "server.key")
    wanted = names(settings)
    if server is None or _runs_out(server[0], now) or _names_of(server[0]) != wanted or not _signed(server, authority):
        server = _new_server(wanted, authority, now)
        write(tls / "server.key", _key_text(server[1]), mode=0o640, group=group)
        write(tls / "server.pem", _text(server[0]) + _text(authority[0]), mode=0o644)
        made = True
    both = settings.state_dir / "haproxy" / "certs" / "default.pem"
    both.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    return write(both, (tls / "server.pem").read_text() + _key_text(server[1]), mode=0o600) or made


def ensure_mirror(settings: Settings, hosts: tuple[str, ...], group: int) -> bool:
    """The mirror's own authority, in `<state>/tls/mirror`: it may sign for `hosts` alone. True if it was made.

    Only builds trust it, never this machine. ca.pem also lies under `<hash>.0`, where OpenSSL looks; ca.key is
    readable for `group`, whose process signs certificates as builds ask for them.
    """
    place = settings.state_dir / "tls" / "mirror"
    place.mkdir(mode=0o755, exist_ok=True)
    now = datetime.now(UTC)
    wanted = sorted(hosts) or ["mirror.invalid"]
    known = _load(place / "ca.pem", place / "ca.key")
    if known and not _runs_out(known[0], now) and _may_sign(known[0], wanted):
        return write(place / "ca.key", _key_text(known[1]), mode=0o640, group=group)
    certificate, key = _new_authority(f"Pogoapp builds {settings.tag} {now:%Y-%m-%d}", wanted, now)
    for old in place.glob("*.0"):
        old.unlink()
    write(place / "ca.key", _key_text(key), mode=0o640, group=group)
    write(place / "ca.pem", _text(certificate), mode=0o644)
    (place / f"{run('openssl', 'x509', '-hash', '-noout', '-in', place / 'ca.pem').strip()}.0").symlink_to("ca.pem")
    return True


def names(settings: Settings) -> list[str]:
    """The names that the server's certificate is for, addresses last.

    Most clients refuse a wildcard below a single label: apps of a local installation are seen by http.
    """
    found = [settings.domain, f"*.{settings.domain}"]
    return [*found, "127.0.0.1", "::1"] if settings.local else found


def _new_authority(title: str, wanted: list[str], now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    permitted = list(dict.fromkeys(_subtree(one) for one in wanted))
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = (
        _builder(name, name, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _new_server(
    wanted: list[str], authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0])])
    builder = (
        _builder(name, issuer.subject, key, now, SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in wanted]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of clients differ
        .not_valid_after(now + timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subtree(name: str) -> x509.GeneralName:
    """What a name of ours permits to sign: the domain with all below it, or one address."""
    try:
        return x509.IPAddress(ipaddress.ip_network(name))
    except ValueError:
        return x509.DNSName(name.removeprefix("*."))


def _names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


def _load(certificate: Path, key: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """A certificate and its key, or None where a file is missing or damaged or they do not belong together."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != found.public_key():
        return None
    return found, private


def _runs_out(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_after_utc - now < timedelta(days=RENEW_DAYS)


def _may_sign(authority: x509.Certificate, wanted: list[str]) -> bool:
    try:
        found = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    return set(found.permitted_subtrees or ()) == {_subtree(one) for one in wanted}


def _signed(
    server: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
) -> bool:
    key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority[1].public_key())
    found = server[0].extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return found.key_identifier == key_id.key_identifier and server[0].issuer == authority[0].subject


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def fingerprint(settings: Settings, name: str = "server.pem") -> str:
    """Changes whenever another certificate is served."""
    file = settings.state_dir / "tls" / name
    return x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(hashes.SHA256()).hex()
