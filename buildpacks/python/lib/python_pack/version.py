"""Which Python the app asks for, and whether the stack has it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pack.steps import BuildFailed

_RUNTIME = re.compile(r"python-(\d+)\.(\d+)(?:\.(\d+))?")
_VERSION = re.compile(r"(?:python-|cpython-)?(\d+)\.(\d+)(?:\.(\d+))?")


def requested(build_dir: Path) -> tuple[str, tuple[int, int] | None]:
    """(file that says it, (major, minor)); ("", None) where the app leaves it to the stack. Raises BuildFailed."""
    for name, form in (("runtime.txt", _RUNTIME), (".python-version", _VERSION)):
        path = build_dir / name
        if not path.is_file():
            continue
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        match = form.fullmatch(lines[0]) if len(lines) == 1 else None
        if lines in (["3"], ["python-3"]):
            return name, None
        if not match:
            example = "python-3.13" if name == "runtime.txt" else "3.13"
            raise BuildFailed(f"{name} is not valid: it has to hold one version such as {example}.")
        return name, (int(match[1]), int(match[2]))
    return "", None


def check(build_dir: Path) -> str:
    """The stack's version, `3.13.5`, if the app can run on it. Raises BuildFailed."""
    name, wanted = requested(build_dir)
    have = sys.version_info
    if wanted and wanted != have[:2]:
        asked = f"{wanted[0]}.{wanted[1]}"
        raise BuildFailed(
            f"Python {asked}, asked for by {name}, is not available here.\n"
            f"This stack has Python {have[0]}.{have[1]}: put {have[0]}.{have[1]} into {name} or remove the file,\n"
            "or choose a stack with another Python (pogo-13 has 3.13, pogo-12 has 3.11) and push again."
        )
    return f"{have[0]}.{have[1]}.{have[2]}"
