"""app.json: what an app wants to be set up with.

Heroku applies it when an app is created from it (app setups, review apps), not at a push; see
docs/decisions/0012-app-json.md for what a first push does here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 1 << 20


class InvalidManifest(ValueError):
    """errors: everything that is wrong, a sentence each."""

    def __init__(self, *errors: str) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(errors))


@dataclass(frozen=True)
class Variable:
    """value: what to set, None for none. secret: to be made up (`"generator": "secret"`)."""

    value: str | None = None
    required: bool = True
    secret: bool = False


@dataclass(frozen=True)
class Manifest:
    """formation: process type → {"quantity": int, "size": str}, both optional. addons: names of plans."""

    name: str = ""
    stack: str = ""
    buildpacks: tuple[str, ...] = ()
    env: Mapping[str, Variable] = field(default_factory=dict)
    formation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    postdeploy: str = ""
    addons: tuple[str, ...] = ()
    success_url: str = ""

    def missing(self, names: Collection[str]) -> list[str]:
        """Required config vars that are neither in `names` nor have a value or generator here."""
        return [name for name, one in self.env.items() if one.required and not _given(one) and name not in names]

    def unset(self, names: Collection[str]) -> list[str]:
        """Required config vars that are not in `names`, whatever app.json gives them."""
        return [name for name, one in self.env.items() if one.required and name not in names]

    def config(self, overrides: Mapping[str, str], make_secret: Callable[[], str]) -> dict[str, str]:
        """The config vars to set. Raises InvalidManifest where a required one has no value."""
        if missing := self.missing(overrides):
            raise InvalidManifest(*(f"config var {name} is required" for name in missing))
        made = {name: make_secret() if one.secret else one.value for name, one in self.env.items()}
        return {**{name: value for name, value in made.items() if value is not None}, **overrides}


def _given(one: Variable) -> bool:
    return one.secret or one.value is not None


def parse(data: bytes, environment: str = "") -> Manifest:
    """Read an app.json. Raises InvalidManifest with all its errors.

    environment: `review` or `test`: what `environments.<it>` says takes the place of what stands outside; the
    config vars, the scripts and the formation of both are put together (Heroku).
    """
    if len(data) > LARGEST:
        raise InvalidManifest("app.json is larger than 1 MB")
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"app.json is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidManifest("app.json is not an object")
    reader = _Reader()
    given = _in(given, environment, reader)
    scripts = reader.mapping(given, "scripts")
    found = Manifest(
        name=reader.text(given.get("name"), "name"),
        stack=reader.text(given.get("stack"), "stack"),
        buildpacks=tuple(reader.named(given, "buildpacks", "url")),
        env=reader.variables(given),
        formation=reader.formation(given),
        postdeploy=reader.command(scripts.get("postdeploy")),
        addons=tuple(reader.named(given, "addons", "plan")),
        success_url=reader.text(given.get("success_url"), "success_url"),
    )
    if reader.errors:
        raise InvalidManifest(*reader.errors)
    return found


def _in(given: dict[str, Any], environment: str, reader: _Reader) -> dict[str, Any]:
    special = reader.mapping(reader.mapping(given, "environments"), environment) if environment else {}
    merged = {**given, **special}
    for name in ("env", "scripts", "formation"):
        both = given.get(name), special.get(name)
        if all(isinstance(one, dict) for one in both):
            merged[name] = {**given[name], **special[name]}
    return merged


class _Reader:
    """Takes values by their type, and notes what has another one."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def text(self, value: Any, name: str) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        self.errors.append(f"`{name}` must be a string")
        return ""

    def mapping(self, given: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = given.get(name)
        if value is None or isinstance(value, dict):
            return value or {}
        self.errors.append(f"`{name}` must be an object")
        return {}

    def named(self, given: Mapping[str, Any], name: str, key: str) -> list[str]:
        """A list of strings, or of objects with a string `key`."""
        value = given.get(name)
        if value is not None and not isinstance(value, list):
            self.errors.append(f"`{name}` must be an array")
            return []
        found = []
        for number, one in enumerate(value or []):
            text = one.get(key) if isinstance(one, dict) else one
            if isinstance(text, str) and text.strip():
                found.append(text.strip())
            else:
                self.errors.append(f"`{name}[{number}].{key}` must be a string")
        return found

    def variables(self, given: Mapping[str, Any]) -> dict[str, Variable]:
        found = {}
        for name, value in self.mapping(given, "env").items():
            if isinstance(value, dict):
                text = value.get("value")
                if isinstance(text, bool | int | float):
                    text = json.dumps(text)
                required, secret = value.get("required", True) is not False, value.get("generator") == "secret"
                found[name] = Variable(None if text is None else self.text(text, f"env.{name}.value"), required, secret)
            elif isinstance(value, str):
                found[name] = Variable(value)
            else:
                self.errors.append(f"`env.{name}` must be a string or an object")
        return found

    def formation(self, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        value = given.get("formation")
        if isinstance(value, list):  # its first form
            value = {one.get("process"): one for one in value if isinstance(one, dict)}
        found = {}
        for type, one in self.mapping({"formation": value}, "formation").items():
            wanted = one if isinstance(one, dict) else {}
            quantity, size = wanted.get("quantity", 1), wanted.get("size")
            if not isinstance(type, str) or isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 0:
                self.errors.append(f"`formation.{type}.quantity` must be a number")
                continue
            sized = {"size": self.text(size, f"formation.{type}.size")} if size else {}
            found[type] = {"quantity": quantity, **sized}
        return found

    def command(self, value: Any) -> str:
        return self.text(value.get("command") if isinstance(value, dict) else value, "scripts.postdeploy")
