"""static.json: what it may hold, with a clear word on what it may not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

USUAL_ROOTS = ("public_html", "public", "dist", "build", ".")
ERROR_LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
STATUSES = (301, 302, 303, 307, 308)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^`|~\w-]+")
Value = TypeVar("Value")


class InvalidSettings(Exception):
    """static.json cannot be used; the message says why."""


@dataclass(frozen=True)
class Redirect:
    """url: may have `${NAME}` of a config var in it."""

    url: str
    status: int = 301


@dataclass(frozen=True)
class Settings:
    """root: directory of the files, relative to the app.

    routes: path pattern (`*` within a name, `**` across) → file, first match wins. headers: by pattern, the last
    match wins whole. redirects: by exact path. proxies: beginning of a path → origin, the longest wins.
    """

    root: str = "."
    clean_urls: bool = False
    https_only: bool = False
    canonical_host: str = ""
    basic_auth: bool = False
    basic_auth_htpasswd_path: str = ".htpasswd"
    encoding: str = "UTF-8"
    error_page: str = ""
    access_log: bool = True
    error_log: str = "error"
    worker_connections: int = 1024
    routes: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, Redirect] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def variables(self) -> set[str]:
        """Names of the config vars that are put into it when it starts."""
        texts = [self.canonical_host, *self.proxies.values(), *(redirect.url for redirect in self.redirects.values())]
        return {name for text in texts for name in _VARIABLE.findall(text)}


def load(directory: Path) -> Settings:
    """Read static.json of an app, or take the usual place of the pages. Raises InvalidSettings."""
    given = _read(directory / "static.json")
    root = _text(given, "root").strip("/") or _usual_root(directory)
    if ".." in Path(root).parts or not (directory / root).is_dir():
        raise InvalidSettings(f"static.json: root: {root!r} is not a directory of the app.")
    error_page = _text(given, "error_page").lstrip("/")
    if not error_page and (directory / root / "404.html").is_file():
        error_page = "404.html"
    logging = _map(given, "logging")
    level = _text(logging, "error", "logging: ") or "error"
    if level not in ERROR_LEVELS:
        raise InvalidSettings(f"static.json: logging: error: {level!r} is none of {', '.join(ERROR_LEVELS)}.")
    connections = given.get("worker_connections") or 1024
    if not isinstance(connections, int) or isinstance(connections, bool) or not 16 <= connections <= 65536:
        raise InvalidSettings("static.json: worker_connections: it has to be a number from 16 to 65536.")
    encoding = _text(given, "encoding") or "UTF-8"
    if not re.fullmatch(r"[\w.:-]+", encoding):
        raise InvalidSettings(f"static.json: encoding: {encoding!r} is not the name of a character set.")
    read = {"root", "error_page", "logging", "worker_connections", "encoding"} | set(Settings.__dataclass_fields__)
    return Settings(
        root=root,
        clean_urls=_switch(given, "clean_urls"),
        https_only=_switch(given, "https_only"),
        canonical_host=_host(given),
        basic_auth=_switch(given, "basic_auth"),
        basic_auth_htpasswd_path=_text(given, "basic_auth_htpasswd_path") or ".htpasswd",
        encoding=encoding,
        error_page=error_page,
        access_log=_switch(logging, "access", True, "logging: "),
        error_log=level,
        worker_connections=connections,
        routes=_each(given, "routes", _word),
        redirects=_each(given, "redirects", _redirect),
        proxies=_each(given, "proxies", _origin),
        headers=_each(given, "headers", _header_set),
        unknown=tuple(sorted(set(given) - (read - {"access_log", "error_log", "unknown"}))),
    )


def interpolate(text: str, env: Mapping[str, str], where: str) -> str:
    """Put config vars into `${NAME}`. Raises InvalidSettings where one is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in env:
            raise InvalidSettings(f"static.json: {where}: the config var {match[1]} is not set.")
        return env[match[1]]

    return _word(_VARIABLE.sub(value, text), where)


def check_origin(origin: str, where: str) -> str:
    """An address that can be passed on to, without its last slash. Raises InvalidSettings."""
    try:
        parts = urlsplit(origin)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username or re.search(r"[\s;{}\"'\\$]", origin):
        raise InvalidSettings(f"static.json: {where}: {origin!r} is not like https://host/path.")
    return origin.rstrip("/")


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


def _usual_root(directory: Path) -> str:
    usual = (name for name in USUAL_ROOTS if (directory / name / "index.html").is_file())
    root = next(usual, None)
    if root is None and (directory / "static.json").is_file() and (directory / "public_html").is_dir():
        return "public_html"
    if root is None:
        raise InvalidSettings(
            'There is no index.html; name the directory of the pages in static.json: {"root": "dist"}'
        )
    return root


def _word(value: object, where: str) -> str:
    """A string without control characters: it becomes part of nginx's configuration."""
    if not isinstance(value, str) or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise InvalidSettings(f"static.json: {where}: {value!r} is not a text of one line.")
    return value


def _text(given: Mapping[str, Any], name: str, place: str = "") -> str:
    return _word(given.get(name) or "", place + name)


def _switch(given: Mapping[str, Any], name: str, default: bool = False, place: str = "") -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise InvalidSettings(f"static.json: {place}{name}: it has to be true or false, not {value!r}.")
    return value


def _map(given: Mapping[str, Any], name: str, place: str = "") -> dict[str, Any]:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidSettings(f"static.json: {place}{name}: it has to be an object.")
    return value or {}


def _each(given: Mapping[str, Any], name: str, read: Callable[[Any, str], Value]) -> dict[str, Value]:
    """The entries of one object, by path."""
    found = {}
    for path, value in _map(given, name).items():
        found[_word(path, name)] = read(value, f"{name}: {path}")
    return found


def _host(given: Mapping[str, Any]) -> str:
    host = _text(given, "canonical_host")
    if host and not re.fullmatch(r"(?:[\w.-]|\$\{\w+\})+", host):
        raise InvalidSettings(f"static.json: canonical_host: {host!r} is not the name of a host.")
    return host


def _redirect(value: object, where: str) -> Redirect:
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict) or not value.get("url"):
        raise InvalidSettings(f'static.json: {where}: give {{"url": "/new", "status": 301}}.')
    status = value.get("status", 301)
    if status not in STATUSES:
        raise InvalidSettings(f"static.json: {where}: status: {status!r} is none of {', '.join(map(str, STATUSES))}.")
    return Redirect(_word(value["url"], f"{where}: url"), status)


def _origin(value: object, where: str) -> str:
    if not isinstance(value, dict) or not value.get("origin"):
        raise InvalidSettings(f'static.json: {where}: give {{"origin": "https://host/path"}}.')
    origin = _word(value["origin"], f"{where}: origin")
    return origin if _VARIABLE.search(origin) else check_origin(origin, f"{where}: origin")


def _header_set(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidSettings(f'static.json: {where}: give the headers as an object, {{"Cache-Control": "no-store"}}.')
    for name in value:
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidSettings(f"static.json: {where}: {name!r} is not the name of a header.")
    simple = {name: str(text) if isinstance(text, (int, bool)) else text for name, text in value.items()}
    return {name: _word(text, f"{where}: {name}") for name, text in simple.items()}
