"""static.json: what it may hold, with a clear word on what it may not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USUAL_ROOTS = ("public_html", "public", "dist", "build", ".")


class InvalidSettings(Exception):
    """static.json cannot be used; the message says why."""


@dataclass(frozen=True)
class Redirect:
    url: str
    status: int = 301


@dataclass(frozen=True)
class Settings:
    """root: directory of the files, relative to the app. routes, headers: by path pattern (`*` within a
    name, `**` across), first match wins. redirects: by exact path."""

    root: str = "."
    clean_urls: bool = False
    https_only: bool = False
    error_page: str = ""
    routes: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, Redirect] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)


def load(build_dir: Path) -> Settings:
    """Read static.json, or take the usual place of the pages. Raises InvalidSettings."""
    given = _read(build_dir / "static.json")
    root = _text(given, "root").strip("/") or _usual_root(build_dir)
    if ".." in Path(root).parts or not (build_dir / root).is_dir():
        raise InvalidSettings(f"static.json: the root {root!r} is not a directory of the app.")
    error_page = _text(given, "error_page").lstrip("/")
    if not error_page and (build_dir / root / "404.html").is_file():
        error_page = "404.html"
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        raise InvalidSettings(f"static.json: {', '.join(sorted(unknown))} is not known to this buildpack.")
    return Settings(
        root=root,
        clean_urls=_switch(given, "clean_urls"),
        https_only=_switch(given, "https_only"),
        error_page=error_page,
        routes={path: _word(target, f"routes, {path}") for path, target in _map(given, "routes").items()},
        redirects={path: _redirect(path, value) for path, value in _map(given, "redirects").items()},
        headers={
            path: {name: _word(value, f"headers, {name}") for name, value in _map(_map(given, "headers"), path).items()}
            for path in _map(given, "headers")
        },
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InvalidSettings(f"static.json is not valid: {error}") from error
    if not isinstance(found, dict):
        raise InvalidSettings("static.json is not valid: it is not a JSON object.")
    return found


def _usual_root(build_dir: Path) -> str:
    usual = (name for name in USUAL_ROOTS if (build_dir / name / "index.html").is_file())
    root = next(usual, None)
    if root is None:
        raise InvalidSettings(
            'There is no index.html; name the directory of the pages in static.json: {"root": "dist"}'
        )
    return root


def _word(value: object, where: str) -> str:
    """A string without control characters: it becomes part of nginx's configuration."""
    if not isinstance(value, str) or any(ord(letter) < 32 for letter in value):
        raise InvalidSettings(f"static.json: {where}: {value!r} is not a text of one line.")
    return value


def _text(given: dict[str, Any], name: str) -> str:
    return _word(given.get(name) or "", name)


def _switch(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise InvalidSettings(f"static.json: {name} has to be true or false.")
    return value


def _map(given: dict[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidSettings(f"static.json: {name} has to be an object.")
    for key in value:
        _word(key, name)
    return value


def _redirect(path: str, value: object) -> Redirect:
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict) or value.get("status", 301) not in (301, 302, 303, 307, 308):
        raise InvalidSettings(f'static.json: redirects, {path}: give {{"url": "/new", "status": 301}}.')
    return Redirect(_word(value.get("url"), f"redirects, {path}"), value.get("status", 301))
