"""Files that the mirror has made, on disk: whole or not there, each made once whoever asks at the same time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from pathlib import Path

import structlog

from pogo.disk import full_disk_is_an_error, sync_directory
from pogo.mirror import CannotMake, Make

log = structlog.get_logger()
DIGEST = ".sha256"
CHUNK = 1 << 20


class FileArtefacts:
    """directory: theirs alone; several installations may share it. Implements `Artefacts`.

    A file becomes visible by a rename, after its digest was written beside it. A file without a digest,
    or of another length than the digest tells, is made again: the disk may have lost it in a power cut.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._making: dict[str, asyncio.Task[Path]] = {}

    def find(self, key: str) -> Path | None:
        """The file, which counts as used now; None where it has to be made."""
        place = self._place(key)
        digest = _digest_file(place)
        try:
            if digest.read_text().split()[1] != str(place.stat().st_size):
                return None
            os.utime(digest)
        except (FileNotFoundError, IndexError):
            return None
        return place

    async def get(self, key: str, make: Make) -> Path:
        if (found := self.find(key)) is not None:
            return found
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make))
            self._making[key] = task
            task.add_done_callback(lambda done: self._made(key, done))
        return await asyncio.shield(task)

    def _made(self, key: str, task: asyncio.Task[Path]) -> None:
        del self._making[key]
        if not task.cancelled() and (error := task.exception()):
            log.warning("cannot make", file=key, error=str(error))

    async def _make(self, key: str, make: Make) -> Path:
        place = self._place(key)
        with full_disk_is_an_error():
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.parent / f".{place.name}.{os.getpid()}-{secrets.token_hex(4)}"
            try:
                await make(part)
                if not part.is_file():
                    raise CannotMake(f"The recipe of {key} wrote no file.")
                await asyncio.to_thread(_keep, part, place)
            finally:
                part.unlink(missing_ok=True)
        return place

    def _place(self, key: str) -> Path:
        parts = Path(key).parts
        if not parts or any(part == "/" or part.startswith(".") for part in parts) or key.endswith(DIGEST):
            raise ValueError(f"{key!r} is no key of an artefact")
        return self.directory.joinpath(*parts)

    def sweep(self) -> int:
        """Remove what makers that were killed left behind; how many files."""
        left = [path for path in self.directory.rglob(".*") if path.is_file() and not _is_alive(path.name)]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def prune(self, unused_seconds: float) -> int:
        """Remove what nobody has asked for in that time; how many files. It is made again when it is asked for."""
        long_ago = time.time() - unused_seconds
        unused = [digest for digest in self.directory.rglob(f"[!.]*{DIGEST}") if digest.stat().st_mtime < long_ago]
        for digest in unused:
            digest.with_name(digest.name.removesuffix(DIGEST)).unlink(missing_ok=True)
            digest.unlink(missing_ok=True)
        return len(unused)

    def size(self) -> tuple[int, int]:
        """(files, bytes) that are kept."""
        sizes = [path.stat().st_size for path in self.directory.rglob("[!.]*") if path.is_file()]
        return len(list(self.directory.rglob(f"[!.]*{DIGEST}"))), sum(sizes)


def _digest_file(place: Path) -> Path:
    return place.with_name(place.name + DIGEST)


def _keep(part: Path, place: Path) -> None:
    """Digest first, file second: with both durable before the name is seen."""
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        os.fsync(file.fileno())
    beside = _digest_file(place)
    new = beside.with_name(f".{beside.name}.{os.getpid()}-{secrets.token_hex(4)}")
    new.write_text(f"{digest.hexdigest()} {part.stat().st_size}\n")
    part.chmod(0o644)
    new.rename(beside)
    part.rename(place)
    sync_directory(place.parent)


def _is_alive(name: str) -> bool:
    """Whether the process in the name of a temporary file, `.<name>.<pid>-<hex>`, still runs."""
    pid = name.rpartition(".")[2].partition("-")[0]
    return pid.isdigit() and Path(f"/proc/{pid}").exists()
