"""git push, clone and fetch: the real client against the real bridge, hook, database and store."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from pathlib import Path

import httpx2
import pytest
from git_client import Installation, WorkTree, finished, rejected, wait_for

from pogo.services import access, builds, people, releases

pytest_plugins = ["git_fixtures"]


def clone(tree: WorkTree, name: str) -> WorkTree:
    """Another work tree with the same history, pushing to the same app."""
    path = tree.path.with_name(name)
    subprocess.run(["git", "clone", "--quiet", "--origin", "pogo", str(tree.path), str(path)], check=True)
    other = WorkTree(path, tree.platform)
    other.git("remote", "set-url", "pogo", tree.platform.url())
    return other


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


def test_another_branch_is_refused_and_says_how_to_deploy_it(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit()
    tree.git("tag", "v1")
    done = tree.push("pogo", "main:feature", "v1")
    assert rejected(done)
    assert "git push <remote> feature:main" in done.output
    assert platform.at("refs/heads/feature") == ""
    assert builds.list_builds(platform.db, platform.app) == []
    assert tree.push("pogo", "v1").status == 0
    assert tree.push("pogo", "main", "main:feature").status == 0
    assert platform.at("refs/heads/feature") == platform.at("refs/tags/v1") == commit
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


def test_submodules_are_listed_for_the_builder(platform: Installation, tree: WorkTree) -> None:
    tree.commit(**{".gitmodules": b'[submodule "x"]\n\tpath = lib/x y\n\turl = https://example.com/x\n'})
    assert ".pogo-submodules" not in tree.push().output
    pinned = "1234567890" * 4
    tree.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},lib/x y")
    tree.git("commit", "--quiet", "--message", "with a submodule")
    done = tree.push()
    assert done.status == 0 and " .pogo-submodules " in done.output
    found = subprocess.run(
        ["git", "ls-tree", "-r", "HEAD"], cwd=tree.path, capture_output=True, text=True, check=True
    ).stdout
    assert f"160000 commit {pinned}\tlib/x y" in found


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


def test_the_release_is_the_pushed_commit(platform: Installation, tree: WorkTree) -> None:
    commit = tree.commit()
    tree.push()
    release = releases.current_release(platform.db, platform.app.id)
    assert release and release.slug and release.slug.commit == commit
    assert re.fullmatch(r"Deploy [0-9a-f]{8}", release.description)
