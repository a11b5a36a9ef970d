"""heroku: the official client, as it is, against this platform. It is found on PATH."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from pogo.cli import output, repository
from pogo.cli.commands.environment import is_local, variables
from pogo.cli.context import Context
from pogo.cli.errors import CliError, NotLoggedIn
from pogo.cli.platforms import Platform

FORWARDED = (
    "HEROKU_HOST",
    "HEROKU_PARTICLEBOARD_URL",
    "HEROKU_BUILDPACK_REGISTRY_URL",
    "HEROKU_STATUS_HOST",
)
PROXIES = ("NO_PROXY", "no_proxy")


def run(context: Context) -> int:
    """Its exit status; 128 and the signal's number where a signal ended it."""
    program = shutil.which("heroku")
    if not program:
        raise CliError("The official client is not on PATH.\nInstall it: npm install -g heroku", 127)
    platform = context.platform
    if not platform.token:
        raise NotLoggedIn(platform.api)
    before = _remotes(platform)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pogo-heroku-")))
        environment = {**os.environ, **variables(platform), **_own_git(platform, directory)}
        if not is_local(platform):
            from pogo.cli.forwarder import forwarding

            url = stack.enter_context(forwarding(platform))
            environment |= dict.fromkeys(FORWARDED, url) | {"HEROKU_DATA_HOST": "127.0.0.1"}
            environment |= {name: _with_loopback(os.environ.get(name, "")) for name in PROXIES}
            environment.pop("HEROKU_HEADERS", None)
        if os.environ.get("POGO_APP"):
            environment.setdefault("HEROKU_APP", os.environ["POGO_APP"])
        status = _ran([program, *context.rest], environment)
    _let_git_in(platform, before)
    return status


def _with_loopback(hosts: str) -> str:
    return ",".join(filter(None, (hosts, "127.0.0.1", "localhost")))


def _own_git(platform: Platform, directory: Path) -> dict[str, str]:
    """git settings for the client and the git that it starts: those of the user, and access to the platform.

    The client writes a credential helper of its own into the global file before nearly every command, which nobody
    would take out again; so that file is one that ends with the command, and includes the user's.
    """
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    users = os.environ.get("GIT_CONFIG_GLOBAL")
    files = [users] if users is not None else [str(config / "git" / "config"), str(home / ".gitconfig")]
    own = directory / "gitconfig"
    own.write_text("".join(f'[include]\n\tpath = "{_escaped(file)}"\n' for file in files if file))
    found = {"GIT_CONFIG_GLOBAL": str(own)}
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    settings = repository.access_config(platform)
    for number, (key, value) in enumerate(settings, first):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found | {"GIT_CONFIG_COUNT": str(first + len(settings))}


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def _ran(command: list[str], environment: dict[str, str]) -> int:
    """Ctrl-C is the client's own matter, which gets it from the terminal; what asks us to end is passed on."""
    process = subprocess.Popen(command, env=environment)

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    def leave(number: int, frame: FrameType | None) -> None:
        """The client decides."""

    kept = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    kept[signal.SIGINT] = signal.signal(signal.SIGINT, leave)
    try:
        status = process.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def _remotes(platform: Platform) -> set[repository.Remote]:
    return set(repository.remotes(platform)) if shutil.which("git") else set()


def _let_git_in(platform: Platform, before: set[repository.Remote]) -> None:
    """A remote that the client has just added (create, git:remote) works with a plain `git push` too."""
    new = sorted(_remotes(platform) - before)
    if not new:
        return
    repository.grant(platform)
    output.warn(f"git of this repository now reaches the platform: git push {new[0].name} main")
