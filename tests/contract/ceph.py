"""A real Ceph with an S3 gateway on loopback, of a test's own; made by tests/ceph-dev.sh in three seconds."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pogo.errors import Unavailable
from pogo.store.s3 import S3Store
from pogo.store.s3_client import Bucket
from pogo.store.s3_signature import Keys

SCRIPT = Path(__file__).parents[1] / "ceph-dev.sh"
LARGEST = 1 << 30


@dataclass
class Ceph:
    """memory: quicker, and lost with its OSD. size_gb: 0 for more than tests need.

    Both endpoints lead to one gateway; ca: the file with that of https.
    """

    directory: Path
    memory: bool = False
    size_gb: int = 0
    endpoint: str = ""
    secure: str = ""
    ca: str = ""
    keys: Keys = field(default_factory=lambda: Keys("", ""))

    def start(self) -> None:
        """Whatever does not run."""
        text = self._script("start", str(self.directory))
        found = dict(re.findall(r"^(S3_\w+)=(.*)$", text, re.MULTILINE))
        self.endpoint, self.keys = found["S3_ENDPOINT"], Keys(found["S3_ACCESS_KEY"], found["S3_SECRET_KEY"])
        self.secure, self.ca = found["S3_ENDPOINT_TLS"], found["S3_CA_BUNDLE"]

    def gateway(self) -> int:
        """Its process."""
        return int(self._script("pid", "rgw", str(self.directory)))

    def kill_gateway(self, pid: int = 0) -> None:
        """As a power cut: returns when it is gone. pid: where it is known, at once."""
        watched = os.pidfd_open(pid or self.gateway())
        try:
            signal.pidfd_send_signal(watched, signal.SIGKILL)
            assert select.select([watched], [], [], 30)[0], "it does not die"
        finally:
            os.close(watched)

    def admin(self, *command: str) -> str:
        return self._script("run", str(self.directory), "--", *command)

    def bucket(self, name: str, **changes: Any) -> Bucket:
        plain = Bucket(name, self.endpoint, "us-east-1", self.keys, patience=30.0)
        return replace(plain, **changes)

    def settings(self, bucket: str) -> dict[str, str]:
        """What bin/up is given to put an installation's objects there."""
        return {
            "POGO_STORE_URL": f"s3://{bucket}",
            "POGO_STORE_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.keys.access,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret,
        }

    def store(self, name: str, copies: Path, *, page: int = 1000, **changes: Any) -> S3Store:
        """On a bucket that is made where it is missing."""
        S3Store(self.bucket(name), copies, LARGEST).ensure_bucket()
        return S3Store(self.bucket(name, **changes), copies, LARGEST, page)

    @contextmanager
    def full(self, store: S3Store) -> Iterator[None]:
        """Its OSD is beyond the share of its disk from which Ceph takes no writes. That is made small first."""
        self._ratios("0.01", "0.01", "0.02")
        try:
            for number in range(LARGEST >> 23):
                try:
                    store.put(f"filler/{number}", [bytes(1 << 23)])
                except Unavailable:  # or it was only slow
                    if "OSD_FULL" in self.admin("ceph", "health", "detail"):
                        break
            else:
                raise AssertionError("it does not become full")
            yield
        finally:
            self._ratios("0.85", "0.90", "0.95")

    def _ratios(self, nearly: str, backfill: str, full: str) -> None:
        """Ceph ignores them while they are out of order."""
        for name, ratio in (("nearfull", nearly), ("backfillfull", backfill), ("full", full)):
            self.admin("ceph", "osd", f"set-{name}-ratio", ratio)

    def destroy(self) -> None:
        self._script("destroy", str(self.directory))

    def _script(self, *arguments: str) -> str:
        store = "memstore" if self.memory else "bluestore"
        environment = {**os.environ, "CEPH_DEV_STORE": store, "CEPH_DEV_TLS": "1"}
        if self.size_gb:
            environment["CEPH_DEV_SIZE_GB"] = str(self.size_gb)
        done = subprocess.run(
            [SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=120, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running(*, memory: bool = False, size_gb: int = 0) -> Iterator[Ceph]:
    """In a place of its own. bin/test clears away what a killed run has left, by this name and the process in `pid`."""
    place = Path(tempfile.mkdtemp(prefix="pogo-ceph-"))
    (place / "pid").write_text(str(os.getpid()))
    ceph = Ceph(place / "ceph", memory, size_gb)
    try:
        ceph.start()
        yield ceph
    finally:
        ceph.destroy()
        shutil.rmtree(place)
