"""What the app says about itself: composer.json, composer.lock, Procfile and its Perl scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack.steps import BuildFailed

_PLATFORM = re.compile(
    r"(?:php(?:-64bit|-ipv6|-zts|-debug)?|hhvm|composer(?:-plugin-api|-runtime-api)?)|(?:ext|lib)-.+"
)
_PASSED_OVER = {".git", ".heroku", "node_modules", "vendor"}


@dataclass(frozen=True)
class Manifest:
    """php: the app has PHP at all. required: version constraint of PHP, empty for any.

    extensions: `ext-*` of the app and its locked packages, lower case without `ext-`. packages: Composer has work to
    do. document_root: relative to the app, `public/`, empty for its top directory. perl: its CGI scripts.
    """

    php: bool
    required: str
    extensions: frozenset[str]
    packages: bool
    document_root: str
    scripts: frozenset[str]
    perl: tuple[Path, ...]


def load(build_dir: Path) -> Manifest:
    """Read it all. Raises BuildFailed, naming the file that is not valid."""
    composer = _json(build_dir / "composer.json")
    lock = _json(build_dir / "composer.lock")
    required = _map(composer, "require")
    locked = [package for package in lock.get("packages") or [] if isinstance(package, dict)]
    wanted = [required, _map(lock, "platform"), *(_map(package, "require") for package in locked)]
    names = {name.lower() for requirements in wanted for name in requirements}
    perl = tuple(sorted(path for path in _files(build_dir) if path.suffix in (".cgi", ".pl")))
    return Manifest(
        php=bool(composer) or any(path.suffix == ".php" for path in _files(build_dir)) or not perl,
        required=str(required.get("php") or required.get("php-64bit") or ""),
        extensions=frozenset(name.removeprefix("ext-") for name in names if name.startswith("ext-")),
        packages=bool(locked)
        or any(not _PLATFORM.fullmatch(name.lower()) for name in required)
        or bool(composer.get("autoload")),
        document_root=_document_root(build_dir, composer),
        scripts=frozenset(_map(composer, "scripts")),
        perl=perl,
    )


def _document_root(build_dir: Path, composer: Mapping[str, Any]) -> str:
    extra = _map(composer, "extra")
    for vendor in ("pogo", "heroku"):
        given = _map(extra, vendor).get("document-root")
        if given:
            root = (build_dir / str(given).strip("/")).resolve()
            if not root.is_dir() or not root.is_relative_to(build_dir.resolve()):
                raise BuildFailed(f"extra.{vendor}.document-root of composer.json is {given!r}: no such directory.")
            return "" if root == build_dir.resolve() else f"{root.relative_to(build_dir.resolve())}/"
    top = any((build_dir / name).is_file() for name in ("index.php", "index.html", "index.cgi"))
    return "public/" if not top and (build_dir / "public/index.php").is_file() else ""


def wrong_server(build_dir: Path) -> bool:
    """Whether the Procfile starts the nginx of Heroku's own pack."""
    path = build_dir / "Procfile"
    return path.is_file() and "heroku-php-nginx" in path.read_text(errors="replace")


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig") or "{}")
    except ValueError as error:
        raise BuildFailed(f"{path.name} is not valid: {error}") from error
    if not isinstance(found, dict):
        raise BuildFailed(f"{path.name} is not valid: it is not a JSON object.")
    return found


def _map(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A member that is an object; PHP writes an empty one as `[]`."""
    found = given.get(key)
    return found if isinstance(found, dict) else {}


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name not in _PASSED_OVER:
                yield from _files(path)
        elif path.is_file():
            yield path
