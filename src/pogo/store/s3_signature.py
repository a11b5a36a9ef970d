"""Signature version 4 of S3 (AWS: "Authenticating Requests (AWS Signature Version 4)"), for headers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from pogo.errors import PogoError

EMPTY = hashlib.sha256().hexdigest()
_NAMES = {"AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "secret"}


class BadKeys(PogoError):
    """The file with the keys of the object store cannot be used."""


@dataclass(frozen=True)
class Keys:
    """The secret is not shown where the keys are printed."""

    access: str
    secret: str = field(repr=False)

    @classmethod
    def read(cls, file: Path) -> Keys:
        """From lines AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…. Raises BadKeys, also where others may read it."""
        try:
            if file.stat().st_mode & 0o077:
                raise BadKeys(f"{file} can be read by others: chmod 600 {file}")
            rows = file.read_text().splitlines()
        except OSError as error:
            raise BadKeys(f"The keys of the object store are not in {file} ({error.strerror}).") from error
        found = {_NAMES[name.strip()]: value.strip() for name, _, value in (row.partition("=") for row in rows)
                 if name.strip() in _NAMES}  # fmt: skip
        if found.keys() != set(_NAMES.values()):
            raise BadKeys(f"{file} needs the lines {'=… and '.join(_NAMES)}=…")
        return cls(**found)

    def text(self) -> str:
        return f"AWS_ACCESS_KEY_ID={self.access}\nAWS_SECRET_ACCESS_KEY={self.secret}\n"


def query_string(query: Mapping[str, str]) -> str:
    """Sorted and escaped as the signature wants it."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))


def sign(
    keys: Keys, region: str, now: datetime, method: str, path: str, query: str, headers: Mapping[str, str], digest: str
) -> dict[str, str]:
    """All headers to send. path: escaped; headers: names in lower case, with Host; digest: the body's SHA-256."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    names = ";".join(sorted(signed))
    rows = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    request = f"{method}\n{path}\n{query}\n{rows}\n{names}\n{digest}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret}".encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": f"AWS4-HMAC-SHA256 {credential}"}
