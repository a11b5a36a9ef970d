"""SSH public keys, as people paste them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from pogo.errors import InvalidParams

LONGEST = 16_384
SMALLEST_RSA = 2048
# Keys on hardware: the library does not know them, so only their frame is looked at.
_HARDWARE = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


class PublicKey(NamedTuple):
    """key: `<type> <base64>`. fingerprint: MD5 in pairs of hex digits, which is what Heroku shows."""

    key: str
    comment: str
    fingerprint: str


def parse(text: str) -> PublicKey:
    """The key in one line of an id_*.pub file. Raises InvalidParams with what is wrong with it."""
    if "PRIVATE KEY" in text:
        raise InvalidParams("This is a private key. Keep it to yourself, and give the file that ends in .pub.")
    words = text.strip().split(None, 2)
    if len(text) > LONGEST or len(words) < 2 or "\n" in text.strip():
        raise InvalidParams("An SSH public key is one line: ssh-ed25519 AAAA… comment")
    kind, encoded = words[0], words[1]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise InvalidParams("The SSH public key is damaged: its second word is no base64.") from None
    if blob[:4] != len(kind).to_bytes(4, "big") or blob[4 : 4 + len(kind)] != kind.encode():
        raise InvalidParams("The SSH public key is damaged: it is not of the type that it says.")
    if kind not in _HARDWARE:
        _check(f"{kind} {encoded}")
    comment = re.sub(r"[\x00-\x1f\x7f]", "", words[2])[:500] if len(words) > 2 else ""
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return PublicKey(f"{kind} {encoded}", comment, ":".join(re.findall("..", digest)))


def _check(line: str) -> None:
    try:
        key = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm) as failure:
        raise InvalidParams(f"The SSH public key cannot be used: {failure}.") from None
    if isinstance(key, RSAPublicKey) and key.key_size < SMALLEST_RSA:
        raise InvalidParams(f"The SSH public key is too weak: RSA needs {SMALLEST_RSA} bits. Better: ssh-ed25519.")
    if line.startswith("ssh-dss"):
        raise InvalidParams("The SSH public key is too weak: DSA is not taken. Make one by: ssh-keygen -t ed25519")
