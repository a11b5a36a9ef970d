"""Which Python the app asks for."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack.steps import BuildFailed, warning

NEWEST = 14
"""The newest 3.x that an open range such as `>=3.9` may choose; the stack's own comes first."""
OLDEST = 8

_FORMS = {
    "runtime.txt": re.compile(r"python-(\d+\.\d+(?:\.\d+)?)"),
    ".python-version": re.compile(r"(?:python-|cpython-)?(\d+\.\d+(?:\.\d+)?)"),
    "Pipfile.lock": re.compile(r"(\d+\.\d+(?:\.\d+)?)"),
}
_CLAUSE = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>|\^|~)?\s*v?(\d+)(?:\.(\d+|\*))?(?:\.(\d+|\*))?\s*")


@dataclass(frozen=True)
class Wanted:
    """origin: the file that says it, empty where the app leaves it to us.

    version: `3.12` or `3.12.4`, empty where a range says it. allowed: a range such as `>=3.10,<3.13`.
    """

    origin: str = ""
    version: str = ""
    allowed: str = ""

    def accepts(self, version: str) -> bool:
        """Whether a full version such as `3.13.5` is what the app asks for."""
        if self.version:
            return version == self.version or (self.version.count(".") == 1 and version.startswith(f"{self.version}."))
        return not self.allowed or in_range(version, self.allowed)


def wanted(build_dir: Path, manager: str) -> Wanted:
    """What the app asks for; of several files the first: runtime.txt, .python-version, then those of its manager.

    manager: pip, pipenv, poetry, uv or empty. Raises BuildFailed.
    """
    for name in ("runtime.txt", ".python-version"):
        path = build_dir / name
        if not path.is_file():
            continue
        if name == "runtime.txt":
            warning(
                "runtime.txt is deprecated: name the Python in a file .python-version, such as 3.13, and remove it."
            )
        found = _one_line(name, path)
        return Wanted(name, found) if found else Wanted()
    if manager == "pipenv":
        return _of_pipfile(build_dir / "Pipfile.lock")
    return _of_project(build_dir, manager)


def _one_line(name: str, path: Path) -> str:
    """The version that a file names; empty for plain `3`, which any Python is."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BuildFailed(f"{name} cannot be read: save it as UTF-8 without a byte order mark.") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines in (["3"], ["python-3"]):
        return ""
    match = _FORMS[name].fullmatch(lines[0]) if len(lines) == 1 else None
    if not match:
        example = "python-3.13" if name == "runtime.txt" else "3.13"
        seen = f" It has: {', '.join(lines)[:80]}" if lines else " It is empty."
        raise BuildFailed(f"{name} is not valid: it has to hold one version such as {example}.{seen}")
    return match[1]


def _of_pipfile(path: Path) -> Wanted:
    """`python_full_version` or `python_version` of Pipfile.lock. Raises BuildFailed."""
    try:
        requires: dict[str, Any] = json.loads(path.read_text())["_meta"].get("requires") or {}
    except (ValueError, KeyError, TypeError) as error:
        raise BuildFailed("Pipfile.lock is not valid. Write it anew: pipenv lock") from error
    version = str(requires.get("python_full_version") or requires.get("python_version") or "")
    if version in ("", "3", "*"):
        return Wanted()
    if not _FORMS["Pipfile.lock"].fullmatch(version):
        raise BuildFailed(
            f"The Python version in Pipfile.lock, {version!r}, is not valid: it has to be like 3.13 or 3.13.5.\n"
            "Correct it in the Pipfile and write the lock file anew: pipenv lock"
        )
    return Wanted("Pipfile.lock", version)


def _of_project(build_dir: Path, manager: str) -> Wanted:
    """The range in pyproject.toml (`requires-python`) or in poetry.lock (`python-versions`)."""
    if manager not in ("uv", "poetry"):
        return Wanted()
    project = pyproject(build_dir)
    allowed = str((project.get("project") or {}).get("requires-python") or "")
    if manager == "poetry" and not allowed:
        poetry = (project.get("tool") or {}).get("poetry") or {}
        allowed = (poetry.get("dependencies") or {}).get("python") or ""
    if not isinstance(allowed, str) or allowed in ("", "*"):
        return Wanted()
    try:
        in_range("3.13.0", allowed)
    except ValueError:
        warning(f"The range of Python versions in pyproject.toml, {allowed!r}, is not understood: it is not used.")
        return Wanted()
    return Wanted("pyproject.toml", allowed=allowed)


def pyproject(build_dir: Path) -> dict[str, Any]:
    """pyproject.toml; empty where there is none. Raises BuildFailed."""
    path = build_dir / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildFailed(f"pyproject.toml is not valid: {error}") from error


def in_range(version: str, allowed: str) -> bool:
    """Whether `3.12.4` lies in a range of PEP 440 or of Poetry (`^3.10`, `~3.10`, `||`). Raises ValueError."""
    number = tuple(map(int, version.split(".")))
    return any(
        all(_holds(number, clause) for clause in re.split(r",|(?<=[\d*])\s+(?=[<>=!~^])", part))
        for part in allowed.split("||")
    )


def _holds(number: tuple[int, ...], clause: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if not match:
        raise ValueError(clause)
    operator = match[1] or "=="
    parts = [int(part) for part in match.groups()[1:] if part not in (None, "*")]
    low = tuple(parts)
    same = number[: len(low)] == low
    padded = low + (0,) * (3 - len(low))
    match operator:
        case "==" | "===":
            return same
        case "!=":
            return not same
        case ">=":
            return number >= padded
        case ">":
            return number > padded and not same
        case "<":
            return number < padded
        case "<=":
            return number <= padded or same
        case "^":
            return number >= padded and number[0] == low[0]
        case "~=":
            return number >= padded and number[: max(1, len(low) - 1)] == low[: max(1, len(low) - 1)]
    return number >= padded and number[: min(2, len(low))] == low[:2]


def candidates(asked: Wanted) -> list[str]:
    """Feature versions (`3.13`) that may satisfy a request, the best first."""
    if asked.version:
        return [".".join(asked.version.split(".")[:2])]
    lines = (f"3.{minor}" for minor in range(NEWEST, OLDEST - 1, -1))
    return [line for line in lines if any(asked.accepts(f"{line}.{patch}") for patch in range(40))]
