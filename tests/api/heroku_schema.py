"""Heroku's schema of the Platform API, for checking our answers. It is not part of this project.

It is looked for beside the checkout (`../shared/heroku/schema.json`) or where `POGO_HEROKU_SCHEMA` says.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import pytest

PLACES = (
    os.environ.get("POGO_HEROKU_SCHEMA", ""),
    str(Path(__file__).parents[2].parent / "shared" / "heroku" / "schema.json"),
)


def load() -> HerokuSchema:
    for place in PLACES:
        if place and Path(place).is_file():
            return HerokuSchema(json.loads(Path(place).read_text()))
    return HerokuSchema(None)


def plain(href: str) -> str:
    """`/apps/{app}/dynos` of a link of the schema."""
    return re.sub(r"\{.*?/definitions/([\w-]+)/definitions/.*?\}", r"{\1}", unquote(href))


def _relaxed(schema: dict[str, Any]) -> dict[str, Any]:
    """The one place where we differ on purpose: host names, and a role.

    `viewer` may be given by the schema, but not be shown (Heroku does show it). Patterns name Heroku's own domains;
    and the host name of a domain is said to be a URI, which no host name is.
    """
    app = schema["definitions"]["app"]["definitions"]
    for name in ("git_url", "web_url"):
        assert "heroku" in app[name].pop("pattern")
    assert schema["definitions"]["domain"]["definitions"]["hostname"].pop("format") == "uri"
    schema["definitions"]["team"]["definitions"]["role"]["enum"].append("viewer")
    return schema


class HerokuSchema:
    """document: the schema. seen: `GET /apps/{app}` of every operation with an answer that was right by the schema."""

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self.present = schema is not None
        self.seen: set[str] = set()
        self._links: list[tuple[str, re.Pattern[str], str, dict[str, Any]]] = []
        self._validators: dict[str, Any] = {}
        self.document = self._schema = _relaxed(schema) if schema else {"definitions": {}}
        for resource in self._schema["definitions"].values():
            for link in resource.get("links", []):
                pattern = re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(link["href"])))
                self._links.append((link["method"], pattern, link["href"], link.get("targetSchema", {})))

    def require(self) -> None:
        if not self.present:
            pytest.skip("Heroku's schema.json is not on this machine (set POGO_HEROKU_SCHEMA to its path)")

    def check(self, method: str, path: str, response: Any) -> None:
        """Every property that the schema names is there, and of its type. Answers without a schema pass."""
        for known, pattern, href, target in self._links:
            if known == method and pattern.fullmatch(path.partition("?")[0]):
                value = response.json()
                for error in self._validator(target).iter_errors(value):
                    pytest.fail(f"{method} {path}: {error.message} at {list(error.instance_path)}")
                self._complete(method, path, value, target)
                self.seen.add(f"{method} {plain(href)}")
                return

    def _validator(self, target: dict[str, Any]) -> Any:
        key = json.dumps(target)
        if key not in self._validators:
            whole = {**target, "definitions": self._schema["definitions"]}
            self._validators[key] = jsonschema_rs.Draft4Validator(whole)
        return self._validators[key]

    def _complete(self, method: str, path: str, value: Any, target: dict[str, Any]) -> None:
        reference = target.get("$ref") or target.get("items", {}).get("$ref")
        if not reference:
            return
        resource: Any = self._schema
        for part in reference.removeprefix("#/").split("/"):
            resource = resource[part]
        for one in value if isinstance(value, list) else [value]:
            missing = set(resource.get("properties", {})) - set(one)
            assert not missing, f"{method} {path} lacks {sorted(missing)}"
