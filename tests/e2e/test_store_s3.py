"""The main job with its objects on a real Ceph: pushes, caches, boots; the gateway killed; the store changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import small_apps
from ceph import Ceph
from installation import Failed, Installation
from waiting import eventually

from pogo.store.files import FileStore

BUCKET = "pogo-objects"


@pytest.fixture(scope="module")
def moved(platform: Installation, ceph: Ceph) -> Installation:
    """The platform of all tests, with its objects moved to Ceph. The last test moves them back."""
    certificates = platform.place / "ca.pem"
    shutil.copyfile(ceph.ca, certificates)
    certificates.chmod(0o644)
    keys = {name: value for name, value in ceph.settings(BUCKET).items() if name.startswith("AWS_")}
    options = ("--endpoint", ceph.secure, "--ca", str(certificates))
    said = platform.run("pogo", "admin:migrate-store", f"s3://{BUCKET}", *options, env=keys)
    assert f"The objects are in s3://{BUCKET} now." in said
    return platform


def says(platform: Installation, app: str) -> str:
    try:
        return platform.get(app).body
    except OSError as error:
        return str(error)


def data_checks(platform: Installation) -> dict[str, str]:
    """What `pogo doctor` says of database and store, by name."""
    rows = json.loads(platform.call("pogo", "doctor", "--json").stdout)
    return {row["name"]: f"{row['level']}: {row['found']}" for row in rows if row["area"] == "Data"}


def test_the_main_job_on_ceph(moved: Installation, ceph: Ceph, tmp_path: Path) -> None:
    platform, before = moved, list(FileStore(moved.state / "store").list(""))
    store = ceph.store(BUCKET, tmp_path / "copies")
    key = platform.state / "keys" / "store.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert ceph.keys.secret not in (platform.state / "pogo.conf").read_text()
    work = small_apps.make(platform, "remote", small_apps.small())
    platform.push(work)
    eventually(lambda: says(platform, "remote").startswith("one web.1"))
    assert set(store.list("slugs/")) - set(before)
    assert list(FileStore(platform.state / "store").list("")) == before

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
        # Nor is there a copy: the boot waits, its user is told, and it goes on by itself.
        shutil.rmtree(platform.state / "copies" / "slugs")
        platform.pogo("restart", "-a", "remote")
        told = (
            r"heroku\[web.1\]: The platform's store for slugs fails: The object store at \S+ does not do GET \S+: Conn"
        )
        eventually(lambda: re.search(told, platform.pogo("logs", "-a", "remote")))
        assert data_checks(platform)["store"].startswith("failed: cannot be looked at: The object store at https://")
    finally:
        ceph.start()
    eventually(lambda: list((platform.state / "copies" / "slugs").glob("*.squashfs@*")))
    eventually(lambda: says(platform, "remote").startswith("one web.1"))
    checks = data_checks(platform)
    assert checks["store"].startswith(f"ok: s3://{BUCKET} takes, gives and deletes")
    assert checks["store's clock"] == "ok: goes with ours"
    platform.push(work)
    eventually(lambda: says(platform, "remote").startswith("two web.1"))


def test_the_store_is_changed_while_apps_run_and_the_move_killed(
    moved: Installation, ceph: Ceph, tmp_path: Path
) -> None:
    platform, store = moved, ceph.store(BUCKET, tmp_path)
    eventually(lambda: says(platform, "remote").startswith("two web.1"))
    certificates = platform.place / "ca.pem"
    certificates.chmod(0o600)
    with pytest.raises(Failed, match=r"ca.pem cannot be read by the user \S+ \(Permission denied\)"):
        platform.up()
    certificates.chmod(0o644)
    with pytest.raises(Failed, match="is not the store with the objects"):
        platform.up(POGO_STORE_URL=f"files:{platform.place}/elsewhere")
    objects = FileStore(platform.state / "store")
    store.put("installations/zz-large", (bytes(1 << 20) for _ in range(200)))
    with subprocess.Popen(
        ["pogo", "admin:migrate-store", f"files:{platform.state}/store"],
        env=platform.environment, stdout=subprocess.DEVNULL, start_new_session=True,
    ) as moving:  # fmt: skip
        eventually(lambda: list((platform.state / "store").glob("installations/.put-*")))
        os.killpg(moving.pid, signal.SIGKILL)
    assert "installations/zz-large" not in objects.list("")
    assert f"POGO_STORE_URL=s3://{BUCKET}" in (platform.state / "pogo.conf").read_text()
    platform.pogo("restart", "-a", "remote")
    eventually(lambda: says(platform, "remote").startswith("two web.1"))

    said = platform.pogo("admin:migrate-store", f"files:{platform.state}/store")
    assert "copied and read back" in said
    assert "installations/zz-large" in objects.list("")
    # Taken for the mark of another installation, it keeps everything from being deleted.
    objects.delete("installations/zz-large")
    assert set(store.list("slugs/")) <= set(objects.list("slugs/"))
    shutil.rmtree(platform.state / "copies")
    platform.up()
    platform.pogo("restart", "-a", "remote")
    eventually(lambda: says(platform, "remote").startswith("two web.1"))
    assert "already" in platform.pogo("admin:migrate-store", f"files:{platform.state}/store")
    platform.pogo("apps:destroy", "remote", "--confirm", "remote")
