"""The disk of the platform is full: what runs goes on, what is asked gets a clear error, and nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from installation import Installation, reserve
from waiting import eventually
from wreckage import Requests, answered, ask, log, releases, request, settle, source, version

APP = "filled"
BALLAST = "ballast"  # an app that is only written to, never run
IMAGE_MB = 8000  # sparse; bin/up wants that much

# Fills the disk of the build as far as it goes.
GREEDY = "#!/bin/bash\necho filling the disk\nexec dd if=/dev/zero of=ballast bs=1M status=none\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A platform on a small disk of its own."""
    here = reserve()
    image = tmp_path_factory.mktemp("disk") / "image"
    place = here.place / "disk"
    place.mkdir()
    subprocess.run(["truncate", "-s", f"{IMAGE_MB}M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    small = replace(here, place=place)
    for elsewhere in (here.home, here.checkout):
        (place / elsewhere.name).symlink_to(elsewhere)
    try:
        small.up()
        yield small
    finally:
        try:
            (place / "filler").unlink(missing_ok=True)
            if small.state.exists():
                small.down("--purge", "--yes")
        finally:
            subprocess.run(["umount", place], check=True)
            shutil.rmtree(here.place)
            image.unlink()


@pytest.fixture(scope="module")
def repository(small: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    small.pogo("create", BALLAST)
    work = small.create(source(tmp_path_factory.mktemp("filled") / "app"), APP)
    small.push(work)
    settle(small, APP, 1, version(small, APP))
    return work


def fill(small: Installation, leave_mb: int) -> None:
    """Take what is free on the disk, but for some."""
    free = shutil.disk_usage(small.place).free - (max(leave_mb, 16) << 20)
    with (small.place / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)
    if not leave_mb:
        with (small.place / "filler").open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass


def free(small: Installation) -> None:
    (small.place / "filler").unlink()


def test_in_a_build(small: Installation, repository: Path) -> None:
    """The pusher is told, the old release serves on, and after space was made the next push works."""
    before = version(small, APP)
    hook = repository / "bin" / "pre_compile"
    harmless = hook.read_text()
    hook.write_text(GREEDY)
    small.commit(repository, "greedy")
    fill(small, 150)
    with Requests(small, APP) as load:
        done = small.call("git", "push", "pogo", "main", cwd=repository, timeout=90)
        assert done.returncode != 0
        assert "space" in done.stdout, done.stdout
        assert "Push rejected" in done.stdout or "Push failed" in done.stdout
        settle(small, APP, 1, before)
    assert load.failed == []
    assert answered(small, f"/apps/{APP}/builds")[-1]["status"] == "failed"
    free(small)
    hook.write_text(harmless)
    small.commit(repository, "modest")
    assert "deployed to Pogo" in small.push(repository)
    settle(small, APP, 1, before + 1)


def test_everywhere(small: Installation, repository: Path) -> None:
    """Requests are served and what is there is shown; changes are refused with the reason, also after a restart."""
    with Requests(small, APP) as load:
        fill(small, 0)
        eventually(lambda: _refused(small))
        assert ask(small, f"/apps/{APP}")["name"] == APP
        small.commit(repository, "too much")
        done = small.call("git", "push", "pogo", "main", cwd=repository, timeout=60)
        assert done.returncode != 0
        assert "full" in done.stdout or "space" in done.stdout, done.stdout
        small.kill("pogod")
        answered(small, f"/apps/{APP}")
        eventually(lambda: _refused(small))
        assert "app[web.1]: " in small.pogo("logs", "-a", APP)
        before = version(small, APP)
        free(small)
        said = small.pogo("config:set", "AFTER=1", "-a", APP)
        assert f"v{before + 1}" in said
        settle(small, APP, 1, before + 1)
        lines = len(log(small, APP))
        eventually(lambda: len(log(small, APP)) > lines + 20)
    assert load.failed == []
    assert "deployed to Pogo" in small.push(repository)
    settle(small, APP, 1, before + 2)


def _refused(small: Installation) -> bool:
    """Whether a change is refused. Many, one after the other: SQLite has room for some in its journal.

    The journal is emptied by a restart, but not made smaller: there may be megabytes.
    """
    for number in range(100):
        answer = request(small, "PATCH", f"/apps/{BALLAST}/config-vars", {"BALLAST": f"{number}{'x' * 20000}"})
        if answer.status != 200:
            assert answer.status == 507 and "full" in answer.body, answer
            return True
    return False


def test_what_ends_and_dies_meanwhile(small: Installation, repository: Path) -> None:
    """A release phase ends, a dyno crashes, the parts are killed, all on a full disk: with space, all is well again."""
    (repository / "Procfile").write_text("web: python3 server.py\nrelease: sleep ${PHASE:-0}; echo phase\n")
    small.commit(repository, "with a release phase")
    small.push(repository)
    small.pogo("ps:scale", "web=2", "-a", APP)
    settle(small, APP, 2, before := version(small, APP))
    small.pogo("config:set", "PHASE=5", "-a", APP)
    eventually(lambda: any(one["type"] == "release" and one["state"] == "up" for one in _dynos(small)))
    fill(small, 0)
    eventually(lambda: _refused(small))
    _check_refusals(small)
    for part in ("agent", "router", "pogod"):
        small.kill(part)
    eventually(lambda: _serves(small))
    with Requests(small, APP) as load:
        answered(small, f"/apps/{APP}")
        eventually(lambda: _refused(small))
        eventually(lambda: not _running(small, "release-"))
        os.kill(int((_running(small, "web-").pop() / "pid").read_text()), signal.SIGKILL)
        _check_refusals(small)
        free(small)
        settle(small, APP, 2, before + 1)
        eventually(lambda: any(load.last.path in line.text for line in log(small, APP) if line.dyno == "router"))
    # Those that the killed dyno had been given.
    assert len(load.failed) <= 4, load.failed
    release = releases(small, APP)[-1]
    assert release["status"] == "succeeded"
    assert (small.state / "transcripts" / f"{release['id']}.end").exists()
    small.pogo("ps:scale", "web=1", "-a", APP)
    settle(small, APP, 1, before + 1)


def _dynos(small: Installation) -> list[dict[str, str]]:
    found: list[dict[str, str]] = answered(small, f"/apps/{APP}/dynos")
    return found


def _running(small: Installation, kind: str) -> set[Path]:
    """Records of containers of which it is not on record how they ended."""
    return {path for path in (small.state / "run/c").glob(f"{kind}*") if not (path / "exit").exists()}


def _serves(small: Installation) -> bool:
    try:
        return small.get(APP).status == 200
    except OSError:
        return False


def _check_refusals(small: Installation) -> None:
    """What is asked is answered by words of the disk, and what is there is shown."""
    for words in (("config:set", "LATE=1"), ("ps:scale", "web=1"), ("run:detached", "true"), ("ps:restart",)):
        done = small.call("pogo", *words, "-a", APP)
        assert done.returncode != 0 and "disk is full" in done.stdout, (words, done.stdout)
    refused = request(small, "POST", "/oauth/authorizations", {"description": "a login"})
    assert refused.status == 507 and json.loads(refused.body)["id"] == "storage_full", refused
    for words in (("apps",), ("ps", "-a", APP), ("config", "-a", APP), ("releases", "-a", APP)):
        done = small.call("pogo", *words)
        assert done.returncode == 0, (words, done.stdout)
