"""What is in a backup, before it is sealed: a compressed tar archive, whose first entry lists all others.

manifest.json: format, version (of Pogoapp), schema (of the database), taken_at, installation (its mark in the store),
files (name → size in bytes, SHA-256).
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pogo.backup.seal import Damaged, Opened, RecoveryKey, TooNew
from pogo.disk import full_disk_is_an_error

DATABASE = "database.sqlite"
FORMAT = 1
CHUNK = 1 << 20
_MANIFEST = "manifest.json"
_NAME = re.compile(r"[a-z_]+(\.[a-z]+)?(/[a-z_]+(\.[a-z]+)?)?")
_LARGEST_MANIFEST = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """files: name → (size in bytes, SHA-256)."""

    version: str
    schema: str
    taken_at: str
    installation: str
    files: dict[str, tuple[int, str]]
    format: int = FORMAT

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.taken_at)


def packed(manifest: Manifest, files: Mapping[str, Path | bytes]) -> Iterator[bytes]:
    """The archive, piece by piece. files: those of the manifest."""
    press = zlib.compressobj(4, zlib.DEFLATED, 31)  # 31: with gzip's header
    first = json.dumps(asdict(manifest)).encode()
    for name, source in ((_MANIFEST, first), *files.items()):
        size = len(first) if name == _MANIFEST else manifest.files[name][0]
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, 0o600, int(manifest.moment.timestamp())
        yield press.compress(entry.tobuf(tarfile.USTAR_FORMAT if size < 8 << 30 else tarfile.GNU_FORMAT))
        given = 0
        for piece in _pieces(source):
            given += len(piece)
            yield press.compress(piece)
        if given != size:
            raise Damaged(f"{name} changed while it was backed up. Nothing was stored.")
        yield press.compress(bytes(-size % 512))
    yield press.compress(bytes(1024))
    yield press.flush()


def entry(source: Path | bytes) -> tuple[int, str]:
    """Size and SHA-256, as the manifest has them."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(source):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _pieces(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def unpack(source: BinaryIO, key: RecoveryKey, directory: Path) -> Manifest:
    """Open a backup into an empty directory, and compare everything with its manifest.

    Raises Damaged, WrongKey, TooNew, StorageFull, and what reading the source raises.
    """
    opened = Opened(source, key)
    try:
        with tarfile.open(fileobj=opened, mode="r|gz") as tar, full_disk_is_an_error():
            manifest = _manifest(tar)
            left = dict(manifest.files)
            while (found := tar.next()) is not None:
                if found.name not in left or not found.isreg() or not _NAME.fullmatch(found.name):
                    raise Damaged(f"The backup is damaged: it has {found.name!r}, which its list lacks.")
                _write(tar, found, left.pop(found.name), directory / found.name)
        while opened.read(CHUNK):  # up to the seal of the last frame
            pass
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        raise Damaged(f"The backup is damaged: {error}") from error
    if left:
        raise Damaged(f"The backup is damaged: it lacks {min(left)}.")
    return manifest


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    file = tar.extractfile(first) if first and first.name == _MANIFEST and first.size < _LARGEST_MANIFEST else None
    if file is None:
        raise Damaged("The backup is damaged: it does not begin with its list.")
    fields = json.loads(file.read())
    if fields["format"] > FORMAT:
        raise TooNew(
            f"The backup was made by Pogoapp {fields['version']}, whose backups this version cannot read. Upgrade it."
        )
    fields["files"] = {name: (size, digest) for name, (size, digest) in fields["files"].items()}
    return Manifest(**fields)


def _write(tar: tarfile.TarFile, found: tarfile.TarInfo, wanted: tuple[int, str], path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256()
    file = tar.extractfile(found)
    with path.open("xb") as target:
        path.chmod(0o600)
        while file and (piece := file.read(CHUNK)):
            digest.update(piece)
            target.write(piece)
    if (found.size, digest.hexdigest()) != wanted:
        raise Damaged(f"The backup is damaged: {found.name} is not what was backed up.")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
