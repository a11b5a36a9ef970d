"""Which platforms this user knows and who he is there: `~/.config/pogo/config.json`, readable by him alone.

    {"current": "https://localhost", "platforms": {"https://localhost":
        {"git": "localhost", "token": "…", "email": "…", "ca": "/path/ca.pem"}}}

POGO_API_URL, POGO_API_KEY and POGO_CA_FILE override it for one call.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pogo.cli.errors import CliError


class Platform(NamedTuple):
    """One platform: `api` is scheme://host[:port], `git` host[:port]; `ca` is None where the system's CAs are right."""

    api: str
    git: str
    token: str | None = None
    email: str | None = None
    ca: str | None = None

    @property
    def git_url(self) -> str:
        return f"https://{self.git}"

    def app_git_url(self, app: str) -> str:
        return f"https://{self.git}/{app}.git"


class Platforms(NamedTuple):
    current: str | None
    known: dict[str, Platform]


def config_path() -> str:
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "pogo", "config.json")


def normal_url(url: str) -> str:
    """`scheme://host[:port]` of what a person typed; https unless he wrote http. Raises CliError."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        fine = None
    if not fine or parts.path not in ("", "/") or parts.query or parts.username:
        raise CliError(f"{url} is not the address of a platform.\nGive it as https://host or https://host:port.", 2)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def git_host(api: str) -> str:
    """The git host that belongs to an API address: `api.x` has `git.x`, any other name is also the git host."""
    host = urlsplit(api).netloc
    return f"git.{host.removeprefix('api.')}" if host.startswith("api.") else host


def load() -> Platforms:
    """What the file says; nothing known when there is none. Raises CliError for a file that is damaged."""
    path = config_path()
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        known = {url: _platform(url, entry) for url, entry in data["platforms"].items()}
        return Platforms(data.get("current"), known)
    except FileNotFoundError:
        return Platforms(None, {})
    except OSError as failure:
        raise CliError(f"Cannot read {path}: {failure.strerror}.") from failure
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise CliError(f"{path} is damaged ({failure}).\nRemove it and log in again.") from failure


def _platform(url: str, entry: dict[str, Any]) -> Platform:
    return Platform(url, entry.get("git") or git_host(url), entry.get("token"), entry.get("email"), entry.get("ca"))


def save(platforms: Platforms) -> None:
    """Replace the file at once, or leave the old one: other commands may read it meanwhile."""
    path = config_path()
    entries = {
        url: {key: value for key, value in platform._asdict().items() if value and key != "api"}
        for url, platform in platforms.known.items()
    }
    text = json.dumps({"current": platforms.current, "platforms": entries}, indent=2) + "\n"
    draft = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as failure:
        raise CliError(f"Cannot write {path}: {failure.strerror}.") from failure


def remember(platform: Platform, switch: bool = True) -> None:
    """Add or change a platform; `switch` makes it the current one."""
    before = load()
    current = platform.api if switch or not before.current else before.current
    save(Platforms(current, {**before.known, platform.api: platform}))


def find(url: str | None = None) -> Platform:
    """The platform at `url`, else of POGO_API_URL, else the current one, with the overrides of the environment.

    Raises CliError when none of them is given.
    """
    platforms = load()
    chosen = url or os.environ.get("POGO_API_URL") or platforms.current
    if not chosen:
        raise CliError(
            "No platform is known yet.\nRun bin/up on the machine that shall be one, or pogo login --host https://…"
        )
    api = normal_url(chosen)
    platform = platforms.known.get(api) or Platform(api, git_host(api))
    token = os.environ.get("POGO_API_KEY", "").strip() or platform.token
    ca = os.environ.get("POGO_CA_FILE") or platform.ca
    return platform._replace(token=token, ca=os.path.abspath(ca) if ca else None)
