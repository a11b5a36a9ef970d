"""The recovery key of an installation, and what of root's alone goes into backups.

`<state>/keys/recovery.key` is root's. pogod, which takes the backups, has the public half alone; the authority's key
and the like, which it may not read, it finds sealed for the recovery key already, in `root.sealed`.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

from pogo.backup.seal import Damaged, Opened, RecoveryKey, sealed
from pogo.settings import Settings

# Root's files, and those that go with them.
OF_ROOT = ("ca.key", "ca.pem", "server.key", "server.pem", "mirror/ca.key", "mirror/ca.pem")


def key_file(settings: Settings) -> Path:
    return settings.state_dir / "keys" / "recovery.key"


def public_file(settings: Settings) -> Path:
    return settings.state_dir / "keys" / "recovery.pub"


def root_files(settings: Settings) -> Path:
    return settings.state_dir / "keys" / "root.sealed"


def public(settings: Settings) -> bytes:
    """Raises Damaged where bin/up has not made it."""
    try:
        return bytes.fromhex(public_file(settings).read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"{public_file(settings)} cannot be read. Run bin/up: it makes it.") from error


def pack_root_files(settings: Settings, key: RecoveryKey) -> bytes | None:
    """The new content of `root.sealed`; None where the one that is there is right."""
    tls = settings.state_dir / "tls"
    plain = json.dumps({name: (tls / name).read_text() for name in OF_ROOT if (tls / name).exists()})
    digest = hashlib.sha256(key.public + plain.encode()).hexdigest()
    file = root_files(settings)
    if file.exists() and file.read_bytes().startswith(digest.encode()):
        return None
    return digest.encode() + b"\n" + b"".join(sealed(key.public, [plain.encode()]))


def unpack_root_files(data: bytes, key: RecoveryKey) -> dict[str, str]:
    """Texts of files by their path below `<state>/tls`. Raises Damaged, WrongKey."""
    found = json.loads(Opened(io.BytesIO(data.partition(b"\n")[2]), key).read())
    if not set(found) <= set(OF_ROOT):
        raise Damaged("The backup is damaged: it has unknown keys.")
    return dict(found)
