"""autocomplete, autocomplete:script, autocomplete:options: what a shell completes of a `pogo` command line."""

from __future__ import annotations

import os
import sys

from pogo.cli import output, platforms, repository
from pogo.cli.context import Context
from pogo.cli.errors import CliError

#: Shell → the file it reads when it starts, and the line that belongs there.
SETUP = {
    "bash": ("~/.bashrc", "source <(pogo autocomplete:script bash)"),
    "zsh": ("~/.zshrc, behind compinit", "source <(pogo autocomplete:script zsh)"),
    "fish": ("~/.config/fish/config.fish", "pogo autocomplete:script fish | source"),
}
FRESH = 60.0  # seconds that names of apps are kept
PATIENCE = 2.0  # seconds: somebody waits at a prompt


def _shell(context: Context) -> str:
    shell = context.args.get("shell") or os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SETUP:
        raise CliError(f"{shell or 'This shell'} is not one that pogo completes in.\nName one: {', '.join(SETUP)}", 2)
    return shell


def explain(context: Context) -> None:
    if context.on("refresh-cache"):
        with output.Action("Refreshing the names of apps"):
            _refreshed(context)
        return
    file, line = _setup(context)
    output.line(f"To complete commands, flags and apps, add this line to {file}:\n\n  {line}")


def _setup(context: Context) -> tuple[str, str]:
    return SETUP[_shell(context)]


def script(context: Context) -> None:
    from importlib import import_module

    module = import_module(f"pogo.cli.shells.{_shell(context)}")
    sys.stdout.write(module.script())


def options(context: Context) -> None:
    """One a line, for a shell. What cannot be found out is nothing to complete, and no error in the user's line."""
    kinds = {"app": _apps, "remote": _remotes, "platform": _platforms}
    find = kinds.get(context.args.get("completion", ""))
    if find is None:
        raise CliError(f"There is a completion for each of {', '.join(kinds)}.", 2)
    try:
        names = find(context)
    except CliError:
        return
    for name in names:
        output.line(name)


def _remotes(context: Context) -> list[str]:
    return [one.name for one in repository.remotes(context.platform)]


def _platforms(context: Context) -> list[str]:
    return sorted(platforms.load().known)


def _apps(context: Context) -> list[str]:
    """Those of the cache; asked for anew where it is old, and still those where nobody answers."""
    import time

    file = _cache(context)
    try:
        with open(file, encoding="utf-8") as stored:
            names = stored.read().split()
            if 0 <= time.time() - os.fstat(stored.fileno()).st_mtime < FRESH:
                return names
    except OSError:
        names = []
    try:
        return _refreshed(context)
    except CliError:
        return names


def _refreshed(context: Context) -> list[str]:
    """Ask the platform and store the answer. Raises CliError."""
    from pogo.cli.client import Api

    api = Api(context.platform, timeout=PATIENCE, patience=0)
    names = sorted(str(app["name"]) for app in api.get_all("/apps"))
    file = _cache(context)
    draft = f"{file}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as target:
            target.write("".join(f"{name}\n" for name in names))
        os.replace(draft, file)
    except OSError as failure:
        raise CliError(f"Cannot write {file}: {failure.strerror}.") from failure
    return names


def _cache(context: Context) -> str:
    """A file for each platform and login."""
    import hashlib

    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    whose = f"{context.platform.api} {context.platform.token}"
    return os.path.join(base, "pogo", "apps", hashlib.sha256(whose.encode()).hexdigest()[:32])
