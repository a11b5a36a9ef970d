"""Certificates that people bring: what one is good for, and why one is refused. No I/O.

HAProxy takes what is accepted here: Debian's OpenSSL refuses RSA keys under 2,048 bits and SHA-1 as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from pogo.errors import InvalidParams
from pogo.rules.names import HOST_LABEL

# HAProxy takes a certificate, its chain and its key as one payload, which has to fit into a buffer of 16 KB.
LARGEST = 15_000
# A certificate that an authority dates from "now" on may be ahead of this machine's clock.
CLOCKS_DIFFER = timedelta(hours=1)
MIN_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")
WEAK_HASHES = ("md5", "sha1")
ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
CERTIFICATE_BLOCK = "-----BEGIN CERTIFICATE-----"
_SHORT = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
}


@dataclass(frozen=True)
class Certificate:
    """chain: PEM, the certificate itself first; key: PEM (PKCS 8). names: host names in lower case, `*.` may lead.

    issuer, subject: as `/C=US/O=Example/CN=www.example.com`.
    """

    chain: str
    key: str = field(repr=False)
    names: tuple[str, ...]
    starts_at: datetime
    expires_at: datetime
    issuer: str
    subject: str


def read(chain: str, key: str, now: datetime) -> Certificate:
    """Raises InvalidParams, with what is wrong and what to do, for what browsers or HAProxy would not take."""
    if len(chain) + len(key) > 8 * LARGEST:
        raise InvalidParams("Certificate and key together are far too large. Give the chain of one certificate.")
    certificates = _certificates(chain)
    private = _private_key(key)
    leaf = certificates[0]
    _check_key_belongs(private, certificates)
    _check_key(private)
    _check_signatures(certificates)
    _check_order(certificates)
    _check_time(leaf, now)
    names = _names(leaf)
    if not names:
        raise InvalidParams("The certificate names no host: it has neither DNS names nor a host name as common name.")
    found = Certificate(
        "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        names,
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
        slashed(leaf.issuer),
        slashed(leaf.subject),
    )
    if len(found.chain) + len(found.key) > LARGEST:
        raise InvalidParams(
            f"Certificate chain and key are {len(found.chain) + len(found.key)} bytes, more than {LARGEST}. "
            "Leave out the root certificate, and certificates that do not belong to the chain."
        )
    return found


def covers(names: tuple[str, ...] | list[str], hostname: str) -> bool:
    """Whether a certificate with these names is good for a domain: a wildcard stands for one label (RFC 6125)."""
    _, _, parent = hostname.partition(".")
    return hostname in names or f"*.{parent}" in names


def slashed(name: x509.Name) -> str:
    return "".join(f"/{_SHORT.get(part.oid, part.oid.dotted_string)}={part.value!s}" for part in name)


def _certificates(chain: str) -> list[x509.Certificate]:
    if "PRIVATE KEY-----" in chain:
        raise InvalidParams("The file of the certificate holds a private key. Give the two in files of their own.")
    if CERTIFICATE_BLOCK not in chain:
        raise InvalidParams(f"The certificate is not PEM: it has no line {CERTIFICATE_BLOCK}.")
    try:
        return x509.load_pem_x509_certificates(chain.encode())
    except ValueError as error:
        raise InvalidParams(f"The certificate cannot be read: {error}.") from None


def _private_key(key: str) -> PrivateKeyTypes:
    if CERTIFICATE_BLOCK in key and "PRIVATE KEY-----" not in key:
        raise InvalidParams("The file of the key holds a certificate. Give the certificate first, then the key.")
    if ENCRYPTED.search(key):
        raise InvalidParams(
            "The private key is protected by a passphrase. Remove it with: openssl pkey -in server.key -out plain.key"
        )
    try:
        # Some files hold parameters of the curve, or certificates, beside the key.
        start = re.search(r"-----BEGIN (\w+ )?PRIVATE KEY-----", key)
        return load_pem_private_key(key[start.start() if start else 0 :].encode(), None)
    except (ValueError, TypeError):
        raise InvalidParams("The private key cannot be read. It has to be PEM: -----BEGIN PRIVATE KEY-----.") from None
    except UnsupportedAlgorithm:
        raise InvalidParams("The private key is of a kind that is not supported. Use RSA or ECDSA.") from None


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_key_belongs(private: PrivateKeyTypes, certificates: list[x509.Certificate]) -> None:
    ours = _public_bytes(private.public_key())
    places = [i for i, one in enumerate(certificates) if _public_bytes(one.public_key()) == ours]
    if not places:
        raise InvalidParams(
            f"The private key does not belong to the certificate of {slashed(certificates[0].subject)}."
        )
    if 0 not in places:
        raise InvalidParams(
            f"The chain is in the wrong order: the certificate of the key is number {places[0] + 1} and has to be "
            "the first, followed by the one that signed it, and so on."
        )


def _check_key(private: PrivateKeyTypes) -> None:
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < MIN_RSA_BITS:
            raise InvalidParams(f"The key is weak: RSA of {private.key_size} bits; at least {MIN_RSA_BITS} are needed.")
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        if private.curve.name not in CURVES:
            raise InvalidParams(f"Keys of the curve {private.curve.name} are not supported; use {', '.join(CURVES)}.")
    else:
        raise InvalidParams("Keys of this kind are not supported by browsers; use RSA or ECDSA.")


def _check_signatures(certificates: list[x509.Certificate]) -> None:
    for one in certificates:
        used = one.signature_hash_algorithm
        if one.issuer != one.subject and used is not None and used.name in WEAK_HASHES:
            raise InvalidParams(
                f"The certificate of {slashed(one.subject)} is weak: it is signed with {used.name.upper()}. "
                "Get a chain without it."
            )


def _check_order(certificates: list[x509.Certificate]) -> None:
    for place, (one, issuer) in enumerate(pairwise(certificates), 1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise InvalidParams(
                f"The chain is not in order: certificate {place} ({slashed(one.subject)}) is signed by "
                f"{slashed(one.issuer)}, but number {place + 1} is {slashed(issuer.subject)}."
            ) from None


def _check_time(leaf: x509.Certificate, now: datetime) -> None:
    if leaf.not_valid_after_utc <= now:
        raise InvalidParams(f"The certificate has expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.")
    if leaf.not_valid_before_utc > now + CLOCKS_DIFFER:
        raise InvalidParams(f"The certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """DNS names; where there are none the common name, if it is a host name (as `certs:generate` makes them)."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    except ValueError as error:
        raise InvalidParams(f"The certificate cannot be read: {error}.") from None
    names = names or [str(part.value) for part in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(dict.fromkeys(name.lower() for name in names if _is_host(name.lower())))


def _is_host(name: str) -> bool:
    return len(name) <= 253 and all(HOST_LABEL.fullmatch(part) for part in name.removeprefix("*.").split("."))
