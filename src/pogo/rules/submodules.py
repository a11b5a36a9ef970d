"""The list of submodules that goes with a pushed source: a file whose lines are `<commit> <path>`."""

from __future__ import annotations

import re

LIST = ".pogo-submodules"
"""Name of the file at the top of the source; the builder takes it away again."""

_LINE = re.compile(r"([0-9a-f]{40}) (\S.*)")


def parse_list(text: str) -> dict[str, str]:
    """path → commit; lines that say something else, or lead out of the tree, are passed over."""
    matches = (_LINE.fullmatch(line) for line in text.splitlines())
    found = {match[2]: match[1] for match in matches if match}
    return {path: commit for path, commit in found.items() if not path.startswith("/") and ".." not in path.split("/")}
