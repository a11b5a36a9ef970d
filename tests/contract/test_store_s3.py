"""What can go wrong with a remote store, on a real Ceph: each has a clear error, nothing half is seen, and it heals."""

from __future__ import annotations

import hashlib
import os
import pwd
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ceph import Ceph
from slow_line import line_to

from pogo.errors import NotFound, PogoError, StorageFull, Unavailable
from pogo.install import stores
from pogo.settings import Settings
from pogo.store import s3
from pogo.store.copies import RECENT
from pogo.store.s3 import S3Store
from pogo.store.s3_client import Refused
from pogo.store.s3_signature import Keys

MB = 1 << 20
BUCKET = "pogo-objects"
BLOCK = random.Random(7).randbytes(MB)


@pytest.fixture
def store(ceph: Ceph, tmp_path: Path) -> S3Store:
    """Empty. One bucket for all: after a gateway was killed, Ceph waits for it when one is made."""
    found = ceph.store(BUCKET, tmp_path / "copies")
    for key in list(found.list("")):
        found.delete(key)
    return found


def blocks(count: int, at: int = -1, act: Callable[[], object] = lambda: None) -> Iterator[bytes]:
    """So many megabytes; before the one at `at` something happens."""
    for number in range(count):
        if number == at:
            act()
        yield BLOCK


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def unfinished(store: S3Store) -> list[str]:
    page = store.client.request("GET", "", {"uploads": ""}).xml()
    return [child.tag for child in page if child.tag.endswith("}Upload")]


def test_a_gateway_killed_in_an_upload_costs_only_time(ceph: Ceph, store: S3Store) -> None:
    starting = threading.Timer(0.2, ceph.start)

    def kill() -> None:
        ceph.kill_gateway()
        starting.start()

    try:
        assert store.put("slugs/a", blocks(60, 30, kill)) == 60 * MB
    finally:
        starting.join()
    with store.open("slugs/a") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256(BLOCK * 60)


def test_a_gateway_that_stays_away_is_said_and_leaves_nothing_to_see(
    ceph: Ceph, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("slugs/a", [b"old"])
    hasty = ceph.store(BUCKET, tmp_path / "hasty", patience=0.5)
    monkeypatch.setattr(s3, "ABORT_SECONDS", 0.2)
    try:
        with pytest.raises(Unavailable, match="does not do PUT slugs/a: Connection refused"):
            hasty.put("slugs/a", blocks(60, 30, ceph.kill_gateway))
        with pytest.raises(Unavailable, match="does not do HEAD"):
            hasty.size("slugs/a")
    finally:
        ceph.start()
    with store.open("slugs/a") as file:
        assert file.read() == b"old"
    assert list(store.list("")) == ["slugs/a"]
    assert unfinished(store)
    assert store.sweep() == 0, "others may be at it"
    monkeypatch.setattr(s3, "ABANDONED", timedelta(seconds=-60))
    assert store.sweep() >= 1
    assert not unfinished(store)


def test_the_bucket_aborts_uploads_that_never_end_by_itself(
    ceph: Ceph, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are seconds here. Rules of the operator's own are not replaced."""
    monkeypatch.setattr(store, "_abort", lambda *_: None)  # killed
    with pytest.raises(ZeroDivisionError):
        store.put("slugs/a", blocks(20, 19, lambda: 1 // 0))
    assert unfinished(store)
    deadline = time.monotonic() + 60
    while unfinished(store):
        assert time.monotonic() < deadline
        ceph.admin("radosgw-admin", "lc", "process", "--rgw-lc-debug-interval=1")
    own = s3.RULE.replace(b"pogo-unfinished", b"mine")
    store.client.request("PUT", "", {"lifecycle": ""}, own)
    store.ensure_bucket()
    assert b"<ID>mine</ID>" in store.client.request("GET", "", {"lifecycle": ""}).body


def test_a_gateway_killed_in_a_read_costs_only_time(ceph: Ceph, store: S3Store) -> None:
    store.put("slugs/a", blocks(80))
    starting = threading.Timer(0.2, ceph.start)
    digest = hashlib.sha256()
    try:
        with store.open("slugs/a") as file:
            digest.update(file.read(20 * MB))
            ceph.kill_gateway()
            starting.start()
            while chunk := file.read(MB):
                digest.update(chunk)
    finally:
        starting.join()
    assert digest.hexdigest() == sha256(BLOCK * 80)


def test_an_object_that_is_replaced_while_it_is_read_again_is_not_mixed(ceph: Ceph, store: S3Store) -> None:
    store.put("caches/a", blocks(40))
    with store.open("caches/a") as file:
        file.read(MB)
        ceph.kill_gateway()
        ceph.start()
        store.put("caches/a", blocks(41))
        with pytest.raises(Unavailable, match="was replaced while it was read"):
            hashlib.file_digest(file, "sha256")


@pytest.mark.parametrize("wrong", ["access", "secret"])
def test_wrong_keys_are_said_as_such(ceph: Ceph, store: S3Store, tmp_path: Path, wrong: str) -> None:
    keys = Keys("nobody", "x" * 40) if wrong == "access" else Keys(ceph.keys.access, "x" * 40)
    stranger = S3Store(ceph.bucket(BUCKET, keys=keys), tmp_path, MB)
    began = time.monotonic()
    for data in ([b"x"], blocks(20)):
        with pytest.raises(Refused, match="refuses our keys"):
            stranger.put("slugs/a", data)
    with pytest.raises(Refused, match="refuses our keys"):
        stranger.open("slugs/a")
    with pytest.raises(Refused, match=r"refuses our keys \((InvalidAccessKeyId|SignatureDoesNotMatch)\)"):
        stranger.size("slugs/a")
    assert time.monotonic() - began < 10, "it was tried again"
    assert "x" * 40 not in repr(keys)
    assert list(store.list("")) == []


def test_a_wrong_clock_is_said_as_such(ceph: Ceph, store: S3Store, tmp_path: Path) -> None:
    bucket = ceph.bucket(BUCKET, clock=lambda: datetime.now(UTC) - timedelta(hours=2))
    late = S3Store(bucket, tmp_path, MB)
    with pytest.raises(Refused, match=r"refuses our clock: it differs by 7\d\d\d s. Set the clocks"):
        late.put("slugs/a", [b"x"])
    assert abs(store.client.skew()) < 60


def test_a_bucket_that_is_not_there_is_said_as_such(ceph: Ceph, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no bucket 'nowhere-to-be-seen'"):
        S3Store(ceph.bucket("nowhere-to-be-seen"), tmp_path, MB).put("slugs/a", [b"x"])


def test_an_installation_begins_in_a_bucket_and_stays_there(ceph: Ceph, tmp_path: Path) -> None:
    """As bin/up does it. The keys are kept when they work."""
    values = {"state_dir": tmp_path, "store_endpoint": ceph.endpoint, "store_patience": 1}
    settings = Settings(**values, store_url="s3://pogo-new")
    settings.store_keys.parent.mkdir()
    given, me = ceph.settings("pogo-new"), pwd.getpwuid(os.geteuid())
    stores.ensure(settings, given, me)
    (mark,) = ceph.store("pogo-new", tmp_path / "copies").list("")
    assert mark.startswith(stores.MARKS)
    assert settings.store_keys.stat().st_mode & 0o777 == 0o600
    assert Keys.read(settings.store_keys) == ceph.keys
    with pytest.raises(Refused, match="refuses our keys"):
        stores.ensure(settings, {**given, "AWS_SECRET_ACCESS_KEY": "x" * 40}, me)
    stores.ensure(settings, {}, me)
    with pytest.raises(PogoError, match="s3://pogo-other is not the store with the objects of this installation"):
        stores.ensure(Settings(**values, store_url="s3://pogo-other"), {}, me)


def test_https_with_an_authority_of_its_own(ceph: Ceph, store: S3Store, tmp_path: Path) -> None:
    secure = S3Store(ceph.bucket(BUCKET, endpoint=ceph.secure, ca=ceph.ca), tmp_path, 1 << 30)
    assert secure.put("slugs/a", blocks(20)) == 20 * MB
    secure.put("caches/a", [b"small"])
    assert secure.local("slugs/a").stat().st_size == 20 * MB
    with store.open("caches/a") as file:
        assert file.read() == b"small"
    stranger = S3Store(ceph.bucket(BUCKET, endpoint=ceph.secure), tmp_path, MB)
    with pytest.raises(Refused, match=r"is not trusted: .*POGO_STORE_CA names the file"):
        stranger.size("slugs/a")


def test_a_full_store_is_said_and_heals(ceph: Ceph, store: S3Store) -> None:
    store.put("slugs/a", [b"old"])
    quota = ("radosgw-admin", "quota", "--quota-scope=user", "--uid=dev")
    ceph.admin(quota[0], quota[1], "set", *quota[2:], "--max-size=4M")
    ceph.admin(quota[0], quota[1], "enable", *quota[2:])
    try:
        for count in (8, 30):
            with pytest.raises(StorageFull, match="no room left for us"):
                store.put("slugs/a", blocks(count))
        with store.open("slugs/a") as file:
            assert file.read() == b"old", "reads go on"
        assert not unfinished(store)
    finally:
        ceph.admin(quota[0], quota[1], "disable", *quota[2:])
    assert store.put("slugs/a", blocks(8)) == 8 * MB


def test_a_slow_store_is_waited_for_but_not_for_ever(ceph: Ceph, store: S3Store, tmp_path: Path) -> None:
    with line_to(ceph) as line:
        slow = S3Store(ceph.bucket(BUCKET, endpoint=line.endpoint), tmp_path, MB)
        line.delay = 0.1
        assert slow.put("slugs/a", blocks(20)) == 20 * MB
        with slow.open("slugs/a") as file:
            assert file.read(4 * MB) == BLOCK * 4
        hasty = S3Store(ceph.bucket(BUCKET, endpoint=line.endpoint, silence=0.2, patience=0.3), tmp_path, MB)
        line.delay = 1.0
        with pytest.raises(Unavailable, match="no answer in time"):
            hasty.size("slugs/a")
        with pytest.raises(Unavailable, match="no answer in time; it may be full"):
            hasty.put("slugs/b", [b"x"])


def test_bytes_that_change_on_their_way_are_noticed(ceph: Ceph, store: S3Store, tmp_path: Path) -> None:
    store.put("slugs/a", blocks(20))
    with line_to(ceph) as line:
        line.change = lambda data: data.replace(BLOCK[5000:5010], b"0123456789")
        other = S3Store(ceph.bucket(BUCKET, endpoint=line.endpoint), tmp_path / "other", 1 << 30)
        with pytest.raises(Unavailable, match="is damaged"):
            other.local("slugs/a")
        assert not list((tmp_path / "other").rglob("*[!s]"))[1:]


def slug_key(data: bytes, number: int = 1) -> str:
    return f"slugs/{sha256(data)}-00000000-0000-0000-0000-{number:012}.squashfs"


def test_copies_are_kept_checked_and_given_while_the_store_is_away(ceph: Ceph, store: S3Store, tmp_path: Path) -> None:
    key = slug_key(BLOCK)
    store.put(key, [BLOCK])
    copy = store.local(key)
    assert copy.read_bytes() == BLOCK
    copy.write_bytes(BLOCK[:-1] + b"!")  # a disk that forgets
    again = S3Store(ceph.bucket(BUCKET, patience=0.2), tmp_path / "copies", 1 << 30)
    assert again.local(key).read_bytes() == BLOCK
    (copy.parent / ".get-1-half").write_bytes(b"half")
    assert again.sweep() == 1
    ceph.kill_gateway()
    try:
        fresh = S3Store(ceph.bucket(BUCKET, patience=0.2), tmp_path / "copies", 1 << 30)
        assert fresh.local(key).read_bytes() == BLOCK
    finally:
        ceph.start()
    store.put("caches/a", [b"one"])
    assert store.local("caches/a").read_bytes() == b"one"
    store.put("caches/a", [b"two"])
    assert store.local("caches/a").read_bytes() == b"two"
    assert len(list((tmp_path / "copies" / "caches").iterdir())) == 1


def test_a_slug_whose_bytes_are_not_those_of_its_name_is_not_given(store: S3Store) -> None:
    store.put(slug_key(BLOCK), [BLOCK[::-1]])
    with pytest.raises(Unavailable, match="SHA-256 is another"):
        store.local(slug_key(BLOCK))


def test_the_least_recently_used_copies_go_and_what_was_just_given_out_stays(
    ceph: Ceph, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = S3Store(store.client.bucket, tmp_path / "small", 3 * MB)
    keys = [slug_key(bytes([number]) * MB, number) for number in range(5)]
    for number, key in enumerate(keys):
        store.put(key, [bytes([number]) * MB])
    first = [small.local(key) for key in keys[:3]]
    past = time.time() - RECENT - 100
    for age, path in enumerate(first):
        os.utime(path, (past + age, past + age))
    small.local(keys[0])
    small.local(keys[3])
    assert [path.exists() for path in first] == [True, False, True]
    mounted = str(first[2].resolve())
    monkeypatch.setattr("pogo.store.copies._mounted", lambda: {mounted})
    small.local(keys[4])
    assert [path.exists() for path in first] == [True, False, True]
    assert small.free_copies()
    assert first[2].exists()
    with pytest.raises(NotFound):
        small.local(slug_key(b"none"))


LARGE = """
import hashlib, re, sys
from pathlib import Path
from pogo.store.s3 import S3Store
from pogo.store.s3_client import Bucket
from pogo.store.s3_signature import Keys

def peak():  # getrusage would tell of the parent too
    return int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

name, endpoint, access, secret, copies, megabytes = sys.argv[1:]
store = S3Store(Bucket(name, endpoint, "us-east-1", Keys(access, secret)), Path(copies), 1 << 31)
block = b"x" * (1 << 20)
store.put("slugs/warm", (block for _ in range(60)))
with store.open("slugs/warm") as file:
    hashlib.file_digest(file, "sha256")
before = peak()
store.put("slugs/a", (block for _ in range(int(megabytes))))
assert store.local("slugs/a").stat().st_size == int(megabytes) << 20
print(before, peak() - before)
"""


def test_a_large_object_at_constant_memory(ceph: Ceph, store: S3Store, tmp_path: Path) -> None:
    """POGO_TEST_OBJECT_MB: how large; 1024 takes a quarter of a minute."""
    bucket, size = store.client.bucket, os.environ.get("POGO_TEST_OBJECT_MB", "100")
    keys = bucket.keys
    arguments = [bucket.name, bucket.endpoint, keys.access, keys.secret, str(tmp_path / "large"), size]
    done = subprocess.run([sys.executable, "-c", LARGE, *arguments], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    before, grown = map(int, done.stdout.split())
    print(f"{size} MB both ways: {before} KB at most before, {grown} KB more")
    assert before < 200_000
    assert grown < 24_000, f"the process grew by {grown} KB"
    shutil.rmtree(tmp_path / "large")
