"""Builds with their objects on a real Ceph, whose gateway is killed in the middle; and what is deleted there later."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import uvloop
from build_service_rig import Service, service
from ceph import Ceph
from containers_lxc import AgentProcess, agent_installation, missing
from sqlalchemy import select

from pogo.errors import Unavailable
from pogo.loops import build_steps, pruning
from pogo.model import Slug
from pogo.model.base import new_id
from pogo.services.database import Database
from pogo.store.files import file_chunks
from pogo.store.s3 import S3Store
from pogo.store.s3_signature import Keys

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
BUCKET = "pogo-builds"
LARGE = "dd if=/dev/urandom bs=1M count=24 status=none"


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with agent_installation() as agent:
        yield agent


class Interrupted(S3Store):
    """Loses its gateway once in the middle of an upload and once in the middle of a download, by kind of object."""

    in_put = in_get = ""

    def lose(self, ceph: Ceph, put: str = "", get: str = "") -> None:
        self.ceph, self.in_put, self.in_get = ceph, put, get

    def put_file(self, key: str, path: Path) -> int:
        if not key.startswith(self.in_put or "none/"):
            return super().put_file(key, path)
        self.in_put = ""
        return self.put(key, self._killing(path))

    def _killing(self, path: Path) -> Iterator[bytes]:
        half = path.stat().st_size // 2
        for chunk in file_chunks(path):
            if half > 0 >= (half := half - len(chunk)):
                self.ceph.kill_gateway()
            yield chunk

    def open(self, key: str) -> BinaryIO:
        file = super().open(key)
        if key.startswith(self.in_get or "none/"):
            self.in_get = ""
            self.ceph.kill_gateway()
            threading.Thread(target=self.ceph.start).start()
        return file


def slugs(it: Service) -> list[str]:
    """Keys of the slugs that releases name, the newest last."""
    with it.db.read() as session:
        return list(session.scalars(select(Slug.blob).order_by(Slug.created_at)))


def sum_in(text: str) -> str:
    found = re.search(r"^([0-9a-f]{64})  ", text, re.MULTILINE)
    assert found, text
    return found[1]


def test_a_gateway_killed_in_builds_costs_only_time_and_what_is_kept_stays(
    agent: AgentProcess, db: Database, tmp_path: Path, ceph: Ceph
) -> None:
    ceph.store(BUCKET, tmp_path / "copies")
    hasty = Interrupted(ceph.bucket(BUCKET, patience=0.5), tmp_path / "copies", 1 << 30)
    patient = Interrupted(ceph.bucket(BUCKET), tmp_path / "copies", 1 << 30)

    async def scenario(it: Service) -> None:
        hasty.lose(ceph, put="slugs/")
        it.start()
        first = it.push(f"{LARGE} of=$BUILD/large; {LARGE} of=$CACHE/large; sha256sum $CACHE/large")
        await it.said(first, "store for slugs fails: The object store at http://127.0.0.1:")
        await it.said(first, "This build waits, and tries again.")
        await asyncio.to_thread(ceph.start)
        assert (await it.ended(first)).status == "succeeded", it.output(first)
        assert list(patient.list("slugs/")) == slugs(it)

        await it.kill()
        patient.free_copies()
        patient.lose(ceph, get="caches/")
        it.store = patient
        it.start()
        second = it.push("sha256sum $CACHE/large")
        assert (await it.ended(second)).status == "succeeded", it.output(second)
        assert not patient.in_get, "the cache was not asked for"
        assert sum_in(it.output(first)) == sum_in(it.output(second))

        old, new = slugs(it)
        stray = f"slugs/{'0' * 64}-{new_id()}.squashfs"
        patient.put(stray, [b"of a build that is not known"])
        await asyncio.to_thread(pruning.prune, it.platform)
        assert list(patient.list("slugs/")) == sorted([old, new])
        it.platform.settings.keep_slugs = 1
        await asyncio.to_thread(pruning.prune, it.platform)
        assert list(patient.list("slugs/")) == [new]
        assert await asyncio.to_thread(patient.local, new)
        assert list(patient.list("caches/")) == [f"caches/{it.app.id}"]

    async def with_service() -> None:
        async with service(agent, db, tmp_path, hasty) as made:
            await scenario(made)

    uvloop.run(with_service())


def test_a_full_ceph_is_said_and_builds_wait_for_space(
    agent: AgentProcess, db: Database, tmp_path: Path, ceph: Ceph
) -> None:
    patient = ceph.store(BUCKET, tmp_path / "copies")
    hasty = S3Store(ceph.bucket(BUCKET, patience=0.5, silence=2.0), tmp_path / "copies", 1 << 30)
    patient.put("caches/kept", [b"old"])
    before = list(patient.list("slugs/"))

    async def scenario(it: Service) -> None:
        build = it.push(f"{LARGE} of=$BUILD/large")
        with ceph.full(hasty):
            for data in ([b"new"], [bytes(1 << 20)] * 20):
                with pytest.raises(
                    Unavailable, match=r"store at http://\S+ does not do \S+ caches/kept: .* may be full"
                ):
                    await asyncio.to_thread(hasty.put, "caches/kept", data)
            with patient.open("caches/kept") as file:
                assert file.read() == b"old", "reads go on"
            it.start()
            await it.said(build, "store for slugs fails: The object store at http://127.0.0.1:")
            assert "it may be full. Try again in a moment.\n !     This build waits, and tries" in it.output(build)
            assert list(patient.list("slugs/")) == before
        assert (await it.ended(build)).status == "succeeded", it.output(build)
        assert sorted([*before, *slugs(it)]) == list(patient.list("slugs/"))
        with patient.open("caches/kept") as file:
            assert file.read() in {b"old", b"new"}, "a write that nobody waits for any more is done whole or not at all"

    async def with_service() -> None:
        async with service(agent, db, tmp_path, hasty) as made:
            await scenario(made)

    try:
        uvloop.run(with_service())
    finally:
        for key in patient.list(""):
            patient.delete(key)


def test_a_build_says_that_the_keys_are_wrong(
    agent: AgentProcess, db: Database, tmp_path: Path, ceph: Ceph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_steps, "STORE_PATIENCE", 0.0)
    right = ceph.store(BUCKET, tmp_path / "copies")

    async def scenario(it: Service) -> None:
        build = it.push("echo built")
        it.store = S3Store(ceph.bucket(BUCKET, keys=Keys(ceph.keys.access, "x" * 40)), tmp_path / "copies", 1 << 30)
        it.start()
        await it.until(lambda: it.now(build).status == "failed")
        assert "refuses our keys (SignatureDoesNotMatch)" in it.now(build).failure
        await it.kill()
        it.store = right
        it.start()
        await it.ended(build)
        assert "Put the right ones into keys/store.key and run bin/up." in it.output(build)

    async def with_service() -> None:
        async with service(agent, db, tmp_path, right) as made:
            await scenario(made)

    uvloop.run(with_service())
