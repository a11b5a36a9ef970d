"""Objects in and out: files and a real Ceph, through our drivers, by cp and by curl."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ceph import Ceph, running

from bench import table
from pogo.store import BlobStore
from pogo.store.files import FileStore

MB = 1 << 20
ROUNDS = 3
SMALL = 1000
BUCKET = "pogo-bench"


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as name:
        place = Path(name)
        with running(place / "ceph") as ceph:
            stores: dict[str, BlobStore] = {
                "files": FileStore(place / "files"),
                "Ceph": ceph.store(BUCKET, place / "copies"),
            }
            for size in (60, 300):
                _large(place, ceph, stores, size)
            _small(stores)


def _large(place: Path, ceph: Ceph, stores: dict[str, BlobStore], size: int) -> None:
    source = place / "source"
    subprocess.run(["dd", "if=/dev/urandom", f"of={source}", "bs=1M", f"count={size}", "status=none"], check=True)
    puts: defaultdict[str, list[float]] = defaultdict(list)
    gets: defaultdict[str, list[float]] = defaultdict(list)
    curl = [
        "curl", "-sSf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{ceph.keys.access}:{ceph.keys.secret}",
        "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
    ]  # fmt: skip
    url = f"{ceph.endpoint}/{BUCKET}/curl/object"
    for _ in range(ROUNDS):
        puts["cp and sync"].append(_timed(lambda: (shutil.copy(source, place / "copy"), _sync(place / "copy"))))
        gets["cat"].append(_timed(lambda: _run(["cat", str(place / "copy")])))
        puts["curl to Ceph"].append(_timed(lambda: _run([*curl, "-T", str(source), url])))
        gets["curl from Ceph"].append(_timed(lambda: _run([*curl, url])))
        for name, store in stores.items():
            puts[name].append(_timed(partial(store.put_file, "bench/object", source)))
            gets[name].append(_timed(partial(_read, store, "bench/object")))
    table.show({f"put {size} MB: {name}": values for name, values in puts.items()}, "s")
    table.show({f"get {size} MB: {name}": values for name, values in gets.items()}, "s")


def _small(stores: dict[str, BlobStore]) -> None:
    data = [b"x" * 1024]
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, store in stores.items():
            keys = [f"bench/{number}" for number in range(SMALL)]
            samples[f"put 1 KB x 1,000: {name}"].append(_timed(partial(_put_all, store, keys, data)))
            samples[f"get 1 KB x 1,000: {name}"].append(_timed(partial(_read_all, store, keys)))
    table.show(samples, "s")


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _sync(path: Path) -> None:
    subprocess.run(["sync", str(path)], check=True)


def _read(store: BlobStore, key: str) -> None:
    with store.open(key) as file:
        while file.read(MB):
            continue


def _put_all(store: BlobStore, keys: list[str], data: list[bytes]) -> None:
    for key in keys:
        store.put(key, data)


def _read_all(store: BlobStore, keys: list[str]) -> None:
    for key in keys:
        _read(store, key)
