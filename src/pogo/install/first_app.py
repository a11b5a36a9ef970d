"""The first deploy: an example by a real `git push`, so that a new platform has shown that it works."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import time
from pathlib import Path

from pogo.errors import CommandFailed, Unavailable
from pogo.install.caller import Caller
from pogo.install.progress import Say
from pogo.settings import Settings

NAME = "hello"
ANSWER_SECONDS = 90


def deploy(settings: Settings, caller: Caller, program: Path, checkout: Path, apps: list[str], say: Say) -> None:
    """Push `examples/flask` as the caller would. Repeatable: after an interruption it pushes again.

    program: the `pogo` that speaks to this installation, whatever the caller's current platform is.
    """
    if not (NAME in apps and status(settings) == 200):
        home = settings.state_dir / "first-app"  # one place, so that what an interrupted run left goes
        if home.exists():
            shutil.rmtree(home)
        home.mkdir()
        try:
            _push(caller, program, checkout, home / NAME, apps, say)
        finally:
            shutil.rmtree(home)
        say("waiting for its answer")
        _until_it_answers(settings)
    say(settings.app_url(NAME))


def _push(caller: Caller, program: Path, checkout: Path, work: Path, apps: list[str], say: Say) -> None:
    shutil.copytree(checkout / "examples" / "flask", work)
    for path in (work.parent, work, *work.rglob("*")):
        shutil.chown(path, caller.uid, caller.gid)
    git = ("git", "-c", "user.name=Pogoapp", "-c", "user.email=pogo@localhost", "-c", "init.defaultBranch=main")
    caller.run(*git, "init", "--quiet", cwd=work)
    caller.run(*git, "add", "--all", cwd=work)
    caller.run(*git, "commit", "--quiet", "--message", "The Flask example", cwd=work)
    verb = ("git:remote", "--app", NAME) if NAME in apps else ("create", NAME)
    caller.run(program, *verb, cwd=work)
    _watch(caller.command(*git, "push", "--force", "pogo", "main"), caller, work, say)


def _watch(command: list[str], caller: Caller, work: Path, say: Say) -> None:
    """Run the push and show the headings of its build. Raises CommandFailed with its last lines."""
    environment = {**caller.environment(), "GIT_TERMINAL_PROMPT": "0"}
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            lines.append(raw.decode(errors="replace").rstrip())
            _, heading, text = lines[-1].partition("-----> ")
            if heading:
                say(text)
    if process.returncode:
        raise CommandFailed(command, process.returncode, "\n".join(lines))


def _until_it_answers(settings: Settings) -> None:
    end = time.monotonic() + ANSWER_SECONDS
    while status(settings) != 200:
        if time.monotonic() > end:
            raise Unavailable(f"The app {NAME} was built but does not answer. See: pogo logs --app {NAME}")
        time.sleep(0.1)


def status(settings: Settings, host: str = "", path: str = "/", token: str = "") -> int:
    """The HTTP status that the router gives for a host (default: the first app's); 0 where nothing answers."""
    headers = {"Host": host or settings.app_host(NAME), "Accept": "application/vnd.heroku+json; version=3"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    address = settings.bind if settings.bind not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
    connection = http.client.HTTPConnection(address, settings.http_port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
