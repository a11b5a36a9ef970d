"""Names of buildpacks: what a user may write, what the API shows, where the pack comes from.

Heroku: `ns/name`, `urn:buildpack:ns/name`, the registry's own .tgz address, a git URL with an
optional `#ref`, or the address of any .tgz with the files of the pack at its root.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REGISTRY_BLOBS = "https://buildpack-registry.s3.amazonaws.com/buildpacks/"
URN = "urn:buildpack:"

DETECTION_ORDER = ("ruby", "nodejs", "clojure", "python", "java", "gradle", "scala", "php", "go", "static")
"""Heroku's order for an app without a list of buildpacks; static sites come last."""

FIRST_PARTY = ("nodejs", "python", "static")
"""Packs that are part of the platform, by the name of their directory."""

_BUNDLED = {
    "heroku/nodejs": "nodejs",
    "heroku/python": "python",
    "heroku/static": "static",
    "heroku-community/static": "static",
    **{f"pogo/{name}": name for name in FIRST_PARTY},
}

_GIT = "https://github.com/heroku/heroku-buildpack-"
REGISTRY = {
    **{f"heroku/{name}": f"{_GIT}{name}" for name in ("clojure", "go", "gradle", "java", "php", "ruby", "scala")},
    **{
        f"heroku-community/{name}": f"{_GIT}{name}"
        for name in ("apt", "cli", "inline", "locale", "nginx", "null", "pgbouncer", "multi-procfile", "awscli")
    },
    "heroku/pgbouncer": f"{_GIT}pgbouncer",
    "heroku/nginx": f"{_GIT}nginx",
    "heroku/apt": f"{_GIT}apt",
    "heroku/jvm": f"{_GIT}jvm-common",
}
"""Registered names that are not part of the platform → git URL."""

_NAME = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+")
_ALIASES = {"heroku-buildpack-static": "heroku/static"}
_GIT_URL = re.compile(r"(?:https?|git|ssh|file)://\S+|[\w.-]+@[\w.-]+:\S+")
_ARCHIVE = re.compile(r"https?://\S+\.(?:tgz|tar\.gz)(?:\?\S*)?")


class UnknownBuildpack(ValueError):
    """The name or address of a buildpack means nothing; the message says what may be given."""


@dataclass(frozen=True)
class Bundled:
    """A pack of the platform. directory: its name under the buildpacks directory."""

    directory: str


@dataclass(frozen=True)
class Git:
    """ref: branch, tag or commit, empty for the default branch."""

    url: str
    ref: str = ""


@dataclass(frozen=True)
class Archive:
    """A .tgz with the pack at its root."""

    url: str


Source = Bundled | Git | Archive


def registry_name(given: str) -> str:
    """`ns/name` of anything that means a registered pack, else an empty string."""
    text = given.strip()
    text = _ALIASES.get(text, text)
    if text.startswith(REGISTRY_BLOBS):
        text = text.removeprefix(REGISTRY_BLOBS).removesuffix(".tgz")
    text = text.removeprefix(URN)
    return text if _NAME.fullmatch(text) else ""


def display_name(given: str) -> str:
    """How a pack is shown in build output and by the API: `ns/name`, or its address."""
    return registry_name(given) or given.strip()


def stored_url(given: str) -> str:
    """How the API gives a pack back as `buildpack.url`: `urn:buildpack:ns/name`, or its address.

    Raises UnknownBuildpack where `resolve` does.
    """
    resolve(given)
    name = registry_name(given)
    return f"{URN}{name}" if name else given.strip()


def resolve(given: str) -> Source:
    """Where a pack is fetched from. Raises UnknownBuildpack."""
    name = registry_name(given)
    if name in _BUNDLED:
        return Bundled(_BUNDLED[name])
    if name in REGISTRY:
        return Git(REGISTRY[name])
    text = given.strip()
    if name:
        known = ", ".join(sorted([*_BUNDLED, *REGISTRY]))
        raise UnknownBuildpack(
            f"Couldn't find the buildpack {name!r}. Give the git URL of the pack, or one of these names: {known}."
        )
    if _ARCHIVE.fullmatch(text):
        return Archive(text)
    if _GIT_URL.fullmatch(text):
        url, _, ref = text.partition("#")
        if ref.startswith("-"):
            raise UnknownBuildpack(f"{ref!r} cannot be the branch, tag or commit of a buildpack.")
        return Git(url, ref)
    raise UnknownBuildpack(
        f"{text!r} is not a buildpack. Give a name such as 'heroku/python', "
        "a git URL with an optional #branch, or the URL of a .tgz file."
    )


def detection_candidates() -> list[str]:
    """Names of the platform's packs to try on an app without a list, first match wins."""
    return [f"heroku/{name}" for name in DETECTION_ORDER if name in FIRST_PARTY]
