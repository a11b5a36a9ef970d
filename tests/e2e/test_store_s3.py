"""The main job with its objects on a real Ceph: pushes, caches, boots; the gateway killed; the store changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_apps
from ceph import Ceph, running
from installation import Failed, Installation, reserve
from waiting import eventually

from pogo.store.files import FileStore

BUCKET = "pogo-objects"


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    with running(tmp_path_factory.mktemp("ceph")) as found:
        found.store(BUCKET, tmp_path_factory.mktemp("copies"))
        yield found


@pytest.fixture(scope="module")
def platform(ceph: Ceph) -> Iterator[Installation]:
    installation = reserve()
    try:
        installation.up(
            POGO_STORE_URL=f"s3://{BUCKET}",
            POGO_STORE_ENDPOINT=ceph.endpoint,
            AWS_ACCESS_KEY_ID=ceph.keys.access,
            AWS_SECRET_ACCESS_KEY=ceph.keys.secret,
        )
        yield installation
    finally:
        installation.remove()


def says(platform: Installation, app: str) -> str:
    try:
        return platform.get(app).body
    except OSError as error:
        return str(error)


def test_the_main_job_on_ceph(platform: Installation, ceph: Ceph, tmp_path: Path) -> None:
    store = ceph.store(BUCKET, tmp_path / "copies")
    key = platform.state / "keys" / "store.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert ceph.keys.secret not in (platform.state / "pogo.conf").read_text()
    work = small_apps.make(platform, "remote", small_apps.small())
    platform.push(work)
    eventually(lambda: says(platform, "remote").startswith("one web.1"))
    assert [kind.partition("/")[0] for kind in store.list("slugs/")] == ["slugs"] * 2
    assert not list(FileStore(platform.state / "store").list(""))

    # No copies: a dyno boots from the store.
    shutil.rmtree(platform.state / "copies" / "slugs")
    platform.pogo("restart", "-a", "remote")
    eventually(lambda: list((platform.state / "copies" / "slugs").glob("*.squashfs@*")))
    eventually(lambda: says(platform, "remote").startswith("one web.1"))

    # The gateway is away: the push says so, the app runs on and boots from its copy.
    ceph.kill_gateway()
    try:
        with pytest.raises(Failed, match=r"Push rejected: The object store at \S+ does not do"):
            small_apps.change(platform, work, small_apps.small("two"))
        platform.pogo("restart", "-a", "remote")
        eventually(lambda: says(platform, "remote").startswith("one web.1"))
    finally:
        ceph.start()
    platform.push(work)
    eventually(lambda: says(platform, "remote").startswith("two web.1"))


def test_the_store_is_changed_while_apps_run(platform: Installation, ceph: Ceph) -> None:
    eventually(lambda: says(platform, "remote").startswith("two web.1"))
    with pytest.raises(Failed, match="is not the store with the objects"):
        platform.up(POGO_STORE_URL=f"files:{platform.state}/store")
    said = platform.pogo("admin:migrate-store", f"files:{platform.state}/store")
    assert "copied and read back" in said
    objects = FileStore(platform.state / "store")
    assert len(list(objects.list("slugs/"))) == 3
    shutil.rmtree(platform.state / "copies")
    platform.up()
    platform.pogo("restart", "-a", "remote")
    eventually(lambda: says(platform, "remote").startswith("two web.1"))
    assert "already" in platform.pogo("admin:migrate-store", f"files:{platform.state}/store")
