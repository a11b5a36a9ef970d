"""The git repository of the current directory: which app it belongs to, and how its git reaches the platform."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple
from urllib.parse import urlsplit

from pogo.cli.errors import CliError, UsageError
from pogo.cli.platforms import Platform

PREFERRED = ("pogo", "heroku")


class Remote(NamedTuple):
    name: str
    app: str


def git(*args: str, where: str | None = None, check: bool = True) -> str:
    """What a git command prints. Raises CliError when it fails and `check` is on."""
    command = ["git", *(["-C", where] if where else []), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as failure:
        raise CliError("git is needed for this and is not installed.") from failure
    if check and done.returncode:
        raise CliError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else ""


def archive(commit: str) -> bytes:
    """A commit's files, as a compressed tar. Raises CliError."""
    command = ["git", "archive", "--format=tar.gz", commit]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise CliError(f"git archive failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def app_of(url: str, platform: Platform) -> str | None:
    """The app that a remote's URL names on this platform, None for any other URL.

    An http URL may have any port: the platform's plain port is not known here.
    """
    parts = urlsplit(url)
    git_host, _, git_port = platform.git.partition(":")
    if parts.scheme == "https":
        fits = (parts.hostname, parts.port or 443) == (git_host, int(git_port or 443))
    else:
        fits = parts.scheme == "http" and parts.hostname == git_host
    name = parts.path.strip("/").removesuffix(".git")
    return name if fits and name and "/" not in name else None


def remotes(platform: Platform) -> list[Remote]:
    """The remotes that name apps of this platform; none outside a repository."""
    found = []
    for row in git("config", "--get-regexp", r"^remote\..*\.url$", check=False).splitlines():
        key, _, url = row.partition(" ")
        try:
            app = app_of(url, platform)
        except ValueError:
            continue
        if app:
            found.append(Remote(key.removeprefix("remote.").removesuffix(".url"), app))
    return found


def choose_app(platform: Platform, app: str | None, remote: str | None) -> str:
    """-a, else -r, else POGO_APP or HEROKU_APP, else the only app among the git remotes.

    Of several the remote that `git config heroku.remote` names wins, then `pogo`, then `heroku`.
    Raises UsageError when there is none and CliError when there are too many.
    """
    app = app or (None if remote else os.environ.get("POGO_APP") or os.environ.get("HEROKU_APP"))
    if app:
        return app
    found = remotes(platform)
    if remote:
        for one in found:
            if one.name == remote:
                return one.app
        raise UsageError(f"remote {remote} not found in git remotes")
    if not found:
        raise UsageError("Missing required flag app\n  -a, --app APP  app to run the command against")
    if len({one.app for one in found}) == 1:
        return found[0].app
    named = {one.name: one.app for one in found}
    for name in (git("config", "heroku.remote", check=False).strip(), *PREFERRED):
        if name in named:
            return named[name]
    raise CliError(_several(found), 2)


def _several(found: list[Remote]) -> str:
    listed = "\n".join(f"{one.app} ({one.name})" for one in found)
    first = found[0]
    return (
        "Multiple apps in git remotes\n"
        f"  Usage: --remote {first.name}\n"
        f"     or: --app {first.app}\n"
        "Your local git repository has more than 1 app referenced in git remotes.\n"
        "Because of this, we can't determine which app you want to run this command against.\n"
        "Specify the app you want with --app or --remote.\n"
        f"Remotes in repo:\n{listed}"
    )


def inside() -> bool:
    """Whether the current directory belongs to a git repository."""
    try:
        return bool(git("rev-parse", "--git-dir", check=False))
    except CliError:
        return False


def helper() -> str:
    """The credential helper line: `pogo` by name where it is on PATH, else by its place."""
    import shlex
    import shutil

    place = shutil.which("pogo")
    command = "pogo" if place else shlex.quote(os.path.join(os.path.dirname(sys.executable), "pogo"))
    return f"!{command} git:credentials"


def access_config(platform: Platform) -> list[tuple[str, str]]:
    """The git settings that let git reach the platform with pogo's login: an empty helper first drops those above."""
    base = platform.git_url
    settings = [(f"credential.{base}.helper", ""), (f"credential.{base}.helper", helper())]
    if platform.ca:
        settings.insert(0, (f"http.{base}.sslCAInfo", platform.ca))
    return settings


def add_remote(platform: Platform, name: str, app: str) -> str:
    """Point a remote of this repository at an app (local settings only) and return its URL."""
    url = platform.app_git_url(app)
    exists = git("config", "--get", f"remote.{name}.url", check=False)
    git("remote", *(("set-url", name, url) if exists else ("add", name, url)))
    grant(platform)
    return url


def grant(platform: Platform) -> None:
    """Let git of this repository reach the platform (local settings only)."""
    for key in dict.fromkeys(key for key, _ in access_config(platform)):
        git("config", "--local", "--unset-all", key, check=False)
    for key, value in access_config(platform):
        git("config", "--local", "--add", key, value)
