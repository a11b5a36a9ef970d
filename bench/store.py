"""Objects in and out: files and a real Ceph, through our drivers, by cp, by curl and by boto3 where it can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ceph import Ceph, running

from bench import store_boot, table
from pogo.store import BlobStore
from pogo.store.files import FileStore

MB = 1 << 20
ROUNDS = 3
SMALL = 1000
BUCKET = "pogo-bench"


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as name:
        place = Path(name)
        with running() as ceph:
            stores: dict[str, BlobStore] = {
                "files": FileStore(place / "files"),
                "Ceph": ceph.store(BUCKET, place / "copies"),
            }
            with _boto(ceph) as boto:
                for size in (60, 300):
                    _large(place, ceph, stores, boto, size)
                _small(stores, boto)
            store_boot.measure(place, ceph)


@contextmanager
def _boto(ceph: Ceph) -> Iterator[Callable[[str], object] | None]:
    """Asks a process with boto3; None where uv cannot fetch it."""
    run = ["uv", "run", "--quiet", "--no-project", "--with", "boto3", "python"]
    if shutil.which("uv") is None or subprocess.run([*run, "-c", "import boto3"], check=False).returncode:
        print("boto3 is left out: uv does not bring it.")
        yield None
        return
    keys = {"AWS_ACCESS_KEY_ID": ceph.keys.access, "AWS_SECRET_ACCESS_KEY": ceph.keys.secret}
    with subprocess.Popen(
        [*run, str(Path(__file__).with_name("boto_store.py")), ceph.endpoint, BUCKET],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **keys},
    ) as process:  # fmt: skip
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def ask(row: str) -> None:
            asked.write(f"{row}\n")
            asked.flush()
            assert answers.readline() == "done\n"

        ask("nothing")
        yield ask
        asked.close()


def _large(
    place: Path, ceph: Ceph, stores: dict[str, BlobStore], boto: Callable[[str], object] | None, size: int
) -> None:
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
        if boto:
            puts["boto3 to Ceph"].append(_timed(partial(boto, f"put {source}")))
            gets["boto3 from Ceph"].append(_timed(partial(boto, "get")))
    table.show({f"put {size} MB: {name}": values for name, values in puts.items()}, "s")
    table.show({f"get {size} MB: {name}": values for name, values in gets.items()}, "s")


def _small(stores: dict[str, BlobStore], boto: Callable[[str], object] | None) -> None:
    data = [b"x" * 1024]
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, store in stores.items():
            keys = [f"bench/{number}" for number in range(SMALL)]
            samples[f"put 1 KB x 1,000: {name}"].append(_timed(partial(_put_all, store, keys, data)))
            samples[f"get 1 KB x 1,000: {name}"].append(_timed(partial(_read_all, store, keys)))
        if boto:
            samples["put 1 KB x 1,000: boto3 to Ceph"].append(_timed(partial(boto, f"put-small {SMALL}")))
            samples["get 1 KB x 1,000: boto3 from Ceph"].append(_timed(partial(boto, f"get-small {SMALL}")))
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
