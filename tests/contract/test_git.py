"""git push, clone and fetch: the real client against the real bridge, hook, database and store."""

from __future__ import annotations

import base64
import gzip
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from git_client import Done, Installation, WorkTree, finished, wait_for

from pogo.services import access, apps, builds, people, releases


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, schema: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("git"), schema)
    yield installation
    installation.stop()


@pytest.fixture
def platform(running: Installation) -> Installation:
    """A daemon with a new app `shop`."""
    running.begin_again()
    return running


@pytest.fixture
def tree(tmp_path: Path, platform: Installation) -> WorkTree:
    return WorkTree(tmp_path / "tree", platform)


def clone(tree: WorkTree, name: str) -> WorkTree:
    """Another work tree with the same history, pushing to the same app."""
    path = tree.path.with_name(name)
    subprocess.run(["git", "clone", "--quiet", "--origin", "pogo", str(tree.path), str(path)], check=True)
    other = WorkTree(path, tree.platform)
    other.git("remote", "set-url", "pogo", tree.platform.url())
    return other


def rejected(done: Done) -> bool:
    return done.status == 1 and "(pre-receive hook declined)" in done.output


def in_progress(platform: Installation, path: Path) -> bool:
    """Whether a build waits for this file, which the test makes when it has seen enough."""
    return any(str(path).encode() in t.read_bytes() for t in (platform.state / "transcripts").glob("*.txt"))


def test_a_push_shows_its_build_and_deploys(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit("say -----> Playing", **{"app.py": b"x"})
    done = tree.push()
    assert done.status == 0, done.output
    assert "remote: -----> Playing\n" in done.output
    assert "remote: files: app.py pax_global_header play\n" in done.output or "files: app.py play\n" in done.output
    assert "remote:        Released v2\n" in done.output
    assert "remote: Verifying deploy... done.\n" in done.output
    assert platform.at("refs/heads/main") == commit
    build = builds.list_builds(platform.db, platform.app)[0]
    assert (build.source_version, build.status, build.user_id) == (commit, "succeeded", platform.user.id)
    assert platform.sources() == []
    assert "Everything up-to-date" in tree.push().output
    owner = platform.user
    wait_for(lambda: (access.find_app(platform.db, owner, "shop").repo_size or 0) > 100)


class TestRefusals:
    def message(self, tree: WorkTree, url: str) -> str:
        tree.commit()
        done = tree.push(url, "main")
        assert done.status != 0
        return done.output

    def test_unknown_app(self, platform: Installation, tree: WorkTree) -> None:
        text = self.message(tree, platform.url("nope"))
        assert "remote: !     Couldn't find that app (nope)." in text
        assert "not found" in text.splitlines()[-1]

    def test_wrong_token(self, platform: Installation, tree: WorkTree) -> None:
        text = self.message(tree, platform.url(token="HRKU-wrong"))
        assert "remote: !     The token is not valid" in text and "Authentication failed" in text

    def test_no_token(self, platform: Installation, tree: WorkTree) -> None:
        assert "could not read Username" in self.message(tree, f"http://127.0.0.1:{platform.port}/shop.git")
        answer = httpx2.get(f"http://127.0.0.1:{platform.port}/shop.git/info/refs?service=git-receive-pack")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="Pogo"'

    def test_no_access(self, platform: Installation, tree: WorkTree) -> None:
        _, token = platform.new_user("stranger@example.com")
        text = self.message(tree, platform.url(token=token))
        assert "remote: !     You do not have access to the app shop." in text and "403" in text

    def test_a_collaborator_may(self, platform: Installation, tree: WorkTree) -> None:
        friend, token = platform.new_user("friend@example.com")
        access.add_collaborator(platform.db, platform.app, friend.email)
        tree.commit()
        assert tree.push(platform.url(token=token), "main").status == 0

    def test_a_token_that_only_reads(self, platform: Installation, tree: WorkTree) -> None:
        tree.commit()
        tree.push()
        user = platform.user
        token = people.authorize(platform.db, user, scope=["read"])[1]
        assert "its scope is read" in self.message(tree, platform.url(token=token))
        assert tree.git("ls-remote", platform.url(token=token)).status == 0

    def test_an_ancient_git(self, platform: Installation) -> None:
        answer = httpx2.get(platform.url() + "/info/refs")
        assert answer.status_code == 403 and "too old" in answer.text

    def test_the_hooks_door_is_shut(self, platform: Installation) -> None:
        base = f"http://127.0.0.1:{platform.port}/internal/pushes"
        for path in ("x/refs", "x/source", "x/done"):
            assert httpx2.post(f"{base}/{path}", headers={"Authorization": "Bearer x"}).status_code == 404

    def test_deleting_main(self, platform: Installation, tree: WorkTree) -> None:
        tree.commit()
        tree.push()
        done = tree.push("pogo", ":main")
        assert rejected(done) and "deletion prohibited" in done.output
        assert platform.at("refs/heads/main")

    def test_a_commit_that_is_none(self, tree: WorkTree) -> None:
        tree.commit()
        blob = tree.git("hash-object", "-w", "play").output.strip()
        done = tree.push("pogo", f"{blob}:refs/heads/main")
        assert done.status == 1 and "must be at a commit" in done.output

    def test_a_failed_build(self, platform: Installation, tree: WorkTree) -> None:
        tree.commit("fail failed to compile Play app")
        done = tree.push()
        assert rejected(done) and "remote:  !     Push rejected, failed to compile Play app.\n" in done.output
        assert platform.at("refs/heads/main") == ""
        assert platform.sources() == []
        assert not list(platform.repository.glob("objects/**/*.pack"))
        tree.commit()
        assert tree.push().status == 0


def test_other_branches_are_stored_without_a_build(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit()
    tree.git("tag", "v1")
    done = tree.push("pogo", "main:feature", "v1")
    assert done.status == 0
    assert "remote:  !     Pushed to non-main branch, skipping build: feature.\n" in done.output
    assert "git push <remote> feature:main" in done.output
    assert platform.at("refs/heads/feature") == platform.at("refs/tags/v1") == commit
    assert builds.list_builds(platform.db, platform.app) == []
    assert tree.push("pogo", ":feature").status == 0


def test_main_and_master_in_one_push_are_one_build(platform: Installation, tree: WorkTree) -> None:
    tree.commit()
    tree.git("branch", "master")
    done = tree.push("pogo", "main", "master")
    assert done.status == 0 and "both main and master" in done.output
    assert len(builds.list_builds(platform.db, platform.app)) == 1


def test_master_is_what_a_clone_checks_out(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit()
    assert tree.push("pogo", "main:master").status == 0
    wait_for(lambda: "master" in (platform.repository / "HEAD").read_text())
    path = tree.path.with_name("back")
    assert tree.git("clone", platform.url(), str(path)).status == 0
    assert WorkTree(path, platform).head() == commit


def test_an_empty_app_can_be_cloned(platform: Installation, tree: WorkTree) -> None:
    done = tree.git("clone", platform.url(), str(tree.path.with_name("empty")))
    assert done.status == 0 and "empty repository" in done.output


def test_a_fetch_with_a_gzip_body(platform: Installation, tree: WorkTree) -> None:
    for _ in range(60):
        tree.git("commit", "--quiet", "--allow-empty", "-m", "more")
    tree.commit()
    assert tree.push().status == 0
    other = clone(tree, "other")
    tree.commit()
    assert tree.push().status == 0
    traced = other.start("fetch", "pogo", http_extraHeader="X: 1")
    assert finished(traced).status == 0
    assert other.git("rev-parse", "pogo/main").output.strip() == tree.head()


def test_the_body_may_be_gzipped_by_hand(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit()
    tree.push()
    want = f"0032want {commit}\n00000009done\n".encode()
    headers = {"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip"}
    answer = httpx2.post(platform.url() + "/git-upload-pack", content=gzip.compress(want), headers=headers)
    assert answer.status_code == 200 and b"PACK" in answer.content


def test_a_force_push_of_an_old_commit_builds(platform: Installation, tree: WorkTree) -> None:
    first = tree.commit()
    tree.push()
    tree.commit()
    tree.push()
    tree.git("reset", "--hard", "--quiet", first)
    assert "non-fast-forward" in tree.push().output
    assert tree.push("--force", "pogo", "main").status == 0
    assert platform.at("refs/heads/main") == first
    assert len(builds.list_builds(platform.db, platform.app)) == 3


def test_chunked_and_unusual_bodies(platform: Installation, tree: WorkTree) -> None:
    """http.postBuffer below the size of the pack: chunked transfer, after a probe."""
    tree.commit(noise=os.urandom(3_000_000))
    assert tree.push(http_postBuffer="65536", http_version="HTTP/1.1").status == 0
    tree.commit(noise=os.urandom(1000))
    assert tree.push(http_extraHeader="Expect: 100-continue").status == 0


def test_what_the_commit_has_is_what_is_built(platform: Installation, tree: WorkTree) -> None:
    attributes = {".gitattributes": b"secret.txt export-ignore\n", "secret.txt": b"x"}
    tree.commit(**attributes)
    assert "secret.txt" in tree.push().output


def test_submodules_are_warned_of(platform: Installation, tree: WorkTree) -> None:
    tree.commit(**{".gitmodules": b'[submodule "x"]\n\tpath = x\n\turl = ../x\n'})
    done = tree.push()
    assert done.status == 0 and "submodules. They are not fetched" in done.output


def test_output_with_nul_and_escapes_cannot_end_the_push(platform: Installation, tree: WorkTree) -> None:
    tree.commit("say before\0exit 0", "say after", "fail a real failure")
    done = tree.push()
    assert rejected(done) and "after" in done.output


class TestRelease:
    def test_the_release_phase_is_shown(self, platform: Installation, tree: WorkTree, tmp_path: Path) -> None:
        tree.commit(f"release {tmp_path}/go")
        push = tree.start_push()
        wait_for(lambda: platform.at("refs/heads/main"))
        (tmp_path / "go").touch()
        done = finished(push)
        assert done.status == 0
        assert "remote: Running release command...\nremote:\nremote: migrating\n" in done.output
        assert "Verifying deploy... done." in done.output

    def test_its_failure_is_said(self, platform: Installation, tree: WorkTree) -> None:
        tree.commit()
        tree.push()
        tree.commit("release fail")
        done = tree.push()
        assert done.status == 0
        text = "remote:  !     Release command failed: v3 was not released; v2 goes on serving.\n"
        assert text in done.output and "Verifying" not in done.output

    def test_a_crash_is_said(self, tree: WorkTree) -> None:
        tree.commit("web crash")
        done = tree.push()
        assert done.status == 0
        assert "Verifying deploy... failed.\nremote:  !     web.1 of v2 crashed.\n" in done.output

    def test_dynos_that_never_come_up(self, tmp_path: Path, schema: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        installation = Installation(tmp_path / "s", schema, boot_timeout=-13)
        try:
            tree = WorkTree(tmp_path / "tree", installation)
            tree.commit("web never")
            done = tree.push()
            assert done.status == 0 and "did not come up within 2 s" in done.output
        finally:
            installation.stop()


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
        assert b"Another build of shop must end first" in until(push, b"must end first")
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


def until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Read the output of a push until these words have come."""
    assert process.stdout
    seen = b""
    while words not in seen:
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, seen
        seen += piece
    return seen


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
        assert not list(platform.repository.rglob("*.lock"))

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
    for number in range(6):
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
    print(f"300 MB push in {seconds:.1f} s; daemon's peak {before} -> {after_push} -> {after_clone} MB (clone)")
    assert after_clone - before < 25
    assert (path / "big5").read_bytes() == (tree.path / "big5").read_bytes()


def test_the_release_is_the_pushed_commit(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit()
    tree.push()
    release = releases.current_release(platform.db, platform.app.id)
    assert release and release.slug and release.slug.commit == commit
    assert re.fullmatch(r"Deploy [0-9a-f]{8}", release.description)
