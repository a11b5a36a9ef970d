"""Encryption for the holder of the recovery key: whoever seals needs its public half alone.

A sealed file is one line, `pogo-backup ` and JSON (format; for: the public key; from: a key of this file alone), and
frames. A frame is 4 bytes, big-endian: the length of what follows, the highest bit set on the last frame; then
AES-256-GCM of at most 1 MiB, with the frame's number in its nonce (STREAM: Hoang et al., 2015) and the line as
associated data. The key is HKDF-SHA256 of X25519 of both. So nothing can be changed, cut off or put in another order.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pogo.errors import PogoError

FORMAT = 1
FRAME = 1 << 20
_MAGIC = b"pogo-backup "
_LAST = 1 << 31
_PREFIX = "pogo-recovery-"


class BadRecoveryKey(PogoError):
    """That is no recovery key. `pogo admin:backup:key` shows it, on the machine that took the backup."""


class WrongKey(PogoError):
    """The backup was sealed for another recovery key."""


class Damaged(PogoError):
    """The backup is damaged."""


class TooNew(PogoError):
    """The backup was made by a newer version of Pogoapp."""


@dataclass(frozen=True, repr=False)
class RecoveryKey:
    """What opens backups: 32 bytes, written as `pogo-recovery-` and groups of letters and digits."""

    raw: bytes

    @classmethod
    def new(cls) -> RecoveryKey:
        return cls(X25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))

    @classmethod
    def parse(cls, text: str) -> RecoveryKey:
        """Raises BadRecoveryKey, also for one with a slip in it."""
        plain = "".join(text.split()).removeprefix(_PREFIX).replace("-", "").upper()
        try:
            found = base64.b32decode(plain + "=" * (-len(plain) % 8))
        except ValueError:
            raise BadRecoveryKey from None
        if len(found) != 35 or hashlib.sha256(found[:32]).digest()[:3] != found[32:]:
            raise BadRecoveryKey
        return cls(found[:32])

    @property
    def text(self) -> str:
        plain = base64.b32encode(self.raw + hashlib.sha256(self.raw).digest()[:3]).decode().lower()
        return _PREFIX + "-".join(plain[at : at + 8] for at in range(0, len(plain), 8))

    @property
    def public(self) -> bytes:
        return X25519PrivateKey.from_private_bytes(self.raw).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public: bytes) -> str:
    """How a recovery key is named where it is not shown: 8 hex digits."""
    return hashlib.sha256(public).hexdigest()[:8]


def sealed(public: bytes, plain: Iterable[bytes]) -> Iterator[bytes]:
    """The sealed file, piece by piece, at constant memory."""
    own = X25519PrivateKey.generate()
    origin = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    fields = {"format": FORMAT, "for": public.hex(), "from": origin.hex()}
    header = _MAGIC + json.dumps(fields).encode() + b"\n"
    cipher = _cipher(own.exchange(X25519PublicKey.from_public_bytes(public)), origin, public)
    yield header
    waiting, number = bytearray(), 0
    for piece in plain:
        waiting += piece
        while len(waiting) > FRAME:  # what is left at the end is the last one, and never nothing unless all is
            yield _frame(cipher, number, bytes(waiting[:FRAME]), header, last=False)
            del waiting[:FRAME]
            number += 1
    yield _frame(cipher, number, bytes(waiting), header, last=True)


def _frame(cipher: AESGCM, number: int, plain: bytes, header: bytes, *, last: bool) -> bytes:
    data = cipher.encrypt(_nonce(number, last), plain, header)
    return struct.pack(">I", len(data) | (_LAST if last else 0)) + data


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _cipher(shared: bytes, origin: bytes, public: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=origin + public, info=b"pogo backup").derive(shared))


class Opened(io.RawIOBase):
    """What was sealed. Raises Damaged, WrongKey, TooNew; what was read before an error must not be used."""

    def __init__(self, source: BinaryIO, key: RecoveryKey) -> None:
        self._source = source
        self._header = source.readline(4096)
        self._number, self._ended, self._plain = 0, False, memoryview(b"")
        if not self._header.startswith(_MAGIC):
            raise Damaged("That is no backup of Pogoapp, or its beginning is damaged.")
        try:
            fields = json.loads(self._header.removeprefix(_MAGIC))
            format = int(fields["format"])
            if format > FORMAT:
                raise TooNew(f"The backup has the format {format}; this version of Pogoapp reads {FORMAT}. Upgrade it.")
            public, origin = bytes.fromhex(fields["for"]), bytes.fromhex(fields["from"])
            if public != key.public:
                raise WrongKey(
                    f"The backup was sealed for the recovery key with the id {key_id(public)}; the one that was given"
                    f" has the id {key_id(key.public)}."
                )
            own = X25519PrivateKey.from_private_bytes(key.raw)
            self._cipher = _cipher(own.exchange(X25519PublicKey.from_public_bytes(origin)), origin, public)
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged("The beginning of the backup is damaged.") from error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain and not self._ended:
            self._next()
        view = memoryview(buffer)
        count = min(len(view), len(self._plain))
        view[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        return count

    def _next(self) -> None:
        (length,) = struct.unpack(">I", self._exactly(4))
        last = bool(length & _LAST)
        length &= ~_LAST
        if length > FRAME + 16:
            raise Damaged(f"The backup is damaged: frame {self._number} has an impossible length.")
        try:
            plain = self._cipher.decrypt(_nonce(self._number, last), self._exactly(length), self._header)
        except InvalidTag:
            raise Damaged(f"The backup is damaged: frame {self._number} is not what was sealed.") from None
        if last and self._source.read(1):
            raise Damaged("The backup is damaged: something follows its end.")
        self._plain, self._ended = memoryview(plain), last
        self._number += 1

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self._source.read(size - len(found))
            if not piece:
                raise Damaged(f"The backup is cut off in frame {self._number}.")
            found += piece
        return found
