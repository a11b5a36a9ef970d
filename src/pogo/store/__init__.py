"""Objects: slugs, build caches and sources, as immutable bytes under a key.

A key is `kind/name` of `[a-z0-9._-]` parts. Calls are synchronous (run them in a thread), stream
at constant memory, and an object is visible whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol


class BlobStore(Protocol):
    """Raises `errors.NotFound("object")`, `errors.StorageFull`, `errors.Unavailable`."""

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store and return the size in bytes. An object of that key is replaced at once, whole."""
        ...

    def put_file(self, key: str, path: Path) -> int: ...

    def open(self, key: str) -> BinaryIO: ...

    def size(self, key: str) -> int: ...

    def delete(self, key: str) -> None:
        """Nothing happens when it is not there."""
        ...

    def list(self, prefix: str) -> Iterator[str]: ...

    def local(self, key: str) -> Path:
        """A local file with the object's bytes, for mounting; a driver of a remote store keeps a cache."""
        ...

    def free_copies(self) -> bool:
        """Remove local copies that nothing uses. False where there are none, since the objects lie on this disk."""
        ...

    def sweep(self) -> int:
        """Remove what killed writers left, which nobody sees; called once when the daemon starts. Returns how many."""
        ...
