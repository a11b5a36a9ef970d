"""Which Go the app asks for, and which of those that exist it gets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pack.steps import BuildFailed

Version = tuple[int, ...]
_VERSION = re.compile(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?(?:(?:rc|beta)\d+)?(?:-\S+)?")
_LINES = (
    ("// +heroku goVersion", re.compile(r"^//\s*\+heroku\s+goVersion\s+(\S+)", re.M)),
    ("toolchain", re.compile(r"^toolchain\s+(\S+)", re.M)),
    ("go", re.compile(r"^go\s+(\S+)", re.M)),
)
_INSTALL = re.compile(r"^//\s*\+heroku\s+install\s+(.+)$", re.M)


@dataclass(frozen=True)
class Wanted:
    """said: where it stands. version: two numbers for the newest of a series, three for this one or a later one."""

    said: str
    version: Version


def wanted(go_mod: str, goversion: str = "") -> Wanted | None:
    """What the app asks for; None where it leaves it open. Raises BuildFailed.

    Heroku: the config var GOVERSION, then the comment `+heroku goVersion`, then go.mod's own lines.
    """
    asked = [("GOVERSION", goversion.strip())] if goversion.strip() else []
    asked += [(said, found[1]) for said, line in _LINES if (found := line.search(go_mod)) and found[1] != "default"]
    if not asked:
        return None
    said, text = asked[0]
    match = _VERSION.fullmatch(text)
    if not match:
        raise BuildFailed(
            f"{text!r}, given by {_where(said)}, is not a version of Go. Write one such as 1.26 or 1.26.3."
        )
    return Wanted(_where(said), tuple(int(number) for number in match.groups() if number))


def _where(said: str) -> str:
    return "the config var GOVERSION" if said == "GOVERSION" else f"the line '{said}' of go.mod"


def choose(asked: Wanted | None, available: Iterable[Version]) -> tuple[Version, str]:
    """(version, what to tell the user, if it is not what was asked for). Raises BuildFailed.

    Later releases build what earlier ones did (https://go.dev/doc/go1compat), so the next one takes the place of one
    that is missing.
    """
    known = sorted(available)
    if not known:
        raise BuildFailed("No release of Go is available here.")
    if asked is None:
        return known[-1], ""
    series = [version for version in known if version[:2] == asked.version[:2]]
    enough = [version for version in series if version >= asked.version]
    if asked.version in series:
        return asked.version, ""
    if enough:
        found = enough[-1]
        return found, "" if len(
            asked.version
        ) == 2 else f"Go {show(asked.version)} is not available here; a later one of the series is used."
    later = [version for version in known if version > asked.version]
    if not later:
        newest = show(known[-1])
        raise BuildFailed(
            f"Go {show(asked.version)}, asked for by {asked.said}, is not available here; the newest is {newest}.\n"
            f"Ask for {newest} or an earlier one and push again."
        )
    found = max(version for version in later if version[:2] == later[0][:2])
    return found, f"Go {show(asked.version)} is not available here; the next later one that is, is used."


def show(version: Version) -> str:
    return ".".join(map(str, version))


def packages(go_mod: str) -> list[str]:
    """What `// +heroku install ./cmd/...` of go.mod names; empty without."""
    found = _INSTALL.search(go_mod)
    return found[1].split() if found else []
