"""What git tells somebody whose push is not taken, over HTTPS and over HTTP."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from small_apps import change, make, small
from waiting import eventually

SLOW_BUILD = "#!/bin/bash\nfor n in 1 2 3 4; do echo pre_compile $n; sleep 1; done\n"


@pytest.fixture(scope="module")
def app(platform: Installation) -> Iterator[Path]:
    work = make(platform, "mine", small())
    platform.push(work)
    yield work
    platform.pogo("destroy", "--confirm", "mine", cwd=work)


@pytest.fixture(scope="module")
def stranger(platform: Installation) -> str:
    """The token of another user, made by the operator."""
    admin = platform.pogo("auth:token").strip()
    user = {"email": "ann@example.com", "password": "correct horse battery"}
    assert call(platform, "POST", "/users", user, f"Bearer {admin}")["email"] == "ann@example.com"
    basic = base64.b64encode(b"ann@example.com:correct horse battery").decode()
    made = call(platform, "POST", "/oauth/authorizations", {"description": "test"}, f"Basic {basic}")
    return str(made["access_token"]["token"])


def call(platform: Installation, method: str, path: str, body: object, authorization: str) -> dict[str, dict[str, str]]:
    headers = {
        "Accept": "application/vnd.heroku+json; version=3",
        "Authorization": authorization,
        "Content-Type": "application/json",
    }
    answer = platform.get("127.0.0.1", path, method, headers, json.dumps(body))
    assert answer.status == 201, answer.body
    found: dict[str, dict[str, str]] = json.loads(answer.body)
    return found


def refused(platform: Installation, work: Path, *words: str) -> str:
    """What git said to a push that it did not make."""
    done = platform.call("git", "-c", f"http.sslCAInfo={platform.state}/tls/ca.pem", "push", *words, cwd=work)
    assert done.returncode != 0, done.stdout
    return done.stdout


def url(platform: Installation, app: str, token: str, scheme: str = "https") -> str:
    port = platform.https_port if scheme == "https" else platform.http_port
    return f"{scheme}://any:{token}@localhost:{port}/{app}.git"


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_who_may_not(platform: Installation, app: Path, stranger: str, scheme: str) -> None:
    token = platform.pogo("auth:token").strip()
    said = refused(platform, app, url(platform, "nobodys", token, scheme), "main")
    assert "remote: !     Couldn't find that app (nobodys). List yours by: pogo apps" in said
    said = refused(platform, app, url(platform, "mine", stranger, scheme), "main")
    assert "remote: !     You do not have access to the app mine." in said
    assert "pogo access:add ann@example.com" in said
    said = refused(platform, app, url(platform, "mine", "not-a-token", scheme), "main")
    assert "remote: !     The token is not valid, or has expired. Log in again by: pogo login" in said
    platform.pogo("access:add", "ann@example.com", cwd=app)
    change(platform, app, {"note": scheme}, push=False)
    done = platform.call(
        "git", "-c", f"http.sslCAInfo={platform.state}/tls/ca.pem",
        "push", url(platform, "mine", stranger, scheme), "main", cwd=app,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "ann@example.com" in platform.pogo("releases", "-n", "1", cwd=app)
    platform.pogo("access:remove", "ann@example.com", cwd=app)


def test_what_is_not_deployed(platform: Installation, app: Path) -> None:
    said = refused(platform, app, "pogo", "main:feature")
    assert "Nothing was deployed: only the branches main and master are, and this push has feature." in said
    assert "git push <remote> feature:main" in said
    assert "Everything up-to-date" in platform.push(app)
    assert "deletion prohibited" in refused(platform, app, "pogo", ":main")
    platform.run("git", "checkout", "--quiet", "--orphan", "other", cwd=app)
    platform.commit(app, "unrelated")
    assert "non-fast-forward" in refused(platform, app, "pogo", "other:main")
    platform.run("git", "checkout", "--quiet", "main", cwd=app)


def test_a_push_beside_a_build_waits_and_says_so(platform: Installation, app: Path, tmp_path: Path) -> None:
    (app / "bin").mkdir()
    (app / "bin" / "pre_compile").write_text(SLOW_BUILD)
    (app / "bin" / "pre_compile").chmod(0o755)
    change(platform, app, {"requirements.txt": ""}, push=False)
    first = subprocess.Popen(
        ["git", "push", "pogo", "main"],
        cwd=app,
        env=platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # The build shows itself when it is under way: the queue has something in front of it.
    eventually(lambda: list((platform.state / "run" / "c").glob("build-*")))
    change(platform, app, {"note": "later"}, push=False)
    second = platform.call("git", "push", "pogo", "main:master", cwd=app)
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert "pre_compile 4" in said
    assert "remote:  !     Another push to mine must end first: a build is running. This one waits." in second.stdout
    assert second.returncode == 0
    assert "Verifying deploy... done." in second.stdout
    assert second.stdout.index("This one waits.") < second.stdout.index("Building on the")


def test_a_push_that_is_cut_does_not_break_its_build(platform: Installation, app: Path) -> None:
    change(platform, app, {"note": "cut"}, push=False)
    push = subprocess.Popen(
        ["git", "push", "pogo", "main:master"],
        cwd=app,
        env=platform.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert push.stderr is not None
    while b"pre_compile 1" not in push.stderr.readline():
        assert push.poll() is None
    push.kill()
    push.stderr.close()
    push.wait()
    commit = platform.run("git", "rev-parse", "HEAD", cwd=app)[:8]
    eventually(lambda: f"Deploy {commit}" in platform.pogo("releases", cwd=app))
    again = platform.call("git", "push", "pogo", "main:master", cwd=app)
    assert again.returncode == 0


def test_a_push_whose_build_is_cancelled_is_refused(platform: Installation, app: Path) -> None:
    change(platform, app, {"note": "cancelled"}, push=False)
    push = subprocess.Popen(
        ["git", "push", "pogo", "main:master"],
        cwd=app,
        env=platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert push.stdout is not None
    said = ""
    while "pre_compile 1" not in said:
        said += push.stdout.readline()
    hint = next(line for line in said.splitlines() if "Ctrl-C leaves it running" in line)
    command = hint.partition("pogo builds:cancel ")[2].split()
    assert "done" in platform.call("pogo", "builds:cancel", *command, cwd=app).stdout
    rest, _ = push.communicate(timeout=30)
    assert push.returncode != 0
    assert "The build was cancelled by " in rest and "Push rejected" in rest
    listed = platform.pogo("builds", "-n", "1", cwd=app)
    assert "cancelled" in listed
    output = platform.pogo("builds:output", command[0], cwd=app)
    assert "pre_compile 1" in output and "cancelled by" in output
