"""git:remote, git:clone, git:credentials."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

from pogo.cli import output, platforms, repository
from pogo.cli.context import Context
from pogo.cli.errors import CliError
from pogo.cli.platforms import Platform


def remote(context: Context) -> None:
    if not repository.inside():
        raise CliError("Not in a git repository.\nRun git init first.")
    app = context.option("app") or (context.rest[0] if context.rest else None)
    if not app:
        raise CliError("Specify an app with --app")
    name = context.option("remote") or repository.PREFERRED[0]
    context.flags["app"] = app
    real = context.api.get(context.app_path)["name"]
    url = repository.add_remote(context.platform, name, real)
    output.line(f"set git remote {output.paint(name, 'cyan')} to {output.paint(url, 'cyan')}")


def clone(context: Context) -> int:
    """`git clone` with the settings that reach the platform, which stay in the new repository."""
    import subprocess

    app = context.api.get(context.app_path)["name"]
    name = context.option("remote") or repository.PREFERRED[0]
    settings = [word for key, value in repository.access_config(context.platform) for word in ("-c", f"{key}={value}")]
    directory = context.args.get("DIRECTORY") or app
    command = ["git", "clone", "-o", name, *settings, context.platform.app_git_url(app), directory]
    try:
        return subprocess.run(command, check=False).returncode
    except FileNotFoundError as failure:
        raise CliError("git is needed for this and is not installed.") from failure


def credentials(context: Context) -> None:
    """git's credential protocol (gitcredentials(7)): answer `get` for git hosts that we know, say nothing otherwise."""
    if context.args["command"] != "get":
        return
    asked = dict(row.rstrip("\n").partition("=")[::2] for row in sys.stdin)
    platform = _of_host(asked.get("protocol", ""), asked.get("host", ""))
    if platform and platform.token:
        for key, value in (("username", "pogo"), ("password", platform.token)):
            output.line(f"{key}={value}")


def _of_host(protocol: str, host: str) -> Platform | None:
    """The platform whose git host it is. Over plain http a token is only handed to this machine itself."""
    known = list(platforms.load().known)
    chosen = os.environ.get("POGO_API_URL")
    for url in [chosen] if chosen else known:
        platform = platforms.find(url)
        if protocol == "https" and _with_port(host) == _with_port(platform.git):
            return platform
        name = urlsplit(f"//{host}").hostname
        if protocol == "http" and name == urlsplit(f"//{platform.git}").hostname and _is_loopback(name or ""):
            return platform
    return None


def _with_port(host: str) -> str:
    return host if host.rpartition(":")[2].isdecimal() else f"{host}:443"


def _is_loopback(name: str) -> bool:
    return name in ("localhost", "127.0.0.1") or name.endswith(".localhost")
