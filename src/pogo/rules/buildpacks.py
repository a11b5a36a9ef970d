"""Names of buildpacks: what a user may write, what the API shows, where the pack comes from.

Heroku: `ns/name`, `urn:buildpack:ns/name`, the registry's own .tgz address, a git URL with an
optional `#ref`, or the address of any .tgz with the files of the pack at its root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

REGISTRY_BLOBS = "https://buildpack-registry.s3.amazonaws.com/buildpacks/"
URN = "urn:buildpack:"
BUNDLED = "bundled:"

DETECTION_ORDER = ("ruby", "nodejs", "clojure", "python", "java", "gradle", "scala", "php", "go", "static")
"""Heroku's order for an app without a list of buildpacks; static sites come last."""

FIRST_PARTY = ("go", "java", "nodejs", "php", "python", "ruby", "static")
"""Packs that are part of the platform, by the name of their directory."""

_BUNDLED = {
    **{f"heroku/{name}": name for name in FIRST_PARTY},
    **{f"pogo/{name}": name for name in FIRST_PARTY},
    "heroku-community/static": "static",
}

_GIT = "https://github.com/heroku/heroku-buildpack-"
_OFFICIAL = {
    **{f"heroku/{name}": name for name in ("clojure", "go", "gradle", "java", "nodejs", "php", "python", "ruby")},
    **{f"heroku/{name}": name for name in ("scala", "apt", "nginx", "pgbouncer")},
    "heroku/jvm": "jvm-common",
    **{
        f"heroku-community/{name}": name
        for name in ("apt", "awscli", "cli", "inline", "locale", "multi-procfile", "nginx", "null", "pgbouncer")
    },
}
REGISTRY = {name: f"{_GIT}{short}" for name, short in _OFFICIAL.items() if name not in _BUNDLED}
"""Registered names that are not part of the platform → git URL. The official pack for a language that
has one of ours is reached by its git URL only, so that a name means one thing."""

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
    """How a result names a pack: `urn:buildpack:ns/name`, or its address."""
    name = registry_name(given)
    return f"{URN}{name}" if name else given.strip()


@dataclass(frozen=True)
class Registry:
    """What the operator has added. names: `ns/name` → URL, before the built-in ones. mirrors: prefix → URL."""

    names: Mapping[str, str] = field(default_factory=dict)
    mirrors: Mapping[str, str] = field(default_factory=dict)

    def known(self) -> dict[str, str]:
        """All registered names and where they come from: a URL, or `bundled:<directory>`."""
        ours = {f"heroku/{directory}": f"{BUNDLED}{directory}" for directory in FIRST_PARTY}
        return dict(sorted({**ours, **REGISTRY, **self.names}.items()))

    def mirrored(self, url: str) -> str:
        """The address to ask instead of `url`: the longest prefix decides, as git's `insteadOf` does it."""
        found = max((prefix for prefix in self.mirrors if url.startswith(prefix)), key=len, default="")
        return self.mirrors[found] + url.removeprefix(found) if found else url

    def resolve(self, given: str) -> Source:
        """Where a pack is fetched from; whoever fetches it applies the mirrors. Raises UnknownBuildpack."""
        name = registry_name(given)
        if name and name not in self.names and name in _BUNDLED:
            return Bundled(_BUNDLED[name])
        known = {**REGISTRY, **self.names}
        if name and name not in known:
            names = ", ".join(self.known())
            raise UnknownBuildpack(
                f"Couldn't find the buildpack {name!r}. Give the git URL of the pack, or one of these names: {names}."
            )
        return self._at(known[name] if name else given.strip())

    def _at(self, text: str) -> Source:
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

    def detection_candidates(self) -> list[str]:
        """Names to try on an app without a list, first match wins: the platform's packs and the operator's."""
        names = [f"heroku/{name}" for name in DETECTION_ORDER]
        return [name for name in names if name in _BUNDLED or name in self.names]


BUILT_IN = Registry()


def check_name(text: str) -> str:
    """`ns/name` that may be registered. Raises UnknownBuildpack."""
    if not _NAME.fullmatch(text) or len(text) > 100:
        raise UnknownBuildpack(
            f"{text!r} cannot be a name of a buildpack: it is '<namespace>/<name>', "
            "both of letters, digits, - and _, such as 'acme/python'."
        )
    return text
