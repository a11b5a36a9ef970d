"""What every object store promises; and what only the one on files can break."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ceph import Ceph

from pogo.errors import NotFound, StorageFull, Unavailable
from pogo.store import BlobStore
from pogo.store.files import FileStore
from pogo.store.memory import MemoryStore


@pytest.fixture(params=["files", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "s3":
        ceph: Ceph = request.getfixturevalue("ceph")
        return ceph.store(f"test-{secrets.token_hex(8)}", tmp_path / "copies", page=2)
    return FileStore(tmp_path / "store") if request.param == "files" else MemoryStore()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_large_object_is_whole_and_streams(store: BlobStore) -> None:
    block = random.Random(1).randbytes(1_000_003)
    assert store.put("slugs/large", (block for _ in range(25))) == 25_000_075
    with store.open("slugs/large") as file:
        assert hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(block * 25).digest()
    assert store.local("slugs/large").stat().st_size == store.size("slugs/large") == 25_000_075


def read(store: BlobStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def test_an_object_comes_back_whole(store: BlobStore, tmp_path: Path) -> None:
    assert store.put("slugs/a.squashfs", [b"one", b"", b"two"]) == 6
    assert read(store, "slugs/a.squashfs") == b"onetwo"
    assert store.size("slugs/a.squashfs") == 6
    assert store.local("slugs/a.squashfs").read_bytes() == b"onetwo"
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    assert store.put_file("caches/a", source) == 3_000_000
    assert read(store, "caches/a") == source.read_bytes()
    assert store.put("caches/empty", []) == 0
    assert read(store, "caches/empty") == b""


def test_a_put_replaces_and_open_readers_keep_the_old_bytes(store: BlobStore) -> None:
    store.put("caches/a", [b"old"])
    with store.open("caches/a") as file:
        store.put("caches/a", [b"newer"])
        assert file.read() == b"old"
    assert read(store, "caches/a") == b"newer"


def test_list_by_prefix(store: BlobStore) -> None:
    for key in ("slugs/b", "slugs/a1", "slugs/a2", "caches/a1"):
        store.put(key, [b"."])
    assert list(store.list("slugs/a")) == ["slugs/a1", "slugs/a2"]
    assert list(store.list("slugs/")) == ["slugs/a1", "slugs/a2", "slugs/b"]
    assert list(store.list("")) == ["caches/a1", "slugs/a1", "slugs/a2", "slugs/b"]
    assert list(store.list("sources/")) == []


def test_what_is_not_there(store: BlobStore) -> None:
    for call in (store.open, store.size, store.local):
        with pytest.raises(NotFound) as caught:
            call("slugs/none")
        assert caught.value.resource == "object"
    store.delete("slugs/none")
    store.put("slugs/a", [b"."])
    store.delete("slugs/a")
    with pytest.raises(NotFound):
        store.open("slugs/a")
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "a/",
        "/a",
        "a/b/c",
        "../a",
        "a/..",
        "a/.",
        "a/.b",
        ".put-1-a-b/x",
        "a/B",
        "a/b c",
        "a/b\n",
        "a/\0",
        "a/é",
    ],
)
def test_keys_are_checked(store: BlobStore, key: str) -> None:
    for call in (store.open, store.size, store.local, store.delete):
        with pytest.raises(ValueError, match="is not an object key"):
            call(key)
    with pytest.raises(ValueError, match="is not an object key"):
        store.put(key, [b"."])


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    (tmp_path / "caches").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be written"):
        store.put("caches/a", [b"x"])


def test_a_source_that_breaks_leaves_the_old_object(store: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    store.put("caches/a", [b"old"])
    with pytest.raises(ConnectionError):
        store.put("caches/a", broken())
    assert read(store, "caches/a") == b"old"
    assert list(store.list("")) == ["caches/a"]


def test_concurrent_puts_of_one_key_leave_one_of_them_whole(store: BlobStore) -> None:
    def put(letter: bytes) -> None:
        for _ in range(10):
            store.put("caches/a", [letter * 10_000] * 10)

    threads = [threading.Thread(target=put, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        try:
            seen.add(read(store, "caches/a"))
        except NotFound:
            continue
    assert {len(set(data)) for data in seen} <= {1}
    assert {len(data) for data in seen} <= {100_000}
    assert list(store.list("")) == ["caches/a"]


WRITER = """
import sys, time
from pathlib import Path
from pogo.store.files import FileStore

def chunks():
    for _ in range(20):
        yield b"x" * 100_000
    print("half", flush=True)
    time.sleep(60)

FileStore(Path(sys.argv[1])).put("slugs/a", chunks())
"""


def test_a_killed_writer_leaves_nothing_visible(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        assert store.sweep() == 0, "the writer lives"
        writer.send_signal(signal.SIGKILL)
    assert list(store.list("")) == []
    with pytest.raises(NotFound):
        store.open("slugs/a")
    assert store.sweep() == 1
    assert list((tmp_path / "slugs").iterdir()) == []


def test_sweep_takes_only_what_is_stale_and_its_own(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("slugs/a", [b"."])
    kept = [tmp_path / "slugs" / ".hidden", tmp_path / "slugs" / f".put-{os.getppid()}-0a-0b"]
    stale = [tmp_path / "slugs" / f".put-{os.getppid()}-0a-0c", tmp_path / "slugs" / f".put-{os.getpid()}-0a-0d"]
    for path in kept + stale:
        path.write_bytes(b".")
    os.utime(stale[0], (time.time() - 4000, time.time() - 4000))

    def sweeping() -> Iterator[bytes]:
        yield b"a"
        assert store.sweep() == 2
        yield b"b"

    assert store.put("slugs/b", sweeping()) == 2
    assert sorted((tmp_path / "slugs").iterdir()) == sorted([*kept, tmp_path / "slugs" / "a", tmp_path / "slugs" / "b"])


BIG = """
import re, sys
from pathlib import Path
from pogo.store.files import FileStore

def peak():  # getrusage would tell of the parent too
    return int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

store, size = FileStore(Path(sys.argv[1])), int(sys.argv[2]) << 20
store.put("slugs/warm", [b"x"])
before = peak()
block = b"x" * 65536
store.put("slugs/a", (block for _ in range(size >> 16)))
store.put_file("slugs/b", store.local("slugs/a"))
assert store.size("slugs/b") == size
print(peak() - before)
"""


def test_a_large_object_at_constant_memory(tmp_path: Path) -> None:
    """POGO_TEST_OBJECT_MB: how large."""
    command = [sys.executable, "-c", BIG, str(tmp_path), os.environ.get("POGO_TEST_OBJECT_MB", "100")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    grown = int(done.stdout)
    print(f"it grew by {grown} KB")
    assert grown < 8_000, f"the process grew by {grown} KB"
    shutil.rmtree(tmp_path)


def test_a_full_disk_is_said_and_leaves_nothing(small_disk: Path) -> None:
    store = FileStore(small_disk)
    store.put("slugs/a", [b"old"])
    with pytest.raises(StorageFull):
        store.put("slugs/a", (b"x" * 65536 for _ in range(200)))
    assert read(store, "slugs/a") == b"old"
    assert [path.name for path in (small_disk / "slugs").iterdir()] == ["a"]
    assert store.put("slugs/b", [b"x" * 3_000_000]) == 3_000_000
