"""What the official Heroku CLI is asked to do, and what has to come of it: one table, in chapters.

test_heroku_commands.py does all of it against a running platform; docs/compatibility.md is made from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COMMAND = re.compile(r"(?<!push )\bheroku ([a-z0-9][a-z0-9:-]*)")
UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"

#: The aliases that are tried, besides the commands they stand for.
ALIASES = {
    "2fa": "auth:2fa",
    "config:remove": "config:unset",
    "create": "apps:create",
    "destroy": "apps:destroy",
    "dyno:scale": "ps:scale",
    "join": "apps:join",
    "leave": "apps:leave",
    "lock": "apps:lock",
    "login": "auth:login",
    "logout": "auth:logout",
    "ps:kill": "ps:stop",
    "ps:resize": "ps:type",
    "rollback": "releases:rollback",
    "unlock": "apps:unlock",
    "whoami": "auth:whoami",
}


@dataclass(frozen=True)
class Truth:
    """What GET `path` of the Platform API has to give in the end.

    values: of the answer or, where it is a list, of one of its rows; `a.b` is b of a. there: off, there is no such
    row, or, without values, nothing at this path.
    """

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)
    there: bool = True


@dataclass(frozen=True)
class Page:
    """The answer of the app at http://<app>.<domain><path> ends so."""

    app: str
    text: str
    path: str = "/"


@dataclass(frozen=True)
class Step:
    """One call.

    line: words after `heroku`, or with `$ ` before it a line for the shell. says: patterns of its output, both
    streams. then: what is true afterwards. keep: names for what a group of a pattern found, usable as `{name}` later,
    as `{app}` is. partly: what does not work of a command that otherwise does.
    """

    line: str
    says: tuple[str, ...] = ()
    status: int = 0
    then: Truth | Page | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    partly: str = ""

    @property
    def command(self) -> str:
        """The id of the CLI's command; empty where the shell does something else."""
        found = COMMAND.search(self.line if self.line.startswith("$ ") else f"heroku {self.line}")
        return ALIASES.get(found[1], found[1]) if found else ""


@dataclass(frozen=True)
class Chapter:
    """Steps one after the other in a home of its own; chapters do not touch each other.

    app: a name nobody else takes, `{app}` in the steps. source: the steps run in a repository of a small app.
    """

    app: str
    steps: tuple[Step, ...]
    source: bool = False


def step(
    line: str,
    *says: str,
    status: int = 0,
    then: Truth | Page | None = None,
    keep: Mapping[str, str] | None = None,
    partly: str = "",
) -> Step:
    return Step(line, says, status, then, keep or {}, partly)


#: The CLI makes no teams; on Heroku, too, they are made elsewhere.
MAKE_TEAM = (
    '$ curl -fsS --cacert $NODE_EXTRA_CA_CERTS -H "Authorization: Bearer $HEROKU_API_KEY" -H "Accept: '
    'application/vnd.heroku+json; version=3" --json \'{{"name": "{app}-team"}}\' $HEROKU_HOST/teams'
)


def has(path: str, **values: Any) -> Truth:
    """Names of nested values are written with two underscores."""
    return Truth(path, {name.replace("__", "."): value for name, value in values.items()})


def lacks(path: str, **values: Any) -> Truth:
    return Truth(path, {name.replace("__", "."): value for name, value in values.items()}, there=False)
