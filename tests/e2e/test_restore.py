"""A platform that is lost comes back from a backup on a bare machine; killed in the middle, too."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
import small_apps
from ceph import Ceph
from installation import Failed, Installation, reserve
from waiting import eventually

from pogo.store.files import FileStore
from postgres_server import Server


@pytest.fixture(scope="module")
def platform() -> Iterator[Installation]:
    """Of its own, since it is lost; without the first app."""
    installation = reserve()
    try:
        _up(installation)
        yield installation
    finally:
        installation.remove()


def _up(platform: Installation, **settings: str) -> None:
    platform.state.mkdir(exist_ok=True)
    (platform.state / ".installed").touch()
    platform.up(**settings or {"POGO_STORE_URL": f"files:{platform.place}/store"})


def _lose(platform: Installation) -> None:
    """All but the store, and the Python environments, which hold nothing of the platform."""
    platform.down()
    for place in platform.state.iterdir():
        if place.is_dir() and not place.is_symlink() and place.name != "envs":
            shutil.rmtree(place)
        elif place.name not in ("envs", "env"):
            place.unlink()


def _says(platform: Installation, path: str = "/") -> str:
    try:
        return platform.get("www.shop.example", path).body
    except OSError as error:
        return str(error)


def _restore(key: str) -> list[str]:
    return ["env", f"POGO_RECOVERY_KEY={key}", "pogo", "admin:restore"]


def test_a_lost_platform_comes_back(platform: Installation) -> None:
    work = small_apps.make(platform, "shop", small_apps.small())
    platform.pogo("config:set", "GREETING=ahoy", "-a", "shop")
    platform.push(work)
    platform.pogo("domains:add", "www.shop.example", "-a", "shop")
    platform.pogo("ps:scale", "web=2", "-a", "shop")
    platform.pogo("admin:keys:rotate")
    assert len((platform.state / "keys/secrets.key").read_text().split()) == 1
    eventually(lambda: _says(platform).startswith("one web."))
    key = platform.pogo("admin:backup:key").strip()
    assert key.startswith("pogo-recovery-") and (platform.state / "keys/recovery.key").stat().st_mode & 0o77 == 0
    platform.pogo("admin:backup")
    release = platform.pogo_json("releases", "-a", "shop")
    authority = (platform.state / "tls/ca.pem").read_text()
    store = FileStore(platform.place / "store")
    objects = set(store.list("slugs/"))
    assert "is good" in platform.pogo("admin:drill", "--deep")

    _lose(platform)
    _up(platform)
    assert set(store.list("slugs/")) == objects, "nobody has deleted what is another one's"
    with pytest.raises(Failed, match="another installation too"):
        platform.pogo("admin:backup")
    wrong = f"pogo-recovery-{key[14:22]}{key[23:]}"[:-1] + ("a" if key[-1] != "a" else "b")
    for given, said in ((wrong, "That is no recovery key"), ("", "was sealed for the recovery key with the id")):
        with pytest.raises(Failed, match=said):
            platform.run(*_restore(given))
    assert platform.pogo_json("apps") == [] and not (platform.state / "restore").exists()
    begun = platform.state / "keys/restore.begun"
    with subprocess.Popen(
        _restore(key), env=platform.environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as restoring:
        eventually(lambda: begun.exists() or restoring.poll() is not None)
        os.killpg(restoring.pid, signal.SIGKILL)
    assert begun.exists()
    assert "Run it again: pogo admin:restore" in platform.call("pogo", "doctor").stdout
    said = platform.run(*_restore(key))
    assert "The platform is that of" in said
    assert not begun.exists() and not (platform.state / "restore").exists()
    eventually(lambda: _says(platform, "/env/GREETING") == "ahoy")
    assert platform.pogo_json("releases", "-a", "shop") == release
    eventually(lambda: platform.pogo("ps", "-a", "shop").count(": up ") == 2)
    assert (platform.state / "tls/ca.pem").read_text() == authority
    assert objects <= set(store.list("slugs/")) and len(list(store.list("installations/"))) == 1

    platform.commit(work, "again")
    platform.push(work)
    assert platform.pogo_json("releases", "-a", "shop") != release
    platform.pogo("admin:backup")
    with pytest.raises(Failed, match="has apps"):
        platform.pogo("admin:restore")
    assert "is good" in platform.pogo("admin:drill")
    next(platform.place.glob("store/slugs/*")).unlink()
    lost = platform.call("pogo", "admin:drill")
    if lost.returncode == 0:  # it was the slug of the older release
        next(platform.place.glob("store/slugs/*")).unlink()
        lost = platform.call("pogo", "admin:drill")
    assert lost.returncode == 1 and "the store lacks it" in lost.stdout


def test_a_bare_machine_comes_back_from_ceph_into_postgres(ceph: Ceph, postgres_server: Server) -> None:
    """Nothing of the old machine is there any more but what is in the object store, and the recovery key."""
    lost, bare = reserve(), None
    store = ceph.settings("pogo-lost")
    try:
        _up(lost, **store)
        work = small_apps.make(lost, "shop", small_apps.small())
        lost.pogo("config:set", "GREETING=ahoy", "-a", "shop")
        lost.push(work)
        lost.pogo("domains:add", "www.shop.example", "-a", "shop")
        eventually(lambda: _says(lost).startswith("one web."))
        key = lost.pogo("admin:backup:key").strip()
        lost.pogo("admin:backup")
        release = lost.pogo_json("releases", "-a", "shop")
        lost.remove()
        bare = reserve()
        postgres_server.directory.chmod(0o755)  # for the platform's own user
        _up(bare, **store, POGO_DATABASE_URL=postgres_server.database())
        assert "The platform is that of" in bare.run(*_restore(key))
        eventually(lambda: _says(bare, "/env/GREETING") == "ahoy")
        assert bare.pogo_json("releases", "-a", "shop") == release
        assert re.search(r"^database +PostgreSQL, ", bare.pogo("admin:status"), re.M)
        assert "is good" in bare.pogo("admin:drill", "--deep")
        bare.pogo("config:set", "GREETING=hello", "-a", "shop")
        eventually(lambda: _says(bare, "/env/GREETING") == "hello")
        bare.pogo("admin:backup")
    finally:
        for one in (lost, bare):
            if one and one.place.exists():
                one.remove()
