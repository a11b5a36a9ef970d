"""Where packs, submodules and sources come from, and what happens when they cannot be had; in real containers."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from builder_rig import Builder
from test_builder import DETECT, Runner, address, run, source

__all__ = ["run"]

COUNTING = {
    "bin/detect": DETECT,
    "bin/compile": '#!/bin/sh\necho "compiled by $(cat "$(dirname "$0")/../who")"\ntouch "$1/Procfile"\n',
    "who": "one",
}
PACKS = "https://packs.example.com/"
NOWHERE = {PACKS: "file:///nowhere/"}


def served(build_id: str) -> dict[str, str]:
    """The app's own directory as the mirror of a server that does not exist."""
    return {PACKS: f"file:///tmp/build_{build_id}/packs/"}


def git(directory: Path, *arguments: str) -> str:
    who = [word for key in ("name", "email") for word in ("-c", f"user.{key}=t@example.com")]
    command = ["git", *who, "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def test_a_pack_is_kept_and_only_asked_for_again(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, counted=COUNTING)
    bare, pack = app / "packs/counted.git", f"{PACKS}counted.git#v1"

    async def scenario(builder: Builder) -> None:
        first = await builder.build(app, [pack], mirrors=served("d1"), build_id="d1")
        assert "compiled by one" in first.log, first.log

        # The branch or tag has moved: the next build sees it.
        (tmp_path / "tree/counted/who").write_text("two")
        (tmp_path / "tree/counted/bin/compile").write_text(COUNTING["bin/compile"])
        git(tmp_path / "tree/counted", "commit", "-qam", "two")
        git(tmp_path / "tree/counted", "push", "-qf", str(bare), "HEAD:refs/tags/v1")
        second = await builder.build(app, [pack], cache=first.cache, mirrors=served("d2"), build_id="d2")
        assert "compiled by two" in second.log, second.log

        # Its server is gone: the copy serves, and that is said; without a copy it is an error.
        third = await builder.build(app, [pack], cache=second.cache, mirrors=NOWHERE)
        assert third.status == 0
        assert f" !     The buildpack {pack} cannot be updated: its server does not answer." in third.log
        assert "compiled by two" in third.log
        none = await builder.build(app, [pack], mirrors=NOWHERE)
        assert none.status == 1
        assert f" !     Could not fetch the buildpack {pack}:\n" in none.log
        assert none.log.endswith("\n !     Push failed\n")

        # A commit by its id needs no server at all; a ref that is gone is an error though there is a copy.
        pinned = f"{PACKS}counted.git#{git(bare, 'rev-parse', 'v1')}"
        fourth = await builder.build(app, [pinned], cache=second.cache, mirrors=served("d4"), build_id="d4")
        fifth = await builder.build(app, [pinned], cache=fourth.cache, mirrors=NOWHERE)
        assert fifth.status == 0 and "cannot be updated" not in fifth.log
        git(bare, "tag", "-d", "v1")
        sixth = await builder.build(app, [pack], cache=second.cache, mirrors=served("d6"), build_id="d6")
        assert (sixth.status, "Could not fetch the buildpack" in sixth.log) == (1, True), sixth.log

    run(scenario)


def tgz(target: Path, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> None:
    with tarfile.open(target, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
        for name, where in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, where
            tar.addfile(info)


def test_packs_from_archives(run: Runner, tmp_path: Path) -> None:
    """Without the bits that make scripts executable, as archives made elsewhere often are."""
    app = source(tmp_path)
    (app / "packs").mkdir()
    tgz(app / "packs/good.tgz", COUNTING)
    tgz(app / "packs/half.tgz", {"bin/detect": DETECT})
    tgz(app / "packs/evil.tgz", {"link/x": ""} | COUNTING, {"a": "b"})
    with tarfile.open(app / "packs/evil.tgz", "w:gz") as tar:
        for name, kind in (("link", tarfile.SYMTYPE), ("link/passwd", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc"
            tar.addfile(info, io.BytesIO())
    (app / "packs/none.tgz").write_text("<html>404</html>")

    async def scenario(builder: Builder) -> None:
        first = await builder.build(app, [f"{PACKS}good.tgz"], mirrors=served("e1"), build_id="e1")
        assert "compiled by one" in first.log, first.log
        again = await builder.build(app, [f"{PACKS}good.tgz"], cache=first.cache, mirrors=NOWHERE)
        assert again.status == 0 and "cannot be updated" in again.log, again.log
        for name, text in (
            ("half", f"{PACKS}half.tgz is not a buildpack: it has no bin/compile."),
            ("evil", f"The buildpack {PACKS}evil.tgz is refused: 'link/passwd' lies behind a symbolic link."),
            ("none", f"The buildpack {PACKS}none.tgz is refused: it is not a readable .tar or .tar.gz archive"),
            ("away", f"Could not fetch the buildpack {PACKS}away.tgz"),
        ):
            built = await builder.build(app, [f"{PACKS}{name}.tgz"], mirrors=served("e2"), build_id="e2")
            assert (built.status, text in built.log) == (1, True), built.log
            assert built.log.endswith("\n !     Push failed\n")

    run(scenario)


def test_a_pack_without_detect_fails_before_another_compiles(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, counted=COUNTING, half={"bin/compile": "", "README.md": ""})

    async def scenario(builder: Builder) -> None:
        packs = [address("f1", "counted"), address("f1", "half")]
        built = await builder.build(app, packs, build_id="f1")
        assert built.status == 1
        assert "is not a buildpack: it has no bin/detect." in built.log
        assert "compiled by" not in built.log

    run(scenario)


def test_names_of_the_operator_and_submodules_of_packs(run: Runner, tmp_path: Path) -> None:
    app = source(tmp_path, inner={"bin/compile": "", "who": "the submodule"}, outer=COUNTING)
    tree = tmp_path / "tree/outer"
    git(tree, "submodule", "--quiet", "add", str(app / "packs/inner.git"), "inner")
    git(tree, "config", "-f", ".gitmodules", "submodule.inner.url", f"{PACKS}inner.git")
    (tree / "bin/compile").write_text('#!/bin/sh\ncat inner/who\ntouch "$1/Procfile"\n')
    git(tree, "commit", "-qam", "with a submodule")
    git(tree, "push", "-qf", str(app / "packs/outer.git"), "HEAD:refs/tags/v1")

    async def scenario(builder: Builder) -> None:
        names = {"acme/outer": f"{PACKS}outer.git#v1"}
        built = await builder.build(app, ["acme/outer"], registry=names, mirrors=served("a9"), build_id="a9")
        assert "-----> Using buildpack: acme/outer" in built.log
        assert "the submodule" in built.log, built.log
        assert built.result["buildpacks"] == [{"url": "urn:buildpack:acme/outer", "name": "acme/outer"}]

    run(scenario)


def with_submodules(tmp_path: Path, url: str = f"{PACKS}lib.git") -> tuple[Path, dict[str, str]]:
    """An app as the hook sends it, with a submodule that has another one inside; and where both are at hand."""
    app = source(tmp_path, deep={"bin/compile": "", "deep.txt": "deep"}, lib={"bin/compile": "", "lib.txt": "lib"})
    tree = tmp_path / "tree/lib"
    git(tree, "submodule", "--quiet", "add", str(app / "packs/deep.git"), "in/deep")
    git(tree, "config", "-f", ".gitmodules", "submodule.in/deep.url", f"{PACKS}deep.git")
    git(tree, "commit", "-qam", "with a submodule")
    git(tree, "push", "-qf", str(app / "packs/lib.git"), "HEAD:main")
    commit = git(tree, "rev-parse", "HEAD")
    (app / "vendor/lib").mkdir(parents=True)
    (app / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = vendor/lib\n\turl = {url}\n\tbranch = main\n')
    (app / ".pogo-submodules").write_text(f"{commit} vendor/lib\n")
    (app / "Procfile").write_text("web: x\n")
    return app, {"commit": commit}


def test_submodules_of_a_push(run: Runner, tmp_path: Path) -> None:
    app, known = with_submodules(tmp_path)

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, pushed=True, mirrors=served("b7"), build_id="b7")
        assert built.status == 0, built.log
        assert "-----> Git submodules detected, installing\n" in built.log
        assert f"       Submodule 'vendor/lib' ({PACKS}lib.git) at {known['commit'][:8]}\n" in built.log
        status, output = await builder.run(
            built, "cat vendor/lib/lib.txt vendor/lib/in/deep/deep.txt; find . -name '.git'"
        )
        assert (status, output) == (0, "libdeep")
        uploaded = await builder.build(app, mirrors=served("b8"), build_id="b8")
        assert uploaded.status == 0 and "submodules" not in uploaded.log, "on Heroku, a matter of git push only"

    run(scenario)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("../lib.git", "its URL '../lib.git' is relative to a repository elsewhere."),
        ("git@github.com:acme/lib.git", "its URL 'git@github.com:acme/lib.git' does not begin with https://."),
        (
            f"{PACKS}none.git",
            "The submodule 'vendor/lib' could not be fetched from https://packs.example.com/none.git:",
        ),
        ("https://me:secret@127.0.0.1:1/x.git", "could not be fetched from https://127.0.0.1:1/x.git:"),
    ],
)
def test_submodules_that_cannot_be_had(run: Runner, tmp_path: Path, url: str, reason: str) -> None:
    app, _ = with_submodules(tmp_path, url)

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, pushed=True, mirrors=served("b9"), build_id="b9")
        assert (built.status, reason in built.log) == (1, True), built.log
        assert "secret" not in built.log
        assert built.log.endswith("\n !     Push failed\n")

    run(scenario)


def test_a_pack_that_needs_too_much_memory(run: Runner, tmp_path: Path) -> None:
    hungry = "#!/bin/sh\nexec python3 -c 'x = bytearray(400 << 20)'\n"
    app = source(tmp_path, hungry={"bin/detect": DETECT, "bin/compile": hungry})

    async def scenario(builder: Builder) -> None:
        builder.memory_mb = 200
        built = await builder.build(app, [address("c8", "hungry")], build_id="c8")
        assert built.status != 0
        if built.status == 1:  # else the kernel chose the builder itself, and pogod says the same
            assert "it needs more than the 200 MB that a build may use" in built.log
            assert "Push rejected, failed to compile Test app." in built.log

    run(scenario)


def test_a_slug_that_was_made_elsewhere(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "slug.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, mode in (("./app", 0o755), ("./app/run", 0o4755), ("./app/sub/x", 0o600)):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name == "./app" else tarfile.REGTYPE
            info.mode, info.uid = mode, 0
            text = b"#!/bin/sh\necho hello from $0\n"
            info.size = len(text) if name != "./app" else 0
            tar.addfile(info, io.BytesIO(text if name != "./app" else b""))
    monkeypatch.setattr("builder_rig._archive", lambda _, target: target.write_bytes(archive.read_bytes()))

    async def scenario(builder: Builder) -> None:
        built = await builder.build({}, kind="slug")
        assert built.status == 0, built.log
        assert built.log.startswith("-----> Compressing...\n       Done: ")
        status, output = await builder.run(built, "./run; stat -c %a run; test -r sub/x || echo unreadable")
        assert (status, output.splitlines()) == (0, ["hello from ./run", "755"]), output

        tgz(archive, {"app/x": "", "bin/y": ""})
        built = await builder.build({}, kind="slug")
        assert (built.status, "The slug is refused: 'bin/y' is not below ./app/." in built.log) == (1, True), built.log

    run(scenario)


def test_bits_and_links_of_a_source(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set-user-id bits are dropped, also those that a pack sets; a push may have links that lead nowhere."""
    setting = '#!/bin/sh\ncp /bin/true "$1/true"; chmod 6755 "$1/true"; touch "$1/Procfile"\n'
    app = source(tmp_path, setting={"bin/detect": DETECT, "bin/compile": setting})
    (app / "tool").write_text("x")
    (app / "tool").chmod(0o6755)
    (app / "mine").symlink_to("/home/me/secret")

    async def scenario(builder: Builder) -> None:
        built = await builder.build(app, [address("d8", "setting")], build_id="d8", pushed=True)
        assert built.status == 0, built.log
        assert "Symbolic links lead out of the app" in built.log and "       mine -> /home/me/secret\n" in built.log
        status, output = await builder.run(built, "stat -c %a tool true")
        assert (status, output.split()) == (0, ["755", "755"])

    run(scenario)
    assert os.path.lexists(app / "mine")
