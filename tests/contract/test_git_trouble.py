"""git push when several come at once, when a part goes away in the middle, and when it is big."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import httpx2
import pytest
from git_client import Installation, WorkTree, finished, in_progress, rejected, until, wait_for

from pogo.services import apps, builds

pytest_plugins = ["git_fixtures"]


class TestSeveralAtOnce:
    def test_two_first_pushes(self, platform: Installation, tree: WorkTree, tmp_path: Path) -> None:
        tree.commit(f"say {tmp_path}/go", f"wait {tmp_path}/go")
        other = WorkTree(tmp_path / "other", platform)
        other.commit("say other")
        first = tree.start_push()
        wait_for(lambda: in_progress(platform, tmp_path / "go"))
        second = other.start_push()
        assert b"Another push to shop must end first" in until(second, b"must end first")
        (tmp_path / "go").touch()
        assert finished(first).status == 0
        done = finished(second)
        assert rejected(done) and "Another push was faster" in done.output
        assert platform.at("refs/heads/main") == tree.head()

    def test_the_second_goes_on_when_the_first_fails(
        self, platform: Installation, tree: WorkTree, tmp_path: Path
    ) -> None:
        tree.commit(f"say {tmp_path}/go", f"wait {tmp_path}/go", "fail it was bad")
        other = WorkTree(tmp_path / "other", platform)
        other.commit("say other")
        first = tree.start_push()
        wait_for(lambda: in_progress(platform, tmp_path / "go"))
        second = other.start_push()
        until(second, b"must end first")
        (tmp_path / "go").touch()
        assert rejected(finished(first))
        assert finished(second).status == 0
        assert platform.at("refs/heads/main") == other.head()

    def test_a_build_of_the_api_comes_first(self, platform: Installation, tree: WorkTree, tmp_path: Path) -> None:
        tree.commit(f"say {tmp_path}/go", f"wait {tmp_path}/go")
        tar = subprocess.run(["git", "archive", "HEAD"], cwd=tree.path, capture_output=True, check=True).stdout
        (platform.state / "store" / "sources").mkdir(parents=True, exist_ok=True)
        (platform.state / "store" / "sources" / "api.tar").write_bytes(tar)
        builds.start_build(platform.db, platform.app, platform.user, "sources/api.tar", "x")
        wait_for(lambda: in_progress(platform, tmp_path / "go"))
        tree.commit("say mine")
        push = tree.start_push()
        assert b"Another build of this app must end first" in until(push, b"must end first")
        (tmp_path / "go").touch()
        assert finished(push).status == 0

    def test_many_apps_at_once(self, platform: Installation, tree: WorkTree) -> None:
        tree.commit("sleep 0.3")
        names = [f"app-{n}" for n in range(6)]
        for name in names:
            platform.new_app(name)
        pushes = [tree.start_push(platform.url(name), "main") for name in names]
        assert [finished(push).status for push in pushes] == [0] * 6

    def test_two_clients_make_one_repository(self, platform: Installation) -> None:
        url = platform.url() + "/info/refs?service=git-receive-pack"
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(httpx2.get(url).status_code)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 12
        assert platform.repository.exists()
        assert not list(platform.settings.git_dir.glob(".*"))


class TestBrokenOff:
    def test_a_pusher_that_goes_away(self, platform: Installation, tree: WorkTree, tmp_path: Path) -> None:
        commit = tree.commit(f"say {tmp_path}/go", f"wait {tmp_path}/go")
        push = tree.start_push()
        until(push, b"/go")
        os.killpg(push.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        assert finished(push).status != 0
        time.sleep(0.3)
        (tmp_path / "go").touch()
        wait_for(lambda: platform.at("refs/heads/main") == commit)
        assert builds.list_builds(platform.db, platform.app)[0].status == "succeeded"
        assert "Everything up-to-date" in tree.push().output

    def test_half_a_pack_changes_nothing(self, platform: Installation, tree: WorkTree) -> None:
        commit = tree.commit(noise=os.urandom(5_000_000))
        tree.git("ls-remote", "pogo")
        pack = subprocess.run(
            ["git", "pack-objects", "--revs", "--stdout", "--all"],
            cwd=tree.path,
            input=b"",
            capture_output=True,
            check=True,
        ).stdout
        line = f"{'0' * 40} {commit} refs/heads/main\0report-status\n".encode()
        body = b"%04x%b0000%b" % (len(line) + 4, line, pack)
        auth = base64.b64encode(f"x:{platform.token}".encode())
        for length in (None, len(body)):
            with socket.create_connection(("127.0.0.1", platform.port)) as connection:
                framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
                connection.sendall(
                    b"POST /shop.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n"
                    b"Content-Type: application/x-git-receive-pack-request\r\n%b\r\n\r\n" % (auth, framing)
                )
                half = body[: len(body) // 2]
                connection.sendall(half if length else b"%x\r\n%b\r\n" % (len(half), half))
                time.sleep(0.3)
        wait_for(lambda: not list(platform.repository.glob("objects/tmp_objdir-*")))
        assert platform.at("refs/heads/main") == "" and builds.list_builds(platform.db, platform.app) == []
        assert tree.push().status == 0

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
    def test_a_daemon_stopped_during_the_build(
        self, platform: Installation, tree: WorkTree, tmp_path: Path, how: signal.Signals
    ) -> None:
        commit = tree.commit(f"say {tmp_path}/go", f"wait {tmp_path}/go")
        push = tree.start_push()
        until(push, b"/go")
        platform.kill(how)
        assert finished(push).status != 0
        platform.start()
        again = tree.start_push()
        until(again, b"earlier push of this commit was interrupted")
        (tmp_path / "go").touch()
        done = finished(again)
        assert done.status == 0 and "Released v2" in done.output
        assert platform.at("refs/heads/main") == commit
        assert len(builds.list_builds(platform.db, platform.app)) == 1
        assert platform.sources() == []

    def test_kill_9_during_the_upload(self, platform: Installation, tree: WorkTree) -> None:
        tree.commit(noise=os.urandom(60_000_000))
        tree.git("ls-remote", "pogo")
        push = tree.start_push()
        wait_for(lambda: list(platform.repository.glob("objects/tmp_objdir-*/**/tmp_pack_*")), 30)
        platform.kill()
        assert finished(push).status != 0
        # What a power cut would leave besides:
        for left in ("refs/heads/main.lock", "HEAD.lock", "packed-refs.lock", "objects/tmp_objdir-incoming-x/a"):
            (platform.repository / left).parent.mkdir(parents=True, exist_ok=True)
            (platform.repository / left).touch()
        (platform.settings.git_dir / ".new-half").mkdir()
        (platform.state / "store" / "sources").mkdir(parents=True, exist_ok=True)
        (platform.state / "store" / "sources" / "push-orphan.tar").touch()
        platform.start()
        assert platform.sources() == []
        assert not (platform.settings.git_dir / ".new-half").exists()
        done = tree.push()
        assert done.status == 0, done.output
        assert not list(platform.repository.glob("objects/tmp_objdir-*"))
        # HEAD is set after the answer, and locked for as long as that takes.
        wait_for(lambda: not list(platform.repository.rglob("*.lock")))

    def test_an_app_destroyed_during_its_build(self, platform: Installation, tree: WorkTree, tmp_path: Path) -> None:
        tree.commit(f"say {tmp_path}/go", f"wait {tmp_path}/go")
        push = tree.start_push()
        until(push, b"/go")
        apps.destroy_app(platform.db, platform.app)
        done = finished(push)
        assert rejected(done) and "shop was destroyed meanwhile" in done.output


def test_a_full_disk_is_said_and_leaves_nothing(platform: Installation, tree: WorkTree) -> None:
    store = platform.state / "store" / "sources"
    store.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(store)], check=True)
    try:
        tree.commit(noise=os.urandom(8_000_000))
        done = tree.push()
        assert rejected(done) and "remote:  !     Push rejected: The platform's disk is full" in done.output
        assert os.listdir(store) == []
        assert builds.list_builds(platform.db, platform.app) == []
    finally:
        subprocess.run(["umount", str(store)], check=True)
    assert tree.push().status == 0


def test_a_big_push_takes_constant_memory(platform: Installation, tree: WorkTree) -> None:
    tree.commit()
    assert tree.push().status == 0
    platform.forget_peak()
    before = platform.memory()
    tree.git("config", "core.compression", "0")  # the client's own work is not what is measured
    tree.git("config", "core.bigFileThreshold", "1m")
    for number in range(3):
        (tree.path / f"big{number}").write_bytes(os.urandom(50_000_000))
    tree.commit()
    started = time.monotonic()
    done = tree.push()
    seconds = time.monotonic() - started
    assert done.status == 0, done.output
    after_push = platform.memory()
    path = tree.path.with_name("back")
    assert tree.git("clone", "--quiet", platform.url(), str(path)).status == 0
    after_clone = platform.memory()
    print(f"150 MB push in {seconds:.1f} s; daemon's peak {before} -> {after_push} -> {after_clone} MB (clone)")
    assert after_clone - before < 25
    assert (path / "big2").read_bytes() == (tree.path / "big2").read_bytes()
