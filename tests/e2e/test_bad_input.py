"""What cannot be deployed or done: a clear word, an exit status, the old release untouched, nothing left behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from installation import Installation
from small_apps import change, make, small
from waiting import eventually
from wreckage import leftovers


@pytest.fixture(scope="module")
def app(platform: Installation) -> Iterator[Path]:
    work = make(platform, "steady", small("good"))
    platform.push(work)
    eventually(lambda: platform.get("steady").status == 200)
    yield work
    platform.pogo("destroy", "--confirm", "steady", cwd=work)


@pytest.fixture(autouse=True)
def untouched(platform: Installation, app: Path) -> Iterator[None]:
    """Afterwards the same dyno of the same release serves, and no container, mount, file or cgroup is left."""
    before = (platform.pogo_json("ps", "-a", "steady"), platform.pogo("releases", cwd=app).splitlines()[0])
    objects = stored(platform)
    yield
    assert (platform.pogo_json("ps", "-a", "steady"), platform.pogo("releases", cwd=app).splitlines()[0]) == before
    assert platform.get("steady").body == "good web.1"
    eventually(lambda: leftovers(platform) == [])
    assert stored(platform) == objects


def stored(platform: Installation) -> set[Path]:
    return {path for path in (platform.state / "store").rglob("*") if path.is_file()}


def refused(platform: Installation, work: Path, files: Mapping[str, str]) -> str:
    """What a push of these changes said, which has to fail; the changes are taken back."""
    change(platform, work, files, push=False)
    done = platform.call("git", "push", "pogo", "main", cwd=work)
    platform.run("git", "reset", "--quiet", "--hard", "pogo/main", cwd=work)
    assert done.returncode == 1, done.stdout
    assert "[remote rejected] main -> main (pre-receive hook declined)" in done.stdout
    return done.stdout


def test_a_procfile_that_is_none(platform: Installation, app: Path) -> None:
    said = refused(platform, app, {"Procfile": "web process: python3 server.py\n"})
    assert "remote:  !     The Procfile is not valid: line 1: 'web process' is not a process type;" in said
    assert (
        "remote:        Each line has to be '<process type>: <command>', for example 'web: gunicorn app:app'." in said
    )
    assert "remote:  !     Push rejected, the Procfile is not valid." in said


def test_no_buildpack_matches(platform: Installation, app: Path) -> None:
    platform.run("git", "rm", "--quiet", "Procfile", cwd=app)
    said = refused(platform, app, {"server.zig": "const std = 1;\n"})
    assert "remote:  !     No default language could be detected for this app." in said
    assert "buildpacks:set" in said


def test_a_buildpack_that_is_not_there(platform: Installation, app: Path) -> None:
    unknown = platform.call("pogo", "buildpacks:set", "heroku/cobol", cwd=app)
    if unknown.returncode == 0:
        assert "cobol" in refused(platform, app, {"note": "x"})
        platform.pogo("buildpacks:clear", cwd=app)
    else:
        assert "cobol" in unknown.stdout
    platform.pogo("buildpacks:set", "https://127.0.0.1:1/nobody/nothing.git", cwd=app)
    said = refused(platform, app, {"note": "y"})
    assert "Could not fetch the buildpack https://127.0.0.1:1/nobody/nothing.git" in said
    platform.pogo("buildpacks:clear", cwd=app)


def test_a_package_that_does_not_exist(platform: Installation, app: Path) -> None:
    said = refused(platform, app, {"requirements.txt": "pogo-e2e-no-such-package==1.0\n"})
    assert "No matching distribution found for pogo-e2e-no-such-package==1.0" in said
    assert "remote:  !     Push rejected, failed to compile Python app." in said
    assert "remote:  !     Push failed" in said


def test_a_slug_that_is_too_large(platform: Installation, app: Path) -> None:
    try:
        platform.up(POGO_SLUG_MAX_MB="1")
        (app / "big").write_bytes(os.urandom(2 << 20))
        said = refused(platform, app, {})
    finally:
        platform.up(POGO_SLUG_MAX_MB="1024")
    assert "remote:  !     Compiled slug size: 2" in said
    assert "is too large (max is 1M)." in said
    assert ".slugignore" in said
    assert "remote:  !     Push rejected, the slug is too large." in said


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("create", "steady"), "Name steady is already taken"),
        (("create", "Bad_Name"), "Name must start with a letter, end with a letter or digit and can only contain"),
        (("create", "api"), "Name api is reserved for the platform."),
        (("rename", "hello"), "Name hello is already taken"),
        (("ps:scale", "worker=1"), "Couldn't find that process type (worker)."),
        (("ps:scale", "web=two"), "web=two is invalid."),
        (("ps:scale", "web=1000"), "Cannot scale web to 1000"),
        (("ps:scale", "web=1:enormous"), "enormous"),
        (("ps:stop", "web.9"), "Couldn't find that dyno (web.9)."),
        (("config:set", "A B"), "A B is invalid."),
        (("config:get", "NOT_THERE", "--app", "not-there"), "Couldn't find that app."),
        (("rollback", "v99"), "Couldn't find that release"),
        (("rollback", "v1"), "Cannot roll back to v1"),
        (("domains:remove", "www.example.net"), "Couldn't find that domain"),
        (("buildpacks:remove", "heroku/ruby"), "No buildpacks were found."),
        (("stack:set", "heroku-99"), "heroku-99"),
        (("frobnicate",), "frobnicate"),
        (("logs", "--num", "many"), "many"),
        (("info", "--app", "not-there"), "Couldn't find that app."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands(platform: Installation, app: Path, command: tuple[str, ...], message: str) -> None:
    done: subprocess.CompletedProcess[str] = platform.call("pogo", *command, cwd=app)
    assert done.returncode != 0
    assert message in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


def test_outside_of_a_repository(platform: Installation, app: Path) -> None:
    done = platform.call("pogo", "ps")
    assert done.returncode != 0
    assert "--app" in done.stdout
