"""Double of the object store for unit tests of decisions."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pogo.errors import NotFound
from pogo.store.files import check_key, file_chunks


class MemoryStore:
    """`pogo.store.BlobStore` in a dict. `local` writes the object to a directory that ends with the store."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._directory = tempfile.TemporaryDirectory(prefix="pogo-store-")

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        data = b"".join(chunks)
        self._objects[check_key(key)] = data
        return len(data)

    def put_file(self, key: str, path: Path) -> int:
        return self.put(key, file_chunks(path))

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._get(key))

    def size(self, key: str) -> int:
        return len(self._get(key))

    def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def local(self, key: str) -> Path:
        path = Path(self._directory.name, key)
        data = self._get(key)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def free_copies(self) -> bool:
        return False

    def sweep(self) -> int:
        return 0

    def _get(self, key: str) -> bytes:
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise NotFound("object", f"There is no object {key!r} in the store.") from None
