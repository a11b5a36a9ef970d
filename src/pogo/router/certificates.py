"""The certificates that the router shows, and answers to an authority's challenges. Keys lie in its memory alone.

The whole desired state is given each time, as for routes; what follows from it is decided here, without I/O.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pogo.errors import InvalidParams
from pogo.router.config import Files

PREFIX = "pogo/"
HTTP_1 = "alpn http/1.1"
# A line holds so many hosts that it stays within HAProxy's 16 KB of a command.
HOSTS = 50

_SAFE_ID = re.compile(r"[a-z0-9-]{1,64}")
_SAFE_HOST = re.compile(r"(\*\.)?[a-z0-9_.-]{1,253}")
_SAFE_PATH = re.compile(r"/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,128}")
_SAFE_ANSWER = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_LISTED = re.compile(r"(?P<name>\S+):(?P<number>\d+)(?: \[(?P<options>[^\]]*)\])?(?: (?P<hosts>.*))?")


@dataclass(frozen=True)
class Served:
    """id: `[a-z0-9-]`, another one for another content. hosts: lower case, a leading `*.` stands for one label."""

    id: str
    hosts: tuple[str, ...]


Load = Callable[[str], Awaitable[str | None]]


class Certificates(Protocol):
    """Raises `errors.Unavailable` when the data plane does not answer."""

    async def apply(self, wanted: Sequence[Served], answers: Mapping[str, str], load: Load) -> int:
        """Make the router show exactly these, and answer these paths (path → text). How many changes it took.

        load: gives chain and key (PEM) of a certificate by id; it is asked only for those that the router lacks.
        """
        ...


@dataclass(frozen=True)
class Line:
    """Of the list of certificates: a name, its options, and the hosts it is for."""

    name: str
    options: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """What HAProxy has. lines: by number, in order; names: of all certificates; open: one that is half loaded."""

    lines: Mapping[int, Line] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    open: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """In this order: answers that come, certificates to load, lines to add, commands that take away."""

    answers: list[str]
    load: list[str]
    add: list[Line]
    remove: list[str]


def plan(
    shown: Shown, wanted: Sequence[Served], answers: Mapping[str, str], paths: Files, http1: Sequence[str]
) -> Changes:
    """http1: hosts that speak HTTP/1.1 alone; those without a certificate of their own keep the default one.

    A new line is added before the old one goes: HAProxy shows the first of two, so no handshake meets a gap.
    Raises InvalidParams for what does not fit into a command.
    """
    _check(wanted, answers)
    lines = [line for one in wanted for line in _lines(one, http1)]
    left = tuple(sorted(set(http1) - {host for one in wanted for host in one.hosts}))
    if left:
        lines.append(Line(str(paths.default_certificate), HTTP_1, left))
    has: dict[Line, int] = {}
    gone: list[int] = []
    first = min(shown.lines, default=0)  # the default certificate: HAProxy does not let it go
    for number, line in shown.lines.items():
        if number != first:
            if line in lines and line not in has:
                has[line] = number
            else:
                gone.append(number)
    new = [line for line in lines if line not in has]
    used = {line.name for line in lines}
    loaded = {line.name for line in shown.lines.values()}
    needed = sorted({line.name for line in new} - loaded)
    unused = sorted(name for name in shown.names if name.startswith(PREFIX) and name not in used)
    return Changes(
        [f"add map {paths.answers} {path} {text}" for path, text in answers.items() if path not in shown.answers],
        [name.removeprefix(PREFIX) for name in needed],
        new,
        [
            *(f"del ssl crt-list {paths.certificates} {shown.lines[number].name}:{number}" for number in gone),
            *(f"del ssl cert {name}" for name in unused),
            *(f"del map {paths.answers} {path}" for path in shown.answers if path not in answers),
        ],
    )


def parse_lines(text: str) -> dict[int, Line]:
    """The answer to `show ssl crt-list -n`."""
    found = (_LISTED.fullmatch(line.strip()) for line in text.splitlines() if line and not line.startswith("#"))
    return {
        int(one["number"]): Line(
            one["name"], (one["options"] or "").rstrip(" \0"), tuple(sorted((one["hosts"] or "").split()))
        )
        for one in found
        if one
    }


def parse_names(text: str) -> tuple[frozenset[str], str | None]:
    """The answer to `show ssl cert`: the certificates, and the one that is half loaded (`*name`)."""
    names = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    open_ = next((name[1:] for name in names if name.startswith("*")), None)
    return frozenset(name for name in names if not name.startswith("*")), open_


def _lines(one: Served, http1: Sequence[str]) -> list[Line]:
    old = tuple(sorted(host for host in one.hosts if host in http1))
    new = sorted(host for host in one.hosts if host not in http1)
    lines = [Line(PREFIX + one.id, HTTP_1, old)] if old else []
    return lines + [Line(PREFIX + one.id, "", tuple(new[start : start + HOSTS])) for start in range(0, len(new), HOSTS)]


def _check(wanted: Sequence[Served], answers: Mapping[str, str]) -> None:
    for one in wanted:
        if not _SAFE_ID.fullmatch(one.id):
            raise InvalidParams(f"cannot show certificate {one.id!r}: malformed id")
        for host in one.hosts:
            if not _SAFE_HOST.fullmatch(host):
                raise InvalidParams(f"cannot show a certificate for {host!r}: it is not a lower-case host name")
    for path, text in answers.items():
        if not (_SAFE_PATH.fullmatch(path) and _SAFE_ANSWER.fullmatch(text)):
            raise InvalidParams(f"cannot answer the challenge {path!r}: malformed token")
