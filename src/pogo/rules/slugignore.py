""".slugignore: which files of the source are left out before the buildpacks see it.

Heroku: like .gitignore without `!`; a leading `/` anchors a pattern to the top of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """One line. directories_only: it ended in `/`."""

    expression: re.Pattern[str]
    directories_only: bool

    def matches(self, path: str, is_directory: bool) -> bool:
        return (is_directory or not self.directories_only) and self.expression.fullmatch(path) is not None


def compile_patterns(text: str) -> Callable[[str, bool], bool]:
    """A test for one path: (path relative to the top, is it a directory) → left out.

    A directory that matches is left out with everything in it; the caller does not ask below it.
    """
    patterns = [pattern for line in text.splitlines() if (pattern := _parse(line))]
    return lambda path, is_directory: any(pattern.matches(path, is_directory) for pattern in patterns)


def _parse(line: str) -> Pattern | None:
    glob = line.strip()
    if not glob or glob.startswith(("#", "!")):
        return None
    directories_only = glob.endswith("/")
    glob = glob.rstrip("/")
    if not glob:
        return None
    anchored = "/" in glob
    expression = _translate(glob.removeprefix("/"))
    return Pattern(re.compile(expression if anchored else f"(?:.*/)?{expression}", re.DOTALL), directories_only)


def _translate(glob: str) -> str:
    """gitignore's wildcards as a regular expression: `*`, `?` and `[…]` stay within one name, `**` does not."""
    parts = []
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            parts.append("(?:.*/)?")
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        elif glob[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            parts.append("[^/]")
            at += 1
        elif glob[at] == "\\" and at + 1 < len(glob):
            parts.append(re.escape(glob[at + 1]))
            at += 2
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            parts.append(_character_class(glob[at + 1 : end]))
            at = end + 1
        else:
            parts.append(re.escape(glob[at]))
            at += 1
    return "".join(parts)


def _character_class(inside: str) -> str:
    negated = inside[0] in "!^"
    listed = re.sub(r"([\\\[\]&~|^])", r"\\\1", inside[negated:])
    if re.search(r"(.)-(.)", listed) and any(low > high for low, high in re.findall(r"(.)-(.)", listed)):
        return "(?!)"  # an empty range matches nothing
    return f"(?!/)[{'^' if negated else ''}{listed}]"
