"""The Python itself: the stack's own where it is what the app asks for, else the archive that Heroku publishes.

Heroku has no list of what it publishes, and one written here would grow old: the newest patch release of a
line is found by asking for one after the other, from the one known when this was written.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pack.steps import BuildFailed, detail, topic, warning

from python_pack.version import Wanted, candidates

ADDRESS = "https://heroku-buildpack-python.s3.us-east-1.amazonaws.com"
FIRST_ASKED = {"3.8": 20, "3.9": 25, "3.10": 21, "3.11": 16, "3.12": 14, "3.13": 15, "3.14": 7}
"""Where the search for the newest patch release of a line begins; other lines begin at 0."""
LAST_ASKED = 99
_DAY = 86_400
_TIMEOUT = 20


class Unreachable(Exception):
    """The place of the archives does not answer."""


@dataclass(frozen=True)
class Python:
    """version: `3.13.5`. archive: where the whole of it is fetched from; empty for the stack's own."""

    version: str
    archive: str = ""

    @property
    def line(self) -> str:
        return ".".join(self.version.split(".")[:2])


def choose(asked: Wanted, cache: Path) -> Python:
    """Decide for one Python and say so. Raises BuildFailed."""
    own = platform.python_version()
    if asked.accepts(own):
        if not asked.origin:
            topic(f"No Python version was specified. Using Python {own} of the stack")
            detail(f"To choose one, add a file .python-version that holds, for example, {'.'.join(own.split('.')[:2])}")
        else:
            topic(f"Using Python {own} of the stack, as {asked.origin} asks for {asked.version or asked.allowed}")
        return Python(own)
    text = asked.version or asked.allowed
    topic(f"Using Python {text} specified in {asked.origin}")
    try:
        version = _resolve(asked, cache)
    except Unreachable as error:
        if asked.version and own.startswith(f"{'.'.join(asked.version.split('.')[:2])}."):
            warning(
                f"Python {asked.version} cannot be fetched ({error}).\n"
                f"The stack's Python {own}, of the same line, is used instead.\n"
                f"Put {'.'.join(own.split('.')[:2])} into {asked.origin} to choose that without this warning."
            )
            return Python(own)
        raise BuildFailed(_no_way(asked, own, f"It cannot be fetched: {error}")) from error
    if version is None:
        raise BuildFailed(_no_way(asked, own, f"There is no such Python at {ADDRESS}."))
    return Python(version, url(version))


def _no_way(asked: Wanted, own: str, reason: str) -> str:
    line = ".".join(own.split(".")[:2])
    return (
        f"Python {asked.version or asked.allowed}, asked for by {asked.origin}, is not available here.\n{reason}\n"
        f"This stack has Python {line}: put {line} into {asked.origin} or remove the file, or choose a stack with\n"
        "another Python (pogo-13 has 3.13, pogo-12 has 3.11) and push again.\n"
        "In a network without that site the operator can offer other versions: pogo mirror"
    )


def url(version: str) -> str:
    """Where Heroku has the archive of one version for this stack: `python-<v>-ubuntu-<NN>.04-<arch>.tar.zst`."""
    number = os.environ.get("STACK", "heroku-24").removeprefix("heroku-")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{ADDRESS}/python-{version}-ubuntu-{number}.04-{machine}.tar.zst"


def _resolve(asked: Wanted, cache: Path) -> str | None:
    """The full version to fetch; what was found is good for a day. Raises Unreachable."""
    memory = cache / "resolved.json"
    key = f"{os.environ.get('STACK', '')} {asked.version or asked.allowed}"
    known = json.loads(memory.read_text()) if memory.is_file() else {}
    if known.get("key") == key and time.time() - known["at"] < _DAY:
        return str(known["version"])
    if asked.version.count(".") == 2:
        return asked.version if _exists(asked.version) else None
    for line in candidates(asked):
        patch = newest_patch(FIRST_ASKED.get(line, 0), functools.partial(_has_patch, line))
        if patch is not None and asked.accepts(f"{line}.{patch}"):
            memory.write_text(json.dumps({"key": key, "version": f"{line}.{patch}", "at": time.time()}))
            return f"{line}.{patch}"
    return None


def newest_patch(first: int, exists: Callable[[int], bool]) -> int | None:
    """The last patch release of a line: upwards from `first` (gaps of one are stepped over), else downwards."""
    found = None
    number = first
    while number < LAST_ASKED:
        if exists(number):
            found = number
        elif exists(number + 1):
            found = number = number + 1
        else:
            break
        number += 1
    if found is not None:
        return found
    return next((number for number in range(first - 1, -1, -1) if exists(number)), None)


def _has_patch(line: str, patch: int) -> bool:
    return _exists(f"{line}.{patch}")


def _exists(version: str) -> bool:
    request = urllib.request.Request(url(version), method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 410):
            return False
        raise Unreachable(f"{ADDRESS} answers {error.code} {error.reason}") from error
    except OSError as error:
        raise Unreachable(f"{ADDRESS} does not answer: {getattr(error, 'reason', error)}") from error


def install(python: Python, home: Path, archive: Path) -> None:
    """Fetch and unpack a Python that is not the stack's into `home`; kept in `archive`. Raises BuildFailed."""
    if not archive.is_file():
        topic(f"Installing Python {python.version}")
        partial = archive.with_name(f"{archive.name}.partial")
        command = ["curl", "--fail", "--silent", "--show-error", "--location", "--retry", "3", "--retry-connrefused"]
        command += ["--connect-timeout", "10", "--max-time", "900", "--output", str(partial), python.archive]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildFailed(f"Python cannot be fetched from {python.archive}:\n{done.stderr.strip()[-500:]}")
        for old in archive.parent.glob("python-*.tar.zst"):
            old.unlink()
        partial.rename(archive)
    unpack = ["tar", "-C", str(home), "-I", "zstd -d -q --long=31", "-xf", str(archive), "--no-same-owner"]
    if subprocess.run(unpack, capture_output=True, check=False).returncode:
        archive.unlink()
        shutil.rmtree(home.resolve())
        home.resolve().mkdir()
        raise BuildFailed(f"The archive of Python {python.version} is damaged; it is fetched again by the next build.")
    program = home / "bin/python"
    if not program.exists():
        program.symlink_to(f"python{python.line}")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, env=library_env(home))
    if said.returncode or not re.fullmatch(r"Python 3\.\S+\s*", said.stdout):
        raise BuildFailed(f"Python {python.version} does not run on this stack: {said.stderr.strip()[-500:]}")


def library_env(home: Path) -> dict[str, str]:
    """The environment of a Python with a shared library that does not know where it lies."""
    return {**os.environ, "LD_LIBRARY_PATH": f"{home}/lib"}


def bundled_pip(home: Path) -> Path | None:
    """The pip that comes inside a Python, runnable as it is: `python <this>/pip …`."""
    found = sorted(home.glob("lib/python3*/ensurepip/_bundled/pip-*.whl"))
    return found[-1] / "pip" if found else None


def stack_pip() -> list[str]:
    return [sys.executable, "-m", "pip"]
