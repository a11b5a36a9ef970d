"""Which Java the app asks for, and the packages that are it."""

from __future__ import annotations

import re
from pathlib import Path

from pack.steps import BuildFailed

_KNOWN = {
    "bookworm": (17,),
    "trixie": (21, 25),
    "jammy": (8, 11, 17, 21),
    "noble": (8, 11, 17, 21, 25),
}
"""Releases with long support that a distribution packages, by its code name."""

_DEFAULT = (21, 17)
_LINE = re.compile(r"^\s*([\w.-]+)\s*[=: ]\s*(.*?)\s*$", re.M)
_VERSION = re.compile(r"(?:[a-z_]+-)?(?:1\.(8)|(\d+))(?:[.+_u-]\S*)?", re.IGNORECASE)
OS_RELEASE = Path("/etc/os-release")


def properties(build_dir: Path) -> dict[str, str]:
    """system.properties, as far as one-line `key=value` goes."""
    path = build_dir / "system.properties"
    text = path.read_text(errors="replace") if path.is_file() else ""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "!")))
    return dict(_LINE.findall(lines))


def choose(given: str) -> int:
    """Major version for `java.runtime.version`: 21, 21.0.4, 1.8, openjdk-21, zulu-21; empty for the stack's usual one.

    Raises BuildFailed, naming what the stack has.
    """
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", OS_RELEASE.read_text(), re.M) if OS_RELEASE.is_file() else None
    known = _KNOWN.get(found[1], ()) if found else ()
    if not given:
        return next((version for version in _DEFAULT if version in known or not known), known[-1] if known else 21)
    match = _VERSION.fullmatch(given)
    if not match:
        raise BuildFailed(
            f"java.runtime.version of system.properties is {given!r}, which is not a version of Java.\n"
            "Write one such as java.runtime.version=21 and push again."
        )
    version = int(match[1] or match[2])
    if known and version not in known:
        here = " and ".join(map(str, known))
        raise BuildFailed(
            f"Java {version}, asked for by system.properties, is not available on this stack, which has {here}.\n"
            "Ask for one of these, or choose a stack with another Java\n"
            "(pogo-13 has 21 and 25, pogo-12 has 17), and push again."
        )
    return version
