"""Packages from the npm registry, without npm: the versions there are, and a verified tarball."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pack.steps import BuildFailed

_BRIEF = {"Accept": "application/vnd.npm.install-v1+json", "User-Agent": "pogo-nodejs-buildpack"}
_TIMEOUT = 60


def address(env: Mapping[str, str]) -> str:
    """The registry that npm is set up for: NPM_CONFIG_REGISTRY, else what an installed npm says. Raises BuildFailed."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if env.get(name):
            return env[name].rstrip("/")
    if npm := shutil.which("npm"):
        asked = [npm, "config", "get", "registry"]
        found = subprocess.run(asked, capture_output=True, text=True, check=False, env=dict(env)).stdout.strip()
        if found.startswith("http"):
            return found.rstrip("/")
    raise BuildFailed(
        "The address of the npm registry is not known, and Node.js comes from there.\n"
        "Set it: pogo config:set NPM_CONFIG_REGISTRY=<address>, or ask the operator to add it to the build environment."
    )


def versions(registry: str, package: str) -> dict[str, Any]:
    """Version → its entry (`dist`, `engines`) in the registry's short form. Raises BuildFailed."""
    url = f"{registry}/{package.replace('/', '%2f')}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=_BRIEF), timeout=_TIMEOUT) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)["versions"]
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise BuildFailed(f"The versions of {package} cannot be read from {url}: {error}") from error
    return found


def verify(file: Path, integrity: str) -> bool:
    """Whether a file has the strongest of the digests in an `integrity` string (`sha512-<base64> …`)."""
    digests = sorted(
        part.partition("?")[0] for part in integrity.split() if part.startswith(("sha256-", "sha384-", "sha512-"))
    )
    if not digests:
        return False
    algorithm, _, expected = digests[-1].partition("-")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, algorithm).digest()
    return digest == base64.b64decode(expected)


def install(entry: Mapping[str, Any], directory: Path) -> None:
    """Unpack the tarball of one version into `directory`, whole or not at all. Raises BuildFailed."""
    partial = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    file = partial.with_suffix(".tgz")
    url = entry["dist"]["tarball"]
    try:
        request = urllib.request.Request(url, headers={"User-Agent": _BRIEF["User-Agent"]})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, file.open("wb") as out:  # noqa: S310
            shutil.copyfileobj(answer, out, 1 << 20)
    except OSError as error:
        raise BuildFailed(f"{url} cannot be fetched: {error}") from error
    if not verify(file, entry["dist"].get("integrity", "")):
        raise BuildFailed(f"{url} does not have the checksum that the registry states; it is not used.")
    command = ["tar", "-xzf", str(file), "-C", str(partial), "--strip-components=1", "--no-same-owner"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{url} cannot be unpacked: {done.stderr.strip()[-300:]}")
    file.unlink()
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
